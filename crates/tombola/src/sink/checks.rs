//! A verdict for machines that build: test cases of `JUnit`, annotations of GitHub's workflows.

use crate::threshold::Judgement;
use std::fmt::Write;

/// What is told.
pub(crate) struct Checks<'a> {
    /// The verdict in words, harmless.
    pub(crate) paragraph: &'a str,
    /// Each limit as it was written, and what became of it.
    pub(crate) limits: &'a [(String, Judgement)],
    /// Findings in words, harmless.
    pub(crate) findings: &'a [String],
}

/// A suite with a test case for each limit, as text that ends with a line break. A limit of which nothing is
/// known is an error, not a failure: the test did not run.
pub(crate) fn junit(checks: &Checks<'_>) -> String {
    let count = |is_one: fn(&Judgement) -> bool| checks.limits.iter().filter(|(_, it)| is_one(it)).count();
    let failures = count(|it| matches!(it, Judgement::Exceeded(_)));
    let errors = count(|it| matches!(it, Judgement::Unknown(_)));
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n<testsuite name=\"tombola audit\" tests=\"{}\" failures=\"{failures}\" \
         errors=\"{errors}\" skipped=\"0\">\n",
        checks.limits.len()
    );
    for (limit, judgement) in checks.limits {
        let limit = xml(limit);
        let (what, said) = match judgement {
            Judgement::Kept => {
                put(&mut out, format_args!("<testcase classname=\"tombola.audit\" name=\"{limit}\"/>\n"));
                continue;
            }
            Judgement::Exceeded(said) => ("failure", xml(said)),
            Judgement::Unknown(said) => ("error", xml(said)),
        };
        put(
            &mut out,
            format_args!(
                "<testcase classname=\"tombola.audit\" name=\"{limit}\"><{what} message=\"{said}\">{said}</{what}></testcase>\n"
            ),
        );
    }
    put(&mut out, format_args!("<system-out>{}", xml(checks.paragraph)));
    for finding in checks.findings {
        put(&mut out, format_args!("\n{}", xml(finding)));
    }
    out + "</system-out>\n</testsuite>\n</testsuites>\n"
}

/// A line each: the verdict, limits that are exceeded or of which nothing is known, findings.
pub(crate) fn github(checks: &Checks<'_>) -> String {
    let mut out = format!("::notice title=tombola::{}\n", command(checks.paragraph));
    for (_, judgement) in checks.limits {
        if let Judgement::Exceeded(said) | Judgement::Unknown(said) = judgement {
            put(&mut out, format_args!("::error title=tombola::{}\n", command(said)));
        }
    }
    for finding in checks.findings {
        put(&mut out, format_args!("::warning title=tombola::{}\n", command(finding)));
    }
    out
}

/// The data of a workflow command: these three end or escape it.
fn command(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a String takes everything");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checks(limits: &[(String, Judgement)], of: fn(&Checks<'_>) -> String) -> String {
        let findings = ["<b> & \"quota\" 100 %".to_owned()];
        of(&Checks { paragraph: "waited 43 % of \\x1b", limits, findings: &findings })
    }

    #[test]
    fn a_suite_counts_its_cases_and_escapes_what_it_says() {
        let limits = [
            ("waited>20%".to_owned(), Judgement::Exceeded("43.0 % waited".to_owned())),
            ("lag>1s".to_owned(), Judgement::Kept),
            ("lag>2s".to_owned(), Judgement::Unknown("nobody seen".to_owned())),
        ];
        let text = checks(&limits, junit);
        assert!(text.contains("tests=\"3\" failures=\"1\" errors=\"1\""), "{text}");
        assert!(
            text.contains("name=\"lag&gt;2s\"><error message=\"nobody seen\">nobody seen</error>"),
            "{text}"
        );
        assert!(text.contains("name=\"waited&gt;20%\"><failure message=\"43.0 % waited\">"), "{text}");
        assert!(text.contains("&lt;b&gt; &amp; &quot;quota&quot; 100 %"), "{text}");
        assert_eq!(text.matches('<').count(), text.matches('>').count(), "{text}");
    }

    #[test]
    fn an_annotation_is_one_line() {
        let limits = [("waited>20%".to_owned(), Judgement::Exceeded("43.0 % waited\nmore".to_owned()))];
        let text = checks(&limits, github);
        assert_eq!(
            text,
            "::notice title=tombola::waited 43 %25 of \\x1b\n::error title=tombola::43.0 %25 waited%0Amore\n\
             ::warning title=tombola::<b> & \"quota\" 100 %25\n"
        );
    }
}
