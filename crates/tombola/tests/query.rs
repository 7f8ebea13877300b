//! The shipped questions, asked of a small fleet by `DuckDB`: the answers are those of a second method, which
//! looks at the rows one by one and knows no SQL, and no clause of a question can be altered without the
//! answers parting.
#![allow(clippy::unwrap_used)] // the functions the tests share are no #[test] themselves

mod common;

use common::ok;
use common::program::run;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use tempfile::TempDir;
use tombola_history::file::{About, Writer};
use tombola_history::place;
use tombola_history::row::Row;
use tombola_history::schema::{Int, Text};

const SECOND: i64 = 1_000_000_000;
const MS: i64 = 1_000_000;

/// Names of groups in a fleet.
const NAMES: i64 = 480;

/// Hosts, and groups on each: more than any question lists, and fewer, where what a question leaves out is
/// not beyond its limit anyway.
const FLEETS: [(i64, i64); 2] = [(120, 8), (5, 20)];

/// Rows of a fleet, by host. Values are few, so that there are equal ones for every order; what may be null
/// is so here and there; rows of other levels hold what would change each sum.
fn fleet(hosts: i64, groups: i64) -> Vec<(String, Vec<Row>)> {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    // A name of digits is a name.
    let host = |n| if n == 7 { "007".to_owned() } else { format!("host-{n}") };
    (0..hosts).map(|n| (host(n), rows_of(n, &host(n), groups, &mut random))).collect()
}

fn rows_of(n: i64, host: &str, groups: i64, random: &mut ChaCha8Rng) -> Vec<Row> {
    let mut rows = Vec::new();
    for interval in 1..=3 {
        let plain = |level: &str| {
            let mut row = Row::default();
            row.set(Int::Ts, (1_000 + interval) * SECOND);
            row.set(Int::Interval, SECOND);
            for (column, text) in [(Text::Host, host), (Text::Boot, "b00t"), (Text::Level, level)] {
                row.set_text(column, text.into());
            }
            row
        };
        let (mut machine, mut cpu) = (plain("machine"), plain("cpu"));
        machine.set(Int::Wall, 2 * SECOND);
        cpu.set(Int::Wall, SECOND);
        // The bits of a host's number are what it may lose.
        for (column, may, value) in [
            (Int::Untracked, n & 1 > 0, 3_333_337),
            (Int::Unseen, n & 2 > 0, 7 * MS),
            (Int::MapFull, n & 4 > 0, 2),
            (Int::GroupsFull, n % 5 == 0, 1),
        ] {
            machine.set(column, if may { value * random.random_range(0..=1) } else { 0 });
        }
        rows.extend([machine, cpu]);
        for k in 0..groups {
            let mut group = plain("group");
            fill(&mut group, (5 * n + k) % NAMES, random);
            let mut process = group.clone();
            process.set_text(Text::Level, "process".into());
            rows.extend([group, process]);
        }
    }
    rows
}

fn fill(row: &mut Row, name: i64, random: &mut ChaCha8Rng) {
    let mut one = |values: &[i64]| values[random.random_range(0..values.len())] * MS;
    let run_ns = one(&[0, 100, 200, 400, 900]);
    let wait_ns = if name % 3 == 0 { one(&[0, 4, 20]) } else { one(&[0, 50, 100, 200, 400]) };
    let (other_ns, denied_ns, undivided_ns) =
        (wait_ns / 4, one(&[0, 0, 50, 100]).min(wait_ns), one(&[0, 10]));
    for (column, value) in [
        (Int::Run, run_ns),
        (Int::Wait, wait_ns),
        (Int::WaitOther, other_ns),
        (Int::WaitThrottled, wait_ns / 2),
    ] {
        row.set(column, value);
    }
    // More than what was due, where the run time is that of others.
    let ahead_ns = one(&[0, 0, 0, 300, 700]);
    if random.random_bool(0.9) {
        row.set(Int::Denied, denied_ns + ahead_ns);
    }
    if random.random_bool(0.9) {
        row.set(Int::Undivided, undivided_ns.min(run_ns));
    }
    row.set(Int::Weight, [512, 1024, 2048][usize::try_from(name / 3 % 3).unwrap()]);
    row.set(Int::GroupId, name + 2);
    if name % 4 < 2 {
        row.set(Int::Period, 100 * MS);
        row.set(Int::Quota, if name % 2 == 0 { 50 * MS } else { 100 * MS });
        row.set(Int::Throttles, [0, 0, 3][random.random_range(0..3)]);
        row.set(Int::Throttled, row.int(Int::Throttles).unwrap() * 10 * MS);
    }
    if name % 11 == 0 {
        return; // nobody can name it
    }
    row.set_text(Text::Name, format!("name-{name}").into());
    if name % 19 != 0 {
        row.set_text(Text::Pod, format!("pod-{}", name % 420).into());
        let spaces: [(Text, &str, i64); 2] = [(Text::Namespace, "space", 7), (Text::Container, "box", 5)];
        for (column, text, count) in spaces {
            if name % count > 0 {
                row.set_text(column, format!("{text}-{}", name % count).into());
            }
        }
    }
}

