#!/usr/bin/env bash
# What the live view takes for itself. See `bench-top.sh --help`.
set -euo pipefail

# shellcheck source=scripts/bench/head.sh
source "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/bench/head.sh"

help() {
    cat <<'HELP'
Usage: scripts/bench-top.sh [--threads N] [--active N] [--rounds N] [--seconds N]

Loads a monitor of its own, starts N threads that ran once and sleep, and as many active ones as asked that run a moment twice a second,
and shows tombola top of all of them in a terminal of 120 by 40 (tmux), a refresh a second, a view after the other. Told are the CPU time
of top a second, reading the kernel's maps included, in each view, and its memory over time. As root; needs tmux.

  --threads N    threads that sleep              [default 10000]
  --active N     threads that run, 1 to 1024     [default 500]
  --rounds N     looks at all of the views       [default 5]
  --seconds N    length of a look, from 1        [default 20]

An hour in which the memory is watched:
  scripts/run.sh bench --top --rounds 30
HELP
}

threads=10000 active=500 rounds=5 seconds=20
while (($#)); do
    case $1 in
    --threads | --active | --rounds | --seconds) (($# >= 2)) || die "$1 needs a value; see --help" ;;&
    --threads) threads=$2 && shift 2 ;;
    --active) active=$2 && shift 2 ;;
    --rounds) rounds=$2 && shift 2 ;;
    --seconds) seconds=$2 && shift 2 ;;
    -h | --help) help && exit ;;
    *) unknown "$1" ;;
    esac
done
whole --threads "$threads" 1
whole --active "$active" 1
whole --rounds "$rounds" 1
whole --seconds "$seconds" 1
((EUID == 0)) || die "a monitor is loaded: run this as root"
have tmux || die "tmux is not installed: apt install tmux"

find_cargo || die "$no_cargo"
run_cargo build --release --package tombola >&2
build_xtask
snapshot=$(bench_program snapshot)

work=$(mktemp -d)
pins=/sys/fs/bpf/tombola_top_$$
session=tombola-top-$$
sleepers='' runners='' loaded=''
ended() {
    tmux kill-session -t "$session" 2>/dev/null || true
    [[ -z $runners ]] || kill "$runners" 2>/dev/null || true
    [[ -z $sleepers ]] || kill "$sleepers" 2>/dev/null || true
    [[ -z $loaded ]] || on_pins unload >/dev/null || true
    rm -rf -- "$work"
}
trap ended EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

on_pins() { MAP_PIN=${pins}_map PROG_PIN=${pins}_prog LINK_PIN=${pins}_link "$tombola" "$@"; }

on_pins load >/dev/null
loaded=yes
coproc SLEEPERS { exec "$snapshot" --sleepers "$threads"; }
# shellcheck disable=SC2153 # coproc sets it
sleepers=$SLEEPERS_PID
read -r -t 60 word <&"${SLEEPERS[0]}" || true
[[ ${word:-} == asleep ]] || die "the threads did not start"
"$tombola" workload --threads "$active" --pattern sleep --burst 10us --pause 500ms --duration 1d >/dev/null &
runners=$!
# A pane's first process is the command itself: no shell, and so no start file, is between.
tmux new-session -d -x 120 -y 40 -s "$session" "exec '$tombola' top --map '${pins}_map' --interval 1"
top=$(tmux list-panes -t "$session" -F '#{pane_pid}')
sleep 5
[[ $(<"/proc/$top/comm") == tombola ]] || die "top did not start: $(tmux capture-pane -p -t "$session" | head -n 3)"

# The time top had so far, in milliseconds, and its memory in KiB.
hertz=$(getconf CLK_TCK)
spent() { awk -v hertz="$hertz" '{ sub(/.*\) /, ""); print ($12 + $13) * 1000 / hertz }' "/proc/$top/stat"; }
resident() { awk '/^VmRSS/ { print $2 }' "/proc/$top/status"; }

declare -A view=([1]=Answer [2]=Tasks [3]=Processes [4]=Groups [5]=CPUs [6]=Findings [7]=Culprits)
keys=(1 2 3 4 5 6 7)
for key in "${keys[@]}"; do
    say "$key ${view[$key]}"
done >"$work/names"
begin=$SECONDS
for ((round = 0; round < rounds; round++)); do
    for key in "${keys[@]}"; do
        tmux send-keys -t "$session" "$key"
        sleep 1
        before=$(spent)
        sleep "$seconds"
        say "$round $key $(awk "BEGIN { print $(spent) - $before }") $seconds" >>"$work/costs"
        say "$((SECONDS - begin)) $(resident)" >>"$work/memory"
    done
    note "round $((round + 1)) of $rounds: $(resident) KiB"
done
figures own "$work/costs" "$work/names"
awk 'NR == 1 { first = $2 } $2 > most { most = $2 } { at = $1; last = $2 }
    END { printf "\nMemory: %.1f MB at first, %.1f MB at most, %.1f MB after %d s.\n", first / 1024, most / 1024, last / 1024, at }' "$work/memory"
say "Threads: $threads asleep, $active active; load average $(cut -d ' ' -f 1-3 /proc/loadavg)."
