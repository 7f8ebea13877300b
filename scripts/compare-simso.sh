#!/usr/bin/env bash
# Compares results and speed of `tombola simulate` and SimSo on the same task sets. See `compare-simso.sh --help`.
#
# SimSo goes into a virtual environment in a temporary directory, which is removed however this script ends.
set -euo pipefail

script=$(readlink -f -- "${BASH_SOURCE[0]}")
root=$(dirname -- "$(dirname -- "$script")")

note() { printf 'compare-simso: %s\n' "$*" >&2; }
die() {
    note "$@"
    exit 1
}

help() {
    cat <<'HELP'
Usage: scripts/compare-simso.sh [--seconds N] [--rounds N] [--binary FILE]

Runs built-in scenarios under EDF and rate monotonic in tombola and in SimSo (from PyPI, version 0.8.5), and prints as
Markdown what came out, where they differ, and how long each took. Needs Python 3.11 or later with venv, and PyPI.

  --seconds N    simulated time, 1 to 1000; a multiple of 70 has whole hyperperiods of all sets [default: 70]
  --rounds N     runs of each program and set, one after the other in turn, 1 to 100 [default: 5]
  --binary FILE  tombola to use [default: target/release/tombola, see scripts/run.sh build]

Ends with 1 when a result differs. What is compared: completed jobs, deadline misses, longest and mean response,
preemptions by another task. Each time is told by two clocks, wall and CPU time; the CPU time leaves out what other load
on the machine took. Time of SimSo: its run_model() alone, without the start of Python and the imports; time of
tombola: the whole process. SimSo's EDF prints every decision; the print is thrown away.
HELP
}

seconds=70 rounds=5 binary=${CARGO_TARGET_DIR:-$root/target}/release/tombola
while (($#)); do
    case $1 in
    -h | --help)
        help
        exit
        ;;
    --seconds | --rounds | --binary)
        (($# > 1)) || die "$1 needs a value"
        case $1 in
        --seconds) seconds=$2 ;;
        --rounds) rounds=$2 ;;
        --binary) binary=$(readlink -f -- "$2") ;;
        esac
        shift 2
        ;;
    *) die "unknown option '$1'; see --help" ;;
    esac
done
if [[ ! $seconds =~ ^[1-9][0-9]{0,3}$ ]] || ((seconds > 1000)); then
    die "--seconds must be 1 to 1000"
fi
if [[ ! $rounds =~ ^[1-9][0-9]{0,2}$ ]] || ((rounds > 100)); then
    die "--rounds must be 1 to 100"
fi
[[ -x $binary ]] || die "no tombola at $binary; run scripts/run.sh build, or use --binary"
python3 -c 'import sys, tomllib, venv' 2>/dev/null || die "Python 3.11 or later with its venv module is needed"

work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
python3 -m venv "$work/venv" || die "python3 could not make a virtual environment; install python3-venv"
"$work/venv/bin/pip" --quiet --disable-pip-version-check install simso==0.8.5 ||
    die "pip could not install SimSo 0.8.5; is PyPI within reach?"
"$work/venv/bin/python" "$root/scripts/compare-simso.py" "$binary" "$root/scenarios" "$seconds" "$rounds" "$work"
