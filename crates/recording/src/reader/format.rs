//! What the kernel says about the fields of an event: the text of `events/<system>/<event>/format`, which
//! perf.data and trace.dat carry. Offsets and sizes differ between kernels and word sizes, so nothing is read
//! from an event but through this.

use super::format_order::Order;
use crate::comm::Comm;

/// The description of one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    /// Its name, `sched_switch`.
    pub name: String,
    /// Its number in this kernel: `common_type` of its records.
    pub id: u16,
    /// Its fields, in the order of the text.
    pub fields: Vec<Field>,
    /// How the kernel prints it: the masks of the task states stand here.
    pub print: String,
}

/// Where a field lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name, `prev_pid`.
    pub name: String,
    /// Where it lies, and how to read it.
    pub layout: Layout,
}

/// Where a field lies, and how to read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// From the record's begin, bytes.
    pub offset: usize,
    /// Bytes.
    pub size: usize,
    /// A number with a sign.
    pub signed: bool,
    /// What lies there.
    pub holds: Holds,
}

/// What lies at a field's offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// The value.
    Value,
    /// `__data_loc`: 16 bits of length above 16 bits of offset, from the record's begin.
    Location,
    /// `__rel_loc`: the same, the offset from the end of this field.
    Relative,
}

/// Why the text of a format cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the format of {event}: {what}")]
pub struct FormatError {
    /// The event, as far as it is known.
    pub event: String,
    /// Line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: String,
}

impl Format {
    /// Reads the text.
    ///
    /// # Errors
    ///
    /// A name, an ID or a number that is not there, or is none.
    pub fn parse(text: &str) -> Result<Self, FormatError> {
        let mut format = Self { name: String::new(), id: 0, fields: Vec::new(), print: String::new() };
        let mut id = None;
        for (index, line) in text.lines().enumerate() {
            let fail = |what: String| FormatError { event: format.name.clone(), line: index + 1, what };
            let line = line.trim();
            if let Some(name) = line.strip_prefix("name:") {
                name.trim().clone_into(&mut format.name);
            } else if let Some(number) = line.strip_prefix("ID:") {
                let number = number.trim();
                id = Some(number.parse().map_err(|_| fail(format!("\"{number}\" is no ID")))?);
            } else if line.starts_with("field:") {
                let field = Field::parse(line).map_err(fail)?;
                format.fields.push(field);
            } else if let Some(print) = line.strip_prefix("print fmt:") {
                print.trim().clone_into(&mut format.print);
            }
        }
        let fail = |what: &str| FormatError { event: format.name.clone(), line: 1, what: what.to_owned() };
        if format.name.is_empty() {
            return Err(fail("it has no name"));
        }
        format.id = id.ok_or_else(|| fail("it has no ID"))?;
        Ok(format)
    }

    /// Where the field of this name lies.
    pub fn layout(&self, field: &str) -> Option<Layout> {
        self.fields.iter().find(|known| known.name == field).map(|known| known.layout)
    }
}

impl Field {
    /// Reads `field:char prev_comm[16]; offset:8; size:16; signed:0;`.
    pub(crate) fn parse(line: &str) -> Result<Self, String> {
        let (mut declaration, mut offset, mut size, mut signed) = ("", None, None, false);
        for part in line.split(';').map(str::trim) {
            let Some((key, value)) = part.split_once(':') else { continue };
            let number = || value.trim().parse::<usize>().map_err(|_| format!("\"{part}\" is no number"));
            match key {
                "field" => declaration = value,
                "offset" => offset = Some(number()?),
                "size" => size = Some(number()?),
                "signed" => signed = number()? != 0,
                _ => {}
            }
        }
        // Of `__data_loc char[] comm` the array stands with the type, of `char comm[16]` with the name.
        let word = declaration.split_whitespace().last().unwrap_or("");
        let name = word.split('[').next().unwrap_or("").trim_start_matches('*');
        if name.is_empty() {
            return Err(format!("\"{line}\" names no field"));
        }
        let holds = if declaration.contains("__data_loc") {
            Holds::Location
        } else if declaration.contains("__rel_loc") {
            Holds::Relative
        } else {
            Holds::Value
        };
        let missing = |what: &str| format!("field {name} has no {what}");
        let layout = Layout {
            offset: offset.ok_or_else(|| missing("offset"))?,
            size: size.ok_or_else(|| missing("size"))?,
            signed,
            holds,
        };
        Ok(Self { name: name.to_owned(), layout })
    }
}

