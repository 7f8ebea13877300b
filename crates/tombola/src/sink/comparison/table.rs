//! The table for people. Times are in milliseconds, shares in percent of the whole machine.
//!
//! A mean over several runs has half the width of its 95 % interval behind it (Student's t), unless that
//! rounds to 0. What no policy of the table has, has no column: so are the p-values of draws there only
//! beside a random policy.

use super::{Results, better, fairness, length, realtime, responds, verdict};
use crate::sink::layout::Layout;
use crate::sink::layout::Side::{Left, Right};
use crate::text::{clip, harmless};
use std::fmt::Write;
use tombola_lab::compare::TaskResult;
use tombola_lab::draws::Judgement;
use tombola_lab::estimate::Estimate;
use tombola_lab::policy::PolicyKind;

/// Columns a name may fill.
const NAME_COLUMNS: usize = 24;

/// What a narrow terminal goes without, in this order.
const DISPENSABLE: [&str; 13] = [
    "RESP_P99_MS",
    "RESP_MEAN_MS",
    "LAG_RMS_MS",
    "P90_MS",
    "SWITCHES",
    "MAX_MS",
    "DONE/S",
    "WAIT_P50_MS",
    "RESP_MAX_MS",
    "P_WAIT",
    "P_NEXT",
    "P_SHARE",
    "JAIN",
];

/// How to see what was left out.
const ALL: &str = "--format csv has all";

/// The whole text: head, policies, tasks, analysis, expectations. `width`: columns of the terminal, if it is
/// one.
pub(crate) fn render(results: &Results, width: Option<usize>) -> String {
    let mut text = head(results);
    policies(results, width, &mut text);
    tasks(results, width, &mut text);
    if let Some(line) = better::line(results) {
        text += &line;
        text += "\n\n";
    }
    text += &realtime::render(results);
    expectations(results, &mut text);
    text
}

fn head(results: &Results) -> String {
    let scenario = results.scenario;
    let mut text = format!(
        "scenario {}: {} CPU{}, {}, quantum {}",
        harmless(scenario.name.as_bytes()),
        scenario.cpus,
        if scenario.cpus == 1 { "" } else { "s" },
        length(scenario.duration_ns),
        length(scenario.quantum_ns),
    );
    if scenario.switch_cost_ns > 0 {
        let _ = write!(text, ", switch {}", length(scenario.switch_cost_ns));
    }
    if scenario.warm_up_ns > 0 {
        let _ = write!(text, ", warm-up {}", length(scenario.warm_up_ns));
    }
    if scenario.tick_ns > 0 {
        let _ = write!(text, ", tick {}", length(scenario.tick_ns));
    }
    let _ = writeln!(text, "; seed {}", results.comparison.seed);
    if !results.comparison.complete {
        text += "interrupted: what follows is what was done by then\n";
    }
    text
}

fn policies(results: &Results, width: Option<usize>, text: &mut String) {
    let mut layout =
        Layout::new(&[("POLICY", Left), ("RUNS", Right), ("TIME", Right), ("BUSY%", Right), ("JAIN", Right)]);
    let chance = results.done().any(|(_, result)| result.draws.is_some());
    if chance {
        layout.add_columns(&CHANCE.map(|title| (title, if title == "LOTTERY" { Left } else { Right })));
    }
    layout.add_columns(&[("EXPECTED", Left)]);
    for (policy, result) in &results.comparison.policies {
        layout.cell(policy.name());
        let Ok(result) = result else {
            let blank = if chance { CHANCE.len() } else { 0 };
            layout.cell("0");
            for _ in 0..3 + blank {
                layout.cell("-");
            }
            layout.cell("could not be run to the end");
            continue;
        };
        layout.cell(result.runs.to_string());
        layout.cell(length(result.duration_ns));
        layout.cell(percent(result.busy));
        layout.cell(fairness(result).map_or_else(|| "-".to_owned(), |index| format!("{index:.6}")));
        if chance {
            draws(*policy, result.draws.as_ref(), &mut layout);
        }
        let verdicts = results.judged(result);
        let hold = verdicts.iter().filter(|verdict| verdict.holds).count();
        layout.cell(match (hold, verdicts.len()) {
            _ if result.runs == 0 => "not run".to_owned(),
            (_, 0) => "-".to_owned(),
            (1, 1) => "it holds".to_owned(),
            (hold, all) if hold == all => format!("all {all} hold"),
            (hold, all) => format!("{} of {all} FAIL", all - hold),
        });
    }
    layout.write_fitted(text, "", width, &DISPENSABLE, ALL);
}

/// Columns about the draws of random policies.
const CHANCE: [&str; 5] = ["DRAWS", "P_SHARE", "P_NEXT", "P_WAIT", "LOTTERY"];

