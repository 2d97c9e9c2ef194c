"""What must be found in the OTLP record of an event: a model of the conversion, made from what is
promised (nothing of a log is lost; time, severity, trace context and body in their fields) and
sharing nothing with Sluice's converter.

    complaints = check(event, record, window)       [] if the record says what the event said

`event` is one of streams.py (tag, time, record, metadata, and, of Fluent Bit's groups, `start`: the
record of the marker that opened the group), `record` one of otlp_decode.py, `window` the earliest
and latest time of receipt in ns.

Where the promises leave it open, every reading of them is taken:
  - a leaf may stand in the body, in an attribute at any depth, in the resource, in the scope or
    in a field. Only one whose key is no name that conventions move (MOVED) has its own place.
  - a text body may be kept, or taken apart: then all its words are somewhere in the record.
"""
import collections
import datetime
import itertools
import json
import re
import struct

import msgpack

from streams import Ext, Pairs

BODY = ("log", "message", "msg", "MESSAGE", "@m", "event", "short_message", "textPayload")
TIME = ("time", "timestamp", "@timestamp", "ts", "@t", "date", "asctime", "Timestamp")
LEVEL = ("level", "severity", "lvl", "loglevel", "levelname", "log.level", "PRIORITY", "@l")
CORRELATION = ("trace_id", "job_id", "machine_id", "worker_id")

# The first parts of keys that have a field or a name of their own in OTLP: what they hold is looked
# for everywhere.
MOVED = set(BODY + TIME + LEVEL) | set("""
    severity_text severity_number levelno level_value LogLevel pri @mt @x Message
    trace.id traceId traceID TraceId traceid @tr otelTraceID contextMap.trace_id
    span_id spanId spanID SpanId span.id @sp otelSpanID trace_flags traceFlags otelTraceSampled
    traceparent X-B3-TraceId x_b3_traceid X-B3-SpanId X-B3-Sampled b3 dd.trace_id dd dd.span_id
    dd.service dd.env dd.version logging.googleapis.com/trace logging.googleapis.com/spanId
    uber-trace-id X-Amzn-Trace-Id xray_trace_id
    stream source kubernetes kubernetes_namespace docker docker_id container_id container_name
    container_image container_image_id _HOSTNAME hostname host _SYSTEMD_UNIT SYSLOG_IDENTIFIER ident
    _PID pid service service_name serviceName app otelServiceName env environment err error exc_info
    stack stack_trace stacktrace exception logger logger_name name caller file line facility procid
    msgid syslog code thread thread_name http.method http
""".split())

NUMBERS = {
    "trace": {1}, "finest": {1}, "silly": {1}, "finer": {5}, "fine": {5, 6}, "verbose": {1, 5, 6},
    "debug": {5}, "config": {7}, "info": {9}, "information": {9}, "http": {9}, "notice": {10},
    "warn": {13}, "warning": {13}, "error": {17}, "err": {17}, "severe": {17},
    "crit": {18}, "critical": {18, 21}, "dpanic": {18}, "alert": {19}, "panic": {19, 21},
    "fatal": {21}, "emerg": {21}, "emergency": {21},
}
SYSLOG = (21, 19, 18, 17, 13, 10, 9, 5)
PINO = {10: 1, 20: 5, 30: 9, 40: 13, 50: 17, 60: 21}

SECOND = 10 ** 9
RFC3339 = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:[.,](\d+))?"
                     r"(Z|z|[+-]\d\d:?\d\d)?\Z")
TIME_IN_TEXT = re.compile(
    r"\d{4}[-/]\d\d[-/]\d\d[Tt ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?: ?(?:[Zz]|[+-]\d\d:?\d\d))?"
    r"|\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}"
    r"|(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ \d]\d \d\d:\d\d:\d\d(?:\.\d+)?"
    r"|\b[IWEF]\d{4} \d\d:\d\d:\d\d\.\d+|\b\d\d:\d\d:\d\d(?:[.,]\d+)?\b|\b1[67]\d{8}(?:\.?\d+)?\b")


# ---- times ----------------------------------------------------------------------------------

