//! `tombola query`: the shipped questions, by an engine that is installed.

use crate::cli::{QueryArgs, QueryFormat};
use crate::exit::Exit;
use crate::nearest::did_you_mean;
use crate::target::Target;
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind, Write};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tombola_history::Error;
use tombola_history::file::Reader;
use tombola_history::schema::VERSION;

/// Names and SQL; the first line of each is a comment with the sentence.
const QUESTIONS: [(&str, &str); 6] = [
    ("owed", include_str!("../../../../fleet/sql/owed.sql")),
    ("neighbours", include_str!("../../../../fleet/sql/neighbours.sql")),
    ("weights", include_str!("../../../../fleet/sql/weights.sql")),
    ("quotas", include_str!("../../../../fleet/sql/quotas.sql")),
    ("deploys", include_str!("../../../../fleet/sql/deploys.sql")),
    ("loss", include_str!("../../../../fleet/sql/loss.sql")),
];

/// What the questions ask: the files' columns, and those that follow from them.
const VIEW: &str = include_str!("../../../../fleet/view.sql");

/// A bar of progress would be drawn into what is printed.
const QUIET: &str = "SET enable_progress_bar = false;";

/// Runs SQL that comes as the first argument, and prints as the second one says.
const PYTHON: &str = "\
import sys, duckdb
setup, question, form = sys.argv[1:]
duckdb.execute(setup)
answer = duckdb.sql(question)
if form == 'csv':
    import csv
    rows = csv.writer(sys.stdout, lineterminator='\\n')
    rows.writerow(answer.columns)
    rows.writerows(answer.fetchall())
elif form == 'json':
    import json
    rows = [dict(zip(answer.columns, row)) for row in answer.fetchall()]
    print(json.dumps(rows, default=str, indent=1))
else:
    answer.show(max_rows=10000, max_width=10000)
";

/// Asks.
pub fn run(args: &QueryArgs, out: &mut dyn Write) -> Result<Exit> {
    let Some(name) = &args.name else {
        for (name, sql) in QUESTIONS {
            writeln!(out, "{name:12} {}", sentence(sql))?;
        }
        return Ok(Exit::Ok);
    };
    let Some((_, sql)) = QUESTIONS.iter().find(|(known, _)| known == name) else {
        let hint = did_you_mean(name, QUESTIONS.iter().map(|(known, _)| *known));
        bail!("there is no question '{name}'; `tombola query` lists them{hint}");
    };
    let target = Target::open(args.output.as_deref())?;
    if args.print {
        let whole = format!("CREATE TEMPORARY VIEW log AS\n{};\n\n{sql}\n", VIEW.trim_end());
        target.put(out, whole.as_bytes())?;
        return Ok(Exit::Ok);
    }
    let Some(dir) = &args.dir else {
        bail!("which log is to be asked? Name it with --dir, or see the SQL with --print")
    };
    check_schemas(dir)?;
    target.put(out, &ask(&view(dir)?, sql, args.format)?)?;
    Ok(Exit::Ok)
}

/// That all files have the columns of this version: those of another one would be null, without a word.
fn check_schemas(dir: &Path) -> Result<()> {
    let (mut readable, mut others) = (0usize, BTreeMap::<String, (usize, PathBuf)>::new());
    for path in files(dir).with_context(|| format!("cannot list the files of '{}'", dir.display()))? {
        match Reader::open(&path) {
            Ok(_) => readable += 1,
            Err(Error::Schema { path, found, .. }) => others.entry(found).or_insert((0, path)).0 += 1,
            // Retention may have removed it since it was listed.
            Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    if !others.is_empty() {
        let told = |(schema, (count, path)): (&String, &(usize, PathBuf))| {
            format!("{count} of schema {schema} (the first is '{}')", path.display())
        };
        let others: Vec<String> = others.iter().map(told).collect();
        bail!(
            "of the files in '{}' {readable} have schema {VERSION}, which the questions ask, and others have not: {}. Move those to a \
             directory of their own, and ask that with the version of tombola that wrote them; `--print` shows the SQL",
            dir.display(),
            others.join(", ")
        );
    }
    if readable == 0 {
        bail!(
            "'{}' holds no sealed file: `tombola log` seals once an hour, or as --seal says, and when it ends",
            dir.display()
        );
    }
    Ok(())
}

/// All files that the view reads, in order: whatever its pattern matches, however it is called.
fn files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut level = vec![dir.to_owned()];
    for (begin, end) in [("date=", ""), ("host=", ""), ("", ".parquet")] {
        let mut next = Vec::new();
        for folder in level {
            let entries = match fs::read_dir(&folder) {
                // Retention removes folders too, and what is no folder holds nothing.
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                    if folder == dir {
                        return Err(error);
                    }
                    continue;
                }
                entries => entries?,
            };
            for entry in entries {
                let name = entry?.file_name();
                let bytes = name.as_encoded_bytes();
                if bytes.starts_with(begin.as_bytes()) && bytes.ends_with(end.as_bytes()) {
                    next.push(folder.join(name));
                }
            }
        }
        next.sort();
        level = next;
    }
    Ok(level)
}

fn sentence(sql: &str) -> &str {
    sql.lines().next().unwrap_or_default().trim_start_matches("--").trim()
}

/// The view `log` of all sealed files.
fn view(dir: &Path) -> Result<String> {
    let dir = dir.canonicalize().with_context(|| format!("cannot find '{}'", dir.display()))?;
    let Some(text) = dir.to_str() else { bail!("'{}' is no UTF-8, which SQL needs", dir.display()) };
    if text.contains(['*', '?', '[', ']', '{', '}']) {
        bail!(
            "'{text}' holds a character that DuckDB takes for a pattern; reach it by another name, a link for one"
        );
    }
    Ok(format!(
        "{QUIET}\nCREATE VIEW files AS SELECT * FROM read_parquet('{}/date=*/host=*/*.parquet', hive_partitioning = true, \
         hive_types = {{'date': DATE, 'host': VARCHAR}}, union_by_name = true);\nCREATE VIEW log AS\n{VIEW};",
        text.replace('\'', "''")
    ))
}

