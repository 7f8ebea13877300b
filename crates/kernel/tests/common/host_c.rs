//! C of the kernel's side, compiled for this machine.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Ways to compile: plain, optimised, and so that the program dies of anything that C leaves undefined (which
/// needs no run-time library).
const WAYS: [&[&str]; 3] =
    [&["-O0"], &["-O2"], &["-O1", "-fsanitize=undefined", "-fsanitize-undefined-trap-on-error"]];

/// Compiles a program beside the tests in every way, into a directory. `None` where there is no compiler.
pub(crate) fn programs(directory: &Path, source: &str, flags: &[&str]) -> Option<Vec<PathBuf>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    // What programs for the kernel include of libbpf: the host has its own of that.
    fs::create_dir_all(directory.join("bpf")).unwrap();
    for name in ["bpf_helpers.h", "bpf_tracing.h", "bpf_core_read.h"] {
        fs::write(directory.join("bpf").join(name), "").unwrap();
    }
    let mut programs = Vec::new();
    for way in WAYS {
        let program = directory.join(format!("{source}{}", way.concat()));
        let compile = |compiler: &str| {
            Command::new(compiler)
                .args(["-std=gnu11", "-Wall", "-Wextra", "-Werror"])
                .args(way)
                .args(flags)
                .arg("-I")
                .arg(directory)
                .arg("-I")
                .arg(root.join("bpf"))
                .arg(root.join("tests").join(source))
                .arg("-o")
                .arg(&program)
                .stdin(Stdio::null())
                .output()
        };
        let output = match compile("cc") {
            Err(error) if error.kind() == ErrorKind::NotFound => compile("clang"),
            other => other,
        };
        match output {
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            output => {
                let output = output.unwrap();
                let errors = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "{source} {way:?}: {errors}");
            }
        }
        programs.push(program);
    }
    Some(programs)
}
