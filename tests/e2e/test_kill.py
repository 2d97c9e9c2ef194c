"""kill -9 of any process under load with acks: no acknowledged record is lost, and what comes twice
is bounded: the records of chunks that were unacknowledged at a kill, and at the OTLP server, where
the shipper dies, the requests in flight."""
import os
import random
import signal
import threading
import time

import forward
import harness

from forward import Tally, ranges, serial_of
from harness import STAGES, cases, chaos, limit, wait_until
from otlp_decode import decode_lines
from otlp_server import Answer

REQUESTS = 4                            # otlp.requests

FAST = {"retry.min": "50ms", "retry.max": "500ms", "restart.delay_max": "500ms",
        "otlp.requests": REQUESTS}


def pipeline(ctx, **options):
    server = ctx.otlp(api_key="auth_k", dataset="d", project=serial_of)
    server.on_request = lambda request: Answer(delay=0.01)
    sluice = ctx.sluice(otlp=server, file=True, options=dict(FAST, **options))
    loads = [
        sluice.load("packed", rate=3000, chunk=25, window=8),
        sluice.load("gzip", rate=2000, chunk=40, window=4, mode="gzip"),
        sluice.load("single", rate=200, window=1, mode="message"),
    ]
    return server, sluice, loads


def progress(loads, records=300):
    for load in loads:
        load.progress(records // 10 if load.mode == "message" else records, timeout=60)


def file_keys(sluice):
    """Strictly: a torn line raises."""
    return [serial_of(r) for r in decode_lines(sluice.file_bytes())]


def finish(ctx, server, sluice, loads):
    """Ends the load, waits for the records, stops sluiced. Returns the tallies, server and file."""
    for load in loads:
        load.finish(timeout=60)
    total = sum(load.sent_records for load in loads)
    wanted = {(c.client, s) for c in loads for s in range(c.sent_records)}
    server.wait(lambda: len(server.records) >= total and wanted <= set(server.records), 60,
                "all %d records at the server" % total)
    sluice.stop(timeout=60)
    at_server, in_file = Tally(server.records, loads), Tally(file_keys(sluice), loads)
    ctx.note("%d records, %d chunks resent; twice at the server %d, in the file %d" % (
        total, sum(len(c.resent) for c in loads), sum(at_server.duplicates.values()),
        sum(in_file.duplicates.values())))
    return at_server, in_file


def check_in_flight(server, tally, kills):
    """Duplicates outside of resent chunks come from at most REQUESTS requests per kill."""
    assert not tally.lost and not tally.strange, (tally.lost[:5], tally.strange[:5])
    twice = set(tally.duplicates) - tally.resent
    first = {}
    for request in server.requests:
        if request.stored:
            for key in request.records:
                first.setdefault(key, request.number)
    requests = {first[key] for key in twice}
    assert len(requests) <= REQUESTS * kills, \
        "%d records came twice, of %d requests, with %d kills: %s" % (
            len(twice), len(requests), kills, ranges(sorted(twice)))


@chaos
@limit(180)
@cases("receiver", "processor")
def test_input_side(ctx, case):
    server, sluice, loads = pipeline(ctx)
    for _ in range(ctx.rounds(6)):
        progress(loads)
        sluice.wait_running(case, other_than=sluice.kill(case))
    progress(loads)
    at_server, in_file = finish(ctx, server, sluice, loads)
    if case == "processor":
        # Its ring outlives it and the connections stay: nobody sends anything again.
        assert sum(load.broken + load.refused for load in loads) == 0, [str(c) for c in loads]
    at_server.check("resent")
    in_file.check("resent")


@chaos
@limit(180)
def test_shipper(ctx):
    """The file output shows neither a torn nor a doubled line; the server at most the requests in
    flight."""
    server, sluice, loads = pipeline(ctx)
    rounds = ctx.rounds(8)
    for _ in range(rounds):
        progress(loads)
        sluice.wait_running("shipper", other_than=sluice.kill("shipper"))
    progress(loads)
    at_server, in_file = finish(ctx, server, sluice, loads)
    assert sum(load.broken + load.refused for load in loads) == 0, [str(c) for c in loads]
    in_file.check()
    check_in_flight(server, at_server, rounds)


@chaos
@limit(240)
def test_supervisor(ctx):
    """Its stages finish by themselves; a new sluiced waits for them and goes on."""
    server, sluice, loads = pipeline(ctx)
    rounds = ctx.rounds(4)
    for _ in range(rounds):
        progress(loads)
        sluice.kill_supervisor()
        sluice.start(timeout=60)
    progress(loads)
    at_server, in_file = finish(ctx, server, sluice, loads)
    in_file.check("resent")
    check_in_flight(server, at_server, rounds)


@limit(120)
def test_supervisor_leaves_no_process(ctx):
    """Without their supervisor the stages end, whoever comes after it."""
    server, sluice, loads = pipeline(ctx)
    progress(loads)
    pids = sluice.kill_supervisor()
    wait_until(lambda: all(harness.gone(p) for p in pids), 60,
               lambda: "the stages end: %s" % [p for p in pids if not harness.gone(p)])
    sluice.start()
    at_server, in_file = finish(ctx, server, sluice, loads)
    in_file.check("resent")
    check_in_flight(server, at_server, 1)


def test_supervisor_and_processor(ctx):
    """A receiver whose acks will never come does not keep the port from the next sluiced."""
    sluice = ctx.sluice()
    client = sluice.connect()
    receiver, processor = sluice.pid("receiver"), sluice.pid("processor")
    os.kill(processor, signal.SIGSTOP)
    client.send(forward.message("t", (1700000000, {"serial": 0}), {"chunk": "a"}))
    wait_until(lambda: sluice.metric("input_chunks_total"), 10, "the receiver takes the chunk")
    sluice.kill_supervisor()
    os.kill(processor, signal.SIGKILL)

    def refused():
        try:
            forward.Connection(sluice.port).close()
            return False
        except ConnectionRefusedError:
            return True
    wait_until(refused, 30, "the port is free")
    assert not harness.gone(receiver), "the port became free only when the receiver had ended"
    sluice.start()
    with forward.Connection(sluice.port) as again:
        again.send(forward.message("t", (1700000000, {"serial": 0}), {"chunk": "a"}))
        again.ack()
    sluice.wait_file_records(1)


@chaos
@limit(240)
def test_all_at_once(ctx):
    server, sluice, loads = pipeline(ctx)
    rounds = ctx.rounds(5)
    for _ in range(rounds):
        progress(loads)
        sluice.kill_all()
        sluice.start(timeout=60)
    progress(loads)
    at_server, in_file = finish(ctx, server, sluice, loads)
    in_file.check("resent")
    check_in_flight(server, at_server, rounds)


@chaos
@limit(240)
def test_in_turn(ctx):
    """Every stage in turn, the next one as soon as the last one runs again; small segments."""
    server, sluice, loads = pipeline(ctx, **{"journal.segment_size": "1M"})
    rounds = ctx.rounds(3)
    for _ in range(rounds):
        for name in STAGES:
            progress(loads, 100)
            sluice.wait_running(name, other_than=sluice.kill(name))
    progress(loads)
    at_server, in_file = finish(ctx, server, sluice, loads)
    in_file.check("resent")
    check_in_flight(server, at_server, rounds)


@chaos
@limit(240)
def test_outage_and_kills(ctx):
    """All processes die several times while the backend is down; then it comes back."""
    server, sluice, loads = pipeline(ctx)
    progress(loads)
    server.stop()
    rounds = ctx.rounds(3)
    for _ in range(rounds):
        progress(loads)
        sluice.kill_all()
        sluice.start(timeout=60)
    progress(loads)
    server.start()
    at_server, in_file = finish(ctx, server, sluice, loads)
    in_file.check("resent")
    check_in_flight(server, at_server, rounds + 1)


def victims_of(sluice, rng):
    """Some of sluiced and its stages, whatever state they are in; each by chance."""
    pids = sluice.all_pids()
    return rng.sample(pids, rng.randint(1, len(pids))) if rng.random() < 0.5 else [rng.choice(pids)]


@chaos
@limit(240)
@cases("1 of each", "2 receivers, 2 lanes")
def test_at_random(ctx, case):
    """Any of the processes at any instant, several at once, also while they start or recover."""
    seed = int.from_bytes(os.urandom(4), "big")
    ctx.note("seed %d" % seed)
    rng = random.Random(seed)
    server, sluice, loads = pipeline(ctx, **{
        "journal.segment_size": "1M", "receiver.count": int(case[0]),
        "processor.count": int(case[0]),
        # An orphan waits so long for acks that a killed processor will not give.
        "shutdown.grace": "2s"})
    rounds = ctx.rounds(20)
    for i in range(rounds):
        time.sleep(rng.choice((0, 0.01, 0.05, 0.2, 0.4)) * rng.random())    # the instant
        for pid in victims_of(sluice, rng):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            sluice.killed += 1
            if pid == sluice.process.pid:
                sluice.process.wait(20)
                killed = sluice.killed
                sluice.start(wait=False)
                sluice.killed = killed
        if i % 5 == 4:
            progress(loads, 100)
    wait_until(lambda: all(s["state"] == "running" for s in sluice.status()["stages"]), 30,
               "all stages run", pause=0.1)
    progress(loads)
    at_server, in_file = finish(ctx, server, sluice, loads)
    in_file.check("resent")
    check_in_flight(server, at_server, rounds)


@limit(120)
@cases("receiver", "processor", "shipper")
def test_restart_by_hand(ctx, case):
    """`sluicectl restart STAGE` under load: lost 0, duplicates 0, refused connections 0."""
    server, sluice, loads = pipeline(ctx)
    for _ in range(3):
        progress(loads)
        old = sluice.pid(case)
        sluice.restart(case)
        sluice.wait_running(case, other_than=old)
    progress(loads)
    at_server, in_file = finish(ctx, server, sluice, loads)
    at_server.check()
    in_file.check()
    assert sum(load.refused for load in loads) == 0, [str(c) for c in loads]
    if case != "receiver":
        assert sum(load.broken for load in loads) == 0, [str(c) for c in loads]


@limit(120)
def test_connections_while_the_receiver_restarts(ctx):
    """A connection that comes while no receiver runs waits in the listening socket."""
    sluice = ctx.sluice()
    pid = sluice.pid("receiver")
    done = threading.Event()
    failed = []
    serial = 0

    def visitors():
        nonlocal serial
        while not done.is_set():
            try:
                with forward.Connection(sluice.port) as c:
                    c.send(forward.message("t", (1700000000, {"serial": serial}),
                                           {"chunk": str(serial)}))
                    c.ack()
                serial += 1
            except ConnectionRefusedError as e:
                failed.append(repr(e))
            except (forward.Closed, ConnectionError, TimeoutError):
                pass                    # an old connection may be closed on a message boundary
    thread = threading.Thread(target=visitors, daemon=True)
    thread.start()
    for _ in range(4):
        before = serial
        sluice.restart("receiver")
        sluice.wait_running("receiver", other_than=pid)
        pid = sluice.pid("receiver")
        wait_until(lambda: failed or serial > before, 20, "an ack for a visitor")
    done.set()
    thread.join(30)
    assert not failed, failed[:3]
    ctx.note("%d visitors" % serial)


class Talker(threading.Thread):
    """A client without acks, that goes to a new connection when the server has ended its side."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port = port
        self.sent = 0
        self.connections = 0
        self.over = threading.Event()
        self.failed = None

    def run(self):
        try:
            while not self.over.is_set():
                self.connections += 1
                with forward.Connection(self.port) as connection:
                    while not self.over.is_set() and connection.silent(0.0005):
                        connection.send(b"".join(
                            forward.message("t", (1700000000, {"serial": self.sent + i}))
                            for i in range(10)))
                        self.sent += 10
        except Exception as e:
            self.failed = e


@limit(120)
def test_restart_by_hand_without_acks(ctx):
    """What a client has written without ids is taken before its connection ends: a restart of the
    receiver loses nothing of it and doubles nothing."""
    sluice = ctx.sluice()
    talkers = [Talker(sluice.port) for _ in range(3)]
    for talker in talkers:
        talker.start()
    for _ in range(4):
        before = [(t.sent, t.connections) for t in talkers]
        old = sluice.pid("receiver")
        sluice.restart("receiver")
        sluice.wait_running("receiver", other_than=old)
        wait_until(lambda: any(t.failed for t in talkers) or
                   all(t.sent > s + 50 and t.connections > c
                       for t, (s, c) in zip(talkers, before)), 20, "the clients go on")
    for talker in talkers:
        talker.over.set()
    for talker in talkers:
        talker.join(20)
    assert not any(t.failed for t in talkers), [t.failed for t in talkers]
    total = sum(t.sent for t in talkers)
    sluice.wait_file_records(total)
    sluice.stop()
    records = decode_lines(sluice.file_bytes())
    got = sorted(r["attributes"]["serial"] for r in records)
    want = sorted(s for t in talkers for s in range(t.sent))
    harness.equal(got, want, "serials")
    ctx.note("%d records over %d connections" % (total, sum(t.connections for t in talkers)))
