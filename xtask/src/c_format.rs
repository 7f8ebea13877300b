//! Whether the C sources are as clang-format would write them. Blanks before a comment, or a backslash, at
//! the end of a line are left to whoever writes them: clang-format cannot leave their alignment alone.

use anyhow::{Context as _, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, iter};

/// Prints what differs, and returns whether nothing does.
///
/// # Errors
/// If clang-format does not run, or a file cannot be read.
pub(crate) fn check(files: &[PathBuf]) -> Result<bool> {
    let mut good = true;
    for path in files {
        let is = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        let should = formatted(path)?;
        if let Some((line, is, should)) = first_difference(&is, &should) {
            println!("{}:{line}: should be\n{should}\nand is\n{is}", path.display());
            good = false;
        }
    }
    Ok(good)
}

fn formatted(path: &Path) -> Result<String> {
    let output = Command::new("clang-format").arg(path).output().context("clang-format")?;
    ensure!(
        output.status.success(),
        "clang-format {}: {}",
        path.display(),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    String::from_utf8(output.stdout).context("what clang-format writes")
}

/// The first line that differs, from 1, as it is and as it should be.
fn first_difference<'a>(is: &'a str, should: &'a str) -> Option<(usize, &'a str, &'a str)> {
    let length = is.lines().count().max(should.lines().count());
    let padded = |text: &'a str| text.lines().chain(iter::repeat("")).take(length);
    (1..)
        .zip(padded(is).zip(padded(should)))
        .find(|(_, (is, should))| without_alignment(is) != without_alignment(should))
        .map(|(line, (is, should))| (line, is, should))
}

/// A line without the blanks before a comment or a backslash at its end.
fn without_alignment(line: &str) -> String {
    let (code, end) = match (line.find("/*"), line.strip_suffix('\\')) {
        (Some(at), _) => line.split_at(at),
        (None, Some(code)) => (code, "\\"),
        (None, None) => (line, ""),
    };
    // Before a comment that has a line of its own is the indentation.
    if code.trim().is_empty() || end.is_empty() {
        line.to_owned()
    } else {
        format!("{} {end}", code.trim_end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_alignment_at_the_end_of_a_line_may_differ() {
        let is = "int a;\t/* one */\n#define F(x) \\\n\tx\n\t/* own line */\n";
        let should = "int a; /* one */\n#define F(x)      \\\n\tx\n\t/* own line */\n";
        assert_eq!(first_difference(is, should), None);
        assert_eq!(first_difference("int  a; /* one */\n", should).map(|(line, ..)| line), Some(1));
        assert_eq!(first_difference(&is.replace("\tx", "x"), should).map(|(line, ..)| line), Some(3));
        assert_eq!(
            first_difference(&is.replace("\t/* own", "  /* own"), should).map(|(line, ..)| line),
            Some(4)
        );
        assert_eq!(first_difference("a\n", "a\nb\n"), Some((2, "", "b")));
    }
}
