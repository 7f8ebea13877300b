# shellcheck shell=bash disable=SC2034,SC2154
# What the benches share: arguments, what is built for them, the order of a round, how a benchmark is timed. Sourced by them.
# They start tools and write what these took, one measurement a line; `xtask figures` does the arithmetic.

export LC_ALL=C # decimal points

# shellcheck source=scripts/common.sh
source "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/../common.sh"

figures() { "$target/debug/xtask" figures "$@"; }

# --- arguments ----------------------------------------------------------------------------------------------------

unknown() {
    note "unknown argument '$1'; see --help"
    exit 2
}

whole() { [[ $2 =~ ^[0-9]{1,9}$ && $2 -ge $3 ]] || die "$1 must be a whole number from $3, not '$2'"; }

# Takes one argument that benches of rounds have in common, and leaves in `taken` how many words it was: 0 if it is none.
round_argument() {
    taken=2
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
    *) taken=0 ;;
    esac
}

# The least number of messaging loops is the argument.
check_rounds() {
    whole --rounds "$rounds" 1
    whole --pipe-ops "$pipe_ops" 1
    whole --messaging-loops "$messaging_loops" "$1"
    whole --cpu "$cpu" 0
}

# CPU 0 is where most interrupts go: the last one that is allowed.
last_cpu() { sed -n 's/^Cpus_allowed_list:.*[^0-9]\([0-9]*\)$/\1/p' /proc/self/status; }

# --- building, as the caller --------------------------------------------------------------------------------------

# The path of a bench of the kernel crate, which is built.
bench_program() {
    local program
    program=$(run_cargo bench --package tombola-kernel --bench "$1" --no-run --message-format=json |
        sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -n 1)
    [[ -x $program ]] || die "the $1 bench could not be built"
    say "$program"
}

# compile_bpf NAME OBJECT: one of scripts/bench/*.bpf.c, with the headers of libbpf that cargo has built.
compile_bpf() {
    local headers
    headers=$(find "$target/release/build" -path '*/libbpf-sys-*/out/include' -prune -print -quit)
    clang -O2 -g -target bpf -mcpu=v3 -Wall -Werror -I"$headers" -I"$root/crates/kernel/bpf" \
        -c "$root/scripts/bench/$1.bpf.c" -o "$2"
}

# --- rounds -------------------------------------------------------------------------------------------------------

# in_turn ROUND TOOL…: the tools and nothing, in `order`, which rotates with the rounds.
in_turn() {
    local first
    order=(base "${@:2}")
    first=$(($1 % ${#order[@]}))
    order=("${order[@]:first}" "${order[@]:0:first}")
}

# The words of a benchmark, in `command`.
benchmark() {
    case $1 in
    pipe) command=(taskset -c "$cpu" perf bench --format simple sched pipe -l "$pipe_ops") ;;
    messaging) command=(perf bench --format simple sched messaging -l "$messaging_loops") ;;
    esac
}

# Runs "$@" and leaves its output in $0.out and its user and system time in $0.cpu.
# shellcheck disable=SC2016 # expanded by the shell that runs it
timed='TIMEFORMAT="%3U %3S"; { time "$@" >"$0.out" 2>"$0.err"; } 2>"$0.cpu"'

# measure ROUND TOOL BENCHMARK WORDS…: runs the benchmark behind these words, and adds a line of what it took to $work/times.
measure() {
    local user system wall
    benchmark "$3"
    "${@:4}" bash -c "$timed" "$work/timed" "${command[@]}" >"$work/log" 2>&1 ||
        die "${command[*]} failed: $(cat "$work/log" "$work/timed.err")"
    read -r user system <"$work/timed.cpu"
    read -r wall < <(grep -E '^[0-9.]+$' "$work/timed.out") || die "what does perf say? $(cat "$work/timed.out")"
    say "$1 $2 $3 $wall $user $system" >>"$work/times"
}

# Names of the tools that are there, for the tables: lines of a key and what name_of calls it.
write_names() {
    local each
    for each in "$@"; do
        say "$each $(name_of "$each")"
    done >"$work/names"
}
