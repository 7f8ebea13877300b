//! A line of text: who, on which CPU, in what context, when, which event.
//!
//! ```text
//!             bash-12345   [000] d..2.  3168.658876: sched_switch: prev_comm=…     the kernel's `trace`, systrace
//!     bash-12345 ( 12345)  [000] d..2   3168.658876: sched_switch: prev_comm=…     with the option record-tgid
//!  inst:      bash-12345   [000]        3168.658876: sched_switch:  bash:12345 …   trace-cmd report
//!             bash   12345 [000]        3168.658876: sched:sched_switch: prev_…    perf script
//!     bash-12345     0d..2. 3168658876us+: sched_switch: prev_comm=…               with the option latency-format
//! ```
//!
//! Names can hold blanks, dashes, colons and brackets, so the CPU is the first bracket behind which the rest
//! of the line makes sense, and what stands before it is read from the right.

use crate::event::Context;
use memchr::memmem;

/// The parts of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// Thread id of the task that was on the CPU, where it can be read.
    pub(super) pid: Option<u32>,
    /// Its process, where the line has that column.
    pub(super) tgid: Option<u32>,
    pub(super) cpu: u32,
    /// From the third flag; `None` where there are no flags.
    pub(super) context: Option<Context>,
    pub(super) ts_ns: u64,
    /// Finest difference its time can show, ns.
    pub(super) resolution_ns: u64,
    /// Name of the event, without `sched:`.
    pub(super) name: &'a [u8],
    /// Whether it is a line of perf.
    pub(super) is_perf: bool,
    /// What follows the name.
    pub(super) arguments: &'a [u8],
}

impl<'a> Line<'a> {
    /// Takes a line apart; `None` where it is none of an event.
    pub(super) fn read(line: &'a [u8]) -> Option<Self> {
        memchr::memchr_iter(b'[', line)
            .find_map(|at| Self::at_bracket(line, at))
            .or_else(|| memmem::find_iter(line, b"us").find_map(|at| Self::at_latency(line, at)))
    }

    fn at_bracket(line: &'a [u8], at: usize) -> Option<Self> {
        let rest = &line[at + 1..];
        let close = rest.iter().take(11).position(|b| *b == b']')?;
        let cpu = number(&rest[..close])?;
        let rest = rest[close + 1..].strip_prefix(b" ")?.trim_ascii_start();
        let (first, after) = word(rest);
        let (flags, (ts_ns, resolution_ns), rest) = if let Some(time) = time(first) {
            (None, time, after)
        } else {
            let (second, after) = word(after);
            (Some(first), time(second)?, after)
        };
        let rest = passed_over(rest);
        let (is_perf, name, arguments) = event(rest);
        let (pid, tgid) = who(line[..at].trim_ascii(), is_perf);
        let context = flags.and_then(context);
        Some(Self { pid, tgid, cpu, context, ts_ns, resolution_ns, name, is_perf, arguments })
    }

    /// `CPU flags` without a blank between them, then whole microseconds before `us`, one character that
    /// marks long times, and a colon.
    fn at_latency(line: &'a [u8], at: usize) -> Option<Self> {
        let rest = line.get(at + 3..)?.strip_prefix(b":")?;
        let digits = line[..at].iter().rposition(|b| !b.is_ascii_digit())? + 1;
        let ts_ns = long(&line[digits..at])?.checked_mul(1000)?;
        let before = line[..digits].trim_ascii_end();
        let start = before.iter().rposition(u8::is_ascii_whitespace)? + 1;
        let flags = before[start..].iter().position(|b| !b.is_ascii_digit())? + start;
        let cpu = number(&before[start..flags])?;
        let (is_perf, name, arguments) = event(rest.trim_ascii_start());
        let (pid, tgid) = who(before[..start].trim_ascii(), is_perf);
        let context = context(&before[flags..]);
        Some(Self { pid, tgid, cpu, context, ts_ns, resolution_ns: 1000, name, is_perf, arguments })
    }
}

/// Whether it is perf's, the event's name, and what follows. The name may stand without a blank before its
/// arguments, and has none in it.
fn event(rest: &[u8]) -> (bool, &[u8], &[u8]) {
    let end = rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len());
    let name = rest[..end].strip_suffix(b":").unwrap_or(&rest[..end]);
    let arguments = rest[end..].trim_ascii();
    match memchr::memrchr(b':', name) {
        Some(colon) => (true, &name[colon + 1..], arguments),
        None => (false, name, arguments),
    }
}

/// Passes over what may stand between time and event: perf's period, `(+5)` of `trace-cmd report --ts-diff`.
fn passed_over(rest: &[u8]) -> &[u8] {
    let (first, after) = word(rest);
    let is_difference = first.starts_with(b"(+") && first.ends_with(b")");
    if is_difference || first.iter().all(u8::is_ascii_digit) { after } else { rest }
}

/// Thread id and process from what stands before the CPU.
fn who(text: &[u8], is_perf: bool) -> (Option<u32>, Option<u32>) {
    let (text, tgid) = match (text.strip_suffix(b")"), memchr::memrchr(b'(', text)) {
        (Some(open), Some(at)) => (text[..at].trim_ascii(), number(open[at + 1..].trim_ascii())),
        _ => (text, None),
    };
    let digits = text.iter().rposition(|b| !b.is_ascii_digit()).map_or(0, |at| at + 1);
    let before = if digits == 0 { None } else { Some(text[digits - 1]) };
    match (is_perf, before) {
        // perf: -1 is a task that is already taken apart; pid/tid on request.
        (true, Some(b'-')) => (None, tgid),
        (true, Some(b'/')) => {
            let process = text[..digits - 1].rsplit(u8::is_ascii_whitespace).next().and_then(number);
            (number(&text[digits..]), process)
        }
        _ => (number(&text[digits..]), tgid),
    }
}

