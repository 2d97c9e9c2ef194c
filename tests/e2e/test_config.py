"""--check-config names file, line and option of every mistake; --help and --version."""
import os
import re
import subprocess

from harness import HERE, cases, equal

OPTIONS = os.path.join(HERE, "..", "..", "shared", "options", "options.def")

GOOD = """data_dir = "/tmp/x";
forward: {
    bind = "127.0.0.1";
    port = 24224;
};
file: { path = "/tmp/x/out.jsonl"; };
"""


def check(ctx, text, env=None, sets=()):
    """Returns (exit status, output, path of the file)."""
    path = ctx.path("c.conf")
    if text is not None:
        with open(path, "w") as f:
            f.write(text)
    argv = [ctx.sluiced, "--check-config", "--config", path]
    for item in sets:
        argv += ["--set", item]
    done = ctx.run(argv, check=False, timeout=20,
                   env=dict({"PATH": os.environ["PATH"], "ASAN_OPTIONS": "detect_leaks=0"},
                            **(env or {})))
    return done.returncode, done.stdout + done.stderr, path


# name: (text added to GOOD, [(line, option), ...])
BAD = {
    "unknown option": ("retries = 3;\n", [(7, "retries")]),
    "unknown in group": ("forwards: {\n  port = 1;\n};\n", [(8, "forwards.port")]),
    "misspelt": ("retry: {\n  mim = \"1s\";\n};\n", [(8, "retry.mim")]),
    "word for number": ("receiver: { count = \"two\"; };\n", [(7, "receiver.count")]),
    "above the range": ("processor: {\n  count = 99;\n};\n", [(8, "processor.count")]),
    "below the range": ("processor: {\n  count = 0;\n};\n", [(8, "processor.count")]),
    "negative": ("otlp: { requests = -1; };\n", [(7, "otlp.requests")]),
    "bad choice": ("record: { trace_id = \"maybe\"; };\n", [(7, "record.trace_id")]),
    "bool for choice": ("log: { level = true; };\n", [(7, "log.level")]),
    "group twice": ("forward: { allow_anonymous = true; };\n", [(7, "given before")]),
    "empty": ("environment = \"\";\n", [(7, "environment")]),
    "size without sense": ("journal: {\n\n  segment_size = \"64 parsecs\";\n};\n",
                           [(9, "journal.segment_size")]),
    "time without unit": ("retry: { min = \"5 moments\"; };\n", [(7, "retry.min")]),
    "relative path": ("control: { path = \"run/control\"; };\n", [(7, "control.path")]),
    "no url": ("otlp: { endpoint = \"localhost:4318\"; };\n", [(7, "otlp.endpoint")]),
    "url with password": ("otlp: { endpoint = \"https://u:p@h/v1/logs\"; };\n",
                          [(7, "otlp.endpoint")]),
    "list": ("service: { name = [\"a\", \"b\"]; };\n", [(7, "service.name")]),
    "group for value": ("log: { level: { x = 1; }; };\n", [(7, "log.level")]),
    "line break in key": ("otlp: { api_key = \"a\\nb\"; };\n", [(7, "otlp.api_key")]),
    "many": ("a = 1;\nretry: { min = \"x\"; max = \"y\"; };\nb = 2;\n",
             [(7, "a"), (8, "retry.min"), (8, "retry.max"), (9, "b")]),
}


@cases(*BAD)
def test_mistake(ctx, case):
    text, want = BAD[case]
    status, out, path = check(ctx, GOOD + text)
    equal(status, 78, "exit status; " + out)
    for line, option in want:
        assert re.search(r"%s:%d: .*\b%s\b" % (re.escape(path), line, re.escape(option)), out), \
            "no %s at line %d in: %s" % (option, line, out)
    # The same file does not start.
    done = ctx.run([ctx.sluiced, "--config", path], check=False, timeout=20,
                   env={"PATH": os.environ["PATH"], "ASAN_OPTIONS": "detect_leaks=0"})
    equal(done.returncode, 78, "exit status of the start")
    assert "%s:%d" % (path, want[0][0]) in done.stderr, done.stderr


def test_syntax(ctx):
    for text, line in (("forward: {\n  port = 1\n  bind = ;\n};\n", 3), ("x = \"open\n", 2)):
        status, out, path = check(ctx, text)
        equal(status, 78, "exit status")
        assert re.search(r"%s:(%d|%d)\b" % (re.escape(path), line - 1, line), out), out


