"""SIGTERM drains, and what is on the disk goes out later; SIGHUP takes a good file and refuses a
bad one."""
import os
import signal
import subprocess

import forward

from forward import Closed, Tally, serial_of
from harness import cases, equal, free_port, gone, limit, wait_until

T = forward.event_time(1700000000, 1)


def send(sluice, serial, key=None):
    with forward.Connection(sluice.port, key=key) as client:
        client.send(forward.message("t", (T, {"serial": serial}), {"chunk": str(serial)}))
        client.ack()


@limit(90)
def test_drain(ctx):
    """All that was acknowledged before SIGTERM is delivered when sluiced has ended."""
    server = ctx.otlp(project=serial_of)
    sluice = ctx.sluice(otlp=server, file=True)
    load = sluice.load("a", rate=5000, chunk=20)
    load.progress(2000)
    sluice.stop()
    load.abort()
    acked = load.acked_records
    tally = Tally(server.records, [load])
    tally.check("resent")
    Tally([serial_of(r) for r in sluice.wait_file_records(acked)], [load]).check("resent")
    assert acked >= 2000


@limit(120)
def test_drain_without_acks(ctx):
    """What clients without acks have sent lies in the ring when SIGTERM comes, many more messages
    than verdicts fit: all of it is stored before sluiced ends."""
    count = 40000
    sluice = ctx.sluice(file=True, options={"shutdown.grace": "20s"})
    pid = sluice.pid("processor")
    os.kill(pid, signal.SIGSTOP)
    try:
        with forward.Connection(sluice.port) as client:
            for first in range(0, count, 1000):
                client.send(b"".join(forward.message("t", (T, {"serial": serial}))
                                     for serial in range(first, first + 1000)))
            wait_until(lambda: sluice.metric("input_chunks_total") == count, 30, "all are taken")
        wait_until(lambda: sluice.metric("connections_open", "receiver") == 0, 20, "its end")
        receiver = sluice.pid("receiver")
        sluice.terminate()
        wait_until(lambda: gone(receiver), 20, "the receiver's end")
    finally:
        os.kill(pid, signal.SIGCONT)
    sluice.wait_exit(60)
    sluice.start()
    records = sluice.wait_file_records(count, 30)
    equal(sorted(r["attributes"]["serial"] for r in records), list(range(count)), "serials")


@limit(120)
def test_stop_during_a_restart(ctx):
    """SIGTERM while the processor is being restarted: its successor still stores what clients
    without acks had sent before sluiced ends."""
    count = 150000
    sluice = ctx.sluice(file=True, options={"shutdown.grace": "20s"})
    pid = sluice.pid("processor")
    os.kill(pid, signal.SIGSTOP)
    try:
        with forward.Connection(sluice.port) as client:
            for first in range(0, count, 1000):
                client.send(b"".join(forward.message("t", (T, {"serial": serial}))
                                     for serial in range(first, first + 1000)))
            wait_until(lambda: sluice.metric("input_chunks_total") == count, 30, "all are taken")
        wait_until(lambda: sluice.metric("connections_open", "receiver") == 0, 20, "its end")
        receiver = sluice.pid("receiver")
        asked = subprocess.Popen([ctx.sluicectl, "--socket", sluice.control, "restart",
                                  "processor"], stderr=subprocess.DEVNULL,
                                 env=sluice.environment())
        wait_until(lambda: sluice.stage("processor")["state"] == "draining", 20, "its drain")
        sluice.terminate()
        wait_until(lambda: gone(receiver), 20, "the receiver's end")
    finally:
        os.kill(pid, signal.SIGCONT)
    sluice.wait_exit(60)
    asked.wait(20)
    sluice.start()
    records = sluice.wait_file_records(count, 30)
    equal(sorted(r["attributes"]["serial"] for r in records), list(range(count)), "serials")


@limit(90)
def test_backend_down(ctx):
    """What cannot be delivered within shutdown.grace stays on the disk, and goes out next time."""
    server = ctx.otlp(start=False, project=serial_of)
    sluice = ctx.sluice(otlp=server, options={"shutdown.grace": "500ms", "retry.min": "50ms",
                                              "retry.max": "500ms"})
    load = sluice.load("a", rate=5000, chunk=20)
    load.progress(1000)
    load.finish()
    sluice.stop()
    assert not server.records
    server.start()
    sluice.start()
    server.wait_records(load.sent_records)
    sluice.stop()
    Tally(server.records, [load]).check()


