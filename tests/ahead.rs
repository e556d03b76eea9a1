//! The next cell is compiled while one runs, and what is taken is right.

mod common;

use std::path::Path;

use common::client::Kernel;
use jupyter_protocol::ExecuteRequest;

/// Executes a notebook; gives its cells' outputs as text, and the arguments of each call of the compiler.
fn run(cells: &[&str], arguments: &[&str]) -> (Vec<String>, Vec<String>) {
    common::prelude();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let notebook = common::notebook(folder.path(), "a.ipynb", cells);
    let record = folder.path().join("record");
    let mut command = common::itd(&["run"]);
    let output = command
        .args(arguments)
        .arg(&notebook)
        .env("ITD_RECORD", &record)
        .output()
        .expect("itd can be run");
    assert_eq!(
        output.status.success(),
        arguments.is_empty(),
        "{}",
        common::text(&output)
    );
    let executed = common::read_json(&notebook);
    let shown = executed["cells"].as_array().expect("cells").iter();
    let shown = shown.map(|cell| cell["outputs"].to_string()).collect();
    (shown, calls(&record))
}

fn calls(record: &Path) -> Vec<String> {
    let mut folders: Vec<_> = std::fs::read_dir(record)
        .expect("recorded calls")
        .map(|entry| entry.expect("a folder").path())
        .collect();
    folders.sort();
    let text = |folder: std::path::PathBuf| std::fs::read_to_string(folder.join("arguments"));
    folders
        .into_iter()
        .map(|folder| text(folder).expect("arguments"))
        .collect()
}

fn ahead(calls: &[String]) -> usize {
    calls.iter().filter(|call| call.contains("/ahead/")).count()
}

#[test]
fn each_cell_is_compiled_once_and_all_but_the_first_ahead() {
    let cells = [
        "let a = vec![1, 2, 3];",
        "let b = a.len(); // three\nlet moved = String::from(\"x\");",
        "drop(moved);\nlet c = [b; 2];\n\nc.iter().sum::<usize>()",
        "// nothing but a value\na[0] + c[1] as i32",
        "check!(b == 3, \"there are three\");",
        "for i in 0..2 { println!(\"{i}\") }\n",
        "let d = 1; let r = &d; println!(\"{r}\");",
        "let d: f64 = \"2.5\".parse()?;",
        "d",
    ];
    let (shown, calls) = run(&cells, &[]);
    assert!(shown[2].contains("\"6\""), "{}", shown[2]);
    assert!(shown[3].contains("\"4\""), "{}", shown[3]);
    assert!(shown[8].contains("\"2.5\""), "{}", shown[8]);
    // What imports the prelude, and the first cell.
    assert_eq!(calls.len() - ahead(&calls), 2);
    // `moved`, and `r`, which borrows: once more without the line that would keep them.
    assert_eq!(ahead(&calls), cells.len() - 1 + 2);
}

#[test]
fn what_was_not_foreseen_is_compiled_as_it_is() {
    let cells = [
        "let x = 1;",
        "fn twice(x: i32) -> i32 { 2 * x }",
        "twice(x)",
        "let x = 5; if x == 5 { panic!(\"no\") }",
        "x", // is the first one, not the one of the cell that failed
        "%time let y = x + 1;",
        "let z: i32 = \"z\".parse()?;",
        "x + y",
        "struct P { n: u8 } let p = P { n: 7 };",
        "p.n",
        "struct P { n: u16 }",
        "p.n", // its type was defined anew
    ];
    let (shown, calls) = run(&cells, &["--allow-errors"]);
    let has = |cell: usize, text: &str| assert!(shown[cell].contains(text), "{}", shown[cell]);
    has(2, "\"2\"");
    has(3, "Panic");
    has(4, "\"1\"");
    has(7, "\"3\"");
    has(9, "\"7\"");
    has(11, "was lost in cell");
    assert!(ahead(&calls) > 3, "{}", ahead(&calls));
}

#[test]
fn a_file_that_the_cell_before_writes_is_included_as_it_is_then() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("text");
    std::fs::write(&file, "old").expect("a file");
    let file = file.to_str().expect("a path in UTF-8");
    let write = format!(
        "std::thread::sleep(std::time::Duration::from_secs(1)); std::fs::write({file:?}, \"new\")?;"
    );
    let include = format!("include_str!({file:?})");
    let (shown, _) = run(&["let x = 1;", &write, &include], &[]);
    assert!(shown[2].contains("new"), "{}", shown[2]);
}

#[test]
fn cells_that_wait_in_a_kernel_are_compiled_ahead() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut command = common::itd(&["kernel", "-f"]);
    command.env("ITD_RECORD", folder.path().join("record"));
    let mut kernel = Kernel::start_by(command);
    let cells = ["let n = 20;", "let n = n + 1;", "n * 2"];
    let requests = cells.map(|code| kernel.send(ExecuteRequest::new(code.to_owned())));
    let [_, _, last] = requests;
    let answer = kernel.collect(&last);
    assert_eq!(answer.status, "ok");
    assert_eq!(kernel.value("n"), "21");
    assert_eq!(ahead(&calls(&folder.path().join("record"))), 2);
}
