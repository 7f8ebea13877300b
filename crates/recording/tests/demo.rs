//! The recording that ships with the repository.

use std::path::Path;
use tombola_recording::event::Kind;
use tombola_recording::reader;

/// Of the machine it was made on it tells the numbers of the kernel's release, and nothing else.
#[test]
fn the_demo_recording_names_no_machine() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/mixture.pftrace");
    let mut reader = reader::open(&path).unwrap();
    let header = reader.header().clone();
    let release = header.release.unwrap();
    assert!(release.chars().all(|c| c.is_ascii_digit() || c == '.'), "{release}");
    assert_eq!(header.host, None);
    assert!(header.can.yields && header.can.groups);
    let mut sleepers = 0;
    while let Some(event) = reader.next_event().unwrap() {
        if let Kind::Group { name, .. } = &event.kind {
            assert_eq!(*name, None);
        }
        sleepers += u32::from(matches!(event.kind, Kind::Asleep { .. }));
    }
    assert!(sleepers > 50, "{sleepers}");
}
