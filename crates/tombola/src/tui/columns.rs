//! Columns of the tables: title, width, text and the value they sort by.

use crate::moment::Moment;
use crate::text::harmless;
use std::fmt;
use std::str::FromStr;
use tombola_core::audit::{Row, Who};

/// A column; `TITLES` says what each is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Column {
    Pid,
    User,
    Nice,
    Class,
    Weight,
    Cpu,
    Wait,
    P50,
    P99,
    Max,
    Lag,
    Got,
    Throttled,
    Preempted,
    Wakeups,
    Migrations,
    Tasks,
    Group,
    Comm,
}

/// Each with its name in the config file and on the screen, its width there, and what it says.
const TITLES: [(Column, &str, u16, &str); 19] = [
    (Column::Pid, "PID", 7, "task (thread) or process"),
    (Column::User, "USER", 8, "effective user of the process"),
    (Column::Nice, "NI", 3, "nice value; * where they differ"),
    (Column::Class, "CLS", 5, "scheduling policy"),
    (Column::Weight, "WEIGHT", 7, "weight it competes with, 1024 for nice 0"),
    (Column::Cpu, "CPU%", 6, "time on a CPU, of one CPU"),
    (Column::Wait, "WAIT%", 6, "time runnable without a CPU, of the interval"),
    (Column::P50, "P50", 8, "median wait, ms"),
    (Column::P99, "P99", 8, "99 of 100 waits were no longer, ms"),
    (Column::Max, "MAX", 8, "longest wait, ms"),
    (Column::Lag, "LAG", 9, "entitled - received, ms: above 0 it is owed"),
    (Column::Got, "GOT/FAIR", 8, "received / entitled"),
    (Column::Throttled, "THROTTLED", 9, "part of the wait in which a quota was used up, ms"),
    (Column::Preempted, "PREEMPT", 8, "times it lost the CPU while runnable"),
    (Column::Wakeups, "WAKEUPS", 8, "times it came from sleep to a CPU"),
    (Column::Migrations, "MIGR", 6, "slices on another CPU than the one before"),
    (Column::Tasks, "TASKS", 5, "tasks in the row"),
    (Column::Group, "CGROUP", 18, "cgroup or autogroup, short"),
    (Column::Comm, "COMM", 16, "name; the last column grows"),
];

/// What a column sorts by.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum SortValue {
    /// The largest first.
    Number(f64),
    /// In the order of the alphabet.
    Text(String),
}

impl Column {
    /// All of them.
    pub(crate) const ALL: [Self; 19] = {
        let mut all = [Self::Pid; 19];
        let mut at = 0;
        while at < 19 {
            all[at] = TITLES[at].0;
            at += 1;
        }
        all
    };

    /// Those that are shown where nothing else is said.
    pub(crate) const DEFAULT: [Self; 11] = [
        Self::Pid,
        Self::User,
        Self::Nice,
        Self::Class,
        Self::Cpu,
        Self::Wait,
        Self::P99,
        Self::Lag,
        Self::Got,
        Self::Group,
        Self::Comm,
    ];

