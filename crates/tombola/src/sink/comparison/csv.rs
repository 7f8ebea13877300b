//! One row for each task and policy: times in ns, shares as parts of the machine; an empty cell for what was
//! not worked out. The verdict on the draws is of all tasks of a policy together, and empty where it is not
//! random. `_pm` is half the width of the 95 % interval of the mean before it, empty for a single run.

use super::{Results, responds};
use crate::text::harmless_in_csv;
use anyhow::Result;
use tombola_lab::compare::TaskResult;
use tombola_lab::draws::Judgement;
use tombola_lab::estimate::Estimate;

/// A row under construction, with the titles of its cells.
#[derive(Default)]
struct Record {
    titles: Vec<String>,
    cells: Vec<String>,
}

impl Record {
    fn cell(&mut self, title: &str, value: String) {
        self.titles.push(title.to_owned());
        self.cells.push(value);
    }

    fn some(&mut self, title: &str, value: Option<impl ToString>) {
        self.cell(title, value.map_or_else(String::new, |value| value.to_string()));
    }

    fn mean(&mut self, title: &str, estimate: Option<Estimate>) {
        self.cell(title, estimate.map_or_else(String::new, |e| e.mean.to_string()));
        let half_width = estimate.and_then(|e| e.half_width);
        self.cell(&format!("{title}_pm"), half_width.map_or_else(String::new, |h| h.to_string()));
    }

    fn of(policy: &str, runs: u32, draws: Option<&Judgement>, task: &TaskResult) -> Self {
        let mut record = Self::default();
        record.cell("task", harmless_in_csv(task.name.as_bytes()));
        record.cell("count", task.count.to_string());
        record.cell("policy", policy.to_owned());
        record.cell("runs", runs.to_string());
        record.mean("share", Some(task.share));
        record.mean("entitled_share", task.entitled_share);
        record.cell("formula_share", task.predicted_share.map_or_else(String::new, |s| s.to_string()));
        record.mean("lag_max_ns", task.lag_max_ns);
        record.mean("lag_rms_ns", task.lag_rms_ns);
        record.mean("wait_mean_ns", Some(task.wait_mean_ns));
        record.mean("wait_p50_ns", Some(task.wait_p50_ns));
        record.mean("wait_p90_ns", Some(task.wait_p90_ns));
        record.mean("wait_p99_ns", Some(task.wait_p99_ns));
        record.cell("wait_max_ns", task.wait_max_ns.to_string());
        record.mean("response_mean_ns", responds(task).then_some(task.response_mean_ns));
        record.mean("response_p99_ns", responds(task).then_some(task.response_p99_ns));
        record.some("response_max_ns", responds(task).then_some(task.response_max_ns));
        record.some("response_jitter_ns", responds(task).then_some(task.response_jitter_ns));
        record.mean("switches", Some(task.switches));
        record.mean("preemptions", Some(task.preemptions));
        record.mean("migrations", Some(task.migrations));
        record.mean("completed", Some(task.completed));
        record.mean("throughput_per_s", Some(task.throughput));
        record.mean("misses", Some(task.misses));
        record.cell("tardiness_max_ns", task.tardiness_max_ns.to_string());
        record.some("wins", task.wins.map(|(won, _)| won));
        record.some("expected_wins", task.wins.map(|(_, expected)| expected));
        record.some("draws", draws.map(|d| d.draws));
        record.some("draws_not_judged", draws.map(|d| d.unjudged));
        record.some("p_shares", draws.and_then(|d| d.shares));
        record.some("p_next", draws.and_then(Judgement::next));
        record.some("p_waits", draws.and_then(|d| d.waits));
        record.some("p_draws", draws.and_then(Judgement::p_value));
        record.some("draws_rejected", draws.map(Judgement::is_rejected));
        record
    }
}

/// Header and rows, in the order of the table; nothing when nothing was run.
///
/// # Errors
/// None in practice: rows are equally long.
pub(crate) fn render(results: &Results) -> Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let tasks = 0..results.scenario.tasks.len();
    let rows = tasks.flat_map(|task| results.done().map(move |(policy, result)| (policy, result, task)));
    for (number, (policy, result, task)) in rows.enumerate() {
        let record = Record::of(policy.name(), result.runs, result.draws.as_ref(), &result.tasks[task]);
        if number == 0 {
            writer.write_record(&record.titles)?;
        }
        writer.write_record(&record.cells)?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}
