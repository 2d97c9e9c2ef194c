#!/usr/bin/python3
"""Length of functions (style, rule 16): above 100 lines is a finding, unless the function is listed
with its reason in tests/lint/long-functions.exempt. Those above 60 are counted and named."""

import re
import sys

import csource

WANTED, LIMIT = 60, 100
EXEMPT = "tests/lint/long-functions.exempt"


def functions(text):
    """(name, first line, last line) of each function; the lines are those of the body with braces."""
    text = csource.blank(text)
    # Directives (with their continued lines) would upset the count of braces.
    text = re.sub(r"^[ \t]*#(?:[^\n\\]|\\.|\\\n)*", lambda m: re.sub(r"[^\n]", " ", m.group(0)), text,
                  flags=re.M)
    depth, start, head_start = 0, 0, 0
    for match in re.finditer(r"[{};]", text):
        sign = match.group(0)
        if sign == "{":
            if depth == 0:
                head = text[head_start:match.start()].strip()
                start = match.start() if head.endswith(")") and "=" not in head else None
            depth += 1
        elif sign == "}":
            depth = max(0, depth - 1)
            if depth == 0:
                if start is not None:
                    found = re.search(r"(\w+)\s*\(", head)
                    yield (found.group(1) if found else "?",
                           csource.line_of(text, start), csource.line_of(text, match.start()))
                head_start = match.end()
        elif depth == 0:
            head_start = match.end()


def read_exempt(root, findings):
    exempt = {}
    if EXEMPT not in csource.files(root, ".exempt"):
        return exempt
    for number, line in enumerate(csource.read(root, EXEMPT).split("\n"), 1):
        if not line.strip() or line.startswith("#"):
            continue
        parts = line.split(None, 2)
        if len(parts) < 3:
            findings.add(EXEMPT, number, "write: FILE FUNCTION REASON")
            continue
        exempt[(parts[0], parts[1])] = number
    return exempt


def check(root, findings):
    exempt = read_exempt(root, findings)
    long_ones = []
    for name in csource.files(root, ".c", ".h"):
        for function, first, last in functions(csource.read(root, name)):
            lines = last - first + 1
            if lines > WANTED:
                long_ones.append((lines, name, function))
            if lines <= LIMIT:
                continue
            if exempt.pop((name, function), None) is None:
                findings.add(name, first, f"{function} has {lines} lines, {LIMIT} is the limit: split "
                                          f"it, or list it with a reason in {EXEMPT}")
    for (name, function), number in exempt.items():
        findings.add(EXEMPT, number, f"{name} {function} is no longer above {LIMIT} lines: remove it")
    if long_ones and "--self-test" not in sys.argv:
        long_ones.sort(reverse=True)
        shown = ", ".join(f"{f} {n}" for n, _, f in long_ones[:8])
        print(f"note: {len(long_ones)} functions above {WANTED} lines: {shown}")


def sample(lines, name="f"):
    return f"int {name}(int a)\n{{\n" + "    a++;\n" * (lines - 2) + "}\n"


SAMPLES = [
    ("short enough", {"a/a.c": sample(100) + "struct x {\n" + "int a;\n" * 200 + "};\n"
                               "static const int t[] = {\n" + "1,\n" * 200 + "};\n"}, []),
    ("too long", {"a/a.c": "int x;\n" + sample(101)}, [("a/a.c", 3)]),
    ("braces in literals and comments", {"a/a.c": "int f(void)\n{\n/* { */ char c = '{'; char *s = \"{\";\n}\n"
                                                  + sample(90, "g")}, []),
    ("exempt", {"a/a.c": sample(120), EXEMPT: "a/a.c f one table of states\n"}, []),
    ("exempt without reason", {"a/a.c": sample(120), EXEMPT: "a/a.c f\n"}, [("a/a.c", 2), (EXEMPT, 1)]),
    ("exempt but short", {"a/a.c": sample(20), EXEMPT: "# why\na/a.c f reason\n"}, [(EXEMPT, 2)]),
]

if __name__ == "__main__":
    csource.main(check, SAMPLES)
