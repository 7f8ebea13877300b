//! Who ran in the next second: a monitor of one's own, two snapshots, and the books between them. Needs the
//! rights that `tombola doctor` names: `sudo target/debug/examples/second`.

use std::error::Error;
use std::thread;
use std::time::Duration;
use tombola_core::window::Window;
use tombola_kernel::{PrivateMonitor, Settings};

fn main() -> Result<(), Box<dyn Error>> {
    let monitor = PrivateMonitor::start(&Settings::default())?;
    let earlier = monitor.reader().snapshot()?;
    thread::sleep(Duration::from_secs(1));
    let mut window = Window::between(&earlier, &monitor.reader().snapshot()?);
    window.tasks.sort_by_key(|task| std::cmp::Reverse(task.delta.runtime_ns));
    println!("{:>10} {:>10}  task", "ran [ms]", "waited");
    for task in window.tasks.iter().take(10) {
        let (run, wait) = (task.delta.runtime_ns as f64 / 1e6, task.delta.wait_ns as f64 / 1e6);
        println!("{run:>10.3} {wait:>10.3}  {}", String::from_utf8_lossy(&task.totals.comm).escape_debug());
    }
    println!("{:.2} % of the CPU time is in no task's books", 100.0 * window.books().residual_share());
    Ok(())
}
