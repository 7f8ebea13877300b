//! How far the programs of the scheduler are from what the verifier takes.
#![allow(clippy::unwrap_used)] // helpers of tests are no #[test] themselves

mod common;

use common::verifier::{check, verified};
use tombola_kernel::scheduler::{Scheduler, SchedulerOptions};

#[test]
#[ignore = "sched_ext: puts a scheduler into the kernel"]
fn scx_programs_are_far_from_the_verifiers_limit() {
    let _scheduler = Scheduler::start(&SchedulerOptions::default()).unwrap();
    let programs = verified();
    assert!(programs.len() > 3, "{programs:?}");
    check(&programs);
}
