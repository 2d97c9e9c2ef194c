"""sluiced with stages that do nothing but what a test tells them (tests/unit/supervisor/fake_role.c):
order, restarts, drains, reload, locks, hangs, and what a stage is given."""
import os
import shutil
import signal
import socket
import subprocess

from harness import Skip, cases, equal, gone, wait_until


class Fake:
    """A sluiced whose three stages are fake-role."""

    def __init__(self, ctx, name="sluice", folder=None, **kw):
        self.folder = folder or ctx.path("libexec")
        if folder is None:
            os.makedirs(self.folder)
            program = os.path.join(ctx.build, "tests", "unit", "supervisor", "fake-role")
            for stage in ("receiver", "processor", "shipper"):
                shutil.copy(program, os.path.join(self.folder, "sluice-" + stage))
        options = dict({"libexec_dir": self.folder, "environment": "development",
                        "log.format": "json"}, **kw.pop("options", {}))
        self.sluice = ctx.sluice(name=name, start=False, options=options, **kw)

    def tell(self, stage, word):
        with open(os.path.join(self.folder, "do." + stage), "w") as f:
            f.write(word)

    def events(self):
        try:
            with open(os.path.join(self.folder, "events")) as f:
                return f.read().split("\n")[:-1]
        except FileNotFoundError:
            return []

    def wait_event(self, line, count=1):
        wait_until(lambda: self.events().count(line) >= count, 20,
                   lambda: "%r, %d times, in %s" % (line, count, self.events()))

    def only(self, *words):
        """The events whose second word is one of `words`."""
        return [e for e in self.events() if e.split()[1] in words]


def test_order(ctx):
    """Receivers start last and stop first; the shipper stops last."""
    fake = Fake(ctx)
    fake.tell("receiver", "slow")
    fake.tell("processor", "slow")
    fake.sluice.start()
    equal([e.split()[0] for e in fake.only("start")], ["processor.0", "shipper.0", "receiver.0"],
          "order of the start")
    fake.sluice.stop()
    equal(fake.only("drain", "drained"), [
        "receiver.0 drain stop", "receiver.0 drained", "processor.0 drain stop",
        "processor.0 drained", "shipper.0 drain stop", "shipper.0 drained"], "order of the stop")
    assert not os.path.exists(fake.sluice.control), "the control socket is still there"


def test_what_a_stage_gets(ctx):
    """Exactly its descriptors, a clean environment, its secrets and no others."""
    fake = Fake(ctx, env={"FLUENTD_SHARED_KEY": "sesame", "DASH0_API_KEY": "auth_x"})
    fake.sluice.start()
    for stage, key in (("receiver", 6), ("processor", 0), ("shipper", 0)):
        for line in ("inherited 0", "environment clean", "no notify", "start key=%d" % key):
            assert "%s.0 %s" % (stage, line) in fake.events(), (stage, line, fake.events())
    with open("/proc/%d/environ" % fake.sluice.process.pid, "rb") as f:
        environ = f.read()
    assert b"sesame" not in environ and b"auth_x" not in environ, environ
    fake.sluice.stop()


@cases("receiver", "processor", "shipper")
def test_kill(ctx, case):
    """kill -9: a new one at once, the others stay; the reason is in status."""
    fake = Fake(ctx)
    fake.sluice.start()
    before = {s["name"]: s["pid"] for s in fake.sluice.status()["stages"]}
    old = fake.sluice.kill(case)
    fake.sluice.wait_running(case, other_than=old)
    after = {s["name"]: s["pid"] for s in fake.sluice.status()["stages"]}
    equal({n: p for n, p in after.items() if n != case},
          {n: p for n, p in before.items() if n != case}, "the others")
    stage = fake.sluice.stage(case)
    equal((stage["restarts"], stage["last_exit"]), (1, "signal KILL: from outside"), "status")
    fake.sluice.stop()


