#!/usr/bin/env bash
# A control group with a quota of 5 ms in 100 ms (cpu.max, or cpu.cfs_quota_us) has a twentieth of a CPU: "Within each given 'period' (microseconds),
# a task group is allocated up to 'quota' microseconds of CPU time" (Documentation/scheduler/sched-bwc.rst). Who writes the same quota again changes
# nothing, one thinks, and who moves it a little, as a controller does that follows the load, has the new rate from then on. Each write fills the
# quota up at once and lets go whoever is held (tg_set_cfs_bandwidth() in kernel/sched/core.c), whatever was used up in this period, and neither asks
# whether the value is another. So a group whose quota is written 50 times a second, always the same, has four to seven times its quota, with no limit
# but the rate of the writes, and cpu.stat does not say so: nr_throttled, the periods at whose end somebody was held, becomes no more, by a third less on
# an idle machine and by two thirds on a busy one. On Linux 6.18 a write of cpu.max.burst does the same. A controller with feedback then sees that its
# quota hardly binds, lowers it, writes again, and so on. What helps: write only what has changed, some periods apart, and judge by usage_usec and not
# by nr_throttled. As root, for a control group.
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"
group_with_quota
quota 5000
"${in_group[@]}" bash -c 'while ((SECONDS < 30)); do :; done' &
pids+=($!)
sleep 0.5
ran() { awk '{printf "%d", $1 / 1000}' "/proc/${pids[0]}/schedstat"; }
counted() { awk -v name="$1" '$1 ~ name {printf "%d", $2 / ($1 ~ /_time$/ ? 1000 : 1)}' "$group/cpu.stat"; }

# share ROUNDS WRITES: the task's per mille of the time, how often the group was throttled, and its per mille of the time, over rounds of 20 ms.
share() {
    local begin=${EPOCHREALTIME/./} of_task times held
    of_task=$(ran) times=$(counted '^nr_throttled$') held=$(counted '^throttled_(usec|time)$')
    for ((round = 0; round < $1; round++)); do
        (($2 == 0)) || quota 5000
        sleep 0.02
    done
    of_task=$(($(ran) - of_task)) times=$(($(counted '^nr_throttled$') - times)) held=$(($(counted '^throttled_(usec|time)$') - held))
    begin=$((${EPOCHREALTIME/./} - begin))
    echo $((1000 * of_task / begin)) $times $((1000 * held / begin))
}
read -r left often _ < <(share 100 0)
echo "the quota left alone: $left per mille of a CPU, throttled $often times"
read -r written times held < <(share 100 1)
echo "the same quota written every 20 ms: $written per mille of a CPU, throttled $times times, held for $held per mille of the time"
((left <= 70)) || changed "a quota of a twentieth is a twentieth"
((written > 100)) || { ((held > 500)) && changed "a quota that is written again is given again"; } || cannot "the machine is too busy to tell"
((times <= often)) || changed "nr_throttled is no more meanwhile"
