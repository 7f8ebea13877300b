//! Findings: where weights do not decide.

use super::canvas::{Canvas, Target, offset};
use super::screen::Screen;
use super::theme::Theme;
use crate::moment::Moment;
use crate::sink::finding_sentence;
use ratatui::style::{Modifier, Style};

/// Draws the list, and below it the selected one in full.
pub(super) fn draw(canvas: &mut Canvas<'_>, screen: &Screen, moment: &Moment) {
    let theme = screen.app.set.theme;
    let findings = &moment.audit.findings;
    if findings.is_empty() {
        canvas.text(
            0,
            "none: weights did what they say, no quota was hit, no CPU idled while a pinned task waited",
            theme.quiet(),
        );
        return;
    }
    let more = match moment.audit.findings_left_out {
        0 => String::new(),
        n => format!(", and {n} of less effect"),
    };
    let title = format!("  EFFECT s  FINDING ({}{more})", findings.len());
    canvas.text(0, &title, theme.title().add_modifier(Modifier::UNDERLINED));
    let whole = canvas.height() / 3;
    let height = canvas.height().saturating_sub(1 + whole);
    let view = moment.view();
    let first = offset(screen.position, height, findings.len());
    for (place, finding) in findings.iter().enumerate().skip(first).take(height) {
        let y = 1 + place - first;
        let effect = format!("{:>10.3}  ", finding.effect_ns as f64 / 1e9);
        canvas.line(y, &[(&effect, theme.owed()), (&finding_sentence(&view, finding), Style::new())]);
        canvas.stands_for(y, Target::Row(place));
        if place == screen.position {
            canvas.mark(y, Theme::selected());
        }
    }
    if let Some(finding) = findings.get(screen.position) {
        let top = 1 + height.min(findings.len());
        canvas.title(top, "In full", theme, screen.app.set.glyphs.rule());
        let next = canvas.wrapped(top + 1, &finding_sentence(&view, finding), 2, Style::new());
        let names: Vec<String> = finding.tasks.iter().take(20).map(|id| view.task(*id)).collect();
        canvas.wrapped(next, &format!("tasks: {}", names.join(", ")), 2, theme.quiet());
    }
}
