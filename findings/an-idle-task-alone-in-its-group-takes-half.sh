#!/usr/bin/env bash
# SCHED_IDLE is for "jobs at extremely low priority (lower even than a +19 nice value with the SCHED_OTHER or SCHED_BATCH policies)" (sched(7)). One
# expects that chrt -i 0 keeps a batch job out of the way of whoever computes on that CPU, wherever both live. A policy holds within a control group:
# the group itself competes with its own weight, which knows nothing of who is in it (the page says so of nice values and of autogroups, not of this
# policy). So of one CPU an idle task takes half from an ordinary one of another group of equal weight, and next to nothing, about 3 of 1027 parts,
# from one in its own. And as a session, a unit and a container have each a group, the usual case is the first one; with autogroups two terminals are
# enough. Tools that show the policy (chrt -p, ps -o cls: IDL) say nothing of it. What helps: cpu.idle or a small weight for the group. As root, for
# control groups.
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"
group_with_quota
other=$group-other
mkdir "$other"
trap 'kill "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null; rmdir "$group" "$other" || true; rm -rf -- "$work"' EXIT
cpu=$(python3 -c 'import os; print(max(os.sched_getaffinity(0)))')
of_other=("${in_group[@]}")
of_other[4]=$other/cgroup.procs
computes=(taskset -c "$cpu" bash -c 'while ((SECONDS < 30)); do :; done')

# share WORD …: how much of the time of both an idle task had, in per cent, over 3 s, that these words put where it is, beside an ordinary one.
share() {
    local before=() after=() pid
    "${in_group[@]}" "${computes[@]}" &
    pids=($!)
    "$@" chrt -i 0 "${computes[@]}" &
    pids+=($!)
    sleep 0.5
    for pid in "${pids[@]}"; do before+=("$(cut -d' ' -f1 "/proc/$pid/schedstat")"); done
    sleep 3
    for pid in "${pids[@]}"; do after+=("$(cut -d' ' -f1 "/proc/$pid/schedstat")"); done
    kill "${pids[@]}"
    wait "${pids[@]}" 2>/dev/null || true
    pids=()
    echo $((100 * (after[1] - before[1]) / (after[0] - before[0] + after[1] - before[1])))
}
share "${in_group[@]}" >"$work/same"
share "${of_other[@]}" >"$work/other"
echo "an idle task beside an ordinary one: $(<"$work/same") % of their time in one group, $(<"$work/other") % in two of equal weight"
(($(<"$work/same") <= 5)) || changed "in one group an idle task has next to nothing"
(($(<"$work/other") >= 35)) || changed "in a group of its own it has half"
