#!/usr/bin/env bash
# A BPF program with a static struct of which it uses each member by itself: clang 14 makes a variable of each member it needs (seen.1), and its
# BTF says of every one of them that it is of the type of the whole struct: a variable of 16 bytes in a place of 8. The kernel refuses that BTF with
# EINVAL, and not that variable's alone, but the object's: libbpf then loads the program and its maps without any (maps lose the types of keys and
# values, lines lose their source), with a line at the level of a warning, and says 0, success. The guess that what clang compiles and libbpf loads
# has its BTF in the kernel is wrong. The same struct without the word static is not split, and its BTF is taken. As root, for bpf(2).
set -euo pipefail
((EUID == 0)) || { echo "needs root, for bpf(2)"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
(cd "$work" && apt-get download --quiet=2 clang-14=1:14.0.6-12 libclang-cpp14=1:14.0.6-12 libllvm14=1:14.0.6-12 \
    libbpf1=1:1.1.2-0+deb12u1) || { echo "SKIP: the packages of Debian 12 cannot be had"; exit 77; }
for package in "$work"/*.deb; do dpkg -x "$package" "$work/root"; done
LD_LIBRARY_PATH=$(echo "$work"/root/usr/lib/*-linux-gnu):$work/root/usr/lib/llvm-14/lib
export LD_LIBRARY_PATH
for storage in static extern; do
    word=
    [[ $storage != static ]] || word=static
    cat >"$work/$storage.c" <<C
struct times { unsigned long long first, sum; };
$word struct times seen;
__attribute__((section("socket"), used)) int count(void *context)
{
	seen.first = (unsigned long long)context;
	seen.sum += 1;
	return seen.sum > seen.first;
}
char terms[] __attribute__((section("license"))) = "GPL";
C
    "$work/root/usr/lib/llvm-14/bin/clang" -target bpf -O2 -g -c "$work/$storage.c" -o "$work/$storage.o"
done
echo "clang 14.0.6, libbpf 1.1.2 (Debian 12), kernel $(uname -r)"
python3 - "$work" "$(echo "$work"/root/usr/lib/*-linux-gnu/libbpf.so.1)" 2>"$work/said" <<'P' || { cat "$work/said"; exit 1; }
import ctypes, os, struct, sys

work, path = sys.argv[1:]
lib = ctypes.CDLL(path, use_errno=True)
for name in ("bpf_object__open_file", "bpf_object__next_program"):
    getattr(lib, name).restype = ctypes.c_void_p
pointer = ctypes.c_void_p


def loaded(file):
    """What libbpf says of the object, and the id of the BTF that its program has then; 0 is none."""
    thing = pointer(lib.bpf_object__open_file(file, None))
    result = lib.bpf_object__load(thing)
    program = pointer(lib.bpf_object__next_program(thing, None))
    info, size = ctypes.create_string_buffer(256), ctypes.c_uint32(256)
    assert lib.bpf_obj_get_info_by_fd(lib.bpf_program__fd(program), info, ctypes.byref(size)) == 0
    btf = struct.unpack_from("I", info.raw, 128)[0]  # bpf_prog_info.btf_id
    lib.bpf_object__close(thing)
    return result, "none" if btf == 0 else "its own"


seen = {}
for storage in ("extern", "static"):
    seen[storage] = loaded(f"{work}/{storage}.o".encode())
    print(f"{storage}: bpf_object__load {seen[storage][0]}, BTF of the loaded program: {seen[storage][1]}", flush=True)
if seen != {"extern": (0, "its own"), "static": (0, "none")}:
    sys.exit("CHANGED")
P
# What the kernel has against it: the variable of 16 bytes in a place of 8.
grep --max-count=2 -e 'Invalid size' -e 'BTF is optional, ignoring' "$work/said" || { echo CHANGED; exit 1; }
