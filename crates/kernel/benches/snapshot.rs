//! Time and memory to read a monitor that tracks many tasks.
//!
//! ```text
//! cargo bench -p tombola-kernel --bench snapshot -- [THREADS]...      (root; default: 1000 10000)
//! ```
//!
//! For each number it starts a private monitor, then a process with that many sleeping threads, each of which
//! has run once, and takes snapshots. The threads are another process's, so that the memory shown is the
//! reader's own. With `--sleepers THREADS` it is that process: it says `asleep` and holds its threads until
//! its standard input ends.

use anyhow::{Context, Result, bail, ensure};
use nix::time::{ClockId, clock_gettime};
use procfs::process::Process;
use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};
use tombola_kernel::{PrivateMonitor, Settings};

const SNAPSHOTS: usize = 20;
/// Small, as there are many; they do nothing but wait.
const STACK_BYTES: usize = 64 << 10;

fn main() -> Result<()> {
    // cargo passes --bench to every bench.
    let words: Vec<String> = env::args().skip(1).filter(|word| word != "--bench").collect();
    if let [flag, threads] = words.as_slice()
        && flag == "--sleepers"
    {
        return sleep_until_told(number(threads)?);
    }
    let counts =
        if words.is_empty() { Ok(vec![1_000, 10_000]) } else { words.iter().map(|w| number(w)).collect() };
    println!(
        "| threads | tasks read | wall, median | quartiles | CPU time, median | peak memory | maps in the kernel |"
    );
    println!("|---:|---:|---:|---|---:|---:|---:|");
    for threads in counts? {
        measure(threads)?;
    }
    Ok(())
}

fn number(word: &str) -> Result<usize> {
    word.parse().with_context(|| format!("'{word}' is no number of threads"))
}

/// The other side: threads that have run and sleep now.
fn sleep_until_told(threads: usize) -> Result<()> {
    let all = Arc::new(Barrier::new(threads + 1));
    for _ in 0..threads {
        let all = Arc::clone(&all);
        thread::Builder::new()
            .stack_size(STACK_BYTES)
            .spawn(move || {
                all.wait();
                loop {
                    thread::park();
                }
            })
            .context(
                "starting a thread; are kernel.threads-max, kernel.pid_max and ulimit -u large enough?",
            )?;
    }
    all.wait();
    println!("asleep");
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// A process of sleepers, ended with this value.
struct Sleepers(Child);

impl Sleepers {
    fn start(threads: usize) -> Result<Self> {
        let child = Command::new(env::current_exe()?)
            .args(["--sleepers", &threads.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut sleepers = Self(child);
        let mut line = String::new();
        let output = sleepers.0.stdout.take().context("its output is piped")?;
        BufReader::new(output).read_line(&mut line)?;
        if line.trim() != "asleep" {
            bail!("the process with {threads} threads did not start");
        }
        // The last of them may still be on their way from the barrier to sleep.
        thread::sleep(Duration::from_millis(300));
        Ok(sleepers)
    }
}

impl Drop for Sleepers {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait(); // it has been told; how it ended is nothing to us
    }
}

fn measure(threads: usize) -> Result<()> {
    // Forgets the peak of an earlier measurement (proc(5), clear_refs).
    fs::write("/proc/self/clear_refs", "5")?;
    let monitor = PrivateMonitor::start(&Settings::default())?;
    let sleepers = Sleepers::start(threads)?;
    let mut walls = Vec::with_capacity(SNAPSHOTS);
    let mut cpus = Vec::with_capacity(SNAPSHOTS);
    // As a dump does, the previous snapshot is kept beside the new one.
    let mut kept = monitor.reader().snapshot()?;
    for _ in 0..SNAPSHOTS {
        let (begin, ran) = (Instant::now(), cpu_time()?);
        let next = monitor.reader().snapshot()?;
        walls.push(begin.elapsed());
        cpus.push(cpu_time()?.saturating_sub(ran));
        kept = next;
    }
    drop(sleepers);
    ensure!(kept.tasks.len() >= threads, "only {} of {threads} threads were read", kept.tasks.len());
    walls.sort_unstable();
    cpus.sort_unstable();
    println!(
        "| {threads} | {} | {:.2} ms | {:.2}–{:.2} | {:.2} ms | {:.1} MB | {:.1} MB |",
        kept.tasks.len(),
        median_ms(&walls),
        ms(walls[SNAPSHOTS / 4]),
        ms(walls[SNAPSHOTS * 3 / 4]),
        median_ms(&cpus),
        peak_memory_bytes()? as f64 / 1e6,
        map_memory_bytes()? as f64 / 1e6,
    );
    Ok(())
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn median_ms(sorted: &[Duration]) -> f64 {
    f64::midpoint(ms(sorted[(sorted.len() - 1) / 2]), ms(sorted[sorted.len() / 2]))
}

/// CPU time of this thread: other load on the machine is not in it.
fn cpu_time() -> Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into())
}

/// Peak resident memory of this process. Not from getrusage: there a process inherits the peak of the one
/// that started it.
fn peak_memory_bytes() -> Result<u64> {
    let status = Process::myself()?.status()?;
    Ok(status.vmhwm.context("the kernel does not say VmHWM")? * 1024)
}

/// Memory that the kernel charges for the maps this process holds, each counted once.
fn map_memory_bytes() -> Result<u64> {
    let mut maps = BTreeMap::new();
    for entry in fs::read_dir("/proc/self/fdinfo")? {
        // The descriptor that reads the directory is gone by now.
        let Ok(info) = fs::read_to_string(entry?.path()) else { continue };
        let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        if let (Some(id), Some(bytes)) = (field("map_id:"), field("memlock:")) {
            maps.insert(id.to_owned(), bytes.parse::<u64>()?);
        }
    }
    Ok(maps.values().sum())
}
