use std::time::Duration;
use tombola_kernel::scheduler::*;
fn main() {
    let arg: Vec<String> = std::env::args().collect();
    let mut o = SchedulerOptions::default();
    if arg[1] == "stride" {
        o.law = Law::Stride;
    }
    if arg[1] == "out" {
        o.flaw = Some(Flaw::PreviousOut);
    }
    if arg[1] == "uni" {
        o.flaw = Some(Flaw::UniformKeys);
    }
    if arg[1] == "off" {
        o.flaw = Some(Flaw::NoOffset);
    }
    o.slice = Slice::new(Duration::from_micros(arg[2].parse().unwrap())).unwrap();
    let s = match Scheduler::start(&o) {
        Ok(s) => s,
        Err(e) => {
            println!("ERR {e}");
            std::process::exit(1)
        }
    };
    println!("{:?}", SchedExtState::now());
    for _ in 0..arg[3].parse::<u64>().unwrap() {
        std::thread::sleep(Duration::from_secs(1));
        if let Some(f) = s.control().farewell().unwrap() {
            println!("FAREWELL {f}");
            break;
        }
    }
    println!("{:#?}", s.control().totals().unwrap());
    for t in s.control().tasks().unwrap() {
        println!(
            "{:6} {:16} n{:3} t{:6} run{} wins {} exp {:.1} z {:?} und {} sl {} mean {:?}",
            t.id.pid,
            String::from_utf8_lossy(&t.comm),
            t.nice,
            t.tickets,
            t.runnable,
            t.tally.wins,
            t.tally.expected,
            t.tally.z().map(|z| (z * 100.).round() / 100.),
            t.tally.undrawn,
            t.tally.slices,
            t.tally.mean_slice_ns()
        );
    }
    println!("stop {:?}", s.stop(Duration::from_secs(10)).unwrap());
    println!("{:?}", SchedExtState::now());
}
