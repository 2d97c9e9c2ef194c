#!/usr/bin/python3
"""Documents: man pages without complaints of groff, links that lead somewhere, options that exist,
and conf/sluice.conf as the option table has it. --build DIR names a built tree."""

import os
import re
import shutil
import subprocess
import sys

import csource

DOCUMENTS = ("README.md", "ARCHITECTURE.md")
SHIPPED = "conf/sluice.conf"
GENERATOR = "shared/options/option-generate"


def option_paths(root):
    table = os.path.join(root, "shared/options/options.def")
    if not os.path.isfile(table):
        return set()
    return set(re.findall(r'^OPTION\(\w+, "([^"]+)"', csource.read(root, "shared/options/options.def"), re.M))


def check_markdown(root, name, paths, findings):
    text = csource.read(root, name)
    for match in re.finditer(r"\]\(([^)#\s]+)[^)]*\)", text):
        target = match.group(1)
        if "://" in target or os.path.exists(os.path.join(root, os.path.dirname(name), target)):
            continue
        findings.add(name, csource.line_of(text, match.start()), f"the link {target} leads nowhere")
    for match in re.finditer(r"`([\w.-][\w./-]*/[\w.-]+\.(?:c|h|def|py|conf|md))`", text):
        if not os.path.exists(os.path.join(root, match.group(1))):
            findings.add(name, csource.line_of(text, match.start()), f"there is no file {match.group(1)}")
    groups = {p.split(".")[0] for p in paths if "." in p}
    files = (".jsonl", ".md", ".c", ".h", ".conf", ".py", ".def")
    for match in re.finditer(r"(?:`|--set )([a-z_]+\.[a-z_]+)(?=[`=\s])", text):
        path = match.group(1)
        if path.split(".")[0] in groups and path not in paths and not path.endswith(files):
            findings.add(name, csource.line_of(text, match.start()), f"there is no option {path}")


def check_man(path, shown, findings):
    done = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-z", path], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    for line in done.stdout.strip().split("\n"):
        if line:
            number = re.search(r":(\d+):", line)
            findings.add(shown, int(number.group(1)) if number else 1, f"groff: {line}")
    with open(path, encoding="utf-8") as f:
        text = f.read()
    wanted = ("NAME", "DESCRIPTION") if path.endswith(".5") else ("NAME", "SYNOPSIS", "DESCRIPTION")
    for section in wanted:
        if not re.search(rf"^\.SH \"?{section}", text, re.M):
            findings.add(shown, 1, f"the man page has no section {section}")


def check_built(root, build, findings):
    pages = [os.path.join(folder, n) for folder, _, names in os.walk(build) for n in names
             if re.search(r"^[\w.-]+\.[158]$", n)]
    if not pages:
        findings.add("Makefile.am", 1, "no man page was built")
    for path in pages:
        check_man(path, os.path.relpath(path, build), findings)
    generate = os.path.join(build, GENERATOR)
    if not os.path.isfile(generate):
        findings.add(SHIPPED, 1, f"{GENERATOR} is not built, so there is nothing to compare it with")
        return
    wanted = subprocess.run([generate, "sluice.conf"], check=True, stdout=subprocess.PIPE).stdout.decode()
    if wanted != csource.read(root, SHIPPED):
        findings.add(SHIPPED, 1, f"not what the option table says: {generate} sluice.conf >{SHIPPED}")


def check(root, findings, build=None):
    paths = option_paths(root)
    present = csource.files(root, ".md")
    for name in DOCUMENTS:
        if name in present:
            check_markdown(root, name, paths, findings)
    for name in csource.files(root, ".1", ".5", ".8"):
        check_man(os.path.join(root, name), name, findings)
    if build is not None:
        check_built(root, build, findings)


PAGE = '.TH A 1\n.SH NAME\na \\- b\n.SH SYNOPSIS\na\n.SH DESCRIPTION\nb\n'
TABLE = 'OPTION(A, "forward.port", INT, "1", 0, 1, 0, 0, NULL, "x")\n'
SAMPLES = [
    ("clean", {"README.md": "[x](a.c) `a/b.c` `forward.port` `forward.md` [y](https://x.y/z)\n", "a.c": "", "a/b.c": "",
               "shared/options/options.def": TABLE, "a.1": PAGE}, []),
    ("dead link", {"README.md": "\n[x](a.md)\n"}, [("README.md", 2)]),
    ("no such file", {"README.md": "`shared/x.h`\n"}, [("README.md", 1)]),
    ("no such option", {"README.md": "`forward.prot`\n\n--set forward.host=3\n",
                        "shared/options/options.def": TABLE}, [("README.md", 1), ("README.md", 3)]),
    ("bad man page", {"a.1": PAGE + ".XQ foo\n"}, [("a.1", 8)]),
    ("short man page", {"a.1": '.TH A 1\n.SH NAME\na \\- b\n.SH SYNOPSIS\na\n'}, [("a.1", 1)]),
]


def main():
    if shutil.which("groff") is None:
        sys.exit("groff is missing: apt-get install groff-base")
    if "--build" in sys.argv:
        at = sys.argv.index("--build")
        build = os.path.abspath(sys.argv[at + 1])
        del sys.argv[at:at + 2]
        csource.main(lambda root, findings: check(root, findings, build), SAMPLES)
    else:
        csource.main(check, SAMPLES)


if __name__ == "__main__":
    main()
