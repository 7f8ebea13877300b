//! The command line of perf, as far as it says whose events were recorded.

use crate::capabilities::Scope;
use crate::reader::format_order::Order;

/// What the options of `perf record` ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // each is an option of perf
pub(super) struct CommandLine {
    /// `-a`, or a command of perf that implies it.
    all: bool,
    /// `-C`.
    cpus: bool,
    /// `-p`, `-t`, `-u`, `-G`.
    tasks: bool,
    /// `--filter`.
    filter: bool,
    /// A command to be started.
    has_command: bool,
}

impl CommandLine {
    /// From the feature `CMDLINE`: how many, then each with its length. `None` where it is no `perf record`,
    /// or is cut.
    pub(super) fn read(bytes: &[u8], order: Order) -> Option<Self> {
        let (mut at, mut arguments) = (4, Vec::new());
        for _ in 0..order.u32(bytes, 0)? {
            let length = usize::try_from(order.u32(bytes, at)?).ok()?;
            let text = bytes.get(at + 4..at.checked_add(4)?.checked_add(length)?)?;
            let end = text.iter().position(|&byte| byte == 0).unwrap_or(length);
            arguments.push(&text[..end]);
            at += 4 + length;
        }
        Self::of(&arguments)
    }

    fn of(arguments: &[&[u8]]) -> Option<Self> {
        let record = arguments.iter().position(|&argument| argument == b"record")?;
        let by_others =
            arguments[..record].iter().any(|&argument| argument == b"sched" || argument == b"timechart");
        let mut told = Self { all: by_others, ..Self::default() };
        // What follows an option may be its value, or the command.
        let mut is_after_option = false;
        for (at, &argument) in arguments.iter().enumerate().skip(record + 1) {
            if argument == b"--" {
                told.has_command = at + 1 < arguments.len();
                break;
            }
            if let Some(long) = argument.strip_prefix(b"--") {
                let name = long.split(|&byte| byte == b'=').next().unwrap_or_default();
                told.long(name);
                is_after_option = name.len() == long.len();
            } else if let Some(short) = argument.strip_prefix(b"-").filter(|short| !short.is_empty()) {
                told.short(short);
                is_after_option = true;
            } else if !std::mem::take(&mut is_after_option) {
                told.has_command = true;
                break;
            }
        }
        Some(told)
    }

    fn long(&mut self, name: &[u8]) {
        match name {
            b"all-cpus" => self.all = true,
            b"cpu" => self.cpus = true,
            b"pid" | b"tid" | b"uid" | b"cgroup" | b"for-each-cgroup" => self.tasks = true,
            b"filter" => self.filter = true,
            _ => {}
        }
    }

    /// Options in one word, up to one that has a value.
    fn short(&mut self, letters: &[u8]) {
        for letter in letters {
            match letter {
                b'a' => self.all = true,
                b'C' => return self.cpus = true,
                b'p' | b't' | b'u' | b'G' => return self.tasks = true,
                b'e' | b'o' | b'c' | b'F' | b'm' | b'D' | b'j' | b'k' | b'r' | b'I' | b'S' | b'z' => return,
                _ => {}
            }
        }
    }

    /// Whose events they are. `of_command`: the events say that they are about a command that perf started.
    pub(super) fn scope(self, of_command: bool) -> Scope {
        let is_anywhere = self.all || self.cpus;
        match self {
            _ if self.tasks || of_command || self.has_command && !is_anywhere => Scope::Tasks,
            _ if self.cpus => Scope::Cpus,
            _ if self.filter => Scope::Filtered,
            _ => Scope::Whole,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(line: &str) -> Scope {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        CommandLine::of(&words).unwrap_or_default().scope(false)
    }

    #[test]
    fn whose_events_perf_was_told_to_record() {
        for whole in [
            "perf record",
            "perf record -a -e sched:sched_switch",
            "perf record -qa -e sched:sched_switch -- sleep 1 -p 7",
            "perf record -e sched:sched_switch -o x -a sleep 1",
            "perf record --all-cpus sleep 1",
            "/usr/bin/perf sched record -- make -C x",
            "perf --no-pager record -ag -F99 sleep 1",
        ] {
            assert_eq!(scope(whole), Scope::Whole, "{whole}");
        }
        for tasks in [
            "perf record -e sched:sched_switch make -j 8",
            "perf record -e sched:sched_switch -- sleep 1",
            "perf record -p 12 -e sched:sched_switch",
            "perf record -a -p12",
            "perf record --pid=12 -a sleep 1",
            "perf record -e sched:sched_switch -a -G a/b -- sleep 1",
        ] {
            assert_eq!(scope(tasks), Scope::Tasks, "{tasks}");
        }
        assert_eq!(scope("perf record -C 0 -e sched:sched_switch -- sleep 1"), Scope::Cpus);
        assert_eq!(
            scope("perf record -a -e sched:sched_switch --filter prev_pid>0 -- sleep 1"),
            Scope::Filtered
        );
    }

    #[test]
    fn a_feature_that_is_cut_says_nothing() {
        let mut bytes = vec![2, 0, 0, 0, 5, 0, 0, 0];
        bytes.extend_from_slice(b"perf\0");
        assert_eq!(CommandLine::read(&bytes, Order::Little), None);
        bytes.extend_from_slice(&[7, 0, 0, 0]);
        bytes.extend_from_slice(b"record\0");
        assert_eq!(CommandLine::read(&bytes, Order::Little), Some(CommandLine::default()));
        assert_eq!(CommandLine::read(&[255; 12], Order::Little), None);
    }
}
