//! The layouts of `prev_state`, which the kernel changed five times, and which law a recording follows.
//!
//! | kernels | bits | preempted |
//! |---|---|---|
//! | to 3.8 | S 1, D 2, T 4, t 8, Z/X 16 and 32, x 64, K 128, W 256 | 512 |
//! | 3.9 to 4.1 | the same, P 512 | 1024 |
//! | 4.2 to 4.7 | the same, N 1024 | 2048 |
//! | 4.8 to 4.13 | the same, `TASK_NEW` 2048 | 4096 |
//! | 4.14 as released | not bits but an index: 1 S, 2 D, 3 T, 4 t, 5 X, 6 Z, 7 P, 8 I, while the print format says bits | 4096 |
//! | 4.14 mended, and since | S 1, D 2, T 4, t 8, X 16, Z 32, P 64, I 128 | 256 |
//!
//! A recording's own print format decides where there is one; the release is second; values that only one law
//! explains are third. Thresholds as in Perfetto's `src/trace_processor/types/task_state.cc`.

use crate::event::Left;

/// How to read the number in `prev_state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateLaw {
    kind: LawKind,
    preempted: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LawKind {
    /// 4.14 and later.
    Report,
    /// 4.14 as released.
    Index,
    /// Before 4.14: the task's own bits.
    Raw,
    /// As 4.14 and later, in a file of this crate.
    Written,
}

impl Default for StateLaw {
    /// The law of 4.14 and later.
    fn default() -> Self {
        Self { kind: LawKind::Report, preempted: 0x100 }
    }
}

impl StateLaw {
    /// From the `print fmt` of `sched_switch` (the line with or without its `print fmt:`); `None` where it
    /// has no test for "+".
    pub fn from_print_fmt(print_fmt: &str) -> Option<Self> {
        let before = &print_fmt[..print_fmt.rfind("? \"+\"")?];
        let at = before.rfind("prev_state &")? + "prev_state &".len();
        let preempted = Expression(before[at..].trim().as_bytes()).value()?;
        if !preempted.is_power_of_two() {
            return None;
        }
        let kind = if preempted == 0x100 { LawKind::Report } else { LawKind::Raw };
        Some(Self { kind, preempted })
    }

    /// From a kernel release (`uname -r`); `None` where it does not begin with two numbers.
    pub fn from_release(release: &str) -> Option<Self> {
        let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
        let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else { return None };
        Some(match (major, minor) {
            (..=2, _) | (3, ..=8) => Self::raw(0x200),
            (3, _) | (4, ..=1) => Self::raw(0x400),
            (4, ..=7) => Self::raw(0x800),
            (4, ..=13) => Self::raw(0x1000),
            _ => Self::default(),
        })
    }

    /// From values that only one law explains, seen anywhere in a recording that tells neither format nor
    /// release; `None` where they leave it open.
    pub fn from_values(values: impl IntoIterator<Item = u64>) -> Option<Self> {
        values.into_iter().find_map(|value| match value {
            0x1000.. => Some(Self::raw(0x1000)),
            0x400 => Some(Self::raw(0x400)),
            0x800 => Some(Self::raw(0x800)),
            0x100 => Some(Self::default()),
            _ => None,
        })
    }

    fn raw(preempted: u64) -> Self {
        Self { kind: LawKind::Raw, preempted }
    }

    /// The law of a file that this crate wrote: it never changes while reading.
    pub(crate) fn written(preempted: u64) -> Self {
        let kind = if preempted == 0x100 { LawKind::Written } else { LawKind::Raw };
        Self { kind, preempted }
    }

    /// The bit of the preemption flag.
    pub(crate) fn preempted(&self) -> u64 {
        self.preempted
    }

    /// The value that means a state in a file for others, who know the release.
    pub(crate) fn number(&self, left: Left) -> u64 {
        let is_raw = self.kind == LawKind::Raw;
        match left {
            Left::Runnable { preempted: Some(true) } => self.preempted,
            Left::Runnable { .. } | Left::Yielded => 0,
            Left::Sleep => 1,
            Left::Disk => 2,
            Left::Stopped => 4,
            Left::Dead if is_raw => 0x40,
            Left::Dead => 0x10,
            Left::Idle if is_raw => 0x200,
            Left::Idle => 0x80,
            Left::Other(value) => value,
            Left::Unknown => NOT_TOLD,
        }
    }

