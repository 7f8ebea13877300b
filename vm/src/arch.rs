//! The architectures of the lane's machines, and all that differs between them.

use serde::Deserialize;

/// An architecture of a machine. The host of the lane is always x86-64.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arch {
    /// The host's own.
    #[default]
    #[serde(rename = "x86_64")]
    X86_64,
    /// 64-bit Arm, for which everything is built by a cross compiler.
    Arm64,
}

impl Arch {
    /// All of them, the host's own first.
    pub const ALL: [Self; 2] = [Self::X86_64, Self::Arm64];

    /// Its name in `vm/kernels.toml`.
    pub fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Arm64 => "arm64",
        }
    }

    /// What Debian calls it.
    pub fn debian(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// The target of rustc.
    pub fn triple(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-unknown-linux-gnu",
            Self::Arm64 => "aarch64-unknown-linux-gnu",
        }
    }

    /// The prefix of its compiler's programs and the name of its libraries' directory.
    pub fn multiarch(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-linux-gnu",
            Self::Arm64 => "aarch64-linux-gnu",
        }
    }

    /// The QEMU that emulates a machine of it, and Debian's package of that.
    pub fn qemu(self) -> (&'static str, &'static str) {
        match self {
            Self::X86_64 => ("qemu-system-x86_64", "qemu-system-x86"),
            Self::Arm64 => ("qemu-system-aarch64", "qemu-system-arm"),
        }
    }

    /// QEMU's options for an emulated machine.
    pub fn emulated(self) -> &'static [&'static str] {
        match self {
            // The fifth level of page tables only costs time.
            Self::X86_64 => &["-accel", "tcg,thread=multi", "-cpu", "max,la57=off"],
            // A processor with atomic instructions (LSE) and without pointer authentication, which takes most
            // of the time where it is emulated.
            Self::Arm64 => &["-accel", "tcg,thread=multi", "-M", "virt,gic-version=3", "-cpu", "neoverse-n1"],
        }
    }

    /// The same, with a clock that counts instructions.
    pub fn counted(self) -> &'static [&'static str] {
        const CLOCK: &str = "shift=1,sleep=off,align=off";
        match self {
            Self::X86_64 => &["-accel", "tcg,thread=single", "-icount", CLOCK, "-cpu", "max,la57=off"],
            Self::Arm64 => &[
                "-accel",
                "tcg,thread=single",
                "-icount",
                CLOCK,
                "-M",
                "virt,gic-version=3",
                "-cpu",
                "neoverse-n1",
            ],
        }
    }

    /// Words for the kernel that only it needs.
    pub fn words(self) -> &'static str {
        match self {
            // Time stamps of an emulated processor are those of the host: the kernel's suspicion would cost
            // it its clock.
            Self::X86_64 => "console=ttyS0 tsc=reliable random.trust_cpu=on",
            // QEMU passes a seed in the device tree.
            Self::Arm64 => "console=ttyAMA0 random.trust_bootloader=on",
        }
    }
}
