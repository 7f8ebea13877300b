#!/usr/bin/env bash
# What recording costs. See `bench-record.sh --help`.
set -euo pipefail
export LC_ALL=C # decimal points

script=$(readlink -f -- "${BASH_SOURCE[0]}")
root=$(dirname -- "$(dirname -- "$script")")
target=${CARGO_TARGET_DIR:-$root/target}
tombola=${BENCH_TOMBOLA:-$target/release/tombola}
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

say() { printf '%s\n' "$*"; }
note() { printf 'bench-record: %s\n' "$*" >&2; }
die() {
    note "$@"
    exit 1
}
have() { command -v -- "$1" >/dev/null 2>&1; }

help() {
    cat <<'HELP'
Usage: scripts/bench-record.sh [--rounds N] [--pipe-ops N] [--messaging-loops N] [--cpu C] [--tools "A B …"]

Measures what recording costs: perf bench sched pipe (on one CPU) and sched messaging with nothing, under tombola record, under
perf record of the same events (plain, and with -z), and under trace-cmd record of the same events (ftrace), where these are
installed. Every round runs each once, in an order that rotates; a slowdown is the median over the rounds of its time against that
of the same round with nothing. It is told by wall-clock time and by the CPU time of the benchmark's processes, which other load on
the machine, and the recorder's own reader, disturb less. Beside it: bytes of the file for each event, and what was lost.

Needs root and perf. Nothing stays behind. For figures worth keeping, nothing else should run.

  --rounds N            rounds                           [BENCH_ROUNDS, default 11]
  --pipe-ops N          operations of sched pipe         [BENCH_PIPE_OPS, default 100000]
  --messaging-loops N   messages each sender sends       [BENCH_MESSAGING_LOOPS, default 100; 0: without messaging]
  --cpu C               the CPU that sched pipe runs on  [BENCH_CPU, default: the last one allowed]
  --tools "A B …"       which of tombola perf perf_z ftrace [default: all there are]

BENCH_TOMBOLA names another binary than that of the release build. Progress goes to standard error, the table to standard output:
  scripts/run.sh bench --record >table.md
HELP
}

whole() { [[ $2 =~ ^[0-9]{1,9}$ && $2 -ge $3 ]] || die "$1 must be a whole number from $3, not '$2'"; }

rounds=${BENCH_ROUNDS:-11}
pipe_ops=${BENCH_PIPE_OPS:-100000}
messaging_loops=${BENCH_MESSAGING_LOOPS:-100}
# CPU 0 is where most interrupts go.
cpu=${BENCH_CPU:-$(sed -n 's/^Cpus_allowed_list:.*[^0-9]\([0-9]*\)$/\1/p' /proc/self/status)}
tools="tombola perf perf_z ftrace"
while (($#)); do
    case $1 in
    --rounds | --pipe-ops | --messaging-loops | --cpu | --tools)
        (($# >= 2)) || die "$1 needs a value; see --help"
        ;;&
    --rounds) rounds=$2 ;;
    --pipe-ops) pipe_ops=$2 ;;
    --messaging-loops) messaging_loops=$2 ;;
    --cpu) cpu=$2 ;;
    --tools) tools=$2 ;;
    -h | --help)
        help
        exit
        ;;
    *)
        note "unknown argument '$1'; see --help"
        exit 2
        ;;
    esac
    shift 2
done
whole --rounds "$rounds" 1
whole --pipe-ops "$pipe_ops" 1
whole --messaging-loops "$messaging_loops" 0
whole --cpu "$cpu" 0
((EUID == 0)) || die "this needs root: run it with sudo"
have perf || die "perf is not installed: scripts/run.sh setup installs it"
[[ -x $tombola ]] || die "$tombola is missing: scripts/run.sh build makes it"

work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT

events=(sched:sched_switch sched:sched_waking sched:sched_wakeup_new sched:sched_migrate_task
    sched:sched_process_fork sched:sched_process_exec sched:sched_process_exit task:task_rename)

# The words before a command that record while it runs, in `prefix`.
recorder() {
    local event
    case $1 in
    base) prefix=() ;;
    tombola) prefix=("$tombola" record --force -o "$work/data" --) ;;
    perf | perf_z)
        prefix=(perf record -a -o "$work/data")
        [[ $1 == perf ]] || prefix+=(-z)
        for event in "${events[@]}"; do prefix+=(-e "$event"); done
        prefix+=(--)
        ;;
    ftrace)
        prefix=(trace-cmd record -o "$work/data")
        for event in "${events[@]}"; do prefix+=(-e "$event"); done
        ;;
    *) die "no tool '$1'; see --help" ;;
    esac
}

name_of() {
    case $1 in
    tombola) say "**tombola record**" ;;
    perf) say "perf record, the same events" ;;
    perf_z) say "perf record -z, the same events" ;;
    ftrace) say "trace-cmd record (ftrace), the same events" ;;
    esac
}

usable=()
for tool in $tools; do
    recorder "$tool"
    if have "${prefix[0]}" && "${prefix[@]}" true >"$work/log" 2>&1; then
        usable+=("$tool")
    else
        note "SKIP: $tool does not work here: $(tail -n 1 "$work/log" 2>/dev/null)"
    fi
done

# Runs "$@" and leaves its output in $0.out and its user and system time in $0.cpu.
# shellcheck disable=SC2016 # expanded by the shell that runs it
timed='TIMEFORMAT="%3U %3S"; { time "$@" >"$0.out" 2>"$0.err"; } 2>"$0.cpu"'

