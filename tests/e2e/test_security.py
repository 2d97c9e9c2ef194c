"""Secrets stay where they belong, and every stage is confined, as the kernel says."""
import os
import re
import shutil
import signal

import forward

from forward import Closed
from harness import STAGES, Skip, cases, children, equal, wait_until
from otlp_server import Answer

API_KEY = "auth_c2VjcmV0LWFwaS1rZXk"
SHARED_KEY = "c2hhcmVkLWtleQ-of-the-fleet"


def running(ctx, **kw):
    """A sluiced with both outputs and secrets, that has done some work."""
    server = ctx.otlp(api_key=API_KEY, dataset="d")
    sluice = ctx.sluice(otlp=server, file=True, env={"FLUENTD_SHARED_KEY": SHARED_KEY}, **kw)
    client = sluice.connect(key=SHARED_KEY)
    client.send(forward.message("t", (1700000000, {"serial": 0}), {"chunk": "a"}))
    client.ack()
    server.wait_records(1)
    sluice.wait_file_records(1)
    return server, sluice


def read(path):
    with open(path, "rb") as f:
        return f.read()


@cases("environment", "file")
def test_secrets(ctx, case):
    if os.geteuid() != 0:
        raise Skip("needs root to read the environment of the stages")
    if case == "environment":
        server, sluice = running(ctx, options={"log.level": "debug"})
    else:
        server = ctx.otlp(api_key=API_KEY)
        sluice = ctx.sluice(otlp=server, env={"DASH0_API_KEY": ""}, start=False, options={
            "otlp.api_key": API_KEY, "forward.shared_key": SHARED_KEY, "log.level": "debug"})
        del sluice.env["DASH0_API_KEY"]
        sluice.start()
    # What might tell: a wrong key, a refusal, a reload, a restart.
    try:
        sluice.connect(key="wrong")
        raise AssertionError("a wrong key was taken")
    except Closed:
        pass
    server.script([Answer(401)])
    client = sluice.connect(key=SHARED_KEY)
    client.send(forward.message("t", (1700000000, {"serial": 1}), {"chunk": "b"}))
    client.ack()
    server.wait(lambda: server.script_left() == 0, 20, "the 401")
    sluice.process.send_signal(signal.SIGHUP)
    sluice.wait_log("(?i)reload")
    for name in ("shipper", "receiver"):
        old = sluice.pid(name)
        sluice.restart(name)
        sluice.wait_running(name, other_than=old)
    pids = [sluice.process.pid] + list(children(sluice.process.pid))
    assert len(pids) >= 4
    places = {"stderr": sluice.stderr(), "stdout": read(sluice.dir + "/stdout")}
    for pid in pids:
        for name in ("cmdline", "environ", "comm"):
            places["%s of %d" % (name, pid)] = read("/proc/%d/%s" % (pid, name))
    places["status"] = sluice.ctl("status").stdout.encode()
    places["status --json"] = sluice.ctl("status", "--json").stdout.encode()
    for folder, _, names in os.walk(sluice.data_dir):
        for name in names:
            path = os.path.join(folder, name)
            places[path] = read(path)
    for secret in (API_KEY, SHARED_KEY):
        for place, data in places.items():
            assert secret.encode() not in data, "%s in %s" % (secret, place)
    for pid in pids:
        assert read("/proc/%d/cmdline" % pid), "%d has no command line to look at" % pid


def status_of(pid):
    with open("/proc/%d/status" % pid) as f:
        return {k: v.strip() for k, v in (line.split(":", 1) for line in f)}


@cases(*STAGES)
def test_status(ctx, case):
    """no_new_privs, a seccomp filter, no capabilities, not dumpable, no core, in every thread."""
    _, sluice = running(ctx)
    pid = sluice.pid(case)
    for thread in os.listdir("/proc/%d/task" % pid):
        status = status_of(int(thread))
        equal(status["NoNewPrivs"], "1", "NoNewPrivs")
        equal(status["Seccomp"], "2", "Seccomp")
        for caps in ("CapInh", "CapPrm", "CapEff", "CapAmb", "CapBnd"):
            if caps == "CapBnd" and os.geteuid() != 0:
                continue                # only a privileged process can empty it
            equal(int(status[caps], 16), 0, caps)
    limits = read("/proc/%d/limits" % pid).decode()
    assert re.search(r"Max core file size +0 +0 ", limits), limits
    assert re.search(r"Max processes", limits)


# What each stage may have open. {data} and {dir} are filled in; sockets are looked at apart.
ANON = [r"anon_inode:\[(eventfd|eventpoll|signalfd|timerfd)\]", r"/memfd:.*", r"/dev/null",
        r"/dev/(u)?random", r"{dir}/std(err|out)", r"socket:\[\d+\]"]