fn write(dir: &Path, fleet: &[(String, Vec<Row>)]) {
    for (host, rows) in fleet {
        let path = place::sealed_path(dir, host, 1_000_000_000, 1_003_000_000, "b00t");
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let about = About { host: host.clone(), boot: "b00t".to_owned(), release: "0".to_owned() };
        let mut writer = Writer::create(&path, &about).unwrap();
        for interval in rows.chunk_by(|a, b| a.int(Int::Ts) == b.int(Int::Ts)) {
            writer.add(interval.to_vec()).unwrap();
        }
        writer.finish().unwrap();
    }
}

/// What a question asks of a row, without SQL.
struct Seen<'r>(&'r Row);

impl Seen<'_> {
    fn text(&self, column: Text) -> Option<Arc<str>> {
        self.0.text(column).cloned()
    }
    fn host(&self) -> Arc<str> {
        self.text(Text::Host).unwrap()
    }
    fn int(&self, column: Int) -> Option<i128> {
        self.0.int(column).map(i128::from)
    }
    fn run_ns(&self) -> i128 {
        self.int(Int::Run).unwrap_or(0)
    }
    fn lag_ns(&self) -> Option<i128> {
        Some(self.int(Int::Wait)? - self.int(Int::Denied)?)
    }
    fn entitled_ns(&self) -> Option<i128> {
        Some(self.int(Int::Run)? - self.int(Int::Undivided)? + self.lag_ns()?)
    }
    fn contention_ns(&self) -> i128 {
        self.int(Int::Wait).unwrap()
            - self.int(Int::WaitThrottled).unwrap()
            - self.int(Int::WaitOther).unwrap()
    }
}

/// A text that may be null, which comes last.
type Key = (bool, Option<Arc<str>>);

fn last(text: Option<Arc<str>>) -> Key {
    (text.is_none(), text)
}

fn shown(key: &Key) -> String {
    key.1.as_deref().unwrap_or_default().to_owned()
}

