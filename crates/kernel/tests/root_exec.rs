//! `execve`: by a process of one thread, by a thread that takes over its leader's identity, and one that is
//! called off.

#![allow(clippy::unwrap_used)] // helpers of tests are no #[test] themselves

mod common;

use common::{
    BURN, Group, NamedShell, become_fifo, cpus, last_cpu, monitor, named, own_cpu_ns, pin_to, row, schedstat,
    spin, stolen_ns, tolerance_ns, wait_for,
};
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::{ForkResult, Pid, Uid, fork, gettid, pipe, read, write};
use std::os::unix::process::CommandExt as _;
use std::process::{self, Command};
use std::time::Duration;
use std::{env, fs, thread};
use tombola_core::snapshot::Snapshot;
use tombola_core::window::Window;

#[test]
#[ignore = "needs root and BPF"]
fn root_exec_changes_the_name_and_nothing_else() {
    let (one, two) = (NamedShell::new("nameone"), NamedShell::new("nametwo"));
    let monitor = monitor();
    let before = monitor.reader().snapshot().unwrap();
    let script = format!(
        "i=0; while [ $i -lt 50000 ]; do i=$((i+1)); done; exec {} -c '{BURN}'",
        two.path().display()
    );
    let group = Group::spawn(&mut one.command(&script));
    let pid = group.pid();
    wait_for("it has the second name", || {
        (fs::read(format!("/proc/{pid}/comm")).ok()? == b"nametwo\n").then_some(())
    });
    // It has the name before execve is done: by then it burns.
    let named_ns = schedstat(pid).unwrap().runtime_ns;
    wait_for("it burns", || schedstat(pid).filter(|now| now.runtime_ns > named_ns + 50_000_000));
    let bracket = schedstat(pid).unwrap();
    let window = Window::between(&before, &common::seen(&monitor));
    let task = row(&window, pid);
    assert_eq!(task.totals.comm, b"nametwo");
    assert!(named(&window, "nameone").is_empty());
    let slack = tolerance_ns(bracket.runtime_ns);
    assert!(task.delta.runtime_ns + slack >= bracket.runtime_ns, "{task:?} {bracket:?}");
}

/// Names the process that the next test starts: this test binary again, which then does what is to be
/// watched.
const THREAD_THAT_EXECS: &str = "TOMBOLA_TEST_THREAD_THAT_EXECS";

