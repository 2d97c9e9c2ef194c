"""Hostile streams (captures/malformed/): each does what its row in the index allows and leaves one
clear line in the log; no process ends for it, no memory stays, and nobody else notices."""
import os
import random
import re
import socket
import time
import zlib

import msgpack

import forward
import otlp_expect
import streams

from harness import STAGES, cases, equal, limit, wait_until
from test_captures import KEY, Replay

MB = 1 << 20
T = forward.event_time(1700000000, 1)

# What the line must say, where the index asks for one; and how many messages of the stream are bad,
# where it is more than one: each may have its line.
SAYS = {
    "chunk-1mb": "chunk id", "data-before-ping": "handshake", "gzip-bad-crc": "gzip",
    "gzip-bomb": "16777216", "gzip-garbage-after": "gzip", "gzip-not-gzip": "gzip",
    "gzip-unterminated": "gzip", "http-request": "HTTP request on the forward port",
    "huge-array32": r"\d{10}.*forward\.max_chunk = \d+",
    "huge-bin32": r"\d{10}.*forward\.max_chunk = \d+",
    "huge-map32": r"\d{10}.*forward\.max_chunk = \d+",
    "huge-str32": r"\d{10}.*forward\.max_chunk = \d+",
    "json-not-forward": "JSON", "option-not-a-map": "option", "option-odd-values": "compressed",
    "ping-extra": "handshake", "ping-short": "handshake",
    "ping-wrong-digest": "shared_key mismatch", "reserved-c1": "0xc1", "tag-1mb": "tag",
    "tls-clienthello": "TLS on the plain port",
    "wrong-entries": "app.hostile", "wrong-record": "app.hostile", "wrong-tag": "tag",
    "wrong-toplevel": "no message", "zstd-bomb": "16777216", "zstd-window-and-cut": "zstd",
}
BAD_MESSAGES = {"option-not-a-map": 2, "option-odd-values": 3, "wrong-metadata": 5,
                "wrong-record": 3, "zstd-window-and-cut": 3}
# Rows that say that nothing of the damaged message is stored.
NOTHING_ELSE = ("data-before-ping", "gzip-unterminated", "ping-extra", "ping-short",
                "ping-wrong-digest", "truncated-packed", "truncated-record", "truncated-tag")
PONG = {"ping-wrong-digest": "shared_key mismatch", "ping-short": "invalid ping message",
        "ping-extra": "invalid ping message"}


def pids(sluice):
    return {(s["name"], s["index"]): s["pid"] for s in sluice.status()["stages"]}


def peaks(sluice):
    """The most memory that each stage has had so far, in bytes."""
    out = {}
    for (name, _), pid in pids(sluice).items():
        if name in STAGES:
            with open("/proc/%d/status" % pid) as f:
                found = re.search(r"VmHWM:\s+(\d+) kB", f.read())
            out[name] = max(out.get(name, 0), int(found.group(1)) * 1024)
    return out


def is_sanitized(ctx):
    with open(os.path.join(ctx.build, "processor", "sluice-processor"), "rb") as f:
        return b"__asan_init" in f.read()


