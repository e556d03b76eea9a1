//! What a cell may be and do: each input stands for a kind that has gone wrong before.

mod common;

use std::time::Duration;

use common::client::{Kernel, value};
use itd::client::Answer;
use jupyter_protocol::{ExecuteRequest, JupyterMessageContent as Content};

fn ok(answer: Answer) -> Answer {
    assert_eq!(answer.status, "ok", "{answer:?}");
    answer
}

#[test]
fn a_question_mark_takes_part_in_inference_like_rusts_own() {
    let mut kernel = Kernel::start();
    for (cell, shown) in [
        ("let n: i32 = \"5\".parse()?; n", "5"),
        (
            "fn twice(n: i32) -> i32 { 2 * n }\ntwice(\"4\".parse()?)",
            "8",
        ),
        (
            "let all: Vec<u8> = \"1 2\".split(' ').map(|x| x.parse()).collect::<Result<_, _>>()?; all",
            "[1, 2]",
        ),
        // Known only in the next statement.
        ("let late = \"6\".parse()?; twice(late)", "12"),
        ("Ok(3)", "3"),
    ] {
        assert_eq!(value(&ok(kernel.run(cell))), shown, "{cell}");
    }
    assert!(ok(kernel.run("Ok(())")).kinds().is_empty());
    for (cell, ename, evalue) in [
        ("Err(\"gone\")?", "&str", "gone"),
        ("Err(\"gone\")?;", "&str", "gone"),
        ("None?", "None", "found `None`"),
        (
            "loop { let n: i32 = \"z\".parse()?; break n }",
            "ParseIntError",
            "invalid digit",
        ),
        // The types of a user's own macro are not looked into.
        (
            "macro_rules! half { ($e:expr) => { $e? / 2 } }\nhalf!(\"z\".parse::<i32>())",
            "ParseIntError",
            "invalid digit",
        ),
    ] {
        let answer = kernel.run(cell);
        assert_eq!(answer.ename, ename, "{cell}: {answer:?}");
        assert!(answer.evalue.contains(evalue), "{cell}: {}", answer.evalue);
    }
    // Where Rust does not know a type, it says so in its own words.
    let answer = kernel.run("\"5\".parse().unwrap()");
    assert_eq!(answer.ename, "CompileError", "{answer:?}");
    assert!(
        answer.evalue.contains("type annotations needed"),
        "{answer:?}"
    );
    for ours in ["Via", "itd_", "show!", "question", "evcxr", "Evcxr"] {
        assert!(
            !answer.traceback.contains(ours),
            "{ours}: {}",
            answer.traceback
        );
    }
}

#[test]
fn a_cell_may_be_left_early() {
    let mut kernel = Kernel::start();
    ok(kernel.run("let big = vec![1, 2, 3];"));
    let left = ok(kernel.run("let y = 5; if y == 5 { return Ok(()); } println!(\"never\");"));
    let told = left.stream("stderr");
    assert!(told.contains("`y` is not kept"), "{told}");
    assert_eq!(left.stream("stdout"), "");
    assert_eq!(kernel.value("big"), "[1, 2, 3]");
    ok(kernel.run("let Some(z) = big.get(7) else { return Ok(()) };"));
    assert_eq!(kernel.run("y").ename, "CompileError");
    assert_eq!(kernel.value("big.len()"), "3");
}

#[test]
fn what_cannot_be_kept_runs_all_the_same() {
    let mut kernel = Kernel::start();
    for (cell, shown, told) in [
        ("let f = |x: i32| x + 1; f(2)", "3", "`f` holds a closure"),
        (
            "let a = [1, 2, 3]; let s = &a[1..]; s.len()",
            "2",
            "`s` borrows",
        ),
        ("let g = || a.len(); g()", "3", "`g` borrows"),
        (
            "let mut c = 0; let mut inc = || c += 1; inc(); inc(); c",
            "2",
            "`inc` borrows",
        ),
        (
            "let lock = std::sync::Mutex::new(5); let guard = lock.lock()?; *guard",
            "5",
            "`guard` borrows",
        ),
        (
            "let odd = a.to_vec().into_iter().filter(|x| x % 2 == 1); odd.clone().count()",
            "2",
            "`odd` holds a closure",
        ),
        (
            "fn id(x: u8) -> u8 { x }\nlet g = id; g(7)",
            "7",
            "`g` holds a function's own type",
        ),
        (
            "fn some() -> impl Fn() -> u8 { || 9 }\nlet h = some(); h()",
            "9",
            "`h` holds",
        ),
    ] {
        let answer = ok(kernel.run(cell));
        assert_eq!(value(&answer), shown, "{cell}");
        let notes = answer.stream("stderr");
        assert!(notes.contains(told), "{cell}: {notes}");
        assert_eq!(
            notes.lines().count(),
            1,
            "{cell}: one line says so: {notes}"
        );
    }
    assert_eq!(kernel.value("a"), "[1, 2, 3]", "the others are kept");
    assert_eq!(kernel.value("c + *lock.lock()?"), "7");
    let later = kernel.run("f(2)");
    assert_eq!(later.ename, "CompileError");
    assert!(
        later.traceback.contains("`f` lived in cell [1] only"),
        "{}",
        later.traceback
    );
    assert_eq!(
        kernel.value("let f: Box<dyn Fn(i32) -> i32> = Box::new(|x| x + 1); f(2)"),
        "3"
    );
    assert_eq!(kernel.value("f(3)"), "4");
    assert!(!kernel.value("1").is_empty());
}

