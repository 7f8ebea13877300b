//! A synthetic fleet: so many hosts log so many hours, with what a few simulated machines come to.
//!
//! `fleet DIR HOSTS HOURS [SEED]`. Each kind of machine is simulated for ten minutes, interval by interval,
//! by the lab's simulator; a host is of one kind, begins somewhere in those ten minutes, and repeats them.
//! Nothing but the simulator and the seed decides what is written, so the same arguments make the same bytes.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use tombola_core::audit::Audit;
use tombola_core::frame::Frame;
use tombola_core::snapshot::Group;
use tombola_core::window::Window;
use tombola_history::file::{About, Writer};
use tombola_history::name::{GroupName, Naming};
use tombola_history::place;
use tombola_history::row::Row;
use tombola_history::rows::{Maker, Most};
use tombola_history::schema::{Int, Text};
use tombola_lab::engine::Simulation;
use tombola_lab::policy::PolicyKind;
use tombola_lab::scenario::Scenario;

const INTERVAL_NS: u64 = 10_000_000_000;
/// Intervals that are simulated.
const SIMULATED: u64 = 60;
/// 2026-11-01 00:00 UTC.
const BEGIN_US: i64 = 1_793_491_200_000_000;

/// A kind of machine: how many hosts in a hundred are of it, which scheduler it has, and what runs there.
const KINDS: [(u32, PolicyKind, &str); 4] = [
    // Web servers with room: nobody is owed anything, and weights do nothing.
    (
        60,
        PolicyKind::Cfs,
        r#"
cpus = 4
[[group]]
name = "shop/web-7d9c/server"
weight = 2048
[[group]]
name = "batch/report-1/job"
weight = 100
[[task]]
name = "server"
group = "shop/web-7d9c/server"
count = 6
run = "2ms"
sleep = "8ms"
[[task]]
name = "job"
group = "batch/report-1/job"
"#,
    ),
    // A noisy neighbour: many burners beside a few, under a scheduler that looks at tasks, not at weights.
    (
        20,
        PolicyKind::RoundRobin,
        r#"
cpus = 2
[[group]]
name = "shop/web-7d9c/server"
weight = 4096
[[group]]
name = "batch/report-1/job"
weight = 512
[[task]]
name = "server"
group = "shop/web-7d9c/server"
count = 2
[[task]]
name = "job"
group = "batch/report-1/job"
count = 8
"#,
    ),
    // A quota that binds in bursts: far below it on average.
    (
        15,
        PolicyKind::Cfs,
        r#"
cpus = 4
[[group]]
name = "shop/api-5f1b/server"
weight = 1024
quota = "100ms"
period = "100ms"
[[task]]
name = "api"
group = "shop/api-5f1b/server"
count = 4
run = "60ms"
sleep = "440ms"
"#,
    ),
    // A deploy: the next version of the same container needs more.
    (
        5,
        PolicyKind::Cfs,
        r#"
cpus = 2
[[group]]
name = "shop/web-8a2e/server"
weight = 2048
[[group]]
name = "batch/report-1/job"
weight = 512
[[task]]
name = "server"
group = "shop/web-8a2e/server"
count = 4
run = "9ms"
sleep = "1ms"
[[task]]
name = "job"
group = "batch/report-1/job"
count = 2
"#,
    ),
];

/// Names of simulated groups: `namespace/pod/container`.
struct ByName;

impl Naming for ByName {
    fn name(&mut self, path: &str) -> GroupName {
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        match parts[..] {
            [namespace, pod, container] => GroupName {
                namespace: Some(namespace.into()),
                pod: Some(pod.into()),
                container: Some(container.into()),
                ..GroupName::default()
            },
            _ => GroupName::of_path(path),
        }
    }
}

/// Rows of each simulated interval.
fn simulate(policy: PolicyKind, text: &str, seed: u64) -> Result<Vec<Vec<Row>>, Box<dyn Error>> {
    let text = format!("name = \"fleet\"\nduration = \"{}s\"\nquantum = \"10ms\"\n{text}", SIMULATED * 10);
    let scenario = Scenario::from_toml(&text)?;
    let names: BTreeMap<Group, String> = (2..)
        .map(Group::Cgroup)
        .zip(scenario.groups.iter().map(|group| format!("/{}", group.name)))
        .chain([(Group::Cgroup(1), "/".to_owned())])
        .collect();
    let mut simulation = Simulation::new(&scenario, policy, seed, 0);
    let mut maker = Maker::new("", "", Most::default(), ByName);
    let mut before = simulation.snapshot();
    let mut all = Vec::new();
    for interval in 1..=SIMULATED {
        simulation.run_until(interval * INTERVAL_NS)?;
        let now = simulation.snapshot();
        let window = Window::between(&before, &now);
        let frame = Frame::new(now, names.clone());
        let mut rows = maker.rows(&window, &Audit::new(&window)?, &frame, 0);
        rows.iter_mut().for_each(throttle);
        all.push(rows);
        before = frame.snapshot;
    }
    Ok(all)
}

