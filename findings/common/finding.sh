# Sourced by findings: a temporary folder, packages of Debian in it, and one way to say what was seen.
# shellcheck shell=bash
cannot() {
    printf 'SKIP: %s\n' "$*"
    exit 77
}
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT

# debian PACKAGE=VERSION …: unpacks these packages of Debian 12 below $work/root; nothing is installed.
debian() {
    (cd "$work" && apt-get download --quiet=2 "$@" 2>/dev/null) || cannot "the packages of Debian 12 cannot be had: $*"
    for package in "$work"/*.deb; do dpkg -x "$package" "$work/root"; done
    printf '%s (Debian 12), kernel %s\n' "$*" "$(uname -r)"
}

# perf_of_debian: perf of Debian 12; the program is $perf.
perf_of_debian() {
    debian linux-perf=6.1.192-3
    perf=$work/root/usr/bin/perf
    "$perf" --version >/dev/null 2>&1 || cannot "this perf lacks libraries here"
}

# bpftrace_of_debian PROGRAM: what bpftrace of Debian 12 writes on this program is in $work/out. As root.
bpftrace_of_debian() {
    ((EUID == 0)) || cannot "needs root, for bpf(2)"
    debian bpftrace=0.17.0-1 libbpfcc=0.26.0+ds-1 libbpf1=1:1.1.2-0+deb12u1 libclang1-14=1:14.0.6-12 libllvm14=1:14.0.6-12
    LD_LIBRARY_PATH=$(echo "$work"/root/usr/lib/*-linux-gnu):$work/root/usr/lib/llvm-14/lib LC_ALL=C \
        "$work/root/usr/bin/bpftrace" -e "$1" >"$work/out" 2>"$work/said" || cannot "bpftrace does not run here: $(tail -n 1 "$work/said")"
}

# tracecmd WORD …: trace-cmd, once it is unpacked.
tracecmd() { LD_LIBRARY_PATH=$(echo "$work"/root/usr/lib/*-linux-gnu) "$work/root/usr/bin/trace-cmd" "$@"; }

# trace_cmd_of_debian: trace-cmd of Debian 12 as the command tracecmd, and a tracing instance $instance, which is removed at the end. As root.
trace_cmd_of_debian() {
    local tracing
    rm -f -- "$work"/*.deb
    debian trace-cmd=3.1.6-1 libtraceevent1=1:1.7.1-1 libtracefs1=1.6.4-1
    for tracing in /sys/kernel/tracing /sys/kernel/debug/tracing ''; do [[ -d $tracing/instances ]] && break; done
    [[ $tracing ]] || cannot "no tracefs is mounted"
    instance=$(mktemp -d -p "$tracing/instances")
    trap 'rmdir "$instance" 2>/dev/null || true; rm -rf -- "$work"' EXIT
}

# two_on_one_cpu: two tasks that compute share a CPU until the end; $pids has their numbers.
two_on_one_cpu() {
    local cpu
    trap 'kill "${pids[@]}" 2>/dev/null || true; rm -rf -- "$work"' EXIT
    cpu=$(python3 -c 'import os; print(min(os.sched_getaffinity(0)))')
    pids=()
    for _ in 1 2; do
        taskset -c "$cpu" bash -c 'while ((SECONDS < 60)); do :; done' &
        pids+=($!)
    done
}

# group_with_quota: a control group $group, whose quota the command quota sets; "${in_group[@]}" before a command runs it there. It ends with the script,
# and the tasks $pids with it. As root.
group_with_quota() {
    ((EUID == 0)) || cannot "needs root, for a control group"
    read -r version group < <(awk '$3 == "cgroup" && $4 ~ /(^|,)cpu(,|$)/ {print 1, $2; exit} $3 == "cgroup2" {last = "2 " $2} END {if (last) print last}' \
        /proc/self/mounts) || cannot "no control groups are mounted"
    group=$group/finding.$$
    mkdir -- "$group"
    pids=()
    trap 'kill "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null; rmdir "$group" || true; rm -rf -- "$work"' EXIT
    [[ -w $group/cpu.max || -w $group/cpu.cfs_quota_us ]] || cannot "no quota for CPU time here"
    # shellcheck disable=SC2016,SC2034
    in_group=(bash -c 'echo $$ >"$1" && shift && exec "$@"' - "$group/cgroup.procs")
    printf 'kernel %s, control groups of version %s\n' "$(uname -r)" "$version"
}

# quota US: the group may have so much CPU time in 100 ms.
quota() {
    if ((version == 1)); then echo "$1" >"$group/cpu.cfs_quota_us"; else echo "$1 100000" >"$group/cpu.max"; fi
}

# python PACKAGE==VERSION …: an environment with these packages of PyPI; its interpreter is $python.
python() {
    python3 -m venv "$work/venv" || cannot "python3 has no venv"
    python=$work/venv/bin/python
    "$python" -m pip install --quiet --no-compile --disable-pip-version-check "$@" || cannot "the packages of PyPI cannot be installed: $*"
    printf '%s\n' "$*"
}

# changed WHAT: it is no longer as it was.
changed() {
    printf 'CHANGED: %s\n' "$*" >&2
    exit 1
}

# expect WHAT SEEN EXPECTED
expect() {
    printf '%s:\n%s\n' "$1" "$2"
    [[ $2 == "$3" ]] || changed "$1 was"$'\n'"$3"
}
