//! Compiles the BPF programs and generates Rust types for what they share with user space.

use libbpf_cargo::SkeletonBuilder;
use std::env;
use std::path::PathBuf;

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    // Of whoever builds: another compiler, and flags that come after our own. Empty counts as unset.
    let clang = env::var_os("CLANG").filter(|path| !path.is_empty());
    let flags = env::var("BPF_CFLAGS").unwrap_or_default();
    for name in ["monitor", "light", "interference", "lottery", "recorder", "namespace"] {
        let source = format!("bpf/{name}.bpf.c");
        let mut builder = SkeletonBuilder::new();
        builder
            .source(&source)
            .obj(out.join(format!("{name}.bpf.o")))
            .clang_args(["-mcpu=v3", "-Wall", "-Werror"].into_iter().chain(flags.split_ascii_whitespace()));
        if let Some(clang) = &clang {
            builder.clang(clang);
        }
        builder.build().unwrap_or_else(|e| panic!("compiling {source} (is clang installed?): {e:#}"));
        let types = out.join(format!("{name}.skel.rs"));
        builder.generate(types).unwrap_or_else(|e| panic!("generating types from {source}: {e:#}"));
    }
    println!("cargo:rerun-if-changed=bpf");
    println!("cargo:rerun-if-env-changed=CLANG");
    println!("cargo:rerun-if-env-changed=BPF_CFLAGS");
}
