//! What a row of a log costs on the disk, column by column: `sizes DIR`.

use parquet::file::reader::{FileReader as _, SerializedFileReader};
use std::collections::BTreeMap;
use std::error::Error;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let dir = std::env::args_os().nth(1).ok_or("sizes DIR: the directory of a log")?;
    let mut files = Vec::new();
    find(Path::new(&dir), &mut files)?;
    let (mut rows, mut bytes) = (0_i64, 0_u64);
    let mut columns: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    for path in &files {
        bytes += fs::metadata(path)?.len();
        let file = SerializedFileReader::new(File::open(path)?)?;
        for group in file.metadata().row_groups() {
            rows += group.num_rows();
            for column in group.columns() {
                let sum = columns.entry(column.column_path().string()).or_default();
                *sum = (sum.0 + column.compressed_size(), sum.1 + column.uncompressed_size());
            }
        }
    }
    if rows == 0 {
        return Err("no sealed file with rows is there".into());
    }
    let each = |bytes: i64| bytes as f64 / rows as f64;
    println!("{} files, {rows} rows, {:.1} bytes a row", files.len(), bytes as f64 / rows as f64);
    println!("  packed  unpacked  column (bytes a row)");
    let mut columns: Vec<_> = columns.into_iter().collect();
    columns.sort_by_key(|(_, (packed, _))| -packed);
    for (name, (packed, unpacked)) in columns.iter().filter(|(_, (packed, _))| each(*packed) >= 0.05) {
        println!("{:>8.2}  {:>8.2}  {name}", each(*packed), each(*unpacked));
    }
    Ok(())
}

/// Sealed files; folders that begin with `_` hold none.
fn find(dir: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if path.is_dir() && !name.starts_with('_') {
            find(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "parquet") {
            files.push(path);
        }
    }
    Ok(())
}
