//! Columns of the tables: those of the catalogue ([`tombola_core::metric`]), which `audit --columns` has too,
//! and the few that only the screen can tell, because they need more than a row: the length of the interval,
//! or the owner.

use crate::moment::Moment;
use crate::nearest::did_you_mean;
use crate::sink::cell::table_cell;
use crate::text::harmless;
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;
use tombola_core::audit::Row;
use tombola_core::metric::{Metric, Unit, Value, audit};

/// A column.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Column {
    /// A metric of the catalogue.
    Metric(&'static Metric<Row>),
    /// One of the screen's own.
    Own(Own),
}

/// What only the screen can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Own {
    /// Who owns the process.
    User,
    /// Run, of the interval.
    Cpu,
    /// Wait, of the interval.
    Wait,
    /// Received / entitled.
    Got,
}

/// The screen's own columns: name in the config file and on the screen, width there, and what it says.
const OWN: [(Own, &str, u16, &str); 4] = [
    (Own::User, "USER", 8, "Effective user of the process."),
    (Own::Cpu, "CPU%", 6, "CPU time it had, as a part of the interval: of one CPU."),
    (Own::Wait, "WAIT%", 6, "Time it was runnable and did not run, as a part of the interval."),
    (Own::Got, "GOT/FAIR", 8, "Received / entitled."),
];

/// Names, which stand last, where the last of them can grow.
const NAMES: [&str; 3] = ["group", "cgroup", "comm"];

/// Columns where nothing else is said.
const DEFAULT: [&str; 11] =
    ["PID", "USER", "NICE", "POLICY", "CPU%", "WAIT%", "P99_MS", "LAG_MS", "GOT/FAIR", "GROUP", "COMM"];

/// What a column sorts by.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum SortValue {
    /// The largest first.
    Number(f64),
    /// In the order of the alphabet.
    Text(String),
}

impl Column {
    /// Time on a CPU as a part of the interval.
    pub(crate) const CPU: Self = Self::Own(Own::Cpu);

    /// Wait as a part of the interval.
    pub(crate) const WAIT: Self = Self::Own(Own::Wait);

    /// The metric of that key.
    ///
    /// # Panics
    /// If the catalogue has none: keys in this program are of it.
    pub(crate) fn of(key: &str) -> Self {
        Self::Metric(audit::find(key).expect("the catalogue has the keys that this program names"))
    }

    /// All of them, as lists show them: whom a row is about, the screen's own, figures, names.
    pub(crate) fn all() -> Vec<Self> {
        let (pid, rest) = audit::METRICS.split_first().expect("the catalogue is not empty");
        let own = OWN.iter().map(|(own, ..)| Self::Own(*own));
        let names = NAMES.into_iter().map(Self::of);
        std::iter::once(Self::Metric(pid))
            .chain(own)
            .chain(rest.iter().map(Self::Metric).filter(|column| !column.is_name()))
            .chain(names)
            .collect()
    }

    /// Those that are shown where nothing else is said.
    pub(crate) fn usual() -> Vec<Self> {
        DEFAULT.iter().map(|name| name.parse().expect("a column of that name is there")).collect()
    }

    /// Each of them once, where it is first.
    pub(crate) fn distinct(columns: impl IntoIterator<Item = Self>) -> Vec<Self> {
        let mut distinct = Vec::new();
        for column in columns {
            if !distinct.contains(&column) {
                distinct.push(column);
            }
        }
        distinct
    }

    /// Names of the usual ones, with commas between.
    #[cfg(test)]
    pub(crate) fn usual_names() -> String {
        DEFAULT.join(",")
    }

