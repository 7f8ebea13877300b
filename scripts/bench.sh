#!/usr/bin/env bash
# What measuring costs. See `bench.sh --help`.
set -euo pipefail

# shellcheck source=scripts/bench/head.sh
source "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/bench/head.sh"
script=$(readlink -f -- "${BASH_SOURCE[0]}")
hold=$target/release/examples/hold

help() {
    cat <<'HELP'
Usage: scripts/bench.sh [--quick] [--rounds N] [--pipe-ops N] [--messaging-loops N] [--cpu C] [--tools "A B …"]

Measures what the monitor costs, and prints tables in Markdown:
  1. perf bench sched pipe (on one CPU) and sched messaging with nothing attached, with tombola, full and light, with runqlat, cpudist and
     perf sched record, with what samples once a second (tombola dump, watched here; pidstat of all threads; below record)
     where they are installed, and with two references built for this bench: an empty program on sched_switch (the floor) and five fields a task kept on the classic
     tracepoint (scripts/bench/*.bpf.c);
  2. the CPU time that those take for themselves that have a process beside the benchmark;
  3. the time of the BPF programs themselves (kernel.bpf_stats_enabled, switched back afterwards);
  4. time and memory to read 1,000 and 10,000 tasks;
  5. time and memory of tombola --version, status and dump.

Every round runs each tool once, in an order that rotates; a tool's slowdown is the median over the rounds of its time
against the time of the same round with nothing attached. It is told twice: by wall-clock time, and by the CPU time of
the benchmark's processes, which other load on the machine disturbs less.

Needs root (asks sudo) and perf. Works in a mount namespace with a BPF file system of its own: pins of a loaded monitor
are not touched, and nothing stays behind. For figures worth keeping, nothing else should run, no other monitor either.

  --quick               few and short rounds: whether it works, not what it costs
  --rounds N            rounds                           [BENCH_ROUNDS, default 15; quick 3]
  --pipe-ops N          operations of sched pipe         [BENCH_PIPE_OPS, default 200000; quick 20000]
  --messaging-loops N   messages each sender sends       [BENCH_MESSAGING_LOOPS, default 200; quick 50]
  --cpu C               the CPU that sched pipe runs on  [BENCH_CPU, default: the last one allowed]
  --tools "A B …"       which of tombola light watched floor five_field runqlat cpudist perf_sched pidstat below
                        [BENCH_TOOLS, default: all]

Progress goes to standard error, the tables to standard output:
  scripts/run.sh bench >tables.md
What a decision of the scheduler costs is measured by another: scripts/run.sh bench --scheduler --help
HELP
}

# --- arguments ----------------------------------------------------------------------------------------------------

arguments=("$@")
inside=
quick=
rounds=${BENCH_ROUNDS:-}
pipe_ops=${BENCH_PIPE_OPS:-}
messaging_loops=${BENCH_MESSAGING_LOOPS:-}
cpu=${BENCH_CPU:-$(last_cpu)}
tools=${BENCH_TOOLS:-}
snapshot=
while (($#)); do
    round_argument "$@"
    case $taken:$1 in
    2:*) ;;
    0:--quick)
        quick=yes
        taken=1
        ;;
    0:--inside) # for itself: it is root in its own mount namespace, and this is the snapshot bench
        inside=yes
        snapshot=$2
        taken=2
        ;;
    *) unknown "$1" ;;
    esac
    shift "$taken"
done
if [[ -n $quick ]]; then
    : "${rounds:=3}" "${pipe_ops:=20000}" "${messaging_loops:=50}"
fi
: "${rounds:=15}" "${pipe_ops:=200000}" "${messaging_loops:=200}"
check_rounds 1

# --- first as the caller: build; then as root, in a mount namespace -----------------------------------------------

build_and_enter() {
    local settings=() name
    have perf || die "perf is not installed: scripts/run.sh setup installs it"
    need_root "measuring what the monitor costs"
    run_cargo build --release --package tombola >&2
    run_cargo build --release --package tombola-kernel --example hold >&2
    build_xtask
    snapshot=$(bench_program snapshot)

    # sudo forgets the environment.
    for name in BENCH_ROUNDS BENCH_PIPE_OPS BENCH_MESSAGING_LOOPS BENCH_CPU BENCH_TOOLS CARGO_TARGET_DIR TMPDIR; do
        [[ -z ${!name:-} ]] || settings+=("$name=${!name}")
    done
    exec "${as_root[@]}" env "${settings[@]}" \
        unshare --mount --propagation private -- "$script" "${arguments[@]}" --inside "$snapshot"
}
[[ -n $inside ]] || build_and_enter

# --- what is attached ---------------------------------------------------------------------------------------------

work=
holder=
stats_before=
stats=/proc/sys/kernel/bpf_stats_enabled
ended() {
    detach || true
    [[ -z $stats_before ]] || printf '%s\n' "$stats_before" >"$stats"
    [[ -n $work ]] || return 0
    if [[ -d $work/bpf ]]; then
        umount "$work/bpf" || true # a monitor that is still pinned there goes with it
    fi
    rm -rf -- "$work"
}
trap ended EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

work=$(mktemp -d)
mkdir -- "$work/bpf"
mount -t bpf bpf "$work/bpf"
# The classic tracepoint and perf sched need it; this namespace's own where there is none.
[[ -d /sys/kernel/tracing/events ]] || mount -t tracefs tracefs /sys/kernel/tracing
export MAP_PIN=$work/bpf/task_map PROG_PIN=$work/bpf/sched_lottery LINK_PIN=$work/bpf/sched_lottery_link

# Starts a program that attaches; it is there once it says so.
hold() {
    local word=
    coproc HOLDER { exec "$@"; }
    # shellcheck disable=SC2153 # coproc sets it
    holder=$HOLDER_PID
    read -r -t 60 word <&"${HOLDER[0]}" || true
    [[ $word == attached || $word == asleep ]] || die "$* did not start"
}

# The tools of libbpf-tools say nothing: their links tell. An hour is more than any benchmark here.
watch_with() {
    local tries
    "$1" 3600 1 >/dev/null 2>&1 &
    holder=$!
    for ((tries = 0; tries < 100; tries++)); do
        if [[ $(readlink /proc/"$holder"/fd/* 2>/dev/null) == *bpf_link* ]]; then
            sleep 0.3 # it attaches one program after the other
            return
        fi
        sleep 0.05
    done
    die "$1 attached nothing"
}

# Its folders and the cgroups it looks at are in its configuration; it runs once its store is there.
record_with_below() {
    local tries
    rm -rf -- "$work/below"
    mkdir -- "$work/below" "$work/below/log"
    cat >"$work/below.conf" <<CONF
log_dir = '$work/below/log'
store_dir = '$work/below/store'
cgroup_root = '$(findmnt --noheadings --first-only --output TARGET --types cgroup2)'
CONF
    below --config "$work/below.conf" record --interval-s 1 >"$work/below.said" 2>&1 &
    holder=$!
    for ((tries = 0; tries < 200; tries++)); do
        [[ -z $(find "$work/below/store" -name 'data_*' 2>/dev/null) ]] || return 0
        sleep 0.05
    done
    die "below recorded nothing: $(tail -n 3 "$work/below.said")"
}

loaded=
attach() {
    case $1 in
    base | perf_sched) ;;
    tombola)
        "$tombola" load >/dev/null
        loaded=yes
        ;;
    light)
        "$tombola" load --light >/dev/null
        loaded=yes
        ;;
    watched)
        "$tombola" load >/dev/null
        loaded=yes
        "$tombola" dump --interval 1 >/dev/null 2>&1 &
        holder=$!
        ;;
    floor | five_field) hold "$hold" "$work/$1.o" ;;
    runqlat | cpudist) watch_with "$1" ;;
    pidstat)
        pidstat -t 1 >/dev/null 2>&1 &
        holder=$!
        ;;
    below)
        record_with_below
        ;;
    esac
}

detach() {
    if [[ -n $holder ]]; then
        kill "$holder" 2>/dev/null || true
        wait "$holder" 2>/dev/null || true
        holder=
    fi
    if [[ -n $loaded ]]; then
        loaded=
        "$tombola" unload >/dev/null
    fi
}

# Why a tool cannot be measured here, or nothing.
unusable() {
    case $1 in
    tombola | light | watched) ;;
    floor | five_field)
        have clang || { say "clang is not installed" && return; }
        compile_bpf "$1" "$work/$1.o" >&2 || say "it does not compile"
        ;;
    runqlat | cpudist) have "$1" || say "it is not installed (libbpf-tools)" ;;
    below)
        have below || { say "it is not installed (cargo install below)" && return; }
        [[ -n $(findmnt --noheadings --first-only --output TARGET --types cgroup2) ]] || say "no cgroup2 is mounted"
        ;;
    pidstat) have pidstat || say "it is not installed (sysstat)" ;;
    perf_sched)
        perf sched record -o "$work/sched.data" -- true >/dev/null 2>&1 || say "perf sched record does not work here"
        rm -f -- "$work/sched.data"
        ;;
    *) die "no tool '$1'; see --help" ;;
    esac
}

name_of() {
    case $1 in
    tombola) say "**tombola**" ;;
    light) say "**tombola, light**" ;;
    watched) say "**tombola**, dumped once a second" ;;
    floor) say "empty tp_btf program on sched_switch" ;;
    five_field) say "five fields a task, classic tracepoint" ;;
    perf_sched) say "perf sched record" ;;
    pidstat) say "pidstat -t 1" ;;
    below) say "below record, once a second" ;;
    *) say "$1" ;;
    esac
}

# --- slowdown -----------------------------------------------------------------------------------------------------

# own ROUND TOOL SINCE: adds a line of what the tool's process took of the CPU, and for how many seconds it ran, if it has one.
own() {
    local stat ticks
    [[ -n $holder && $2 != floor && $2 != five_field ]] || return 0
    stat=$(<"/proc/$holder/stat")
    read -r -a stat <<<"${stat##*) }" # state is the first word, user and system time are the 12th and 13th
    ticks=$((stat[11] + stat[12]))
    say "$1 $2 $((ticks * 1000 / $(getconf CLK_TCK))) $(((${EPOCHREALTIME/./} - $3) / 1000))e-3" >>"$work/own"
}

slowdown() {
    local round tool what prefix since
    : >"$work/own"
    for ((round = 0; round < rounds; round++)); do
        note "round $((round + 1)) of $rounds"
        in_turn "$round" "${usable[@]}"
        for tool in "${order[@]}"; do
            since=${EPOCHREALTIME/./}
            attach "$tool"
            prefix=()
            [[ $tool != perf_sched ]] || prefix=(perf sched record -o "$work/sched.data" --)
            for what in pipe messaging; do
                measure "$round" "$tool" "$what" "${prefix[@]}"
                rm -f -- "$work/sched.data"
            done
            own "$round" "$tool" "$since"
            detach
        done
    done
    figures slowdown "$work/times" "$work/names"
    say
    say "CPU time of the tools' own processes meanwhile, start and all (the monitor has none; perf's is not counted here):"
    say
    figures own "$work/own" "$work/names"
}

# --- time of the programs -----------------------------------------------------------------------------------------

# Time of a process's BPF programs for each run of the one that runs most, and how many there are.
cost_of() {
    cat /proc/"$1"/fdinfo/* 2>/dev/null | awk '
        $1 == "prog_id:" { id = $2 }
        $1 == "run_time_ns:" { time[id] = $2 }
        $1 == "run_cnt:" { runs[id] = $2; if ($2 > most) most = $2 }
        END {
            for (id in runs) { programs++; all += time[id] }
            if (most) printf "%d %.1f %d\n", programs, all / most, most
        }'
}

program_time() {
    local tool repeat repeats=5 programs cost runs
    [[ -z $quick ]] || repeats=1
    stats_before=$(<"$stats")
    say 1 >"$stats"
    for ((repeat = 0; repeat < repeats; repeat++)); do
        for tool in "${usable[@]}"; do
            case $tool in
            perf_sched | pidstat | light | below) continue ;; # no program at a switch
            watched) continue ;; # those of tombola
            esac
            attach "$tool"
            benchmark pipe
            "${command[@]}" >/dev/null 2>&1
            if [[ $tool == tombola ]]; then
                programs=2
                read -r cost runs < <("$tombola" status |
                    sed -n 's/^cost *\([0-9.]*\) ns a run, mean of \([0-9]*\) runs.*/\1 \2/p')
            else
                read -r programs cost runs < <(cost_of "$holder")
            fi
            ((runs >= pipe_ops)) || die "only $runs runs of $tool were counted in $pipe_ops operations"
            say "$repeat $tool $programs $cost" >>"$work/costs"
            detach
        done
    done
    printf '%s\n' "$stats_before" >"$stats"
    stats_before=
    figures time "$work/costs" "$work/names"
}

# --- the binary ---------------------------------------------------------------------------------------------------

# One row: wall time of 21 runs, and the largest peak of memory among them.
run_row() {
    local label=$1 begin end i
    shift
    : >"$work/walls"
    : >"$work/peaks"
    for ((i = 0; i < 21; i++)); do
        begin=$EPOCHREALTIME
        "$@" >/dev/null
        end=$EPOCHREALTIME
        say "$((${end/./} - ${begin/./}))" >>"$work/walls"
    done
    if [[ -x /usr/bin/time ]]; then
        for ((i = 0; i < 3; i++)); do
            /usr/bin/time -a -o "$work/peaks" -f %M "$@" >/dev/null
        done
    fi
    figures runs "$label" "$work/walls" "$work/peaks"
}

binary() {
    say "| command | wall, median | quartiles | peak memory |"
    say "|---|---:|---|---:|"
    run_row "tombola --version" "$tombola" --version
    attach tombola
    hold "$snapshot" --sleepers 10000
    sleep 0.3
    run_row "tombola status, 10,000 tasks" "$tombola" status
    run_row "tombola dump --iterations 1, 10,000 tasks" "$tombola" dump --iterations 1
    detach
    attach tombola
    run_row "tombola dump --iterations 1, few tasks" "$tombola" dump --iterations 1
    detach
}

# --- all of it ----------------------------------------------------------------------------------------------------

usable=()
for tool in ${tools:-tombola light watched floor five_field runqlat cpudist perf_sched pidstat below}; do
    why=$(unusable "$tool")
    if [[ -z $why ]]; then
        usable+=("$tool")
    else
        note "$tool is skipped: $why"
    fi
done

write_names "${usable[@]}"

say "Kernel $(uname -r), $(uname -m), $(nproc) CPUs ($(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1));" \
    "load average before: $(cut -d' ' -f1 /proc/loadavg)."
say
say "Slowdown against nothing attached, $rounds rounds: sched pipe, $pipe_ops operations on CPU $cpu;" \
    "sched messaging, 400 processes, $messaging_loops loops."
say
slowdown
say
say "Time in BPF programs for each context switch, during sched pipe:"
say
program_time
say
say "Reading (20 snapshots each):"
say
"$snapshot" 1000 10000
say
say "The binary (21 runs each):"
say
binary
