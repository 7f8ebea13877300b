//! What a scenario says must come out.

use super::place::ScenarioError;
use crate::kind::PolicyKind;
use crate::span::duration;
use std::collections::BTreeMap;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

/// One quantity of a result that can be checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// CPU time received, as a part of the machine (all CPUs, whole duration).
    Share,
    /// CPU time received, in CPUs: share × number of CPUs.
    Cpus,
    /// CPU time received, nanoseconds.
    Runtime,
    /// Times the task left a CPU for another.
    Switches,
    /// Phases or jobs completed.
    Completed,
    /// Jobs that ended after their deadline, or had not ended when it passed.
    Misses,
    /// Longest time from release (or wakeup) to completion, nanoseconds.
    ResponseMax,
    /// Mean of the same, nanoseconds.
    ResponseMean,
    /// Median of the same, nanoseconds. Quantiles are at most 1/16 above the exact ones; over runs they are
    /// means.
    ResponseP50,
    /// Nine in ten are not longer.
    ResponseP90,
    /// 99 in 100 are not longer.
    ResponseP99,
    /// Longest single wait in the run queue, nanoseconds.
    WaitMax,
    /// Mean of the waits, nanoseconds.
    WaitMean,
    /// Median of the waits, nanoseconds.
    WaitP50,
    /// Nine in ten are not longer.
    WaitP90,
    /// 99 in 100 are not longer.
    WaitP99,
    /// Largest absolute difference between entitled and received CPU time, nanoseconds.
    LagMax,
}

impl Metric {
    /// All, with the key that names each in `[expect]`.
    pub const ALL: [(&'static str, Self); 17] = [
        ("share", Self::Share),
        ("cpus", Self::Cpus),
        ("runtime", Self::Runtime),
        ("switches", Self::Switches),
        ("completed", Self::Completed),
        ("misses", Self::Misses),
        ("response_max", Self::ResponseMax),
        ("response_mean", Self::ResponseMean),
        ("response_p50", Self::ResponseP50),
        ("response_p90", Self::ResponseP90),
        ("response_p99", Self::ResponseP99),
        ("wait_max", Self::WaitMax),
        ("wait_mean", Self::WaitMean),
        ("wait_p50", Self::WaitP50),
        ("wait_p90", Self::WaitP90),
        ("wait_p99", Self::WaitP99),
        ("lag_max", Self::LagMax),
    ];

    /// Key of this metric.
    pub fn key(self) -> &'static str {
        Self::ALL.iter().find(|(_, metric)| *metric == self).map_or("", |(key, _)| key)
    }

    /// The durations it is a statistic of, if it is.
    pub fn durations(self) -> Option<Measured> {
        match self {
            Self::WaitMax | Self::WaitMean | Self::WaitP50 | Self::WaitP90 | Self::WaitP99 => {
                Some(Measured::Waits)
            }
            Self::ResponseMax
            | Self::ResponseMean
            | Self::ResponseP50
            | Self::ResponseP90
            | Self::ResponseP99 => Some(Measured::Responses),
            _ => None,
        }
    }

    /// Whether it is a time, written with a unit.
    pub fn is_time(self) -> bool {
        !matches!(self, Self::Share | Self::Cpus | Self::Switches | Self::Completed | Self::Misses)
    }
}

/// Durations of which there may be none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measured {
    /// Waits for a CPU.
    Waits,
    /// Responses of phases or jobs.
    Responses,
}

/// What is measured in a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A metric of a task (index).
    One(Metric, usize),
    /// Run time of the first task divided by that of the second.
    Ratio(usize, usize),
    /// The tasks that CPU 0 ran, in order, beginning at the start: names.
    Sequence(Vec<String>),
}

/// Bounds, both included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// At least this.
    pub low: f64,
    /// At most this.
    pub high: f64,
}

impl Bounds {
    /// Whether a value lies in them.
    pub fn hold(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }
}

/// One expectation.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// Key as written, for messages: `share.A`.
    pub key: String,
    /// Only under this policy; `None` = under every policy.
    pub policy: Option<String>,
    /// What is measured.
    pub subject: Subject,
    /// Where it must lie (no meaning for a sequence).
    pub bounds: Bounds,
}

