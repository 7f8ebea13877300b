#!/usr/bin/env bash
# The waits 0, 1, 1, 2 and 3 ms, as clocks of whole milliseconds or ticks give them, by bins with the edges 0, 1, 2 and 3: every one of them is on an edge.
# One expects half-open bins, from here or from there, and one rule within a library. numpy has [0,1) and [1,2), but closes the last bin, so that one more
# edge at the end moves the longest wait; pandas' cut has (0,1] and (1,2], and no bin for the wait of 0, which becomes NaN and is gone from the counts
# without a word; Polars' hist has the same bins but closes the first, and holds three of five there; its cut has (0,1] and puts 0 below, and the
# function that its warning recommends for cut has [0,1); DuckDB's histogram is as cut. So the bin from 0 to 1 ms has one, two or three of the five waits. Of
# the formats beside, Prometheus' le closes above as pandas does, and bpftrace's hist below. What helps: edges between the values that can
# occur (0.5, 1.5, and so on), and a check that the counts add up to the rows.
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"

python numpy==2.4.6 pandas==3.1.1 polars==2.1.0 duckdb==2.0.1 pyarrow==26.0.1
seen=$("$python" - <<'P'
import warnings
from collections import Counter

import duckdb, numpy, pandas, polars

waits, edges = [0, 1, 1, 2, 3], [0, 1, 2, 3]
print("numpy histogram", numpy.histogram(waits, edges)[0].tolist(), "with an edge at 4", numpy.histogram(waits, [*edges, 4])[0].tolist())
cut = pandas.cut(waits, edges)
print("pandas cut", cut.value_counts().tolist(), "nowhere", int(cut.isna().sum()))
series = polars.Series("w", waits)
print("polars hist", series.hist(bins=edges)["count"].to_list())
warnings.simplefilter("ignore", DeprecationWarning)
print("polars cut", dict(sorted(Counter(series.cut(edges).to_list()).items())))
print("polars bin_intervals", dict(Counter(series.bin_intervals(edges, labels=["below", "0 to 1", "1 to 2", "2 to 3", "beyond"]).to_list())))
print("duckdb histogram", duckdb.sql(f"select histogram(w, {edges}) from (select unnest({waits}) w)").fetchall()[0][0])
P
)
expect "waits of 0, 1, 1, 2 and 3 by the edges 0, 1, 2 and 3" "$seen" "numpy histogram [1, 2, 2] with an edge at 4 [1, 2, 1, 1]
pandas cut [2, 1, 1] nowhere 1
polars hist [3, 1, 1]
polars cut {'(-inf, 0]': 1, '(0, 1]': 2, '(1, 2]': 1, '(2, 3]': 1}
polars bin_intervals {'0 to 1': 1, '1 to 2': 2, '2 to 3': 1, 'beyond': 1}
duckdb histogram {0: 1, 1: 2, 2: 1, 3: 1}"
