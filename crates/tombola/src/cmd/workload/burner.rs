//! The burning threads and what the kernel says they got.

use crate::cli::Pattern;
use crate::interrupt::Interrupt;
use crate::limits::cannot_start;
use anyhow::{Context, Result, anyhow};
use nix::sys::resource::{UsageWho, getrusage};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::gettid;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// Length of one phase of the mixed pattern.
const PHASE: Duration = Duration::from_millis(100);

/// What every thread does.
pub struct Plan {
    pub duration: Duration,
    pub pattern: Pattern,
    /// CPU time between two pauses.
    pub burst: Duration,
    pub pause: Duration,
}

/// What one thread got between the common start and its end.
#[derive(Clone, Debug, Default)]
pub struct Got {
    pub tid: i32,
    pub wall: Duration,
    /// `CLOCK_THREAD_CPUTIME_ID`.
    pub cpu: Duration,
    /// Run-queue wait, the second field of /proc/thread-self/schedstat; `None` where the kernel keeps none.
    pub wait: Option<Duration>,
    pub voluntary: u64,
    pub involuntary: u64,
}

impl Got {
    /// CPU time as a part of one CPU's wall time.
    pub fn share(&self) -> f64 {
        if self.wall.is_zero() { 0.0 } else { self.cpu.as_secs_f64() / self.wall.as_secs_f64() }
    }

    /// Everything of both but the wall time and the thread id, which have no sum.
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            tid: 0,
            wall: Duration::ZERO,
            cpu: self.cpu + other.cpu,
            wait: match (self.wait, other.wait) {
                (Some(one), Some(two)) => Some(one + two),
                (one, two) => one.or(two),
            },
            voluntary: self.voluntary + other.voluntary,
            involuntary: self.involuntary + other.involuntary,
        }
    }

    /// The calling thread's counters so far; no wall time.
    fn now() -> Result<Self> {
        let usage = getrusage(UsageWho::RUSAGE_THREAD).context("getrusage")?;
        Ok(Self {
            tid: gettid().as_raw(),
            wall: Duration::ZERO,
            cpu: cpu_time()?,
            wait: run_queue_wait(),
            voluntary: u64::try_from(usage.voluntary_context_switches()).unwrap_or(0),
            involuntary: u64::try_from(usage.involuntary_context_switches()).unwrap_or(0),
        })
    }

    fn since(self, earlier: &Self, wall: Duration) -> Self {
        Self {
            tid: self.tid,
            wall,
            cpu: self.cpu.saturating_sub(earlier.cpu),
            wait: self.wait.zip(earlier.wait).map(|(now, then)| now.saturating_sub(then)),
            voluntary: self.voluntary.saturating_sub(earlier.voluntary),
            involuntary: self.involuntary.saturating_sub(earlier.involuntary),
        }
    }
}

/// Runs `threads` burners from one common start to the end of the plan, or to an interrupt.
pub fn run(plan: &Plan, threads: usize, interrupt: &Interrupt) -> Result<Vec<Got>> {
    let (start, stop) = (OnceLock::new(), AtomicBool::new(false));
    thread::scope(|scope| {
        let (ready, is_ready) = mpsc::channel();
        let mut burners = Vec::with_capacity(threads);
        let mut failed = None;
        for number in 1..=threads {
            let ready = ready.clone();
            let (start, stop) = (&start, &stop);
            let burner = thread::Builder::new()
                .name("tombola-burn".to_owned())
                .spawn_scoped(scope, move || burner(plan, &ready, start, stop));
            match burner {
                Ok(burner) => burners.push(burner),
                Err(error) => {
                    failed = Some(cannot_start(&format!("thread {number}"), error));
                    break;
                }
            }
        }
        drop(ready);
        let wake = || burners.iter().for_each(|burner| burner.thread().unpark());
        if failed.is_none() {
            // Every burner says once that its baseline is taken; one that could not has dropped its sender.
            let _ = is_ready.iter().take(threads).count();
            start.get_or_init(Instant::now);
            wake();
            interrupt.wait(plan.duration);
        }
        stop.store(true, Ordering::Relaxed);
        wake();
        let got = burners
            .into_iter()
            .map(|burner| burner.join().map_err(|_| anyhow!("a burning thread panicked"))?)
            .collect();
        failed.map_or(got, Err)
    })
}

