//! What figures are worth: exact, bounded, or unknown. One judgement for each kind of figure, for all tasks
//! together.
//!
//! A source that can judge its figures says what each kind is worth at best, by what it is told at all
//! ([`Best`]), and for how long it was not known what tasks and CPUs did ([`Doubts`]). Both together are its
//! [`Grounds`], which a frame carries; the figures between two frames are judged by what was added.

use std::fmt;

/// Kinds of figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// CPU time.
    Run,
    /// Time runnable without a CPU.
    Wait,
    /// How long single waits were.
    Lengths,
    /// How often a CPU was left, and changed.
    Switches,
    /// How often it was lost.
    Preemptions,
    /// How often it was given away, and the waits that followed.
    Yields,
    /// Wakes, and the sleeps that they end.
    Wakes,
    /// Who stood in whose way.
    Culprits,
    /// Weights, and what follows from them.
    Entitlement,
}

impl Kind {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 9] = [
        Self::Run,
        Self::Wait,
        Self::Lengths,
        Self::Switches,
        Self::Preemptions,
        Self::Yields,
        Self::Wakes,
        Self::Culprits,
        Self::Entitlement,
    ];

    /// What it is called.
    pub fn what(self) -> &'static str {
        match self {
            Self::Run => "run time",
            Self::Wait => "wait",
            Self::Lengths => "lengths of waits",
            Self::Switches => "switches",
            Self::Preemptions => "preemptions",
            Self::Yields => "yields",
            Self::Wakes => "wakes",
            Self::Culprits => "who stood in whose way",
            Self::Entitlement => "entitlement",
        }
    }

    /// Keys under which tables and files have such figures.
    pub fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Run => &[
                "runtime_ns",
                "runtime_ms",
                "received_ns",
                "got_share",
                "delta_ns",
                "delta_ms",
                "rolling_runtime_ms",
                "run_ns",
                "run_mean_ns",
                "run_max_ns",
            ],
            Self::Wait => &[
                "wait_ns",
                "delta_wait_ns",
                "contention_ns",
                "throttled_ns",
                "other_wait_ns",
                "response_mean_ns",
                "response_max_ns",
            ],
            Self::Lengths => {
                &["wait_max_ns", "wait_p50_ns", "wait_p99_ns", "wait_histogram", "decision_latency_ns"]
            }
            Self::Switches => &["switches", "migrations"],
            Self::Preemptions => &["preempted", "involuntary", "voluntary"],
            Self::Yields => &["yields", "yielded_ns"],
            Self::Wakes => &["wakeups", "sleep_ns", "period_ns", "jitter_ns"],
            Self::Culprits => &["hindered"],
            Self::Entitlement => {
                &["weight", "tickets", "ticket_share", "entitled_ns", "lag_ns", "fair_share"]
            }
        }
    }
}

/// What a figure is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Worth {
    /// To the nanosecond.
    Exact,
    /// Off by something that is known or limited.
    Bounded,
    /// Not known, or known by another rule than the machine's.
    Unknown,
}

impl fmt::Display for Worth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Exact => "exact",
            Self::Bounded => "bounded",
            Self::Unknown => "unknown",
        })
    }
}

/// A worth and its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What it is worth.
    pub worth: Worth,
    /// Why no more; empty where it is exact.
    pub why: &'static str,
}

impl Verdict {
    /// Nothing is wrong with it.
    pub const EXACT: Self = Self { worth: Worth::Exact, why: "" };

    /// Off by something that is limited.
    pub const fn bounded(why: &'static str) -> Self {
        Self { worth: Worth::Bounded, why }
    }

    /// Not known.
    pub const fn unknown(why: &'static str) -> Self {
        Self { worth: Worth::Unknown, why }
    }
}

/// What each kind is worth where nothing is in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Best {
    /// [`Kind::Run`].
    pub run: Verdict,
    /// [`Kind::Wait`] and [`Kind::Lengths`].
    pub wait: Verdict,
    /// [`Kind::Switches`].
    pub switches: Verdict,
    /// [`Kind::Preemptions`].
    pub preemptions: Verdict,
    /// [`Kind::Yields`].
    pub yields: Verdict,
    /// [`Kind::Wakes`].
    pub wakes: Verdict,
    /// [`Kind::Culprits`]; where it is exact they are worth what the waits are.
    pub culprits: Verdict,
    /// [`Kind::Entitlement`]; no more than the waits are.
    pub entitlement: Verdict,
}

