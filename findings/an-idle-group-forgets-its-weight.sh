#!/usr/bin/env bash
# cpu.idle makes a control group to others what SCHED_IDLE makes a task ("the cgroup analog of the per-task SCHED_IDLE sched policy",
# Documentation/admin-guide/cgroup-v2.rst, which also says that cpu.weight shows 0 meanwhile). A task keeps its nice value over a time as SCHED_IDLE,
# and has it again behind it. One expects the same of a group and its weight. A group has one number for both: cpu.idle = 1 overwrites it, and
# cpu.idle = 0 writes the default, whatever was there before (sched_group_set_idle() in kernel/sched/fair.c). So who parks a batch group of weight 20 for
# an hour and wakes it has a group of weight 100, five times its share, without a message; a restore of the weight while it is idle is EINVAL. With
# cgroup v1 it is the same with cpu.shares, which shows 3 meanwhile, as if somebody had asked for 3. What helps: write the weight again, behind
# cpu.idle = 0, and never take it from a group that is idle. As root, for a control group.
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"
((EUID == 0)) || cannot "needs root, for a control group"
read -r groups weight set fixed < <(awk '$3 == "cgroup" && $4 ~ /(^|,)cpu(,|$)/ {print $2, "cpu.shares 204 1024"; exit}
    $3 == "cgroup2" {last = $2 " cpu.weight 20 100"} END {if (last) print last}' /proc/self/mounts) || cannot "no control groups are mounted"
group=$groups/finding.$$
mkdir -- "$group"
trap 'rmdir "$group" || true; rm -rf -- "$work"' EXIT
[[ -w $group/cpu.idle && -w $group/$weight ]] || cannot "no CPU controller with cpu.idle (Linux 5.15) for a group here"
echo "kernel $(uname -r), $weight"
echo "$set" >"$group/$weight"
before=$(<"$group/$weight")
echo 1 >"$group/cpu.idle"
meanwhile=$(<"$group/$weight")
refused=$( (echo "$set" >"$group/$weight") 2>/dev/null || echo refused)
echo 0 >"$group/cpu.idle"
behind=$(<"$group/$weight")
nice=$(python3 - <<'P'
import os

os.setpriority(os.PRIO_PROCESS, 0, 5)
for policy in os.SCHED_IDLE, os.SCHED_OTHER:
    os.sched_setscheduler(0, policy, os.sched_param(0))
print(os.getpriority(os.PRIO_PROCESS, 0))
P
)
echo "while it is idle: $meanwhile, and a write of $set is ${refused:-taken}"
expect "a group's weight before and behind; a task's nice value behind 5 and a time as SCHED_IDLE" "$before $behind, $nice" "$set $fixed, 5"