fn burner(
    plan: &Plan,
    ready: &mpsc::Sender<()>,
    start: &OnceLock<Instant>,
    stop: &AtomicBool,
) -> Result<Got> {
    let before = Got::now()?;
    // The main thread listens until all are ready, or has given up: then `stop` is set.
    let _ = ready.send(());
    let start = loop {
        if let Some(start) = start.get() {
            break *start;
        }
        if stop.load(Ordering::Relaxed) {
            return Ok(Got::default());
        }
        thread::park();
    };
    // Only the wait counts from before the start: the first turn has to be waited for, the way there is no
    // load.
    let before = Got { wait: before.wait, ..Got::now()? };
    burn(plan, start, stop)?;
    Ok(Got::now()?.since(&before, start.elapsed()))
}

fn burn(plan: &Plan, start: Instant, stop: &AtomicBool) -> Result<()> {
    loop {
        let elapsed = start.elapsed();
        if elapsed >= plan.duration || stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        let (spins, until) = plan.phase(elapsed);
        let over = || start.elapsed() >= until || stop.load(Ordering::Relaxed);
        if spins {
            while !over() {
                work();
            }
            continue;
        }
        let enough = cpu_time()? + plan.burst;
        while !over() && cpu_time()? < enough {
            work();
        }
        let end = (start.elapsed() + plan.pause).min(until);
        while !over() && start.elapsed() < end {
            thread::park_timeout(end.saturating_sub(start.elapsed()));
        }
    }
}

impl Plan {
    /// Whether to spin at this time since the start, and the time since the start at which that may change.
    fn phase(&self, elapsed: Duration) -> (bool, Duration) {
        match self.pattern {
            Pattern::Spin => (true, self.duration),
            Pattern::Sleep => (false, self.duration),
            Pattern::Mixed => {
                let phases = elapsed.as_millis() / PHASE.as_millis();
                let end = PHASE.saturating_mul(u32::try_from(phases + 1).unwrap_or(u32::MAX));
                (phases.is_multiple_of(2), end.min(self.duration))
            }
        }
    }
}

/// About two microseconds of arithmetic: short against every slice, long against a look at the clock.
pub fn work() {
    let mut state = black_box(1u64);
    for _ in 0..1000 {
        state = black_box(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    }
}

/// The CPU time of the calling thread so far.
pub fn cpu_time() -> Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).context("cannot read the thread's CPU clock")?.into())
}

fn run_queue_wait() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_ascii_whitespace().nth(1)?.parse().ok().map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(pattern: Pattern, duration: Duration) -> Plan {
        Plan { duration, pattern, burst: Duration::from_millis(1), pause: Duration::from_millis(2) }
    }

    #[test]
    fn the_mixed_pattern_takes_turns_and_never_outlasts_the_plan() {
        let plan = plan(Pattern::Mixed, Duration::from_millis(250));
        let at = |ms| {
            let (spins, until) = plan.phase(Duration::from_millis(ms));
            (spins, until.as_millis())
        };
        assert_eq!(
            [at(0), at(99), at(100), at(199), at(200)],
            [(true, 100), (true, 100), (false, 200), (false, 200), (true, 250)]
        );
    }

    #[test]
    fn the_books_of_a_burner_hold() {
        let interrupt = Interrupt::catch().unwrap();
        for pattern in [Pattern::Spin, Pattern::Sleep, Pattern::Mixed] {
            let duration = Duration::from_millis(150);
            let got = run(&plan(pattern, duration), 2, &interrupt).unwrap();
            assert_eq!(got.len(), 2);
            for one in &got {
                assert!(one.wall >= duration, "{pattern:?} {one:?}");
                assert!(one.cpu > Duration::ZERO, "{pattern:?} {one:?}");
                // The baseline is taken a little before the start: that much may be over.
                let taken = one.cpu + one.wait.unwrap_or_default();
                assert!(taken <= one.wall + Duration::from_millis(20), "{pattern:?} {one:?}");
                if pattern == Pattern::Sleep {
                    assert!(one.voluntary > 0, "{pattern:?} {one:?}"); // how many depends on who else wants the CPU
                }
            }
        }
    }
}