/// What was not known, of all tasks and all CPUs together, since a source began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Doubts {
    /// Time in which it is not known what a task did, ns.
    pub tasks_ns: u64,
    /// Time of tasks that slept and then waited, where it is not known how long each was, ns.
    pub no_wake_ns: u64,
    /// Time in which it is not known what a CPU did, ns: no task ran longer than that unseen.
    pub cpus_ns: u64,
    /// Waits that had begun before they were seen.
    pub cut_waits: u64,
}

impl Doubts {
    fn combined(self, other: Self, of: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            tasks_ns: of(self.tasks_ns, other.tasks_ns),
            no_wake_ns: of(self.no_wake_ns, other.no_wake_ns),
            cpus_ns: of(self.cpus_ns, other.cpus_ns),
            cut_waits: of(self.cut_waits, other.cut_waits),
        }
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, more: Self) -> Self {
        self.combined(more, u64::saturating_add)
    }
}

/// What a source's judgement of its figures rests on, at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grounds {
    /// What each kind is worth at best.
    pub best: Best,
    /// What is not known now of the time since the source began.
    pub since_begin: Doubts,
    /// The sum of what was not known of each stretch between two frames when the later one was taken. What is
    /// found out later is not taken off, so it only grows.
    pub when_seen: Doubts,
}

impl Grounds {
    /// What totals since the source began are worth.
    pub fn judge(&self) -> Vec<Judged> {
        judge(&self.best, self.since_begin)
    }

    /// What figures since an earlier frame are worth. What is unknown of a part is not more than what is
    /// unknown of the whole.
    pub fn judge_since(&self, earlier: Option<&Self>) -> Vec<Judged> {
        let then = earlier.map_or_else(Doubts::default, |earlier| earlier.when_seen);
        let added = self.when_seen.combined(then, u64::saturating_sub);
        judge(&self.best, added.combined(self.since_begin, u64::min))
    }
}

/// A kind of figure, with what it is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judged {
    /// Which.
    pub kind: Kind,
    /// What they are worth.
    pub worth: Worth,
    /// By how much they may be too low, of all tasks together, ns, where that is what bounds them.
    pub too_low_ns: Option<u64>,
    /// Why they are no more than that; empty where they are exact.
    pub why: &'static str,
}

