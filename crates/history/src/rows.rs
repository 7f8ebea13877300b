//! From an interval to its rows.

use crate::name::Naming;
use crate::row::Row;
use crate::schema::{Int, Text};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use tombola_core::audit::{Audit, By, Line, Row as AuditRow, Who};
use tombola_core::cpu_set::CpuSet;
use tombola_core::frame::Frame;
use tombola_core::identity::TaskId;
use tombola_core::metric::{Metric, Value};
use tombola_core::policy::Policy;
use tombola_core::snapshot::Group;
use tombola_core::window::{CpuWindow, Window};

/// How many rows a level may have in an interval; what is beyond them goes into its rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Most {
    /// Threads that ran longest, and as many that waited longest.
    pub threads: usize,
    /// Processes and commands alike.
    pub processes: usize,
    /// Pairs of groups, one of which kept the other waiting.
    pub pairs: usize,
}

impl Default for Most {
    fn default() -> Self {
        Self { threads: 50, processes: 500, pairs: 50 }
    }
}

/// Makes rows of windows; keeps the texts they share.
pub struct Maker<N> {
    host: Arc<str>,
    boot: Arc<str>,
    most: Most,
    names: N,
    texts: HashMap<Box<[u8]>, Arc<str>>,
    measured: Vec<(Int, &'static Metric<AuditRow>)>,
}

/// Texts kept beyond this are forgotten at the next interval: names of commands come and go.
const TEXTS: usize = 20_000;

impl<N: Naming> Maker<N> {
    /// Rows of one host in one boot.
    pub fn new(host: &str, boot: &str, most: Most, names: N) -> Self {
        Self {
            host: host.into(),
            boot: boot.into(),
            most,
            names,
            texts: HashMap::new(),
            measured: Int::measured().collect(),
        }
    }

    /// The rows of an interval: the machine's first. `frame` is that at its end, `measuring_ns` the CPU time
    /// the logging itself took.
    pub fn rows(&mut self, window: &Window, audit: &Audit, frame: &Frame, measuring_ns: u64) -> Vec<Row> {
        if self.texts.len() > TEXTS {
            self.texts.clear();
        }
        let mut rows = vec![self.machine(window, audit, measuring_ns)];
        for cpu in &window.cpus {
            let mut row = self.row(window, "cpu");
            row.set_count(Int::Cpu, u64::from(cpu.cpu));
            books(&mut row, cpu);
            rows.push(row);
        }
        self.groups(window, audit, frame, &mut rows);
        self.processes(window, audit, frame, &mut rows);
        self.threads(window, audit, frame, &mut rows);
        self.blocked(window, audit, frame, &mut rows);
        rows
    }

    fn row(&mut self, window: &Window, level: &'static str) -> Row {
        let mut row = Row::default();
        row.set_count(Int::Ts, window.unix_us.saturating_mul(1000));
        row.set_count(Int::Interval, window.length_ns());
        row.set_text(Text::Host, Arc::clone(&self.host));
        row.set_text(Text::Boot, Arc::clone(&self.boot));
        row.set_text(Text::Level, self.text(level.as_bytes()));
        row
    }

    fn text(&mut self, bytes: &[u8]) -> Arc<str> {
        if let Some(text) = self.texts.get(bytes) {
            return Arc::clone(text);
        }
        let text: Arc<str> = String::from_utf8_lossy(bytes).into();
        self.texts.insert(bytes.into(), Arc::clone(&text));
        text
    }

    fn machine(&mut self, window: &Window, audit: &Audit, measuring_ns: u64) -> Row {
        let mut row = self.row(window, "machine");
        let mut all = CpuWindow { cpu: 0, wall_ns: 0, busy_ns: 0, unfair_ns: 0, idle_ns: 0, taken_ns: 0 };
        for cpu in &window.cpus {
            all.wall_ns += cpu.wall_ns;
            all.busy_ns += cpu.busy_ns;
            all.unfair_ns += cpu.unfair_ns;
            all.idle_ns += cpu.idle_ns;
            all.taken_ns += cpu.taken_ns;
        }
        books(&mut row, &all);
        let mut sum: Option<AuditRow> = None;
        for line in &audit.lines {
            add(&mut sum, line);
        }
        match sum {
            Some(sum) => self.fill(&mut row, &sum),
            None => row.set(Int::Tasks, 0),
        }
        row.set(Int::Residual, audit.books.residual_ns);
        let loss = &window.loss;
        for (column, value) in [
            (Int::Capacity, audit.division.capacity_ns),
            (Int::Unlisted, window.unlisted_exits.runtime_ns),
            (Int::UnlistedTasks, window.unlisted_exits.count),
            (Int::Untracked, loss.untracked_ns),
            (Int::MapFull, loss.map_full),
            (Int::MapBusy, loss.map_busy),
            (Int::MapOther, loss.map_other),
            (Int::ClockBackwards, loss.clock_backwards),
            (Int::StaleRecords, loss.stale_records),
            (Int::GroupsFull, loss.groups_full),
            (Int::UnseenSwitches, loss.unseen_switches),
            (Int::Unseen, loss.unseen_ns),
            (Int::Measuring, measuring_ns),
        ] {
            row.set_count(column, value);
        }
        row
    }

