//! The findings: which are still seen. They are about the software of others and no part of CI.

use crate::stage::watch;
use anyhow::{Context as _, Result, bail};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a finding's script ends with where it cannot be tried, as automake has it.
const CANNOT: i32 = 77;

/// What came of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// It is as it was.
    Seen,
    /// It is not: mended, or worse.
    Changed,
    /// Its script did not come to a verdict.
    Broken,
    /// It could not be tried here.
    Skipped,
}

impl Outcome {
    /// From the status of its script, and what that said.
    fn of(status: Option<i32>, said: &str) -> Self {
        match status {
            Some(0) => Self::Seen,
            Some(CANNOT) => Self::Skipped,
            Some(1) if said.lines().any(|line| line.starts_with("CHANGED")) => Self::Changed,
            _ => Self::Broken,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Seen => "seen   ",
            Self::Changed => "CHANGED",
            Self::Broken => "BROKEN ",
            Self::Skipped => "skipped",
        }
    }
}

/// Runs all findings, or those named, and returns whether each is seen or could not be tried.
///
/// # Errors
/// If one of that name is not there.
pub(crate) fn run(root: &Path, names: &[String]) -> Result<bool> {
    let all = scripts(&root.join("findings"))?;
    let mut chosen = BTreeMap::new();
    for name in names {
        let Some((name, path)) = all.get_key_value(name.trim_end_matches(".sh")) else {
            bail!("no finding '{name}'; there are: {}", all.keys().cloned().collect::<Vec<_>>().join(" "));
        };
        chosen.insert(name.clone(), path.clone());
    }
    if names.is_empty() {
        chosen = all;
    }
    let mut ends = Vec::new();
    for (name, path) in &chosen {
        println!("== {name}");
        let mut script = Command::new("bash");
        let (status, said) = watch(script.arg(path))?;
        ends.push((
            name,
            Outcome::of(status.code(), &said),
            said.lines().last().unwrap_or_default().to_owned(),
        ));
    }
    println!("\nFindings");
    for (name, outcome, last) in &ends {
        let why = if *outcome == Outcome::Seen { String::new() } else { format!(": {last}") };
        println!("  {} {name}{why}", outcome.word());
    }
    Ok(ends.iter().all(|(_, outcome, _)| matches!(outcome, Outcome::Seen | Outcome::Skipped)))
}

/// The scripts by their names, without `.sh`.
fn scripts(dir: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let mut found = BTreeMap::new();
    for entry in dir.read_dir().with_context(|| format!("reading {}", dir.display()))? {
        let path = entry?.path();
        if let (Some(name), Some("sh")) =
            (path.file_stem().and_then(|name| name.to_str()), path.extension().and_then(|ext| ext.to_str()))
        {
            found.insert(name.to_owned(), path.clone());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_says_whether_it_is_still_seen() {
        let outcomes = [Some(0), Some(1), Some(77), None].map(|status| Outcome::of(status, "CHANGED: x\n"));
        assert_eq!(outcomes, [Outcome::Seen, Outcome::Changed, Outcome::Skipped, Outcome::Broken]);
        assert_eq!(Outcome::of(Some(1), "No module named x\n"), Outcome::Broken);
    }

    #[test]
    fn the_findings_of_the_tree_are_found() {
        let all = scripts(&crate::root().unwrap().join("findings")).unwrap();
        assert!(all.keys().any(|name| name.starts_with("perfetto")), "{all:?}");
        assert!(!all.contains_key("common"));
    }
}
