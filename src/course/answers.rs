//! What readers of a site, and students, are not to see: the answers of exam problems. Who teaches has them in the
//! repository, and in
//! the edition for instructors.

use nbformat::v4::Notebook;

use crate::notebook::run::has_tag;

/// The first words of a paragraph that begins an answer.
const ANSWER: &str = "*Answer.*";
/// The tag of the first cell of a notebook that is left out as a whole.
const TAG: &str = "answers";
/// What stands at the end of a text that had answers.
const WHERE: &str = "*The answers are left out here: `itd course instructor` puts them into the first cell of each \
    notebook.*";

/// Whether a notebook is one of answers.
pub fn holds(notebook: &Notebook) -> bool {
    let first = notebook.cells.first();
    first.is_some_and(|cell| has_tag(cell, TAG))
}

/// A text without its answers. An answer begins with a paragraph `*Answer.* …` and ends at the next one that begins with
/// bold words, as a problem does, or at the next heading.
pub fn without(text: &str) -> String {
    let mut kept = String::new();
    let (mut answer, mut fenced, mut blank, mut found) = (false, false, true, false);
    for line in text.lines() {
        if blank && !fenced {
            answer |= line.starts_with(ANSWER);
            answer &= !line.starts_with("**") && !line.starts_with('#');
            found |= answer;
        }
        fenced ^= line.starts_with("```");
        blank = line.trim().is_empty();
        if !answer {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    if found {
        kept = format!("{}\n\n{WHERE}\n", kept.trim_end());
    }
    kept
}