/// All expectations of a scenario: those for every policy, then those of each policy, in order of the key.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Expectations {
    /// The checks.
    pub checks: Vec<Check>,
}

impl Expectations {
    /// The checks that apply under a policy.
    pub fn under<'a>(&'a self, policy: &'a str) -> impl Iterator<Item = &'a Check> {
        self.checks.iter().filter(move |c| c.policy.as_deref().is_none_or(|p| p == policy))
    }
}

impl Expectations {
    /// Reads the `[expect]` table of a scenario.
    ///
    /// A value is a number (or a time) with the tolerance of its table around it, `{ at_least = … , at_most =
    /// … }`, or `{ is = …, within = … }`. The tolerance is absolute for shares and counts, and a part of the
    /// value for times, run-time ratios and CPUs.
    pub(super) fn from_toml(text: &str, tasks: &[(String, u32)]) -> Result<Self, ScenarioError> {
        let table = DeTable::parse(text).map_err(|e| ScenarioError::syntax(text, &e))?;
        let index = tasks.iter().enumerate().map(|(index, (name, _))| (name.as_str(), index)).collect();
        let counts = tasks.iter().map(|(name, count)| (name.as_str(), *count)).collect();
        let mut reader = Reader { text, index, counts, checks: Vec::new() };
        if let Some(expect) = table.get_ref().get("expect") {
            reader.table(reader.as_table(expect)?, None)?;
        }
        Ok(Self { checks: reader.checks })
    }
}

type Value<'a> = Spanned<DeValue<'a>>;

struct Reader<'a> {
    text: &'a str,
    /// Entries of the scenario by name.
    index: BTreeMap<&'a str, usize>,
    /// How many instances each has.
    counts: BTreeMap<&'a str, u32>,
    checks: Vec<Check>,
}

