#!/usr/bin/env bash
# renice(1) alters "processes", by process ID, by process group, or by user. Who knows Linux knows that a nice value is a thread's there, and that
# renice -p PID reaches the first thread alone (setpriority(2) says so under BUGS); the guess that follows is that a group is
# its processes, and a user his, of each the first thread too. It is not: for PRIO_PGRP and PRIO_USER the kernel goes over all threads
# (setpriority() in kernel/sys.c). So one process that is the whole of its group has one thread of another weight by renice -p, and all of them by
# renice -g, with the same words of success. A program whose workers compute and whose first thread waits is not touched by renice -p at all, and who
# compares shares before and after measures nothing. getpriority(2) of a group, beside, is the least nice of all threads: after renice -p it
# still has the old value, and the "old priority" that renice prints comes from there. Files of /proc/PID show the first thread's. What helps:
# renice -g, or the numbers below /proc/PID/task. As root, for a user of its own.
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"
((EUID == 0)) || cannot "needs root, to run as a user of its own"

debian bsdutils=1:2.38.1-5+deb12u3
seen=$(python3 - "$work/root/usr/bin/renice" <<'P'
import os, subprocess, sys, threading

user = 1000000000 + os.getpid()  # nobody has it
ready, written = os.pipe()
process = os.fork()
if process == 0:
    os.setpgid(0, 0)
    os.setpriority(os.PRIO_PROCESS, 0, 0)
    os.setuid(user)
    for _ in range(2):
        threading.Thread(target=threading.Event().wait, args=(60,), daemon=True).start()
    os.write(written, b".")
    threading.Event().wait(60)
    os._exit(0)
os.read(ready, 1)


def threads():
    return [os.getpriority(os.PRIO_PROCESS, int(thread)) for thread in sorted(os.listdir(f"/proc/{process}/task"), key=int)]


print("at first:", threads())
for option, number, nice in ("-p", process, 5), ("-g", process, 7), ("-u", user, 9):
    said = subprocess.run([sys.argv[1], "-n", str(nice), option, str(number)], check=True, capture_output=True, text=True).stdout
    print(f"renice {option} to {nice}:", threads(), said.partition(") ")[2].strip())
os.kill(process, 9)
os.waitpid(process, 0)
P
)
expect "nice values of a process's three threads" "$seen" "at first: [0, 0, 0]
renice -p to 5: [5, 0, 0] old priority 0, new priority 5
renice -g to 7: [7, 7, 7] old priority 0, new priority 7
renice -u to 9: [9, 9, 9] old priority 7, new priority 9"
