//! Reading a machine's console: the lines of PID 1, and what the kernel complains about.

use crate::plan::SENTINEL;
use crate::verdict::{Outcome, Run, Verdict};

/// What the console has said so far.
#[derive(Clone, Debug, Default)]
pub struct Console {
    run: Run,
    /// The step that has begun and not ended.
    open: Option<String>,
    begun: bool,
    done: bool,
    panicked: Option<String>,
    /// What the kernel said of a CPU that does not come on, since PID 1's last word.
    stalled: Option<String>,
    complaints: usize,
    words: usize,
    clock_ms: Option<u64>,
}

/// Lines of a kernel that found itself in a bad state; what we load may be the cause.
const COMPLAINTS: [&str; 5] =
    ["BUG: ", "WARNING: ", "Oops: ", "general protection fault", "possible recursive locking"];
/// The kernel's watchdogs. An emulated machine on a busy host may simply be late: it is a stall if PID 1
/// stays silent.
const STALLS: [&str; 4] = ["lockup", "detected stall", "blocked for more than", "rcu_"];
/// A breakpoint that the kernel sets for a moment while it patches its own code, met after it is gone: an
/// emulated CPU sees late what another has written. The panic that follows ends the machine, and its steps
/// are done in another.
const PATCHED: &str = "Oops: int3:";
/// Complaints about time that mean nothing here.
const LATE: [&str; 2] = ["hrtimer: interrupt took", "clocksource"];

impl Console {
    /// Takes one line. Returns whether it is worth showing while the machine runs.
    pub fn line(&mut self, line: &str) -> bool {
        if let Some(at) = line.find(SENTINEL) {
            return self.sentinel(line[at + SENTINEL.len()..].trim());
        }
        if self.panicked.is_none() && line.contains("Kernel panic - not syncing") {
            let from = line.find("Kernel panic").unwrap_or(0);
            self.panicked = Some(line[from..].trim().to_owned());
            return true;
        }
        if !self.begun || !line.trim_start().starts_with('[') {
            return false;
        }
        let says = |words: &[&str]| words.iter().any(|word| line.contains(word));
        if says(&STALLS) {
            self.stalled.get_or_insert_with(|| line.trim().to_owned());
            return true;
        }
        if line.contains(PATCHED) {
            return true;
        }
        if says(&COMPLAINTS) && !says(&LATE) {
            self.complaints += 1;
            if self.complaints == 1 {
                let what = self.open.clone().unwrap_or_else(|| "between two steps".into());
                let reason = format!("during '{what}' the kernel said: {}", line.trim());
                self.run
                    .verdicts
                    .push(Verdict { name: "the kernel's log".into(), outcome: Outcome::Fail(reason) });
            }
            return true;
        }
        false
    }

    fn sentinel(&mut self, text: &str) -> bool {
        self.words += 1;
        self.stalled = None;
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        let split = |rest: &str| {
            let (name, reason) = rest.split_once(": ").unwrap_or((rest, ""));
            (name.to_owned(), reason.to_owned())
        };
        match word {
            "BOOT" => self.run.release = Some(rest.to_owned()),
            "BEGIN" => {
                self.begun = true;
                self.open = Some(rest.to_owned());
                return false;
            }
            "PASS" | "SKIP" | "FAIL" => {
                let (name, reason) = split(rest);
                let outcome = match word {
                    "PASS" => Outcome::Pass,
                    "SKIP" => Outcome::Skip(reason),
                    _ => Outcome::Fail(reason),
                };
                self.open = None;
                self.run.verdicts.push(Verdict { name, outcome });
            }
            "CLOCK" => {
                self.clock_ms = rest.parse().ok();
                return false;
            }
            "DONE" => self.done = true,
            "TROUBLE" => self.run.trouble = Some(rest.to_owned()),
            _ => return false,
        }
        true
    }

    /// Whether PID 1 has come to its end.
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// Whether the kernel has panicked.
    pub fn has_panicked(&self) -> bool {
        self.panicked.is_some()
    }

    /// Whether PID 1 has said its first word.
    pub fn has_booted(&self) -> bool {
        self.run.release.is_some()
    }

    /// The machine's clock, if the latest line told it, milliseconds.
    pub fn take_clock_ms(&mut self) -> Option<u64> {
        self.clock_ms.take()
    }

    /// Lines of PID 1 so far: it says that it is there also while a step runs.
    pub fn words(&self) -> usize {
        self.words
    }

