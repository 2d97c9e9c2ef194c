#!/usr/bin/python3
"""Formatting: clang-format 14, the one of Debian 12, with .clang-format of the tree."""

import os
import re
import shutil
import subprocess
import sys

import csource


def clang_format():
    for name in ("clang-format-14", "clang-format"):
        path = shutil.which(name)
        if path is None:
            continue
        said = subprocess.run([path, "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout
        if re.search(r"version 14\.", said):
            return path
    sys.exit("clang-format 14 is missing: apt-get install clang-format-14")


def check(root, findings):
    names = csource.files(root, ".c", ".h")
    if not names:
        return
    tool = clang_format()
    done = subprocess.run([tool, "--dry-run", "--style=file"] + names, cwd=root, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    for name in sorted(set(re.findall(r"^(\S+?):\d+:\d+: (?:warning|error):", done.stdout, re.M))):
        line = int(re.search(rf"^{re.escape(name)}:(\d+):", done.stdout, re.M).group(1))
        findings.add(name, line, f"not formatted: run {os.path.basename(tool)} -i {name}")
    if done.returncode != 0 and not findings.list:
        findings.add(".clang-format", 1, f"clang-format failed: {done.stdout.strip()[:200]}")


STYLE = csource.read(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."), ".clang-format")
SAMPLES = [
    ("formatted", {".clang-format": STYLE, "a/b.c": "int f(int a)\n{\n    return a;\n}\n"}, []),
    ("brace", {".clang-format": STYLE, "a/b.c": "int f(int a) {\n    return a;\n}\n"}, [("a/b.c", 1)]),
    ("indent", {".clang-format": STYLE, "a/b.c": "int f(int a)\n{\n  return a;\n}\n"}, [("a/b.c", 2)]),
]

if __name__ == "__main__":
    csource.main(check, SAMPLES)
