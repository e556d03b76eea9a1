//! What a notebook can show beside plain text: Markdown, HTML, formulas, figures, tables.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use polars::prelude::{AnyValue, DataFrame};

use crate::check::Claim;
use crate::display::{Show, plain};
use crate::error::Result;
use crate::figure::{Figure, Image};
use crate::frame::Bundle;
use crate::text;

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
/// Longest text in a cell of a table, in characters.
const LONGEST_CELL: usize = 100;

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

/// Shown as a table that is sorted by a click on the name of a column, in papers as LaTeX.
impl Show for DataFrame {
    fn bundle(&self) -> Result<Bundle> {
        let (rows, columns) = (self.height(), self.width());
        let shown = &self.columns()[..columns.min(MOST_COLUMNS)];
        let mut cells = Vec::new();
        for row in 0..rows.min(MOST_ROWS) {
            let texts = shown.iter().map(|column| Ok(cell_text(&column.get(row)?)));
            cells.push(texts.collect::<Result<Vec<String>>>()?);
        }
        let names = shown.iter().map(|column| {
            let (name, kind) = (column.name().as_str(), column.dtype().to_string());
            (name, kind, column.dtype().is_numeric())
        });
        let names: Vec<_> = names.collect();
        let more = |what: &str, all: usize, most: usize| match all.saturating_sub(most) {
            0 => String::new(),
            left => format!(" · {left} more {what}"),
        };
        let note = format!(
            "{rows} rows × {columns} columns{}{}",
            more("rows", rows, MOST_ROWS),
            more("columns", columns, MOST_COLUMNS)
        );
        let html = html_table(&names, &cells, &note);
        let bundle = with(plain(self.to_string()), "text/html", html);
        let head = names.iter().map(|(name, _, number)| (*name, *number));
        let rows = cells
            .iter()
            .map(|row| row.iter().map(|text| escape_latex(text)).collect());
        Ok(with(bundle, "text/latex", latex_table(head, rows)))
    }
}

/// JupyterLab takes arrows and Enter for its own where the element that has the focus does not say that they are not.
pub(crate) const KEYS: &str = "data-lm-suppress-shortcuts=\"true\"";

/// What a click on the name of a column does: sorts the rows by it, up and down in turns. Numbers are sorted as such.
const SORT: &str = "var h=event.target.closest('th');if(!h)return;var t=this.closest('table').tBodies[0],i=h.cellIndex,\
                    d=h.getAttribute('aria-sort')==='ascending'?-1:1,k=r=>r.cells[i].textContent,n=x=>x.replace(/^null$/,'');\
                    for(const o of this.rows[0].cells)o.removeAttribute('aria-sort');\
                    h.setAttribute('aria-sort',d===1?'ascending':'descending');\
                    [...t.rows].sort((a,b)=>{const p=n(k(a)),q=n(k(b));return d*(p!==''&amp;&amp;q!==''&amp;&amp;!isNaN(p)&amp;&amp;\
                    !isNaN(q)?p-q:p.localeCompare(q))}).forEach(r=>t.append(r))";

/// Columns by name, type, and whether they hold numbers.
type Columns<'a> = [(&'a str, String, bool)];

fn html_table(columns: &Columns<'_>, rows: &[Vec<String>], note: &str) -> String {
    let side = |number: bool| if number { "right" } else { "left" };
    let mut html = format!(
        "<table><thead onclick=\"{SORT}\" \
         onkeydown=\"if(event.key==='Enter')event.target.click()\"><tr>"
    );
    for (name, kind, number) in columns {
        let (name, kind, side) = (escape(name), escape(kind), side(*number));
        html += &format!(
            "<th tabindex=\"0\" {KEYS} title=\"sort\" style=\"cursor:pointer;text-align:{side}\">\
             {name}<br /><small>{kind}</small></th>"
        );
    }
    html += "</tr></thead><tbody>";
    for row in rows {
        html += "<tr>";
        for (text, (.., number)) in row.iter().zip(columns) {
            let (text, side) = (escape(text), side(*number));
            html += &format!("<td style=\"text-align:{side}\">{text}</td>");
        }
        html += "</tr>";
    }
    html + &format!("</tbody></table><small>{}</small>", escape(note))
}

