#!/usr/bin/env bash
# prctl(2) says that the timer slack of a thread, 50 us by default, is what select, poll, epoll_wait and nanosleep may be late by, so that
# lateness beyond it would be the scheduler's. For the first three the kernel (select_estimate_accuracy() in fs/select.c) allows a thousandth of
# the time-out where that is more, up to 100 ms, and five thousandths to a thread whose nice value is above 0. So an event loop that waits for
# ten seconds may wake up 10 ms late, and a niced one 50 ms late, on an idle machine and by request, while a sleep of the same length has 50 us.
# Who compares wakeups of two programs, or of one before and after renice, measures this beside the wait for a CPU. What the kernel
# allowed is in the event hrtimer_start: it is the distance from softexpires to expires. As root, for tracefs.
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"
((EUID == 0)) || cannot "needs root, for tracefs"
for tracing in /sys/kernel/tracing /sys/kernel/debug/tracing ''; do [[ -d $tracing/instances ]] && break; done
[[ $tracing ]] || cannot "no tracefs is mounted"
instance=$(mktemp -d -p "$tracing/instances")
trap 'rmdir "$instance" 2>/dev/null || true; rm -rf -- "$work"' EXIT
echo "kernel $(uname -r)"
seen=$(python3 - "$instance" <<'P'
import os, re, select, signal, sys, time

instance = sys.argv[1]


class Woken(Exception):
    pass


def wake(*_):
    raise Woken


def write(file, text):
    with open(f"{instance}/{file}", "w") as out:
        out.write(text)


def allowed(wait):
    """Milliseconds that the kernel allows this wait to be late by; the largest of three, for a preemption in between takes from it."""
    write("trace", "")
    for _ in range(3):
        signal.setitimer(signal.ITIMER_REAL, 0.03)
        try:
            wait()
        except Woken:
            pass
    with open(f"{instance}/trace") as lines:
        found = re.findall(r"hrtimer_start: .* function=hrtimer_wakeup expires=(\d+) softexpires=(\d+)", lines.read())
    return max(int(hard) - int(soft) for hard, soft in found) / 1e6


signal.signal(signal.SIGALRM, wake)
write("set_event_pid", str(os.getpid()))
write("events/timer/hrtimer_start/enable", "1")
poll, epoll = select.poll(), select.epoll()
for nice in (0, 1):
    os.setpriority(os.PRIO_PROCESS, 0, nice)
    for name, wait in (("sleep of 10 s", lambda: time.sleep(10)), ("select of 10 s", lambda: select.select([], [], [], 10)),
                       ("poll of 10 s", lambda: poll.poll(10000)), ("epoll of 10 s", lambda: epoll.poll(10)),
                       ("epoll of 1000 s", lambda: epoll.poll(1000))):
        milliseconds = allowed(wait)
        print(f"nice {nice}, {name}: {milliseconds:.2f}" if milliseconds < 1 else f"nice {nice}, {name}: {milliseconds:.1f}")
write("events/timer/hrtimer_start/enable", "0")
P
)
expect "milliseconds that a wait may be late by" "$seen" "nice 0, sleep of 10 s: 0.05
nice 0, select of 10 s: 10.0
nice 0, poll of 10 s: 10.0
nice 0, epoll of 10 s: 10.0
nice 0, epoll of 1000 s: 100.0
nice 1, sleep of 10 s: 0.05
nice 1, select of 10 s: 50.0
nice 1, poll of 10 s: 50.0
nice 1, epoll of 10 s: 50.0
nice 1, epoll of 1000 s: 100.0"