    /// What a value means. A law of 4.14 and later turns itself into that of the 4.14 that was released with
    /// an index, when it meets a value that cannot be anything else; values before the first such are then
    /// read as bits (1 and 2 mean the same in both).
    pub fn left(&mut self, value: u64) -> Left {
        if self.kind == LawKind::Report && (value == 0x1000 || (value < 0x40 && value.count_ones() > 1)) {
            *self = Self { kind: LawKind::Index, preempted: 0x1000 };
        }
        if value == NOT_TOLD {
            return Left::Unknown;
        }
        if value == 0 || value & self.preempted != 0 {
            return Left::Runnable { preempted: Some(value != 0) };
        }
        match self.kind {
            LawKind::Report | LawKind::Written => match value {
                0x01 => Left::Sleep,
                0x02 => Left::Disk,
                0x04 | 0x08 => Left::Stopped,
                0x10 | 0x20 => Left::Dead,
                0x40 | 0x80 => Left::Idle,
                other => Left::Other(other),
            },
            LawKind::Index => match value {
                1 => Left::Sleep,
                2 => Left::Disk,
                3 | 4 => Left::Stopped,
                5 | 6 => Left::Dead,
                7 | 8 => Left::Idle,
                other => Left::Other(other),
            },
            LawKind::Raw => raw_left(value),
        }
    }
}

/// Bits of the task itself. 64 is `TASK_DEAD`, 512 parked, 1024 "no load" (an idle kernel worker).
fn raw_left(value: u64) -> Left {
    match value {
        v if v & (16 | 32 | 64) != 0 => Left::Dead,
        v if v & (512 | 1024) != 0 => Left::Idle,
        v if v & 1 != 0 => Left::Sleep,
        v if v & 2 != 0 => Left::Disk,
        v if v & (4 | 8) != 0 => Left::Stopped,
        other => Left::Other(other),
    }
}

/// Stands for a state that was not told, in files that this crate writes.
const NOT_TOLD: u64 = 1 << 30;

/// Letters as the kernel's text has them: `S`, `D|K`, `R+`. Where `plugin` is true they were printed by
/// libtraceevent's plugin, which knows the letters before 4.14 only (so `W` is an idle kernel worker and `x`
/// a parked one) and leaves the plus away.
pub fn from_letters(letters: &str, plugin: bool) -> Left {
    let text = letters.trim();
    if let Some(rest) = text.strip_prefix('R') {
        return match rest {
            "" => Left::Runnable { preempted: (!plugin).then_some(false) },
            _ => Left::Runnable { preempted: Some(true) },
        };
    }
    if text.ends_with('+') {
        return Left::Runnable { preempted: Some(true) };
    }
    let has = |wanted: &str| text.chars().any(|c| wanted.contains(c));
    match text {
        _ if has("I") || has("N") || has("P") || (plugin && (text == "W" || text == "x")) => Left::Idle,
        _ if has("X") || has("Z") || has("x") => Left::Dead,
        _ if has("S") => Left::Sleep,
        _ if has("D") => Left::Disk,
        _ if has("T") || has("t") => Left::Stopped,
        _ => text.bytes().next().map_or(Left::Unknown, |first| Left::Other(u64::from(first))),
    }
}

/// Integer expressions of C as print formats hold them: numbers, `|`, `+`, `-`, `<<`, `&`, parentheses.
struct Expression<'a>(&'a [u8]);