def check_clean(log):
    """No byte in the log that moves a terminal's cursor, and nothing but UTF-8."""
    text = log.decode("utf-8")
    bad = re.findall(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", text)
    assert not bad, "control characters in the log: %r" % bad[:5]


def hostile(replay, stream):
    """Sends it as it is and half-closes. Returns (what the server said, records, window)."""
    start = time.time_ns()
    client = replay.sluice.connect(timeout=30)
    try:
        client.sock.sendall(stream.data)
        client.sock.shutdown(socket.SHUT_WR)
    except OSError:
        pass                            # closed before it had read all: that is allowed
    client.wait_closed()
    if stream.handshake:
        helo = client.receive(1)
        equal(helo[0], "HELO", "%s: the first message" % stream)
    records = replay.mark()
    return client.received, records, (start, time.time_ns())


def check_records(stream, records, window):
    """All of `must`; others of `may`; what else there is belongs to the damaged message."""
    left = list(records)
    for event in otlp_expect.logs(stream.events):
        best = None
        for index, record in enumerate(left):
            said = otlp_expect.check(event, record, window)
            if not said:
                del left[index]
                break
            best = said if best is None or len(said) < len(best) else best
        else:
            assert event.get("may"), "%s: %.100r did not arrive: %s" % (
                stream, event["record"], best)
    others = [r for r in left if otlp_expect.tag_of(r) != "app.hostile"]
    assert not others, "%s: what nobody sent: %.300r" % (stream, others[0])
    assert not left or stream.name not in NOTHING_ELSE, "%s: stored %.300r" % (stream, left[0])


def check_acks(stream, said):
    """Acks of ids that it sent, as it sent them, each once; no long answer."""
    assert len(said) < 1024, "%s: %d bytes for an answer" % (stream, len(said))
    unpacker = msgpack.Unpacker(raw=True)
    unpacker.feed(said)
    ids = [answer[b"ack"] for answer in unpacker]
    for id in ids:
        assert b"\xa5chunk" + msgpack.packb(id) in stream.data or \
            b"\xa5chunk" + msgpack.packb(id.decode()) in stream.data, "%s: acked %r" % (stream, id)
    equal(len(set(ids)), len(ids), "%s: acks, each once" % stream)


def check_line(stream, log):
    lines = [l for l in log.decode("utf-8").splitlines() if '"level":"info"' not in l]
    assert len(lines) <= BAD_MESSAGES.get(stream.name, 1), "%s: %d lines: %s" % (
        stream, len(lines), lines)
    want = SAYS.get(stream.name)
    assert want is None or lines and all(re.search(want, l) for l in lines), \
        "%s: no line that says %r: %r" % (stream, want, lines)
    assert all(len(l) < 600 for l in lines), "%s: a line of %d bytes" % (
        stream, max(map(len, lines)))


@limit(120)
@cases("open", "key")
def test_streams(ctx, case):
    """All of them, while another client keeps sending with acks. Where the server asks for a key,
    every stream is refused in the handshake."""
    key = KEY if case == "key" else None
    replay = Replay(ctx, ping=streams.get("flb-sharedkey") if key else None,
                    env={"FLUENTD_SHARED_KEY": KEY} if key else {},
                    options={"processor.max_decompressed": "16M"})
    sluice = replay.sluice
    other = sluice.load(rate=1000, key=key)
    other.progress(100)
    running = pids(sluice)
    wrong = []
    for stream in streams.malformed():
        if case == "open" and stream.handshake:
            continue
        try:
            before = len(sluice.stderr())
            stream.handshake = bool(key)
            said, records, window = hostile(replay, stream)
            log = sluice.stderr()[before:]
            check_clean(log)
            if key:
                equal(records, [], "%s: records" % stream)
                assert said == b"" or said.startswith(b"\x95\xa4PONG\xc2"), "%s: %r" % (
                    stream, said)
                assert stream.name not in PONG or PONG[stream.name].encode() in said, said
                assert log.count(b"\n") <= 1, log
            else:
                check_records(stream, records, window)
                check_acks(stream, said)
                check_line(stream, log)
            other.progress(10)
            equal(pids(sluice), running, "%s: the stages' pids" % stream)
        except (AssertionError, TimeoutError) as e:
            wrong.append(str(e)[:500])
    assert not wrong, "%d streams:\n%s" % (len(wrong), "\n".join(wrong))
    other.finish()
    replay.mark()
    tally = forward.Tally((forward.serial_of(r) for r in sluice.wait_file_records(
        other.sent_records) if otlp_expect.tag_of(r) == "load.test"), [other])
    tally.check()
    equal((other.broken, other.connects), (0, 1), "the other client's broken connections, connects")
    ctx.note("peaks: %s" % {n: "%d MB" % (p / MB) for n, p in peaks(sluice).items()})
    sluice.stop()


# ---- memory -------------------------------------------------------------------------------------

BOMBS = ("gzip-bomb", "zstd-bomb", "zstd-window-and-cut", "gzip-5000-members", "deep-nesting",
         "huge-array32", "huge-bin32", "huge-map32", "huge-str32", "chunk-1mb", "tag-1mb",
         "tags-2000")


@limit(120)
@cases("16M", "256M")
def test_memory(ctx, case):
    """processor.max_decompressed bounds what a bomb takes, and 64 MB do for everything else.
    What was sent three times takes no more than once."""
    replay = Replay(ctx, options={"processor.max_decompressed": case})
    sluice = replay.sluice
    bombs = [s for s in streams.malformed() if s.name in BOMBS]
    equal(len(bombs), len(BOMBS), "streams")
    base = peaks(sluice)
    for _ in range(3 if case == "16M" else 1):
        for stream in bombs:
            hostile(replay, stream)
    top = peaks(sluice)
    ctx.note("peaks in MB, before and after: %s" % ", ".join("%s %d %d" % (
        n, base[n] / MB, top[n] / MB) for n in STAGES))
    # The sanitizers' shadow, redzones and quarantine of freed memory come on top.
    budget = (64 + int(case[:-1]) + (1024 if is_sanitized(ctx) else 0)) * MB
    assert top["processor"] < budget, "processor: %d MB" % (top["processor"] / MB)
    for name in ("receiver", "shipper"):
        assert top[name] - base[name] < (64 + 192 * is_sanitized(ctx)) * MB, "%s: %d MB" % (
            name, top[name] / MB)
    sluice.stop()


@limit(90)
def test_half_bombs(ctx):
    """Connections that promise much and stop: headers of 4 GiB, and messages of 15 MB without their
    end. They hold what they sent and no more, under receiver.memory; others are served."""
    sluice = ctx.sluice(options={"receiver.memory": "64M"})
    base = peaks(sluice)["receiver"]
    clients = [sluice.connect() for _ in range(12)]
    for number, client in enumerate(clients):
        client.sock.settimeout(0.05)
        data = b"\x92\xa1t\xc6" + (15 * MB).to_bytes(4, "big") + bytes(14 * MB)
        try:
            for at in range(0, len(data), 65536):
                client.sock.sendall(data[at:at + 65536])
        except socket.timeout:
            pass                        # it is not read any more: its share is used up
    top = peaks(sluice)["receiver"]
    ctx.note("receiver: %d MB before, %d MB after" % (base / MB, top / MB))
    assert top - base < (96 + 192 * is_sanitized(ctx)) * MB, "receiver: %d MB" % (top / MB)
    for client in clients:
        client.reset()
    good = sluice.connect()
    good.send(forward.message("t", (T, {"serial": 0}), {"chunk": "a"}))
    equal(good.ack(), "a", "ack")
    sluice.wait_file_records(1)


# ---- what is no stream of bytes -----------------------------------------------------------------

STALLED = ("flb-gzip", "fd-gzip-ack", "go-ack", "flb-relay-rich")


@limit(90)
def test_stops_inside(ctx):
    """Clients that stop inside a message and stay: nothing of it is stored, others are served; when
    they go on, nothing is missing."""
    replay = Replay(ctx)
    rng = random.Random(1)
    waiting = []
    start = time.time_ns()
    for name in STALLED:
        stream = streams.get(name)
        for _ in range(10):
            client = replay.sluice.connect()
            at = rng.randrange(1, stream.borders[0])
            client.sock.sendall(stream.data[:at])
            waiting.append((client, stream, at))
    equal(replay.mark(), [], "records of half a message")
    one = waiting[::10]
    for client, stream, at in waiting:
        if (client, stream, at) not in one:
            client.close()
    for client, stream, at in one:
        client.sock.sendall(stream.data[at:])
        client.sock.shutdown(socket.SHUT_WR)
        client.wait_closed()
        equal(client.received, stream.ack_bytes, "%s: acks" % stream)
        wrong = otlp_expect.compare(otlp_expect.logs(stream.events), replay.mark(),
                                    (start, time.time_ns()))
        assert not wrong, "\n".join(wrong)
    replay.sluice.stop()


@limit(90)
def test_byte_by_byte(ctx):
    """A hundred clients that send a byte at a time, in turns; all is stored and acknowledged."""
    sluice = ctx.sluice()
    clients = [sluice.connect() for _ in range(100)]
    data = [forward.packed("t", [(T, {"serial": n})], {"chunk": "%05d" % n}, compress=n % 2 == 0)
            for n in range(len(clients))]
    for at in range(max(map(len, data))):
        for client, message in zip(clients, data):
            if at < len(message):
                client.sock.sendall(message[at:at + 1])
    for number, client in enumerate(clients):
        equal(client.ack(), "%05d" % number, "ack")
    equal(sorted(r["attributes"]["serial"] for r in sluice.wait_file_records(100)),
          list(range(100)), "serials")


@limit(90)
def test_never_reads_acks(ctx):
    """It sends for ever and never reads: it is held up alone, its acks take a bounded memory, and
    another client's acks keep coming."""
    sluice = ctx.sluice()
    base = peaks(sluice)["receiver"]
    deaf = sluice.connect()
    deaf.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.sock.settimeout(1)
    message = forward.message("deaf", (T, {"n": 1}), {"chunk": "x" * 1000}) * 50
    sent = 0
    try:
        while sent < 64 * MB:
            deaf.sock.sendall(message)
            sent += len(message)
    except socket.timeout:
        pass
    assert sent < 64 * MB, "it was never held up"
    other = sluice.load(rate=1000)
    other.progress(500)
    other.finish()
    equal(other.connects, 1, "connects")
    top = peaks(sluice)["receiver"]
    ctx.note("held up after %d KB; receiver %d MB before, %d MB after" % (
        sent / 1024, base / MB, top / MB))
    assert top - base < (96 + 128 * is_sanitized(ctx)) * MB, "receiver: %d MB" % (top / MB)
    deaf.reset()
    again = sluice.connect()
    again.send(forward.message("t", (T, {"n": 1}), {"chunk": "a"}))
    equal(again.ack(), "a", "ack")


# ---- poison and the log -------------------------------------------------------------------------

FORGED = "../../etc/passwd\n[error] forged \x1b[31m\x9b2J\u2028\x07 \x00end"


@cases("json", "text")
def test_forged_tag(ctx, case):
    """Control characters of a tag, in chunks that make lines: none reaches the log as it is.
    Such a chunk is quarantined and acknowledged, or its client would send it for ever."""
    replay = Replay(ctx, options={"log.format": case})
    sluice = replay.sluice
    before = len(sluice.stderr())
    for tag in (FORGED, b"\xff\xfe\x1b[2J\n".decode("latin-1"), "\x1b" * 300):
        for number, data in enumerate((b"\xc1", zlib.compress(b"x"), b"\x92")):
            id = "%d" % number
            client = sluice.connect()
            client.send(forward.pack([tag, data, {"chunk": id, "compressed": "gzip"}]))
            equal(client.ack(), id, "ack")
    client = sluice.connect()
    client.send(forward.pack([b"\xff\n\x1b[2J", b"\x1f\x8b", {"chunk": "b"}]))
    equal(client.ack(), "b", "ack")
    equal(replay.mark(), [], "records")
    log = sluice.stderr()[before:]
    assert log.count(b"\n") == 10, log
    check_clean(log)
    assert not re.search(rb"^\[error\]", log, re.M), log
    equal(len(sluice.quarantine()) >= 10, True, "ten files in quarantine")
    for path in sluice.quarantine():
        assert path.isprintable(), path
    equal(sluice.metric("chunks_quarantined_total"), 10, "chunks in quarantine")
    sluice.stop()