def rfc3339(text):
    """ns since 1970, or None. Without an offset it is taken as UTC."""
    m = RFC3339.match(text.strip())
    if not m:
        return None
    try:
        day = datetime.datetime(*(int(m.group(i)) for i in range(1, 6)))
    except ValueError:
        return None
    seconds = (day - datetime.datetime(1970, 1, 1)).days * 86400 + int(m.group(4)) * 3600 + \
        int(m.group(5)) * 60 + int(m.group(6))
    offset = m.group(8)
    if offset and offset not in "Zz":
        minutes = int(offset[1:3]) * 60 + int(offset[-2:])
        seconds -= minutes * 60 * (-1 if offset[0] == "-" else 1)
    return seconds * SECOND + int(((m.group(7) or "") + "0" * 9)[:9])


def epoch(value):
    """A number as ns, its unit by its size; None if it is no time."""
    if isinstance(value, bool) or value != value or value <= 0:
        return None
    for end, unit in ((1e11, SECOND), (1e14, 10 ** 6), (1e17, 10 ** 3), (1e20, 1)):
        if value < end:
            return int(round(value * unit))
    return None


def reading(value):
    """ns that a time field says, or None; the second: how far a reader may be off, None where it
    may as well not read it (local time, no offset)."""
    if isinstance(value, str):
        ns = rfc3339(value)
        if ns is not None:
            return ns, 0 if RFC3339.match(value.strip()).group(8) else None
        if re.match(r"\d{10,19}\Z", value):
            return epoch(int(value)), 0
        if re.match(r"\d{10}\.\d+\Z", value):
            whole, _, fraction = value.partition(".")
            return int(whole) * SECOND + int((fraction + "0" * 9)[:9]), 1000
        return None, 0
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        # A double holds seconds of this age to some 240 ns.
        return epoch(value), 1000 if isinstance(value, float) else 0
    return None, 0


def event_ns(event):
    """The event's own time in ns; None where it says none or one that OTLP cannot hold."""
    if event["time"] is None:
        return None
    seconds, nanoseconds = event["time"]
    form = event.get("time_form")
    if form == "float":                         # the unit is told by the size alone
        return epoch(seconds + nanoseconds / SECOND)
    if form == "int":
        return seconds * SECOND if 0 < seconds * SECOND < 1 << 64 else None
    if form is not None or seconds < 0 or nanoseconds >= SECOND or seconds == nanoseconds == 0:
        return None
    return seconds * SECOND + nanoseconds


def check_time(event, record, window, complain):
    got, own = record["time"], event_ns(event)
    fields = event["record"]
    times = [fields[k] for k in TIME if k in fields] if isinstance(fields, dict) else []
    read = [(ns, off) for ns, off in map(reading, times) if ns is not None]
    metadata = (event.get("metadata") or {}).get("otlp")
    if isinstance(metadata, dict) and "timestamp" in metadata:
        read.append((metadata["timestamp"], 0))

    def received():
        return window[0] <= got <= window[1]

    def event_time():
        if own is None or own >= 1 << 63:
            # Nothing that OTLP can hold; or milliseconds, by its size.
            return received() or event["time"] and got in (own, 0, epoch(event["time"][0]))
        return abs(got - own) <= (1000 if event.get("time_form") == "float" else 0)

    if any(abs(got - ns) <= (off or 0) for ns, off in read if 0 < ns < 1 << 64):
        return
    plain = [ns for ns, off in read if off is not None and 0 < ns < 1 << 63]
    texts = [t for t in times + body_texts(fields) if isinstance(t, str)]
    said = TIME_IN_TEXT.search(" ".join(texts))
    if len(times) == 1 and len(plain) == 1:
        complain("time %d, the record says %r" % (got, times[0]))
    elif not event_time() and not said and not times:
        complain("time %d, the event's is %r (%s)" % (
            got, event["time"], event.get("time_form", "eventtime")))
    elif not (event_time() or received() or same_clock(got, texts)):
        complain("time %d is neither the event's nor in %r" % (got, texts))


def same_clock(ns, texts):
    """Whether one of the texts has the hours, minutes and seconds of this time, in some zone."""
    seconds = ns // SECOND
    minute, second = seconds // 60 % 60, seconds % 60
    text = " ".join(texts)
    return ":%02d:%02d" % (minute, second) in text or seconds >= 10 ** 9 and str(seconds) in text


# ---- what the output holds --------------------------------------------------------------------

