//! The page of a simulation: shares against entitlement, waits, who ran where, decision by decision.

use super::chart::{self, Stretch, place};
use super::markup::{escape, put};
use super::page::page;
use crate::sink::comparison::{self, Results, length};
use crate::text::harmless;
use anyhow::Result;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use tombola_core::snapshot::TaskState;
use tombola_lab::compare::{Comparison, PolicyResult};
use tombola_lab::engine::{Simulation, Slice};
use tombola_lab::outcome::{Observe, run};
use tombola_lab::policy::{Departure, PolicyKind};
use tombola_lab::scenario::Scenario;

/// Slices in all timelines of a page together, and decisions to step through.
const SLICES: usize = 300;

/// Slices in the timeline of each policy at least.
const LEAST: usize = 20;

/// Names that a decision lists.
const LISTED: usize = 12;

/// Tasks named in the legend of the timeline.
const LEGEND: usize = 24;

/// Entries of the scenario that the sentence at the top names.
const NAMED: usize = 4;

/// The page.
///
/// # Errors
/// A scenario that cannot be simulated to the instants that are shown.
pub(crate) fn render(scenario: &Scenario, comparison: &Comparison, seed: u64) -> Result<String> {
    let name = harmless(scenario.name.as_bytes());
    let mut body = String::new();
    let done: Vec<(PolicyKind, &PolicyResult)> = comparison
        .policies
        .iter()
        .filter_map(|(policy, result)| Some((*policy, result.as_ref().ok()?)))
        .collect();
    put(
        &mut body,
        format_args!(
            "<h1>Scenario {}</h1>\n<p class=\"quiet\">{} CPUs, {}, seed {seed}</p>\n<p class=\"verdict\" id=\"verdict\">{}</p>\n",
            escape(&name),
            scenario.cpus,
            length(scenario.duration_ns),
            escape(&verdict(&done))
        ),
    );
    shares(&mut body, &done);
    table(&mut body, &done);
    let most = (SLICES / done.len().max(1)).max(LEAST);
    let mut decisions = serde_json::Map::new();
    body.push_str("<h2>Who ran where</h2>\n");
    for (policy, _) in &done {
        decisions.insert(policy.to_string(), timeline(&mut body, scenario, *policy, seed, most)?.into());
    }
    let results = Results::new(scenario, comparison);
    put(
        &mut body,
        format_args!(
            "<h2>The comparison in words</h2>\n<pre>{}</pre>\n",
            escape_lines(&comparison::table::render(&results, None))
        ),
    );
    let json = format!(
        "{{\"lab\":2,\"decisions\":{},\"comparison\":{}}}",
        Value::Object(decisions),
        comparison::json::render(&results)?.trim_end()
    );
    Ok(page(&format!("tombola lab: {name}"), &body, &json))
}

fn verdict(done: &[(PolicyKind, &PolicyResult)]) -> String {
    let Some((policy, result)) = done.first() else { return "Nothing could be simulated.".to_owned() };
    let mut parts = Vec::new();
    for task in result.tasks.iter().take(NAMED) {
        let entitled = task
            .entitled_share
            .map_or_else(String::new, |share| format!(", entitled to {:.1} %", 100.0 * share.mean));
        parts.push(format!(
            "{} got {:.1} %{entitled}",
            harmless(task.name.as_bytes()),
            100.0 * task.share.mean
        ));
    }
    let more = result.tasks.len().saturating_sub(NAMED);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    format!("Under {policy}, of the whole machine: {}{more}.", parts.join("; "))
}

fn shares(body: &mut String, done: &[(PolicyKind, &PolicyResult)]) {
    body.push_str("<h2>Shares against entitlement</h2>\n");
    for (policy, result) in done {
        let mut bars = Vec::new();
        for task in &result.tasks {
            let name = harmless(task.name.as_bytes());
            bars.push((format!("{name} got, %"), 100.0 * task.share.mean));
            if let Some(entitled) = task.entitled_share {
                bars.push((format!("{name} entitled, %"), 100.0 * entitled.mean));
            }
        }
        put(
            body,
            format_args!(
                "<figure><figcaption>{policy}</figcaption>{}</figure>\n",
                chart::bars(&format!("shares under {policy}"), &bars)
            ),
        );
    }
}

