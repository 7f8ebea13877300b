#!/usr/bin/env bash
# Compares runtime and wait as tombola and as `perf sched latency` see them. See `compare-perf-sched.sh --help`.
#
# "The same seconds" is made exact by comparing whole lives: the load is born after both tools measure and ends before
# either stops, so no start of a window cuts a slice or a wait in two. Everything happens in a mount namespace of its
# own: pins and mounts go with it however this script ends, and a monitor that is loaded already is left alone.
set -euo pipefail
export LC_ALL=C # decimal points

script=$(readlink -f -- "${BASH_SOURCE[0]}")
root=$(dirname -- "$(dirname -- "$script")")
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

note() { printf 'compare-perf-sched: %s\n' "$*" >&2; }
die() {
    note "$@"
    exit 1
}

help() {
    cat <<'HELP'
Usage: scripts/compare-perf-sched.sh [--seconds N] [--cpu C] [--binary FILE] [--keep DIR]

Runs a few tasks on one CPU, measures them with tombola and with `perf sched record` at the same time, and prints per
task what tombola, `perf sched latency` and the trace itself say. Needs root and perf.

  --seconds N    length of the load, 1 to 60 [default: 5]
  --cpu C        the CPU the load runs on [default: 0]
  --binary FILE  tombola to use [default: target/release/tombola, see scripts/run.sh build]
  --wakeup       record sched_wakeup as well, which `perf sched record` leaves out where the kernel has sched_waking
  --keep DIR     keep perf's data, perf's report, the CSV and the sums of the trace there

The load: two burners of nice 0 and 5, a sleeper (2 ms bursts, 3 ms pauses), and dd from /dev/zero, which spends its
time in the kernel and so is preempted there.

Columns: run, waits (slices of tombola, delays of perf), total wait, mean wait, and differences tombola − perf, in ms.
"kernel" is what the workload read from the kernel itself at its end: its CPU clock and /proc/thread-self/schedstat.
perf's total wait is its mean, which it rounds to 1 µs, times its count. WAKE, R and R+ are the waits in perf's own
trace, by what they began with: a wakeup, a switch in state R, and a switch in state R+ (preempted in the kernel).
docs/metrics.md explains the differences.
HELP
}

seconds=5 cpu=0 wakeup=0 binary=${CARGO_TARGET_DIR:-$root/target}/release/tombola keep=
while (($#)); do
    case $1 in
    -h | --help)
        help
        exit
        ;;
    --wakeup)
        wakeup=1
        shift
        ;;
    --seconds | --cpu | --binary | --keep)
        (($# > 1)) || die "$1 needs a value"
        case $1 in
        --seconds) seconds=$2 ;;
        --cpu) cpu=$2 ;;
        --binary) binary=$(readlink -f -- "$2") ;;
        --keep) keep=$2 ;;
        esac
        shift 2
        ;;
    *) die "unknown argument $1: see --help" ;;
    esac
done
[[ $seconds =~ ^([1-9]|[1-5][0-9]|60)$ ]] || die "--seconds takes 1 to 60"
[[ $cpu =~ ^[0-9]+$ ]] || die "--cpu takes a number"
((EUID == 0)) || die "needs root"
for tool in perf unshare taskset awk; do
    command -v -- "$tool" >/dev/null || die "$tool is missing"
done
[[ -x $binary ]] || die "no $binary: build it with scripts/run.sh build, or name it with --binary"

if [[ -z ${COMPARE_PERF_SCHED_INSIDE:-} ]]; then
    arguments=(--seconds "$seconds" --cpu "$cpu" --binary "$binary")
    [[ -z $keep ]] || arguments+=(--keep "$keep")
    ((!wakeup)) || arguments+=(--wakeup)
    COMPARE_PERF_SCHED_INSIDE=1 exec unshare --mount --propagation private -- "$script" "${arguments[@]}"
fi

# --- measure ------------------------------------------------------------------------------------------------------

