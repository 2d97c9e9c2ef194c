"""The Forward protocol on the wire: modes, cuts, acks, the handshake, odd and empty connections."""
import collections
import os
import random
import threading

import msgpack

import forward

from forward import Closed
from harness import cases, equal, limit, wait_until

T = forward.event_time(1700000000, 1)


def serials(records):
    return sorted(r["attributes"]["serial"] for r in records)


def events(first, count):
    return [(T, {"serial": s, "message": "m%d" % s}) for s in range(first, first + count)]


@limit(90)
@cases("message", "forward", "packed", "gzip")
def test_modes(ctx, case):
    """With and without acks, in one write, byte by byte and in random pieces."""
    server = ctx.otlp()
    sluice = ctx.sluice(otlp=server)
    rng = random.Random(case)
    client = sluice.connect()
    sent = 0
    for cut in ("whole", "bytes", "random"):
        for with_ack in (True, False):
            count = 1 if case == "message" else 7
            id = forward.chunk_id()
            for option in ({"chunk": id},) if with_ack else (None, {}, {"size": count}):
                client.send(forward.encode(case, "a.b", events(sent, count), option), cut, rng)
                sent += count
            if with_ack:
                equal(client.ack(), id, "ack")
    server.wait_records(sent)
    sluice.stop()
    equal(serials(server.records), list(range(sent)), "serials")
    assert not client.received, "an ack that was not asked for"


def test_nil_options(ctx):
    """nil for the options, as Docker sent it; packed bytes as str; unknown options."""
    sluice = ctx.sluice()
    client = sluice.connect()
    client.send(forward.pack(["t", T, {"serial": 0}, None]))
    client.send(forward.pack(["t", [[T, {"serial": 1}]], None]))
    client.send(forward.packed("t", events(2, 2), {"fleet": "x", "chunk": "c"}, as_str=True))
    equal(client.ack(), "c", "ack")
    equal(serials(sluice.wait_file_records(4)), [0, 1, 2, 3], "serials")


def test_wide_headers(ctx):
    """Every width of a family, as Fluent Bit writes (map32, array32), and the v2 entry form."""
    sluice = ctx.sluice()
    client = sluice.connect()
    record = msgpack.packb({"serial": 0})
    entry = b"\xdd\0\0\0\2" + forward.pack(T) + record
    option = b"\xdf\0\0\0\1\xa5chunk\xd9\x01c"
    client.send(b"\xdd\0\0\0\3" + b"\xda\0\1t" + b"\xdd\0\0\0\1" + entry + option)
    equal(client.ack(), "c", "ack")
    client.send(forward.pack(["t", [[[T, {}], {"serial": 1}]], {"chunk": "d"}]))
    equal(client.ack(), "d", "ack")
    equal(serials(sluice.wait_file_records(2)), [0, 1], "serials")


IDS = {
    "fluentd": forward.pack(forward.chunk_id()),
    "fluent_bit": forward.pack("AAECAwQFBgcICQoLDA0ODw=="),
    "empty": forward.pack(""),
    "bin": forward.pack(b"\x00\xff\x80bin"),
    "str16": b"\xda\x00\x05short",
    "not_utf8": b"\xa4\xff\xfe\x80a",
    "long": forward.pack("x" * 200),
}


@cases(*IDS)
def test_ack_echo(ctx, case):
    """The ack holds the id verbatim: the same bytes, the same type."""
    sluice = ctx.sluice()
    client = sluice.connect()
    id = IDS[case]
    client.send(b"\x94" + forward.pack("t") + forward.pack(T) + forward.pack({"serial": 0}) +
                b"\x81\xa5chunk" + id)
    want = msgpack.Unpacker(raw=True)
    want.feed(id)
    want = want.unpack()
    client.wait_data()
    unpacker = msgpack.Unpacker(raw=True)
    unpacker.feed(client.received)
    equal(unpacker.unpack(), {b"ack": want}, "ack")
    assert client.received.startswith(b"\x81\xa3ack"), client.received
    is_bin = client.received[5] in (0xc4, 0xc5, 0xc6)
    assert is_bin == (case == "bin"), "the id's type: %r" % client.received
    assert len(client.segments) == 1, "an ack goes out in one write"


def test_pipelined(ctx):
    """Many messages in one write; every ack comes, in order."""
    sluice = ctx.sluice()
    client = sluice.connect()
    ids = [forward.chunk_id() for _ in range(200)]
    client.send(b"".join(forward.packed("t%d" % (i % 3), events(i * 3, 3), {"chunk": id})
                         for i, id in enumerate(ids)))
    equal([client.ack() for _ in ids], ids, "acks")
    equal(serials(sluice.wait_file_records(600)), list(range(600)), "serials")


def test_nil_keepalive(ctx):
    """nil on the connection, at first and in between, is a probe: no answer, no harm."""
    sluice = ctx.sluice()
    client = sluice.connect()
    client.send(b"\xc0")
    client.send(b"\xc0\xc0" + forward.message("t", (T, {"serial": 0}), {"chunk": "a"}) + b"\xc0")
    equal(client.ack(), "a", "ack")
    client.send(forward.message("t", (T, {"serial": 1}), {"chunk": "b"}))
    equal(client.ack(), "b", "ack")
    equal(serials(sluice.wait_file_records(2)), [0, 1], "serials")


