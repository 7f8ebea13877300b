//! Arithmetic of the benches: bash starts tools and writes what they took, one measurement a line; this makes
//! tables of it.

mod against;
mod import;
mod own;
mod quartiles;
mod record;
mod rounds;
mod runs;
mod slowdown;
mod time;

use anyhow::{Context as _, Result, bail};
use clap::Subcommand;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Which table. Names are lines of a tool's key and what a reader calls it.
#[derive(Subcommand)]
pub(crate) enum Figure {
    /// Slowdown of benchmarks by what is attached: lines of 'round tool benchmark wall user system', times in
    /// seconds
    Slowdown { times: PathBuf, names: PathBuf },
    /// What recording costs: the same, and lines of 'tool benchmark bytes events lost'
    Record { times: PathBuf, sizes: PathBuf, names: PathBuf },
    /// What reading a recording costs: lines of 'round tool user system peak', seconds and KiB; perf is the
    /// yardstick
    Import { costs: PathBuf, names: PathBuf },
    /// A build beside an older one: lines of 'round build question value', the builds old and new
    Against { costs: PathBuf, questions: PathBuf },
    /// Time of BPF programs: lines of 'round tool programs nanoseconds'
    Time { costs: PathBuf, names: PathBuf },
    /// What tools that run beside take for themselves: lines of 'round tool milliseconds seconds'
    Own { costs: PathBuf, names: PathBuf },
    /// One row for a command: its runs, microseconds, one a line, and peaks of memory, KiB
    Runs { label: String, walls: PathBuf, peaks: PathBuf },
}

impl Figure {
    /// The table in Markdown.
    ///
    /// # Errors
    /// On a file that is not there, or a line that is not of its form.
    pub(crate) fn table(&self) -> Result<String> {
        match self {
            Self::Slowdown { times, names } => {
                Ok(slowdown::table(&self::rounds::read(times)?, &tools(names)?))
            }
            Self::Record { times, sizes, names } => {
                Ok(record::table(&self::rounds::read(times)?, &record::sizes(sizes)?, &tools(names)?))
            }
            Self::Import { costs, names } => Ok(import::table(&import::costs(costs)?, &tools(names)?)),
            Self::Against { costs, questions } => {
                Ok(against::table(&against::costs(costs)?, &tools(questions)?))
            }
            Self::Time { costs, names } => time::table(costs, &tools(names)?),
            Self::Own { costs, names } => own::table(costs, &tools(names)?),
            Self::Runs { label, walls, peaks } => runs::row(label, walls, peaks),
        }
    }
}

/// A tool that was measured: its key and its name.
struct Tool {
    key: String,
    name: String,
}

fn tools(path: &Path) -> Result<Vec<Tool>> {
    lines(path)?
        .iter()
        .map(|line| {
            let (key, name) = line.split_once(' ').with_context(|| format!("'{line}' names no tool"))?;
            Ok(Tool { key: key.into(), name: name.into() })
        })
        .collect()
}

/// Lines that are not empty.
fn lines(path: &Path) -> Result<Vec<String>> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    Ok(text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect())
}

/// The words of a line, if there are as many as there should be.
fn words<const N: usize>(line: &str) -> Result<[&str; N]> {
    let words: Vec<&str> = line.split_whitespace().collect();
    match <[&str; N]>::try_from(words) {
        Ok(words) => Ok(words),
        Err(words) => bail!("'{line}' has {} words and not {N}", words.len()),
    }
}

fn number<T: FromStr>(word: &str) -> Result<T> {
    word.parse().ok().with_context(|| format!("'{word}' is no number"))
}
