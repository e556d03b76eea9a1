//! Whether outputs are those that were there before, by these rules:
//!
//! - Text is compared line by line, with colours and overwritten parts of a line left out. All that a cell has written
//!   to standard output is one text, and so is standard error.
//! - Times (`3.1 s`, `12:05:09`), dates, rates (`7.2/s`), addresses and identifiers made at random may differ.
//! - Numbers are compared as they are written; with a tolerance, by their relative difference.
//! - A picture has to be there; what it shows is not compared.
//! - Bars of loops may stand elsewhere among the outputs, or be fewer or more: that is a matter of time.
//! - A form that an output did not have before, such as a table's LaTeX, is no difference; one that it has lost is.
//! - Of an error, name and message are compared.
//! - Execution counts and metadata do not matter, nor cells tagged `nbval-ignore-output`.

use std::sync::LazyLock;

use nbformat::v4::{Cell, Notebook, Output};
use regex::{Captures, Regex};
use serde_json::Value;

use super::article;
use super::run::has_tag;
use crate::reply::{settle, strip_colours};

/// The tags of cells whose outputs may be anything.
const IGNORED: &[&str] = &["nbval-ignore-output", "nbval-skip", "skip-execution"];
/// Characters of a line that are told.
const LONGEST: usize = 120;

/// An output that is not what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The cell's number among the code cells.
    pub cell: usize,
    pub what: String,
}

/// Holds the outputs of a notebook against those of the same notebook before. `tolerance` is relative, for numbers.
pub fn differences(before: &Notebook, now: &Notebook, tolerance: Option<f64>) -> Vec<Difference> {
    let code = |notebook: &Notebook| -> Vec<Cell> {
        let cells = notebook.cells.iter();
        let code = cells.filter(|cell| matches!(cell, Cell::Code { .. }));
        code.filter(|cell| !has_tag(cell, "injected-parameters"))
            .cloned()
            .collect()
    };
    let mut all = Vec::new();
    let (old, new) = (code(before), code(now));
    if old.len() != new.len() {
        all.push(Difference {
            cell: old.len().min(new.len()) + 1,
            what: format!(
                "there were {} cells of code, and there are {} now",
                old.len(),
                new.len()
            ),
        });
    }
    for (index, (before, now)) in old.into_iter().zip(new).enumerate() {
        if IGNORED.iter().any(|tag| has_tag(&now, tag)) {
            continue;
        }
        let ((before, old_bars), (now, new_bars)) = (apart(shown(&before)), apart(shown(&now)));
        let bars = old_bars.len() == new_bars.len();
        let with = |shown: Vec<Vec<Form>>, own: Vec<Vec<Form>>| match bars {
            true => [shown, own].concat(),
            false => shown,
        };
        let (before, mut now) = (with(before, old_bars), with(now, new_bars));
        for (old, new) in before.iter().zip(&mut now) {
            let is_in = |all: &[Form], (name, _): &Form| all.iter().any(|(other, _)| other == name);
            if !old.is_empty() && old.iter().all(|form| is_in(new, form)) {
                new.retain(|form| is_in(old, form));
            }
        }
        let told = compare(&before.concat(), &now.concat(), tolerance);
        all.extend(told.into_iter().map(|what| Difference {
            cell: index + 1,
            what,
        }));
    }
    all
}

/// A form of something that was shown: what it is called, and what is compared of it; nothing for a picture.
type Form = (String, Option<String>);

/// What was shown, each output with its forms; first the two streams, which may be empty.
fn shown(cell: &Cell) -> Vec<Vec<Form>> {
    let Cell::Code { outputs, .. } = cell else {
        return Vec::new();
    };
    let mut streams = [
        ("standard output", String::new()),
        ("standard error", String::new()),
    ];
    let mut others = Vec::new();
    for output in outputs {
        match output {
            Output::Stream { name, text } => {
                streams[usize::from(name == "stderr")].1.push_str(&text.0);
            }
            Output::Error(error) => {
                let text = format!("{}: {}", error.ename, error.evalue);
                others.push(vec![("an error".to_owned(), Some(text))]);
            }
            Output::DisplayData(_) | Output::ExecuteResult(_) => {
                let value = serde_json::to_value(output).unwrap_or_default();
                let data = value["data"].as_object().cloned().unwrap_or_default();
                let forms = data.into_iter().map(|(kind, content)| {
                    let compared = (!kind.starts_with("image/")).then(|| text_of(&content));
                    (kind, compared)
                });
                others.push(forms.collect());
            }
        }
    }
    let streams = streams.map(|(name, text)| match text.is_empty() {
        true => Vec::new(),
        false => vec![(name.to_owned(), Some(text))],
    });
    streams.into_iter().chain(others).collect()
}

