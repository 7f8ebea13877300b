#!/usr/bin/env bash
# cyclictest -i 1000 -l 1000: a thread that is due every millisecond, a thousand times ("stopped once the number of timer intervals has been
# reached", cyclictest(8)), and -h makes the histogram of how late it was. One expects a row for each interval. A thread that is kept from the CPU over many
# intervals is counted once, with the whole lateness, and cyclictest moves its next instant beyond now, so that all that were due in between
# are nowhere: not in the histogram, nor among its overflows, nor in the count of cycles, nor in the average. Max is right, and whatever is made of the
# rest is too good: here the CPU is gone for 300 of 1300 ms, a quarter of the thread's instants, and the 99th percentile of what is counted
# stays below a few ms. Two kernels can be told apart by max alone, then. What helps: compare the count of cycles with the time that passed, and put in for
# a lateness of n intervals n - 1 more, each an interval shorter, as HdrHistogram's correction for coordinated omission does. As root.
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"
((EUID == 0)) || cannot "needs root, for real-time priorities"

debian rt-tests=2.4-1 libnuma1=2.0.16-1
LD_LIBRARY_PATH=$(echo "$work"/root/usr/lib/*-linux-gnu) python3 - "$work/root/usr/bin/cyclictest" >"$work/seen" 2>"$work/said" <<'P' ||
import os, subprocess, sys, time

INTERVAL, LOOPS, STALL = 1000, 1000, 300000  # us, but for the loops
cpu = min(os.sched_getaffinity(0))
measuring = subprocess.Popen([sys.argv[1], "-q", "-t1", f"-a{cpu}", "-p10", f"-i{INTERVAL}", f"-l{LOOPS}", "-h20000"], stdout=subprocess.PIPE, text=True)
time.sleep(0.5)
rival = os.fork()
if rival == 0:
    os.sched_setaffinity(0, {cpu})
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(20))
    end = time.monotonic() + STALL / 1e6
    while time.monotonic() < end:
        pass
    os._exit(0)
os.waitpid(rival, 0)
rows, said = {}, {}
for line in measuring.communicate()[0].splitlines():
    if line.startswith("# ") and ":" in line:
        name, _, value = line[2:].partition(":")
        said[name] = value.split()
    elif line[:1].isdigit():
        late, times = map(int, line.split())
        rows[late] = times
longest, beyond = int(said["Max Latencies"][0]), int(said["Histogram Overflows"][0])
counted = [late for late, times in rows.items() for _ in range(times)] + [longest] * beyond
due = counted + [longest - n * INTERVAL for n in range(1, longest // INTERVAL)]
print("counted", len(counted), "longest", longest, "beyond the histogram", beyond)
for name, lateness in ("counted", counted), ("due", due):
    lateness.sort()
    print(f"{name}: {len(lateness)} instants, average {sum(lateness) // len(lateness)}, 99th percentile {lateness[len(lateness) * 99 // 100 - 1]} us")
enough = len(counted) == LOOPS and longest >= STALL * 0.9 and beyond <= 5
sys.exit(0 if enough and counted[LOOPS * 99 // 100 - 1] < 20000 and due[len(due) * 99 // 100 - 1] > 200000 else 3)
P
    { (($? == 3)) && cat "$work/seen" && changed "the instants that were missed are counted"; cannot "cyclictest does not run here: $(tail -n 1 "$work/said")"; }
cat "$work/seen"
