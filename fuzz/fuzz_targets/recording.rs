//! Any bytes as a recording: recognised, read, played and kept in the ledger. What fails is a panic, an
//! overflow, a hang, or more memory than libFuzzer's limit (`-rss_limit_mb`).
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::io::Cursor;
use tombola_recording::playback::Playback;
use tombola_recording::reader;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(reader) = reader::open_input(Box::new(Cursor::new(bytes.to_vec()))) {
        let mut playback = Playback::new(reader);
        playback.keep_ledger();
        let ended = playback.advance_to_end();
        let snapshot = playback.snapshot_at_end();
        assert!(snapshot.taken_ns >= snapshot.begin_ns);
        assert_eq!(playback.advance_to(u64::MAX).ok(), Some(false), "an error comes once: {ended:?}");
    }
});
