//! `load`, `unload` and `dump --map` from outside: what they say, and what they leave.

mod common;

use common::{BpfFs, failed, lost_nothing, ok, wait_for};
use nix::fcntl::{Flock, FlockArg};
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::symlink;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

#[test]
#[ignore = "needs root and BPF"]
fn root_load_twice_unload_twice() {
    let fs = BpfFs::loaded();
    let said = ok(&fs.tombola("load").output().unwrap());
    assert!(said.starts_with("already loaded since ") && said.contains("by version "), "{said}");
    let output = fs.tombola("load").args(["--obj", "mine.o"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(said.contains("without effect on a monitor that is loaded: --obj mine.o;"), "{said}");
    let said = ok(&fs.tombola("status").output().unwrap());
    assert!(lost_nothing(&said, "loss     ") && said.contains("room for 4096"), "{said}");
    fs.unload();
    let said = ok(&fs.tombola("unload").output().unwrap());
    assert!(said.starts_with("nothing was loaded at "), "{said}");
    let output = fs.tombola("status").output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.starts_with("not loaded: "), "{said}");
    assert_eq!(output.status.code(), Some(3), "a script can tell");
    let output = fs.tombola("status").args(["--format", "json"]).output().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().starts_with(r#"{"schema":2,"loaded":false,"#));
}

#[test]
#[ignore = "needs root and BPF"]
fn root_two_loaders_at_once_one_wins_and_the_other_says_so() {
    let fs = BpfFs::mount();
    let loaders: Vec<_> = (0..3)
        .map(|_| fs.tombola("load").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
        .collect();
    let mut winners = 0;
    for loader in loaders {
        let output = loader.wait_with_output().unwrap();
        if output.status.success() {
            let said = ok(&output);
            winners += usize::from(said.starts_with("loaded: "));
            assert!(said.starts_with("loaded: ") || said.starts_with("already loaded since "), "{said}");
        } else {
            let said = failed(&output);
            assert!(said.contains("is loading or unloading at "), "{said}");
        }
    }
    assert_eq!(winners, 1);
    fs.unload();

    let _lock = Flock::lock(File::open(fs.path()).unwrap(), FlockArg::LockExclusiveNonblock).unwrap();
    let said = failed(&fs.tombola("load").output().unwrap());
    assert!(said.contains(&format!("(pid {}) is loading or unloading", std::process::id())), "{said}");
}

#[test]
#[ignore = "needs root and BPF"]
fn root_a_load_killed_at_any_moment_is_cleaned_up() {
    let fs = BpfFs::mount();
    for moment in 0..40 {
        let mut load = fs.tombola("load").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        thread::sleep(Duration::from_millis(moment * 4));
        load.kill().unwrap();
        load.wait().unwrap();
        let left = fs.names();
        ok(&fs.tombola("unload").output().unwrap());
        assert!(fs.names().is_empty(), "killed after {} ms: {left:?}, then {:?}", moment * 4, fs.names());
    }
    ok(&fs.tombola("load").output().unwrap());
    fs.unload();
}

#[test]
#[ignore = "needs root and BPF"]
fn root_dump_says_what_is_wrong_with_a_map() {
    let fs = BpfFs::loaded();
    let plain = tempfile::NamedTempFile::new().unwrap();
    let companions = fs.path().join("task_map_tombola");
    for (path, words) in [
        (fs.path().join("prog"), "is no BPF map"),
        (fs.path().join("link"), "is no BPF map"),
        (plain.path().to_owned(), "is no BPF map"),
        (fs.path().join("nothing"), "no monitor is pinned at"),
        (companions.join("cpu_map"), "of another shape: it is the map 'cpu_map'"),
        (fs.path().to_owned(), "cannot open "),
    ] {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_tombola"))
            .args(["dump", "--iterations", "1", "--map"])
            .arg(&path)
            .output()
            .unwrap();
        let said = failed(&output);
        assert!(said.contains(words) && said.contains(path.to_str().unwrap()), "{}: {said}", path.display());
        assert!(output.stdout.is_empty());
    }
    fs.unload();
}

#[test]
#[ignore = "needs root and BPF"]
fn root_places_that_hold_no_pin_are_refused() {
    let fs = BpfFs::mount();
    let elsewhere = tempfile::tempdir().unwrap();
    symlink(elsewhere.path().join("target"), fs.path().join("linked")).unwrap();
    fs::create_dir(fs.path().join("dir")).unwrap();
    for (path, words) in [
        (fs.path().join("linked"), "it is a symbolic link"),
        (fs.path().join("dir"), "it is a directory"),
        (fs.path().join("with.dot"), "may not contain a dot"),
        (elsewhere.path().join("map"), "is not on a BPF file system; choose a path under /sys/fs/bpf"),
        (fs.path().join("nowhere/map"), "make it with 'sudo mkdir "),
    ] {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_tombola"))
            .args(["load", "--prog-pin"])
            .arg(fs.path().join("prog"))
            .arg("--link-pin")
            .arg(fs.path().join("link"))
            .arg("--map-pin")
            .arg(&path)
            .output()
            .unwrap();
        let said = failed(&output);
        assert!(said.contains(words) && said.contains(path.to_str().unwrap()), "{}: {said}", path.display());
        assert_eq!(fs.names(), ["dir", "linked"]);
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn root_a_reader_that_leaves_early_ends_dump_quietly() {
    let fs = BpfFs::loaded();
    for bytes in [0, 1] {
        let mut dump = fs.tombola("dump");
        let mut dump =
            dump.args(["--interval", "1ms"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut out = dump.stdout.take().unwrap();
        out.read_exact(&mut vec![0; bytes]).unwrap();
        drop(out);
        let status = wait_for("dump ends", || dump.try_wait().unwrap());
        let mut complaint = String::new();
        dump.stderr.take().unwrap().read_to_string(&mut complaint).unwrap();
        assert_eq!((status.code(), complaint.as_str()), (Some(0), ""));
    }
    fs.unload();
}

#[test]
#[ignore = "needs root and BPF"]
fn root_bpftool_reads_the_maps_without_tombola() {
    let fs = BpfFs::loaded();
    // This process has left a CPU since: it has a record.
    thread::sleep(Duration::from_millis(50));
    let id = nix::unistd::gettid().as_raw();
    let mut mine = Vec::new();
    // A record is in one of the two.
    for map in [fs.map(), fs.path().join("task_map_tombola/near_map")] {
        let Ok(output) =
            std::process::Command::new("bpftool").args(["-j", "map", "dump", "pinned"]).arg(map).output()
        else {
            println!("SKIP: there is no bpftool here");
            return;
        };
        if !output.status.success() {
            println!("SKIP: bpftool does not work here: {}", String::from_utf8_lossy(&output.stderr));
            return;
        }
        let entries: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let values = entries.as_array().unwrap().iter().map(|entry| entry["formatted"]["value"].clone());
        mine.extend(values.filter(|value| value["pid"] == id));
    }
    let [value] = mine.as_slice() else { panic!("{mine:?}") };
    for field in ["runtime_ns", "wait_ns", "switches", "nice", "policy", "weight", "tickets", "wait_hist"] {
        assert!(!value[field].is_null(), "{field}: {value}");
    }
    assert!(value["switches"].as_u64().unwrap() > 0, "{value}");
}
