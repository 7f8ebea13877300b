#!/usr/bin/env bash
# Makes assets/simulate.svg, the picture of the README: what a command prints, as a terminal shows it.
# Usage: scripts/picture.sh [COMMAND…]; the default is a simulation, which gives the same picture on every machine.
set -euo pipefail
cd "$(dirname "$0")/.."

command=("$@")
((${#command[@]})) || command=(tombola simulate three-burners --policy "lottery,stride,rr" --runs 20)
binary=${TOMBOLA:-}
for candidate in target/release/tombola target/debug/tombola; do
    [[ -n $binary || ! -x $candidate ]] || binary=$candidate
done
[[ -n $binary ]] || { echo "picture: no binary; build one with: scripts/run.sh build" >&2; exit 1; }

run=("${command[@]}")
[[ ${run[0]} != tombola ]] || run[0]=$binary
# A simulation whose expectations fail ends with 3: that is part of the picture.
output=$("${run[@]}" 2>&1) || (($? == 3))

printf '$ %s\n%s\n' "${command[*]}" "$output" | awk '
    function escaped(text) { gsub(/&/, "\\&amp;", text); gsub(/</, "\\&lt;", text); gsub(/>/, "\\&gt;", text); return text }
    { lines[NR] = $0; if (length($0) > widest) widest = length($0) }
    END {
        width = widest * 7.25 + 32; height = NR * 17 + 48
        printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s\">\n", width, height, escaped(lines[1])
        printf "<rect width=\"100%%\" height=\"100%%\" rx=\"8\" fill=\"#16181d\"/>\n"
        printf "<g fill=\"#3a3f4b\"><circle cx=\"20\" cy=\"16\" r=\"5\"/><circle cx=\"38\" cy=\"16\" r=\"5\"/><circle cx=\"56\" cy=\"16\" r=\"5\"/></g>\n"
        printf "<g font-family=\"ui-monospace,Menlo,Consolas,monospace\" font-size=\"12\" fill=\"#d7dae0\" xml:space=\"preserve\">\n"
        for (n = 1; n <= NR; n++) {
            fill = n == 1 ? " fill=\"#7fd1a0\"" : (lines[n] ~ /^[A-Z][A-Z_0-9%\/ ]+$/ ? " fill=\"#8ab4f8\"" : "")
            printf "<text x=\"16\" y=\"%d\"%s>%s</text>\n", n * 17 + 32, fill, escaped(lines[n])
        }
        printf "</g>\n</svg>\n"
    }' > assets/simulate.svg.new
mv assets/simulate.svg.new assets/simulate.svg
echo "picture: assets/simulate.svg"
