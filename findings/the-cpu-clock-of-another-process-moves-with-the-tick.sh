#!/usr/bin/env bash
# clock_getcpuclockid(3) gives the CPU clock of another process, in nanoseconds; clock_getres(2) of it is 1 ns, as of one's own
# CLOCK_PROCESS_CPUTIME_ID, which moves at each reading. One expects the other's to do so too. While its process runs, it stands still from tick
# to tick, 4 ms with CONFIG_HZ=250: for another process the kernel adds up what the scheduler last booked for each thread, and brings only that
# of the caller up to date (thread_group_cputime() in kernel/sched/cputime.c). The first number of /proc/PID/schedstat, nanoseconds too, comes from the same
# books. So the difference of two readings 1 ms apart is 0 or 4 ms of CPU time, a watcher with a short interval sees 400 % and 0 %, and
# all digits below the millisecond are no precision. Where the tick is off (nohz_full) it is rarer still. The same holds of one's own process's clock, as
# far as threads on other CPUs are in it. Exact is what ends with a switch (sched_switch, sched_stat_runtime), and a thread's clock that it reads itself.
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"
(($(nproc) > 1)) || cannot "needs two CPUs"
echo "kernel $(uname -r)"
python3 - >"$work/seen" <<'P'
import hashlib, os, threading, time

here, there = sorted(os.sched_getaffinity(0))[:2]
end = time.monotonic() + 2
process = os.fork()
os.sched_setaffinity(0, {here if process else there})
if process == 0:
    while time.monotonic() < end:
        pass
    os._exit(0)
its_clock = ~process << 3 | 2  # what clock_getcpuclockid(3) makes


def schedstat():
    with open(f"/proc/{process}/schedstat") as file:
        return int(file.read().split()[0])


def look(what, read):
    """How often a reading differs from the one before, and the least and the median step."""
    steps, readings, before, until = [], 0, read(), time.monotonic() + 0.4
    while time.monotonic() < until:
        now = read()
        readings += 1
        if now != before:
            steps.append(now - before)
        before = now
    steps.sort()
    print(f"{what}: {readings} readings, {len(steps)} of them new, {steps[len(steps) // 2]} ns at a time")


time.sleep(0.1)
print("resolution of its clock:", f"{time.clock_getres(its_clock):.9f}")
look("its clock", lambda: time.clock_gettime_ns(its_clock))
look("its schedstat", schedstat)
look("one's own clock", time.process_time_ns)
os.waitpid(process, 0)


def compute():  # hashlib releases the interpreter's lock
    os.sched_setaffinity(0, {there})
    while time.monotonic() < end:
        hashlib.pbkdf2_hmac("sha256", b"", b"", 200000)


end = time.monotonic() + 0.6
threading.Thread(target=compute).start()
time.sleep(0.1)
look("of the other thread of one's own, in whole ms", lambda: (time.process_time_ns() - time.thread_time_ns()) // 1000000 * 1000000)
P
cat "$work/seen"
awk -F'[:, ]+' '/^resolution/ && $5 != "0.000000001" {bad = 1} /^its/ && $5 > $3 / 20 {bad = 1} /^its clock/ {step = $9; times = $5}
    /^one/ && $6 < $4 * 0.9 {bad = 1} /^of the other/ && $13 > 2 * times + 20 {bad = 1} END {exit bad || step < 500000}' "$work/seen" ||
    changed "a clock of CPU time moves between ticks, or one's own does not"
