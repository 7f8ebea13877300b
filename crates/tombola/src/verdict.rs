//! A measured time in one sentence, and a command in a paragraph.

use crate::moment::Moment;
use crate::sink::{seconds, signed};
use crate::threshold::{Judgement, Limit as Allowed, Measure, Threshold};
use crate::visibility;
use crate::why::{Blame, ITS_OWN};
use tombola_core::audit::{Limit, Line};
use tombola_core::worth::{Kind, Worth};

/// The moment in one sentence.
pub(crate) fn machine(moment: &Moment) -> String {
    let audit = &moment.audit;
    let worth_ns = audit.length_ns / 100;
    let waited = audit.lines.iter().filter(|line| line.task.delta.imposed_wait_ns() > worth_ns).count();
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
            let name = moment.task(id);
            format!(
                "{waited} of {of} tasks waited; owed most: {name}, {} ms{fair}",
                signed(lag_ns as f64 / 1e6)
            )
        }
    }
}

/// What the tasks of a command came to, together.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Verdict {
    /// Tasks that were seen.
    pub(crate) tasks: usize,
    /// Time they ran.
    pub(crate) run_ns: u64,
    /// Time they were runnable without a CPU, but for what they gave away by a yield.
    pub(crate) wait_ns: u64,
    /// That part of it in which a quota was used up; an estimate.
    pub(crate) throttled_ns: u64,
    /// That part of it in which nobody stood in the way; an estimate.
    pub(crate) other_ns: u64,
    /// What they were entitled to.
    pub(crate) entitled_ns: u64,
    /// Entitled − received.
    pub(crate) lag_ns: i64,
    /// CPU time of slices that were not measured, or perhaps with another task, on the whole machine.
    pub(crate) lost_ns: u64,
    /// CPU time of the whole machine.
    pub(crate) wall_ns: u64,
    /// Behind whom they waited, the longest first: its own tasks by that name, others by group or name,
    /// harmless.
    pub(crate) behind: Vec<(String, u64)>,
    /// Groups whose quota bound them, harmless.
    pub(crate) quotas: Vec<String>,
    /// Why nobody knows how long they waited; `None` where it is known.
    pub(crate) no_waits: Option<&'static str>,
}

/// Culprits that a paragraph names.
const NAMED: usize = 3;

impl Verdict {
    /// On the tasks for which `is_its` holds.
    pub(crate) fn of(moment: &Moment, is_its: impl Fn(&Line) -> bool) -> Self {
        let audit = &moment.audit;
        let lines: Vec<&Line> = audit.lines.iter().filter(|line| is_its(line)).collect();
        let sum = |of: fn(&Line) -> u64| lines.iter().map(|line| of(line)).sum();
        let mut quotas: Vec<String> = lines
            .iter()
            .filter_map(|line| match &line.entry.as_ref()?.limit {
                Limit::Quota(group) => Some(moment.group(*group)),
                _ => None,
            })
            .collect();
        quotas.sort();
        quotas.dedup();
        Self {
            tasks: lines.len(),
            run_ns: sum(|line| line.task.delta.runtime_ns),
            wait_ns: sum(|line| line.task.delta.imposed_wait_ns()),
            throttled_ns: sum(|line| line.waiting.throttled_ns),
            other_ns: sum(|line| line.waiting.other_ns),
            entitled_ns: sum(|line| line.entry.as_ref().map_or(0, |entry| entry.account.entitled_ns)),
            lag_ns: lines.iter().map(|line| line.lag_ns()).sum(),
            lost_ns: audit.loss.untracked_ns.saturating_add(audit.loss.unseen_ns),
            wall_ns: audit.books.wall_ns,
            behind: behind(moment, &lines, &is_its),
            quotas,
            no_waits: audit
                .worths
                .iter()
                .find(|judged| judged.kind == Kind::Wait && judged.worth == Worth::Unknown)
                .map(|judged| judged.why),
        }
    }

    /// Time that was wanted: run + wait.
    fn wanted_ns(&self) -> u64 {
        self.run_ns.saturating_add(self.wait_ns)
    }

    /// What it came to in a measure: the time, and of what it is a part.
    fn measured(&self, measure: Measure) -> (u64, u64) {
        match measure {
            Measure::Waited => (self.wait_ns, self.wanted_ns()),
            Measure::Throttled => (self.throttled_ns, self.wanted_ns()),
            Measure::Lag => (u64::try_from(self.lag_ns).unwrap_or(0), self.entitled_ns),
            Measure::Lost => (self.lost_ns, self.wall_ns),
        }
    }