impl Layout {
    /// The number there; `None` where the record ends before it, or it is no number of 1, 2, 4 or 8 bytes.
    #[inline]
    pub fn int(&self, record: &[u8], order: Order) -> Option<i64> {
        order.int(record, self.offset, self.size, self.signed)
    }

    /// The name of a task there; `None` where the record ends before it, or it is longer than the kernel's.
    #[inline]
    pub fn name(&self, record: &[u8], order: Order) -> Option<Comm> {
        if (self.holds, self.size) == (Holds::Value, 16) {
            let bytes = record.get(self.offset..self.offset.checked_add(16)?)?;
            return Comm::padded(bytes.try_into().ok()?);
        }
        self.text(record, order).filter(|name| name.len() < 16).map(Comm::from)
    }

    /// The text there, up to its NUL; `None` where the record ends before it.
    #[inline]
    pub fn text<'a>(&self, record: &'a [u8], order: Order) -> Option<&'a [u8]> {
        let (offset, size) = match self.holds {
            Holds::Value => (self.offset, self.size),
            Holds::Location | Holds::Relative => {
                let place = order.u32(record, self.offset)?;
                let base =
                    if self.holds == Holds::Relative { self.offset.checked_add(self.size)? } else { 0 };
                (base.checked_add((place & 0xffff) as usize)?, (place >> 16) as usize)
            }
        };
        let text = record.get(offset..offset.checked_add(size)?)?;
        let end = text.iter().position(|&byte| byte == 0).unwrap_or(text.len());
        Some(&text[..end])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIGRATE: &str = "name: sched_migrate_task\nID: 371\nformat:\n\tfield:unsigned short common_type;\toffset:0;\t\
        size:2;\tsigned:0;\n\n\tfield:__data_loc char[] comm;\toffset:8;\tsize:4;\tsigned:0;\n\tfield:pid_t pid;\t\
        offset:12;\tsize:4;\tsigned:1;\n\tfield:const char * buf;\toffset:16;\tsize:8;\tsigned:0;\n\n\
        print fmt: \"comm=%s\", __get_str(comm)\n";

    #[test]
    fn fields_are_read_where_the_text_says() {
        let format = Format::parse(MIGRATE).unwrap();
        assert_eq!((format.name.as_str(), format.id), ("sched_migrate_task", 371));
        assert_eq!(format.layout("buf").unwrap().offset, 16);
        let mut record = vec![0; 16];
        record[8..12].copy_from_slice(&(16u32 | 5 << 16).to_le_bytes());
        record[12..16].copy_from_slice(&(-7i32).to_le_bytes());
        record.extend_from_slice(b"bash\0");
        assert_eq!(format.layout("comm").unwrap().text(&record, Order::Little), Some(b"bash".as_slice()));
        assert_eq!(format.layout("pid").unwrap().int(&record, Order::Little), Some(-7));
        record.truncate(20);
        assert_eq!(format.layout("comm").unwrap().text(&record, Order::Little), None, "the record is cut");
    }

    #[test]
    fn what_is_no_format_is_refused() {
        assert!(Format::parse("").unwrap_err().to_string().contains("no name"));
        assert!(Format::parse("name: x\nID: seven").unwrap_err().to_string().contains("line 2"));
        assert!(Format::parse("name: x\nID: 7\n\tfield:int a;\toffset:b;").is_err());
    }
}
