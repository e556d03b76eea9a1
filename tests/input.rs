//! Cells that ask their user, over the stdin channel.

mod common;

use std::time::Duration;

use common::client::{Kernel, value};
use jupyter_protocol::{ExecuteRequest, JupyterMessage, JupyterMessageContent as Content};

const PATIENCE: Duration = Duration::from_secs(60);

/// Has a cell executed by a front end that takes input.
fn execute(kernel: &mut Kernel, code: &str) -> JupyterMessage {
    kernel.send(ExecuteRequest {
        code: code.to_owned(),
        allow_stdin: true,
        ..Default::default()
    })
}

/// The next question: its message, its prompt, and whether the answer is not to be seen.
fn question(kernel: &mut Kernel) -> (JupyterMessage, String, bool) {
    let message = kernel.question(PATIENCE).expect("a question");
    let Content::InputRequest(request) = message.content.clone() else {
        panic!("{:?} is no question", message.content);
    };
    (message, request.prompt, request.password)
}

#[test]
fn a_cell_asks_for_lines_and_for_passwords() {
    let mut kernel = Kernel::start();
    let cell =
        "let name = input(\"name? \")?;\nlet token = password(\"token: \")?;\n(&name, token.len())";
    let request = execute(&mut kernel, cell);
    let (asked, prompt, secret) = question(&mut kernel);
    assert_eq!((prompt.as_str(), secret), ("name? ", false));
    let parent = asked.parent_header.as_ref().map(|parent| &parent.msg_id);
    assert_eq!(parent, Some(&request.header.msg_id));
    kernel
        .answer(Some(&asked), "Ada Ł")
        .expect("it takes answers");
    let (_, prompt, secret) = question(&mut kernel);
    assert_eq!((prompt.as_str(), secret), ("token: ", true));
    // Some front ends do not say which question they answer.
    kernel.answer(None, "secret").expect("it takes answers");
    assert_eq!(value(&kernel.collect(&request)), "(\"Ada Ł\", 6)");
    assert_eq!(kernel.value("name"), "\"Ada Ł\"", "it is kept");
}

#[test]
fn a_front_end_that_takes_no_input_is_not_asked() {
    let mut kernel = Kernel::start();
    let request = kernel.send(ExecuteRequest {
        code: "input(\"name? \")?".to_owned(),
        allow_stdin: false,
        ..Default::default()
    });
    let answer = kernel.collect(&request);
    assert_eq!(answer.ename, "Missing", "{answer:?}");
    let said = "nobody can answer `name?`: what runs this notebook takes no input; \
                give the value in the cell itself";
    assert!(answer.evalue.contains(said), "{}", answer.evalue);
    assert!(kernel.question(Duration::from_millis(100)).is_err());
    // Rust's own input is empty, and does not wait.
    let own = "let mut line = String::new(); std::io::stdin().read_line(&mut line)?";
    assert_eq!(kernel.value(own), "0");
}

#[test]
fn a_question_can_be_interrupted_and_its_late_answer_is_nobodys() {
    let mut kernel = Kernel::start();
    kernel.run("let kept = 5;");
    let request = execute(&mut kernel, "input(\"first? \")?");
    let (first, ..) = question(&mut kernel);
    kernel.interrupt();
    let answer = kernel.collect(&request);
    assert_eq!(answer.ename, "Interrupted", "{answer:?}");
    assert!(answer.evalue.contains("`first?`"), "{}", answer.evalue);
    kernel
        .answer(Some(&first), "late")
        .expect("it takes answers");

    let request = execute(&mut kernel, "input(\"second? \")? + &kept.to_string()");
    let (second, ..) = question(&mut kernel);
    kernel
        .answer(Some(&first), "later")
        .expect("it takes answers");
    kernel
        .answer(Some(&second), "right")
        .expect("it takes answers");
    assert_eq!(value(&kernel.collect(&request)), "\"right5\"");
}

#[test]
fn threads_ask_one_after_the_other() {
    let mut kernel = Kernel::start();
    let cell = "std::thread::scope(|scope| {\n\
                let ask = || scope.spawn(|| input(\"which? \"));\n\
                let both = [ask(), ask()].map(|thread| thread.join().unwrap().unwrap());\n\
                let mut both = both.to_vec(); both.sort(); both.join(\" \")\n})";
    let request = execute(&mut kernel, cell);
    for line in ["one", "two"] {
        let (asked, ..) = question(&mut kernel);
        kernel.answer(Some(&asked), line).expect("it takes answers");
    }
    assert_eq!(value(&kernel.collect(&request)), "\"one two\"");
}

#[test]
fn a_notebook_that_is_run_by_a_program_says_that_nobody_can_answer() {
    common::prelude();
    let folder = tempfile::tempdir().expect("a folder");
    let path = common::notebook(folder.path(), "asks.ipynb", &["input(\"name? \")?"]);
    let output = common::itd(&["run", "--no-html"])
        .arg(&path)
        .output()
        .expect("itd can be run");
    let text = common::text(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("nobody can answer `name?`"), "{text}");
}

#[test]
fn the_repl_reads_answers_from_its_terminal() {
    common::prelude();
    // A terminal of its own, by Python's `pty`.
    let script = r#"
import os, pty, select, sys, time
pid, terminal = pty.fork()
if pid == 0:
    os.environ["TERM"] = "dumb"
    os.execv(sys.argv[1], [sys.argv[1], "repl"])
seen = ""
def until(text):
    global seen
    end = time.time() + 90
    while text not in seen:
        if time.time() > end:
            sys.exit(f"no {text!r} in {seen!r}")
        if select.select([terminal], [], [], 1)[0]:
            seen += os.read(terminal, 65536).decode(errors="replace")
    seen = seen.split(text, 1)[1]
def enter(text):
    os.write(terminal, (text + "\r").encode())
until("Ctrl-D leaves")
until("[1]")
enter('let name = input("your name? ")?;')
until('? ")?;')  # what was typed
until("your name? ")
time.sleep(0.5)
enter("Ada")
until("[2]")
enter('format!("{name}, {}", password("token: ")?.len())')
until("token: ")
time.sleep(0.5)
enter("secret")
until("Ada, 6")
if "secret" in seen:
    sys.exit("the password was shown")
until("[3]")
enter('input("forever? ")?')
until("forever? ")
time.sleep(1)
os.write(terminal, b"\x03")
until("Interrupted")
print("ok")
"#;
    let output = std::process::Command::new(common::environment().program("python"))
        .args(["-c", script])
        .arg(common::program())
        .output()
        .expect("python can be run");
    let text = common::text(&output);
    assert!(output.status.success() && text.contains("ok"), "{text}");
}
