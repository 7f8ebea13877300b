//! Loads a BPF object, attaches every program of it, says `attached`, and holds it until its standard input
//! ends.
//!
//! `scripts/bench.sh` holds the programs that way with which it compares the monitor.
//!
//! ```text
//! hold OBJECT
//! ```

use anyhow::{Context, Result};
use libbpf_rs::ObjectBuilder;
use std::env;
use std::io::{self, Read as _};

fn main() -> Result<()> {
    let path = env::args_os().nth(1).context("usage: hold OBJECT")?;
    let object = ObjectBuilder::default()
        .open_file(&path)
        .and_then(libbpf_rs::OpenObject::load)
        .with_context(|| format!("cannot load {}", path.display()))?;
    let mut links = Vec::new();
    for program in object.progs_mut() {
        let name = program.name().to_string_lossy().into_owned();
        links.push(program.attach().with_context(|| format!("cannot attach {name}"))?);
    }
    println!("attached");
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
