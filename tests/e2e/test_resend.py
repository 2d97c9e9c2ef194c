"""A chunk that is sent again is stored once; what only looks like one is stored twice."""
import os
import signal

import msgpack

import forward

from harness import cases, equal, limit, wait_until

T = forward.event_time(1700000000, 1)


def chunk(first, count=3, id="AAECAwQFBgcICQoLDA0ODw==", tag="t"):
    events = [(T, {"serial": s}) for s in range(first, first + count)]
    return forward.packed(tag, events, {"chunk": id, "size": count})


def serials(records):
    return sorted(r["attributes"]["serial"] for r in records)


def taken_by_receiver(sluice, client):
    """Whether the receiver has read all that was sent: nothing waits in its socket's queue."""
    mine = client.sock.getsockname()[1]
    with open("/proc/net/tcp") as f:
        for line in list(f)[1:]:
            fields = line.split()
            local, remote = (int(a.split(":")[1], 16) for a in fields[1:3])
            tx, rx = (int(q, 16) for q in fields[4].split(":"))
            if (local, remote) == (sluice.port, mine) and rx:
                return False
            if (local, remote) == (mine, sluice.port) and tx:
                return False
    return True


class Stopped:
    """A stage held with SIGSTOP; the processor: chunks are taken by the receiver, but not
    acknowledged."""

    def __init__(self, sluice, stage="processor"):
        self.pid = sluice.pid(stage)

    def __enter__(self):
        os.kill(self.pid, signal.SIGSTOP)
        wait_until(lambda: open("/proc/%d/stat" % self.pid).read().rpartition(")")[2].split()[0]
                   == "T", 10, "the stage stops")

    def __exit__(self, *_):
        os.kill(self.pid, signal.SIGCONT)


@cases("reset", "close")
def test_new_connection(ctx, case):
    """The first connection ends before its ack: the same chunk on a new one is acknowledged and
    stored once."""
    sluice = ctx.sluice()
    first = sluice.connect()
    with Stopped(sluice):
        first.send(chunk(0))
        wait_until(lambda: taken_by_receiver(sluice, first), 10, "the receiver reads")
        first.reset() if case == "reset" else first.close()
        second = sluice.connect()
        second.send(chunk(0))
        wait_until(lambda: taken_by_receiver(sluice, second), 10, "the receiver reads")
    equal(second.ack(), "AAECAwQFBgcICQoLDA0ODw==", "ack")
    second.send(chunk(10, id="other"))
    second.ack()
    sluice.stop()
    equal(serials(sluice.wait_file_records(6)), [0, 1, 2, 10, 11, 12], "serials")


@cases("reset", "close")
def test_gave_up_before_it_was_read(ctx, case):
    """The receiver was away for longer than the clients wait for an ack: it finds every connection
    with its successor behind it, all at once. Each chunk is stored once."""
    sluice = ctx.sluice()
    count = 30
    with Stopped(sluice, "receiver"):
        for i in range(count):
            for _ in range(2):
                gone = sluice.connect()
                gone.send(chunk(i * 3, id=str(i)))
                gone.reset() if case == "reset" else gone.close()
        last = [sluice.connect() for _ in range(count)]
        for i, client in enumerate(last):
            client.send(chunk(i * 3, id=str(i)))
    for i, client in enumerate(last):
        equal(client.ack(), str(i), "ack")
    sluice.stop()
    equal(serials(sluice.wait_file_records(count * 3)), list(range(count * 3)), "serials")


@limit(90)
def test_again_and_again(ctx):
    """Resets at any moment, twenty chunks, each sent until it is acknowledged: each stored once."""
    sluice = ctx.sluice()
    for i in range(20):
        data = chunk(i * 3, id=forward.chunk_id())
        for attempt in range(i % 4):
            client = sluice.connect()
            client.send(data)
            if attempt % 2:
                wait_until(lambda: taken_by_receiver(sluice, client), 10, "the receiver reads")
            client.reset()
        client = sluice.connect()
        client.send(data)
        client.ack()
        client.close()
    sluice.stop()
    equal(serials(sluice.wait_file_records(60)), list(range(60)), "serials")


