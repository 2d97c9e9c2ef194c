#!/usr/bin/python3
"""Layering (style, rules 2, 7 and 8): who may include whom, and who may make processes."""

import os
import re

import csource

# What each folder may include besides itself. base -> ipc, options, otlp -> journal -> role ->
# the roles; journal stands on ipc for the lane page and on otlp for the names of the codecs.
# Arrows never turn round.
LOW = {"shared/base"}
SHARED = LOW | {"shared/ipc", "shared/journal", "shared/options", "shared/otlp"}
MAY = {
    "shared/base": set(),
    "shared/ipc": LOW,
    "shared/options": LOW,
    "shared/otlp": LOW,
    "shared/journal": LOW | {"shared/ipc", "shared/otlp"},
    "shared/role": SHARED,
    "receiver": SHARED | {"shared/role"},
    "processor": SHARED | {"shared/role"},
    "shipper": SHARED | {"shared/role"},
    "supervisor": SHARED | {"shared/role"},
}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"]*)"', re.M)
SPAWN = re.compile(r"(?<![\w.>])(fork|vfork|_Fork|clone|clone3|posix_spawnp?|popen|system|daemon)\s*(?=\()"
                   r"|\b((?:SYS|__NR)_(?:v?fork|clone3?))\b")
SPAWNER = "supervisor/spawn.c"


def folder_of(name):
    """The layer of a file: its role's folder, or the folder below shared/. None: not ours to judge."""
    parts = name.split("/")
    if parts[0] == "shared" and len(parts) > 2:
        return "/".join(parts[:2])
    return parts[0] if len(parts) > 1 else None


def check_includes(root, name, text, findings):
    folder = folder_of(name)
    for match in INCLUDE.finditer(text):
        target, line = match.group(1), csource.line_of(text, match.start(1))
        if "/" not in target or target.startswith("."):
            findings.add(name, line, f'include "{target}": write the path from the root of the tree')
            continue
        if folder not in MAY:
            continue
        wanted = folder_of(target)
        if wanted != folder and wanted not in MAY[folder]:
            findings.add(name, line, f'{folder} must not include "{target}": move what both need '
                                     "into the lowest layer of shared/ that works")
    own = name[:-2] + ".h"
    if name.endswith(".c") and folder in MAY and os.path.isfile(os.path.join(root, own)):
        first = re.search(r'^[ \t]*#[ \t]*include[ \t]*["<]([^">]*)[">]', text, re.M)
        if first is None or first.group(1) != own:
            line = csource.line_of(text, first.start(1)) if first else 1
            findings.add(name, line, f'the first include must be its own header, "{own}", so that '
                                     "the header is proved to stand alone")


def check(root, findings):
    for name in csource.files(root, ".c", ".h"):
        raw = csource.read(root, name)
        check_includes(root, name, csource.blank(raw, keep_strings=True), findings)
        if name.startswith("tests/") or name == SPAWNER:
            continue
        text = csource.blank(raw)
        for match in SPAWN.finditer(text):
            findings.add(name, csource.line_of(text, match.start()),
                         f"{match.group(1) or match.group(2)}: only {SPAWNER} makes processes; ask it")


SAMPLES = [
    ("a clean tree", {
        "shared/base/a.c": '#include "shared/base/a.h"\n#include <stdio.h>\n',
        "shared/base/a.h": "/* fork() */\n",
        "shared/journal/j.c": '#include "shared/ipc/lane_page.h"\n',
        "supervisor/ctl/x.c": '#include "supervisor/control.h"\n#include "shared/role/r.h"\n',
        "supervisor/spawn.c": "pid = fork();\n",
        "receiver/r.c": "state->fork(x); ring_fork(x); int clone; f(daemon, x);\n",
        "tests/unit/a.c": '#include "receiver/x.h"\n#include "shipper/y.h"\nfork();\n',
    }, []),
    ("role includes role", {"receiver/a.c": '\n#include "processor/b.h"\n'}, [("receiver/a.c", 2)]),
    ("base includes ipc", {"shared/base/a.h": '#include "shared/ipc/b.h"\n'}, [("shared/base/a.h", 1)]),
    ("otlp includes journal", {"shared/otlp/a.h": '#include "shared/journal/b.h"\n'},
     [("shared/otlp/a.h", 1)]),
    ("shared includes a role", {"shared/role/a.c": '#include "supervisor/b.h"\n'},
     [("shared/role/a.c", 1)]),
    ("tests leak into the product", {"shipper/a.c": '#include "tests/unit/b.h"\n'},
     [("shipper/a.c", 1)]),
    ("not from the root", {"shipper/a.c": '#include "b.h"\n#include "../c.h"\n'},
     [("shipper/a.c", 1), ("shipper/a.c", 2)]),
    ("own header not first", {"shipper/a.c": '#include <stdio.h>\n#include "shipper/a.h"\n',
                              "shipper/a.h": "\n"}, [("shipper/a.c", 1)]),
    ("forks", {"supervisor/child.c": "a();\nif (fork() == 0)\nsystem(\"x\");\nsyscall(SYS_clone, 1);\n"},
     [("supervisor/child.c", 2), ("supervisor/child.c", 3), ("supervisor/child.c", 4)]),
    ("silenced with a reason", {"shipper/a.c": "/* lint-ok: because */\nfork();\n"}, []),
    ("silenced without a reason", {"shipper/a.c": "/* lint-ok: */\nfork();\n"}, [("shipper/a.c", 2)]),
]

if __name__ == "__main__":
    csource.main(check, SAMPLES)
