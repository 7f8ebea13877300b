//! Examples that can be done on paper.

use crate::entitlement::*;
use std::sync::atomic::{AtomicBool, Ordering};

/// One second: entitlements in it read as CPUs × 10⁹.
const SECOND: u64 = 1_000_000_000;

/// A demand that is built claim by claim; every CPU has the whole second.
struct Case(Demand);

impl Case {
    fn cpus(count: u32) -> Self {
        let capacity_ns: std::collections::BTreeMap<u32, u64> = (0..count).map(|c| (c, SECOND)).collect();
        let all = capacity_ns.keys().copied().collect();
        Self(Demand { length_ns: SECOND, capacity_ns, cpu_sets: vec![all], ..Demand::default() })
    }

    fn group(&mut self, parent: impl Into<Option<GroupId>>, weight: u64) -> GroupId {
        self.0.groups.push(Group { parent: parent.into(), weight, quota_ns: None });
        GroupId(self.0.groups.len() - 1)
    }

    fn quota(&mut self, group: GroupId, quota_ns: u64) {
        self.0.groups[group.0].quota_ns = Some(quota_ns);
    }

    /// A burner on any CPU.
    fn burner(&mut self, group: impl Into<Option<GroupId>>, weight: u64) {
        self.claim(group, weight, SECOND, CpuSetId(0));
    }

    fn pinned(&mut self, group: impl Into<Option<GroupId>>, weight: u64, cpus: &[u32]) {
        self.0.cpu_sets.push(cpus.iter().copied().collect());
        self.claim(group, weight, SECOND, CpuSetId(self.0.cpu_sets.len() - 1));
    }

    fn claim(&mut self, group: impl Into<Option<GroupId>>, weight: u64, demand_ns: u64, cpus: CpuSetId) {
        self.0.claims.push(Claim { weight, demand_ns, group: group.into(), cpus });
    }

    fn solve(&self) -> Entitlement {
        entitle(&self.0).unwrap()
    }

    /// Shares in CPUs, to a millionth of a nanosecond.
    #[track_caller]
    fn gives(&self, expected: &[f64]) -> Entitlement {
        let result = self.solve();
        let got: Vec<f64> = result.claims.iter().map(|c| c.entitled_ns / SECOND as f64).collect();
        assert_eq!(got.len(), expected.len());
        let close = got.iter().zip(expected).all(|(g, e)| (g - e).abs() < 1e-15);
        assert!(close, "{got:?} instead of {expected:?}");
        result
    }
}

fn flat(cpus: u32, weights: &[u64]) -> Case {
    let mut case = Case::cpus(cpus);
    for &weight in weights {
        case.burner(None, weight);
    }
    case
}

#[test]
fn weights_on_one_cpu_are_shares() {
    flat(1, &[1024, 335, 110]).gives(&[1024.0 / 1469.0, 335.0 / 1469.0, 110.0 / 1469.0]);
}

#[test]
fn a_task_cannot_use_more_than_one_cpu() {
    let result = flat(2, &[10, 1, 1]).gives(&[1.0, 0.5, 0.5]);
    let bounds: Vec<Bound> = result.claims.iter().map(|c| c.bound).collect();
    assert_eq!(bounds, [Bound::Demand, Bound::Cpus(0), Bound::Cpus(0)]);
    assert_eq!(result.full_cpus[0].to_string(), "0-1");
    flat(2, &[3, 2, 1]).gives(&[1.0, 2.0 / 3.0, 1.0 / 3.0]);
    flat(2, &[5, 4, 1]).gives(&[1.0, 0.8, 0.2]);
}

#[test]
fn who_is_pinned_shares_its_cpu_by_weight() {
    let mut case = Case::cpus(2);
    case.burner(None, 1);
    case.pinned(None, 4, &[0]);
    case.pinned(None, 1, &[0]);
    let result = case.gives(&[1.0, 0.8, 0.2]);
    assert_eq!(result.full_cpus, [CpuSet::from_iter([0])]);
    assert_eq!(result.claims.map_bounds(), [Bound::Demand, Bound::Cpus(0), Bound::Cpus(0)]);
}

#[test]
fn a_group_is_a_currency() {
    let mut case = Case::cpus(1);
    let a = case.group(None, 100);
    case.burner(a, 100);
    case.burner(a, 100);
    case.burner(None, 200);
    let result = case.gives(&[1.0 / 6.0, 1.0 / 6.0, 2.0 / 3.0]);
    assert!((result.groups[0].entitled_ns - 1e9 / 3.0).abs() < 1e-6);
    assert_eq!(result.groups[0].bound, Bound::Cpus(0));
}

