"""The Forward clients speak the protocol, and the load client counts exactly."""
import gzip
import json

import msgpack

import clients
import forward

from fake_forward import FakeForward
from forward import Closed, Connection, LoadClient, Tally
from harness import cases, equal, wait_until
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
    c.hostname, c.user = "cli", None
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


CORPUS = [[n, {"m": [["message", {"s": "hello %d" % n}], ["n", {"i": str(n)}],
                     ["list", {"a": [{"f": "0.5"}, {"b": True}, {"n": 0}, {"x": "AP8="}]}]]}]
          for n in range(60)]


def want(run):
    return [("%s.%s" % (run, "ab"[n % 2]),
             {"message": "hello %d" % n, "n": n, "list": [0.5, True, None, b"\0\xff"],
              "run": run, "number": n}) for n in range(60)]


def send(ctx, server, language, program, runs):
    """The small corpus through a real client. Returns what the client says."""
    path = ctx.path("corpus.json")
    with open(path, "w") as f:
        json.dump(CORPUS, f)
    for run in runs:
        run.update(id=run.get("id", "r"), labels=["a", "b"])
    return clients.run(ctx, language, program, {"host": "127.0.0.1", "port": server.port,
                                                "corpus": path, "runs": runs})


def check_records(server, run):
    got = sorted(((tag, r) for tag, _, r in server.records), key=lambda r: r[1]["number"])
    assert got == want(run), got[:3]


@cases("@fluent-org/logger Message", "@fluent-org/logger Forward",
       "@fluent-org/logger PackedForward", "@fluent-org/logger CompressedPackedForward",
       "@fluent-org/logger key", "fluent-logger Message", "fluent-logger PackedForward",
       "fluent-logger CompressedPackedForward", "fluent-logger key")
def test_node(ctx, case):
    lib, mode = case.split()
    key = "k" if mode == "key" else None
    server = FakeForward(key=key)
    got = send(ctx, server, "node", "corpus", [{
        "lib": lib, "mode": "Message" if key else mode, "ack": 10000, "time": "milliseconds",
        "group": 10, "security": key and {"clientHostname": "node.example", "sharedKey": key}}])
    assert got == {"r": {"acked": 60, "failed": [], "errors": []}}, got
    check_records(server, "r")
    assert all("chunk" in o for o in server.options)


@cases("sync", "async")
def test_go(ctx, case):
    server = FakeForward()
    got = send(ctx, server, "go", "corpus", [{
        "ack": True, "sub_second": case == "sync", "async": case == "async", "retries": 3}])
    assert got == {"r": {"acked": 60, "failed": []}}, got
    check_records(server, "r")
    assert all("chunk" in o for o in server.options)
    want_type = msgpack.ExtType if case == "sync" else int
    assert all(type(t) is want_type for _, t, _ in server.records), server.records[0]


@cases("sync", "async")
def test_python(ctx, case):
    server = FakeForward()
    got = send(ctx, server, "python", "send", [{
        "kind": "sender", "time": "event_time", "async": case == "async"}])
    assert got == {"r": {"sent": 60, "failed": []}}, got
    wait_until(lambda: len(server.records) == 60, 10, "60 records")
    check_records(server, "r")


@cases("node", "go")
def test_stream(ctx, case):
    """Acks that do not come are told: the stream sends again, and says how often."""
    lost = set()

    def verdict(_server, number, *_):
        if number % 50 == 49:
            lost.add(number)
            return "store"
        return True
    server = FakeForward(on_message=verdict)
    run = {"id": "s", "lib": "fluent-logger", "mode": "Message", "ack": 300, "reconnect": 50,
           "time": "now"} if case == "node" else {"id": "s", "ack": True, "retries": 50}
    stream = clients.Stream(ctx, case, {"host": "127.0.0.1", "port": server.port, "runs": [run]})
    stream.progress(150)
    said = stream.finish()["s"]
    numbers = [r["number"] for _, _, r in server.records]
    assert lost and sorted(set(numbers)) == list(range(said["sent"])), said
    twice = {n for n in numbers if numbers.count(n) > 1}
    if case == "node":
        assert twice <= {int(n) for n in said["again"]}, said
    assert len(twice) == len(lost), (twice, lost)


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
