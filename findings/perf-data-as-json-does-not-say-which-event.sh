#!/usr/bin/env bash
# perf data convert --to-json makes JSON of a recording (perf-data(1)), as --to-ctf makes CTF. One expects a sample to say which event it is of, and of
# a tracepoint what its fields were, as perf script and the CTF do. A sample in the JSON of perf 6.1 has a time, a CPU, the task and a call chain, and that is all:
# of switches and wakeups in one file nobody can tell one from the other, and who came next, or was woken, is not there at all. Nothing is
# said about it, neither by perf nor in the headers, which do not list the events either. Counts per event, and everything that follows from a
# switch, cannot be made of it. What helps: perf script, perf script's Python, or --to-ctf. As root, for tracepoints.
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"
((EUID == 0)) || cannot "needs root, for tracepoints"

perf_of_debian
"$perf" record -q -a -e sched:sched_switch -e sched:sched_wakeup -o "$work/data" -- sleep 0.5 >"$work/said" 2>&1 || cannot "perf record does not work here"
"$perf" script -i "$work/data" -F event 2>/dev/null | sort | uniq -c
"$perf" data convert -i "$work/data" --to-json "$work/json" >"$work/said" 2>&1 || cannot "this perf does not convert: $(tail -n 1 "$work/said")"
"$perf" data convert -i "$work/data" --to-ctf "$work/ctf" >"$work/said" 2>&1 || true
ctf=$(grep -cE 'name = "sched:sched_(switch|wakeup)"' "$work/ctf/metadata" 2>/dev/null || true)
seen=$(python3 - "$work/json" "$("$perf" script -i "$work/data" -F event 2>/dev/null | wc -l)" <<'P'
import json, sys

with open(sys.argv[1]) as file:
    recording = json.load(file)
samples = recording["samples"]
print("samples as many as by perf script:", len(samples) == int(sys.argv[2]))
print("members of a sample:", *sorted(set().union(*samples)))
print("events are named:", any(word in json.dumps([samples, {**recording["headers"], "cmdline": []}]) for word in ("sched_switch", "sched_wakeup", "next_pid")))
P
)
echo "events that CTF names: ${ctf:-cannot be tried}"
expect "what the JSON has" "$seen" "samples as many as by perf script: True
members of a sample: callchain comm cpu pid tid timestamp
events are named: False"
