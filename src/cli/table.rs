//! Tables for people: a header, columns, no frames. Knows no meaning; cells are already safe to show.

use comfy_table::{CellAlignment, Table};

/// How a column is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// Renders rows under a header, each line without blanks at its end.
pub fn render(header: &[(&str, Align)], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(header.iter().map(|(title, _)| *title));
    table.add_rows(rows);
    for (column, (_, align)) in table.column_iter_mut().zip(header) {
        column.set_padding((0, 2));
        if *align == Align::Right {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_to_the_right_and_lines_end_with_their_words() {
        let rows = vec![vec!["a".into(), "1".into()], vec!["bcd".into(), "1000".into()]];
        let table = render(&[("name", Align::Left), ("files", Align::Right)], rows);
        assert_eq!(table, "name  files\na         1\nbcd    1000");
    }
}
