#!/usr/bin/env bash
# struct sched_attr has sched_runtime for SCHED_DEADLINE, and sched_setattr(2) of many systems calls it so. Since Linux 6.12 it is the time
# slice of a fair task besides, and four guesses about it are wrong:
#  1. sched_getattr of a task that nobody touched does not give 0: it gives the base slice, so "has a runtime" is not "is of DEADLINE";
#  2. a slice that cannot be (1 s, 1 ns) is no EINVAL: it is cut to 100 ms and 0.1 ms, in silence, where DEADLINE refuses such a value;
#  3. whoever sets a nice value by sched_setattr, with 0 there, takes the slice away, as a passing turn as FIFO does; setpriority(2) and
#     sched_setscheduler(2), which have no such member, leave it;
#  4. a child inherits it.
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"
((EUID == 0)) || cannot "needs root, for FIFO"
printf '6.12\n%s\n' "$(uname -r)" | sort --check=quiet --version-sort || cannot "the kernel is older than 6.12"
[[ $(uname -m) == x86_64 ]] || cannot "the numbers of the system calls are those of x86_64"
echo "kernel $(uname -r)"
seen=$(python3 - <<'P'
import ctypes, errno, os, struct, sys

libc = ctypes.CDLL(None, use_errno=True)
FORM, SET, GET, MS = "IIQiIQQQII", 314, 315, 1000000


def get():
    attr = ctypes.create_string_buffer(56)
    assert libc.syscall(GET, 0, attr, 56, 0) == 0
    return struct.unpack(FORM, attr.raw)[5]


def attr(policy, runtime=0, priority=0, period=0):
    packed = struct.pack(FORM, 56, policy, 0, 0, priority, runtime, period, period, 0, 0)
    return errno.errorcode[ctypes.get_errno()] if libc.syscall(SET, 0, ctypes.create_string_buffer(packed, 56), 0) else "taken"


def shown(what):
    value = get()
    print(f"{what}:", "the base slice" if value == base else f"{value / MS:g} ms")


attr(0)
base = get()
print("untouched:", "not 0" if base else 0)
for asked in (1000 * MS, 1):
    print(f"asked {asked} ns: {attr(0, asked)}", end=", ")
    shown("has")
print("DEADLINE, 1 ns of 100 ms:", attr(6, 1, period=100 * MS))
attr(0, 50 * MS)
shown("asked 50 ms")
os.setpriority(os.PRIO_PROCESS, 0, 5)
shown("after setpriority")
os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
shown("after sched_setscheduler, BATCH and back")
sys.stdout.flush()
if os.fork() == 0:
    shown("child")
    sys.stdout.flush()
    os._exit(0)
os.wait()
attr(0)
shown("after sched_setattr with 0")
attr(0, 50 * MS)
attr(1, priority=1)
attr(0)
shown("50 ms, then FIFO and back by sched_setattr")
P
)
expect "the slice of a fair task" "$seen" "untouched: not 0
asked 1000000000 ns: taken, has: 100 ms
asked 1 ns: taken, has: 0.1 ms
DEADLINE, 1 ns of 100 ms: EINVAL
asked 50 ms: 50 ms
after setpriority: 50 ms
after sched_setscheduler, BATCH and back: 50 ms
child: 50 ms
after sched_setattr with 0: the base slice
50 ms, then FIFO and back by sched_setattr: the base slice"
