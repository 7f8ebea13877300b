//! Periodic tasks: what their wakes tell of the period, and what their jobs took.
//!
//! A job is what lies between a wake and the next sleep. The period is that of the line a + k·T which the
//! wakes lie on (least squares, k the number of periods since the first wake); wakes that are missing from
//! the line are counted. Its standard error is σ/√Σ(k − k̄)² with σ the root mean square of the residuals,
//! the jitter. Where wakes keep their distance but lie on no line, the task paces itself (it sleeps for a
//! length, not until an instant): its period is the median distance. Up to [`MOST_WAKES`] wakes in each
//! period are recognised where the pattern is complete. A task whose wakes do neither is not periodic.
//!
//! A release is the wake that was seen: what an interrupt was late is in the jitter, not in the lateness. A
//! job that overruns its period hides the next wake: it is late, and a wake is missing.
//!
//! Memory grows with the number of jobs.

use crate::fact::Fact;
use crate::interval::{Interval, What};
use std::collections::HashMap;
use tombola_core::identity::TaskId;

/// Most wakes in a period.
pub const MOST_WAKES: usize = 4;

/// Fewest periods from which one is told.
pub const FEWEST: usize = 8;

/// Jitter, as a part of the period, up to which wakes are periodic.
const STRAY: f64 = 0.1;

/// One job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Job {
    /// When the task was woken, ns on the clock of the events.
    pub woken_ns: u64,
    /// Its CPU time, ns.
    pub run_ns: u64,
    /// When it slept again, or the recording ended.
    pub until_ns: u64,
    /// Whether it slept again.
    pub is_whole: bool,
}

/// The jobs of one task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Jobs {
    /// In their order; those in which something is unknown are left out.
    pub jobs: Vec<Job>,
    /// All wakes, also of jobs that were left out.
    pub wakes_ns: Vec<u64>,
    /// Jobs in which something is unknown.
    pub doubtful: u64,
    open: Option<Job>,
}

/// Gathers the jobs of all tasks.
#[derive(Clone, Debug, Default)]
pub struct Gathered {
    from_ns: u64,
    of: HashMap<TaskId, Jobs>,
}

impl Gathered {
    /// From `from_ns` on.
    pub fn since(from_ns: u64) -> Self {
        Self { from_ns, of: HashMap::new() }
    }

    /// Takes what the normaliser has found out.
    pub fn fact(&mut self, fact: &Fact) {
        match fact {
            Fact::Task(interval) if interval.to_ns >= self.from_ns => {
                self.of.entry(interval.task).or_default().interval(interval);
            }
            Fact::Became { from, to } => {
                let (one, two) = (self.of.remove(from), self.of.remove(to));
                self.of.extend(one.map(|jobs| (*to, jobs)));
                self.of.extend(two.map(|jobs| (*from, jobs)));
            }
            Fact::Task(_) | Fact::Cpu(_) | Fact::Ended { .. } => {}
        }
    }

    /// The jobs of all tasks, by their identity; `end_ns`: the end of what was told.
    pub fn finish(mut self, end_ns: u64) -> Vec<(TaskId, Jobs)> {
        for jobs in self.of.values_mut() {
            if let Some(job) = jobs.open.take() {
                jobs.jobs.push(Job { until_ns: end_ns.max(job.woken_ns), ..job });
            }
        }
        let mut all: Vec<_> = self.of.into_iter().collect();
        all.sort_by_key(|(id, _)| (id.pid, id.start_ns));
        all
    }
}

impl Jobs {
    fn interval(&mut self, interval: &Interval) {
        match interval.what {
            What::Blocked { .. } => {
                if let Some(job) = self.open.take() {
                    self.jobs.push(Job { until_ns: interval.from_ns, is_whole: true, ..job });
                }
                self.wakes_ns.push(interval.to_ns);
                let woken_ns = interval.to_ns;
                self.open = Some(Job { woken_ns, run_ns: 0, until_ns: woken_ns, is_whole: false });
            }
            What::Running { .. } => {
                if let Some(job) = &mut self.open {
                    job.run_ns += interval.ns();
                }
            }
            What::Runnable { .. } => {}
            What::Unknown(_) => self.doubtful += u64::from(self.open.take().is_some()),
        }
    }
}

/// How the wakes of a task come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rhythm {
    /// Period, ns.
    pub period_ns: f64,
    /// Its standard error, ns.
    pub period_error_ns: f64,
    /// Root mean square of what wakes are off their instants, or, of a task that paces itself, of what
    /// distances are off the period, ns.
    pub jitter_ns: f64,
    /// Earliest to latest, ns.
    pub jitter_peak_ns: f64,
    /// Wakes that are missing between the first and the last.
    pub missing: u64,
    /// Wakes, or distances where it paces itself, that are not of the rhythm: a tenth at most.
    pub strays: u64,
    /// Wakes in each period.
    pub wakes: usize,
    /// Whether wakes lie on a line; else the task paces itself.
    pub is_anchored: bool,
}

