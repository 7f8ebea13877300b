//! What the figures of a recording are worth: what it can tell at best, and what of it is in doubt.

use crate::capabilities::{Header, Scope};
use crate::culprits::Culprits;
use crate::event::Event;
use crate::fact::Fact;
use crate::interval::{CpuInterval, Doubt, Interval, Ready, What};
use crate::life::{Doing, Life};
use crate::normaliser::{Normaliser, OnCpu};
use std::collections::BTreeSet;
use tombola_core::worth::{Best, Doubts, Grounds, Verdict, Worth};

/// What each kind of figure is worth at best that is made of a recording with this header; `breaks_off` where
/// it ended before anything was read of some CPU.
pub fn best(header: &Header, breaks_off: bool) -> Best {
    let can = &header.can;
    let sees_all = matches!(header.scope, Scope::Whole | Scope::Cpus) && !breaks_off;
    let a_part = if breaks_off {
        "the file breaks off, and of some CPUs nothing was read"
    } else {
        "only a part of the events is recorded"
    };
    let if_all = |then| if sees_all { then } else { Verdict::unknown(a_part) };
    let time = if_all(match can.resolution_ns {
        ..=1 => Verdict::EXACT,
        _ => Verdict::bounded("time stamps are coarse"),
    });
    let has_wakes = can.waking || can.wakeup;
    let if_wakes = |then| if has_wakes { then } else { if_all(Verdict::unknown("no wakes are recorded")) };
    let wait = if_wakes(time);
    Best {
        run: time,
        wait,
        switches: if_all(Verdict::EXACT),
        preemptions: if_all(if can.yields {
            Verdict::EXACT
        } else {
            Verdict::bounded("too high by the yields, which are not told from them")
        }),
        yields: if_all(if can.yields {
            Verdict::EXACT
        } else {
            Verdict::unknown("who gave its CPU away is not told from who was preempted")
        }),
        wakes: if_wakes(if_all(Verdict::EXACT)),
        culprits: match (Culprits::can_tell(header), can.migrations || header.cpus == Some(1)) {
            (false, _) => Verdict::unknown("neither moves nor where wakes lead is recorded"),
            (true, false) if wait.worth < Worth::Unknown => {
                Verdict::bounded("moves between queues are not recorded")
            }
            // As the waits, with what is in doubt of them.
            (true, _) if wait.worth < Worth::Unknown => Verdict::EXACT,
            (true, _) => wait,
        },
        entitlement: if can.groups {
            Verdict::bounded("changes of weight, group or affinity are known up to a second late")
        } else {
            Verdict::unknown("by nice value on one level, for weights and groups are not recorded")
        },
    }
}

/// Looks for what is not known while a recording is played. It is told of each event once the normaliser has
/// taken it.
#[derive(Clone, Debug)]
pub struct Judge {
    header: Header,
    /// CPUs that told something.
    cpus: BTreeSet<u32>,
    /// What lies before this does not count; 0: from the begin of the recording.
    begin_ns: u64,
    /// What is over, since then.
    over: Doubts,
    /// When the latest grounds were given.
    shown_ns: u64,
    /// What is over since then.
    lately: Doubts,
    /// The sum of what was not known when grounds were given, of the time since those before.
    when_seen: Doubts,
}

impl Judge {
    /// For a recording with this header.
    pub fn new(header: &Header) -> Self {
        Self {
            header: header.clone(),
            cpus: BTreeSet::new(),
            begin_ns: 0,
            over: Doubts::default(),
            shown_ns: 0,
            lately: Doubts::default(),
            when_seen: Doubts::default(),
        }
    }

    /// Forgets what lies before `at_ns`.
    pub fn begin(&mut self, at_ns: u64) {
        let none = Doubts::default();
        (self.begin_ns, self.shown_ns) = (at_ns, at_ns);
        (self.over, self.lately, self.when_seen) = (none, none, none);
    }

    /// After the normaliser has taken an event, and before what it has found out by it is taken from it.
    pub fn event(&mut self, event: &Event, normaliser: &Normaliser) {
        if normaliser.cpus().contains_key(&event.cpu) && self.cpus.insert(event.cpu) && !self.has_begin() {
            // Who ran there before its first event is told by nothing.
            let was_open = self.header.cpus.is_some();
            self.add((normaliser.begin_ns(), normaliser.now_ns()), was_open, |ns| Doubts {
                cpus_ns: ns,
                ..Doubts::default()
            });
        }
        normaliser.found().iter().for_each(|fact| self.fact(fact));
    }

