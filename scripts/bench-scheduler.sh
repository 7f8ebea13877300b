#!/usr/bin/env bash
# What a decision of the scheduler costs. See `bench-scheduler.sh --help`.
set -euo pipefail

# shellcheck source=scripts/bench/head.sh
source "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/bench/head.sh"

help() {
    cat <<'HELP'
Usage: scripts/run.sh bench --scheduler [--quick] [--rounds N] [--window MS] [--threads A,B,…] [--slice MS]
                                            [--perf-only] [--kernel NAME] [--cpus N] [--instructions] | [--here]

Measures what a decision of the lottery costs, beside stride, a first-in-first-out scheduler and one that decides nothing
(scripts/bench/fifo.bpf.c), and the kernel's fair class, and prints tables in Markdown:
  1. perf bench sched pipe on one CPU, and sched messaging with 80 processes on all, against the fair class, and what is
     counted for each of their operations: switches, interrupts, runs of BPF programs;
  2. the time of a yield, N threads on one CPU that do nothing else, and how it grows with N;
  3. the time that BPF programs take for each of these yields;
  4. the work that N burners on one CPU get done.

It boots a kernel with sched_ext under QEMU (scripts/run.sh vm): no root needed. An emulated machine's nanoseconds mean
nothing; ratios within one run are what can be compared. With --here it runs on this machine, as root (asks sudo), if its
kernel has sched_ext; every task of the machine is then scheduled by each of them in turn.

  --quick           one short round: whether it works, not what it costs
  --rounds N        rounds, each with every scheduler once             [default: 5]
  --window MS       how long each load of N threads is watched         [default: 500]
  --threads A,B,…   the numbers of threads                             [default: 2,10,100,500]
  --pipe-ops N      operations of sched pipe                           [default: 10000]
  --messaging-loops N  loops of sched messaging                        [default: 20]
  --slice MS        slices of every scheduler but the fair class       [default: 1]
  --no-compensation ours without compensation for what a task leaves of its slice: what that does
  --perf-only       only the first of these
  --kernel NAME     the kernel to boot, a series of vm/kernels.toml    [default: 7.3]
  --cpus N          how many CPUs the booted machine has               [default: 2]
  --instructions    a clock in it that counts instructions, on CPUs emulated one after another: slower, and what else runs here
                    changes little; it says nothing of caches and of what CPUs do at the same time
  --here            in this machine's own kernel

Needs perf. Progress goes to standard error, the tables to standard output; a machine says nothing until it is done:
  scripts/run.sh bench --scheduler >tables.md
HELP
}

# --- arguments ----------------------------------------------------------------------------------------------------

kernel=7.3
cpus=2
accel=auto
here=
options=()
while (($#)); do
    case $1 in
    --rounds | --window | --threads | --slice | --pipe-ops | --messaging-loops | --kernel | --cpus)
        (($# >= 2)) || die "$1 needs a value; see --help"
        ;;&
    --quick) options=(--rounds 1 --window 100 --pipe-ops 1000 --messaging-loops 5 "${options[@]}") ;;
    --perf-only | --no-compensation) options+=("$1") ;;
    --instructions) accel=instructions ;;
    --here) here=yes ;;
    --rounds | --window | --threads | --slice | --pipe-ops | --messaging-loops)
        [[ $2 =~ ^[0-9]{1,6}(,[0-9]{1,6})*$ ]] || die "$1 must be a whole number, not '$2'"
        options+=("$1" "$2")
        shift
        ;;
    --kernel)
        kernel=$2
        shift
        ;;
    --cpus)
        whole --cpus "$2" 2
        cpus=$2
        shift
        ;;
    -h | --help)
        help
        exit
        ;;
    *) unknown "$1" ;;
    esac
    shift
done

# --- build, as the caller -----------------------------------------------------------------------------------------

have clang || die "clang is not installed: scripts/run.sh setup installs it"
perf=$(command -v perf) || die "perf is not installed: scripts/run.sh setup installs it"
if [[ -n $here ]]; then
    [[ -d /sys/kernel/sched_ext ]] || die "this kernel has no sched_ext; without --here another one is booted"
    need_root "scheduling this machine"
fi

driver=$(bench_program scheduler)

work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
compile_bpf fifo "$work/fifo.bpf.o" || die "scripts/bench/fifo.bpf.c does not compile"

# --- run ----------------------------------------------------------------------------------------------------------

if [[ -n $here ]]; then
    "${as_root[@]}" env "PATH=$PATH" "$driver" "$work/fifo.bpf.o" "${options[@]}"
else
    install -m 755 -- "$driver" "$work/bench-scheduler"
    chmod 755 -- "$work" # the lane runs as the caller
    # What the kernel and the driver say meanwhile comes on the same console.
    "$root/scripts/run.sh" vm "$kernel" --cpus "$cpus" --accel "$accel" --limit 3600 --with "$work/bench-scheduler" --with "$work/fifo.bpf.o" \
        --with "$perf" -- bench-scheduler /bin/fifo.bpf.o "${options[@]}" | sed -E '/^(bench: |\[ *[0-9]+\.)/d; /./,$!d'
fi