def test_secret_not_shown(ctx):
    status, out, _ = check(ctx, GOOD + "otlp: { api_key = \"auth_hush\\n\"; };\n")
    equal(status, 78, "exit status")
    assert "hush" not in out, out


def test_missing_file(ctx):
    status, out, path = check(ctx, None)
    equal(status, 78, "exit status")
    assert path in out, out


def test_other_sources(ctx):
    """Mistakes in the environment and on the command line are named as such."""
    status, out, _ = check(ctx, GOOD, env={"SLUICE_FORWARD_PORT": "abc"})
    equal(status, 78, "exit status")
    assert "SLUICE_FORWARD_PORT" in out or "forward.port" in out, out
    status, out, _ = check(ctx, GOOD, sets=["forward.portt=1"])
    equal(status, 78, "exit status")
    assert "forward.portt" in out, out
    status, out, _ = check(ctx, GOOD, sets=["forward.allow_anonymous=perhaps"])
    equal(status, 78, "exit status")
    assert "forward.allow_anonymous" in out, out
    status, out, _ = check(ctx, GOOD, env={"SLUICE_LOG_LEVEL": "loud"})
    equal(status, 78, "exit status")
    assert "SLUICE_LOG_LEVEL" in out or "log.level" in out, out


def test_good(ctx):
    equal(check(ctx, GOOD)[0], 0, "exit status")


def test_production_needs_a_key(ctx):
    """Off loopback production asks for a shared key, or for a word that it is meant so; and for an
    output."""
    wide = GOOD.replace("127.0.0.1", "*")
    status, out, path = check(ctx, wide)
    equal(status, 78, "exit status")
    assert "forward.shared_key" in out, out
    equal(check(ctx, wide, env={"NODE_ENV": "development"})[0], 0, "development")
    equal(check(ctx, wide, env={"FLUENTD_SHARED_KEY": "k"})[0], 0, "with a key")
    equal(check(ctx, wide, sets=["forward.allow_anonymous=true"])[0], 0, "allowed")
    no_output = GOOD.replace("file:", "#")
    status, out, _ = check(ctx, no_output)
    equal(status, 78, "no output")
    assert "otlp" in out or "output" in out, out
    equal(check(ctx, no_output, env={"DASH0_API_KEY": "auth_k"})[0], 0, "with an API key")


def test_precedence(ctx):
    """Command line over environment over file; the names of the old service count."""
    def port(env=None, sets=()):
        path = ctx.path("c.conf")
        with open(path, "w") as f:
            f.write(GOOD)
        argv = [ctx.sluiced, "--config", path, "--show-config"]
        for item in sets:
            argv += ["--set", item]
        done = ctx.run(argv, env=dict({"PATH": os.environ["PATH"],
                                       "ASAN_OPTIONS": "detect_leaks=0"}, **(env or {})))
        assert "hush" not in done.stdout
        return re.search(r"forward\.port\W+(\d+)", done.stdout).group(1)
    equal(port(), "24224", "file")
    equal(port({"SLUICE_FORWARD_PORT": "1111", "DASH0_API_KEY": "hush"}), "1111", "environment")
    equal(port({"SLUICE_FORWARD_PORT": "1111"}, ["forward.port=2222"]), "2222", "command line")


def test_help(ctx):
    """Every option of the table is in --help, with its default."""
    done = ctx.run([ctx.sluiced, "--help"], timeout=20)
    with open(OPTIONS) as f:
        paths = re.findall(r"^OPTION\(\w+, \"([a-z0-9_.]+)\"", f.read(), re.M)
    assert len(paths) > 30
    missing = [p for p in paths if p not in done.stdout]
    assert not missing, missing
    for word in ("--config", "--set", "--check-config", "--version"):
        assert word in done.stdout, word
    assert not done.stderr


def test_version(ctx):
    done = ctx.run([ctx.sluiced, "--version"], timeout=20)
    assert re.match(r"\S*sluice\S* \d+\.\d+", done.stdout.lower()), done.stdout
    done = ctx.run([ctx.sluicectl, "--version"], timeout=20)
    assert re.match(r"\S*sluice\S* \d+\.\d+", done.stdout.lower()), done.stdout


def test_unknown_argument(ctx):
    done = subprocess.run([ctx.sluiced, "--frobnicate"], stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=20)
    assert done.returncode != 0 and "frobnicate" in done.stderr, done
