"""The runner kills what a test leaves behind, keeps time limits, and counts."""
import os
import subprocess
import sys

import harness

from harness import wait_until

DRIVER = """
import os, subprocess, sys, time, types
sys.dont_write_bytecode = True
sys.path[:0] = [{here!r}, os.path.join({here!r}, "selftest")]
import importlib.machinery, importlib.util
loader = importlib.machinery.SourceFileLoader("run", os.path.join({here!r}, "run"))
spec = importlib.util.spec_from_loader("run", loader)
run = importlib.util.module_from_spec(spec)
loader.exec_module(run)

def leaves(ctx):
    # A grandchild whose parent ends, as sluiced's stages when it is killed.
    subprocess.run(["sh", "-c", "sleep 1000 & echo $! >> {pid}"])

def hangs(ctx):
    subprocess.Popen(["sh", "-c", "echo $$ >> {pid}; sleep 1000"])
    time.sleep(1000)
hangs.limit = 1

def fails(ctx):
    assert 1 == 2, "one is not two"

def passes(ctx):
    ctx.note("a remark")

tests = [run.Test("selftest." + f.__name__, f, None) for f in (leaves, hangs, fails, passes)]
run.load_tests = lambda: tests
run.HERE = {dir!r}
sys.argv[0] = "run"
sys.exit(run.main())
"""


def test_runner(ctx):
    here = harness.HERE
    pid_file = ctx.path("pids")
    script = ctx.path("run")
    with open(script, "w") as f:
        f.write(DRIVER.format(here=here, pid=pid_file, dir=ctx.dir))
    done = subprocess.run([sys.executable, script, "--build", ctx.build], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=40)
    out = done.stdout
    assert done.returncode == 1, out
    assert "ok selftest.leaves (" in out and "ok selftest.passes (" in out, out
    assert "; a remark" in out, out
    assert "not ok selftest.fails: one is not two" in out, out
    assert "not ok selftest.hangs: over its time limit" in out, out
    assert out.splitlines()[-1] == "2 passed, 2 failed", out
    with open(pid_file) as f:
        pids = [int(line) for line in f]
    assert len(pids) == 2
    for pid in pids:
        wait_until(lambda: harness.gone(pid) or not os.path.exists("/proc/%d" % pid), 5,
                   "%d has ended" % pid)


def test_libconfig(ctx):
    text = harness.libconfig({"forward.port": 1, "forward.bind": "a\"\\b", "x": True,
                              "big.n": 1 << 33})
    assert text == ('forward: {\n    port = 1;\n    bind = "a\\"\\\\b";\n};\nx = true;\n'
                    'big: {\n    n = 8589934592L;\n};\n'), text