    /// What tasks got and waited for.
    fn fill(&self, row: &mut Row, sum: &AuditRow) {
        for (column, metric) in &self.measured {
            match metric.value(sum) {
                Value::Unsigned(value) => row.set_count(*column, value),
                Value::Signed(value) => row.set(*column, value),
                _ => {}
            }
        }
        let (usage, waiting) = (&sum.usage, &sum.waiting);
        row.set_count(Int::WaitOther, waiting.yielded_ns + waiting.other_ns);
        row.set_count(Int::Involuntary, usage.involuntary);
        row.set_count(Int::Yielded, usage.yielded_ns);
        if let Some(weight) = sum.weight {
            row.set_count(Int::Weight, weight);
        }
        if let Some(nice) = sum.nice {
            row.set(Int::Nice, i64::from(nice.get()));
        }
        if let Some(account) = sum.account {
            let [run, wait, entitled, received] =
                [usage.runtime_ns, usage.wait_ns, account.entitled_ns, account.received_ns].map(i128::from);
            let bounded = |ns: i128| i64::try_from(ns).unwrap_or(if ns < 0 { -i64::MAX } else { i64::MAX });
            row.set(Int::Undivided, bounded(run - received));
            row.set(Int::Denied, bounded(received + wait - entitled));
        }
        if usage.waits.count() > 0 {
            let counts = usage.waits.counts().map(|count| i64::try_from(count).unwrap_or(i64::MAX));
            row.waits = Some(Box::new(counts));
        }
    }

    fn set_group(&mut self, row: &mut Row, group: Group, frame: &Frame) {
        if let Some(id) = group_id(group) {
            row.set(Int::GroupId, id);
        }
        if let Some(path) = frame.groups.get(&group) {
            let path = self.text(path.as_bytes());
            let name = self.names.name(&path);
            let weight = row.int(Int::ParentId).map(|_| row.count(Int::Weight));
            name.fill(row, &path, weight);
        }
    }

    /// Groups whose tasks ran or waited, that were throttled, and all above them.
    fn groups(&mut self, window: &Window, audit: &Audit, frame: &Frame, rows: &mut Vec<Row>) {
        let sums: BTreeMap<Who, AuditRow> =
            audit.rows(By::Group, |_| true).into_iter().map(|row| (row.who.clone(), row)).collect();
        let find = |id: Group| {
            audit.groups.binary_search_by_key(&id, |g| g.totals.id).ok().map(|at| &audit.groups[at])
        };
        let mut shown: BTreeSet<Group> = BTreeSet::new();
        let throttled =
            audit.groups.iter().filter(|g| g.throttled_ns > 0 || g.throttles > 0).map(|g| g.totals.id);
        let active = sums.keys().filter_map(|who| if let Who::Group(id) = who { Some(*id) } else { None });
        for id in active.chain(throttled) {
            let mut next = Some(id);
            while let Some(id) = next.filter(|id| shown.insert(*id)) {
                next = find(id).and_then(|group| group.totals.parent);
            }
        }
        for id in shown {
            let mut row = self.row(window, "group");
            match sums.get(&Who::Group(id)) {
                Some(sum) => self.fill(&mut row, sum),
                None => row.set(Int::Tasks, 0),
            }
            if let Some(group) = find(id) {
                row.set_count(Int::Weight, group.totals.weight);
                row.set_count(Int::Throttled, group.throttled_ns);
                row.set_count(Int::Throttles, group.throttles);
                if let Some(parent) = group.totals.parent.and_then(group_id) {
                    row.set(Int::ParentId, parent);
                }
                if let Some(quota) = group.totals.quota {
                    row.set_count(Int::Quota, quota.quota_ns);
                    row.set_count(Int::Period, quota.period_ns);
                }
            }
            self.set_group(&mut row, id, frame);
            rows.push(row);
        }
    }

    fn processes(&mut self, window: &Window, audit: &Audit, frame: &Frame, rows: &mut Vec<Row>) {
        for (by, level, rest_level) in
            [(By::Process, "process", "process_rest"), (By::Comm, "command", "command_rest")]
        {
            let mut sums = audit.rows(by, |_| true);
            sums.sort_by_key(|row| Reverse(row.usage.runtime_ns.saturating_add(row.usage.wait_ns)));
            let rest = sums.split_off(self.most.processes.min(sums.len()));
            for sum in &sums {
                let mut row = self.row(window, level);
                self.fill(&mut row, sum);
                row.set_text(Text::Comm, self.text(&sum.comm));
                if let (By::Process, Some(tgid)) = (by, sum.tgid) {
                    row.set_count(Int::Tgid, u64::from(tgid));
                }
                if let Some(group) = sum.group {
                    self.set_group(&mut row, group, frame);
                }
                rows.push(row);
            }
            if let Some(sum) = rest.into_iter().reduce(|mut sum, row| {
                sum.add_row(&row);
                sum
            }) {
                let mut row = self.row(window, rest_level);
                self.fill(&mut row, &sum);
                rows.push(row);
            }
        }
    }

