use super::*;
use proptest::prelude::*;

const ID: &str = "3f2a9c0d1e4b5a69788796a5b4c3d2e1f00112233445566778899aabbccddeef";
const UID: &str = "6f2d1c3a-77e0-4f0b-9a55-0c1d2e3f4a5b";
const SLICE_UID: &str = "6f2d1c3a_77e0_4f0b_9a55_0c1d2e3f4a5b";

/// Layouts as kubelet, the runtimes and systemd document and make them: path; pod?, container?, runtime,
/// unit, user, below.
#[test]
fn layouts_of_all_runtimes() {
    type Told = (bool, bool, Option<&'static str>, Option<&'static str>, Option<u32>, &'static str);
    let vectors: &[(&str, Told)] = &[
        // kubelet, systemd driver: containerd, CRI-O, a guaranteed pod, docker (cri-dockerd).
        (
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podSLICE.slice/cri-containerd-ID.scope",
            (true, true, Some("containerd"), None, None, ""),
        ),
        (
            "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-podSLICE.slice/crio-ID.scope/container",
            (true, true, Some("crio"), None, None, "container"),
        ),
        (
            "/kubepods.slice/kubepods-podSLICE.slice/docker-ID.scope",
            (true, true, Some("docker"), None, None, ""),
        ),
        ("/kubepods.slice/kubepods-podSLICE.slice", (true, false, None, None, None, "")),
        // kubelet, cgroupfs driver; containerd told to use systemd while kubelet is not.
        ("/kubepods/burstable/podUID/ID", (true, true, None, None, None, "")),
        ("/kubepods/podUID/crio-ID", (true, true, Some("crio"), None, None, "")),
        (
            "/system.slice/containerd.service/kubepods-burstable-podSLICE.slice:cri-containerd:ID",
            (false, true, Some("containerd"), None, None, ""),
        ),
        // kind (v1: in docker; v2: nested under kubelet.slice), k3s.
        ("/docker/ID/kubelet/kubepods/burstable/podUID/ID", (true, true, None, None, None, "")),
        (
            "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-podSLICE.slice/cri-containerd-ID.scope",
            (true, true, Some("containerd"), None, None, ""),
        ),
        ("/kubepods/besteffort/podUID/ID/init", (true, true, None, None, None, "init")),
        ("/system.slice/k3s.service", (false, false, None, Some("k3s.service"), None, "")),
        // docker, podman, nerdctl.
        ("/docker/ID", (false, true, Some("docker"), None, None, "")),
        ("/system.slice/docker-ID.scope", (false, true, Some("docker"), None, None, "")),
        (
            "/system.slice/docker-ID.scope/system.slice/nginx.service",
            (false, true, Some("docker"), None, None, "system.slice/nginx.service"),
        ),
        ("/machine.slice/libpod-ID.scope/container", (false, true, Some("podman"), None, None, "container")),
        ("/libpod_parent/libpod-ID", (false, true, Some("podman"), None, None, "")),
        (
            "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-ID.scope",
            (false, true, Some("podman"), None, Some(1000), ""),
        ),
        ("/system.slice/nerdctl-ID.scope", (false, true, Some("containerd"), None, None, "")),
        ("/default/ID", (false, true, Some("containerd"), None, None, "")),
        // systemd.
        ("/system.slice/nginx.service/workers", (false, false, None, Some("nginx.service"), None, "workers")),
        ("/system.slice/system-getty.slice", (false, false, None, Some("system-getty.slice"), None, "")),
        (
            "/user.slice/user-1000.slice/session-3.scope",
            (false, false, None, Some("session-3.scope"), Some(1000), ""),
        ),
        ("/user.slice/user-1000.slice", (false, false, None, Some("user-1000.slice"), Some(1000), "")),
        (
            "/system.slice/dev\\x2dhugepages.service",
            (false, false, None, Some("dev-hugepages.service"), None, ""),
        ),
        (
            "/machine.slice/libpod-conmon-ID.scope",
            (false, false, None, Some("libpod-conmon-ID.scope"), None, ""),
        ),
        // Nobody's.
        ("/", (false, false, None, None, None, "")),
        ("/a/b", (false, false, None, None, None, "")),
        ("/docker/3f2a9c0d1e4b", (false, false, None, None, None, "")),
        ("autogroup-7", (false, false, None, None, None, "")),
        ("/batch/pod-of-whales/ID", (false, false, None, None, None, "")),
        ("/kubepods.slice/kubepods-burstable.slice", (false, false, None, None, None, "")),
    ];
    for (path, (pod, container, runtime, unit, user, below)) in vectors {
        let path = path.replace("SLICE", SLICE_UID).replace("UID", UID).replace("ID", ID);
        let expected = Workload {
            pod_uid: pod.then(|| UID.to_owned()),
            container_id: container.then(|| ID.to_owned()),
            runtime: *runtime,
            unit: unit.map(|unit| unit.replace("ID", ID)),
            user: *user,
            below: (*below).to_owned(),
        };
        assert_eq!(Workload::of(&path), expected, "{path}");
        assert_eq!(Workload::of(&format!("{path} (deleted)")), expected, "{path}");
    }
}

/// The points that both formulas were made for: least, default and largest shares, with the linear and the
/// logarithmic weight.
#[test]
fn weights_are_those_of_the_runtimes() {
    for (shares, linear, log) in
        [(2, 1, 1), (1024, 39, 100), (262_144, 10_000, 10_000), (262_145, 10_000, 10_000), (1, 1, 1)]
    {
        assert_eq!((weight_linear(shares), weight_log(shares)), (linear, log), "{shares}");
    }
}

#[test]
fn a_request_comes_back_from_its_weight() {
    // One CPU: 1024 shares; 39 by the linear formula, 100 by the logarithmic one.
    let one = request(100).log_milli.unwrap();
    assert!((975..=1000).contains(&one), "{one}");
    assert_eq!(weight_log(one * 1024 / 1000 - 2), 99, "the next smaller request has the next smaller weight");
    let one = request(39).linear_milli;
    assert!((975..=1000).contains(&one), "{one}");
    // The linear formula gives one weight to 26 shares, here 81 to 106: a request of 100 m cannot be told
    // from one of 80 m.
    assert_eq!(weight_linear(100 * 1024 / 1000), weight_linear(80 * 1024 / 1000));
    assert_ne!(weight_linear(100 * 1024 / 1000), weight_linear(79 * 1024 / 1000));
}

proptest! {
    #[test]
    fn the_least_request_has_the_weight_and_no_smaller_one_has(milli in 3u64..256_000) {
        let shares = (milli * 1024 / 1000).max(2);
        for (weight_of, log) in [(weight_linear as fn(u64) -> u64, false), (weight_log, true)] {
            let told = request(weight_of(shares));
            let told = if log { told.log_milli.unwrap() } else { told.linear_milli };
            prop_assert!(told <= milli);
            prop_assert_eq!(weight_of(told * 1024 / 1000), weight_of(shares));
        }
    }

    #[test]
    fn no_path_is_too_strange(path in "(/(pod|docker|kubepods|-pod|\\\\x2|é|:|crio-|[0-9a-f]{63,65}|[.]scope|[.]slice| [(]deleted[)]){0,3}){0,5}") {
        let _ = Workload::of(&path);
    }
}
