#!/usr/bin/env bash
# The median and the quantile of one half are one number by every textbook. Of the waits 1, 2, 3 and 4, whose median is 2.5: Polars' quantile(0.5)
# is 3, beside its own median() of 2.5, and its describe() shows 3 as "50%", for its default is the nearest value, halves up. DuckDB's quantile is 2 beside
# its median of 2.5, and its approx_quantile is 2. Python's statistics.quantiles goes the other way: the 99th percentile of
# four waits of which none is above 4 is 4.95, and of the waits 0, 1 and 100 the first is -0.96, a negative wait, for it
# takes data for a sample of something larger and draws the line on beyond their ends. numpy, pandas and DataFusion agree with the median and stay
# inside. On many distinct values all these are close; on the few of one task in one interval they are not.
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"

python numpy==2.4.6 pandas==3.1.1 polars==2.1.0 duckdb==2.0.1 pyarrow==26.0.1 datafusion==55.0.0
python3 --version
seen=$("$python" - <<'P'
import statistics

import datafusion, duckdb, numpy, pandas, polars, pyarrow

waits = [1, 2, 3, 4]
waiting = pyarrow.table({"w": waits})
frame = polars.from_arrow(waiting)
context = datafusion.SessionContext()
context.from_arrow(waiting, name="t")
described = dict(zip(*frame.describe().to_dict(as_series=False).values()))
print("polars: median", frame["w"].median(), "quantile", frame["w"].quantile(0.5), "describe", described["50%"])
print("duckdb: median %s quantile %s quantile_cont %s approx_quantile %s" % duckdb.sql(
    "select median(w), quantile(w, 0.5), quantile_cont(w, 0.5), approx_quantile(w, 0.5) from waiting").fetchall()[0])
print("datafusion: median %s percentile_cont %s" % tuple(column[0] for column in context.sql(
    "select median(w) a, percentile_cont(w, 0.5) b from t").to_pydict().values()))
print("numpy: median", numpy.median(waits), "quantile", numpy.quantile(waits, 0.5))
print("pandas: median", pandas.Series(waits).median(), "quantile", pandas.Series(waits).quantile(0.5))
print("statistics: 99th of 4", statistics.quantiles(waits, n=100)[98], "1st of 0, 1, 100", statistics.quantiles([0, 1, 100], n=100)[0])
P
)
expect "medians and quantiles" "$seen" "polars: median 2.5 quantile 3.0 describe 3.0
duckdb: median 2.5 quantile 2 quantile_cont 2.5 approx_quantile 2
datafusion: median 2.5 percentile_cont 2.5
numpy: median 2.5 quantile 2.5
pandas: median 2.5 quantile 2.5
statistics: 99th of 4 4.95 1st of 0, 1, 100 -0.96"
