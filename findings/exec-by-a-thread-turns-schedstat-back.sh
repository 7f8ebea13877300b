#!/usr/bin/env bash
# A task is known by its number and its start time, and counters of one such pair are said never to go back, so that monitors take differences. When a
# thread that is not the first calls execve(2), it takes over the number of the first, and the start time too (de_thread() in fs/exec.c), but
# keeps its own run and wait times: /proc/PID/schedstat of the same PID with the same start time falls back from the first thread's figures to
# those of a thread that nobody looked at. utime and stime in /proc/PID/stat, which
# are the process's, go on. An unsigned difference wraps around, a rate takes it for a restart. The first thread runs for half a second here,
# then the second, which did next to nothing, calls execve.
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"
echo "kernel $(uname -r)"
cat >"$work/process.py" <<'P'
import os, sys, threading, time


def books():
    """Who this is, run time by schedstat in ms, and by stat in ms."""
    with open("/proc/self/schedstat") as schedstat, open("/proc/self/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
        ticks = 1000 // os.sysconf("SC_CLK_TCK")
        return [os.getpid(), int(fields[19]), int(schedstat.read().split()[0]) // 1000000, (int(fields[11]) + int(fields[12])) * ticks]


if len(sys.argv) > 1:
    before, after = [int(word) for word in sys.argv[1:]], books()
    print("the same PID and start time:", "yes" if before[:2] == after[:2] else "no")
    print("run time by schedstat:", "falls" if after[2] < before[2] else f"from {before[2]} to {after[2]}")
    print("run time by stat:", "goes on" if after[3] >= before[3] else f"from {before[3]} to {after[3]}")
    print(before[2:], after[2:], "ms", file=sys.stderr)
    sys.exit()
end = time.thread_time() + 0.5
while time.thread_time() < end:
    pass
threading.Thread(target=lambda: os.execv(sys.executable, [sys.executable, sys.argv[0], *map(str, books())])).start()
time.sleep(60)
P
seen=$(python3 "$work/process.py")
expect "behind execve" "$seen" "the same PID and start time: yes
run time by schedstat: falls
run time by stat: goes on"