FILES = {
    "receiver": [],
    "processor": [r"{data}(/.*)?"],
    "shipper": [r"{data}(/.*)?", r"{dir}/out\.jsonl", r"{dir}", r"/etc/.*", r"/usr/.*"],
}


def sockets():
    """{inode: (kind, local port, state)} of inet sockets; unix ones are absent."""
    out = {}
    for kind in ("tcp", "tcp6", "udp", "udp6"):
        with open("/proc/net/" + kind) as f:
            for line in list(f)[1:]:
                fields = line.split()
                out[int(fields[9])] = (kind, int(fields[1].split(":")[1], 16), fields[3])
    return out


@cases(*STAGES)
def test_descriptors(ctx, case):
    """Only sockets, memory and files that the stage should have."""
    if os.geteuid() != 0:
        raise Skip("needs root to look at the stages' descriptors")
    server, sluice = running(ctx)
    pid = sluice.pid(case)
    allowed = [p.format(dir=re.escape(sluice.dir), data=re.escape(sluice.data_dir))
               for p in ANON + FILES[case]]
    inet = sockets()
    listening, others = [], []
    for fd in os.listdir("/proc/%d/fd" % pid):
        try:
            target = os.readlink("/proc/%d/fd/%s" % (pid, fd))
        except FileNotFoundError:
            continue
        assert any(re.fullmatch(p + r"( \(deleted\))?", target) for p in allowed), \
            "descriptor %s of the %s is %s" % (fd, case, target)
        with open("/proc/%d/fdinfo/%s" % (pid, fd)) as f:
            flags = int(re.search(r"flags:\s*0?([0-7]+)", f.read()).group(1), 8)
        assert int(fd) < 3 or flags & 0o2000000, "descriptor %s (%s) is not CLOEXEC" % (fd, target)
        socket = re.fullmatch(r"socket:\[(\d+)\]", target)
        if socket and int(socket.group(1)) in inet:
            kind, port, state = inet[int(socket.group(1))]
            (listening if state == "0A" else others).append((kind, port))
    if case == "receiver":
        assert listening and all(p == sluice.port for _, p in listening + others), \
            (listening, others)
    elif case == "processor":
        assert not listening and not others, (listening, others)
    else:
        assert not listening, listening


@cases(*STAGES)
def test_not_dumpable(ctx, case):
    """Another process of the same user cannot look into a stage: its /proc entries are root's."""
    _, sluice = running(ctx)
    pid = sluice.pid(case)
    equal(os.stat("/proc/%d/environ" % pid).st_uid, 0, "owner of /proc/PID/environ")
    if os.geteuid() == 0:
        out = read("/proc/%d/environ" % pid)
        assert API_KEY.encode() not in out


def test_cannot_be_started_by_hand(ctx):
    """A stage without its supervisor says so and exits with the status for misuse."""
    _, sluice = running(ctx)
    path = os.path.join(ctx.build, "receiver", "sluice-receiver")
    done = ctx.run([path], check=False, timeout=20, env={"ASAN_OPTIONS": "detect_leaks=0"})
    equal(done.returncode, 100, "exit status; " + done.stderr)
    assert done.stderr.strip()


def test_control_socket(ctx):
    """Only its owner can speak to the control socket."""
    _, sluice = running(ctx)
    mode = os.stat(sluice.control).st_mode & 0o777
    assert mode & 0o077 == 0 or mode == 0o660, oct(mode)


def test_user(ctx):
    """Started by root with `user` set, the stages run as that user, in its own data directory."""
    if os.geteuid() != 0:
        raise Skip("needs root")
    import pwd
    nobody = pwd.getpwnam("nobody")
    server = ctx.otlp()
    # The checkout may be where only root can go (/root): the stages start from copies.
    libexec = ctx.path("libexec")
    os.mkdir(libexec)
    for name in ("receiver", "processor", "shipper"):
        shutil.copy(os.path.join(ctx.build, name, "sluice-" + name), libexec)
    sluice = ctx.sluice(otlp=server, start=False,
                        options={"user": "nobody", "libexec_dir": libexec})
    os.chmod(ctx.dir, 0o755)
    os.chown(sluice.data_dir, nobody.pw_uid, nobody.pw_gid)
    sluice.start()
    client = sluice.connect()
    client.send(forward.message("t", (1700000000, {"serial": 0}), {"chunk": "a"}))
    client.ack()
    server.wait_records(1)
    for stage in sluice.status()["stages"]:
        uids = status_of(stage["pid"])["Uid"].split()
        equal(uids, [str(nobody.pw_uid)] * 4, "uids of the " + stage["name"])
        groups = status_of(stage["pid"])["Groups"].split()
        assert set(groups) <= {str(nobody.pw_gid)}, groups
    wait_until(lambda: sluice.stage("processor")["state"] == "running", 10, "the processor runs")
    sluice.stop()