/// A table in LaTeX with lines above, below and under the head, as `\begin{tabular}`, which needs no package.
///
/// A column has a name, plain text, and says whether it is set flush right, as numbers are. The rows hold LaTeX: what
/// comes from elsewhere goes through [`escape_latex`].
///
/// # Example
/// ```
/// # use itd_cell as itd_prelude;
/// use itd_prelude::media::latex_table;
///
/// let rows = [vec!["Gaussian".to_owned(), "\\textbf{4.05}".to_owned()]];
/// let text = latex_table([("", false), ("bits_dim", true)], rows);
/// assert!(text.starts_with("\\begin{tabular}{lr}\n\\hline\n & bits\\_dim \\\\\n\\hline\n"));
/// assert!(text.contains("Gaussian & \\textbf{4.05} \\\\\n"));
/// ```
pub fn latex_table<'a>(
    columns: impl IntoIterator<Item = (&'a str, bool)>,
    rows: impl IntoIterator<Item = Vec<String>>,
) -> String {
    // After an end of a row these would belong to it.
    let line = |cells: &[String]| {
        let guard = match cells.first() {
            Some(first) if first.trim_start().starts_with(['[', '*']) => "{}",
            _ => "",
        };
        guard.to_owned() + &cells.join(" & ") + " \\\\\n"
    };
    let (names, sides): (Vec<String>, String) = columns
        .into_iter()
        .map(|(name, right)| (escape_latex(name), if right { 'r' } else { 'l' }))
        .unzip();
    let (head, body) = (line(&names), rows.into_iter().map(|row| line(&row)));
    let body: String = body.collect();
    format!(
        "\\begin{{tabular}}{{{sides}}}\n\\hline\n{head}\\hline\n{body}\\hline\n\\end{{tabular}}"
    )
}

/// Text as it may stand in LaTeX: what LaTeX takes for its own is written out, Greek letters and the signs of formulas
/// become formulas, an end of a line a blank. Other characters stay as they are.
///
/// # Example
/// ```
/// # use itd_cell as itd_prelude;
/// use itd_prelude::media::escape_latex;
///
/// assert_eq!(escape_latex("a_b < 5 %"), "a\\_b \\textless{} 5 \\%");
/// assert_eq!(escape_latex("χ² = −1.5 ± 0.2"), "$\\chi{}^2$ = $-$1.5 $\\pm$ 0.2");
/// ```
pub fn escape_latex(text: &str) -> String {
    let mut out = String::new();
    let mut formula = false;
    for c in text.chars() {
        let sign = SIGNS.iter().find(|(sign, _)| *sign == c);
        if sign.is_some() != formula {
            out.push('$');
            formula = !formula;
        }
        match (sign, c) {
            (Some((_, written)), _) => out.push_str(written),
            (None, '\\') => out.push_str("\\textbackslash{}"),
            (None, '~') => out.push_str("\\textasciitilde{}"),
            (None, '^') => out.push_str("\\textasciicircum{}"),
            (None, '<') => out.push_str("\\textless{}"),
            (None, '>') => out.push_str("\\textgreater{}"),
            (None, '|') => out.push_str("\\textbar{}"),
            (None, '&' | '%' | '$' | '#' | '_' | '{' | '}') => {
                out.push('\\');
                out.push(c);
            }
            (None, '\n' | '\r') => out.push(' '),
            (None, c) => out.push(c),
        }
    }
    if formula {
        out.push('$');
    }
    out
}

/// Signs that LaTeX has in formulas. Each can stand behind each other one.
const SIGNS: &[(char, &str)] = &[
    ('−', "-"),
    ('±', "\\pm"),
    ('×', "\\times"),
    ('·', "\\cdot"),
    ('≈', "\\approx"),
    ('≤', "\\leq"),
    ('≥', "\\geq"),
    ('→', "\\to"),
    ('∞', "\\infty"),
    ('½', "\\frac12"),
    ('²', "{}^2"),
    ('³', "{}^3"),
    ('₀', "{}_0"),
    ('₁', "{}_1"),
    ('₂', "{}_2"),
    ('₃', "{}_3"),
    ('α', "\\alpha"),
    ('β', "\\beta"),
    ('γ', "\\gamma"),
    ('δ', "\\delta"),
    ('ε', "\\varepsilon"),
    ('ζ', "\\zeta"),
    ('η', "\\eta"),
    ('θ', "\\theta"),
    ('κ', "\\kappa"),
    ('λ', "\\lambda"),
    ('μ', "\\mu"),
    ('ν', "\\nu"),
    ('ξ', "\\xi"),
    ('π', "\\pi"),
    ('ρ', "\\rho"),
    ('σ', "\\sigma"),
    ('τ', "\\tau"),
    ('φ', "\\varphi"),
    ('χ', "\\chi"),
    ('ψ', "\\psi"),
    ('ω', "\\omega"),
    ('Γ', "\\Gamma"),
    ('Δ', "\\Delta"),
    ('Θ', "\\Theta"),
    ('Λ', "\\Lambda"),
    ('Π', "\\Pi"),
    ('Σ', "\\Sigma"),
    ('Φ', "\\Phi"),
    ('Ψ', "\\Psi"),
    ('Ω', "\\Omega"),
];

