//! Making names harmless that others have chosen: a task picks its own comm, any user may name a cgroup.

use std::borrow::Cow;
use std::fmt::{Display, Write};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The name for a terminal: valid UTF-8 in which every character occupies its place and does nothing else.
///
/// What controls a terminal, reorders text or cannot be seen becomes a visible escape: `\xNN` for the bytes
/// below 0x80 and for bytes that are no UTF-8, `\u{…}` for characters (C1 controls, bidirectional controls,
/// whatever has no width). A backslash becomes `\\`, so that no name can pass for the escape of another:
/// different names stay different.
pub(crate) fn harmless(name: &[u8]) -> String {
    let mut text = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => text.push_str("\\\\"),
                c if c.is_ascii_control() => escape(&mut text, format_args!("\\x{:02x}", u32::from(c))),
                c if is_active(c) => escape(&mut text, format_args!("\\u{{{:x}}}", u32::from(c))),
                c => text.push(c),
            }
        }
        for byte in chunk.invalid() {
            escape(&mut text, format_args!("\\x{byte:02x}"));
        }
    }
    text
}

/// The name for a CSV cell: [`harmless`], and with a `'` in front where a spreadsheet would take it for a
/// formula.
///
/// That is a name whose first character, blanks aside, is `=`, `+`, `-` or `@`, in ASCII or full width.
/// Quoting of commas and quotes is left to the CSV writer; line breaks are escaped here, so a row is always
/// one line.
pub(crate) fn harmless_in_csv(name: &[u8]) -> String {
    let mut text = harmless(name);
    if text.trim_start().starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']) {
        text.insert(0, '\'');
    }
    text
}

/// The text cut to a number of terminal columns, with a `+` in the last one where something is missing (as in
/// `ps`).
pub(crate) fn clip(text: &str, columns: usize) -> Cow<'_, str> {
    if text.width() <= columns {
        return Cow::Borrowed(text);
    }
    let mut room = columns.saturating_sub(1);
    let kept = text.chars().take_while(|c| {
        let width = c.width().unwrap_or(0);
        let fits = width <= room;
        room = room.saturating_sub(width);
        fits
    });
    Cow::Owned(kept.chain("+".chars()).collect())
}

/// A number with the noun it counts, which takes an s unless it is 1, or es where the s would not be heard.
pub(crate) fn count(number: impl TryInto<u64> + Display + Copy, noun: &str) -> String {
    let ending = match number.try_into() {
        Ok(1) => "",
        _ if noun.ends_with("ch") => "es",
        _ => "s",
    };
    format!("{number} {noun}{ending}")
}

/// Whether a character outside ASCII does more than fill its place.
fn is_active(c: char) -> bool {
    // Without width: C1 controls, zero-width spaces and joiners, most bidirectional controls, combining
    // marks, variation selectors, tags. The ranges name what some version of the width tables gives a column.
    c.width().unwrap_or(0) == 0
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' // soft hyphen, Arabic letter mark, Hangul fillers
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' // zero width, line breaks, bidi
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}') // byte order mark, annotations, tags
}

fn escape(text: &mut String, escaped: std::fmt::Arguments<'_>) {
    text.write_fmt(escaped).expect("a String takes everything");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ordinary_names_are_left_alone() {
        for name in [
            "",
            "kworker/0:1H-kb",
            "(sd-pam)",
            "a b",
            "Web Content",
            "Größe",
            "日本語",
            "a,b",
            "say \"hi\"",
            "a)",
        ] {
            assert_eq!(harmless(name.as_bytes()), name);
            assert_eq!(harmless_in_csv(name.as_bytes()), name);
        }
        assert_eq!(harmless(b"123456789012345"), "123456789012345");
    }

    #[test]
    fn whatever_acts_on_a_terminal_is_spelled_out() {
        let cases: [(&[u8], &str); 18] = [
            (b"a\nb", r"a\x0ab"),
            (b"a\tb", r"a\x09b"),
            (b"a\rb", r"a\x0db"),
            (b"\x1b[2J", r"\x1b[2J"),
            (b"\x1b]0;t\x07", r"\x1b]0;t\x07"),
            (b"\x7f", r"\x7f"),
            (b"\xff", r"\xff"),
            (b"\xc2\x9b31m", r"\u{9b}31m"),
            (b"\x9b31m", r"\x9b31m"),
            (b"\xc3", r"\xc3"),                 // cut in the middle of a character
            (b"\xed\xa0\x80", r"\xed\xa0\x80"), // a surrogate
            (b"\xc0\x8a", r"\xc0\x8a"),         // overlong newline
            ("\u{202e}x".as_bytes(), r"\u{202e}x"),
            ("\u{2066}x\u{2069}".as_bytes(), r"\u{2066}x\u{2069}"),
            ("a\u{200b}b\u{feff}".as_bytes(), r"a\u{200b}b\u{feff}"),
            ("e\u{301}".as_bytes(), r"e\u{301}"),
            ("\u{2028}\u{2029}".as_bytes(), r"\u{2028}\u{2029}"),
            (br"\x1b", r"\\x1b"),
        ];
        for (name, expected) in cases {
            assert_eq!(harmless(name), expected);
            assert_eq!(harmless_in_csv(name), expected);
        }
    }

    #[test]
    fn a_formula_is_no_formula_in_csv() {
        for name in ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "＝1", "=cmd|' /C calc'"] {
            assert_eq!(harmless(name.as_bytes()), name);
            assert_eq!(harmless_in_csv(name.as_bytes()), format!("'{name}"));
        }
        assert_eq!(harmless_in_csv(b"\t=1"), r"\x09=1");
        assert_eq!(harmless_in_csv(b"a=1"), "a=1");
    }

    #[test]
    fn clipping_counts_columns_and_not_bytes() {
        assert_eq!(clip("sixsix", 6), "sixsix");
        assert_eq!(clip("sixsixs", 6), "sixsi+");
        assert_eq!(clip("日本語", 6), "日本語");
        assert_eq!(clip("日本語", 5), "日本+");
        assert_eq!(clip("日本語", 4), "日+");
        assert_eq!(clip("日本語", 1), "+");
    }

    #[test]
    fn no_character_of_unicode_acts() {
        for c in char::MIN..=char::MAX {
            let text = harmless(c.encode_utf8(&mut [0; 4]).as_bytes());
            assert!(text.chars().all(|c| !c.is_control() && c.width().is_some_and(|w| w > 0)), "{text}");
        }
    }

    /// Names made of escapes and of what looks like them.
    fn pieces() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop::sample::select(vec!["\x1b", "\\x1b", "\\", "x1b", "\u{9b}", "\\u{9b}"]);
        prop::collection::vec(piece, 0..3).prop_map(|pieces| pieces.concat().into_bytes())
    }

    proptest! {
        #[test]
        fn no_name_acts_and_every_character_has_its_place(name in prop::collection::vec(any::<u8>(), 0..16)) {
            for text in [harmless(&name), harmless_in_csv(&name)] {
                prop_assert!(!text.chars().any(char::is_control));
                prop_assert!(text.chars().all(|c| c.width().is_some_and(|w| w > 0)));
            }
        }

        #[test]
        fn different_names_stay_different(a in pieces(), b in pieces()) {
            prop_assert_eq!(a == b, harmless(&a) == harmless(&b));
        }

        #[test]
        fn a_clipped_text_fits(text in "\\PC{0,20}", columns in 1usize..12) {
            let text = harmless(text.as_bytes());
            prop_assert!(clip(&text, columns).width() <= columns);
        }
    }
}
