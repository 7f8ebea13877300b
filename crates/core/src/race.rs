//! The draw of the kernel's lottery: a race in integers, the same bits in Rust and in C.
//!
//! The functions are the twins of those in `crates/kernel/bpf/lottery_draw.h`, which the scheduler in BPF is
//! made of: `crates/kernel/tests/draw_host.rs` compiles the header for the host and compares every result.
//! What is proved here about the distribution holds for the kernel's draw as well, and the simulator runs the
//! same draw as the policy `lottery-kernel`.
//!
//! A queued task with t tickets has the residual E/t, E ~ Exp(1); the smallest residual wins, so task i wins
//! with probability tᵢ/T. Those who lose keep theirs: given all draws so far they are again independent
//! exponentials with the same rates, for the law has no memory.
//!
//! | C | here |
//! |---|---|
//! | `draw_exponential`, `draw_residual`, `draw_compensation` | [`exponential`], [`residual`], [`compensation`] |
//! | `struct number`, `number_of`, `number_product`, … | [`Number`] |
//! | the loop over queues in a dispatch | [`Queues`] |
//!
//! BPF has no floating point and only 64-bit products. So residuals are integers in units of 2⁻⁵², and rates
//! of exchange between the currencies of groups are [`Number`]s.

mod number;
mod queues;

pub use number::Number;
pub use queues::Queues;

/// Bits of a residual behind the binary point. A residual is below 2⁵⁸, so that keys may wrap around 2⁶⁴.
pub const FRACTION: u32 = 52;
/// A residual of 1.
pub const ONE: u64 = 1 << FRACTION;
/// A compensation of 1: that of a task that used its slice.
pub const COMPENSATION_ONE: u64 = 1024;
/// The most: a task that used less than 1/1024 of its slice is taken to have used that.
pub const COMPENSATION_MOST: u64 = 1024 * COMPENSATION_ONE;
/// Most tickets of one task: 2²⁰.
pub const TICKETS_MOST: u32 = 1 << 20;

/// ln 2 · 2⁶⁴.
const LN2_64: u64 = 0xb172_17f7_d1cf_79ab;
/// ln 2 · 2⁵².
const LN2_52: u64 = LN2_64 >> (64 - FRACTION);

/// Q\[k\] = Σ (ln 2)ⁱ/i! for i = 1…k, in units of 2⁻⁶⁴, from Q\[1\] on; they approach e^(ln 2) − 1 = 1.
const Q: [u64; 17] = [
    LN2_64,
    0xeef1_93f6_d75a_96fc,
    0xfd27_1862_59aa_f6c2,
    0xff9d_6dd0_50f4_c5a7,
    0xfff4_cfcf_ef1e_626b,
    0xfffe_e818_86e1_c62f,
    0xffff_e7fe_850e_0bb5,
    0xffff_fe2a_8731_b17d,
    0xffff_ffdf_ac6e_eadc,
    0xffff_fffd_f964_0067,
    0xffff_ffff_e22e_c79c,
    0xffff_ffff_fe6a_9ded,
    0xffff_ffff_ffeb_ff81,
    0xffff_ffff_ffff_1417,
    0xffff_ffff_ffff_f5ce,
    0xffff_ffff_ffff_ff95,
    0xffff_ffff_ffff_fffb,
];

/// The next of a stream of 64-bit numbers: `SplitMix64` (Steele, Lea, Flood, "Fast splittable pseudorandom
/// number generators", OOPSLA 2014).
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// E ~ Exp(1) in units of 2⁻⁵² from 64 random bits: 0 to 65 ln 2 · 2⁵², which is below 2⁵⁸.
///
/// Source: D. E. Knuth, The Art of Computer Programming 2, 3.4.1, Algorithm S (due to Marsaglia, Sibuya and
/// Ahrens), which is exact and needs neither a logarithm nor a table of one. E/ln 2 has a whole part,
/// geometric like the heads before the first tail, and a fraction independent of it. Where a uniform number U
/// is below ln 2 it is the fraction times ln 2 itself; else the fraction is the least of k uniform numbers, k
/// ≥ 2 the first with U < Q\[k\]. With probability 2⁻⁶⁴ there is no such k in the table, and the last is
/// taken.
///
/// `seed` starts a `SplitMix64` of its own, of which 2 to 19 numbers are used. Seeds must be random
/// themselves: the streams of seeds that differ by a multiple of 0x9e3779b97f4a7c15 are the same one,
/// shifted.
pub fn exponential(mut seed: u64) -> u64 {
    let heads = u64::from(next(&mut seed).leading_zeros());
    let rest = next(&mut seed);
    if rest < Q[0] {
        return heads * LN2_52 + (rest >> (64 - FRACTION));
    }
    let mut least = u64::MAX;
    for (k, bound) in Q.iter().enumerate() {
        least = least.min(next(&mut seed));
        if k > 0 && rest < *bound {
            break;
        }
    }
    heads * LN2_52 + (high_product(least, LN2_64) >> (64 - FRACTION))
}

/// The upper half of a product.
fn high_product(a: u64, b: u64) -> u64 {
    ((u128::from(a) * u128::from(b)) >> 64) as u64
}

/// The residual of a task, in the units of `exponential`: E / (tickets · compensation), cut twice: by less
/// than two units.
///
/// `tickets` 1 to [`TICKETS_MOST`], `compensation` [`COMPENSATION_ONE`] to [`COMPENSATION_MOST`].
///
/// # Panics
/// If `tickets` or `compensation` is 0.
pub fn residual(exponential: u64, tickets: u32, compensation: u64) -> u64 {
    let each = exponential / u64::from(tickets);
    each / compensation * COMPENSATION_ONE + each % compensation * COMPENSATION_ONE / compensation
}

/// What the tickets of a task are multiplied by that blocked after `used_ns` of its slice: slice / used,
/// rounded down, in units of 1/[`COMPENSATION_ONE`]; from [`COMPENSATION_ONE`] to [`COMPENSATION_MOST`].
///
/// Source: Waldspurger and Weihl, "Lottery Scheduling", OSDI 1994, section 3.4 (compensation tickets).
pub fn compensation(used_ns: u64, slice_ns: u64) -> u64 {
    if used_ns >= slice_ns {
        return COMPENSATION_ONE;
    }
    if used_ns < slice_ns / (COMPENSATION_MOST / COMPENSATION_ONE) + 1 {
        return COMPENSATION_MOST;
    }
    // Above 208 days, such as a slice without end, the product would not fit.
    let cut = if slice_ns >> 54 == 0 { 0 } else { 10 };
    (slice_ns >> cut) * COMPENSATION_ONE / (used_ns >> cut)
}

#[cfg(test)]
mod tests;
