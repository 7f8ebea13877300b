#!/usr/bin/env bash
# What this build costs beside an older one. See `bench-against.sh --help`.
set -euo pipefail

# shellcheck source=scripts/bench/head.sh
source "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/bench/head.sh"

help() {
    cat <<'HELP'
Usage: scripts/bench-against.sh COMMIT [--rounds N] [--threads N] [--only "QUESTION …" | --switch]

Builds COMMIT apart (its tree in target/against, kept for the next time), and measures both builds in turns: the start of the binary, the
simulator with 100 and 10,000 runnable tasks, and, as root, with a monitor of each build loaded and N threads that ran once and sleep, the
CPU time and the memory of `dump --iterations 1` and of an `audit` of all of them. Told are medians, and quartiles of the ratios of each
round.

As root, and with perf and clang, also what a context switch costs: the programs of both commits are compiled and loaded in turns, each
beside an empty program on the same hooks, while perf bench sched pipe (on one CPU) and sched messaging run. The kernel counts their time
(BPF_ENABLE_STATS); told is what all programs of a monitor take a switch, less what the empty ones take. And the wall time of sched pipe
with each of them, not counted.

Needs GNU time; root for what reads a monitor, which is left out without.

  --rounds N     rounds                [BENCH_ROUNDS, default 11]
  --threads N    threads that sleep    [default 10000]
  --switch       what a switch costs and nothing else: builds no binary of COMMIT, and takes a minute or two
  --only "Q …"   which of version lottery100 lottery10000 stride100 stride10000 eevdf100 eevdf10000 dump audit memory audit_memory,
                  and switch_pipe switch_messaging wall_pipe
                 [default: all]

The table goes to standard output:
  scripts/run.sh bench --against 9218c33 >table.md
HELP
}

rounds=${BENCH_ROUNDS:-11}
threads=10000 commit='' only='' switch_only=''
while (($#)); do
    case $1 in
    --rounds | --threads | --only) (($# >= 2)) || die "$1 needs a value; see --help" ;;&
    --rounds) rounds=$2 && shift 2 ;;
    --threads) threads=$2 && shift 2 ;;
    --switch) switch_only=yes && shift ;;
    --only) only=$2 && shift 2 ;;
    -h | --help) help && exit ;;
    -*) unknown "$1" ;;
    *)
        [[ -z $commit ]] || unknown "$1"
        commit=$1 && shift
        ;;
    esac
done
[[ -n $commit ]] || die "which commit? See --help"
whole --rounds "$rounds" 1
whole --threads "$threads" 1
[[ -x /usr/bin/time ]] || die "GNU time is not installed: apt install time"
full=$(git -C "$root" rev-parse --verify --quiet "$commit^{commit}") || die "'$commit' is no commit of this repository"

there=$target/against/$full
if [[ ! -d $there ]]; then
    "${as_caller[@]}" mkdir -p -- "$there"
    git -C "$root" archive "$full" | "${as_caller[@]}" tar -x -C "$there"
fi
find_cargo || die "$no_cargo"
if [[ -z $switch_only ]]; then
    (cd -- "$there" && "${as_caller[@]}" env "PATH=$PATH" "CARGO_TARGET_DIR=$there/target" cargo build --release --package tombola) >&2
    run_cargo build --release --package tombola >&2
fi
build_xtask
declare -A binary=([old]=$there/target/release/tombola [new]=$tombola)

work=$(mktemp -d)
sleepers=
loaded=()
ended() {
    local build
    [[ -z $sleepers ]] || kill "$sleepers" 2>/dev/null || true
    for build in "${loaded[@]}"; do
        on_pins "$build" unload >/dev/null || true
    done
    rm -rf -- "$work"
}
trap ended EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# on_pins BUILD WORDS…: the binary of a build, with a monitor of its own.
on_pins() {
    local pins=/sys/fs/bpf/tombola_against_$$_$1
    MAP_PIN=${pins}_map PROG_PIN=${pins}_prog LINK_PIN=${pins}_link "${binary[$1]}" "${@:2}"
}

# The scenario that $1 tasks have the CPU in turns of 1 ms: 1,000 s are a million decisions.
scenario() {
    printf '%s\n' 'name = "against"' 'cpus = 1' 'duration = "1000s"' 'quantum = "1ms"' '[[task]]' 'name = "A"' "count = $1" \
        >"$work/$1.toml"
}
scenario 100
scenario 10000

questions=()
[[ -n $switch_only ]] || questions=(version lottery100 lottery10000 stride100 stride10000 eevdf100 eevdf10000)
if [[ -z $switch_only ]] && ((EUID == 0)) && [[ $(stat -f -c %T /sys/fs/bpf 2>/dev/null) == bpf_fs ]]; then
    snapshot=$(bench_program snapshot)
    for build in old new; do
        on_pins "$build" load >/dev/null
        loaded+=("$build")
    done
    coproc SLEEPERS { exec "$snapshot" --sleepers "$threads"; }
    # shellcheck disable=SC2153 # coproc sets it
    sleepers=$SLEEPERS_PID
    read -r -t 60 word <&"${SLEEPERS[0]}" || true
    [[ ${word:-} == asleep ]] || die "the threads did not start"
    questions+=(dump audit memory audit_memory)
elif [[ -z $switch_only ]]; then
    note "no root, or no BPF file system: what reads a monitor is left out"
fi