/// The rows for which `is_asked` holds, gathered by `key`: each is looked for among all.
fn gathered<'r, K: Ord + Clone>(
    rows: &'r [Row],
    level: &str,
    is_asked: impl Fn(&Seen<'r>) -> bool,
    key: impl Fn(&Seen<'r>) -> K,
) -> Vec<(K, Vec<Seen<'r>>)> {
    let asked: Vec<(K, &'r Row)> = rows
        .iter()
        .filter(|row| row.level() == level && is_asked(&Seen(row)))
        .map(|row| (key(&Seen(row)), row))
        .collect();
    let keys: BTreeSet<K> = asked.iter().map(|(key, _)| key.clone()).collect();
    let of = |each: &K| asked.iter().filter(|(key, _)| key == each).map(|(_, row)| Seen(row)).collect();
    keys.into_iter().map(|key| (key.clone(), of(&key))).collect()
}

fn sum<'r>(rows: &[Seen<'r>], value: impl Fn(&Seen<'r>) -> Option<i128>) -> i128 {
    rows.iter().filter_map(value).sum()
}

fn hosts(rows: &[Seen<'_>]) -> usize {
    rows.iter().map(Seen::host).collect::<BTreeSet<_>>().len()
}

type Table = Vec<Vec<String>>;

macro_rules! cells {
    ($($cell:expr),* $(,)?) => { vec![$($cell.to_string()),*] };
}

fn owed(rows: &[Row]) -> Table {
    let is_asked = |row: &Seen<'_>| row.entitled_ns().is_some_and(|ns| ns > 0);
    let of = gathered(rows, "group", is_asked, |row| (row.host(), last(row.text(Text::Name))));
    let mut found: Vec<_> = of
        .iter()
        .map(|(key, rows)| (sum(rows, Seen::lag_ns), sum(rows, Seen::entitled_ns), key))
        .filter(|(owed_ns, ..)| *owed_ns > 0)
        .collect();
    found.sort_by_key(|(owed_ns, _, key)| (Reverse(*owed_ns), *key));
    let cells = |(owed_ns, entitled_ns, (host, name)): (i128, i128, &(Arc<str>, Key))| {
        cells![host, shown(name), owed_ns, entitled_ns, (1000 * owed_ns).div_euclid(entitled_ns)]
    };
    found.into_iter().take(50).map(cells).collect()
}

fn neighbours(rows: &[Row]) -> Table {
    let is_asked = |row: &Seen<'_>| row.entitled_ns().is_some();
    let key = |row: &Seen<'_>| (row.host(), row.int(Int::Ts), last(row.text(Text::Name)));
    let of_group: Vec<_> = gathered(rows, "group", is_asked, key)
        .into_iter()
        .map(|((host, ts, name), rows)| (host, ts, name, sum(&rows, Seen::lag_ns)))
        .collect();
    let owed_there = |host: &Arc<str>, ts: Option<i128>| -> i128 {
        of_group.iter().filter(|other| other.0 == *host && other.1 == ts).map(|other| other.3.max(0)).sum()
    };
    let ahead: Vec<_> = of_group
        .iter()
        .filter(|(host, ts, _, lag)| *lag < 0 && owed_there(host, *ts) > 100_000_000)
        .collect();
    let names: BTreeSet<&Key> = ahead.iter().map(|(_, _, name, _)| name).collect();
    let mut found: Vec<_> = names
        .into_iter()
        .map(|name| {
            let its: Vec<_> = ahead.iter().filter(|row| row.2 == *name).collect();
            let hosts = its.iter().map(|row| &row.0).collect::<BTreeSet<_>>().len();
            (-its.iter().map(|row| row.3).sum::<i128>(), hosts, its.len(), name)
        })
        .collect();
    found.sort_by_key(|(ahead_ns, _, _, name)| (Reverse(*ahead_ns), *name));
    let cells = |(ahead_ns, hosts, intervals, name): (i128, usize, usize, &Key)| {
        cells![shown(name), hosts, intervals, ahead_ns]
    };
    found.into_iter().take(50).map(cells).collect()
}

fn weights(rows: &[Row]) -> Table {
    let is_asked = |row: &Seen<'_>| row.int(Int::Weight) != Some(1024) && row.run_ns() > 0;
    let of =
        gathered(rows, "group", is_asked, |row| (last(row.text(Text::Name)), row.int(Int::Weight).unwrap()));
    let mut found: Vec<_> = of
        .iter()
        .map(|(key, rows)| {
            (
                sum(rows, |row| Some(row.run_ns())),
                sum(rows, |row| Some(row.contention_ns())),
                hosts(rows),
                key,
            )
        })
        .filter(|(run_ns, contention_ns, ..)| contention_ns * 100 < *run_ns)
        .collect();
    found.sort_by_key(|(run_ns, _, _, key)| (Reverse(*run_ns), *key));
    let cells = |(run_ns, contention_ns, hosts, (name, weight)): (i128, i128, usize, &(Key, i128))| {
        cells![shown(name), weight, hosts, run_ns, contention_ns]
    };
    found.into_iter().take(50).map(cells).collect()
}

fn quotas(rows: &[Row]) -> Table {
    let is_asked = |row: &Seen<'_>| row.int(Int::Period).is_some_and(|ns| ns > 0);
    let of = gathered(rows, "group", is_asked, |row| (row.host(), last(row.text(Text::Name))));
    let allowed = |row: &Seen<'_>| {
        Some(row.int(Int::Interval)? * row.int(Int::Quota)? / row.int(Int::Period)?) // periods divide intervals here
    };
    let mut found: Vec<_> = of
        .iter()
        .map(|(key, rows)| {
            let of = |column| sum(rows, |row| row.int(column));
            (of(Int::Throttled), of(Int::Throttles), of(Int::Run), sum(rows, allowed), key)
        })
        .filter(|(_, throttles, run_ns, allowed_ns, _)| *throttles > 0 && 10 * run_ns < 8 * allowed_ns)
        .collect();
    found.sort_by_key(|(throttled_ns, .., key)| (Reverse(*throttled_ns), *key));
    let found = found.into_iter().take(50);
    found
        .map(|(throttled_ns, throttles, run_ns, allowed_ns, (host, name))| {
            cells![host, shown(name), throttles, throttled_ns, 1000 * run_ns / allowed_ns]
        })
        .collect()
}

fn deploys(rows: &[Row]) -> Table {
    let is_asked = |row: &Seen<'_>| row.text(Text::Pod).is_some() && row.run_ns() > 0;
    let key =
        |row: &Seen<'_>| [Text::Namespace, Text::Container, Text::Pod].map(|column| last(row.text(column)));
    let of = gathered(rows, "group", is_asked, key);
    let mut found: Vec<_> = of
        .iter()
        .map(|(key, rows)| (rows.iter().filter_map(|row| row.int(Int::Ts)).min().unwrap(), key, rows))
        .collect();
    found.sort_by_key(|(first, [namespace, container, pod], _)| (namespace, container, *first, pod));
    let found = found.into_iter().take(200);
    found
        .map(|(first, [namespace, container, pod], rows)| {
            let run_ns = sum(rows, |row| row.int(Int::Run));
            let per_second = |ns: i128| (1000 * ns).div_euclid(run_ns);
            let wait = per_second(sum(rows, |row| row.int(Int::Wait)));
            // Null where no row tells.
            let is_told = rows.iter().any(|row| row.lag_ns().is_some());
            let owed = if is_told { per_second(sum(rows, Seen::lag_ns)).to_string() } else { String::new() };
            cells![shown(namespace), shown(container), shown(pod), first, hosts(rows), run_ns, wait, owed]
        })
        .collect()
}

fn loss(rows: &[Row]) -> Table {
    let mut found: Vec<_> = gathered(rows, "machine", |_| true, Seen::host)
        .into_iter()
        .map(|(host, rows)| {
            let of = |column| sum(&rows, |row| row.int(column));
            let lost = [Int::Untracked, Int::Unseen, Int::MapFull, Int::GroupsFull].map(of);
            (lost, of(Int::Wall), host)
        })
        .filter(|(lost, ..)| lost.iter().any(|lost| *lost > 0))
        .collect();
    found.sort_by_key(|([untracked_ns, unseen_ns, ..], _, host)| {
        (Reverse(*untracked_ns), Reverse(*unseen_ns), host.clone())
    });
    let found = found.into_iter().take(100);
    found
        .map(|([untracked_ns, unseen_ns, map_full, groups_full], wall_ns, host)| {
            let remedy = match (map_full, unseen_ns) {
                (1.., _) => "load --max-tasks with a larger number",
                (_, 1..) => "the kernel hides switches: docs/troubleshooting.md",
                _ => "see tombola status",
            };
            let ppm = 1_000_000 * untracked_ns / wall_ns;
            cells![host, untracked_ns, unseen_ns, map_full, groups_full, ppm, remedy]
        })
        .collect()
}

/// A question, the second method, and what is altered of its SQL, after which the two must part.
type Question = (&'static str, fn(&[Row]) -> Table, &'static [(&'static str, &'static str)]);

const QUESTIONS: [Question; 6] = [
    (
        "owed",
        owed,
        &[
            ("level = 'group'", "level <> 'machine'"),
            ("entitled_ns > 0", "entitled_ns > 500000000"),
            ("HAVING SUM(lag_ns) > 0", ""),
            ("SUM(lag_ns) AS owed_ns", "SUM(wait_ns) AS owed_ns"),
            ("SUM(entitled_ns) AS", "SUM(received_ns) AS"),
            ("FLOOR", "CEIL"),
            ("owed_ns DESC, host", "owed_ns, host"),
            ("DESC, host, name", "DESC, host DESC, name"),
            ("host, name NULLS LAST", "host, name NULLS FIRST"),
            ("host, name NULLS LAST", "host, name DESC NULLS LAST"),
            ("LIMIT 50", "LIMIT 49"),
        ],
    ),
    (
        "neighbours",
        neighbours,
        &[
            ("level = 'group'", "level <> 'machine'"),
            (" AND entitled_ns IS NOT NULL", ""),
            ("GROUP BY host, ts_ns, name", "GROUP BY host, ts_ns, name, pod, group_id"),
            ("WHERE lag_ns > 0 GROUP", "GROUP"),
            ("COUNT(DISTINCT of_group.host)", "COUNT(of_group.host)"),
            ("COUNT(*) AS", "COUNT(DISTINCT of_group.ts_ns) AS"),
            (" AND of_group.ts_ns = owed.ts_ns", ""),
            ("of_group.host = owed.host AND ", ""),
            ("of_group.lag_ns < 0 AND ", ""),
            ("> 100000000", "> 200000000"),
            ("ahead_ns DESC", "ahead_ns"),
            ("of_group.name NULLS", "of_group.name DESC NULLS"),
            ("LIMIT 50", "LIMIT 49"),
        ],
    ),
    (
        "weights",
        weights,
        &[
            ("level = 'group'", "level <> 'machine'"),
            ("weight <> 1024 AND ", ""),
            (" AND run_ns > 0", ""),
            ("COUNT(DISTINCT host)", "COUNT(host)"),
            ("SUM(wait_contention_ns) AS", "SUM(wait_ns) AS"),
            ("* 100 <", "* 200 <"),
            ("run_ns DESC", "run_ns"),
            ("DESC, name", "DESC, name DESC"),
            ("LIMIT 50", "LIMIT 49"),
        ],
    ),
    (
        "quotas",
        quotas,
        &[
            ("level = 'group'", "level <> 'machine'"),
            ("SUM(throttles) > 0 AND ", ""),
            (" AND SUM(run_ns) < 8e-1 * SUM(1e0 * interval_ns * quota_ns / period_ns)", ""),
            ("< 8e-1", "<= 8e-1"),
            ("8e-1", "7e-1"),
            ("FLOOR(1e3", "FLOOR(1e2"),
            ("throttled_ns DESC", "throttled_ns"),
            ("DESC, host", "DESC, host DESC"),
            ("LIMIT 50", "LIMIT 49"),
        ],
    ),
    (
        "deploys",
        deploys,
        &[
            ("level = 'group'", "level <> 'machine'"),
            (" AND pod IS NOT NULL", ""),
            (" AND run_ns > 0", " AND run_ns > 100000000"),
            ("MIN(ts_ns)", "MAX(ts_ns)"),
            ("COUNT(DISTINCT host)", "COUNT(host)"),
            ("FLOOR(1e3 * SUM(wait_ns)", "CEIL(1e3 * SUM(wait_ns)"),
            ("FLOOR(1e3 * SUM(lag_ns)", "CEIL(1e3 * SUM(lag_ns)"),
            ("GROUP BY namespace, container, pod", "GROUP BY namespace, container, pod, name"),
            ("ORDER BY namespace NULLS LAST", "ORDER BY namespace NULLS FIRST"),
            (", container NULLS LAST", ", container NULLS FIRST"),
            ("first_ts_ns, pod\n", "first_ts_ns DESC, pod\n"),
            ("first_ts_ns, pod\n", "first_ts_ns, pod DESC\n"),
            ("LIMIT 200", "LIMIT 199"),
        ],
    ),
    (
        "loss",
        loss,
        &[
            ("level = 'machine'", "level <> 'process'"),
            ("1e6", "1e5"),
            ("WHEN SUM(map_full) > 0", "WHEN SUM(map_full) > 2"),
            ("WHEN SUM(unseen_ns) > 0", "WHEN SUM(unseen_ns) > 7000000"),
            ("HAVING SUM(untracked_ns) + ", "HAVING "),
            ("+ SUM(unseen_ns) ", ""),
            ("+ SUM(map_full) ", ""),
            (" + SUM(groups_full)", ""),
            ("untracked_ns DESC", "untracked_ns"),
            ("unseen_ns DESC", "unseen_ns"),
            ("DESC, host", "DESC, host DESC"),
            ("LIMIT 100", "LIMIT 99"),
        ],
    ),
];

/// Whoever answers questions in SQL here, one after the other, after what sets them up; `None` where `DuckDB`
/// is not installed. It is looked for as `tombola query` looks for it.
fn duckdb() -> Option<Ask> {
    const PYTHON: &str = "import csv, sys, duckdb\nduckdb.execute(sys.argv[1])\n\
        out = csv.writer(sys.stdout, lineterminator='\\n')\n\
        for sql in sys.argv[2:]: out.writerows(duckdb.execute(sql).fetchall())";
    let is_there = |program: &str, arguments: &[&str]| {
        let status =
            Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    if is_there("duckdb", &["--version"]) {
        Some(|setup, questions| {
            let mut duckdb = Command::new("duckdb");
            duckdb.args(["-csv", "-noheader", "-c", setup]);
            for sql in questions {
                duckdb.args(["-c", sql, "-c", BETWEEN]);
            }
            tables(&ok(&duckdb.output().unwrap()))
        })
    } else if is_there("python3", &["-c", "import duckdb"]) {
        Some(|setup, questions| {
            let mut python = Command::new("python3");
            python.args(["-c", PYTHON, setup]);
            for sql in questions {
                python.args([sql, BETWEEN]);
            }
            tables(&ok(&python.output().unwrap()))
        })
    } else {
        None
    }
}

/// The answers to questions, after what sets them up.
type Ask = fn(&str, &[String]) -> Vec<Table>;

/// Between the answers of an engine stands one of a single cell.
const BETWEEN: &str = "SELECT 'next'";

fn tables(text: &str) -> Vec<Table> {
    let tables = text.split_terminator("next\n").map(table);
    tables.collect()
}

fn table(text: &str) -> Table {
    let mut lines = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
    lines.records().map(|line| line.unwrap().iter().map(str::to_owned).collect()).collect()
}

#[test]
fn answers_are_those_of_a_second_method_and_no_clause_is_idle() {
    let Some(ask) = duckdb() else {
        println!("SKIP: DuckDB is not installed (scripts/run.sh fleet test brings it)");
        return;
    };
    let fleets = FLEETS.map(|(hosts, groups)| {
        let (fleet, dir) = (fleet(hosts, groups), TempDir::new().unwrap());
        write(dir.path(), &fleet);
        (fleet.into_iter().flat_map(|(_, rows)| rows).collect::<Vec<Row>>(), dir)
    });
    let mut idle = Vec::new();
    for (name, slow, alterations) in QUESTIONS {
        let printed = ok(&run(&["query", name, "--print"]));
        let (view, sql) = printed.split_once(";\n\n").unwrap();
        let altered = |(from, to): &(&str, &str)| {
            assert!(sql.contains(from), "{name}: {from}");
            sql.replace(from, to)
        };
        let asked: Vec<String> =
            std::iter::once(sql.to_owned()).chain(alterations.iter().map(altered)).collect();
        let mut unseen = vec![true; alterations.len()];
        for (rows, dir) in &fleets {
            let path = dir.path().to_str().unwrap();
            let expected = slow(rows);
            assert!(!expected.is_empty(), "{name}");
            let answer = ok(&run(&["query", name, "--dir", path, "--format", "csv"]));
            // The titles are in the first line.
            assert_eq!(table(answer.split_once('\n').unwrap().1), expected, "{name}");
            let setup = format!(
                "CREATE TABLE files AS SELECT * FROM read_parquet('{path}/date=*/host=*/*.parquet', \
                 hive_partitioning = true, hive_types = {{'date': DATE, 'host': VARCHAR}}); {view}"
            );
            let answers = ask(&setup, &asked);
            assert_eq!(answers.len(), asked.len());
            assert_eq!(answers[0], expected, "{name}, printed");
            for (unseen, answer) in unseen.iter_mut().zip(&answers[1..]) {
                *unseen &= *answer == expected;
            }
        }
        let unseen = alterations.iter().zip(unseen).filter(|(_, unseen)| *unseen);
        idle.extend(unseen.map(|((from, to), _)| format!("{name}: {from} -> {to}")));
    }
    assert!(idle.is_empty(), "altered, and nobody sees it:\n{}", idle.join("\n"));
}