measure() {
    local round=$1 tool=$2 what=$3 command user system wall count lost
    case $what in
    pipe) command=(taskset -c "$cpu" perf bench --format simple sched pipe -l "$pipe_ops") ;;
    messaging) command=(perf bench --format simple sched messaging -l "$messaging_loops") ;;
    esac
    recorder "$tool"
    rm -f -- "$work/data"
    "${prefix[@]}" bash -c "$timed" "$work/timed" "${command[@]}" >"$work/log" 2>&1 ||
        die "${command[*]} failed: $(cat "$work/log" "$work/timed.err")"
    read -r user system <"$work/timed.cpu"
    read -r wall < <(grep -E '^[0-9.]+$' "$work/timed.out") || die "what does perf say? $(cat "$work/timed.out")"
    say "$round $tool $what $wall $user $system" >>"$work/times"
    # What it has kept: in the first round, because asking perf and trace-cmd takes long.
    ((round == 0)) || return 0
    case $tool in
    tombola)
        count=$(sed -n 's/^recorded: \([0-9]*\) events.*/\1/p' "$work/log")
        lost=$(sed -n 's/^recorded: .* + \([0-9]*\) lost.*/\1/p' "$work/log")
        ;;
    perf | perf_z)
        count=$(sed -n 's/.*(\([0-9]*\) samples).*/\1/p' "$work/log" | tail -n 1)
        lost=$(perf script -i "$work/data" --show-lost-events 2>/dev/null |
            awk '/PERF_RECORD_LOST lost/ { at += $NF } /PERF_RECORD_LOST_SAMPLES lost/ { all += $NF } END { print (all ? all : at) + 0 }')
        ;;
    ftrace)
        count=$(trace-cmd report -i "$work/data" 2>/dev/null | grep -cE ' (sched_[a-z_]+|task_rename): ' || true)
        lost=$(awk '/(overrun|dropped events):/ { n += $NF } END { print n + 0 }' "$work/log")
        ;;
    base) return 0 ;;
    esac
    say "$tool $what $(stat -c %s "$work/data") ${count:-0} ${lost:-0}" >>"$work/sizes"
}

for ((round = 0; round < rounds; round++)); do
    note "round $((round + 1)) of $rounds"
    order=(base "${usable[@]}")
    i=$((round % ${#order[@]}))
    order=("${order[@]:i}" "${order[@]:0:i}")
    for tool in "${order[@]}"; do
        measure "$round" "$tool" pipe
        ((messaging_loops == 0)) || measure "$round" "$tool" messaging
    done
done
for tool in "${usable[@]}"; do
    say "$tool $(name_of "$tool")"
done >"$work/names"
: >>"$work/sizes"

say "Medians of $rounds rounds against the same round with nothing; load average $(cut -d ' ' -f 1-3 /proc/loadavg)."
say
say "| recorded by | pipe, CPU | quartiles | pipe, wall | messaging, CPU | messaging, wall | bytes an event, pipe | lost, first round |"
say "|---|---:|---|---:|---:|---:|---:|---:|"
awk -v rounds="$rounds" '
    function sorted(list, n, i, j, x) {
        for (i = 2; i <= n; i++) {
            x = list[i]
            for (j = i - 1; j > 0 && list[j] > x; j--) list[j + 1] = list[j]
            list[j + 1] = x
        }
    }
    function quantile(list, n, q, at, low) {
        if (!n) return 0
        at = 1 + q * (n - 1); low = int(at)
        return low >= n ? list[n] : list[low] + (at - low) * (list[low + 1] - list[low])
    }
    function ratios(what, tool, clock, n, r, list) {
        n = 0
        for (r = 0; r < rounds; r++)
            if ((r, tool, what, clock) in time) list[++n] = time[r, tool, what, clock] / time[r, "base", what, clock]
        sorted(list, n)
        median[tool, what, clock] = quantile(list, n, .5)
        low = quantile(list, n, .25); high = quantile(list, n, .75)
        return sprintf("%.3f", median[tool, what, clock])
    }
    FILENAME ~ /times$/ {
        time[$1, $2, $3, "wall"] = $4
        time[$1, $2, $3, "CPU"] = $5 + $6
        next
    }
    FILENAME ~ /sizes$/ {
        if ($2 == "pipe") { bytes[$1] = $3; count[$1] = $4 }
        lost[$1] += $5
        next
    }
    {
        tool = $1; $1 = ""
        cpu = ratios("pipe", tool, "CPU"); quartiles = sprintf("%.3f–%.3f", low, high)
        printf "|%s | %s | %s | %s | %s | %s | %.1f | %d |\n", $0, cpu, quartiles, ratios("pipe", tool, "wall"),
            ratios("messaging", tool, "CPU"), ratios("messaging", tool, "wall"), count[tool] ? bytes[tool] / count[tool] : 0, lost[tool]
    }
    END {
        if (("perf", "pipe", "CPU") in median && median["perf", "pipe", "CPU"] > 1)
            printf "\nOverhead of tombola record on pipe against that of perf record: %.2f by CPU time, %.2f by wall time.\n", \
                (median["tombola", "pipe", "CPU"] - 1) / (median["perf", "pipe", "CPU"] - 1), \
                (median["tombola", "pipe", "wall"] - 1) / (median["perf", "pipe", "wall"] - 1)
    }' "$work/times" "$work/sizes" "$work/names"
