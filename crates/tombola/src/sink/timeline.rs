//! Who ran where and when, of one run: as CSV, or as a picture.

use crate::text::{harmless, harmless_in_csv};
use anyhow::Result;
use std::cell::RefCell;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use tombola_lab::engine::Slice;
use tombola_lab::outcome::{Observe, run};
use tombola_lab::policy::PolicyKind;
use tombola_lab::scenario::{Scenario, Step};
use tombola_lab::timeline::{HEADER, Picture, row};

/// Columns of a picture: it fits a terminal with the numbers of the CPUs in front.
const COLUMNS: u16 = 100;

/// Entitlement is not needed for a timeline.
const BARE: Observe = Observe { entitlement: false, draws: false };

/// Writes every slice of the first run, in the order in which they end; stops early when `cancel` becomes
/// true.
pub(crate) fn csv(
    scenario: &Scenario,
    policy: PolicyKind,
    seed: u64,
    cancel: &AtomicBool,
    out: &mut dyn Write,
) -> Result<()> {
    let names: Vec<String> =
        scenario.instance_names().iter().map(|name| harmless_in_csv(name.as_bytes())).collect();
    // Rows gather here between two questions of the simulation whether it shall go on: an observer cannot
    // fail.
    let rows = std::sync::Mutex::new(csv::Writer::from_writer(Vec::new()));
    let lock = || rows.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    lock().write_record(HEADER)?;
    let failed = RefCell::new(None);
    let out = RefCell::new(out);
    let drain = || -> Result<()> {
        let done = std::mem::replace(&mut *lock(), csv::Writer::from_writer(Vec::new()));
        Ok(out.borrow_mut().write_all(&done.into_inner()?)?)
    };
    let mut observe = |slice: &Slice| {
        lock().write_record(row(slice, &names)).expect("rows are equally long, and a Vec takes everything");
    };
    let go_on = |_| {
        let result = drain();
        let fine = result.is_ok();
        if let Err(error) = result {
            *failed.borrow_mut() = Some(error);
        }
        fine && !cancel.load(Ordering::Relaxed)
    };
    run(scenario, policy, seed, 0, BARE, Some(&mut observe), &go_on)?;
    match failed.into_inner() {
        Some(error) => Err(error),
        None => drain(),
    }
}

/// A picture of the beginning of the first run, one line for each CPU.
pub(crate) fn picture(scenario: &Scenario, policy: PolicyKind, seed: u64) -> Result<String> {
    let column_ns = grain_ns(scenario);
    let window_ns = column_ns.saturating_mul(COLUMNS.into());
    let cpus = scenario.cpus as usize;
    let mut picture = Picture::new(window_ns, cpus, COLUMNS.into());
    let past = AtomicBool::new(false);
    let mut observe = |slice: &Slice| {
        past.fetch_or(slice.from_ns >= window_ns, Ordering::Relaxed);
        picture.add(slice);
    };
    run(scenario, policy, seed, 0, BARE, Some(&mut observe), &|_| !past.load(Ordering::Relaxed))?;
    let names: Vec<String> = scenario.instance_names().iter().map(|name| harmless(name.as_bytes())).collect();
    let head = format!(
        "timeline of {policy}, first run: {} from the start, a column is {}, . is idle\n",
        super::comparison::length(window_ns.min(scenario.duration_ns)),
        super::comparison::length(column_ns),
    );
    Ok(head + &picture.draw(&names))
}

/// The time a column stands for: the shortest stretch tasks want or get, unless less than that fills the
/// picture.
fn grain_ns(scenario: &Scenario) -> u64 {
    let runs = scenario.tasks.iter().flat_map(|task| &task.steps).filter_map(|step| match step {
        Step::Run(span) => Some(span.mean_ns()),
        _ => None,
    });
    let finest = runs.fold(scenario.quantum_ns, u64::min).max(1);
    finest.min(scenario.duration_ns.div_ceil(COLUMNS.into())).max(1)
}
