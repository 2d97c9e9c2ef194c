"""The OTLP server refuses what strict servers refuse, and answers as scripted."""
import gzip
import http.client
import json
import socket
import zlib

import otlp_decode

from harness import cases, equal
from otlp_server import Answer

AGENT = "OTel-OTLP-Exporter-Selftest/1"
HEADERS = {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip",
           "User-Agent": AGENT, "Authorization": "Bearer auth_k", "Dash0-Dataset": "d"}
JSON_HEADERS = dict(HEADERS, **{"Content-Type": "application/json"})
JSON = (b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"1","body":'
        b'{"stringValue":"boom"}}]}]}]}')


def request(schema, edit=None):
    message = schema.ExportLogsServiceRequest()
    resource_logs = message.resource_logs.add()
    pair = resource_logs.resource.attributes.add(key="service.name")
    pair.value.string_value = "svc"
    record = resource_logs.scope_logs.add().log_records.add()
    record.time_unix_nano = 1700000000123456789
    record.severity_number = 17
    record.severity_text = "ERROR"
    record.body.string_value = "boom"
    record.trace_id = bytes(range(16))
    record.span_id = bytes(range(8))
    for key, value in (("serial", 7), ("n", -1)):
        record.attributes.add(key=key).value.int_value = value
    record.attributes.add(key="flag").value.bool_value = True
    record.attributes.add(key="empty").value.SetInParent()
    record.attributes.add(key="list").value.array_value.values.add().double_value = 1.5
    inner = record.attributes.add(key="map").value.kvlist_value.values.add(key="b")
    inner.value.bytes_value = b"\xff\0"
    if edit:
        edit(message, record)
    return message.SerializeToString()


def nested(field_bytes):
    """A request with a log record of exactly these bytes."""
    out = field_bytes
    for key in (0x12, 0x12, 0x0a):
        out = bytes([key, len(out)]) + out
    return out


def post(server, body, headers=HEADERS, path="/v1/logs", method="POST"):
    connection = http.client.HTTPConnection(server.host, server.port, timeout=10)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers
    finally:
        connection.close()


def test_accepts(ctx):
    server = ctx.otlp(api_key="auth_k", dataset="d", keep_bodies=True)
    plain = request(ctx.schema)
    status, body, _ = post(server, gzip.compress(plain))
    assert (status, body) == (200, b"")
    headers = {k: v for k, v in HEADERS.items() if k != "Content-Encoding"}
    assert post(server, plain, headers)[0] == 200
    assert not server.violations and len(server.records) == 2
    assert server.requests[0].plain == plain and server.requests[0].minimal
    want = {
        "time": 1700000000123456789, "observed": 0, "severity": 17, "text": "ERROR",
        "body": "boom", "trace_id": bytes(range(16)).hex(), "span_id": bytes(range(8)).hex(),
        "attributes": {"serial": 7, "n": -1, "flag": True, "empty": None, "list": [1.5],
                       "map": {"b": b"\xff\0"}},
        "flags": 0, "dropped": 0, "event_name": "", "resource": {"service.name": "svc"},
        "scope": {"name": "", "version": "", "attributes": {}},
    }
    equal(server.records[0], want, "the record")


def gz(ctx, edit=None):
    return gzip.compress(request(ctx.schema, edit))


def set_field(name, value):
    return lambda message, record: setattr(record, name, value)


def bad_utf8(ctx):
    return gzip.compress(request(ctx.schema).replace(b"boom", b"b\xff\xfem"))


def twice(message, record):
    record.attributes.add(key="n").value.int_value = 2