/// Judges every kind of figure, where so much is in doubt.
fn judge(best: &Best, doubts: Doubts) -> Vec<Judged> {
    let doubted = |best: Verdict, doubt: u64, too_low_ns, why| {
        if best.worth < Worth::Unknown && doubt > 0 {
            (Verdict::bounded(why), too_low_ns)
        } else {
            (best, None)
        }
    };
    // Who did nothing on any CPU did not run.
    let unseen_ns = doubts.tasks_ns.min(doubts.cpus_ns);
    let wait_ns = doubts.tasks_ns.saturating_add(doubts.no_wake_ns);
    let time = |best, ns| doubted(best, ns, Some(ns), "what each task did is not known at every instant");
    let counted = |best: Verdict, ns| match best.worth {
        Worth::Exact => doubted(best, ns, None, "what happened unseen is not counted"),
        // Nothing says by how much, whatever the reason.
        Worth::Bounded | Worth::Unknown => (best, None),
    };
    let wait = time(best.wait, wait_ns);
    let cut = "of waits that had begun before only the rest is counted";
    let lengths = if wait_ns > 0 { (wait.0, None) } else { doubted(best.wait, doubts.cut_waits, None, cut) };
    let judged = |kind, (Verdict { worth, why }, too_low_ns)| Judged { kind, worth, too_low_ns, why };
    Kind::ALL
        .map(|kind| {
            judged(
                kind,
                match kind {
                    Kind::Run => time(best.run, unseen_ns),
                    Kind::Wait => wait,
                    Kind::Lengths => lengths,
                    Kind::Switches => counted(best.switches, unseen_ns),
                    Kind::Preemptions => counted(best.preemptions, unseen_ns),
                    Kind::Yields => counted(best.yields, unseen_ns),
                    Kind::Wakes => counted(best.wakes, doubts.tasks_ns),
                    Kind::Culprits if best.culprits.worth == Worth::Exact => wait,
                    Kind::Culprits => (best.culprits, None),
                    Kind::Entitlement if best.entitlement.worth == Worth::Unknown => (best.entitlement, None),
                    Kind::Entitlement if wait.0.worth > Worth::Exact => (wait.0, None),
                    Kind::Entitlement => (best.entitlement, None),
                },
            )
        })
        .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::{self, audit, dump};

    const LATE: Verdict = Verdict::bounded("late");

    fn best() -> Best {
        let exact = Verdict::EXACT;
        Best {
            run: exact,
            wait: exact,
            switches: exact,
            preemptions: exact,
            yields: exact,
            wakes: exact,
            culprits: exact,
            entitlement: LATE,
        }
    }

    fn worths(best: &Best, doubts: Doubts) -> Vec<Worth> {
        judge(best, doubts).iter().map(|judged| judged.worth).collect()
    }

    #[test]
    fn what_is_not_known_lowers_what_depends_on_it() {
        use Worth::{Bounded, Exact, Unknown};
        let none = Doubts::default();
        let all_but_last = [Exact, Exact, Exact, Exact, Exact, Exact, Exact, Exact, Bounded];
        assert_eq!(worths(&best(), none), all_but_last);
        // Seven nanoseconds are lost of two tasks, of which one may have run.
        let lost = Doubts { tasks_ns: 14, cpus_ns: 7, ..none };
        assert_eq!(worths(&best(), lost), [Bounded; 9]);
        let too_low: Vec<_> = judge(&best(), lost).iter().map(|judged| judged.too_low_ns).collect();
        assert_eq!(too_low[..3], [Some(7), Some(14), None]);
        // All CPUs are known: who did nothing on them slept or waited.
        let quiet = Doubts { cpus_ns: 0, ..lost };
        let bounded = [Exact, Bounded, Bounded, Exact, Exact, Exact, Bounded, Bounded, Bounded];
        assert_eq!(worths(&best(), quiet), bounded);
        // All tasks are known: nobody ran on a CPU of which nothing is known.
        assert_eq!(worths(&best(), Doubts { cpus_ns: 7, ..none }), all_but_last);
        // It slept and waited, how long each is not known: it did not run.
        let no_wake = Doubts { no_wake_ns: 5, ..none };
        let bounded = [Exact, Bounded, Bounded, Exact, Exact, Exact, Exact, Bounded, Bounded];
        assert_eq!(worths(&best(), no_wake), bounded);
        assert_eq!(judge(&best(), no_wake)[1].too_low_ns, Some(5));
        // A wait had begun before: what was waited is known, and how long that one was is not.
        let cut = Doubts { cut_waits: 1, ..none };
        assert_eq!(worths(&best(), cut)[..3], [Exact, Exact, Bounded]);
        // What is not known at all is not bounded by a doubt.
        let blind = Best { wait: Verdict::unknown("blind"), culprits: Verdict::unknown("blind"), ..best() };
        let expected = [Exact, Unknown, Unknown, Exact, Exact, Exact, Bounded, Unknown, Unknown];
        assert_eq!(worths(&blind, quiet), expected);
        assert_eq!(judge(&blind, quiet)[8].why, "blind");
        let by_nice = Best { entitlement: Verdict::unknown("by nice"), ..best() };
        assert_eq!(judge(&by_nice, none)[8].why, "by nice");
    }

    #[test]
    fn a_part_is_judged_by_what_was_not_known_of_it() {
        let at = |since_begin, when_seen| {
            let doubts = |tasks_ns| Doubts { tasks_ns, cpus_ns: u64::MAX, ..Doubts::default() };
            Grounds { best: best(), since_begin: doubts(since_begin), when_seen: doubts(when_seen) }
        };
        let too_low = |judged: Vec<Judged>| judged[1].too_low_ns;
        // Ten nanoseconds were unknown when the first was taken, and three of them still are.
        let (first, second, third) = (at(10, 10), at(3, 10), at(7, 14));
        assert_eq!(too_low(first.judge_since(None)), Some(10));
        assert_eq!(too_low(second.judge_since(Some(&first))), None);
        assert_eq!(too_low(third.judge_since(Some(&second))), Some(4));
        assert_eq!(too_low(third.judge_since(None)), Some(7), "of the whole it is known by now");
        assert_eq!(too_low(third.judge()), Some(7));
    }

    /// Whatever is measured belongs to one kind; what is not measured says who a row is about.
    #[test]
    fn every_figure_of_the_catalogue_is_judged() {
        const NOT_MEASURED: [&str; 6] = ["tasks", "cpu", "interval_ns", "ended", "tickets_set", "nice"];
        let figures = |of: Vec<(&'static str, metric::Kind)>| {
            let measured = of.into_iter().filter(|(_, kind)| *kind != metric::Kind::Label);
            measured.map(|(key, _)| key).filter(|key| !NOT_MEASURED.contains(key)).collect::<Vec<_>>()
        };
        let of_audit = figures(audit::METRICS.iter().map(|metric| (metric.key, metric.kind)).collect());
        let of_dump = figures(dump::METRICS.iter().map(|metric| (metric.key, metric.kind)).collect());
        for key in of_audit.into_iter().chain(of_dump) {
            let kinds = Kind::ALL.iter().filter(|kind| kind.columns().contains(&key));
            assert_eq!(kinds.count(), 1, "{key}");
        }
    }
}
