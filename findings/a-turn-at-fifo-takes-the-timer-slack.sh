#!/usr/bin/env bash
# A thread's timer slack is set by prctl(PR_SET_TIMERSLACK); of real-time threads prctl(2) says that it is "not applied", as if it were only passed
# over for the time being. Newer kernels (here 6.18) overwrite it (__setscheduler_params() in kernel/sched/syscalls.c), and three guesses are wrong:
#  1. who has set 1 us, takes a turn at FIFO (or is lent one, by chrt or a supervisor) and comes back, has the default of 50 us again;
#  2. the default itself is not a constant: a child takes the present slack of its parent for it, and that of a FIFO parent is 0. With SCHED_RESET_ON_FORK
#     the child is an ordinary task, yet without slack, and PR_SET_TIMERSLACK of 0, "back to the default", leaves it so;
#  3. so two ordinary tasks of one program differ by 50 us in how late they wake up, by who started them, and their policy does not tell.
# As root, for real-time priorities.
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"
((EUID == 0)) || cannot "needs root, for real-time priorities"
echo "kernel $(uname -r)"
python3 -c 'import os; os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))' 2>"$work/said" || cannot "no FIFO here: $(tail -n 1 "$work/said")"
seen=$(python3 - <<'P'
import ctypes, os

prctl = ctypes.CDLL(None).prctl
PR_SET_TIMERSLACK, PR_GET_TIMERSLACK = 29, 30


def slack():
    return f"{prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0)} ns"


def set_slack(nanoseconds):
    prctl(PR_SET_TIMERSLACK, nanoseconds, 0, 0, 0)


def policy(which, priority):
    os.sched_setscheduler(0, which, os.sched_param(priority))


def child(what):
    pid = os.fork()
    if pid == 0:
        what()
        os._exit(0)
    os.waitpid(pid, 0)


def ordinary():
    name = {os.SCHED_OTHER: "an ordinary", os.SCHED_FIFO: "a FIFO"}[os.sched_getscheduler(0)]
    before = slack()
    set_slack(0)
    print(f"{name} child: {before}, and {slack()} by default", flush=True)


set_slack(1000)
print("set:", slack(), flush=True)
child(ordinary)
policy(os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, 1)
print("at FIFO:", slack(), flush=True)
child(ordinary)
policy(os.SCHED_OTHER | os.SCHED_RESET_ON_FORK, 0)
print("back from it:", slack(), flush=True)
P
)
[[ $seen == *"at FIFO: 0 ns"* ]] || cannot "this kernel keeps the slack of a FIFO task, as older ones do: ${seen//$'\n'/; }"
expect "timer slack" "$seen" "set: 1000 ns
an ordinary child: 1000 ns, and 1000 ns by default
at FIFO: 0 ns
an ordinary child: 0 ns, and 0 ns by default
back from it: 50000 ns"
