//! The tasks of a scenario as threads.

use super::super::running::{Figures, LOOK, RunningScheduler, SchedulerState};
use super::cgroups::Cgroups;
use super::mean_slice;
use crate::cmd::workload::burner::{cpu_time, work};
use crate::interrupt::Interrupt;
use crate::limits::cannot_start;
use crate::visibility::counted;
use anyhow::{Context, Result, anyhow};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::prctl::set_timerslack;
use nix::unistd::{Pid, SysconfVar, gettid, sysconf};
use rustix::process::setpriority_process;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{OnceLock, mpsc};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};
use tombola_core::draw::seeded;
use tombola_core::tickets::Nice;
use tombola_kernel::scheduler::join;
use tombola_lab::scenario::{Scenario, Step, Task};

/// What a scenario is acted out on.
pub(super) struct Stage<'a> {
    pub(super) scenario: &'a Scenario,
    /// CPUs of this machine; the scenario has the first of them.
    pub(super) cpus: &'a [usize],
    pub(super) partial: bool,
    pub(super) cgroups: Option<&'a Cgroups>,
}

/// What it came to.
pub(super) struct Played {
    pub(super) length: Duration,
    /// CPU time of each entry, by the threads' own clocks.
    pub(super) cpu_times: Vec<Duration>,
    /// Part of the CPUs that was neither idle nor theirs.
    pub(super) others: f64,
    /// Mean slice of the threads, ns.
    pub(super) slice_ns: f64,
    pub(super) figures: Figures,
}

/// One instance of a task.
struct Instance<'a> {
    stage: &'a Stage<'a>,
    task: &'a Task,
    /// From 0, over all instances.
    number: u64,
}

/// The CPUs this process may use, ascending.
pub(super) fn allowed_cpus() -> Result<Vec<usize>> {
    let set = sched_getaffinity(Pid::from_raw(0)).context("cannot read the CPUs this process may use")?;
    Ok((0..CpuSet::count()).filter(|cpu| set.is_set(*cpu).unwrap_or(false)).collect())
}

/// Acts it out, to the end of the scenario's time; `None` if it was cut short by a signal, or by the end of
/// the scheduler.
pub(super) fn play(
    stage: &Stage<'_>,
    running: &RunningScheduler,
    interrupt: &Interrupt,
) -> Result<Option<Played>> {
    let (start, stop) = (OnceLock::new(), AtomicBool::new(false));
    let instances = stage.scenario.tasks.iter().flat_map(|task| (0..task.count).map(move |_| task));
    let instances: Vec<Instance<'_>> =
        (0..).zip(instances).map(|(number, task)| Instance { stage, task, number }).collect();
    thread::scope(|scope| {
        let (ready, is_ready) = mpsc::channel();
        let mut threads = Vec::with_capacity(instances.len());
        // However this ends, the threads end: the scope waits for them.
        let mut stopping = StopOnDrop { stop: &stop, threads: Vec::new() };
        for instance in &instances {
            let ready = ready.clone();
            let (start, stop) = (&start, &stop);
            let thread = thread::Builder::new()
                .name("tombola-act".to_owned())
                .spawn_scoped(scope, move || instance.act(&ready, start, stop));
            let thread =
                thread.map_err(|error| cannot_start(&format!("thread {}", threads.len() + 1), error))?;
            stopping.threads.push(thread.thread().clone());
            threads.push(thread);
        }
        drop(ready);
        let ready = is_ready.iter().take(instances.len());
        let tids: Vec<(u64, u32)> =
            ready.map(|(number, tid)| Ok((number, counted(tid)?))).collect::<Result<_>>()?;
        let mut whole = None;
        // Who could not take its place has dropped its sender, and says why when it is joined.
        if tids.len() == instances.len() {
            for (number, tid) in &tids {
                let task = instances[usize::try_from(*number).unwrap_or(0)].task;
                if nice_of(task).is_none() {
                    running.control().set_tickets(*tid, u32::try_from(task.tickets).ok())?;
                }
            }
            let before = idle_time(stage)?;
            let begin = *start.get_or_init(Instant::now);
            stopping.threads.iter().for_each(Thread::unpark);
            if wait(begin + Duration::from_nanos(stage.scenario.duration_ns), running, interrupt)? {
                // While the threads are there.
                let figures = running.figures()?;
                let length = begin.elapsed();
                let idle = idle_time(stage)?.saturating_sub(before);
                whole = Some((length, idle, figures));
            }
        }
        drop(stopping);
        let mut cpu_times = vec![Duration::ZERO; stage.scenario.tasks.len()];
        let mut sum = Duration::ZERO;
        for (thread, instance) in threads.into_iter().zip(&instances) {
            let got = thread.join().map_err(|_| anyhow!("a thread of the rehearsal panicked"))??;
            let entry = stage.scenario.tasks.iter().position(|task| std::ptr::eq(task, instance.task));
            cpu_times[entry.expect("the task is one of the scenario")] += got;
            sum += got;
        }
        Ok(whole.map(|(length, idle, figures)| {
            let tids: Vec<u32> = tids.iter().map(|(_, tid)| *tid).collect();
            let all = length.as_secs_f64() * f64::from(stage.scenario.cpus);
            let others = 1.0 - (idle + sum).as_secs_f64() / all;
            let slice_ns = mean_slice(&figures, &tids);
            Played { length, cpu_times, others: others.clamp(0.0, 1.0), slice_ns, figures }
        }))
    })
}

/// Waits for the end of the time; false if something else came first.
fn wait(end: Instant, running: &RunningScheduler, interrupt: &Interrupt) -> Result<bool> {
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(true);
        }
        if interrupt.wait(left.min(LOOK)) || running.state()? != SchedulerState::InCharge {
            return Ok(false);
        }
    }
}