class Content:
    """All values and words of a record's output, wherever they stand."""

    def __init__(self, record):
        self.record = record
        self.scalars = set()            # (type, value); floats by their bits
        self.maps = []
        self.strings = set()
        self.bytes = set()
        self._words = None
        stack = [record["body"], record["attributes"], record["resource"], record["scope"],
                 record["event_name"]]
        for field in ("time", "observed", "severity", "flags", "dropped"):
            self.scalars.add((int, record[field]))
        for field in ("text", "trace_id", "span_id"):
            if record[field]:
                stack.append(record[field])
        self.keys = set()
        while stack:
            value = stack.pop()
            if isinstance(value, dict):
                self.maps.append(value)
                self.keys.update(k for k in value if isinstance(k, str))
                stack.extend(value.values())
            elif isinstance(value, list):
                stack.extend(value)
                if not value:
                    self.scalars.add((list, ()))
            elif isinstance(value, bytes):
                self.bytes.add(value)
                self._packed(value, stack)
            elif isinstance(value, str):
                self.strings.add(value)
            else:
                self.scalars.add(scalar(value))

    @staticmethod
    def _packed(value, stack):
        """What lies too deep for OTLP stays MessagePack, in bytes."""
        if value[:1] and (0x80 <= value[0] <= 0x9f or 0xdc <= value[0] <= 0xdf):
            try:
                stack.append(msgpack.unpackb(value, strict_map_key=False))
            except (ValueError, msgpack.UnpackException):
                pass

    @property
    def words(self):
        if self._words is None:
            self._words = set()
            for text in self.strings | self.keys:
                self._words.update(words(text))
            for kind, value in self.scalars:
                if kind in (int, float):
                    number = struct.unpack("d", value)[0] if kind is float else value
                    self._words.update(words("%r" % (number,)))
                elif kind is bool:
                    self._words.add(str(value).lower())
            for field in ("trace_id", "span_id"):
                self._words.add(self.record[field])
        return self._words

    def has_text(self, text):
        return text in self.strings or (text == "" and self.record["body"] is None) or \
            (text != "" and text.lower() == self.record["text"].lower()) or \
            text.encode("utf-8", "surrogatepass") in self.bytes or self.is_time(text)

    def is_time(self, value):
        ns, off = reading(value)
        return ns is not None and abs(ns - self.record["time"]) <= (off or 0)


def words(text):
    return [w.lower() for w in re.findall(r"[^\W_]{2,}", text)]


def scalar(value):
    if isinstance(value, float):
        return float, struct.pack("d", float("nan") if value != value else value)
    return type(value), value


def is_sanitised(text, raw):
    """Whether `text` is bad UTF-8 with its bad bytes replaced."""
    def plain(s):
        return re.sub("\ufffd+", "\ufffd", s)
    return "\ufffd" in text and plain(text) == plain(raw.decode("utf-8", "replace"))


# ---- leaves -----------------------------------------------------------------------------------

def leaves(value, path=()):
    """(path, leaf) of all scalars and empty containers."""
    stack = [(path, value)]
    while stack:
        path, value = stack.pop()
        if isinstance(value, Pairs):
            # A key that is there twice has no place of its own.
            stack.extend((path + (None,), v) for _, v in value)
        elif isinstance(value, dict) and value:
            stack.extend((path + (k,), v) for k, v in value.items())
        elif isinstance(value, list) and value:
            stack.extend((path + (i,), v) for i, v in enumerate(value))
        else:
            yield path, value


def body_texts(fields):
    return [fields[k] for k in BODY if isinstance(fields.get(k), str)] \
        if isinstance(fields, dict) else []


def at_place(attributes, path, leaf):
    """Whether the attribute of this path holds the leaf, with its type."""
    value = attributes
    for key in path:
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and isinstance(key, int) and key < len(value):
            value = value[key]
        else:
            return isinstance(value, bytes)     # below this depth it is MessagePack
    return same_leaf(value, leaf)


def same_leaf(value, leaf):
    if isinstance(leaf, Ext):
        return value == {"type": leaf.type, "data": leaf.data}
    if isinstance(leaf, int) and not isinstance(leaf, bool) and not -1 << 63 <= leaf < 1 << 63:
        return value == str(leaf)
    if isinstance(leaf, bytes):
        return value == leaf or isinstance(value, str) and is_sanitised(value, leaf)
    if isinstance(leaf, str):
        # A bin that is UTF-8 looks like a string in the list of events.
        return value == leaf or value == leaf.encode("utf-8", "surrogatepass")
    if isinstance(leaf, (dict, list)):
        return type(value) is type(leaf) and not value
    if type(leaf) is int and leaf == 0 and scalar(value) == scalar(-0.0):
        return True                     # -0 in JSON: the list of events was made by a reader that
                                        # takes it for an integer
    return scalar(value) == scalar(leaf)