fn table(body: &mut String, done: &[(PolicyKind, &PolicyResult)]) {
    body.push_str(
        "<h2>Waits and lag</h2>\n<div class=\"wide\"><table class=\"sortable\" id=\"ledger\"><thead><tr><th class=\"t\">Policy</th>\
         <th class=\"t\">Task</th><th>Share %</th><th>Entitled %</th><th>Largest lag ms</th><th>Mean wait ms</th><th>p99 wait ms</th>\
         <th>Longest wait ms</th><th>Switches</th><th>Wins</th><th>Expected</th></tr></thead><tbody>\n",
    );
    let figure = |out: &mut String, value: Option<f64>, digits: usize| match value {
        Some(value) => put(out, format_args!("<td>{value:.digits$}</td>")),
        None => out.push_str("<td data-v=\"0\">-</td>"),
    };
    for (policy, result) in done {
        for task in &result.tasks {
            let name = escape(&harmless(task.name.as_bytes()));
            put(body, format_args!("<tr><td class=\"t\">{policy}</td><td class=\"t\">{name}</td>"));
            figure(body, Some(100.0 * task.share.mean), 2);
            figure(body, task.entitled_share.map(|share| 100.0 * share.mean), 2);
            figure(body, task.lag_max_ns.map(|lag| lag.mean / 1e6), 3);
            figure(body, Some(task.wait_mean_ns.mean / 1e6), 3);
            figure(body, Some(task.wait_p99_ns.mean / 1e6), 3);
            figure(body, Some(task.wait_max_ns as f64 / 1e6), 3);
            figure(body, Some(task.switches.mean), 0);
            figure(body, task.wins.map(|(wins, _)| wins as f64), 0);
            figure(body, task.wins.map(|(_, expected)| expected), 1);
            body.push_str("</tr>\n");
        }
    }
    body.push_str("</tbody></table></div>\n");
}

/// The beginning of the first run under a policy, and its decisions.
fn timeline(
    body: &mut String,
    scenario: &Scenario,
    policy: PolicyKind,
    seed: u64,
    most: usize,
) -> Result<Vec<Value>> {
    let slices = first_slices(scenario, policy, seed, most)?;
    if slices.is_empty() {
        return Ok(Vec::new());
    }
    let end_ns = slices.iter().map(|slice| slice.from_ns + slice.ran_ns).max().unwrap_or(0);
    let names: Vec<String> = scenario.instance_names().iter().map(|name| harmless(name.as_bytes())).collect();
    let stretches: Vec<Stretch> = slices
        .iter()
        .map(|slice| Stretch {
            cpu: slice.cpu,
            from_ns: slice.from_ns,
            to_ns: slice.from_ns + slice.ran_ns,
            part: 1.0,
            task: slice.task,
            title: format!(
                "{} from {} for {}",
                names[slice.task],
                length(slice.from_ns),
                length(slice.ran_ns)
            ),
        })
        .collect();
    let shown = &names[..names.len().min(LEGEND)];
    let cpus: Vec<String> = (0..scenario.cpus).map(|cpu| format!("CPU {cpu}")).collect();
    let span = format!("the first {} of the first run under {policy}", length(end_ns));
    put(
        body,
        format_args!(
            "<section class=\"steps\" data-policy=\"{policy}\"><figure><figcaption>{policy}</figcaption>{}</figure>\n\
             <div class=\"needs-script\"><button class=\"back\">Back</button> <button class=\"next\">Next decision</button> \
             <span class=\"say\" aria-live=\"polite\"></span></div></section>\n",
            chart::timeline(
                &format!("who ran where under {policy}"),
                &stretches,
                &cpus,
                shown,
                end_ns,
                &span
            )
        ),
    );
    let texts = decisions(scenario, policy, seed, &slices, &names)?;
    let decision = |(stretch, text): (&Stretch, String)| {
        let (x, y, width, height) = place(stretch, end_ns);
        json!({ "text": text, "x": x, "y": y, "width": width, "height": height })
    };
    Ok(stretches.iter().zip(texts).map(decision).collect())
}