work=$(mktemp -d)
events=()
((!wakeup)) || events=(-e sched:sched_wakeup)
steal() { awk -v cpu="cpu$cpu" '$1 == cpu { print $9 * 1000 / hz }' hz="$(getconf CLK_TCK)" /proc/stat; }
pins=(--map-pin "$work/bpf/task_map" --prog-pin "$work/bpf/prog" --link-pin "$work/bpf/link")
cleanup() {
    if [[ -e $work/bpf/task_map ]]; then
        "$binary" unload "${pins[@]}" >/dev/null || note "the monitor ends with this mount namespace"
    fi
    ! mountpoint -q "$work/bpf" || umount "$work/bpf"
    rm -rf -- "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

mkdir "$work/bpf"
mount -t bpf bpf "$work/bpf"
# The load: perf starts it once its events are on. Ends by itself but for dd, which has no duration.
cat >"$work/load.sh" <<'LOAD'
seconds=$1 cpu=$2 binary=$3 pids=$4
"$binary" workload --cpu "$cpu" --duration "$seconds" >"$pids.burner" & echo "$! burner" >>"$pids"; work=$!
"$binary" workload --cpu "$cpu" --duration "$seconds" --nice 5 >"$pids.nice5" & echo "$! nice5" >>"$pids"; work+=" $!"
"$binary" workload --cpu "$cpu" --duration "$seconds" --pattern sleep >"$pids.sleeper" & echo "$! sleeper" >>"$pids"; work+=" $!"
taskset -c "$cpu" dd if=/dev/zero of=/dev/null bs=1M 2>/dev/null & kernel=$!
echo "$kernel dd" >>"$pids"
trap 'kill "$kernel" 2>/dev/null' EXIT
wait $work
LOAD

"$binary" load "${pins[@]}" >/dev/null
steal_before=$(steal)
perf sched record --mmap-pages 2048 "${events[@]}" --output "$work/perf.data" -- \
    bash "$work/load.sh" "$seconds" "$cpu" "$binary" "$work/pids" >/dev/null 2>"$work/record.err" ||
    die "perf sched record: $(<"$work/record.err")"
steal_after=$(steal)
sleep 0.2 # dd's end
"$binary" dump --map "$work/bpf/task_map" --iterations 1 --wide --output "$work/tombola.csv" >/dev/null
perf sched --input "$work/perf.data" latency --pids >"$work/latency" 2>"$work/latency.err"
perf script --input "$work/perf.data" --ns --fields cpu,event,time,trace 2>"$work/script.err" >"$work/trace"

# --- the trace, by hand: waits by what they began with, in seconds and counts -------------------------------------

awk '
    { match($0, /[0-9]+\.[0-9]+:/); now = substr($0, RSTART, RLENGTH - 1) + 0 }
    /sched:sched_wak(ing|eup_new):/ {
        match($0, / pid=[0-9]+/); pid = substr($0, RSTART + 5, RLENGTH - 5)
        # Only a sleeper starts to wait: one that is woken on its CPU, or while it waits, does not.
        if (state[pid] != "run" && state[pid] !~ /^R/) { state[pid] = "WAKE"; since[pid] = now }
    }
    /sched:sched_switch:/ {
        match($0, / prev_pid=[0-9]+/); prev = substr($0, RSTART + 10, RLENGTH - 10)
        match($0, / prev_state=[^ ]+/); out = substr($0, RSTART + 12, RLENGTH - 12)
        match($0, / next_pid=[0-9]+/); next_ = substr($0, RSTART + 10, RLENGTH - 10)
        match($0, /\[[0-9]+\]/); cpu = substr($0, RSTART, RLENGTH)
        switches++
        if ((cpu in on) && on[cpu] != prev) breaks++
        on[cpu] = next_
        if (prev in ran) run[prev] += now - ran[prev]
        delete ran[prev]
        state[prev] = (out == "R" || out == "R+") ? out : "sleep"
        since[prev] = now
        if (state[next_] ~ /^(WAKE|R|R[+])$/) {
            wait[next_, state[next_]] += now - since[next_]; count[next_, state[next_]]++
        }
        state[next_] = "run"; ran[next_] = now
        seen[next_]
    }
    END {
        printf "# perf.data: %d switches; %d times another task left a CPU than had entered it\n", switches, breaks
        for (pid in seen)
            printf "%d %.6f %d %.6f %d %.6f %d %.6f\n", pid, run[pid], count[pid, "WAKE"], wait[pid, "WAKE"],
                count[pid, "R"], wait[pid, "R"], count[pid, "R+"], wait[pid, "R+"]
    }' "$work/trace" >"$work/by-hand"

# --- compare ------------------------------------------------------------------------------------------------------

perf --version
awk -v a="$steal_before" -v b="$steal_after" -v cpu="$cpu" 'BEGIN { printf "CPU %d: %d ms stolen meanwhile (/proc/stat)\n", cpu, b - a }'
grep '^#' "$work/by-hand"
grep -E 'LOST|lost' "$work/record.err" "$work/latency" "$work/latency.err" || true
awk -v pids="$work/pids" -v latency="$work/latency" -v hand="$work/by-hand" -v own="$(cat "$work"/pids.*)" '
    BEGIN {
        while ((getline line < pids) > 0) { split(line, word, " "); name[word[1]] = word[2] }
        while ((getline line < latency) > 0) {
            if (split(line, cell, "|") < 5 || !match(cell[1], /:[0-9]+ *$/)) continue
            tid = substr(cell[1], RSTART + 1) + 0
            perf_run[tid] = cell[2] + 0
            delays[tid] = cell[3] + 0
            sub(/.*avg: */, "", cell[4]); mean[tid] = cell[4] + 0
        }
        while ((getline line < hand) > 0) { split(line, word, " "); trace[word[1]] = line }
        lines = split(own, text, "\n")
        for (i = 1; i <= lines; i++) {
            if (split(text[i], word, " ") == 7 && word[1] ~ /^[0-9]+$/) { cpu[word[1]] = word[3]; delay[word[1]] = word[5] }
        }
        row = "%-14s %9s %9s %9s %7s %7s %7s %10s %10s %10s %9s %8s %8s %14s %14s %14s\n"
        printf row, "TASK", "RUN", "kernel", "perf", "diff", "SLICES", "delays", "WAIT", "kernel", "perf", "diff", "AVG", "perf",
            "WAKE", "R", "R+"
        FS = ","
    }
    FNR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
    $at["tgid"] in name {
        tid = $at["pid"]
        if (!(tid in mean)) { printf "%s:%d: not in the report of perf\n", name[$at["tgid"]], tid; next }
        # The group, the one text that may hold a comma, stands before the rest: count those from the end.
        wait = $(NF - 7) / 1e6; slices = $at["switches"]; run = $at["runtime_ns"] / 1e6
        split(trace[tid], t, " ")
        printf row, name[$at["tgid"]] ":" tid, sprintf("%.3f", run), tid in cpu ? cpu[tid] : "-", sprintf("%.3f", perf_run[tid]),
            sprintf("%.3f", run - perf_run[tid]), slices, delays[tid], sprintf("%.3f", wait), tid in delay ? delay[tid] : "-",
            sprintf("%.3f", mean[tid] * delays[tid]), sprintf("%.3f", wait - mean[tid] * delays[tid]),
            sprintf("%.3f", slices ? wait / slices : 0), sprintf("%.3f", mean[tid]),
            sprintf("%dx %.3f", t[3], t[4] * 1e3), sprintf("%dx %.3f", t[5], t[6] * 1e3),
            sprintf("%dx %.3f", t[7], t[8] * 1e3)
    }' "$work/tombola.csv"

if [[ -n $keep ]]; then
    mkdir -p -- "$keep"
    cp -- "$work"/{perf.data,latency,tombola.csv,by-hand,pids} "$keep/"
fi
