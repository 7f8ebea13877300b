//! One row of the log.

use crate::schema::{Int, Text};
use std::fmt;
use std::sync::Arc;
use tombola_core::histogram::BUCKETS;

/// What a number that is not there is kept as: no column has a value so low.
const NONE: i64 = i64::MIN;

/// Values of all columns for one host, boot, interval, level and key.
#[derive(Clone, PartialEq, Eq)]
pub struct Row {
    ints: [i64; Int::ALL.len()],
    texts: [Option<Arc<str>>; Text::ALL.len()],
    /// Ended waits by length; `None` where nothing waited, or where it does not apply.
    pub waits: Option<Box<[i64; BUCKETS]>>,
}

impl Default for Row {
    fn default() -> Self {
        Self { ints: [NONE; Int::ALL.len()], texts: [const { None }; Text::ALL.len()], waits: None }
    }
}

impl Row {
    /// A number, in the column's unit; `None` for null.
    pub fn int(&self, column: Int) -> Option<i64> {
        Some(self.ints[column as usize]).filter(|value| *value != NONE)
    }

    /// A number that cannot be negative; 0 for null.
    pub fn count(&self, column: Int) -> u64 {
        self.int(column).and_then(|value| u64::try_from(value).ok()).unwrap_or(0)
    }

    /// A text; `None` for null.
    pub fn text(&self, column: Text) -> Option<&Arc<str>> {
        self.texts[column as usize].as_ref()
    }

    /// Sets a number.
    pub fn set(&mut self, column: Int, value: i64) {
        self.ints[column as usize] = value;
    }

    /// Sets a number that cannot be negative; what is beyond 2^63 − 1 becomes that.
    pub fn set_count(&mut self, column: Int, value: u64) {
        self.set(column, i64::try_from(value).unwrap_or(i64::MAX));
    }

    /// Sets a text.
    pub fn set_text(&mut self, column: Text, value: Arc<str>) {
        self.texts[column as usize] = Some(value);
    }

    /// The level; empty where a damaged row has none.
    pub fn level(&self) -> &str {
        self.text(Text::Level).map_or("", |level| level)
    }
}

/// The columns that are not null.
impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts = Text::ALL.iter().filter_map(|column| Some((column.name(), self.text(*column)?)));
        let ints = Int::ALL.iter().filter_map(|column| Some((column.name(), self.int(*column)?)));
        f.debug_map().entries(texts).entries(ints).finish()
    }
}