def found(leaf, content):
    """Whether the leaf stands anywhere, with the type that it must have."""
    if isinstance(leaf, str):
        return content.has_text(leaf)
    if isinstance(leaf, bytes):
        return leaf in content.bytes or leaf.hex() in content.strings or \
            any(is_sanitised(s, leaf) for s in content.strings)
    if isinstance(leaf, Ext):
        return any(m == {"type": leaf.type, "data": leaf.data} for m in content.maps)
    if isinstance(leaf, (dict, list)):
        return True                             # empty: there is nothing in it to find
    if isinstance(leaf, bool) or leaf is None:
        return scalar(leaf) in content.scalars
    if isinstance(leaf, int) and not -1 << 63 <= leaf < 1 << 63:
        return str(leaf) in content.strings
    return scalar(leaf) in content.scalars or content.is_time(leaf) or \
        str(leaf) in content.strings            # the original word of a severity


def text_found(text, content):
    """A text, or all that it says."""
    if content.has_text(text) or content.has_text(re.sub(r"\r?\n\Z", "", text)):
        return True
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if isinstance(value, dict):
        return all(text_found(v, content) if isinstance(v, str) else in_json(v, content)
                   for _, v in leaves(value))
    text = re.sub(r"\A([IWEF])(\d{4} \d\d:)", r"\1 \2", text)   # klog's level and date are one word
    plain = TIME_IN_TEXT.sub(lambda m: time_words(m.group(), content), text)
    plain = re.sub(r"\A\s*<\d{1,3}>\d?", " ", plain)            # a syslog priority
    plain = re.sub(r'([\w.@]+)"?[=:]', lambda m: " " if m.group(1) in MOVED else m.group(), plain)
    plain = re.sub(r"\\(u[0-9a-fA-F]{4}|.)", " ", plain)        # escapes in quotes
    return all(w in content.words or w in NUMBERS for w in words(plain))


def time_words(text, content):
    """A time in a text is said by the record's time; else its digits must be somewhere."""
    return " " if same_clock(content.record["time"], [text]) else text


def in_json(leaf, content):
    """JSON's null may be left out as unset, and its numbers may be words."""
    return leaf is None or found(leaf, content) or \
        isinstance(leaf, float) and found(int(leaf) if leaf == int(leaf) else leaf, content)


def check_leaves(event, record, content, complain):
    fields = event["record"]
    texts = body_texts(fields)
    taken_apart = not all(content.has_text(t) or content.has_text(re.sub(r"\r?\n\Z", "", t))
                          for t in texts)
    for path, leaf in leaves(fields):
        if not path:
            continue                            # an empty record
        top = path[0]
        if len(path) == 1 and top in BODY and isinstance(leaf, str):
            if not text_found(leaf, content):
                complain("the text %s=%.200r is not there" % (top, leaf))
            continue
        placed = not taken_apart and all(isinstance(k, (str, int)) and k != "" for k in path) and \
            not isinstance(fields, Pairs) and top not in MOVED
        if placed and not at_place(record["attributes"], path, leaf):
            complain("attribute %s is not %.200r" % (".".join(map(str, path)), leaf))
        elif not placed and not found(leaf, content) and not moved_found(path, leaf, content):
            complain("%s=%.200r is not there" % (".".join(map(str, path)), leaf))


def moved_found(path, leaf, content):
    """A moved leaf may be written as its new name wants it."""
    if isinstance(leaf, str):
        return top_is_number(leaf, content) or leaf.lstrip("/") in content.strings or \
            (bool(words(leaf)) and all(w in content.words for w in words(leaf)))
    if leaf is None:
        return path[0] in MOVED and path[0] not in CORRELATION      # a level of null is unset
    return False


def top_is_number(text, content):
    """A pid as a number."""
    return bool(re.match(r"-?\d{1,18}\Z", text)) and (int, int(text)) in content.scalars


# ---- the fields -------------------------------------------------------------------------------

