"""What the real clients send, and what must come out of it.

The corpus is one list of records. Each says its fields, and where a value moves (message to body,
level to severity, timestamp to time), what comes of it; every other field must come out as an
attribute of its own name, type and value, and nothing else may. The clients read the fields from
a file, as JSON in which each value names its type:

    {"s": text} {"i": "int"} {"f": "float"} {"b": bool} {"n": 0} {"x": base64} {"d": ms since 1970}
    {"a": [value]} {"m": [[key, value]]}

A client's encoder cannot say everything (JavaScript has no 64-bit integers): its Profile leaves out
what it cannot, and says what becomes of the rest.
"""
import base64
import datetime
import json
import math
import struct

from otlp_decode import same

RESOURCE = {"service.name": "emp-job-queue", "deployment.environment": "production"}


class Date(int):
    """A moment, in milliseconds since 1970, in the client's own type for it."""


class Record:
    """fields: name -> value. body, severity, time, trace_id, span_id: the OTLP fields. moved: the
    names that are no attributes. added: attributes that the record does not name so. resource: what
    its resource says beside the usual. Where nothing is moved, the body is the record as a map."""

    def __init__(self, fields, moved="", added=None, body=None, severity=(0, ""), time=None,
                 trace_id="", span_id="", flags=0, resource=None):
        self.fields = fields
        self.moved = moved.split()
        self.added = added or {}
        self.body = body
        self.severity = severity
        self.time = time
        self.trace_id = trace_id
        self.span_id = span_id
        self.flags = flags
        self.resource = dict(RESOURCE, **(resource or {}))


def _said(text, **fields):
    """A record with a message and other attributes."""
    return Record(dict(message=text, **fields), "message", body=text)


def _nested(depth):
    value = "innermost"
    for level in range(depth):
        value = {"level_%d" % level: value} if level % 2 else [value, level]
    return value


STACK = """Traceback (most recent call last):
  File "/srv/jobs.py", line 33, in <module>
    run(job)
  File "/srv/jobs.py", line 12, in run
    raise ValueError("no such job: \\"42\\"")
ValueError: no such job: "42\""""

RFC = "2024-01-15T10:30:45.123Z"
RFC_NS = 1705314645123000000


