//! What cargo says of the packages of the workspace.

use crate::caller::Caller;
use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// The part of `cargo metadata` that is needed here.
#[derive(Deserialize)]
pub(crate) struct Metadata {
    /// Those of the workspace.
    pub(crate) packages: Vec<Package>,
}

/// A package of the workspace.
#[derive(Deserialize)]
pub(crate) struct Package {
    /// Its name.
    pub(crate) name: String,
    /// Its Cargo.toml.
    pub(crate) manifest_path: PathBuf,
    /// What is built of it.
    pub(crate) targets: Vec<Target>,
    /// Registries it may be published to: none where it may not.
    publish: Option<Vec<String>>,
}

/// What is built of a package.
#[derive(Deserialize)]
pub(crate) struct Target {
    /// `lib`, `bin`, `example`, ….
    pub(crate) kind: Vec<String>,
    /// Its first file.
    pub(crate) src_path: PathBuf,
}

impl Package {
    /// The library's first file, if it is a library that others may use.
    pub(crate) fn library(&self) -> Option<&Path> {
        let library = self.targets.iter().find(|target| target.kind == ["lib"])?;
        self.publish.as_ref().is_none_or(|registries| !registries.is_empty()).then_some(&*library.src_path)
    }

    /// Where it lies.
    pub(crate) fn dir(&self) -> &Path {
        self.manifest_path.parent().unwrap_or(&self.manifest_path)
    }
}

/// The packages of the workspace.
///
/// # Errors
/// If cargo does not say.
pub(crate) fn packages(root: &Path, caller: &Caller) -> Result<Vec<Package>> {
    let mut cargo = caller.cargo(root);
    let output =
        cargo.args(["metadata", "--no-deps", "--format-version=1"]).output().context("cargo metadata")?;
    ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Metadata = serde_json::from_slice(&output.stdout).context("what cargo metadata says")?;
    Ok(metadata.packages)
}