#[test]
fn standard_input_is_at_its_end() {
    let mut kernel = Kernel::start();
    let cell = "let mut a = String::new(); std::io::stdin().read_line(&mut a)?";
    assert_eq!(kernel.value(cell), "0");
    // A program that reads its input takes nothing that is meant for others.
    let cell = "let out = std::process::Command::new(\"cat\").output()?; out.stdout.len()";
    assert_eq!(kernel.value(cell), "0");
    assert_eq!(kernel.value("1 + 1"), "2");
}

#[test]
fn all_that_a_cell_prints_is_its_own() {
    let mut kernel = Kernel::start();
    assert_eq!(
        kernel.run("print!(\"no newline\");").stream("stdout"),
        "no newline"
    );
    assert_eq!(
        kernel
            .run("print!(\"\\r98 %\"); print!(\"\\r100 %\");")
            .stream("stdout"),
        "\r98 %\r100 %"
    );
    let panicked = kernel.run(
        "struct Last; impl Drop for Last { fn drop(&mut self) { print!(\"dropped\"); } }\n\
         { let _last = Last; panic!(\"p\"); }",
    );
    assert_eq!(
        (panicked.ename.as_str(), panicked.stream("stdout").as_str()),
        ("Panic", "dropped")
    );
    assert_eq!(
        ok(kernel.run("println!(\"next\");")).stream("stdout"),
        "next\n"
    );
    // C code has a buffer of its own.
    let cell = "unsafe extern \"C\" { fn printf(text: *const std::ffi::c_char, ...) -> std::ffi::c_int; }\n\
                println!(\"one\"); unsafe { printf(c\"%d\\n\".as_ptr(), 2); } println!(\"three\"); \
                unsafe { printf(c\"no newline\".as_ptr()); }";
    assert_eq!(
        ok(kernel.run(cell)).stream("stdout"),
        "one\n2\nthree\nno newline"
    );
}

#[test]
fn a_panic_is_told_whatever_is_thrown_and_whoever_listens() {
    let mut kernel = Kernel::start();
    let not_text = "a value that is not text was thrown";
    for (cell, message, printed) in [
        ("std::panic::panic_any(7i32)", not_text, ""),
        ("std::panic::resume_unwind(Box::new(\"text\"))", "text", ""),
        ("std::panic::resume_unwind(Box::new(vec![1]))", not_text, ""),
        (
            "std::panic::set_hook(Box::new(|_| println!(\"mine\"))); panic!(\"{}\", 1 + 1)",
            "2",
            "mine\n",
        ),
        ("panic!(\"again\")", "again", "mine\n"),
    ] {
        let answer = kernel.run(cell);
        assert_eq!(answer.ename, "Panic", "{cell}: {answer:?}");
        assert!(answer.evalue.starts_with(message), "{cell}: {answer:?}");
        assert_eq!(answer.stream("stdout"), printed, "{cell}");
    }
}

#[test]
fn what_came_before_the_end_of_a_cell_is_told_with_it() {
    let mut kernel = Kernel::start();
    let cell = "let h = std::thread::spawn(|| { if true { panic!(\"root cause\") } });\nh.join().map_err(|_| \"worker failed\")?;";
    let answer = kernel.run(cell);
    assert_eq!(
        answer.evalue.split(" (").next(),
        Some("worker failed"),
        "{answer:?}"
    );
    assert!(
        answer.traceback.contains("root cause (cell [1], line 1)"),
        "{}",
        answer.traceback
    );
    let answer = kernel.run("extern \"C\" fn f() { panic!(\"why\") }\nf();");
    assert_eq!(answer.status, "error");
    assert!(answer.traceback.contains("why"), "{}", answer.traceback);
}

#[test]
fn a_name_that_becomes_an_item_is_no_variable_any_more() {
    let mut kernel = Kernel::start();
    ok(kernel.run("let N = 10; let area = 3.0;"));
    let told = ok(kernel.run("const N: usize = 4;\nfn area(r: f64) -> f64 { r }")).stream("stderr");
    assert!(
        told.contains("the variable `N` is gone") && told.contains("`area` is gone"),
        "{told}"
    );
    assert_eq!(kernel.value("let a = [0u8; N]; a.len()"), "4");
    assert_eq!(kernel.value("area(2.5)"), "2.5");
}

#[test]
fn macros_are_seen_in_modules() {
    let mut kernel = Kernel::start();
    ok(kernel.run("macro_rules! sq { ($x:expr) => { $x * $x } }"));
    let cell = "mod geo {\n    pub fn area(r: f64) -> f64 { sq!(r) }\n    pub mod deep { pub fn f(r: i32) -> i32 { sq!(r) } }\n}\ngeo::area(3.0) + f64::from(geo::deep::f(2))";
    assert_eq!(kernel.value(cell), "13.0");
    assert_eq!(kernel.value("geo::area(1.0)"), "1.0");
    // A macro of a module's own is its own.
    let own = "mod own { macro_rules! sq { ($x:expr) => { $x + 1 } } pub fn f() -> i32 { sq!(1) } }\nown::f()";
    assert_eq!(kernel.value(own), "2");
    // One that stands for statements may be the last line.
    let twice = "macro_rules! twice { ($e:expr) => { $e; $e; } }\ntwice! { println!(\"hi\") }";
    assert_eq!(ok(kernel.run(twice)).stream("stdout"), "hi\nhi\n");
}