/// The rhythm of wakes, in order; `None` where they have none, or are too few.
pub fn rhythm(wakes_ns: &[u64]) -> Option<Rhythm> {
    let classes = |wakes: usize| -> Option<Rhythm> {
        let mut all = (0..wakes).map(|first| {
            let class: Vec<u64> = wakes_ns.iter().skip(first).step_by(wakes).copied().collect();
            line(&class)
        });
        let first = all.next()??;
        // The others must have the same period, whole.
        let mut worst = Rhythm { wakes, ..first };
        for other in all {
            let other = other?;
            // A stray wake must not pass for its neighbour's.
            let room_ns = STRAY * first.period_ns / wakes as f64;
            let is_same = (other.period_ns - first.period_ns).abs() <= STRAY / 10.0 * first.period_ns
                && first.jitter_ns.max(other.jitter_ns) <= room_ns;
            if !is_same || other.missing + first.missing + other.strays + first.strays > 0 {
                return None;
            }
            worst.jitter_ns = worst.jitter_ns.max(other.jitter_ns);
            worst.jitter_peak_ns = worst.jitter_peak_ns.max(other.jitter_peak_ns);
        }
        Some(worst)
    };
    (1..=MOST_WAKES).find_map(classes).or_else(|| self_paced(wakes_ns))
}

fn distances(wakes_ns: &[u64]) -> Vec<f64> {
    wakes_ns.windows(2).map(|pair| pair[1].saturating_sub(pair[0]) as f64).collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    let middle = values.len() / 2;
    if values.is_empty() { 0.0 } else { *values.select_nth_unstable_by(middle, f64::total_cmp).1 }
}

/// The line through wakes.
fn line(wakes_ns: &[u64]) -> Option<Rhythm> {
    let n = wakes_ns.len();
    if n <= FEWEST {
        return None;
    }
    let begin = wakes_ns[0];
    let at: Vec<f64> = wakes_ns.iter().map(|wake| wake.saturating_sub(begin) as f64).collect();
    let mut period = median(distances(wakes_ns));
    if period <= 0.0 {
        return None;
    }
    // Numbers of periods from wake to wake at first, then from the line.
    let mut k = vec![0.0; n];
    for wake in 1..n {
        k[wake] = k[wake - 1] + ((at[wake] - at[wake - 1]) / period).round();
    }
    let mut kept: Vec<usize> = (0..n).collect();
    let mut offset = 0.0;
    for pass in 0..4 {
        if pass > 0 {
            for (k, at) in k.iter_mut().zip(&at) {
                *k = ((at - offset) / period).round();
            }
            kept = on_line(&k, &at, offset, period);
        }
        (offset, period) = fit(&kept, &k, &at)?;
    }
    let off: Vec<f64> = kept.iter().map(|wake| at[*wake] - offset - k[*wake] * period).collect();
    let count = kept.len() as f64;
    let jitter = (off.iter().map(|off| off * off).sum::<f64>() / count).sqrt();
    let whole = k[kept[kept.len() - 1]] - k[kept[0]] + 1.0;
    // Nine of ten must be on the line, and no more be missing than are there.
    if jitter > STRAY * period || kept.len() * 10 < n * 9 || whole > 2.0 * count {
        return None;
    }
    let mean_k = kept.iter().map(|wake| k[*wake]).sum::<f64>() / count;
    let spread = kept.iter().map(|wake| (k[*wake] - mean_k) * (k[*wake] - mean_k)).sum::<f64>().sqrt();
    let (least, most) =
        off.iter().fold((f64::MAX, f64::MIN), |(least, most), off| (least.min(*off), most.max(*off)));
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // whole ≥ count, both small
    Some(Rhythm {
        period_ns: period,
        period_error_ns: jitter / spread,
        jitter_ns: jitter,
        jitter_peak_ns: most - least,
        missing: (whole - count).max(0.0) as u64,
        strays: (n - kept.len()) as u64,
        wakes: 1,
        is_anchored: true,
    })
}

/// Wakes within a quarter of a period of the line, the nearest one where a period has two.
fn on_line(k: &[f64], at: &[f64], offset: f64, period: f64) -> Vec<usize> {
    let off = |wake: usize| (at[wake] - offset - k[wake] * period).abs();
    let mut kept: Vec<usize> = Vec::with_capacity(k.len());
    for wake in (0..k.len()).filter(|wake| off(*wake) <= period / 4.0) {
        match kept.last_mut() {
            Some(last) if k[*last] >= k[wake] => {
                if off(wake) < off(*last) {
                    *last = wake;
                }
            }
            _ => kept.push(wake),
        }
    }
    kept
}