#[test]
fn a_group_takes_no_more_than_its_members_can() {
    // A weighs a hundred times B, and has one task: one CPU for it, three for the ten of B.
    let mut case = Case::cpus(4);
    let (a, b) = (case.group(None, 10_000), case.group(None, 100));
    case.burner(a, 1);
    for _ in 0..10 {
        case.burner(b, 1);
    }
    let mut expected = [0.3; 11];
    expected[0] = 1.0;
    case.gives(&expected);
}

#[test]
fn a_quota_binds_and_the_rest_goes_to_the_others() {
    let mut case = Case::cpus(1);
    let a = case.group(None, 100);
    let inner = case.group(a, 100);
    case.quota(a, SECOND / 5);
    case.burner(a, 100);
    case.burner(inner, 7);
    case.burner(None, 100);
    let result = case.gives(&[0.1, 0.1, 0.8]);
    let quota = Bound::Quota(GroupId(0));
    assert_eq!(result.claims.map_bounds(), [quota, quota, Bound::Cpus(0)]);
    assert_eq!(result.groups.map_bounds(), [quota, quota]);
}

#[test]
fn an_inner_quota_is_demand_to_the_groups_above() {
    let mut case = Case::cpus(2);
    let a = case.group(None, 100);
    let inner = case.group(a, 100);
    case.quota(inner, SECOND / 4);
    case.burner(inner, 1);
    let result = case.gives(&[0.25]);
    assert_eq!(result.claims[0].bound, Bound::Quota(GroupId(1)));
    assert_eq!(result.groups.map_bounds(), [Bound::Demand, Bound::Quota(GroupId(1))]);
    assert!(result.full_cpus.is_empty());
}

#[test]
fn a_quota_that_nobody_reaches_is_no_bound() {
    let mut case = flat(2, &[1]);
    let a = case.group(None, 100);
    case.quota(a, SECOND);
    case.burner(a, 1); // asks for exactly the quota
    let result = case.gives(&[1.0, 1.0]);
    assert_eq!(result.groups[0].bound, Bound::Demand);
}

#[test]
fn a_groups_weight_goes_where_its_tasks_can_run() {
    // The example of the module's head.
    let mut case = Case::cpus(2);
    let (a, b) = (case.group(None, 100), case.group(None, 100));
    case.pinned(a, 1, &[0]);
    case.burner(a, 1);
    case.pinned(b, 1, &[0]);
    case.gives(&[1.0 / 3.0, 1.0, 2.0 / 3.0]);
}

#[test]
fn with_quota_and_affinity_a_cpu_can_stay_idle() {
    let mut case = Case::cpus(2);
    let a = case.group(None, 1024);
    case.quota(a, SECOND);
    case.pinned(a, 512, &[0]);
    case.pinned(a, 512, &[1]);
    case.pinned(None, 512, &[0]);
    // All grow at one speed until a + b = 1 and a + c = 1 at once.
    let result = case.gives(&[0.5, 0.5, 0.5]);
    let quota = Bound::Quota(GroupId(0));
    assert_eq!(result.claims.map_bounds(), [quota, quota, Bound::Cpus(0)]);
}

#[test]
fn cpus_that_fill_at_one_moment_are_told_apart() {
    let mut case = Case::cpus(3);
    for cpu in [0, 0, 2, 2] {
        case.pinned(None, 1, &[cpu]);
    }
    let result = case.gives(&[0.5; 4]);
    let full: Vec<String> = result.full_cpus.iter().map(ToString::to_string).collect();
    assert_eq!(full, ["0", "2"]);
    let cpus = [Bound::Cpus(0), Bound::Cpus(0), Bound::Cpus(1), Bound::Cpus(1)];
    assert_eq!(result.claims.map_bounds(), cpus);
}

#[test]
fn sets_that_overlap_form_one_cut() {
    // Any two of the three sets have room; all three together do not.
    let mut case = Case::cpus(3);
    for cpus in [[0, 1], [1, 2], [0, 2]] {
        case.pinned(None, 1, &cpus);
        case.pinned(None, 3, &cpus);
    }
    case.gives(&[0.25, 0.75, 0.25, 0.75, 0.25, 0.75]);
}

#[test]
fn real_time_leaves_less_to_divide() {
    // A FIFO task took 30 % of CPU 0.
    let mut case = Case::cpus(2);
    case.0.capacity_ns.insert(0, 700_000_000);
    case.pinned(None, 1024, &[0]);
    case.pinned(None, 1024, &[0]);
    case.burner(None, 1024);
    case.gives(&[0.35, 0.35, 1.0]);
}

