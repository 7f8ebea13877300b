//! One sealed file: rows to Parquet and back.

use crate::error::{Error, Result};
use crate::row::Row;
use crate::schema::{self, Int, TS, Text, WAITS};
use parquet::basic::{Compression, ZstdLevel};
use parquet::column::reader::ColumnReader;
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::reader::{FileReader as _, RowGroupReader, SerializedFileReader};
use parquet::file::statistics::Statistics;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tombola_core::histogram::BUCKETS;

/// Rows of a row group: a reader that wants a minute of an hour decodes a small part of it, and a writer
/// holds one group in memory.
pub const GROUP_ROWS: usize = 8192;

/// Effort of zstd. An hour is packed at once, some megabytes, and 9 is 5 % smaller than 3. Another 2 % by 12
/// would cost 48 MB for its tables, which are set up anew for each column.
const LEVEL: i32 = 9;

/// Columns that no row is without, with the moment before them.
fn is_required(column: Int) -> bool {
    matches!(column, Int::Ts | Int::Interval)
}

fn is_required_text(column: Text) -> bool {
    matches!(column, Text::Host | Text::Boot | Text::Level)
}

fn need(required: bool) -> &'static str {
    if required { "required" } else { "optional" }
}

/// The schema in Parquet's own notation.
pub fn message_type() -> String {
    let mut message = format!("message tombola {{\n  required int64 {TS} (TIMESTAMP(MICROS,true));\n");
    for column in Int::ALL {
        let _ = writeln!(message, "  {} int64 {};", need(is_required(*column)), column.name());
    }
    for column in Text::ALL {
        let _ = writeln!(message, "  {} binary {} (STRING);", need(is_required_text(*column)), column.name());
    }
    message
        + &format!(
            "  optional group {WAITS} (LIST) {{ repeated group list {{ required int64 element; }} }}\n}}"
        )
}

/// What a file says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct About {
    /// The host.
    pub host: String,
    /// The boot.
    pub boot: String,
    /// The kernel's release.
    pub release: String,
}

/// A file that is being written; it is none before [`Writer::finish`].
pub struct Writer {
    path: PathBuf,
    inner: SerializedFileWriter<File>,
    rows: Vec<Row>,
}

impl Writer {
    /// Creates the file.
    ///
    /// # Errors
    /// What the file system refuses.
    pub fn create(path: &Path, about: &About) -> Result<Self> {
        let file = File::create(path).map_err(|source| Error::io("create", path, source))?;
        let units: serde_json::Map<String, serde_json::Value> =
            Int::ALL.iter().map(|column| (column.name().to_owned(), column.unit().into())).collect();
        let pair = |name: &str, value: String| KeyValue::new(format!("tombola.{name}"), value);
        let footer = vec![
            pair("schema", schema::VERSION.to_string()),
            pair("source", concat!("tombola ", env!("CARGO_PKG_VERSION")).to_owned()),
            pair("host", about.host.clone()),
            pair("boot_id", about.boot.clone()),
            pair("kernel", about.release.clone()),
            pair("units", serde_json::Value::Object(units).to_string()),
        ];
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(LEVEL).unwrap_or_default()))
            // Who looks for a time or a host finds the row groups by these; of a duration nobody asks for the
            // largest.
            .set_statistics_enabled(EnabledStatistics::None)
            .set_offset_index_disabled(true)
            .set_key_value_metadata(Some(footer));
        // Durations hardly repeat: a dictionary of them is larger than they are, and hides from zstd what
        // levels have in common.
        for column in Int::ALL.iter().filter(|column| column.unit() == "ns" && !is_required(**column)) {
            properties = properties.set_column_dictionary_enabled(column.name().into(), false);
        }
        let looked_for = [TS, Int::Ts.name(), Text::Host.name(), Text::Boot.name(), Text::Level.name()];
        for name in looked_for {
            properties = properties.set_column_statistics_enabled(name.into(), EnabledStatistics::Chunk);
        }
        let properties = properties.build();
        let failed = |source| Error::Parquet { what: "write", path: path.to_owned(), source };
        let schema = Arc::new(parse_message_type(&message_type()).map_err(failed)?);
        let inner = SerializedFileWriter::new(file, schema, Arc::new(properties)).map_err(failed)?;
        Ok(Self { path: path.to_owned(), inner, rows: Vec::new() })
    }

    /// Adds the rows of an interval. Those of one name come to stand together: a process of one thread says
    /// in three levels what its thread did, and what stands side by side is packed into about a tenth less.
    ///
    /// # Errors
    /// What the file system refuses.
    pub fn add(&mut self, mut rows: Vec<Row>) -> Result<()> {
        // Rows without a name (machine, CPUs, groups) come first, in the order they had.
        rows.sort_by(|a, b| {
            let key = |row: &Row| (row.text(Text::Comm).cloned(), row.int(Int::Tgid), row.int(Int::Pid));
            key(a).cmp(&key(b))
        });
        self.rows.extend(rows);
        while self.rows.len() >= GROUP_ROWS {
            let rest = self.rows.split_off(GROUP_ROWS);
            self.flush()?;
            self.rows = rest;
        }
        Ok(())
    }

    /// Writes the footer and waits until the disk has all of it.
    ///
    /// # Errors
    /// What the file system refuses.
    pub fn finish(mut self) -> Result<()> {
        self.flush()?;
        let path = self.path.clone();
        let file =
            self.inner.into_inner().map_err(|source| Error::Parquet { what: "write", path, source })?;
        file.sync_all().map_err(|source| Error::io("write", &self.path, source))
    }

    fn flush(&mut self) -> Result<()> {
        let rows = std::mem::take(&mut self.rows);
        if rows.is_empty() {
            return Ok(());
        }
        let mut write = || {
            let mut group = self.inner.next_row_group()?;
            write_group(&mut group, &rows)?;
            group.close().map(drop)
        };
        write().map_err(|source| Error::Parquet { what: "write", path: self.path.clone(), source })
    }
}