#[test]
fn comments_and_marks_of_the_users_own_are_only_words() {
    let mut kernel = Kernel::start();
    let glob = "// reads data/*.csv, and */ too\nuse std::io::{self, prelude::*};\nio::stdout().write(b\"\")?";
    assert_eq!(kernel.value(glob), "0");
    ok(kernel.run("let xs = [1, 2];"));
    let marked = "let v = xs.iter().collect/*<Vec<_>>*/();\nlet y = 2 * undefined_name;\ny";
    let answer = kernel.run(marked);
    assert!(answer.evalue.contains("undefined_name"), "{answer:?}");
    assert_eq!(
        kernel.value("let s = \"/*<x_1*/ ::std::mem::drop(&\"; s.len()"),
        "27"
    );
}

#[test]
fn what_is_for_other_systems_is_not_there() {
    let mut kernel = Kernel::start();
    let cell = "#[cfg(windows)] let sep = ';';\n#[cfg(unix)] let sep = ':';\nsep";
    assert_eq!(kernel.value(cell), "':'");
    ok(kernel.run("#[cfg(unix)] fn here() -> i32 { 1 }\n#[cfg(windows)] fn here() -> i32 { 2 }\n#[cfg(windows)] use std::os::windows::fs;"));
    assert_eq!(kernel.value("here()"), "1");
    assert_eq!(kernel.value("sep"), "':'");
}

#[test]
fn a_type_whose_path_has_impl_in_it_is_kept() {
    let mut kernel = Kernel::start();
    let cell = "mod conv_impl { pub struct Conv(pub i32); }\nlet c = conv_impl::Conv(3);";
    assert_eq!(ok(kernel.run(cell)).stream("stderr"), "");
    assert_eq!(kernel.value("c.0"), "3");
}

#[test]
fn a_question_mark_behind_ones_own_field_is_rust() {
    let mut kernel = Kernel::start();
    ok(kernel.run("struct R { value: Option<i32> }\nlet r = R { value: Some(3) };\nmod settings { pub const LIMIT: Option<i32> = Some(4); }"));
    assert_eq!(kernel.value("r.value?"), "3");
    assert_eq!(kernel.value("settings::LIMIT?"), "4");
}

#[test]
fn names_of_ours_are_free_for_the_user() {
    let mut kernel = Kernel::start();
    // Methods that every type has.
    ok(kernel.run(
        "trait Mine { fn form(&self) -> i32 { 1 } fn report(&self) -> i32 { 2 } fn look(&self) -> i32 { 3 } \
         fn show(&self) -> i32 { 4 } fn branch(&self) -> i32 { 5 } }\nimpl<T: ?Sized> Mine for T {}",
    ));
    assert_eq!(kernel.value("5.form() + 'a'.report()"), "3");
    assert_eq!(kernel.value("vec![1]"), "[1]");
    assert_eq!(kernel.run("\"z\".parse::<i32>()?").ename, "ParseIntError");
    assert_eq!(kernel.run("panic!(\"p\")").ename, "Panic");
    // What the prelude of Rust brings, and what stands around a cell.
    ok(kernel.run(
        "enum Answer { Ok(i32), Err, Some, None }\nuse Answer::*;\n\
         struct Vec; struct String; struct Result; struct Option; struct Box; struct StackOverflow; struct CellError;\n\
         fn drop() {} fn begin() {} fn take() {} fn keep() {} fn end() {}\n\
         macro_rules! show { ($e:expr) => { $e } }\nmacro_rules! question { ($e:expr) => { $e } }",
    ));
    assert_eq!(kernel.value("let a = Ok(3); question!(4) + show!(1)"), "5");
    assert_eq!(
        kernel.value("match a { Ok(n) => n, Err | Some | None => 0 }"),
        "3"
    );
    assert_eq!(kernel.run("\"z\".parse::<i32>()?").ename, "ParseIntError");
}

#[test]
fn every_form_of_use_lasts() {
    let mut kernel = Kernel::start();
    ok(kernel.run(
        "mod a { pub struct P(pub i32); pub fn f() -> i32 { 1 } pub mod c { pub fn g() -> i32 { 2 } } \
         pub trait T { fn t(&self) -> i32 { 4 } } impl T for i32 {} }\n\
         use std::collections::HashMap;\nlet map: HashMap<i32, i32> = HashMap::new();",
    ));
    for (import, cell, shown) in [
        ("use a::{self as b};", "b::f()", "1"),
        ("use {a::f as f2, a::c::{g as g2}};", "f2() + g2()", "3"),
        ("use self::{a as aa, a::P as PP};", "aa::f() + PP(2).0", "3"),
        ("use crate::a;", "a::f()", "1"),
        ("use a::{T as _, c::*};", "5.t() + g()", "6"),
        (
            "use std::fmt::{self, Write as _};\nuse std::fmt;",
            "fmt::Alignment::Left",
            "Left",
        ),
        (
            "use std::io::{self, Read};",
            "io::empty().read(&mut [0])?",
            "0",
        ),
        // The same import in other words.
        (
            "use std::collections::{BTreeMap, HashMap};",
            "map.len()",
            "0",
        ),
    ] {
        // The import and its use stand together, then apart.
        for cell in [&format!("{import}\n{cell}"), cell] {
            let answer = ok(kernel.run(cell));
            assert_eq!(value(&answer), shown, "{cell}");
            assert_eq!(answer.stream("stderr"), "", "{cell}");
        }
    }
    let missing = kernel.run("use crate::nowhere;");
    assert!(missing.evalue.contains("nowhere"), "{missing:?}");
}

