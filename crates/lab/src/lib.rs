//! The lab: a deterministic discrete-event simulator of CPU schedulers.
//!
//! ```text
//! Scenario (TOML, rt-app) ─► Simulation (engine + policy) ─► results, timeline, Snapshot
//! ```
//!
//! A [`scenario::Scenario`] says what tasks want and on what machine; a [`policy::Policy`] decides who runs;
//! the [`engine::Simulation`] moves time. Everything is integer nanoseconds, and chance comes from seeded
//! streams: the same scenario, policy, seed and run number give the same schedule on every machine.

#![forbid(unsafe_code)]

pub mod chance;
pub mod compare;
pub mod draws;
pub mod engine;
pub mod estimate;
pub mod expectation;
pub mod heap;
mod kind;
pub mod lag;
pub mod library;
pub mod machine;
pub mod measure;
pub mod outcome;
pub mod policy;
pub mod predict;
pub mod realtime;
pub mod scenario;
pub mod snapshots;
pub mod span;
pub mod timeline;
pub mod tournament;
pub mod trace;
mod unfinished;
mod watched;
pub mod ziggurat;

#[cfg(test)]
mod judged;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod literature;
#[cfg(test)]
mod oracle;
