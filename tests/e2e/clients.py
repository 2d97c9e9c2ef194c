"""The real clients: the npm packages under node/, and the Go logger under go/. Their packages are
installed, and the Go program built, in the build directory, once."""
import fcntl
import hashlib
import json
import os
import shutil
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))


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


def node(ctx, script, settings, timeout=60):
    """Runs node/SCRIPT with `settings` as its argument (JSON). Returns its output, read as JSON."""
    env = {"PATH": os.environ["PATH"], "HOME": ctx.dir,
           "NODE_PATH": os.path.join(node_folder(ctx), "node_modules")}
    done = ctx.run(["node", os.path.join(HERE, "node", script), json.dumps(settings)],
                   timeout=timeout, env=env)
    return json.loads(done.stdout)


def go_client(ctx):
    source = os.path.join(HERE, "go", "client.go")

    def make(folder):
        env = dict(os.environ, GO111MODULE="off", GOPATH="/usr/share/gocode", GOFLAGS="",
                   GOCACHE=os.path.join(folder, "cache"))
        _run(["go", "build", "-o", os.path.join(folder, "client"), source], env=env)

    return os.path.join(_once(ctx, "go", [source], make), "client")


def go(ctx, settings, timeout=60):
    """Runs the Go client. Returns its output, read as JSON."""
    return json.loads(ctx.run([go_client(ctx), json.dumps(settings)], timeout=timeout).stdout)


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
