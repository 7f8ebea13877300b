//! Pages of docs/ of which a part is made from this program: each is compared with what the program would
//! write.
//!
//! After a change that is meant, `UPDATE_DOCS=1 cargo test -p tombola documents` writes them anew.

use crate::cli::Cli;
use clap::{CommandFactory, Parser};
use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

/// Compares what stands between `<!-- NAME: begin … -->` and `<!-- NAME: end -->` in a page with `expected`.
fn compare(page: &str, name: &str, expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(page);
    let Ok(text) = fs::read_to_string(&path) else {
        println!("SKIP: docs/{page} is not there: this is a package without its repository");
        return;
    };
    let begin = text.find(&format!("<!-- {name}: begin")).expect("the page marks the part");
    let from = begin + text[begin..].find("-->\n").expect("a mark ends") + "-->\n".len();
    let to = from + text[from..].find(&format!("<!-- {name}: end -->")).expect("the page marks the end");
    let expected = format!("\n{expected}\n");
    if env::var_os("UPDATE_DOCS").is_some_and(|value| !value.is_empty()) {
        fs::write(&path, format!("{}{expected}{}", &text[..from], &text[to..]))
            .expect("the page can be written");
        return;
    }
    let different = text[from..to].lines().zip(expected.lines()).find(|(is, expected)| is != expected);
    assert!(
        text[from..to] == expected,
        "docs/{page} is not what the program says; UPDATE_DOCS=1 cargo test -p tombola documents writes it anew.\nfirst: {different:?}"
    );
}

#[test]
fn metrics_are_those_of_the_catalogue() {
    compare("metrics.md", "catalogue", &tombola_core::metric::markdown());
}

#[test]
fn commands_are_those_of_the_parser() {
    compare("commands.md", "commands", commands().trim_end());
}

/// Every command in a code block of these pages is one that the parser takes.
#[test]
fn commands_that_pages_show_are_understood() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut seen = Vec::new();
    for page in ["README.md", "docs/manual.md"] {
        let Ok(text) = fs::read_to_string(root.join(page)) else {
            println!("SKIP: {page} is not there: this is a package without its repository");
            return;
        };
        let mut in_code = false;
        for line in text.lines() {
            if line.starts_with("```") {
                in_code = !in_code;
            }
            let line = line.trim_start_matches("$ ").trim_start_matches("sudo ");
            let starts = ["tombola ", "./scripts/run.sh ", "cargo run --release -- "];
            let Some(command) = starts.iter().find_map(|start| line.strip_prefix(start)).filter(|_| in_code)
            else {
                continue;
            };
            let command = command.split(" #").next().unwrap_or_default();
            let words: Vec<&str> = command.split_whitespace().map(|word| word.trim_matches('\'')).collect();
            // Verbs of the script alone, and the progress of a run on standard error.
            if ["setup", "build", "test", "in", "is"].contains(&words[0]) || words[0].ends_with(':') {
                continue;
            }
            if let Err(error) = Cli::try_parse_from(["tombola"].iter().chain(&words)) {
                assert_eq!(error.exit_code(), 0, "{page}: {line}\n{error}");
            }
            seen.push(command.trim().to_owned());
        }
    }
    for promised in ["dump --map /sys/fs/bpf/task_map --iterations 3", "load", "unload", "status"] {
        assert!(seen.iter().any(|command| command == promised), "{promised}: {seen:?}");
    }
}

/// The grammar as Markdown: a section a verb, a row a flag.
fn commands() -> String {
    let mut text = String::new();
    for verb in Cli::command().get_subcommands() {
        section(&mut text, "tombola", "##", verb);
    }
    text
}