def _records():
    yield _said("plain ASCII, nothing in it")
    yield _said("Grüße aus Köln — naïve façade", city="Zürich", straße="Königsallee")
    yield _said("emoji 😀 and 👩‍👩‍👧‍👦 and 🇩🇪", mood="🎉", **{"🔑": "value"})
    yield _said("日本語のログ, שלום, مرحبا", name="例え", combining="e\u0301")
    yield _said("controls \u0001 \u001b[31mred\u001b[0m \ttab", nul="a\u0000b", del_="\u007f")
    yield Record({"only": "attributes"})
    yield Record({})
    yield _said("", empty="", blank=" ")
    yield _said("nested maps", user={"id": 7, "name": "Ada", "tags": {"role": "admin", "x": None}})
    yield _said("nested lists", list=[1, [2, [3, []]], "four", {"five": [5]}, None, True])
    yield _said("twelve deep", deep=_nested(12))
    yield _said("empty containers", map={}, list=[], maps=[{}, {}], lists=[[], []])
    yield _said("null and booleans", none=None, yes=True, no=False, flags=[True, False, None])
    yield _said("small integers", **{"i%d" % n: v for n, v in enumerate(
        (0, 1, 23, 127, 128, 255, 256, 32767, 32768, 65535, 65536))})
    yield _said("small negative integers", **{"i%d" % n: v for n, v in enumerate(
        (-1, -31, -32, -33, -127, -128, -129, -32768, -32769))})
    yield _said("32 bits", **{"i%d" % n: v for n, v in enumerate(
        (2**31 - 1, 2**31, 2**32 - 1, -2**31, 1234567890))})
    yield _said("beyond 32 bits", **{"i%d" % n: v for n, v in enumerate(
        (2**32, 2**40 + 1, 2**53 - 1, -2**31 - 1, -2**53 + 1, 1705314645123))})
    yield _said("64 bits", **{"i%d" % n: v for n, v in enumerate(
        (2**53 + 1, 2**63 - 1, -2**63, -2**53 - 1))})
    yield _said("above int64", u0=2**63, u1=2**64 - 1)
    yield _said("floats", **{"f%d" % n: v for n, v in enumerate(
        (0.5, -1.25, 3.141592653589793, 1e-300, 1.7976931348623157e308, 5e-324, 0.1))})
    yield _said("whole floats", one=1.0, big=1e15, bigger=1e20, biggest=1e25)
    yield _said("not numbers", nan=math.nan, inf=math.inf, minus=-math.inf)
    yield _said("bytes", raw=b"\x00\x01\xfe\xff", none=b"", list=[b"\x80"], gzip=b"\x1f\x8b\x08")
    yield _said("70,000 bytes", blob=bytes(range(256)) * 274)
    yield _said("a date", when=Date(1600000000000), then=[Date(1600000000123)])
    yield _said(("300,000 bytes of message, " * 12000)[:300000])
    yield _said("a long key", **{"k" * 70000: "short"})
    yield _said("a long value", value="ü" * 40000)
    yield _said("many fields", **{"field_%03d" % n: n for n in range(300)})
    yield _said("a long list", list=list(range(3000)))
    yield _said("odd names", **{"with blank": 1, "with.dot": 2, "with/slash": 3, "UPPER": 4,
                                "dash-ed": 5, "$dollar": 6, "quo\"te": 7, "new\nline": 8})
    yield _said("names that mean something elsewhere", tag="t", chunk="c", size=1, option={},
                compressed="gzip", ack="a", resource={"x": 1}, attributes={"y": 2})
    for word, number in (("trace", 1), ("debug", 5), ("info", 9), ("WARN", 13), ("Error", 17),
                         ("fatal", 21)):
        yield Record({"level": word, "message": "level " + word}, "level message",
                     body="level " + word, severity=(number, word.upper()))
    yield Record({"severity": "warning", "log": "tailed line"}, "severity log",
                 body="tailed line", severity=(13, "WARNING"))
    yield Record({"level": 30, "time": 1705314645123, "msg": "of Pino", "pid": 7},
                 "time msg pid", body="of Pino", severity=(9, "INFO"), time=RFC_NS,
                 added={"process.pid": 7})
    yield Record({"level": "louder", "message": "no such level"}, "message", body="no such level")
    yield Record({"timestamp": RFC, "message": "its own time"}, "timestamp message",
                 body="its own time", time=RFC_NS)
    yield Record({"@timestamp": "2024-01-15T12:30:45.123456789+02:00", "message": "an offset"},
                 "message", body="an offset", time=RFC_NS + 456789)
    yield Record({"timestamp": "yesterday", "message": "no time"}, "message", body="no time")
    yield Record({"timestamp": RFC, "level": "info", "message": "Job processing started",
                  "trace_id": "abc123def456", "job_id": "job-789",
                  "machine_id": "comfyui-prod-1", "worker_id": "comfyui-prod-1-worker-0",
                  "source": "worker.comfyui", "component": "job-executor"},
                 "timestamp level message", body="Job processing started", severity=(9, "INFO"),
                 time=RFC_NS, trace_id="00000000000000000000abc123def456",
                 resource={"host.name": "comfyui-prod-1"})
    yield Record({"message": "traced", "trace_id": "0af7651916cd43dd8448eb211c80319c",
                  "span_id": "b7ad6b7169203331"}, "message", body="traced",
                 trace_id="0af7651916cd43dd8448eb211c80319c", span_id="b7ad6b7169203331")
    yield Record({"message": "not traced", "trace_id": "not hexadecimal"}, "message",
                 body="not traced")
    yield Record({"message": json.dumps({"level": "warn", "msg": "from inside", "n": 7,
                                         "user": {"id": "u-1", "ratio": 0.5}})}, "message",
                 body="from inside", severity=(13, "WARN"),
                 added={"n": 7, "user": {"id": "u-1", "ratio": 0.5}})
    # Docker's fluentd driver, which is the Go logger; Bunyan; Python's JSON loggers; W3C; logfmt.
    yield Record({"container_id": "ab" * 32, "container_name": "/web-1", "source": "stdout",
                  "log": "GET / 200"}, "container_id container_name source log", body="GET / 200",
                 added={"log.iostream": "stdout"},
                 resource={"container.id": "ab" * 32, "container.name": "web-1"})
    yield Record({"container_id": "cd" * 32, "container_name": "/web-2", "source": "stderr",
                  "log": '{"level":"warn","msg":"inner","n":1}', "partial_message": "true",
                  "partial_id": "c" * 64, "partial_ordinal": "1", "partial_last": "false"},
                 "container_id container_name source log", body="inner", severity=(13, "WARN"),
                 added={"log.iostream": "stderr", "n": 1},
                 resource={"container.id": "cd" * 32, "container.name": "web-2"})
    yield Record({"name": "app", "hostname": "h1", "pid": 1, "level": 50, "msg": "of Bunyan",
                  "time": RFC, "v": 0, "err": {"type": "TypeError", "message": "no",
                                               "stack": "TypeError: no\n  at x"}},
                 "hostname pid msg time err", body="of Bunyan", severity=(17, "ERROR"),
                 time=RFC_NS, resource={"host.name": "h1"}, added={
                     "process.pid": 1, "exception.type": "TypeError", "exception.message": "no",
                     "exception.stacktrace": "TypeError: no\n  at x"})
    yield Record({"asctime": "2024-01-02 03:04:05,678", "levelname": "WARNING", "name": "mod",
                  "message": "of Python", "exc_info": "Traceback ...", "otelTraceID": "0",
                  "otelSpanID": "0"}, "levelname message exc_info", body="of Python",
                 severity=(13, "WARNING"), added={"exception.stacktrace": "Traceback ..."})
    yield Record({"message": "of W3C", "request_id": "0af7651916cd43dd8448eb211c80319c",
                  "traceparent": "00-0af7651916cd43dd8448eb211c80319d-b7ad6b7169203331-01"},
                 "message", body="of W3C", trace_id="0af7651916cd43dd8448eb211c80319d",
                 span_id="b7ad6b7169203331", flags=1)
    yield Record({"message": 'level=warn msg="from logfmt" n=7'}, "message",
                 body="from logfmt", severity=(13, "WARN"), added={"n": "7"})
    yield _said("JSON in an attribute stays text", payload='{"a": [1, 2, {"b": null}]}')
    yield _said('{"cut off": [1, 2')
    yield Record({"message": STACK, "level": "error"}, "message level", body=STACK,
                 severity=(17, "ERROR"))
    yield Record({"log": "ends with a newline\n", "stream": "stderr"}, "log stream",
                 body="ends with a newline", added={"log.iostream": "stderr"})
    yield Record({"message": {"text": "a map", "n": 1}}, "message", body={"text": "a map", "n": 1})
    yield Record({"message": ["a", 1, None]}, "message", body=["a", 1, None])
    yield Record({"message": 12345}, "message", body=12345)
    yield Record({"message": "two bodies", "msg": "the other"}, "message", body="two bodies")
    yield _said("spaces  kept   as they are ")
    yield _said("100% of it & <b>HTML</b> \u2028 separators \\ \" /")


