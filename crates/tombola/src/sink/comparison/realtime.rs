//! What schedulability analysis says, beside what the simulation shows.

use super::{Results, length};
use crate::text::harmless;
use std::fmt::Write;
use tombola_lab::realtime::Analysis;

/// Most tasks whose response times are printed.
const MOST: usize = 32;

/// The lines for a scenario whose periodic tasks only run; nothing for others.
pub(super) fn render(results: &Results) -> String {
    let Some((set, analysis)) = &results.realtime else { return String::new() };
    let Analysis { cpus, utilisation, largest, .. } = analysis;
    let mut text = format!(
        "analysis: {} periodic, utilisation {utilisation:.6} of {cpus}, largest {largest:.6}{}\n",
        if set.len() == 1 { "1 task".to_owned() } else { format!("{} tasks", set.len()) },
        if set.len() < results.scenario.instances() { "; the other tasks are left out" } else { "" },
    );
    let mut line = |what: &str, says: &str| {
        let _ = writeln!(text, "  {what:<44} {says}");
    };
    // A small sum of fractions such as 1/2 + 1/3 + 1/6 must not count as more than 1.
    if *utilisation > f64::from(*cpus) * (1.0 + 1e-12) {
        line("utilisation", "more than the machine has: no policy is in time");
    }
    let sufficient = |holds: bool| if holds { "in time" } else { "exceeded, which says nothing" };
    if *cpus == 1 {
        let edf = match analysis.edf_one_cpu {
            Some(true) => "in time",
            Some(false) => "misses",
            None => "not worked out: too many deadlines",
        };
        line("EDF, processor demand (exact)", edf);
        let bound = format!("RM, Liu-Layland {:.6} (sufficient)", analysis.liu_layland_bound);
        line(&bound, sufficient(analysis.within_liu_layland));
        line("RM, hyperbolic bound (sufficient)", sufficient(analysis.within_hyperbolic));
        line("RM, response times (exact)", &responses(results, analysis));
    } else {
        let bound = f64::from(*cpus) - f64::from(cpus - 1) * largest;
        line(
            &format!("global EDF, U within {bound:.6} (sufficient)"),
            sufficient(analysis.within_global_edf_bound),
        );
    }
    text
}

/// `T1 1ms, T2 misses`.
fn responses(results: &Results, analysis: &Analysis) -> String {
    let periodic = results.scenario.tasks.iter().filter(|task| task.periodic.is_some());
    let names = periodic.flat_map(|task| (0..task.count).map(|instance| task.instance_name(instance)));
    let mut parts: Vec<String> = names
        .zip(&analysis.rm_response_ns)
        .take(MOST)
        .map(|(name, response)| {
            let response = response.map_or_else(|| "misses".to_owned(), length);
            format!("{} {response}", harmless(name.as_bytes()))
        })
        .collect();
    let left = analysis.rm_response_ns.len().saturating_sub(MOST);
    if left > 0 {
        parts.push(format!("and {left} more"));
    }
    parts.join(", ")
}