def test_backoff(ctx):
    """A stage that dies at every start: delays that grow, an alert; it comes back when it can."""
    fake = Fake(ctx, options={"restart.delay_max": "400ms"})
    fake.sluice.start()
    fake.tell("shipper", "crash")
    fake.sluice.kill("shipper")
    wait_until(lambda: fake.sluice.stage("shipper")["restarts"] >= 4, 20, "four deaths")
    wait_until(lambda: fake.sluice.stage("shipper")["state"] == "delayed", 20, "a delay")
    stage = fake.sluice.stage("shipper")
    equal(stage["last_exit"], "signal SEGV", "last_exit")
    wait_until(lambda: any(a["code"] == "stage-down" for a in fake.sluice.status()["alerts"]), 20,
               "an alert")
    assert fake.sluice.stage("receiver")["state"] == "running"
    fake.tell("shipper", "")
    fake.sluice.wait_running("shipper")
    fake.sluice.killed = fake.sluice.stage("shipper")["restarts"]
    fake.sluice.stop()


def test_failure_in_words(ctx):
    """What a stage says when it gives up is in the log and in status."""
    fake = Fake(ctx, options={"restart.delay_max": "200ms"})
    fake.tell("processor", "fail")
    fake.sluice.start(wait=False)
    fake.sluice.wait_log("told to fail")
    wait_until(lambda: "told to fail" in fake.sluice.stage("processor")["last_exit"], 20, "status")
    assert fake.only("start") == [], "a later stage was started: %s" % fake.events()
    fake.sluice.terminate()
    fake.sluice.wait_exit(20)


def test_refused_configuration(ctx):
    """A stage that refuses its configuration at the first start ends sluiced with status 78."""
    fake = Fake(ctx)
    fake.tell("shipper", "config")
    fake.sluice.start(wait=False)
    fake.sluice.wait_exit(20, 78)
    fake.sluice.wait_log("told to refuse")


def test_not_there(ctx):
    """A stage that is not installed: its path in the log; sluiced goes on trying."""
    fake = Fake(ctx)
    os.unlink(os.path.join(fake.folder, "sluice-shipper"))
    fake.sluice.start(wait=False)
    fake.sluice.wait_log(fake.folder + "/sluice-shipper: No such file")
    fake.sluice.terminate()
    fake.sluice.wait_exit(20)


def test_hang(ctx):
    """A stage that computes without a sign of life is killed, and the reason is in status."""
    fake = Fake(ctx, options={"hang_timeout": "1s"})
    fake.tell("processor", "hang")
    fake.sluice.start()
    fake.wait_event("processor.0 hang")
    fake.tell("processor", "")
    old = fake.sluice.pid("processor")
    fake.sluice.wait_running("processor", other_than=old)
    stage = fake.sluice.stage("processor")
    assert "hang" in stage["last_exit"], stage
    fake.sluice.killed = stage["restarts"]
    fake.sluice.stop()


@cases("receiver", "processor", "shipper")
def test_restart(ctx, case):
    """sluicectl restart: drained with that reason, one new process, no death counted."""
    fake = Fake(ctx)
    fake.tell(case, "slow")
    fake.sluice.start()
    pids = {s["name"]: s["pid"] for s in fake.sluice.status()["stages"]}
    fake.sluice.ctl("restart", case)
    status = {s["name"]: s for s in fake.sluice.status()["stages"]}
    for name, stage in status.items():
        equal(stage["pid"] != pids[name], name == case, "a new pid of " + name)
        equal((stage["state"], stage["restarts"]), ("running", 0), name)
    equal(fake.only("drain", "drained"), [case + ".0 drain restart", case + ".0 drained"], "drain")
    fake.sluice.stop()


def test_restart_one_after_the_other(ctx):
    fake = Fake(ctx, options={"receiver.count": 3})
    fake.sluice.start()
    fake.sluice.ctl("restart", "receiver")
    order = fake.only("start", "drain")[5:]
    equal(order, [w for i in range(3) for w in ("receiver.%d drain restart" % i,
                                                "receiver.%d start key=0" % i)], "order")
    done = fake.sluice.ctl("restart", "receiver.3", check=False)
    assert done.returncode == 1 and "receiver.3" in done.stderr, done
    fake.sluice.ctl("restart", "receiver.2")
    fake.sluice.stop()


