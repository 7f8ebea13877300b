//! Cells in aligned columns.

use super::print::line;
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
    /// Columns that are left out.
    left_out: Vec<bool>,
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
        let mut layout = Self {
            sides: Vec::new(),
            left_out: Vec::new(),
            widths: Vec::new(),
            text: String::new(),
            cells: Vec::new(),
        };
        layout.add_columns(columns);
        layout
    }

    /// More columns on the right; only before the first cell.
    pub(in crate::sink) fn add_columns(&mut self, columns: &[(&str, Side)]) {
        debug_assert_eq!(self.cells.len(), self.sides.len(), "columns are added before cells");
        for (title, side) in columns {
            self.sides.push(*side);
            self.left_out.push(false);
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
        let shown = self.widths.iter().zip(&self.left_out).filter(|(_, left_out)| !**left_out);
        let (columns, width) = shown.fold((0, 0), |(columns, sum), (width, _)| (columns + 1, sum + width));
        width + 2 * usize::saturating_sub(columns, 1)
    }

    /// The same as [`write`](Self::write), without as many of the dispensable columns, in their order, as it
    /// takes to fit a width; a line then names them, and the way to have them.
    pub(in crate::sink) fn write_fitted(
        mut self,
        out: &mut String,
        indent: &str,
        width: Option<usize>,
        dispensable: &[&str],
        how: &str,
    ) {
        let titles = self.titles();
        let mut missing = Vec::new();
        for title in dispensable {
            if width.is_none_or(|width| indent.len() + self.width() <= width) {
                break;
            }
            if let Some(column) = titles.iter().position(|known| known == title) {
                self.left_out[column] = true;
                missing.push(*title);
            }
        }
        self.write(out, indent);
        if !missing.is_empty() {
            line(out, format_args!("{indent}no room for {}: {how}", missing.join(", ")));
        }
    }

    fn titles(&self) -> Vec<String> {
        let mut begin = 0;
        let title = |&(length, _): &(u32, u32)| {
            let end = begin + length as usize;
            let title = self.text[begin..end].to_owned();
            begin = end;
            title
        };
        self.cells.iter().take(self.sides.len()).map(title).collect()
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
        let last = self.left_out.iter().rposition(|left_out| !left_out).unwrap_or(0);
        let mut begin = 0;
        for row in self.cells.chunks(self.sides.len()) {
            out.push_str(indent);
            for (column, &(length, width)) in row.iter().enumerate() {
                let gap = self.widths[column] - width as usize;
                let end = begin + length as usize;
                if self.left_out[column] {
                    begin = end;
                    continue;
                }
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

#[cfg(test)]
mod tests {
    use super::Side::{Left, Right};
    use super::*;

    #[test]
    fn what_has_no_room_is_left_out_and_named() {
        let table = || {
            let mut layout = Layout::new(&[("NAME", Left), ("A_MS", Right), ("B_MS", Right), ("NOTE", Left)]);
            for cell in ["one", "1.000", "22.000", "x", "two", "10.000", "2.000", "y"] {
                layout.cell(cell);
            }
            layout
        };
        let at = |width| {
            let mut out = String::new();
            table().write_fitted(&mut out, "", width, &["B_MS", "A_MS"], "--format csv has all");
            out
        };
        assert_eq!(table().width(), 4 + 2 + 6 + 2 + 6 + 2 + 4);
        let whole = "NAME    A_MS    B_MS  NOTE\none    1.000  22.000  x\ntwo   10.000   2.000  y\n";
        assert_eq!(at(None), whole);
        assert_eq!(at(Some(26)), whole);
        let without =
            "NAME    A_MS  NOTE\none    1.000  x\ntwo   10.000  y\nno room for B_MS: --format csv has all\n";
        assert_eq!(at(Some(25)), without);
        assert_eq!(at(Some(18)), without);
        assert!(at(Some(1)).starts_with("NAME  NOTE\none   x\n"), "{}", at(Some(1)));
    }
}
