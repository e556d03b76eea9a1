//! The messaging protocol, message by message: `docs/kernel.md` names the test of each.

mod common;

use std::time::{Duration, Instant};

use common::client::{Kernel, json as content, value};
use jupyter_protocol::{ExecuteRequest, JupyterMessageContent as Content, KernelInfoRequest};
use serde_json::{Value, json};

#[test]
fn kernel_info_is_true_in_every_field() {
    let mut kernel = Kernel::start();
    let request = kernel.send(KernelInfoRequest {});
    let info = content(&kernel.reply(&request));
    let compiler = std::process::Command::new("rustc").arg("-vV").output();
    let compiler = common::text(&compiler.expect("a compiler"));
    let release = compiler
        .lines()
        .find_map(|line| line.strip_prefix("release: "));
    assert_eq!(info["language_info"]["version"].as_str(), release, "{info}");
    assert_eq!(info["protocol_version"], "5.5");
    assert_eq!(info["implementation_version"], env!("CARGO_PKG_VERSION"));
    let state = kernel.hear(Duration::from_secs(5)).expect("busy");
    let header = state.header;
    assert_eq!(
        (header.version.as_str(), header.username.as_str()),
        ("5.5", "itd")
    );
    // The library's own type leaves it out.
    let raw = kernel.ask_control("kernel_info_request", json!({}));
    assert_eq!(raw["debugger"], false, "no cell can be stopped at a line");
}

#[test]
fn connection_and_usage_are_told_and_subshells_refused() {
    let mut kernel = Kernel::start();
    let ports = kernel.ask("connect_request", json!({}));
    assert_eq!(
        ports["shell_port"], kernel.info.shell_port,
        "those of the connection file"
    );
    assert_eq!(ports["control_port"], kernel.info.control_port);
    assert_eq!(ports["status"], "ok");
    kernel.run("let block = vec![1u8; 300_000_000];");
    let usage = kernel.ask_control("usage_request", json!({}));
    let memory = usage["kernel_memory"].as_u64().expect("bytes");
    assert!(
        (300_000_000..2_000_000_000).contains(&memory),
        "with its children: {usage}"
    );
    assert_eq!(usage["pid"], kernel.child.id());
    for request in [
        "create_subshell_request",
        "delete_subshell_request",
        "list_subshell_request",
    ] {
        let reply = kernel.ask_control(request, json!({}));
        assert_eq!(
            (&reply["status"], &reply["ename"]),
            (&json!("error"), &json!("NotSupported"))
        );
    }
}

#[test]
fn a_request_that_is_wrong_or_unknown_is_refused() {
    let mut kernel = Kernel::start();
    for (request, wrong, what) in [
        ("inspect_request", json!({"code": "x"}), "cursor_pos"),
        ("execute_request", json!({"code": 7}), "string"),
        ("complete_request", json!({}), "code"),
        ("apply_request", json!({}), "not known"),
    ] {
        let reply = kernel.ask(request, wrong);
        assert_eq!(reply["status"], "error", "{request}: {reply}");
        let text = reply["evalue"].as_str().unwrap_or_default();
        assert!(text.contains(what), "{request}: {reply}");
    }
    assert_eq!(kernel.value("1"), "1");
}

#[test]
fn history_is_kept_over_sessions_that_end_in_any_way() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("history.jsonl");
    let mut first = Kernel::start_with_history(&file);
    for code in ["let x = 2;", "x + 40", "panic!(\"no\")"] {
        first.run(code);
    }
    first.peek("x + 1000");
    let silent = first.send(ExecuteRequest {
        code: "x + 2000".into(),
        silent: true,
        ..Default::default()
    });
    first.collect(&silent);
    first.child.kill().expect("it ends at once");
    drop(first);

    let mut second = Kernel::start_with_history(&file);
    second.run("1 + 1");
    let mut ask =
        |request: Value| -> Value { second.ask("history_request", request)["history"].take() };
    let tail = json!({"hist_access_type": "tail", "n": 10, "output": true, "raw": true});
    assert_eq!(
        ask(tail),
        json!([
            [1, 1, ["let x = 2;", ""]],
            [1, 2, ["x + 40", "42"]],
            [1, 3, ["panic!(\"no\")", ""]],
            [2, 1, ["1 + 1", "2"]],
        ])
    );
    // As `jupyter_client` asks when it is told no more.
    let now = json!({"hist_access_type": "range", "session": 0, "start": 0, "raw": true, "output": false});
    assert_eq!(ask(now), json!([[2, 1, "1 + 1"]]));
    let before = json!({"hist_access_type": "range", "session": -1, "start": 2, "stop": 3});
    assert_eq!(ask(before), json!([[1, 2, "x + 40"]]));
    let search = json!({"hist_access_type": "search", "pattern": "*x*", "n": 1});
    assert_eq!(ask(search), json!([[1, 2, "x + 40"]]));
}

