#!/usr/bin/env bash
# A control group with a quota (cpu.max, or cpu.cfs_quota_us) is held back for the rest of a period, and its cpu.stat has "the total time duration [...]
# for which entities of the group have been throttled" (Documentation/scheduler/sched-bwc.rst). One expects a part of the time that passed. And as the
# same page says that a group becomes throttled by its own quota or by its parent's, one expects both kinds in it. The kernel counts on the queue of each CPU
# and adds up: a group whose tasks want two CPUs is throttled for 1.8 s a second, of 64 CPUs for most of a minute, where the same quota on one CPU
# gives 0.9 s. So throttled_usec over time is no share, may not be compared between groups, and sinks when tasks are pinned together. A group without a
# quota of its own has 0 in nr_throttled and throttled_usec, though it stands still with its parent: what a container, or a unit in a slice with
# a quota, reads of itself says that nobody holds it back. What helps: nr_throttled over nr_periods of each group above, and cpu.stat.local where
# it exists, which holds the parents' throttling too, added over CPUs again. As root, for control groups.
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"
(($(nproc) > 1)) || cannot "needs two CPUs"
group_with_quota
quota 10000
mkdir "$group/child"
trap 'kill "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null; rmdir "$group/child" "$group" || true; rm -rf -- "$work"' EXIT
((version == 1)) || { echo +cpu >"$group/cgroup.subtree_control"; } 2>/dev/null || cannot "no CPU controller for a group here"
mapfile -t cpus < <(python3 -c 'import os; print(*sorted(os.sched_getaffinity(0))[:2], sep="\n")')
throttled() { awk '$1 == "throttled_usec" {print $2} $1 == "throttled_time" {print int($2 / 1000)}' "$1"; }

# share CPU …: a task on each computes in the child for 2 s; how long the parent and the child were throttled, in per cent of that time.
share() {
    local cpu begin of_parent of_child
    for cpu; do
        bash -c 'echo $$ >"$1" && exec taskset -c "$2" bash -c "while ((SECONDS < 30)); do :; done"' - "$group/child/cgroup.procs" "$cpu" &
        pids+=($!)
    done
    sleep 0.5
    begin=${EPOCHREALTIME/./}
    of_parent=$(throttled "$group/cpu.stat")
    of_child=$(throttled "$group/child/cpu.stat")
    sleep 2
    of_parent=$(($(throttled "$group/cpu.stat") - of_parent))
    of_child=$(($(throttled "$group/child/cpu.stat") - of_child))
    begin=$((${EPOCHREALTIME/./} - begin))
    kill "${pids[@]}"
    wait "${pids[@]}" 2>/dev/null || true
    pids=()
    echo $((100 * of_parent / begin)) $((100 * of_child / begin))
}
share "${cpus[0]}" >"$work/one"
share "${cpus[@]}" >"$work/two"
read -r one child <"$work/one"
echo "tasks on one CPU: the group was throttled for $one % of the time, its child for $child %"
read -r two child <"$work/two"
echo "tasks on two CPUs: the group was throttled for $two % of the time, its child for $child %"
((one <= 101 && one >= 40)) || cannot "the machine is too busy to tell"
((two > 110)) || changed "throttled time is of the time that passed"
((child == 0)) || changed "a group has the throttling of its parent"