type Outcome<T> = std::result::Result<T, ParquetError>;

fn write_group(group: &mut SerializedRowGroupWriter<'_, File>, rows: &[Row]) -> Outcome<()> {
    let ts = rows.iter().map(|row| Some(row.int(Int::Ts).unwrap_or(0) / 1000));
    write_column::<Int64Type>(group, true, ts)?;
    for column in Int::ALL {
        let required = is_required(*column);
        let value = |row: &Row| row.int(*column).or(required.then_some(0));
        write_column::<Int64Type>(group, required, rows.iter().map(value))?;
    }
    for column in Text::ALL {
        let required = is_required_text(*column);
        let value = |row: &Row| {
            let text = row.text(*column).map(|text| ByteArray::from(text.as_bytes().to_vec()));
            text.or(required.then(ByteArray::new))
        };
        write_column::<ByteArrayType>(group, required, rows.iter().map(value))?;
    }
    let (mut values, mut definition, mut repetition) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        match &row.waits {
            None => {
                definition.push(0);
                repetition.push(0);
            }
            Some(waits) => {
                values.extend_from_slice(&waits[..]);
                definition.extend([2; BUCKETS]);
                repetition.extend((0..BUCKETS).map(|at| i16::from(at > 0)));
            }
        }
    }
    let mut column = group.next_column()?.ok_or_else(|| missing(WAITS))?;
    column.typed::<Int64Type>().write_batch(&values, Some(&definition), Some(&repetition))?;
    column.close()
}

fn write_column<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, File>,
    required: bool,
    column: impl Iterator<Item = Option<T::T>>,
) -> Outcome<()> {
    let (mut values, mut levels) = (Vec::new(), Vec::new());
    for value in column {
        levels.push(i16::from(value.is_some()));
        values.extend(value);
    }
    let mut writer = group.next_column()?.ok_or_else(|| missing("a column"))?;
    writer.typed::<T>().write_batch(&values, (!required).then_some(&levels[..]), None)?;
    writer.close()
}

fn missing(what: &str) -> ParquetError {
    ParquetError::General(format!("{what} is not in the schema"))
}

/// A sealed file, read row group by row group. Columns that it has not are null, columns that this version
/// does not know are left out.
pub struct Reader {
    path: PathBuf,
    inner: SerializedFileReader<File>,
    /// Texts that occurred, so that equal ones are kept once.
    texts: HashMap<Vec<u8>, Arc<str>>,
}

