//! CPUs: what each did, what it runs, and how busy it was.

use super::canvas::{Canvas, Target, fit, offset};
use super::screen::Screen;
use super::theme::Theme;
use crate::moment::Moment;
use crate::sink::ms3;
use ratatui::style::{Modifier, Style};
use tombola_core::window::CpuWindow;

/// Columns of a bar.
const BAR: usize = 20;

/// Draws the view: a line each, with its history.
pub(super) fn draw(canvas: &mut Canvas<'_>, screen: &Screen, moment: &Moment) {
    let (theme, glyphs) = (screen.app.set.theme, screen.app.set.glyphs);
    let titles = "CPU  BUSY%   RT% IRQ+STEAL% IDLE%  RUNNING               SINCE ms  HISTORY OF BUSY";
    canvas.text(0, titles, theme.title().add_modifier(Modifier::UNDERLINED));
    let height = canvas.height().saturating_sub(1);
    let first = offset(screen.position, height, moment.cpus.len());
    for (place, cpu) in moment.cpus.iter().enumerate().skip(first).take(height) {
        let y = 1 + place - first;
        let wall = cpu.wall_ns.max(1) as f64;
        let part = |ns: u64, width| fit(&format!("{:.1}", 100.0 * ns as f64 / wall), width, true);
        let since = moment
            .running
            .get(&cpu.cpu)
            .map_or_else(String::new, |running| ms3(moment.taken_ns.saturating_sub(running.since_ns)));
        let figures = format!(
            "{:>3} {} {} {} {}  ",
            cpu.cpu,
            part(cpu.busy_ns, 6),
            part(cpu.unfair_ns, 5),
            part(cpu.taken_ns, 10),
            part(cpu.idle_ns, 5)
        );
        let who = fit(&running(moment, cpu), 20, false);
        let since = fit(&since, 10, true);
        let busy = screen.busy.get(&cpu.cpu).map(Vec::as_slice).unwrap_or_default();
        let strip = glyphs.levels(busy, canvas.width().saturating_sub(67));
        canvas.line(
            y,
            &[
                (&figures, Style::new()),
                (&who, Style::new()),
                (&since, theme.quiet()),
                ("  ", Style::new()),
                (&strip, theme.run()),
            ],
        );
        canvas.stands_for(y, Target::Row(place));
        if place == screen.position {
            canvas.mark(y, Theme::selected());
        }
    }
}

/// Draws a bar each, as many as have room.
pub(super) fn strips(canvas: &mut Canvas<'_>, screen: &Screen, moment: &Moment) {
    let (theme, glyphs) = (screen.app.set.theme, screen.app.set.glyphs);
    let room = canvas.height();
    let shown = if moment.cpus.len() > room { room.saturating_sub(1) } else { moment.cpus.len() };
    let left_out = moment.cpus.len() - shown;
    for (at, cpu) in moment.cpus.iter().take(shown).enumerate() {
        let wall = cpu.wall_ns.max(1) as f64;
        let fair = cpu.busy_ns.saturating_sub(cpu.unfair_ns) as f64 / wall;
        let bar = glyphs.bar(fair, cpu.unfair_ns as f64 / wall, BAR);
        let busy = screen.busy.get(&cpu.cpu).map(Vec::as_slice).unwrap_or_default();
        let number = format!("{:>3} ", cpu.cpu);
        let figure = format!(" {:>5.1} % ", 100.0 * cpu.busy_ns as f64 / wall);
        let who = fit(&running(moment, cpu), 22, false) + " ";
        let strip = glyphs.levels(busy, canvas.width().saturating_sub(57));
        canvas.line(
            at,
            &[
                (&number, Style::new()),
                (&bar, theme.run()),
                (&figure, Style::new()),
                (&who, Style::new()),
                (&strip, theme.run()),
            ],
        );
    }
    if left_out > 0 {
        canvas.text(room.saturating_sub(1), &format!("and {left_out} CPUs more: key 5"), theme.quiet());
    }
}

fn running(moment: &Moment, cpu: &CpuWindow) -> String {
    match moment.running.get(&cpu.cpu) {
        Some(running) => moment.task(running.id),
        None => "idle".to_owned(),
    }
}
