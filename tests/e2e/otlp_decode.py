"""Strict reading of OTLP logs, protobuf and JSON, into plain Python values.

The protobuf side is Google's library over the schema in proto/, compiled by protoc when the tests
run. It shares nothing with Sluice's writer. What real servers refuse is refused here, and what they
silently drop (unknown fields) is refused too.

A record comes out as a dict:

    time, observed      int, nanoseconds
    severity, text      int, str
    body                a value (see below)
    attributes          dict: key -> value
    trace_id, span_id   hex text, "" if absent
    flags, dropped      int
    event_name          str
    resource            dict: key -> value
    scope               {"name", "version", "attributes"}

Values keep their OTLP type: str, bool, int, float, list, dict, bytes, and None for an empty
AnyValue. Compare with `same()`, which does not take 1 for True nor 1 for 1.0.
"""
import ctypes
import fcntl
import json
import os
import re
import subprocess
import sys
import warnings
import zlib

from base64 import b64decode

HERE = os.path.dirname(os.path.abspath(__file__))

# A group-end tag at the top level (a trailing zero byte is one) ends the parse with a warning only.
warnings.filterwarnings("error", message=".*[Nn]ot all data was converted.*")


class Refused(Exception):
    """The bytes are not what a strict OTLP server takes."""


def build_schema(build_dir):
    """Compiles the schema into `build_dir` once; returns the module."""
    out = os.path.join(build_dir, "tests", "e2e", "proto")
    os.makedirs(out, exist_ok=True)
    source = os.path.join(HERE, "proto", "otlp_logs.proto")
    target = os.path.join(out, "otlp_logs_pb2.py")
    with open(os.path.join(out, ".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(target) or os.path.getmtime(target) < os.path.getmtime(source):
            subprocess.run(["protoc", "-I", os.path.dirname(source), "--python_out", out, source],
                           check=True, timeout=60)
    if out not in sys.path:
        sys.path.insert(0, out)
    import otlp_logs_pb2
    return otlp_logs_pb2


def gunzip_one(data):
    """Exactly one gzip member, and nothing behind it."""
    inflate = zlib.decompressobj(wbits=31)
    try:
        plain = inflate.decompress(data) + inflate.flush()
    except zlib.error as e:
        raise Refused("bad gzip: %s" % e)
    if not inflate.eof:
        raise Refused("gzip ends early")
    if inflate.unused_data:
        second = inflate.unused_data[:2] == b"\x1f\x8b"
        what = "a second gzip member" if second else "trailing bytes"
        raise Refused("%s after the gzip member (%d bytes)" % (what, len(inflate.unused_data)))
    return plain


def unzstd(data):
    """One zstd frame or several, and nothing else."""
    lib = ctypes.CDLL("libzstd.so.1")
    lib.ZSTD_decompress.restype = ctypes.c_size_t
    lib.ZSTD_decompress.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p,
                                    ctypes.c_size_t]
    lib.ZSTD_getErrorName.restype = ctypes.c_char_p
    lib.ZSTD_getErrorName.argtypes = lib.ZSTD_isError.argtypes = [ctypes.c_size_t]
    size = 64 * len(data) + 1024
    while True:
        plain = ctypes.create_string_buffer(size)
        n = lib.ZSTD_decompress(plain, size, data, len(data))
        if not lib.ZSTD_isError(n):
            return plain.raw[:n]
        name = lib.ZSTD_getErrorName(n).decode()
        if "too small" not in name or size > 1 << 28:
            raise Refused("bad zstd: %s" % name)
        size *= 4


def same(a, b):
    """Equality that also compares types, all the way down."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b))
    if isinstance(a, float) and a != a:
        return b != b
    return a == b


# ---- protobuf -------------------------------------------------------------------------------

def _pb_value(any_value):
    kind = any_value.WhichOneof("value")
    if kind is None:
        return None
    value = getattr(any_value, kind)
    if kind == "array_value":
        return [_pb_value(v) for v in value.values]
    if kind == "kvlist_value":
        return _pb_pairs(value.values, "a kvlist")
    return value


def _pb_pairs(pairs, where):
    out = {}
    for pair in pairs:
        key = pair.key
        if not key:
            raise Refused("empty key in %s" % where)
        if key in out:
            raise Refused("key %r twice in %s" % (key, where))
        out[key] = _pb_value(pair.value)
    return out


def check_ids(trace_id, span_id):
    """Both as bytes."""
    if trace_id and (len(trace_id) != 16 or not any(trace_id)):
        raise Refused("trace_id of %d bytes: %s" % (len(trace_id), trace_id.hex()))
    if span_id and (len(span_id) != 8 or not any(span_id)):
        raise Refused("span_id of %d bytes: %s" % (len(span_id), span_id.hex()))


def decode_request(schema, body):
    """One ExportLogsServiceRequest. Returns (records, minimal): `minimal` is false where the bytes
    are longer than the encoding of what they mean (padded lengths, a singular field sent twice)."""
    request = schema.ExportLogsServiceRequest()
    try:
        request.ParseFromString(body)
    except (RuntimeWarning, SystemError):
        raise Refused("trailing bytes: a group's end tag at the top level")
    except Exception as e:
        raise Refused("protobuf: %s" % e)
    size = request.ByteSize()
    request.DiscardUnknownFields()
    if request.ByteSize() != size:
        raise Refused("unknown fields of %d bytes" % (size - request.ByteSize()))
    if not request.resource_logs:
        raise Refused("empty request")
    records = []
    for resource_logs in request.resource_logs:
        resource = _pb_pairs(resource_logs.resource.attributes, "the resource")
        if not resource_logs.scope_logs:
            raise Refused("resource_logs without scope_logs")
        for scope_logs in resource_logs.scope_logs:
            scope = {
                "name": scope_logs.scope.name,
                "version": scope_logs.scope.version,
                "attributes": _pb_pairs(scope_logs.scope.attributes, "the scope"),
            }
            if not scope_logs.log_records:
                raise Refused("scope_logs without log_records")
            for record in scope_logs.log_records:
                records.append(_pb_record(record, resource, scope))
    return records, size == len(body)


def _pb_record(record, resource, scope):
    check_ids(record.trace_id, record.span_id)
    if not 0 <= record.severity_number <= 24:
        raise Refused("severity_number %d" % record.severity_number)
    return {
        "time": record.time_unix_nano,
        "observed": record.observed_time_unix_nano,
        "severity": record.severity_number,
        "text": record.severity_text,
        "body": _pb_value(record.body),
        "attributes": _pb_pairs(record.attributes, "a record"),
        "trace_id": record.trace_id.hex(),
        "span_id": record.span_id.hex(),
        "flags": record.flags,
        "dropped": record.dropped_attributes_count,
        "event_name": record.event_name,
        "resource": resource,
        "scope": scope,
    }


# ---- JSON -----------------------------------------------------------------------------------

DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)\Z")


def _json_object(value, keys, where):
    if not isinstance(value, dict):
        raise Refused("%s is no object" % where)
    unknown = set(value) - set(keys)
    if unknown:
        raise Refused("unknown keys %s in %s" % (sorted(unknown), where))
    return value


def _json_list(value, where):
    if not isinstance(value, list):
        raise Refused("%s is no array" % where)
    return value


def _json_str(value, where):
    if not isinstance(value, str):
        raise Refused("%s is no string: %r" % (where, value))
    return value


def _json_i64(value, low, high, where):
    """64-bit integers are decimal strings in OTLP/JSON."""
    if not isinstance(value, str) or not DECIMAL.match(value) or not low <= int(value) <= high:
        raise Refused("%s is no decimal string in range: %r" % (where, value))
    return int(value)


def _json_u32(value, where):
    if type(value) is not int or not 0 <= value < 1 << 32:
        raise Refused("%s is no 32-bit number: %r" % (where, value))
    return value


def _json_hex(value, where):
    if not isinstance(value, str) or not re.match(r"([0-9a-fA-F]{2})*\Z", value):
        raise Refused("%s is no hex text: %r" % (where, value))
    return bytes.fromhex(value)


def _json_double(value):
    if value in ("NaN", "Infinity", "-Infinity"):
        return float(value.replace("Infinity", "inf"))
    if type(value) not in (int, float):
        raise Refused("doubleValue %r" % (value,))
    return float(value)


def _json_value(value):
    _json_object(value, ("stringValue", "boolValue", "intValue", "doubleValue", "arrayValue",
                         "kvlistValue", "bytesValue"), "an AnyValue")
    if not value:
        return None
    if len(value) != 1:
        raise Refused("an AnyValue with %s" % sorted(value))
    (kind, inner), = value.items()
    if kind == "stringValue":
        return _json_str(inner, kind)
    if kind == "boolValue":
        if not isinstance(inner, bool):
            raise Refused("boolValue %r" % (inner,))
        return inner
    if kind == "intValue":
        return _json_i64(inner, -1 << 63, (1 << 63) - 1, kind)
    if kind == "doubleValue":
        return _json_double(inner)
    if kind == "bytesValue":
        try:
            return b64decode(_json_str(inner, kind), validate=True)
        except ValueError as e:
            raise Refused("bytesValue: %s" % e)
    _json_object(inner, ("values",), kind)
    values = _json_list(inner.get("values", []), kind)
    if kind == "arrayValue":
        return [_json_value(v) for v in values]
    return _json_pairs(values, "a kvlist")


def _json_pairs(pairs, where):
    out = {}
    for pair in _json_list(pairs, where):
        _json_object(pair, ("key", "value"), "a KeyValue")
        key = _json_str(pair.get("key"), "key")
        if not key:
            raise Refused("empty key in %s" % where)
        if key in out:
            raise Refused("key %r twice in %s" % (key, where))
        out[key] = _json_value(pair.get("value", {}))
    return out


def _no_duplicates(pairs):
    out = dict(pairs)
    if len(out) != len(pairs):
        raise Refused("a JSON object with a key twice: %s" % [k for k, _ in pairs])
    return out


def _json_int(text):
    """-0 is a double: of the integers, Python's reader would drop the sign."""
    return -0.0 if text == "-0" else int(text)


def _no_constant(word):
    raise Refused("%s is no JSON" % word)


def decode_json(text):
    """One OTLP/JSON request (a line of the file output). Returns the records."""
    try:
        top = json.loads(text, object_pairs_hook=_no_duplicates, parse_constant=_no_constant,
                         parse_int=_json_int)
    except ValueError as e:
        raise Refused("JSON: %s" % e)
    _json_object(top, ("resourceLogs",), "the request")
    records = []
    for resource_logs in _json_list(top.get("resourceLogs"), "resourceLogs"):
        _json_object(resource_logs, ("resource", "scopeLogs", "schemaUrl"), "resourceLogs")
        resource = _json_object(resource_logs.get("resource", {}),
                                ("attributes", "droppedAttributesCount"), "resource")
        resource = _json_pairs(resource.get("attributes", []), "the resource")
        for scope_logs in _json_list(resource_logs.get("scopeLogs"), "scopeLogs"):
            _json_object(scope_logs, ("scope", "logRecords", "schemaUrl"), "scopeLogs")
            scope = _json_object(scope_logs.get("scope", {}),
                                 ("name", "version", "attributes", "droppedAttributesCount"),
                                 "scope")
            scope = {
                "name": _json_str(scope.get("name", ""), "scope.name"),
                "version": _json_str(scope.get("version", ""), "scope.version"),
                "attributes": _json_pairs(scope.get("attributes", []), "the scope"),
            }
            for record in _json_list(scope_logs.get("logRecords"), "logRecords"):
                records.append(_json_record(record, resource, scope))
    if not records:
        raise Refused("empty request")
    return records


def _json_record(record, resource, scope):
    _json_object(record, ("timeUnixNano", "observedTimeUnixNano", "severityNumber", "severityText",
                          "body", "attributes", "droppedAttributesCount", "flags", "traceId",
                          "spanId", "eventName"), "a log record")
    u64 = (1 << 64) - 1
    trace_id = _json_hex(record.get("traceId", ""), "traceId")
    span_id = _json_hex(record.get("spanId", ""), "spanId")
    check_ids(trace_id, span_id)
    severity = _json_u32(record.get("severityNumber", 0), "severityNumber")
    if severity > 24:
        raise Refused("severityNumber %d" % severity)
    return {
        "time": _json_i64(record.get("timeUnixNano", "0"), 0, u64, "timeUnixNano"),
        "observed": _json_i64(record.get("observedTimeUnixNano", "0"), 0, u64,
                              "observedTimeUnixNano"),
        "severity": severity,
        "text": _json_str(record.get("severityText", ""), "severityText"),
        "body": _json_value(record.get("body", {})),
        "attributes": _json_pairs(record.get("attributes", []), "a record"),
        "trace_id": trace_id.hex(),
        "span_id": span_id.hex(),
        "flags": _json_u32(record.get("flags", 0), "flags"),
        "dropped": _json_u32(record.get("droppedAttributesCount", 0), "droppedAttributesCount"),
        "event_name": _json_str(record.get("eventName", ""), "eventName"),
        "resource": resource,
        "scope": scope,
    }


def decode_lines(data):
    """A whole file of the file output: complete lines only. A torn line raises."""
    if data and not data.endswith(b"\n"):
        raise Refused("the file does not end with a newline: %r" % data[-60:])
    records = []
    for number, line in enumerate(data.split(b"\n")[:-1], 1):
        try:
            records.extend(decode_json(line.decode("utf-8")))
        except (Refused, UnicodeDecodeError) as e:
            raise Refused("line %d: %s: %r" % (number, e, line[:120]))
    return records
