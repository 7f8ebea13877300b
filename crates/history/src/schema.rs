//! The columns of the log: the one table from which files, readers and docs/schema.md are made.
//!
//! Every number is a signed 64-bit integer, because unsigned ones become decimals in Spark and nanosecond
//! timestamps are refused or cut by some readers. What does not apply to a level is null. What follows from
//! other columns is not written: [`DERIVED`].

use std::fmt::Write as _;
use tombola_core::audit::Row;
use tombola_core::metric::{Metric, audit};

/// Version of the meaning of the columns. New columns come at the end and do not change it.
pub const VERSION: u32 = 2;

/// Column of the moment for people: microseconds since the Unix epoch, UTC. It is `ts_ns / 1000`.
pub const TS: &str = "ts";

/// Column of the histogram of waits: 24 counts, as [`tombola_core::histogram`] defines the buckets.
pub const WAITS: &str = "waits";

/// What is known of a column.
struct Column {
    name: &'static str,
    from: From,
}

/// Where a column comes from.
enum From {
    /// A figure of the log alone: its unit and what it says.
    Own(&'static str, &'static str),
    /// The metric of rows of the ledger with this key.
    Catalogue(&'static str),
}

impl From {
    fn metric(&self) -> Option<&'static Metric<Row>> {
        match self {
            Self::Own(..) => None,
            Self::Catalogue(key) => audit::find(key),
        }
    }
}

macro_rules! columns {
    (@from $unit:literal $text:literal) => { From::Own($unit, $text) };
    (@from metric $key:literal) => { From::Catalogue($key) };
    (@doc $unit:literal $text:literal) => { $text };
    (@doc metric $key:literal) => { concat!("The metric `", $key, "` of the catalogue.") };
    ($(#[$doc:meta])* $kind:ident { $($name:ident $column:literal ($($from:tt)+),)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $kind { $(#[doc = columns!(@doc $($from)+)] $name,)* }

        impl $kind {
            /// All of them, in the order of the file.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            const COLUMNS: &[Column] = &[$(Column { name: $column, from: columns!(@from $($from)+) },)*];

            /// Name of the column.
            pub fn name(self) -> &'static str {
                Self::COLUMNS[self as usize].name
            }

            /// Unit of its values.
            pub fn unit(self) -> &'static str {
                let from = &Self::COLUMNS[self as usize].from;
                match (from, from.metric()) {
                    (From::Own(unit, _), _) => unit,
                    (_, metric) => metric.map_or("", |metric| metric.unit.name()),
                }
            }

            /// What it says.
            pub fn text(self) -> &'static str {
                let from = &Self::COLUMNS[self as usize].from;
                match (from, from.metric()) {
                    (From::Own(_, text), _) => text,
                    (_, metric) => metric.map_or("", |metric| metric.meaning),
                }
            }
        }
    };
}

columns! {
    /// Columns that hold text, with a dictionary.
    Text {
        Host "host" ("text" "Host name; also the name of the folder."),
        Boot "boot_id" ("text" "Boot of the kernel (`/proc/sys/kernel/random/boot_id`): identities of tasks hold within one."),
        Level "level" ("text" "What the row is about: see the levels below."),
        Cgroup "cgroup" ("text" "Path of the scheduling group in the hierarchy of the cpu controller, or autogroup."),
        Name "name" ("text" "What people call the group: namespace/pod/container, unit, user's slice; its path where nobody can name it."),
        Namespace "namespace" ("text" "Kubernetes namespace."),
        Pod "pod" ("text" "Kubernetes pod: its name, or its UID where the name is not known."),
        Container "container" ("text" "Container: its name, or its id where the name is not known."),
        Runtime "runtime" ("text" "Who made the container: containerd, crio, docker, podman, …"),
        Unit "unit" ("text" "Unit of systemd."),
        Comm "comm" ("text" "Name of the task, of the process's leader, or of the command; bytes that are no UTF-8 are replaced."),
        Policy "policy" ("text" "Scheduling policy, where all tasks of the row have the same."),
        Affinity "affinity" ("text" "CPUs the task may use, as `0-3,8`; null: not known, or not the same for all."),
        Culprit "culprit" ("text" "Level blocked: the group that held the CPU, by its name."),
    }
}

