//! What the tests share: where foreign recordings lie.
#![allow(dead_code)] // each test uses some of it

use std::path::PathBuf;
use tombola_recording::event::{Event, Kind};
use tombola_recording::reader::{Events, Reader};

/// A file of the folder beside the workspace, `shared/recordings`; says so and gives `None` where it is
/// absent.
pub(crate) fn foreign(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/recordings").join(name);
    if !path.exists() {
        println!("SKIP: {name} is not beside the workspace, in shared/recordings");
        return None;
    }
    Some(path)
}

/// All events of a reader, which must not fail.
pub(crate) fn all(reader: &mut dyn Reader) -> Vec<Event> {
    Events(reader).collect::<Result<_, _>>().expect("a whole recording")
}

/// How many switches and wakes.
pub(crate) fn counts(events: &[Event]) -> (usize, usize) {
    let count = |wanted: fn(&Kind) -> bool| events.iter().filter(|e| wanted(&e.kind)).count();
    (count(|k| matches!(k, Kind::Switch { .. })), count(|k| matches!(k, Kind::Wake { .. })))
}