def test_empty_connections(ctx):
    """Heartbeats: 300 connections without a byte leave no line in the log and no descriptor."""
    sluice = ctx.sluice()
    pid = sluice.pid("receiver")
    client = sluice.connect()
    client.send(forward.message("t", (T, {"serial": 0}), {"chunk": "a"}))
    client.ack()
    before, log = len(os.listdir("/proc/%d/fd" % pid)), len(sluice.stderr())
    for i in range(300):
        probe = sluice.connect()
        probe.reset() if i % 3 == 0 else probe.close()
    client.send(forward.message("t", (T, {"serial": 1}), {"chunk": "b"}))
    client.ack()
    wait_until(lambda: len(os.listdir("/proc/%d/fd" % pid)) <= before, 10,
               lambda: "descriptors: %d before, %d after" % (
                   before, len(os.listdir("/proc/%d/fd" % pid))))
    assert len(sluice.stderr()) == log, sluice.stderr()[log:]
    equal(serials(sluice.wait_file_records(2)), [0, 1], "serials")


@limit(90)
def test_many_connections(ctx):
    """500 open at once, a chunk on each; then all answered."""
    server = ctx.otlp()
    sluice = ctx.sluice(otlp=server)
    clients = [sluice.connect() for _ in range(500)]
    for i, client in enumerate(clients):
        client.send(forward.forward("t", events(i * 2, 2), {"chunk": str(i)}))
    for i, client in enumerate(clients):
        equal(client.ack(), str(i), "ack")
    server.wait_records(1000)
    equal(serials(server.records), list(range(1000)), "serials")