/// Flags as `d..2.`: the third is `h`, `H`, `s`, `Z` or `z` in an interrupt.
fn context(flags: &[u8]) -> Option<Context> {
    match (flags.len(), flags.get(2)?) {
        (4..=8, b'h' | b'H' | b's' | b'Z' | b'z') => Some(Context::Interrupt),
        (4..=8, b'.') => Some(Context::Task),
        _ => None,
    }
}

/// Seconds with a fraction of 6 or 9 digits, or a whole number of a clock that counts, and a colon.
fn time(text: &[u8]) -> Option<(u64, u64)> {
    let text = text.strip_suffix(b":")?;
    let Some(dot) = memchr::memchr(b'.', text) else { return long(text).map(|n| (n, 1)) };
    let (seconds, fraction) = (long(&text[..dot])?, &text[dot + 1..]);
    if fraction.is_empty() || fraction.len() > 9 {
        return None;
    }
    let resolution_ns = 10u64.pow(9 - u32::try_from(fraction.len()).ok()?);
    let ts_ns = seconds.checked_mul(1_000_000_000)?.checked_add(long(fraction)? * resolution_ns)?;
    Some((ts_ns, resolution_ns))
}

/// Up to the next blank, and what follows it.
fn word(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(u8::is_ascii_whitespace).unwrap_or(text.len());
    (&text[..end], text[end..].trim_ascii_start())
}

fn long(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

pub(super) fn number(digits: &[u8]) -> Option<u32> {
    long(digits).and_then(|n| u32::try_from(n).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Option<Line<'_>> {
        Line::read(line.as_bytes())
    }

    #[test]
    fn the_four_shapes() {
        let kernel =
            read("            bash-12345   [000] d.s2.  3168.658876: sched_switch: prev_comm=bash").unwrap();
        assert_eq!((kernel.pid, kernel.cpu, kernel.ts_ns), (Some(12345), 0, 3_168_658_876_000));
        assert_eq!((kernel.context, kernel.resolution_ns), (Some(Context::Interrupt), 1000));
        assert_eq!((kernel.name, kernel.arguments), (&b"sched_switch"[..], &b"prev_comm=bash"[..]));
        let tgid = read("   RenderThread-812 (  760) [011] ....  1.000001: sched_waking: comm=a").unwrap();
        assert_eq!(
            (tgid.pid, tgid.tgid, tgid.cpu, tgid.context),
            (Some(812), Some(760), 11, Some(Context::Task))
        );
        let hidden = read("   <...>-812 (-----) [011] ....  1.000001: sched_waking: comm=a").unwrap();
        assert_eq!((hidden.pid, hidden.tgid), (Some(812), None));
        let trace_cmd =
            read("inst_12:   kworker/u12:1-46 [002]    76.211715: sched_switch:  x:1 [120] S ==> y:2 [120]")
                .unwrap();
        assert_eq!((trace_cmd.pid, trace_cmd.context, trace_cmd.is_perf), (Some(46), None, false));
        let perf = read(
            "  Web Content  12348/12350 [000]  3163.080459976:       sched:sched_switch: prev_comm=perf",
        )
        .unwrap();
        assert_eq!((perf.pid, perf.tgid, perf.resolution_ns), (Some(12350), Some(12348), 1));
        assert_eq!((perf.name, perf.is_perf), (&b"sched_switch"[..], true));
    }

    #[test]
    fn what_options_put_into_a_line() {
        let latency =
            read("rcu_pree-15        0d..2. 59306251298us!: sched_switch: prev_comm=rcu us: b").unwrap();
        assert_eq!((latency.pid, latency.cpu, latency.ts_ns), (Some(15), 0, 59_306_251_298_000));
        assert_eq!((latency.context, latency.resolution_ns), (Some(Context::Task), 1000));
        assert_eq!((latency.name, latency.arguments), (&b"sched_switch"[..], &b"prev_comm=rcu us: b"[..]));
        let period = read(" a 6 [001] 59095.895462833:          1       sched:sched_waking: comm=a").unwrap();
        assert_eq!((period.name, period.arguments), (&b"sched_waking"[..], &b"comm=a"[..]));
        let difference = read(" a-6 [001] 59095.895462: (+12)   sched_waking:  comm=a").unwrap();
        assert_eq!((difference.name, difference.ts_ns), (&b"sched_waking"[..], 59_095_895_462_000));
    }

    #[test]
    fn names_that_look_like_something_else() {
        let line = read(" a [001] b: 1.5-3-77 [002] .....  9.000000: sched_waking: comm=a").unwrap();
        assert_eq!((line.pid, line.cpu, line.ts_ns), (Some(77), 2, 9_000_000_000));
        assert_eq!(read("# tracer: nop [000]"), None);
        assert_eq!(read("   x-1 [99999999999] ....  1.000001: sched_waking: comm=a"), None);
        assert_eq!(read("   x-1 [000] ....  99999999999999999999.000001: sched_waking: comm=a"), None);
    }
}
