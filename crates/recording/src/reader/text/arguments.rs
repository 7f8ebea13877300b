//! The arguments of scheduling events in text, by their keys and from the right, because names may hold
//! anything.
//!
//! The kernel and perf print `comm=a pid=1 …`; libtraceevent's plugins, which trace-cmd and some builds of
//! perf use, print `a:1 [120] …`; `trace-cmd report -R` prints keys with bare numbers, and the kernel with
//! its option `fields` each number twice, `pid=0x1 (1)`.

use super::line::number;
use crate::event::{Left, Task};
use crate::state::from_letters;
use memchr::memmem;

/// A state as the text has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// In letters.
    Letters(Left),
    /// As a bare number, to be read by the recording's law.
    Number(u64),
}

/// A wake's arguments.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wake {
    pub(super) wakee: Task,
    pub(super) target: Option<u32>,
}

/// Takes `key` and its value off the end: what is before, and the value.
fn last<'a>(text: &'a [u8], key: &str) -> Option<(&'a [u8], &'a [u8])> {
    let at = memmem::rfind(text, key.as_bytes())?;
    Some((text[..at].trim_ascii_end(), &text[at + key.len()..]))
}

/// A value up to its first blank; of a number that stands there twice, hexadecimal first, the decimal one.
fn first_word(value: &[u8]) -> &[u8] {
    let mut words = value.split(u8::is_ascii_whitespace);
    let word = words.next().unwrap_or_default();
    let in_brackets = |word: &'_ [u8]| word.len() > 2 && word.starts_with(b"(") && word.ends_with(b")");
    match words.next() {
        Some(second) if word.starts_with(b"0x") && in_brackets(second) => &second[1..second.len() - 1],
        _ => word,
    }
}

fn priority(value: &[u8]) -> Option<i32> {
    let word = first_word(value);
    match word.strip_prefix(b"-") {
        Some(digits) => number(digits).and_then(|n| i32::try_from(n).ok()).map(|n| -n),
        None => number(word).and_then(|n| i32::try_from(n).ok()),
    }
}

/// A task with a name of at most 15 bytes, as the kernel keeps it.
fn task(comm: &[u8], pid: u32, prio: Option<i32>) -> Task {
    Task { pid, tgid: None, comm: comm.into(), prio }
}

/// `comm=a pid=1 prio=120`, with other words before the keys' names where `prefix` is not empty.
fn keyed(text: &[u8], prefix: &str, has_prio: bool) -> Option<Task> {
    let (text, prio) = if has_prio {
        let (text, value) = last(text, &format!(" {prefix}prio="))?;
        (text, Some(priority(value)?))
    } else {
        (text, None)
    };
    let (text, pid) = last(text, &format!(" {prefix}pid="))?;
    let (_, comm) = if prefix.is_empty() {
        (&text[..0], text.strip_prefix(b"comm=")?)
    } else {
        last(text, &format!("{prefix}comm="))?
    };
    Some(task(comm, number(first_word(pid))?, prio))
}

/// `a:1 [120]`, as plugins print a task.
fn plugged(text: &[u8]) -> Option<Task> {
    let (text, prio) = last(text, " [")?;
    let prio = priority(prio.strip_suffix(b"]")?)?;
    let colon = memchr::memrchr(b':', text)?;
    Some(task(&text[..colon], number(&text[colon + 1..])?, Some(prio)))
}

