//! What makes a flight recorder write: a wait, or a lag, that is too long.

use crate::cli::Trigger;
use crate::cmd::record::waits::{Wait, Waits};
use crate::interval::Plain;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;
use tombola_core::identity::TaskId;
use tombola_recording::capabilities::Header;
use tombola_recording::event::{Event, Kind};
use tombola_recording::fact::Fact;
use tombola_recording::ledger::Ledger;
use tombola_recording::normaliser::Normaliser;

/// What pulled the trigger.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pulled {
    /// Who.
    pub pid: u32,
    /// How long it waited, or how much its lag grew, ns.
    pub ns: f64,
}

/// Looks at events for what pulls the trigger. They come CPU by CPU, so they are held until those of all CPUs
/// are there.
pub struct Watch {
    held: Vec<Event>,
    law: Law,
}

enum Law {
    Wait { limit_ns: u64, waits: Waits },
    Lag(Box<Lags>),
}

impl Watch {
    /// For a flight that keeps so much time.
    pub fn new(trigger: Trigger, kept: Duration, header: &Header) -> Self {
        let law = match trigger {
            Trigger::Wait(limit) => Law::Wait { limit_ns: nanoseconds(limit), waits: Waits::default() },
            Trigger::Lag(limit) => Law::Lag(Box::new(Lags::new(nanoseconds(limit) as f64, kept, header))),
        };
        Self { held: Vec::new(), law }
    }

    /// Takes an event.
    pub fn event(&mut self, event: &Event) {
        self.held.push(event.clone());
    }

    /// All events up to `until_ns` are there. The worst among what pulls the trigger, if anything does.
    pub fn look(&mut self, until_ns: u64) -> Option<Pulled> {
        self.held.sort_by_key(|event| event.ts_ns);
        let ready = self.held.partition_point(|event| event.ts_ns <= until_ns);
        let mut worst: Option<Pulled> = None;
        let mut pull = |pulled: Option<Pulled>| {
            if let Some(pulled) = pulled.filter(|pulled| worst.is_none_or(|worst| worst.ns < pulled.ns)) {
                worst = Some(pulled);
            }
        };
        for event in self.held.drain(..ready) {
            pull(match &mut self.law {
                Law::Wait { limit_ns, waits } => waits
                    .event(&event)
                    .filter(|wait| wait.ns() > *limit_ns)
                    .map(|wait: Wait| Pulled { pid: wait.pid, ns: wait.ns() as f64 }),
                Law::Lag(lags) => lags.event(&event),
            });
        }
        if let Law::Lag(lags) = &mut self.law {
            pull(lags.advance(until_ns));
        }
        worst
    }

    /// What happened, for people; `name` is the task's.
    pub fn reason(&self, pulled: Pulled, name: &str) -> String {
        let Pulled { pid, ns } = pulled;
        let ms = ns / 1e6;
        match &self.law {
            Law::Wait { .. } => format!("{name} ({pid}) waited {ms:.1} ms for a CPU"),
            Law::Lag(lags) => {
                let kept = Plain(Duration::from_nanos(lags.kept_ns));
                format!("{name} ({pid}) came to be owed {ms:.1} ms of CPU time within {kept}")
            }
        }
    }
}

/// Marks in the time that is kept.
const MARKS: u64 = 10;

/// Lag of every task: what it was entitled to less what it got, by the exact ledger of the events as they
/// come. What counts is by how much it has grown since it was least in the time that is kept, looked at in
/// [`MARKS`] parts: that much is in the file.
struct Lags {
    limit_ns: f64,
    kept_ns: u64,
    normaliser: Normaliser,
    ledger: Ledger,
    /// When they were noted, oldest first, and the lags then; of tasks without an account it was 0.
    marks: VecDeque<(u64, HashMap<TaskId, f64>)>,
}

impl Lags {
    fn new(limit_ns: f64, kept: Duration, header: &Header) -> Self {
        let begin_ns = header.begin_ns.unwrap_or(0);
        Self {
            limit_ns,
            kept_ns: nanoseconds(kept),
            normaliser: Normaliser::new(header),
            ledger: Ledger::new(header),
            marks: VecDeque::from([(begin_ns, HashMap::new())]),
        }
    }

    fn event(&mut self, event: &Event) -> Option<Pulled> {
        self.ledger.before(event, &self.normaliser);
        // Of one that waits it is largest when it comes to a CPU.
        let coming = match &event.kind {
            Kind::Switch { next, .. } => self.normaliser.life(next.pid).map(|life| life.id),
            _ => None,
        };
        let pulled = coming.and_then(|task| self.grown(task));
        self.normaliser.event(event);
        self.ledger.after(event, &self.normaliser);
        for fact in self.normaliser.facts() {
            match fact {
                Fact::Ended { life, .. } => self.ledger.close(life.id),
                // Whoever is another now begins anew.
                Fact::Became { from, to } => {
                    self.ledger.close(from);
                    self.ledger.close(to);
                }
                Fact::Task(_) | Fact::Cpu(_) => {}
            }
        }
        if matches!(event.kind, Kind::Loss { .. }) {
            self.marks.clear();
            self.mark(event.ts_ns);
        }
        pulled
    }

