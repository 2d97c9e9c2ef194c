"""What the lints share: the list of the project's files, and C text without its comments.

A lint is a program that takes [--root DIR], prints one `file:line: what is wrong: what to do` per
finding, and exits with 1 if there was any. With --self-test it proves on bad samples that it finds
what it is for. A finding that is wanted is silenced where it stands, with its reason:

    fd = dup(2); /* lint-ok: stderr must survive exec */

on the line itself or alone on the line above.
"""

import os
import re
import subprocess
import sys
import tempfile


# Without git (a tarball): what .gitignore names, as far as a lint would look at it.
MADE = (".git", "build", "build-aux", "autom4te.cache", "node_modules", "__pycache__", "quickstart-data",
        "configure", "configure~", "aclocal.m4", "Makefile.in")


def files(root, *endings):
    """The tracked and the new files under root that end so, as sorted relative paths."""
    try:
        out = subprocess.run(
            ["git", "-c", "safe.directory=*", "-C", root, "ls-files", "-co", "--exclude-standard", "-z"],
            check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
        names = [os.fsdecode(n) for n in out.split(b"\0") if n]
    except (OSError, subprocess.CalledProcessError):
        names = []
    if not names:
        for folder, folders, found in os.walk(root):
            folders[:] = [f for f in folders if f not in MADE]
            names += [os.path.relpath(os.path.join(folder, f), root) for f in found if f not in MADE]
    names = [n for n in names if not endings or n.endswith(endings)]
    return sorted(n for n in set(names) if os.path.isfile(os.path.join(root, n)))


def read(root, name):
    with open(os.path.join(root, name), encoding="utf-8", errors="replace", newline="") as f:
        return f.read()


# A literal of either kind ends at its line's end at the latest: an apostrophe in #error is no char.
TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def blank(text, keep_strings=False):
    """The text with comments and the insides of literals blanked; lines and columns stay."""
    def one(match):
        token = match.group(0)
        if token[0] == "/":
            return re.sub(r"[^\n]", " ", token)
        if keep_strings:
            return token
        return token[0] + " " * (len(token) - 2) + token[-1]
    return TOKEN.sub(one, text)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def call_arguments(text, offset):
    """The text between the parenthesis at or after offset and its partner, or None."""
    start = text.find("(", offset)
    depth = 0
    for i in range(start, len(text)):
        if text[i] == "(":
            depth += 1
        elif text[i] == ")":
            depth -= 1
            if depth == 0:
                return text[start + 1:i]
    return None


class Findings:
    def __init__(self, root):
        self.root = root
        self.list = []
        self.lines = {}

    def add(self, name, line, what):
        if name not in self.lines:
            path = os.path.join(self.root, name)
            self.lines[name] = read(self.root, name).split("\n") if os.path.isfile(path) else []
        lines = self.lines[name]
        here = lines[line - 1] if 0 < line <= len(lines) else ""
        above = lines[line - 2].strip() if 1 < line <= len(lines) + 1 else ""
        ok = re.compile(r"lint-ok: [^\s*]")
        if ok.search(here) or (above.startswith("/*") and ok.search(above)):
            return
        self.list.append((name, line, what))

    def report(self):
        for name, line, what in sorted(self.list):
            print(f"{name}:{line}: {what}")
        return 1 if self.list else 0


def self_test(check, samples):
    """samples: (what it shows, {file: text}, [(file, line), ...]), the findings being exact."""
    status = 0
    for title, tree, expected in samples:
        with tempfile.TemporaryDirectory() as root:
            for name, text in tree.items():
                path = os.path.join(root, name)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "w", encoding="utf-8", newline="") as f:
                    f.write(text)
            findings = Findings(root)
            check(root, findings)
            got = sorted(set((name, line) for name, line, _ in findings.list))
            if got != sorted(expected):
                print(f"self-test: {title}: expected {sorted(expected)}, got {findings.list}")
                status = 1
    return status


def main(check, samples):
    arguments = sys.argv[1:]
    if arguments == ["--self-test"]:
        sys.exit(self_test(check, samples))
    root = "."
    if len(arguments) == 2 and arguments[0] == "--root":
        root = arguments[1]
    elif arguments:
        sys.exit(f"usage: {sys.argv[0]} [--root DIR | --self-test]")
    findings = Findings(root)
    check(root, findings)
    sys.exit(findings.report())
