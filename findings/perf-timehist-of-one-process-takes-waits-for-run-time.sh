#!/usr/bin/env bash
# perf sched record takes the options of perf record, -p among them, and says no more than that this "overrides SYSTEM". The guess is that one gets the same
# figures as from the whole machine, of one process. An event belongs to the task that is current: of a switch the file has those by which
# the process leaves a CPU, and none by which it comes; of wakeups those it makes, and none by which it is woken. perf sched latency
# then lists whoever came next, with no run time, and not the process itself. perf sched timehist takes the time from one leaving to the next for the run time, the wait in between
# included, and shows waits of 0: a task that had to share its CPU ran all the time. The sched_stat_runtime in the same file say what it
# ran. Two tasks share one CPU here. As root.
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"
((EUID == 0)) || cannot "needs root, for events of the scheduler"

perf_of_debian
two_on_one_cpu
"$perf" sched record -o "$work/data" -p "${pids[0]}" -- sleep 2 >"$work/said" 2>&1 || cannot "perf sched record does not work here"
grep SYSTEM "$work/said" || true
"$perf" script -i "$work/data" --ns -F time,event,trace 2>/dev/null >"$work/script"
# The time from its first leaving to its last, and what it ran by the events of the kernel in between.
read -r span ran < <(awk '/sched_switch: / {sub(":", "", $1); last = $1; if (!first) first = $1; sum += open; open = 0}
    /sched_stat_runtime: / && first {match($0, /runtime=[0-9]+/); open += substr($0, RSTART + 8, RLENGTH - 8)}
    END {printf "%.0f %.0f\n", (last - first) * 1000, sum / 1e6}' "$work/script")
read -r waits shown < <("$perf" sched timehist -i "$work/data" 2>/dev/null |
    awk '$3 ~ /\[/ {waits += $4 + $5; run += $6} END {printf "%.0f %.0f\n", waits, run}')
rows=$("$perf" sched latency -p -i "$work/data" 2>/dev/null | grep -c ":${pids[0]} .*avg:" || true)
echo "within $span ms it ran $ran ms; timehist says that it ran $shown ms and waited $waits ms; latency has $rows rows of it"
((ran * 10 < span * 8)) || cannot "the two did not share the CPU"
((shown * 100 > span * 99 && waits == 0 && rows == 0)) || changed "timehist's run times are no longer the time between switches"
