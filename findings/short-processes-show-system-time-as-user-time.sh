#!/usr/bin/env bash
# getrusage(2), times(2), time(1) and /proc/PID/stat divide CPU time into that in user mode and that in the kernel. With the usual accounting the sum is
# exact and the division is made of ticks (cputime_adjust() in kernel/sched/cputime.c): they say in which ratio to divide it. A process that
# no tick has hit has no ratio, and all its time becomes user time. So of many processes that are each shorter than a tick most have no system
# time, and their sum, as "time" of a build or of a shell script has it, is the reverse of what happened. The guess that errors of sampling
# cancel out over many processes is wrong: all of them fall to one side. 1500 subshells of dash do nothing here but come and go, which
# is the kernel's work, as perf's samples by a timer of high resolution show. As root.
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"
((EUID == 0)) || cannot "needs root, for samples in the kernel"
[[ $(uname -m) == x86_64 || $(uname -m) == aarch64 ]] || cannot "this architecture measures the two apart"
! grep -q nohz_full /proc/cmdline || cannot "this kernel measures the two apart, for nohz_full"

perf_of_debian
debian dash=0.5.12-2
# The last line of times is of the children: user, system.
cat >"$work/shells" <<'S'
i=0
while [ $i -lt 1500 ]; do ( : ); i=$((i+1)); done
times
echo $$
S
"$perf" record -q -F 10000 -e cpu-clock -o "$work/data" "$work/root/bin/dash" "$work/shells" >"$work/times" 2>"$work/said" ||
    cannot "perf record does not work here: $(tail -n 1 "$work/said")"
parent=$(tail -n 1 "$work/times")
shown=$(sed -n 2p "$work/times" | tr -d s | awk '{split($1, user, "m"); split($2, kernel, "m"); in_user = user[1] * 60 + user[2]; in_kernel = kernel[1] * 60 + kernel[2]
    printf "%.0f", 100 * in_kernel / (in_user + in_kernel)}')
# An address of the upper half is the kernel's.
was=$("$perf" script -i "$work/data" -F pid,ip 2>/dev/null |
    awk -v parent="$parent" '$1 != parent {all++; kernel += $NF ~ /^ffff/} END {if (all > 300) printf "%.0f", 100 * kernel / all}')
[[ $was ]] || cannot "perf took too few samples"
echo "of the children's CPU time, in the kernel by times: $shown %, by perf's samples: $was %"
((was >= 60)) || cannot "the subshells worked in user mode here"
((shown <= was / 2)) || changed "times and perf's samples agree"
