#!/usr/bin/env bash
# The one entry to tombola: set up, build, measure, test. See `run.sh help`.
set -euo pipefail

script=$(readlink -f -- "${BASH_SOURCE[0]}")
root=$(dirname -- "$(dirname -- "$script")")
bpffs=/sys/fs/bpf
# Ordinary users of some distributions have no sbin in their path, where bpftool and setcap live.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

say() { printf '%s\n' "$*"; }
warn() { printf 'run.sh: %s\n' "$*" >&2; }
die() {
    warn "$@"
    exit 1
}
have() { command -v -- "$1" >/dev/null 2>&1; }

help() {
    cat <<'HELP'
Usage: scripts/run.sh VERB [ARGUMENTS]

  setup      install what is missing to build and test (apt, dnf, pacman, zypper); mount the BPF file system
  build      build the release binary, as the caller
  load       load and pin the monitor                     (root; asks sudo)
  dump       tables, draws and CSV of what every task got (root only where no readable monitor is loaded)
  audit      what every task was entitled to, and who stood in its way  (root, as dump)
  hist       how long tasks waited for a CPU               (root, as dump)
  info, convert, timehist    what is in a recording, in another form, slice by slice
  record     every switch, wakeup and migration, into a Perfetto trace  (root; asks sudo)
  log        write every interval into Parquet files       (root, as dump)
  export     serve figures for Prometheus                  (root, as dump)
  query      ask a log one of the shipped questions, by DuckDB
  fleet      demo, test: a synthetic fleet, and the same SQL by DuckDB and by a Spark cluster
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

# --- rights -------------------------------------------------------------------------------------------------------

# The words to put before a command that needs root: none as root, sudo for the others.
as_root=()
if ((EUID != 0)); then
    as_root=(sudo --)
fi
can_be_root() { ((EUID == 0)) || have sudo; }
need_root() { can_be_root || die "$1 needs root, and there is no sudo here: run it as root"; }

# The words to put before a command that must not leave files of root in the caller's tree.
as_caller=()
caller_home=$HOME
if ((EUID == 0)) && [[ ${SUDO_UID:-0} != 0 ]]; then
    as_caller=(sudo -H -u "#$SUDO_UID" --)
    caller_home=$(getent passwd "$SUDO_UID" | cut -d: -f6)
fi

# The Makefile of libbpf, which cargo runs in the build directory, breaks on blanks and on what make reads as its own:
# with such a path the build goes into the caller's cache.
if [[ -z ${CARGO_TARGET_DIR:-} && $root =~ [^[:alnum:]/._+@,-] ]]; then
    CARGO_TARGET_DIR=${XDG_CACHE_HOME:-$caller_home/.cache}/tombola/$(cksum <<<"$root" | cut -d' ' -f1)
fi
target=${CARGO_TARGET_DIR:-target}
[[ $target == /* ]] || target=$root/$target # cargo runs in the project's directory
tombola=$target/release/tombola

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

# --- building -----------------------------------------------------------------------------------------------------

no_cargo="cargo 1.88 or later is needed: install it from https://rustup.rs, or a package of that version"

find_cargo() {
    [[ -d $caller_home/.cargo/bin ]] && PATH=$PATH:$caller_home/.cargo/bin
    have cargo
}

cargo_is_recent() {
    local major minor
    IFS=' .' read -r _ major minor _ < <(cargo --version)
    ((major > 1 || (major == 1 && minor >= 88)))
}

# Cargo in the project's directory, so that its configuration and tool chain hold wherever the caller stands.
run_cargo() {
    find_cargo || die "$no_cargo"
    (cd -- "$root" && "${as_caller[@]}" env "PATH=$PATH" "CARGO_TARGET_DIR=$target" cargo "$@")
}

build() { run_cargo build --release --package tombola "$@"; }

# Builds when the binary is missing or a source is newer; without sources that changed, no cargo is needed.
need_binary() {
    [[ -x $tombola ]] &&
        [[ -z $(find "$root/crates" "$root/Cargo.toml" "$root/Cargo.lock" -type f -newer "$tombola" -print -quit) ]] &&
        return
    build >&2
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
        warn "no BPF file system at $bpffs, so nothing can be pinned; type: sudo mount -t bpf -o mode=0755 bpf $bpffs"
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
        [[ $after == --output ]] && output=$each
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

# --- demo ---------------------------------------------------------------------------------------------------------

demo() {
    setup_needed
    root_verb demo "$@"
}

# --- test ---------------------------------------------------------------------------------------------------------

summary=()
failures=0
skips=()
# Tests that ran and said that they skipped themselves, with their reasons.
said=()
log=

# A stage runs to its end whatever the others did; its result goes into the summary.
stage() {
    local name=$1 status=0 counts each
    shift
    say "== $name"
    "$@" 2>&1 | tee "$log" || status=$?
    # A test that finds out itself that it cannot run says so and returns: cargo counts it as passed, and this does not.
    mapfile -t each < <(awk '/^---- .* stdout ----$/ { name = $2 }
        /^SKIP: / { print "test " name ": " substr($0, 7) }' "$log")
    said+=("${each[@]}")
    counts=$(awk -v said="${#each[@]}" '/^test result:/ { passed += $4; failed += $6 }
        END {
            if (passed + failed) printf " (%d passed, %d failed", passed - said, failed
            if (said) printf ", %d skipped", said
            if (passed + failed) printf ")"
        }' "$log")
    if ((status == 0)); then
        summary+=("passed   $name$counts")
    else
        summary+=("FAILED   $name$counts")
        failures=$((failures + 1))
    fi
}

skip() {
    say "== $1: skipped, $2"
    summary+=("skipped  $1: $2")
}

# Names of the ignored tests of the whole workspace.
ignored_tests() {
    run_cargo test --workspace --quiet "${locked[@]}" -- --ignored --list 2>/dev/null | sed -n 's/: test$//p' | sort -u
}

root_tests() {
    local triple runner
    if ((EUID == 0 && ${#as_caller[@]} == 0)); then
        run_cargo test --workspace "${locked[@]}" --no-fail-fast -- --show-output --ignored --test-threads=1 root
        return
    fi
    # Built by the caller, run by root: cargo hands every test binary to this runner.
    triple=$(rustc -vV | sed -n 's/^host: //p')
    runner=CARGO_TARGET_$(tr 'a-z-' 'A-Z_' <<<"$triple")_RUNNER
    (cd -- "$root" && "${as_caller[@]}" env "PATH=$PATH" "CARGO_TARGET_DIR=$target" "$runner=sudo --preserve-env=PATH --" \
        cargo test --workspace "${locked[@]}" --no-fail-fast -- --show-output --ignored --test-threads=1 root)
}

# Why the live tests cannot run here, or nothing.
no_live_tests() {
    can_be_root || { say "no root and no sudo" && return; }
    sed -n 's/^FAIL  bpf() trial *//p' <<<"$("${as_root[@]}" "$tombola" doctor 2>/dev/null || true)"
}

run_tests() {
    if [[ ${1:-} == --vm ]]; then
        shift
        vm_tests "$@"
        return
    fi
    (($# == 0)) || die "test takes no arguments but --vm"
    local why mounted='' each live=()
    locked=()
    [[ -z ${CI:-} ]] || locked=(--locked)
    log=$(mktemp)
    trap 'rm -f -- "$log"' EXIT

    if run_cargo fmt --version >/dev/null 2>&1; then
        stage "format" run_cargo fmt --all --check
    else
        skip "format" "cargo has no rustfmt"
    fi
    if run_cargo clippy --version >/dev/null 2>&1; then
        stage "clippy" run_cargo clippy --workspace --all-targets "${locked[@]}" -- -D warnings
    else
        skip "clippy" "cargo has no clippy"
    fi
    if have shellcheck; then
        stage "shellcheck" shellcheck "$root"/scripts/*.sh "$root/fleet/run.sh" "$root/.ci/run"
    else
        skip "shellcheck" "it is not installed"
    fi
    stage "tests without root" run_cargo test --workspace "${locked[@]}" --no-fail-fast -- --show-output
    build "${locked[@]}" || warn "the release binary could not be built"

    mapfile -t skips < <(ignored_tests)
    for each in "${skips[@]}"; do
        [[ $each != *root* ]] || live+=("$each")
    done
    why=$(no_live_tests)
    if [[ -z $why ]]; then
        bpffs_is_mounted || { mount_bpffs && mounted=yes; } || true
        stage "live tests as root" root_tests
        # Pins do not keep a BPF file system busy: unmounting one that is not empty would unload a monitor.
        if [[ -n $mounted && -z $(find "$bpffs" -mindepth 1 ! -name "*.debug" -print -quit) ]] && "${as_root[@]}" umount "$bpffs"; then
            say "unmounted the BPF file system again"
        fi
        mapfile -t skips < <(printf '%s\n' "${skips[@]}" | grep -v root || true)
    elif ((${#live[@]})); then
        skip "live tests as root" "$why"
    fi

    summary+=("not run  other kernels: scripts/run.sh test --vm")
    say ""
    say "Summary"
    printf '  %s\n' "${summary[@]}"
    for each in "${skips[@]}"; do
        [[ -z $each ]] || say "  skipped  test $each"
    done
    for each in "${said[@]}"; do
        say "  skipped  $each"
    done
    ((failures == 0))
}

# --- other kernels --------------------------------------------------------------------------------------------------

# Why no other kernel can be booted here, or nothing.
no_lane() {
    # The tests are built for this machine and run in that one.
    [[ $(uname -m) == x86_64 ]] || say "it boots x86_64, and this machine is $(uname -m)"
}

build_lane() { run_cargo build --release --locked --package tombola-vm "$@"; }

# Whether kernels are named, and all of them are of another architecture: what runs in them the lane builds itself.
all_foreign() {
    local each foreign=1
    for each in "$@"; do
        case $each in
        --) break ;;
        arm64 | *-arm64*) foreign=0 ;;
        [0-9]*.[0-9]* | x86_64) return 1 ;;
        esac
    done
    return "$foreign"
}

# Cargo's list of the test programs, in the file that is named.
list_tests() {
    run_cargo test --workspace --no-run --locked --message-format=json | "${as_caller[@]}" tee -- "$1" >/dev/null
}

# Runs tombola-vm, as the caller: cache and logs are the caller's.
lane() {
    local verb=$1
    shift
    "${as_caller[@]}" env "PATH=$PATH" "$target/release/tombola-vm" "$verb" --tombola "$tombola" --logs "$target/vm" "$@"
}

# The status is that of tombola-vm: 3, TROUBLE, where the lane itself could not work.
vm_tests() {
    local why messages
    why=$(no_lane)
    if [[ -n $why ]]; then
        say "Summary"
        say "  skipped  other kernels: $why"
        return 3
    fi
    if all_foreign "$@"; then
        build_lane >&2
        lane test "$@"
        return
    fi
    build_lane --package tombola >&2
    messages=$target/vm-tests.json
    list_tests "$messages"
    lane test --messages "$messages" "$@"
}

vm() {
    local why
    why=$(no_lane)
    [[ -z $why ]] || die "$why"
    if all_foreign "$@"; then
        build_lane >&2
    else
        build_lane --package tombola >&2
    fi
    lane run "$@"
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
    load | unload | record | schedule | tickets) root_verb "$verb" "$@" ;;
    dump | audit | hist | log | export) reading "$verb" "$@" ;;
    status | simulate | workload | doctor | query | info | convert | timehist) verb "$verb" "$@" ;;
    demo) demo "$@" ;;
    test) run_tests "$@" ;;
    vm) vm "$@" ;;
    fleet) exec "${as_caller[@]}" env "CARGO_TARGET_DIR=$target" "$root/fleet/run.sh" "$@" ;;
    bench)
        if [[ ${1:-} == --scheduler ]]; then
            shift
            companion bench-scheduler "$@"
        fi
        if [[ ${1:-} == --record ]]; then
            shift
            need_binary
            need_root "measuring what recording costs"
            exec "${as_root[@]}" env "CARGO_TARGET_DIR=$target" "$root/scripts/bench-record.sh" "$@"
        fi
        need_binary
        companion bench "$@"
        ;;
    vmlinux) companion vmlinux "$@" ;;
    help | -h | --help) help ;;
    "")
        help >&2
        exit 2
        ;;
    *)
        warn "no verb '$verb'; see: $0 help"
        exit 2
        ;;
    esac
}

main "$@"
