//! Compiles the BPF programs, and writes the structs that they share with user space down for Rust.

mod btf;
mod object;

use btf::Types;
use object::Object;
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Each object, and which structs of it `src/wire.rs` takes. Those that are members of these come with them.
const OBJECTS: [(&str, &[&str]); 6] = [
    (
        "monitor",
        &["task_record", "cpu_slot", "exited_record", "group_record", "queued_task", "schema", "control"],
    ),
    ("light", &["kernel_counters", "light_base", "light_task", "light_key", "light_end"]),
    ("interference", &["open_wait", "pair_key", "pair_record", "untold"]),
    ("lottery", &["account", "sched_ext_ops", "settings", "tally", "task_line", "ticket_request"]),
    ("recorder", &["lane", "record", "task_note"]),
    ("namespace", &["pid_line"]),
];

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let mut wire = String::new();
    for (name, shared) in OBJECTS {
        let to = out.join(format!("{name}.bpf.o"));
        compile(&format!("bpf/{name}.bpf.c"), &to);
        let bytes = fs::read(&to).unwrap_or_else(|e| panic!("{}: {e}", to.display()));
        let object = Object::of(&bytes);
        let types = Types::of(object.section(".BTF").expect("clang describes types when it is given -g"));
        writeln!(wire, "pub(crate) mod {name} {{\n{}}}", types.in_rust(shared)).expect("memory");
        fs::write(&to, object.without(is_for_others)).unwrap_or_else(|e| panic!("{}: {e}", to.display()));
    }
    fs::write(out.join("wire.rs"), wire).expect("OUT_DIR can be written to");
    println!("cargo:rerun-if-changed=bpf");
    println!("cargo:rerun-if-env-changed=CLANG");
    println!("cargo:rerun-if-env-changed=BPF_CFLAGS");
}

/// Whether a section is there for debuggers and linkers: nearly half of an object, with names of files of
/// this machine. libbpf reads none of them.
fn is_for_others(section: &str) -> bool {
    section == ".llvm_addrsig"
        || [".debug_", ".rel.debug_", ".rel.BTF"].iter().any(|begin| section.starts_with(begin))
}

/// # Panics
/// Without clang, and when it finds something wrong.
fn compile(source: &str, to: &Path) {
    // Of whoever builds: another compiler, and flags that come after our own. Empty counts as unset.
    let clang = env::var_os("CLANG").filter(|path| !path.is_empty()).unwrap_or_else(|| "clang".into());
    let flags = env::var("BPF_CFLAGS").unwrap_or_default();
    let mut command = Command::new(clang);
    command.args(["-g", "-O2", "-target", "bpf", "-mcpu=v3", "-Wall", "-Werror", "-fno-stack-protector"]);
    // libbpf-sys puts the headers of its libbpf there. Those of the system's libbpf clang finds itself.
    if let Some(headers) = env::var_os("DEP_BPF_INCLUDE") {
        command.arg("-I").arg(headers);
    }
    if !flags.contains("__TARGET_ARCH_") {
        let arch = env::var("CARGO_CFG_TARGET_ARCH").expect("cargo sets CARGO_CFG_TARGET_ARCH");
        let arch = match arch.as_str() {
            "x86_64" => "x86",
            "aarch64" => "arm64",
            other => panic!("no monitor is built for {other}"),
        };
        command.arg(format!("-D__TARGET_ARCH_{arch}"));
    }
    command.args(flags.split_ascii_whitespace()).args(["-c", source, "-o"]).arg(to);
    let status = command.status().unwrap_or_else(|e| panic!("compiling {source} (is clang installed?): {e}"));
    assert!(status.success(), "compiling {source}: clang ended with {status}");
}
