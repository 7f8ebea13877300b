//! The group tree as vessels that fill: given what the whole holds, what does every group hold?
//!
//! All members of a group that still grow stand at one level λ: a claim of weight w holds min(most, λw), a
//! child group min(its most, λw). Sorted by the level at which members are full, a group's level follows from
//! what it holds by one binary search, and so, from the top down, the whole state from one number. What a
//! full set of CPUs has frozen keeps what it has; the rest of its group goes on growing with all of the
//! group's weight.

use super::bucket::{Bucket, Frozen, rounded};
use super::demand::{Demand, GroupId};

/// A quota that is used up to this part is used up.
const USED_UP: f64 = 1.0 - 1.0 / (1u64 << 44) as f64;

pub(super) struct Tree {
    /// The root, then the groups in the order of the demand.
    nodes: Vec<Node>,
    /// Parents before children.
    top_down: Vec<usize>,
    /// By node, then by CPU set.
    pub(super) buckets: Vec<Bucket>,
}

struct Node {
    parent: usize,
    weight: u64,
    quota_ns: f64,
    children: Vec<usize>,
    buckets: Vec<usize>,
    /// What its frozen buckets hold.
    frozen_ns: f64,
    /// The most its members can hold, without and with its own quota.
    members_most_ns: f64,
    most_ns: f64,
    /// What still grows in it, by ascending level at which it is full.
    steps: Vec<Step>,
    /// Whether something below it was frozen since the three fields above were computed.
    stale: bool,
}

/// The level at which one more member of a group is full.
struct Step {
    /// What the whole group holds at that level.
    held_ns: f64,
    /// What those hold that no longer grow below that level, and the weight of the others.
    fixed_ns: f64,
    weight: f64,
}

/// A claim or child group that grows.
struct Growing {
    full_at: f64,
    /// Its most: whole nanoseconds (claims) or not (groups), one of them 0, so that claims are summed
    /// exactly.
    whole_ns: u64,
    broken_ns: f64,
    weight: u64,
}

/// One state of the tree: what each node holds, and its level.
#[derive(Clone)]
pub(super) struct State {
    held_ns: Vec<f64>,
    level: Vec<f64>,
}

impl Node {
    fn new(parent: usize, weight: u64, quota_ns: Option<u64>) -> Self {
        Self {
            parent,
            weight,
            quota_ns: quota_ns.map_or(f64::INFINITY, |q| q as f64),
            children: Vec::new(),
            buckets: Vec::new(),
            frozen_ns: 0.0,
            members_most_ns: 0.0,
            most_ns: 0.0,
            steps: Vec::new(),
            stale: true,
        }
    }

    /// The level at which it holds so much; infinite when all its members are full.
    fn level(&self, held_ns: f64) -> f64 {
        if held_ns >= self.members_most_ns {
            return f64::INFINITY;
        }
        let step = self.steps.partition_point(|s| s.held_ns < held_ns);
        self.steps.get(step).map_or(f64::INFINITY, |s| ((held_ns - s.fixed_ns) / s.weight).max(0.0))
    }
}

impl Tree {
    /// The tree of a demand whose groups come in the order `top_down`.
    pub(super) fn new(demand: &Demand, top_down: &[usize]) -> Self {
        let node_of = |group: Option<GroupId>| group.map_or(0, |g| g.0 + 1);
        let mut nodes = vec![Node::new(0, 1, None)];
        nodes.extend(demand.groups.iter().map(|g| Node::new(node_of(g.parent), g.weight, g.quota_ns)));
        for child in 1..nodes.len() {
            let parent = nodes[child].parent;
            nodes[parent].children.push(child);
        }
        let buckets = Bucket::sort(demand, node_of);
        for (index, bucket) in buckets.iter().enumerate() {
            nodes[bucket.node].buckets.push(index);
        }
        let top_down = std::iter::once(0).chain(top_down.iter().map(|g| g + 1)).collect();
        let mut tree = Self { nodes, top_down, buckets };
        tree.refresh();
        tree
    }

    /// The most that all can hold together.
    pub(super) fn most_ns(&self) -> f64 {
        self.nodes[0].most_ns
    }

    /// The state in which all together hold so much.
    pub(super) fn at(&self, held_ns: f64) -> State {
        let mut state = State { held_ns: vec![0.0; self.nodes.len()], level: vec![0.0; self.nodes.len()] };
        state.held_ns[0] = held_ns;
        for &index in &self.top_down {
            let node = &self.nodes[index];
            let level = node.level(state.held_ns[index]);
            state.level[index] = level;
            for &child in &node.children {
                state.held_ns[child] = self.nodes[child].most_ns.min(level * self.nodes[child].weight as f64);
            }
        }
        state
    }

