"""JSON connections on the forward port, as fluent-logger-golang makes them with MarshalAsJSON."""
import json
import random

import forward

from forward import Closed
from harness import cases, equal


def message(serial, option=None, tag="a.b", **more):
    record = {"serial": serial, "message": "m%d" % serial, **more}
    return json.dumps([tag, 1700000000 + serial, record] + ([] if option is None else [option]),
                      separators=(",", ":")).encode()


def serials(records):
    return sorted(r["attributes"]["serial"] for r in records)


def hear(client, want):
    """Exactly these bytes, and nothing behind them. Returns the pieces that they came in."""
    client.sock.settimeout(client.timeout)
    got, pieces = b"", []
    while len(got) < len(want):
        pieces.append(client.sock.recv(65536))
        assert pieces[-1], "the connection was closed after %r" % got
        got += pieces[-1]
    equal(got, want, "answer")
    return pieces


@cases("whole", "bytes", "random")
def test_modes(ctx, case):
    """Message and Forward mode, with and without acks, many documents in a row, however cut."""
    sluice = ctx.sluice()
    client = sluice.connect()
    rng = random.Random(case)
    client.send(message(0, {}), case, rng)
    client.send(message(1), case, rng)
    client.send(message(2, {"chunk": "j1"}), case, rng)
    hear(client, b'{"ack":"j1"}')
    entries = [[1700000003.5, {"serial": 3, "message": "m3"}],
               [1700000004, {"serial": 4, "message": "m4"}]]
    client.send(json.dumps(["a.b", entries, {"size": 2, "chunk": "j2"}], indent=2).encode(), case,
                rng)
    hear(client, b'{"ack":"j2"}')
    documents = [message(5), b"\n", message(6, {"chunk": 6}), b" null ", message(7, None),
                 message(8, {"chunk": True}), b"\r\n\t"]
    client.send(b"".join(documents), case, rng)
    hear(client, b'{"ack":6}{"ack":true}')
    records = sluice.wait_file_records(9)
    sluice.stop()
    records = sluice.wait_file_records(9)
    equal(serials(records), list(range(9)), "serials")
    for record in records:
        serial = record["attributes"]["serial"]
        equal(record["body"], "m%d" % serial, "body")
        equal(record["time"] // 10**9, 1700000000 + serial, "time")
    client.wait_closed()
    equal(client.received, b"", "acks that were not asked for")


IDS = ['"j1"', '""', '"lQmlZQAAAABS/fwHIYJlTQ=="', '"\\u00e9 \\" \\\\"', '"\u00e9\U0001f600"', "17",
       "-1.5e3", "true", "0", '{"a": [1, "]}"]}', "[1,2]"]


def test_ack_echo(ctx):
    """The id is echoed as it was written, whatever JSON value it is; each ack is one write."""
    sluice = ctx.sluice()
    client = sluice.connect()
    for serial, id in enumerate(IDS):
        client.send(b'["t",1700000000,{"serial":%d},{"chunk":%s}]' % (serial, id.encode()))
        pieces = hear(client, b'{"ack":%s}' % id.encode())
        equal(len(pieces), 1, "segments of the ack")
    for id in (b"null", b"false"):
        client.send(b'["t",1700000000,{"serial":99},{"chunk":%s}]' % id)
    client.send(message(100, {"chunk": "last"}))
    hear(client, b'{"ack":"last"}')
    equal(serials(sluice.wait_file_records(len(IDS) + 3)),
          list(range(len(IDS))) + [99, 99, 100], "serials")


def test_tag_is_decoded(ctx):
    sluice = ctx.sluice()
    client = sluice.connect()
    client.send(b'["caf\\u00e9.\\ud83d\\ude00\\/x",1700000000,{"serial":0},{"chunk":1}]')
    hear(client, b'{"ack":1}')
    sluice.wait_file_records(1)
    assert "caf\u00e9.\U0001f600/x" in json.dumps(
        json.loads(sluice.file_bytes().splitlines()[0]), ensure_ascii=False)


def test_good_and_bad(ctx):
    """What is no message is skipped with a line; what cannot be decoded goes to quarantine and is
    acknowledged; the good ones between arrive."""
    sluice = ctx.sluice()
    client = sluice.connect()
    client.send(message(0) + b'{"log":"an object"}' + message(1) + b'["t"]' + b"17 " +
                message(2, {"chunk": "c2"}))
    hear(client, b'{"ack":"c2"}')
    # Its structure is whole, its content is no JSON.
    client.send(b'["t",1700000000,{"serial" 3,,},{"chunk":"c3"}]' + message(4, {"chunk": "c4"}))
    hear(client, b'{"ack":"c3"}{"ack":"c4"}')
    client.send(b'["t","packed bytes",{"chunk":"c5"}]')
    hear(client, b'{"ack":"c5"}')
    client.send(b'["t",1700000000,%s1%s,{"chunk":"deep"}]' % (b"[" * 100000, b"]" * 100000))
    hear(client, b'{"ack":"deep"}')
    equal(serials(sluice.wait_file_records(4)), [0, 1, 2, 4], "serials")
    sluice.wait_log("skipped: a value that is no message")
    equal(sluice.metric("chunks_quarantined_total"), 3, "chunks in quarantine")
    equal(sluice.metric("messages_ignored_total"), 3, "messages ignored")
    assert any(b'{"serial" 3,,}' in data for data in sluice.quarantine().values())


BROKEN = {
    "no json": (b'["t",1,{"serial":1}] hello', r"malformed JSON on a JSON connection \(byte 1\)"),
    "brackets": (b'["t",1,{"serial":1]', r"malformed JSON on a JSON connection \(byte 19\)"),
    "msgpack": (b"[\x01\x02\x03", r"malformed JSON on a JSON connection \(byte 2\)"),
    "option": (b'["t",1,{"serial":1},[]]', r"the option is no map"),
    "tag": (b'[7,1,{"serial":1},{"chunk":"x"}]', r"the tag is no string"),
    "object": (b'{"message":"a log line as JSON","level":"info"}\n{"message":"another"}\n',
               r"a JSON object on the forward port"),
}


@cases(*BROKEN)
def test_broken(ctx, case):
    """Ends its connection with one line that says what came; others do not notice."""
    sluice = ctx.sluice()
    other = sluice.connect()
    other.send(message(0, {"chunk": "a"}))
    hear(other, b'{"ack":"a"}')
    text, reason = BROKEN[case]
    client, log = sluice.connect(), len(sluice.stderr())
    client.send(text)
    client.wait_closed()
    equal(client.received, b"", "answer")
    sluice.wait_log(reason + r".*connection closed", after=log)
    equal(sluice.stderr()[log:].count(b"\n"), 1, "lines")
    equal(sluice.metric("protocol_errors_total"), 1, "protocol errors")
    other.send(message(10, {"chunk": "b"}))
    hear(other, b'{"ack":"b"}')
    sluice.wait_file_records(3 if case == "no json" else 2)


def test_limit(ctx):
    """A document is refused when more than forward.max_chunk of it is there, by name."""
    sluice = ctx.sluice(options={"forward.max_chunk": "64k"})
    client = sluice.connect()
    client.send(message(0, {"chunk": "a"}, text="x" * 60000))
    hear(client, b'{"ack":"a"}')
    try:
        client.send(message(1, {"chunk": "b"}, text="x" * 70000))
    except Closed:
        pass
    client.wait_closed()
    sluice.wait_log(r"above forward\.max_chunk = 65536")
    equal(serials(sluice.wait_file_records(1)), [0], "serials")


def test_key(ctx):
    """Where a handshake is asked for JSON cannot be used: nothing is stored, a line says why."""
    sluice = ctx.sluice(env={"FLUENTD_SHARED_KEY": "an elephant"})
    client = sluice.connect()
    client.helo()
    client.send(message(0, {"chunk": "a"}))
    client.wait_closed()
    equal(client.received, b"", "answer")
    sluice.wait_log("JSON instead of the handshake")
    good = sluice.connect(key="an elephant")
    good.send(forward.message("t", (1700000000, {"serial": 1}), {"chunk": "b"}))
    equal(good.ack(), "b", "ack")
    equal(serials(sluice.wait_file_records(1)), [1], "serials")


def test_resent(ctx):
    """A chunk that is sent again on the next connection is stored once and acknowledged again."""
    server = ctx.otlp()
    sluice = ctx.sluice(otlp=server)
    document = message(0, {"chunk": "again"})
    first = sluice.connect()
    first.send(document)
    first.wait_data()                   # the ack is there, and is never read
    first.reset()
    second = sluice.connect()
    second.send(document)
    hear(second, b'{"ack":"again"}')
    second.send(message(1, {"chunk": "last"}))
    hear(second, b'{"ack":"last"}')
    server.wait_records(2)
    sluice.stop()
    equal(serials(server.records), [0, 1], "serials")
