//! `docs/results.md` says what the outputs of the notebooks say. `ITD_WRITE_RESULTS=1` writes its tables anew.
//!
//! A cell of a notebook with the tag `result` shows a table of four columns: quantity, published, measured, error. Each of
//! its rows is a row of the page. Estimates of other cells, which a notebook prints on its way, are named in [`NAMED`];
//! their numbers are taken from the cell's output. The scores of the networks are those of `notebooks/weights/*.json`.

mod syntax;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Notebook, cell, and a name for each estimate `value ± error unit` in its output, in order.
#[rustfmt::skip]
const NAMED: &[(&str, &str, &[&str])] = &[
    ("01_quickstart", "c17", &["correlated Gaussian, the exact denoiser: entropy"]),
    ("01_quickstart", "c26", &["correlated Gaussian, a trained perceptron: entropy"]),
    ("01_quickstart", "c35", &["digits, Gaussian: probability, dequantized"]),
    ("01_quickstart", "c42", &["digits, perceptron: probability, dequantized"]),
    ("01_quickstart", "c45", &["digits, the same perceptron on digits that it was trained on: probability, dequantized"]),
    ("04_toys_2d", "c13", &["moons, perceptron: negative log density"]),
    ("04_toys_2d", "c24", &["correlated Gaussian of 04, perceptron: negative log density"]),
    ("04_toys_2d", "c28", &["square, perceptron: negative log density"]),
    ("05_discrete", "c28", &["digits, perceptron of 05: probability, plain or rounded"]),
    ("05_discrete", "c29", &["digits, perceptron of 05: probability, dequantized"]),
    ("09_mmg", "c9", &["binormal, direct: mutual information", "binormal, orthogonal: mutual information",
        "binormal, mean of both: mutual information", "binormal, scaled: mutual information"]),
    ("11_information_pixels", "c3", &["images of 4 × 4 pixels, mean of both maps: information of the condition"]),
    ("11_information_pixels", "c16", &["digits, by Bayes' rule over the classes: information of the class"]),
    ("11_information_pixels", "c23", &["digits, network told and not told: information of the class"]),
];

/// A row of the page.
#[derive(Debug, Clone)]
struct Row {
    quantity: String,
    published: String,
    measured: String,
    error: String,
    from: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The text of a field that may be a list of lines.
fn text(field: &Value) -> String {
    match field.as_array() {
        Some(lines) => lines.iter().filter_map(Value::as_str).collect(),
        None => field.as_str().unwrap_or_default().to_owned(),
    }
}

/// What stands between two tags, without tags and with its signs.
fn plain(html: &str) -> String {
    let pieces = html
        .split('<')
        .map(|piece| piece.split_once('>').map_or(piece, |(_, rest)| rest));
    let text: String = pieces.collect();
    let signs = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&amp;", "&"),
    ];
    let text = signs
        .into_iter()
        .fold(text, |text, (from, to)| text.replace(from, to));
    text.trim().to_owned()
}

/// The cells of each row of a table.
fn table(html: &str) -> Vec<Vec<String>> {
    let cells = |row: &str, tag: &str| -> Vec<String> {
        let begin = format!("<{tag} ");
        let parts = row.split(&begin).skip(1);
        parts.map(|part| plain(&format!("<{part}"))).collect()
    };
    let rows = html.split("<tr>").skip(1);
    rows.map(|row| match row.contains("<th ") {
        true => cells(row, "th"),
        false => cells(row, "td"),
    })
    .collect()
}

/// All `value ± error unit` of a text.
fn estimates(text: &str) -> Vec<[String; 3]> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let number = |word: &str| word.replace('−', "-").parse::<f64>().is_ok();
    words
        .windows(4)
        .filter(|four| four[1] == "±" && number(four[0]) && number(four[2]))
        .map(|four| [four[0].to_owned(), four[2].to_owned(), four[3].to_owned()])
        .collect()
}

/// The rows of a cell, if it has any.
fn rows_of(cell: &Value, notebook: &str) -> Vec<Row> {
    let id = cell["id"].as_str().unwrap();
    let from = format!("[{notebook}](../notebooks/{notebook}.ipynb), `{id}`");
    let outputs = cell["outputs"].as_array().unwrap();
    let tagged = cell["metadata"]["tags"]
        .as_array()
        .is_some_and(|tags| tags.iter().any(|tag| tag == "result"));
    if tagged {
        let html: String = outputs
            .iter()
            .map(|out| text(&out["data"]["text/html"]))
            .collect();
        let rows = table(&html);
        assert!(
            rows.len() > 1 && rows.iter().all(|row| row.len() == 4),
            "{notebook} {id}: a cell with the tag `result` shows a table of four columns: quantity, published, measured, \
             error; got {rows:?}"
        );
        let row = |cells: &Vec<String>| {
            let [quantity, published, measured, error] = cells.clone().try_into().unwrap();
            Row {
                quantity,
                published,
                measured,
                error,
                from: from.clone(),
            }
        };
        return rows[1..].iter().map(row).collect();
    }
    let named = NAMED
        .iter()
        .find(|(book, cell, _)| *book == notebook && *cell == id);
    let Some((_, _, names)) = named else {
        return Vec::new();
    };
    let said: String = outputs
        .iter()
        .map(|out| text(&out["text"]) + "\n" + &text(&out["data"]["text/plain"]) + "\n")
        .collect();
    let found = estimates(&said);
    assert!(
        found.len() >= names.len(),
        "{notebook} {id}: {names:?} are named, {found:?} are there"
    );
    let row = |(name, [measured, error, unit]): (&&str, [String; 3])| Row {
        quantity: format!("{name}, {}", unit.trim_end_matches([',', ';', '.'])),
        published: String::new(),
        measured,
        error,
        from: from.clone(),
    };
    names.iter().zip(found).map(row).collect()
}

