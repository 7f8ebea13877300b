#!/usr/bin/env bash
# Counters are unsigned in many a Parquet file (UINT_64), and "received minus entitled" is below 0 for every second task. A difference of two such columns is
# an error in DuckDB. In Polars, DataFusion, pyarrow and pandas it is 18446744073709551615 instead of -1, without a word, so that
# one row decides every sum, mean and maximum. And within one library it depends on how it is asked for: the difference of a row to the one
# before it (diff) is -1 in Polars, which takes a signed type for it, while pandas first wraps around and then makes floating point of that,
# 1.8e19, which no longer looks like an overflow, and pyarrow's pairwise_diff does as its subtract.
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"

python pandas==3.1.1 polars==2.1.0 duckdb==2.0.1 pyarrow==26.0.1 datafusion==55.0.0
seen=$("$python" - <<'P'
import datafusion, duckdb, polars, pyarrow, pyarrow.compute

columns = pyarrow.table({"a": pyarrow.array([2, 1], pyarrow.uint64()), "b": pyarrow.array([1, 2], pyarrow.uint64())})
frame, pandas_frame = polars.from_arrow(columns), columns.to_pandas()
context = datafusion.SessionContext()
context.from_arrow(columns, name="t")
try:
    print("duckdb:", duckdb.sql("select a - b from columns").fetchall())
except duckdb.OutOfRangeException:
    print("duckdb: an error")
print("datafusion:", context.sql("select a - b as d from t").to_pydict()["d"][1])
print("polars:", (frame["a"] - frame["b"])[1], "and by diff", frame["a"].diff()[1])
print("pandas:", (pandas_frame["a"] - pandas_frame["b"])[1], "and by diff", pandas_frame["a"].diff()[1])
print("pyarrow:", pyarrow.compute.subtract(columns["a"], columns["b"])[1], "and by pairwise_diff",
      pyarrow.compute.pairwise_diff(columns["a"].combine_chunks())[1])
P
)
expect "1 - 2" "$seen" "duckdb: an error
datafusion: 18446744073709551615
polars: 18446744073709551615 and by diff -1
pandas: 18446744073709551615 and by diff 1.8446744073709552e+19
pyarrow: 18446744073709551615 and by pairwise_diff 18446744073709551615"
