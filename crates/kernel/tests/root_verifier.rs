//! How far the programs are from what the verifier takes.
#![allow(clippy::unwrap_used)] // helpers of tests are no #[test] themselves

mod common;

use common::verifier::{check, verified};
use tombola_kernel::recorder::LaneRoom;
use tombola_kernel::{InterferenceMonitor, MaxPairs, PrivateMonitor, Recorder, Settings};

#[test]
#[ignore = "root: loads a monitor"]
fn root_programs_are_far_from_the_verifiers_limit() {
    let _monitor = PrivateMonitor::start(&Settings::default()).unwrap();
    let _interference = InterferenceMonitor::start(MaxPairs::default()).unwrap();
    // The recorder needs a newer kernel than the monitor.
    let recorder = Recorder::start(LaneRoom::default());
    if let Err(error) = &recorder {
        println!("NOTE: without the recorder: {error}");
    }
    let programs = verified();
    if programs.is_empty() {
        println!("SKIP: this kernel does not say what the verifier did (5.16)");
        return;
    }
    assert!(programs.len() > 3, "{programs:?}");
    check(&programs);
}
