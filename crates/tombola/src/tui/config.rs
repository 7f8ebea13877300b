//! The config file: what is remembered from one run to the next. A flag comes before the file, the file
//! before the default.

use super::app::Set;
use super::columns::Column;
use super::theme::Theme;
use crate::interval::{Interval, Plain};
use anyhow::{Context, Result, anyhow, bail};
use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// Where it is: `tombola/config.toml` in `XDG_CONFIG_HOME`, or in `.config` of the home directory; `None`
/// where neither is set.
pub(crate) fn path() -> Option<PathBuf> {
    let of = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    // The specification has relative paths ignored.
    let home = of("XDG_CONFIG_HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| Some(of("HOME")?.join(".config")))?;
    Some(home.join("tombola").join("config.toml"))
}

/// The defaults, changed by what the file says; a file that is not there says nothing.
///
/// # Errors
/// A file that cannot be read or that says what nobody understands, with its path.
pub(crate) fn load(path: &Path) -> Result<Set> {
    let mut set = Set::default();
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(set),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    apply(&text, &mut set)
        .with_context(|| format!("{}: mend it, or move it away to have the defaults", path.display()))?;
    Ok(set)
}

fn apply(text: &str, set: &mut Set) -> Result<()> {
    let table: Table =
        text.parse().map_err(|error: toml::de::Error| anyhow!("{}", error.to_string().trim_end()))?;
    for (name, value) in &table {
        let ("top", Value::Table(top)) = (name.as_str(), value) else {
            bail!("there is no section or key '{name}' here: known is the section [top]");
        };
        for (name, value) in top {
            one(name, value, set).with_context(|| format!("[top] {name}"))?;
        }
    }
    Ok(())
}

fn one(name: &str, value: &Value, set: &mut Set) -> Result<()> {
    match (name, value) {
        ("interval", Value::String(text)) => set.interval = text.parse::<Interval>()?.get(),
        ("theme", Value::String(word)) => {
            set.theme = word.parse::<Theme>().map_err(|error| anyhow!(error))?;
        }
        ("columns", Value::Array(names)) => {
            let column = |name: &Value| -> Result<Column> {
                let name = name.as_str().context("it must be a list of names")?;
                name.parse().map_err(|error: String| anyhow!(error))
            };
            let columns = Column::distinct(names.iter().map(column).collect::<Result<Vec<_>>>()?);
            if columns.is_empty() {
                bail!("it must name one column at least");
            }
            set.columns = columns;
        }
        ("mouse", Value::Boolean(mouse)) => set.mouse = *mouse,
        ("mouse", _) => bail!("it must be true or false"),
        ("interval" | "theme", _) => bail!("it must be a text in quotes"),
        ("columns", _) => bail!("it must be a list of names"),
        _ => bail!("there is no such key: known are interval, theme, columns and mouse"),
    }
    Ok(())
}

/// Writes what is to be remembered into the file, whole or not at all. Other sections stay; comments do not.
///
/// # Errors
/// A file that cannot be read or written, or that holds what is no TOML: it is left as it is.
pub(crate) fn save(path: &Path, set: &Set) -> Result<()> {
    let before = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let mut table: Table =
        before.parse().map_err(|_| anyhow!("{} is no TOML: it is left as it is", path.display()))?;
    let columns = set.columns.iter().map(|column| Value::String(column.title().to_owned())).collect();
    let top = Table::from_iter([
        ("interval".to_owned(), Value::String(Plain(set.interval).to_string())),
        ("theme".to_owned(), Value::String(set.theme.to_string())),
        ("columns".to_owned(), Value::Array(columns)),
        ("mouse".to_owned(), Value::Boolean(set.mouse)),
    ]);
    table.insert("top".to_owned(), Value::Table(top));
    let cannot = || format!("cannot write {}", path.display());
    let directory = path.parent().context("a config file is in a directory")?;
    fs::create_dir_all(directory).with_context(cannot)?;
    let new = path.with_extension("toml.new");
    fs::write(&new, table.to_string()).and_then(|()| fs::rename(&new, path)).with_context(cannot)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_is_written_is_read_back_and_other_sections_stay() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/config.toml");
        assert_eq!(load(&path).unwrap(), Set::default());
        let set = Set {
            interval: Duration::from_millis(250),
            theme: Theme::Light,
            columns: vec![Column::of("lag_ns"), Column::WAIT, Column::of("comm")],
            mouse: false,
            ..Set::default()
        };
        save(&path, &set).unwrap();
        assert_eq!(load(&path).unwrap(), set);
        fs::write(&path, "[other]\nkey = 1\n").unwrap();
        save(&path, &set).unwrap();
        assert!(fs::read_to_string(&path).unwrap().contains("[other]"));
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no half-written file is left");
    }

    #[test]
    fn a_mistake_is_told_with_file_and_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        for (text, word) in [
            ("[top]\ninterval = \"0\"", "from 1ms to 1d"),
            ("[top]\ninterval = 1", "[top] interval"),
            ("[top]\ntheme = \"pink\"", "dark, light or mono"),
            ("[top]\ncolumns = []", "one column"),
            ("[top]\nmouse = 1", "true or false"),
            ("[top]\ncolumns = [\"PIDD\"]", "did you mean 'pid'?"),
            ("[top]\ncolumns = [\"frob\"]", "GOT/FAIR"),
            ("[top]\nfrob = 1", "known are"),
            ("[bottom]\n", "bottom"),
            ("[top", "config.toml"),
        ] {
            fs::write(&path, text).unwrap();
            let error = format!("{:#}", load(&path).unwrap_err());
            assert!(error.contains(word) && error.contains("config.toml"), "{text}: {error}");
        }
        fs::write(&path, "[top").unwrap();
        assert!(save(&path, &Set::default()).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "[top");
    }
}
