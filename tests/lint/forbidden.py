#!/usr/bin/python3
"""Forbidden calls and shapes (style: Forbidden, rules 4 and 11). What the compiler can see (poisoned
names, VLAs) it refuses by itself; shared/base/forbidden.h is checked here only for being complete."""

import re

import csource

CALLS = {
    "strcpy": "memcpy with a checked length",
    "strcat": "snprintf or struct buf",
    "stpcpy": "memcpy with a checked length",
    "sprintf": "snprintf",
    "vsprintf": "vsnprintf",
    "strtok": "strchr or memchr over a slice",
    "strtok_r": "strchr or memchr over a slice",
    "atoi": "shared/base/num.h",
    "atol": "shared/base/num.h",
    "atoll": "shared/base/num.h",
    "gets": "fgets",
    "alloca": "the arena or the heap",
}
POISONED = ("strcpy", "strcat", "sprintf", "vsprintf", "strtok", "atoi", "gets", "alloca")

# Calls that make a descriptor: the flag that must stand in their arguments, and the better call.
CLOEXEC = {
    "open": ("O_CLOEXEC", None), "openat": ("O_CLOEXEC", None), "openat2": ("O_CLOEXEC", None),
    "creat": (None, "open with O_CLOEXEC"),
    "socket": ("SOCK_CLOEXEC", None), "socketpair": ("SOCK_CLOEXEC", None),
    "accept": (None, "accept4 with SOCK_CLOEXEC"), "accept4": ("SOCK_CLOEXEC", None),
    "pipe": (None, "pipe2 with O_CLOEXEC"), "pipe2": ("O_CLOEXEC", None),
    "dup": (None, "fcntl with F_DUPFD_CLOEXEC"), "dup2": (None, "dup3 with O_CLOEXEC"),
    "dup3": ("O_CLOEXEC", None),
    "eventfd": ("EFD_CLOEXEC", None), "memfd_create": ("MFD_CLOEXEC", None),
    "epoll_create": (None, "epoll_create1 with EPOLL_CLOEXEC"),
    "epoll_create1": ("EPOLL_CLOEXEC", None), "timerfd_create": ("TFD_CLOEXEC", None),
    "signalfd": ("SFD_CLOEXEC", None), "inotify_init": (None, "inotify_init1 with IN_CLOEXEC"),
    "inotify_init1": ("IN_CLOEXEC", None), "mkstemp": (None, "mkostemp with O_CLOEXEC"),
    "mkostemp": ("O_CLOEXEC", None), "F_DUPFD": (None, "F_DUPFD_CLOEXEC"),
}
# Its only spawner puts descriptors into a child on purpose.
DUP_ALLOWED = "supervisor/spawn.c"

# Threads need a design note; these files have theirs in ARCHITECTURE.md.
THREADS_ALLOWED = {
    "processor/committer.c",
    "shipper/resolver.c",
}

LOG_CALL = re.compile(r"\blog_(?:debug|info|warn|error|fatal|panic|panic_at|write)\s*\(")
PLAIN = [
    (re.compile(r"^[ \t]*#[ \t]*(?:ifdef|ifndef|if|elif)\b[^\n]*\b(?:UNIT_?)?TEST(?:ING|S)?\b", re.M),
     "no code that only tests see: take the dependency from outside instead"),
    (re.compile(r"\btypedef\s+(?:struct|union)\b\s*\w*\s*(?:\{|\**\s*\w+\s*;)"), "no struct typedefs: write `struct x`"),
    (re.compile(r"\bpthread_create\s*\("), None),
]
NOTES = re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b")
SLEEP = re.compile(r"(?<![\w.>])(?:sleep|usleep|nanosleep|clock_nanosleep)\s*\(")


def logs_not(name):
    return (name.startswith("shared/") and not name.startswith("shared/role/")
            and name not in ("shared/base/log.c", "shared/base/log.h"))


def check_descriptors(name, text, findings):
    for match in re.finditer(r"(?<![\w.>])(" + "|".join(CLOEXEC) + r")\b", text):
        call, line = match.group(1), csource.line_of(text, match.start())
        flag, better = CLOEXEC[call]
        if call != "F_DUPFD" and not re.match(r"\s*\(", text[match.end():]):
            continue
        if call in ("dup", "dup2", "dup3") and name == DUP_ALLOWED:
            continue
        if better is not None:
            findings.add(name, line, f"{call}: use {better}")
            continue
        # The call names the flag, or a variable `flags` that got it shortly before.
        arguments = csource.call_arguments(text, match.end())
        if arguments is not None and re.search(r"\bflags\b", arguments):
            arguments = text[max(0, match.start() - 2000):match.start()]
        if arguments is None or flag not in arguments:
            findings.add(name, line, f"{call} without {flag}: the descriptor would leak into children")


