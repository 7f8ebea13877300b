#!/usr/bin/env bash
# The one entry to tombola: set up, build, measure, test. See `run.sh help`.
set -euo pipefail

# shellcheck source=scripts/common.sh
source "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/common.sh"
bpffs=/sys/fs/bpf

help() {
    cat <<'HELP'
Usage: scripts/run.sh VERB [ARGUMENTS]

  setup      install what is missing to build and test (apt, dnf, pacman, zypper); mount the BPF file system
  build      build the release binary, as the caller
  load       load and pin the monitor                     (root; asks sudo)
  top        a live view: who is owed the CPU most, and why  (root, as dump)
  dump       tables, draws and CSV of what every task got (root only where no readable monitor is loaded)
  audit      what every task was entitled to, and who stood in its way  (root, as dump)
  hist       how long tasks waited for a CPU               (root, as dump)
  info, convert, timehist    what is in a recording, in another form, slice by slice
  replay, periods            a recording under other schedulers; its periodic tasks, and whether EDF and RM would be in time
  record     every switch, wakeup and migration, into a Perfetto trace  (root; asks sudo)
  report     measure, and write one page that holds all it needs  (root, as dump)
  log        write every interval into Parquet files       (root, as dump)
  export     serve figures for Prometheus                  (root, as dump)
  query      ask a log one of the shipped questions, by DuckDB
  fleet      demo, test, bench: a synthetic fleet, the same SQL by DuckDB and by a Spark cluster, and how it grows
  simulate   what another scheduler would have done with the work of a scenario
  schedule   put a lottery scheduler into the kernel, for a while or for a command  (root; asks sudo)
  tickets    show and change tickets while it runs         (root; asks sudo)
  workload   burn CPU in a repeatable way
  unload     detach the monitor and remove its pins       (root; asks sudo)
  status     whether the monitor is loaded, and what it costs
  demo       set up, build, and watch three burners of nice 0, 5 and 10 share one CPU (under 20 s)
  test       every test this machine can run, with a list of what was skipped
             --vm [KERNEL...]: the live tests in other kernels, under QEMU (no root, no KVM needed)
             --vm arm64: in those of arm64, built for it first with Debian's cross compiler (nothing is installed)
  vm         one command in another kernel: vm [KERNEL] -- COMMAND, vm --kernel FILE -- COMMAND
             --with FILE: with a file of this machine, such as a program that is not in there
  bench      what measuring costs                         (root; asks sudo)
             --scheduler: what a decision of the scheduler costs, under QEMU (no root, no KVM needed)
             --record: what recording costs, beside perf record and ftrace
             --import: what reading a perf.data costs, beside perf sched timehist (no root with --file)
             --top: what the live view takes for itself, with 10,000 tasks
             --reading [--rounds N] [TASKS...]: from snapshots of many tasks to rows, without a kernel (no root)
             --against COMMIT: this build and that commit's in turns: start, simulator, reading (root for the last)
  bpf        the monitor's object alone, for load --obj: bpf [FILE]; CLANG is the compiler, BPF_CFLAGS come after our flags
  completions, man           for the shell, for man
  vmlinux    regenerate the kernel types the BPF programs are built with
  doctor     what this kernel lets this user do
  help       this text

Arguments go through to the verb: scripts/run.sh dump --help.
Environment: MAP_PIN PROG_PIN LINK_PIN BTF_PATH, as the flags --map-pin, --prog-pin, --link-pin and --btf.

Examples:
  scripts/run.sh demo
  scripts/run.sh build && sudo scripts/run.sh load
  scripts/run.sh dump --interval 1 --iterations 5 --output assets/stats.csv --simulate-draws 20 --top 3
  sudo scripts/run.sh unload
  scripts/run.sh test --vm 5.10 7.3
  scripts/run.sh vm 7.3 -- tombola doctor
  scripts/run.sh bench --scheduler --quick
HELP
}

# sudo forgets the environment: what tombola reads of it is named again. An empty variable counts as unset.
pins=()
for name in MAP_PIN PROG_PIN LINK_PIN BTF_PATH; do
    if [[ -n ${!name:-} ]]; then
        pins+=("$name=${!name}")
    else
        unset "$name"
    fi
done

# Whether this user may load BPF programs without asking anybody.
may_load() { ((EUID == 0)) || ! grep -q '^FAIL  capabilities' <<<"$("$tombola" doctor 2>/dev/null)"; }

build() { run_cargo build --release --package tombola "$@"; }

# Builds when the binary is missing or a source is newer; without sources that changed, no cargo is needed.
need_binary() {
    [[ -x $tombola ]] &&
        [[ -z $(find "$root/crates" "$root/Cargo.toml" "$root/Cargo.lock" -type f -newer "$tombola" -print -quit) ]] &&
        return
    build >&2
}

