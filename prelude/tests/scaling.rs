//! docs/scaling.md says what its files say, and its notebooks what compiles.

use std::fs;
use std::path::{Path, PathBuf};

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs")
}

fn text(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The code cells of a notebook.
fn cells(name: &str) -> Vec<String> {
    let notebook: serde_json::Value =
        serde_json::from_str(&text(docs().join("scaling").join(name))).unwrap();
    let cells = notebook["cells"].as_array().unwrap().iter();
    let code = cells.filter(|cell| cell["cell_type"] == "code");
    let lines = |cell: &serde_json::Value| {
        let lines = cell["source"].as_array().unwrap().iter();
        lines.map(|line| line.as_str().unwrap()).collect()
    };
    code.map(lines).collect()
}

/// Without what rustfmt may change.
fn bare(code: &str) -> String {
    let dense: String = code.split_whitespace().collect();
    dense.replace(",}", "}").replace(",)", ")")
}

#[test]
fn the_cells_are_the_example() {
    let example = bare(&text(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/shard.rs"),
    ));
    let cells = [cells("eval.ipynb"), cells("merge.ipynb")].concat();
    assert_eq!(cells.len(), 3);
    for line in cells.iter().flat_map(|cell| cell.lines()) {
        let bare = bare(line);
        assert!(
            example.contains(bare.trim_end_matches('?')),
            "not in the example: {line}"
        );
    }
}

#[test]
fn the_page_shows_its_files() {
    let page = text(docs().join("scaling.md"));
    let mut files = [cells("eval.ipynb"), cells("merge.ipynb")].concat();
    for name in ["loop.sh", "slurm.sh", "dask_shards.py", "ray_shards.py"] {
        assert!(page.contains(&format!("(scaling/{name})")), "{name}");
        files.push(text(docs().join("scaling").join(name)));
    }
    // Every second piece lies between fences. A single line is a command to type.
    let blocks = page.split("\n```").skip(1).step_by(2);
    let blocks = blocks.map(|block| block.split_once('\n').unwrap().1);
    let blocks: Vec<&str> = blocks.filter(|block| block.contains('\n')).collect();
    assert!(blocks.len() > 4, "{}", blocks.len());
    for block in blocks {
        let there = files.iter().any(|file| file.contains(block.trim()));
        assert!(there, "in no file of docs/scaling:\n{block}");
    }
}
