//! The formats in which a notebook is written.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use nbformat::v4::{Cell, Notebook, Output};
use serde_json::Value;

use super::{NotebookError, article, file, markdown, page, percent};
use crate::reply::strip_colours;

/// A format of a notebook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A page that needs nothing else
    Html,
    /// A notebook
    Ipynb,
    /// A percent script, without outputs
    Rs,
    /// Markdown, with its pictures in a folder beside it
    Md,
}

impl Format {
    fn ending(self) -> &'static str {
        match self {
            Self::Html => "html",
            Self::Ipynb => "ipynb",
            Self::Rs => "rs",
            Self::Md => "md",
        }
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.ending())
    }
}

/// Reads a notebook, or a percent script.
///
/// # Errors
/// When the file cannot be read, or is neither.
pub fn read(path: &Path) -> Result<Notebook, NotebookError> {
    match is_script(path) {
        true => {
            let text = std::fs::read_to_string(path);
            let text = text.map_err(|source| NotebookError::Read {
                path: path.to_owned(),
                source,
            })?;
            Ok(percent::read(&text))
        }
        false => file::read(path),
    }
}

/// Whether a file is a percent script, by its name.
pub fn is_script(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "rs")
}

/// Where a format of a notebook goes.
pub fn place(path: &Path, format: Format) -> PathBuf {
    path.with_extension(format.ending())
}

/// Writes a notebook in some formats, beside each other; the notebook itself last, since it is the sign that all is
/// there. Images that its text refers to are looked for in `folder`.
///
/// # Errors
/// When a file cannot be written; what was there is unchanged then.
pub fn write(
    output: &Path,
    formats: &[Format],
    notebook: Notebook,
    folder: &Path,
) -> Result<Vec<PathBuf>, NotebookError> {
    let mut written = Vec::new();
    for format in [Format::Html, Format::Rs, Format::Md] {
        if !formats.contains(&format) {
            continue;
        }
        let path = place(output, format);
        match format {
            Format::Html => {
                let page = page::page(&notebook, folder, article::number(output));
                file::replace(&path, page.as_bytes())?;
            }
            Format::Rs => file::replace(&path, percent::write(&notebook).as_bytes())?,
            Format::Md => to_markdown(&path, &notebook)?,
            Format::Ipynb => {}
        }
        written.push(path);
    }
    if formats.contains(&Format::Ipynb) {
        let path = place(output, Format::Ipynb);
        file::write(&path, notebook)?;
        written.insert(0, path);
    }
    Ok(written)
}

/// Writes a notebook as Markdown.
fn to_markdown(path: &Path, notebook: &Notebook) -> Result<(), NotebookError> {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let folder = format!("{name}_files");
    let mut pictures = Vec::new();
    let mut text = String::new();
    for cell in &notebook.cells {
        let source = file::source(cell);
        match cell {
            Cell::Markdown { attachments, .. } => {
                let source = with_files(source, attachments.as_ref(), &folder, &mut pictures);
                let _ = write!(text, "{source}\n\n");
            }
            Cell::Raw { .. } => {
                let _ = write!(text, "{}\n\n", fenced("", &source));
            }
            Cell::Code { outputs, .. } => {
                let _ = write!(text, "{}\n\n", fenced("rust", &source));
                for shown in outputs {
                    let _ = write!(text, "{}\n\n", output(shown, &folder, &mut pictures));
                }
            }
        }
    }
    if !pictures.is_empty() {
        let folder = path.with_file_name(&folder);
        std::fs::create_dir_all(&folder).map_err(|source| NotebookError::Write {
            path: folder.clone(),
            source,
        })?;
        for (name, content) in pictures {
            file::replace(&folder.join(name), &content)?;
        }
    }
    file::replace(path, format!("{}\n", text.trim_end()).as_bytes())
}

/// Markdown whose attached pictures are files.
fn with_files(
    mut source: String,
    attachments: Option<&Value>,
    folder: &str,
    pictures: &mut Vec<(String, Vec<u8>)>,
) -> String {
    let names = attachments.and_then(Value::as_object);
    for name in names.into_iter().flat_map(|all| all.keys()) {
        let address = format!("attachment:{name}");
        if let Some((_, content)) = markdown::attachment(&address, attachments) {
            let safe = name.replace(|c: char| !c.is_alphanumeric() && c != '.', "_");
            let file = format!("attached_{}_{safe}", pictures.len() + 1);
            let place = format!("{}/{file}", folder.replace(' ', "%20"));
            source = source.replace(&address, &place);
            pictures.push((file, content));
        }
    }
    source
}

