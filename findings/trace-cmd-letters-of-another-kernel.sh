#!/usr/bin/env bash
# trace-cmd report shows sched_switch by libtraceevent's plugin, which has the task states of Linux before 4.14 compiled in, though the
# file holds the states of the kernel it was recorded on, with their letters, in the event's own format. So, without a word: an idle kernel
# worker (I, 0x80) is "W" (waking), a preempted task (R+, 0x100) is "R" as one that yields, and the two ends of a task change places: a
# zombie (Z, 0x20) is "X", and who is dead (X, 0x10) is "Z". Preemptions cannot be told from that text at all. With -N (no plugins) the
# letters are the kernel's. As root, for it makes its recording with tracefs, in an instance of its own.
set -euo pipefail
((EUID == 0)) || { echo "needs root, for tracefs"; exit 77; }
work=$(mktemp -d)
instance=
trap '[[ -z $instance ]] || rmdir "$instance"; rm -rf -- "$work"' EXIT
(cd "$work" && apt-get download --quiet=2 trace-cmd=3.1.6-1 libtraceevent1=1:1.7.1-1 libtraceevent1-plugin=1:1.7.1-1 libtracefs1=1.6.4-1)
for package in "$work"/*.deb; do dpkg -x "$package" "$work/root"; done
tracecmd() {
    LD_LIBRARY_PATH=$(echo "$work"/root/usr/lib/*-linux-gnu) TRACEEVENT_PLUGIN_DIR=$(echo "$work"/root/usr/lib/*-linux-gnu/traceevent/plugins) \
        "$work/root/usr/bin/trace-cmd" "$@"
}
echo "trace-cmd 3.1.6-1, libtraceevent 1.7.1-1 (Debian 12), kernel $(uname -r)"

for tracing in /sys/kernel/tracing /sys/kernel/debug/tracing ''; do [[ -d $tracing/instances ]] && break; done
[[ $tracing ]] || { echo "no tracefs is mounted"; exit 77; }
instance=$(mktemp -d -p "$tracing/instances")
echo 1 >"$instance/events/sched/sched_switch/enable"
end=$((SECONDS + 2)) # two shells that want one CPU preempt each other; what they start ends
taskset -c 0 bash -c "while ((SECONDS < 2)); do :; done" &
taskset -c 0 bash -c "while ((SECONDS < 2)); do :; done" &
while ((SECONDS < end)); do /bin/true; sleep 0.01; done
wait
echo 0 >"$instance/events/sched/sched_switch/enable"
tracecmd extract -B "${instance##*/}" -o "$work/trace.dat" >/dev/null 2>&1 || true
rmdir "$instance" 2>/dev/null || true
instance=
states() { sed -nE "$1" | sort | uniq -c | awk '{printf "%s %s\n", $2, $1}'; }
tracecmd report -i "$work/trace.dat" -R 2>/dev/null | states 's/.* prev_state=([0-9]+).*/\1/p' >"$work/numbers"
tracecmd report -i "$work/trace.dat" -N 2>/dev/null | states 's/.* prev_state=([^ ]+) ==>.*/\1/p' >"$work/format"
tracecmd report -i "$work/trace.dat" 2>/dev/null | states 's/.*\] ([A-Za-z+|]+) ==>.*/\1/p' >"$work/plugin"
count() { awk -v key="$2" '$1 == key {n = $2} END {print n + 0}' "$work/$1"; }
printf '%-8s %-14s %-14s\n' number "by the format" "as shown"
seen=0
while read -r number letter shown; do
    n=$(count numbers "$number")
    printf '%-8s %-14s %-14s\n' "$number" "$letter: $(count format "$letter")" "$shown: $(count plugin "$shown")"
    ((n > 0)) || continue
    [[ $(count format "$letter") == "$n" ]] || { echo "CHANGED: $letter by the format" >&2; exit 1; }
    [[ $letter == "$shown" || $(count plugin "$letter") != "$n" ]] || { echo "CHANGED: $letter is shown as it is" >&2; exit 1; }
    seen=$((seen + 1))
done <<'T'
128 I W
256 R+ R
32 Z X
16 X Z
T
[[ $(count plugin W) == "$(count numbers 128)" && $(count plugin R+) == 0 ]] || { echo "CHANGED" >&2; exit 1; }
((seen >= 3)) || { echo "too few states were recorded to tell" >&2; exit 1; }
