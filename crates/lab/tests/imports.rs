//! The modules of a crate import each other in one direction: no circle among those at the top of a crate,
//! with what lies in the directory of each, nor, in the lab, among those of one directory. Read from the
//! sources: `crate::…` anywhere in code, `super::…` where it leads to the top.

#![allow(clippy::unwrap_used)] // outside #[test] functions, but in a test

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

type Graph = BTreeMap<String, BTreeSet<String>>;

fn sources(at: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(at).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            sources(&entry, found);
        } else if entry.extension().is_some_and(|e| e == "rs") {
            found.push(entry);
        }
    }
}

/// The code of a file: no comments, and nothing from its first test module on.
fn code(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let kept: Vec<&str> = lines.collect();
    let end = kept
        .windows(2)
        .position(|two| two[0].trim() == "#[cfg(test)]" && two[1].trim_start().starts_with("mod "))
        .unwrap_or(kept.len());
    kept[..end].join("\n")
}

/// The names that directly follow `path` in some text: `a` and `b` of `crate::a::x` and `crate::{b, …}`.
fn names_after(text: &str, path: &str) -> Vec<String> {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut names = Vec::new();
    for (at, _) in text.match_indices(path) {
        let before = text[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
            continue;
        }
        let rest = &text[at + path.len()..];
        let Some(list) = rest.strip_prefix('{') else {
            names.push(word(rest));
            continue;
        };
        let (mut depth, mut start) = (1, 0);
        for (i, c) in list.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 0 || (depth == 1 && c == ',') {
                names.push(word(list[start..i].trim()));
                start = i + 1;
            }
            if depth == 0 {
                break;
            }
        }
    }
    names
}

/// Who imports whom among the top modules of the crate whose sources are in `src`.
fn graph(src: &Path) -> Graph {
    let mut files = Vec::new();
    sources(src, &mut files);
    let mut graph = Graph::new();
    let mut texts = Vec::new();
    for file in files {
        let inside = file.strip_prefix(src).unwrap().with_extension("");
        let parts: Vec<String> = inside.iter().map(|p| p.to_string_lossy().into_owned()).collect();
        let is_test = parts.iter().any(|part| part == "tests" || part == "fixture");
        if is_test || ["lib", "main", "bin"].contains(&parts[0].as_str()) {
            continue;
        }
        graph.entry(parts[0].clone()).or_default();
        texts.push((parts, code(&fs::read_to_string(&file).unwrap())));
    }
    // Modules that are there for tests alone.
    for root in ["lib.rs", "main.rs"] {
        let text = fs::read_to_string(src.join(root)).unwrap_or_default();
        for part in text.split("#[cfg(test)]\nmod ").skip(1) {
            graph.remove(part.split(';').next().unwrap());
        }
    }
    let modules: BTreeSet<String> = graph.keys().cloned().collect();
    for (parts, text) in texts.iter().filter(|(parts, _)| modules.contains(&parts[0])) {
        // `super` of a file at the top is the crate.
        let up = "super::".repeat(parts.len());
        let used = names_after(&text.replace(&up, "crate::"), "crate::");
        let own = &parts[0];
        let others = used.into_iter().filter(|name| name != own && modules.contains(name));
        graph.get_mut(own).unwrap().extend(others);
    }
    graph
}

/// Who imports whom among the modules that lie in one directory, for each directory below the top.
fn inner_graphs(src: &Path) -> BTreeMap<String, Graph> {
    let mut files = Vec::new();
    sources(src, &mut files);
    let mut graphs: BTreeMap<String, Graph> = BTreeMap::new();
    let mut texts = Vec::new();
    for file in files {
        let inside = file.strip_prefix(src).unwrap().with_extension("");
        let parts: Vec<String> = inside.iter().map(|p| p.to_string_lossy().into_owned()).collect();
        if parts.iter().any(|part| part == "tests") {
            continue;
        }
        for depth in 1..parts.len() {
            let graph = graphs.entry(parts[..depth].join("::")).or_default();
            graph.entry(parts[depth].clone()).or_default();
        }
        texts.push((parts, code(&fs::read_to_string(&file).unwrap())));
    }
    for (parts, text) in &texts {
        for depth in 1..parts.len() {
            let above = parts[..depth].join("::");
            let graph = graphs.get_mut(&above).unwrap();
            let mut used = names_after(text, &"super::".repeat(parts.len() - depth));
            used.extend(names_after(text, &format!("crate::{above}::")));
            let own = &parts[depth];
            used.retain(|name| name != own && graph.contains_key(name));
            graph.get_mut(own).unwrap().extend(used);
        }
    }
    graphs
}

/// A circle, if there is one: the way round by name.
fn circle(graph: &Graph) -> Option<Vec<String>> {
    fn visit<'g>(
        graph: &'g Graph,
        at: &'g str,
        way: &mut Vec<&'g str>,
        done: &mut BTreeSet<&'g str>,
    ) -> bool {
        if let Some(start) = way.iter().position(|name| *name == at) {
            way.drain(..start);
            way.push(at);
            return true;
        }
        if !done.insert(at) {
            return false;
        }
        way.push(at);
        if graph[at].iter().any(|next| visit(graph, next, way, done)) {
            return true;
        }
        way.pop();
        false
    }
    let mut done = BTreeSet::new();
    graph.keys().find_map(|name| {
        let mut way = Vec::new();
        visit(graph, name, &mut way, &mut done).then(|| way.into_iter().map(str::to_owned).collect())
    })
}

#[test]
fn no_modules_import_each_other_in_a_circle() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for name in ["core", "lab", "kernel", "recording", "tombola"] {
        let graph = graph(&crates.join(name).join("src"));
        assert!(graph.len() > 10, "{name}: the sources were not found");
        assert!(graph.values().any(|used| !used.is_empty()), "{name}: no import was found");
        if let Some(way) = circle(&graph) {
            panic!("crates/{name}: {}", way.join(" -> "));
        }
    }
}

#[test]
fn no_modules_of_a_directory_of_the_lab_import_each_other_in_a_circle() {
    let graphs = inner_graphs(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let edges = |above: &str| graphs[above].values().map(BTreeSet::len).sum::<usize>();
    assert!(
        edges("scenario") > 2 && edges("engine") > 0 && edges("policy::fair") == 0,
        "imports were not found"
    );
    for (above, graph) in &graphs {
        if let Some(way) = circle(graph) {
            panic!("crates/lab/src/{above}: {}", way.join(" -> "));
        }
    }
}

#[test]
fn a_circle_is_found() {
    let of = |edges: &[(&str, &str)]| {
        let mut graph = Graph::new();
        for (from, to) in edges {
            graph.entry((*to).to_owned()).or_default();
            graph.entry((*from).to_owned()).or_default().insert((*to).to_owned());
        }
        graph
    };
    assert_eq!(circle(&of(&[("a", "b"), ("b", "c"), ("a", "c")])), None);
    assert_eq!(circle(&of(&[("a", "b"), ("b", "c"), ("c", "b")])).unwrap(), ["b", "c", "b"]);
    assert_eq!(names_after("use crate::{a::{x, y}, b};\ncrate::c::f()", "crate::"), ["a", "b", "c"]);
}
