"""The model of the conversion complains about what is lost or wrong, and about nothing else."""
import copy

import otlp_expect
import streams

from harness import cases, equal

WINDOW = (1800000000 * 10 ** 9, 1800000100 * 10 ** 9)
EVENT = {
    "tag": "app.jobs", "time": [1705314645, 0], "metadata": {"stream": "out"},
    "record": {
        "timestamp": "2024-01-15T10:30:45.123Z", "level": "info", "message": "two words\n",
        "trace_id": "abc123def456", "job_id": "job-789", "n": -1, "big": 1 << 63, "f": -0.0,
        "nan": float("nan"), "yes": True, "none": None, "raw": b"\xff\x00", "bad": b"a\xff\xfez",
        "when": streams.Ext(-1, b"\0\1"), "deep": {"a": [1, {"b": "leaf"}], "empty": {}},
        "hostname": "box-7", "container_name": "/web"}}
RECORD = {
    "time": 1705314645123000000, "observed": WINDOW[0] + 5, "severity": 9, "text": "INFO",
    "body": "two words", "trace_id": "00000000000000000000abc123def456", "span_id": "", "flags": 0,
    "dropped": 0, "event_name": "",
    "attributes": {
        "trace_id": "abc123def456", "job_id": "job-789", "n": -1, "big": "9223372036854775808",
        "f": -0.0, "nan": float("nan"), "yes": True, "none": None, "raw": b"\xff\x00",
        "bad": "a\ufffdz", "when": {"type": -1, "data": b"\0\1"},
        "deep": {"a": [1, {"b": "leaf"}], "empty": {}}, "stream": "out"},
    "resource": {"service.name": "svc", "host.name": "box-7", "container.name": "web"},
    "scope": {"name": "sluice", "version": "1", "attributes": {"fluent.tag": "app.jobs"}}}


def test_good(ctx):
    equal(otlp_expect.check(EVENT, RECORD, WINDOW), [], "complaints")


def attribute(key, value):
    return lambda record: record["attributes"].__setitem__(key, value)


def without(part, key):
    return lambda record: record[part].pop(key)


WRONG = {
    "tag": lambda r: r["scope"]["attributes"].__setitem__("fluent.tag", "app"),
    "time": lambda r: r.__setitem__("time", 1705314645000000000),
    "observed": lambda r: r.__setitem__("observed", 0),
    "severity": lambda r: r.__setitem__("severity", 13),
    "severity_text": lambda r: r.__setitem__("text", ""),
    "body": lambda r: r.__setitem__("body", "two"),
    "trace_id": lambda r: r.__setitem__("trace_id", ""),
    "trace_attribute": without("attributes", "trace_id"),
    "lost": without("attributes", "yes"),
    "lost_null": without("attributes", "none"),
    "renamed": lambda r: r["attributes"].__setitem__("m", r["attributes"].pop("n")),
    "int_as_text": attribute("n", "-1"),
    "int_as_double": attribute("n", -1.0),
    "bool_as_int": attribute("yes", 1),
    "big_as_int": attribute("big", -1 << 63),
    "zero_sign": attribute("f", 0.0),
    "nan": attribute("nan", 0.0),
    "bytes": attribute("raw", b"\xff"),
    "bad_text": attribute("bad", "az"),
    "ext": attribute("when", {"type": -1, "data": b""}),
    "leaf": attribute("deep", {"a": [1, {"b": "lea"}], "empty": {}}),
    "order": attribute("deep", {"a": [{"b": "leaf"}, 1], "empty": {}}),
    "hostname": without("resource", "host.name"),
    "metadata": without("attributes", "stream"),
}


@cases(*WRONG)
def test_wrong(ctx, case):
    record = copy.deepcopy(RECORD)
    WRONG[case](record)
    assert otlp_expect.check(EVENT, record, WINDOW), "no complaint"


def event(record, **kw):
    return dict({"tag": "app.jobs", "time": [1705314645, 0], "record": record}, **kw)


def out(**kw):
    return dict(RECORD, **dict({"severity": 0, "text": "", "trace_id": "", "attributes": {},
                                "time": 1705314645000000000, "body": None}, **kw))


