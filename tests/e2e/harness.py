"""What a test gets: `ctx`, with a directory of its own, sluiced, OTLP servers and clients.

A test is a function test_NAME(ctx) in a file test_THEME.py; it is listed as THEME.NAME. It passes
unless it raises. Each runs in a process of its own, in a fresh directory, under a time limit, and
two may run at a time. Decorators:

    @limit(120)                     seconds; 60 if absent
    @exclusive                      nothing else runs beside it
    @cases("message", "forward")    run once per case, as THEME.NAME[CASE], called f(ctx, case)
    @chaos                          also part of `run --long`, where ctx.rounds() is larger

At its end a test also fails if a sanitizer reported something, a process panicked, a stage died
that the test did not kill, or an OTLP server saw a request that a strict server would refuse.
"""
import ctypes
import errno
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import time

import otlp_decode
import streams

from forward import Connection, LoadClient
from otlp_server import OtlpServer

HERE = os.path.dirname(os.path.abspath(__file__))
STAGES = ("receiver", "processor", "shipper")
ALARMS = re.compile(rb"ERROR: AddressSanitizer|runtime error:|LeakSanitizer: detected"
                    rb"|\"level\":\"panic\"|AddressSanitizer:DEADLYSIGNAL")


class Skip(Exception):
    """The test cannot run here; the reason is shown."""


def limit(seconds):
    def mark(function):
        function.limit = seconds
        return function
    return mark


def exclusive(function):
    function.exclusive = True
    return function


def cases(*labels):
    def mark(function):
        function.cases = labels
        return function
    return mark


def chaos(function):
    function.chaos = True
    return function


def wait_until(predicate, timeout, what, pause=0.03):
    """Asks again and again until predicate() is true; returns its value. `what` may be callable."""
    end = time.monotonic() + timeout
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("timeout after %g s: %s" % (
                timeout, what() if callable(what) else what))
        time.sleep(pause)


def equal(got, want, what):
    assert otlp_decode.same(got, want), "%s: got %r, want %r" % (what, got, want)


