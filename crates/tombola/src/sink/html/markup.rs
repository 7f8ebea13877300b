//! Texts in HTML.

use crate::text::harmless;
use std::fmt::Write;

/// Appends to a page.
pub(super) fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a String takes everything");
}

/// A text as content or attribute of an element. It is made harmless too: what reorders text does so in a
/// browser as well.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in harmless_words(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// What is harmless already stays as it is: a second time every backslash would be doubled.
fn harmless_words(text: &str) -> String {
    let parts = text.split('\\').map(|part| harmless(part.as_bytes()));
    parts.collect::<Vec<_>>().join("\\")
}

/// JSON that may stand in a script element: no `<`, no `&`, no line break that scripts know.
pub(super) fn json_in_script(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                write!(out, "\\u{:04x}", u32::from(c)).expect("a String takes everything");
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_gets_out_of_its_place() {
        assert_eq!(escape(r#"<b a="1" c='2'>&\x1b"#), r"&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;\x1b");
        assert_eq!(escape("a\u{202e}b\n"), "a\\u{202e}b\\x0a");
        let json = serde_json::to_string("</script><!-- & \u{2028}").unwrap();
        let inside = json_in_script(&json);
        assert!(!inside.contains(['<', '>', '&', '\u{2028}']));
        assert_eq!(serde_json::from_str::<String>(&inside).unwrap(), "</script><!-- & \u{2028}");
    }
}
