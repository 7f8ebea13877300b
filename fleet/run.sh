#!/usr/bin/env bash
# Questions to a fleet: a synthetic one is made, and DuckDB and a Spark cluster of a master and two workers answer the same SQL.
#
# fleet/run.sh demo [HOSTS [HOURS]]   a fleet (10 hosts, 1 hour), and the answers of DuckDB
# fleet/run.sh test [HOSTS [HOURS]]   the answers beside those of a second method; then the same fleet with Spark: row for row, and
#                                     sums as five readers have them
# fleet/run.sh bench [HOURS [HOSTS...]]   fleets of 10, 100 and 1,000 hosts, 1 hour each: how time and bytes read grow
# fleet/run.sh clean                  remove what was made and installed
#
# Python packages go into a virtual environment under target/fleet. Everything listens on loopback.
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
work=${TOMBOLA_FLEET_DIR:-${CARGO_TARGET_DIR:-$root/target}/fleet}
python=$work/venv/bin/python
profile=${TOMBOLA_FLEET_PROFILE:-release}
spawned=()

say() { printf '%s\n' "$*"; }
die() {
    printf 'fleet: %s\n' "$*" >&2
    exit 1
}

ended() {
    local pid
    for pid in "${spawned[@]}"; do
        kill -TERM "$pid" 2>/dev/null || true
    done
    wait
}
trap ended EXIT

packages() {
    [[ -x $python ]] || python3 -m venv "$work/venv" || die "python3 with venv is needed: apt-get install python3-venv"
    "$python" -c "import $(tr ' ' ',' <<<"$*")" 2>/dev/null ||
        "$python" -m pip install --quiet --disable-pip-version-check "$@" || die "pip could not install: $*"
}

java_there() {
    command -v java >/dev/null && return
    if ((EUID != 0)) || ! command -v apt-get >/dev/null; then
        die "Spark needs Java 17 or later: apt-get install default-jre-headless"
    fi
    apt-get install -y --no-install-recommends default-jre-headless >"$work/apt.log" 2>&1 || die "no Java, see $work/apt.log"
}

generate() {
    local hosts=$1 hours=$2
    data=$work/data-$hosts-$hours
    [[ -e $data.done ]] && return
    rm -rf -- "$data"
    (cd -- "$root" && cargo build --quiet --profile "$profile" -p tombola-history --example fleet) || die "the generator could not be built"
    local built=$profile
    [[ $built != dev ]] || built=debug
    "${CARGO_TARGET_DIR:-$root/target}/$built/examples/fleet" "$data" "$hosts" "$hours"
    : >"$data.done"
}

# A line of a log that tells where something listens.
heard() {
    local file=$1 pattern=$2 tries
    for ((tries = 0; tries < 3000; tries++)); do
        grep -qE "$pattern" "$file" 2>/dev/null && grep -oE "$pattern" "$file" | head -n 1 && return
        sleep 0.1
    done
    die "not within 5 min: $pattern in $file"
}

cluster() {
    local home each
    home=$("$python" -c 'import pyspark, os; print(os.path.dirname(pyspark.__file__))')
    export SPARK_HOME=$home SPARK_LOCAL_IP=127.0.0.1 PYSPARK_PYTHON=$python SPARK_NO_DAEMONIZE=1
    "$home/bin/spark-class" org.apache.spark.deploy.master.Master --host 127.0.0.1 --port 0 --webui-port 0 >"$work/master.log" 2>&1 &
    spawned+=($!)
    master=$(heard "$work/master.log" 'spark://127\.0\.0\.1:[0-9]+')
    for each in 1 2; do
        "$home/bin/spark-class" org.apache.spark.deploy.worker.Worker --host 127.0.0.1 --webui-port 0 --cores 1 --memory 1g \
            --work-dir "$work/worker$each" "$master" >"$work/worker$each.log" 2>&1 &
        spawned+=($!)
        heard "$work/worker$each.log" 'Successfully registered with master' >/dev/null
    done
    say "Spark: master at $master, two workers"
}

main() {
    local verb=${1:-} data='' master='' hours hosts fleets=()
    (($# == 0)) || shift
    mkdir -p -- "$work"
    case $verb in
    demo)
        packages duckdb
        generate "${1:-10}" "${2:-1}"
        "$python" "$root/fleet/compare.py" "$data"
        ;;
    test)
        packages duckdb pyarrow polars datafusion pyspark
        java_there
        (cd -- "$root" && PATH=$work/venv/bin:$PATH cargo test --quiet -p tombola --test query) || die "a question has another answer"
        generate "${1:-10}" "${2:-1}"
        cluster
        "$python" "$root/fleet/compare.py" "$data" --spark "$master" --readers
        ;;
    bench)
        packages duckdb pyspark
        java_there
        hours=${1:-1}
        (($# == 0)) || shift
        (($# > 0)) || set -- 10 100 1000
        for hosts in "$@"; do
            generate "$hosts" "$hours"
            fleets+=("$data")
        done
        cluster
        "$python" "$root/fleet/bench.py" --spark "$master" "${fleets[@]}"
        ;;
    clean) rm -rf -- "$work" ;;
    *)
        sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"
        exit 2
        ;;
    esac
}

main "$@"
