#!/usr/bin/env bash
# The second number of /proc/PID/schedstat is the "time spent waiting on a runqueue" (Documentation/scheduler/sched-stats.rst), and one reads it as
# time that others had the CPU. A task of a group that has used up its quota (cpu.max) may not run, whoever is there: Linux 6.18 takes such a task off the
# queue, older kernels the queue off the CPU. One expects that this is no waiting on a run queue, all the more as cpu.stat counts it by itself. It is in both:
# the task is R (running) to /proc, and all the time that its quota holds it is run-queue wait in schedstat, taskstats' cpu_delay, pidstat's %wait
# and so on. So a service with a tight quota on an idle machine looks as if it was starved by neighbours, and no neighbour can be found. What helps:
# throttled_usec in cpu.stat of its group and of all above, as far as it may be compared (it is added over CPUs). Here one task computes with 10 ms
# in 100: that running, waiting and being throttled are together longer than the time that passed shows that the last two overlap, however busy
# the machine is. As root, for a control group.
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"
group_with_quota
quota 10000
"${in_group[@]}" bash -c 'while ((SECONDS < 30)); do :; done' &
task=$!
pids+=("$task")
sleep 0.5
# now: the time, and what the task ran, waited and was throttled, in microseconds.
now() {
    awk -v time="${EPOCHREALTIME/./}" 'FILENAME ~ /schedstat$/ {run = $1 / 1000; wait = $2 / 1000}
        $1 == "throttled_usec" {throttled = $2} $1 == "throttled_time" {throttled = $2 / 1000}
        END {printf "%s %d %d %d\n", time, run, wait, throttled}' "/proc/$task/schedstat" "$group/cpu.stat"
}
read -r begin ran waited throttled < <(now)
sleep 3
read -r end run wait held < <(now)
passed=$((end - begin)) run=$((run - ran)) wait=$((wait - waited)) held=$((held - throttled))
echo "of $((passed / 1000)) ms it ran $((run / 1000)), waited $((wait / 1000)) by schedstat, and was throttled for $((held / 1000)); $(grep State "/proc/$task/status")"
((held > passed / 2)) || cannot "the machine is too busy for its quota to matter"
# What lasts yet at either end is counted in neither: two periods.
((run + wait > passed - 200000)) || changed "schedstat has waits without those for the quota"
((run + wait + held > passed * 5 / 4)) || changed "waits and throttling no longer overlap"