/// What was shown, and the bars among it.
fn apart(shown: Vec<Vec<Form>>) -> (Vec<Vec<Form>>, Vec<Vec<Form>>) {
    shown.into_iter().partition(|forms| {
        let plain = forms.iter().find(|(name, _)| name == "text/plain");
        !plain.is_some_and(|(_, text)| text.as_deref().is_some_and(article::is_bar))
    })
}

/// The text of one form of an output, in one piece or in lines.
fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(lines) if lines.iter().all(Value::is_string) => {
            lines.iter().filter_map(Value::as_str).collect()
        }
        other => other.to_string(),
    }
}

fn compare(before: &[Form], now: &[Form], tolerance: Option<f64>) -> Vec<String> {
    let names = |all: &[Form]| {
        let names: Vec<_> = all.iter().map(|(name, _)| name.as_str()).collect();
        match names.is_empty() {
            true => "nothing".to_owned(),
            false => names.join(", "),
        }
    };
    if before
        .iter()
        .map(|(name, _)| name)
        .ne(now.iter().map(|(name, _)| name))
    {
        return vec![format!(
            "showed {}, and shows {} now",
            names(before),
            names(now)
        )];
    }
    let mut told = Vec::new();
    for ((name, before), (_, now)) in before.iter().zip(now) {
        let (Some(before), Some(now)) = (before, now) else {
            continue;
        };
        let (before, now) = (comparable(before), comparable(now));
        let (mut old, mut new) = (before.lines(), now.lines());
        for line in 1.. {
            let (old, new) = (old.next(), new.next());
            match (old, new) {
                (None, None) => break,
                (Some(old), Some(new)) if equal(old, new, tolerance) => {}
                _ => {
                    let text = |line: Option<&str>| match line {
                        None => "no such line".to_owned(),
                        Some(line) => {
                            format!("`{}`", line.chars().take(LONGEST).collect::<String>())
                        }
                    };
                    let (old, new) = around_difference(old, new);
                    told.push(format!(
                        "{name}, line {line}: was {}, is {}",
                        text(old.as_deref()),
                        text(new.as_deref())
                    ));
                    break;
                }
            }
        }
    }
    told
}

/// Two lines from shortly before the place where they differ.
fn around_difference(old: Option<&str>, new: Option<&str>) -> (Option<String>, Option<String>) {
    let common = match (old, new) {
        (Some(old), Some(new)) => {
            let same = old.chars().zip(new.chars()).take_while(|(a, b)| a == b);
            same.count()
        }
        _ => 0,
    };
    let skip = if common > LONGEST / 2 {
        common - LONGEST / 4
    } else {
        0
    };
    let cut = |line: Option<&str>| {
        line.map(|line| {
            let rest: String = line.chars().skip(skip).collect();
            if skip > 0 { format!("…{rest}") } else { rest }
        })
    };
    (cut(old), cut(new))
}

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).unwrap_or_else(|error| unreachable!("{pattern}: {error}"))
}

/// What stands in the place of a time.
const TIME: &str = "⟨time⟩";

/// What may differ from run to run, and what stands in its place.
static CHANGING: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    [
        (r"(?s)<svg\b.*?</svg>", "⟨picture⟩"),
        (r"data:image/[^\x22')\s]*", "⟨picture⟩"),
        (r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "⟨id⟩"),
        (r"\bitd-\d+-\d+\b", "⟨id⟩"),
        (r"\b0x[0-9a-fA-F]{6,}\b", "⟨address⟩"),
        (r"\b\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?Z?)?\b", "⟨date⟩"),
        (r"\b\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?\b", "⟨time⟩"),
        (r"\b\d+(?:\.\d+)?[ \t]?(?:k|M)?[ \t]?(?:it|rounds|steps|samples|loops)?/(?:s|min)\b", "⟨rate⟩"),
        (
            r"\b\d+(?:\.\d+)?(?:[eE][-+]?\d+)?[ \t\u{a0}\u{202f}]?(?:ns|µs|μs|us|ms|s|sec|seconds?|min|minutes?|h|hours?)\b(?:[ \t]\d+(?:\.\d+)?[ \t]?s\b)?",
            TIME,
        ),
    ]
    .map(|(pattern, instead)| (regex(pattern), instead))
    .into()
});