    fn entry(self) -> &'static (Self, &'static str, u16, &'static str) {
        // Every column has an entry, which a test looks after.
        TITLES.iter().find(|(column, ..)| *column == self).unwrap_or(&TITLES[0])
    }

    /// Its title.
    pub(crate) fn title(self) -> &'static str {
        self.entry().1
    }

    /// Its width, in columns of the terminal.
    pub(crate) fn width(self) -> u16 {
        self.entry().2
    }

    /// What it says.
    pub(crate) fn about(self) -> &'static str {
        self.entry().3
    }

    /// Whether its texts stand at the left.
    pub(crate) fn is_text(self) -> bool {
        matches!(self, Self::User | Self::Class | Self::Group | Self::Comm)
    }

    /// Its text, harmless.
    pub(crate) fn text(self, moment: &Moment, row: &Row) -> String {
        let usage = &row.usage;
        let length_ns = moment.audit.length_ns.max(1) as f64;
        let dash = || "-".to_owned();
        let ms = |ns: u64| format!("{:.2}", ns as f64 / 1e6);
        let part = |ns: u64| format!("{:.1}", 100.0 * ns as f64 / length_ns);
        let wait = |q| usage.wait_quantile_ns(q).map_or_else(dash, ms);
        match self {
            Self::Pid => match &row.who {
                Who::Task(id) => id.pid.to_string(),
                _ => row.tgid.map_or_else(|| "*".to_owned(), |pid| pid.to_string()),
            },
            Self::User => match row.tgid {
                Some(tgid) => moment.user(tgid).map_or_else(dash, |user| harmless(user.as_bytes())),
                None => "*".to_owned(),
            },
            Self::Nice => row.nice.map_or_else(|| "*".to_owned(), |nice| nice.to_string()),
            Self::Class => row.policy.map_or_else(|| "*".to_owned(), |policy| policy.to_string()),
            Self::Weight => row
                .weight
                .map_or_else(dash, |weight| format!("{weight}{}", if row.tickets_set { "*" } else { "" })),
            Self::Cpu => part(usage.runtime_ns),
            Self::Wait => part(usage.wait_ns),
            Self::P50 => wait(0.5),
            Self::P99 => wait(0.99),
            Self::Max => usage.longest_wait_ns().map_or_else(dash, ms),
            Self::Lag => row.account.map_or_else(dash, |account| signed_ms(account.lag_ns())),
            Self::Got => match row.account.map(|account| account.satisfaction()) {
                Some(Some(ratio)) if ratio < 1000.0 => format!("{ratio:.2}"),
                Some(Some(_)) => ">999".to_owned(),
                _ => dash(),
            },
            Self::Throttled => ms(row.waiting.throttled_ns),
            Self::Preempted => usage.involuntary.to_string(),
            Self::Wakeups => usage.wakeups.to_string(),
            Self::Migrations => usage.migrations.to_string(),
            Self::Tasks => row.tasks.to_string(),
            Self::Group => row.group.map_or_else(|| "*".to_owned(), |group| moment.view().group(group)),
            Self::Comm => harmless(&row.comm),
        }
    }

    /// What it sorts by.
    pub(crate) fn sort_value(self, moment: &Moment, row: &Row) -> SortValue {
        let usage = &row.usage;
        let wait = |q| usage.wait_quantile_ns(q).unwrap_or(0);
        SortValue::Number(match self {
            Self::User | Self::Class | Self::Group | Self::Comm => {
                return SortValue::Text(self.text(moment, row));
            }
            Self::Pid => match &row.who {
                Who::Task(id) => f64::from(id.pid),
                _ => row.tgid.unwrap_or(0).into(),
            },
            Self::Nice => row.nice.map_or(0.0, |nice| f64::from(nice.get())),
            Self::Weight => row.weight.unwrap_or(0) as f64,
            Self::Cpu => usage.runtime_ns as f64,
            Self::Wait => usage.wait_ns as f64,
            Self::P50 => wait(0.5) as f64,
            Self::P99 => wait(0.99) as f64,
            Self::Max => usage.longest_wait_ns().unwrap_or(0) as f64,
            Self::Lag => row.lag_ns() as f64,
            // Who got least of its entitlement is who is looked for: it comes first.
            Self::Got => {
                -row.account.and_then(|account| account.satisfaction()).unwrap_or(f64::from(u32::MAX))
            }
            Self::Throttled => row.waiting.throttled_ns as f64,
            Self::Preempted => usage.involuntary as f64,
            Self::Wakeups => usage.wakeups as f64,
            Self::Migrations => usage.migrations as f64,
            Self::Tasks => row.tasks as f64,
        })
    }
}

/// Milliseconds with a sign where they are not zero.
pub(super) fn signed_ms(ns: i64) -> String {
    let text = format!("{:+.2}", ns as f64 / 1e6);
    if text.bytes().any(|b| matches!(b, b'1'..=b'9')) { text } else { "0.00".to_owned() }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.title())
    }
}

impl FromStr for Column {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let known = || Self::ALL.map(Self::title).join(", ");
        let found = TITLES.iter().find(|(_, title, ..)| title.eq_ignore_ascii_case(word));
        found
            .map(|entry| entry.0)
            .ok_or_else(|| format!("there is no column of that name; there are {}", known()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_has_its_own_entry_and_a_name_that_is_read_back() {
        for column in Column::ALL {
            assert_eq!(column.entry().0, column);
            assert_eq!(column.title().parse(), Ok(column));
            assert_eq!(column.title().to_lowercase().parse(), Ok(column));
        }
        assert!("FROB".parse::<Column>().unwrap_err().contains("GOT/FAIR"));
    }

    #[test]
    fn a_lag_that_rounds_to_zero_has_no_sign() {
        assert_eq!(
            [0, 1, -4_000, 6_000, -1_500_000].map(signed_ms),
            ["0.00", "0.00", "0.00", "+0.01", "-1.50"]
        );
    }
}
