#!/usr/bin/env bash
# What recording costs. See `bench-record.sh --help`.
set -euo pipefail

# shellcheck source=scripts/bench/head.sh
source "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/bench/head.sh"
tombola=${BENCH_TOMBOLA:-$tombola}

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

arguments=("$@")
rounds=${BENCH_ROUNDS:-11}
pipe_ops=${BENCH_PIPE_OPS:-100000}
messaging_loops=${BENCH_MESSAGING_LOOPS:-100}
cpu=${BENCH_CPU:-$(last_cpu)}
tools="tombola perf perf_z ftrace"
while (($#)); do
    round_argument "$@"
    ((taken)) || unknown "$1"
    shift "$taken"
done
check_rounds 0
have perf || die "perf is not installed: scripts/run.sh setup installs it"
if [[ -z ${BENCH_BUILT:-} ]]; then
    need_root "measuring what recording costs"
    [[ -n ${BENCH_TOMBOLA:-} ]] || run_cargo build --release --package tombola >&2
    build_xtask
    # sudo forgets the environment.
    settings=("BENCH_BUILT=yes" "BENCH_TOMBOLA=$tombola" "CARGO_TARGET_DIR=$target")
    for name in BENCH_ROUNDS BENCH_PIPE_OPS BENCH_MESSAGING_LOOPS BENCH_CPU TMPDIR; do
        [[ -z ${!name:-} ]] || settings+=("$name=${!name}")
    done
    exec "${as_root[@]}" env "${settings[@]}" "$0" "${arguments[@]}"
fi
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

record_of() {
    local round=$1 tool=$2 what=$3 count lost
    recorder "$tool"
    rm -f -- "$work/data"
    measure "$round" "$tool" "$what" "${prefix[@]}"
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
    in_turn "$round" "${usable[@]}"
    for tool in "${order[@]}"; do
        record_of "$round" "$tool" pipe
        ((messaging_loops == 0)) || record_of "$round" "$tool" messaging
    done
done
write_names "${usable[@]}"
: >>"$work/sizes"

say "Medians of $rounds rounds against the same round with nothing; load average $(cut -d ' ' -f 1-3 /proc/loadavg)."
say
figures record "$work/times" "$work/sizes" "$work/names"
