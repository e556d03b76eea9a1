//! A table of text.

use crate::cell::Bundle;
use crate::cell::display::{Show, plain};
use crate::cell::media::{escape, with};
use crate::error::{Error, Result};

/// Rows of text below a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

/// A table to be shown: the names of its columns, and rows of as many texts.
///
/// A column of numbers is set flush right. For values to compute with, or to write to a file, take a polars data frame.
///
/// # Errors
/// [`Error::Empty`] without columns, [`Error::Mismatch`] when a row has more or fewer.
///
/// # Example
/// ```
/// use itd_prelude::show::table;
///
/// let rows = [("Gaussian", 4.053), ("DDPM", 2.554)];
/// let rows = rows.map(|(name, bits)| [name.to_owned(), format!("{bits:.2}")]);
/// let text = table(&["", "bits/dim"], rows)?.to_string();
/// assert!(text.ends_with("DDPM          2.55"));
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn table<R: AsRef<[S]>, S: AsRef<str>>(
    columns: &[&str],
    rows: impl IntoIterator<Item = R>,
) -> Result<Table> {
    if columns.is_empty() {
        return Err(Error::Empty {
            what: "the list of columns",
        });
    }
    let own = |row: R| -> Vec<String> { row.as_ref().iter().map(|s| s.as_ref().into()).collect() };
    let rows: Vec<Vec<String>> = rows.into_iter().map(own).collect();
    if let Some(odd) = rows.iter().position(|row| row.len() != columns.len()) {
        return Err(Error::Mismatch {
            what: "the columns of the table and a row",
            left: format!("{} columns", columns.len()),
            right: format!("{} texts in row {odd}", rows[odd].len()),
            next: "give each row one text for each column",
        });
    }
    Ok(Table {
        columns: columns.iter().map(|&name| name.to_owned()).collect(),
        rows,
    })
}

impl Table {
    /// Whether all that stands in a column begins as a number does.
    fn is_numeric(&self, column: usize) -> bool {
        let begins = |text: &String| {
            text.is_empty()
                || text
                    .trim_start_matches(['−', '-', '+', '≈', '±', ' '])
                    .starts_with(|c: char| c.is_ascii_digit())
        };
        self.rows.iter().all(|row| begins(&row[column]))
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all = || std::iter::once(&self.columns).chain(&self.rows);
        let width = |column: usize| {
            all()
                .map(|row| row[column].chars().count())
                .max()
                .unwrap_or(0)
        };
        let columns: Vec<(usize, bool)> = (0..self.columns.len())
            .map(|column| (width(column), self.is_numeric(column)))
            .collect();
        for (i, row) in all().enumerate() {
            let cell = |(text, &(width, right)): (&String, &(usize, bool))| match right {
                true => format!("{text:>width$}"),
                false => format!("{text:<width$}"),
            };
            let cells: Vec<String> = row.iter().zip(&columns).map(cell).collect();
            let line = cells.join("  ");
            write!(f, "{}{}", if i == 0 { "" } else { "\n" }, line.trim_end())?;
        }
        Ok(())
    }
}

impl Show for Table {
    fn bundle(&self) -> Result<Bundle> {
        let style = |column| match self.is_numeric(column) {
            true => " style=\"text-align:right\"",
            false => " style=\"text-align:left\"",
        };
        let row = |tag: &str, row: &[String]| {
            let cells = row.iter().enumerate();
            let cells =
                cells.map(|(i, text)| format!("<{tag}{}>{}</{tag}>", style(i), escape(text)));
            format!("<tr>{}</tr>", cells.collect::<String>())
        };
        let rows: String = self.rows.iter().map(|cells| row("td", cells)).collect();
        let head = row("th", &self.columns);
        let html = format!("<table><thead>{head}</thead><tbody>{rows}</tbody></table>");
        Ok(with(plain(self.to_string()), "text/html", html))
    }
}
