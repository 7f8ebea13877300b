#!/usr/bin/env bash
# Three comparisons, of which one could not be tested (p is NaN, as scipy gives it for samples without spread). One expects of a correction for
# several tests that it refuses NaN, as scipy's false_discovery_control does with an error, or leaves that test out. statsmodels' multipletests
# does neither, and has no warning: holm and holm-sidak REJECT the hypothesis that has no p, since NaN sorts last and no comparison with it is
# true, so that the search for the first p that is too large finds none; its corrected p is NaN beside it. It also counts as a test, so that
# the others are corrected for three. By fdr_bh and simes-hochberg all corrected p become NaN, while two are rejected still.
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"

python statsmodels==0.15.0 scipy==1.17.1
seen=$("$python" - <<'P'
from scipy.stats import false_discovery_control
from statsmodels.stats.multitest import multipletests

given = [1e-9, 0.02, float("nan")]
for method in ("bonferroni", "holm", "holm-sidak", "fdr_bh", "simes-hochberg"):
    rejected, corrected = multipletests(given, alpha=0.05, method=method)[:2]
    print(f"{method}: rejected", *rejected, "corrected", *(f"{p:.2g}" for p in corrected))
try:
    print("scipy", false_discovery_control(given))
except ValueError:
    print("scipy: an error")
P
)
expect "p of 1e-9, 0.02 and NaN" "$seen" "bonferroni: rejected True False False corrected 3e-09 0.06 nan
holm: rejected True True True corrected 3e-09 0.04 nan
holm-sidak: rejected True True True corrected 3e-09 0.04 nan
fdr_bh: rejected True True False corrected nan nan nan
simes-hochberg: rejected True True False corrected nan nan nan
scipy: an error"