def test_half_message_then_close(ctx):
    """A message that never ends is no record; its neighbours on other connections are."""
    sluice = ctx.sluice()
    whole = forward.packed("t", events(0, 5), {"chunk": "a"})
    for at in (1, len(whole) // 2, len(whole) - 1):
        client = sluice.connect()
        client.send(whole[:at])
        client.close()
    client = sluice.connect()
    client.send(whole)
    equal(client.ack(), "a", "ack")
    equal(serials(sluice.wait_file_records(5)), list(range(5)), "serials")
    sluice.stop()
    equal(serials(sluice.wait_file_records(5)), list(range(5)), "serials at the end")


def test_large_message(ctx):
    """Near the limit it is taken; above it, it is refused, the option is named, others go on."""
    sluice = ctx.sluice(options={"forward.max_chunk": "1M"})
    text = "x" * 900000
    client = sluice.connect()
    client.send(forward.forward("t", [(T, {"serial": 0, "text": text})], {"chunk": "a"}))
    equal(client.ack(), "a", "ack")
    big = sluice.connect()
    try:
        big.send(forward.forward("t", [(T, {"serial": 1, "text": text + text})], {"chunk": "b"}))
        big.wait_closed()
    except Closed:
        pass
    assert b"ack" not in big.received
    sluice.wait_log(r"forward\.max_chunk")
    client.send(forward.message("t", (T, {"serial": 2}), {"chunk": "c"}))
    equal(client.ack(), "c", "ack")
    records = sluice.wait_file_records(2)
    equal(serials(records), [0, 2], "serials")
    equal(records[0]["attributes"]["text"], text, "the large field")


@limit(90)
def test_chunk_of_many_frames(ctx):
    """One gzip chunk whose records fill several frames and requests."""
    server = ctx.otlp()
    sluice = ctx.sluice(otlp=server, options={"otlp.max_request": "1M"})
    count = 12000
    rng = random.Random(1)
    data = forward.entries([(T, {"serial": s, "text": rng.randbytes(150).hex()})
                            for s in range(count)])
    client = sluice.connect()
    client.send(forward.packed("t", data, {"chunk": "big", "size": count}, compress=True))
    equal(client.ack(), "big", "ack")
    server.wait_records(count, 60)
    sluice.stop()
    equal(serials(server.records), list(range(count)), "serials")
    assert len(server.requests) > 3, len(server.requests)


@limit(90)
def test_acks_not_read(ctx):
    """A client that writes and does not read holds up itself alone; all its acks come, in order."""
    sluice = ctx.sluice()
    count = 10000                       # their acks are more than the sockets' buffers take
    slow = sluice.connect(timeout=60)
    writer = threading.Thread(daemon=True, target=lambda: slow.send(b"".join(
        forward.message("t", (T, {"serial": s}), {"chunk": "%01000d" % s}) for s in range(count))))
    writer.start()
    other = sluice.connect()
    for serial in range(20):
        other.send(forward.message("t", (T, {"serial": count + serial}), {"chunk": "x"}))
        other.ack()
    got, unpacker = 0, msgpack.Unpacker(raw=False)
    while got < count:
        unpacker.feed(slow.sock.recv(65536))
        for value in unpacker:
            equal(value, {"ack": "%01000d" % got}, "ack")
            got += 1
    writer.join(10)
    equal(serials(sluice.wait_file_records(count + 20)), list(range(count + 20)), "serials")


@cases("array32", "bin32", "map32", "c1", "http")
def test_hostile_header(ctx, case):
    """Headers that promise 4 GiB take no memory; what is not the protocol ends its connection."""
    sluice = ctx.sluice()
    hostile = {"array32": b"\xdd\xff\xff\xff\xff", "bin32": b"\x93\xa1t\xc6\xff\xff\xff\xff",
               "map32": b"\x94\xa1t\x00\xdf\xff\xff\xff\xff", "c1": b"\xc1\xc1\xc1",
               "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"}[case]
    clients = [sluice.connect() for _ in range(20)]
    for client in clients:
        try:
            client.send(hostile + b"\0" * 100)
        except Closed:
            pass
    good = sluice.connect()
    good.send(forward.message("t", (T, {"serial": 0}), {"chunk": "a"}))
    equal(good.ack(), "a", "ack")
    with open("/proc/%d/status" % sluice.pid("receiver")) as f:
        status = dict(line.split(":", 1) for line in f)
    assert int(status["VmRSS"].split()[0]) < 300 * 1024, status["VmRSS"]
    equal(serials(sluice.wait_file_records(1)), [0], "serials")


# ---- the handshake --------------------------------------------------------------------------

KEY = "an elephant never forgets"


def secured(ctx, **options):
    return ctx.sluice(env={"FLUENTD_SHARED_KEY": KEY}, options=options)


@cases("whole", "bytes")
def test_handshake(ctx, case):
    sluice = secured(ctx)
    client = sluice.connect()
    helo = client.helo()
    assert len(helo["nonce"]) >= 16 and helo.get("keepalive", True) is True, helo
    client.send(client.ping(helo, KEY), case)
    client.pong(helo, KEY)
    client.send(forward.message("t", (T, {"serial": 0}), {"chunk": "a"}), case)
    equal(client.ack(), "a", "ack")
    other = sluice.connect()
    assert other.helo()["nonce"] != helo["nonce"], "the nonce is the same on two connections"
    sluice.wait_file_records(1)
    assert len(client.segments) == 3, "HELO, PONG and the ack go out in one write each"


def test_handshake_raw_salt(ctx):
    """Fluent Bit's salt: 16 raw bytes as str, no UTF-8."""
    sluice = secured(ctx)
    client = sluice.connect()
    helo = client.helo()
    salt = bytes(range(0x80, 0x90))
    client.send(client.ping(helo, KEY, salt))
    client.pong(helo, KEY, salt)


def test_message_behind_ping(ctx):
    """The first message need not wait for PONG."""
    sluice = secured(ctx)
    client = sluice.connect()
    helo = client.helo()
    client.send(client.ping(helo, KEY) + forward.message("t", (T, {"serial": 0}), {"chunk": "a"}))
    client.pong(helo, KEY)
    equal(client.ack(), "a", "ack")
    equal(serials(sluice.wait_file_records(1)), [0], "serials")


@cases("wrong key", "no digest", "no ping", "data instead")
def test_handshake_refused(ctx, case):
    """Refused with PONG false and closed; what follows is not stored."""
    sluice = secured(ctx)
    client = sluice.connect()
    helo = client.helo()
    data = forward.message("t", (T, {"serial": 0}), {"chunk": "a"})
    if case == "wrong key":
        client.send(client.ping(helo, KEY + "!") + data)
    elif case == "no digest":
        client.send(forward.pack(["PING", "client.example", "salt", "", "", ""]) + data)
    elif case == "no ping":
        client.send(forward.pack(["PONG", 1]) + data)
    else:
        client.send(data + data)
    client.wait_closed()
    if case in ("wrong key", "no digest"):
        equal(client.receive(0.1), ["PONG", False, "shared_key mismatch", "", ""], "PONG")
    assert b"\xa3ack" not in client.received
    good = sluice.connect(key=KEY)
    good.send(forward.message("t", (T, {"serial": 1}), {"chunk": "b"}))
    equal(good.ack(), "b", "ack")
    equal(serials(sluice.wait_file_records(1)), [1], "serials")


def test_handshake_timeout(ctx):
    """A client that says nothing is disconnected after forward.handshake_timeout."""
    sluice = secured(ctx, **{"forward.handshake_timeout": "300ms"})
    silent = sluice.connect()
    silent.helo()
    silent.wait_closed(15)


# ---- fixtures -------------------------------------------------------------------------------

def test_two_tags(ctx):
    """Equal records under two tags, one chunk id: both chunks are stored."""
    sluice = ctx.sluice()
    client = sluice.connect()
    client.send(ctx.fixture("flb-same-chunk.bin"))
    first, second = client.ack(), client.ack()
    equal(first, second, "the ids in the capture")
    records = sluice.wait_file_records(6)
    sluice.stop()
    records = sluice.wait_file_records(6)
    bodies = collections.Counter((r["body"], r["time"]) for r in records)
    equal(sorted(bodies.values()), [2, 2, 2], "each record twice, under its two tags")