#[test]
fn user_expressions_have_values_or_errors_of_their_own_and_leave_nothing() {
    let mut kernel = Kernel::start();
    kernel.run("let v = vec![1, 2];");
    let expressions = json!({
        "length": "v.len()", "unit": "()", "wrong": "v.nonsense()", "err": "\"x\".parse::<i32>()",
        "statement": "let kept = 1;", "command": ":vars", "block": "{ let w = v.clone(); w }",
    });
    let asked = |code: &str| {
        let expressions = serde_json::from_value(expressions.clone()).expect("a map");
        ExecuteRequest {
            user_expressions: Some(expressions),
            ..ExecuteRequest::new(code.to_owned())
        }
    };
    let request = kernel.send(asked("let v = vec![7];"));
    let reply = content(&kernel.reply(&request));
    let values = &reply["user_expressions"];
    assert_eq!(
        values["length"]["data"]["text/plain"], "1",
        "after the cell: {values}"
    );
    assert_eq!(values["unit"]["data"]["text/plain"], "()");
    assert_eq!(values["block"]["data"]["text/plain"], "[7]");
    for (name, error) in [
        ("wrong", "CompileError"),
        ("err", "ParseIntError"),
        ("statement", "Expression"),
        ("command", "Expression"),
    ] {
        assert_eq!(values[name]["status"], "error", "{name}: {values}");
        assert_eq!(values[name]["ename"], error);
    }
    assert_eq!(reply["status"], "ok", "they are no failure of the cell");
    assert_eq!(kernel.run("kept").ename, "CompileError");
    assert_eq!(kernel.value("v"), "[7]");
    let request = kernel.send(asked("panic!()"));
    let reply = content(&kernel.reply(&request));
    assert_eq!(reply["user_expressions"], json!({}), "not after a failure");
}

#[test]
fn help_and_questions_are_pages() {
    let mut kernel = Kernel::start();
    kernel.run("let answer = 42;");
    for (code, what) in [
        (":help", "%dep"),
        ("?answer", "answer: i32"),
        ("answer??", "answer: i32"),
    ] {
        let request = kernel.send(ExecuteRequest::new(code.to_owned()));
        let answer = kernel.collect(&request);
        assert!(answer.kinds().is_empty(), "a page is no output");
        let page = &answer.payload[0];
        assert_eq!(page["source"], "page", "{page}");
        let text = page["data"]["text/plain"].as_str().unwrap_or_default();
        assert!(text.contains(what), "{code}: {text}");
    }
    assert_eq!(kernel.run("?nowhere").ename, "Command");
    // Behind what may hold an error it is Rust's own.
    kernel.run("let held: Result<i32, String> = Ok(7);");
    assert_eq!(kernel.value("held?"), "7");
}

#[test]
fn exit_ends_a_console_and_is_refused_in_a_notebook() {
    let mut kernel = Kernel::start();
    let asked = ExecuteRequest {
        allow_stdin: true,
        ..ExecuteRequest::new("exit".to_owned())
    };
    let request = kernel.send(asked.clone());
    let answer = kernel.collect(&request);
    assert_eq!(
        answer.payload,
        [json!({"source": "ask_exit", "keepkernel": false})]
    );
    // A notebook names the cell.
    let metadata = json!({"cellId": "one"});
    let request = kernel.send_with_metadata(asked.clone(), metadata);
    let answer = kernel.collect(&request);
    assert!(answer.payload.is_empty());
    assert!(answer.evalue.contains("by the front end"), "{answer:?}");
    assert_eq!(
        kernel.run("quit()").ename,
        "Command",
        "nor does a runner end"
    );
    kernel.run("fn quit() -> i32 { 5 }");
    assert_eq!(kernel.value("quit()"), "5", "the user's own is Rust");
}