/// The scores beside the networks.
fn rows_of_weights() -> Vec<Row> {
    let mut paths = syntax::files(&root().join("notebooks/weights"), ".json");
    paths.sort();
    let row = |path: PathBuf| {
        let story: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let data = if name.starts_with("digits") {
            "digits"
        } else {
            "Fashion-MNIST"
        };
        let score = &story["bits per dimension, with standard error"]["network"];
        let [value, error] = [0, 1].map(|i| format!("{:.3}", score[i].as_f64().unwrap()));
        let samples = &story["test samples"];
        Row {
            quantity: format!(
                "{data}, network `{name}`: probability, dequantized, {samples} images, interval of the paper's formula, bits/dim"
            ),
            published: String::new(),
            measured: value,
            error,
            from: format!("[weights](../notebooks/weights/README.md), `{name}.json`"),
        }
    };
    paths.into_iter().map(row).collect()
}

/// All rows, in the order of the notebooks.
fn all() -> Vec<Row> {
    let mut paths = syntax::files(&root().join("notebooks"), ".ipynb");
    paths.sort();
    let mut rows = Vec::new();
    for path in paths {
        let notebook: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let cells = notebook["cells"].as_array().unwrap().iter();
        rows.extend(
            cells
                .filter(|cell| cell["cell_type"] == "code")
                .flat_map(|cell| rows_of(cell, name)),
        );
    }
    for (book, cell, _) in NAMED {
        let place = format!("[{book}](../notebooks/{book}.ipynb), `{cell}`");
        assert!(
            rows.iter().any(|row| row.from == place),
            "there is no cell {cell} in {book}"
        );
    }
    rows.extend(rows_of_weights());
    rows
}

/// The data set that a quantity is of: what stands before the first comma.
fn data_set(row: &Row) -> &str {
    row.quantity.split(',').next().unwrap_or_default()
}

/// The tables of the page by their names.
fn tables() -> BTreeMap<&'static str, String> {
    let names = ["CIFAR-10", "Fashion-MNIST", "digits"];
    let mut tables: BTreeMap<&str, Vec<Row>> = BTreeMap::new();
    for row in all() {
        let name = names.into_iter().find(|name| *name == data_set(&row));
        tables.entry(name.unwrap_or("other")).or_default().push(row);
    }
    let line = |row: &Row| {
        let Row {
            quantity,
            published,
            measured,
            error,
            from,
        } = row;
        let cells = [quantity, published, measured, error, from];
        format!(
            "| {} |\n",
            cells.map(|cell| cell.replace('|', "\\|")).join(" | ")
        )
    };
    let head =
        "| quantity | published or known | measured | error | from |\n|---|---|---|---|---|\n";
    tables
        .into_iter()
        .map(|(name, rows)| {
            (
                name,
                format!("{head}{}", rows.iter().map(line).collect::<String>()),
            )
        })
        .collect()
}

#[test]
fn the_page_of_results_is_what_the_notebooks_say() {
    let path = root().join("docs/results.md");
    let page = fs::read_to_string(&path).unwrap();
    let mut current = page.clone();
    for (name, table) in tables() {
        let begin = format!("<!-- table: {name} -->\n");
        let start = current
            .find(&begin)
            .unwrap_or_else(|| panic!("docs/results.md has no place {begin:?}"))
            + begin.len();
        let end = start
            + current[start..]
                .find("<!-- end -->")
                .expect("the end of a table");
        current.replace_range(start..end, &table);
    }
    if std::env::var_os("ITD_WRITE_RESULTS").is_some() {
        fs::write(&path, &current).unwrap();
        return;
    }
    assert!(
        current == page,
        "docs/results.md is not what the notebooks say: `ITD_WRITE_RESULTS=1 cargo test --release --test results`"
    );
}

/// A reader sees results, and no remarks of the kernel or of the compiler.
#[test]
fn no_cell_of_a_notebook_ends_with_a_remark() {
    let mut remarks = Vec::new();
    for path in syntax::files(&root().join("notebooks"), ".ipynb") {
        let book: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        for cell in book["cells"].as_array().unwrap() {
            for output in cell["outputs"].as_array().into_iter().flatten() {
                if output["name"] == "stderr" || output["output_type"] == "error" {
                    let said = text(&output["text"]);
                    remarks.push(format!("{}, {}: {said}", path.display(), cell["id"]));
                }
            }
        }
    }
    assert!(remarks.is_empty(), "{remarks:#?}");
}

/// The reader must see what it is to read.
#[test]
fn tables_and_estimates_are_read() {
    let html = "<table><thead><tr><th style=\"a\">x</th><th style=\"b\">y</th></tr></thead><tbody>\
                <tr><td style=\"a\"><b>1 &lt; 2</b></td><td style=\"b\"></td></tr></tbody></table>";
    assert_eq!(table(html), [["x", "y"], ["1 < 2", ""]]);
    let text = "network: 2.433 ± 0.016 bits/dim\n✓ −1.5 ± 0.2 nats is below 3, ± and so on";
    let found = estimates(text);
    assert_eq!(
        found,
        [["2.433", "0.016", "bits/dim"], ["−1.5", "0.2", "nats"]]
    );
}
