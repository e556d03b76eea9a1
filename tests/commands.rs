//! Commands of cells through the wire: what each shows, keeps and refuses.

mod common;

use common::client::{Kernel, value};
use itd::client::Answer;
use jupyter_protocol::JupyterMessageContent as Content;
use serde_json::Value;

fn ok(answer: Answer) -> Answer {
    assert_eq!(answer.status, "ok", "{answer:?}");
    answer
}

fn printed(kernel: &mut Kernel, cell: &str) -> String {
    ok(kernel.run(cell)).stream("stdout")
}

/// What a cell displays, in one form.
fn shown(answer: &Answer, kind: &str) -> String {
    let form = |content: &Content| match content {
        Content::DisplayData(display) => {
            let data = serde_json::to_value(&display.data).ok()?;
            data[kind].as_str().map(str::to_owned)
        }
        _ => None,
    };
    let all = answer.outputs.iter();
    all.filter_map(|(_, content)| form(content)).collect()
}

/// What the pager is to show, in one form.
fn page(answer: &Answer, kind: &str) -> String {
    let all = answer
        .payload
        .iter()
        .filter(|payload| payload["source"] == "page");
    all.filter_map(|payload| payload["data"][kind].as_str())
        .collect()
}

#[test]
fn variables_are_listed_looked_at_and_deleted() {
    let mut kernel = Kernel::start();
    assert_eq!(printed(&mut kernel, "%who"), "There are no variables.\n");
    let cell = "let v = vec![3.0, 1.5]; let name = \"long\".repeat(100); struct Opaque; let o = Opaque;\n\
                let t = Tensor::zeros((2, 3), candle::DType::F32, &device())?; let n: Option<u8> = None;";
    ok(kernel.run(cell));
    assert_eq!(printed(&mut kernel, ":who"), "n  name  o  t  v\n");
    for command in [":vars", "%whos"] {
        let table = shown(&ok(kernel.run(command)), "text/plain");
        let line = |name: &str| {
            let line = table.lines().find(|line| line.starts_with(name));
            line.unwrap_or_else(|| panic!("{name}: {table}")).to_owned()
        };
        assert!(
            line("v ").contains("Vec<f64>") && line("v ").contains(" [3.0, 1.5] "),
            "{table}"
        );
        assert!(
            line("t ").contains("Tensor") && line("t ").contains("[2, 3] F32"),
            "{table}"
        );
        assert!(
            line("n ").contains("Option<u8>") && line("n ").contains("None"),
            "{table}"
        );
        assert!(
            line("name").contains("…") && line("name").contains(" B"),
            "{table}"
        );
        assert!(line("o ").contains("Opaque"), "{table}");
    }
    // A large value costs nothing to look at.
    ok(kernel.run("let many = vec![0.5_f32; 20_000_000];"));
    let table = shown(&ok(kernel.run("%whos")), "text/plain");
    assert!(
        table.contains("20000000 values: [0.5, ") && table.contains("80.0 MB"),
        "{table}"
    );

    ok(kernel
        .run("let loud = std::sync::Arc::new(1); let count = std::sync::Arc::downgrade(&loud);"));
    ok(kernel.run("%del loud, many"));
    assert_eq!(
        kernel.value("count.strong_count()"),
        "0",
        "its memory is free"
    );
    assert_eq!(
        printed(&mut kernel, "%del count\n%who"),
        "n  name  o  t  v\n"
    );
    let gone = kernel.run("loud");
    assert!(
        gone.traceback.contains("`loud` was deleted in cell"),
        "{}",
        gone.traceback
    );
    let slip = kernel.run("%del nane");
    assert!(
        slip.evalue.contains("did you mean `name`?"),
        "{}",
        slip.evalue
    );
    let function = kernel.run("fn f() {}\n");
    ok(function);
    assert!(kernel.run("%del f").evalue.contains("is no variable"));
    assert_eq!(
        shown(&ok(kernel.run("%type v")), "text/plain"),
        "v: Vec<f64>"
    );
    ok(kernel.run("%reset -f"));
    assert_eq!(printed(&mut kernel, "%who"), "There are no variables.\n");
}

