//! What is in a recording: `cargo run -p tombola-recording --example look -- FILE [PID]`. With a thread id,
//! its intervals.

use std::collections::BTreeMap;
use std::path::Path;
use tombola_recording::fact::Fact;
use tombola_recording::gaps::Early;
use tombola_recording::interval::What;
use tombola_recording::normaliser::Normaliser;
use tombola_recording::reader;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("usage: look FILE [PID]")?;
    let pid: Option<u32> = arguments.next().map(|pid| pid.parse()).transpose()?;
    let mut recording = reader::open(Path::new(&path))?;
    println!("{:#?}", recording.header());
    let mut normaliser = Normaliser::new(recording.header());
    let (mut kinds, mut sums) = (BTreeMap::new(), BTreeMap::new());
    let mut tell = |normaliser: &mut Normaliser| {
        for fact in normaliser.facts() {
            let (what, ns) = match &fact {
                Fact::Task(interval) => {
                    if pid == Some(interval.task.pid) {
                        println!("{:>16} {:>12} {:?}", interval.from_ns, interval.ns(), interval.what);
                    }
                    let what = match interval.what {
                        What::Running { .. } => "running".to_owned(),
                        What::Runnable { .. } => "runnable".to_owned(),
                        What::Blocked { .. } => "blocked".to_owned(),
                        What::Unknown(doubt) => format!("unknown: {doubt:?}"),
                    };
                    (what, interval.ns())
                }
                Fact::Cpu(cpu) => (
                    cpu.doubt.map_or("idle".to_owned(), |d| format!("CPU unknown: {d:?}")),
                    cpu.to_ns - cpu.from_ns,
                ),
                Fact::Ended { .. } => ("ended".to_owned(), 0),
                Fact::Became { .. } => ("exec by a thread".to_owned(), 0),
            };
            let sum: &mut (u64, u64) = sums.entry(what).or_default();
            *sum = (sum.0 + 1, sum.1 + ns);
        }
    };
    let mut early = Early::default();
    let mut is_over = false;
    loop {
        let event = match recording.next_event() {
            Ok(Some(event)) => early.add(event),
            end => {
                if let (Err(error), false) = (end, is_over) {
                    println!("{error}");
                }
                is_over = true;
                early.rest()
            }
        };
        match event {
            Some(event) => {
                *kinds.entry(event.kind.name()).or_insert(0u64) += 1;
                normaliser.event(&event);
                tell(&mut normaliser);
            }
            None if is_over => break,
            None => {}
        }
    }
    normaliser.finish(recording.header().end_ns);
    tell(&mut normaliser);
    println!("events {kinds:?}");
    println!("{:.6} s", (normaliser.now_ns() - normaliser.begin_ns()) as f64 / 1e9);
    for (what, (count, ns)) in sums {
        println!("{what:<24} {count:>8} {:>14.6} s", ns as f64 / 1e9);
    }
    for (what, count) in normaliser.repairs().each() {
        println!("{count:>8} {what}");
    }
    println!("damage {:?}", recording.damage());
    Ok(())
}
