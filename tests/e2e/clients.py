"""The real clients: the npm packages under node/, the Go logger under go/, Python's under python/.
The npm packages are installed, and the Go program built, in the build directory, once."""
import fcntl
import hashlib
import json
import os
import queue
import shutil
import subprocess
import threading
import time

TIME_S = 1700000000             # the event time of record 0, in all clients
HERE = os.path.dirname(os.path.abspath(__file__))


def now_ns():
    return time.time_ns()


def _once(ctx, name, sources, make):
    """Calls make(folder) unless it was done for these very sources."""
    folder = os.path.join(ctx.build, "tests", "e2e", name)
    os.makedirs(folder, exist_ok=True)
    digest = hashlib.sha256()
    for path in sources:
        with open(path, "rb") as f:
            digest.update(f.read())
    stamp = os.path.join(folder, ".stamp")
    with open(os.path.join(folder, ".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            with open(stamp) as f:
                if f.read() == digest.hexdigest():
                    return folder
        except FileNotFoundError:
            pass
        make(folder)
        with open(stamp, "w") as f:
            f.write(digest.hexdigest())
    return folder


def _run(argv, **kw):
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=300, text=True, **kw)
    if done.returncode != 0:
        raise AssertionError("%s: %s" % (" ".join(argv), done.stdout[-2000:]))


def node_folder(ctx):
    source = os.path.join(HERE, "node")
    locks = [os.path.join(source, n) for n in ("package.json", "package-lock.json")]

    def make(folder):
        for path in locks:
            shutil.copy(path, folder)
        _run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder)

    return _once(ctx, "node", locks, make)


def node_command(ctx, script):
    return (["node", os.path.join(HERE, "node", script)],
            {"PATH": os.environ["PATH"], "HOME": ctx.dir,
             "NODE_PATH": os.path.join(node_folder(ctx), "node_modules")})


def node(ctx, script, settings, timeout=60):
    """Runs node/SCRIPT with `settings` as its argument (JSON). Returns its output, read as JSON."""
    argv, env = node_command(ctx, script)
    return json.loads(ctx.run(argv + [json.dumps(settings)], timeout=timeout, env=env).stdout)


def go_client(ctx):
    source = os.path.join(HERE, "go", "client.go")

    def make(folder):
        env = dict(os.environ, GO111MODULE="off", GOPATH="/usr/share/gocode", GOFLAGS="",
                   GOCACHE=os.path.join(folder, "cache"))
        _run(["go", "build", "-o", os.path.join(folder, "client"), source], env=env)

    return os.path.join(_once(ctx, "go", [source], make), "client")


def _settings(ctx, name, settings):
    path = ctx.path(name + ".settings")
    with open(path, "w") as f:
        json.dump(settings, f)
    return path


def command(ctx, language, program):
    """The argv, without the settings' path, and the environment of a program: node/corpus.js and
    stream.js, go's "corpus" and "stream", python/send.py."""
    if language == "node":
        return node_command(ctx, program + ".js")
    if language == "go":
        return [go_client(ctx), program], None
    return ["/usr/bin/python3", os.path.join(HERE, "python", program + ".py")], None


def run(ctx, language, program, settings, timeout=60):
    """Runs it to its end. Returns its output, read as JSON."""
    argv, env = command(ctx, language, program)
    path = _settings(ctx, "%s-%s" % (language, program), settings)
    return json.loads(ctx.run(argv + [path], timeout=timeout, env=env).stdout)


class Stream:
    """A client that sends until it is told to stop: node's stream.js or go's stream."""

    def __init__(self, ctx, language, settings):
        argv, env = command(ctx, language, "stream")
        path = _settings(ctx, language + "-stream", settings)
        self.error_path = path + ".stderr"
        with open(self.error_path, "wb") as err:
            self.process = subprocess.Popen(argv + [path], stdin=subprocess.PIPE, env=env,
                                            stdout=subprocess.PIPE, stderr=err, text=True)
        ctx.on_exit(self.process.kill)
        self.acked = 0
        self.done = None
        self._lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self._lines.put(json.loads(line))
        self._lines.put(None)

    def stderr(self):
        with open(self.error_path, errors="replace") as f:
            return f.read()

    def _take(self, timeout, what):
        """The next line, if one comes in time."""
        try:
            said = self._lines.get(timeout=timeout)
        except queue.Empty:
            return False
        if said is None:
            raise AssertionError("the client ended before %s: %s" % (what, self.stderr()[-1000:]))
        self.acked = said.get("acked", self.acked)
        self.done = said.get("done")
        return True

    def _wait(self, reached, timeout, what):
        end = time.monotonic() + timeout
        while not reached():
            if not self._take(max(0.01, end - time.monotonic()), what):
                raise AssertionError("timeout after %g s: %s; %d acknowledged" % (
                    timeout, what, self.acked))

    def progress(self, more, timeout=30):
        """Waits until it has so many more records acknowledged."""
        what = "%d more acknowledged" % more
        while self._take(0.001, what):          # what it said before does not count
            pass
        goal = self.acked + more
        self._wait(lambda: self.acked >= goal, timeout, what)

    def finish(self, timeout=40):
        """Tells it to stop, waits until all is acknowledged. Returns what it says of each run."""
        self.process.stdin.write("\n")
        self.process.stdin.close()
        self._wait(lambda: self.done is not None, timeout, "its end")
        self.process.wait(timeout)
        return self.done


def prepare(build):
    """Installs and builds them before any test's time limit runs. A failure is left to the tests
    that need them, which say it again."""
    class Place:
        pass

    place = Place()
    place.build = build
    for make in (node_folder, go_client):
        try:
            make(place)
        except (AssertionError, OSError, subprocess.SubprocessError) as error:
            print("# real clients: %s" % error, flush=True)
