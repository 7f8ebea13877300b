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
    /// All cells, the titles first.
    cells: Vec<String>,
}

impl Layout {
    /// Columns by title.
    pub(in crate::sink) fn new(columns: &[(&str, Side)]) -> Self {
        let mut layout = Self { sides: Vec::new(), widths: Vec::new(), cells: Vec::new() };
        layout.add_columns(columns);
        layout
    }

    /// More columns on the right; only before the first cell.
    pub(in crate::sink) fn add_columns(&mut self, columns: &[(&str, Side)]) {
        debug_assert_eq!(self.cells.len(), self.sides.len(), "columns are added before cells");
        for (title, side) in columns {
            self.sides.push(*side);
            self.widths.push(title.width());
            self.cells.push((*title).to_owned());
        }
    }

    /// The next cell of the row, or the first one of the next row.
    pub(in crate::sink) fn cell(&mut self, text: String) {
        let column = self.cells.len() % self.sides.len();
        self.widths[column] = self.widths[column].max(text.width());
        self.cells.push(text);
    }

    /// Columns of the terminal that the longest line fills.
    pub(in crate::sink) fn width(&self) -> usize {
        self.widths.iter().sum::<usize>() + 2 * self.widths.len().saturating_sub(1)
    }

    /// Writes titles and rows, each line after `indent`; no line ends in blanks.
    pub(in crate::sink) fn write(&self, out: &mut String, indent: &str) {
        let blanks = |out: &mut String, n: usize| out.extend(std::iter::repeat_n(' ', n));
        let last = self.sides.len() - 1;
        for row in self.cells.chunks(self.sides.len()) {
            out.push_str(indent);
            for (column, text) in row.iter().enumerate() {
                let gap = self.widths[column] - text.width();
                if self.sides[column] == Side::Right {
                    blanks(out, gap);
                }
                out.push_str(text);
                if column < last {
                    blanks(out, if self.sides[column] == Side::Left { gap + 2 } else { 2 });
                }
            }
            out.push('\n');
        }
    }
}
