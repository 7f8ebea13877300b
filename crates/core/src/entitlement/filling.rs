//! The filling itself: raise all claims until CPUs are full, stop the claims that need those CPUs, and go on.

use super::demand::Demand;
use super::network::{Cut, Network};
use super::tree::{State, Tree};
use std::sync::atomic::{AtomicBool, Ordering};

/// Steps of the search for the moment at which a cut is full. Bisection alone needs about 53.
const SEARCH_STEPS: usize = 200;

/// The end of a filling.
pub(super) struct Filling {
    pub(super) tree: Tree,
    /// The last state: where everything that no cut has stopped came to rest.
    pub(super) state: State,
    /// The full CPU sets, in the order in which they were full.
    pub(super) cuts: Vec<Cut>,
}

/// Fills a demand whose groups come in the order `top_down`; `None` where `ended` is set before it is full.
pub(super) fn fill(demand: &Demand, top_down: &[usize], ended: &AtomicBool) -> Option<Filling> {
    let network = Network::new(&demand.capacity_ns, &demand.cpu_sets);
    let tree = Tree::new(demand, top_down);
    let sets = demand.cpu_sets.len();
    let mut filling = Filling { state: tree.at(0.0), tree, cuts: Vec::new() };
    let mut open = vec![true; sets];
    let barren: Vec<bool> = (0..sets).map(|set| network.is_barren(set)).collect();
    filling.stop(&network, &barren, &mut open);

    let everything = network.everything();
    let mut begin_ns = 0.0;
    while open.contains(&true) {
        // Where would it end if only the sum of all CPUs were a limit? While some cut cannot carry that, go
        // back to the moment at which this cut is full: a discrete Newton iteration, in which each cut met is
        // full earlier than the one before, so that none is met twice.
        let mut held_ns = filling.tree.most_ns().max(begin_ns);
        let mut last: Option<Cut> = None;
        if held_ns > everything.capacity_ns {
            held_ns = everything.capacity_ns.max(begin_ns);
            last = Some(everything.clone());
        }
        loop {
            if ended.load(Ordering::Relaxed) {
                return None;
            }
            filling.state = filling.tree.at(held_ns);
            let exceeded = network.exceeded(&filling.tree.by_set(&filling.state, sets));
            // That a cut is exceeded where it is full would be rounding at the limit of f64.
            let Some(cut) = exceeded.filter(|cut| last.as_ref().is_none_or(|last| last.sets != cut.sets))
            else {
                break;
            };
            held_ns = moment_full(&filling.tree, &cut, begin_ns, held_ns);
            last = Some(cut);
        }
        let Some(last) = last else { break };
        // Another cut that is full at this moment is met in the next round, which then begins and ends here.
        let stopped: Vec<bool> = open.iter().zip(&last.sets).map(|(open, inside)| *open && *inside).collect();
        assert!(stopped.contains(&true), "CPUs {} are full twice", last.cpus);
        filling.stop(&network, &stopped, &mut open);
        begin_ns = held_ns;
    }
    Some(filling)
}

impl Filling {
    /// Freezes the claims of those open CPU sets that are full now.
    fn stop(&mut self, network: &Network, now: &[bool], open: &mut [bool]) {
        let mut cut_of_set = vec![None; now.len()];
        let full: Vec<bool> = open.iter().zip(now).map(|(open, now)| !open || *now).collect();
        for cut in network.cuts(now, &full) {
            for set in (0..now.len()).filter(|&set| now[set] && cut.sets[set]) {
                cut_of_set[set].get_or_insert(self.cuts.len());
            }
            self.cuts.push(cut);
        }
        for (open, full) in open.iter_mut().zip(full) {
            *open = !full;
        }
        self.tree.freeze(&self.state, &cut_of_set);
    }
}

/// What all hold at the moment when the sets of a cut hold its capacity: between `low`, where they hold no
/// more, and `high`, where they hold more.
///
/// What they hold grows with the whole, never faster, in straight pieces that bend both ways (a group whose
/// members elsewhere are full grows faster in here). The chord hits the mark at once within a piece; the
/// Illinois rule and, if the bracket shrinks too slowly, bisection keep it safe.
fn moment_full(tree: &Tree, cut: &Cut, low: f64, high: f64) -> f64 {
    let excess = |held_ns: f64| tree.held_by(&tree.at(held_ns), &cut.sets) - cut.capacity_ns;
    let (mut low, mut high) = ((low, excess(low)), (high, excess(high)));
    if low.1 >= 0.0 {
        return low.0;
    }
    let resolution_ns = cut.capacity_ns / (1u64 << 50) as f64;
    let (mut width, mut last_side) = (high.0 - low.0, 0);
    for step in 0..SEARCH_STEPS {
        let mut at = low.0 + (high.0 - low.0) * (-low.1 / (high.1 - low.1));
        if step % 3 == 2 {
            if high.0 - low.0 > width / 2.0 {
                at = low.0 + (high.0 - low.0) / 2.0;
            }
            width = high.0 - low.0;
        }
        let here = excess(at);
        if here.abs() <= resolution_ns || at <= low.0 || at >= high.0 {
            return at;
        }
        let side = if here < 0.0 { -1 } else { 1 };
        let again = side == last_side;
        if here < 0.0 {
            low = (at, here);
            if again {
                high.1 /= 2.0;
            }
        } else {
            high = (at, here);
            if again {
                low.1 /= 2.0;
            }
        }
        last_side = side;
    }
    low.0
}