RECORDS = list(_records())


# ---- what a client can say ------------------------------------------------------------------

class Cannot(Exception):
    """The client has no way to say this value."""


def timestamp_ext(ms):
    """MessagePack's own timestamp."""
    seconds, rest = divmod(ms, 1000)
    if rest:
        return {"type": -1, "data": struct.pack(">Q", rest * 1000000 << 34 | seconds)}
    return {"type": -1, "data": struct.pack(">I", seconds)}


class Profile:
    """How a client's values come out. This one is Python's: everything can be said."""

    def value(self, v):
        if isinstance(v, Date):
            return self.date(int(v))
        if isinstance(v, dict):
            return {k: self.value(x) for k, x in v.items()}
        if isinstance(v, list):
            return [self.value(x) for x in v]
        if type(v) is int:
            return self.integer(v)
        if isinstance(v, float):
            return self.float(v)
        if isinstance(v, bytes):
            return self.bytes(v)
        return v

    def date(self, ms):
        return timestamp_ext(ms)

    def integer(self, v):
        """What is above int64 becomes text."""
        return v if v < 1 << 63 else str(v)

    def float(self, v):
        return v

    def bytes(self, v):
        return v


class JavaScript(Profile):
    """One kind of number; what is whole goes out as an integer."""

    def integer(self, v):
        if not -2**53 < v < 2**53:
            raise Cannot("no safe integer")
        return v

    def float(self, v):
        return int(v) if v.is_integer() and abs(v) < 2**53 else v


