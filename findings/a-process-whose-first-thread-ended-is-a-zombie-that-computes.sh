#!/usr/bin/env bash
# ps(1): Z is a defunct process, "terminated but not reaped by its parent", and one takes it for granted that such a process has no CPU time to come,
# no memory and no threads. A program whose first thread ends by pthread_exit(3), which that page recommends where others are to go on, is Z from
# then on, as /proc/PID/stat is of the first thread, while its other threads compute. ps calls it <defunct> and has no command line; so does psutil, whose
# cmdline() and exe() raise ZombieProcess, the exception by which loops over all processes leave one out, beside a cpu_percent() of a whole CPU;
# /proc/PID/schedstat stands still, and rss is 0, though nothing was freed. So whoever passes zombies over loses a running program, and who divides a
# machine's time among processes has a rest that nobody had. What helps: below /proc/PID/task each thread has its own state, command line, memory
# and schedstat; and a zombie of more than one thread (num_threads of /proc/PID/stat) is none.
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"

debian procps=2:4.0.2-3 libproc2-0=2:4.0.2-3
python psutil==7.2.2
cat >"$work/program.py" <<'P'
import ctypes, os, platform, threading, time


def compute():
    end = time.monotonic() + 20
    while time.monotonic() < end:
        pass
    os._exit(0)


threading.Thread(target=compute).start()
time.sleep(0.2)
ctypes.CDLL(None).syscall({"x86_64": 60, "aarch64": 93}[platform.machine()], 0)  # exit(2), of this thread alone
P
python3 "$work/program.py" &
process=$!
disown
trap 'kill -KILL "$process" 2>/dev/null || true; rm -rf -- "$work"' EXIT
for _ in {1..100}; do
    state=$(sed -E 's/.*\) (.).*/\1/' "/proc/$process/stat")
    [[ $state != Z ]] || break
    sleep 0.1
done
[[ $state == Z ]] || cannot "the first thread does not end here"
ps() { LD_LIBRARY_PATH=$(echo "$work"/root/usr/lib/*-linux-gnu) "$work/root/bin/ps" "$@"; }
schedstat() { read -r run _ <"/proc/$process/schedstat" && echo "$run"; }
said=$(ps -o state=,args= -p "$process")
before=$(schedstat)
of_psutil=$("$python" - "$process" <<'P'
import sys

import psutil

process = psutil.Process(int(sys.argv[1]))
print(process.status(), "computes" if process.cpu_percent(2) > 0 else "idle")
for ask in process.cmdline, process.exe:
    try:
        print(ask.__name__, ask())
    except psutil.Error as error:
        print(ask.__name__, type(error).__name__)
P
)
moved=$(($(schedstat) - before))
threads=("/proc/$process/task"/*)
resident() { sed -nE 's/^VmRSS:\s+([1-9][0-9]*) kB/has memory/p' "$@"; }
expect "ps, psutil, how far schedstat moved, memory of the process, of its last thread" "$said
$of_psutil
$moved
process: $(resident "/proc/$process/status")
thread: $(resident "${threads[-1]}/status")
threads: ${#threads[@]}" "Z [python3] <defunct>
zombie computes
cmdline ZombieProcess
exe ZombieProcess
0
process: 
thread: has memory
threads: 2"