def check_body(fields, record, content, complain):
    texts = body_texts(fields)
    if not texts:
        return
    body = record["body"]
    plain = [re.sub(r"\r?\n\Z", "", t) for t in texts] + texts + [
        t[:-1] for t in texts if t.endswith("\n")]
    if body in plain or body is None and "" in plain:
        return
    # Taken apart: what is now the body was a part of it.
    if isinstance(body, str) and not all(w in words(" ".join(texts)) or w in content.words
                                         for w in words(body)):
        complain("the body is %.200r, the texts %.200r" % (body, texts))
    if isinstance(body, str) and any(t == body for t in plain) is False and not any(
            body.strip() in t or json_escaped(body) in t for t in texts):
        complain("the body %.200r is no part of %.200r" % (body, texts))


def json_escaped(text):
    return json.dumps(text)[1:-1]


def check_severity(fields, record, complain):
    """Only where one field says it, by a plain name or a plain number."""
    if not isinstance(fields, dict):
        return
    said = [k for k in fields if k.lower() in ("levelno", "level_value", "severity_number",
                                               "severity_text", "pri", "syslog") or k in LEVEL]
    if len(said) != 1 or said[0] not in LEVEL:
        return
    word, got = fields[said[0]], record["severity"]
    if isinstance(word, str) and word.lower() in NUMBERS:
        if got not in NUMBERS[word.lower()]:
            complain("severity %d for %r" % (got, word))
        if record["text"].lower() != word.lower():      # "INFO" for "info" is the same word
            complain("severity text %r for %r" % (record["text"], word))
    elif isinstance(word, str) and word in "01234567" and len(word) == 1 and \
            said[0] == "PRIORITY" and got != SYSLOG[int(word)]:
        complain("severity %d for syslog's %r" % (got, word))
    elif type(word) is int and 0 <= word <= 7 and got != SYSLOG[word]:
        complain("severity %d for syslog's %d" % (got, word))
    elif type(word) is int and word in PINO and said[0] == "level" and got != PINO[word]:
        complain("severity %d for Pino's %d" % (got, word))


def check_ids(fields, record, complain):
    """service.md's rules for trace_id, with record.trace_id = "pad"."""
    if not isinstance(fields, dict):
        return
    for key in CORRELATION:
        if key in fields and not same_leaf(record["attributes"].get(key), fields[key]):
            complain("%s=%r is no attribute of its own" % (key, fields[key]))
    text = fields.get("trace_id")
    if not isinstance(text, str):
        return
    digits = text.replace("-", "") if re.match(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-"
                                               r"[0-9a-fA-F]{12}\Z", text) else text
    want = ""
    if re.match(r"[0-9a-fA-F]{1,32}\Z", digits) and int(digits, 16):
        want = digits.lower().rjust(32, "0")
    if record["trace_id"] != want:
        complain("traceId %r for %r" % (record["trace_id"], text))


def check_metadata(event, record, content, complain):
    """Fluent Bit's: an OTLP record's own fields in their places, all else found."""
    metadata = event.get("metadata") or {}
    otlp = metadata.get("otlp") if isinstance(metadata.get("otlp"), dict) else {}
    fields = {"severity_number": "severity", "severity_text": "text", "trace_flags": "flags",
              "timestamp": "time", "observed_timestamp": "observed", "event_name": "event_name",
              "dropped_attributes_count": "dropped"}
    for key, value in otlp.items():
        if key in ("trace_id", "span_id") and isinstance(value, bytes):
            want, got = value.hex() if any(value) else "", record[key]
        elif key in fields:
            want, got = value, record[fields[key]]
        else:
            continue
        if want != got:
            complain("metadata %s: %r, want %r" % (key, got, want))
    rest = {k: v for k, v in metadata.items() if k != "otlp"}
    rest["otlp"] = {k: v for k, v in otlp.items()
                    if k not in fields and k not in ("trace_id", "span_id")}
    for path, leaf in leaves(rest):
        if not found(leaf, content):
            complain("metadata %s=%.200r is not there" % (".".join(map(str, path)), leaf))


