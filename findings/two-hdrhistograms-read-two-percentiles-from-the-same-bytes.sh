#!/usr/bin/env bash
# HdrHistogram is one data structure with many ports, whose encoded form they share so that one records and another reads. One expects the same
# percentiles from the same bytes. The ports find the rank of a percentile in two ways: the one in Python adds a half and cuts, the one in JavaScript
# takes the next whole rank above. So of 60 waits, one of them 1000 us and the others 1 us, p99 is 1 us in Python and 1000 us in JavaScript: in short
# intervals (51 to 99 waits) p99 is the second worst or the worst by who reads, and of a thousand waits p99.94 differs by a factor of a million. p100 and the
# maximum of both are the upper end of the bucket, above any wait there was. And of a wait beyond the range record_value() of Python returns False and
# counts nothing, which as a statement of its own makes a histogram without its worst waits, where JavaScript throws. What helps: one reader for all
# figures that are compared, a maximum kept beside, and a look at what record_value() returns.
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"
command -v npm >/dev/null || cannot "npm is not installed"

python hdrhistogram==0.10.8
npm install --silent --no-audit --no-fund --prefix "$work" hdr-histogram-js@3.0.1 >"$work/said" 2>&1 || cannot "the package of npm cannot be installed"
echo hdr-histogram-js@3.0.1
cat >"$work/read.js" <<'J'
const hdr = require("hdr-histogram-js");
require("readline").createInterface({ input: process.stdin }).on("line", (line) => {
  const [percentiles, encoded] = line.split(" ");
  const histogram = hdr.decodeFromCompressedBase64(encoded);
  const read = percentiles.split(",").map((percentile) => `p${percentile} ${histogram.getValueAtPercentile(Number(percentile))}`);
  console.log(`JavaScript, ${histogram.totalCount}: ${read.join(" ")} max ${histogram.maxValue}`);
});
const narrow = hdr.build({ lowestDiscernibleValue: 1, highestTrackableValue: 1000000, autoResize: false });
try {
  narrow.recordValue(5000000);
  console.log("JavaScript, beyond the range:", narrow.totalCount);
} catch (error) {
  console.log("JavaScript, beyond the range:", error.constructor.name);
}
J
cat >"$work/write.py" <<'P'
import sys

from hdrh.histogram import HdrHistogram

narrow = HdrHistogram(1, 1000000, 3)
print("Python, beyond the range:", narrow.record_value(5000000), narrow.get_total_count())
for waits, percentiles in ([1] * 999 + [1000000], "99.9,99.94,100"), ([1] * 59 + [1000], "50,99,100"):
    histogram = HdrHistogram(1, 3600000000, 3)
    for wait in waits:
        histogram.record_value(wait)
    read = " ".join(f"p{percentile} {histogram.get_value_at_percentile(float(percentile))}" for percentile in percentiles.split(","))
    print(f"Python, {histogram.get_total_count()}: {read} max {histogram.get_max_value()}")
    print(percentiles, histogram.encode().decode(), file=sys.stderr)
P
seen=$("$python" "$work/write.py" 2>"$work/encoded" && node "$work/read.js" <"$work/encoded")
expect "the same histograms by both" "$seen" "Python, beyond the range: False 0
Python, 1000: p99.9 1 p99.94 1 p100 1000447 max 1000447
Python, 60: p50 1 p99 1 p100 1000 max 1000
JavaScript, beyond the range: Error
JavaScript, 1000: p99.9 1 p99.94 1000447 p100 1000447 max 1000447
JavaScript, 60: p50 1 p99 1000 p100 1000 max 1000"