def test_restart_that_fails(ctx):
    """sluicectl says so when the stage does not come back."""
    fake = Fake(ctx, options={"restart.delay_max": "200ms"})
    fake.sluice.start()
    fake.tell("shipper", "fail")
    done = fake.sluice.ctl("restart", "shipper", check=False)
    assert done.returncode == 1 and "told to fail" in done.stderr, done
    fake.tell("shipper", "")
    fake.sluice.wait_running("shipper")
    fake.sluice.killed = fake.sluice.stage("shipper")["restarts"]
    fake.sluice.stop()


def test_sigterm_to_a_stage(ctx):
    """It drains and is restarted; nothing counts as a death."""
    fake = Fake(ctx)
    fake.sluice.start()
    old = fake.sluice.pid("processor")
    os.kill(old, signal.SIGTERM)
    fake.sluice.wait_running("processor", other_than=old)
    equal(fake.only("drain"), ["processor.0 drain restart"], "drain")
    equal(fake.sluice.stage("processor")["restarts"], 0, "restarts")
    fake.sluice.stop()


def test_sigterm_to_the_group(ctx):
    """As systemd does by default: the order of the stop holds, nothing is started again."""
    fake = Fake(ctx)
    fake.sluice.start()
    os.killpg(fake.sluice.process.pid, signal.SIGTERM)
    fake.sluice.wait_exit(20)
    equal(fake.only("drain"), ["receiver.0 drain stop", "processor.0 drain stop",
                               "shipper.0 drain stop"], "drains")
    equal(len(fake.only("start")), 3, "starts")


def test_stubborn(ctx):
    """A stage that does not finish is killed after shutdown.grace; a second signal hastens."""
    fake = Fake(ctx, options={"shutdown.grace": "1h"})
    fake.tell("shipper", "stubborn")
    fake.sluice.start()
    fake.sluice.terminate()
    fake.wait_event("shipper.0 drain stop")
    assert fake.sluice.process.poll() is None
    fake.sluice.terminate()
    fake.sluice.wait_exit(20)
    fake.sluice.wait_log("killed: did not finish draining")


def test_orphans(ctx):
    """sluiced dies: its stages drain and exit; a new sluiced waits for them and says so."""
    fake = Fake(ctx)
    fake.tell("processor", "stubborn")
    fake.sluice.start()
    pids = fake.sluice.kill_supervisor()
    for stage in ("receiver", "processor", "shipper"):
        fake.wait_event(stage + ".0 drain orphaned")
    fake.tell("processor", "")
    fake.sluice.start(wait=False)
    fake.sluice.wait_log("is locked by")
    wait_until(lambda: len([p for p in pids if not gone(p)]) == 1, 20, "two of three end")
    stubborn = [p for p in pids if not gone(p)]
    if os.geteuid() == 0:               # others cannot look at the descriptors of a stage
        fake.sluice.wait_log(r"is locked by [^\"]*pid ([0-9, ]*\b)?%d\b" % stubborn[0])
    equal(fake.sluice.status()["state"], "waiting", "state")
    equal(len(fake.only("start")), 3, "starts while the lock is held")
    os.kill(stubborn[0], signal.SIGKILL)
    fake.sluice.wait_ready()
    equal(len(fake.only("start")), 6, "starts")
    fake.sluice.stop()


def test_stop_while_waiting(ctx):
    first = Fake(ctx)
    first.sluice.start()
    second = Fake(ctx, name="second", folder=first.folder,
                  options={"data_dir": first.sluice.data_dir})
    second.sluice.start(wait=False)
    second.sluice.wait_log("is locked by")
    second.sluice.terminate()
    second.sluice.wait_exit(20)
    first.sluice.stop()


def test_same_control_path(ctx):
    first = Fake(ctx)
    first.sluice.start()
    second = Fake(ctx, name="second", folder=first.folder,
                  options={"control.path": first.sluice.control})
    second.sluice.start(wait=False)
    second.sluice.wait_exit(20, 111)
    second.sluice.wait_log("control.path: another program answers")
    equal(first.sluice.ctl("ping").stdout.strip(), "pong", "the first one")
    first.sluice.stop()