fn draws(policy: PolicyKind, judgement: Option<&Judgement>, layout: &mut Layout) {
    let Some(judgement) = judgement else {
        let why = if policy.traits().random { "not judged" } else { "not random" };
        for cell in ["-", "-", "-", "-", why] {
            layout.cell(cell);
        }
        return;
    };
    layout.cell(judgement.draws.to_string());
    for p in [judgement.shares, judgement.next(), judgement.waits] {
        layout.cell(p.map_or_else(|| "-".to_owned(), p_value));
    }
    layout.cell(match judgement.p_value() {
        None if judgement.unjudged > 0 => "not judged: tickets lent".to_owned(),
        None => "too few draws".to_owned(),
        Some(_) if judgement.is_rejected() => "REJECTED".to_owned(),
        Some(_) => "passes".to_owned(),
    });
}

/// Three digits where they matter, a power of ten where it does.
fn p_value(p: f64) -> String {
    match p {
        _ if p >= 0.001 => format!("{p:.3}"),
        _ if p >= 1e-99 => format!("{p:.0e}"),
        _ => "<1e-99".to_owned(),
    }
}

/// A column: its title, and what stands in it for one task under one policy; `None` where that has no such
/// thing.
type Column = (&'static str, fn(&TaskResult) -> Option<String>);

const COLUMNS: [Column; 15] = [
    ("SHARE%", |t| Some(percent(t.share))),
    ("ENTITLED%", |t| t.entitled_share.map(percent)),
    ("FORMULA%", |t| t.predicted_share.map(|share| format!("{:.3}", share * 100.0))),
    ("LAG_MAX_MS", |t| t.lag_max_ns.map(ms)),
    ("LAG_RMS_MS", |t| t.lag_rms_ns.map(ms)),
    ("WAIT_P50_MS", |t| Some(ms(t.wait_p50_ns))),
    ("P90_MS", |t| Some(ms(t.wait_p90_ns))),
    ("P99_MS", |t| Some(ms(t.wait_p99_ns))),
    ("MAX_MS", |t| Some(super::super::ms3(t.wait_max_ns))),
    ("SWITCHES", |t| Some(count(t.switches))),
    ("RESP_MEAN_MS", |t| responds(t).then(|| ms(t.response_mean_ns))),
    ("RESP_P99_MS", |t| responds(t).then(|| ms(t.response_p99_ns))),
    ("RESP_MAX_MS", |t| responds(t).then(|| super::super::ms3(t.response_max_ns))),
    ("DONE/S", |t| responds(t).then(|| with(t.throughput, |x| format!("{x:.2}")))),
    ("MISSES", |t| (t.misses.mean > 0.0).then(|| count(t.misses))),
];

fn tasks(results: &Results, width: Option<usize>, text: &mut String) {
    let rows: Vec<(&str, &TaskResult)> = (0..results.scenario.tasks.len())
        .flat_map(|task| results.done().map(move |(policy, result)| (policy.name(), &result.tasks[task])))
        .collect();
    let filled = |(_, cell): &&Column| rows.iter().any(|(_, task)| cell(task).is_some());
    let columns: Vec<&Column> = COLUMNS.iter().filter(filled).collect();
    let mut layout = Layout::new(&[("TASK", Left), ("POLICY", Left)]);
    layout.add_columns(&columns.iter().map(|(title, _)| (*title, Right)).collect::<Vec<_>>());
    let periodic = |name: &str| {
        results.scenario.task(name).is_some_and(|t| results.scenario.tasks[t].periodic.is_some())
    };
    for (policy, task) in &rows {
        let mut name = clip(&harmless(task.name.as_bytes()), NAME_COLUMNS).into_owned();
        if task.count > 1 {
            let _ = write!(name, " x{}", task.count);
        }
        layout.cell(name);
        layout.cell(*policy);
        for (title, cell) in &columns {
            let none = if *title == "MISSES" && periodic(&task.name) { "0" } else { "-" };
            layout.cell(cell(task).unwrap_or_else(|| none.to_owned()));
        }
    }
    if !rows.is_empty() {
        text.push('\n');
        layout.write_fitted(text, "", width, &DISPENSABLE, ALL);
        text.push('\n');
    }
}

fn expectations(results: &Results, text: &mut String) {
    let mut judged = results
        .done()
        .flat_map(|(policy, result)| results.judged(result).iter().map(move |verdict| (policy, verdict)))
        .peekable();
    if judged.peek().is_none() {
        return;
    }
    *text += "expected:\n";
    for (policy, judged) in judged {
        let word = if judged.holds { "holds" } else { "FAILS" };
        let _ = writeln!(text, "  {word}  {policy}: {}", verdict::text(judged));
    }
}

fn percent(share: Estimate) -> String {
    with(share, |x| format!("{:.3}", x * 100.0))
}

fn ms(ns: Estimate) -> String {
    with(ns, |x| format!("{:.3}", x / 1e6))
}

/// Whole for one run, with a decimal for a mean of several.
fn count(n: Estimate) -> String {
    if n.half_width.is_none() { format!("{:.0}", n.mean) } else { with(n, |x| format!("{x:.1}")) }
}

/// A mean, and its interval where there is one that the digits can show.
fn with(estimate: Estimate, number: impl Fn(f64) -> String) -> String {
    let mean = number(estimate.mean);
    match estimate.half_width.map(&number) {
        Some(half_width) if half_width != number(0.0) => format!("{mean} ±{half_width}"),
        _ => mean,
    }
}
