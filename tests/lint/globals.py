#!/usr/bin/python3
"""No non-static globals, seen in what the compiler made: --build DIR names a built tree. Constants
are fine, also those that the loader relocates (.data.rel.ro)."""

import os
import re
import subprocess
import sys
import tempfile

WRITABLE = re.compile(r"^[0-9a-f]+ [gu! ].{6} (\.data(?!\.rel\.ro)\S*|\.bss\S*|\.tdata\S*|\.tbss\S*|\*COM\*)\s+"
                      r"[0-9a-f]+\s+(?:\.hidden )?(\S+)$")
# What the compiler adds, and the option of AddressSanitizer that a program may set for itself.
NOT_OURS = re.compile(r"^(__asan|__odr_asan|__ubsan|__gcov)")


def objects(build):
    for folder, _, names in os.walk(build):
        if os.path.relpath(folder, build).split(os.sep)[0] in ("tests",):
            continue
        for name in names:
            if name.endswith(".o"):
                yield os.path.join(folder, name)


def findings(build):
    found = []
    for path in sorted(objects(build)):
        table = subprocess.run(["objdump", "-t", path], check=True, stdout=subprocess.PIPE, text=True).stdout
        for line in table.split("\n"):
            match = WRITABLE.match(line)
            if match and not NOT_OURS.match(match.group(2)):
                source = os.path.relpath(path, build)[:-2]
                source = re.sub(r"(^|/)\w+-(\w+)$", r"\1\2", source) + ".c"
                found.append(f"{source}:1: {match.group(2)} is a global that can be written: make it "
                             "static, or a field of what is handed in")
    return found


SAMPLE = """
int bad_common; int bad_data = 1; __thread int bad_thread; int *bad_pointer = &bad_data;
static int fine; const int fine_const = 2; const int *const fine_pointer = &fine_const;
int *use(void) { return &fine; }
"""


def self_test():
    wanted = ["bad_common", "bad_data", "bad_pointer", "bad_thread"]
    for flags in (["-O0"], ["-O2", "-fPIE"], ["-fcommon"], ["-fsanitize=address,undefined"]):
        with tempfile.TemporaryDirectory() as build:
            with open(f"{build}/a.c", "w", encoding="utf-8") as f:
                f.write(SAMPLE)
            subprocess.run(["gcc", "-c"] + flags + ["a.c"], cwd=build, check=True)
            got = sorted(line.split()[1] for line in findings(build))
            if got != wanted:
                print(f"self-test {flags}: expected {wanted}, got {got}")
                return 1
    return 0


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    if len(sys.argv) != 3 or sys.argv[1] != "--build":
        sys.exit(f"usage: {sys.argv[0]} [--build DIR | --self-test]")
    found = findings(sys.argv[2])
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