fn debug(kernel: &mut Kernel, command: &str, arguments: Value) -> Value {
    let request = json!({"type": "request", "seq": 3, "command": command, "arguments": arguments});
    kernel.ask_control("debug_request", request)
}

#[test]
fn the_panel_of_variables_shows_names_types_and_values() {
    let mut kernel = Kernel::start();
    let info = debug(&mut kernel, "debugInfo", json!({}));
    assert_eq!(
        (&info["success"], &info["body"]["isStarted"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(info["body"]["richRendering"], true);
    let none = debug(&mut kernel, "inspectVariables", json!({}));
    assert_eq!(none["body"]["variables"], json!([]));
    kernel.run(
        "let many = vec![0.5; 1_000_000]; let name = \"Ada\"; struct Opaque; let opaque = Opaque;",
    );
    assert_eq!(debug(&mut kernel, "initialize", json!({}))["success"], true);
    assert_eq!(debug(&mut kernel, "attach", json!({}))["success"], true);
    let seen = debug(&mut kernel, "inspectVariables", json!({}));
    let seen = seen["body"]["variables"].as_array().expect("a list");
    let row = |row: &Value| [&row["name"], &row["type"], &row["value"]].map(Value::clone);
    let rows: Vec<_> = seen.iter().map(row).collect();
    let many = rows[0][2].as_str().unwrap_or_default();
    assert!(many.starts_with("1000000 values: [0.5, 0.5"), "{many}");
    assert_eq!(rows[0][1], "Vec<f64>");
    assert_eq!(rows[1], [json!("name"), json!("&str"), json!("\"Ada\"")]);
    assert_eq!(rows[2], [json!("opaque"), json!("Opaque"), json!("")]);
    let rich = debug(
        &mut kernel,
        "richInspectVariables",
        json!({"variableName": "name"}),
    );
    assert_eq!(rich["body"]["data"]["text/plain"], "\"Ada\"", "{rich}");
    let unknown = debug(
        &mut kernel,
        "richInspectVariables",
        json!({"variableName": "1 + 1"}),
    );
    assert_eq!(unknown["success"], false);
    assert_eq!(kernel.value("many.len()"), "1000000", "nothing was taken");

    // JupyterLab shows a type in the place of the value, so the value has both.
    let lab = json!({"clientID": "jupyterlab"});
    assert_eq!(debug(&mut kernel, "initialize", lab)["success"], true);
    let seen = debug(&mut kernel, "inspectVariables", json!({}));
    let name = &seen["body"]["variables"][1];
    assert_eq!(
        (&name["value"], &name["type"]),
        (&json!("&str = \"Ada\""), &Value::Null)
    );
    debug(&mut kernel, "initialize", json!({}));

    let request = kernel.send(ExecuteRequest::new(
        "println!(\"started\"); std::thread::sleep(std::time::Duration::from_secs(2)); 1"
            .to_owned(),
    ));
    kernel.wait_for("started");
    let begin = Instant::now();
    let seen = debug(&mut kernel, "inspectVariables", json!({}));
    assert!(
        begin.elapsed() < Duration::from_secs(1),
        "it waits for no cell"
    );
    assert_eq!(seen["body"]["variables"][1]["value"], "\"Ada\"");
    assert_eq!(value(&kernel.collect(&request)), "1");
}

/// A look at a variable runs what its owner wrote, which may have no end.
#[test]
fn a_look_at_a_variable_can_be_interrupted() {
    let mut kernel = Kernel::start();
    kernel.run(
        "struct Endless;\nimpl std::fmt::Debug for Endless {\n    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {\n        \
         println!(\"looking\");\n        loop { std::thread::sleep(std::time::Duration::from_millis(10)); }\n    }\n}\nlet endless = Endless;",
    );
    let arguments = json!({"variableName": "endless"});
    let request = json!({"type": "request", "seq": 3, "command": "richInspectVariables", "arguments": arguments});
    let request = kernel.send_raw("debug_request", request);
    kernel.wait_for("looking");
    // As of a cell: the first asks, and the second ends what does not listen.
    kernel.interrupt();
    std::thread::sleep(Duration::from_millis(500));
    kernel.interrupt();
    let reply = content(&kernel.reply(&request));
    assert_eq!(reply["success"], false, "{reply}");
    assert_eq!(kernel.value("1 + 1"), "2");
}

#[test]
fn what_would_stop_a_cell_is_refused() {
    let mut kernel = Kernel::start();
    for command in ["continue", "stepIn", "evaluate", "stackTrace"] {
        let reply = debug(&mut kernel, command, json!({}));
        assert_eq!(
            (&reply["type"], &reply["success"]),
            (&json!("response"), &json!(false))
        );
        assert_eq!(reply["request_seq"], 3);
        let text = reply["message"].as_str().unwrap_or_default();
        assert!(text.contains("not supported"), "{reply}");
    }
    let reply = debug(
        &mut kernel,
        "setBreakpoints",
        json!({"breakpoints": [{"line": 1}]}),
    );
    assert_eq!(reply["body"]["breakpoints"], json!([]), "there are none");
}

#[test]
fn of_many_states_of_a_display_some_are_shown_and_the_last() {
    let mut kernel = Kernel::start();
    let begin = Instant::now();
    let answer = kernel.run(
        "for i in 0..20_000 { itd_prelude::cell::send(&itd_prelude::cell::Frame::Display { \
             data: itd_prelude::cell::display::plain(format!(\"state {i}\")), id: Some(\"one\".to_owned()), \
             update: i > 0 }); }",
    );
    let took = begin.elapsed();
    let updates: Vec<_> = answer
        .outputs
        .iter()
        .filter_map(|(_, output)| match output {
            Content::UpdateDisplayData(update) => Some(content(&Content::from(update.clone()))),
            _ => None,
        })
        .collect();
    let most = 60 * took.as_secs() as usize + 120;
    assert!(updates.len() < most, "{} in {took:?}", updates.len());
    let last = &updates.last().expect("a state")["data"]["text/plain"];
    assert_eq!(last, "state 19999");
    println!("{} of 20,000 updates were sent in {took:?}", updates.len());
}

#[test]
fn the_end_is_told_on_either_channel_and_to_all() {
    for (shell, restart) in [(true, true), (false, true), (false, false)] {
        let mut kernel = Kernel::start();
        let asked = json!({"restart": restart});
        let reply = match shell {
            true => kernel.ask("shutdown_request", asked),
            false => kernel.ask_control("shutdown_request", asked),
        };
        assert_eq!(reply, json!({"status": "ok", "restart": restart}));
        let told = loop {
            let message = kernel
                .hear(Duration::from_secs(5))
                .expect("the others hear of it");
            if let Content::ShutdownReply(reply) = message.content {
                break reply.restart;
            }
        };
        assert_eq!(told, restart);
        let begin = Instant::now();
        while kernel.child.try_wait().expect("a state").is_none() {
            assert!(begin.elapsed() < Duration::from_secs(20), "it ends");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn an_interrupt_may_come_as_a_signal() {
    let mut kernel = Kernel::start();
    kernel.run("let kept = 3;");
    let request = kernel.send(ExecuteRequest::new(
        "println!(\"started\"); let mut bar = itd_prelude::progress::Progress::new(\"waiting\", 1_000_000); \
         loop { std::thread::sleep(std::time::Duration::from_millis(5)); bar.step()?; }"
            .to_owned(),
    ));
    kernel.wait_for("started");
    let pid = nix::unistd::Pid::from_raw(kernel.child.id() as i32);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).expect("it takes signals");
    assert_eq!(kernel.collect(&request).ename, "Interrupted");
    assert_eq!(kernel.value("kept"), "3");
}

#[test]
fn every_row_of_the_documentation_has_its_test() {
    let text = std::fs::read_to_string(common::project().join("docs/kernel.md")).expect("a page");
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let mut count = 0;
    for row in rows {
        let cell = row.trim_end_matches([' ', '|']).rsplit('|').next();
        let tests: Vec<&str> = cell
            .unwrap_or_default()
            .split('`')
            .skip(1)
            .step_by(2)
            .collect();
        let [file, names @ ..] = &tests[..] else {
            panic!("this row names no test: {row}");
        };
        let source = std::fs::read_to_string(common::project().join("tests").join(file));
        let source = source.unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(!names.is_empty(), "this row names no test: {row}");
        for name in names {
            let found = ["fn", "def"].map(|word| source.contains(&format!("{word} {name}(")));
            let suite = name.starts_with("test_"); // jupyter_kernel_test's own
            assert!(found.contains(&true) || suite, "{file} has no test {name}");
        }
        count += 1;
    }
    assert!(count >= 20, "{count} rows");
}