fn section(text: &mut String, above: &str, level: &str, verb: &clap::Command) {
    let name = format!("{above} {}", verb.get_name());
    let about = verb.get_long_about().or(verb.get_about()).map(ToString::to_string).unwrap_or_default();
    let _ = write!(text, "{level} {name}\n\n{about}\n\n");
    if let Some(examples) = verb.get_after_help() {
        let _ = write!(text, "```text\n{}\n```\n\n", examples.to_string().trim_end());
    }
    let cell = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|");
    let arguments: Vec<&clap::Arg> = verb.get_arguments().filter(|arg| !arg.is_hide_set()).collect();
    if !arguments.is_empty() {
        text.push_str("| flag | default | meaning |\n|---|---|---|\n");
    }
    for arg in arguments {
        let values: Vec<String> =
            arg.get_value_names().into_iter().flatten().map(ToString::to_string).collect();
        let mut names: Vec<String> = Vec::new();
        names.extend(arg.get_short().map(|short| format!("-{short}")));
        names.extend(arg.get_long().map(|long| format!("--{long}")));
        let takes = arg.get_action().takes_values();
        let values =
            if takes && !values.is_empty() { format!(" {}", values.join(" ")) } else { String::new() };
        let flag = format!("{}{values}", names.join(", "));
        let defaults: Vec<String> =
            arg.get_default_values().iter().map(|value| value.to_string_lossy().into()).collect();
        let default =
            if takes && !defaults.is_empty() { format!("`{}`", defaults.join(" ")) } else { String::new() };
        let help = arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default();
        let env = arg
            .get_env()
            .map(|env| format!(". Environment: `{}`", env.to_string_lossy()))
            .unwrap_or_default();
        let _ = writeln!(text, "| `{}` | {default} | {}{env} |", cell(&flag), cell(&help));
    }
    text.push('\n');
    for inner in verb.get_subcommands() {
        section(text, &name, &format!("{level}#"), inner);
    }
}

/// What the parser of scenarios lists when it meets a key that it does not know, in this place.
fn scenario_keys(place: &str) -> std::collections::BTreeSet<String> {
    use tombola_lab::scenario::Scenario;
    let text = format!("name='x'\nduration='1s'\n{place}\n");
    let error = Scenario::from_toml(&text).expect_err("the key is unknown").to_string();
    let list = error.split("expected").nth(1).or_else(|| error.split("; use ").nth(1)).expect(&error);
    let is_key = |word: &&str| !word.is_empty() && !["one", "of", "or", "use"].contains(word);
    list.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.'))
        .filter(is_key)
        .map(|word| word.trim_end_matches(".POLICY").to_owned())
        .collect()
}

#[test]
fn keys_of_a_scenario_are_those_of_the_parser() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/scenarios.md");
    let Ok(page) = fs::read_to_string(path) else {
        println!("SKIP: docs/scenarios.md is not there: this is a package without its repository");
        return;
    };
    let task = "[[task]]\nname='a'\n";
    for (heading, place) in [
        ("## The scenario", "zzz=1".to_owned()),
        ("## `[[group]]`", "[[group]]\nzzz=1".to_owned()),
        ("## `[[task]]`", "[[task]]\nzzz=1".to_owned()),
        ("### `reserve`", format!("{task}reserve={{zzz=1}}")),
        ("### Steps of `phases`", format!("{task}phases=[{{zzz='1ms'}}]")),
        ("## `[lottery]`", format!("{task}[lottery]\nzzz=1")),
        ("## `[stride]`", format!("{task}[stride]\nzzz=1")),
        ("## `[mlfq]`", format!("{task}[mlfq]\nzzz=1")),
        ("## `[expect]`", format!("{task}[expect]\nzzz=1")),
    ] {
        let section = page.split(&format!("{heading}\n")).nth(1).expect(heading);
        let section = section.split("\n#").next().unwrap_or_default();
        let on_page: std::collections::BTreeSet<String> = section
            .lines()
            .filter_map(|line| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned()))
            .collect();
        assert_eq!(on_page, scenario_keys(&place), "{heading} of docs/scenarios.md");
    }
}

