//! The loop: keys, moments and signals in, pictures out.

use super::app::App;
use super::canvas::{Canvas, Targets};
use super::keys::Action;
use super::measuring::Measuring;
use super::screen::Screen;
use super::terminal::{self, Ready, Terminal};
use super::timeline::Timeline;
use super::{app::View, config, cpus, culprits, detail, findings, head, help, overview, scheduler, table};
use crate::interrupt::Interrupt;
use anyhow::{Context, Result};
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use ratatui::layout::{Position, Rect};
use std::path::Path;
use std::time::Duration;

/// How long nothing is looked at: the longest delay of a signal or a moment on the screen.
const LOOK: Duration = Duration::from_millis(100);

/// Shows a world until told to end. The terminal is as it was, whatever the result.
///
/// # Errors
/// A source that cannot be read any more; a terminal that cannot be drawn on.
pub(crate) fn run(mut app: App, mut measuring: Measuring, config: Option<&Path>) -> Result<()> {
    let interrupt = Interrupt::catch()?;
    let mut terminal = Terminal::enter(app.set.mouse)?;
    let (mut timeline, mut version, mut ended) = (Timeline::default(), 0, false);
    let mut screen = Screen::of(&app, &timeline, ended);
    let mut changed = true;
    while !interrupt.raised() {
        if let Some(new) = measuring.since(&mut version) {
            timeline = new;
            // A picture of the past stays as it is.
            changed |= app.at.is_none() || timeline.len() == 1;
        }
        if !ended && measuring.ended()? {
            ended = true;
            // The last moments may have come between the two questions.
            timeline = measuring.since(&mut version).unwrap_or(timeline);
            changed = true;
        }
        if changed {
            screen = Screen::of(&app, &timeline, ended);
            let drawn = terminal.inner().draw(|frame| _ = draw(frame.buffer_mut(), &screen));
            drawn.context("cannot draw")?;
            changed = false;
        }
        let mut action = Action::None;
        // Whatever has come is taken before the next picture: a storm of sizes or keys makes one.
        let mut patience = LOOK;
        while action == Action::None {
            match terminal::ready(patience).context("cannot read the terminal")? {
                Ready::Event => {}
                Ready::Nothing => break,
                Ready::HungUp => return Ok(()),
            }
            patience = Duration::ZERO;
            match event::read().context("cannot read the terminal")? {
                Event::Key(key) if key.kind != KeyEventKind::Release => {
                    action = app.press(key, &screen);
                    screen = Screen::of(&app, &timeline, ended);
                    changed = true;
                }
                Event::Mouse(event) => {
                    // What lies there is asked of the picture of now: keys may have come since the last one.
                    let size = terminal.inner().size().context("cannot read the terminal")?;
                    let mut picture = Buffer::empty(Rect::from((Position::ORIGIN, size)));
                    app.point(event, &draw(&mut picture, &screen), &screen);
                    screen = Screen::of(&app, &timeline, ended);
                    changed = true;
                }
                Event::Resize(..) => changed = true,
                _ => {}
            }
            if interrupt.raised() {
                break;
            }
        }
        if terminal.shall_stop() {
            action = Action::Suspend;
        }
        match action {
            Action::None => {}
            Action::Quit => break,
            Action::Suspend => {
                terminal.suspend()?;
                changed = true;
            }
            Action::Redraw => {
                terminal.inner().clear().context("cannot draw")?;
                changed = true;
            }
            Action::Interval => {
                measuring.set_interval(app.set.interval);
                app.message = Some(format!("an interval is now {:?}", app.set.interval));
            }
            Action::Mouse => terminal::set_mouse(app.set.mouse).context("cannot set the terminal")?,
            Action::Save => app.message = Some(save(&app, config)),
        }
    }
    Ok(())
}

fn save(app: &App, config: Option<&Path>) -> String {
    let Some(path) = config else {
        return "there is no place for a config file: neither XDG_CONFIG_HOME nor HOME is set".to_owned();
    };
    match config::save(path, &app.set) {
        Ok(()) => format!("written to {}", path.display()),
        Err(error) => format!("{error:#}"),
    }
}

/// Draws a screen, and tells what its places stand for: a pure function.
pub(super) fn draw(buffer: &mut Buffer, screen: &Screen) -> Targets {
    let area: Rect = buffer.area;
    let mut targets = Targets::default();
    let mut canvas = Canvas { buffer, area, targets: &mut targets };
    let height = canvas.height();
    head::top(&mut canvas, screen);
    let body = height.saturating_sub(head::TOP + head::BOTTOM);
    if let Some(moment) = &screen.moment {
        let mut body = canvas.part(head::TOP, body);
        match screen.app.view {
            _ if screen.app.detail && screen.who().is_some() && !screen.entries.is_empty() => {
                detail::draw(&mut body, screen, moment);
            }
            View::Overview => overview::draw(&mut body, screen, moment),
            View::Tasks | View::Processes | View::Groups => table::draw(&mut body, screen, moment),
            View::Cpus => cpus::draw(&mut body, screen, moment),
            View::Findings => findings::draw(&mut body, screen, moment),
            View::Culprits => culprits::draw(&mut body, screen, moment),
            View::Scheduler => scheduler::draw(&mut body, screen, moment),
        }
    }
    help::draw(&mut canvas.part(head::TOP, body), screen);
    if height > head::TOP {
        head::bottom(&mut canvas.part(height - head::BOTTOM, head::BOTTOM), screen);
    }
    targets
}
