//! Notebook files: nbformat 4.5 in memory and on disk, older ones are brought up to it.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use nbformat::v4::{Cell, Notebook};
use serde_json::Value;

use crate::disk;

/// What is wrong with a notebook file.
#[derive(Debug, thiserror::Error)]
pub enum NotebookError {
    #[error("{}: {source}", path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{} is not a notebook: {what}", path.display())]
    Content { path: PathBuf, what: String },
    #[error(
        "{} is a notebook for {language}, and itd executes Rust: choose the kernel \"Rust (itd)\" for it, \
         or run it with the kernel that it was written for", path.display()
    )]
    Language { path: PathBuf, language: String },
    #[error("{} cannot be written: {source}; what was there before is unchanged", path.display())]
    Write {
        path: PathBuf,
        source: std::io::Error,
    },
}

/// Reads a notebook.
///
/// # Errors
/// When the file cannot be read, is not JSON, or is not a notebook; the text says where.
pub fn read(path: &Path) -> Result<Notebook, NotebookError> {
    let text = std::fs::read_to_string(path).map_err(|source| NotebookError::Read {
        path: path.to_owned(),
        source,
    })?;
    parse(&text).map_err(|what| NotebookError::Content {
        path: path.to_owned(),
        what,
    })
}

/// A notebook from the text of its file.
pub(crate) fn parse(text: &str) -> Result<Notebook, String> {
    // Some editors begin a file with a mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut value: Value =
        serde_json::from_str(text).map_err(|error| match text.trim().is_empty() {
            true => "it is empty; make a notebook in Jupyter, or restore this one".to_owned(),
            false => {
                let marks = ["<<<<<<<", "======="].iter().all(|mark| text.contains(mark));
                let advice = match marks {
                    true => "git has left marks of a conflict in it: choose a side, as with `git checkout --ours FILE`",
                    false => "if it was cut off, restore it from a copy; a script of cells ends in .rs",
                };
                format!("it is not JSON ({error}); {advice}")
            }
        })?;
    if !value.is_object() || value["nbformat"].is_null() {
        return Err(
            "it has no `nbformat`, which every notebook has: is it another JSON file?".to_owned(),
        );
    }
    if value["nbformat"]
        .as_u64()
        .is_some_and(|version| version > 4)
    {
        return Err(format!(
            "its format is {}, and 4 is the newest that is known here; save it as nbformat 4, or update itd",
            value["nbformat"]
        ));
    }
    let mut ids = HashSet::new();
    for (index, cell) in value["cells"].as_array().into_iter().flatten().enumerate() {
        if let Some(id) = cell["id"].as_str()
            && !ids.insert(id)
        {
            return Err(format!(
                "cell {} has the id {id:?}, which a cell before it has: give it another one in a text editor",
                index + 1
            ));
        }
        let kind = &cell["cell_type"];
        if !["code", "markdown", "raw"]
            .iter()
            .any(|known| kind == known)
        {
            return Err(format!(
                "cell {} has the type {kind}; known are code, markdown and raw: change it in a text editor",
                index + 1
            ));
        }
    }
    // What the format allows and the crate does not read.
    let mut changed = false;
    let cells = value.get_mut("cells").and_then(Value::as_array_mut);
    for cell in cells.into_iter().flatten() {
        changed |= tidy(cell);
    }
    let tidied = changed.then(|| value.to_string());
    let text = tidied.as_deref().unwrap_or(text);
    let notebook = nbformat::parse_notebook(text).map_err(|error| {
        format!("{error}; `python -m nbformat.validate FILE` of Jupyter says where, and opening and saving it there may mend it")
    })?;
    match notebook {
        nbformat::Notebook::V4(notebook) => Ok(notebook),
        nbformat::Notebook::V4QuirksMode(quirks) => Ok(quirks.repair()),
        nbformat::Notebook::Legacy(old) => {
            nbformat::upgrade_legacy_notebook(old).map_err(|error| error.to_string())
        }
        nbformat::Notebook::V3(old) => {
            nbformat::upgrade_v3_notebook(old).map_err(|error| error.to_string())
        }
        _ => Err("its version is not supported; open it in Jupyter and save it anew".to_owned()),
    }
}

/// Gives results without a number that of their cell, and takes off `scrolled` where it is a word; says whether there was
/// anything.
fn tidy(cell: &mut Value) -> bool {
    let mut changed = false;
    if let Some(metadata) = cell.get_mut("metadata").and_then(Value::as_object_mut)
        && metadata.get("scrolled").is_some_and(Value::is_string)
    {
        metadata.remove("scrolled");
        changed = true;
    }
    let count = cell["execution_count"].as_u64().unwrap_or(0);
    let outputs = cell.get_mut("outputs").and_then(Value::as_array_mut);
    for output in outputs.into_iter().flatten() {
        if output["output_type"] == "execute_result" && output["execution_count"].is_null() {
            output["execution_count"] = count.into();
            changed = true;
        }
    }
    changed
}

/// Whether a notebook is written in Rust; one that does not say is taken for it.
///
/// # Errors
/// When it names another language.
pub fn check_language(path: &Path, notebook: &Notebook) -> Result<(), NotebookError> {
    let metadata = &notebook.metadata;
    let by_kernel = metadata.kernelspec.as_ref().map(|spec| {
        let language = spec.language.clone();
        language.unwrap_or_else(|| match spec.name.as_str() {
            name if name.starts_with("python") => "Python".to_owned(),
            name if name.starts_with("julia") => "Julia".to_owned(),
            "ir" => "R".to_owned(),
            _ => "rust".to_owned(), // any name may stand for a kernel of ours
        })
    });
    let by_language = metadata
        .language_info
        .as_ref()
        .map(|info| info.name.clone());
    match by_kernel.or(by_language) {
        Some(language) if !language.eq_ignore_ascii_case("rust") => Err(NotebookError::Language {
            path: path.to_owned(),
            language,
        }),
        _ => Ok(()),
    }
}

