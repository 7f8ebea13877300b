//! The ledger against the live kernel: `tombola audit --format json` beside what the kernel says itself.
//!
//! Other load may run meanwhile: it adds claims, so what is asserted is what the load does not change.
//! Burners are compared with each other (their group and their CPU are the same, so the load takes from all
//! in proportion), or get a group so heavy that the load takes a few percent.
//!
//! A slice here is what the kernel's tick makes of it: the base slice is about 3 ms, a tick 1 to 10 ms, and a
//! preemption comes with a tick. `SLICES` is the tolerance of a lag over a whole interval.
#![allow(clippy::unwrap_used)] // the functions the tests share are no #[test] themselves

mod common;

use common::program::{run, tombola};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Three slices of a base slice and a tick of 4 ms, rounded up.
const SLICES_NS: f64 = 20e6;

/// What a share may differ from the formula.
const ONE_IN_A_THOUSAND: f64 = 1e-3;
/// What a sum of shares may miss of a whole CPU.
const ONE_IN_A_HUNDRED: f64 = 1e-2;

/// A `tombola workload` of one burning thread.
struct Burner {
    child: Child,
    tid: u32,
}

impl Burner {
    fn start(flags: &str) -> Self {
        Self::under("", flags)
    }

    /// Started by a command that replaces itself, such as `setsid` or `chrt -f 10`; in its group before it
    /// burns.
    fn under(starter: &str, flags: &str) -> Self {
        let program = env!("CARGO_BIN_EXE_tombola");
        let line = format!("{starter} {program} workload --duration 2m {flags}");
        let mut words = line.split_ascii_whitespace();
        let mut child = Command::new(words.next().unwrap())
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut announced = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut announced).unwrap();
        let pid = child.id();
        assert!(announced.starts_with(&format!("pid {pid}: ")), "{line}: {announced}");
        let mut burner = Self { child, tid: 0 };
        until("the burner burns", || {
            burner.tid = burning_thread(pid).unwrap_or(0);
            burner.tid != 0 && burner.schedstat().0 > 1_000_000
        });
        burner
    }

    /// Run time and run-queue wait by the kernel's own books.
    fn schedstat(&self) -> (u64, u64) {
        let text = fs::read_to_string(format!("/proc/{}/schedstat", self.tid)).unwrap();
        let mut numbers = text.split_ascii_whitespace().map(|n| n.parse().unwrap());
        (numbers.next().unwrap(), numbers.next().unwrap())
    }
}