#[test]
fn who_may_run_nowhere_is_entitled_to_nothing() {
    let mut case = flat(1, &[1]);
    case.pinned(None, 1_000_000, &[]);
    case.pinned(None, 1_000_000, &[9]);
    let result = case.gives(&[1.0, 0.0, 0.0]);
    assert_eq!(result.claims[1].bound, Bound::Cpus(0));
    assert!(result.full_cpus[0].is_empty());
}

#[test]
fn nothing_to_divide_and_nobody_to_ask() {
    assert_eq!(entitle(&Demand::default()).unwrap().total_ns().to_bits(), 0f64.to_bits());
    let mut case = flat(1, &[1, 2]);
    case.0.capacity_ns.clear();
    case.gives(&[0.0, 0.0]);
    let mut case = Case::cpus(1);
    let empty = case.group(None, 5);
    case.group(empty, 5);
    case.claim(None, 1, 0, CpuSetId(0));
    let result = case.gives(&[0.0]);
    assert_eq!(result.groups.map_bounds(), [Bound::Demand; 2]);
}

#[test]
fn demand_beyond_the_interval_is_cut_off() {
    let mut case = Case::cpus(2);
    case.claim(None, 1, u64::MAX, CpuSetId(0));
    case.gives(&[1.0]);
}

#[test]
fn the_largest_numbers_do_no_harm() {
    let mut case = Case::cpus(2);
    case.0.length_ns = u64::MAX;
    case.0.capacity_ns = [(0, u64::MAX), (1, u64::MAX)].into();
    for weight in [u64::MAX, u64::MAX, 1] {
        case.claim(None, weight, u64::MAX, CpuSetId(0));
    }
    let result = case.solve();
    let whole = 2.0 * u64::MAX as f64;
    assert!((result.total_ns() / whole - 1.0).abs() < 1e-12);
    assert!((result.claims[0].entitled_ns / result.claims[1].entitled_ns - 1.0).abs() < 1e-12);
}

#[test]
fn contradictions_are_named() {
    let error = |change: fn(&mut Demand)| {
        let mut case = flat(1, &[1]);
        case.group(None, 1);
        case.group(GroupId(0), 1);
        change(&mut case.0);
        entitle(&case.0).unwrap_err()
    };
    assert_eq!(error(|d| d.claims[0].weight = 0), DemandError::ClaimWithoutWeight(0));
    assert_eq!(error(|d| d.groups[1].weight = 0), DemandError::GroupWithoutWeight(1));
    let unknown = DemandError::ClaimInUnknownGroup { claim: 0, group: 2, groups: 2 };
    assert_eq!(error(|d| d.claims[0].group = Some(GroupId(2))), unknown);
    let unknown = DemandError::UnknownParent { group: 1, parent: 7, groups: 2 };
    assert_eq!(error(|d| d.groups[1].parent = Some(GroupId(7))), unknown);
    let unknown = DemandError::UnknownCpuSet { claim: 0, set: 1, sets: 1 };
    assert_eq!(error(|d| d.claims[0].cpus = CpuSetId(1)), unknown);
    assert_eq!(error(|d| d.groups[0].parent = Some(GroupId(0))), DemandError::Cycle(0));
    assert!(matches!(error(|d| d.groups[0].parent = Some(GroupId(1))), DemandError::Cycle(_)));
}

trait Bounds {
    fn map_bounds(&self) -> Vec<Bound>;
}

impl Bounds for Vec<Share> {
    fn map_bounds(&self) -> Vec<Bound> {
        self.iter().map(|s| s.bound).collect()
    }
}

#[test]
fn a_division_ends_where_it_is_told_to() {
    let demand = Demand {
        length_ns: 10,
        capacity_ns: [(0, 10)].into(),
        cpu_sets: vec![[0].into_iter().collect()],
        groups: Vec::new(),
        claims: vec![Claim { weight: 1, demand_ns: 10, group: None, cpus: CpuSetId(0) }; 2],
    };
    let ended = AtomicBool::new(false);
    let divided = entitle_unless(&demand, &ended).unwrap().unwrap();
    assert_eq!(divided.claims.iter().map(|share| share.entitled_ns).collect::<Vec<_>>(), [5.0, 5.0]);
    ended.store(true, Ordering::Relaxed);
    assert!(entitle_unless(&demand, &ended).unwrap().is_none());
}
