"""Every stream that a real client sent (captures/), against the real program: exactly its acks,
byte for byte, and exactly its events, each with all that it says (otlp_expect.py); in one write,
in writes of one byte, and in random pieces."""
import collections
import hashlib
import json
import random
import re
import socket
import time

import msgpack

import forward
import otlp_decode
import otlp_expect
import streams

from harness import cases, equal, limit, wait_until
from test_resend import Stopped, taken_by_receiver

KEY = "s3cret-key-A"
SEED = 20240115


def pieces(stream, data, cut, rng):
    """`data` as it is written. Of more than 64 KB "bytes" has only the first and the last 4 KB, and
    8 bytes on both sides of each message's end, byte by byte, the rest in random pieces."""
    if cut == "whole":
        yield data
        return
    large = len(data) > 65536
    single = None
    if cut == "bytes" and large:
        single = set(range(4096)) | set(range(len(data) - 4096, len(data)))
        for border in stream.borders:
            single.update(range(border - 8, border + 8))
    longest = 200 if not large else len(data) // 100
    at = 0
    while at < len(data):
        if cut == "bytes" and (single is None or at in single):
            n = 1
        else:
            n = rng.randint(1, longest)
            if single is not None:              # up to the next byte that goes alone
                n = next((i for i in range(1, n) if at + i in single), n)
        yield data[at:at + n]
        at += n


class Replay:
    """A sluiced with the file output, and a client beside that marks where a stream ends: what is
    in the file before the mark came from the streams before it."""

    def __init__(self, ctx, ping=None, **kw):
        self.sluice = ctx.sluice(**kw)
        self.rng = random.Random(SEED)
        self.offset = 0
        self.serial = 0
        self.side = self.sluice.connect()
        if ping is not None:
            helo = self.side.helo()
            self.side.send(ping.with_ping(helo)[:ping.borders[0]])
            assert self.side.receive()[1] is True, "the mark's own handshake"

    def mark(self):
        """The records that came since the last mark, but those of a load client beside. Everything
        sent before must have been read."""
        self.serial += 1
        # The first one may share a batch with what came before, in any order; the second cannot.
        for tag in ("mark.%d.first" % self.serial, "mark.%d.second" % self.serial):
            self.side.send(forward.message(tag, (1, {"serial": self.serial}), {"chunk": tag}))
            equal(self.side.ack(), tag, "the mark's ack")
        text = b""

        def seen():
            nonlocal text
            text = self.sluice.file_bytes()
            return text.endswith(b"\n") and tag.encode() in text[self.offset:]
        wait_until(seen, 30, "the mark in the file", pause=0.005)
        records = otlp_decode.decode_lines(text[self.offset:])
        self.offset = len(text)
        return [r for r in records
                if not re.match(r"mark\.\d+\.|load\.test\Z", otlp_expect.tag_of(r))]

    def send(self, client, stream, data, cut):
        try:
            for piece in pieces(stream, data, cut, self.rng):
                client.sock.sendall(piece)
        except (BrokenPipeError, ConnectionResetError) as e:
            raise forward.Closed(str(e))

    def run(self, stream, cut, key=None):
        """Sends it, half-closes, waits for the server's close. Returns (all that the server said
        after its PONG, PONG or None, the records, the window of receipt)."""
        start = time.time_ns()
        client = self.sluice.connect(timeout=60)
        data, pong = stream.data, None
        if stream.handshake:
            helo = client.helo()
            data = stream.with_ping(helo, key)
        try:
            self.send(client, stream, data, cut)
            client.sock.shutdown(socket.SHUT_WR)
        except (forward.Closed, OSError):
            assert stream.handshake, "%s: closed before all was sent" % stream
        client.wait_closed()
        if stream.handshake:
            pong = client.receive(1)
            if pong[1] is True:
                check_pong(stream, helo, pong)
        records = self.mark()
        client.close()
        return client.received, pong, records, (start, time.time_ns())


def check_pong(stream, helo, pong):
    _, host, salt, *_ = msgpack.unpackb(stream.data[:stream.borders[0]], raw=True)
    equal(pong[:3], ["PONG", True, ""], "PONG")
    assert pong[3] != host.decode(), "the server has the client's name"
    want = hashlib.sha512(salt + pong[3].encode() + helo["nonce"] + KEY.encode()).hexdigest()
    equal(pong[4], want, "PONG's digest")


def replay_all(replay, chosen, cut):
    """Raises with all that is wrong, of all streams."""
    wrong = []
    for stream in chosen:
        acks, pong, records, window = replay.run(stream, cut)
        if pong is not None and pong[1] is not True:
            wrong.append("%s: %r" % (stream, pong))
        if acks != stream.ack_bytes:
            wrong.append("%s: acks %.200r, want %.200r" % (stream, acks, stream.ack_bytes))
        wrong += ["%s: %s" % (stream, said) for said in
                  otlp_expect.compare(otlp_expect.logs(stream.events), records, window, 2)]
    assert not wrong, "%d faults (seed %d):\n%s" % (len(wrong), SEED, "\n".join(wrong[:12]))