fn cell_text(value: &AnyValue) -> String {
    let text = match value {
        AnyValue::Null => "null".into(),
        AnyValue::String(text) => (*text).to_owned(),
        AnyValue::StringOwned(text) => text.to_string(),
        AnyValue::Float64(value) => fixed(*value, 6),
        AnyValue::Float32(value) => fixed(f64::from(*value), 5),
        other => other.to_string(),
    };
    match text.char_indices().nth(LONGEST_CELL) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// A number with so many places, so that a column lines up; with its power of ten where they do not hold it.
fn fixed(value: f64, places: usize) -> String {
    match value.abs() {
        0.0 | 1e-4..1e12 => format!("{value:.places$}"),
        _ => text::number(value),
    }
}

/// The richest form of a value that stands in a page by itself.
pub(crate) fn standing_alone(bundle: &Bundle) -> String {
    let form = |mime: &str| bundle.get(mime).and_then(|content| content.as_str());
    let text = form("text/plain").unwrap_or_default();
    match (form("image/svg+xml"), form("image/png"), form("text/html")) {
        // As an image, so that names in one drawing do not meet those in another.
        (Some(svg), ..) => image("image/svg+xml", &STANDARD.encode(svg), text),
        (_, Some(png), _) => image("image/png", png.trim(), text),
        (.., Some(html)) => html.to_owned(),
        _ => format!("<pre>{}</pre>", escape(text)),
    }
}

fn image(mime: &str, base64: &str, alt: &str) -> String {
    let alt = escape(alt);
    format!("<img alt=\"{alt}\" src=\"data:{mime};base64,{base64}\" />")
}

/// A figure as a part of HTML.
pub fn inline(figure: &Figure) -> String {
    match &figure.image {
        Image::Svg(text) => text.clone(),
        Image::Png(bytes) => image("image/png", &STANDARD.encode(bytes), &figure.alt),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars::prelude::df;

    fn form(bundle: &Bundle, mime: &str) -> String {
        bundle[mime].as_str().unwrap().to_owned()
    }

    #[test]
    fn numbers_that_places_do_not_hold_have_a_power_of_ten() {
        let written =
            [3e-8, -1e-7, 0.0, 0.5, 1e120].map(|value| cell_text(&AnyValue::Float64(value)));
        assert_eq!(written, ["3e-8", "-1e-7", "0.000000", "0.500000", "1e120"]);
    }

    #[test]
    fn what_begins_a_row_is_none_of_latexs_arguments() {
        let rows = ["[3, 4]", "*", "a"].map(|first| vec![first.to_owned(), "1".to_owned()]);
        let text = latex_table([("a", false), ("b", true)], rows);
        assert!(
            text.contains("\n{}[3, 4] & 1") && text.contains("\n{}* & 1"),
            "{text}"
        );
        assert!(text.contains("\na & 1"), "{text}");
    }

    #[test]
    fn a_data_frame_is_a_table_in_each_form() {
        let frame = df!("a_<b>" => [1.5, 2.0], "name" => ["x & y", "50 %"]).unwrap();
        let bundle = frame.bundle().unwrap();
        let html = form(&bundle, "text/html");
        let page = format!("<div>{html}</div>");
        let document = roxmltree::Document::parse(&page).unwrap();
        let cells: Vec<_> = document
            .descendants()
            .filter(|node| node.has_tag_name("td"))
            .filter_map(|node| node.text())
            .collect();
        assert_eq!(cells, ["1.500000", "x & y", "2.000000", "50 %"]);
        assert!(
            html.contains("a_&lt;b&gt;") && html.contains("onclick"),
            "{html}"
        );
        let latex = form(&bundle, "text/latex");
        assert!(
            latex.contains("{rl}")
                && latex.contains("a\\_\\textless{}b\\textgreater{} & name \\\\"),
            "{latex}"
        );
        assert!(
            latex.contains("x \\& y") && latex.contains("50 \\%"),
            "{latex}"
        );
        assert!(form(&bundle, "text/plain").contains("shape: (2, 2)"));
    }

    #[test]
    fn a_large_data_frame_is_cut() {
        let mut texts = vec![String::new(); 1_000_000];
        texts[..MOST_ROWS].fill("é".repeat(10_000));
        let frame = df!("n" => (0..1_000_000i64).collect::<Vec<_>>(), "text" => texts).unwrap();
        let begin = std::time::Instant::now();
        let bundle = frame.bundle().unwrap();
        assert!(begin.elapsed().as_secs_f64() < 5.0);
        let html = form(&bundle, "text/html");
        assert!(
            html.len() < 50_000 && html.contains("999980 more rows"),
            "{}",
            html.len()
        );
        assert!(form(&bundle, "text/plain").len() < 10_000);
    }

    #[test]
    fn pictures_say_their_size_and_what_they_show() {
        let figure = crate::figure::Pixels::new(40, 30, 0)
            .figure("\"black\"")
            .unwrap();
        let bundle = figure.bundle().unwrap();
        let metadata = crate::frame::metadata(&bundle);
        let right = serde_json::json!({ "width": 40, "height": 30, "alt": "\"black\"" });
        assert_eq!(metadata["image/png"], right);
        assert!(inline(&figure).starts_with("<img alt=\"&quot;black&quot;\""));
        // What is no picture has no size.
        let no_picture = with(
            plain(""),
            "image/png",
            "bm90IGEgcGljdHVyZSwgYW5kIGxvbmcgZW5vdWdo",
        );
        assert_eq!(
            crate::frame::metadata(&no_picture)["image/png"],
            serde_json::json!({})
        );
        assert!(crate::frame::metadata(&plain("text")).is_empty());
    }
}
