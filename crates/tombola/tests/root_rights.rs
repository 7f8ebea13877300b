//! Who may load, and who may read.

mod common;

use common::program::{NOBODY, as_nobody, is_installed};
use common::{BpfFs, copy_for_anyone, failed, lost_nothing, ok};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::process::Command;

#[test]
#[ignore = "needs root and BPF"]
fn root_two_capabilities_load_and_none_is_needed_to_read() {
    if !is_installed("setpriv") {
        println!("SKIP: setpriv (util-linux) is not installed");
        return;
    }
    let (dir, copy) = copy_for_anyone();
    let fs = BpfFs::mount();
    chown(fs.path(), Some(NOBODY), Some(NOBODY)).unwrap();

    for (too_few, missing) in [
        ("", "CAP_BPF and CAP_PERFMON missing"),
        (",+bpf", ": CAP_PERFMON missing"),
        (",+perfmon", ": CAP_BPF missing"),
    ] {
        let said = failed(&fs.with(as_nobody(&copy, too_few), "load").output().unwrap());
        assert!(said.contains(missing), "'{too_few}': {said}");
        assert!(fs.names().is_empty(), "'{too_few}': {:?}", fs.names());
    }
    let said = ok(&fs.with(as_nobody(&copy, ",+bpf,+perfmon"), "load").output().unwrap());
    assert!(said.starts_with("loaded: "), "{said}");

    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    let companions = fs.path().join("task_map_tombola");
    assert_eq!(mode(&fs.map()), 0o644);
    assert_eq!(mode(&companions), 0o755);
    for name in ["near_map", "cpu_map", "exited_map", "group_map", "control_map", "schema_map"] {
        assert_eq!(mode(&companions.join(name)), 0o644, "{name}");
    }

    // Before 5.19 a sysctl decides, and the doctor knows.
    let doctor = fs.with(as_nobody(&copy, ""), "doctor").output().unwrap();
    let said = String::from_utf8(doctor.stdout).unwrap();
    let may_read = said.lines().any(|line| line.starts_with("ok    reading "));
    let dump = fs.with(as_nobody(&copy, ""), "dump").args(["--iterations", "1"]).output().unwrap();
    if may_read {
        let table = ok(&dump);
        assert!(table.contains("deltas since load") && lost_nothing(&table, "loss: "), "{table}");
        let status = ok(&fs.with(as_nobody(&copy, ""), "status").output().unwrap());
        assert!(status.starts_with("loaded   since "), "{status}");
    } else {
        assert!(failed(&dump).contains("kernel.unprivileged_bpf_disabled"), "{said}");
    }

    // A closed directory is what keeps a reader out, and it is what the message names.
    chown(fs.path(), Some(0), Some(0)).unwrap();
    fs::set_permissions(fs.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let said = failed(&fs.with(as_nobody(&copy, ""), "dump").output().unwrap());
    assert!(said.contains("has mode 0700") && said.contains("sudo chmod 755"), "{said}");

    // Shown the maps alone, in another place, it reads them: so does the unit of the exporter
    // (packaging/systemd).
    if may_read && !(is_installed("unshare") && is_installed("mount")) {
        println!(
            "NOTE: unshare and mount (util-linux) are not installed: maps in another place were not tried"
        );
    } else if may_read {
        let shown = dir.path().join("task_map");
        fs::write(&shown, "").unwrap();
        fs::create_dir(dir.path().join("task_map_tombola")).unwrap();
        let script = "mount --bind \"$1\" \"$2\" && mount --bind \"${1}_tombola\" \"${2}_tombola\" && shift 2 && exec \"$@\"";
        let reader = as_nobody(&copy, "");
        let output = Command::new("unshare")
            .args(["--mount", "sh", "-c", script, "sh"])
            .args([&fs.map(), &shown])
            .arg(reader.get_program())
            .args(reader.get_args())
            .args(["dump", "--iterations", "1", "--map"])
            .arg(&shown)
            .output()
            .unwrap();
        let table = ok(&output);
        assert!(table.contains("deltas since load"), "{table}");
    }
    fs::set_permissions(fs.path(), fs::Permissions::from_mode(0o755)).unwrap();

    // Another user's pins are not root's to replace by accident.
    let said = failed(&fs.tombola("unload").output().unwrap());
    assert!(said.contains("owned by another user (uid 65534)"), "{said}");
    chown(fs.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    if !may_read {
        // Who may not ask whose program is pinned there would leave it attached.
        let said = failed(&fs.with(as_nobody(&copy, ""), "unload").output().unwrap());
        assert!(said.contains("kernel.unprivileged_bpf_disabled"), "{said}");
        assert_eq!(fs.names().len(), 4, "{:?}", fs.names());
    }
    let rights = if may_read { "" } else { ",+bpf,+perfmon" };
    let pins = fs.pins();
    let said = ok(&fs.with(as_nobody(&copy, rights), "unload").output().unwrap());
    assert_eq!(said, format!("unloaded: {pins} pins removed\n"));
    assert!(fs.names().is_empty());
}
