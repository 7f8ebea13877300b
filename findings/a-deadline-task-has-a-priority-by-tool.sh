#!/usr/bin/env bash
# The priority of one task of SCHED_DEADLINE, as five tools of Debian 12 show it. All read the same -101 in /proc/PID/stat, or ask the kernel. One
# expects one number, or at least that a task which goes before all of FIFO sorts so in each. ps -o pri has 140, the most, as it has 139 for FIFO 99;
# ps -o opri -41, the least; top "rt", as for FIFO 99; but pidstat -R and chrt -p have 0, as for an ordinary task, and schedtool has 0 of a policy
# <UNKNOWN>. So a sort or a filter by priority loses such tasks, or puts them at the wrong end, by tool. As root.
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"
((EUID == 0)) || cannot "needs root, for SCHED_DEADLINE"

debian procps=2:4.0.2-3 util-linux=2.38.1-5+deb12u3 sysstat=12.6.1-1 schedtool=1.3.0-4 libproc2-0=2:4.0.2-3
bin=$work/root/usr/bin
LD_LIBRARY_PATH=$(echo "$work"/root/usr/lib/*-linux-gnu) LC_ALL=C
export LD_LIBRARY_PATH LC_ALL
trap 'kill "${pids[@]}" 2>/dev/null || true; rm -rf -- "$work"' EXIT
pids=()
"$bin/chrt" --deadline --sched-runtime 1000000 --sched-period 100000000 0 sleep 60 &
pids+=($!)
"$bin/chrt" --fifo 99 sleep 60 &
pids+=($!)
sleep 1
for pid in "${pids[@]}"; do
    kill -0 "$pid" 2>/dev/null || cannot "this kernel has no room for a deadline task"
    echo "stat $(cut -d' ' -f18 "/proc/$pid/stat"), ps pri $("$work/root/bin/ps" -o pri= -p "$pid" | tr -d ' ')," \
        "opri $("$work/root/bin/ps" -o opri= -p "$pid" | tr -d ' '), top $("$bin/top" -b -n 1 -p "$pid" | awk 'END {print $3}')," \
        "pidstat $("$bin/pidstat" -R -p "$pid" | awk 'END {print $4, $5}')," \
        "chrt $("$bin/chrt" -p "$pid" | sed -n 's/.*priority: //p')," \
        "schedtool $("$bin/schedtool" "$pid" | sed -E 's/.*PRIO +([0-9]+), POLICY ([^,]*[^, ]) *, NICE.*/\1 \2/' | tr -s ' ')"
done >"$work/seen"
expect "DEADLINE, and FIFO 99" "$(<"$work/seen")" "\
stat -101, ps pri 140, opri -41, top rt, pidstat 0 DEADLN, chrt 0, schedtool 0 6 <UNKNOWN>
stat -100, ps pri 139, opri -40, top rt, pidstat 99 FIFO, chrt 99, schedtool 99 F: SCHED_FIFO"