impl Drop for Burner {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn burning_thread(pid: u32) -> Option<u32> {
    fs::read_dir(format!("/proc/{pid}/task")).ok()?.find_map(|thread| {
        let thread = thread.ok()?;
        let comm = fs::read_to_string(thread.path().join("comm")).ok()?;
        (comm.trim() == "tombola-burn").then(|| thread.file_name().to_str()?.parse().ok())?
    })
}

/// Polls a condition under one generous limit.
fn until(what: &str, mut done: impl FnMut() -> bool) {
    let limit = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < limit, "a minute passed before: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A cgroup of the cpu controller, v1 or v2, that goes with this value.
struct Cgroup(PathBuf);

impl Cgroup {
    /// A new group; says that the test is skipped where the cpu controller is not there, or gives no groups.
    fn new(name: &str) -> Option<Self> {
        let Some(hierarchy) = cpu_hierarchy() else {
            println!("SKIP: no hierarchy of cgroups is mounted here");
            return None;
        };
        let dir = hierarchy.join(format!("tombola-test-{}-{name}", std::process::id()));
        if let Err(error) = fs::create_dir(&dir) {
            println!("SKIP: no cgroup can be made here: {}: {error}", dir.display());
            return None;
        }
        let group = Self(dir);
        if !["cpu.shares", "cpu.weight"].iter().any(|file| group.0.join(file).exists()) {
            println!("SKIP: the cpu controller is not on for groups below {}", hierarchy.display());
            return None;
        }
        Some(group)
    }

    fn is_v1(&self) -> bool {
        self.0.join("cpu.shares").exists()
    }

    /// Weight in the unit of v2: 100 is the default.
    fn weight(self, weight: u64) -> Self {
        if self.is_v1() {
            self.write("cpu.shares", &(weight * 1024 / 100).to_string());
        } else {
            self.write("cpu.weight", &weight.min(10_000).to_string());
        }
        self
    }

    fn quota(self, quota_us: u64, period_us: u64) -> Self {
        if self.is_v1() {
            self.write("cpu.cfs_period_us", &period_us.to_string());
            self.write("cpu.cfs_quota_us", &quota_us.to_string());
        } else {
            self.write("cpu.max", &format!("{quota_us} {period_us}"));
        }
        self
    }

    /// Takes over a burner, all its threads.
    fn with(&self, burner: Burner) -> Burner {
        self.write("cgroup.procs", &burner.child.id().to_string());
        burner
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.0.join(file);
        fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {text}: {error}", path.display()));
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // A process that has just been reaped may still be leaving.
        for _ in 0..200 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// The v1 mount of the cpu controller, or the v2 mount with the controller switched on for its children.
fn cpu_hierarchy() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let mounts: Vec<Vec<&str>> = mounts.lines().map(|line| line.split(' ').collect()).collect();
    let has_cpu = |mount: &&Vec<&str>| mount[2] == "cgroup" && mount[3].split(',').any(|o| o == "cpu");
    if let Some(v1) = mounts.iter().find(has_cpu) {
        return Some(v1[1].into());
    }
    let v2 = mounts.iter().find(|mount| mount[2] == "cgroup2")?;
    let v2 = Path::new(v2[1]);
    let _ = fs::write(v2.join("cgroup.subtree_control"), "+cpu"); // on already, or the next step tells
    Some(v2.to_owned())
}

/// The last CPU this process may use: CPU 0 is where most interrupts go.
fn last_cpu() -> u32 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap();
    list.trim().rsplit(['-', ',']).next().unwrap().parse().unwrap()
}

/// What an audit said about some burners.
struct Audited {
    json: Value,
    rows: Vec<Value>,
}

impl Audited {
    /// Audits two seconds: a hundred slices.
    fn of(burners: &[&Burner]) -> Self {
        Self::over("2", burners)
    }

    fn over(seconds: &str, burners: &[&Burner]) -> Self {
        let tids: Vec<String> = burners.iter().map(|burner| burner.tid.to_string()).collect();
        let args = ["audit", "--format", "json", "--interval", seconds, "-t", &tids.join(",")];
        Self::by(tombola(&args), burners)
    }

    /// The same seconds as they are recorded.
    fn recorded(seconds: &str, burners: &[&Burner]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("x.pftrace");
        let file = file.to_str().unwrap();
        let recorded = tombola(&["record", "-o", file, "--duration", seconds]).output().unwrap();
        assert_eq!(recorded.status.code(), Some(0), "{}", String::from_utf8_lossy(&recorded.stderr));
        let tids: Vec<String> = burners.iter().map(|burner| burner.tid.to_string()).collect();
        Self::by(tombola(&["audit", "--format", "json", "-i", file, "-t", &tids.join(",")]), burners)
    }

    fn by(mut audit: Command, burners: &[&Burner]) -> Self {
        let output = audit.output().unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{complaint}");
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        let json = document["intervals"][0].clone();
        assert_eq!(json["loss"]["untracked_slices"], 0);
        let row = |burner: &&Burner| {
            let rows = json["rows"].as_array().unwrap();
            rows.iter().find(|row| row["pid"] == burner.tid).unwrap_or_else(|| panic!("{json:#}")).clone()
        };
        let rows = burners.iter().map(row).collect();
        println!("{json:#}");
        Self { json, rows }
    }

    fn number(&self, burner: usize, field: &str) -> f64 {
        self.rows[burner][field].as_f64().unwrap_or_else(|| panic!("{field}: {:#}", self.rows[burner]))
    }

    fn total(&self, field: &str) -> f64 {
        self.json[field].as_f64().unwrap()
    }

    /// The entitlements are in these proportions.
    #[track_caller]
    fn is_entitled_in_proportion(&self, weights: &[f64]) {
        let entitled: f64 = (0..self.rows.len()).map(|burner| self.number(burner, "fair_share")).sum();
        let whole: f64 = weights.iter().sum();
        for (burner, weight) in weights.iter().enumerate() {
            let (got, expected) = (self.number(burner, "fair_share") / entitled, weight / whole);
            assert!(
                (got / expected - 1.0).abs() < ONE_IN_A_THOUSAND,
                "{burner}: {got} instead of {expected}"
            );
        }
    }

    /// Of what the burners had together, each had its part: within some slices, and what interrupts took from
    /// one of them.
    #[track_caller]
    fn has_divided_within_slices(&self) {
        let sum = |field| (0..self.rows.len()).map(|burner| self.number(burner, field)).sum::<f64>();
        let part = sum("received_ns") / sum("entitled_ns");
        // At either end of the interval somebody may be owed as long a turn of the others as there was. (On a
        // quiet machine that is a slice; on an emulated one whose host is busy, as long as the machine stood
        // still.)
        let longest_ns = (0..self.rows.len()).map(|b| self.number(b, "wait_max_ns")).fold(0.0, f64::max);
        let slices_ns = SLICES_NS.max(2.0 * longest_ns);
        for burner in 0..self.rows.len() {
            let lag_ns = self.number(burner, "entitled_ns") * part - self.number(burner, "received_ns");
            let tolerance_ns = slices_ns + self.total("taken_ns");
            assert!(lag_ns.abs() < tolerance_ns, "{burner}: lag {lag_ns} ns, {tolerance_ns} allowed");
        }
    }

    fn findings(&self, kind: &str) -> Vec<&Value> {
        let findings = self.json["findings"].as_array().unwrap();
        findings.iter().filter(|finding| finding["kind"] == kind).collect()
    }
}

const NICE_0_3_5: [f64; 3] = [1024.0, 526.0, 335.0];

#[test]
#[ignore = "root: loads a monitor"]
fn root_one_session_divides_by_nice() {
    let cpu = last_cpu();
    let burners = [0, 3, 5].map(|nice| Burner::start(&format!("--nice {nice} --cpu {cpu}")));
    let audited = Audited::of(&burners.each_ref());
    audited.is_entitled_in_proportion(&NICE_0_3_5);
    audited.has_divided_within_slices();
    assert!(audited.findings("nice_acts_on_nobody").is_empty());
    assert_eq!(audited.rows[0]["group"], audited.rows[2]["group"]);
}

#[test]
#[ignore = "root: loads a monitor"]
fn root_three_sessions_make_nice_do_nothing() {
    let enabled = fs::read_to_string("/proc/sys/kernel/sched_autogroup_enabled").unwrap_or_default();
    if enabled.trim() != "1" {
        println!("SKIP: kernel.sched_autogroup_enabled is not 1: sessions are no groups here");
        return;
    }
    let cpu = last_cpu();
    let burners = [0, 3, 5].map(|nice| Burner::under("setsid", &format!("--nice {nice} --cpu {cpu}")));
    let audited = Audited::of(&burners.each_ref());
    audited.is_entitled_in_proportion(&[1.0, 1.0, 1.0]);
    audited.has_divided_within_slices();
    let mut named: Vec<u64> = Vec::new();
    for finding in audited.findings("nice_acts_on_nobody") {
        assert_eq!(finding["tasks"], 1, "{finding}");
        assert!(finding["text"].as_str().unwrap().contains("it is alone in autogroup-"), "{finding}");
        named.push(finding["pids"][0].as_u64().unwrap());
    }
    named.sort_unstable();
    let mut expected = [u64::from(burners[1].tid), u64::from(burners[2].tid)];
    expected.sort_unstable();
    assert_eq!(named, expected);
}

#[test]
#[ignore = "root: loads a monitor, creates cgroups"]
fn root_two_cgroups_divide_by_weight() {
    let cpu = last_cpu();
    let (Some(light), Some(heavy)) = (Cgroup::new("light"), Cgroup::new("heavy")) else { return };
    let (light, heavy) = (light.weight(100), heavy.weight(300));
    let burn = |group: &Cgroup| group.with(Burner::start(&format!("--nice 0 --cpu {cpu}")));
    // One task in each: that the weights of groups are those of their tasks is the rule of every kernel.
    let mut burners = vec![burn(&light), burn(&heavy)];
    let audited = Audited::of(&burners.iter().collect::<Vec<_>>());
    audited.is_entitled_in_proportion(&[1.0, 3.0]);
    audited.has_divided_within_slices();
    let name = audited.rows[1]["cgroup"].as_str().unwrap();
    assert!(name.ends_with("-heavy"), "{name}");
    // One more in each: the groups have what they had.
    burners.extend([burn(&light), burn(&heavy)]);
    let audited = Audited::of(&burners.iter().collect::<Vec<_>>());
    audited.is_entitled_in_proportion(&[1.0, 3.0, 1.0, 3.0]);
    // Unless the kernel multiplies the weight of a group by the tasks it has runnable, which are two and
    // count, rounded down from an average, as one or two.
    if audited.json["group_mode"].is_null() {
        audited.has_divided_within_slices();
    }
}

/// A group beside which everything else on the machine weighs little.
fn heavy_group(name: &str) -> Option<Cgroup> {
    Some(Cgroup::new(name)?.weight(25_600))
}

/// Two of the CPUs this process may use, in the words of taskset; says that the test is skipped where there
/// is one.
fn two_cpus() -> Option<String> {
    let allowed = nix::sched::sched_getaffinity(nix::unistd::Pid::from_raw(0)).unwrap();
    let cpus = (0..nix::sched::CpuSet::count()).filter(|cpu| allowed.is_set(*cpu).unwrap());
    let cpus: Vec<String> = cpus.map(|cpu| cpu.to_string()).collect();
    let pair = cpus.last_chunk::<2>().map(|pair| pair.join(","));
    if pair.is_none() {
        println!("SKIP: this takes two CPUs, and this process may use one");
    }
    pair
}

#[test]
#[ignore = "root: loads a monitor, creates a cgroup"]
fn root_ten_to_one_to_one_on_two_cpus() {
    let Some(pair) = two_cpus() else { return };
    let Some(group) = heavy_group("ten") else { return };
    // 1024 : 110 : 110 is 9.3 : 1 : 1; the first is full at 1 CPU all the same.
    let starter = format!("taskset -c {pair}");
    let burners = [0, 10, 10].map(|nice| group.with(Burner::under(&starter, &format!("--nice {nice}"))));
    let audited = Audited::of(&burners.each_ref());
    let length_ns = audited.total("interval_ns");
    let entitled: Vec<f64> = (0..3).map(|burner| audited.number(burner, "entitled_ns") / length_ns).collect();
    assert!((0.9..=1.0).contains(&entitled[0]), "{entitled:?}");
    assert!((0.4..=0.5).contains(&entitled[1]), "{entitled:?}");
    assert!((entitled[1] / entitled[2] - 1.0).abs() < ONE_IN_A_THOUSAND, "{entitled:?}");
}

#[test]
#[ignore = "root: loads a monitor, creates a cgroup"]
fn root_a_quota_binds() {
    let cpu = last_cpu();
    let Some(group) = heavy_group("quota") else { return };
    let group = group.quota(20_000, 100_000);
    let burner = group.with(Burner::start(&format!("--nice 0 --cpu {cpu}")));
    // A period more or less, and its slices. A machine that stands still (emulated, on a busy host) loses
    // periods.
    let fits = |audited: &Audited| audited.number(0, "lag_ns").abs() < 20e6 + SLICES_NS;
    let audited = (0..3)
        .map(|_| Audited::over("3", &[&burner]))
        .find(fits)
        .expect("a lag within a period, in one of three");
    assert_eq!(audited.rows[0]["bound"], "quota");
    let share = audited.number(0, "entitled_ns") / audited.total("interval_ns");
    assert!((share / 0.2 - 1.0).abs() < ONE_IN_A_THOUSAND, "{share}");
    let findings = audited.findings("quota");
    assert_eq!(findings.len(), 1);
    assert!(findings[0]["cgroup"].as_str().unwrap().ends_with("-quota"), "{}", findings[0]);
    // Nearly all of the wait; but a group's throttled time is read about once a second, so the last one may
    // be missing.
    let (throttled, wait) = (audited.number(0, "throttled_ns"), audited.number(0, "wait_ns"));
    assert!(throttled > wait * 0.4 && throttled <= wait, "{throttled} of {wait}");
}

/// While its group stands throttled somebody else has the CPU, who is not to blame for it.
#[test]
#[ignore = "root: loads a monitor, creates a cgroup"]
fn root_who_is_throttled_waits_behind_its_own_quota() {
    who_is_throttled_waits_behind_its_own_quota("behind", |burners| Audited::over("3", burners));
}

/// As live, from a file: the recorder notes when the queue of a group is released.
#[test]
#[ignore = "root: records, creates a cgroup"]
fn root_who_was_throttled_waited_behind_its_own_quota() {
    who_is_throttled_waits_behind_its_own_quota("was-behind", |burners| {
        let audited = Audited::recorded("3s", burners);
        let (throttled, waited) = (audited.number(0, "throttled_ns"), audited.number(0, "wait_ns"));
        assert!(throttled > waited * 0.4 && throttled <= waited, "{throttled} of {waited}");
        audited
    });
}

fn who_is_throttled_waits_behind_its_own_quota(name: &str, audit: impl Fn(&[&Burner]) -> Audited) {
    let cpu = last_cpu();
    let Some(group) = heavy_group(name) else { return };
    let group = group.quota(20_000, 100_000);
    let burner = group.with(Burner::start(&format!("--nice 0 --cpu {cpu}")));
    let innocent = Burner::start(&format!("--nice 19 --cpu {cpu}"));
    let audited = audit(&[&burner, &innocent]);
    let hindered = audited.json["hindered"].as_array().unwrap();
    let it = hindered.iter().find(|hindrance| hindrance["pid"] == burner.tid).unwrap();
    let (wait, quota) = (it["wait_ns"].as_f64().unwrap(), it["quota_ns"].as_f64().unwrap());
    let held: f64 =
        it["culprits"].as_array().unwrap().iter().map(|culprit| culprit["held_ns"].as_f64().unwrap()).sum();
    // Its weight is 250 times the others': what is left are slices, and what was open at the ends: a period's
    // wait each.
    assert!(quota > wait * 0.7, "{it:#}");
    assert!(held < wait * 0.2 && held + quota <= wait + 2.0 * 80e6, "{it:#}");
    assert!(it["quota_of"].as_str().unwrap().ends_with(name), "{it:#}");
    // Who is asked for is who is named.
    let finding = audited.findings("quota")[0]["text"].as_str().unwrap().to_owned();
    assert!(finding.contains("binds: 20.0 %") && !finding.contains("throttled 0 times"), "{finding}");
}

/// 80 ms of 480 ms are less than the half that the quota gives, and more than the 50 ms that it gives in a
/// period.
#[test]
#[ignore = "root: loads a monitor, creates a cgroup"]
fn root_a_burst_is_throttled_and_nothing_is_owed() {
    let cpu = last_cpu();
    let Some(group) = heavy_group("burst") else { return };
    let group = group.quota(50_000, 100_000);
    let burner = group
        .with(Burner::start(&format!("--nice 0 --cpu {cpu} --pattern sleep --burst 80ms --pause 400ms")));
    let audited = (0..3)
        .map(|_| Audited::over("4", &[&burner]))
        .find(|audited| audited.number(0, "lag_ns").abs() < SLICES_NS)
        .expect("nothing owed, in one of three");
    assert!(audited.number(0, "throttled_ns") > 100e6, "{:#}", audited.rows[0]);
    assert_eq!(audited.rows[0]["bound"], "quota");
    let findings = audited.findings("quota");
    assert!(findings[0]["text"].as_str().unwrap().contains("binds in bursts"), "{}", findings[0]);
}

#[test]
#[ignore = "root: loads a monitor, starts a real-time task"]
fn root_real_time_is_gone_before_the_rest_is_divided() {
    let cpu = last_cpu();
    let fair = Burner::start(&format!("--nice 0 --cpu {cpu}"));
    let rt = Burner::under("chrt -f 10", &format!("--cpu {cpu} --pattern sleep --burst 3ms --pause 7ms"));
    let audited = Audited::of(&[&fair, &rt]);
    let length_ns = audited.total("interval_ns");
    let rt_ns = audited.number(1, "runtime_ns");
    assert!((0.15..0.4).contains(&(rt_ns / length_ns)), "it ran {rt_ns} of {length_ns}");
    assert_eq!((&audited.rows[1]["policy"], &audited.rows[1]["weight"]), (&"FIFO".into(), &Value::Null));
    assert_eq!(audited.rows[1]["entitled_ns"], Value::Null);
    // Threads of the kernel are real time too (migration, watchdogs): they take little.
    let unfair_ns = audited.total("unfair_ns");
    assert!((rt_ns - SLICES_NS..rt_ns * 1.2 + SLICES_NS).contains(&unfair_ns), "{unfair_ns} {rt_ns}");
    let parts = ["capacity_ns", "unfair_ns", "taken_ns", "unclaimed_ns"].map(|part| audited.total(part));
    assert!((parts.iter().sum::<f64>() - audited.total("wall_ns")).abs() < 1.0, "{parts:?}");
    assert!(audited.number(0, "entitled_ns") <= length_ns - rt_ns + SLICES_NS);
    let findings = audited.findings("real_time");
    let about = findings.iter().find(|finding| finding["cpu_list"] == cpu.to_string().as_str()).unwrap();
    assert!(about["pids"].as_array().unwrap().contains(&rt.tid.into()), "{about}");
}

#[test]
#[ignore = "root: loads a monitor, creates a cgroup"]
fn root_pinned_against_free() {
    let cpu = last_cpu();
    if two_cpus().is_none() {
        return;
    }
    let Some(group) = heavy_group("pinned") else { return };
    let free = group.with(Burner::start("--nice 0"));
    let pinned = [0, 6].map(|nice| group.with(Burner::start(&format!("--nice {nice} --cpu {cpu}"))));
    let audited = Audited::of(&[&pinned[0], &pinned[1], &free]);
    let length_ns = audited.total("interval_ns");
    let entitled: Vec<f64> = (0..3).map(|burner| audited.number(burner, "entitled_ns") / length_ns).collect();
    let ratio = entitled[0] / entitled[1];
    assert!((ratio / (1024.0 / 272.0) - 1.0).abs() < ONE_IN_A_THOUSAND, "{entitled:?}");
    let both = entitled[0] + entitled[1];
    // What the group does not have, others are entitled to by what they wanted; by a division that leaves the
    // free one short of the other CPU, nobody is.
    let mine_ns = (both + entitled[2]) * length_ns;
    let others_ns = audited.total("capacity_ns") - audited.total("unclaimed_ns") - mine_ns;
    let lost = (others_ns + audited.total("unfair_ns") + audited.total("taken_ns")) / length_ns;
    assert!(audited.total("unclaimed_ns") < ONE_IN_A_HUNDRED * length_ns, "{entitled:?}");
    let one_cpu = 0.99 - lost..=1.0;
    assert!(one_cpu.contains(&both), "the pinned share their CPU: {entitled:?} {lost}");
    assert!(one_cpu.contains(&entitled[2]), "the free one has the other: {entitled:?} {lost}");
    assert_eq!(audited.rows[0]["bound"], "cpus");
}

#[test]
#[ignore = "root: loads a monitor"]
fn root_totals_are_those_of_schedstat() {
    let cpu = last_cpu();
    let burners = [0, 5].map(|nice| Burner::start(&format!("--nice {nice} --cpu {cpu}")));
    let begin = Instant::now();
    let before = burners.each_ref().map(Burner::schedstat);
    let audited = Audited::of(&burners.each_ref());
    let after = burners.each_ref().map(Burner::schedstat);
    // The audit is a part of what lies between the two readings.
    let outside_ns = begin.elapsed().as_nanos() as f64 - audited.total("interval_ns");
    for burner in 0..2 {
        let run_ns = (after[burner].0 - before[burner].0) as f64;
        let wait_ns = (after[burner].1 - before[burner].1) as f64;
        // A task's time is booked with a tick, without interrupts; its wait when it ends.
        let missing_ns = run_ns - audited.number(burner, "runtime_ns");
        let slack_ns = SLICES_NS + audited.total("taken_ns");
        assert!(
            (-slack_ns..outside_ns + slack_ns).contains(&missing_ns),
            "run {burner}: {missing_ns} {outside_ns}"
        );
        let longest_ns = audited.number(burner, "wait_max_ns");
        let missing_ns = wait_ns - audited.number(burner, "wait_ns");
        let range = -longest_ns - SLICES_NS..outside_ns + longest_ns + SLICES_NS;
        assert!(range.contains(&missing_ns), "wait {burner}: {missing_ns} {range:?}");
    }
}

/// Runs `tombola audit` with these flags; status, standard output, standard error.
fn audit(flags: &[&str]) -> (Option<i32>, String, String) {
    let output = tombola(&["audit"]).args(flags).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
#[ignore = "root: loads a monitor"]
fn root_checks_and_filters_have_their_status() {
    let cpu = last_cpu();
    let burners = [0, 0].map(|nice| Burner::start(&format!("--nice {nice} --cpu {cpu}")));
    let tid = burners[0].tid.to_string();
    let (status, out, _) = audit(&["--interval", "300ms", "-t", &tid, "--min-jain", "0"]);
    assert_eq!(status, Some(0), "{out}");
    assert!(out.lines().any(|line| line.trim_start().starts_with(&tid)), "{out}");
    let (status, _, said) = audit(&["--interval", "300ms", "--min-jain", "1"]);
    assert_eq!(status, Some(3), "{said}");
    assert!(said.contains("below --min-jain 1"), "{said}");
    let (status, _, said) = audit(&["--interval", "300ms", "--max-lag", "0"]);
    assert_eq!(status, Some(3), "{said}");
    let (status, _, said) = audit(&["--interval", "50ms", "--comm", "^no such name$"]);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("no task ran or waited that the filters hold for"), "{said}");
    let output = run(&["hist", "--interval", "500ms", "-t", &tid]);
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8(output.stdout).unwrap().contains("distribution"));
}

#[test]
#[ignore = "root: loads a monitor"]
fn root_files_are_appended_to() {
    let dir = tempfile::tempdir().unwrap();
    for (format, file) in [("csv", "a.csv"), ("ndjson", "a.ndjson")] {
        let path = dir.path().join(file);
        let path = path.to_str().unwrap();
        let mut lines = 0;
        for _ in 0..2 {
            let (status, out, said) =
                audit(&["--interval", "100ms", "--format", format, "--output", path, "--top", "3"]);
            assert_eq!((status, out.as_str()), (Some(0), ""), "{said}");
            let text = fs::read_to_string(path).unwrap();
            assert!(text.lines().count() > lines, "{text}");
            lines = text.lines().count();
        }
        let text = fs::read_to_string(path).unwrap();
        if format == "csv" {
            assert_eq!(text.lines().filter(|line| line.starts_with("schema,")).count(), 1);
        } else {
            for line in text.lines() {
                let value: Value = serde_json::from_str(line).unwrap();
                assert_eq!(value["schema"], 2);
            }
        }
    }
    // A document is one, however often it is written.
    let path = dir.path().join("a.json");
    for intervals in [2, 1] {
        let count = intervals.to_string();
        let arguments = [
            "--interval",
            "50ms",
            "--iterations",
            &count,
            "--format",
            "json",
            "--output",
            path.to_str().unwrap(),
        ];
        assert_eq!(audit(&arguments).0, Some(0));
        let document: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(document["intervals"].as_array().unwrap().len(), intervals);
    }
    // Another kind of file is left as it is.
    let path = dir.path().join("a.csv");
    let before = fs::read(&path).unwrap();
    let (status, _, said) =
        audit(&["--interval", "100ms", "--format", "json", "--output", path.to_str().unwrap()]);
    assert_eq!(status, Some(1), "{said}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
#[ignore = "root: loads a monitor"]
fn root_a_command_is_audited_and_its_status_reported() {
    let script = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; exit 7";
    let (status, out, said) = audit(&["--format", "json", "--", "sh", "-c", script]);
    assert_eq!(status, Some(0), "{said}");
    let json: Value = serde_json::from_str(&out).unwrap();
    let json = &json["intervals"][0];
    assert_eq!(json["command"]["exit_status"], 7);
    let rows = json["rows"].as_array().unwrap();
    let shell = rows.iter().find(|row| row["pid"] == json["command"]["pid"]).unwrap();
    assert!(shell["runtime_ns"].as_u64().unwrap() > 1_000_000, "{shell}");
    // One interval of a command that outlives it.
    let (status, out, said) = audit(&["--interval", "50ms", "--", "sh", "-c", "sleep 0.5; exit 5"]);
    assert_eq!(status, Some(0), "{said}");
    assert!(
        out.lines().any(|line| line.ends_with("still running")) && said.ends_with("ended with status 5\n"),
        "{out}{said}"
    );
    let (status, _, said) = audit(&["--", "/no/such/command"]);
    assert_eq!(status, Some(1));
    assert!(said.contains("cannot start '/no/such/command'"), "{said}");
}

#[test]
#[ignore = "root: loads a monitor"]
fn root_a_signal_reaches_the_command() {
    // In a session of its own no terminal sends it anything.
    let script = "trap 'exit 9' TERM; echo ready >&2; while :; do sleep 0.05; done";
    let mut child = Command::new("setsid")
        .args([env!("CARGO_BIN_EXE_tombola"), "audit", "--", "sh", "-c", script])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    let ready = said.by_ref().map(Result::unwrap).any(|line| line == "ready");
    assert!(ready);
    let pid = nix::unistd::Pid::from_raw(child.id().try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(out.lines().any(|line| line.ends_with("ended with status 9")), "{out}");
}

#[test]
#[ignore = "root: loads a monitor"]
fn root_kept_frames_tell_what_the_live_machine_told() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("frames");
    let file = file.to_str().unwrap();
    let flags = ["--interval", "200ms", "--format", "ndjson"];
    let (status, live, _) = audit(&[&["--iterations", "3", "--save-frames", file], &flags[..]].concat());
    assert_eq!(status, Some(0));
    let (status, past, said) = audit(&[&["-i", file], &flags[..]].concat());
    assert_eq!(status, Some(0), "{said}");
    let live = live.replace(r#""monitor":"attach""#, r#""monitor":"recording""#);
    assert!(live.lines().filter(|line| line.contains(r#""record":"interval""#)).count() == 3, "{live}");
    assert!(live == past, "every number and every name is the same:\n{live}\n{past}");
}
