//! Why somebody waited, in words that say what can be done about it.

use crate::moment::Moment;
use crate::text::harmless;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use tombola_core::audit::{About, Limit, Line, Row, Who};
use tombola_core::group_path::short_name;
use tombola_core::interference::Interference;
use tombola_core::snapshot::Group;

/// Below this part of its wait a cause is not named: 1/20.
const WORTH_A_WORD: u64 = 20;

/// Below this part of the interval neither a wait nor a lag is worth a reason: 1/200.
const NOTHING: u64 = 200;

/// Culprits that are named.
const NAMED: usize = 2;

/// What somebody's own tasks are called where they stand in each other's way.
pub(crate) const ITS_OWN: &str = "its own tasks";

/// Why a row waited, or is not entitled to more: a few words, harmless.
pub(crate) fn why(moment: &Moment, row: &Row) -> String {
    let length_ns = moment.audit.length_ns;
    let wait_ns = row.usage.imposed_wait_ns();
    if row.account.is_none() {
        let policy = row.policy.map_or_else(|| "real time".to_owned(), |policy| policy.to_string());
        return format!("{policy}: runs before weights count");
    }
    if wait_ns <= length_ns / NOTHING {
        if row.waiting.yielded_ns > length_ns / NOTHING {
            return format!("gave its CPU away {} times (sched_yield)", row.usage.yields);
        }
        return "got what it asked for".to_owned();
    }
    let percent = |ns: u64| format!("{:.0} %", 100.0 * ns as f64 / wait_ns as f64);
    let waiting = &row.waiting;
    let mut causes: Vec<(u64, String)> = Vec::new();
    let behind = Blame::of(moment, &row.who).named;
    if let Some(pinned) = pinned(moment, row) {
        causes.push((waiting.contention_ns, pinned));
    }
    if behind.is_empty() {
        let real_time = real_time(moment, row);
        let who = real_time.unwrap_or_else(|| "others ran".to_owned());
        causes.push((waiting.contention_ns, format!("{who} {}", percent(waiting.contention_ns))));
    } else {
        let held = |(name, ns): &(String, u64)| format!("{name} {}", percent(*ns));
        let names: Vec<String> = behind.iter().take(NAMED).map(held).collect();
        causes.push((waiting.contention_ns, format!("behind {}", names.join(", "))));
    }
    let quota = match &row.limit {
        Some(Limit::Quota(group)) => format!("quota of {}", moment.group(*group)),
        _ => "a quota".to_owned(),
    };
    causes.push((waiting.throttled_ns, format!("{quota} {}", percent(waiting.throttled_ns))));
    causes.push((waiting.other_ns, format!("nobody in the way {}", percent(waiting.other_ns))));
    causes.retain(|(ns, _)| *ns >= wait_ns / WORTH_A_WORD && *ns > 0);
    causes.sort_by_key(|(ns, _)| Reverse(*ns)); // stable: a narrow affinity is named before those behind whom it waited
    let mut words: Vec<String> = causes.into_iter().map(|(_, word)| word).collect();
    if row.lag_ns() <= 0 {
        words.push("had its share: only more CPUs or less work would help".to_owned());
    }
    words.join("; ")
}

/// Whether few CPUs are the reason, which a finding says.
fn pinned(moment: &Moment, row: &Row) -> Option<String> {
    let Some(Limit::Cpus(set)) = &row.limit else { return None };
    let is_found = |about: &About| matches!(about, About::Affinity { cpus, .. } if cpus == set);
    let found = moment.audit.findings.iter().any(|finding| is_found(&finding.about));
    found.then(|| format!("may use only CPU {set} while others idle"))
}

/// Whether real-time tasks took time from where it ran last.
fn real_time(moment: &Moment, row: &Row) -> Option<String> {
    let Who::Task(id) = &row.who else { return None };
    let cpu = moment.line(*id)?.task.totals.cpu;
    let took =
        moment.audit.findings.iter().any(|f| matches!(f.about, About::RealTime { cpu: c, .. } if c == cpu));
    took.then(|| format!("real-time tasks on CPU {cpu}, and others,"))
}

/// Behind whom somebody waited, by name: of a group where the culprit is in another one than the victim, else
/// of the task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Blame {
    /// Names, harmless, and how long they held the CPU in whose queue the victim waited; the longest first.
    pub(crate) named: Vec<(String, u64)>,
}

impl Blame {
    /// Of all tasks of a row.
    pub(crate) fn of(moment: &Moment, who: &Who) -> Self {
        if let Some(interference) = moment.audit.interference.as_ref().filter(|known| known.is_by_groups()) {
            return Self::of_groups(moment, interference, who);
        }
        Self::of_lines(moment, moment.lines_of(who), |_| true)
    }

    /// Of a group, from a source that tells groups and no tasks; of anybody else nothing is known then.
    fn of_groups(moment: &Moment, interference: &Interference, who: &Who) -> Self {
        let Who::Group(victim) = who else { return Self::default() };
        let its = interference.groups.iter().filter(|(pair, _)| pair.victim == *victim);
        let name = |culprit| {
            if culprit == *victim { ITS_OWN.to_owned() } else { moment.group(culprit) }
        };
        Self::longest(its.map(|(pair, imposed)| (name(pair.culprit), imposed.imposed_wait_ns)))
    }

    /// Added up by name, the longest first.
    fn longest(parts: impl Iterator<Item = (String, u64)>) -> Self {
        let mut sums: BTreeMap<String, u64> = BTreeMap::new();
        for (name, ns) in parts {
            *sums.entry(name).or_default() += ns;
        }
        let mut named: Vec<(String, u64)> = sums.into_iter().filter(|(_, ns)| *ns > 0).collect();
        named.sort_by_key(|(_, ns)| Reverse(*ns));
        Self { named }
    }

    /// Of these tasks together, as far as it lies with culprits for which `counts` holds, or that have no
    /// line.
    pub(crate) fn of_lines<'a>(
        moment: &Moment,
        victims: impl Iterator<Item = &'a Line>,
        counts: impl Fn(&Line) -> bool,
    ) -> Self {
        let Some(interference) = &moment.audit.interference else { return Self::default() };
        let mut parts: Vec<(String, u64)> = Vec::new();
        for victim in victims {
            for (culprit, standing) in interference.culprits_of(victim.task.totals.id) {
                let name = match moment.line(culprit) {
                    Some(line) if !counts(line) => continue,
                    Some(line) => label(moment, line, victim.task.totals.group),
                    None => format!("({})", culprit.pid),
                };
                parts.push((name, standing.held_ns));
            }
        }
        Self::longest(parts.into_iter())
    }
}

/// What a culprit is called by a victim of this group.
fn label(moment: &Moment, culprit: &Line, victim: Group) -> String {
    let totals = &culprit.task.totals;
    let group = moment.groups.get(&totals.group).map(|name| short_name(name));
    match group {
        Some(name) if totals.group != victim && name != "/" && !name.starts_with("autogroup-") => {
            harmless(name.as_bytes())
        }
        _ => harmless(&totals.comm),
    }
}