    /// Nothing more happened up to `until_ns`.
    fn advance(&mut self, until_ns: u64) -> Option<Pulled> {
        self.ledger.advance(&self.normaliser, until_ns);
        let pulled = self.ledger.accounts().filter_map(|(task, _)| self.grown(task));
        let pulled = pulled.max_by(|a, b| a.ns.total_cmp(&b.ns));
        if self.marks.back().is_none_or(|(at_ns, _)| until_ns.saturating_sub(*at_ns) >= self.kept_ns / MARKS)
        {
            self.mark(until_ns);
        }
        pulled
    }

    fn mark(&mut self, now_ns: u64) {
        let kept_ns = self.kept_ns;
        self.marks.retain(|(at_ns, _)| now_ns.saturating_sub(*at_ns) <= kept_ns);
        let lags = self.ledger.accounts().map(|(task, account)| (task, account.lag_ns())).collect();
        self.marks.push_back((now_ns, lags));
    }

    /// By how much the lag of a task has grown, if that is too much.
    fn grown(&self, task: TaskId) -> Option<Pulled> {
        let lag = self.ledger.account(task)?.lag_ns();
        let at = |(_, lags): &(u64, HashMap<TaskId, f64>)| lags.get(&task).copied().unwrap_or(0.0);
        let least = self.marks.iter().map(at).min_by(f64::total_cmp)?;
        let ns = lag - least;
        (ns > self.limit_ns).then_some(Pulled { pid: task.pid, ns })
    }
}

fn nanoseconds(length: Duration) -> u64 {
    u64::try_from(length.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tombola_recording::event::{Context, Left, Stage, Task};

    const MS: u64 = 1_000_000;

    fn task(pid: u32) -> Task {
        Task { pid, prio: Some(120), ..Task::default() }
    }

    fn switch(ms: u64, prev: u32, next: u32) -> Event {
        let state = Left::Runnable { preempted: Some(true) };
        let kind = Kind::Switch { prev: Some(task(prev)), state, next: task(next) };
        Event { ts_ns: ms * MS, cpu: 0, seq: ms, kind }
    }

    fn wake(ms: u64, pid: u32) -> Event {
        let (stage, context) = (Stage::Waking, Context::Task);
        let kind = Kind::Wake { wakee: task(pid), waker: Some(1), target: Some(0), stage, context };
        Event { ts_ns: ms * MS, cpu: 0, seq: ms, kind }
    }

    fn watch(limit_ms: u64, kept_s: u64) -> Watch {
        let mut header = Header { begin_ns: Some(0), ..Header::default() };
        header.can.waking = true;
        Watch::new(Trigger::Lag(Duration::from_millis(limit_ms)), Duration::from_secs(kept_s), &header)
    }

    /// Two tasks of equal weight on one CPU: who waits is owed half of the time that it waits.
    #[test]
    fn who_waits_beside_an_equal_is_owed_half_of_it() {
        let of = |limit_ms| {
            let mut watch = watch(limit_ms, 60);
            for event in [switch(0, 0, 1), wake(100, 2), switch(300, 1, 2), switch(400, 2, 1)] {
                watch.event(&event);
            }
            watch.look(400 * MS)
        };
        let pulled = of(99).unwrap();
        assert_eq!(pulled.pid, 2);
        assert!((pulled.ns - 100e6).abs() < 1.0, "{pulled:?}");
        assert_eq!(of(101), None);
    }

    /// It need not come to a CPU, and what comes later is not looked at yet.
    #[test]
    fn a_task_that_still_waits_pulls_it_too() {
        let mut watch = watch(100, 60);
        for event in [switch(0, 0, 1), wake(100, 2), switch(600, 1, 0)] {
            watch.event(&event);
        }
        assert_eq!(watch.look(290 * MS), None);
        let pulled = watch.look(310 * MS).unwrap();
        assert_eq!(pulled.pid, 2);
        assert!((pulled.ns - 105e6).abs() < 1.0, "{pulled:?}");
    }

    /// A debt that grows too slowly for the time that is kept: 2 gets 40 ms of each 100, and is owed 10 ms
    /// more each time.
    #[test]
    fn what_was_owed_before_the_time_that_is_kept_does_not_count() {
        let of = |kept_s| {
            let mut watch = watch(300, kept_s);
            watch.event(&switch(0, 0, 1));
            watch.event(&wake(1, 2));
            for turn in 0..100 {
                watch.event(&switch(turn * 100 + 50, 1, 2));
                watch.event(&switch(turn * 100 + 90, 2, 1));
            }
            (0..100).find_map(|turn| watch.look(turn * 100 * MS))
        };
        assert_eq!(of(1), None);
        assert_eq!(of(60).map(|pulled| pulled.pid), Some(2));
    }

    #[test]
    fn a_loss_begins_anew() {
        let mut watch = watch(100, 60);
        let loss = Kind::Loss { of_cpu: Some(0), count: Some(1), from_ns: Some(199 * MS) };
        let loss = Event { ts_ns: 200 * MS, cpu: 0, seq: 0, kind: loss };
        for event in [switch(0, 0, 1), wake(100, 2), loss, switch(350, 1, 2), switch(400, 2, 1)] {
            watch.event(&event);
        }
        assert_eq!(watch.look(400 * MS), None, "50 before and, if it waited on, 75 after");
    }
}
