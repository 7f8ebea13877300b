//! The catalogue of metrics: what a row holds, declared once.
//!
//! A [`Metric`] says under which key files have it, under which title tables, in which unit, what kind of
//! number it is, how it adds up over tasks, what it means, and how it is got from a row. Whatever writes rows
//! (a table, CSV, JSON with its schema, a screen, an exporter, the table in docs/metrics.md) asks the
//! catalogue and knows no metric itself, so that a new metric is one declaration: in [`audit`] for rows of
//! the ledger, in [`dump`] for rows of a report.
//!
//! ```
//! use tombola_core::metric::{audit, Kind, Unit};
//!
//! let lag = audit::find("lag_ns").unwrap();
//! assert_eq!((lag.title, lag.unit, lag.kind), ("LAG_MS", Unit::Nanoseconds, Kind::Gauge));
//! ```

pub mod audit;
mod document;
pub mod dump;
#[cfg(test)]
mod tests;

pub use document::markdown;

use crate::snapshot::Group;
use std::borrow::Cow;
use std::fmt;

/// One thing that is known of a row of type `R`.
pub struct Metric<R> {
    /// Name in files: lower case, with its unit at the end where it has one. In CSV it never changes.
    pub key: &'static str,
    /// Name in JSON, where that is not the key: in JSON the same name means the same in every file.
    pub json: Option<&'static str>,
    /// Heading in tables, with the unit that tables show.
    pub title: &'static str,
    /// Unit of the value in files.
    pub unit: Unit,
    /// What kind of number it is.
    pub kind: Kind,
    /// How the values of several tasks make that of a row.
    pub sum: Sum,
    /// Type of the value in files.
    pub shape: Shape,
    /// Whether there may be none: null in JSON, an empty cell in CSV.
    pub optional: bool,
    /// Digits behind the point in CSV; `None` for as many as it takes to read the same number back.
    pub decimals: Option<usize>,
    /// What it means, in a sentence.
    pub meaning: &'static str,
    /// The value of a row.
    pub get: for<'a> fn(&'a R) -> Value<'a>,
    /// What a table for people shows, where that is not the value.
    pub in_table: Option<for<'a> fn(&'a R) -> Value<'a>>,
}

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// No number, or an identity.
    None,
    /// Nanoseconds. Tables show milliseconds.
    Nanoseconds,
    /// Milliseconds.
    Milliseconds,
    /// A part of 1. Tables show per cent.
    Ratio,
    /// Events or things.
    Count,
}

/// What kind of thing a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Says who or what a row is about.
    Label,
    /// Grows: values of consecutive intervals add up.
    Counter,
    /// Holds for an instant or an interval: values of several intervals do not add up.
    Gauge,
    /// A part of a whole, 0 to 1.
    Share,
    /// A quantile or the maximum of a distribution.
    Histogram,
}

/// How the values of several tasks make that of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sum {
    /// They are added; a task without a value adds nothing.
    Total,
    /// The largest counts.
    Largest,
    /// The value that all have; none where they differ.
    Common,
    /// True where it is true for one.
    Any,
    /// It is computed anew from what was added up: quantiles, ratios, the name.
    Anew,
}

/// Type of a value in files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// 0 to 2³²−1.
    Unsigned32,
    /// 0 to 2⁶⁴−1.
    Unsigned64,
    /// −128 to 127.
    Signed8,
    /// −2⁶³ to 2⁶³−1.
    Signed64,
    /// A double.
    Real,
    /// Text, harmless: UTF-8 without controls.
    Text,
    /// True or false.
    Flag,
}

/// A value of a row. Whoever writes it makes names harmless, and knows the names of groups.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// There is none.
    None,
    /// A whole number.
    Unsigned(u64),
    /// A whole number with a sign.
    Signed(i64),
    /// Any number.
    Real(f64),
    /// So many millionths, exactly.
    Millionths(u64),
    /// Only in tables: a whole number with a `*`.
    Marked(u64),
    /// True or false.
    Flag(bool),
    /// A word of this program.
    Word(Cow<'a, str>),
    /// A name that others have chosen: raw bytes.
    Name(&'a [u8]),
    /// The short name of a group.
    Group(Group),
    /// The full name of a group.
    Path(Group),
}

impl<R> Metric<R> {
    /// A metric of which there is always a value, that adds up as its kind usually does, and looks in tables
    /// as in files.
    pub const fn new(
        key: &'static str,
        title: &'static str,
        (kind, unit, shape): (Kind, Unit, Shape),
        meaning: &'static str,
        get: for<'a> fn(&'a R) -> Value<'a>,
    ) -> Self {
        let sum = match kind {
            Kind::Label => Sum::Common,
            Kind::Counter | Kind::Gauge | Kind::Share => Sum::Total,
            Kind::Histogram => Sum::Anew,
        };
        let (json, optional, decimals, in_table) = (None, false, None, None);
        Self { key, json, title, unit, kind, sum, shape, optional, decimals, meaning, get, in_table }
    }

    /// The same, with rows that have no value.
    #[must_use]
    pub const fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// The same, added up in another way.
    #[must_use]
    pub const fn sum(mut self, sum: Sum) -> Self {
        self.sum = sum;
        self
    }

    /// The same, with a fixed number of digits behind the point in CSV.
    #[must_use]
    pub const fn decimals(mut self, digits: usize) -> Self {
        self.decimals = Some(digits);
        self
    }

    /// The same, under another name in JSON.
    #[must_use]
    pub const fn json(mut self, name: &'static str) -> Self {
        self.json = Some(name);
        self
    }

    /// The same, with another value in tables.
    #[must_use]
    pub const fn in_table(mut self, get: for<'a> fn(&'a R) -> Value<'a>) -> Self {
        self.in_table = Some(get);
        self
    }

    /// Name in JSON.
    pub fn json_key(&self) -> &'static str {
        self.json.unwrap_or(self.key)
    }

    /// The value of a row, for files.
    pub fn value<'a>(&self, row: &'a R) -> Value<'a> {
        (self.get)(row)
    }

    /// What a table shows of a row.
    pub fn table_value<'a>(&self, row: &'a R) -> Value<'a> {
        (self.in_table.unwrap_or(self.get))(row)
    }

    /// Whether its column is text, which stands on the left.
    pub fn is_text(&self) -> bool {
        self.shape == Shape::Text
    }
}

impl<R> fmt::Debug for Metric<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Metric").field(&self.key).finish()
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Unit {
    /// What pages and files call it; empty where there is none.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Nanoseconds => "ns",
            Self::Milliseconds => "ms",
            Self::Ratio => "0 to 1",
            Self::Count => "count",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Label => "label",
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Share => "share",
            Self::Histogram => "histogram",
        })
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Total => "sum",
            Self::Largest => "largest",
            Self::Common => "where all have the same",
            Self::Any => "true for one",
            Self::Anew => "computed anew",
        })
    }
}
