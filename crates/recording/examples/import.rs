//! What reading a recording costs: `cargo run --release -p tombola-recording --example import -- FILE
//! [read]`. Prints events, CPU time and peak memory. With `read` the events are only read; otherwise they
//! also go through the gaps and the normaliser.

use std::path::Path;
use tombola_recording::gaps::Early;
use tombola_recording::normaliser::Normaliser;
use tombola_recording::reader;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("usage: import FILE [read]")?;
    let is_normalised = arguments.next().is_none();
    let mut recording = reader::open(Path::new(&path))?;
    let mut normaliser = Normaliser::new(recording.header());
    let mut early = Early::default();
    let (mut events, mut facts) = (0u64, 0u64);
    while let Some(event) = recording.next_event()? {
        events += 1;
        if !is_normalised {
            continue;
        }
        if let Some(event) = early.add(event) {
            normaliser.event(&event);
            facts += normaliser.facts().len() as u64;
        }
    }
    while let Some(event) = early.rest() {
        normaliser.event(&event);
        facts += normaliser.facts().len() as u64;
    }
    normaliser.finish(recording.header().end_ns);
    facts += normaliser.facts().len() as u64;
    println!("{events} events, {facts} facts");
    Ok(())
}
