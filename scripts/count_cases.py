#!/usr/bin/python3
"""Turns the logs of `make check` into one line per test case: `ok PROGRAM: CASE`.

usage: count_cases.py BUILD-DIR

A cmocka program counts by its cases; one that began and has no verdict (the program died in it)
failed. A program that prints its own `ok`/`not ok` lines (the simulation) counts by these. Any other
program counts once. A program that fails although all its cases passed (a leak seen at the exit)
adds a failure of its own."""

import os
import re
import sys

VERDICT = re.compile(r"^\[\s*(RUN|OK|FAILED|SKIPPED)\s*\]\s(.*)$")


def read(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read()


def cases(text):
    """(passed, failed, skipped) names of a log."""
    open_case, passed, failed, skipped = None, [], [], []
    for line in text.split("\n"):
        own = re.match(r"(not ok|ok) (.*)", line)
        if own:
            (passed if own.group(1) == "ok" else failed).append(own.group(2))
            continue
        match = VERDICT.match(line)
        if not match:
            continue
        kind, name = match.groups()
        if kind == "RUN":
            if open_case is not None:
                failed.append(open_case)
            open_case = name
        elif open_case is not None and name == open_case:
            {"OK": passed, "FAILED": failed, "SKIPPED": skipped}[kind].append(name)
            open_case = None
    if open_case is not None:
        failed.append(f"{open_case} (the program ended in it)")
    return passed, failed, skipped


def report(program, text, result):
    passed, failed, skipped = cases(text)
    if not passed and not failed and not skipped:
        (passed if result == "PASS" else failed).append("the program")
    elif result != "PASS" and not failed:
        failed.append(f"the program ({result}, though no case failed)")
    for name in skipped:
        print(f"skipped {program}: {name}")
    for name in passed:
        print(f"ok {program}: {name}")
    if failed:
        print("\n".join("    | " + line for line in text.rstrip().split("\n")[-60:]))
    for name in failed:
        print(f"not ok {program}: {name}")
    return len(failed)


def main():
    build = sys.argv[1]
    for folder, folders, names in os.walk(os.path.join(build, "tests")):
        folders.sort()
        for name in sorted(names):
            if not name.endswith(".trs"):
                continue
            base = os.path.join(folder, name[:-4])
            found = re.search(r"^:global-test-result: (\S+)", read(base + ".trs"), re.M)
            text = read(base + ".log") if os.path.isfile(base + ".log") else ""
            report(os.path.relpath(base, os.path.join(build, "tests")), text,
                   found.group(1) if found else "ERROR")


def self_test():
    log = ("[ RUN      ] a\n[       OK ] a\n[ RUN      ] b\n[  FAILED  ] b\n[ RUN      ] c\n[  SKIPPED ] c\n"
           "[  FAILED  ] 1 test(s), listed below:\n[  FAILED  ] b\n[ RUN      ] d\n")
    got = cases(log)
    wanted = (["a"], ["b", "d (the program ended in it)"], ["c"])
    if got != wanted:
        print(f"self-test: {got}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(self_test() if sys.argv[1:] == ["--self-test"] else main())