TEXT = 'ts=2024-01-15T10:30:45.123Z level=warn msg="two words" job_id=j-1 n=5'
APART = dict(time=RECORD["time"], severity=13, text="WARN", body="two words")
TEXTS = {
    "kept": (out(body=TEXT), True),
    "apart": (out(attributes={"job_id": "j-1", "n": 5}, **APART), True),
    "word_lost": (out(attributes={"job_id": "j-1"}, body="two", time=RECORD["time"]), False),
    "body_invented": (out(attributes={"job_id": "j-1", "n": 55},
                          **dict(APART, body="three words")), False),
    "other_time": (out(attributes={"job_id": "j-1", "n": 55}, **dict(APART, time=1)), False),
}


@cases(*TEXTS)
def test_text(ctx, case):
    """A text body may be kept or taken apart, not lost."""
    record, good = TEXTS[case]
    said = otlp_expect.check(event({"message": TEXT}), record, WINDOW)
    assert (not said) == good, said


TIMES = {
    "event": ([5, 7], None, {}, 5000000007, True),
    "event_wrong": ([5, 7], None, {}, 5000000008, False),
    "negative": ([-5, 0], "negative int", {}, WINDOW[0] + 1, True),
    "negative_wrong": ([-5, 0], "negative int", {}, 5 * 10 ** 9, False),
    "milliseconds": ([1705314645123, 0], "float", {}, 1705314645123000000, True),
    "milliseconds_wrong": ([1705314645123, 0], "float", {}, 1705314645, False),
    "nanoseconds": ([5, 1 << 31], None, {}, WINDOW[0] + 1, True),
    "offset": ([5, 0], None, {"time": "1970-01-01T01:00:09.5+01:00"}, 9500000000, True),
    "offset_wrong": ([5, 0], None, {"time": "1970-01-01T01:00:09.5+01:00"}, 5000000000, False),
    "number": ([5, 0], None, {"ts": 1705314645.5}, 1705314645500000000, True),
    "unreadable": ([5, 0], None, {"time": "yesterday"}, 5000000000, True),
}


@cases(*TIMES)
def test_time(ctx, case):
    time, form, fields, got, good = TIMES[case]
    said = otlp_expect.check(event(fields, time=time, time_form=form),
                             out(time=got, attributes=fields), WINDOW)
    assert (not said) == good, said


def test_group(ctx):
    """The marker is no log; its resource and scope are on the entries between."""
    start = {"resource": {"attributes": {"host.name": "h"}}, "scope": {"name": "q"}}
    events = otlp_expect.logs([event(start, group="start"), event({"n": 1}),
                               event({}, group="end"), event({"n": 2})])
    equal(len(events), 2, "logs")
    inside = out(attributes={"n": 1}, resource={"host.name": "h"},
                 scope=dict(RECORD["scope"], name="q"))
    outside = out(attributes={"n": 2})
    equal(otlp_expect.compare(events, [inside, outside], WINDOW), [], "complaints")
    assert otlp_expect.compare(events, [dict(inside, resource={}), outside], WINDOW)
    assert otlp_expect.compare(events, [inside], WINDOW), "one is missing"
    assert otlp_expect.compare(events, [inside, outside, outside], WINDOW), "one too many"


def test_streams(ctx):
    """The data is whole: digests, messages, events and acks are those of the index."""
    for stream in streams.all():
        equal(len(stream.data), stream.row["bytes"], "%s: bytes" % stream)
        logs = [e for e in stream.events]
        equal(len(logs), stream.row["events"], "%s: events" % stream)
        messages = stream.row["messages"] if stream.data else 0
        assert len(stream.borders) in (messages, messages + 1), stream
    assert len(streams.all()) == 131 and len(streams.malformed()) == 40
    for stream in streams.malformed():
        must = [e for e in stream.events if not e.get("may")]
        equal((len(must), len(stream.events)),
              (stream.row["must"], stream.row["must"] + stream.row["may"]), "%s: events" % stream)
        assert stream.data
