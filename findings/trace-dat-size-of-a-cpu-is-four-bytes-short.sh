#!/usr/bin/env bash
# trace-cmd.dat.v7(5): the BUFFER option holds for each CPU the offset and the "size of the trace data for this CPU", and compressed trace data
# begin with four bytes, the count of chunks, at that offset. One expects that the size covers what is at the offset. trace-cmd counts the
# chunks and their heads, and not those four bytes: who reads just that many ends four bytes inside the last chunk, whose frame of zstd is cut then,
# and with it the newest events of that CPU, or all of a short recording. Without compression the size is right. As root, for tracefs.
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"
((EUID == 0)) || cannot "needs root, for tracefs"

trace_cmd_of_debian
echo 1 >"$instance/events/sched/sched_switch/enable"
for _ in {1..100}; do /bin/true; done
echo 0 >"$instance/events/sched/sched_switch/enable"
# Whether there is a recording is told by the file: extract may fail behind it, when it sets tracefs back.
tracecmd extract -B "${instance##*/}" -o "$work/zstd" >"$work/said" 2>&1 || [[ -s $work/zstd ]] || cannot "no extract: $(tail -n 1 "$work/said")"
tracecmd convert --compression none -i "$work/zstd" -o "$work/none" >"$work/said" 2>&1 || cannot "no convert: $(tail -n 1 "$work/said")"
seen=$(python3 - "$work/zstd" "$work/none" <<'P'
import struct, sys

HEADER = struct.Struct("<HHIQ")  # of a section: its number, flags, description, size


def options(data, at):
    """Number and bytes of each option; the sections of options are not compressed in files of this size."""
    while at:
        number, flags, _, size = HEADER.unpack_from(data, at)
        assert number == 0 and not flags & 1
        at, end = at + HEADER.size, at + HEADER.size + size
        while at < end:
            option, length = struct.unpack_from("<HI", data, at)
            yield option, data[at + 6:at + 6 + length]
            at += 6 + length
            if option == 0:  # DONE: where the next section is
                end = 0
                at, = struct.unpack_from("<Q", data, at - length)
                break


def text(data, at):
    end = data.index(0, at)
    return data[at:end], end + 1


for path in sys.argv[1:]:
    data = open(path, "rb").read()
    assert data[:10] == b"\x17\x08\x44tracing" and data[10:12] == b"7\0" and data[12] == 0
    compression, at = text(data, 18)
    _, at = text(data, at)
    first, = struct.unpack_from("<Q", data, at)
    over = set()
    for option, value in options(data, first):
        if option != 3:
            continue
        section, = struct.unpack_from("<Q", value)
        compressed = HEADER.unpack_from(data, section)[1] & 1
        _, at = text(value, 8)
        _, at = text(value, at)
        at += 4  # the size of a page
        count, = struct.unpack_from("<I", value, at)
        for cpu in range(count):
            _, offset, size = struct.unpack_from("<IQQ", value, at + 4 + 20 * cpu)
            if size == 0 or not compressed:
                continue
            end = offset + 4
            for _ in range(struct.unpack_from("<I", data, offset)[0]):
                end += 8 + struct.unpack_from("<I", data, end)[0]
            over.add(end - offset - size)
    print(compression.decode() + ": bytes of a CPU beyond its size:", *(sorted(over) or ["not compressed"]))
P
)
expect "sizes" "$seen" "zstd: bytes of a CPU beyond its size: 4
none: bytes of a CPU beyond its size: not compressed"
