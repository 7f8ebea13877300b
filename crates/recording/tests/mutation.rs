//! Files of all formats, cut, with flipped bits, with huge numbers, with pieces said twice: no panic, and no
//! more memory than the file is long, beside what readers need anyway.

mod common;

use common::foreign;
use peak_alloc::PeakAlloc;
use proptest::prelude::*;
use std::io::Cursor;
use std::sync::OnceLock;
use tombola_recording::event::{Context, Event, Kind, Left, Stage, Task};
use tombola_recording::playback::Playback;
use tombola_recording::reader;
use tombola_recording::simulated;
use tombola_recording::writer::{Options, PerfettoWriter};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Buffers, tables of zlib, unpacked packets that are kept.
const ANYWAY: usize = 4 << 20;

fn generated(deflate: bool) -> Vec<u8> {
    let options = Options { events_per_packet: 50, deflate, numbers: !deflate };
    let mut writer =
        PerfettoWriter::new(Vec::new(), &simulated::header(4, "lottery"), options).expect("memory");
    let task = |n: u64| Task {
        pid: u32::try_from(n % 23).expect("small"),
        tgid: Some(7),
        comm: format!("task {}", n % 23).as_str().into(),
        prio: Some(120),
    };
    for seq in 0..2000u64 {
        let kind = match seq % 5 {
            0 => Kind::Wake {
                wakee: task(seq),
                waker: Some(3),
                target: Some(1),
                stage: Stage::Waking,
                context: Context::Task,
            },
            1 if seq % 100 == 1 => Kind::Loss { of_cpu: Some(1), count: Some(5), from_ns: None },
            2 if seq % 50 == 2 => Kind::Fork { parent: task(seq), child: task(seq + 1) },
            _ => Kind::Switch { prev: Some(task(seq)), state: Left::Sleep, next: task(seq * 7) },
        };
        let cpu = u32::try_from(seq % 4).expect("small");
        writer.event(&Event { ts_ns: seq * 1000, cpu, seq, kind }).expect("memory");
    }
    writer.finish(None).expect("memory")
}

/// Real files, the first part of those that are long, and generated ones.
fn files() -> &'static [(String, Vec<u8>)] {
    static FILES: OnceLock<Vec<(String, Vec<u8>)>> = OnceLock::new();
    FILES.get_or_init(|| {
        let mut files = vec![
            ("generated, deflated".to_owned(), generated(true)),
            ("generated, plain".to_owned(), generated(false)),
        ];
        let names = [
            "text-systrace-android.txt",
            "text-tracecmd-raw-arm64-lisa.txt",
            "perfetto-android11-arm64-4.19.pftrace",
            "tracedat-v6-arm64-mask2048-rtapp.dat",
        ];
        for name in names {
            if let Some(path) = foreign(name) {
                let mut bytes = std::fs::read(path).expect("a readable file");
                bytes.truncate(40_000);
                files.push((name.to_owned(), bytes));
            }
        }
        files
    })
}

/// What is done to a file, at a part of its length.
#[derive(Clone, Debug)]
enum Change {
    Cut,
    Flip(u8),
    Huge(usize),
    Zero(usize),
    Twice(usize),
    Without(usize),
}

fn any_change() -> impl Strategy<Value = (f64, Change)> {
    let change = prop_oneof![
        1 => Just(Change::Cut),
        6 => (0u8..8).prop_map(Change::Flip),
        3 => (1usize..12).prop_map(Change::Huge),
        1 => (1usize..64).prop_map(Change::Zero),
        1 => (1usize..200).prop_map(Change::Twice),
        1 => (1usize..20).prop_map(Change::Without),
    ];
    // The head is where most of the meaning is.
    (prop_oneof![1 => 0.0f64..0.01, 2 => 0.0f64..1.0], change)
}

fn changed(mut bytes: Vec<u8>, changes: &[(f64, Change)]) -> Vec<u8> {
    for (part, change) in changes {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let at = ((bytes.len() as f64 * part) as usize).min(bytes.len().saturating_sub(1));
        let end = |n: usize| (at + n).min(bytes.len());
        match *change {
            Change::Cut => bytes.truncate(at),
            Change::Flip(bit) => bytes.get_mut(at..=at).into_iter().flatten().for_each(|b| *b ^= 1 << bit),
            Change::Huge(n) => {
                let end = end(n);
                bytes.get_mut(at..end).unwrap_or_default().fill(0xff);
            }
            Change::Zero(n) => {
                let end = end(n);
                bytes.get_mut(at..end).unwrap_or_default().fill(0);
            }
            Change::Twice(n) => {
                let piece = bytes.get(at..end(n)).unwrap_or_default().to_vec();
                bytes.splice(at..at, piece);
            }
            Change::Without(n) => {
                let end = end(n);
                bytes.drain(at.min(end)..end);
            }
        }
    }
    bytes
}

/// Reads it all, and gives how many events came and the most memory that took.
fn read(bytes: Vec<u8>) -> (u64, usize) {
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let mut events = 0;
    if let Ok(reader) = reader::open_input(Box::new(Cursor::new(bytes))) {
        let mut playback = Playback::new(reader);
        playback.keep_culprits();
        let _ = playback.advance_to_end();
        let snapshot = playback.snapshot_at_end();
        assert!(snapshot.taken_ns >= snapshot.begin_ns);
        assert_eq!(playback.advance_to(u64::MAX).ok(), Some(false), "an error comes once");
        events = playback.events();
    }
    (events, MEMORY.peak_usage() - before)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn broken_files_are_read_as_far_as_they_go(
        which in any::<prop::sample::Index>(), changes in prop::collection::vec(any_change(), 1..6),
    ) {
        let (name, whole) = &files()[which.index(files().len())];
        let bytes = changed(whole.clone(), &changes);
        let length = bytes.len();
        let (_, peak) = read(bytes);
        prop_assert!(peak <= ANYWAY + length, "{}: {} bytes of memory for {} of file", name, peak, length);
    }
}