#[test]
#[ignore = "needs root and BPF"]
fn root_exec_by_a_thread_goes_on_as_its_leader() {
    if let Some(program) = env::var_os(THREAD_THAT_EXECS) {
        thread::spawn(move || {
            while common::own_cpu_ns() < 50_000_000 {
                common::spin();
            }
            // The name tells the thread's old pid.
            let tid = gettid().to_string();
            panic!("{}", Command::new(program).args(["-c", "read x", &tid]).exec());
        })
        .join()
        .unwrap();
    }
    let shell = NamedShell::new("execedbythread");
    let monitor = monitor();
    // Leader and thread end and switch in any order on two CPUs: more than one try.
    let mut off = Vec::new();
    for round in 0..10 {
        let mut child = Command::new(env::current_exe().unwrap());
        child
            .args(["root_exec_by_a_thread_goes_on_as_its_leader", "--exact", "--ignored", "--nocapture"])
            .arg("--test-threads=1")
            .env(THREAD_THAT_EXECS, shell.path());
        let (before, stolen_before_ns) = (monitor.reader().snapshot().unwrap(), stolen_ns());
        // Standard input stays open, so that the shell waits.
        let mut child = child
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let pid = child.id();
        let tid: u32 = wait_for("the thread has execed and sleeps", || {
            let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
            let tid = line.split('\0').nth(3)?.parse().ok()?;
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            (stat.rsplit_once(") ")?.1.starts_with('S') && line.contains("read x")).then_some(tid)
        });
        thread::sleep(Duration::from_millis(20));
        let clock = ClockId::pid_cpu_clock_id(Pid::from_raw(pid.try_into().unwrap())).unwrap();
        let process_ns: u64 = Duration::from(clock_gettime(clock).unwrap()).as_nanos().try_into().unwrap();
        let snapshot = monitor.reader().snapshot().unwrap();
        let window = Window::between(&before, &snapshot);
        let task = row(&window, pid);
        // The process clock is that of all its threads, up to when each is reaped. One besides the two was
        // there: the test harness's.
        let threads: u64 =
            window.tasks.iter().filter(|t| t.totals.tgid == pid).map(|t| t.delta.runtime_ns).sum();
        let said = format!(
            "round {round}: {task:#?}, thread {tid}, all threads {threads} ns, kernel {process_ns} ns"
        );
        assert_eq!((task.totals.comm.as_slice(), task.totals.tgid), (&b"execedbythread"[..], pid), "{said}");
        assert!(!task.ended, "{said}");
        assert!(
            !snapshot.tasks.iter().any(|t| t.id.pid == tid),
            "a living record of the thread's old pid: {said}"
        );
        // Time of the thread, of its leader, and of nobody else.
        let old: u64 =
            window.tasks.iter().filter(|t| t.totals.id.pid == tid).map(|t| t.delta.runtime_ns).sum();
        assert!(task.delta.runtime_ns > 50_000_000 && old == 0, "{old} ns under the old pid; {said}");
        // A leader that stands between its reaping and its last switch, on a CPU that stands still (an
        // emulated one, on a busy host), is in one of the books only. Time that is lost or counted twice is
        // so every time.
        let slack = tolerance_ns(process_ns);
        // What the hypervisor took is in a slice, and where the kernel knows of it not on the process clock.
        let stolen_ns = stolen_ns() - stolen_before_ns;
        if threads + slack < process_ns || task.delta.runtime_ns > process_ns + slack + stolen_ns {
            off.push(said.clone());
            assert!(off.len() < 4, "another run time than the process clock's: {off:?}");
        }
        assert!(task.delta.wait_ns < 60_000_000_000 && common::is_complete(&window.loss), "{said}");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

/// Forks a process whose only thread does `act`, which does not return. It is killed at the end.
fn forked(act: impl FnOnce()) -> Forked {
    // SAFETY: glibc keeps its allocator usable in the child of a process of several threads, and the child
    // uses no lock of theirs.
    match unsafe { fork() }.unwrap() {
        ForkResult::Parent { child } => Forked(child),
        ForkResult::Child => {
            act();
            process::abort();
        }
    }
}

struct Forked(Pid);

impl Forked {
    fn pid(&self) -> u32 {
        self.0.as_raw().unsigned_abs()
    }

    /// CPU time of all its threads, past and present, nanoseconds.
    fn clock_ns(&self) -> u64 {
        let clock = ClockId::pid_cpu_clock_id(self.0).unwrap();
        Duration::from(clock_gettime(clock).unwrap()).as_nanos().try_into().unwrap()
    }

    /// What the monitor has of the same between two snapshots.
    fn booked_ns(&self, before: &Snapshot, now: &Snapshot) -> u64 {
        let window = Window::between(before, now);
        window.tasks.iter().filter(|t| t.totals.tgid == self.pid()).map(|t| t.delta.runtime_ns).sum()
    }
}

impl Drop for Forked {
    fn drop(&mut self) {
        let _ = kill(self.0, Signal::SIGKILL);
        let _ = waitpid(self.0, None);
    }
}

/// A thread of a forked process that stands still when it is to end. The process is killed at the end, and
/// the thread reaped: before that its process cannot be.
struct Traced(Pid);

impl Traced {
    fn seize(tid: Pid) -> Self {
        ptrace::seize(tid, ptrace::Options::PTRACE_O_TRACEEXIT).unwrap();
        Self(tid)
    }

    fn wait(&self) -> nix::Result<WaitStatus> {
        waitpid(self.0, Some(WaitPidFlag::__WALL))
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        let _ = kill(self.0, Signal::SIGKILL);
        while let Ok(WaitStatus::PtraceEvent(..) | WaitStatus::Stopped(..)) = self.wait() {
            let _ = ptrace::cont(self.0, None);
        }
    }
}

/// Ends the calling thread and no other: unlike `exit`, which ends the process.
fn end_this_thread() {
    // SAFETY: no memory is involved; nothing of this thread's stack is used by others.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
}

/// What a thread has behind it when it execs.
#[derive(Debug)]
enum Life {
    /// Slices as they come.
    Usual,
    /// The slice that it is in, and none before.
    OneSlice,
    /// Others, and then one that is older than the end of its leader.
    Slept,
}

#[test]
#[ignore = "needs root and BPF"]
fn root_exec_by_the_last_thread_loses_no_time_of_a_slice_older_than_its_leaders_end() {
    let shell = NamedShell::new("lastthread");
    let monitor = monitor();
    // Who is real-time, alone on its CPU, has one slice from before its leader's end to after the execve: its
    // first one, where it inherits both, or one after others. An ordinary user has threads of the usual kind
    // only.
    let all = [Life::Usual, Life::OneSlice, Life::Slept];
    let lives = if cpus().len() > 1 && Uid::effective().is_root() { &all[..] } else { &all[..1] };
    for (round, life) in lives.iter().cycle().take(9).enumerate() {
        let (before, stolen_before_ns) = (monitor.reader().snapshot().unwrap(), stolen_ns());
        let child = forked(|| {
            let mut command = shell.command(BURN);
            let mut burn_and_exec = move || {
                while own_cpu_ns() < 60_000_000 {
                    spin();
                }
                panic!("{}", command.exec());
            };
            match life {
                Life::Usual => drop(thread::spawn(burn_and_exec)),
                Life::OneSlice => drop(thread::spawn(move || {
                    let everywhere = cpus();
                    pin_to(&[last_cpu()]);
                    become_fifo();
                    thread::spawn(burn_and_exec);
                    pin_to(&everywhere);
                })),
                Life::Slept => drop(thread::spawn(move || {
                    pin_to(&[last_cpu()]);
                    thread::sleep(Duration::from_millis(1));
                    become_fifo();
                    burn_and_exec();
                })),
            }
            thread::sleep(Duration::from_millis(20));
            end_this_thread();
        });
        // Before, during and after. A record is read in the midst of its move now and then, but not twice.
        let comparison = || {
            let least_ns = child.clock_ns();
            let snapshot = monitor.reader().snapshot().unwrap();
            let booked_ns = child.booked_ns(&before, &snapshot);
            // The clock of another process is as of the latest tick, and a tick is 10 ms at most.
            let most_ns = child.clock_ns() + 10_000_000;
            let slack_ns = tolerance_ns(most_ns) + (stolen_ns() - stolen_before_ns);
            let agrees = booked_ns + slack_ns >= least_ns && booked_ns <= most_ns + slack_ns
                || common::has_unseen_switch(&snapshot);
            let said =
                format!("round {round}, {life:?}: {booked_ns} not in {least_ns}..{most_ns} by {slack_ns}");
            (least_ns, agrees, said)
        };
        wait_for("it burns after the execve", || {
            let ((clock_ns, agrees, said), again) = (comparison(), comparison());
            assert!(agrees || again.1, "{said}, then {}", again.2);
            (clock_ns > 200_000_000).then_some(())
        });
        let snapshot = monitor.reader().snapshot().unwrap();
        let window = Window::between(&before, &snapshot);
        let task = row(&window, child.pid());
        assert!(task.totals.comm == b"lastthread" && !task.ended, "{task:?}");
        let living = snapshot.tasks.iter().filter(|t| t.tgid == child.pid());
        assert_eq!(living.map(|t| t.id.pid).collect::<Vec<_>>(), [child.pid()]);
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn root_an_exec_that_is_killed_while_it_waits_leaves_no_record() {
    let shell = NamedShell::new("neverexeced");
    let monitor = monitor();
    let before = monitor.reader().snapshot().unwrap();
    let (tid_out, tid_in) = pipe().unwrap();
    let (go_out, go_in) = pipe().unwrap();
    let child = forked(|| {
        // One that is to stay for a while, one that execs, and the leader.
        thread::spawn(move || {
            write(&tid_in, &gettid().as_raw().to_ne_bytes()).unwrap();
            loop {
                thread::sleep(Duration::from_secs(1));
            }
        });
        let mut command = shell.command(":");
        thread::spawn(move || {
            read(&go_out, &mut [0]).unwrap();
            panic!("{}", command.exec());
        });
        while own_cpu_ns() < 20_000_000 {
            spin();
        }
        loop {
            thread::sleep(Duration::from_secs(1));
        }
    });
    let mut tid = [0; 4];
    assert_eq!(read(&tid_out, &mut tid).unwrap(), 4);
    let tid = Pid::from_raw(i32::from_ne_bytes(tid));
    // A thread that a debugger wants to see end stands still there, and the execve waits for it.
    let stays = Traced::seize(tid);
    let had = wait_for("the leader works and sleeps", || {
        schedstat(child.pid()).filter(|had| had.runtime_ns >= 20_000_000)
    });
    thread::sleep(Duration::from_millis(20));
    write(&go_in, &[0]).unwrap();
    let seen = stays.wait().unwrap();
    assert!(matches!(seen, WaitStatus::PtraceEvent(_, _, libc::PTRACE_EVENT_EXIT)), "{seen:?}");
    wait_for("the leader has ended", || {
        let stat = fs::read_to_string(format!("/proc/{0}/task/{0}/stat", child.pid())).unwrap();
        stat.rsplit_once(") ").unwrap().1.starts_with('Z').then_some(())
    });
    let snapshot = monitor.reader().snapshot().unwrap();
    let window = Window::between(&before, &snapshot);
    let task = row(&window, child.pid());
    assert!(!task.ended && task.delta.runtime_ns + tolerance_ns(0) > had.runtime_ns, "{task:?}, {had:?}");
    let pid = child.pid();
    drop(stays);
    drop(child);
    // After an RCU grace period.
    let window = wait_for("its end is told", || {
        let now = monitor.reader().snapshot().unwrap();
        let gone = !now.tasks.iter().any(|t| t.id.pid == pid);
        gone.then(|| Window::between(&snapshot, &now))
    });
    let task = row(&window, pid);
    assert!(
        task.ended && task.totals.usage.runtime_ns + tolerance_ns(0) > had.runtime_ns,
        "{task:?}, {had:?}"
    );
    assert!(named(&window, "neverexeced").is_empty());
    assert!(window.unlisted_exits.count == 0 && common::is_complete(&window.loss), "{window:?}");
}
