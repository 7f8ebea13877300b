#!/usr/bin/env bash
# One Parquet file, one signed 64-bit column, SUM over it: 2^62 ns three times (146 years each, as absolute time stamps of a few rows have
# together). DuckDB answers with 128 bits and is right. pyarrow, Polars and DataFusion wrap around without an error or a
# warning, and say -2^62; all four agree about the mean, which is made of floating point. So a check that the sums of several
# engines are equal fails for a column of instants, and a check by three of them passes with a wrong number.
set -euo pipefail
cannot() {
    printf 'SKIP: %s\n' "$*"
    exit 77
}
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
python3 -m venv "$work/venv" || cannot "python3 has no venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
    pyarrow==26.0.1 polars==2.1.0 duckdb==2.0.1 datafusion==55.0.0 ||
    cannot "the four engines cannot be installed"
"$work/venv/bin/python" - "$work/sum.parquet" <<'P'
import sys
import datafusion, duckdb, polars, pyarrow, pyarrow.compute, pyarrow.parquet

path = sys.argv[1]
column = pyarrow.array([1 << 62] * 3, pyarrow.int64())
pyarrow.parquet.write_table(pyarrow.table({"ts_ns": column}), path)
context = datafusion.SessionContext()
context.register_parquet("t", path)
seen = {
    f"duckdb {duckdb.__version__}": duckdb.sql(f"select sum(ts_ns) from '{path}'").fetchall()[0][0],
    f"pyarrow {pyarrow.__version__}": pyarrow.compute.sum(column).as_py(),
    f"polars {polars.__version__}": polars.read_parquet(path)["ts_ns"].sum(),
    f"datafusion {datafusion.__version__}": context.sql("select sum(ts_ns) as s from t").to_pydict()["s"][0],
}
exact, wrapped = 3 << 62, -(1 << 62)
print("exact", exact)
for engine, answer in seen.items():
    print(engine, answer)
expected = [exact, wrapped, wrapped, wrapped]
if list(seen.values()) != expected:
    sys.exit(f"CHANGED: was {expected}")
P