#[test]
fn statements_are_timed() {
    let mut kernel = Kernel::start();
    let cell = "let begin = 1;\n";
    ok(kernel.run(cell));
    let cell =
        "%time let x = { std::thread::sleep(std::time::Duration::from_millis(60)); begin + 1 };\nx";
    let answer = ok(kernel.run(cell));
    assert_eq!(value(&answer), "2", "what it defines is kept");
    let text = answer.stream("stdout");
    let wall = text
        .strip_prefix("wall time ")
        .and_then(|text| text.split_once(" ms"));
    let wall: f64 = wall.expect(&text).0.parse().expect(&text);
    assert!((60.0..90.0).contains(&wall), "{text}");
    assert!(
        text.contains("processor time") && text.contains("build time"),
        "{text}"
    );
    let answer = ok(kernel.run("%%time\nlet y = x;\ny"));
    assert_eq!(value(&answer), "2", "a variable is shown and kept");
    assert!(answer.stream("stdout").starts_with("wall time "));
    assert_eq!(kernel.value("y"), "2");

    let text = printed(
        &mut kernel,
        "%timeit -n 10 -r 3 std::thread::sleep(std::time::Duration::from_millis(2))",
    );
    assert!(text.contains("of 3 runs, 10 loops each; best 2."), "{text}");
    assert!(text.contains("not optimised"), "{text}");
    let text = printed(
        &mut kernel,
        "%%opt 3\n%%timeit -r 2\nlet v: Vec<f64> = (0..100).map(f64::from).collect();\nv.iter().sum::<f64>()",
    );
    assert!(
        text.contains("loops each") && !text.contains("not optimised"),
        "{text}"
    );
    assert_eq!(
        kernel.run("v").ename,
        "CompileError",
        "what it defines is its own"
    );
    // An error leaves the loop, and is one.
    let failed = kernel.run("%timeit \"z\".parse::<i32>()?");
    assert_eq!(failed.ename, "ParseIntError", "{failed:?}");
    assert!(
        failed.traceback.contains("%timeit \"z\""),
        "{}",
        failed.traceback
    );
    // What does not come to its end has no time.
    for (cell, name, says) in [
        ("%timeit break", "CompileError", "`break` outside of a loop"),
        (
            "%timeit continue",
            "CompileError",
            "`continue` outside of a loop",
        ),
        (
            "%timeit { return Ok(()); }",
            "Command",
            "left before its end",
        ),
        ("%time { return Ok(()); }", "Command", "left before its end"),
    ] {
        let failed = kernel.run(cell);
        assert_eq!(failed.ename, name, "{cell}: {failed:?}");
        assert!(failed.evalue.contains(says), "{cell}: {failed:?}");
    }
    // A compile error shows the line as it was written.
    let failed = kernel.run("// words\n%timeit nope(1)");
    assert!(
        failed.traceback.contains("%timeit nope(1)"),
        "{}",
        failed.traceback
    );
    assert!(failed.traceback.contains("]:2:9"), "{}", failed.traceback);
    assert!(!failed.traceback.contains("itd_"), "{}", failed.traceback);
    let text = printed(
        &mut kernel,
        "%%bench -n 100 -r 2\nlet v = vec![1.0; 100];\nv.iter().sum::<f64>();\nv.len()",
    );
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(
        lines[1].contains("v.iter().sum::<f64>()") && lines[2].contains("v.len()"),
        "{text}"
    );
}