/// Least squares of at = offset + k·period over some of the wakes.
fn fit(kept: &[usize], k: &[f64], at: &[f64]) -> Option<(f64, f64)> {
    let n = kept.len() as f64;
    let sum = |of: &dyn Fn(usize) -> f64| kept.iter().map(|wake| of(*wake)).sum::<f64>();
    let (mean_k, mean_at) = (sum(&|wake| k[wake]) / n, sum(&|wake| at[wake]) / n);
    let products = sum(&|wake| (k[wake] - mean_k) * (at[wake] - mean_at));
    let squares = sum(&|wake| (k[wake] - mean_k) * (k[wake] - mean_k));
    let period = products / squares;
    (squares > 0.0 && period > 0.0).then_some((mean_at - period * mean_k, period))
}

/// Wakes that keep their distance, nine of ten of them.
fn self_paced(wakes_ns: &[u64]) -> Option<Rhythm> {
    let apart = distances(wakes_ns);
    if apart.len() < FEWEST {
        return None;
    }
    let period = median(apart.clone());
    let near: Vec<f64> =
        apart.iter().copied().filter(|d| (d - period).abs() <= 2.0 * STRAY * period).collect();
    let is_steady = near.len() * 10 >= apart.len() * 9;
    let jitter = (near.iter().map(|d| (d - period) * (d - period)).sum::<f64>() / near.len() as f64).sqrt();
    if !is_steady || jitter > STRAY * period || period <= 0.0 {
        return None;
    }
    let (least, most) =
        apart.iter().fold((f64::MAX, f64::MIN), |(least, most), d| (least.min(*d), most.max(*d)));
    Some(Rhythm {
        period_ns: period,
        // Of a median of n values that are nearly normal.
        period_error_ns: 1.2533 * jitter / (near.len() as f64).sqrt(),
        jitter_ns: jitter,
        jitter_peak_ns: most - least,
        missing: 0,
        strays: (apart.len() - near.len()) as u64,
        wakes: 1,
        is_anchored: false,
    })
}

/// What the jobs of a periodic task took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Service {
    /// Periods whose jobs are whole and known.
    pub periods: u64,
    /// Mean CPU time in a period, ns.
    pub run_mean_ns: f64,
    /// 99 % took no more, ns.
    pub run_p99_ns: u64,
    /// The most, ns.
    pub run_max_ns: u64,
    /// Mean time from wake to sleep, ns.
    pub response_mean_ns: f64,
    /// The longest, ns.
    pub response_max_ns: u64,
    /// Periods whose response was longer than the deadline, and that under way at the end if it is late
    /// already.
    pub misses: u64,
    /// Largest response less deadline, ns; negative if all were in time.
    pub lateness_max_ns: i64,
}

/// Judges jobs against a deadline after the wake; those of one period, `wakes` of them, are taken together.
pub fn service(jobs: &[Job], wakes: usize, deadline_ns: u64) -> Service {
    let wakes = wakes.max(1);
    // A period begins after the longest pause.
    let first = (0..wakes.min(jobs.len()))
        .max_by_key(|&n| match n {
            0 => jobs.get(wakes).map_or(0, |job| job.woken_ns.saturating_sub(jobs[wakes - 1].woken_ns)),
            n => jobs[n].woken_ns.saturating_sub(jobs[n - 1].woken_ns),
        })
        .unwrap_or(0);
    let (mut runs, mut responses, mut misses) = (Vec::new(), Vec::new(), 0u64);
    for period in jobs[first..].chunks(wakes) {
        let (begin, end) = (period[0].woken_ns, period[period.len() - 1].until_ns);
        let response = end - begin;
        misses += u64::from(response > deadline_ns);
        if period.len() == wakes && period.iter().all(|job| job.is_whole) {
            runs.push(period.iter().map(|job| job.run_ns).sum::<u64>());
            responses.push(response);
        }
    }
    if runs.is_empty() {
        return Service { misses, ..Service::default() };
    }
    let n = runs.len();
    let mean = |values: &[u64]| values.iter().map(|v| *v as f64).sum::<f64>() / n as f64;
    let (run_mean_ns, response_mean_ns) = (mean(&runs), mean(&responses));
    runs.sort_unstable();
    let response_max_ns = responses.iter().copied().max().unwrap_or(0);
    let signed = |ns: u64| i64::try_from(ns).unwrap_or(i64::MAX);
    Service {
        periods: n as u64,
        run_mean_ns,
        run_p99_ns: runs[(n * 99).div_ceil(100) - 1],
        run_max_ns: runs[n - 1],
        response_mean_ns,
        response_max_ns,
        misses,
        lateness_max_ns: signed(response_max_ns) - signed(deadline_ns),
    }
}

#[cfg(test)]
mod tests;
