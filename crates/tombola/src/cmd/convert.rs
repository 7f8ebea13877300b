//! `tombola convert`: a recording in another form.

use crate::cli::{ConvertArgs, ConvertFormat};
use crate::exit::Exit;
use crate::pace::notify;
use crate::replay::world::{Machine, world};
use crate::replay::{recorded, rtapp, toml};
use crate::source::{nothing_in, open_recording, tell_damage};
use crate::target::Target;
use crate::text::harmless;
use anyhow::{Result, bail};
use std::fs::{self, Metadata};
use std::io::Write;
use std::path::Path;
use tombola_recording::event::Event;
use tombola_recording::playback::Watch;
use tombola_recording::reader::Reader;
use tombola_recording::writer::table::{Form, TableWriter};
use tombola_recording::writer::{Options, PerfettoWriter};

/// Events between two looks at the terminal and at signals.
const WATCHED_EVENTS: u64 = 1 << 14;

/// Writes what can be read; a recording that is cut or damaged is written as far as it is whole, which is
/// said.
pub fn run(args: &ConvertArgs, out: &mut dyn Write) -> Result<Exit> {
    let format = args.format.unwrap_or_else(|| of_name(&args.to));
    if matches!(format, ConvertFormat::Scenario | ConvertFormat::RtApp) {
        return demand(args, format, out);
    }
    let mut opened = open_recording(&args.from)?;
    let mut target = Target::open(Some(&args.to))?;
    let events = write(&mut opened, format, target.writer(out), &args.from)?;
    if args.to == Path::new("-") {
        if events == 0 {
            bail!("{}", nothing_in(&args.from));
        }
        return target.finish().map(|()| Exit::Ok);
    }
    if events == 0 {
        bail!("{}: {} is not written", nothing_in(&args.from), args.to.display());
    }
    target.finish()?;
    // A pipe or a device has no length.
    let length = fs::metadata(&args.to).ok().filter(Metadata::is_file).map(|metadata| metadata.len());
    let bytes = length.map(|bytes| format!(", {bytes} bytes")).unwrap_or_default();
    notify(&format!("{events} events{bytes}: {}", args.to.display()));
    Ok(Exit::Ok)
}

/// Writes what the tasks wanted: as a scenario, with which `simulate` begins at the policy of the recording,
/// or for rt-app.
fn demand(args: &ConvertArgs, format: ConvertFormat, out: &mut dyn Write) -> Result<Exit> {
    let target = Target::open(Some(&args.to))?;
    let span = recorded::read(&args.from, None, None)?;
    let name = args.from.file_stem().map_or_else(|| "recording".into(), |stem| stem.to_string_lossy());
    let mut world = world(&span.demand, Machine::of(&span.header), &harmless(name.as_bytes()));
    world.scenario.policies = vec![recorded::policy(&span.header).0.name().to_owned()];
    let text = if format == ConvertFormat::RtApp {
        let reserved: Vec<_> =
            world.of.iter().map(|index| span.demand.tasks[*index].attributes.reservation).collect();
        let export = rtapp::export(&world.scenario, &reserved);
        for note in export.notes {
            notify(&format!("{}: {note}", args.to.display()));
        }
        export.text
    } else {
        toml::text(&world.scenario)
    };
    target.put(out, text.as_bytes())?;
    Ok(Exit::Ok)
}

fn of_name(path: &Path) -> ConvertFormat {
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("csv") => ConvertFormat::Csv,
        Some("toml") => ConvertFormat::Scenario,
        Some("json") => ConvertFormat::RtApp,
        Some("ndjson" | "jsonl") => ConvertFormat::Ndjson,
        _ => ConvertFormat::Pftrace,
    }
}

/// Writes all events; returns how many.
fn write(
    (reader, watch): &mut (Box<dyn Reader>, Watch),
    format: ConvertFormat,
    out: impl Write,
    name: &Path,
) -> Result<u64> {
    enum Writer<W: Write> {
        Trace(PerfettoWriter<W>),
        Table(TableWriter<W>),
    }
    let mut writer = match format {
        ConvertFormat::Pftrace => {
            // What came first of events of one instant is told by their order alone.
            let options = Options { numbers: true, ..Options::default() };
            Writer::Trace(PerfettoWriter::new(out, reader.header(), options)?)
        }
        ConvertFormat::Csv => Writer::Table(TableWriter::new(out, Form::Csv)),
        ConvertFormat::Ndjson | ConvertFormat::Scenario | ConvertFormat::RtApp => {
            Writer::Table(TableWriter::new(out, Form::Ndjson))
        }
    };
    let (mut events, mut is_whole) = (0u64, true);
    loop {
        let event = match reader.next_event() {
            Ok(Some(event)) => Event { seq: events, ..event },
            Ok(None) => break,
            Err(error) => {
                notify(&format!("{}: {error}", name.display()));
                is_whole = false;
                break;
            }
        };
        match &mut writer {
            Writer::Trace(writer) => writer.event(&event)?,
            Writer::Table(writer) => writer.event(&event)?,
        }
        events += 1;
        if events.is_multiple_of(WATCHED_EVENTS) {
            let (done, all) = reader.progress();
            if !watch(done, all) {
                is_whole = false;
                break;
            }
        }
    }
    match writer {
        Writer::Trace(writer) => {
            // What was not read is not told to be empty.
            writer.finish(reader.header().end_ns.filter(|_| is_whole))?;
        }
        Writer::Table(writer) => {
            writer.finish()?;
        }
    }
    tell_damage(name, reader.damage());
    Ok(events)
}
