#!/usr/bin/env bash
# sched(7) on /proc/sys/kernel/sched_rt_runtime_us: "Specifying -1 makes the run time the same as the period; that is, no CPU time is set aside for
# non-real-time processes". Who needs a CPU for a thread of FIFO that polls sets -1, as guides for real-time systems say, and expects that nothing of
# a lower class runs there. Since Linux 6.12 ordinary tasks have a deadline server on each CPU (fair_server_init() in kernel/sched/fair.c), 50 ms in
# each second, that goes before FIFO as DEADLINE does, and it does not look at sched_rt_runtime_us: with -1 as with 950000 the thread loses 50 ms at a
# stretch, once a second, as long as any ordinary task waits there, which on a CPU with kernel workers is soon. The figure in that file is then no
# limit of anything here. What helps: fair_server/cpuN/runtime in debugfs' sched, where debugfs may be written; no ordinary task on that CPU. As root;
# sets the limit for the time of the run, and sets it back.
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"
((EUID == 0)) || cannot "needs root, for FIFO"
limit=/proc/sys/kernel/sched_rt_runtime_us
[[ -w $limit ]] || cannot "no $limit to write"
before=$(<$limit)
trap 'echo "$before" >$limit; rm -rf -- "$work"' EXIT
{ echo -1 >$limit; } 2>/dev/null || cannot "sched_rt_runtime_us may not be set here"
echo "kernel $(uname -r), sched_rt_runtime_us $(<$limit)"
python3 - <<'P' >"$work/seen" || cannot "FIFO cannot be had here"
import os, signal, time

os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
parent = os.getpid()
ordinary = os.fork()
if ordinary == 0:
    while os.getppid() == parent:
        pass
    os._exit(0)
os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
begin = last = time.monotonic()
gaps = []
while last < begin + 3.2:
    now = time.monotonic()
    if now > last + 0.02:
        gaps.append(now - last)
    last = now
os.kill(ordinary, signal.SIGKILL)
os.waitpid(ordinary, 0)
print(len(gaps), round(1000 * max(gaps, default=0)))
P
read -r gaps longest <"$work/seen"
echo "a thread of FIFO that polls for 3.2 s beside an ordinary task: without its CPU for more than 20 ms $gaps times, $longest ms at most"
((gaps >= 2)) || changed "ordinary tasks run before FIFO though nothing is set aside for them"