def free_port():
    """A port that nobody listens on, outside of the range that the kernel gives out."""
    for _ in range(200):
        port = random.randrange(10000, 15000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError as e:
                if e.errno != errno.EADDRINUSE:
                    raise
    raise RuntimeError("no free port")


def become_subreaper():
    """Orphans of ours come to us, not to init: sluiced's stages when it is killed."""
    ctypes.CDLL(None, use_errno=True).prctl(36, 1, 0, 0, 0)


def children(parent):
    """{pid: parent} of all processes below `parent`."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/%s/stat" % name) as f:
                    parents[int(name)] = int(f.read().rpartition(")")[2].split()[1])
            except (OSError, ValueError, IndexError):
                pass
    below, grown = {}, True
    while grown:
        grown = False
        for pid, up in parents.items():
            if pid not in below and (up == parent or up in below):
                below[pid] = up
                grown = True
    return below


def kill_children(parent=None, spare=()):
    """Kills all processes below us, but for `spare` and what is below those, and reaps them."""
    for _ in range(100):
        below = children(parent or os.getpid())
        doomed = [p for p in below if p not in spare and not any(
            s in _ancestors(p, below) for s in spare)]
        if not doomed:
            return
        for pid in doomed:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        for pid in doomed:
            reap(pid)
        time.sleep(0.02)


def _ancestors(pid, below):
    while pid in below:
        pid = below[pid]
        yield pid


def reap(pid):
    """Takes the exit status of a child of ours that ended, if it is one."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass


def gone(pid):
    """Whether a process has ended (a zombie has)."""
    reap(pid)
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def libconfig(options):
    """{"forward.port": 1} as the text of a configuration file; a list of dicts becomes one of
    groups."""
    tree = {}
    for path, value in options.items():
        node = tree
        *groups, leaf = path.split(".")
        for group in groups:
            node = node.setdefault(group, {})
        node[leaf] = value
    lines = []

    def quoted(value):
        return '"%s"' % str(value).replace("\\", "\\\\").replace('"', '\\"')

    def in_list(value):
        if isinstance(value, dict):
            return "{ %s }" % " ".join("%s = %s;" % (k, in_list(v)) for k, v in value.items())
        if isinstance(value, (list, tuple)):
            return "( %s )" % ", ".join(in_list(v) for v in value)
        return quoted(value)

    def write(node, indent):
        for key, value in node.items():
            if isinstance(value, dict):
                lines.append("%s%s: {" % (indent, key))
                write(value, indent + "    ")
                lines.append("%s};" % indent)
            elif isinstance(value, bool):
                lines.append("%s%s = %s;" % (indent, key, str(value).lower()))
            elif isinstance(value, int):
                lines.append("%s%s = %d%s;" % (indent, key, value, "L" * (value >= 1 << 31)))
            elif isinstance(value, (list, tuple)):
                lines.append("%s%s = %s;" % (indent, key, in_list(value)))
            else:
                lines.append("%s%s = %s;" % (indent, key, quoted(value)))

    write(tree, "")
    return "\n".join(lines) + "\n"


class Sluice:
    """One sluiced with its stages, its configuration and its data directory; start() again after
    stop() or kill_all() goes on with the same data."""

    def __init__(self, ctx, name, options, env, sets):
        self.ctx = ctx
        self.name = name
        self.dir = os.path.join(ctx.dir, name)
        os.makedirs(self.dir, exist_ok=True)
        self.data_dir = os.path.join(self.dir, "data")
        self.file_path = os.path.join(self.dir, "out.jsonl")
        self.config = os.path.join(self.dir, "sluice.conf")
        self.control = os.path.join(self.dir, "control")
        self.stderr_path = os.path.join(self.dir, "stderr")
        self.options = {
            "data_dir": self.data_dir,
            "control.path": self.control,
            "forward.bind": "127.0.0.1",
            "forward.port": free_port(),
            "log.format": "json",
        }
        self.options.update(options)
        self.options = {k: v for k, v in self.options.items() if v is not None}
        self.env = dict(env)
        self.sets = sets
        self.process = None
        self.notify = None
        self.killed = 0                 # stages that we made restart, under this sluiced
        self.port = self.options.get("forward.port")
        os.makedirs(self.data_dir, exist_ok=True)
        self.write_config()

    # ---- life -------------------------------------------------------------------------------

    def write_config(self, text=None):
        with open(self.config, "w") as f:
            f.write(libconfig(self.options) if text is None else text)

    def environment(self):
        env = {k: os.environ[k] for k in ("PATH", "HOME", "LANG", "ASAN_OPTIONS", "UBSAN_OPTIONS")
               if k in os.environ}
        # LeakSanitizer needs ptrace, which a confined stage does not have.
        env.setdefault("ASAN_OPTIONS", "detect_leaks=0")
        env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1:halt_on_error=1")
        env.update(self.env)
        return env

    def start(self, timeout=40, wait=True):
        assert self.process is None or self.process.poll() is not None
        if self.notify:
            self.notify.close()
        path = os.path.join(self.dir, "notify")
        if os.path.exists(path):
            os.unlink(path)
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self.notify.bind(path)
        env = self.environment()
        env["NOTIFY_SOCKET"] = path
        argv = [self.ctx.sluiced, "--config", self.config]
        for option in self.sets:
            argv += ["--set", option]
        with open(self.stderr_path, "ab") as err, open(self.dir + "/stdout", "ab") as out:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                            env=env, cwd=self.dir, start_new_session=True)
        self.killed = 0
        if wait:
            self.wait_ready(timeout)
        return self

    def wait_ready(self, timeout=40):
        self.wait_notify("READY=1", timeout)
        if self.port == 0:
            self.port = self.forward_port()
        return self

    def wait_notify(self, word, timeout=20):
        """Waits until sluiced tells the service manager `word`."""
        end = time.monotonic() + timeout
        self.notify.settimeout(0.1)
        while time.monotonic() < end:
            try:
                if word in self.notify.recv(65536).decode().split("\n"):
                    return
            except socket.timeout:
                pass
            if self.process.poll() is not None:
                raise AssertionError("sluiced ended with status %d before %s" % (
                    self.process.returncode, word))
        raise AssertionError("no %s from sluiced in %g s" % (word, timeout))

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def stop(self, timeout=40, status=0):
        """SIGTERM, and waits for the end. Checks the exit status and that no stage had died."""
        self.check_restarts()
        self.terminate()
        self.wait_exit(timeout, status)
        return self

    def wait_exit(self, timeout=40, status=0):
        try:
            got = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError("sluiced did not end in %g s" % timeout)
        assert got == status, "sluiced ended with status %r, not %r" % (got, status)

    def check_restarts(self):
        stages = self.status()["stages"]
        restarts = sum(s["restarts"] for s in stages)
        assert restarts <= self.killed, "stages died by themselves: %s" % stages

    def kill_all(self, timeout=20):
        """SIGKILL to the supervisor and every stage, at once; waits until all have ended."""
        pids = self.all_pids()
        self.process.kill()
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait(timeout)
        wait_until(lambda: all(gone(p) for p in pids), timeout, "the stages' end")

    def kill_supervisor(self):
        """SIGKILL to the supervisor alone. Returns the pids of the stages that it leaves."""
        pids = [p for p in self.all_pids() if p != self.process.pid]
        self.process.kill()
        self.process.wait(20)
        return pids

    def all_pids(self):
        return [self.process.pid] + list(children(self.process.pid))

    # ---- what it says -----------------------------------------------------------------------

    def ctl(self, *args, timeout=30, check=True):
        """sluicectl. Returns the CompletedProcess, with text output."""
        done = subprocess.run([self.ctx.sluicectl, "--socket", self.control, *args],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=timeout, text=True,
                              env=self.environment())
        if check and done.returncode != 0:
            raise AssertionError("sluicectl %s: status %d: %s" % (
                " ".join(args), done.returncode, (done.stderr or done.stdout).strip()))
        return done

    def status(self):
        return json.loads(self.ctl("status", "--json").stdout)

    def forward_port(self):
        for listener in self.status()["listeners"]:
            if listener.get("name") == "forward":
                return listener["port"]
        raise AssertionError("no forward listener in status")

    def stage(self, name, index=0):
        for stage in self.status()["stages"]:
            if stage["name"] == name and stage["index"] == index:
                return stage
        raise AssertionError("no stage %s/%d in status" % (name, index))

    def pid(self, name, index=0):
        return self.stage(name, index)["pid"]

    def kill(self, name, index=0, sig=signal.SIGKILL):
        """Kills a stage. Returns its pid."""
        pid = self.pid(name, index)
        assert pid > 0, "no %s runs" % name
        os.kill(pid, sig)
        self.killed += 1
        return pid

    def wait_running(self, name, index=0, other_than=None, timeout=30):
        """Waits until a stage runs, with another pid than `other_than`."""
        def running():
            stage = self.stage(name, index)
            return stage["state"] == "running" and stage["pid"] != other_than and stage["pid"] > 0
        wait_until(running, timeout, lambda: "%s/%d runs again: %s" % (
            name, index, self.stage(name, index)), pause=0.1)

    def restart(self, name):
        """`sluicectl restart STAGE`; returns when it is done."""
        self.killed += 1
        return self.ctl("restart", name, timeout=60)

    def metric(self, name, stage=None):
        """The sum of a metric over the stages that have it (all of them, or `stage`)."""
        return sum(s.get("metrics", {}).get(name, 0) for s in self.status()["stages"]
                   if stage in (None, s["name"]))

    def stderr(self):
        try:
            with open(self.stderr_path, "rb") as f:
                return f.read()
        except FileNotFoundError:
            return b""

    def log(self):
        """Its log lines, as dicts; lines that are no JSON come as {"raw": text}."""
        out = []
        for line in self.stderr().decode("utf-8", "replace").splitlines():
            try:
                out.append(json.loads(line))
            except ValueError:
                out.append({"raw": line})
        return out

    def wait_log(self, pattern, timeout=20, after=0):
        """Waits for a line of stderr that matches, from byte `after` on. Returns the match."""
        return wait_until(lambda: re.search(pattern.encode(), self.stderr()[after:]), timeout,
                          "a log line like %r" % pattern)

    # ---- the file output --------------------------------------------------------------------

    def file_bytes(self):
        try:
            with open(self.file_path, "rb") as f:
                return f.read()
        except FileNotFoundError:
            return b""

    def wait_file_records(self, count, timeout=30):
        """Waits until the file holds so many records. Returns them all, strictly decoded."""
        wait_until(lambda: self.file_bytes().count(b'"timeUnixNano"') >= count, timeout,
                   lambda: "%d records in the file: %d" % (
                       count, self.file_bytes().count(b'"timeUnixNano"')), pause=0.05)
        wait_until(lambda: self.file_bytes().endswith(b"\n"), 10, "the line's end")
        return otlp_decode.decode_lines(self.file_bytes())

    def quarantine(self):
        """{path: bytes} of the files in quarantine."""
        out = {}
        top = os.path.join(self.data_dir, "quarantine")
        for folder, _, names in os.walk(top):
            for name in names:
                path = os.path.join(folder, name)
                with open(path, "rb") as f:
                    out[os.path.relpath(path, top)] = f.read()
        return out

    # ---- clients ----------------------------------------------------------------------------

    def connect(self, **kw):
        connection = Connection(self.port, **kw)
        self.ctx.on_exit(connection.close)
        return connection

    def load(self, name="a", **kw):
        client = LoadClient(name, self.port, **kw)
        self.ctx.loads.append(client)
        client.start()
        return client


