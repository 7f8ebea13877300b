//! Balancing between CPUs that are all busy.
//!
//! Source: kernel/sched/fair.c of Linux 6.12: `sched_balance_rq`, `update_sd_lb_stats`, `group_classify`,
//! `sched_balance_find_src_group`, `calculate_imbalance`, `detach_tasks`; kernel/sched/pelt.c for what a load
//! is.
//!
//! Law. All CPUs are one domain, each a group of its own. A busy CPU looks every 16·n ms (n CPUs;
//! `busy_factor`), 32·n ms after a look that found nothing to mend, less up to two ticks (of 1 ms where the
//! scenario has none). The kernel takes one off; here it is one on average, in a fixed sequence that fills
//! the two evenly: otherwise looks keep step with slices and find the same task waiting for ever, what the
//! interrupts of a real machine prevent. It may pull from an *overloaded* CPU: one with two tasks or more
//! that together want more than 100/117 of it (`imbalance_pct`). Its load must be below the average of the
//! domain and, if it is overloaded itself, the other's above 1.17 times its own; of several the one with the
//! largest load, of equal ones the next by number. What should move is the least of what the other has above
//! the average and what this one is below it. Waiting tasks that may run here are taken, who ran last longest
//! ago first, while their load fits into what should still move; after each look that moved nobody, half as
//! much load counts (`nr_balance_failed`). So three equal tasks on two CPUs change places, and all get ⅔.
//!
//! The load of a task is its weight, times the part of it that its groups have at the root of its CPU
//! (`task_h_load`), times the part of the time that it wants the CPU: a decaying average with a half-life of
//! 32 periods of 1,024 µs, 1 at birth. The load of a CPU is the sum over all who run, wait, or ran there
//! last.
//!
//! Left out: domains of caches and nodes, misfit and asymmetric capacity, moving a task that runs (active
//! balancing), cache-hot tasks (`migration_cost`), and that at most 32 tasks move at once.

use crate::machine::{CpuIx, TaskIx};

/// Looks of a busy CPU are rarer than those of an idle one by this.
const BUSY_FACTOR: u64 = 16;
/// Least distance of an idle CPU's looks, for each CPU of the domain.
const INTERVAL_NS: u64 = 1_000_000;
/// Less by this, so that the distances of several domains are no multiples of each other: `HZ` 1000 without a
/// tick.
const DEFAULT_TICK_NS: u64 = 1_000_000;
/// The fractions of its multiples fill the unit interval evenly: 2⁶⁴/φ.
const GOLDEN_RATIO: u64 = 0x9e37_79b9_7f4a_7c15;
/// Half-life of a load: 32 periods of 1,024 µs.
const HALF_LIFE_NS: f64 = 32.0 * 1_024_000.0;
/// A CPU is busier than another only by this.
const IMBALANCE: f64 = 1.17;

/// What one CPU is like when another looks at it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Burden {
    /// Sum of the loads of its tasks.
    pub(super) load: f64,
    /// CPU time that its tasks want: the sum of their parts of the time.
    pub(super) wants: f64,
    /// Tasks that run or wait.
    pub(super) tasks: u64,
}

impl Burden {
    fn is_overloaded(&self) -> bool {
        self.tasks > 1 && self.wants * IMBALANCE > 1.0
    }
}

/// The load that CPU `to` should pull from `from`; `None` where that is none of its business.
pub(super) fn imbalance(loads: &[Burden], from: CpuIx, to: CpuIx) -> Option<f64> {
    let (busiest, local) = (&loads[from], &loads[to]);
    let average = loads.iter().map(|l| l.load).sum::<f64>() / loads.len() as f64;
    let is_due = busiest.is_overloaded()
        && local.load < busiest.load
        && local.load < average
        && (!local.is_overloaded() || busiest.load > IMBALANCE * local.load);
    is_due.then(|| (busiest.load - average).min(average - local.load)).filter(|imbalance| *imbalance > 0.0)
}

/// The part of the time that a task wants the CPU.
#[derive(Clone, Copy, Debug)]
struct Demand {
    part: f64,
    /// When it was last brought up to date.
    at_ns: u64,
    /// Its latest arrival or choice, by number: the least has not run for longest.
    touched: u64,
}

/// When a CPU looks next.
#[derive(Clone, Copy, Debug)]
struct Look {
    next_ns: u64,
    /// Looks that moved nobody since one did.
    failed: u32,
}

/// What balancing remembers.
pub(super) struct Balancer {
    demands: Vec<Demand>,
    looks: Vec<Look>,
    touches: u64,
    interval_ns: u64,
    tick_ns: u64,
    /// Fraction of two ticks by which the latest look came late, in parts of 2⁶⁴.
    dither: u64,
}

impl Balancer {
    pub(super) fn new(cpus: usize, tasks: usize, tick_ns: u64) -> Self {
        let interval_ns = BUSY_FACTOR * INTERVAL_NS * cpus as u64;
        let look = Look { next_ns: interval_ns, failed: 0 };
        let demand = Demand { part: 1.0, at_ns: 0, touched: 0 };
        // One CPU has nobody to balance with.
        let (cpus, tasks) = if cpus > 1 { (cpus, tasks) } else { (0, 0) };
        Self {
            demands: vec![demand; tasks],
            looks: vec![look; cpus],
            touches: 0,
            interval_ns,
            tick_ns,
            dither: 0,
        }
    }

