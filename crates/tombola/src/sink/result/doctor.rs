//! What `doctor` found.

use crate::text::harmless;
use anyhow::Result;
use schemars::JsonSchema;
use serde::Serialize;
use tombola_kernel::probe::{self, Finding};

/// All findings, and what they come to.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "tombola doctor")]
struct Record {
    /// Whether this user can load the monitor on this kernel.
    usable: bool,
    /// In the order in which things have to be right.
    findings: Vec<FindingRecord>,
}

#[derive(Serialize, JsonSchema)]
struct FindingRecord {
    /// What was looked at.
    name: String,
    /// `ok`, `info`, `warn` or `fail`; one `fail` makes it unusable.
    verdict: String,
    /// What was found.
    detail: String,
    /// What to do or to type.
    remedy: Option<String>,
}

/// The findings as a line.
///
/// # Errors
/// What a serializer can refuse: nothing that occurs here.
pub(crate) fn line(findings: &[Finding]) -> Result<Vec<u8>> {
    let text = |text: &str| harmless(text.as_bytes());
    let record = |finding: &Finding| FindingRecord {
        name: finding.name.to_owned(),
        verdict: finding.verdict.to_string().to_ascii_lowercase(),
        detail: text(&finding.detail),
        remedy: finding.remedy.as_deref().map(text),
    };
    super::line(Record { usable: probe::usable(findings), findings: findings.iter().map(record).collect() })
}

/// The JSON Schema of [`line()`].
///
/// # Errors
/// As [`line()`].
pub(crate) fn schema() -> Result<String> {
    super::schema::<Record>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tombola_kernel::probe::Verdict;

    #[test]
    fn a_failure_makes_it_unusable() {
        let finding = |verdict| Finding {
            name: "BTF",
            verdict,
            detail: "as \u{1b}[31mseen".to_owned(),
            remedy: Some("type it".to_owned()),
        };
        let findings = [finding(Verdict::Warn), finding(Verdict::Fail)];
        let value = super::super::checked(&line(&findings).unwrap(), &schema().unwrap());
        assert_eq!((&value["usable"], &value["findings"][1]["verdict"]), (&false.into(), &"fail".into()));
        assert_eq!(value["findings"][0]["detail"], "as \\x1b[31mseen");
    }
}