class MsgpackLite(JavaScript):
    """Integers beyond 32 bits are floats, but of its own types for them; no dates."""

    def integer(self, v):
        if -2**31 <= v < 2**32:
            return v
        return Profile.integer(self, v) if not -2**53 < v < 2**53 else float(v)

    def float(self, v):
        return int(v) if v.is_integer() and -2**31 <= v < 2**32 else v

    def date(self, ms):
        return {}


class Go(Profile):
    def date(self, ms):
        """Its encoder's own extension: seconds, nanoseconds."""
        return {"type": 5, "data": struct.pack(">qI", ms // 1000, ms % 1000 * 1000000)}


class GoJson(Profile):
    """encoding/json: floats without a fraction have none in the text either, bytes are base64."""

    def date(self, ms):
        moment = datetime.datetime.fromtimestamp(ms // 1000, datetime.timezone.utc)
        fraction = ".%03d" % (ms % 1000) if ms % 1000 else ""
        return moment.strftime("%Y-%m-%dT%H:%M:%S") + fraction + "Z"

    def float(self, v):
        if not math.isfinite(v):
            raise Cannot("no such JSON")
        return self.integer(int(v)) if v.is_integer() and abs(v) < 1e21 else v

    def bytes(self, v):
        return base64.b64encode(v).decode()


def _typed(v):
    if isinstance(v, Date):
        return {"d": int(v)}
    if isinstance(v, dict):
        return {"m": [[k, _typed(x)] for k, x in v.items()]}
    if isinstance(v, list):
        return {"a": [_typed(x) for x in v]}
    if v is None:
        return {"n": 0}
    if isinstance(v, bool):
        return {"b": v}
    if isinstance(v, int):
        return {"i": str(v)}
    if isinstance(v, float):
        return {"f": repr(v)}
    if isinstance(v, bytes):
        return {"x": base64.b64encode(v).decode()}
    return {"s": v}


def sayable(profile):
    """The numbers of the records that the client can send."""
    out = []
    for number, record in enumerate(RECORDS):
        try:
            profile.value(record.fields)
            out.append(number)
        except Cannot:
            pass
    return out


def write(path, profile):
    """The file for the client: [[number, fields], ...]. Returns the numbers."""
    numbers = sayable(profile)
    with open(path, "w") as f:
        json.dump([[n, _typed(RECORDS[n].fields)] for n in numbers], f)
    return numbers


# ---- what comes out -------------------------------------------------------------------------

def _differences(got, want, where):
    """The first difference, told so that a 300 KB text does not fill the screen."""
    if isinstance(got, dict) and isinstance(want, dict):
        for key in list(want) + [k for k in got if k not in want]:
            name = "%s.%s" % (where, key[:80])
            if key not in got:
                return "%s is missing" % name
            if key not in want:
                return "%s should not be there: %.200r" % (name, got[key])
            if not same(got[key], want[key]):
                return _differences(got[key], want[key], name)
    return "%s: got %.200r, want %.200r" % (where, got, want)


def expected(run, number, profile):
    """What must come out of record `number`, but for its times and where it came from."""
    record = RECORDS[number]
    attributes = {k: profile.value(v) for k, v in record.fields.items() if k not in record.moved}
    attributes.update(run=run, number=number, **record.added)
    body = profile.value(record.body) if record.moved else dict(attributes)
    return {"attributes": attributes, "body": body,
            "severity": record.severity[0], "text": record.severity[1],
            "trace_id": record.trace_id, "span_id": record.span_id, "flags": record.flags,
            "dropped": 0, "event_name": "", "resource": record.resource}


def check(got, run, number, profile, time):
    """One record that came out, decoded, against record `number` as `run` sent it with the event
    time `time`: (lowest, highest) in ns."""
    record = RECORDS[number]
    name = "%s, record %d" % (run, number)
    for what, want in expected(run, number, profile).items():
        assert same(got[what], want), "%s: %s" % (name, _differences(got[what], want, what))
    low, high = (record.time, record.time) if record.time else time
    assert low <= got["time"] <= high, "%s: time %d, not in %d to %d" % (
        name, got["time"], low, high)
    assert got["observed"] > 1700000000 * 10**9, "%s: observed %d" % (name, got["observed"])