columns! {
    /// Columns that hold whole numbers.
    Int {
        Ts "ts_ns" ("ns" "End of the interval since the Unix epoch."),
        Interval "interval_ns" ("ns" "Length of the interval, on the monotonic clock."),
        GroupId "group_id" ("id" "Id (inode number) of the cgroup; −1 − N for autogroup N."),
        ParentId "parent_id" ("id" "Level group: the group above."),
        Pid "pid" ("id" "Level thread: thread id."),
        Start "start_ns" ("ns" "Level thread: start of the task since boot; with the pid it is an identity."),
        Tgid "tgid" ("id" "Process (thread group)."),
        Cpu "cpu" ("number" "Level cpu: number of the CPU."),
        Tasks "tasks" (metric "tasks"),
        Nice "nice" ("−20…19" "Nice value, where all tasks of the row have the same."),
        Weight "weight" ("1024 = nice 0 = cpu.weight 100" "Weight: of a group among its siblings, else of the tasks in their groups."),
        Run "run_ns" (metric "runtime_ns"),
        Wait "wait_ns" (metric "wait_ns"),
        WaitThrottled "wait_throttled_ns" (metric "throttled_ns"),
        WaitOther "wait_other_ns" ("ns" "Estimate: that part in which neither a quota nor others were in the way."),
        WaitMax "wait_max_ns" (metric "wait_max_ns"),
        Undivided "undivided_ns" ("ns" "That part of `run_ns` that was not divided by weights: what interrupts and the hypervisor took, and the run time of real-time tasks."),
        Denied "denied_ns" ("ns" "What was asked for (received + wait) and not due by weights, quotas and affinities (docs/ledger.md); 0 where all of it was due."),
        Switches "switches" (metric "switches"),
        Involuntary "involuntary" ("count" "Those of them in which the task was still runnable."),
        Yields "yields" (metric "yields"),
        Yielded "yielded_ns" ("ns" "That part of `wait_ns` which followed a yield: in `wait_other_ns`, and nobody owes it."),
        Wakeups "wakeups" (metric "wakeups"),
        Migrations "migrations" (metric "migrations"),
        Quota "quota_ns" ("ns" "Level group: CPU time it may have in a period; null: no limit."),
        Period "period_ns" ("ns" "Level group: length of that period."),
        Throttled "throttled_ns" ("ns" "Level group: time its run queues stood throttled, added up over CPUs."),
        Throttles "throttles" ("count" "Level group: how often they were throttled."),
        RequestLinear "request_linear_milli" ("1/1000 CPU" "Level group of a pod: the request behind its weight by the linear formula."),
        RequestLog "request_log_milli" ("1/1000 CPU" "Level group of a pod: the request behind its weight by the logarithmic formula."),
        Wall "wall_ns" ("ns" "Levels machine and cpu: how long CPUs were there."),
        Busy "busy_ns" ("ns" "Levels machine and cpu: time they ran tasks."),
        Unfair "unfair_ns" ("ns" "Levels machine and cpu: those parts of it that went to real-time, deadline and stop tasks."),
        Idle "idle_ns" ("ns" "Levels machine and cpu: time they idled."),
        Taken "taken_ns" ("ns" "Levels machine and cpu: what interrupts and the hypervisor took."),
        Capacity "capacity_ns" ("ns" "Level machine: what there was to divide."),
        Unlisted "unlisted_ns" ("ns" "Level machine: run time of ended tasks that are in no row."),
        UnlistedTasks "unlisted_tasks" ("count" "Level machine: how many they were."),
        Residual "residual_ns" ("ns" "Level machine: wall − all that is known; 0 where the books balance."),
        Untracked "untracked_ns" ("ns" "Level machine, loss: run time that is in no row because a map had no room."),
        MapFull "map_full" ("count" "Level machine, loss: slices that found the map full."),
        MapBusy "map_busy" ("count" "Level machine, loss: slices that found it busy."),
        MapOther "map_other" ("count" "Level machine, loss: slices refused for another reason."),
        ClockBackwards "clock_backwards" ("count" "Level machine, loss: time stamps that ran backwards."),
        StaleRecords "stale_records" ("count" "Level machine, loss: ends of tasks that were not seen."),
        GroupsFull "groups_full" ("count" "Level machine, loss: groups that found no room."),
        UnseenSwitches "unseen_switches" ("count" "Level machine, loss: switches that the kernel did not show."),
        Unseen "unseen_ns" ("ns" "Level machine, loss: run time around them."),
        Measuring "measuring_ns" ("ns" "Level machine: CPU time that the logging process itself used since the row before."),
        Held "held_ns" ("ns" "Level blocked: wait that the culprit imposed on the row's group: time one of its tasks ran where tasks of the group waited, added up over those that waited."),
        Preemptions "preemptions" ("count" "Level blocked: times the culprit took the CPU from the row's group."),
        CulpritId "culprit_id" ("id" "Level blocked: the group that held the CPU, as in `group_id`; null: not known."),
    }
}

impl Int {
    /// The columns that are metrics of the catalogue, with these.
    pub fn measured() -> impl Iterator<Item = (Self, &'static Metric<Row>)> {
        Self::ALL.iter().filter_map(|column| Some((*column, Self::COLUMNS[*column as usize].from.metric()?)))
    }
}

