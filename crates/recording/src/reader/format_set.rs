//! The descriptions of all events of a recording: the "tracing data" which trace-cmd invented and perf took
//! over.

use super::error::ReadError;
use super::format::{Field, Format};
use super::format_order::Order;
use super::format_scan::Scan;

/// The descriptions that matter here, and what else stands at the head of tracing data.
#[derive(Clone, Debug)]
pub struct FormatSet {
    /// Byte order of the machine that recorded.
    pub order: Order,
    /// Bytes of a `long` in its user space: 4 or 8.
    pub long_bytes: u8,
    /// Bytes of a page of its ring buffer.
    pub page_bytes: u32,
    /// Bytes of `commit` in the head of such a page: those of a `long` in its kernel.
    pub commit_bytes: usize,
    /// Descriptions of the scheduling events, as far as there are.
    pub formats: Vec<Format>,
}

/// A description larger than this is none: the longest of 6.18 has 6 KB.
const LARGEST_FORMAT: u64 = 1 << 20;

/// The names whose descriptions are kept.
pub(crate) const WANTED: [&str; 9] = [
    "sched_switch",
    "sched_waking",
    "sched_wakeup",
    "sched_wakeup_new",
    "sched_migrate_task",
    "sched_process_fork",
    "sched_process_exec",
    "sched_process_exit",
    "task_rename",
];

impl FormatSet {
    /// Reads the whole of perf's tracing data.
    ///
    /// # Errors
    /// Where it contradicts its format, or is cut.
    pub(crate) fn read(scan: &mut Scan<'_>) -> Result<Self, ReadError> {
        let (mut set, _version) = Self::begin(scan)?;
        set.header_info(scan)?;
        Self::ftrace_formats(scan)?;
        set.event_formats(scan)?;
        Ok(set)
    }

    /// Reads from the magic to the size of a page, and gives the version, `6` or `7` (of perf, `0.5` or
    /// `0.6`).
    pub(crate) fn begin(scan: &mut Scan<'_>) -> Result<(Self, String), ReadError> {
        if scan.bytes(10, "the mark of tracing data")? != b"\x17\x08\x44tracing" {
            return Err(scan.damaged("the event formats do not begin with their mark"));
        }
        let version = scan.string("the version of tracing data")?;
        let order = match scan.u8("the byte order")? {
            0 => Order::Little,
            1 => Order::Big,
            other => return Err(scan.damaged(format!("{other} is no byte order"))),
        };
        scan.order = order;
        let long_bytes = scan.u8("the size of a long")?;
        let page_bytes = scan.u32("the size of a page")?;
        Ok((Self { order, long_bytes, page_bytes, commit_bytes: 8, formats: Vec::new() }, version))
    }

    /// Reads `header_page` and `header_event`.
    pub(crate) fn header_info(&mut self, scan: &mut Scan<'_>) -> Result<(), ReadError> {
        for name in ["header_page", "header_event"] {
            if scan.string(name)? != name {
                return Err(scan.damaged(format!("{name} is not where it belongs")));
            }
            let length = scan.u64(name)?;
            if name == "header_event" {
                scan.skip(length, name)?;
                continue;
            }
            let text = Self::text(scan, length, name)?;
            for line in text.lines().filter(|line| line.trim_start().starts_with("field:")) {
                let field = Field::parse(line.trim()).map_err(|what| scan.damaged(what))?;
                if field.name == "commit" {
                    self.commit_bytes = field.layout.size;
                }
            }
        }
        if matches!(self.commit_bytes, 4 | 8) {
            Ok(())
        } else {
            Err(scan.damaged(format!("commit has {} bytes; 4 and 8 are known", self.commit_bytes)))
        }
    }

    /// Passes over the descriptions of ftrace's own events.
    pub(crate) fn ftrace_formats(scan: &mut Scan<'_>) -> Result<(), ReadError> {
        for _ in 0..scan.u32("the number of ftrace's formats")? {
            let length = scan.u64("the size of a format")?;
            scan.skip(length, "a format of ftrace's own events")?;
        }
        Ok(())
    }

    /// Reads the descriptions of the events of all systems and keeps the wanted.
    pub(crate) fn event_formats(&mut self, scan: &mut Scan<'_>) -> Result<(), ReadError> {
        for _ in 0..scan.u32("the number of systems")? {
            let system = scan.string("the name of a system")?;
            for _ in 0..scan.u32("the number of events")? {
                let length = scan.u64("the size of a format")?;
                if system == "sched" || system == "task" {
                    let text = Self::text(scan, length, "an event's format")?;
                    self.take(&text).map_err(|what| scan.damaged(what))?;
                } else {
                    scan.skip(length, "an event's format")?;
                }
            }
        }
        Ok(())
    }

    /// Keeps the description if it is wanted. A description of another event may be unreadable.
    fn take(&mut self, text: &str) -> Result<(), String> {
        let name = text.lines().next().and_then(|line| line.trim().strip_prefix("name:")).map(str::trim);
        if name.is_some_and(|name| WANTED.contains(&name)) {
            self.formats.push(Format::parse(text).map_err(|error| error.to_string())?);
        }
        Ok(())
    }

    fn text(scan: &mut Scan<'_>, length: u64, what: &str) -> Result<String, ReadError> {
        if length > LARGEST_FORMAT {
            return Err(scan.damaged(format!("{what} has {length} bytes, more than any kernel writes")));
        }
        Ok(String::from_utf8_lossy(&scan.bytes(length, what)?).into_owned())
    }
}