/// A scenario that says the defaults of docs/scenarios.md is the one that says nothing.
#[test]
fn defaults_of_a_scenario_are_those_of_the_parser() {
    use tombola_lab::scenario::Scenario;
    let Some(page) = page("docs/scenarios.md") else { return };
    let defaults = |heading: &str| -> String {
        let section = page.split(&format!("{heading}\n")).nth(1).expect(heading);
        let rows =
            section.split("\n#").next().unwrap_or_default().lines().filter(|row| row.starts_with("| `"));
        rows.filter_map(|row| {
            let cells: Vec<&str> = row.split(" | ").collect();
            let (key, value) = (cells[0].trim_matches(['|', ' ', '`']), cells[2].trim_matches('`'));
            let number = value.replace("\u{2212}", "-");
            let is_number = number.parse::<i64>().is_ok();
            let is_time = value.ends_with('s') && value.starts_with(|c: char| c.is_ascii_digit());
            // A task has tickets, a nice value or a weight; a priority of 0 and a period without a quota
            // cannot be said.
            let left_out = ["nice", "tickets", "priority", "period", "sleep"].contains(&key);
            match (left_out, is_number, is_time) {
                (true, ..) => None,
                (_, true, _) if ["warm_up", "switch_cost", "tick", "arrive"].contains(&key) => {
                    Some(format!("{key}='{number}'\n"))
                }
                (_, true, _) => Some(format!("{key}={number}\n")),
                (_, _, true) => Some(format!("{key}='{value}'\n")),
                _ => None,
            }
        })
        .collect()
    };
    let head = "name='x'\nduration='1s'\n";
    let body = |group: &str, task: &str| format!("[[group]]\nname='g'\n{group}[[task]]\nname='a'\n{task}");
    let (scenario, group, task) =
        (defaults("## The scenario"), defaults("## `[[group]]`"), defaults("## `[[task]]`"));
    assert!(
        scenario.lines().count() >= 6 && group.contains("weight") && task.lines().count() >= 3,
        "{scenario}{group}{task}"
    );
    let said = Scenario::from_toml(&format!("{head}{scenario}{}", body(&group, &task)))
        .expect("defaults are allowed");
    let silent = Scenario::from_toml(&format!("{head}{}", body("", ""))).expect("nothing but names");
    assert_eq!(said, silent, "{scenario}{group}{task}");
}

#[test]
fn the_manual_has_a_section_for_every_verb() {
    let Some(manual) = page("docs/manual.md") else { return };
    for verb in Cli::command().get_subcommands().map(|verb| verb.get_name().to_owned()) {
        assert!(manual.contains(&format!("\n### {verb}\n")), "docs/manual.md has no section '### {verb}'");
    }
}

#[test]
fn links_between_pages_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut pages: Vec<_> =
        ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"].map(|name| root.join(name)).into();
    pages.extend(fs::read_dir(root.join("docs")).into_iter().flatten().map(|entry| entry.unwrap().path()));
    pages.retain(|path| path.extension().is_some_and(|ending| ending == "md") && path.exists());
    if pages.len() < 4 {
        println!("SKIP: the pages are not there: this is a package without its repository");
        return;
    }
    for path in &pages {
        let text = fs::read_to_string(path).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link) {
            if link.contains("://") || link.contains(' ') {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let to = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            assert!(to.exists(), "{} links to {link}", path.display());
            if anchor.is_empty() || to.extension().is_none_or(|ending| ending != "md") {
                continue;
            }
            let to = fs::read_to_string(to).unwrap();
            let mut headings = to.lines().filter(|line| line.starts_with('#')).map(anchor_of);
            assert!(headings.any(|known| known == anchor), "{} links to {link}", path.display());
        }
    }
}

/// What forges make of a heading: small letters, blanks as dashes, nothing else but letters and digits.
fn anchor_of(heading: &str) -> String {
    let words = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = words.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// A page of the repository; `None`, and said, where this is a package without it.
fn page(name: &str) -> Option<String> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name));
    if text.is_err() {
        println!("SKIP: {name} is not there: this is a package without its repository");
    }
    text.ok()
}
