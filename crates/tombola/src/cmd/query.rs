//! `tombola query`: the shipped questions, by an engine that is installed.

use crate::cli::{QueryArgs, QueryFormat};
use crate::exit::Exit;
use crate::nearest::did_you_mean;
use crate::target::Target;
use anyhow::{Context, Result, bail};
use std::io::{ErrorKind, Write};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use tombola_history::file::Reader;
use tombola_history::place;

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
    let hosts = place::hosts(dir)?;
    let mut is_sealed = false;
    for host in &hosts {
        let files = place::sealed(dir, host)?;
        if let Some(oldest) = files.first() {
            // Columns of another version would be null, without a word.
            Reader::open(&oldest.path)?;
            is_sealed = true;
        }
    }
    if !is_sealed {
        bail!(
            "'{}' holds no sealed file: `tombola log` seals once an hour, or as --seal says, and when it ends",
            dir.display()
        );
    }
    target.put(out, &ask(&view(dir)?, sql, args.format)?)?;
    Ok(Exit::Ok)
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
        "CREATE VIEW files AS SELECT * FROM read_parquet('{}/date=*/host=*/*.parquet', hive_partitioning = true, \
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
}