/// Who left, in what state, who came.
pub(super) fn switch(text: &[u8]) -> Option<(Task, Told, Task)> {
    if !text.starts_with(b"prev_comm=") {
        return memmem::find_iter(text, b" ==> ").find_map(|at| {
            let next = plugged(&text[at + 5..])?;
            let (before, state) = last(&text[..at], "] ")?;
            let prev = plugged(&text[..=before.len()])?;
            let letters = std::str::from_utf8(state).ok()?;
            Some((prev, Told::Letters(from_letters(letters, true)), next))
        });
    }
    let next = keyed(text, "next_", true)?;
    let (text, _) = last(text, " next_comm=")?;
    let text = text.strip_suffix(b"==>").unwrap_or(text).trim_ascii_end();
    let (before, state) = last(text, " prev_state=")?;
    let state = std::str::from_utf8(first_word(state)).ok()?;
    let told = match state.strip_prefix("0x") {
        Some(digits) => Told::Number(u64::from_str_radix(digits, 16).ok()?),
        None => state.parse().map_or_else(|_| Told::Letters(from_letters(state, false)), Told::Number),
    };
    let (before, prio) = last(before, " prev_prio=")?;
    let (before, pid) = last(before, " prev_pid=")?;
    let comm = before.strip_prefix(b"prev_comm=")?;
    Some((task(comm, number(first_word(pid))?, Some(priority(prio)?)), told, next))
}

/// Who is woken, and for which CPU.
pub(super) fn wake(text: &[u8]) -> Option<Wake> {
    if text.starts_with(b"comm=") {
        let (before, target) = last(text, " target_cpu=")?;
        return Some(Wake { wakee: keyed(before, "", true)?, target: number(first_word(target)) });
    }
    let (before, target) = last(text, "CPU:")?;
    let digits = target.iter().position(|b| !b.is_ascii_digit()).unwrap_or(target.len());
    let end = memchr::memrchr(b']', before)?;
    Some(Wake { wakee: plugged(&before[..=end])?, target: number(&target[..digits]) })
}

/// Who moves, from which CPU to which.
pub(super) fn migrate(text: &[u8]) -> Option<(Task, u32, u32)> {
    let (before, to) = last(text, " dest_cpu=")?;
    let (before, from) = last(before, " orig_cpu=")?;
    Some((keyed(before, "", true)?, number(first_word(from))?, number(first_word(to))?))
}

/// Parent and child.
pub(super) fn fork(text: &[u8]) -> Option<(Task, Task)> {
    let (before, child_pid) = last(text, " child_pid=")?;
    let (before, child_comm) = last(before, " child_comm=")?;
    let parent = if before.starts_with(b"parent_comm=") {
        keyed(before, "parent_", false)?
    } else {
        keyed(before, "", false)?
    };
    Some((parent, task(child_comm, number(first_word(child_pid))?, None)))
}

/// Thread id after and before. The name is that of the file, but not always, so it is left to later events.
pub(super) fn exec(text: &[u8]) -> Option<(Task, u32)> {
    let (before, old_pid) = last(text, " old_pid=")?;
    let (_, pid) = last(before, " pid=")?;
    Some((task(b"", number(first_word(pid))?, None), number(first_word(old_pid))?))
}

/// Who ends.
pub(super) fn exit(text: &[u8]) -> Option<Task> {
    let text = last(text, " group_dead=").map_or(text, |(before, _)| before);
    keyed(text, "", true)
}

