#!/usr/bin/env bash
# An exponential average with a half-life of 1 s, of samples that do not come at even times: what pandas has as ewm(halflife="1s", times=t) and Polars
# as ewm_mean_by("t", half_life="1s"). One parameter in one unit over the same rows: one expects one curve. Of the loads 0, 0, 8, 0 at 0, 1, 11 and 12
# s the last is 2.67 by pandas and 4.0 by Polars. Polars halves what was there before within a second, whatever it was made of: behind a gap the new
# sample is all but alone, and a second later it has one half. pandas weighs each sample by its age and divides by the sum of the weights, so that of
# two samples 1 s apart the newer has two thirds, and samples count by their number: a load of 8 in the last second is 4.0 by both when one sample
# says so, and 7.06 by pandas when ten do. So a load or a wait "with a half-life of a second" differs by half between two libraries, and in one of
# them follows how often somebody sampled. What helps: adjust=False, with which pandas has what Polars has.
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"
python pandas==3.1.1 polars==2.1.0 numpy==2.4.6
seen=$("$python" - <<'P'
import pandas, polars


def both(seconds, loads):
    at = pandas.to_datetime([int(1000 * s) for s in seconds], unit="ms")
    series = pandas.Series([float(load) for load in loads])
    by_pandas, unadjusted = (series.ewm(halflife="1s", times=at, adjust=adjust).mean().iloc[-1] for adjust in (True, False))
    frame = polars.DataFrame({"t": at.to_numpy(), "x": series.to_numpy()})
    by_polars = frame.select(polars.col.x.ewm_mean_by("t", half_life="1s"))["x"][-1]
    return f"pandas {by_pandas:.2f}, polars {by_polars:.2f}, pandas with adjust=False {unadjusted:.2f}"


print("0, 0, 8, 0 at 0, 1, 11, 12 s:", both([0, 1, 11, 12], [0, 0, 8, 0]))
print("0 from 0 to 9 s and 8 at 10 s, one sample a second:", both(range(11), [0] * 10 + [8]))
print("the same, a sample each 0.1 s from 9.1 s on:", both([*range(10), *(9 + i / 10 for i in range(1, 11))], [0] * 10 + [8] * 10))
P
)
expect "the last value of the average" "$seen" "0, 0, 8, 0 at 0, 1, 11, 12 s: pandas 2.67, polars 4.00, pandas with adjust=False 4.00
0 from 0 to 9 s and 8 at 10 s, one sample a second: pandas 4.00, polars 4.00, pandas with adjust=False 4.00
the same, a sample each 0.1 s from 9.1 s on: pandas 7.06, polars 4.00, pandas with adjust=False 4.00"
