"""The transcoder against Google's protobuf: what its JSON says is what the schema's descriptors say
of the same bytes, field by field, with nothing more and nothing less."""
import base64
import json
import math
import os
import random
import struct
import subprocess

from harness import equal
from otlp_decode import same

MARK = "\ue123\ue124"                   # becomes bytes that are no UTF-8
BAD_UTF8 = [b"\xff\xfe\x80\x80\xc0\xaf", b"\xed\xa0\x80\xe2\x82\x61", b"\xf0\x9f\x98\xf5\x80\xc3"]
# Members that are there even where they are empty.
ALWAYS = ("resourceLogs", "scopeLogs", "logRecords", "values", "key")
TEXTS = ["", "a", "ä€😀", "quote\" back\\slash / \b\f\n\r\t\x00\x1f\x7f", "\u2028\u2029", "x" * 300,
         MARK, "before " + MARK + " behind"]
DOUBLES = [0.0, -0.0, 0.1, 1 / 3, 1e300, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308,
           123456789.125, -1e-7, 1e21, 2.0 ** 53 + 2, math.nan, math.inf, -math.inf]
INTS = [0, 1, -1, (1 << 63) - 1, -1 << 63, 1 << 53, -(1 << 53) - 1, 300]


# ---- what the specification says of a message ------------------------------------------------

def scalar(field, value):
    """OTLP's JSON mapping: proto3's, but for ids in hex and enums as numbers."""
    if field.type in (field.TYPE_INT64, field.TYPE_FIXED64):
        return str(value)
    if field.type == field.TYPE_BYTES:
        if field.name in ("trace_id", "span_id"):
            return value.hex()
        return base64.b64encode(value).decode()
    if field.type == field.TYPE_DOUBLE:
        if math.isnan(value):
            return "NaN"
        return {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, value)
    return value


def expected(message):
    out = {}
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        if field.label == field.LABEL_REPEATED:
            if value or field.json_name in ALWAYS:
                out[field.json_name] = [expected(v) for v in value]
        elif field.type == field.TYPE_MESSAGE:
            if message.HasField(field.name):
                out[field.json_name] = expected(value)
        elif field.json_name in ALWAYS or (
                message.HasField(field.name) if field.containing_oneof else value):
            out[field.json_name] = scalar(field, value)
    return out


# ---- random requests ---------------------------------------------------------------------------

def fill_value(rng, value, depth):
    kind = rng.randrange(9 if depth < 4 else 6)
    if kind == 0:
        value.SetInParent()
    elif kind == 1:
        value.string_value = rng.choice(TEXTS)
    elif kind == 2:
        value.bool_value = rng.random() < 0.5
    elif kind == 3:
        value.int_value = rng.choice(INTS)
    elif kind == 4:
        value.double_value = rng.choice(DOUBLES)
        if rng.random() < 0.3:
            value.double_value, = struct.unpack("<d", rng.getrandbits(64).to_bytes(8, "little"))
    elif kind == 5:
        value.bytes_value = rng.randbytes(rng.randrange(6))
    elif kind == 6:
        value.array_value.SetInParent()
        for _ in range(rng.randrange(4)):
            fill_value(rng, value.array_value.values.add(), depth + 1)
    else:
        value.kvlist_value.SetInParent()
        fill_pairs(rng, value.kvlist_value.values, depth + 1)


def fill_pairs(rng, pairs, depth=0):
    for _ in range(rng.randrange(5)):
        pair = pairs.add(key=rng.choice(TEXTS + ["key", "trace_id"]))
        if rng.random() < 0.9:
            fill_value(rng, pair.value, depth)


def unknown(rng, message):
    """Fields that the schema does not have: kept by the library, and nowhere in the JSON."""
    if rng.random() < 0.2:
        message.MergeFromString(rng.choice((b"\xf8\x07\x05", b"\xfa\x07\x03abc", b"\xfd\x07wxyz",
                                            b"\xf9\x0712345678")))


def random_request(rng, schema):
    request = schema.ExportLogsServiceRequest()
    for _ in range(rng.randrange(1, 3)):
        resource_logs = request.resource_logs.add(schema_url=rng.choice(TEXTS))
        if rng.random() < 0.8:
            resource_logs.resource.SetInParent()
            fill_pairs(rng, resource_logs.resource.attributes)
            resource_logs.resource.dropped_attributes_count = rng.choice((0, 7, (1 << 32) - 1))
            unknown(rng, resource_logs.resource)
        for _ in range(rng.randrange(3)):
            scope_logs = resource_logs.scope_logs.add(schema_url=rng.choice(TEXTS))
            if rng.random() < 0.7:
                scope_logs.scope.SetInParent()
                scope_logs.scope.name = rng.choice(TEXTS)
                scope_logs.scope.version = rng.choice(TEXTS)
                fill_pairs(rng, scope_logs.scope.attributes)
                unknown(rng, scope_logs.scope)
            for _ in range(rng.randrange(4)):
                record = scope_logs.log_records.add()
                record.time_unix_nano = rng.choice((0, 1700000000123456789, (1 << 64) - 1))
                record.observed_time_unix_nano = rng.choice((0, 1, 1 << 63))
                record.severity_number = rng.choice((0, 9, 24, 99, -1, (1 << 31) - 1))
                record.severity_text = rng.choice(TEXTS)
                if rng.random() < 0.8:
                    fill_value(rng, record.body, 0)
                fill_pairs(rng, record.attributes)
                record.dropped_attributes_count = rng.choice((0, 1, (1 << 32) - 1))
                record.flags = rng.choice((0, 1, (1 << 32) - 1))
                record.trace_id = rng.choice((b"", rng.randbytes(16), b"\x01\x02"))
                record.span_id = rng.choice((b"", rng.randbytes(8)))
                record.event_name = rng.choice(TEXTS)
                unknown(rng, record)
            unknown(rng, scope_logs)
        unknown(rng, resource_logs)
    return request