/// Text in a fence that is longer than any in it.
fn fenced(language: &str, text: &str) -> String {
    let mut fence = "```".to_owned();
    while text.contains(&fence) {
        fence.push('`');
    }
    format!(
        "{fence}{language}\n{}\n{fence}",
        text.trim_end_matches('\n')
    )
}

fn output(shown: &Output, folder: &str, pictures: &mut Vec<(String, Vec<u8>)>) -> String {
    let text = match shown {
        Output::Stream { text, .. } => text.0.clone(),
        Output::Error(error) => error.traceback.join("\n"),
        Output::DisplayData(_) | Output::ExecuteResult(_) => {
            let value = serde_json::to_value(shown).unwrap_or_default();
            let data = |kind: &str| -> Option<String> {
                match &value["data"][kind] {
                    Value::String(text) => Some(text.clone()),
                    Value::Array(lines) => Some(lines.iter().filter_map(Value::as_str).collect()),
                    _ => None,
                }
            };
            let alt = data("text/plain").unwrap_or_default();
            let alt = alt
                .lines()
                .next()
                .unwrap_or_default()
                .replace(['[', ']'], "");
            let mut picture = |ending: &str, content: Vec<u8>| {
                let name = format!("output_{}.{ending}", pictures.len() + 1);
                pictures.push((name.clone(), content));
                format!("![{alt}]({}/{name})", folder.replace(' ', "%20"))
            };
            if let Some(svg) = data("image/svg+xml") {
                return picture("svg", svg.into_bytes());
            }
            for (kind, ending) in [
                ("image/png", "png"),
                ("image/jpeg", "jpg"),
                ("image/gif", "gif"),
                ("image/webp", "webp"),
            ] {
                if let Some(text) = data(kind)
                    && let Ok(content) =
                        data_encoding::BASE64.decode(text.replace('\n', "").as_bytes())
                {
                    return picture(ending, content);
                }
            }
            if let Some(text) = data("text/markdown").or(data("text/latex")) {
                return text;
            }
            data("text/plain").unwrap_or_default()
        }
    };
    fenced("text", &strip_colours(&text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_notebook_is_markdown_with_pictures() -> Result<(), Box<dyn std::error::Error>> {
        let cells = json!([
            {"cell_type": "markdown", "id": "a", "metadata": {}, "source": "# Title\n![p](attachment:p.png)",
             "attachments": {"p.png": {"image/png": "QUJD"}}},
            {"cell_type": "code", "id": "b", "metadata": {}, "execution_count": 1, "source": "x // ```",
             "outputs": [
                {"output_type": "stream", "name": "stdout", "text": "\u{1b}[1mbold\u{1b}[0m\n"},
                {"output_type": "display_data", "metadata": {},
                 "data": {"image/svg+xml": "<svg/>", "text/plain": "a [curve]"}},
                {"output_type": "execute_result", "execution_count": 1, "metadata": {},
                 "data": {"text/markdown": "*so*", "text/plain": "so"}},
             ]},
        ]);
        let text = json!({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5});
        let notebook = file::parse(&text.to_string())?;
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("a b.ipynb");
        let all = [Format::Md, Format::Rs, Format::Ipynb, Format::Html];
        let written = write(&path, &all, notebook, folder.path())?;
        let endings: Vec<_> = written.iter().filter_map(|path| path.extension()).collect();
        assert_eq!(endings, ["ipynb", "html", "rs", "md"]);
        assert_eq!(
            std::fs::read_to_string(path.with_extension("md"))?,
            "# Title\n![p](a%20b_files/attached_1_p.png)\n\n````rust\nx // ```\n````\n\n```text\nbold\n```\n\n\
             ![a curve](a%20b_files/output_2.svg)\n\n*so*\n"
        );
        for (name, content) in [("output_2.svg", "<svg/>"), ("attached_1_p.png", "ABC")] {
            let picture = folder.path().join("a b_files").join(name);
            assert_eq!(std::fs::read_to_string(picture)?, content);
        }
        let script = path.with_extension("rs");
        assert_eq!(file::source(&read(&script)?.cells[1]), "x // ```");
        Ok(())
    }
}