impl Reader<'_> {
    fn fail<T>(&self, span: &Range<usize>, message: impl Into<String>) -> Result<T, ScenarioError> {
        Err(ScenarioError::at(self.text, span, message))
    }

    fn as_table<'v, 't>(&self, value: &'v Value<'t>) -> Result<&'v DeTable<'t>, ScenarioError> {
        match value.get_ref() {
            DeValue::Table(table) => Ok(table),
            _ => self.fail(&value.span(), "a table is expected here"),
        }
    }

    fn table(&mut self, table: &DeTable, policy: Option<&str>) -> Result<(), ScenarioError> {
        let tolerance = match table.get("tolerance") {
            None => 0.0,
            Some(value) => self.number(value, false)?,
        };
        for (key, value) in table {
            let name: &str = key.get_ref().as_ref();
            match name {
                "tolerance" => {}
                "sequence" => self.sequence(value, policy)?,
                "ratio" => {
                    for (pair, value) in self.as_table(value)? {
                        let subject = self.ratio(pair)?;
                        let bounds = self.bounds(value, false, tolerance, true)?;
                        self.push(format!("ratio.{}", pair.get_ref()), policy, subject, bounds);
                    }
                }
                "for" if policy.is_none() => {} // below, after what applies to all
                _ => {
                    let Some((_, metric)) = Metric::ALL.iter().find(|(known, _)| *known == name) else {
                        let known: Vec<&str> = Metric::ALL.iter().map(|(key, _)| *key).collect();
                        let known = known.join(", ");
                        return self.fail(
                            &key.span(),
                            format!("unknown expectation '{name}'; use {known}, ratio, sequence, tolerance or for.POLICY"),
                        );
                    };
                    let relative = metric.is_time() || *metric == Metric::Cpus;
                    for (task, value) in self.as_table(value)? {
                        let index = self.task(task.get_ref().as_ref(), &task.span())?;
                        let bounds = self.bounds(value, metric.is_time(), tolerance, relative)?;
                        let key = format!("{name}.{}", task.get_ref());
                        self.push(key, policy, Subject::One(*metric, index), bounds);
                    }
                }
            }
        }
        if let (Some(policies), None) = (table.get("for"), policy) {
            for (policy, value) in self.as_table(policies)? {
                let name: &str = policy.get_ref().as_ref();
                if let Err(unknown) = name.parse::<PolicyKind>() {
                    return self.fail(&policy.span(), unknown.to_string());
                }
                self.table(self.as_table(value)?, Some(name))?;
            }
        }
        Ok(())
    }

    fn push(&mut self, key: String, policy: Option<&str>, subject: Subject, bounds: Bounds) {
        self.checks.push(Check { key, policy: policy.map(str::to_owned), subject, bounds });
    }

    fn task(&self, name: &str, span: &Range<usize>) -> Result<usize, ScenarioError> {
        match self.index.get(name) {
            Some(task) => Ok(*task),
            None => self.fail(span, format!("no task '{name}'")),
        }
    }

    /// Whether a task instance has this name.
    fn is_instance(&self, name: &str) -> bool {
        let counted = |task: &str, number: &str| {
            self.counts
                .get(task)
                .is_some_and(|count| *count > 1 && number.parse().is_ok_and(|n: u32| n < *count))
        };
        self.counts.get(name) == Some(&1) || name.rsplit_once('.').is_some_and(|(t, n)| counted(t, n))
    }

    fn ratio(&self, pair: &Spanned<DeString>) -> Result<Subject, ScenarioError> {
        match pair.get_ref().split_once('/') {
            Some((over, under)) => {
                Ok(Subject::Ratio(self.task(over, &pair.span())?, self.task(under, &pair.span())?))
            }
            None => self.fail(&pair.span(), "a ratio is written \"A/B\""),
        }
    }

    fn sequence(&mut self, value: &Value, policy: Option<&str>) -> Result<(), ScenarioError> {
        let DeValue::String(words) = value.get_ref() else {
            return self.fail(&value.span(), "a sequence is written \"A B A\"");
        };
        let names: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
        if names.is_empty() {
            return self.fail(&value.span(), "the sequence is empty");
        }
        if let Some(unknown) = names.iter().find(|name| !self.is_instance(name)) {
            return self.fail(
                &value.span(),
                format!("no task '{unknown}'; with a count they are NAME.0, NAME.1, ..."),
            );
        }
        let bounds = Bounds { low: 0.0, high: 0.0 };
        self.push("sequence".to_owned(), policy, Subject::Sequence(names), bounds);
        Ok(())
    }

    fn number(&self, value: &Value, time: bool) -> Result<f64, ScenarioError> {
        let number = match (value.get_ref(), time) {
            (DeValue::String(text), true) => {
                return match duration(text) {
                    Ok(ns) => Ok(ns as f64),
                    Err(e) => self.fail(&value.span(), e.to_string()),
                };
            }
            (DeValue::Integer(n), false) => n.as_str().parse::<f64>().ok(),
            (DeValue::Float(n), false) => n.as_str().parse::<f64>().ok(),
            _ => None,
        };
        match number {
            Some(n) if n.is_finite() && n >= 0.0 => Ok(n),
            _ if time => self.fail(&value.span(), "a time with a unit is expected here, like \"3ms\""),
            _ => self.fail(&value.span(), "a number of 0 or more is expected here"),
        }
    }

    fn bounds(
        &self,
        value: &Value,
        time: bool,
        tolerance: f64,
        relative: bool,
    ) -> Result<Bounds, ScenarioError> {
        let DeValue::Table(table) = value.get_ref() else {
            let middle = self.number(value, time)?;
            let half = if relative { tolerance * middle } else { tolerance };
            return Ok(Bounds { low: middle - half, high: middle + half });
        };
        let get = |key: &str| table.get(key).map(|v| self.number(v, time)).transpose();
        let (is, within) = (get("is")?, get("within")?);
        let (least, most) = (get("at_least")?, get("at_most")?);
        let known = ["is", "within", "at_least", "at_most"];
        if let Some((key, _)) = table.iter().find(|(key, _)| !known.contains(&key.get_ref().as_ref())) {
            return self.fail(&key.span(), "unknown key; use is and within, or at_least and at_most");
        }
        match (is, within, least, most) {
            (Some(is), Some(within), None, None) => Ok(Bounds { low: is - within, high: is + within }),
            (None, None, None, None) => self.fail(&value.span(), "nothing is bounded here"),
            (None, None, least, most) => {
                Ok(Bounds { low: least.unwrap_or(0.0), high: most.unwrap_or(f64::INFINITY) })
            }
            _ => self.fail(&value.span(), "use is and within, or at_least and at_most"),
        }
    }
}
