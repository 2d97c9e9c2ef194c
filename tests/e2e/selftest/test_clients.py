"""The Forward clients speak the protocol, and the load client counts exactly."""
import gzip

import clients
import forward

from fake_forward import FakeForward
from forward import Closed, Connection, LoadClient, Tally
from harness import cases, equal
from test_server import request

T = forward.event_time(1700000000, 123456789)
EVENTS = [(T, {"log": "hi"}), (T, {"log": "ho"})]


def test_wire_examples(ctx):
    """The bytes of the protocol reference."""
    chunk = {"chunk": "AAECAwQFBgcICQoLDA0ODw=="}
    equal(forward.message("app.web", (1700000000, {"log": "hi"}), chunk).hex(),
          "94a76170702e776562ce6553f10081a36c6f67a2686981a56368756e6b"
          "b841414543417751464267634943516f4c4441304f44773d3d", "Message")
    entry = "92d7006553f100075bcd1581a36c6f67a26869"
    equal(forward.forward("app.web", EVENTS[:1]).hex(), "93a76170702e776562"[:0]
          + "92a76170702e77656291" + entry, "Forward")
    equal(forward.packed("app.web", forward.entries(EVENTS[:1]) * 2, dict(size=2)).hex(),
          "93a76170702e776562c426" + entry * 2 + "81a473697a6502", "PackedForward")
    assert forward.packed("a.b", b"0123456789", {}, as_str=True) == \
        b"\x93\xa3a.b\xdb\0\0\0\x0a0123456789\x80"
    assert len(forward.chunk_id()) == 25


@cases("message", "forward", "packed", "gzip")
def test_modes(ctx, case):
    server = FakeForward()
    events = EVENTS[:1] if case == "message" else EVENTS
    with Connection(server.port) as c:
        for cut in ("whole", "bytes", "random"):
            id = forward.chunk_id()
            c.send(forward.encode(case, "t", events, {"chunk": id}), cut)
            assert c.ack() == id
    assert [r for _, _, r in server.records] == [e[1] for e in events] * 3


def test_handshake(ctx):
    server = FakeForward(key="sekret")
    with Connection(server.port, key="sekret") as c:
        c.send(forward.message("t", EVENTS[0], {"chunk": "1"}))
        assert c.ack() == "1"
    try:
        Connection(server.port, key="other")
        raise AssertionError("not refused")
    except Closed as e:
        assert "shared_key mismatch" in str(e)


def test_handshake_vector(ctx):
    """The digests of the protocol reference."""
    c = Connection.__new__(Connection)
    c.hostname = "cli"
    ping = c.ping({"nonce": bytes(range(16))}, "sekret")
    assert b"b648b0b98d6e292ab529a16d5244c29c0a1b1b4766cccdc6f6c522a637cf7ab5bfd3d3bd6148c0b21" \
        b"cea864a500814c6268834e1d74e58d5c8f0b09d205c2e6d" in ping


def keys(server):
    return [(r["client"], r["serial"]) for _, _, r in server.records]


@cases("message", "forward", "packed", "gzip")
def test_load_clean(ctx, case):
    server = FakeForward(key="k" if case == "gzip" else None)
    load = LoadClient("a", server.port, mode=case, rate=5000, key=server.key)
    load.start()
    load.progress(300)
    load.finish()
    tally = Tally(keys(server), [load])
    assert tally.check() == 0 and load.acked_records == load.sent_records >= 300
    assert load.connects == 1 and not load.resent


def test_load_resends(ctx):
    """Every fifth message is stored without an ack and the connection cut; every seventh is cut
    before it is stored: nothing is lost, and what comes twice was resent."""
    def verdict(server, number, *_):
        return "store" if number % 5 == 4 else "close" if number % 7 == 6 else True
    server = FakeForward(on_message=verdict)
    load = LoadClient("a", server.port, rate=20000, window=4)
    load.start()
    load.progress(2000)
    load.finish()
    tally = Tally(keys(server), [load])
    twice = tally.check("resent")
    assert twice > 0 and load.broken > 10, load
    try:
        tally.check()
        raise AssertionError("duplicates not seen")
    except AssertionError as e:
        assert "twice that may not be" in str(e), e


def test_tally_sees_loss(ctx):
    """An acknowledged record that did not arrive, and one that nobody sent, are told."""
    server = FakeForward()
    load = LoadClient("a", server.port, rate=20000)
    load.start()
    load.progress(100)
    load.finish()
    got = keys(server)
    for change, word in ((got[:40] + got[42:], "2 acknowledged records lost: a:40-41"),
                         (got + [("b", 1)], "1 records that nobody sent"),
                         (got + [("a", 3)], "1 records twice that may not be: a:3")):
        try:
            Tally(change, [load]).check("resent")
            raise RuntimeError("not seen: " + word)
        except AssertionError as e:
            assert word in str(e), e


def test_load_held(ctx):
    """Without acks the client stops at its window, and says what is pending."""
    server = FakeForward(on_message=lambda *_: "hold")
    load = LoadClient("a", server.port, rate=50000, window=5)
    load.start()
    load.wait(lambda: len(load.pending) == 5, 10, "the window is full")
    try:
        load.finish(timeout=0.3)
        raise RuntimeError("finished without acks")
    except AssertionError as e:
        assert "all acks at the end" in str(e), e
    load.abort()
    assert load.acked_records == 0 and len(load.unacked()) == 5


@cases("fluent-org Message", "fluent-org Forward", "fluent-org PackedForward",
       "fluent-org CompressedPackedForward", "fluent-org key", "fluent-logger Message",
       "fluent-logger PackedForward", "fluent-logger CompressedPackedForward", "fluent-logger key")
def test_node(ctx, case):
    lib, mode = case.split()
    key = "k" if mode == "key" else None
    server = FakeForward(key=key)
    got = clients.node(ctx, "send.js", {
        "lib": "@fluent-org/logger" if lib == "fluent-org" else lib, "port": server.port,
        "mode": "Message" if key else mode, "host": "127.0.0.1", "count": 120, "client": "n",
        "tag": "app", "ack_timeout": 10000, "key": key})
    assert got == {"acked": 120, "failed": []}, got
    assert sorted(keys(server)) == [("n", i) for i in range(120)]
    assert all("chunk" in o for o in server.options)


@cases("seconds", "sub_second")
def test_go(ctx, case):
    server = FakeForward()
    got = clients.go(ctx, {"host": "127.0.0.1", "port": server.port, "count": 60, "client": "g",
                           "tag": "app.go", "sub_second": case == "sub_second"})
    assert got == {"acked": 60, "failed": []}, got
    assert keys(server) == [("g", i) for i in range(60)]
    assert all("chunk" in o for o in server.options)


def test_js_decoder(ctx):
    """The JavaScript definitions read what the Python schema wrote."""
    plain = request(ctx.schema)
    path = ctx.path("body")
    with open(path, "wb") as f:
        f.write(plain)
    (got,) = clients.node(ctx, "decode.js", {"files": [path]})
    record = got["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]
    assert record["body"] == {"stringValue": "boom"}
    assert record["timeUnixNano"] == "1700000000123456789"
    assert gzip.decompress(gzip.compress(plain)) == plain
