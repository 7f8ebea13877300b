#!/usr/bin/env bash
# Packages of the release binary, and what they are worth.
#   scripts/package.sh deb          target/debian/*.deb, by cargo-deb
#   scripts/package.sh rpm          target/generate-rpm/*.rpm, by cargo-generate-rpm
#   scripts/package.sh needs        what the binary needs of a machine: libraries, the oldest glibc, and room
#   scripts/package.sh units        the systemd units, judged by systemd-analyze
#   scripts/package.sh try FILE     installs a package in a clean root, runs it there, removes it, and looks at what is left  (root)
# The two cargo tools are installed under target/tools where they are not in the path.
set -euo pipefail

root=$(dirname -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")")
cd -- "$root"
target=${CARGO_TARGET_DIR:-$root/target}
die() {
    printf 'package.sh: %s\n' "$*" >&2
    exit 1
}
have() { command -v -- "$1" >/dev/null 2>&1; }

# tool NAME VERSION: in the path, or made.
tool() {
    PATH=$target/tools/bin:$PATH
    have "$1" || cargo install --quiet --locked --root "$target/tools" "$1@$2"
}

stage() {
    ./scripts/run.sh build
    # cargo-deb and cargo-generate-rpm read their lists from crates/tombola/Cargo.toml, whose paths are those of the usual target.
    [[ $target == "$root/target" ]] || die "CARGO_TARGET_DIR is set; packages are made in the usual target directory"
    mkdir -p target/package/man target/package/completions
    target/release/tombola man --directory target/package/man >/dev/null
    target/release/tombola completions bash >target/package/completions/tombola
    target/release/tombola completions zsh >target/package/completions/_tombola
    target/release/tombola completions fish >target/package/completions/tombola.fish
}

deb() {
    tool cargo-deb 3.8.0
    stage
    cargo deb --quiet --no-build --package tombola
}

rpm_package() {
    tool cargo-generate-rpm 0.21.1
    stage
    cargo generate-rpm --package crates/tombola
    ls target/generate-rpm/*.rpm
}

needs() {
    local size
    [[ -x target/release/tombola ]] || ./scripts/run.sh build
    echo "libraries:"
    objdump -p target/release/tombola | sed -n 's/^ *NEEDED */  /p'
    echo "glibc, at least: $(oldest)"
    size=$(stat -c %s target/release/tombola)
    echo "bytes: $size"
    # A little above what docs/performance.md tells: what makes it larger has to be meant.
    ((size <= 12500000)) || die "the binary has $size bytes, more than 12.5 MB"
    # What the packages and the documents promise.
    [[ $(printf '%s\n' "$(oldest)" GLIBC_2.34 | sort -V | tail -1) == GLIBC_2.34 ]] || die "a glibc later than 2.34 is needed"
    objdump -p target/release/tombola | sed -n 's/^ *NEEDED *//p' | grep -vE '^(libelf|libz|libgcc_s|libm|libc|ld-linux-[a-z0-9-]+)\.so' &&
        die "another library than promised is needed"
    true
}

oldest() { objdump -T target/release/tombola | grep -oE 'GLIBC_[0-9.]+' | sort -Vu | tail -1; }

# systemd looks for the programs: a root of its own has them.
units() {
    local unit work
    have systemd-analyze || { echo "SKIP: systemd-analyze is not installed"; return; }
    work=$(mktemp -d)
    for unit in packaging/systemd/*.service; do
        sed 's|/usr/bin/tombola|/bin/true|' "$unit" >"$work/${unit##*/}"
    done
    for unit in "$work"/*.service; do
        systemd-analyze verify --man=no "$unit"
        systemd-analyze security --offline=true --threshold=25 "$unit" | tail -1
    done
    rm -r -- "$work"
}

try() {
    local package=$1 clean before after
    ((EUID == 0)) || die "try needs root"
    [[ -f $package ]] || die "$package is no file"
    clean=$(mktemp -d)
    # shellcheck disable=SC2064 # now is when its name is known
    trap "umount -- '$clean/sys/fs/bpf' '$clean/sys' '$clean/proc' 2>/dev/null; rm -rf --one-file-system -- '$clean'" EXIT
    case $package in
    *.deb)
        have debootstrap || die "debootstrap is not installed"
        # shellcheck disable=SC1091
        debootstrap --variant=minbase --include="$(dpkg-deb -f "$package" Depends | sed -E 's/\([^)]*\)| //g')" "$(. /etc/os-release && echo "$VERSION_CODENAME")" "$clean" \
            "$(mirror)" >/dev/null
        install() { cp -- "$package" "$clean/package.deb" && chroot "$clean" dpkg -i /package.deb && rm "$clean/package.deb"; }
        remove() { chroot "$clean" dpkg --purge tombola; }
        ;;
    *.rpm)
        have rpm || die "rpm is not installed"
        mkdir -p "$clean"/{dev,proc,sys,tmp,etc}
        # The libraries of this machine stand for those of a distribution with rpm, which is not here.
        host_libraries "$clean"
        rpm --root "$clean" --initdb
        install() { rpm --root "$clean" --install --nodeps --noscripts "$package"; }
        remove() { rpm --root "$clean" --erase --noscripts tombola; }
        ;;
    *) die "$package is neither .deb nor .rpm" ;;
    esac
    before=$(mktemp)
    after=$(mktemp)
    files "$clean" >"$before"
    install
    mount -t proc proc "$clean/proc"
    mount --rbind /sys "$clean/sys"
    chroot "$clean" /usr/bin/tombola --version
    chroot "$clean" /usr/bin/tombola simulate web-and-batch >/dev/null
    chroot "$clean" /usr/bin/tombola doctor | tail -1
    [[ -f $clean/usr/share/man/man1/tombola-audit.1 || -f $clean/usr/share/man/man1/tombola-audit.1.gz ]] || die "no manual page"
    umount -R -- "$clean/sys"
    umount -- "$clean/proc"
    remove
    files "$clean" >"$after"
    diff "$before" "$after" || die "the package leaves files behind"
    rm -- "$before" "$after"
    echo "${package##*/}: installed, ran, removed, left nothing"
}

# Files below a root, without the package managers' own books. Directories are everybody's.
files() { (cd -- "$1" && find . -xdev ! -type d ! -path './var/lib/dpkg*' ! -path './var/log/*' ! -path './usr/lib/sysimage/*' ! -path './var/lib/rpm*' | sort); }

# The archive that this machine has its packages from.
# shellcheck disable=SC2016 # the names are apt's
mirror() { apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | head -1; }

host_libraries() {
    local library
    ldd target/release/tombola | grep -oE '/[^ ]+' | while read -r library; do
        mkdir -p "$1$(dirname -- "$library")"
        cp -L -- "$library" "$1$library"
    done
}

case ${1:-} in
deb) deb ;;
rpm) rpm_package ;;
needs) needs ;;
units) units ;;
try) (($# == 2)) || die "try takes one package" && try "$2" ;;
*)
    sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"
    exit 2
    ;;
esac
