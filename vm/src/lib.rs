//! The lane: boots a kernel under QEMU with an initramfs made here, runs the live tests in it, and says how
//! each ended.
//!
//! Values flow one way: [`kernels`] (which) → [`images`] (from the [`archive`]) → [`payload`] and [`plan`]
//! (what to run) → [`initramfs`] (packed) → [`machine`] (booted by an [`emulator`], watched) → [`console`]
//! (read) → [`verdict`] (printed) → [`standing`] (the status). [`lane`] walks that way once for each machine,
//! and [`again`] once more where something went wrong. What runs in machines of another [`arch`]itecture is
//! built by [`cross`].
#![forbid(unsafe_code)]

pub mod accelerator;
pub mod again;
pub mod arch;
pub mod archive;
pub mod console;
pub mod cross;
pub mod emulator;
pub mod foreign;
pub mod images;
pub mod initramfs;
pub mod kernels;
pub mod lane;
pub mod machine;
pub mod payload;
pub mod plan;
pub mod side_by_side;
pub mod sources;
pub mod standing;
pub mod verdict;
