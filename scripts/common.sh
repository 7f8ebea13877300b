# shellcheck shell=bash disable=SC2034
# What run.sh and the benches share: where things lie, who called, cargo and xtask. Sourced by them.

root=$(dirname -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")")
# Ordinary users of some distributions have no sbin in their path, where bpftool and setcap live.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

say() { printf '%s\n' "$*"; }
note() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() {
    note "$@"
    exit 1
}
have() { command -v -- "$1" >/dev/null 2>&1; }

# The words to put before a command that needs root: none as root, sudo for the others.
as_root=()
if ((EUID != 0)); then
    as_root=(sudo --)
fi
can_be_root() { ((EUID == 0)) || have sudo; }
need_root() { can_be_root || die "$1 needs root, and there is no sudo here: run it as root"; }

# The words to put before a command that must not leave files of root in the caller's tree.
as_caller=()
caller_home=$HOME
if ((EUID == 0)) && [[ ${SUDO_UID:-0} != 0 ]]; then
    as_caller=(sudo -H -u "#$SUDO_UID" --)
    caller_home=$(getent passwd "$SUDO_UID" | cut -d: -f6)
fi

# The Makefile of libbpf, which cargo runs in the build directory, breaks on blanks and on what make reads as its own:
# with such a path the build goes into the caller's cache.
if [[ -z ${CARGO_TARGET_DIR:-} && $root =~ [^[:alnum:]/._+@,-] ]]; then
    CARGO_TARGET_DIR=${XDG_CACHE_HOME:-$caller_home/.cache}/tombola/$(cksum <<<"$root" | cut -d' ' -f1)
fi
target=${CARGO_TARGET_DIR:-target}
[[ $target == /* ]] || target=$root/$target # cargo runs in the project's directory
export CARGO_TARGET_DIR=$target
tombola=$target/release/tombola

no_cargo="cargo 1.88 or later is needed: install it from https://rustup.rs, or a package of that version"

find_cargo() {
    [[ -d $caller_home/.cargo/bin ]] && PATH=$PATH:$caller_home/.cargo/bin
    have cargo
}

cargo_is_recent() {
    local major minor
    IFS=' .' read -r _ major minor _ < <(cargo --version)
    ((major > 1 || (major == 1 && minor >= 88)))
}

# Cargo in the project's directory, so that its configuration and tool chain hold wherever the caller stands.
run_cargo() {
    find_cargo || die "$no_cargo"
    (cd -- "$root" && "${as_caller[@]}" env "PATH=$PATH" "CARGO_TARGET_DIR=$target" cargo "$@")
}

# Builds xtask, in which everything is that is no shell's business.
build_xtask() { run_cargo build --quiet --locked --package xtask >&2; }

xtask() {
    build_xtask
    exec "$target/debug/xtask" "$@"
}
