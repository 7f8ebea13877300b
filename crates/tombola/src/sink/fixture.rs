//! Reports made by hand, for tests.

use crate::groups::Groups;
use tombola_core::frame::Frame;
use tombola_core::histogram::Histogram;
use tombola_core::identity::TaskId;
use tombola_core::policy::Policy;
use tombola_core::report::{Options, Report};
use tombola_core::rolling::{Alpha, Rolling};
use tombola_core::snapshot::{ExitTotals, Group, Loss, Snapshot, TaskState, TaskTotals};
use tombola_core::tally::Tally;
use tombola_core::tickets::Nice;
use tombola_core::usage::Usage;
use tombola_core::window::{CpuWindow, TaskWindow, Window};
use tombola_core::worth::{Judged, Kind, Worth};
use tombola_kernel::scheduler::ScheduledTask;

pub(crate) fn task(pid: u32, comm: &[u8], nice: i64, policy: Policy, delta_ns: u64) -> TaskWindow {
    let nice = Nice::new(nice).unwrap();
    let delta = Usage {
        runtime_ns: delta_ns,
        wait_ns: delta_ns / 3,
        wait_max_ns: 4_000_000,
        waits: Histogram::default(),
        switches: 12,
        involuntary: 5,
        wakeups: 7,
        migrations: 1,
        ..Usage::default()
    };
    let mut usage = delta.clone();
    usage.merge(&Usage { runtime_ns: 2_000_000_000, switches: 100, wait_ns: 1, ..Usage::default() });
    let id = TaskId { pid, start_ns: 1_000_000 + u64::from(pid) };
    let totals = TaskTotals {
        id,
        tgid: pid,
        comm: comm.to_vec(),
        nice,
        policy,
        weight: nice.weight(),
        tickets_set: None,
        group: match pid % 3 {
            0 => Group::Unknown,
            n => Group::Cgroup(n.into()),
        },
        affinity: None,
        cpu: pid % 2,
        state: TaskState::Sleeping,
        usage,
    };
    TaskWindow { totals: totals.into(), delta, ended: false }
}

/// One second of two CPUs.
pub(crate) fn window(mut tasks: Vec<TaskWindow>) -> Window {
    tasks.sort_by_key(|t| t.totals.id);
    let busy_ns = tasks.iter().map(|t| t.delta.runtime_ns).sum::<u64>();
    let wall_ns = 1_000_000_000;
    let cpu = |cpu, busy_ns| CpuWindow {
        cpu,
        wall_ns,
        busy_ns,
        unfair_ns: 0,
        idle_ns: wall_ns - busy_ns,
        taken_ns: 0,
    };
    let first = busy_ns.min(wall_ns);
    Window {
        from_ns: 5_000_000_000,
        to_ns: 6_000_000_000,
        unix_us: 1_700_000_000_000_042,
        is_first: false,
        cpus: vec![cpu(0, first), cpu(1, (busy_ns - first).min(wall_ns))],
        tasks,
        unlisted_exits: ExitTotals::default(),
        group_rule: tombola_core::entitlement::GroupRule::default(),
        ext_runs: false,
        reservations: std::collections::BTreeMap::new(),
        groups: Vec::new(),
        interference: None,
        loss: Loss::default(),
        loss_total: Loss::default(),
        worths: Vec::new(),
        worths_total: Vec::new(),
    }
}

/// The same of a source that judges its figures: what tasks did was not known for a while.
pub(crate) fn judged(window: Window) -> Window {
    let judged = |kind| {
        let why = "weights and groups are not recorded";
        let (worth, too_low_ns, why) = match kind {
            Kind::Run | Kind::Wait => (Worth::Bounded, Some(2_500_000), "something is not known"),
            Kind::Entitlement => (Worth::Unknown, None, why),
            _ => (Worth::Exact, None, ""),
        };
        Judged { kind, worth, too_low_ns, why }
    };
    let worths = Kind::ALL.map(judged).to_vec();
    Window { worths_total: worths.clone(), worths, ..window }
}

/// A frame of which only the names of groups are known.
pub(crate) fn frame(groups: Groups) -> Frame {
    let snapshot = Snapshot {
        read_ns: 0,
        taken_ns: 6_000_000_000,
        unix_us: 1_700_000_000_000_042,
        begin_ns: 0,
        cpus: Vec::new(),
        tasks: Vec::new(),
        exited: Vec::new(),
        exits: ExitTotals::default(),
        groups: Vec::new(),
        interference: None,
        loss: Loss::default(),
    };
    Frame::new(snapshot, groups)
}

pub(crate) fn report(window: Window) -> Report {
    let mut rolling = Rolling::new(Alpha::default());
    rolling.update(&window);
    Report::new(window, &rolling, Options::default())
}

/// Three burners of nice 0, 5 and 10, and a real-time task, on two CPUs.
pub(crate) fn burners() -> Vec<TaskWindow> {
    vec![
        task(101, b"burner-0", 0, Policy::Other, 697_000_000),
        task(102, b"burner-5", 5, Policy::Other, 228_123_456),
        task(103, b"burner-10", 10, Policy::Other, 74_876_544),
        task(7, b"rt-audio", 0, Policy::Fifo, 250_000_000),
    ]
}

/// Tasks with every kind of name that means harm.
pub(crate) fn hostile() -> Vec<TaskWindow> {
    let names: [&[u8]; 14] = [
        b"",
        b"123456789012345",
        b"new\nline",
        b"tab\there",
        b"\x1b[31mred\x1b[0m",
        b"\xff\xfe",
        b"c1 \xc2\x9b31m",
        "bidi \u{202e}gpj".as_bytes(),
        b"comma,quote\"",
        b"a) S 1 (b",
        b"=1+1",
        b"-2",
        "日本語".as_bytes(),
        b"\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f",
    ];
    (1u32..).zip(names).map(|(pid, comm)| task(pid, comm, 0, Policy::Other, 1_000_000)).collect()
}

/// Tasks of a scheduler: two burners, one with tickets of its own, one with a hostile name, and one that
/// never took part.
pub(crate) fn scheduled() -> Vec<ScheduledTask> {
    let task = |pid: u32, comm: &[u8], nice: i8, tickets, wins: u64, expected| ScheduledTask {
        id: TaskId { pid, start_ns: 1 },
        tgid: pid,
        comm: comm.to_vec(),
        nice,
        policy: Policy::Other,
        group: Group::Cgroup(u64::from(pid % 2)),
        tickets,
        explicit: false,
        runnable: true,
        tally: Tally {
            wins,
            expected,
            variance: expected / 2.0,
            undrawn: 0,
            slices: wins,
            used_ns: wins * 4_900_000,
        },
    };
    vec![
        task(301, b"burn-0", 0, 1024, 1080, 1086.4),
        task(302, b"\x1b[31mred\n", 3, 526, 560, 558.1),
        ScheduledTask { explicit: true, ..task(303, b"burn-set", 5, 335, 356, 355.5) },
        ScheduledTask { runnable: false, ..task(304, b"", 19, 15, 1, 0.0) },
        task(305, b"never", 0, 1024, 0, 0.0),
    ]
}