static NUMBER: LazyLock<Regex> = LazyLock::new(|| regex(r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?"));

/// Text without what may change.
fn comparable(text: &str) -> String {
    let mut text = settle(&strip_colours(text));
    for (changing, instead) in CHANGING.iter() {
        let replaced = changing.replace_all(&text, |found: &Captures<'_>| {
            let Some(whole) = found.get(0) else {
                return String::new();
            };
            match *instead == TIME && is_label(&text, whole.end()) {
                true => whole.as_str().to_owned(),
                false => (*instead).to_owned(),
            }
        });
        text = replaced.into_owned();
    }
    text
}

/// What follows the minutes or the seconds of a time.
static MINUTES: LazyLock<Regex> = LazyLock::new(|| regex(r"^(?:m|min|minutes?|s|sec|seconds?)\b"));

/// Whether what ends there is no unit but the name of the next number, as in `mean 0.5 min 0.1` and `w = 3 h = 5`.
fn is_label(text: &str, end: usize) -> bool {
    let before = text[..end].trim_end_matches(|c: char| c.is_alphabetic());
    let name = &text[before.len()..end];
    let rest = text[end..].trim_start_matches([' ', '\t']);
    before.ends_with([' ', '\t'])
        && match name {
            "min" => rest
                .trim_start_matches([' ', '\t', ':', '='])
                .starts_with(|c: char| c.is_ascii_digit() || c == '-'),
            "s" => rest.starts_with('='),
            // `3 h 5 min` is a time, `w 3 h 5` is none.
            "h" => {
                let number = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
                let unit = number.trim_start_matches([' ', '\t']);
                rest.starts_with('=') || number.len() < rest.len() && !MINUTES.is_match(unit)
            }
            _ => false,
        }
}

/// Whether two lines are the same, up to a relative difference of their numbers.
fn equal(old: &str, new: &str, tolerance: Option<f64>) -> bool {
    let Some(tolerance) = tolerance else {
        return old.trim_end() == new.trim_end();
    };
    let numbers = |text: &str| -> Vec<f64> {
        let found = NUMBER.find_iter(text);
        found
            .filter_map(|number| number.as_str().parse().ok())
            .collect()
    };
    let words = |text: &str| {
        NUMBER
            .replace_all(text.trim_end(), |_: &Captures<'_>| "#")
            .into_owned()
    };
    let near = |(a, b): (&f64, &f64)| a == b || (a - b).abs() <= tolerance * a.abs().max(b.abs());
    let (old_numbers, new_numbers) = (numbers(old), numbers(new));
    words(old) == words(new)
        && old_numbers.len() == new_numbers.len()
        && old_numbers.iter().zip(&new_numbers).all(near)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notebook::file;
    use serde_json::json;

    fn notebook(outputs: Value, tags: &[&str]) -> Notebook {
        let cell = json!({"cell_type": "code", "id": "a", "metadata": {"tags": tags}, "execution_count": 1,
            "source": "x", "outputs": outputs});
        let text = json!({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5});
        file::parse(&text.to_string()).expect("a notebook")
    }

    fn printed(text: &str) -> Value {
        json!([{"output_type": "stream", "name": "stdout", "text": text}])
    }

    fn told(before: &str, now: &str, tolerance: Option<f64>) -> Vec<String> {
        let (before, now) = (notebook(printed(before), &[]), notebook(printed(now), &[]));
        let all = differences(&before, &now, tolerance);
        all.into_iter().map(|difference| difference.what).collect()
    }

    #[test]
    fn times_may_change() {
        for (before, now) in [
            ("took 3.1 s", "took 12 ms"),
            ("took 3.12s", "took 4.5µs"),
            ("1 min 3 s", "59.2 s"),
            ("at 12:05:09 on 2026-01-02", "at 23:59:00 on 2027-11-30"),
            ("40.2 it/s", "7/s"),
            ("at 0x7ffe12345678", "at 0x55aa00ff1234"),
            ("\u{1b}[1mx\u{1b}[0m", "x"),
            ("10 %\r20 %\n", "20 %\n"),
            ("12.5 ns ± 0.3 ns per loop", "13.1 ns ± 1.2 ns per loop"),
            ("1.2e-3 s", "3.4e-4 s"),
            ("1 min 3 s", "2 min 14 s"),
            ("2 h 3 min", "3 h 14 min"),
            ("took 3 h", "took 4 h"),
            ("took 3 s\n5 cells", "took 4 s\n5 cells"),
        ] {
            assert!(told(before, now, None).is_empty(), "{before} | {now}");
        }
    }

    #[test]
    fn another_number_of_cells_is_a_difference() {
        let one = notebook(printed("a"), &[]);
        let mut two = one.clone();
        two.cells.push(one.cells[0].clone());
        for (before, now) in [(&one, &two), (&two, &one)] {
            let all = differences(before, now, None);
            assert_eq!((all.len(), all[0].cell), (1, 2));
            assert!(all[0].what.starts_with("there were"), "{}", all[0].what);
        }
    }

    #[test]
    fn numbers_and_words_may_not() {
        for (before, now) in [
            ("loss 0.52", "loss 0.53"),
            ("5 samples", "6 samples"),
            ("a\nb", "a"),
            ("1 km", "2 km"),
            ("took 3 s, loss 1.0", "took 4 s, loss 1.1"),
            // Names of numbers that look like units.
            ("mean 0.52\nmin 0.10", "mean 0.99\nmin 0.10"),
            ("w 3\nh 5", "w 4\nh 5"),
            ("n = 10\ns = 2.3", "n = 11\ns = 2.3"),
            ("mean 0.52 min 0.10 max 0.9", "mean 0.53 min 0.10 max 0.9"),
            ("w = 3 h = 5", "w = 4 h = 5"),
            ("w 3 h 5", "w 4 h 5"),
        ] {
            assert_eq!(told(before, now, None).len(), 1, "{before} | {now}");
        }
        assert_eq!(
            told("a\nloss 0.52\nc", "a\nloss 0.53\nc", None),
            ["standard output, line 2: was `loss 0.52`, is `loss 0.53`"]
        );
        let long = "x".repeat(500);
        let what = &told(&format!("{long}1"), &format!("{long}2"), None)[0];
        assert!(
            what.len() < 200 && what.contains("x1`") && what.contains("x2`"),
            "{what}"
        );
    }

    #[test]
    fn numbers_may_differ_by_the_tolerance() {
        assert!(told("loss -0.5200, 3", "loss -0.5201, 3", Some(1e-3)).is_empty());
        assert!(told("1e-12", "1.0001e-12", Some(1e-3)).is_empty());
        assert_eq!(told("loss 0.52", "loss 0.53", Some(1e-3)).len(), 1);
        assert_eq!(told("loss 0.52", "gain 0.52", Some(1e-3)).len(), 1);
        assert_eq!(told("1 2", "1", Some(1e-3)).len(), 1);
    }

    #[test]
    fn other_outputs_have_to_be_there() {
        let picture = |content: &str| {
            json!([{"output_type": "display_data", "metadata": {},
            "data": {"image/png": content, "text/plain": "a figure"}}])
        };
        let of = |before: Value, now: Value| {
            let (before, now) = (notebook(before, &[]), notebook(now, &[]));
            differences(&before, &now, None).len()
        };
        assert_eq!(of(picture("aaaa"), picture("bbbb")), 0);
        assert_eq!(of(picture("aaaa"), json!([])), 1);
        assert_eq!(of(json!([]), printed("new")), 1);
        let html = |svg: &str| {
            json!([{"output_type": "display_data", "metadata": {},
            "data": {"text/html": format!("<b>7</b><svg>{svg}</svg>"), "text/plain": "x"}}])
        };
        assert_eq!(of(html("1"), html("2")), 0);
        let forms = |kinds: &[&str]| {
            let data: serde_json::Map<_, _> =
                kinds.iter().map(|&k| (k.into(), "7".into())).collect();
            json!([{"output_type": "display_data", "metadata": {}, "data": data}])
        };
        let (few, more) = (["text/html"], ["text/html", "text/latex"]);
        assert_eq!(of(forms(&few), forms(&more)), 0);
        assert_eq!(of(forms(&more), forms(&few)), 1);
        assert_eq!(of(forms(&["text/plain"]), forms(&more)), 1);
        assert_eq!(of(forms(&[]), printed("new")), 1);
        let error = |value: &str| {
            json!([{"output_type": "error", "ename": "Panic", "evalue": value,
            "traceback": [value]}])
        };
        assert_eq!(of(error("p"), error("p")), 0);
        assert_eq!(of(error("p"), error("q")), 1);
    }

    #[test]
    fn bars_may_stand_elsewhere() {
        let display = |kind: &str, text: &str| json!({"output_type": "display_data", "metadata": {}, "data": {kind: "x", "text/plain": text}});
        let bar = |loss: f64| {
            let text = format!("training {} 100 %  9/9    loss {loss}", "█".repeat(20));
            display("text/html", &text)
        };
        let picture = || display("image/svg+xml", "Training loss");
        let told = |before: Value, now: Value| {
            differences(&notebook(before, &[]), &notebook(now, &[]), None).len()
        };
        assert_eq!(
            told(json!([bar(0.5), picture()]), json!([picture(), bar(0.5)])),
            0
        );
        assert_eq!(told(json!([bar(0.5), picture()]), json!([picture()])), 0);
        assert_eq!(
            told(json!([bar(0.5), picture()]), json!([picture(), bar(0.6)])),
            1
        );
        assert_eq!(told(json!([bar(0.5), picture()]), json!([bar(0.5)])), 1);
    }

    #[test]
    fn a_tag_says_that_outputs_do_not_matter() {
        let (before, now) = (printed("1"), printed("2"));
        let tags = ["nbval-ignore-output"];
        assert!(differences(&notebook(before, &tags), &notebook(now, &tags), None).is_empty());
    }
}