    /// What the claims of each CPU set hold in a state.
    pub(super) fn by_set(&self, state: &State, sets: usize) -> Vec<f64> {
        let mut held = vec![0.0; sets];
        for bucket in &self.buckets {
            held[bucket.set] += Self::amount_ns(bucket, state);
        }
        held
    }

    /// What the claims of the chosen CPU sets hold together in a state.
    pub(super) fn held_by(&self, state: &State, sets: &[bool]) -> f64 {
        self.buckets.iter().filter(|b| sets[b.set]).map(|b| Self::amount_ns(b, state)).sum()
    }

    fn amount_ns(bucket: &Bucket, state: &State) -> f64 {
        bucket.frozen.map_or_else(|| bucket.amount_ns(state.level[bucket.node]), |f| f.amount_ns)
    }

    /// Stops the claims of those CPU sets for which a cut is named, where they are in this state.
    pub(super) fn freeze(&mut self, state: &State, cut_of_set: &[Option<usize>]) {
        for index in 0..self.buckets.len() {
            let bucket = &self.buckets[index];
            let (Some(cut), None) = (cut_of_set[bucket.set], bucket.frozen) else { continue };
            let (level, quota) = self.end(bucket, state);
            let amount_ns = bucket.amount_ns(level);
            self.nodes[bucket.node].stale = true;
            self.buckets[index].frozen = Some(Frozen { level, amount_ns, quota, cut });
        }
        self.refresh();
    }

    /// Level of a bucket that is not frozen, and the quota that keeps it from rising any more.
    pub(super) fn end(&self, bucket: &Bucket, state: &State) -> (f64, Option<GroupId>) {
        let used_up = |&node: &usize| {
            let Node { quota_ns, members_most_ns, .. } = self.nodes[node];
            quota_ns < members_most_ns && state.held_ns[node] >= quota_ns * USED_UP
        };
        let quota = self.path(bucket.node).find(used_up).map(|node| GroupId(node - 1));
        (state.level[bucket.node], quota)
    }

    /// A node and its ancestors below the root.
    pub(super) fn path(&self, node: usize) -> impl Iterator<Item = usize> + '_ {
        std::iter::successors(Some(node), |&at| Some(self.nodes[at].parent)).take_while(|&at| at != 0)
    }

    /// Computes again what was frozen since, and all above it.
    fn refresh(&mut self) {
        for at in (0..self.top_down.len()).rev() {
            let index = self.top_down[at];
            if self.nodes[index].stale {
                self.rebuild(index);
                let parent = self.nodes[index].parent;
                self.nodes[parent].stale |= index != 0;
            }
        }
    }

    fn rebuild(&mut self, index: usize) {
        let mut growing = Vec::new();
        let mut frozen_ns = 0.0;
        for &bucket in &self.nodes[index].buckets {
            let bucket = &self.buckets[bucket];
            match bucket.frozen {
                Some(frozen) => frozen_ns += frozen.amount_ns,
                None => growing.extend(bucket.members.iter().map(|m| Growing {
                    full_at: m.full_at,
                    whole_ns: m.most_ns,
                    broken_ns: 0.0,
                    weight: m.weight,
                })),
            }
        }
        growing.extend(self.nodes[index].children.iter().map(|&child| {
            let Node { most_ns, weight, .. } = self.nodes[child];
            Growing { full_at: most_ns / weight as f64, whole_ns: 0, broken_ns: most_ns, weight }
        }));
        growing.sort_by(|a, b| a.full_at.total_cmp(&b.full_at)); // sorted runs: the stable sort merges them

        let node = &mut self.nodes[index];
        let mut weight: u128 = growing.iter().map(|m| u128::from(m.weight)).sum();
        let (mut whole, mut broken_ns) = (0u128, 0.0);
        node.steps.clear();
        for member in &growing {
            let fixed_ns = frozen_ns + broken_ns + rounded(whole);
            let held_ns = fixed_ns + member.full_at * rounded(weight);
            node.steps.push(Step { held_ns, fixed_ns, weight: rounded(weight) });
            whole += u128::from(member.whole_ns);
            broken_ns += member.broken_ns;
            weight -= u128::from(member.weight);
        }
        node.frozen_ns = frozen_ns;
        node.members_most_ns = frozen_ns + broken_ns + rounded(whole);
        node.most_ns = node.members_most_ns.min(node.quota_ns);
        node.stale = false;
    }
}
