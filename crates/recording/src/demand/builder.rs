//! The demand of one task while it is gathered.

use super::{Begin, End, Sleeps, Step, TaskDemand, Wait};
use crate::attributes::Attributes;
use crate::life::Life;
use tombola_core::identity::TaskId;

#[derive(Debug)]
pub(super) struct Builder {
    pub(super) id: TaskId,
    attributes: Attributes,
    pub(super) begin: Option<Begin>,
    steps: Vec<Step>,
    /// Lengths of the waits among the steps, in their order.
    slept_ns: Vec<u64>,
    /// When these ended.
    woken_ns: Vec<u64>,
    /// CPU time since the latest step.
    run_ns: u64,
    /// The part of the slice under way that is in steps already.
    credited_ns: u64,
    /// CPU time since the latest wait, and the longest before.
    burst_ns: u64,
    longest_ns: u64,
    pub(super) wants: bool,
    pub(super) end: Option<End>,
    pub(super) unknown_ns: u64,
}

impl Builder {
    pub(super) fn new(id: TaskId) -> Self {
        Self {
            id,
            attributes: Attributes::default(),
            begin: None,
            steps: Vec::new(),
            slept_ns: Vec::new(),
            woken_ns: Vec::new(),
            run_ns: 0,
            credited_ns: 0,
            burst_ns: 0,
            longest_ns: 0,
            wants: false,
            end: None,
            unknown_ns: 0,
        }
    }

    pub(super) fn note(&mut self, life: &Life) {
        self.attributes.renew(&life.attributes);
    }

    pub(super) fn begins_at(&mut self, at_ns: u64) {
        self.begin.get_or_insert(Begin::At(at_ns));
    }

    /// Whether it has done nothing yet.
    pub(super) fn is_fresh(&self) -> bool {
        self.steps.is_empty() && self.run_ns == 0
    }

    /// A slice ended after so long.
    pub(super) fn ran(&mut self, ns: u64) {
        let credited = std::mem::take(&mut self.credited_ns);
        self.run_ns += ns.saturating_sub(credited);
        self.burst_ns += ns;
    }

    /// It wakes another, so long after the begin of the slice it is in.
    pub(super) fn wakes(&mut self, wakee: u32, running_ns: u64) {
        self.run_ns += running_ns.saturating_sub(self.credited_ns);
        self.credited_ns = self.credited_ns.max(running_ns);
        self.step_run();
        self.steps.push(Step::Wake(wakee));
    }

    fn step_run(&mut self) {
        let ns = std::mem::take(&mut self.run_ns);
        if ns > 0 {
            self.steps.push(Step::Run(ns));
        }
    }

    /// The burst is over.
    pub(super) fn flush(&mut self) {
        self.step_run();
        self.longest_ns = self.longest_ns.max(std::mem::take(&mut self.burst_ns));
    }

    pub(super) fn wait(&mut self, wait: Wait, slept_ns: u64, woken_ns: u64) {
        self.steps.push(Step::Wait(wait));
        self.slept_ns.push(slept_ns);
        self.woken_ns.push(woken_ns);
    }

    /// Timers that are set anew for each sleep become pauses; all but wakes by tasks are counted.
    pub(super) fn finish(mut self, sleeps: &mut Sleeps) -> TaskDemand {
        let end = match self.end {
            Some(end) => end,
            None if self.wants => {
                let is_longest = self.burst_ns > self.longest_ns || self.longest_ns == 0;
                End::Wants { more_ns: (!is_longest).then(|| (self.longest_ns - self.burst_ns).max(1)) }
            }
            None => End::Waits,
        };
        self.flush();
        let is_pausing = self.is_pausing();
        let mut number = 0;
        for step in &mut self.steps {
            let Step::Wait(wait) = step else { continue };
            if is_pausing && matches!(wait, Wait::Timer(_)) {
                *wait = Wait::Pause(self.slept_ns[number]);
            }
            number += 1;
            match wait {
                Wait::Task(_) => {}
                Wait::Timer(_) => sleeps.timer += 1,
                Wait::Pause(_) => sleeps.pause += 1,
                Wait::Device(_) => sleeps.device += 1,
                Wait::Unknown(_) => sleeps.unknown += 1,
            }
        }
        TaskDemand {
            id: self.id,
            attributes: self.attributes,
            begin: self.begin.unwrap_or(Begin::At(0)),
            steps: self.steps,
            end,
            unknown_ns: self.unknown_ns,
        }
    }

    /// Whether sleeps that an interrupt ended keep their length better than the wakes their distance.
    fn is_pausing(&self) -> bool {
        let waits = self.steps.iter().filter_map(|step| match step {
            Step::Wait(wait) => Some(*wait),
            _ => None,
        });
        let ended: Vec<(u64, u64)> = waits
            .zip(self.slept_ns.iter().zip(&self.woken_ns))
            .filter(|(wait, _)| matches!(wait, Wait::Timer(_)))
            .map(|(_, (slept, woken))| (*slept, *woken))
            .collect();
        if ended.len() < 4 {
            return false;
        }
        let slept = ended.iter().map(|(slept, _)| *slept).collect();
        let apart = ended.windows(2).map(|pair| pair[1].1 - pair[0].1).collect();
        deviation(slept) < deviation(apart)
    }
}

/// Median absolute deviation.
fn deviation(mut values: Vec<u64>) -> u64 {
    let middle = median(&mut values);
    for value in &mut values {
        *value = value.abs_diff(middle);
    }
    median(&mut values)
}

fn median(values: &mut [u64]) -> u64 {
    let middle = values.len() / 2;
    if values.is_empty() { 0 } else { *values.select_nth_unstable(middle).1 }
}