    /// What the normaliser has found out.
    pub fn fact(&mut self, fact: &Fact) {
        let none = Doubts::default();
        match fact {
            Fact::Task(Interval { from_ns, to_ns, what: What::Unknown(why), .. }) => {
                self.add((*from_ns, *to_ns), was_open(*why), |ns| match why {
                    Doubt::NoWake => Doubts { no_wake_ns: ns, ..none },
                    Doubt::Loss | Doubt::Start | Doubt::Hidden => Doubts { tasks_ns: ns, ..none },
                });
            }
            Fact::Task(Interval { from_ns, to_ns, what: What::Runnable { since, ran: true }, .. }) => {
                if *to_ns >= self.begin_ns && (*since == Ready::Unknown || *from_ns < self.begin_ns) {
                    let cut = Doubts { cut_waits: 1, ..none };
                    (self.over, self.lately) = (self.over.plus(cut), self.lately.plus(cut));
                }
            }
            Fact::Cpu(CpuInterval { from_ns, to_ns, doubt: Some(why), .. }) => {
                self.add((*from_ns, *to_ns), was_open(*why), |ns| Doubts { cpus_ns: ns, ..none });
            }
            Fact::Task(_) | Fact::Cpu(_) | Fact::Ended { .. } | Fact::Became { .. } => {}
        }
    }

    /// A stretch of doubt is over. Where it was open when grounds were given last, these had it up to then.
    fn add(&mut self, (from_ns, to_ns): (u64, u64), was_open: bool, of: impl Fn(u64) -> Doubts) {
        let since = |begin_ns: u64| of(to_ns.saturating_sub(from_ns.max(begin_ns)));
        self.over = self.over.plus(since(self.begin_ns));
        self.lately = self.lately.plus(since(if was_open { self.shown_ns } else { self.begin_ns }));
    }

    /// What figures up to `at_ns`, not before the latest event, are worth; `is_cut` where an error ended the
    /// reading there.
    pub fn grounds(&mut self, normaliser: &Normaliser, at_ns: u64, is_cut: bool) -> Grounds {
        let since = |over: Doubts, from_ns| {
            let doubts = over.plus(self.open(normaliser, from_ns, at_ns));
            // Where the begin is not told, tasks of which nothing was told yet may have been there.
            let least_ns = if self.has_begin() { 0 } else { doubts.cpus_ns };
            Doubts { tasks_ns: doubts.tasks_ns.max(least_ns), ..doubts }
        };
        let (since_begin, lately) = (since(self.over, self.begin_ns), since(self.lately, self.shown_ns));
        self.when_seen = self.when_seen.plus(lately);
        (self.shown_ns, self.lately) = (at_ns, Doubts::default());
        let breaks_off = is_cut && self.silent_cpus() > 0;
        Grounds { best: best(&self.header, breaks_off), since_begin, when_seen: self.when_seen }
    }

    /// CPUs of the machine, where the recording tells their number, that have told nothing.
    pub fn silent_cpus(&self) -> usize {
        let cpus = self.header.cpus.map_or(0, |cpus| cpus as usize);
        cpus.saturating_sub(self.cpus.len())
    }

    fn has_begin(&self) -> bool {
        self.header.begin_ns.is_some()
    }

    /// What is open at `at_ns`, from `from_ns` on.
    fn open(&self, normaliser: &Normaliser, from_ns: u64, at_ns: u64) -> Doubts {
        let since = |since_ns: u64| at_ns.saturating_sub(since_ns.max(from_ns));
        let is_unknown = |life: &&Life| matches!(life.doing, Doing::Unknown { .. });
        let is_cut = |life: &&Life| match life.doing {
            Doing::Runnable(ready) => ready == Ready::Unknown || life.since_ns < self.begin_ns,
            _ => false,
        };
        let unseen = normaliser.cpus().values().filter(|of| matches!(of.doing, OnCpu::Unknown { .. }));
        let silent_ns = since(normaliser.begin_ns()).saturating_mul(self.silent_cpus() as u64);
        Doubts {
            tasks_ns: normaliser.lives().filter(is_unknown).map(|life| since(life.since_ns)).sum(),
            cpus_ns: silent_ns.saturating_add(unseen.map(|of| since(of.since_ns)).sum()),
            no_wake_ns: 0,
            cut_waits: normaliser.lives().filter(is_cut).count() as u64,
        }
    }
}

/// Whether a doubt is there from its begin on; others are found out when they are over.
fn was_open(why: Doubt) -> bool {
    matches!(why, Doubt::Loss | Doubt::Start)
}

#[cfg(test)]
mod tests;