impl Reader {
    /// Opens the file.
    ///
    /// # Errors
    /// What the file system refuses; what is no Parquet file; a file of another version of the schema.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|source| Error::io("open", path, source))?;
        let inner = SerializedFileReader::new(file).map_err(|source| Error::Parquet {
            what: "read",
            path: path.to_owned(),
            source,
        })?;
        let pairs = inner.metadata().file_metadata().key_value_metadata();
        let version = pairs.into_iter().flatten().find(|pair| pair.key == "tombola.schema");
        let found = version.and_then(|pair| pair.value.clone()).unwrap_or_else(|| "unknown".to_owned());
        if found != schema::VERSION.to_string() {
            return Err(Error::Schema { path: path.to_owned(), found, reads: schema::VERSION });
        }
        Ok(Self { path: path.to_owned(), inner, texts: HashMap::new() })
    }

    /// Number of row groups.
    pub fn groups(&self) -> usize {
        self.inner.num_row_groups()
    }

    /// Ends of the first and the last interval in a row group, ns since the Unix epoch, where the file tells.
    pub fn range(&self, group: usize) -> Option<(i64, i64)> {
        let metadata = self.inner.metadata().row_group(group);
        let column =
            metadata.columns().iter().find(|column| column.column_path().string() == Int::Ts.name())?;
        match column.statistics()? {
            Statistics::Int64(range) => Some((*range.min_opt()?, *range.max_opt()?)),
            _ => None,
        }
    }

    /// The rows of a row group.
    ///
    /// # Errors
    /// What the file system refuses; a damaged file.
    pub fn rows(&mut self, group: usize) -> Result<Vec<Row>> {
        self.columns(group, |_| true)
    }

    /// The rows of a row group, of which only some columns are read; the others are null.
    ///
    /// # Errors
    /// What the file system refuses; a damaged file.
    pub fn columns(&mut self, group: usize, wanted: impl Fn(&str) -> bool) -> Result<Vec<Row>> {
        let texts = &mut self.texts;
        self.inner
            .get_row_group(group)
            .and_then(|group| read_group(group.as_ref(), texts, wanted))
            .map_err(|source| Error::Parquet { what: "read", path: self.path.clone(), source })
    }
}

fn read_group(
    group: &dyn RowGroupReader,
    texts: &mut HashMap<Vec<u8>, Arc<str>>,
    wanted: impl Fn(&str) -> bool,
) -> Outcome<Vec<Row>> {
    let count = usize::try_from(group.metadata().num_rows()).unwrap_or(0);
    let mut rows = Vec::new();
    rows.resize(count, Row::default());
    for at in 0..group.num_columns() {
        let description = group.metadata().column(at).column_descr_ptr();
        let name = description.path().parts().first().map_or("", String::as_str).to_owned();
        if !wanted(&name) {
            continue;
        }
        let optional = description.max_def_level() > 0;
        match group.get_column_reader(at)? {
            ColumnReader::Int64ColumnReader(mut column) if name == WAITS => {
                let (mut values, mut definition, mut repetition) = (Vec::new(), Vec::new(), Vec::new());
                column.read_records(count, Some(&mut definition), Some(&mut repetition), &mut values)?;
                let mut values = values.into_iter();
                let mut row = 0usize.wrapping_sub(1);
                let mut bucket = 0;
                for (level, again) in definition.iter().zip(&repetition) {
                    (row, bucket) = if *again == 0 { (row.wrapping_add(1), 0) } else { (row, bucket + 1) };
                    if *level == 2
                        && let Some((row, value)) = rows.get_mut(row).zip(values.next())
                        && let Some(slot) = row.waits.get_or_insert_default().get_mut(bucket)
                    {
                        *slot = value;
                    }
                }
            }
            ColumnReader::Int64ColumnReader(mut column) => {
                let Some(known) = Int::ALL.iter().find(|known| known.name() == name) else { continue };
                let (mut values, mut levels) = (Vec::new(), Vec::new());
                column.read_records(count, optional.then_some(&mut levels), None, &mut values)?;
                place(&mut rows, &levels, values, |row, value| row.set(*known, value));
            }
            ColumnReader::ByteArrayColumnReader(mut column) => {
                let Some(known) = Text::ALL.iter().find(|known| known.name() == name) else { continue };
                let (mut values, mut levels) = (Vec::<ByteArray>::new(), Vec::new());
                column.read_records(count, optional.then_some(&mut levels), None, &mut values)?;
                place(&mut rows, &levels, values, |row, value| {
                    let text = texts.get(value.data()).cloned().unwrap_or_else(|| {
                        let text: Arc<str> = String::from_utf8_lossy(value.data()).into();
                        texts.insert(value.data().to_vec(), Arc::clone(&text));
                        text
                    });
                    row.set_text(*known, text);
                });
            }
            _ => {}
        }
    }
    Ok(rows)
}

/// Puts values where the levels say that there are some; without levels everywhere.
fn place<T>(rows: &mut [Row], levels: &[i16], values: Vec<T>, mut set: impl FnMut(&mut Row, T)) {
    let present =
        rows.iter_mut().enumerate().filter(|(at, _)| levels.get(*at).is_none_or(|level| *level > 0));
    present.zip(values).for_each(|((_, row), value)| set(row, value));
}
