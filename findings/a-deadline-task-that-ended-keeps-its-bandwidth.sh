#!/usr/bin/env bash
# SCHED_DEADLINE is granted by an admission test: a sum of runtime over period, and where there is no room sched_setattr(2) is EBUSY (sched(7)). A
# task that ends, or goes back to another policy, gives up what it had, and one expects room for it at once: who restarts a program that crashed asks
# for the same again. The kernel keeps the bandwidth of a task that has gone until its "0-lag time" (inactive_task_timer() in
# kernel/sched/deadline.c), the instant by which it would have used at its rate what it has used: runtime of 0.9 s in 3 s, used up at once and ended,
# is reserved for nearly 3 s more. Documentation/scheduler/ sched-deadline.rst knows that time for reclaiming, not for admission. So a restart is
# EBUSY on a machine where no task of DEADLINE is left whose sum would explain it, the sooner after the task's wakeup it died the longer, and one that
# comes a little later succeeds; a sum over all tasks says there was room. What helps: try again for a period; nothing of /proc tells when. Here tasks
# that sleep take all the room but one's. As root, for DEADLINE.
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"
((EUID == 0)) || cannot "needs root, for SCHED_DEADLINE"
[[ $(uname -m) == x86_64 ]] || cannot "has the number of a system call of x86-64"
echo "kernel $(uname -r)"
python3 - <<'P' >"$work/seen" || cannot "SCHED_DEADLINE cannot be had here: $(tail -n 1 "$work/seen")"
import ctypes, errno, os, signal, struct, time

libc = ctypes.CDLL(None, use_errno=True)


def task(work):
    """A task of 0.9 s in 3 s, or why not; it computes for so long, or sleeps."""
    says, hears = os.pipe()
    pid = os.fork()
    if pid == 0:
        attributes = struct.pack("=IIQiIQQQ", 48, 6, 0, 0, 0, 900_000_000, 3_000_000_000, 3_000_000_000)
        refused = ctypes.get_errno() if libc.syscall(314, 0, attributes, 0) else 0
        os.write(hears, bytes([refused]))
        begin = time.thread_time()
        while not refused and time.thread_time() < begin + work:
            pass
        if not refused and not work:
            time.sleep(60)
        os._exit(0)
    refused = os.read(says, 1)[0]
    os.close(says)
    os.close(hears)
    if refused:
        os.waitpid(pid, 0)
    return pid, refused


def end(pid):
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


sleepers = []
try:
    while True:
        pid, refused = task(0)
        if refused:
            break
        sleepers.append(pid)
    if refused != errno.EBUSY or not sleepers:
        raise SystemExit(f"the first try: {errno.errorcode[refused]}")
    end(sleepers.pop())
    for _ in range(40):  # that one slept, and its bandwidth is free before long
        pid, refused = task(0.8)
        if not refused:
            break
        time.sleep(0.1)
    os.waitpid(pid, 0)
    ended = time.monotonic()
    answers = []
    while time.monotonic() < ended + 6:
        pid, refused = task(0)
        if not refused:
            end(pid)
            break
        answers.append(refused)
        time.sleep(0.05)
    print(len(sleepers) + 1, len(answers), set(answers) <= {errno.EBUSY}, round(time.monotonic() - ended, 1))
finally:
    for pid in sleepers:
        end(pid)
P
read -r room refused busy waited <"$work/seen"
echo "room for $room tasks of 0.9 s in 3 s; behind the end of one that had computed for 0.8 s the next was refused $refused times in $waited s"
[[ $busy == True ]] || changed "the refusals are EBUSY"
((refused >= 5)) || changed "the bandwidth of a task that ended is not free at once"
awk -v waited="$waited" 'BEGIN {exit !(waited < 4)}' || changed "it is free after a period"
