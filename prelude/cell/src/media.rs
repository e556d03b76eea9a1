//! What a notebook can show beside plain text: Markdown, HTML, formulas, figures, tensors, tables.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use candle_core::Tensor;
use polars::prelude::{AnyValue, DataFrame};

use crate::check::Claim;
use crate::display::{Show, plain};
use crate::error::Result;
use crate::figure::{Figure, Image};
use crate::frame::Bundle;

/// Text in Markdown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Markdown(pub String);

/// Text in HTML, shown as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Html(pub String);

/// A formula in LaTeX, without dollar signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Latex(pub String);

/// Rows and columns of a data frame that are shown.
const MOST_ROWS: usize = 20;
const MOST_COLUMNS: usize = 12;

/// The bundle with one more form.
pub fn with(mut bundle: Bundle, mime: &str, content: impl Into<String>) -> Bundle {
    bundle.insert(mime.to_owned(), content.into().into());
    bundle
}

/// The bundle with a figure, in the form that it has.
pub fn with_figure(bundle: Bundle, figure: &Figure) -> Bundle {
    match &figure.image {
        Image::Svg(text) => with(bundle, figure.mime(), text.as_str()),
        Image::Png(bytes) => with(bundle, figure.mime(), STANDARD.encode(bytes)),
    }
}

/// The method by which stock evcxr shows a value: `use itd_prelude::show::EvcxrDisplay as _;` there. `itd`
/// goes by [`Show`] itself.
pub trait EvcxrDisplay {
    /// Shows the value, or the error that there is instead of it.
    fn evcxr_display(&self);
}

impl<T: Show> EvcxrDisplay for T {
    fn evcxr_display(&self) {
        if let Err(error) = self.show() {
            eprintln!("{error}");
        }
    }
}

impl<T: Show, E: std::fmt::Debug> EvcxrDisplay for std::result::Result<T, E> {
    fn evcxr_display(&self) {
        match self {
            Ok(value) => value.evcxr_display(),
            Err(error) => eprintln!("{error:?}"),
        }
    }
}

impl Show for Figure {
    fn bundle(&self) -> Result<Bundle> {
        Ok(with_figure(plain(self.alt.as_str()), self))
    }
}

impl Show for Markdown {
    fn bundle(&self) -> Result<Bundle> {
        Ok(with(
            plain(self.0.as_str()),
            "text/markdown",
            self.0.as_str(),
        ))
    }
}

impl Show for Html {
    fn bundle(&self) -> Result<Bundle> {
        Ok(with(plain(self.0.as_str()), "text/html", self.0.as_str()))
    }
}

impl Show for Latex {
    fn bundle(&self) -> Result<Bundle> {
        Ok(with(
            plain(self.0.as_str()),
            "text/latex",
            format!("$${}$$", self.0),
        ))
    }
}

impl Show for Claim {
    fn bundle(&self) -> Result<Bundle> {
        Ok(plain(self.to_string()))
    }
}

/// The text, with what HTML takes for its own written out.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

impl Show for Tensor {
    fn bundle(&self) -> Result<Bundle> {
        // candle's own form: values rounded, the middle of long axes left out, shape and type below.
        Ok(plain(self.to_string()))
    }
}

impl Show for DataFrame {
    fn bundle(&self) -> Result<Bundle> {
        let (rows, columns) = (self.height(), self.width());
        let shown = columns.min(MOST_COLUMNS);
        let mut html = String::from("<table><thead><tr>");
        for column in &self.columns()[..shown] {
            let (name, kind) = (escape(column.name()), escape(&column.dtype().to_string()));
            html += &format!("<th>{name}<br><small>{kind}</small></th>");
        }
        html += "</tr></thead><tbody>";
        for row in 0..rows.min(MOST_ROWS) {
            html += "<tr>";
            for column in &self.columns()[..shown] {
                html += &format!("<td>{}</td>", escape(&cell_text(&column.get(row)?)));
            }
            html += "</tr>";
        }
        html += "</tbody></table>";
        let more = |what: &str, all: usize, most: usize| match all.saturating_sub(most) {
            0 => String::new(),
            left => format!(" · {left} more {what}"),
        };
        html += &format!(
            "<small>{rows} rows × {columns} columns{}{}</small>",
            more("rows", rows, MOST_ROWS),
            more("columns", columns, MOST_COLUMNS)
        );
        Ok(with(plain(self.to_string()), "text/html", html))
    }
}

fn cell_text(value: &AnyValue) -> String {
    match value {
        AnyValue::Null => "null".into(),
        AnyValue::String(text) => (*text).to_owned(),
        AnyValue::StringOwned(text) => text.to_string(),
        AnyValue::Float64(value) => format!("{value:.6}"),
        AnyValue::Float32(value) => format!("{value:.5}"),
        other => other.to_string(),
    }
}

/// A figure as a part of HTML.
pub fn inline(figure: &Figure) -> String {
    match &figure.image {
        Image::Svg(text) => text.clone(),
        Image::Png(bytes) => format!(
            "<img alt=\"{}\" src=\"data:image/png;base64,{}\">",
            escape(&figure.alt),
            STANDARD.encode(bytes)
        ),
    }
}