#[test]
fn the_words_of_evcxr_are_only_words() {
    let mut kernel = Kernel::start();
    ok(kernel.run("let x = 1;"));
    for words in [
        "EVCXR_PANIC_NOTIFICATION",
        "EVCXR_ERROR_OCCURRED",
        "EVCXR_EXECUTION_COMPLETE",
        "EVCXR_VARIABLE_CHANGED_TYPE:x",
        "EVCXR_INPUT_REQUEST:name",
        "EVCXR_BEGIN_CONTENT text/html",
    ] {
        let answer = ok(kernel.run(&format!(
            "let y = 2; println!(\"{words}\"); println!(\"after\");"
        )));
        assert_eq!(answer.stream("stdout"), format!("{words}\nafter\n"));
        assert_eq!(kernel.value("x + y"), "3", "{words}");
    }
}

#[test]
fn a_bracket_too_many_costs_nothing() {
    let mut kernel = Kernel::start();
    ok(kernel.run("let a = 3;"));
    let answer = kernel.run("}");
    assert_eq!(answer.ename, "CompileError");
    assert!(
        answer.evalue.contains("`}` closes nothing"),
        "{}",
        answer.evalue
    );
    assert_eq!(answer.stream("stderr"), "");
    let answer = kernel.run("let mut b = 1.0; b = \"a\";");
    assert!(answer.evalue.contains("mismatched types"), "{answer:?}");
    assert_eq!(answer.stream("stderr"), "");
    assert_eq!(kernel.value("a"), "3");
}

#[test]
fn a_variable_that_is_no_more_is_accounted_for() {
    let mut kernel = Kernel::start();
    ok(kernel.run("let v = vec![1]; let x = 1;"));
    ok(kernel.run("let w = v; fn area() -> i32 { 1 }"));
    let answer = kernel.run("v.len()");
    assert!(
        answer
            .traceback
            .contains("`v` was moved in cell [2] by `let w = v; fn"),
        "{}",
        answer.traceback
    );
    // One whose name the prelude has as well.
    ok(kernel.run("let linspace = vec![1];"));
    ok(kernel.run("drop(linspace);"));
    let other = ok(kernel.run("linspace(0.0, 1.0, 2)?.len()"));
    assert!(
        other
            .stream("stderr")
            .contains("`linspace` is the prelude's here: `linspace` was moved"),
        "{other:?}"
    );
    // A cell that fails changes nothing.
    for failing in [
        "let x = 2; panic!(\"p\")",
        "let x = \"two\"; Err(\"e\")?",
        "let x = x + 1; if x == 2 { return Ok(()); }",
    ] {
        kernel.run(failing);
        assert_eq!(kernel.value("x"), "1", "{failing}");
    }
    assert_eq!(kernel.value("let x = x + 1; x"), "2");
    assert_eq!(kernel.value("let x; x = 7; x"), "7");
    assert_eq!(kernel.value("x"), "7");
    let answer = kernel.run("fn f() -> usize { w.len() }");
    assert!(
        answer
            .traceback
            .contains("functions, constants and types cannot see"),
        "{}",
        answer.traceback
    );
    assert_eq!(kernel.value("w.len()"), "1");
}

#[test]
fn commands_say_what_they_do_or_that_they_do_not() {
    let mut kernel = Kernel::start();
    ok(kernel.run("let v = vec![1.5];"));
    let shown = ok(kernel.run(":type v\n1"));
    assert_eq!(shown.kinds(), ["display", "result"]);
    let Content::DisplayData(display) = &shown
        .outputs
        .iter()
        .find(|(_, c)| matches!(c, Content::DisplayData(_)))
        .expect("a display")
        .1
    else {
        panic!("a display");
    };
    let text = serde_json::to_string(&display.data).expect("JSON");
    assert!(text.contains("v: Vec<f64>"), "{text}");
    for command in [":quit", ":cache 100", ":toolchain nightly", ":nonsense"] {
        let answer = kernel.run(command);
        assert_eq!(
            (answer.status.as_str(), answer.ename.as_str()),
            ("error", "Command"),
            "{command}"
        );
    }
    ok(kernel.run(":help"));
    assert_eq!(kernel.value("%%opt 3\nv.len()"), "1");
}

