//! A table of text.

use std::collections::BTreeSet;

use crate::cell::Bundle;
use crate::cell::display::{Show, plain};
use crate::cell::media::{escape, escape_latex, latex_table, with};
use crate::error::{Error, Result};

/// Rows of text below a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
    /// Row and column of what is set in bold.
    bold: BTreeSet<(usize, usize)>,
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
        bold: BTreeSet::new(),
    })
}

impl Table {
    /// The same with the smallest number of these columns in bold, row by row; of equals each. Text that begins with no
    /// number does not take part.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a column that the table does not have.
    ///
    /// # Example: the tighter of two bounds
    /// ```
    /// use itd_prelude::{cell::display::Show, show::table};
    ///
    /// let rows = [["DDPM", "3.37 ± 0.01", "3.68"], ["IDDPM (tune)", "3.14", "2.88"]];
    /// let table = table(&["", "bound", "integral"], rows)?.lowest_in_bold(&[1, 2])?;
    /// let bundle = table.bundle()?;
    /// let html = bundle["text/html"].as_str().unwrap_or_default();
    /// assert!(html.contains("<b>3.37 ± 0.01</b>") && html.contains("<b>2.88</b>"));
    /// let latex = bundle["text/latex"].as_str().unwrap_or_default();
    /// assert!(latex.contains("DDPM & \\textbf{3.37 $\\pm$ 0.01} & 3.68"));
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn lowest_in_bold(mut self, columns: &[usize]) -> Result<Self> {
        if let Some(&got) = columns.iter().find(|&&column| column >= self.columns.len()) {
            return Err(Error::Parameter {
                name: "a column to compare",
                got: got.to_string(),
                need: "below the number of columns; the first one is 0",
            });
        }
        for (i, row) in self.rows.iter().enumerate() {
            let numbers = || {
                let numbers = columns.iter().map(|&column| (column, number(&row[column])));
                numbers.filter_map(|(column, number)| Some((column, number?)))
            };
            let lowest = numbers()
                .map(|(_, number)| number)
                .fold(f64::INFINITY, f64::min);
            let best = numbers().filter(|(_, number)| *number == lowest);
            self.bold.extend(best.map(|(column, _)| (i, column)));
        }
        Ok(self)
    }

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

/// The number that a text begins with.
fn number(text: &str) -> Option<f64> {
    let first = text.split_whitespace().next()?.replace('−', "-");
    first.parse().ok().filter(|number: &f64| number.is_finite())
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
        let row = |tag: &str, row: &[String], bold: &dyn Fn(usize) -> bool| {
            let cell = |(i, text): (usize, &String)| {
                let (text, style) = (escape(text), style(i));
                match bold(i) {
                    true => format!("<{tag}{style}><b>{text}</b></{tag}>"),
                    false => format!("<{tag}{style}>{text}</{tag}>"),
                }
            };
            format!(
                "<tr>{}</tr>",
                row.iter().enumerate().map(cell).collect::<String>()
            )
        };
        let rows = self.rows.iter().enumerate();
        let rows: String = rows
            .map(|(i, cells)| row("td", cells, &|column| self.bold.contains(&(i, column))))
            .collect();
        let head = row("th", &self.columns, &|_| false);
        let html = format!("<table><thead>{head}</thead><tbody>{rows}</tbody></table>");
        let columns = self.columns.iter().enumerate();
        let columns = columns.map(|(i, name)| (name.as_str(), self.is_numeric(i)));
        let rows = self.rows.iter().enumerate().map(|(i, row)| {
            let cell = |(column, text): (usize, &String)| {
                let text = escape_latex(text);
                match self.bold.contains(&(i, column)) {
                    true => format!("\\textbf{{{text}}}"),
                    false => text,
                }
            };
            row.iter().enumerate().map(cell).collect()
        });
        let bundle = with(plain(self.to_string()), "text/html", html);
        Ok(with(bundle, "text/latex", latex_table(columns, rows)))
    }
}
