#!/usr/bin/env bash
# An instant is put into its interval of 7 seconds, to join series of several hosts. The guess is that all engines count intervals from the epoch,
# or from midnight. DataFusion (date_bin), Polars (truncate) and pandas (floor) count from 1970-01-01; DuckDB (time_bucket) from Monday, 2000-01-03;
# pandas (resample) from the midnight of the first day that the data hold, so that the same row falls into another interval when an earlier day
# is added. As long as the width divides a day, all agree, and tests with minutes see nothing; 7 s, 11 s, 5 h and 7 days
# do not. A join by such a column between two engines then finds nothing, or with a tolerance the wrong neighbour.
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"

python pandas==3.1.1 polars==2.1.0 duckdb==2.0.1 datafusion==55.0.0 pyarrow==26.0.1
seen=$("$python" - <<'P'
import datetime
import datafusion, duckdb, pandas, polars

at, context = datetime.datetime(2026, 11, 28, 12), datafusion.SessionContext()


def resampled(*instants):
    """The beginning of the interval that holds the last of them."""
    return pandas.Series(1, index=list(instants)).resample(width).sum().index[-1]


for seconds in (60, 7, 18000):
    width, interval = f"{seconds}s", f"interval '{seconds} seconds', timestamp '{at}'"
    begins = {
        "duckdb": duckdb.sql(f"select time_bucket({interval})").fetchall()[0][0],
        "datafusion": list(context.sql(f"select date_bin({interval}) as b").to_pydict().values())[0][0],
        "polars": polars.Series([at]).dt.truncate(width)[0],
        "pandas floor": pandas.Timestamp(at).floor(width),
        "pandas resample": resampled(at),
        "with a row of the day before": resampled(at - datetime.timedelta(days=1), at),
    }
    print(f"{seconds} s:", ", ".join(f"{name} {begin:%H:%M:%S}" for name, begin in begins.items()))
P
)
expect "where the interval of 12:00:00 begins" "$seen" "60 s: duckdb 12:00:00, \
datafusion 12:00:00, polars 12:00:00, pandas floor 12:00:00, pandas resample 12:00:00, with a row of the day before 12:00:00
7 s: duckdb 11:59:55, \
datafusion 11:59:59, polars 11:59:59, pandas floor 11:59:59, pandas resample 11:59:57, with a row of the day before 11:59:58
18000 s: duckdb 11:00:00, \
datafusion 10:00:00, polars 10:00:00, pandas floor 10:00:00, pandas resample 10:00:00, with a row of the day before 11:00:00"
