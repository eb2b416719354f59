//! Tables as plain columns: readable in a terminal, in a log and after `awk`.

use comfy_table::{ContentArrangement, Table, presets};

/// A table without lines; as wide as its text, or as `width` where the terminal has one. Cells must be clean.
pub fn table(header: &[String], rows: Vec<Vec<String>>, width: Option<u16>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    if let Some(width) = width {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    if header.iter().any(|label| !label.is_empty()) {
        table.set_header(header);
    }
    table.add_rows(rows);
    let columns = table.column_count();
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, if index + 1 == columns { 0 } else { 2 }));
    }
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_lines_have_no_trailing_blanks() {
        let header = ["node".to_owned(), "value".to_owned()];
        let rows =
            vec![vec!["web1".to_owned(), "x".to_owned()], vec!["longer-name".to_owned(), String::new()]];
        assert_eq!(table(&header, rows, None), "node         value\nweb1         x\nlonger-name\n");
    }
}
