//! A recording judged as a live machine is: windows and audits of it.

mod common;

use common::foreign;
use std::time::Duration;
use tombola_core::source::Source;
use tombola_core::window::Window;
use tombola_recording::playback::Playback;
use tombola_recording::reader;

const MS: u64 = 1_000_000;

/// Windows of a real recording add up: the books of each balance, and together they are the whole.
#[test]
fn windows_of_a_recording_add_up() {
    let Some(path) = foreign("perfetto-android11-arm64-4.19.pftrace") else { return };
    let mut whole = Playback::new(reader::open(&path).unwrap());
    whole.advance_to_end().unwrap();
    let end = whole.snapshot_at_end();
    let mut playback = Playback::new(reader::open(&path).unwrap());
    let begin = playback.begin_ns().unwrap();
    assert_eq!(begin, end.begin_ns);
    let mut next = || Some(playback.next(Some(Duration::from_millis(500))).unwrap()?.snapshot);
    let mut before = next().unwrap();
    let (mut runtime, mut switches, mut windows) = (0, 0, 0);
    while let Some(now) = next() {
        let window = Window::between(&before, &now);
        assert!(window.to_ns > window.from_ns);
        runtime += window.tasks.iter().map(|task| task.delta.runtime_ns).sum::<u64>();
        switches += window.tasks.iter().map(|task| task.delta.switches).sum::<u64>();
        for cpu in &window.cpus {
            // Of a CPU that has told an event before the window every nanosecond is known: no loss, no hidden switch.
            if before.cpus.iter().any(|known| known.cpu == cpu.cpu) {
                assert_eq!(cpu.busy_ns + cpu.idle_ns, window.to_ns - window.from_ns, "CPU {}", cpu.cpu);
            }
        }
        before = now;
        windows += 1;
    }
    assert!(windows > 25, "{windows}");
    let first = Window::between(&end.origin(), &end);
    let sum = |of: fn(&tombola_core::window::TaskWindow) -> u64| first.tasks.iter().map(of).sum::<u64>();
    let early = {
        let mut start = Playback::new(reader::open(&path).unwrap());
        start.advance_to(begin + 500 * MS).unwrap();
        let snapshot = start.snapshot_at(begin + 500 * MS);
        Window::between(&snapshot.origin(), &snapshot)
    };
    runtime += early.tasks.iter().map(|task| task.delta.runtime_ns).sum::<u64>();
    switches += early.tasks.iter().map(|task| task.delta.switches).sum::<u64>();
    assert_eq!(runtime, sum(|task| task.delta.runtime_ns));
    assert_eq!(switches, sum(|task| task.delta.switches));
    // Switches away from a task; the others leave the idle task.
    assert_eq!(whole.events(), 15_267 + 8_743 + 4 + 4 + 4);
}
