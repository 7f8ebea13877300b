//! What the figures of a recording are worth: exact, bounded, or unknown. One judgement for each kind of
//! figure, for all tasks together.

use crate::books::Certainty;
use crate::capabilities::{Capabilities, Header, Scope};
use crate::culprits::Culprits;
use crate::fact::Fact;
use crate::interval::{CpuInterval, Interval, What};

/// What is not known, of all tasks and all CPUs together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Doubts {
    /// Time in which it is not known what a task did.
    pub tasks: Certainty,
    /// Time in which it is not known what a CPU did, ns: no task ran longer than that unseen.
    pub cpus_ns: u64,
    /// CPUs of the machine of which nothing was read before the file broke off.
    pub silent_cpus: usize,
}

impl Doubts {
    /// Adds what was found out not to be known.
    pub fn note(&mut self, fact: &Fact) {
        match fact {
            Fact::Task(interval @ Interval { what: What::Unknown(why), .. }) => {
                self.tasks.add(*why, interval.ns());
            }
            Fact::Cpu(CpuInterval { from_ns, to_ns, doubt: Some(_), .. }) => self.cpus_ns += to_ns - from_ns,
            Fact::Task(_) | Fact::Cpu(_) | Fact::Ended { .. } | Fact::Became { .. } => {}
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

/// A kind of figure, with what it is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// What it is.
    pub what: &'static str,
    /// Keys under which tables and files have such figures.
    pub columns: &'static [&'static str],
    /// What they are worth.
    pub worth: Worth,
    /// By how much they may be too low, of all tasks together, ns, where that is what bounds them.
    pub too_low_ns: Option<u64>,
    /// Why they are no more than that; empty where they are exact.
    pub why: &'static str,
}

/// Judges the figures of a recording with this header, where so much is in doubt.
pub fn judge(header: &Header, doubts: &Doubts) -> Vec<Judged> {
    let can = &header.can;
    let is_silent = doubts.silent_cpus > 0;
    let sees_all = matches!(header.scope, Scope::Whole | Scope::Cpus) && !is_silent;
    let times = |unknown_ns: u64, sees_what: bool, why| {
        if !sees_what {
            (Worth::Unknown, None, why)
        } else if unknown_ns > 0 {
            (Worth::Bounded, Some(unknown_ns), "it is not known at every instant what each task did")
        } else if can.resolution_ns > 1 {
            (Worth::Bounded, None, "both ends of each stretch are cut to the resolution of the time stamps")
        } else {
            (Worth::Exact, None, "")
        }
    };
    let a_part = if is_silent {
        "the file breaks off, and of some CPUs nothing was read"
    } else {
        "only a part of the events is recorded"
    };
    let has_wakes = can.waking || can.wakeup;
    let no_wakes = if sees_all { "no wakes are recorded" } else { a_part };
    let unknown_ns = doubts.tasks.unknown_ns();
    let unseen_ns = unknown_ns.min(doubts.cpus_ns);
    let wait = times(unknown_ns + doubts.tasks.no_wake_ns, sees_all && has_wakes, no_wakes);
    let count = |doubt_ns: u64, sees_what: bool, why| match (sees_what, doubt_ns) {
        (false, _) => (Worth::Unknown, None, why),
        (true, 0) => (Worth::Exact, None, ""),
        (true, _) => {
            (Worth::Bounded, None, "what happened in gaps and behind hidden switches is not counted")
        }
    };
    let switches = count(unseen_ns, sees_all, a_part);
    let no_yields = (Worth::Unknown, None, "who gave its CPU away is not told from who was preempted");
    let judged = |what, columns, (worth, too_low_ns, why)| Judged { what, columns, worth, too_low_ns, why };
    vec![
        judged("run time", &["runtime_ns", "received_ns", "run_ns"], times(unseen_ns, sees_all, a_part)),
        judged(
            "wait",
            &["wait_ns", "wait_max_ns", "wait_p50_ns", "wait_p99_ns", "wait_histogram", "contention_ns"],
            wait,
        ),
        judged("switches", &["switches", "migrations"], switches),
        judged("preemptions", &["preempted"], preemptions(can, switches)),
        judged("yields", &["yields", "yielded_ns"], if can.yields { switches } else { no_yields }),
        judged(
            "wakes",
            &["wakeups", "sleep_ns", "period_ns", "jitter_ns"],
            count(unknown_ns, sees_all && has_wakes, no_wakes),
        ),
        judged("who stood in whose way", &["hindered"], culprits(header, wait)),
        judged("entitlement", &["weight", "entitled_ns", "lag_ns", "fair_share"], entitlement(can, wait)),
    ]
}

type Verdict = (Worth, Option<u64>, &'static str);

fn culprits(header: &Header, wait: Verdict) -> Verdict {
    let moves = "moves between queues are not recorded: one that is over when a wait ends is not seen";
    match (Culprits::can_tell(header), header.can.migrations || header.cpus == Some(1)) {
        (false, _) => (Worth::Unknown, None, "neither moves nor where wakes lead is recorded"),
        (true, false) if wait.0 < Worth::Unknown => (Worth::Bounded, None, moves),
        _ => wait,
    }
}

fn preemptions(can: &Capabilities, switches: Verdict) -> Verdict {
    if !can.yields && switches.0 == Worth::Exact {
        return (Worth::Bounded, None, "too high by the yields, which are not told from them");
    }
    switches
}

fn entitlement(can: &Capabilities, wait: Verdict) -> Verdict {
    let by_nice =
        "weights and groups are not recorded: by nice value, on one level, with all CPUs for everybody";
    let late = "a change of weight, group or affinity is known up to a second late";
    match (can.groups, wait.0) {
        (false, _) => (Worth::Unknown, None, by_nice),
        (true, Worth::Exact) => (Worth::Bounded, None, late),
        _ => (wait.0, None, wait.2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worths(header: &Header, doubts: &Doubts) -> Vec<Worth> {
        judge(header, doubts).iter().map(|judged| judged.worth).collect()
    }

    #[test]
    fn what_is_missing_lowers_what_depends_on_it() {
        use Worth::{Bounded, Exact, Unknown};
        let can = Capabilities {
            waking: true,
            migrations: true,
            groups: true,
            yields: true,
            resolution_ns: 1,
            ..Capabilities::default()
        };
        let whole = Header { can, ..Header::default() };
        let none = Doubts::default();
        assert_eq!(worths(&whole, &none), [Exact, Exact, Exact, Exact, Exact, Exact, Exact, Bounded]);
        // Seven nanoseconds are lost of two tasks, of which one may have run.
        let lost = Doubts { tasks: Certainty { loss_ns: 14, ..none.tasks }, cpus_ns: 7, ..none };
        assert_eq!(worths(&whole, &lost), [Bounded; 8]);
        let too_low = judge(&whole, &lost).iter().map(|judged| judged.too_low_ns).collect::<Vec<_>>();
        assert_eq!(too_low[..2], [Some(7), Some(14)]);
        // All CPUs are known: who did nothing on them slept or waited.
        let quiet = Doubts { cpus_ns: 0, ..lost };
        assert_eq!(worths(&whole, &quiet), [Exact, Bounded, Exact, Exact, Exact, Bounded, Bounded, Bounded]);
        // It slept and waited, how long each is not known: it did not run.
        let no_wake = Doubts { tasks: Certainty { no_wake_ns: 5, ..none.tasks }, ..none };
        assert_eq!(worths(&whole, &no_wake), [Exact, Bounded, Exact, Exact, Exact, Exact, Bounded, Bounded]);
        assert_eq!(judge(&whole, &no_wake)[1].too_low_ns, Some(5));
        let with = |can| Header { can, ..Header::default() };
        let silent = with(Capabilities { waking: false, ..can });
        let told = worths(&silent, &none);
        assert_eq!(told, [Exact, Unknown, Exact, Exact, Exact, Unknown, Unknown, Unknown]);
        // As foreign formats are.
        let coarse =
            Capabilities { resolution_ns: 1000, groups: false, migrations: false, yields: false, ..can };
        let told = worths(&with(coarse), &none);
        assert_eq!(told, [Bounded, Bounded, Exact, Bounded, Unknown, Exact, Unknown, Unknown]);
        let placed = with(Capabilities { wakeup: true, migrations: false, ..can });
        assert_eq!(worths(&placed, &none)[6], Bounded);
        // It breaks off before anything of one CPU was read.
        assert_eq!(worths(&whole, &Doubts { silent_cpus: 1, ..none }), [Unknown; 8]);
        let part = Header { scope: Scope::Tasks, ..whole };
        assert_eq!(worths(&part, &none), [Unknown; 8]);
    }
}