impl Expression<'_> {
    /// Longer nesting than any kernel's.
    const DEPTH: u32 = 32;

    fn value(mut self) -> Option<u64> {
        let value = self.binary(0, 0)?;
        self.blanks();
        self.0.is_empty().then_some(value)
    }

    fn blanks(&mut self) {
        self.0 = self.0.trim_ascii_start();
    }

    /// Binding of an operator, loosest first: `|`, `&`, `<<`, `+` and `-`.
    fn operator(&self) -> Option<(u8, &'static str)> {
        [(0, "|"), (1, "&"), (2, "<<"), (3, "+"), (3, "-")]
            .into_iter()
            .find(|(_, sign)| self.0.starts_with(sign.as_bytes()))
    }

    fn binary(&mut self, least: u8, depth: u32) -> Option<u64> {
        let mut left = self.atom(depth)?;
        loop {
            self.blanks();
            let Some((binding, sign)) = self.operator() else { return Some(left) };
            if binding < least {
                return Some(left);
            }
            self.0 = &self.0[sign.len()..];
            let right = self.binary(binding + 1, depth)?;
            left = match sign {
                "|" => left | right,
                "&" => left & right,
                "<<" => left.checked_shl(u32::try_from(right).ok()?)?,
                "+" => left.checked_add(right)?,
                _ => left.checked_sub(right)?,
            };
        }
    }

    fn atom(&mut self, depth: u32) -> Option<u64> {
        self.blanks();
        if let Some(rest) = self.0.strip_prefix(b"(") {
            if depth == Self::DEPTH {
                return None;
            }
            self.0 = rest;
            let value = self.binary(0, depth + 1)?;
            self.blanks();
            self.0 = self.0.strip_prefix(b")")?;
            return Some(value);
        }
        let end = self.0.iter().position(|c| !c.is_ascii_alphanumeric()).unwrap_or(self.0.len());
        let (digits, rest) = self.0.split_at(end);
        self.0 = rest;
        let digits = std::str::from_utf8(digits).ok()?.trim_end_matches(['u', 'U', 'l', 'L']);
        match digits.strip_prefix("0x") {
            Some(hexadecimal) => u64::from_str_radix(hexadecimal, 16).ok(),
            None => digits.parse().ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNNABLE: Left = Left::Runnable { preempted: Some(true) };

    /// Print formats of real kernels, shortened to what matters.
    #[test]
    fn the_print_format_tells_the_law() {
        let fmt = |mask: &str, plus: &str| {
            format!(
                "REC->prev_state & {mask} ? __print_flags(REC->prev_state & {mask}, \"|\", {{ 1, \"S\"}}) : \"R\", REC->prev_state & {plus} ? \"+\" : \"\", REC->next_comm"
            )
        };
        let mut old = StateLaw::from_print_fmt(&fmt("(1024-1)", "1024")).unwrap();
        assert_eq!((old.left(0x400), old.left(0x40), old.left(512)), (RUNNABLE, Left::Dead, Left::Idle));
        assert_eq!(old.left(0x82), Left::Disk); // killable
        let bits = "0x00000000 | 0x00000001 | 0x00000002 | 0x00000004 | 0x00000008 | 0x00000010 | 0x00000020 | 0x00000040";
        let mut new = StateLaw::from_print_fmt(&fmt(
            &format!("(((({bits}) + 1) << 1) - 1)"),
            &format!("((({bits}) + 1) << 1)"),
        ))
        .unwrap();
        assert_eq!(new, StateLaw::default());
        assert_eq!((new.left(0x100), new.left(0x40), new.left(0x80)), (RUNNABLE, Left::Idle, Left::Idle));
        assert_eq!(StateLaw::from_print_fmt("REC->prev_state & ((( ? \"+\""), None);
        assert_eq!(
            StateLaw::from_print_fmt(&format!("REC->prev_state & {}1 ? \"+\"", "(".repeat(100_000))),
            None
        );
    }

    #[test]
    fn the_released_4_14_had_an_index_under_a_format_of_bits() {
        let mut law = StateLaw::from_release("4.14.62-foo").unwrap();
        assert_eq!(law.left(1), Left::Sleep);
        assert_eq!(law.left(0x1000), RUNNABLE);
        assert_eq!((law.left(8), law.left(3), law.left(5)), (Left::Idle, Left::Stopped, Left::Dead));
    }

    #[test]
    fn releases_and_values() {
        let preempted = |release: &str| StateLaw::from_release(release).map(|law| law.preempted);
        assert_eq!(preempted("3.4.0"), Some(0x200));
        assert_eq!(preempted("3.10.49-g1"), Some(0x400));
        assert_eq!(preempted("4.4.88"), Some(0x800));
        assert_eq!(preempted("4.13.0-32-generic"), Some(0x1000));
        assert_eq!(preempted("6.1.0"), Some(0x100));
        assert_eq!(preempted("Linux"), None);
        let mut law = StateLaw::from_values([0, 1, 64, 4096]).unwrap();
        assert_eq!((law.left(64), law.left(4096)), (Left::Dead, RUNNABLE));
        assert_eq!(StateLaw::from_values([0, 1, 2]), None);
    }

    #[test]
    fn letters_of_the_kernel_and_of_the_plugin() {
        assert_eq!(from_letters("R", false), Left::Runnable { preempted: Some(false) });
        assert_eq!(from_letters("R", true), Left::Runnable { preempted: None });
        assert_eq!(from_letters("R+", false), RUNNABLE);
        assert_eq!(from_letters("D|K", false), Left::Disk);
        assert_eq!(from_letters("W", true), Left::Idle);
        assert_eq!(from_letters("S|W", false), Left::Sleep);
        assert_eq!(from_letters("x", false), Left::Dead);
        assert_eq!(from_letters("K", false), Left::Other(u64::from(b'K')));
    }
}
