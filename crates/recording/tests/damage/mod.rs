//! Damages files: cut anywhere, flipped bits, huge numbers, pieces taken out or doubled.

use std::collections::HashSet;
use std::fs;
use tombola_recording::event::Event;
use tombola_recording::reader::ReadError;

/// A seeded generator (xorshift64*).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Below `bound`, which is not 0.
    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    /// A place in `file`: in every other case one in its first bytes, where its head is.
    fn place(&mut self, file: &[u8]) -> usize {
        let bound = if self.next() & 1 == 0 { file.len().min(4096) } else { file.len() };
        self.below(bound)
    }
}

/// Numbers that lengths should not be.
const HUGE: [u64; 6] = [u64::MAX, 0x7fff_ffff, 0xffff_ffff, 1 << 63, 0x8000_0000, 0xffff_ffff_ffff_fff8];

fn damaged(file: &[u8], random: &mut Random) -> (Vec<u8>, String) {
    let at = random.place(file);
    let mut bytes = file.to_vec();
    let what = match random.below(5) {
        0 => {
            bytes.truncate(at);
            "cut"
        }
        1 => {
            for _ in 0..=random.below(8) {
                let at = random.place(file);
                bytes[at] ^= 1 << random.below(8);
            }
            "bits flipped, last"
        }
        2 => {
            let number = HUGE[random.below(HUGE.len())].to_le_bytes();
            let size = [2, 4, 8][random.below(3)].min(bytes.len() - at);
            bytes[at..at + size].copy_from_slice(&number[..size]);
            "a huge number"
        }
        3 => {
            let end = (at + 1 + random.below(5000)).min(bytes.len());
            bytes.drain(at..end);
            "a piece taken out"
        }
        _ => {
            let end = (at + 1 + random.below(5000)).min(bytes.len());
            let piece = bytes[at..end].to_vec();
            bytes.splice(at..at, piece);
            "a piece doubled"
        }
    };
    (bytes, format!("{what} at byte {at}"))
}

/// Peak of this process's memory, bytes.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// How many rounds: `TOMBOLA_DAMAGE_ROUNDS`, or else `usual`.
pub(crate) fn rounds(usual: u64) -> u64 {
    std::env::var("TOMBOLA_DAMAGE_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(usual)
}

/// Reads `rounds` damaged copies of a file that is whole. A panic fails the test by itself; what is asserted
/// is that memory stays in bounds, that errors say where, and that a cut file gives nothing that the whole
/// one does not.
pub(crate) fn survives(
    file: &[u8],
    rounds: u64,
    read: impl Fn(Vec<u8>) -> (Vec<Event>, Option<ReadError>),
    name: impl Fn(&Event) -> Option<(u64, u32, String)>,
) {
    let (whole, error) = read(file.to_vec());
    assert!(error.is_none(), "{error:?}");
    let all: HashSet<_> = whole.iter().filter_map(&name).collect();
    let before = peak();
    let (mut refused, mut ended, mut kept) = (0, 0, 0u64);
    for round in 1..=rounds {
        let mut random = Random(round.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let (bytes, what) = damaged(file, &mut random);
        let cut = what.starts_with("cut");
        let (events, error) = read(bytes);
        kept += events.len() as u64;
        if let Some(error) = &error {
            *(if events.is_empty() { &mut refused } else { &mut ended }) += 1;
            // These say where, or what is missing. Whatever a length says, nothing outside the file is asked
            // for.
            assert!(!matches!(error, ReadError::Io(_)), "round {round}, {what}: {error}");
        }
        if cut {
            let foreign = events.iter().filter_map(&name).find(|event| !all.contains(event));
            assert_eq!(foreign, None, "round {round}, {what}");
        }
    }
    // The other tests of this process run beside this one and have files of their own.
    let grown = peak().saturating_sub(before);
    assert!(grown < (128 << 20) + 4 * file.len() as u64, "memory grew by {grown} bytes");
    println!(
        "NOTE: {rounds} damaged copies of {} events: {refused} refused, {ended} read in part, {} events on average, memory +{} MB",
        whole.len(),
        kept / rounds,
        grown >> 20
    );
}