@limit(120)
@cases("2 to 1", "1 to 2", "2 to 1, killed")
def test_lanes_change(ctx, case):
    """A backlog in two lanes is delivered by a sluiced with one, and the other way round. A lane
    that has no processor any more goes when it is delivered, and may come back."""
    server = ctx.otlp(start=False, project=serial_of)
    sluice = ctx.sluice(otlp=server, file=True, options={
        "shutdown.grace": "200ms", "retry.min": "50ms", "retry.max": "500ms",
        "journal.segment_size": "1M", "processor.count": int(case[0])})
    loads = [sluice.load(name, rate=5000, chunk=20, padding=100) for name in "abcd"]
    for load in loads:
        load.progress(1000)
        load.finish()
    sluice.kill_all() if "killed" in case else sluice.stop()
    assert not server.records
    sluice.options["processor.count"] = int(case[5])
    sluice.write_config()
    sluice.start()
    more = sluice.load("e", rate=5000, chunk=20)
    more.progress(500)
    server.start()
    more.progress(500)
    more.finish()
    loads.append(more)
    total = sum(load.sent_records for load in loads)
    server.wait(lambda: len(server.records) >= total, 40, "all records")
    sluice.wait_file_records(total)
    wait_lanes(sluice, int(case[5]))
    # Successors do not look for the lane.
    sluice.restart("shipper")
    sluice.restart("processor")
    wait_lanes(sluice, int(case[5]))
    sluice.stop()
    Tally(server.records, loads).check()
    Tally([serial_of(r) for r in sluice.wait_file_records(total)], loads).check()
    # Once more, and with as many lanes as in the beginning: nothing is sent again.
    for count, more in ((int(case[5]), 1), (int(case[0]), 17)):
        sluice.options["processor.count"] = count
        sluice.write_config()
        sluice.start()
        for serial in range(len(server.records) - total, more):
            send(sluice, serial)
        server.wait(lambda: len(server.records) >= total + more, 20, "the other records")
        sluice.wait_file_records(total + more)
        wait_lanes(sluice, count)
        sluice.stop()
        equal(len(server.records), total + more, "records at the server")
        equal(len(sluice.wait_file_records(total + more)), total + more, "records in the file")


def wait_lanes(sluice, count):
    """The lanes of the processors are on the disk, and their cursors: no others."""
    def folders(name, suffix):
        folder = os.path.join(sluice.data_dir, name)
        return sorted(n[:-len(suffix)] if suffix else n for n in os.listdir(folder))
    expected = ["%02d" % n for n in range(count)]
    wait_until(lambda: folders("lanes", "") == expected, 20, "the lanes " + " ".join(expected))
    for output in os.listdir(os.path.join(sluice.data_dir, "cursors")):
        equal(folders(os.path.join("cursors", output), ".cursor"), expected, output)


@limit(120)
def test_client_goes_on(ctx):
    """Stop and start under load, three times: nothing lost."""
    server = ctx.otlp(project=serial_of)
    sluice = ctx.sluice(otlp=server, file=True)
    load = sluice.load("a", rate=3000, chunk=20)
    for _ in range(3):
        load.progress(500)
        sluice.stop()
        sluice.start()
    load.progress(500)
    load.finish()
    server.wait(lambda: len(set(server.records)) == load.sent_records, 40, "all records")
    sluice.stop()
    for keys in (server.records, [serial_of(r) for r in
                                  sluice.wait_file_records(load.sent_records)]):
        twice = Tally(keys, [load]).check("resent")
        ctx.note("%d twice of %d chunks resent" % (twice, len(load.resent)))


def test_idle(ctx):
    """SIGTERM and SIGINT with nothing to do: status 0, no process left, the control socket gone."""
    for number in (signal.SIGTERM, signal.SIGINT):
        sluice = ctx.sluice(name="s%d" % number)
        pids = sluice.all_pids()
        assert len(pids) >= 4, pids
        sluice.process.send_signal(number)
        sluice.wait_exit(20)
        assert all(gone(p) for p in pids)


