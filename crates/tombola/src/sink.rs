//! Sinks: they turn a report into bytes.
//!
//! Every text that others have chosen (comm, cgroup paths) passes [`crate::text`] on its way out, and numbers have a
//! decimal point whatever the locale.

pub(crate) mod audit_csv;
pub(crate) mod audit_table;
pub(crate) mod cell;
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
pub(crate) mod line_file;
pub(crate) mod loss;
pub(crate) mod periods_table;
pub(crate) mod rehearsal_table;
pub(crate) mod replay_table;
pub(crate) mod result;
pub(crate) mod schedule_table;
pub(crate) mod table;
pub(crate) mod tickets_table;
pub(crate) mod timeline;

pub(crate) use finding::sentence as finding_sentence;
pub(crate) use table::head::seconds;
pub(crate) use table::signed;

/// Nanoseconds as milliseconds with three decimals, rounded half up.
pub(crate) fn ms3(ns: u64) -> String {
    let us = ns / 1000 + u64::from(ns % 1000 >= 500);
    format!("{}.{:03}", us / 1000, us % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_are_rounded_and_never_overflow() {
        let cases =
            [(0, "0.000"), (499, "0.000"), (500, "0.001"), (1_234_567, "1.235"), (999_999_500, "1000.000")];
        for (ns, expected) in cases {
            assert_eq!(ms3(ns), expected);
        }
        assert_eq!(ms3(u64::MAX), "18446744073709.552");
    }
}