BAD = {
    "unknown_field": (lambda c: gzip.compress(request(c.schema) + b"\x10\x01"), {}, 400, "unknown"),
    "unknown_nested": (lambda c: gzip.compress(nested(b"\x20\x01")), {}, 400, "unknown fields"),
    "trailing_zero": (lambda c: gzip.compress(request(c.schema) + b"\0"), {}, 400, "trailing"),
    "bad_zstd": (lambda c: request(c.schema), {"Content-Encoding": "zstd"}, 400, "zstd"),
    "truncated": (lambda c: gzip.compress(request(c.schema)[:-1]), {}, 400, "protobuf"),
    "invalid_utf8": (bad_utf8, {}, 400, "protobuf"),
    "wrong_wire_type": (lambda c: gzip.compress(nested(b"\x08\x01")), {}, 400, "unknown fields"),
    "trace_id_6": (lambda c: gz(c, set_field("trace_id", b"123456")), {}, 400, "trace_id of 6"),
    "trace_id_zero": (lambda c: gz(c, set_field("trace_id", bytes(16))), {}, 400, "trace_id"),
    "trace_id_32": (lambda c: gz(c, set_field("trace_id", b"a" * 32)), {}, 400, "trace_id of 32"),
    "span_id_16": (lambda c: gz(c, set_field("span_id", b"a" * 16)), {}, 400, "span_id of 16"),
    "span_id_zero": (lambda c: gz(c, set_field("span_id", bytes(8))), {}, 400, "span_id"),
    "severity_25": (lambda c: gz(c, set_field("severity_number", 25)), {}, 400, "severity"),
    "empty": (lambda c: gzip.compress(b""), {}, 400, "empty request"),
    "empty_resource_logs": (lambda c: gzip.compress(b"\x0a\x00"), {}, 400, "without scope_logs"),
    "empty_scope_logs": (lambda c: gzip.compress(b"\x0a\x02\x12\x00"), {}, 400, "without log_rec"),
    "key_twice": (lambda c: gz(c, twice), {}, 400, "'n' twice"),
    "key_empty": (lambda c: gz(c, lambda m, r: r.attributes.add()), {}, 400, "empty key"),
    "two_members": (lambda c: gz(c) + gz(c), {}, 400, "second gzip member"),
    "gzip_garbage": (lambda c: gz(c) + b"x", {}, 400, "trailing bytes"),
    "gzip_short": (lambda c: gz(c)[:-4], {}, 400, "gzip ends early"),
    "gzip_crc": (lambda c: gz(c)[:-8] + bytes(8), {}, 400, "bad gzip"),
    "not_gzip": (lambda c: request(c.schema), {}, 400, "bad gzip"),
    "zlib": (lambda c: zlib.compress(request(c.schema)), {"Content-Encoding": "deflate"}, 400,
             "Content-Encoding"),
    "identity": (lambda c: request(c.schema), {"Content-Encoding": "identity"}, 400,
                 "Content-Encoding"),
    "no_content_type": (gz, {"Content-Type": None}, 415, "Content-Type None"),
    "json_type": (gz, {"Content-Type": "application/json"}, 400, ""),
    "protobuf_type": (lambda c: gzip.compress(JSON), {}, 400, "protobuf"),
    "type_parameter": (gz, {"Content-Type": "application/x-protobuf; charset=utf-8"}, 415,
                       "Content-Type"),
    "type_case": (gz, {"Content-Type": "application/X-Protobuf"}, 415, "Content-Type"),
    "coding_case": (gz, {"Content-Encoding": "GZIP"}, 400, "Content-Encoding"),
    "json_empty": (lambda c: gzip.compress(b'{"resourceLogs":[]}'),
                   {"Content-Type": "application/json"}, 400, "empty request"),
    "json_empty_scope": (lambda c: gzip.compress(JSON.replace(b"]}]}]}", b']},{"logRecords":[]}]}]}')),
                         {"Content-Type": "application/json"}, 400, "without any"),
    "json_utf8": (lambda c: gzip.compress(JSON.replace(b"boom", b"b\xff")),
                  {"Content-Type": "application/json"}, 400, "utf-8"),
    "no_authorization": (gz, {"Authorization": None}, 401, "Authorization"),
    "wrong_authorization": (gz, {"Authorization": "Bearer auth_x"}, 401, "Authorization"),
    "wrong_dataset": (gz, {"Dash0-Dataset": "e"}, 403, "Dash0-Dataset"),
    "no_user_agent": (gz, {"User-Agent": None}, 400, "User-Agent"),
    "other_user_agent": (gz, {"User-Agent": "curl/7.88.1"}, 400, "User-Agent"),
    "expect": (gz, {"Expect": "100-continue"}, 417, "Expect"),
}


@cases(*BAD)
def test_refuses(ctx, case):
    make, change, status, why = BAD[case]
    server = ctx.otlp(api_key="auth_k", dataset="d")
    ctx.expect_violations = True
    headers = {k: v for k, v in dict(HEADERS, **change).items() if v is not None}
    got = post(server, make(ctx), headers)[0]
    assert got == status, got
    assert len(server.violations) == 1 and why in server.violations[0], server.violations
    assert not server.records


def test_refuses_path_and_method(ctx):
    server = ctx.otlp(api_key="auth_k", dataset="d")
    ctx.expect_violations = True
    assert post(server, gz(ctx), path="/v1/log")[0] == 404
    assert post(server, gz(ctx), method="PUT")[0] == 405
    assert not server.records


def test_unexpected_authorization(ctx):
    server = ctx.otlp()
    ctx.expect_violations = True
    headers = {k: v for k, v in HEADERS.items() if k != "Dash0-Dataset"}
    assert post(server, gz(ctx), headers)[0] == 401


def test_padded_lengths_are_seen(ctx):
    """Longer encodings are no violation, but are told."""
    body = request(ctx.schema)
    assert body[0] == 0x0a
    length = body[1] & 0x7f | (body[2] << 7 if body[1] & 0x80 else 0)
    skip = 3 if body[1] & 0x80 else 2
    padded = bytes([0x0a, length & 0x7f | 0x80, length >> 7 | 0x80, 0]) + body[skip:]
    records, minimal = otlp_decode.decode_request(ctx.schema, padded)
    assert len(records) == 1 and not minimal
    doubled = nested(b"\x10\x11\x10\x12")
    records, minimal = otlp_decode.decode_request(ctx.schema, doubled)
    assert records[0]["severity"] == 18 and not minimal