/// The simulator does not tell what was throttled. In the kind of machine with a quota each task has a CPU
/// for itself, so whatever its group waited, it waited for the quota.
fn throttle(row: &mut Row) {
    if let Some(period_ns) = row.int(Int::Period).filter(|period| *period > 0) {
        let wait_ns = row.int(Int::Wait).unwrap_or(0);
        row.set(Int::Throttled, wait_ns);
        row.set(Int::Throttles, wait_ns / period_ns);
        row.set(Int::WaitThrottled, wait_ns);
        row.set(Int::WaitOther, 0);
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, dir, hosts, hours, rest @ ..] = &arguments[..] else {
        return Err("usage: fleet DIR HOSTS HOURS [SEED]".into());
    };
    let (hosts, hours): (u32, i64) = (hosts.parse()?, hours.parse()?);
    let seed = rest.first().map_or(Ok(7), |seed| seed.parse())?;
    let begin = Instant::now();
    let kinds =
        KINDS.iter().map(|(_, policy, text)| simulate(*policy, text, seed)).collect::<Result<Vec<_>, _>>()?;
    eprintln!("simulated {} kinds of machine in {:.1} s", kinds.len(), begin.elapsed().as_secs_f64());
    let (mut rows, mut bytes, mut files) = (0, 0, 0);
    for host in 0..hosts {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(u64::from(host));
        // 61 and 100 have no common divisor: each hundred hosts hold the kinds in their proportions, and a
        // few hosts several kinds.
        let mut draw = u32::try_from((u64::from(host) * 61 + seed) % 100)?;
        let kind = KINDS.iter().position(|(part, ..)| {
            let is_here = draw < *part;
            draw = draw.saturating_sub(*part);
            is_here
        });
        let intervals = &kinds[kind.unwrap_or(0)];
        let offset = random.random_range(0..SIMULATED);
        let loses = host % 50 == 2;
        let name: Arc<str> = format!("host-{host:05}").into();
        let boot: Arc<str> = format!("{:032x}", random.random::<u128>()).into();
        for hour in 0..hours {
            let written = write_hour(Path::new(dir), &name, &boot, intervals, offset, hour, loses)?;
            (rows, bytes, files) = (rows + written.0, bytes + written.1, files + 1);
        }
    }
    let seconds = begin.elapsed().as_secs_f64();
    println!(
        "{hosts} hosts x {hours} h at 10 s, seed {seed}: {rows} rows, {bytes} bytes in {files} files, {:.1} bytes a row, {seconds:.1} s",
        bytes as f64 / f64::from(u32::try_from(rows).unwrap_or(u32::MAX))
    );
    Ok(())
}

/// Writes one file; returns rows and bytes.
fn write_hour(
    dir: &Path,
    host: &Arc<str>,
    boot: &Arc<str>,
    intervals: &[Vec<Row>],
    offset: u64,
    hour: i64,
    loses: bool,
) -> Result<(u64, u64), Box<dyn Error>> {
    const HOUR_US: i64 = 3_600_000_000;
    let from_us = BEGIN_US + hour * HOUR_US;
    let path = place::sealed_path(dir, host, from_us, from_us + HOUR_US, boot);
    fs::create_dir_all(path.parent().unwrap_or(dir))?;
    let about = About { host: host.to_string(), boot: boot.to_string(), release: "simulated".to_owned() };
    let mut writer = Writer::create(&path, &about)?;
    let mut count = 0;
    for n in 0..360 {
        let at = (u64::try_from(hour * 360 + n)? + offset) % SIMULATED;
        let mut rows = intervals[usize::try_from(at)?].clone();
        for row in &mut rows {
            row.set(Int::Ts, (from_us + (n + 1) * 10_000_000) * 1000);
            row.set_text(Text::Host, Arc::clone(host));
            row.set_text(Text::Boot, Arc::clone(boot));
            if loses && row.level() == "machine" && n % 30 == 0 {
                row.set(Int::MapFull, 17);
                row.set(Int::Untracked, 40_000_000);
            }
        }
        count += rows.len() as u64;
        writer.add(rows)?;
    }
    writer.finish()?;
    Ok((count, fs::metadata(&path)?.len()))
}
