#!/usr/bin/env bash
# A task that ends switches out for the last time behind its death: where its parent has reaped it by then, perf's sample of that sched_switch has
# the thread -1, for the kernel knows no number for it any more, while the event itself says prev_pid as always. perf sched timehist takes the thread of
# the sample, not the event's: what such a task ran last is in a row of ":-1", and in the summary one task of that name holds those of all
# processes. The sum of a task's slices is too small by its last, the more so the shorter it lives, without a message; perf sched latency,
# from the same file, goes by prev_pid. How many are hit is a race (here about one of a hundred). As root.
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"
((EUID == 0)) || cannot "needs root, for events of the whole machine"

perf_of_debian
for attempt in 1 2 3 4 5; do
    "$perf" sched record -o "$work/data" -- bash -c 'for i in {1..300}; do /bin/true; done' >"$work/said" 2>&1 ||
        cannot "perf sched record does not work here"
    "$perf" script -i "$work/data" -F tid,cpu,time,event,trace --ns 2>/dev/null >"$work/script"
    nobody=$(grep -cE '^ *-1 .*sched_switch: .*prev_pid=[0-9]+ ' "$work/script" || true)
    ((nobody == 0)) || break
    echo "attempt $attempt: no task was reaped before its last switch"
done
((nobody > 0)) || cannot "no task was reaped before its last switch"
echo "switches whose sample has thread -1 and whose event has a pid: $nobody"
grep -E -m 3 '^ *-1 .*sched_switch: ' "$work/script" | sed -E 's/^ +//'
rows=$("$perf" sched timehist -i "$work/data" 2>/dev/null | grep -cE ' :-1\[-1' || true)
echo "rows of timehist for :-1: $rows"
[[ $rows == "$nobody" ]] || changed "timehist no longer takes the thread of the sample"
! "$perf" sched latency -i "$work/data" 2>/dev/null | grep -q ':-1' || changed "latency has :-1 too"
echo "rows of latency for :-1: 0"
