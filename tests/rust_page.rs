//! The page for people who know Python: each of its snippets runs, in the order of the page.

mod common;

use serde_json::json;

/// How a snippet begins that is to fail.
const RED: &str = "// This cell is red";

/// What stands between the fences of Rust.
fn snippets(page: &str) -> Vec<&str> {
    let fenced = page.split("\n```rust\n").skip(1);
    let code = fenced.map(|rest| rest.split_once("\n```"));
    code.map(|parts| parts.expect("a fence that closes").0)
        .collect()
}

#[test]
fn the_snippets_of_the_page_run_in_order() {
    let page = std::fs::read_to_string(common::project().join("docs/rust.md")).expect("the page");
    let snippets = snippets(&page);
    let red = snippets.iter().filter(|code| code.starts_with(RED));
    assert!(snippets.len() > 8 && red.count() > 2, "{snippets:?}");
    let cells = snippets.iter().enumerate().map(|(i, code)| {
        let tags = match code.starts_with(RED) {
            true => vec!["raises-exception"],
            false => vec![],
        };
        json!({
            "cell_type": "code", "id": format!("snippet-{i}"), "metadata": { "tags": tags },
            "execution_count": null, "outputs": [], "source": code,
        })
    });
    let notebook = json!({
        "cells": cells.collect::<Vec<_>>(), "nbformat": 4, "nbformat_minor": 5,
        "metadata": { "kernelspec": { "name": "itd", "display_name": "Rust (itd)", "language": "rust" } },
    });
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("rust.ipynb");
    std::fs::write(&path, notebook.to_string()).expect("a notebook");
    let path = path.to_str().expect("a path of plain letters");
    let output = common::itd(&["run", "--to", "ipynb", path])
        .output()
        .expect("itd can be run");
    assert!(output.status.success(), "{}", common::text(&output));
    let executed = common::read_json(std::path::Path::new(path));
    for (cell, code) in executed["cells"]
        .as_array()
        .expect("cells")
        .iter()
        .zip(&snippets)
    {
        let outputs = cell["outputs"].as_array().expect("outputs");
        let failed = outputs.iter().any(|out| out["output_type"] == "error");
        assert_eq!(failed, code.starts_with(RED), "{code}");
    }
}
