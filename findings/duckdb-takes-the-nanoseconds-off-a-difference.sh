#!/usr/bin/env bash
# DuckDB has TIMESTAMP_NS, reads it from Parquet and Arrow, compares it and shows all nine digits. The guess is that a difference of two has them too,
# as it has in Polars and DataFusion. It is an INTERVAL, which counts microseconds: a run time or wait of less than that becomes 0 or 1 us. Which
# one depends on the road: a difference is rounded (999 ns are 1 us, 400 ns are 0), a duration in nanoseconds that comes by Arrow is
# cut (999 ns are 0). So the mean of any number of slices of 400 ns is 0, one column by two roads differs by a microsecond a row, and
# b - a = interval '1 microsecond' holds where b is not a + interval '1 microsecond'. No error, no warning. epoch_ns(b) - epoch_ns(a) is exact,
# and so is a column of plain integers.
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"

python polars==2.1.0 duckdb==2.0.1 pyarrow==26.0.1 datafusion==55.0.0
seen=$("$python" - <<'P'
import datafusion, duckdb, polars, pyarrow

START = 1700000000_000000000
for slice_ns in (400, 999):
    slices = pyarrow.table({
        "a": pyarrow.array([START], pyarrow.timestamp("ns")),
        "b": pyarrow.array([START + slice_ns], pyarrow.timestamp("ns")),
        "d": pyarrow.array([slice_ns], pyarrow.duration("ns")),
    })
    stamps, difference, duration, exact, equal, same = duckdb.sql(
        "select typeof(b), b - a, d, epoch_ns(b) - epoch_ns(a), b - a = interval '1 microsecond', "
        "b = a + interval '1 microsecond' from slices").fetchall()[0]
    context = datafusion.SessionContext()
    context.from_arrow(slices, name="slices")
    others = (polars.from_arrow(slices).select((polars.col("b") - polars.col("a")).dt.total_nanoseconds()).item(),
              context.sql("select b - a as d from slices").to_arrow_table()["d"].cast(pyarrow.int64())[0])
    print(f"{slice_ns} ns, duckdb: {stamps}, difference {difference.microseconds} us, duration {duration.microseconds} us,",
          f"epoch_ns {exact} ns, 1 us: {equal} and {same}; polars {others[0]} ns, datafusion {others[1]} ns")
P
)
expect "differences" "$seen" "400 ns, duckdb: TIMESTAMP_NS, difference 0 us, duration 0 us, epoch_ns 400 ns, 1 us: False and False; polars 400 ns, datafusion 400 ns
999 ns, duckdb: TIMESTAMP_NS, difference 1 us, duration 0 us, epoch_ns 999 ns, 1 us: True and False; polars 999 ns, datafusion 999 ns"