#[test]
fn a_shell_command_is_shown_while_it_runs_and_can_be_stopped() {
    let mut kernel = Kernel::start();
    let listed = ok(kernel.run("!echo one; sleep 1; echo two >&2"));
    assert_eq!(
        (
            listed.stream("stdout").as_str(),
            listed.stream("stderr").as_str()
        ),
        ("one\n", "two\n")
    );
    let times: Vec<Duration> = listed
        .outputs
        .iter()
        .filter(|(_, c)| matches!(c, Content::StreamContent(_)))
        .map(|(t, _)| *t)
        .collect();
    assert!(
        times[1] - times[0] > Duration::from_millis(600),
        "{times:?}"
    );
    let failed = kernel.run("!exit 3");
    assert_eq!(failed.ename, "Command");
    assert!(failed.evalue.contains('3'), "{}", failed.evalue);
    let request = kernel.send(ExecuteRequest::new("!echo started; sleep 60".to_owned()));
    kernel.wait_for("started");
    kernel.interrupt();
    let answer = kernel.collect(&request);
    assert_eq!(answer.ename, "Interrupted", "{answer:?}");
    assert!(answer.took < Duration::from_secs(20), "{:?}", answer.took);
}

/// A command of the system's is stopped like any other code, and costs no variable.
#[test]
fn a_command_can_be_stopped_whatever_it_is() {
    let mut kernel = Kernel::start();
    ok(kernel.run("let kept = 7;"));
    // Code of the cell has run before it.
    let request = kernel.send(ExecuteRequest::new(
        "%time kept + 1\n!echo started; sleep 60".to_owned(),
    ));
    kernel.wait_for("started");
    kernel.interrupt();
    let answer = kernel.collect(&request);
    assert_eq!(answer.ename, "Interrupted", "{answer:?}");
    assert!(answer.took < Duration::from_secs(20), "{:?}", answer.took);
    assert_eq!(kernel.value("kept"), "7");
    // It does not listen the first time.
    let deaf = "%%bash\ntrap '' INT\necho started\nfor i in $(seq 600); do sleep 0.1; done";
    let request = kernel.send(ExecuteRequest::new(deaf.to_owned()));
    kernel.wait_for("started");
    kernel.interrupt();
    std::thread::sleep(Duration::from_millis(300));
    kernel.interrupt();
    let answer = kernel.collect(&request);
    assert_eq!(answer.ename, "Interrupted", "{answer:?}");
    assert!(answer.took < Duration::from_secs(20), "{:?}", answer.took);
    // What a shell leaves in its background may print on.
    let left = "!(for i in $(seq 400); do echo x; sleep 0.02; done) & echo started";
    let answer = ok(kernel.run(left));
    assert!(answer.took < Duration::from_secs(5), "{:?}", answer.took);
    assert_eq!(kernel.value("kept"), "7");
    // The end of the kernel is that of its commands.
    let name = "31.4159265";
    kernel.send(ExecuteRequest::new(format!(
        "!echo started; sleep {name}; echo"
    )));
    kernel.wait_for("started");
    kernel.shutdown();
    let begin = std::time::Instant::now();
    let runs = || {
        let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let mut lines = all.filter_map(|one| std::fs::read(one.path().join("cmdline")).ok());
        lines.any(|line| String::from_utf8_lossy(&line).contains(name))
    };
    while runs() {
        assert!(begin.elapsed() < Duration::from_secs(10), "it goes on");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn what_a_thread_prints_appears_at_once_under_its_cell() {
    let mut kernel = Kernel::start();
    let cell = "std::thread::spawn(|| for i in 0..6 { println!(\"tick {i}\"); \
                std::thread::sleep(std::time::Duration::from_millis(300)) });";
    let request = kernel.send(ExecuteRequest::new(cell.to_owned()));
    kernel.collect(&request);
    // No other cell runs, and yet they come, as this cell's.
    let mut heard = String::new();
    while !heard.contains("tick 5") {
        let message = kernel.hear(Duration::from_secs(5)).expect("the next tick");
        if let Content::StreamContent(text) = &message.content {
            let parent = message.parent_header.as_ref().map(|header| &header.msg_id);
            assert_eq!(parent, Some(&request.header.msg_id));
            heard.push_str(&text.text);
        }
    }
    let next = ok(kernel.run("println!(\"mine\");"));
    assert_eq!(next.stream("stdout"), "mine\n");
}

#[test]
fn one_interrupt_never_costs_the_variables() {
    let mut kernel = Kernel::start();
    ok(kernel.run("let kept = 1;"));
    // One that comes with the request, before the cell has begun.
    let request = kernel.send(ExecuteRequest::new(
        "for i in 0..3000 { std::thread::sleep(std::time::Duration::from_millis(10)); if itd_prelude::cell::interrupted() { panic!(\"stopped\") } }".to_owned(),
    ));
    kernel.interrupt();
    let answer = kernel.collect(&request);
    assert_eq!(answer.status, "error", "{answer:?}");
    assert!(answer.took < Duration::from_secs(10), "{:?}", answer.took);
    // One to a cell that does not listen: it is said, and nothing is ended.
    let request = kernel.send(ExecuteRequest::new(
        "println!(\"started\"); std::thread::sleep(std::time::Duration::from_secs(6)); kept"
            .to_owned(),
    ));
    kernel.wait_for("started");
    kernel.interrupt();
    let answer = ok(kernel.collect(&request));
    let told = answer.stream("stderr");
    assert!(
        told.contains("Interrupt again") && told.contains("kept would be lost"),
        "{told}"
    );
    assert_eq!(value(&answer), "1");
    // A program for which the cell waits is stopped with it.
    let request = kernel.send(ExecuteRequest::new(
        "println!(\"started\"); std::process::Command::new(\"sleep\").arg(\"60\").status()?.success()".to_owned(),
    ));
    kernel.wait_for("started");
    kernel.interrupt();
    assert_eq!(value(&kernel.collect(&request)), "false");
    // One between cells is forgotten.
    kernel.interrupt();
    assert_eq!(kernel.value("kept"), "1");
}

#[test]
fn an_impl_can_be_run_again_and_be_changed() {
    let mut kernel = Kernel::start();
    ok(kernel.run("#[derive(Clone)] struct P { x: i32 }"));
    ok(kernel.run("impl P { fn f(&self) -> i32 { self.x } }"));
    ok(kernel.run("impl P { fn g(&self) -> i32 { 7 } }"));
    ok(kernel.run("impl P { fn f(&self) -> i32 { self.x * 2 } }"));
    ok(kernel.run("impl std::fmt::Display for P { fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result { write!(f, \"one\") } }"));
    ok(kernel.run("impl std::fmt::Display for P { fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result { write!(f, \"two\") } }"));
    ok(kernel.run(
        "trait Tr { fn t(&self) -> usize; } impl<T> Tr for Vec<T> { fn t(&self) -> usize { 1 } }",
    ));
    ok(kernel.run("impl<U> Tr for Vec<U> { fn t(&self) -> usize { self.len() } }"));
    let cell = "let p = P { x: 4 }; (p.f(), p.g(), p.to_string(), vec![(); 3].t())";
    assert_eq!(kernel.value(cell), "(8, 7, \"two\", 3)");
    // A macro is there for functions, in whatever order they are written out.
    ok(kernel.run("macro_rules! sq { ($x:expr) => { $x * $x } }"));
    ok(kernel.run("fn nine() -> i32 { sq!(3) }"));
    assert_eq!(kernel.value("nine() + sq!(2)"), "13");
}

#[test]
fn an_item_that_no_longer_fits_is_set_aside_and_refuses_nothing() {
    let mut kernel = Kernel::start();
    ok(kernel.run("fn inner(a: i32) -> i32 { a }"));
    ok(kernel.run("fn outer() -> i32 { inner(1) }"));
    ok(kernel.run("fn around() -> i32 { outer() }"));
    let changed =
        ok(kernel.run("fn inner(a: i32, b: i32) -> i32 { a + b }\nlet x = inner(1, 2); x"));
    assert_eq!(value(&changed), "3");
    let notes = changed.stream("stderr");
    assert!(
        notes.contains("`outer` of cell [2] does not fit"),
        "{notes}"
    );
    let used = kernel.run("outer()");
    assert_eq!(used.ename, "CompileError");
    assert!(
        used.traceback.contains("`outer` of cell [2] was set aside"),
        "{}",
        used.traceback
    );
    ok(kernel.run("fn outer() -> i32 { inner(1, 4) }"));
    ok(kernel.run("fn around() -> i32 { outer() }"));
    assert_eq!(kernel.value("around() + outer()"), "10");
    // One's own mistake is told as that.
    let wrong = kernel.run("fn inner(a: i32) -> i32 { a }\nlet y: i32 = \"typo\";");
    assert!(wrong.evalue.contains("mismatched types"), "{wrong:?}");
    assert_eq!(kernel.value("outer()"), "5");
}

#[test]
fn a_type_that_is_defined_anew_takes_its_values_with_it_and_no_others() {
    let mut kernel = Kernel::start();
    ok(kernel.run(
        "struct B { x: u8 } struct A { b: B } let a = A { b: B { x: 1 } }; let v = vec![0.5];",
    ));
    ok(kernel.run("fn vec() -> i32 { 1 }"));
    ok(kernel.run("fn vec() -> i32 { 2 }"));
    assert_eq!(kernel.value("v.len()"), "1", "a function loses nothing");
    ok(kernel.run("struct B { x: u8 /* a comment */ }"));
    assert_eq!(kernel.value("a.b.x"), "1", "nor does a comment");
    let wrong = kernel.run("struct B { x: String } let q: i32 = \"typo\";");
    assert_eq!(wrong.ename, "CompileError", "{wrong:?}");
    assert_eq!(
        kernel.value("a.b.x"),
        "1",
        "nor a cell that does not compile"
    );
    let changed = ok(kernel.run("struct B { x: String } let _ = 1;"));
    assert!(
        changed.stream("stderr").contains("`a` is lost"),
        "{changed:?}"
    );
    let answer = kernel.run("a.b.x.len()");
    assert_eq!(answer.ename, "CompileError", "{answer:?}");
    assert!(
        answer.traceback.contains("which defined its type anew"),
        "{}",
        answer.traceback
    );
    assert_eq!(kernel.value("v.len()"), "1");
    // What is as long as a function says, and what is of another's type.
    ok(kernel.run(
        "const fn n() -> usize { 3 } struct Row([f64; n()]);\n\
         trait Out { type T; } struct W; impl Out for W { type T = u64; } struct H { o: <W as Out>::T }\n\
         let row = Row([0.5; 3]); let h = H { o: 7 };",
    ));
    for (cell, lost) in [
        ("const fn n() -> usize { 4 }", "row"),
        ("impl Out for W { type T = f64; }", "h"),
    ] {
        let notes = ok(kernel.run(cell)).stream("stderr");
        assert!(notes.contains(&format!("`{lost}` is lost")), "{notes}");
    }
    assert_eq!(kernel.value("v.len()"), "1");
}

#[test]
fn statics_live_as_long_as_the_session() {
    let mut kernel = Kernel::start();
    ok(kernel.run(
        "use std::sync::atomic::{AtomicUsize, Ordering::SeqCst}; static N: AtomicUsize = AtomicUsize::new(0);\n\
         fn hit() -> usize { N.fetch_add(1, SeqCst) + 1 }",
    ));
    assert_eq!(kernel.value("hit(); hit()"), "2");
    assert_eq!(kernel.value("hit()"), "3");
    kernel.run("hit(); panic!(\"p\");");
    assert_eq!(kernel.value("N.load(SeqCst)"), "4");
    // In a function, in a module, made when it is first looked at, and one that can be written to.
    ok(kernel.run(
        "fn count() -> usize { static M: AtomicUsize = AtomicUsize::new(10); M.fetch_add(1, SeqCst) }\n\
         mod inside { pub static L: std::sync::LazyLock<std::sync::Mutex<Vec<i32>>> = std::sync::LazyLock::new(|| std::sync::Mutex::new(vec![1])); }\n\
         static mut PLAIN: i32 = 0;\n\
         count(); inside::L.lock()?.push(2); unsafe { PLAIN += 1 };",
    ));
    assert_eq!(
        kernel.value("(count(), inside::L.lock()?.len(), unsafe { PLAIN })"),
        "(11, 2, 1)"
    );
    // Defined again, it begins again.
    ok(kernel.run("static N: AtomicUsize = AtomicUsize::new(100);"));
    assert_eq!(kernel.value("hit()"), "101");
    // One whose type is defined anew cannot be what it was.
    ok(kernel.run("struct P(u8); static ALL: std::sync::Mutex<Vec<P>> = std::sync::Mutex::new(Vec::new()); ALL.lock()?.push(P(1));"));
    assert_eq!(kernel.value("ALL.lock()?.len()"), "1");
    let changed = ok(kernel.run("struct P(String); let _ = 1;"));
    assert!(
        changed.stream("stderr").contains("`ALL` begins anew"),
        "{changed:?}"
    );
    assert_eq!(kernel.value("ALL.lock()?.len()"), "0");
    assert_eq!(kernel.value("hit()"), "102");
    // In an `impl`, in a trait, and one for each thread.
    ok(kernel.run(
        "struct Id; impl Id { fn next() -> usize { static I: AtomicUsize = AtomicUsize::new(20); I.fetch_add(1, SeqCst) } }\n\
         trait Counted { fn count(&self) -> usize { static C: AtomicUsize = AtomicUsize::new(30); C.fetch_add(1, SeqCst) } } impl Counted for Id {}\n\
         use std::cell::Cell;\n\
         thread_local! { static LOCAL: Cell<u32> = Cell::new(40); }\n\
         fn local() -> u32 { thread_local! { static L: Cell<u32> = const { Cell::new(50) }; } L.set(L.get() + 1); L.get() }\n\
         Id::next(); Id.count(); LOCAL.set(LOCAL.get() + 1); local();",
    ));
    let cell = "(Id::next(), Id.count(), LOCAL.with(|x| x.get()), local(), std::thread::spawn(|| LOCAL.get()).join().is_ok_and(|x| x == 40))";
    assert_eq!(kernel.value(cell), "(21, 31, 41, 52, true)");
}

#[test]
fn what_a_cell_defines_is_there_in_the_next_one() {
    let mut kernel = Kernel::start();
    // Variables whose names are written large.
    ok(kernel.run("let (N, Max) = (3, 4); let [A, .., B] = [1, 2, 5];"));
    assert_eq!(kernel.value("N * Max + A + B"), "18");
    // What macro calls stand for.
    ok(kernel.run(
        "macro_rules! unit { ($n:ident) => { #[derive(Debug)] struct $n(f64); } }\nunit!(Metre);\n\
         trait Area { fn area(&self) -> f64; }\n\
         macro_rules! areas { ($($t:ty),*) => { $(impl Area for $t { fn area(&self) -> f64 { *self as f64 } })* } }\n\
         areas!(i32, u8);\nlet m = Metre(2.0);",
    ));
    let cell = "(m.0 + Metre(1.0).0, 5.area(), 2u8.area())";
    assert_eq!(kernel.value(cell), "(3.0, 5.0, 2.0)");
    ok(kernel.run("areas!(i32, u8, f32);"));
    assert_eq!(kernel.value("1.5f32.area()"), "1.5");
    // An item without a name, twice; a function called like a macro; the compiler's own crates.
    for _ in 0..2 {
        ok(kernel.run("unsafe extern \"C\" { fn abs(x: i32) -> i32; }"));
    }
    ok(kernel.run(
        "fn twice(a: i32) -> i32 { a }\nmacro_rules! twice { ($a:expr) => { 2 * $a } }\nextern crate alloc;",
    ));
    let cell = "(unsafe { abs(-4) }, twice(1), twice!(1), alloc::vec![0].len())";
    assert_eq!(kernel.value(cell), "(4, 1, 2, 1)");
    // Imports that find nothing any more.
    ok(kernel.run(
        "mod m { pub fn old() {} pub mod all { pub fn any() {} } }\nuse m::old;\nuse m::all::*;",
    ));
    let changed = ok(kernel.run("mod m { pub fn new() -> u8 { 7 } }"));
    let notes = changed.stream("stderr");
    assert!(notes.contains("`old` of cell ["), "{notes}");
    assert_eq!(kernel.value("m::new()"), "7");
    // What is not there says so.
    let notes = ok(kernel.run("let x: i32;")).stream("stderr");
    assert!(notes.contains("`x` may have no value"), "{notes}");
    let notes = ok(kernel.run("fn main() {}")).stream("stderr");
    assert!(notes.contains("write `main()`"), "{notes}");
    ok(kernel
        .run("mod p { mod q { pub struct S; } pub fn s() -> q::S { q::S } }\nlet s = p::s();"));
    kernel.run("s");
    let lost = kernel.run("s");
    assert!(
        lost.traceback.contains("`s` was lost in cell ["),
        "{}",
        lost.traceback
    );
}

#[test]
fn the_stack_has_room_and_destructors_are_heard() {
    let mut kernel = Kernel::start();
    let cell = "fn deep(n: u32) -> u32 { if n == 0 { 0 } else { 1 + deep(n - 1) } }\n\
                let large = [1u8; 3_000_000]; deep(300_000)";
    assert_eq!(kernel.value(cell), "300000");
    assert_eq!(kernel.value("large[7]"), "1");
    ok(kernel.run(
        "struct Says; impl Drop for Says { fn drop(&mut self) { println!(\"gone\"); } }\nlet says = Says;",
    ));
    assert_eq!(ok(kernel.run("%del says")).stream("stdout"), "gone\n");
    // One that panics costs nothing.
    ok(kernel.run(
        "struct Loud; impl Drop for Loud { fn drop(&mut self) { panic!(\"in drop\"); } }\nlet loud = Loud;",
    ));
    let answer = ok(kernel.run("let loud = large.len(); loud"));
    assert_eq!(value(&answer), "3000000");
    let told = answer.stream("stderr");
    assert!(told.contains("a panic was caught: in drop"), "{told}");
    assert_eq!(kernel.value("loud + large[7] as usize"), "3000001");
}

#[test]
fn text_that_editors_and_other_programs_leave_is_no_hindrance() {
    let mut kernel = Kernel::start();
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("data.txt"), "four").expect("a file");
    ok(kernel.run(&format!("\u{feff}%cd {}", folder.path().display())));
    for (cell, shown) in [
        ("\u{feff}let a = 1;\r\nlet b = 2;\r\na + b\r\n", "3"),
        ("\t%who\n\ta", "1"),
        ("let c = 1;\r\nlet d = 2;\r\nlet e = \"é\";\r\ne.len()", "2"),
        ("\u{feff}#!/usr/bin/env itd\na + b", "3"),
        (
            "#![deny(warnings)]\n#![forbid(unsafe_code)]\nimpl Tr for u8 {}\ntrait Tr {}\na + b",
            "3",
        ),
        (
            "const D: &str = include_str!(\"data.txt\");\nD.len() + include_bytes!(r\"data.txt\").len()",
            "8",
        ),
        ("async fn f(x: i32) -> i32 { x + 1 }\nf(a).await", "2"),
    ] {
        assert_eq!(value(&ok(kernel.run(cell))), shown, "{cell}");
    }
}

#[test]
fn what_must_be_used_and_is_not_is_said_once_and_in_its_cell() {
    let mut kernel = Kernel::start();
    let first = ok(kernel.run("fn f() -> std::result::Result<(), String> { Ok(()) }\nf();"));
    let notes = first.stream("stderr");
    assert!(
        notes.contains("unused `Result` that must be used"),
        "{notes}"
    );
    assert!(notes.contains("(cell [1], line 2)"), "{notes}");
    assert_eq!(ok(kernel.run("let _ = f(); 1")).stream("stderr"), "");
}

#[test]
fn what_cells_have_started_ends_with_their_process() {
    let mut kernel = Kernel::start();
    // A process that is dead may still have to be asked how it ended.
    let lives = |pid: &str| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
        stat.is_ok_and(|stat| !stat.contains(") Z"))
    };
    for end in ["std::process::exit(1);", ":clear"] {
        let pid = kernel.value("std::process::Command::new(\"sleep\").arg(\"600\").spawn()?.id()");
        assert!(lives(&pid));
        kernel.run(end);
        let begin = std::time::Instant::now();
        while lives(&pid) {
            assert!(begin.elapsed() < Duration::from_secs(5), "after {end}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn results_have_the_fields_that_the_protocol_asks_for() {
    let mut kernel = Kernel::start();
    let answer = ok(kernel.run("1"));
    let result = answer
        .outputs
        .iter()
        .find_map(|(_, content)| match content {
            Content::ExecuteResult(result) => Some(result),
            _ => None,
        });
    let json = serde_json::to_value(result.expect("a result")).expect("JSON");
    assert!(
        json["metadata"].is_object() && json["transient"].is_object(),
        "{json}"
    );
}
