#!/usr/bin/env bash
# perf sched timehist has the columns wait time, "sch delay" and run time; perf-sched(1) calls the second the time "between wakeup and actually
# running", and one takes it for the time on the run queue, as perf sched latency's delay is. A task that is preempted is never woken: all its waiting
# for the CPU is in "wait time", which holds sleep too, and its sch delay is 0. So of a task that computes, starved by others, timehist says that the scheduler
# never let it wait, and the sum of sch delay over a machine misses just what overload causes; latency, from the same file,
# has a delay for each of these waits. --state tells the two kinds apart (R is no sleep). Two tasks share one CPU here. As root.
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"
((EUID == 0)) || cannot "needs root, for events of the whole machine"

perf_of_debian
two_on_one_cpu
"$perf" sched record -o "$work/data" -- sleep 2 >"$work/said" 2>&1 || cannot "perf sched record does not work here"
read -r waited delay ran < <("$perf" sched timehist -i "$work/data" 2>/dev/null |
    awk -v pid="[${pids[0]}]" 'index($0, pid) {wait += $(NF - 2); delay += $(NF - 1); run += $NF} END {printf "%.0f %.0f %.0f\n", wait, delay, run}')
read -r switches average < <("$perf" sched latency -p -i "$work/data" 2>/dev/null |
    sed -nE "s/^.*:${pids[0]} *\|[^|]*\| *([0-9]+) \| avg: *([0-9.]+) ms.*/\1 \2/p")
echo "a task that computes: it ran $ran ms; timehist: wait time $waited ms, of that sch delay $delay ms"
echo "latency of the same file: $switches switches with a delay of $average ms on average"
((waited > 300)) || cannot "the two did not share the CPU"
((delay * 100 <= waited)) || changed "sch delay has the waits behind a preemption"
awk -v n="$switches" -v average="$average" -v waited="$waited" 'BEGIN {exit !(n * average > waited / 2)}' ||
    changed "latency has no longer the waits behind a preemption"