def test_script(ctx):
    server = ctx.otlp(api_key="auth_k", dataset="d")
    server.script([Answer(503), Answer(429, headers={"Retry-After": "1"}),
                   Answer(partial=(3, "too old")), Answer(201, close=True)])
    status, body, _ = post(server, gz(ctx))
    assert status == 503 and ctx.schema.Status.FromString(body).message == "scripted"
    status, _, headers = post(server, gz(ctx))
    assert (status, headers["Retry-After"]) == (429, "1")
    assert server.snapshot() == []
    status, body, _ = post(server, gz(ctx))
    assert (status, body) == (200, bytes.fromhex("0a0b08031207746f6f206f6c64"))
    status, _, headers = post(server, gz(ctx))
    assert (status, headers["Connection"]) == (201, "close")
    assert post(server, gz(ctx))[0] == 200
    assert len(server.snapshot()) == 3 and server.script_left() == 0


def test_json(ctx):
    """JSON is answered in JSON; and a server may insist on one form."""
    server = ctx.otlp(api_key="auth_k", dataset="d", encoding="application/json",
                      compression="gzip")
    server.script([Answer(), Answer(503), Answer(partial=(3, "too old"))])
    body = gzip.compress(JSON)
    status, answer, headers = post(server, body, JSON_HEADERS)
    assert (status, answer, headers["Content-Type"]) == (200, b"{}", "application/json")
    assert json.loads(post(server, body, JSON_HEADERS)[1])["message"] == "scripted"
    assert json.loads(post(server, body, JSON_HEADERS)[1]) == {
        "partialSuccess": {"rejectedLogRecords": "3", "errorMessage": "too old"}}
    assert [r["body"] for r in server.records] == ["boom"] * 2 and not server.violations
    ctx.expect_violations = True
    assert post(server, gz(ctx))[0] == 415
    plain = {k: v for k, v in JSON_HEADERS.items() if k != "Content-Encoding"}
    assert post(server, JSON, plain)[0] == 400
    assert len(server.violations) == 2


@cases("reset", "close", "half", "unread")
def test_cut(ctx, case):
    server = ctx.otlp(api_key="auth_k", dataset="d")
    server.script([Answer(read=False) if case == "unread" else Answer(cut=case, stored=True)])
    try:
        post(server, gz(ctx))
        raise AssertionError("an answer came")
    except (http.client.HTTPException, ConnectionError) as e:
        if case in ("reset", "unread"):
            assert isinstance(e, ConnectionResetError), repr(e)
    assert len(server.snapshot()) == (0 if case == "unread" else 1)
    assert post(server, gz(ctx))[0] == 200


def test_hang_and_stop(ctx):
    """A hanging request ends with stop(); then the port refuses; then it serves again."""
    server = ctx.otlp(api_key="auth_k", dataset="d")
    server.script([Answer(cut="hang"), Answer(delay=60)])
    for _ in range(2):
        connection = http.client.HTTPConnection(server.host, server.port, timeout=10)
        connection.request("POST", "/v1/logs", gz(ctx), HEADERS)
        server.wait(lambda: server.script_left() == 0 or server.script_left() == 1, 5, "taken")
    server.wait(lambda: server.script_left() == 0, 5, "both taken")
    port = server.port
    server.stop()
    try:
        socket.create_connection((server.host, port), timeout=5)
        raise AssertionError("not refused")
    except ConnectionRefusedError:
        pass
    server.start()
    assert server.port == port
    assert post(server, gz(ctx))[0] == 200
    assert len(server.snapshot()) == 1


def test_pipelined_keepalive(ctx):
    """Several requests on one connection, the second one already there with the first."""
    server = ctx.otlp(api_key="auth_k", dataset="d")
    body = gz(ctx)
    head = "POST /v1/logs HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n" % len(body)
    head += "".join("%s: %s\r\n" % h for h in HEADERS.items()) + "\r\n"
    with socket.create_connection((server.host, server.port), timeout=5) as sock:
        sock.sendall((head.encode() + body) * 2)
        server.wait_records(2, 5)
    assert [r.connection for r in server.requests] == [0, 0]


def test_many_records(ctx):
    """Fast enough for tests with many records."""
    server = ctx.otlp(api_key="auth_k", dataset="d",
                      project=lambda r: r["attributes"]["serial"])
    message = ctx.schema.ExportLogsServiceRequest.FromString(request(ctx.schema))
    records = message.resource_logs[0].scope_logs[0].log_records
    while len(records) < 5000:
        records.add().CopyFrom(records[0])
    body = gzip.compress(message.SerializeToString(), 1)
    for _ in range(20):
        assert post(server, body)[0] == 200
    assert len(server.records) == 100000
