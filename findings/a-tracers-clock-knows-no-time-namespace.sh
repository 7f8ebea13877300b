#!/usr/bin/env bash
# Programs log CLOCK_MONOTONIC, and traces are recorded by it (trace_clock mono, perf record -k CLOCK_MONOTONIC, bpf_ktime_get_ns()) so that both can
# be joined. A program in a time namespace, as a container that was restored has it, reads another CLOCK_MONOTONIC; time_namespaces(7) says that this
# "affects various APIs that measure against these clocks", and one expects a trace that is recorded in the namespace, or at least an event that the
# program wrote itself, to have its clock. All tracing has the clock of the machine: here a marker that says 100000 s more than the stamp that tracefs
# gives it. And the start time in /proc/PID/stat, which with the number is a task's identity, goes by who reads: of one process it differs by the
# offset for readers within and without (do_task_stat() in fs/proc/array.c), so that an agent in a container and one of the host do not mean the same
# task by the same pair, while the time of day that ps makes of it (lstart) is the same for both, for /proc/stat's btime moves by as much. What helps:
# /proc/PID/timens_offsets of each program, and a namespace's number beside an identity. As root.
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"
((EUID == 0)) || cannot "needs root, for tracefs and a namespace"
unshare -T --monotonic 100000 --boottime 100000 true 2>/dev/null || cannot "no time namespace here (Linux 5.6)"
for tracing in /sys/kernel/tracing /sys/kernel/debug/tracing ''; do [[ -d $tracing/instances ]] && break; done
[[ $tracing ]] || cannot "no tracefs is mounted"
instance=$(mktemp -d -p "$tracing/instances")
trap 'rmdir "$instance" || true; rm -rf -- "$work"' EXIT
echo "kernel $(uname -r), clocks moved by 100000 s"
echo mono >"$instance/trace_clock"
unshare -T --monotonic 100000 --boottime 100000 python3 - "$instance" $$ <<'P' >"$work/within"
import sys, time

with open(sys.argv[1] + "/trace_marker", "w") as marker:
    marker.write(f"now {time.clock_gettime(time.CLOCK_MONOTONIC):.6f}")
print(open(f"/proc/{sys.argv[2]}/stat").read().rsplit(")", 1)[1].split()[19])
P
read -r stamp said < <(sed -nE 's/.* ([0-9]+\.[0-9]+): tracing_mark_write: now (.*)/\1 \2/p' "$instance/trace")
echo "the program wrote the monotonic time $said; the trace has it at $stamp"
within=$(<"$work/within")
without=$(sed 's/.*) //' /proc/$$/stat | cut -d' ' -f20)
echo "one process began at tick $within by a reader within, at tick $without by one without"
awk -v said="$said" -v stamp="$stamp" 'BEGIN {exit !(said - stamp > 99999.5 && said - stamp < 100000.5)}' || changed "the clock of a trace is that of the machine"
((within - without == 100000 * $(getconf CLK_TCK))) || changed "a start time is of who reads it"