class Ctx:
    def __init__(self, name, directory, build, long=False):
        self.long = long
        self.name = name
        self.dir = directory
        self.build = build
        self.sluiced = os.path.join(build, "supervisor", "sluiced")
        self.sluicectl = os.path.join(build, "supervisor", "ctl", "sluicectl")
        self.notes = []
        self.sluices = []
        self.servers = []
        self.loads = []
        self.expect_violations = False
        self._exits = []
        self._schema = None

    @property
    def schema(self):
        if self._schema is None:
            self._schema = otlp_decode.build_schema(self.build)
        return self._schema

    def rounds(self, number):
        return number * 50 if self.long else number

    def note(self, text):
        """A remark that is printed with the result."""
        self.notes.append(text)

    def on_exit(self, function):
        self._exits.append(function)

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def fixture(self, name):
        """A file of captures/."""
        return streams.read(name)

    def otlp(self, start=True, **kw):
        server = OtlpServer(self.schema, **kw)
        self.servers.append(server)
        return server.start() if start else server.reserve()

    def sluice(self, otlp=None, file=None, options=None, env=None, sets=(), start=True,
               name="sluice"):
        """A sluiced whose outputs are the OTLP server `otlp`, if given, and the file
        sluice.file_path, by default only where there is no server."""
        options = dict(options or {})
        env = dict(env or {})
        if otlp is not None:
            options.setdefault("otlp.endpoint", otlp.url)
            if otlp.dataset is not None:
                options.setdefault("otlp.dataset", otlp.dataset)
            if otlp.api_key is not None:
                env.setdefault("DASH0_API_KEY", otlp.api_key)
        if file or (file is None and otlp is None):
            options.setdefault("file.path", os.path.join(self.dir, name, "out.jsonl"))
        sluice = Sluice(self, name, options, env, sets)
        self.sluices.append(sluice)
        return sluice.start() if start else sluice

    def run(self, argv, timeout=60, check=True, env=None, **kw):
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=timeout, text=True, env=env, **kw)
        if check and done.returncode != 0:
            raise AssertionError("%s: status %d: %s" % (
                os.path.basename(argv[0]), done.returncode, (done.stderr + done.stdout)[-2000:]))
        return done

    def need_binaries(self):
        for path in (self.sluiced, self.sluicectl):
            if not os.access(path, os.X_OK):
                raise AssertionError("not built: %s" % path)

    # ---- the end ----------------------------------------------------------------------------

    def finish(self):
        """The checks that every test ends with."""
        for sluice in self.sluices:
            if sluice.process and sluice.process.poll() is None and sluice.notify:
                sluice.check_restarts()
        for sluice in self.sluices:
            alarm = ALARMS.search(sluice.stderr())
            assert not alarm, "%s: %s" % (sluice.name, alarm.group().decode())
        for client in self.loads:
            assert client.error is None, "load client %s: %r" % (client.client, client.error)
        if not self.expect_violations:
            bad = [v for s in self.servers for v in s.violations]
            assert not bad, "requests that a strict server refuses: %s" % bad[:3]

    def cleanup(self):
        for client in self.loads:
            client.abort()
        for function in reversed(self._exits):
            try:
                function()
            except Exception:
                pass
        for server in self.servers:
            server.stop()
        kill_children()

    def tails(self):
        """The end of each sluiced's standard error, for a failed test."""
        out = []
        for sluice in self.sluices:
            lines = sluice.stderr().decode("utf-8", "replace").splitlines()
            out.append("--- %s stderr, last of %d lines" % (sluice.name, len(lines)))
            out += lines[-40:]
        for client in self.loads:
            out.append("--- load " + str(client))
        for server in self.servers:
            out.append("--- " + str(server))
        return out


def remove_tree(path):
    shutil.rmtree(path, ignore_errors=True)