/// Who has which name now.
pub(super) fn rename(text: &[u8]) -> Option<Task> {
    let pid = number(first_word(text.strip_prefix(b"pid=")?))?;
    let (before, _) = last(text, " oom_score_adj=")?;
    let (_, comm) = last(before, " newcomm=")?;
    Some(task(comm, pid, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(comm: &str, pid: u32, prio: i32) -> Task {
        Task { pid, tgid: None, comm: comm.into(), prio: Some(prio) }
    }

    #[test]
    fn names_with_blanks_arrows_colons_and_keys() {
        let text = b"prev_comm=a ==> b prev_pid=1 prev_prio=120 prev_state=D|K ==> next_comm=x pid=3: y next_pid=2 next_prio=98 next_info=4";
        assert_eq!(
            switch(text),
            Some((named("a ==> b", 1, 120), Told::Letters(Left::Disk), named("x pid=3: y", 2, 98)))
        );
        let plugin = b"a ==> b:1 [120] W ==> k/0:1:2 [-1]";
        assert_eq!(
            switch(plugin),
            Some((named("a ==> b", 1, 120), Told::Letters(Left::Idle), named("k/0:1", 2, -1)))
        );
        let raw =
            b"prev_comm=sh prev_pid=1 prev_prio=120 prev_state=0x1000 next_comm=y next_pid=2 next_prio=120";
        assert_eq!(switch(raw).map(|(_, told, _)| told), Some(Told::Number(0x1000)));
    }

    /// Lines of a 6.18 kernel with its option `fields`, shortened.
    #[test]
    fn numbers_that_stand_there_twice() {
        let text = b"prev_comm=a prev_pid=0xf (15) prev_prio=0x78 (120) prev_state=0x80 (128) next_comm=b c next_pid=0x5fb9 (24505) next_prio=0xffffffff (-1)";
        assert_eq!(switch(text), Some((named("a", 15, 120), Told::Number(128), named("b c", 24_505, -1))));
        let woken = Some(Wake { wakee: named("a", 15, 120), target: Some(1) });
        assert_eq!(wake(b"comm=a pid=0xf (15) prio=0x78 (120) target_cpu=0x1 (1)"), woken);
        let moved = b"comm=m pid=0xf (15) prio=0x78 (120) orig_cpu=0x0 (0) dest_cpu=0x1 (1)";
        assert_eq!(migrate(moved), Some((named("m", 15, 120), 0, 1)));
        let born = fork(b"parent_comm=a parent_pid=0x1f (31) child_comm=b child_pid=0x20 (32)").unwrap();
        assert_eq!((born.0.pid, born.1.pid), (31, 32));
        assert_eq!(exit(b"comm=m pid=0x5 (5) prio=0x78 (120) group_dead=(1)"), Some(named("m", 5, 120)));
        assert_eq!(
            exec(b"filename=/x pid=0x5 (5) old_pid=0x6 (6)").map(|(t, old)| (t.pid, old)),
            Some((5, 6))
        );
        let renamed = rename(b"pid=0x5 (5) oldcomm=a newcomm=b c oom_score_adj=0x0 (0)").unwrap();
        assert_eq!((renamed.pid, &renamed.comm[..]), (5, &b"b c"[..]));
    }

    #[test]
    fn wakes_of_both_shapes() {
        let expected = Some(Wake { wakee: named("my task", 7, 120), target: Some(3) });
        assert_eq!(wake(b"comm=my task pid=7 prio=120 success=1 target_cpu=003"), expected);
        assert_eq!(wake(b"comm=my task pid=7 prio=120 target_cpu=003"), expected);
        assert_eq!(wake(b"my task:7 [120] CPU:003"), expected);
        assert_eq!(wake(b"my task:7 [120] success=1 CPU:003"), expected);
        assert_eq!(wake(b"my task:7 [120] <CPU:003>"), expected);
    }

    #[test]
    fn births_moves_and_ends() {
        let parent = Task { prio: None, ..named("a b", 1, 0) };
        let child = Task { prio: None, ..named("c", 2, 0) };
        assert_eq!(fork(b"comm=a b pid=1 child_comm=c child_pid=2"), Some((parent, child)));
        assert_eq!(fork(b"parent_comm=a b parent_pid=1 child_comm=c child_pid=2"), Some((parent, child)));
        assert_eq!(migrate(b"comm=m pid=5 prio=0 orig_cpu=1 dest_cpu=0"), Some((named("m", 5, 0), 1, 0)));
        assert_eq!(exit(b"comm=m pid=5 prio=120 group_dead=true"), Some(named("m", 5, 120)));
        assert_eq!(exec(b"filename=/a b/pid=9 pid=5 old_pid=6").map(|(t, old)| (t.pid, old)), Some((5, 6)));
        assert_eq!(
            rename(b"pid=5 oldcomm=a newcomm=b c oom_score_adj=0").map(|t| t.comm),
            Some("b c".into())
        );
    }
}
