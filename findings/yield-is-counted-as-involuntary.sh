#!/usr/bin/env bash
# getrusage(2) calls a context switch voluntary (ru_nvcsw) where a process gives up the processor before its time slice is over, which is what
# sched_yield(2) is for. The kernel (__schedule() in kernel/sched/core.c) looks only at the state of who leaves: a task that yields stays
# runnable, so each of its yields that lets another run counts as involuntary, and not one as voluntary. So "nonvoluntary_ctxt_switches" of
# /proc/PID/status, ru_nivcsw and pidstat's nvcswch/s are no measure of preemption: a spinlock that yields looks like a victim of its rivals.
# Two tasks share one CPU here; one yields a thousand times, then sleeps twenty times.
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"
echo "kernel $(uname -r)"
seen=$(python3 - <<'P'
import os, resource, signal, time

os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
rival = os.fork()
if rival == 0:
    signal.alarm(60)
    while True:
        os.sched_yield()


def switches():
    usage = resource.getrusage(resource.RUSAGE_THREAD)
    return usage.ru_nvcsw, usage.ru_nivcsw


def of(what, times):
    before = switches()
    for _ in range(times):
        what()
    return [after - then for after, then in zip(switches(), before)]


yields, sleeps = of(os.sched_yield, 1000), of(lambda: time.sleep(0.001), 20)
os.kill(rival, signal.SIGKILL)
os.waitpid(rival, 0)
# A yield may find nobody, and a task may be preempted besides: hence about, not exactly.
print("1000 yields: voluntary", yields[0], "involuntary", "about 1000" if 500 <= yields[1] <= 2000 else yields[1])
print("20 sleeps: voluntary", sleeps[0])
P
)
expect "switches of who yields, and of who sleeps" "$seen" $'1000 yields: voluntary 0 involuntary about 1000\n20 sleeps: voluntary 20'
