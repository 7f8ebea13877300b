//! Sinks: they turn a report into bytes.
//!
//! Every text that others have chosen (comm, cgroup paths) passes [`crate::text`] on its way out, and numbers
//! have a decimal point whatever the locale.

pub(crate) mod audit_csv;
pub(crate) mod audit_table;
pub(crate) mod cell;
pub(crate) mod certainty;
pub(crate) mod checks;
pub(crate) mod comparison;
pub(crate) mod contrast_table;
pub(crate) mod csv;
pub(crate) mod dump_json;
mod finding;
#[cfg(test)]
pub(crate) mod fixture;
mod hindrance;
pub(crate) mod hist_table;
pub(crate) mod html;
pub(crate) mod json;
mod layout;
pub(crate) mod line_file;
pub(crate) mod loss;
pub(crate) mod periods_table;
mod print;
pub(crate) mod rehearsal_table;
pub(crate) mod replay_table;
pub(crate) mod result;
pub(crate) mod schedule_table;
pub(crate) mod table;
pub(crate) mod tickets_table;
pub(crate) mod timeline;

pub(crate) use finding::sentence as finding_sentence;
pub(crate) use print::{ms3, seconds, signed};