def check_quiet(sluice):
    """What real clients send is no reason for a warning."""
    loud = [line for line in sluice.log() if line.get("level") not in ("debug", "info")]
    assert not loud, "%d lines, as %s" % (len(loud), loud[:3])


def is_resent(stream):
    return any(stream in run for run in streams.resent().values())


@limit(120)
@cases("whole", "bytes", "random")
def test_streams(ctx, case):
    """All without a handshake, one after the other, into one sluiced: so those that are no resends,
    though they share chunk ids (the go-* files, the ones with TRAP), are all stored."""
    chosen = [s for s in streams.all()
              if not s.handshake and not is_resent(s) and s.name != "flb-big"]
    assert len(chosen) > 90, len(chosen)
    replay = Replay(ctx)
    replay_all(replay, chosen, case)
    check_quiet(replay.sluice)
    replay.sluice.stop()
    ctx.note("%d streams, %d bytes, seed %d" % (
        len(chosen), sum(len(s.data) for s in chosen), SEED))


@limit(90)
def test_protobuf(ctx):
    """The same streams, delivered in OTLP/HTTP to a strict server and beside it to the file: the
    protobuf and its JSON say the same of every record."""
    server = ctx.otlp()
    sluice = ctx.sluice(otlp=server, file=True)
    chosen = [s for s in streams.all()
              if not s.handshake and not is_resent(s) and s.name != "flb-big"]
    for stream in chosen:
        with sluice.connect(timeout=60) as client:
            client.send(stream.data)
            client.sock.shutdown(socket.SHUT_WR)
            client.wait_closed()
    least = sum(len([e for e in otlp_expect.logs(s.events) if not e.get("maybe")]) for s in chosen)
    server.wait_records(least)
    sluice.stop()
    records = otlp_decode.decode_lines(sluice.file_bytes())
    assert len(records) >= least, "%d records in the file, want %d" % (len(records), least)
    said = [collections.Counter(repr(canonical(r)) for r in side)
            for side in (server.records, records)]
    assert said[0] == said[1], "protobuf and JSON differ: %s" % [
        list((said[i] - said[1 - i]))[:2] for i in range(2)]
    ctx.note("%d records, %d requests" % (len(records), len(server.requests)))


def canonical(value):
    """The order of attributes is nobody's."""
    if isinstance(value, dict):
        return sorted((k, canonical(v)) for k, v in value.items())
    return [canonical(v) for v in value] if isinstance(value, list) else value


@limit(240)
def test_big(ctx):
    """8 MB in 77 messages, 66,000 equal records in one of them; each cut gives the same."""
    stream = streams.get("flb-big")
    want = None
    for cut in ("whole", "bytes", "random"):
        replay = Replay(ctx, name=cut)
        acks, _, records, window = replay.run(stream, cut)
        equal(acks, stream.ack_bytes, "acks, " + cut)
        equal(len(records), len(stream.events), "records, " + cut)
        said = collections.Counter(repr((r["time"], r["severity"], r["body"], r["trace_id"],
                                         sorted(r["attributes"].items()), otlp_expect.tag_of(r)))
                                   for r in records)
        if want is None:
            want = said
            wrong = otlp_expect.compare(otlp_expect.logs(stream.events), records, window)
            assert not wrong, "\n".join(wrong)
        assert said == want, "other records than in one write: %r" % list(
            ((said - want) + (want - said)).items())[:3]
        check_quiet(replay.sluice)
        replay.sluice.stop()


# ---- with a key ---------------------------------------------------------------------------------

def keyed(user):
    return [s for s in streams.all() if s.handshake and "wrong" not in s.name
            and bool(s.handshake["user"]) == user]


@limit(90)
@cases("whole", "bytes", "random")
def test_key(ctx, case):
    """Their PING made for this server's nonce, the rest as it was, right behind it."""
    chosen = keyed(False)
    assert len(chosen) >= 11, chosen
    replay = Replay(ctx, ping=chosen[0], env={"FLUENTD_SHARED_KEY": KEY})
    replay_all(replay, chosen, case)
    check_quiet(replay.sluice)
    replay.sluice.stop()


@limit(90)
@cases("whole", "bytes", "random")
def test_key_and_user(ctx, case):
    chosen = keyed(True)
    assert len(chosen) == 5, chosen
    hand = chosen[0].handshake
    users = [{"name": hand["user"], "password": hand["password"]}]
    replay = Replay(ctx, ping=chosen[0], env={"FLUENTD_SHARED_KEY": KEY,
                                              "SLUICE_FORWARD_USERS": json.dumps(users)})
    replay_all(replay, chosen, case)
    check_quiet(replay.sluice)
    replay.sluice.stop()