    /// Whether a limit is kept. Of tasks that were not seen only a loss is known, which is the machine's.
    pub(crate) fn judge(&self, threshold: &Threshold) -> Judgement {
        if self.tasks == 0 && threshold.measure != Measure::Lost {
            return Judgement::Unknown(format!(
                "{threshold} is not known: no task was seen to run. {}",
                unseen()
            ));
        }
        let (ns, whole_ns) = self.measured(threshold.measure);
        let part = part(ns, whole_ns);
        let is_exceeded = match threshold.limit {
            Allowed::Part(limit) => part > limit,
            Allowed::Time(limit_ns) => ns > limit_ns,
        };
        let what = match threshold.measure {
            Measure::Waited => "waited, of the time it wanted to run",
            Measure::Throttled => "waited for a quota, of the time it wanted to run",
            Measure::Lag => "was owed, of what it was entitled to",
            Measure::Lost => "was not measured for certain, of all CPU time",
        };
        let is_of_waits = matches!(threshold.measure, Measure::Waited | Measure::Throttled);
        if let Some(why) = self.no_waits.filter(|_| is_of_waits) {
            // What is known of them says nothing of the rest.
            Judgement::Unknown(format!("{threshold} is not known: {why}"))
        } else if is_exceeded {
            let percent = 100.0 * part;
            Judgement::Exceeded(format!("{percent:.1} % ({} s) {what}: {threshold} is exceeded", seconds(ns)))
        } else {
            Judgement::Kept
        }
    }

    /// The verdict as a paragraph. `name` is what it is about, harmless.
    pub(crate) fn paragraph(&self, name: &str, pressure: Option<(&str, f64)>) -> String {
        if self.tasks == 0 {
            return format!("{name}: none of its tasks was seen to run. {}", unseen());
        }
        let percent = |ns: u64| format!("{:.0} %", 100.0 * part(ns, self.wanted_ns()));
        // Its own tasks are named in any case: that is nobody else's doing.
        let (own, others): (Vec<_>, Vec<_>) = self.behind.iter().partition(|(who, _)| who == ITS_OWN);
        let named = others.iter().take(NAMED).chain(&own);
        let mut causes: Vec<String> =
            named.map(|(who, ns)| format!("{} behind {who}", percent(*ns))).collect();
        let more_ns: u64 = others.iter().skip(NAMED).map(|(_, ns)| ns).sum();
        if more_ns > 0 {
            causes.push(format!("{} behind {} others", percent(more_ns), others.len() - NAMED));
        }
        if self.throttled_ns > 0 {
            let quota = match self.quotas.len() {
                0 => "a quota".to_owned(),
                _ => format!("the quota of {}", self.quotas.join(", ")),
            };
            causes.push(format!("{} for {quota}", percent(self.throttled_ns)));
        }
        if self.other_ns.saturating_mul(100) > self.wanted_ns() {
            causes.push(format!("{} with nobody in the way", percent(self.other_ns)));
        }
        let because = match causes.len() {
            0 => String::new(),
            _ if self.wait_ns == 0 => String::new(),
            _ => format!("; {}", causes.join(", ")),
        };
        let mut sentences = vec![format!(
            "{name} ran {} s and waited {} of the time it wanted to run{because}",
            seconds(self.run_ns),
            percent(self.wait_ns)
        )];
        let lag = seconds(self.lag_ns.unsigned_abs());
        sentences.push(if self.lag_ns > 0 {
            format!("It was owed {lag} s of the {} s it was entitled to", seconds(self.entitled_ns))
        } else {
            format!("It had all of the {} s it was entitled to", seconds(self.entitled_ns))
        });
        if let Some((cgroup, part)) = pressure {
            sentences.push(format!(
                "The kernel's own pressure (PSI) of {cgroup}: in {:.0} % of the time at least one task there waited for a CPU",
                100.0 * part
            ));
        }
        sentences.join(". ") + "."
    }
}

/// Why nothing may have been seen.
pub(crate) fn unseen() -> &'static str {
    visibility::foreign_pids()
        .unwrap_or("It ended before it was on a CPU, or what it started left it at once.")
}

/// Behind whom these lines waited.
fn behind(moment: &Moment, lines: &[&Line], is_its: &impl Fn(&Line) -> bool) -> Vec<(String, u64)> {
    let Some(interference) = &moment.audit.interference else { return Vec::new() };
    let mut own_ns = 0;
    for line in lines {
        for (culprit, standing) in interference.culprits_of(line.task.totals.id) {
            if moment.line(culprit).is_some_and(is_its) {
                own_ns += standing.held_ns;
            }
        }
    }
    let mut named = Blame::of_lines(moment, lines.iter().copied(), |line| !is_its(line)).named;
    if own_ns > 0 {
        named.push((ITS_OWN.to_owned(), own_ns));
        named.sort_by_key(|(_, ns)| std::cmp::Reverse(*ns));
    }
    named
}

fn part(ns: u64, whole_ns: u64) -> f64 {
    if whole_ns == 0 { 0.0 } else { ns as f64 / whole_ns as f64 }
}

#[cfg(test)]
mod tests;
