"""sluicectl: status for people and programs, restart, and clear errors."""
import os
import signal

import forward

from harness import STAGES, equal, wait_until


def test_status(ctx):
    sluice = ctx.sluice()
    status = sluice.status()
    stages = {s["name"]: s for s in status["stages"]}
    equal(sorted(stages), sorted(STAGES), "stages")
    for name, stage in stages.items():
        equal(stage["state"], "running", name)
        equal(stage["restarts"], 0, name + " restarts")
        equal(stage["index"], 0, name + " index")
        with open("/proc/%d/cmdline" % stage["pid"]) as f:
            assert name in f.read()
        with open("/proc/%d/stat" % stage["pid"]) as f:
            equal(int(f.read().rpartition(")")[2].split()[1]), sluice.process.pid, "parent")
    equal(sluice.forward_port(), sluice.port, "the port in status")
    text = sluice.ctl("status").stdout
    for name in STAGES:
        assert name in text, text
    assert str(sluice.port) in text, text


def test_ring_not_taken(ctx):
    """A processor that stands still while its last word was "idle": an alert names it, and goes
    when it takes the chunk. It is not killed."""
    sluice = ctx.sluice()

    def alerts():
        return [a["text"] for a in sluice.status()["alerts"] if a["code"] == "ring-stuck"]

    pid = sluice.pid("processor")
    os.kill(pid, signal.SIGSTOP)
    try:
        client = sluice.connect()
        client.send(forward.message("t", (1700000000, {"serial": 0}), {"chunk": "a"}))
        wait_until(alerts, 20, "an alert")
        text, = alerts()
        assert text.startswith("processor.0 has taken nothing from receiver.0 for "), text
        text = sluice.ctl("status").stdout
        assert "! processor.0 has taken nothing from receiver.0 for " in text, text
    finally:
        os.kill(pid, signal.SIGCONT)
    client.ack()
    wait_until(lambda: not alerts(), 10, "the alert's end")
    equal(sluice.pid("processor"), pid, "the processor")


def test_restart_counts(ctx):
    """A kill shows in status: another pid, a count, the reason."""
    sluice = ctx.sluice()
    old = sluice.kill("processor")
    sluice.wait_running("processor", other_than=old)
    stage = sluice.stage("processor")
    equal(stage["restarts"], 1, "restarts")
    text = sluice.ctl("status").stdout
    assert "KILL" in text.upper(), text
    with forward.Connection(sluice.port) as client:
        client.send(forward.message("t", (1700000000, {"serial": 0}), {"chunk": "a"}))
        client.ack()


def test_processors(ctx):
    """Two processors and two receivers: each has its lane, all arrives, also over a restart."""
    server = ctx.otlp(project=forward.serial_of)
    sluice = ctx.sluice(otlp=server, options={"processor.count": 2, "receiver.count": 2})
    equal(len(sluice.status()["stages"]), 5, "stages")
    loads = [sluice.load("c%d" % i, rate=1000) for i in range(4)]
    for load in loads:
        load.progress(300)
    for index in (0, 1):
        old = sluice.kill("processor", index)
        sluice.wait_running("processor", index, other_than=old)
    for load in loads:
        load.progress(300)
        load.finish()
    total = sum(c.sent_records for c in loads)
    server.wait(lambda: len(server.records) >= total, 40, "all records")
    sluice.stop()
    forward.Tally(server.records, loads).check("resent")
    # The next start has one of each: the lane that nobody owns any more is delivered too.
    sluice.options.update({"processor.count": 1, "receiver.count": 1})
    sluice.write_config()
    sluice.start()
    equal(len(sluice.status()["stages"]), 3, "stages")


def test_errors(ctx):
    """An unknown stage, an unknown verb, no sluiced: a message and a status that is not 0."""
    sluice = ctx.sluice()
    for args, word in ((("restart", "procesor"), "procesor"), (("explode",), "explode"),
                       (("restart",), "")):
        done = sluice.ctl(*args, check=False)
        assert done.returncode != 0 and word in done.stderr + done.stdout, done
    sluice.stop()
    done = sluice.ctl("status", check=False)
    assert done.returncode != 0 and sluice.control in done.stderr, done
    done = ctx.run([ctx.sluicectl, "--help"], env={"PATH": os.environ["PATH"],
                                                   "ASAN_OPTIONS": "detect_leaks=0"})
    assert "status" in done.stdout and "restart" in done.stdout, done.stdout