    /// A task that `wanted` the CPU until now, or did not, does the other from now on.
    pub(super) fn turn(&mut self, task: TaskIx, now_ns: u64, wanted: bool) {
        if let Some(demand) = self.demands.get_mut(task) {
            demand.part = at(demand, now_ns, wanted);
            demand.at_ns = now_ns;
        }
    }

    /// A new task wants the CPU from now on.
    pub(super) fn born(&mut self, task: TaskIx, now_ns: u64) {
        if let Some(demand) = self.demands.get_mut(task) {
            demand.at_ns = now_ns;
        }
    }

    /// A task came to a queue, or was chosen.
    pub(super) fn touch(&mut self, task: TaskIx) {
        if let Some(demand) = self.demands.get_mut(task) {
            self.touches += 1;
            demand.touched = self.touches;
        }
    }

    /// Number of the latest arrival or choice of a task.
    pub(super) fn touched(&self, task: TaskIx) -> u64 {
        self.demands[task].touched
    }

    /// The part of the time that a task wants the CPU, now.
    pub(super) fn part(&self, task: TaskIx, now_ns: u64, wants: bool) -> f64 {
        at(&self.demands[task], now_ns, wants)
    }

    /// Whether it is time for a CPU to look.
    pub(super) fn is_due(&self, cpu: CpuIx, now_ns: u64) -> bool {
        self.looks.get(cpu).is_some_and(|look| now_ns >= look.next_ns)
    }

    /// A load as it counts on a CPU after the looks that moved nobody.
    pub(super) fn counted(&self, cpu: CpuIx, load: f64) -> f64 {
        load / libm::exp2(f64::from(self.looks[cpu].failed.min(64)))
    }

    /// A CPU has looked: `moved` says whether somebody came, `None` that there was nothing to mend.
    pub(super) fn looked(&mut self, cpu: CpuIx, now_ns: u64, moved: Option<bool>) {
        let look = &mut self.looks[cpu];
        let (failed, interval_ns) = match moved {
            None => (0, 2 * self.interval_ns),
            Some(true) => (0, self.interval_ns),
            Some(false) => (look.failed + 1, self.interval_ns),
        };
        let tick_ns = if self.tick_ns > 0 { self.tick_ns } else { DEFAULT_TICK_NS };
        self.dither = self.dither.wrapping_add(GOLDEN_RATIO);
        let late_ns = (u128::from(2 * tick_ns) * u128::from(self.dither)) >> 64;
        let least_ns = interval_ns.saturating_sub(2 * tick_ns).max(tick_ns);
        let next_ns = now_ns.saturating_add(least_ns).saturating_add(u64::try_from(late_ns).unwrap_or(0));
        // Seen at ticks, where there are any.
        *look = Look { failed, next_ns: next_ns.next_multiple_of(self.tick_ns.max(1)) };
    }

    /// When a CPU looks next, if that is before `end_ns`.
    pub(super) fn look_before(&self, cpu: CpuIx, end_ns: u64) -> Option<u64> {
        self.looks.get(cpu).map(|look| look.next_ns).filter(|next_ns| *next_ns < end_ns)
    }
}

fn at(demand: &Demand, now_ns: u64, wants: bool) -> f64 {
    let goal = f64::from(u8::from(wants));
    goal + (demand.part - goal) * libm::exp2(-((now_ns - demand.at_ns) as f64) / HALF_LIFE_NS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loads(of: &[(f64, u64)]) -> Vec<Burden> {
        of.iter().map(|(load, tasks)| Burden { load: *load, wants: *tasks as f64, tasks: *tasks }).collect()
    }

    /// By hand, from `calculate_imbalance`: averages 1536, 2560, 1703.5, 847.
    #[test]
    fn the_imbalance_is_that_of_the_kernel() {
        for (of, expected) in [
            (&[(2048.0, 2), (1024.0, 1)], Some(512.0)),
            (&[(3072.0, 3), (2048.0, 2)], Some(512.0)),
            (&[(2048.0, 2), (1359.0, 2)], Some(344.5)),
            // One heavy task against two light ones: there is nothing to take.
            (&[(1024.0, 1), (670.0, 2)], None),
            // 10 against 9: not by 17 %.
            (&[(10_240.0, 10), (9216.0, 9)], None),
        ] {
            assert_eq!(imbalance(&loads(of), 0, 1), expected, "{of:?}");
            assert_eq!(imbalance(&loads(of), 1, 0), None, "{of:?}");
        }
        // Two tasks that want .4 of a CPU each leave it room.
        let light = Burden { load: 819.2, wants: 0.8, tasks: 2 };
        assert_eq!(imbalance(&[light, Burden::default()], 0, 1), None);
    }

    /// Half after 32 periods of 1,024 µs, from either side; and it stays where it has come to.
    #[test]
    fn a_load_decays_by_half() {
        let mut balancer = Balancer::new(2, 1, 0);
        balancer.turn(0, 5_000_000, true);
        assert!((balancer.part(0, 5_000_000, true) - 1.0).abs() < f64::EPSILON);
        let half = 32 * 1_024_000;
        assert!((balancer.part(0, 5_000_000 + half, false) - 0.5).abs() < 1e-12);
        balancer.turn(0, 5_000_000 + half, false);
        assert!((balancer.part(0, 5_000_000 + 2 * half, true) - 0.75).abs() < 1e-12);
    }
}
