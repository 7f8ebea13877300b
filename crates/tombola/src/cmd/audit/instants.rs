//! The exact ledger of a recording: what was due at every instant, and when it was furthest from what was
//! got.

use crate::source::Beside;
use crate::text::{clip, harmless};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use tombola_core::identity::TaskId;
use tombola_recording::ledger::Basis;

/// Tasks that are shown.
const SHOWN: usize = 5;

/// Columns a name may fill.
const COMM_COLUMNS: usize = 16;

/// The tasks that were furthest from their entitlement at some instant, as a table. `is_shown` tells whom the
/// filters hold for.
pub(super) fn table(beside: &Beside, is_shown: impl Fn(TaskId) -> bool) -> String {
    let Beside { begin_ns, end, ledger: Some(ledger), .. } = beside else { return String::new() };
    let ended = end.exited.iter().map(|task| &task.totals);
    let names: BTreeMap<TaskId, &[u8]> =
        end.tasks.iter().chain(ended).map(|task| (task.id, task.comm.as_slice())).collect();
    let mut accounts: Vec<_> = ledger.accounts().filter(|(task, _)| is_shown(*task)).collect();
    accounts.sort_by(|(a, x), (b, y)| y.lag_max_ns.total_cmp(&x.lag_max_ns).then(a.cmp(b)));
    let by = match ledger.basis() {
        Basis::Told => "weights, groups, quotas and affinity as recorded",
        Basis::NiceOneLevel => {
            "nice values on one level, all CPUs for everybody: the recording tells no more"
        }
    };
    let mut text = format!("entitlement at every instant, by {by}; furthest from it at some time:\n");
    let _ = writeln!(
        text,
        "{:>7}  {:<COMM_COLUMNS$}  {:>12}  {:>12}  {:>10}  {:>10}  {:>12}",
        "TID", "COMM", "ENTITLED_MS", "RECEIVED_MS", "LAG_MS", "LAG_MAX_MS", "AT_S"
    );
    for (task, account) in accounts.iter().take(SHOWN) {
        let comm = harmless(names.get(task).copied().unwrap_or_default());
        let _ = writeln!(
            text,
            "{:>7}  {:<COMM_COLUMNS$}  {:>12.3}  {:>12.3}  {:>+10.3}  {:>10.3}  {:>12.6}",
            task.pid,
            clip(&comm, COMM_COLUMNS),
            account.entitled_ns / 1e6,
            account.received_ns as f64 / 1e6,
            account.lag_ns() / 1e6,
            account.lag_max_ns / 1e6,
            account.lag_max_at_ns.saturating_sub(*begin_ns) as f64 / 1e9,
        );
    }
    if let Some(ended_ns) = ledger.ended_ns() {
        let at_s = ended_ns.saturating_sub(*begin_ns) as f64 / 1e9;
        let _ = writeln!(text, "ended by a signal: up to {at_s:.6} s");
    }
    let doubtful_ns = ledger.doubtful_ns();
    if doubtful_ns > 0 {
        let _ = writeln!(text, "in {:.6} s of it something was not known", doubtful_ns as f64 / 1e9);
    }
    text
}
