//! A measured time in one sentence.

use crate::moment::Moment;
use crate::sink::signed;

/// The moment in one sentence.
pub(crate) fn machine(moment: &Moment) -> String {
    let audit = &moment.audit;
    let worth_ns = audit.length_ns / 100;
    let waited = audit.lines.iter().filter(|line| line.task.delta.wait_ns > worth_ns).count();
    let of = audit.lines.len();
    let fair = audit.fairness.jain.map_or_else(String::new, |jain| format!("; Jain's index {jain:.3}"));
    let owed = audit.fairness.most_owed.filter(|e| u64::try_from(e.lag_ns).is_ok_and(|lag| lag > worth_ns));
    let who = owed.and_then(|extreme| Some((audit.line_of(extreme.account)?, extreme.lag_ns)));
    match who {
        _ if waited == 0 => {
            format!("Nobody waited more than 1 % of the interval, of {of} tasks that ran{fair}")
        }
        None => format!("{waited} of {of} tasks waited, and all had what they were entitled to{fair}"),
        Some((line, lag_ns)) => {
            let id = line.task.totals.id;
            let name = moment.view().task(id);
            format!(
                "{waited} of {of} tasks waited; owed most: {name}, {} ms{fair}",
                signed(lag_ns as f64 / 1e6)
            )
        }
    }
}
