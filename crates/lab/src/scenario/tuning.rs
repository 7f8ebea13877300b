//! What a scenario may set of the policies themselves.

/// Most levels of a feedback queue.
pub const MAX_LEVELS: u8 = 16;
/// Most winners of one draw.
pub const MAX_WINNERS: u32 = 1024;

/// Parameters of policies; the defaults are those of their files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// Numbers of the tickets that `lottery-list` draws, one after another and then from the first again,
    /// each modulo the queued tickets; none: by chance.
    pub draws: Vec<u64>,
    /// Winners of each draw of `lottery-multi`, 1…[`MAX_WINNERS`].
    pub winners: u32,
    /// Where passes begin under `stride` and `stride-2^20`.
    pub first_pass: FirstPass,
    /// Levels of `mlfq`, 1…[`MAX_LEVELS`].
    pub levels: u8,
    /// Time between two boosts of `mlfq`; 0 = never.
    pub boost_ns: u64,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            draws: Vec::new(),
            winners: 4,
            first_pass: FirstPass::Stride,
            levels: 4,
            boost_ns: 1_000_000_000,
        }
    }
}

/// The pass of a task that has never run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstPass {
    /// One stride, as in TM-528.
    Stride,
    /// The global pass: 0 for those who are there from the start.
    Zero,
}
