# Sourced by findings: a temporary folder, packages of Debian in it, and one way to say what was seen.
# shellcheck shell=bash
cannot() {
    printf 'SKIP: %s\n' "$*"
    exit 77
}
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT

# debian PACKAGE=VERSION …: unpacks these packages of Debian 12 below $work/root; nothing is installed.
debian() {
    (cd "$work" && apt-get download --quiet=2 "$@" 2>/dev/null) || cannot "the packages of Debian 12 cannot be had: $*"
    for package in "$work"/*.deb; do dpkg -x "$package" "$work/root"; done
    printf '%s (Debian 12), kernel %s\n' "$*" "$(uname -r)"
}

# python PACKAGE==VERSION …: an environment with these packages of PyPI; its interpreter is $python.
python() {
    python3 -m venv "$work/venv" || cannot "python3 has no venv"
    python=$work/venv/bin/python
    "$python" -m pip install --quiet --no-compile --disable-pip-version-check "$@" || cannot "the packages of PyPI cannot be installed: $*"
    printf '%s\n' "$*"
}

# changed WHAT: it is no longer as it was.
changed() {
    printf 'CHANGED: %s\n' "$*" >&2
    exit 1
}

# expect WHAT SEEN EXPECTED
expect() {
    printf '%s:\n%s\n' "$1" "$2"
    [[ $2 == "$3" ]] || changed "$1 was"$'\n'"$3"
}
