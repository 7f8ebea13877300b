#!/usr/bin/env bash
# Checks and regenerates crates/kernel/bpf/vmlinux.h. See `vmlinux.sh --help`.
set -euo pipefail

script=$(readlink -f -- "${BASH_SOURCE[0]}")
root=$(dirname -- "$(dirname -- "$script")")
bpf=$root/crates/kernel/bpf
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

die() {
    printf 'vmlinux: %s\n' "$*" >&2
    exit 1
}

help() {
    cat <<'HELP'
Usage: scripts/vmlinux.sh [--check] [--btf FILE]

The BPF programs are built with a small header of the kernel types they touch, crates/kernel/bpf/vmlinux.h. Its structs,
fields and comments are chosen by hand; the fields' types are the kernel's. This script writes them anew from a kernel's
BTF: edit the list of fields (with any type), run it, and read the difference.

  --check      write nothing; print what differs
  --btf FILE   BTF of the kernel to compare with, raw or in an ELF file
               [BTF_PATH, default: /sys/kernel/btf/vmlinux]

A field or struct that this kernel does not have is reported and left as it is. That is in order where compat.bpf.h asks
for it (bpf_core_field_exists) before it is used.

Exit status: 0 the header agrees with the kernel (or does so now); 1 it does not, or something failed; 2 usage.
HELP
}

check=()
btf=${BTF_PATH:-/sys/kernel/btf/vmlinux}
while (($#)); do
    case $1 in
    --check) check=(--check) ;;
    --btf)
        (($# >= 2)) || die "--btf needs a file"
        btf=$2
        shift
        ;;
    --btf=*) btf=${1#--btf=} ;;
    -h | --help)
        help
        exit
        ;;
    *)
        printf "vmlinux: unknown argument '%s'; see --help\n" "$1" >&2
        exit 2
        ;;
    esac
    shift
done

for tool in bpftool python3; do
    command -v -- "$tool" >/dev/null || die "$tool is needed and not installed"
done
[[ -r $btf ]] || die "no BTF at $btf; name another file with --btf or BTF_PATH"

dump=$(mktemp)
trap 'rm -f -- "$dump"' EXIT
bpftool -j btf dump file "$btf" format raw >"$dump" || die "bpftool cannot read $btf: $(head -c 300 "$dump")"
python3 "$root/scripts/vmlinux.py" "${check[@]}" "$dump" "$bpf/vmlinux.h" "$bpf/compat.bpf.h"