/// Columns that the view `log` of the shipped questions has beside those of the files (`fleet/view.sql`):
/// name, expression in SQL, unit, meaning.
pub const DERIVED: [(&str, &str, &str, &str); 4] = [
    ("received_ns", "run_ns - undivided_ns", "ns", "What was received of what there was to divide."),
    (
        "entitled_ns",
        "run_ns - undivided_ns + wait_ns - denied_ns",
        "ns",
        "What was due by weights, quotas, affinities and demand (docs/ledger.md).",
    ),
    ("lag_ns", "wait_ns - denied_ns", "ns", "entitled − received: positive where time is owed."),
    (
        "wait_contention_ns",
        "wait_ns - wait_throttled_ns - wait_other_ns",
        "ns",
        "Estimate: waited while others ran.",
    ),
];

/// Levels of rows, and what one of them is about.
pub const LEVELS: [(&str, &str); 9] = [
    ("machine", "The whole machine: one row an interval, with books and loss."),
    ("cpu", "One CPU."),
    ("group", "One scheduling group, without the groups below it. Groups add up."),
    ("process", "One process that ran or waited, of those that did so longest."),
    ("process_rest", "All other processes: with `process` it adds up."),
    ("command", "All tasks of one name, of the names that ran or waited longest."),
    ("command_rest", "All other names: with `command` it adds up."),
    ("thread", "One thread, of those that ran or waited longest."),
    ("thread_rest", "All other threads of one group and policy: with `thread` it adds up."),
];

/// The level that is there only where who stands in whose way is watched.
pub const BLOCKED: (&str, &str) =
    ("blocked", "One group that waited and one that held the CPU meanwhile: the pairs of most time.");

/// docs/schema.md.
pub fn markdown() -> String {
    let mut page = String::from(
        "# Schema of the log\n\n\
         Made from `crates/history/src/schema.rs`; a test compares the two. [history.md](history.md) says how the files come to be.\n\n\
         Files are `date=YYYY-MM-DD/host=HOST/FROM-TO-BOOT.parquet`; the date is that of the file's first interval, in UTC. Every column but\n\
         `ts`, `ts_ns`, `interval_ns`, `host`, `boot_id` and `level` may be null, where it does not apply to the level.\n\n\
         ## Levels\n\nWhoever adds up rows chooses one level, or a level and its rest.\n\n| level | a row is |\n|---|---|\n",
    );
    for (level, text) in LEVELS.iter().chain([&BLOCKED]) {
        let _ = writeln!(page, "| `{level}` | {text} |");
    }
    page.push_str("\n## Columns\n\n| column | type | unit | meaning |\n|---|---|---|---|\n");
    let _ = writeln!(
        page,
        "| `{TS}` | TIMESTAMP(MICROS, UTC) | µs | End of the interval: `ts_ns` without its last three digits. |"
    );
    for column in Int::ALL {
        let _ = writeln!(page, "| `{}` | INT64 | {} | {} |", column.name(), column.unit(), column.text());
    }
    for column in Text::ALL {
        let _ = writeln!(page, "| `{}` | STRING | {} | {} |", column.name(), column.unit(), column.text());
    }
    let _ = writeln!(
        page,
        "| `{WAITS}` | LIST of INT64 | count | Ended waits by length, 24 counts: the first of less than 1 µs, the k-th of 2^(k−2) to \
         2^(k−1) µs, the last of 4.2 s and more. Null where nothing waited. |"
    );
    page.push_str(
        "\n## What follows from them\n\nNot in the files, and in the view `log` that the questions of [fleet.md](fleet.md) ask (`fleet/view.sql`): a \
         duration in nanoseconds that is written twice costs three bytes a row. They are null where one of their parts is.\n\n\
         | column | is | unit | meaning |\n|---|---|---|---|\n",
    );
    for (name, expression, unit, text) in DERIVED {
        let _ = writeln!(page, "| `{name}` | `{expression}` | {unit} | {text} |");
    }
    page.push_str(
        "\n## Footer\n\nKey-value pairs of every file: `tombola.schema` (version of this page), `tombola.source` (who wrote it), `tombola.host`, \
         `tombola.boot_id`, `tombola.kernel` (release), `tombola.units` (JSON: column to unit). A file of another version is refused.\n",
    );
    page
}

#[cfg(test)]
mod tests {
    use super::{From, Int};

    #[test]
    fn every_column_of_the_catalogue_is_a_metric_there_with_a_unit() {
        let named = |column: &&Int| matches!(Int::COLUMNS[**column as usize].from, From::Catalogue(_));
        let named: Vec<Int> = Int::ALL.iter().filter(named).copied().collect();
        let found: Vec<Int> = Int::measured().map(|(column, _)| column).collect();
        assert_eq!(found, named);
        assert!(found.len() >= 9 && found.iter().all(|column| !column.unit().is_empty()));
    }
}