def check_group(start, record, complain):
    """The marker's resource and scope stand on the entries of its group."""
    resource = start.get("resource", {}).get("attributes", {})
    for key, value in resource.items():
        if not same_leaf(record["resource"].get(key), value):
            complain("resource %s is %r, the group's %r" % (
                key, record["resource"].get(key), value))
    scope = start.get("scope", {})
    for key in ("name", "version"):
        if key in scope and record["scope"][key] != scope[key]:
            complain("scope %s is %r, the group's %r" % (key, record["scope"][key], scope[key]))
    for key, value in scope.get("attributes", {}).items():
        if not same_leaf(record["scope"]["attributes"].get(key), value):
            complain("scope attribute %s is not the group's %r" % (key, value))


def tag_of(record):
    """An empty tag may be left out."""
    return record["scope"]["attributes"].get("fluent.tag", "")


def tag_text(tag):
    return tag if isinstance(tag, str) else tag.decode("utf-8", "replace")


def check(event, record, window):
    """The complaints about a record, as texts; none if it says all that the event said."""
    out = []
    content = Content(record)
    fields = event["record"]
    if tag_of(record) != tag_text(event["tag"]):
        out.append("the tag is %r, not %r" % (tag_of(record), event["tag"]))
    check_time(event, record, window, out.append)
    own = (event.get("metadata") or {}).get("otlp")
    if not (isinstance(own, dict) and "observed_timestamp" in own) and \
            not window[0] <= record["observed"] <= window[1]:
        out.append("observed at %d, not in %r" % (record["observed"], window))
    check_leaves(event, record, content, out.append)
    check_body(fields, record, content, out.append)
    if not own:
        check_severity(fields, record, out.append)
        check_ids(fields, record, out.append)
    check_metadata(event, record, content, out.append)
    if event.get("start"):
        check_group(event["start"], record, out.append)
    return out


# ---- a whole stream ---------------------------------------------------------------------------

def logs(events):
    """The events that are logs: group markers taken out, what they say put beside the entries
    between them. A marker's time with content that is no marker's may be a log of the seconds just
    before 1970, or of 2106: such an event gets `maybe`."""
    out, start = [], None
    for event in events:
        group = event.get("group")
        if group is None:
            out.append(dict(event, start=start))
        elif group == "end":
            start = None
        elif isinstance(event["record"], dict) and "resource" in event["record"]:
            start = event["record"]
        else:
            out.append(dict(event, start=None, maybe=True))
    return out


def times_of(event):
    """The times that its record may have, the likeliest first."""
    fields = event["record"]
    out = [reading(fields[k])[0] for k in TIME if k in fields] if isinstance(fields, dict) else []
    metadata = (event.get("metadata") or {}).get("otlp")
    out.append(metadata.get("timestamp") if isinstance(metadata, dict) else None)
    return [ns for ns in out + [event_ns(event)] if ns is not None]


class Waiting:
    """Records that no event has claimed yet. Entries of one chunk may come in another order,
    grouped by resource: they are found by tag and time, else looked for among all of the tag."""

    def __init__(self, records):
        self.buckets = {}               # tag -> time -> records, in order
        for record in records:
            self.buckets.setdefault(tag_of(record), {}).setdefault(
                record["time"], collections.deque()).append(record)

    def candidates(self, event, most=300):
        buckets = self.buckets.get(tag_text(event["tag"]), {})
        likely = [ns for ns in times_of(event) if ns in buckets]
        seen = 0
        for ns in itertools.chain(likely, (ns for ns in buckets if ns not in likely)):
            for index, record in enumerate(buckets[ns]):
                yield buckets[ns], index, record
                seen += 1
                if seen >= most:
                    return

    def left(self):
        return [(tag, record) for tag, buckets in self.buckets.items()
                for bucket in buckets.values() for record in bucket]


def compare(events, records, window, limit=5):
    """Complaints about all records of one connection against all its logs."""
    complaints = []
    waiting = Waiting(records)
    for number, event in enumerate(events):
        best = None
        for bucket, index, record in waiting.candidates(event):
            said = check(event, record, window)
            if not said:
                del bucket[index]
                break
            if best is None or len(said) < len(best):
                best = said
        else:
            if event.get("maybe"):
                continue
            complaints.append("event %d (%.150r): %s" % (
                number, event["record"], "no record under its tag" if best is None
                else "; ".join(best[:4])))
        if len(complaints) >= limit:
            return complaints
    left = waiting.left()
    if left:
        complaints.append("%d records that nobody sent, under %r, as %.300r" % (
            len(left), sorted({tag for tag, _ in left})[:5], left[0][1]))
    return complaints