# The object that is in the binary, as a file; the file's name is all that is printed.
bpf() {
    local to=${1:-$target/monitor.bpf.o} from
    (($# <= 1)) || die "bpf takes one file"
    from=$(run_cargo build --quiet --locked --package tombola-kernel --message-format=json |
        sed -n 's/.*"reason":"build-script-executed","package_id":"[^"]*tombola-kernel[^"]*".*"out_dir":"\([^"]*\)".*/\1/p')
    [[ -f $from/monitor.bpf.o ]] || die "cargo has built no object"
    "${as_caller[@]}" cp -- "$from/monitor.bpf.o" "$to"
    say "$to"
}

# --- setup --------------------------------------------------------------------------------------------------------

# shellcheck source=scripts/packages.sh
source "$root/scripts/packages.sh"

bpffs_is_mounted() { [[ $(stat -f -c %T "$bpffs" 2>/dev/null) == bpf_fs ]]; }

# Mounts the BPF file system where it belongs, and says so; says why where it cannot.
mount_bpffs() {
    bpffs_is_mounted && return
    if can_be_root && "${as_root[@]}" mount -t bpf -o mode=0755 bpf "$bpffs"; then
        say "mounted the BPF file system at $bpffs"
    else
        note "no BPF file system at $bpffs, so nothing can be pinned; type: sudo mount -t bpf -o mode=0755 bpf $bpffs"
        return 1
    fi
}

setup() {
    (($# == 0)) || die "setup takes no arguments"
    setup_needed
    setup_welcome
    mount_bpffs || true
    say "setup: done"
}

# --- verbs of the binary ------------------------------------------------------------------------------------------

verb() {
    need_binary
    exec env "${pins[@]}" "$tombola" "$@"
}

root_verb() {
    need_binary
    if may_load || asks_for_help "$@"; then
        exec env "${pins[@]}" "$tombola" "$@"
    fi
    need_root "$1"
    exec "${as_root[@]}" env "${pins[@]}" "$tombola" "$@"
}

asks_for_help() {
    local each
    for each in "$@"; do
        [[ $each == -- ]] && break # what follows is a command with flags of its own
        [[ $each == -h || $each == --help ]] && return
    done
    return 1
}

# Reading needs no root where a monitor is loaded and its pin can be read; a private monitor does.
reading() {
    local name=$1 each after='' output=''
    shift
    for each in "$@"; do
        [[ $each == -- ]] && break # the rest is the command that audit runs
        # Made by the caller now, a new file does not come to belong to root.
        [[ $after == --output || $after == -o ]] && output=$each
        [[ $each == --output=* ]] && output=${each#--output=}
        [[ $each == --map || $each == --map=* ]] && verb "$name" "$@"
        after=$each
    done
    [[ -r ${MAP_PIN:-$bpffs/task_map} ]] && verb "$name" "$@"
    if ((EUID != 0)) && [[ -n $output && $output != - && ! -e $output ]]; then
        : >>"$output"
    fi
    root_verb "$name" "$@"
}

# --- one verb -----------------------------------------------------------------------------------------------------

# A verb that is a script of its own beside this one.
companion() {
    local name=$1
    shift
    [[ -x $root/scripts/$name.sh ]] || die "$root/scripts/$name.sh is not there"
    exec "$root/scripts/$name.sh" "$@"
}

main() {
    local verb=${1:-}
    (($# == 0)) || shift
    case $verb in
    setup) setup "$@" ;;
    build) build "$@" ;;
    load)
        # On a fresh machine it may be missing; load says what is wrong where it cannot be mounted.
        asks_for_help "$@" || mount_bpffs || true
        root_verb load "$@"
        ;;
    unload | record | schedule | tickets) root_verb "$verb" "$@" ;;
    top | dump | audit | hist | report | log | export) reading "$verb" "$@" ;;
    status | simulate | workload | doctor | query | info | convert | timehist | replay | periods | completions | man) verb "$verb" "$@" ;;
    bpf) bpf "$@" ;;
    demo)
        setup_needed
        root_verb demo "$@"
        ;;
    test)
        if [[ ${1:-} == --vm ]]; then
            shift
            xtask lane test "$@"
        fi
        (($# == 0)) || die "test takes no arguments but --vm"
        xtask test --tombola "$tombola"
        ;;
    vm) xtask lane run "$@" ;;
    fleet) exec "${as_caller[@]}" env "CARGO_TARGET_DIR=$target" "$root/fleet/run.sh" "$@" ;;
    bench)
        case ${1:-} in
        --scheduler) companion bench-scheduler "${@:2}" ;;
        --record) companion bench-record "${@:2}" ;;
        --import) companion bench-import "${@:2}" ;;
        --top) companion bench-top "${@:2}" ;;
        --reading) run_cargo bench --package tombola-core --bench reading -- "${@:2}" ;;
        --against) companion bench-against "${@:2}" ;;
        *) companion bench "$@" ;;
        esac
        ;;
    vmlinux) companion vmlinux "$@" ;;
    help | -h | --help) help ;;
    "")
        help >&2
        exit 2
        ;;
    *)
        note "no verb '$verb'; see: $0 help"
        exit 2
        ;;
    esac
}

main "$@"
