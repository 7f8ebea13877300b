//! Cells in aligned columns.

use unicode_width::UnicodeWidthStr;

/// Where a cell's text stands in its column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sink) enum Side {
    /// Names.
    Left,
    /// Numbers.
    Right,
}

/// Rows of cells; every column is as wide as its widest cell.
///
/// Cells are pushed row by row. Widths are terminal columns, so wide characters keep the alignment.
pub(in crate::sink) struct Layout {
    sides: Vec<Side>,
    widths: Vec<usize>,
    /// The text of all cells, the titles first.
    text: String,
    /// For each cell the bytes of its text, and the columns of the terminal that it fills.
    cells: Vec<(u32, u32)>,
}

/// What stands between two cells, at a time.
const BLANKS: &str = "                                ";

/// Columns of the terminal that a text fills.
fn columns_of(text: &str) -> usize {
    // Nearly every cell: to add up its characters took as long as to print them.
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) { text.len() } else { text.width() }
}

impl Layout {
    /// Columns by title.
    pub(in crate::sink) fn new(columns: &[(&str, Side)]) -> Self {
        let mut layout =
            Self { sides: Vec::new(), widths: Vec::new(), text: String::new(), cells: Vec::new() };
        layout.add_columns(columns);
        layout
    }

    /// More columns on the right; only before the first cell.
    pub(in crate::sink) fn add_columns(&mut self, columns: &[(&str, Side)]) {
        debug_assert_eq!(self.cells.len(), self.sides.len(), "columns are added before cells");
        for (title, side) in columns {
            self.sides.push(*side);
            self.widths.push(columns_of(title));
            self.push(title);
        }
    }

    /// The next cell of the row, or the first one of the next row.
    pub(in crate::sink) fn cell(&mut self, text: impl AsRef<str>) {
        let column = self.cells.len() % self.sides.len();
        let width = self.push(text.as_ref());
        self.widths[column] = self.widths[column].max(width);
    }

    fn push(&mut self, text: &str) -> usize {
        let width = columns_of(text);
        self.text.push_str(text);
        let small = |length| u32::try_from(length).expect("a cell is a name or a number");
        self.cells.push((small(text.len()), small(width)));
        width
    }

    /// Columns of the terminal that the longest line fills.
    pub(in crate::sink) fn width(&self) -> usize {
        self.widths.iter().sum::<usize>() + 2 * self.widths.len().saturating_sub(1)
    }

    /// Writes titles and rows, each line after `indent`; no line ends in blanks.
    pub(in crate::sink) fn write(&self, out: &mut String, indent: &str) {
        let blanks = |out: &mut String, mut n: usize| {
            while n > 0 {
                let part = n.min(BLANKS.len());
                out.push_str(&BLANKS[..part]);
                n -= part;
            }
        };
        let last = self.sides.len() - 1;
        let mut begin = 0;
        for row in self.cells.chunks(self.sides.len()) {
            out.push_str(indent);
            for (column, &(length, width)) in row.iter().enumerate() {
                let gap = self.widths[column] - width as usize;
                let end = begin + length as usize;
                if self.sides[column] == Side::Right {
                    blanks(out, gap);
                }
                out.push_str(&self.text[begin..end]);
                begin = end;
                if column < last {
                    blanks(out, if self.sides[column] == Side::Left { gap + 2 } else { 2 });
                }
            }
            out.push('\n');
        }
    }
}
