#!/usr/bin/env bash
# A dictionary is an encoding one expects never to lose much: a writer gives it up where it does not pay. pyarrow (Parquet C++) and DataFusion (the crate
# parquet) give it up only when the dictionary page is full, at 1 MiB, which is 131,072 numbers of 64 bits; whether values repeat is not
# asked. So a column of distinct numbers (cookies, addresses, absolute times in ns) is written as a dictionary of all of them, plain, and 16 or 17 bits
# for each row besides: a quarter larger than with no encoding, and no compression takes that back. A million rows hide it (3 %), the many small
# files of a fleet do not. DuckDB and Polars look first, and write such a column plain.
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"

python pyarrow==26.0.1 polars==2.1.0 duckdb==2.0.1 datafusion==55.0.0
seen=$(cd "$work" && "$python" - <<'P'
import random
from pathlib import Path
import datafusion, duckdb, polars, pyarrow, pyarrow.parquet

random.seed(1)
for rows in (100_000, 1_000_000):
    numbers = pyarrow.table({"cookie": pyarrow.array((random.getrandbits(63) for _ in range(rows)), pyarrow.int64())})
    context = datafusion.SessionContext()
    context.from_arrow(numbers, name="t")
    written = {
        "pyarrow": lambda path: pyarrow.parquet.write_table(numbers, path, compression="zstd"),
        "datafusion": lambda path: context.sql(
            f"copy t to '{path}' stored as parquet options ('format.compression' 'zstd(1)')").collect(),
        "polars": lambda path: polars.from_arrow(numbers).write_parquet(path, compression="zstd"),
        "duckdb": lambda path: duckdb.sql(f"copy (from numbers) to '{path}' (compression zstd)"),
    }
    for engine, write in written.items():
        path = Path(f"{engine}-{rows}.parquet")
        write(path)
        print(f"{rows} rows by {engine}: {path.stat().st_size / (8 * rows):.2f} of the numbers themselves")
P
)
expect "size, by zstd" "$seen" "100000 rows by pyarrow: 1.24 of the numbers themselves
100000 rows by datafusion: 1.25 of the numbers themselves
100000 rows by polars: 1.00 of the numbers themselves
100000 rows by duckdb: 1.00 of the numbers themselves
1000000 rows by pyarrow: 1.03 of the numbers themselves
1000000 rows by datafusion: 1.03 of the numbers themselves
1000000 rows by polars: 1.00 of the numbers themselves
1000000 rows by duckdb: 1.00 of the numbers themselves"