    /// What came of it, when the machine is off. `cut` says why it was turned off from outside.
    ///
    /// A panic or a stall while a step ran is that step's failure: what it loads runs in the kernel. A
    /// machine that never came to its first step, or that fell silent and whose kernel had no complaint, is
    /// trouble of the lane.
    pub fn finish(mut self, cut: Option<String>) -> Run {
        if self.done || self.run.trouble.is_some() {
            return self.run;
        }
        let stalled =
            self.stalled.filter(|_| cut.is_some()).map(|line| format!("the kernel stalled: {line}"));
        let open = self.open.take();
        match (self.panicked.or(stalled), open) {
            (Some(end), Some(name)) => {
                self.run.verdicts.push(Verdict { name, outcome: Outcome::Fail(end) });
            }
            (Some(end), None) => self.run.trouble = Some(end),
            (None, open) => {
                let when = open.as_ref().map_or_else(String::new, |step| format!(" during '{step}'"));
                let what = cut.unwrap_or_else(|| "the machine went off before the end of its plan".into());
                self.run.trouble = Some(format!("{what}{when}"));
                self.run.open = open;
            }
        }
        self.run
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str], cut: Option<&str>) -> Run {
        let mut console = Console::default();
        for line in lines {
            console.line(line);
        }
        console.finish(cut.map(str::to_owned))
    }

    #[test]
    fn verdicts_are_read_also_behind_a_kernel_message() {
        let run = read(
            &[
                "TOMBOLA-VM BOOT 7.3.4",
                "TOMBOLA-VM BEGIN a",
                "[    3.1] something TOMBOLA-VM PASS a: 0.4 s",
                "TOMBOLA-VM BEGIN b",
                "TOMBOLA-VM SKIP b: no setpriv",
                "TOMBOLA-VM BEGIN c",
                "TOMBOLA-VM FAIL c: status 101",
                "TOMBOLA-VM DONE",
            ],
            None,
        );
        assert_eq!(run.release.as_deref(), Some("7.3.4"));
        assert_eq!(run.counts(), (1, 1, 1));
        assert_eq!(run.verdicts[0].name, "a");
        assert_eq!(run.verdicts[1].outcome, Outcome::Skip("no setpriv".into()));
        assert!(run.failed() && run.trouble.is_none());
    }

    #[test]
    fn a_panic_in_a_step_is_its_failure_and_before_the_first_it_is_trouble() {
        let panic = "[    9.9] Kernel panic - not syncing: Fatal exception";
        let run = read(&["TOMBOLA-VM BOOT 7.3.4", "TOMBOLA-VM BEGIN a", panic], None);
        assert_eq!(run.verdicts[0].name, "a");
        assert!(run.failed() && run.trouble.is_none());

        let run = read(&[panic], None);
        assert!(!run.failed());
        assert_eq!(run.trouble.as_deref(), Some("Kernel panic - not syncing: Fatal exception"));
    }

    #[test]
    fn silence_and_an_early_end_are_trouble() {
        let run = read(&["TOMBOLA-VM BOOT 6.1", "TOMBOLA-VM BEGIN a"], Some("silent for 200 s"));
        assert_eq!(run.trouble.as_deref(), Some("silent for 200 s during 'a'"));
        assert!(!run.failed());
        assert!(read(&["SeaBIOS"], None).trouble.is_some());
    }

    #[test]
    fn a_stall_is_one_if_pid_1_stays_silent_after_it() {
        let (boot, begin) = ("TOMBOLA-VM BOOT 6.1", "TOMBOLA-VM BEGIN a");
        let stall = "[   61.0] rcu: INFO: rcu_preempt self-detected stall on CPU";
        let run = read(&[boot, begin, stall], Some("silent for 120 s"));
        assert!(run.trouble.is_none());
        let Outcome::Fail(why) = &run.verdicts[0].outcome else { panic!("{run:?}") };
        assert!(why.contains("stalled") && why.contains("rcu_preempt"), "{why}");

        let alive = "TOMBOLA-VM ALIVE";
        let run = read(&[boot, begin, stall, alive], Some("silent for 120 s"));
        assert!(!run.failed());
        assert_eq!(run.trouble.as_deref(), Some("silent for 120 s during 'a'"));
        let run = read(
            &[boot, begin, stall, "[   61.1] Call Trace:", "TOMBOLA-VM PASS a", "TOMBOLA-VM DONE"],
            None,
        );
        assert_eq!((run.counts(), run.trouble), ((1, 0, 0), None));
    }

    #[test]
    fn what_the_kernel_complains_about_fails_but_not_that_it_is_late() {
        let boot = ["TOMBOLA-VM BOOT 6.1", "TOMBOLA-VM BEGIN a"];
        let late = "[   12.0] watchdog: BUG: soft lockup - CPU#1 stuck for 22s!";
        let bad = "[   12.0] BUG: kernel NULL pointer dereference, address: 0000000000000000";
        let done = "TOMBOLA-VM DONE";
        assert!(!read(&[boot[0], boot[1], late, done], None).failed());
        let run = read(&[boot[0], boot[1], bad, bad, done], None);
        assert_eq!(run.counts(), (0, 0, 1));
        let (patched, panic) =
            ("[   21.2] Oops: int3: 0000 [#1] SMP", "[   21.3] Kernel panic - not syncing: Fatal exception");
        let run = read(&[boot[0], boot[1], patched, panic], None);
        // The step's own failure, which another machine may take back, as it cannot take back the kernel's
        // log.
        let names: Vec<&str> = run.verdicts.iter().map(|verdict| verdict.name.as_str()).collect();
        assert_eq!((names, run.counts()), (vec!["a"], (0, 0, 1)));
        // Before the first step the kernel speaks about the emulated hardware.
        assert!(!read(&[bad, boot[0], done], None).failed());
    }
}