def replaced(value, bad):
    """What becomes of the marks, all the way down."""
    if isinstance(value, str):
        return value.replace(MARK, bad.decode("utf-8", "replace"))
    if isinstance(value, list):
        return [replaced(v, bad) for v in value]
    if isinstance(value, dict):
        return {k: replaced(v, bad) for k, v in value.items()}
    return value


def exact(text):
    """JSON as it stands: no key twice, no bare NaN, numbers with their types."""
    def pairs(items):
        out = dict(items)
        assert len(out) == len(items), "a member twice: %s" % items
        return out

    def constant(word):
        raise AssertionError("%s is no JSON" % word)
    return json.loads(text, object_pairs_hook=pairs, parse_constant=constant)


def numbers_alike(value):
    """A double may be written as 1, 1.0 or 1e0; a -0 stays one."""
    if isinstance(value, list):
        return [numbers_alike(v) for v in value]
    if isinstance(value, dict):
        return {k: struct.pack("<d", v) if k == "doubleValue" and not isinstance(v, str) else
                numbers_alike(v) for k, v in value.items()}
    return value


def difference(got, want, path="$"):
    """Where two values part, in words; None: they are the same."""
    if same(got, want):
        return None
    if isinstance(got, dict) and isinstance(want, dict) and got.keys() == want.keys():
        return next(filter(None, (difference(got[k], want[k], path + "." + k) for k in got)))
    if isinstance(got, list) and isinstance(want, list) and len(got) == len(want):
        return next(filter(None, (difference(g, w, "%s[%d]" % (path, i))
                                  for i, (g, w) in enumerate(zip(got, want)))))
    return "%s: %.300r, want %.300r" % (path, got, want)


def check(line, want):
    where = difference(numbers_alike(exact(line)), numbers_alike(want))
    assert where is None, where


def transcode(ctx, requests, *args):
    program = os.path.join(ctx.build, "tests", "unit", "otlp", "transcode-lines")
    data = b"".join(struct.pack(">I", len(r)) + r for r in requests)
    done = subprocess.run([program, *args], input=data, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=50)
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")[-2000:]
    lines = done.stdout.split(b"\n")
    equal(lines.pop(), b"", "the end")
    equal(len(lines), len(requests), "lines")
    return [line.decode("utf-8") for line in lines]


def test_random_requests(ctx):
    rng = random.Random(11)
    requests, wanted = [], []
    for _ in range(1500):
        message = random_request(rng, ctx.schema)
        bad = rng.choice(BAD_UTF8)
        data = message.SerializeToString()
        requests.append(data.replace(MARK.encode(), bad))
        wanted.append(replaced(expected(message), bad))
    for line, want, data in zip(transcode(ctx, requests), wanted, requests):
        assert not line.startswith("!"), (line, data.hex())
        check(line, want)


def test_joined_requests(ctx):
    """Concatenated requests are one; a message that comes twice in a oneof: the last one counts."""
    rng = random.Random(12)
    parts = [random_request(rng, ctx.schema) for _ in range(20)]
    joined = b"".join(p.SerializeToString() for p in parts)
    line, = transcode(ctx, [joined])
    want = expected(ctx.schema.ExportLogsServiceRequest.FromString(joined))
    check(line, want)


def test_verbatim_trace_ids(ctx):
    """traceId is the attribute's text, where that is a string; else the id's hex."""
    request = ctx.schema.ExportLogsServiceRequest()
    records = request.resource_logs.add().scope_logs.add().log_records
    for value in ("abc123def456", 5, None, ""):
        record = records.add(trace_id=bytes(15) + b"\x07")
        if value is not None:
            pair = record.attributes.add(key="trace_id")
            if isinstance(value, str):
                pair.value.string_value = value
            else:
                pair.value.int_value = value
    data = request.SerializeToString()
    for args, first in ((("verbatim",), "abc123def456"), ((), "0" * 31 + "7")):
        line, = transcode(ctx, [data], *args)
        got = [r["traceId"] for r in exact(line)["resourceLogs"][0]["scopeLogs"][0]["logRecords"]]
        equal(got, [first] + ["0" * 31 + "7"] * 3, "trace ids")
