#!/usr/bin/env bash
# What reading a recording costs. See `bench-import.sh --help`.
set -euo pipefail

# shellcheck source=scripts/bench/head.sh
source "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/bench/head.sh"

help() {
    cat <<'HELP'
Usage: scripts/bench-import.sh [--rounds N] [--file PERF.DATA] [--loops N]

Measures what it costs to read a perf.data: `perf sched timehist`, `tombola timehist`, `tombola info`, and the crate's example `import`,
which reads the events, and which also puts them through the normaliser. Every round runs each once, in an order that rotates. Told are
the medians of their CPU time (user and system) and of their peak memory, and both against those of perf in the same round.

Needs perf and GNU time; root, unless --file names a recording of `perf sched record`.

  --rounds N     rounds                                         [BENCH_ROUNDS, default 11]
  --file FILE    what is read                                   [default: one is recorded]
  --loops N      messages each sender sends while it is         [default 3000]

The table goes to standard output:
  scripts/run.sh bench --import >table.md
HELP
}

rounds=${BENCH_ROUNDS:-11}
file='' loops=3000
while (($#)); do
    case $1 in
    --rounds | --file | --loops) (($# >= 2)) || die "$1 needs a value; see --help" ;;&
    --rounds) rounds=$2 && shift 2 ;;
    --file) file=$2 && shift 2 ;;
    --loops) loops=$2 && shift 2 ;;
    -h | --help) help && exit ;;
    *) unknown "$1" ;;
    esac
done
whole --rounds "$rounds" 1
whole --loops "$loops" 1
have perf || die "perf is not installed: scripts/run.sh setup installs it"
[[ -x /usr/bin/time ]] || die "GNU time is not installed: apt install time"
run_cargo build --release --package tombola >&2
run_cargo build --release --package tombola-recording --example import >&2
build_xtask
import=$target/release/examples/import

work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
if [[ -z $file ]]; then
    ((EUID == 0)) || die "recording with perf needs root; or --file FILE"
    file=$work/perf.data
    note "recording"
    perf sched record -q -o "$file" perf bench sched messaging -g 4 -l "$loops" >/dev/null 2>&1
fi

tools=(perf timehist info normaliser reader)
command_of() {
    case $1 in
    perf) command=(perf sched timehist -i "$file") ;;
    timehist) command=("$tombola" timehist -i "$file") ;;
    info) command=("$tombola" info "$file") ;;
    normaliser) command=("$import" "$file") ;;
    reader) command=("$import" "$file" read) ;;
    esac
}

name_of() {
    case $1 in
    perf) say "perf sched timehist" ;;
    timehist) say "tombola timehist" ;;
    info) say "tombola info" ;;
    normaliser) say "events and intervals alone" ;;
    reader) say "events alone" ;;
    esac
}

for ((round = 0; round < rounds; round++)); do
    note "round $((round + 1)) of $rounds"
    for ((turn = 0; turn < ${#tools[@]}; turn++)); do
        tool=${tools[$(((round + turn) % ${#tools[@]}))]}
        command_of "$tool"
        /usr/bin/time -o "$work/time" -f '%U %S %M' "${command[@]}" >/dev/null 2>"$work/log" ||
            die "${command[*]}: $(tail -n 1 "$work/log")"
        say "$round $tool $(tail -n 1 "$work/time")" >>"$work/times"
    done
done

say "A perf.data of $(stat -c %s "$file") bytes, $("$import" "$file" read | cut -d , -f 1); medians of $rounds rounds;" \
    "load average $(cut -d ' ' -f 1-3 /proc/loadavg)."
say
write_names "${tools[@]}"
figures import "$work/times" "$work/names"
