//! Tables as CSV, for spreadsheets.

/// A row: every cell quoted, and none that a spreadsheet would compute. A text that begins like a formula gets an apostrophe
/// in front, which spreadsheets take for "this is text".
pub fn row<'a>(into: &mut String, cells: impl IntoIterator<Item = &'a str>) {
    for (at, cell) in cells.into_iter().enumerate() {
        if at > 0 {
            into.push(',');
        }
        into.push('"');
        // Spaces before it don't keep a spreadsheet from it.
        let first = cell.trim_start_matches([' ', '\u{a0}', '\u{feff}']).chars().next();
        if matches!(
            first,
            Some('=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '|' | '%' | '＝' | '＋' | '－' | '＠')
        ) {
            into.push('\'');
        }
        into.push_str(&cell.replace('"', "\"\""));
        into.push('"');
    }
    into.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        for (cell, want) in [
            ("plain", "\"plain\""),
            ("a \"b\", c\nd", "\"a \"\"b\"\", c\nd\""),
            ("=1+1", "\"'=1+1\""),
            ("+1", "\"'+1\""),
            ("-1", "\"'-1\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            ("\t=1", "\"'\t=1\""),
            ("  =1", "\"'  =1\""),
            ("\r=1", "\"'\r=1\""),
            ("＝1", "\"'＝1\""),
            ("a=1", "\"a=1\""),
            ("", "\"\""),
        ] {
            let mut text = String::new();
            row(&mut text, [cell]);
            assert_eq!(text, format!("{want}\r\n"), "{cell:?}");
        }
    }
}
