//! The scheduler: wins against expectation where ours runs, and else who is in charge.

use super::canvas::{Canvas, Target, fit, offset};
use super::screen::Screen;
use super::theme::Theme;
use crate::moment::Moment;
use crate::text::harmless;
use ratatui::style::{Modifier, Style};
use tombola_core::source::Origin;

/// Draws it.
pub(super) fn draw(canvas: &mut Canvas<'_>, screen: &Screen, moment: &Moment) {
    let theme = screen.app.set.theme;
    let view = moment.view();
    let charge = match &view.scheduler {
        Some(scheduler) => format!("in charge: {}", harmless(scheduler.as_bytes())),
        None if moment.origin == Origin::Simulated => {
            format!("simulated: {}", harmless(moment.machine.release.as_bytes()))
        }
        None => "in charge: the kernel's own scheduler".to_owned(),
    };
    canvas.text(0, &charge, Style::new());
    let Some(tasks) = &moment.lottery else {
        let text = if moment.origin.is_live() {
            "No lottery of ours runs here, or this user may not ask it. `sudo tombola schedule -- COMMAND` holds one as long as \
             COMMAND runs; wins and their expectation then stand here, task by task."
        } else {
            "This world is not live: what a lottery drew is not in it."
        };
        canvas.wrapped(2, text, 0, theme.quiet());
        return;
    };
    let titles = "    PID COMM             TICKETS       WINS   EXPECTED  DIFFERENCE  IN SIGMA";
    canvas.text(1, titles, theme.title().add_modifier(Modifier::UNDERLINED));
    let height = canvas.height().saturating_sub(2);
    let first = offset(screen.position, height, tasks.len());
    for (place, task) in tasks.iter().enumerate().skip(first).take(height) {
        let y = 2 + place - first;
        let tally = &task.tally;
        let difference = tally.wins as f64 - tally.expected;
        let sigma = tally.variance.sqrt();
        let in_sigma = if sigma > 0.0 { format!("{:+.1}", difference / sigma) } else { "-".to_owned() };
        let tickets = format!("{}{}", task.tickets, if task.explicit { "*" } else { "" });
        let text = format!(
            "{:>7} {} {:>7} {:>10} {:>10.1} {:>+11.1} {:>9}",
            task.id.pid,
            fit(&harmless(&task.comm), 16, false),
            tickets,
            tally.wins,
            tally.expected,
            difference,
            in_sigma
        );
        canvas.text(y, &text, Style::new());
        canvas.stands_for(y, Target::Row(place));
        if place == screen.position {
            canvas.mark(y, Theme::selected());
        }
    }
}