    /// Its title, by which the config file has it too.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Metric(metric) => metric.title,
            Self::Own(own) => own.entry().1,
        }
    }

    /// Its key in the catalogue, or, of the screen's own, its title.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Metric(metric) => metric.key,
            Self::Own(_) => self.title(),
        }
    }

    /// Its width, in columns of the terminal.
    pub(crate) fn width(self) -> usize {
        let least = match self {
            Self::Own(own) => return own.entry().2.into(),
            Self::Metric(metric) => match (metric.key, metric.unit) {
                ("pid" | "tgid", _) => 7,
                ("group", _) => 17,
                ("cgroup", _) => 30,
                ("comm", _) => 15, // of a name the kernel keeps as many bytes
                ("bound_by", _) => 12,
                (_, Unit::Nanoseconds | Unit::Milliseconds) => 9,
                (_, Unit::Ratio | Unit::Count) => 7,
                (_, Unit::None) => 0,
            },
        };
        least.max(self.title().len())
    }

    /// What it says.
    pub(crate) fn about(self) -> &'static str {
        match self {
            Self::Metric(metric) => metric.meaning,
            Self::Own(own) => own.entry().3,
        }
    }

    /// Whether it is a name, which stands last.
    pub(crate) fn is_name(self) -> bool {
        NAMES.contains(&self.key())
    }

    /// Whether its texts stand at the left.
    pub(crate) fn is_text(self) -> bool {
        match self {
            Self::Metric(metric) => metric.is_text(),
            Self::Own(own) => own == Own::User,
        }
    }

    /// Whether it tells of waits, which have a colour.
    pub(crate) fn is_of_waits(self) -> bool {
        match self {
            Self::Metric(metric) => {
                metric.unit == Unit::Nanoseconds
                    && ["wait", "contention", "throttled"].iter().any(|word| metric.key.contains(word))
            }
            Self::Own(own) => own == Own::Wait,
        }
    }

    /// Its text, harmless.
    pub(crate) fn text(self, moment: &Moment, row: &Row) -> String {
        let length_ns = moment.audit.length_ns.max(1) as f64;
        let dash = || "-".to_owned();
        let part = |ns: u64| format!("{:.1}", 100.0 * ns as f64 / length_ns);
        match self {
            Self::Metric(metric) => table_cell(metric, row, &moment.groups),
            Self::Own(Own::User) => match row.tgid {
                Some(tgid) => moment.user(tgid).map_or_else(dash, |user| harmless(user.as_bytes())),
                None => "*".to_owned(),
            },
            Self::Own(Own::Cpu) => part(row.usage.runtime_ns),
            Self::Own(Own::Wait) => part(row.usage.wait_ns),
            Self::Own(Own::Got) => match row.account.map(|account| account.satisfaction()) {
                Some(Some(ratio)) if ratio < 1000.0 => format!("{ratio:.2}"),
                Some(Some(_)) => ">999".to_owned(),
                _ => dash(),
            },
        }
    }

    /// What it sorts by.
    pub(crate) fn sort_value(self, moment: &Moment, row: &Row) -> SortValue {
        SortValue::Number(match self {
            Self::Metric(metric) => match metric.value(row) {
                Value::Unsigned(number) | Value::Marked(number) | Value::Millionths(number) => number as f64,
                Value::Signed(number) => number as f64,
                Value::Real(number) => number,
                Value::Flag(flag) => f64::from(u8::from(flag)),
                Value::None if !metric.is_text() => 0.0,
                Value::None | Value::Word(_) | Value::Name(_) | Value::Group(_) | Value::Path(_) => {
                    return SortValue::Text(self.text(moment, row));
                }
            },
            Self::Own(Own::User) => return SortValue::Text(self.text(moment, row)),
            Self::Own(Own::Cpu) => row.usage.runtime_ns as f64,
            Self::Own(Own::Wait) => row.usage.wait_ns as f64,
            // Who got least of its entitlement is who is looked for: it comes first.
            Self::Own(Own::Got) => {
                -row.account.and_then(|account| account.satisfaction()).unwrap_or(f64::from(u32::MAX))
            }
        })
    }
}

impl SortValue {
    /// Which of two rows comes first.
    pub(crate) fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Number(mine), Self::Number(theirs)) => theirs.total_cmp(mine),
            (Self::Text(mine), Self::Text(theirs)) => mine.cmp(theirs),
            (Self::Number(_), Self::Text(_)) => Ordering::Less,
            (Self::Text(_), Self::Number(_)) => Ordering::Greater,
        }
    }
}

impl Own {
    fn entry(self) -> &'static (Self, &'static str, u16, &'static str) {
        // Every one has an entry, which a test looks after.
        OWN.iter().find(|(own, ..)| *own == self).unwrap_or(&OWN[0])
    }
}

/// Milliseconds with a sign where they are not zero.
pub(super) fn signed_ms(ns: i64) -> String {
    let text = format!("{:+.2}", ns as f64 / 1e6);
    if text.bytes().any(|b| matches!(b, b'1'..=b'9')) { text } else { "0.00".to_owned() }
}

impl PartialEq for Column {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Column {}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.title())
    }
}

impl FromStr for Column {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let all = Self::all();
        let is_it =
            |column: &Self| [column.key(), column.title()].iter().any(|n| n.eq_ignore_ascii_case(word));
        all.iter().copied().find(is_it).ok_or_else(|| {
            let names: Vec<String> =
                all.iter().flat_map(|column| [column.key(), column.title()]).map(str::to_lowercase).collect();
            let hint = did_you_mean(&word.to_lowercase(), names.iter().map(String::as_str));
            let titles: Vec<&str> = all.iter().map(|column| column.title()).collect();
            let stop = if hint.is_empty() { "." } else { "" };
            format!("there is no such column{hint}{stop} There are: {}", titles.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_column_has_a_name_of_its_own_that_is_read_back_as_title_and_as_key() {
        let all = Column::all();
        assert_eq!(all.len(), audit::METRICS.len() + OWN.len());
        let titles: BTreeSet<&str> = all.iter().map(|column| column.title()).collect();
        assert_eq!(titles.len(), all.len());
        for column in all {
            for name in [column.title(), column.key(), &column.title().to_lowercase()] {
                assert_eq!(name.parse(), Ok(column), "{name}");
            }
            assert!(column.width() >= column.title().len() && column.about().ends_with('.'));
        }
        assert_eq!(Column::usual().len(), DEFAULT.len());
    }

    #[test]
    fn a_name_that_is_none_gets_the_nearest_one() {
        for (word, nearest) in [
            ("lag_n", "'lag_ns'"),
            ("P99", "'p99_ms'"),
            ("NI", "'nice'"),
            ("wait%%", "'wait%'"),
            ("got_fair", "'got/fair'"),
        ] {
            let error = word.parse::<Column>().unwrap_err();
            assert!(error.contains(&format!("did you mean {nearest}?")), "{word}: {error}");
        }
        let error = "zzz".parse::<Column>().unwrap_err();
        assert!(!error.contains("did you mean") && error.contains("GOT/FAIR"), "{error}");
    }

    #[test]
    fn a_lag_that_rounds_to_zero_has_no_sign() {
        assert_eq!(
            [0, 1, -4_000, 6_000, -1_500_000].map(signed_ms),
            ["0.00", "0.00", "0.00", "+0.01", "-1.50"]
        );
    }
}