/// Writes a notebook as Jupyter does, to a temporary file that then takes the place of `path`.
///
/// # Errors
/// When it cannot be written; the file that was there is unchanged then.
pub fn write(path: &Path, notebook: Notebook) -> Result<(), NotebookError> {
    let text = nbformat::serialize_notebook(&nbformat::Notebook::V4(notebook));
    let text = text.map_err(|error| NotebookError::Content {
        path: path.to_owned(),
        what: error.to_string(),
    })?;
    replace(path, text.as_bytes())
}

/// Puts `content` in the place of a file, in one move.
///
/// # Errors
/// When the folder cannot be written to, or is full.
pub fn replace(path: &Path, content: &[u8]) -> Result<(), NotebookError> {
    disk::replace(path, content).map_err(at(path))
}

/// Whether a file could be put at `path`, found out before long work is done for it.
///
/// # Errors
/// When the folder is missing or cannot be written to.
pub fn check_writable(path: &Path) -> Result<(), NotebookError> {
    disk::check_writable(path).map_err(at(path))
}

fn at(path: &Path) -> impl Fn(std::io::Error) -> NotebookError {
    let path = path.to_owned();
    move |source| NotebookError::Write {
        path: path.clone(),
        source,
    }
}

/// A text as cells have it: lines with their ends.
pub fn lines(text: &str) -> Vec<String> {
    text.split_inclusive('\n').map(str::to_owned).collect()
}

/// The text of a cell.
pub fn source(cell: &Cell) -> String {
    cell.source().concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = r#"{"cells": [{"cell_type": "code", "id": "a", "metadata": {}, "execution_count": null,
        "outputs": [], "source": ["1 +\n", "1"]}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}"#;

    #[test]
    fn what_is_no_notebook_is_refused_with_the_reason() {
        for (text, what) in [
            ("", "it is empty"),
            ("{\"cells\": [", "not JSON"),
            ("{\n<<<<<<< HEAD\n=======\n", "marks of a conflict"),
            ("[]", "no `nbformat`"),
            ("{\"nbformat\": 7, \"cells\": []}", "its format is 7"),
            (
                &SMALL.replace("\"code\"", "\"video\""),
                "cell 1 has the type \"video\"",
            ),
            (&SMALL.replace("\"source\"", "\"text\""), "source"),
            (
                r#"{"cells": [{"cell_type": "code", "id": "a"}, {"cell_type": "code", "id": "a"}], "nbformat": 4}"#,
                "cell 2 has the id \"a\"",
            ),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(what), "{error} should contain {what}");
        }
        assert!(parse(&format!("\u{feff}{SMALL}")).is_ok());
    }

    #[test]
    fn what_the_format_allows_is_kept() {
        let text = r#"{"cells": [{"cell_type": "markdown", "id": "m", "source": "x", "metadata": {}},
            {"cell_type": "code", "id": "a", "metadata": {"scrolled": "auto", "tags": ["t"]}, "execution_count": 7,
            "outputs": [{"output_type": "execute_result", "execution_count": null, "metadata": {},
            "data": {"text/plain": "2"}}], "source": "1 + 1"}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}"#;
        let notebook = parse(text).expect("a notebook");
        let Cell::Code { outputs, .. } = &notebook.cells[1] else {
            panic!("a cell of code");
        };
        let output = serde_json::to_value(&outputs[0]).expect("JSON");
        assert_eq!(output["execution_count"], 7);
        assert_eq!(output["data"]["text/plain"][0], "2");
        let tags = notebook.cells[1].metadata().tags.clone();
        assert_eq!(tags, Some(vec!["t".to_owned()]));
    }

    #[test]
    fn a_notebook_in_another_language_is_refused() {
        for (metadata, language) in [
            (
                r#"{"kernelspec": {"name": "python3", "display_name": "Python 3"}}"#,
                Some("Python"),
            ),
            (
                r#"{"kernelspec": {"name": "x", "display_name": "x", "language": "julia"}}"#,
                Some("julia"),
            ),
            (r#"{"language_info": {"name": "python"}}"#, Some("python")),
            (r#"{"language_info": {"name": "Rust"}}"#, None),
            (
                r#"{"kernelspec": {"name": "rust", "display_name": "Rust", "language": "Rust"}}"#,
                None,
            ),
            ("{}", None),
        ] {
            let text = SMALL.replace(
                "\"metadata\": {}, \"nbformat\"",
                &format!("\"metadata\": {metadata}, \"nbformat\""),
            );
            let notebook = parse(&text).expect(metadata);
            let checked = check_language(Path::new("a.ipynb"), &notebook);
            match language {
                None => assert!(checked.is_ok(), "{metadata}"),
                Some(language) => {
                    let error = checked.expect_err(metadata).to_string();
                    assert!(error.contains(&format!("for {language}")), "{error}");
                }
            }
        }
    }

    #[test]
    fn a_notebook_is_written_as_it_was_read() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("a.ipynb");
        write(&path, parse(SMALL)?)?;
        let again = read(&path)?;
        assert_eq!(source(&again.cells[0]), "1 +\n1");
        let first = std::fs::read_to_string(&path)?;
        write(&path, again)?;
        assert_eq!(std::fs::read_to_string(&path)?, first);
        Ok(())
    }
}
