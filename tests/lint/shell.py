#!/usr/bin/python3
"""Shell scripts: shellcheck, and `set -eu` in each that is run (not sourced)."""

import re
import shutil
import subprocess
import sys

import csource

SHEBANG = re.compile(r"#!\s*(?:/usr)?/bin/(?:env )?(?:ba|da)?sh\b")


def scripts(root):
    for name in csource.files(root):
        if "/node_modules/" in name:
            continue
        with open(f"{root}/{name}", "rb") as f:
            head = f.read(80).decode("utf-8", "replace")
        if SHEBANG.match(head) or name.endswith(".sh"):
            yield name, head


def check(root, findings):
    names = []
    for name, head in scripts(root):
        names.append(name)
        text = csource.read(root, name)
        if head.startswith("#!") and not re.search(r"^set -[a-z]*e[a-z]*", text, re.M):
            findings.add(name, 1, "no `set -eu`: a failing command would go unnoticed")
    if not names:
        return
    tool = shutil.which("shellcheck") or sys.exit("shellcheck is missing: apt-get install shellcheck")
    done = subprocess.run([tool, "-x", "-P", root, "-S", "info", "-f", "gcc"] + names, cwd=root, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    for line in done.stdout.split("\n"):
        found = re.match(r"([^:]+):(\d+):\d+: (?:note|warning|error): (.*)", line)
        if found:
            findings.add(found.group(1), int(found.group(2)), found.group(3))


SAMPLES = [
    ("clean", {"a.sh": "#!/bin/bash\nset -eu\necho \"$1\"\n", "b": "not a script\n"}, []),
    ("unquoted", {"a": "#!/bin/sh\nset -eu\n. ./b.sh\nrm $1\nls \"$z\"\n", "b.sh": "# shellcheck shell=sh\nexport z=1\n"},
     [("a", 4)]),
    ("unused", {"a": "#!/bin/bash\nset -eu\nx=1\n"}, [("a", 3)]),
    ("no set -eu", {"a": "#!/usr/bin/env bash\necho\n"}, [("a", 1)]),
]

if __name__ == "__main__":
    csource.main(check, SAMPLES)
