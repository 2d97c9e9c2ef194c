#!/usr/bin/python3
"""File names, header guards, and text hygiene: what every file owes its reader."""

import os
import re

import csource

TEXT = (".c", ".h", ".def", ".py", ".sh", ".mk", ".am", ".ac", ".md", ".conf", ".js", ".mjs", ".go")
MADE_BY_OTHERS = ("tests/e2e/node/node_modules/", "tests/fixtures/")


def check_header(name, text, findings):
    guard = re.sub(r"\W", "_", name).upper()
    found = re.search(r"^#ifndef (\w+)\n#define (\w+)$", text, re.M)
    if found is None:
        findings.add(name, 1, f"no include guard: use #ifndef {guard}, #define {guard}")
    elif found.group(1) != guard or found.group(2) != guard:
        findings.add(name, csource.line_of(text, found.start()), f"the guard must be {guard}")
    if not text.startswith("/*"):
        findings.add(name, 1, "a header opens with a comment: what it is, who calls, ownership, errors")


def check_text(name, text, findings):
    for number, line in enumerate(text.split("\n"), 1):
        if line.endswith("\r"):
            findings.add(name, number, "CR LF: use LF")
        elif line != line.rstrip() and not name.endswith(".md"):
            findings.add(name, number, "white space at the end of the line: remove it")
        if "\t" in line and name.endswith((".c", ".h", ".def", ".py")):
            findings.add(name, number, "tab: use 4 spaces")
    if text and not text.endswith("\n"):
        findings.add(name, text.count("\n") + 1, "no newline at the end of the file: add it")


def check(root, findings):
    for name in csource.files(root, *TEXT):
        if name.startswith(MADE_BY_OTHERS):
            continue
        text = csource.read(root, name)
        check_text(name, text, findings)
        if not name.endswith((".c", ".h")):
            continue
        if not re.fullmatch(r"(?:[a-z][a-z0-9_]*/)+[a-z][a-z0-9_]*\.[ch]", name):
            findings.add(name, 1, "file names are lower case with underscores, in a folder")
        if name.endswith(".h"):
            check_header(name, text, findings)
        if name.startswith("tests/unit/") and name.endswith(".c"):
            check_unit_test(root, name, findings)


def check_unit_test(root, name, findings):
    """A unit test that no local.mk names is never built, and never fails."""
    mk = os.path.join(os.path.dirname(name), "local.mk")
    path = os.path.join(root, mk)
    if not os.path.isfile(path) or name not in csource.read(root, mk):
        findings.add(name, 1, f"{mk} does not name it: it would never run")


HEADER = "/* a: x */\n#ifndef A_B_H\n#define A_B_H\n#endif\n"
SAMPLES = [
    ("clean", {"a/b.h": HEADER, "a/b.c": "int a;\n"}, []),
    ("no guard", {"a/b.h": "/* x */\nint a;\n"}, [("a/b.h", 1)]),
    ("another's guard", {"a/c.h": HEADER}, [("a/c.h", 2)]),
    ("no opening comment", {"a/b.h": HEADER.replace("/* a: x */\n", "")}, [("a/b.h", 1)]),
    ("hygiene", {"a/b.c": "int a; \n\tint b;\nint c;\r\nint d;"}, [("a/b.c", n) for n in (1, 2, 3, 4)]),
    ("names", {"a/B-c.c": "int a;\n"}, [("a/B-c.c", 1)]),
    ("orphan test", {"tests/unit/a/test_b.c": "int a;\n", "tests/unit/a/local.mk": "# none\n"},
     [("tests/unit/a/test_b.c", 1)]),
    ("declared test", {"tests/unit/a/test_b.c": "int a;\n",
                       "tests/unit/a/local.mk": "x_SOURCES = tests/unit/a/test_b.c\n"}, []),
]

if __name__ == "__main__":
    csource.main(check, SAMPLES)