# What a switch costs: as one run of perf bench with each build's programs, in turns.
cpu=$(last_cpu) pipe_ops=50000 messaging_loops=100
if ((EUID == 0)) && have perf && have clang; then
    questions+=(switch_pipe switch_messaging wall_pipe)
    run_cargo build --package tombola-kernel --example switch_cost >&2
    switch_cost=$target/debug/examples/switch_cost
    case $(uname -m) in
    x86_64) arch=x86 ;;
    aarch64) arch=arm64 ;;
    *) die "no monitor is built for $(uname -m)" ;;
    esac
    headers=$(find "$target/debug/build" "$target/release/build" -path '*/libbpf-sys-*/out/include' -prune -print -quit 2>/dev/null)
    declare -A tree=([old]=$there [new]=$root) grown=([old]="" [new]="")
    for build in old new; do
        clang -O2 -g -target bpf -mcpu=v3 "-D__TARGET_ARCH_$arch" -I"$headers" -I"${tree[$build]}/crates/kernel/bpf" \
            -c "${tree[$build]}/crates/kernel/bpf/monitor.bpf.c" -o "$work/$build.o"
        # Whether its loader lets the map of tasks grow, where the kernel can.
        ! grep -qs 'fn grows_safely' "${tree[$build]}/crates/kernel/src/object.rs" || grown[$build]=--grown
    done
    clang -O2 -g -target bpf -mcpu=v3 -I"$headers" -I"$root/crates/kernel/bpf" -c "$root/scripts/bench/floor.bpf.c" -o "$work/floor.o"
elif [[ -n $switch_only ]]; then
    die "what a switch costs needs root, perf and clang"
else
    note "no root, perf or clang: what a switch costs is left out"
fi

if [[ -n $only ]]; then
    wanted=()
    for question in $only; do
        [[ " ${questions[*]} " == *" $question "* ]] || die "'$question' is not asked here: it is one of ${questions[*]}"
        wanted+=("$question")
    done
    questions=("${wanted[@]}")
fi

# switch_cost_of BUILD QUESTION: in `took`.
switch_cost_of() {
    local empty=$work/floor.o
    benchmark "${2#*_}"
    [[ $2 == switch_* ]] || empty=-
    # shellcheck disable=SC2086 # nothing, or one word
    took=$("$switch_cost" ${grown[$1]} "$work/$1.o" "$empty" "${command[@]}" 2>"$work/log") || die "$2: $(tail -n 1 "$work/log")"
    [[ $empty != - ]] || took=$(awk '/^[0-9.]+$/ { print $1 * 1000 }' <<<"$took")
}

name_of() {
    case $1 in
    version) say "tombola --version, 20 times, ms" ;;
    lottery* | stride* | eevdf*) say "simulator, ${1%%1*}, ${1##*[a-z]} tasks, a million decisions, ms" ;;
    dump) say "dump --iterations 1, $threads threads, ms" ;;
    audit) say "audit of 0.2 s, $threads threads, ms" ;;
    memory) say "peak memory of dump --iterations 1, $threads threads, MB" ;;
    audit_memory) say "peak memory of audit, $threads threads, MB" ;;
    switch_*) say "a switch above an empty program, sched ${1#*_}, ns" ;;
    wall_pipe) say "sched pipe, $pipe_ops operations, wall, ms" ;;
    esac
}

# cost WORDS…: user and system time in milliseconds, in `took`.
cost() {
    local user system TIMEFORMAT='%3U %3S'
    { time "$@" >/dev/null 2>"$work/log"; } 2>"$work/time" || die "$*: $(tail -n 1 "$work/log")"
    read -r user system <"$work/time"
    took=$(awk "BEGIN { print ($user + $system) * 1000 }")
}

# peak WORDS…: peak memory in megabytes, in `took`.
peak() {
    /usr/bin/time -o "$work/time" -f '%M' "$@" >/dev/null 2>"$work/log" || die "$*: $(tail -n 1 "$work/log")"
    took=$(awk "BEGIN { print $(tail -n 1 "$work/time") / 1024 }")
}

for ((round = 0; round < rounds; round++)); do
    note "round $((round + 1)) of $rounds"
    builds=(old new)
    ((round % 2 == 0)) || builds=(new old)
    for question in "${questions[@]}"; do
        for build in "${builds[@]}"; do
            pins=/sys/fs/bpf/tombola_against_$$_$build
            with=(env "MAP_PIN=${pins}_map" "${binary[$build]}")
            case $question in
            version) cost bash -c "for i in {1..20}; do '${binary[$build]}' --version; done" ;;
            lottery* | stride* | eevdf*)
                cost "${binary[$build]}" simulate "$work/${question##*[a-z]}.toml" --policy "${question%%1*}" --format csv
                ;;
            dump) cost "${with[@]}" dump --iterations 1 ;;
            audit) cost "${with[@]}" audit --interval 200ms --no-interference --top 0 ;;
            memory) peak "${with[@]}" dump --iterations 1 ;;
            audit_memory) peak "${with[@]}" audit --interval 200ms --no-interference --top 0 ;;
            switch_* | wall_*) switch_cost_of "$build" "$question" ;;
            esac
            say "$round $build $question $took" >>"$work/costs"
        done
    done
done

say "$(git -C "$root" rev-parse --short "$full") beside this tree, medians of $rounds rounds, CPU time; load average" \
    "$(cut -d ' ' -f 1-3 /proc/loadavg)."
[[ -n $switch_only ]] || say "Binary: $(stat -c %s "${binary[old]}") and $(stat -c %s "${binary[new]}") bytes."
say
write_names "${questions[@]}"
figures against "$work/costs" "$work/names"