/// Ends the play when it is dropped, also of those who still wait for the start.
struct StopOnDrop<'a> {
    stop: &'a AtomicBool,
    threads: Vec<Thread>,
}

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        self.threads.iter().for_each(Thread::unpark);
    }
}

impl Instance<'_> {
    /// Takes its place, says so, waits for the start, does its steps. Returns the CPU time from the start on.
    fn act(
        &self,
        ready: &mpsc::Sender<(u64, u32)>,
        start: &OnceLock<Instant>,
        stop: &AtomicBool,
    ) -> Result<Duration> {
        self.take_place()?;
        let tid = u32::try_from(gettid().as_raw()).unwrap_or(0);
        // The main thread listens until all are ready, or has given up: then `stop` is set.
        let _ = ready.send((self.number, tid));
        let start = loop {
            if let Some(start) = start.get() {
                break *start;
            }
            if stop.load(Ordering::SeqCst) {
                return Ok(Duration::ZERO);
            }
            thread::park();
        };
        let before = cpu_time()?;
        self.perform(start, stop)?;
        Ok(cpu_time()?.saturating_sub(before))
    }

    fn take_place(&self) -> Result<()> {
        // A sleep is as long as the scenario says, and not 50 µs longer.
        set_timerslack(1).context("cannot set the timer slack")?;
        let all: Vec<u32>;
        let wanted = if let Some(cpus) = &self.task.cpus {
            cpus
        } else {
            all = (0..self.stage.scenario.cpus).collect();
            &all
        };
        let mut set = CpuSet::new();
        for cpu in wanted {
            set.set(self.stage.cpus[*cpu as usize]).context("a CPU's number is too large")?;
        }
        sched_setaffinity(Pid::from_raw(0), &set).context("cannot set the CPUs of a thread")?;
        if let Some(cgroups) = self.stage.cgroups {
            let file = cgroups.threads(self.task.group);
            // 0 is the thread that writes.
            fs::write(&file, "0").with_context(|| format!("cannot move a thread to {}", file.display()))?;
        }
        let nice = nice_of(self.task).unwrap_or(Nice::new(0)?);
        setpriority_process(None, nice.get().into())
            .with_context(|| format!("cannot set nice {nice} of a thread"))?;
        if self.stage.partial {
            join(0)?;
        }
        Ok(())
    }

    fn perform(&self, start: Instant, stop: &AtomicBool) -> Result<()> {
        let is_over = || stop.load(Ordering::Relaxed);
        let sleep = |until: Instant| {
            while !is_over() && Instant::now() < until {
                thread::park_timeout(until.saturating_duration_since(Instant::now()));
            }
        };
        // Streams of their own, the same in every run; they are not those of the simulator.
        let mut rng = seeded(self.stage.scenario.seed.wrapping_add(self.number << 32));
        sleep(start + Duration::from_nanos(self.task.arrive_ns));
        let last = match self.task.total_ns {
            0 => Duration::MAX,
            total => cpu_time()? + Duration::from_nanos(total),
        };
        // Where the CPU clock stands when all is done that was wanted: what a step is over comes off the next
        // one.
        let mut wanted = cpu_time()?;
        let mut rounds = 0;
        loop {
            for (at, step) in self.task.steps.iter().enumerate() {
                let is_last =
                    self.task.loops > 0 && rounds + 1 >= self.task.loops && at + 1 == self.task.steps.len();
                match step {
                    Step::Sleep(_) | Step::Until(_) if is_last => return Ok(()),
                    Step::Until(at) => sleep(start + Duration::from_nanos(*at)),
                    Step::Sleep(span) => sleep(Instant::now() + Duration::from_nanos(span.sample(&mut rng))),
                    Step::Run(span) => {
                        wanted += Duration::from_nanos(span.sample(&mut rng));
                        while !is_over() && cpu_time()? < wanted.min(last) {
                            work();
                        }
                    }
                    _ => {
                        while !is_over() && (last == Duration::MAX || cpu_time()? < last) {
                            work();
                        }
                    }
                }
                if is_over() || (last < Duration::MAX && cpu_time()? >= last) {
                    return Ok(());
                }
            }
            rounds += 1;
            if self.task.loops > 0 && rounds >= self.task.loops {
                return Ok(());
            }
        }
    }
}

/// The nice value with as many tickets as the task has, if there is one.
fn nice_of(task: &Task) -> Option<Nice> {
    (-20..=19).filter_map(|nice| Nice::new(nice).ok()).find(|nice| u64::from(nice.weight()) == task.tickets)
}

/// Idle time of the CPUs of the scenario since boot (proc(5), `stat`).
fn idle_time(stage: &Stage<'_>) -> Result<Duration> {
    let text = fs::read_to_string("/proc/stat").context("cannot read /proc/stat")?;
    let ticks: u64 = stage.cpus[..stage.scenario.cpus as usize]
        .iter()
        .filter_map(|cpu| text.lines().find_map(|line| line.strip_prefix(&format!("cpu{cpu} "))))
        .map(|line| {
            // user nice system idle iowait …
            let fields = line.split_ascii_whitespace().skip(3).take(2);
            fields.filter_map(|field| field.parse::<u64>().ok()).sum::<u64>()
        })
        .sum();
    let hertz = sysconf(SysconfVar::CLK_TCK).ok().flatten().and_then(|hz| u64::try_from(hz).ok());
    Ok(Duration::from_secs_f64(ticks as f64 / hertz.unwrap_or(100) as f64))
}