/// The first slices of the first run, in the order in which they began.
fn first_slices(scenario: &Scenario, policy: PolicyKind, seed: u64, most: usize) -> Result<Vec<Slice>> {
    let bare = Observe { entitlement: false, draws: false };
    let ended = AtomicUsize::new(0);
    let mut slices = Vec::new();
    let mut observe = |slice: &Slice| {
        if slices.len() < most {
            slices.push(*slice);
        }
        ended.fetch_add(1, Ordering::Relaxed);
    };
    run(scenario, policy, seed, 0, bare, Some(&mut observe), &|_| ended.load(Ordering::Relaxed) < most)?;
    slices.sort_by_key(|slice| (slice.from_ns, slice.cpu));
    Ok(slices)
}

/// What each slice began with: who competed, with how many tickets, and who won. The same run is made once
/// more and looked at at each of these instants.
fn decisions(
    scenario: &Scenario,
    policy: PolicyKind,
    seed: u64,
    slices: &[Slice],
    names: &[String],
) -> Result<Vec<String>> {
    let mut simulation = Simulation::new(scenario, policy, seed, 0);
    let mut waiting: Vec<(usize, u64)> = Vec::new();
    let mut looked_at = None;
    let mut tickets: BTreeMap<usize, u64> = BTreeMap::new();
    let mut texts = Vec::with_capacity(slices.len());
    for slice in slices {
        if looked_at != Some(slice.from_ns) {
            simulation.run_until(slice.from_ns)?;
            let snapshot = simulation.snapshot();
            let index = |pid: u32| (pid as usize).saturating_sub(1);
            tickets = snapshot.tasks.iter().map(|task| (index(task.id.pid), task.weight.into())).collect();
            let waits = snapshot.tasks.iter().filter(|task| task.state == TaskState::Waiting);
            waiting = waits.map(|task| (index(task.id.pid), task.weight.into())).collect();
            looked_at = Some(slice.from_ns);
        }
        let own = tickets.get(&slice.task).copied().unwrap_or(0);
        let mut rivals: Vec<(usize, u64)> =
            waiting.iter().copied().filter(|(task, _)| *task != slice.task).collect();
        let all: u64 = own + rivals.iter().map(|(_, tickets)| tickets).sum::<u64>();
        let left_out = rivals.len().saturating_sub(LISTED);
        rivals.truncate(LISTED);
        let mut against: Vec<String> =
            rivals.iter().map(|(task, tickets)| format!("{} {tickets}", names[*task])).collect();
        if left_out > 0 {
            against.push(format!("{left_out} more"));
        }
        let against = if against.is_empty() {
            "nobody else waited".to_owned()
        } else {
            format!("against {}", against.join(", "))
        };
        texts.push(format!(
            "at {} CPU {} went to {}, {own} of {all} tickets, {against}; it ran {} and then {}",
            length(slice.from_ns),
            slice.cpu,
            names[slice.task],
            length(slice.ran_ns),
            left(slice.why),
        ));
    }
    Ok(texts)
}

fn left(why: Departure) -> &'static str {
    match why {
        Departure::Expired => "its slice was over",
        Departure::Preempted => "another took the CPU",
        Departure::Blocked => "it slept or waited",
        Departure::Throttled => "its group had no bandwidth left",
        Departure::Ended => "it ended",
        Departure::Horizon => "the simulation ended",
    }
}

fn escape_lines(text: &str) -> String {
    text.lines().map(escape).collect::<Vec<_>>().join("\n")
}
