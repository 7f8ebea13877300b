//! Names by files that kubelet and the runtimes leave: trees of each layout, made here as the runtimes make
//! them.
#![allow(clippy::unwrap_used)] // functions that tests share are no #[test] themselves

use std::fs;
use std::path::Path;
use tempfile::TempDir;
use tombola_history::name::Naming as _;
use tombola_history::names::Names;

const ID: &str = "3f2a9c0d1e4b5a69788796a5b4c3d2e1f00112233445566778899aabbccddeef";
const UID: &str = "6f2d1c3a-77e0-4f0b-9a55-0c1d2e3f4a5b";

fn put(root: &Path, path: &str, content: &str) {
    let path = root.join(path.replace("ID", ID).replace("POD", UID));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn named(root: &Path, path: &str) -> String {
    let path = path.replace("SLICE", &UID.replace('-', "_")).replace("POD", UID).replace("ID", ID);
    Names::of(root).name(&path).display(&path)
}

const SYSTEMD: &str =
    "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podSLICE.slice/cri-containerd-ID.scope";
const CGROUPFS: &str = "/kubepods/burstable/podPOD/ID";

#[test]
fn a_pod_is_named_by_kubelets_folders_and_links() {
    let root = TempDir::new().unwrap();
    let root = root.path();
    assert_eq!(named(root, SYSTEMD), format!("{UID}/3f2a9c0d1e4b"), "nobody knows");
    put(root, "var/log/pods/shop_web-7d9c_POD/web/0.log", "");
    for path in [SYSTEMD, CGROUPFS] {
        assert_eq!(named(root, path), "shop/web-7d9c/3f2a9c0d1e4b");
    }
    put(root, "var/log/containers/web-7d9c_shop_web-server-ID.log", "");
    for path in [SYSTEMD, CGROUPFS] {
        assert_eq!(named(root, path), "shop/web-7d9c/web-server");
    }
    let pod = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podSLICE.slice";
    assert_eq!(named(root, pod), "shop/web-7d9c");
    let kind = "/docker/ID/kubelet/kubepods/burstable/podPOD/ID/init";
    assert_eq!(named(root, kind), "shop/web-7d9c/web-server/init");
}

#[test]
fn bundles_name_what_kubelet_does_not() {
    let containerd = r#"{"annotations": {"io.kubernetes.cri.sandbox-name": "web", "io.kubernetes.cri.sandbox-namespace": "shop",
        "io.kubernetes.cri.container-name": "server"}}"#;
    let crio = r#"{"annotations": {"io.kubernetes.pod.name": "web", "io.kubernetes.pod.namespace": "shop",
        "io.kubernetes.container.name": "server"}}"#;
    for (file, content) in [
        ("run/containerd/io.containerd.runtime.v2.task/k8s.io/ID/config.json", containerd),
        ("run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io/ID/config.json", containerd),
        ("run/containers/storage/overlay-containers/ID/userdata/config.json", crio),
    ] {
        let root = TempDir::new().unwrap();
        put(root.path(), file, content);
        assert_eq!(named(root.path(), SYSTEMD), "shop/web/server", "{file}");
        put(root.path(), file, "{ cut");
        assert_eq!(named(root.path(), SYSTEMD), format!("{UID}/3f2a9c0d1e4b"), "{file}");
    }
}

#[test]
fn docker_podman_and_units() {
    let root = TempDir::new().unwrap();
    let root = root.path();
    put(root, "var/lib/docker/containers/ID/config.v2.json", r#"{"Name": "/happy_hopper"}"#);
    assert_eq!(named(root, "/docker/ID"), "docker:happy_hopper");
    assert_eq!(named(root, "/system.slice/docker-ID.scope/init"), "docker:happy_hopper/init");
    let list = format!(r#"[{{"id": "0000", "names": ["other"]}}, {{"id": "{ID}", "names": ["db"]}}]"#);
    put(root, "var/lib/containers/storage/overlay-containers/containers.json", &list);
    fs::remove_dir_all(root.join("var/lib/docker")).unwrap();
    assert_eq!(named(root, "/machine.slice/libpod-ID.scope/container"), "podman:db/container");
    assert_eq!(named(root, "/system.slice/nginx.service"), "nginx.service");
    assert_eq!(named(root, "/user.slice/user-1000.slice/session-3.scope"), "session-3.scope");
    assert_eq!(named(root, "/a/b"), "/a/b", "nobody's keeps its path");
}
