//! A replay for people: what is known, the honesty score, and what each policy would change.

use super::certainty::certainty_text;
use super::layout::Layout;
use super::layout::Side::{Left, Right};
use crate::replay::Verdict;
use crate::replay::score::{Change, Figures, change};
use crate::text::{clip, count};
use std::fmt::Write;
use tombola_core::worth::Kind;
use tombola_recording::demand::End;

/// Columns a name may fill.
const NAME_COLUMNS: usize = 24;

/// The whole text.
pub(crate) fn render(verdict: &Verdict, width: Option<usize>) -> String {
    let mut text = head(verdict);
    let base = &verdict.replayed[0];
    let _ = writeln!(
        text,
        "honesty  replayed under {}, the policy of the recording ({}), against what was recorded, over {} of {} tasks:",
        base.policy,
        verdict.why,
        verdict.honesty.judged.len(),
        verdict.world.of.len()
    );
    let (median, worst) = (verdict.honesty.median, verdict.honesty.worst);
    let mut layout = Layout::new(&[("ERROR", Left), ("MEDIAN", Right), ("WORST", Right), ("OF", Left)]);
    for (what, of, unit) in [
        ("share", (|f: Figures| f.share) as fn(Figures) -> f64, "the machine"),
        ("wait", |f| f.wait, "the span"),
        ("completions", |f| f.completions, "those recorded"),
    ] {
        for cell in [what.to_owned(), percent(of(median)), percent(of(worst)), unit.to_owned()] {
            layout.cell(cell);
        }
    }
    layout.write(&mut text, "  ");
    for replayed in &verdict.replayed {
        if let Some(stuck) = &replayed.stuck {
            let _ = writeln!(
                text,
                "stuck    under {}: {stuck}: wakes that were recorded do not come in this order",
                replayed.policy
            );
        }
    }
    tasks(verdict, width, &mut text);
    text
}

fn head(verdict: &Verdict) -> String {
    let demand = &verdict.demand;
    let sleeps = demand.sleeps;
    let scenario = &verdict.world.scenario;
    let mut text = format!(
        "replay of {}: {:.3} s on {}, {}; quantum {:.3} ms, tick {:.3} ms\n",
        verdict.name,
        demand.span_ns as f64 / 1e9,
        count(scenario.cpus, "CPU"),
        count(verdict.world.of.len(), "task"),
        scenario.quantum_ns as f64 / 1e6,
        scenario.tick_ns as f64 / 1e6,
    );
    let part = |n: u64| if sleeps.all() == 0 { 0.0 } else { n as f64 / sleeps.all() as f64 };
    let _ = writeln!(
        text,
        "sleeps   {}: {} ended by other tasks, {} by timers, {} pauses, {} by devices, {} unknown",
        sleeps.all(),
        percent(part(sleeps.task)),
        percent(part(sleeps.timer)),
        percent(part(sleeps.pause)),
        percent(part(sleeps.device)),
        percent(part(sleeps.unknown))
    );
    if sleeps.task_uncertain > 0 {
        text += "         wakes do not tell their context: some of those by tasks were interrupts on top of them\n";
    }
    let unknown: u64 = demand.tasks.iter().map(|task| task.unknown_ns).sum();
    let wants = demand.tasks.iter().filter(|task| matches!(task.end, End::Wants { .. })).count();
    let _ = writeln!(
        text,
        "unknown  {:.3} s of the tasks' time; what {} still wanted at the end",
        unknown as f64 / 1e9,
        count(wants, "task")
    );
    let is_shown = |kind| matches!(kind, Kind::Run | Kind::Wait | Kind::Wakes);
    if let Some(certainty) = certainty_text(&verdict.worths, is_shown) {
        let _ = writeln!(text, "certainty of what was recorded: {certainty}");
    }
    if verdict.world.above_fair > 0 {
        let _ = writeln!(
            text,
            "note     {} of the real-time and deadline classes: the heaviest of the fair class here, but under policies with fixed priorities",
            count(verdict.world.above_fair, "task")
        );
    }
    if !verdict.header.can.groups {
        text += "note     weights by nice, no groups and no affinity: the recording tells no more\n";
    }
    text
}

/// What a narrow terminal goes without, in this order.
const DISPENSABLE: [&str; 5] = ["DONE_ERROR%", "DONE_CHANGE%", "DONE", "WAIT_ERROR%", "WAIT_CHANGE%"];

fn tasks(verdict: &Verdict, width: Option<usize>, text: &mut String) {
    let recorded = &verdict.honesty.recorded;
    let mut order: Vec<usize> = (0..recorded.len()).collect();
    order.sort_by(|a, b| recorded[*b].share.total_cmp(&recorded[*a].share).then(a.cmp(b)));
    if verdict.top > 0 {
        order.truncate(verdict.top);
    }
    let name = |task: usize| clip(&verdict.world.scenario.tasks[task].name, NAME_COLUMNS).into_owned();
    let base = &verdict.replayed[0];
    let _ = writeln!(text, "{}, with its error against the recording", base.policy);
    let titles = [
        ("TASK", Left),
        ("RECORDED%", Right),
        ("SHARE%", Right),
        ("ERROR%", Right),
        ("WAIT%", Right),
        ("WAIT_ERROR%", Right),
        ("DONE", Right),
        ("DONE_ERROR%", Right),
    ];
    let mut layout = Layout::new(&titles);
    for task in &order {
        let (is, error) = (base.tasks[*task], verdict.honesty.errors[*task]);
        layout.cell(name(*task));
        for value in [recorded[*task].share, is.share, error.share, is.wait, error.wait] {
            layout.cell(format!("{:.2}", value * 100.0));
        }
        layout.cell(format!("{:.0}", is.completions));
        layout.cell(format!("{:.2}", error.completions * 100.0));
    }
    layout.write_fitted(text, "  ", width, &DISPENSABLE, "--format json has all");
    for other in &verdict.replayed[1..] {
        let runs = if other.runs > 1 { format!(", mean of {} runs", other.runs) } else { String::new() };
        let _ = writeln!(text, "{}{runs}, against {}", other.policy, base.policy);
        let titles = [
            ("TASK", Left),
            ("SHARE%", Right),
            ("CHANGE%", Right),
            ("WAIT%", Right),
            ("WAIT_CHANGE%", Right),
            ("DONE", Right),
            ("DONE_CHANGE%", Right),
        ];
        let mut layout = Layout::new(&titles);
        for task in &order {
            let is = other.tasks[*task];
            let Change { share, wait, completions } = change(&verdict.honesty, base, other, *task);
            let changed = |by: Option<f64>| {
                by.map_or_else(|| "no difference".to_owned(), |by| format!("{:+.2}", by * 100.0))
            };
            layout.cell(name(*task));
            layout.cell(format!("{:.2}", is.share * 100.0));
            layout.cell(changed(share));
            layout.cell(format!("{:.2}", is.wait * 100.0));
            layout.cell(changed(wait));
            layout.cell(format!("{:.1}", is.completions));
            layout.cell(changed(completions));
        }
        layout.write_fitted(text, "  ", width, &DISPENSABLE, "--format json has all");
    }
}

fn percent(part: f64) -> String {
    format!("{:.3} %", part * 100.0)
}
