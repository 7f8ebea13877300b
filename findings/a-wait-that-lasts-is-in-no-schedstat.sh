#!/usr/bin/env bash
# The second number of /proc/PID/schedstat is the "time spent waiting on a runqueue" (Documentation/scheduler/sched-stats.rst), in nanoseconds,
# and tools take differences of it: pidstat's %wait, delays of netlink's taskstats, exporters. The kernel adds a wait when it ends
# (sched_info_arrive()), and no reader adds what has passed of one that still lasts. So while a task starves, its wait stands still: an
# interval in which it waited all the time shows nothing, and a later one, in which it ran, shows more wait than it is long. The worse the
# starvation, the later it is seen. Here a task of FIFO 2 keeps one of FIFO 1 waiting for 0.3 s on one CPU, and reads its schedstat. As root.
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"
((EUID == 0)) || cannot "needs root, for real-time priorities"
echo "kernel $(uname -r)"
seen=$(python3 - <<'P'
import os, signal, time

CPU = max(os.sched_getaffinity(0))


def fifo(priority, code):
    pid = os.fork()
    if pid == 0:
        os.sched_setaffinity(0, {CPU})
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
        code()
        os._exit(0)
    return pid


def spin(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def waited():
    return int(open(f"/proc/{victim}/schedstat").read().split()[1])


def starve():
    before = waited()
    spin(0.3)
    os.write(out, b"%d %d" % (before, waited()))


came, out = os.pipe()


def hungry():
    os.write(out, b".")
    spin(5)


victim = fifo(1, hungry)
os.read(came, 1)
os.waitpid(fifo(2, starve), 0)
before, meanwhile = map(int, os.read(came, 99).split())
time.sleep(0.2)
behind = waited()
os.kill(victim, signal.SIGKILL)
os.waitpid(victim, 0)
print("of 300 ms it shows", (meanwhile - before) // 1000000, "ms while they last, and behind them",
      "all" if behind - before >= 290000000 else behind - before)
P
)
expect "the wait of a task that starves" "$seen" "of 300 ms it shows 0 ms while they last, and behind them all"
