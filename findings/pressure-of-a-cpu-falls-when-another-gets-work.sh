#!/usr/bin/env bash
# Pressure stall information: "some" is "the share of time in which at least some tasks are stalled" (Documentation/accounting/psi.rst). A task that
# waits for a CPU the whole time, beside one that computes there, makes it 100 %. One expects that it stays 100 % when a third task begins to
# compute on another CPU, where nobody waits: at least one task is stalled all the time as before. It falls to 50 %. The kernel has a state for
# each CPU, and what it shows is their mean, weighted by how long each CPU was not idle (collect_percpu_times() in kernel/sched/psi.c). So "some" is
# no share of time, and no union over the CPUs: idle CPUs leave it as it is, and every busy CPU without a wait dilutes it. A pinned task that
# starves on one of 64 busy CPUs is 1.6 %, whatever it loses; and who gives the other CPUs more work makes the pressure sink. Thresholds do
# not carry over between machines of different size. What helps: the waits of the tasks themselves (/proc/PID/schedstat).
# The tasks are of FIFO, so that nobody else on the machine makes them wait, in a group of their own. As root.
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"
((EUID == 0)) || cannot "needs root, for a control group and real-time priorities"
(($(nproc) > 1)) || cannot "needs two CPUs"
groups=$(awk '$3 == "cgroup2" {print $2; exit}' /proc/self/mounts)
[[ $groups ]] || cannot "no cgroup2 is mounted"
[[ -r /proc/pressure/cpu ]] || cannot "this kernel has no pressure stall information"
group=$groups/finding.$$
mkdir -- "$group"
trap 'rmdir "$group" || true; rm -rf -- "$work"' EXIT
[[ -w $group/cpu.pressure ]] || cannot "no pressure by group here"
echo "kernel $(uname -r)"
python3 - "$group" >"$work/seen" <<'P' || cannot "no real-time priorities here"
import os, signal, sys, time

group, tasks = sys.argv[1], []
here, there = sorted(os.sched_getaffinity(0))[:2]


def task(cpu, priority):
    child = os.fork()
    if child == 0:
        with open(group + "/cgroup.procs", "w") as procs:
            procs.write("0")
        os.sched_setaffinity(0, {cpu})
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
        signal.alarm(10)
        end = time.monotonic() + 2
        while time.monotonic() < end:
            pass
        os._exit(0)
    tasks.append(child)


def share(what):
    def some():
        with open(group + "/cpu.pressure") as pressure:
            return int(pressure.readline().rpartition("total=")[2]), time.monotonic_ns() // 1000

    time.sleep(0.05)
    stalled, begin = some()
    time.sleep(0.3)
    until, end = some()
    print(what, round(100 * (until - stalled) / (end - begin)), flush=True)


os.sched_setaffinity(0, {here})
os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
try:
    task(here, 11)
    task(here, 10)
    share("one waits for the other:")
    task(there, 10)
    share("and a third runs on another CPU:")
finally:
    for child in tasks:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
P
cat "$work/seen"
awk -F: 'NR == 1 {alone = $2} NR == 2 {beside = $2} END {exit !(alone >= 90 && beside >= 40 && beside <= 65)}' "$work/seen" ||
    changed "some is no longer the mean over the CPUs that are not idle"