def test_second_sluiced(ctx):
    """A second sluiced on the same data directory does not start while the first one runs."""
    first = ctx.sluice()
    second = ctx.sluice(name="second", start=False, options={
        "data_dir": first.data_dir, "forward.port": free_port()})
    second.start(wait=False)
    second.wait_log("lock|in use|another|wait")
    send(first, 0)
    assert second.process.poll() is not None or not connects(second)
    first.wait_file_records(1)
    if second.process.poll() is None:
        second.terminate()
        second.process.wait(20)
    else:
        assert second.process.returncode in (111, 100, 78), second.process.returncode


def connects(sluice):
    try:
        forward.Connection(sluice.port, timeout=1).close()
        return True
    except OSError:
        return False


# ---- SIGHUP ---------------------------------------------------------------------------------

def hup(sluice, pattern):
    after = len(sluice.stderr())
    sluice.process.send_signal(signal.SIGHUP)
    return sluice.wait_log(pattern, after=after)


@limit(90)
def test_reload_keys(ctx):
    """A new API key and a new shared key are in force after SIGHUP, without a restart."""
    server = ctx.otlp(api_key="auth_old")
    sluice = ctx.sluice(otlp=server, start=False, env={"DASH0_API_KEY": ""},
                        options={"otlp.api_key": "auth_old", "forward.shared_key": "old"})
    del sluice.env["DASH0_API_KEY"]
    sluice.start()
    pids = {s["name"]: s["pid"] for s in sluice.status()["stages"]}
    send(sluice, 0, key="old")
    server.wait_records(1)
    sluice.options.update({"otlp.api_key": "auth_new", "forward.shared_key": "new"})
    sluice.write_config()
    server.api_key = "auth_new"
    hup(sluice, "(?i)reload")

    def taken():
        try:
            send(sluice, 1, key="new")
            return True
        except Closed:
            return False
    wait_until(taken, 20, "the new shared key")
    server.wait_records(2)
    try:
        send(sluice, 2, key="old")
        raise AssertionError("the old shared key is still taken")
    except Closed as e:
        assert "mismatch" in str(e), e
    equal({s["name"]: s["pid"] for s in sluice.status()["stages"]}, pids, "pids")
    sluice.stop()
    equal([r.headers["authorization"] for r in server.requests],
          ["Bearer auth_old", "Bearer auth_new"], "keys")


@limit(90)
def test_reload_bad(ctx):
    """A bad file is refused, with file, line and option of each mistake; the service goes on."""
    sluice = ctx.sluice()
    send(sluice, 0)
    pids = {s["name"]: s["pid"] for s in sluice.status()["stages"]}
    with open(sluice.config) as f:
        good = f.read()
    lines = good.rstrip("\n").split("\n")
    sluice.write_config("\n".join(lines + ['retry: {', '    min = "soon";', '};',
                                           'retries = 5;']) + "\n")
    hup(sluice, r"%s:%d: error: retry\.min" % (sluice.config, len(lines) + 2))
    sluice.wait_log(r"%s:%d: error: retries" % (sluice.config, len(lines) + 4))
    send(sluice, 1)
    sluice.write_config("forward: {\n")
    hup(sluice, sluice.config + ":2")
    send(sluice, 2)
    equal({s["name"]: s["pid"] for s in sluice.status()["stages"]}, pids, "pids")
    sluice.write_config(good)
    hup(sluice, "(?i)reload")
    send(sluice, 3)
    records = sluice.wait_file_records(4)
    equal(sorted(r["attributes"]["serial"] for r in records), [0, 1, 2, 3], "serials")


@limit(90)
def test_reload_restarts_what_needs_it(ctx):
    """An option that a stage reads only at its start: the stage is restarted, nothing is lost."""
    sluice = ctx.sluice()
    load = sluice.load("a", rate=2000)
    load.progress(300)
    old = sluice.pid("processor")
    sluice.options["service.name"] = "renamed"
    sluice.write_config()
    sluice.killed += 2
    hup(sluice, "(?i)reload")
    sluice.wait_running("processor", other_than=old)
    load.progress(300)
    load.finish()
    records = sluice.wait_file_records(load.sent_records)
    sluice.stop()
    Tally([serial_of(r) for r in records], [load]).check()
    names = [r["resource"]["service.name"] for r in records]
    equal(sorted(set(names)), ["emp-job-queue", "renamed"], "service.name before and after")
