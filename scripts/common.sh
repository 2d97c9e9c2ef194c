# shellcheck shell=bash
# What ./check and ./quickstart share: progress lines, and the installation of Debian packages.
# Sourced, with the root of the tree in $root.
: "${root:?}"

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# step LOG TEXT COMMAND...: one line with the elapsed seconds; what the command says goes to LOG and
# is shown when it fails. Returns the command's status.
step() {
    local log=$1 text=$2 start=$SECONDS ticker='' status=0
    shift 2
    mkdir -p "$(dirname "$log")"
    if [ -t 1 ]; then
        { while :; do printf '\r  %-46s %4d s' "$text" $((SECONDS - start)); sleep 1; done; } &
        ticker=$!
    fi
    "$@" >"$log" 2>&1 </dev/null || status=$?
    if [ -n "$ticker" ]; then
        kill "$ticker" 2>/dev/null || true
        wait "$ticker" 2>/dev/null || true
        printf '\r'
    fi
    if [ "$status" -eq 0 ]; then
        printf '  %-46s %4d s\n' "$text" $((SECONDS - start))
        return 0
    fi
    printf '  %-46s %4d s, FAILED. From %s:\n' "$text" $((SECONDS - start)) "$log"
    # A parallel build goes on behind its first error: the errors first, then the end.
    { grep -aE -A 3 '([Ee]rror|undefined reference|E): |\*\*\* ' "$log" | head -n 40; echo ...; tail -n 15 "$log"; } |
        sed 's/^/    | /'
    return "$status"
}

# The names in package lists: one a line, "#" comments. A line "name if-missing COMMAND" counts only
# where COMMAND is not there, for tools that people also install by other ways (Node, Go).
packages_wanted() {
    local name condition command
    sed -e 's/#.*//' "$@" | while read -r name condition command; do
        [ -n "$name" ] || continue
        if [ "$condition" = if-missing ] && command -v "$command" >/dev/null; then
            continue
        fi
        echo "$name"
    done
}

# Of these packages, the ones that are not installed.
packages_missing() {
    local name
    for name in $(packages_wanted "$@"); do
        case "$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null || true)" in
            installed) ;;
            *) echo "$name" ;;
        esac
    done
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

# packages_install LOG LIST...: installs what is missing, and touches nothing when nothing is.
packages_install() {
    local log=$1 missing
    shift
    if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
        die "this is not Debian: install by hand what $* name, then run ./configure and make"
    fi
    missing=$(packages_missing "$@" | tr '\n' ' ')
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null ||
            die "these packages are missing: $missing
As root: apt-get install $missing"
        echo "  These packages are installed with sudo: $missing"
        # The password is asked for here, where a terminal is, and not behind the log file.
        sudo -v || die "sudo said no; as root: apt-get install $missing"
    fi
    # Separately: an outdated index of some unrelated source must not end the installation.
    step "$log" "apt-get update" as_root apt-get -q update ||
        echo "  going on with the package index that is there"
    # shellcheck disable=SC2086 # a list of names
    step "$log" "apt-get install ($(echo $missing | wc -w) packages)" \
        as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -q -y --no-install-recommends install $missing
}

# Autoconf's files, when they are missing or older than what they are made from.
autotools_refresh() {
    local stale
    if [ -f "$root/configure" ] && [ -f "$root/Makefile.in" ]; then
        stale=$(find "$root/configure.ac" "$root/Makefile.am" -newer "$root/configure")
        [ -n "$stale" ] || return 0
        # make's own rules handle the rest (a changed local.mk).
    fi
    (cd "$root" && autoreconf -fi)
}

# configure_once DIR ARGS...: configures DIR out of tree, again only where arguments or configure
# itself changed.
configure_once() {
    local dir=$1
    shift
    autotools_refresh
    mkdir -p "$dir"
    if [ -f "$dir/Makefile" ] && [ -f "$dir/configured-with" ] &&
        [ "$(cat "$dir/configured-with")" = "$*" ] && [ ! "$root/configure" -nt "$dir/config.status" ]; then
        return 0
    fi
    rm -f "$dir/configured-with"
    (cd "$dir" && "$root/configure" "$@") && echo "$*" >"$dir/configured-with"
}
