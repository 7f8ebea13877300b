//! The loads, and what is read of them.

use anyhow::{Context as _, Result, ensure};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use nix::unistd::Pid;
use std::hint::black_box;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Small, as there are many.
const STACK_BYTES: usize = 64 << 10;
/// Until threads that were let go have all come to wait for the CPU.
const SETTLING: Duration = Duration::from_millis(300);

/// The CPU that is loaded, and those for everything else.
pub(crate) struct Places {
    all: Vec<usize>,
    loaded: usize,
    others: Vec<usize>,
}

impl Places {
    pub(crate) fn find() -> Result<Self> {
        let allowed = sched_getaffinity(Pid::from_raw(0))?;
        let all: Vec<usize> =
            (0..CpuSet::count()).filter(|&cpu| allowed.is_set(cpu).unwrap_or(false)).collect();
        // CPU 0 is where most interrupts go.
        let [others @ .., loaded] = all.as_slice() else { unreachable!("it runs on one now") };
        ensure!(
            !others.is_empty(),
            "this needs two CPUs: one is loaded, on the other the bench must not wait"
        );
        Ok(Self { loaded: *loaded, others: others.into(), all })
    }
}

fn pin_to(cpus: &[usize]) -> Result<()> {
    let mut set = CpuSet::new();
    for &cpu in cpus {
        set.set(cpu)?;
    }
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}

// --- perf bench --------------------------------------------------------------------------------------------

/// Time that a benchmark took, seconds.
#[derive(Clone, Copy)]
pub(crate) struct Measured {
    /// By its own clock.
    pub(crate) wall: f64,
    /// User and system time of its processes.
    pub(crate) cpu: f64,
}

impl Places {
    /// `perf bench` with these words, on the loaded CPU.
    pub(crate) fn perf_on_one(&self, words: &[&str]) -> Result<Measured> {
        perf_bench(&[self.loaded], words)
    }

    /// The same, on all of them.
    pub(crate) fn perf_on_all(&self, words: &[&str]) -> Result<Measured> {
        perf_bench(&self.all, words)
    }

    /// Migrations while `perf bench` runs with these words on the loaded CPU.
    pub(crate) fn migrations_on_one(&self, words: &[&str]) -> Result<f64> {
        migrations(&[self.loaded], words)
    }

    /// The same, on all of them.
    pub(crate) fn migrations_on_all(&self, words: &[&str]) -> Result<f64> {
        migrations(&self.all, words)
    }
}

/// An outside program, which is the better yardstick.
fn perf_bench(cpus: &[usize], words: &[&str]) -> Result<Measured> {
    let before = cpu_of(&getrusage(UsageWho::RUSAGE_CHILDREN)?);
    pin_to(cpus)?;
    let output = Command::new("perf")
        .args(["bench", "--format", "simple"])
        .args(words)
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start perf")?;
    let cpu = cpu_of(&getrusage(UsageWho::RUSAGE_CHILDREN)?) - before;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "perf bench {} failed: {text}", words.join(" "));
    let seconds = text.lines().find_map(|line| line.trim().parse().ok());
    Ok(Measured { wall: seconds.with_context(|| format!("what does perf say? {text}"))?, cpu })
}

/// The kernel counts them for the machine: no task's count has to be switched.
fn migrations(cpus: &[usize], words: &[&str]) -> Result<f64> {
    pin_to(cpus)?;
    let output = Command::new("perf")
        .args(["stat", "--all-cpus", "--field-separator", ",", "--event", "migrations"])
        .args(["perf", "bench", "--format", "simple"])
        .args(words)
        .output()
        .context("cannot start perf")?;
    let text = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "perf stat failed: {text}");
    let count =
        text.lines().find(|line| line.contains(",migrations,")).and_then(|line| line.split(',').next());
    count.and_then(|count| count.parse().ok()).with_context(|| format!("what does perf stat say? {text}"))
}