@cases("fd-resend", "go-resend")
def test_captured(ctx, case):
    """What Fluentd and the Go logger really sent when their acks stayed out."""
    sluice = ctx.sluice()
    first = sluice.connect()
    with Stopped(sluice):
        first.send(ctx.fixture(case + ".1.bin"))
        wait_until(lambda: taken_by_receiver(sluice, first), 10, "the receiver reads")
        first.reset()
    second = sluice.connect()
    second.send(ctx.fixture(case + ".2.bin"))
    count = len(ctx.fixture(case + ".2.events.jsonl").splitlines())
    unpacker = msgpack.Unpacker(raw=True)
    unpacker.feed(ctx.fixture(case + ".2.bin"))
    for _ in unpacker:
        second.ack()
    second.send(forward.message("end", (T, {"serial": 0}), {"chunk": "end"}))
    equal(second.ack(), "end", "ack")
    sluice.stop()
    assert len(sluice.wait_file_records(count + 1)) == count + 1, "stored once"


def test_after_everything_died(ctx):
    """The resend comes after a kill of all processes: still stored once."""
    sluice = ctx.sluice()
    client = sluice.connect()
    client.send(chunk(0))
    client.wait_data()
    sluice.kill_all()
    sluice.start()
    again = sluice.connect()
    again.send(chunk(0))
    again.ack()
    again.send(chunk(3, id="next"))
    again.ack()
    sluice.stop()
    equal(serials(sluice.wait_file_records(6)), list(range(6)), "serials")


# ---- what is no resend ----------------------------------------------------------------------

def test_same_chunk_twice_on_one_connection(ctx):
    """flb-same-chunk-twice: equal id, tag and bytes, the second behind the first's ack."""
    sluice = ctx.sluice()
    client = sluice.connect()
    data = ctx.fixture("flb-same-chunk-twice.bin")
    half = len(data) // 2
    assert data[:half] == data[half:]
    client.send(data[:half])
    client.ack()
    client.send(data[half:])
    client.ack()
    sluice.stop()
    assert len(sluice.wait_file_records(2)) == 2


def test_same_chunk_pipelined(ctx):
    sluice = ctx.sluice()
    client = sluice.connect()
    client.send(ctx.fixture("flb-same-chunk-twice.bin"))
    client.ack()
    client.ack()
    sluice.stop()
    assert len(sluice.wait_file_records(2)) == 2


def test_two_open_connections(ctx):
    """Equal chunks on two connections that are both open are two chunks."""
    sluice = ctx.sluice()
    one, two = sluice.connect(), sluice.connect()
    with Stopped(sluice):
        one.send(chunk(0))
        wait_until(lambda: taken_by_receiver(sluice, one), 10, "the receiver reads")
        two.send(chunk(0))
        wait_until(lambda: taken_by_receiver(sluice, two), 10, "the receiver reads")
    one.ack()
    two.ack()
    sluice.stop()
    equal(serials(sluice.wait_file_records(6)), [0, 0, 1, 1, 2, 2], "serials")


def test_confirmed(ctx):
    """After more bytes on the first connection its ack is confirmed: the same chunk later on a new
    connection is a new one."""
    sluice = ctx.sluice()
    one = sluice.connect()
    one.send(chunk(0))
    one.ack()
    one.send(chunk(3, id="b"))
    one.ack()
    one.close()
    two = sluice.connect()
    two.send(chunk(0))
    two.ack()
    sluice.stop()
    equal(serials(sluice.wait_file_records(9)), [0, 0, 1, 1, 2, 2, 3, 4, 5], "serials")


def test_without_id(ctx):
    """Without an id nothing is recognised."""
    sluice = ctx.sluice()
    data = forward.message("t", (T, {"serial": 0}))
    for _ in range(3):
        client = sluice.connect()
        client.send(data)
        client.close()
    sluice.wait_file_records(3)
    sluice.stop()
    equal(serials(sluice.wait_file_records(3)), [0, 0, 0], "serials")


@cases("together", "after", "unconfirmed")
def test_go_chunks(ctx, case):
    """Two Go processes: equal ids, different records; also where acks of the first stayed out."""
    sluice = ctx.sluice()
    left = sluice.connect()
    left.send(ctx.fixture("go-chunk-left.bin"))
    if case == "unconfirmed":
        sluice.wait_file_records(4)
        left.reset()
    else:
        for _ in range(4):
            left.ack()
        if case == "after":
            left.close()
    right = sluice.connect()
    right.send(ctx.fixture("go-chunk-right.bin"))
    for _ in range(4):
        right.ack()
    sluice.wait_file_records(8)
    sluice.stop()
    sides = [r["attributes"]["side"] for r in sluice.wait_file_records(8)]
    equal(sorted(sides), ["left"] * 4 + ["right"] * 4, "records of the two sides")