/// The answer.
fn ask(view: &str, sql: &str, format: QueryFormat) -> Result<Vec<u8>> {
    let (flag, form) = match format {
        QueryFormat::Table => ("-box", "table"),
        QueryFormat::Csv => ("-csv", "csv"),
        QueryFormat::Json => ("-json", "json"),
    };
    let mut duckdb = Command::new("duckdb");
    duckdb.arg(flag).args(["-c", view, "-c", sql]);
    let mut python = Command::new("python3");
    let here = Command::new("python3").args(["-c", "import duckdb"]).stderr(Stdio::null()).status();
    python.args(["-c", PYTHON, view, sql, form]);
    let mut engine = match Command::new("duckdb").arg("--version").stdout(Stdio::null()).status() {
        Ok(_) => duckdb,
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error).context("cannot run duckdb"),
        Err(_) if here.is_ok_and(|status| status.success()) => python,
        Err(_) => bail!(
            "DuckDB is not installed: the program duckdb is in no directory of PATH, and python3 has no module duckdb. Get it from \
             https://duckdb.org, or by `python3 -m pip install duckdb`; --print shows the SQL for another engine, over the files \
             date=*/host=*/*.parquet as a table named files"
        ),
    };
    let answer =
        engine.stdin(Stdio::null()).stderr(Stdio::inherit()).output().context("cannot run DuckDB")?;
    if answer.status.success() {
        return Ok(answer.stdout);
    }
    bail!("DuckDB ended with status {}", answer.status.code().or(answer.status.signal()).unwrap_or(-1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tombola_history::file::{About, Writer};
    use tombola_history::place;

    #[test]
    fn every_question_has_a_sentence_and_asks_the_log() {
        for (name, sql) in QUESTIONS {
            assert!(sql.starts_with("-- ") && sentence(sql).ends_with('.'), "{name}");
            assert!(sql.contains("FROM log"), "{name}");
        }
    }

    #[test]
    fn the_view_has_what_the_schema_says() {
        let lines: Vec<&str> = VIEW.lines().map(|line| line.trim().trim_end_matches(',')).collect();
        for (name, expression, ..) in tombola_history::schema::DERIVED {
            assert!(lines.contains(&format!("{expression} AS {name}").as_str()), "{name}");
        }
        assert_eq!(VIEW.matches(" AS ").count(), tombola_history::schema::DERIVED.len());
    }

    #[test]
    fn a_directory_is_a_text_in_sql_and_no_pattern() {
        let dir = tempfile::TempDir::new().unwrap();
        let odd = dir.path().join("it's");
        std::fs::create_dir(&odd).unwrap();
        assert!(view(&odd).unwrap().contains("/it''s/date=*/host=*/*.parquet"));
        let odd = dir.path().join("a*b");
        std::fs::create_dir(&odd).unwrap();
        assert!(view(&odd).is_err());
    }

    /// A sealed file of this version, led to say that it has another schema where one is given.
    fn seal(dir: &Path, host: &str, from_us: i64, schema: Option<&str>) -> PathBuf {
        let path = place::sealed_path(dir, host, from_us, from_us + 1, "0123456789ab");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let about = About { host: host.to_owned(), ..About::default() };
        Writer::create(&path, &about).unwrap().finish().unwrap();
        if let Some(schema) = schema {
            let mut bytes = fs::read(&path).unwrap();
            let key = b"tombola.schema";
            let at = bytes.windows(key.len()).position(|window| window == key).unwrap() + key.len();
            // Two bytes of Thrift, a field of texts and the length, stand before the value.
            let value = at + 2..at + 2 + VERSION.to_string().len();
            assert_eq!(bytes[value.clone()], *VERSION.to_string().as_bytes());
            bytes[value].copy_from_slice(schema.as_bytes());
            fs::write(&path, bytes).unwrap();
        }
        path
    }

    #[test]
    fn files_of_another_schema_are_refused_wherever_they_stand() {
        let dir = tempfile::TempDir::new().unwrap();
        let refused = || check_schemas(dir.path()).err().map(|error| error.to_string());
        assert!(refused().unwrap().contains("no sealed file"));
        let day_us = 86_400_000_000;
        for (host, from_us) in [("a", 0), ("a", day_us), ("b", day_us)] {
            seal(dir.path(), host, from_us, None);
        }
        assert_eq!(refused(), None);
        // The oldest of each host is of this version: a tombola that went back to an older one writes such a
        // log.
        let first = seal(dir.path(), "a", 2 * day_us, Some("1"));
        seal(dir.path(), "b", 2 * day_us, Some("1"));
        // DuckDB reads whatever its pattern matches.
        let odd = seal(dir.path(), "b", 3 * day_us, Some("7")).with_file_name("copy.parquet");
        fs::rename(place::sealed_path(dir.path(), "b", 3 * day_us, 3 * day_us + 1, "0123456789ab"), &odd)
            .unwrap();
        let message = refused().unwrap();
        assert!(message.contains(&format!("3 have schema {VERSION}")), "{message}");
        assert!(
            message.contains(&format!("2 of schema 1 (the first is '{}')", first.display())),
            "{message}"
        );
        assert!(message.contains(&format!("1 of schema 7 (the first is '{}')", odd.display())), "{message}");
        assert!(
            dir.path().join("nothing").metadata().is_err()
                && check_schemas(&dir.path().join("nothing")).is_err()
        );
    }
}
