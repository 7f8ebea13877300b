#!/usr/bin/env bash
# Five runs before a change, five behind it; the Brunner-Munzel test is the one that SciPy has for samples of unlike spread
# (scipy.stats.brunnermunzel). The clearest result there can be is that each run of the one is below each of the other. One expects of it the least p
# there is, which for five and five is 0.008, as 2 of 252 orders are as far apart; mannwhitneyu says that. brunnermunzel has NaN, with a
# RuntimeWarning, for both variances of the ranks are 0: "p < 0.05" is False, and a gate that asks so lets the worst regression pass. Where one run of
# the one ties with one of the other, p is 1e-7, far below what five and five can say, and where two runs change places 4e-5: so of ever clearer
# differences p falls, goes below what is possible, and is gone. With distribution="normal" it is 0. statsmodels' rank_compare_2indep has NaN
# likewise. SciPy's page recommends a permuted test for fewer than ten, and neither code does it. What helps: permutation_test() over the ranks, or
# mannwhitneyu's exact p, and a gate that is closed to NaN.
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"
python scipy==1.17.1 numpy==2.4.6 statsmodels==0.15.0 pandas==3.1.1
seen=$("$python" - <<'P' 2>/dev/null
from scipy.stats import brunnermunzel, mannwhitneyu
from statsmodels.stats.nonparametric import rank_compare_2indep

before = [10.1, 10.2, 10.3, 10.4, 10.5]
for what, after in ("apart", [10.6, 10.7, 10.8, 10.9, 11.0]), ("one tie", [10.5, 10.7, 10.8, 10.9, 11.0]), ("one pair changed", [10.45, 10.7, 10.8, 10.9, 11.0]):
    ps = (brunnermunzel(before, after).pvalue, brunnermunzel(before, after, distribution="normal").pvalue,
          rank_compare_2indep(before, after).pvalue, mannwhitneyu(before, after).pvalue)
    print(what, *(f"{p:.1g}" for p in ps), sep=", ")
P
)
expect "p by brunnermunzel, with distribution=normal, by rank_compare_2indep, by mannwhitneyu" "$seen" "apart, nan, 0, nan, 0.008
one tie, 1e-07, 1e-64, 1e-07, 0.02
one pair changed, 4e-05, 4e-16, 4e-05, 0.02"
