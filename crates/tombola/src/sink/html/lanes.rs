//! Who ran where, from the lanes of a recording.

use super::chart::{self, Stretch};
use super::markup::{escape, put};
use crate::sink::comparison::length;
use crate::text::harmless;
use tombola_core::identity::TaskId;
use tombola_recording::lanes::{Holder, Lanes, Piece};

/// Pieces on the whole page; they keep it below 300 KB. Each lane has its part of them.
const PIECES: usize = 480;

/// CPUs with a lane on the page.
const CPUS: usize = 16;

/// Tasks with a fill of their own.
const FILLS: usize = 5;

/// The part of a page; `length_ns` is that of all of it.
pub(super) fn section(lanes: &Lanes, length_ns: u64) -> String {
    let mut out = String::from("<h2>Who ran where</h2>\n");
    let all: Vec<u32> = lanes.cpus().collect();
    if all.is_empty() {
        return out + "<p class=\"quiet\">No slice is known.</p>\n";
    }
    let cpus = &all[..all.len().min(CPUS)];
    let mut foremost = lanes.foremost();
    foremost.truncate(FILLS);
    let mut names: Vec<String> = foremost.iter().map(|task| name(lanes, *task)).collect();
    names.push("others, or not known".to_owned());
    let mut is_exact = true;
    let mut stretches = Vec::new();
    for (row, cpu) in cpus.iter().enumerate() {
        for piece in lanes.pieces(*cpu, PIECES / cpus.len()) {
            is_exact &= piece.is_exact;
            if piece.holder == Holder::Idle {
                continue;
            }
            let at = foremost.iter().position(|task| piece.holder == Holder::Task(*task));
            stretches.push(Stretch {
                cpu: row,
                from_ns: piece.from_ns,
                to_ns: piece.to_ns,
                part: piece.busy_ns as f64 / (piece.to_ns - piece.from_ns).max(1) as f64,
                task: at.unwrap_or(names.len() - 1),
                title: title(lanes, &piece),
            });
        }
    }
    let how = if is_exact {
        "Every slice."
    } else {
        "There are more slices than have room: several are one piece, as high as the CPU was busy, with the fill of whom had most of that; a \
         pointer on it is told how much."
    };
    let more = match all.len() - cpus.len() {
        0 => String::new(),
        more => format!(" {more} CPUs more are left out."),
    };
    let numbers: Vec<String> = cpus.iter().map(|cpu| format!("CPU {cpu}")).collect();
    let span = format!("{} from its begin to its end", length(length_ns));
    let chart = chart::timeline("who ran where", &stretches, &numbers, &names, length_ns, &span);
    put(
        &mut out,
        format_args!(
            "<p class=\"quiet\">{}{} Without a fill the CPU idled.</p>\n<figure id=\"lanes\">{chart}</figure>\n",
            escape(how),
            escape(&more)
        ),
    );
    out
}

fn name(lanes: &Lanes, task: TaskId) -> String {
    let comm = harmless(lanes.name(task).unwrap_or_default());
    format!("{comm} ({})", task.pid)
}

/// Whose a piece is, when, and how much of it.
fn title(lanes: &Lanes, piece: &Piece) -> String {
    let whose = match piece.holder {
        Holder::Task(task) => name(lanes, task),
        Holder::Others => "several tasks".to_owned(),
        Holder::Unknown => "not known".to_owned(),
        Holder::Idle => "idle".to_owned(),
    };
    let ns = piece.to_ns - piece.from_ns;
    // What a pointer can tell apart, and no more digits.
    let round = |ns: u64| if piece.is_exact { ns } else { ns / 1000 * 1000 };
    let part = if piece.held_ns < ns {
        format!(", {:.0} % of it", 100.0 * piece.held_ns as f64 / ns.max(1) as f64)
    } else {
        String::new()
    };
    format!("{whose} from {} for {}{part}", length(round(piece.from_ns)), length(round(ns)))
}