fn cpu_of(usage: &Usage) -> f64 {
    (usage.user_time() + usage.system_time()).num_microseconds() as f64 / 1e6
}

// --- threads on one CPU ------------------------------------------------------------------------------------

/// Some work that takes some microseconds and no memory.
pub(crate) fn burn() {
    for i in 0..1000 {
        black_box(i);
    }
}

/// On a cache line of its own, so that a thread that counts does not wait for the one that reads others'
/// counts.
#[repr(align(64))]
struct Count(AtomicU64);

/// Threads that do the same again and again on one CPU, until this is dropped.
pub(crate) struct Crowd {
    go: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    counts: Vec<Arc<Count>>,
    threads: Vec<JoinHandle<()>>,
}

/// What a crowd did in a window, each by second of wall time.
#[derive(Clone, Copy)]
pub(crate) struct Rate {
    /// Of its rounds.
    pub(crate) rounds: f64,
    /// Switches away from threads that could have gone on, in the kernel's books.
    pub(crate) switches: f64,
}

impl Crowd {
    /// The calling thread keeps away from their CPU from now on.
    pub(crate) fn start(size: usize, places: &Places, round: fn()) -> Result<Self> {
        pin_to(&places.others)?;
        let flag = || Arc::new(AtomicBool::new(false));
        let mut crowd = Self { go: flag(), stop: flag(), counts: Vec::new(), threads: Vec::new() };
        // Who works already would be in the way of those that are still to come. No barrier: it has a lock,
        // and who loses the CPU with it in hand gets the CPU back after all who work already.
        let ready = Arc::new(AtomicUsize::new(0));
        for _ in 0..size {
            let count = Arc::new(Count(AtomicU64::new(0)));
            let (own, cpu) = (Arc::clone(&count), places.loaded);
            let (stop, ready, go) = (Arc::clone(&crowd.stop), Arc::clone(&ready), Arc::clone(&crowd.go));
            let thread = thread::Builder::new().stack_size(STACK_BYTES).spawn(move || {
                pin_to(&[cpu]).expect("this CPU was allowed a moment ago");
                ready.fetch_add(1, Ordering::Relaxed);
                while !go.load(Ordering::Relaxed) {
                    thread::park();
                }
                let mut rounds = 0;
                while !stop.load(Ordering::Relaxed) {
                    round();
                    rounds += 1;
                    own.0.store(rounds, Ordering::Relaxed);
                }
            });
            crowd.threads.push(thread.context("starting a thread")?);
            crowd.counts.push(count);
        }
        while ready.load(Ordering::Relaxed) < size {
            thread::sleep(Duration::from_millis(1));
        }
        crowd.let_go();
        thread::sleep(SETTLING);
        Ok(crowd)
    }

    fn let_go(&self) {
        self.go.store(true, Ordering::Relaxed);
        for thread in &self.threads {
            thread.thread().unpark();
        }
    }

    /// Rounds of all threads so far.
    pub(crate) fn rounds(&self) -> u64 {
        self.counts.iter().map(|count| count.0.load(Ordering::Relaxed)).sum()
    }

    /// Lets it go on for so long.
    pub(crate) fn watch(&self, window: Duration) -> Result<Rate> {
        let look = || -> Result<(f64, f64, Instant)> {
            let rounds = self.rounds();
            let switches = getrusage(UsageWho::RUSAGE_SELF)?.involuntary_context_switches();
            Ok((rounds as f64, switches as f64, Instant::now()))
        };
        let before = look()?;
        thread::sleep(window);
        let after = look()?;
        let wall = (after.2 - before.2).as_secs_f64();
        Ok(Rate { rounds: (after.0 - before.0) / wall, switches: (after.1 - before.1) / wall })
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.let_go(); // where not all could be started, the others still wait
        for thread in self.threads.drain(..) {
            thread.join().expect("it does nothing that could panic");
        }
    }
}