def check_one(name, raw, findings):
    text = csource.blank(raw)
    product = not name.startswith("tests/")
    if name != "shared/base/forbidden.h":
        for match in re.finditer(r"(?<![\w.>])(" + "|".join(CALLS) + r")\s*\(", text):
            findings.add(name, csource.line_of(text, match.start()),
                         f"{match.group(1)} is forbidden: use {CALLS[match.group(1)]}")
    for pattern, advice in PLAIN:
        for match in pattern.finditer(text):
            if advice is None and (not product or name in THREADS_ALLOWED):
                continue
            findings.add(name, csource.line_of(text, match.end() - 1),
                         advice or "a thread needs a design note: write it, and list the file in "
                                   "tests/lint/forbidden.py")
    for match in NOTES.finditer(raw):
        findings.add(name, csource.line_of(raw, match.start()),
                     f"{match.group(0)}: do it now, or open an issue and leave no note")
    if logs_not(name):
        for match in LOG_CALL.finditer(text):
            findings.add(name, csource.line_of(text, match.start()),
                         "shared/ does not log: return the reason in a struct err")
    if product:
        check_descriptors(name, text, findings)
    else:
        for match in SLEEP.finditer(text):
            findings.add(name, csource.line_of(text, match.start()),
                         "no sleeping in tests: wait for the thing itself (poll, a descriptor)")


def check_poison(root, findings):
    name = "shared/base/forbidden.h"
    if name not in csource.files(root, ".h"):
        return
    text = csource.read(root, name)
    poisoned = set(re.findall(r"\w+", " ".join(re.findall(r"#pragma GCC poison ([^\n]*)", text))))
    for call in POISONED:
        if call not in poisoned:
            findings.add(name, 1, f"{call} is not poisoned: add it to the pragma")


def check(root, findings):
    for name in csource.files(root, ".c", ".h"):
        check_one(name, csource.read(root, name), findings)
    check_poison(root, findings)


SAMPLES = [
    ("clean", {"shared/base/a.c": 'int a; /* strcpy(b) */ char *s = "atoi(x) log_info(";\n'
                                  "buf_strcpy(b); x->open(p); my_open(p);\n"
                                  "fd = open(path, O_RDONLY | O_CLOEXEC);\n",
               "supervisor/spawn.c": "dup2(a, b);\n",
               "shared/role/r.c": 'log_info("x");\n'}, []),
    ("calls", {"shipper/a.c": "strcpy(a, b);\nx = atoi (c);\nsprintf(a, b);\nstrtok(a, b);\nalloca(3);\n"},
     [("shipper/a.c", n) for n in range(1, 6)]),
    ("descriptors", {"shipper/a.c": "open(p, O_RDONLY);\nsocket(a,\n b | SOCK_NONBLOCK, 0);\naccept(a, b, c);\n"
                                    "pipe(p);\nfcntl(a, F_DUPFD, 3);\nmemfd_create(n, 0);\ndup(1);\n"},
     [("shipper/a.c", n) for n in (1, 2, 4, 5, 6, 7, 8)]),
    ("descriptors by a variable", {"shipper/a.c": "int flags = O_CLOEXEC;\nopen(p, flags);\n",
                                   "shipper/b.c": "int flags = 0;\nopen(p, flags);\n"}, [("shipper/b.c", 2)]),
    ("shared code logs", {"shared/journal/a.c": "\nlog_warn(x);\n"}, [("shared/journal/a.c", 2)]),
    ("test code in the product", {"shipper/a.c": "#ifdef TEST\n#endif\n#if defined(UNIT_TESTING)\n#endif\n"},
     [("shipper/a.c", 1), ("shipper/a.c", 3)]),
    ("typedef", {"shipper/a.h": "typedef struct a a;\ntypedef struct a (*a_fn)(int);\ntypedef struct {\nint b;\n} b;\n"},
     [("shipper/a.h", 1), ("shipper/a.h", 3)]),
    ("thread", {"shipper/a.c": "pthread_create(a);\n", "tests/unit/b.c": "pthread_create(a);\n"},
     [("shipper/a.c", 1)]),
    ("notes", {"shipper/a.c": "/* TO" "DO later */\n"}, [("shipper/a.c", 1)]),
    ("sleeping test", {"tests/unit/a.c": "\nusleep(100);\n"}, [("tests/unit/a.c", 2)]),
    ("half-poisoned", {"shared/base/forbidden.h": "#pragma GCC poison strcpy strcat sprintf vsprintf "
                                                  "strtok atoi gets\n"}, [("shared/base/forbidden.h", 1)]),
]

if __name__ == "__main__":
    csource.main(check, SAMPLES)