@cases("whole", "bytes")
def test_wrong_key(ctx, case):
    """What Fluent Bit sent with a key that the server does not have: PONG false, nothing stored."""
    wrong = [s for s in streams.all() if s.handshake and "wrong" in s.name]
    equal(len(wrong), 3, "streams")
    replay = Replay(ctx, ping=keyed(False)[0], env={"FLUENTD_SHARED_KEY": KEY})
    for stream in wrong + [keyed(False)[0]]:
        rest, pong, records, _ = replay.run(stream, case, key="another")
        equal(pong, ["PONG", False, "shared_key mismatch", "", ""], "%s: PONG" % stream)
        equal(rest, b"", "%s: what followed" % stream)
        equal(records, [], "%s: records" % stream)
    replay.sluice.stop()


# ---- resends, and what looks like them ----------------------------------------------------------

@cases(*streams.resent())
def test_resend(ctx, case):
    """The connections of the run in order; all but the last end before their ack is out. What is in
    more than one of them is stored once, and the last one gets all of its acks."""
    run = streams.resent()[case]
    replay = Replay(ctx)
    sluice = replay.sluice
    start = time.time_ns()
    with Stopped(sluice):
        for stream in run[:-1]:
            client = sluice.connect()
            client.send(stream.data)
            wait_until(lambda: taken_by_receiver(sluice, client), 10, "the receiver reads")
            if stream.row["recorder_policy"].startswith("skip"):
                client.close()                  # the client gave up waiting
            else:
                client.reset()
        last = sluice.connect()
        last.send(run[-1].data)
        wait_until(lambda: taken_by_receiver(sluice, last), 10, "the receiver reads")
    last.sock.shutdown(socket.SHUT_WR)
    last.wait_closed()
    equal(last.received, run[-1].ack_bytes, "acks")
    wrong = otlp_expect.compare(otlp_expect.logs(run[-1].events), replay.mark(),
                                (start, time.time_ns()))
    assert not wrong, "\n".join(wrong)
    chunks = sum(len(s.row["acks"]) for s in run[:-1])
    equal(sluice.metric("chunks_resent_total"), chunks, "chunks that were known")
    sluice.stop()


@limit(90)
def test_shared_ids(ctx):
    """All streams with chunk ids that others have too, or twice, on open connections, at once: they
    are no resends, all is stored, all is acknowledged."""
    chosen = [s for s in streams.all() if s.name in (
        "flb-same-chunk", "flb-same-chunk-twice", "node-resend", "go-chunk-left", "go-chunk-right",
        "go-ack", "go-ack-async", "go-resend.2")]
    equal(len(chosen), 8, "streams")
    replay = Replay(ctx)
    start = time.time_ns()
    clients = [replay.sluice.connect() for _ in chosen]
    for stream, client in zip(chosen, clients):
        client.send(stream.data)
    for stream, client in zip(chosen, clients):
        client.wait_data(20, len(stream.ack_bytes))
        equal(client.received, stream.ack_bytes, "%s: acks" % stream)
    events = [e for s in chosen for e in otlp_expect.logs(s.events)]
    wrong = otlp_expect.compare(events, replay.mark(), (start, time.time_ns()))
    assert not wrong, "\n".join(wrong)
    equal(replay.sluice.metric("chunks_resent_total"), 0, "chunks taken for resends")
    replay.sluice.stop()


# ---- what is no log -----------------------------------------------------------------------------

def test_other_signals(ctx):
    """Metrics and traces: acknowledged where that is asked for, counted, nothing delivered."""
    chosen = [s for s in streams.all() if s.row.get("signals")]
    assert len(chosen) >= 4, chosen
    replay = Replay(ctx)
    messages = 0
    for stream in chosen:
        acks, _, records, _ = replay.run(stream, "whole")
        equal(acks, stream.ack_bytes, "%s: acks" % stream)
        equal(records, [], "%s: records" % stream)
        messages += stream.row["messages"]
    counted = replay.sluice.metric("chunks_other_signal_total") + \
        replay.sluice.metric("messages_ignored_total")
    equal(counted, messages, "messages counted as other signals")
    replay.sluice.stop()


def test_heartbeat(ctx):
    """Fluentd's: a connection without a byte. No line in the log, no protocol error."""
    replay = Replay(ctx)
    stream = streams.get("fd-heartbeat-empty")
    before = replay.sluice.stderr()
    for _ in range(20):
        said, _, records, _ = replay.run(stream, "whole")
        equal((said, records), (b"", []), "what came of it")
    equal(replay.sluice.stderr(), before, "the log")
    equal(replay.sluice.metric("protocol_errors_total"), 0, "protocol errors")
    replay.sluice.stop()
