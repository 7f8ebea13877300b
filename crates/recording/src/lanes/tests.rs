use super::*;
use proptest::prelude::*;

fn task(pid: u32) -> Holder {
    Holder::Task(TaskId { pid, start_ns: 1 })
}

/// Lanes of one CPU with these slices, one after the other: holder and length.
fn lanes(slices: &[(Holder, u64)], most: usize) -> Lanes {
    let mut lanes = Lanes::new(1000, u64::MAX, most);
    let mut at_ns = 1000;
    for (holder, ns) in slices {
        lanes.add(3, at_ns, at_ns + ns, *holder);
        at_ns += ns;
    }
    lanes
}

#[test]
fn few_slices_stay_as_they_are() {
    let slices = [(task(1), 700), (Holder::Idle, 5_000_000), (task(2), 1), (Holder::Unknown, 9)];
    let pieces = lanes(&slices, 100).pieces(3, 100);
    let seen: Vec<_> = pieces.iter().map(|piece| (piece.holder, piece.to_ns - piece.from_ns)).collect();
    assert_eq!(seen, slices);
    assert!(pieces.iter().all(|piece| piece.is_exact));
    assert_eq!(lanes(&slices, 100).foremost(), [1, 2].map(|pid| TaskId { pid, start_ns: 1 }));
}

#[test]
fn what_is_outside_is_left_out() {
    let mut lanes = Lanes::new(100, 200, 10);
    assert!(!lanes.add(0, 0, 100, task(1)) && !lanes.add(0, 200, 300, task(1)));
    assert!(lanes.add(0, 90, 110, task(1)) && lanes.add(0, 190, 210, Holder::Idle));
    let edges: Vec<_> = lanes.pieces(0, 10).iter().map(|piece| (piece.from_ns, piece.to_ns)).collect();
    assert_eq!(edges, [(0, 10), (90, 100)]);
}

proptest! {
    /// However many slices: a bounded number of pieces, in order and apart, and of each lane's time nothing
    /// more or less than was told; whoever has a piece had as much of it as anybody, by a count of the slices
    /// themselves.
    #[test]
    fn pieces_are_bounded_and_true(
        slices in prop::collection::vec((0u32..6, 1u64..200_000), 1..600),
        most in 4usize..60,
    ) {
        let slices: Vec<(Holder, u64)> =
            slices.iter().map(|(pid, ns)| (if *pid == 0 { Holder::Idle } else { task(*pid) }, *ns)).collect();
        let whole_ns: u64 = slices.iter().map(|(_, ns)| ns).sum();
        let pieces = lanes(&slices, most).pieces(3, most);
        prop_assert!(pieces.len() <= most);
        prop_assert_eq!(pieces[0].from_ns, 0);
        prop_assert_eq!(pieces.last().unwrap().to_ns, whole_ns);
        prop_assert!(pieces.windows(2).all(|pair| pair[0].to_ns == pair[1].from_ns));
        for piece in &pieces {
            let mut held: BTreeMap<Holder, u64> = BTreeMap::new();
            let mut at_ns = 0;
            for (holder, ns) in &slices {
                let part = (at_ns + ns).min(piece.to_ns).saturating_sub(at_ns.max(piece.from_ns));
                *held.entry(*holder).or_default() += part;
                at_ns += ns;
            }
            prop_assert_eq!(piece.held_ns, held[&piece.holder]);
            let busy_ns: u64 = held.iter().filter(|(holder, _)| **holder != Holder::Idle).map(|(_, ns)| ns).sum();
            prop_assert_eq!(piece.busy_ns, busy_ns);
            let most_ns = held.iter().filter(|(holder, _)| **holder != Holder::Idle).map(|(_, ns)| *ns).max();
            prop_assert!(piece.holder == Holder::Idle && busy_ns == 0 || Some(piece.held_ns) == most_ns);
        }
    }
}
