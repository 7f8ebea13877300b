#!/usr/bin/env bash
# pidstat -u gives a process in one row: %usr, %system and %CPU, and %wait, "percentage of CPU spent by the task while waiting to run". One
# expects that they are of the same thing. %CPU is of all threads (/proc/PID/stat adds them up), %wait of the first thread alone, for
# /proc/PID/schedstat, where it comes from, is no sum: it is the same as /proc/PID/task/PID/schedstat. So a process whose first thread only
# waits for its workers, as most pools have it, shows %wait near 0 while each worker waits most of its time. With -t each thread's is right.
# Three workers share one CPU here: each has to wait for two thirds of the time at least.
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"
debian sysstat=12.6.1-1
export LC_ALL=C
python3 - <<'P' &
import hashlib, os, threading, time

os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
end, data = time.monotonic() + 7, b"x" * 1000000


def work():  # hashlib releases the interpreter's lock
    while time.monotonic() < end:
        hashlib.sha256(data).digest()


workers = [threading.Thread(target=work) for _ in range(3)]
for worker in workers:
    worker.start()
for worker in workers:
    worker.join()
P
sleep 1.5
"$work/root/usr/bin/pidstat" -t -u -p $! 3 1 | sed -n 's/^Average: *//p' | tee "$work/rows"
wait
# UID TGID TID %usr %system %guest %wait %CPU: the process has no TID, its threads have no TGID.
read -r process first workers < <(awk -v pid=$! '$2 == pid {process = $7} $3 == pid {first = $7}
    $2 == "-" && $3 != pid && $3 ~ /^[0-9]+$/ {sum += $7} END {print process, first, sum}' "$work/rows")
echo "%wait of the process $process, of its first thread $first, of all others together $workers"
awk -v p="$process" -v w="$workers" 'BEGIN {exit !(p < 40 && w > 180)}' || changed "the process's %wait holds its threads'"
