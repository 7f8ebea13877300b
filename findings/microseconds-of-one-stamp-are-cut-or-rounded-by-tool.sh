#!/usr/bin/env bash
# Texts of traces have stamps in microseconds, made from nanoseconds, and one expects them to agree among tools, so that a line of one is found in the text of the
# other, or that what a tool printed can be given back to it. perf script cuts the digits; trace-cmd report rounds, as tracefs itself does in
# its file trace (ns2usecs() in kernel/trace/trace.c). So of one clock half of all stamps are a microsecond later by the one than by the other, which a join
# by equal time does not find, and a wait between two texts gets 1 us that nobody waited. And perf is not of one mind with itself: perf
# script --time BEGIN,END with the first and the last stamp that it has just printed leaves the last event out, for that comes some nanoseconds behind
# its own text. What helps: --ns for perf script, -t for trace-cmd report. As root, for tracefs.
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"
((EUID == 0)) || cannot "needs root, for tracefs"

perf_of_debian
trace_cmd_of_debian
echo 1 >"$instance/events/sched/sched_switch/enable"
"$perf" record -q -e sched:sched_switch -o "$work/data" -- bash -c 'for _ in {1..100}; do /bin/true; done' >"$work/said" 2>&1 || cannot "no perf record here"
echo 0 >"$instance/events/sched/sched_switch/enable"
cat "$instance/trace" >"$work/tracefs"
tracecmd extract -B "${instance##*/}" -o "$work/dat" >"$work/said" 2>&1 || [[ -s $work/dat ]] || cannot "no extract: $(tail -n 1 "$work/said")"
tracecmd report -i "$work/dat" >"$work/tracecmd" 2>/dev/null
tracecmd report -i "$work/dat" -t >"$work/tracecmd.ns" 2>/dev/null
"$perf" script -i "$work/data" -F time,event >"$work/perf" 2>/dev/null
"$perf" script -i "$work/data" -F time,event --ns >"$work/perf.ns" 2>/dev/null
seen=$(python3 - "$work" <<'P'
import re, sys


def stamps(name):
    with open(f"{sys.argv[1]}/{name}", errors="replace") as file:
        found = [re.search(r"(?:^|\s)(\d+)\.(\d{6}|\d{9}): +(?:sched:)?sched_switch", line) for line in file]
    return [int(match[1] + match[2]) for match in found if match]


for text, exact in ("tracefs", "tracecmd.ns"), ("tracecmd", "tracecmd.ns"), ("perf", "perf.ns"):
    pairs = list(zip(stamps(exact), stamps(text), strict=True))
    assert len(pairs) > 100
    cut, rounded = all(shown == ns // 1000 for ns, shown in pairs), all(shown == (ns + 500) // 1000 for ns, shown in pairs)
    print(text, "cut" if cut else "rounded" if rounded else "neither")
P
)
printed=$(sed -nE 's/^ *([0-9]+\.[0-9]+):.*/\1/p' "$work/perf")
all=$(wc -l <<<"$printed")
given=$("$perf" script -i "$work/data" --time "$(head -n 1 <<<"$printed"),$(tail -n 1 <<<"$printed")" -F time 2>/dev/null | wc -l)
echo "$all events by perf script, $given of them from the first to the last of its stamps"
expect "microseconds from nanoseconds" "$seen" "tracefs rounded
tracecmd rounded
perf cut"
((given < all)) || changed "perf takes its own last stamp for the end"
