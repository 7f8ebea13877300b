#!/usr/bin/env bash
# sched_rr_get_interval(2) gives "the round-robin time quantum" of a task. For ordinary tasks Linux answers too, with their slice
# (get_rr_interval_fair() in kernel/sched/fair.c); 0 is what it says of FIFO, whose slice has no end. Since Linux 6.12 a slice is an attribute of the
# task (sched_runtime of sched_setattr(2)), and one expects to read here what was set there, or at least something above 0. The kernel counts in whole
# ticks and cuts: with CONFIG_HZ=250 a slice of 3 ms is 0, one of 5 is 4, one of 10 is 8, and the default, 2.8 ms or less, is 0 on any number of CPUs.
# By its source it is 0, too, of a task that sleeps where the CPU has no other. Who divides by it, or takes 0 for FIFO, is wrong either way. What
# helps: sched_getattr(2), whose sched_runtime has the nanoseconds.
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"
[[ $(uname -m) == x86_64 ]] || cannot "has the numbers of system calls of x86-64"
echo "kernel $(uname -r)"
seen=$(python3 - <<'P'
import ctypes, os, struct

libc = ctypes.CDLL(None, use_errno=True)
FORM = "=IIQiIQQQ"


def slice_is(pid):
    attributes = ctypes.create_string_buffer(48)
    assert libc.syscall(315, pid, attributes, 48, 0) == 0
    return struct.unpack(FORM, attributes.raw)[5] / 1e6


print("set\tgetattr\trr_get_interval (ms)")
print("nothing", slice_is(0), round(1000 * os.sched_rr_get_interval(0), 3), sep="\t")
for wanted in 3, 5, 10, 50:
    assert libc.syscall(314, 0, struct.pack(FORM, 48, 0, 0, 0, 0, wanted * 1_000_000, 0, 0), 0) == 0
    print(wanted, slice_is(0), round(1000 * os.sched_rr_get_interval(0), 3), sep="\t")
P
) || cannot "this kernel has no slice of a task"
echo "$seen"
# In Linux before 6.12 the slice that was set is not there.
[[ $(awk 'NR > 2 && $1 != $2' <<<"$seen") ]] && cannot "this kernel has no slice of a task (Linux 6.12)"
[[ $(awk 'NR > 1 && $3 < $2' <<<"$seen") ]] || changed "a slice is cut to whole ticks"
