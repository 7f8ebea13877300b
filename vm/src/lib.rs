//! The lane: boots a kernel under QEMU with an initramfs made here, runs the live tests in it, and says how each ended.
//!
//! Values flow one way: [`kernels`] (which) → [`archive`] (its image) → [`payload`] and [`plan`] (what to run) →
//! [`initramfs`] (packed) → [`machine`] (booted, watched) → [`console`] (read) → [`verdict`] (printed). [`lane`] walks that way
//! once for each kernel.

pub mod accelerator;
pub mod archive;
pub mod console;
pub mod initramfs;
pub mod kernels;
pub mod lane;
pub mod machine;
pub mod payload;
pub mod plan;
pub mod verdict;
