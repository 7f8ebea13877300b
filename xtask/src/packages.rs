//! Whether each library crate could be published: what is in its package, examples, doctests, unsafe code.

use crate::caller::Caller;
use crate::cargo_messages::{Package, packages};
use anyhow::{Context as _, Result, ensure};
use std::fs;
use std::path::Path;

/// Maps and C structs are read as the kernel lays them out.
const UNSAFE: &str = "tombola-kernel";

/// Checks all packages, prints what is wrong, and returns whether nothing is.
///
/// # Errors
/// If cargo cannot be asked.
pub(crate) fn check(root: &Path, caller: &Caller) -> Result<bool> {
    let packages = packages(root, caller)?;
    let mut complaints = Vec::new();
    let mut libraries = Vec::new();
    for package in &packages {
        complaints.extend(unsafe_code(package)?);
        if let Some(library) = package.library() {
            libraries.push(package.name.as_str());
            complaints.extend(unpublishable(&listed(root, caller, &package.name)?, &package.name));
            if !package.targets.iter().any(|target| target.kind == ["example"]) {
                complaints.push(format!("{}: no example, which goes into examples/", package.name));
            }
            let sources = library.parent().unwrap_or(package.dir());
            if !any_source(sources, &mut |text| has_doctest(text))? {
                complaints.push(format!("{}: no doctest in {}", package.name, sources.display()));
            }
        }
    }
    // Together, so that each finds the others, which are in no registry.
    let mut cargo = caller.cargo(root);
    cargo.args(["package", "--no-verify", "--offline", "--allow-dirty", "--quiet"]);
    let output =
        cargo.args(libraries.iter().flat_map(|name| ["-p", name])).output().context("cargo package")?;
    if !output.status.success() {
        complaints.push(format!("cargo package: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    for complaint in &complaints {
        println!("{complaint}");
    }
    if complaints.is_empty() {
        println!("can be packaged: {}", libraries.join(" "));
    }
    Ok(complaints.is_empty())
}

fn listed(root: &Path, caller: &Caller, name: &str) -> Result<String> {
    let mut cargo = caller.cargo(root);
    let output = cargo
        .args(["package", "--list", "--offline", "--allow-dirty", "-p", name])
        .output()
        .context("cargo package --list")?;
    ensure!(output.status.success(), "packaging {name}: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What has no business in a package, and what is missing there.
fn unpublishable(list: &str, name: &str) -> Vec<String> {
    let is_source = |file: &str| {
        let kind = Path::new(file).extension().and_then(|kind| kind.to_str());
        matches!(file, ".cargo_vcs_info.json" | "Cargo.lock" | "Cargo.toml.orig")
            || file.starts_with("LICENSE-")
            || matches!(kind, Some("rs" | "toml" | "c" | "h"))
    };
    let mut complaints: Vec<String> = list
        .lines()
        .filter(|file| !is_source(file))
        .map(|file| format!("{name}: {file} is no source, and in the package (see 'exclude' of Cargo.toml)"))
        .collect();
    for licence in ["LICENSE-MIT", "LICENSE-APACHE"] {
        if !list.lines().any(|file| file == licence) {
            complaints.push(format!("{name}: {licence} is not in the package"));
        }
    }
    complaints
}

/// Roots of crates that do not forbid unsafe code where there is none.
fn unsafe_code(package: &Package) -> Result<Vec<String>> {
    let mut complaints = Vec::new();
    if package.name == UNSAFE {
        return Ok(complaints);
    }
    for target in &package.targets {
        if !target.kind.iter().any(|kind| kind == "lib" || kind == "bin") {
            continue;
        }
        let path = &target.src_path;
        let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        if !text.lines().any(|line| line == "#![forbid(unsafe_code)]") {
            complaints.push(format!("{}: #![forbid(unsafe_code)] is missing", path.display()));
        }
    }
    Ok(complaints)
}

/// Whether a doc comment begins a block of code that rustdoc runs.
fn has_doctest(text: &str) -> bool {
    text.lines().any(|line| {
        let line = line.trim_start();
        let comment = line.strip_prefix("/// ```").or_else(|| line.strip_prefix("//! ```"));
        comment.is_some_and(|kind| matches!(kind, "" | "no_run" | "rust"))
    })
}

/// Whether any Rust source of a directory has what is asked for.
fn any_source(dir: &Path, has: &mut impl FnMut(&str) -> bool) -> Result<bool> {
    for entry in dir.read_dir().with_context(|| format!("reading {}", dir.display()))? {
        let path = entry?.path();
        let is_source = path.extension().is_some_and(|extension| extension == "rs");
        if path.is_dir() && any_source(&path, has)? || is_source && has(&fs::read_to_string(&path)?) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_and_licences_are_what_belongs_into_a_package() {
        let good = "LICENSE-APACHE\nLICENSE-MIT\nCargo.lock\nCargo.toml\nbpf/wire.h\nsrc/lib.rs\n";
        assert_eq!(unpublishable(good, "x"), [""; 0]);
        let bad = unpublishable("LICENSE-MIT\nsrc/lib.rs\nnotes.txt\ncore.1234\n", "x");
        assert_eq!(bad.len(), 3, "{bad:?}");
        assert!(bad[2].contains("LICENSE-APACHE is not"));
    }

    #[test]
    fn a_doctest_is_a_block_that_is_run() {
        assert!(has_doctest("    /// ```\n    /// f();\n    /// ```"));
        assert!(has_doctest("//! ```no_run\n"));
        assert!(!has_doctest("//! ```text\n//! a picture\n// ```\n"));
    }
}