def test_stale_control_socket(ctx):
    """A socket that a killed sluiced left is replaced; a file of somebody's is not."""
    fake = Fake(ctx)
    fake.sluice.start()
    fake.sluice.kill_all()
    assert os.path.exists(fake.sluice.control)
    fake.sluice.start()
    fake.sluice.stop()
    with open(fake.sluice.control, "w") as f:
        f.write("precious")
    fake.sluice.start(wait=False)
    fake.sluice.wait_exit(20, 111)
    with open(fake.sluice.control) as f:
        equal(f.read(), "precious", "the file")


def test_taken_port(ctx):
    """The option is named."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        fake = Fake(ctx, options={"forward.port": taken.getsockname()[1]})
        fake.sluice.start(wait=False)
        fake.sluice.wait_log("forward.port: port %d of 127.0.0.1 is taken" %
                             taken.getsockname()[1])
        fake.sluice.terminate()
        fake.sluice.process.wait(30)


def test_reload(ctx):
    """SIGHUP: what can be taken up is sent, the rest restarts its stages, FIXED is refused."""
    fake = Fake(ctx)
    fake.sluice.start()
    pids = {s["name"]: s["pid"] for s in fake.sluice.status()["stages"]}
    fake.sluice.options["log.level"] = "warn"
    fake.sluice.options["forward.shared_key"] = "k1"
    fake.sluice.write_config()
    fake.sluice.process.send_signal(signal.SIGHUP)
    for stage, key in (("receiver", 2), ("processor", 0), ("shipper", 0)):
        fake.wait_event("%s.0 reload warn key=%d" % (stage, key))
    equal({s["name"]: s["pid"] for s in fake.sluice.status()["stages"]}, pids, "pids")
    fake.sluice.options["service.name"] = "renamed"
    fake.sluice.write_config()
    fake.sluice.ctl("reload")
    after = {s["name"]: s["pid"] for s in fake.sluice.status()["stages"]}
    equal([n for n in after if after[n] != pids[n]], ["processor"], "restarted")
    fake.sluice.options["forward.port"] = 1
    fake.sluice.write_config()
    done = fake.sluice.ctl("reload", check=False)
    assert done.returncode == 1 and "forward.port" in done.stderr, done
    assert "forward.port" in fake.sluice.status()["config"]["last_reload"]
    fake.sluice.write_config("nonsense = 1;\n")
    done = fake.sluice.ctl("reload", check=False)
    assert done.returncode == 1 and "nonsense" in done.stderr and ":1" in done.stderr, done
    assert "nonsense" in fake.sluice.status()["config"]["last_reload"]
    equal(fake.sluice.status()["state"], "running", "state")
    fake.sluice.stop()


def test_reload_keeps_wiped_secrets(ctx):
    """A key that came from the environment, which is wiped, is still there after a reload."""
    fake = Fake(ctx, env={"FLUENTD_SHARED_KEY": "sesame"})
    fake.sluice.start()
    fake.sluice.options["log.level"] = "warn"
    fake.sluice.write_config()
    fake.sluice.ctl("reload")
    fake.wait_event("receiver.0 reload warn key=6")
    fake.sluice.ctl("restart", "receiver")
    equal(fake.events().count("receiver.0 start key=6"), 2, "starts with the key")
    fake.sluice.stop()


def test_left_over_lanes(ctx):
    """A folder of a lane that no processor owns gets a lane page."""
    fake = Fake(ctx)
    os.makedirs(fake.sluice.data_dir + "/lanes/07")
    fake.sluice.start()
    equal([l["lane"] for l in fake.sluice.status()["lanes"]], [0, 7], "lanes")
    fake.sluice.stop()


def test_process_one(ctx):
    """As process 1 of a container: strangers are reaped, SIGTERM works."""
    if os.geteuid() != 0:
        raise Skip("needs root for a process namespace")
    fake = Fake(ctx, options={"log.level": "debug"})
    sluice = fake.sluice
    unshare = shutil.which("unshare")
    # A stranger: its parent ends before it does, so it becomes process 1's. The shell that makes
    # it becomes sluiced afterwards, as an entry point would.
    script = ('(sh -c "while [ ! -e %s/go ]; do sleep 0.1; done" &) ; exec "$@"' % ctx.dir)
    environ = sluice.environment()
    with open(sluice.stderr_path, "ab") as err:
        sluice.process = subprocess.Popen(
            [unshare, "--pid", "--fork", "--mount-proc", "sh", "-c", script, "sh", ctx.sluiced,
             "--config", sluice.config], stdin=subprocess.DEVNULL, stdout=err, stderr=err,
            env=environ, cwd=sluice.dir)
    sluice.wait_log("running")
    with open(ctx.dir + "/go", "w"):
        pass
    sluice.wait_log("which is not ours")
    equal(sluice.status()["pid"], 1, "pid")
    stage = sluice.stage("shipper")["pid"]
    below = [p for p in sluice.all_pids() if open("/proc/%d/status" % p).read().split(
        "NSpid:")[1].split("\n")[0].split()[-1] == str(stage)]
    os.kill(below[0], signal.SIGKILL)
    wait_until(lambda: sluice.stage("shipper")["restarts"] == 1, 20, "a restart")
    one = [p for p in sluice.all_pids() if open("/proc/%d/status" % p).read().split(
        "NSpid:")[1].split("\n")[0].split()[-1] == "1"]
    os.kill(one[0], signal.SIGTERM)
    equal(sluice.process.wait(20), 0, "exit status")


def test_watchdog_and_notify(ctx):
    """READY when all stages are, STOPPING at the end, WATCHDOG as often as asked for."""
    fake = Fake(ctx, env={"WATCHDOG_USEC": "400000"})
    fake.sluice.start()
    fake.sluice.wait_notify("WATCHDOG=1")
    fake.sluice.ctl("reload")
    fake.sluice.wait_notify("RELOADING=1")
    fake.sluice.wait_notify("READY=1")
    # One that is refused ends too, or the service manager would wait for it.
    with open(fake.sluice.config, "a") as f:
        f.write("nonsense = 1;\n")
    fake.sluice.process.send_signal(signal.SIGHUP)
    fake.sluice.wait_notify("RELOADING=1")
    fake.sluice.wait_notify("READY=1")
    fake.sluice.terminate()
    words = []

    def stopping():
        try:
            words.append(fake.sluice.notify.recv(4096).decode())
        except (socket.timeout, TimeoutError):
            pass
        return any("STOPPING=1" in w for w in words)
    wait_until(stopping, 20, lambda: "STOPPING=1 in %s" % words)
    fake.sluice.wait_exit(20)


def test_control_is_bounded(ctx):
    """Malformed requests are refused; connections that say nothing do not pile up."""
    fake = Fake(ctx)
    fake.sluice.start()

    def ask(data):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
            s.settimeout(10)
            s.connect(fake.sluice.control)
            s.send(data)
            return s.recv(1 << 20)
    for bad in (b"status", b"\0", b"status\0\0", b"sta\ntus\0", b"a\0" * 9, b"x" * 1023 + b"\0",
                b"x" * 2000, b"\xff\0"):
        equal(ask(bad)[:1], b"-", repr(bad[:20]))
    idle = []
    for _ in range(20):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        s.connect(fake.sluice.control)
        idle.append(s)
    done = fake.sluice.ctl("ping", check=False)
    assert done.returncode == 1 and "too many" in done.stderr, done
    for s in idle:
        s.close()
    wait_until(lambda: fake.sluice.ctl("ping", check=False).returncode == 0, 20, "room again")
    fake.sluice.stop()


def test_data_dir_in_memory(ctx):
    """An alert: it dies with the machine."""
    if not os.path.isdir("/dev/shm"):
        raise Skip("no tmpfs to try")
    folder = "/dev/shm/sluice-test-%d" % os.getpid()
    ctx.on_exit(lambda: shutil.rmtree(folder, ignore_errors=True))
    fake = Fake(ctx, options={"data_dir": folder})
    fake.sluice.start()
    assert any(a["code"] == "data-dir" for a in fake.sluice.status()["alerts"])
    fake.sluice.stop()