#[test]
fn tests_of_a_cell_are_run() {
    let mut kernel = Kernel::start();
    ok(kernel.run("fn twice(n: i32) -> i32 { 2 * n }"));
    let good = "%%test\n#[test]\nfn doubles() { assert_eq!(twice(2), 4); }\n\
        #[test]\n#[should_panic(expected = \"boom\")]\nfn panics() { panic!(\"boom!\"); }\n\
        #[test]\n#[ignore]\nfn later() {}\n#[cfg(test)]\nmod inner {\n    use super::*;\n    #[test]\n    fn deep() -> Result<(), String> { Ok(()) }\n}";
    let text = printed(&mut kernel, good);
    for line in [
        "running 4 tests",
        "test doubles ... ok",
        "test panics ... ok",
        "test later ... ignored",
        "test inner::deep ... ok",
        "test result: ok. 3 passed; 0 failed; 1 ignored",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    // What an attribute says is what its text means, and what is for tests is there.
    let words = "%%test\n#[cfg(test)]\nfn helper() -> i32 { 3 }\n#[test]\nfn helped() { assert_eq!(helper(), 3); }\n\
        #[test]\n#[should_panic(expected = \"key \\\"a\\\" missing\")]\nfn key() { panic!(\"key \\\"a\\\" missing\"); }\n\
        #[test]\n#[should_panic(expected = r#\"a \"b\"\"#)]\nfn raw() { panic!(\"a \\\"c\\\"\"); }";
    let told = kernel.run(words);
    assert!(
        told.evalue.starts_with("1 of 3 tests failed; `raw`"),
        "{told:?}"
    );
    // A second run replaces the first.
    assert!(printed(&mut kernel, good).contains("3 passed"));
    let bad = kernel.run(
        "%%test\n#[test]\nfn wrong() {\n    let got = twice(3);\n    assert_eq!(got, 7);\n}\n\
         #[test]\nfn errs() -> Result<(), std::num::ParseIntError> { \"z\".parse::<u8>().map(|_| ()) }\n\
         #[test]\nfn right() {}",
    );
    assert_eq!(
        (bad.status.as_str(), bad.ename.as_str()),
        ("error", "TestFailed"),
        "{bad:?}"
    );
    assert!(
        bad.evalue.starts_with("2 of 3 tests failed; `wrong`"),
        "{}",
        bad.evalue
    );
    assert!(bad.evalue.ends_with("line 5)"), "{}", bad.evalue);
    assert!(
        bad.traceback.contains("assert_eq!(got, 7);"),
        "{}",
        bad.traceback
    );
    assert!(
        bad.traceback.contains("errs: it returned an error"),
        "{}",
        bad.traceback
    );
    assert!(
        bad.stream("stdout").contains("test right ... ok"),
        "{bad:?}"
    );
    assert!(
        kernel
            .run("%%test\nfn no_test() {}")
            .evalue
            .contains("no tests")
    );
    // Without the command such a function is not there.
    let told = ok(kernel.run("#[test]\nfn alone() {}\nlet x = 1;")).stream("stderr");
    assert!(told.contains("`alone` is a test"), "{told}");
    assert_eq!(
        kernel.run("#[test]\nfn plain() {}\nplain()").ename,
        "CompileError"
    );
}

#[test]
fn folders_variables_of_the_environment_and_files() {
    let mut kernel = Kernel::start();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let here = folder
        .path()
        .canonicalize()
        .expect("a path")
        .display()
        .to_string();
    let begin = printed(&mut kernel, "%pwd");
    assert_eq!(
        printed(&mut kernel, &format!("%cd {here}\n%pwd\n!pwd")),
        format!("{here}\n").repeat(3)
    );
    assert_eq!(
        printed(&mut kernel, "%%writefile a.txt\none"),
        format!("written: {here}/a.txt\n")
    );
    assert_eq!(
        printed(&mut kernel, "%%writefile -a a.txt\ntwo\n"),
        format!("appended to {here}/a.txt\n")
    );
    assert_eq!(
        kernel.value("std::fs::read_to_string(\"a.txt\")?"),
        "\"one\\ntwo\\n\""
    );
    let refused = kernel.run("%%writefile missing/a.txt\nx");
    assert!(
        refused.evalue.contains("cannot be written"),
        "{}",
        refused.evalue
    );
    assert_eq!(
        printed(&mut kernel, "%env ITD_WORD=a \"b\""),
        "ITD_WORD=a \"b\"\n"
    );
    assert_eq!(
        kernel.value("std::env::var(\"ITD_WORD\")?"),
        "\"a \\\"b\\\"\""
    );
    assert_eq!(printed(&mut kernel, "!echo $ITD_WORD"), "a \"b\"\n");
    assert_eq!(
        printed(
            &mut kernel,
            "%%bash\nfor i in 1 2; do\n  echo \"$i $ITD_WORD\"\ndone"
        ),
        "1 a \"b\"\n2 a \"b\"\n"
    );
    let text = printed(&mut kernel, "%env MY_TOKEN=s\n%env");
    assert!(
        text.contains("MY_TOKEN=<hidden>\n") && text.contains("ITD_WORD=a"),
        "{text}"
    );
    assert!(
        kernel
            .run("%env NOT_THERE")
            .evalue
            .contains("no variable `NOT_THERE`")
    );
    // A new process is as the one before was.
    assert_eq!(kernel.run("std::process::abort()").ename, "Abort");
    assert_eq!(
        printed(&mut kernel, "%pwd\n%env ITD_WORD"),
        format!("{here}\na \"b\"\n")
    );
    let script = kernel.run("%%bash\necho before\nexit 3");
    assert_eq!(
        (script.ename.as_str(), script.stream("stdout").as_str()),
        ("Command", "before\n")
    );
    assert!(
        script.evalue.contains("exit status: 3"),
        "{}",
        script.evalue
    );
    assert!(
        kernel
            .run("%cd nowhere")
            .evalue
            .contains("cannot be gone to")
    );
    assert_eq!(printed(&mut kernel, "%cd -"), begin);

    let text = printed(&mut kernel, "%history -g env ITD_WORD=a");
    assert!(text.contains(": %env ITD_WORD=a \"b\"\n"), "{text}");
    let text = printed(&mut kernel, "%history -n 1-2");
    assert!(text.starts_with("1: %pwd\n2: %cd "), "{text}");
    let kept = ok(kernel.run("let kept = 1;\n// :dep of a remark\nkept")).count;
    let saved = printed(&mut kernel, &format!("%save {here}/s.rs 2 {kept}-99"));
    assert!(
        saved.starts_with("written: ") && saved.contains("(2 cells)"),
        "{saved}"
    );
    let script = std::fs::read_to_string(folder.path().join("s.rs")).expect("the script");
    assert!(
        script.starts_with("// %%\n%cd ")
            && script.ends_with("// %%\nlet kept = 1;\n// // :dep of a remark\nkept\n\n"),
        "{script}"
    );
    assert!(kernel.run("%save s.rs 900").evalue.contains("no such cell"));
}

#[test]
fn what_a_cell_prints_can_be_captured() {
    let mut kernel = Kernel::start();
    let answer = ok(kernel.run("%%capture out\nprintln!(\"a\"); eprintln!(\"b\"); let x = 1;\n5"));
    assert!(answer.kinds().is_empty(), "{answer:?}");
    assert_eq!(kernel.value("(out, x)"), "(\"a\\nb\\n\", 1)");
    assert!(
        ok(kernel.run("%%capture\nprintln!(\"a\"); 5"))
            .kinds()
            .is_empty()
    );
    let failed = kernel.run("%%capture\nprintln!(\"so far\"); panic!(\"p\")");
    assert_eq!(
        (failed.ename.as_str(), failed.stream("stdout").as_str()),
        ("Panic", "so far\n")
    );
}

#[test]
fn errors_are_explained() {
    let mut kernel = Kernel::start();
    assert!(kernel.run("%explain").evalue.contains("%explain E0382"));
    let failed = kernel.run("let s = String::new(); let t = s; s.len()");
    assert!(
        failed.traceback.contains("`%explain E0382` tells more"),
        "{}",
        failed.traceback
    );
    for command in ["%explain", ":explain E0382", "%explain e0382"] {
        let answer = ok(kernel.run(command));
        let text = page(&answer, "text/markdown");
        assert!(
            text.contains("E0382: A variable was used after") && text.contains("```rust"),
            "{text}"
        );
    }
    assert!(
        kernel
            .run("%explain E9999")
            .evalue
            .contains("no explanation")
    );
}

#[test]
fn an_error_underlines_only_what_it_comes_from() {
    let mut kernel = Kernel::start();
    let failed = kernel.run("let n = (1, \"1\".parse::<i32>()?, \"z\".parse::<i32>()?);");
    let underlined = failed
        .traceback
        .lines()
        .find(|line| line.contains('━'))
        .expect("a line");
    assert_eq!(
        underlined.matches('━').count(),
        "\"z\".parse::<i32>()?".len(),
        "{}",
        failed.traceback
    );
    let failed = kernel.run("let mut w: Vec<u8> = vec![]; w.write_all(b\"x\")?;");
    let help =
        "`write_all` is of the trait `Write`, which is in `std::io`: write `use std::io::Write;`";
    assert!(failed.traceback.contains(help), "{}", failed.traceback);
    assert!(
        !failed.traceback.contains("similar name"),
        "{}",
        failed.traceback
    );
    let answer = ok(kernel.run("\"5\".parse::<u8>();\nlet unused = 4;"));
    assert_eq!(
        answer.stream("stderr"),
        "unused `Result` that must be used (cell [3], line 1)\n"
    );
}

#[test]
fn errors_with_variables_of_the_session_are_told_in_its_terms() {
    let mut kernel = Kernel::start();
    ok(kernel.run("let v = vec![1, 2, 3];"));
    for (cell, says, not) in [
        (
            "std::thread::spawn(|| println!(\"{v:?}\"));",
            "`v` belongs to the session, and what outlives the cell needs one of its own: `let v = v.clone();`",
            "declared here",
        ),
        (
            "let first = &mut v; first.push(1);",
            "`v` of an earlier cell becomes mutable by `let mut v = v;`",
            "closure",
        ),
        (
            "return 5;",
            "a cell is left early by `return Ok(());`",
            "itd_cell",
        ),
    ] {
        let failed = kernel.run(cell);
        assert_eq!(failed.ename, "CompileError", "{cell}");
        assert!(
            failed.traceback.contains(says),
            "{cell}: {}",
            failed.traceback
        );
        assert!(
            !failed.traceback.contains(not),
            "{cell}: {}",
            failed.traceback
        );
    }
    // What is proposed can be written in a cell, and speaks of nothing that is not in it.
    for (cell, says, not) in [
        ("let x = 5", "`let x = 5;`", "}"),
        ("let x = 5\nlet y = 6;", "`let x = 5;`", "}"),
        ("let q = “text”;", "unknown start of token", "/*"),
        ("print(\"x\")", "`print!(\"x\")`", "show"),
        ("let n = None;", "`let n: Option<T> = None;`", "std::"),
        ("use rand::Rng;", "itd_prelude::rand", "cargo"),
        ("Rng::new(3)", "use itd_prelude::rng::Rng;", "crate::"),
        ("rand::random::<f64>()", "the prelude holds `rand`", "cargo"),
        ("use nowhere::{a, b};", "`:dep nowhere = \"*\"`", "cargo"),
        ("break;", "`break` outside of a loop", "closure"),
        (
            "return;",
            "a cell is left early by `return Ok(());`",
            "closure",
        ),
        ("mod nowhere;", "`%load FILE`", "itd"),
    ] {
        let failed = kernel.run(cell);
        assert_eq!(failed.ename, "CompileError", "{cell}");
        let told = &failed.traceback;
        assert!(told.contains(says), "{cell}: {told}");
        assert!(!told.contains(not), "{cell}: {told}");
        assert!(
            told.contains("cell [") && failed.evalue.contains("(line "),
            "{cell}: {told}"
        );
    }
    let failed = kernel.run("std::fs::read(\"/not/there\")?");
    assert_eq!(failed.ename, "io::Error", "{failed:?}");
    assert_eq!(kernel.value("v.len()"), "3");
}

#[test]
fn commands_of_one_cell_are_done_in_order() {
    let mut kernel = Kernel::start();
    let cell = "%%opt 2\n// words\n%time let a = 1;\n:vars\n%del a\n%who\nlet b = 2;\nb";
    let answer = ok(kernel.run(cell));
    assert_eq!(value(&answer), "2");
    let text = answer.stream("stdout");
    assert!(
        text.starts_with("wall time") && text.ends_with("There are no variables.\n"),
        "{text}"
    );
    assert!(
        shown(&answer, "text/plain").contains("a         i32   1"),
        "{answer:?}"
    );
    // The first that fails ends the cell.
    let failed = kernel.run("%who\n%del nothing\nlet c = 3;");
    assert_eq!(
        (failed.ename.as_str(), failed.stream("stdout").as_str()),
        ("Command", "b\n")
    );
    assert_eq!(kernel.run("c").ename, "CompileError");
    let help = page(&ok(kernel.run("%help timeit")), "text/plain");
    assert!(help.contains("%timeit [-n LOOPS]"), "{help}");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("a.rs");
    std::fs::write(&file, "let d = 4;\n").expect("a file");
    let loaded = ok(kernel.run(&format!("%load {}", file.display())));
    assert_eq!(loaded.payload[0]["source"], "set_next_input", "{loaded:?}");
    assert_eq!(
        (&loaded.payload[0]["text"], &loaded.payload[0]["replace"]),
        (&"let d = 4;\n".into(), &true.into())
    );
    assert!(
        kernel
            .run("%load nothing.rs")
            .evalue
            .contains("cannot be read")
    );
    let request = kernel.send(jupyter_protocol::IsCompleteRequest {
        code: "%%opt 3".to_owned(),
    });
    let reply = serde_json::to_value(kernel.reply(&request)).unwrap_or(Value::Null);
    assert!(reply.to_string().contains("incomplete"), "{reply}");
}