    fn threads(&mut self, window: &Window, audit: &Audit, frame: &Frame, rows: &mut Vec<Row>) {
        let mut named: BTreeSet<TaskId> = BTreeSet::new();
        let figures: [fn(&Line) -> u64; 2] =
            [|line| line.task.delta.runtime_ns, |line| line.task.delta.wait_ns];
        for figure in figures {
            let mut lines: Vec<&Line> = audit.lines.iter().filter(|line| figure(line) > 0).collect();
            lines.sort_by_key(|line| Reverse(figure(line)));
            named.extend(lines.iter().take(self.most.threads).map(|line| line.task.totals.id));
        }
        let mut rest: BTreeMap<(Group, Policy, Option<&CpuSet>), Option<AuditRow>> = BTreeMap::new();
        for line in &audit.lines {
            let totals = &line.task.totals;
            let affinity = totals.affinity.as_ref();
            if !named.contains(&totals.id) {
                add(rest.entry((totals.group, totals.policy, affinity)).or_default(), line);
                continue;
            }
            let mut row = self.row(window, "thread");
            self.fill(&mut row, &AuditRow::of(Who::Task(totals.id), line));
            row.set_count(Int::Pid, u64::from(totals.id.pid));
            row.set_count(Int::Start, totals.id.start_ns);
            row.set_count(Int::Tgid, u64::from(totals.tgid));
            row.set_text(Text::Comm, self.text(&totals.comm));
            row.set_text(Text::Policy, self.text(totals.policy.to_string().as_bytes()));
            if let Some(affinity) = affinity {
                row.set_text(Text::Affinity, self.text(affinity.to_string().as_bytes()));
            }
            self.set_group(&mut row, totals.group, frame);
            rows.push(row);
        }
        for ((group, policy, affinity), sum) in rest {
            let mut row = self.row(window, "thread_rest");
            if let Some(sum) = sum {
                self.fill(&mut row, &sum);
            }
            row.set_text(Text::Policy, self.text(policy.to_string().as_bytes()));
            if let Some(affinity) = affinity {
                row.set_text(Text::Affinity, self.text(affinity.to_string().as_bytes()));
            }
            self.set_group(&mut row, group, frame);
            rows.push(row);
        }
    }

    /// Pairs of groups, the longest first.
    fn blocked(&mut self, window: &Window, audit: &Audit, frame: &Frame, rows: &mut Vec<Row>) {
        for (pair, sum) in audit.imposed().into_iter().take(self.most.pairs) {
            let mut row = self.row(window, "blocked");
            self.set_group(&mut row, pair.victim, frame);
            if let Some(id) = group_id(pair.culprit) {
                row.set(Int::CulpritId, id);
            }
            let path = frame.groups.get(&pair.culprit).map_or("", String::as_str);
            let name = self.names.name(path).display(path);
            row.set_text(Text::Culprit, self.text(name.as_bytes()));
            row.set_count(Int::Held, sum.imposed_wait_ns);
            row.set_count(Int::Preemptions, sum.preemptions);
            rows.push(row);
        }
    }
}

/// The number that stands for a group in the files; `None` where it is not known.
pub fn group_id(group: Group) -> Option<i64> {
    match group {
        Group::Unknown => None,
        Group::Cgroup(id) => i64::try_from(id).ok(),
        Group::Autogroup(n) => i64::try_from(n).ok().map(|n| -1 - n),
    }
}

/// The group that a number stands for.
pub fn group_of(id: Option<i64>) -> Group {
    match id {
        None => Group::Unknown,
        Some(id @ 0..) => Group::Cgroup(id.unsigned_abs()),
        Some(id) => Group::Autogroup((id + 1).unsigned_abs()),
    }
}

/// Adds a line to a sum.
fn add(sum: &mut Option<AuditRow>, line: &Line) {
    match sum {
        Some(sum) => sum.add(line),
        None => *sum = Some(AuditRow::of(Who::Task(line.task.totals.id), line)),
    }
}

fn books(row: &mut Row, cpu: &CpuWindow) {
    for (column, value) in [
        (Int::Wall, cpu.wall_ns),
        (Int::Busy, cpu.busy_ns),
        (Int::Unfair, cpu.unfair_ns),
        (Int::Idle, cpu.idle_ns),
        (Int::Taken, cpu.taken_ns),
    ] {
        row.set_count(column, value);
    }
}
