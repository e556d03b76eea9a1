//! The kernel over its sockets: a real process, the real protocol, real cells.

mod common;

use std::time::Duration;

use common::client::{Kernel, value};
use itd::client::Client;
use jupyter_protocol::{
    CommInfoRequest, CompleteRequest, ExecuteRequest, HistoryRequest, IsCompleteReplyStatus,
    IsCompleteRequest, JupyterMessageContent as Content, KernelInfoRequest,
};

#[test]
fn every_request_of_a_front_end_gets_its_reply() {
    let mut kernel = Kernel::start();
    let request = kernel.send(KernelInfoRequest {});
    let Content::KernelInfoReply(info) = kernel.reply(&request) else {
        panic!("no kernel_info_reply");
    };
    assert_eq!(
        (
            info.implementation.as_str(),
            info.language_info.name.as_str()
        ),
        ("itd", "rust")
    );

    let request = kernel.send(IsCompleteRequest {
        code: "fn f() {".into(),
    });
    let Content::IsCompleteReply(reply) = kernel.reply(&request) else {
        panic!("no is_complete_reply");
    };
    assert!(matches!(reply.status, IsCompleteReplyStatus::Incomplete));
    assert_eq!(reply.indent, "    ");

    let request = kernel.send(CommInfoRequest { target_name: None });
    assert!(matches!(kernel.reply(&request), Content::CommInfoReply(_)));
    let request = kernel.send(HistoryRequest::default());
    assert!(matches!(kernel.reply(&request), Content::HistoryReply(_)));
    let request = kernel.send(CompleteRequest {
        code: "x".into(),
        cursor_pos: 1,
    });
    assert!(matches!(kernel.reply(&request), Content::CompleteReply(_)));
    assert_eq!(kernel.shutdown(), Some(0));
}

#[test]
fn cells_have_values_counts_and_a_life_between_them() {
    let mut kernel = Kernel::start();
    let first = kernel.run("let x = 40; x + 2");
    assert_eq!(
        (first.status.as_str(), first.count, value(&first).as_str()),
        ("ok", 1, "42")
    );
    let second = kernel.run("let (a, b) = (x * 2, vec![0.5]); println!(\"{a} {b:?}\");");
    assert_eq!(
        (second.count, second.stream("stdout").as_str()),
        (2, "80 [0.5]\n")
    );
    let silent = kernel.send(ExecuteRequest {
        code: "x".into(),
        silent: true,
        store_history: false,
        ..Default::default()
    });
    assert!(kernel.collect(&silent).kinds().is_empty());
    assert_eq!(kernel.run("b[0]").count, 3);
}

#[test]
fn outputs_come_in_order_and_while_the_cell_runs() {
    let mut kernel = Kernel::start();
    let answer = kernel.run(
        r#"
        print!("one ");
        Markdown("**two**".into()).show()?;
        eprintln!("three");
        println!("four");
        Markdown("*five*".into()).show()?;
        print!("six");
        std::thread::sleep(std::time::Duration::from_millis(700));
        7"#,
    );
    assert_eq!(
        answer.kinds(),
        [
            "stdout", "display", "stderr", "stdout", "display", "stdout", "result"
        ],
        "{answer:?}"
    );
    assert_eq!(answer.stream("stdout"), "one four\nsix");
    // `six` has no line end, and yet it is there long before the cell is over.
    let times: Vec<Duration> = answer
        .outputs
        .iter()
        .filter(|(_, content)| {
            matches!(
                content,
                Content::StreamContent(_) | Content::ExecuteResult(_)
            )
        })
        .map(|(time, _)| *time)
        .collect();
    let (last_text, result) = (times[times.len() - 2], times[times.len() - 1]);
    assert!(
        result - last_text > Duration::from_millis(400),
        "{last_text:?} {result:?}"
    );
}

#[test]
fn a_progress_line_arrives_with_its_carriage_returns() {
    let mut kernel = Kernel::start();
    let answer = kernel.run(
        r#"for i in 0..3 { print!("\r{i}0 %"); std::thread::sleep(std::time::Duration::from_millis(120)); }"#,
    );
    assert_eq!(answer.stream("stdout"), "\r00 %\r10 %\r20 %");
    let pieces = answer
        .kinds()
        .iter()
        .filter(|kind| **kind == "stdout")
        .count();
    assert!(
        pieces >= 2,
        "it comes in pieces, as it is printed: {pieces}"
    );
}

#[test]
fn failures_name_their_kind_and_their_line_and_variables_live_on() {
    let mut kernel = Kernel::start();
    let defined = kernel.run("let x = 5; fn third(v: &[i32]) -> i32 {\n    v[2]\n}");
    assert_eq!(defined.status, "ok", "{defined:?}");
    for (cell, ename, evalue, place) in [
        (
            "let y = 1;\npanic!(\"no {x}\");",
            "Panic",
            "no 5",
            "cell [2]:2:1",
        ),
        (
            "assert!(\n  x == 6, \"x was {x}\");",
            "Panic",
            "x was 5",
            "cell [3]:1:1",
        ),
        (
            "let n =\n  \"7x\".parse::<i32>()?;",
            "ParseIntError",
            "invalid digit",
            "cell [4]:2:3",
        ),
        (
            "println!(\"{}\", None::<i32>?);",
            "None",
            "`?` found `None`",
            "cell [5]:1:1",
        ),
        (
            "Err::<i32, String>(\"the last value\".into())",
            "String",
            "the last value",
            "cell [6]:1:1",
        ),
        (
            "let s: String = x;",
            "CompileError",
            "[E0308] mismatched types",
            "cell [7]:1:17",
        ),
        (
            "third(&[1, 2])",
            "Panic",
            "index out of bounds",
            "cell [1]:2:5",
        ),
    ] {
        let answer = kernel.run(cell);
        assert_eq!(
            (answer.status.as_str(), answer.ename.as_str()),
            ("error", ename),
            "{cell}: {answer:?}"
        );
        assert!(answer.evalue.contains(evalue), "{cell}: {}", answer.evalue);
        assert!(
            answer.traceback.contains(place),
            "{cell}: {}",
            answer.traceback
        );
        assert_eq!(
            answer
                .kinds()
                .iter()
                .filter(|kind| **kind == "error")
                .count(),
            1,
            "{cell}"
        );
        let x = kernel.peek("x");
        assert_eq!(value(&x), "5", "x lives on after {cell}: {x:?}");
    }
}

#[test]
fn the_end_of_the_process_is_an_error_and_not_the_end_of_the_kernel() {
    let mut kernel = Kernel::start();
    for (cell, ename, evalue) in [
        (
            "print!(\"last words\"); std::process::exit(3);",
            "ProcessExit",
            "code 3",
        ),
        (
            "unsafe { std::ptr::null_mut::<i32>().write(1) };",
            "Segfault",
            "SIGSEGV",
        ),
        ("std::process::abort();", "Abort", "SIGABRT"),
    ] {
        let defined = kernel.run("let kept = 1; fn two() -> i32 { 2 }");
        assert_eq!(defined.status, "ok", "{defined:?}");
        let answer = kernel.run(cell);
        assert_eq!(
            (answer.status.as_str(), answer.ename.as_str()),
            ("error", ename),
            "{answer:?}"
        );
        assert!(answer.evalue.contains(evalue), "{}", answer.evalue);
        assert!(
            answer.traceback.contains("Lost: kept"),
            "{}",
            answer.traceback
        );
        if ename == "ProcessExit" {
            assert_eq!(answer.stream("stdout"), "last words");
        }
        assert_eq!(kernel.value("two()"), "2", "functions are kept");
        assert_eq!(
            kernel.run("kept").ename,
            "CompileError",
            "variables are not"
        );
    }
}

#[test]
fn an_interrupt_is_heard_and_keeps_the_variables() {
    let mut kernel = Kernel::start();
    kernel.run("let mut rounds = 0u64;");
    let request = kernel.send(ExecuteRequest::new(
        r#"println!("started");
        let mut bar = itd_prelude::progress::Progress::new("waiting", 1_000_000);
        loop { rounds += 1; std::thread::sleep(std::time::Duration::from_millis(5)); bar.step()?; }"#
            .to_owned(),
    ));
    kernel.wait_for("started");
    kernel.interrupt();
    let answer = kernel.collect(&request);
    assert_eq!(
        (answer.status.as_str(), answer.ename.as_str()),
        ("error", "Interrupted"),
        "{answer:?}"
    );
    assert!(
        answer.evalue.contains("of 1000000 steps"),
        "{}",
        answer.evalue
    );
    assert_eq!(kernel.value("rounds > 0"), "true");
}

#[test]
fn a_second_interrupt_ends_a_cell_that_does_not_listen() {
    let mut kernel = Kernel::start();
    kernel.run("let lost = 1;");
    let request = kernel.send(ExecuteRequest::new(
        "println!(\"started\"); loop { std::hint::spin_loop(); }".to_owned(),
    ));
    kernel.wait_for("started");
    kernel.interrupt();
    kernel.interrupt();
    let answer = kernel.collect(&request);
    assert_eq!(answer.ename, "Interrupted");
    assert!(
        answer.traceback.contains("by force") && answer.traceback.contains("Lost: lost"),
        "{}",
        answer.traceback
    );
    assert_eq!(kernel.value("1 + 1"), "2");
}

/// Two interrupts at once are two presses of a key: a cell that listens to the first keeps what there is.
#[test]
fn two_interrupts_at_once_cost_a_cell_that_listens_nothing() {
    let mut kernel = Kernel::start();
    kernel.run("let kept = 1;");
    for _ in 0..10 {
        let request = kernel.send(ExecuteRequest::new(
            "println!(\"started\"); loop { if itd_prelude::cell::interrupted() { break } std::thread::sleep(std::time::Duration::from_millis(20)) }"
                .to_owned(),
        ));
        kernel.wait_for("started");
        kernel.interrupt();
        kernel.interrupt();
        let answer = kernel.collect(&request);
        assert!(!answer.traceback.contains("by force"), "{answer:?}");
        assert_eq!(kernel.value("kept"), "1");
    }
}

#[test]
fn cells_that_wait_behind_a_failure_are_aborted() {
    let mut kernel = Kernel::start();
    let requests: Vec<_> = [
        "panic!(\"first\")",
        "println!(\"second\")",
        "println!(\"third\")",
    ]
    .map(|code| kernel.send(ExecuteRequest::new(code.to_owned())))
    .into();
    let answers: Vec<(String, usize)> = requests
        .iter()
        .map(|request| kernel.collect(request))
        .map(|answer| (answer.status, answer.count))
        .collect();
    let aborted = || ("aborted".to_owned(), 0); // with no number of its own
    assert_eq!(answers, [("error".to_owned(), 1), aborted(), aborted()]);
    assert_eq!(kernel.run("println!(\"fourth\")").status, "ok");
}

#[test]
fn two_kernels_run_side_by_side() {
    let (mut one, mut two) = (Kernel::start(), Kernel::start());
    let first = one.send(ExecuteRequest::new("let x = 1; x".to_owned()));
    let second = two.send(ExecuteRequest::new("let x = \"two\"; x".to_owned()));
    assert_eq!(value(&one.collect(&first)), "1");
    assert_eq!(value(&two.collect(&second)), "\"two\"");
    assert_eq!(one.value("x + 1"), "2");
}

#[test]
fn requests_are_answered_while_a_cell_runs() {
    let mut kernel = Kernel::start();
    let request = kernel.send(ExecuteRequest::new(
        "println!(\"started\"); std::thread::sleep(std::time::Duration::from_secs(2)); 1"
            .to_owned(),
    ));
    kernel.wait_for("started");
    let begin = std::time::Instant::now();
    let asked = kernel.send(KernelInfoRequest {});
    assert!(matches!(kernel.reply(&asked), Content::KernelInfoReply(_)));
    let waited = begin.elapsed();
    assert_eq!(value(&kernel.collect(&request)), "1");
    assert!(
        waited < begin.elapsed() / 2,
        "the answer did not wait for the cell: {waited:?}"
    );
}

#[test]
fn a_client_with_another_key_is_not_heard() {
    let mut kernel = Kernel::start();
    let mut stranger = kernel.info.clone();
    stranger.key = "another".to_owned();
    assert!(
        !itd::client::answers(&stranger).expect("it connects"),
        "a message with a wrong signature gets no answer"
    );
    assert_eq!(kernel.run("1").status, "ok", "and does no harm");
    let complaint = kernel.stderr_after_end();
    assert!(complaint.contains("another key"), "{complaint}");
}

#[test]
fn the_heartbeat_outlives_clients_that_leave() {
    use zeromq::{ReqSocket, Socket, SocketRecv, SocketSend};
    let kernel = Kernel::start();
    let address = format!("tcp://{}:{}", kernel.info.ip, kernel.info.hb_port);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let beat = |wait: bool| {
        let address = address.clone();
        async move {
            let mut client = ReqSocket::new();
            client.connect(&address).await.expect("the port answers");
            client.send("ping".into()).await.expect("it takes a beat");
            match wait {
                true => Some(client.recv().await.expect("an echo")),
                false => None, // gone before the answer
            }
        }
    };
    runtime.block_on(async {
        for _ in 0..100 {
            beat(false).await;
            // Not even a greeting.
            let bare = std::net::TcpStream::connect((kernel.info.ip.as_str(), kernel.info.hb_port));
            drop(bare);
        }
        let echo = tokio::time::timeout(Duration::from_secs(10), beat(true)).await;
        let echo = echo.expect("it beats").expect("a message");
        assert_eq!(echo.get(0).map(|frame| &frame[..]), Some(&b"ping"[..]));
    });
}

#[test]
fn a_shutdown_request_on_the_shell_channel_is_obeyed_too() {
    let mut kernel = Kernel::start();
    let request = kernel.send(jupyter_protocol::ShutdownRequest { restart: false });
    assert!(matches!(kernel.reply(&request), Content::ShutdownReply(_)));
    let begin = std::time::Instant::now();
    while kernel
        .child
        .try_wait()
        .expect("the kernel's state")
        .is_none()
    {
        assert!(begin.elapsed() < Duration::from_secs(20), "the kernel ends");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_kernel_that_finds_a_port_taken_is_started_at_others_and_a_dead_one_is_not_waited_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = folder.path().join("first");
    let program = common::itd(&[""]).get_program().to_owned();
    // The first time, another program has the port of the last channel to be bound.
    let script = format!(
        r#"if mkdir '{first}' 2>/dev/null; then
             python3 -c 'import json, socket, subprocess, sys
taken = socket.create_server(("127.0.0.1", json.load(open(sys.argv[2]))["hb_port"]))
sys.exit(subprocess.run([sys.argv[1], "kernel", "-f", sys.argv[2]]).returncode)' '{itd}' "$0"
           else
             exec '{itd}' kernel -f "$0"
           fi"#,
        first = first.display(),
        itd = program.display(),
    );
    let mut command = std::process::Command::new("sh");
    command.args(["-c", &script]);
    let mut kernel = Kernel::start_by(command);
    assert!(first.exists(), "it was started twice");
    assert_eq!(kernel.value("1 + 1"), "2");

    let mut command = std::process::Command::new("sh");
    command.args(["-c", "echo no such luck >&2; exit 3"]);
    let begin = std::time::Instant::now();
    let started = Client::start(command, folder.path(), Duration::from_secs(60));
    let Err(error) = started else {
        panic!("a shell is no kernel");
    };
    assert_eq!(error.to_string(), "the kernel has ended: no such luck");
    assert!(begin.elapsed() < Duration::from_secs(20));
}

/// A kernel that was killed leaves its files, which keep none from being started at the same place.
#[test]
fn ports_that_are_files_are_taken_over_from_the_dead_and_removed_at_the_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let connection = folder.path().join("c.json");
    let place = folder.path().join("port");
    let info = serde_json::json!({
        "transport": "ipc", "ip": place.display().to_string(), "key": "key", "signature_scheme": "hmac-sha256",
        "shell_port": 1, "iopub_port": 2, "stdin_port": 3, "control_port": 4, "hb_port": 5,
    });
    std::fs::write(&connection, info.to_string()).expect("a file");
    let file = |port: u16| folder.path().join(format!("port-{port}"));
    let start = || {
        let mut command = common::itd(&["kernel", "-f"]);
        let kernel = command.arg(&connection).spawn().expect("itd can be run");
        let begin = std::time::Instant::now();
        while std::os::unix::net::UnixStream::connect(file(5)).is_err() {
            assert!(begin.elapsed() < Duration::from_secs(30), "it listens");
            std::thread::sleep(Duration::from_millis(20));
        }
        kernel
    };
    let mut first = start();
    first.kill().expect("it ends at once");
    first.wait().expect("its end");
    assert!(file(1).exists(), "it had no time to remove them");
    let mut second = start();
    // It answers, so that it hears signals, too.
    let mut peer = std::os::unix::net::UnixStream::connect(file(5)).expect("it listens");
    std::io::Read::read_exact(&mut peer, &mut [0]).expect("its greeting");
    std::thread::sleep(Duration::from_millis(500));
    let pid = nix::unistd::Pid::from_raw(second.id() as i32);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("it is there");
    second.wait().expect("its end");
    for port in 1..=5 {
        assert!(!file(port).exists(), "port-{port} is left");
    }
}

#[test]
fn a_front_end_that_comes_back_at_once_is_heard() {
    let kernel = Kernel::start();
    for round in 0..100 {
        for wait in [0, 1] {
            let answer = itd::client::answers_again(&kernel.info, Duration::from_millis(wait));
            assert!(answer.expect("it connects"), "round {round}, {wait} ms");
        }
    }
}

#[test]
fn a_build_can_be_interrupted_and_loses_nothing() {
    let mut kernel = Kernel::start();
    kernel.run("let kept = 1;");
    // Types that take the compiler long.
    let deep = "struct S<T>(T); fn deep() { ".to_owned()
        + &(0..3000).map(|i| format!("let v{i} = vec![{i}].iter().map(|x| x + {i}).map(|x| format!(\"{{x}}\")).collect::<Vec<_>>(); println!(\"{{v{i}:?}}\"); ")).collect::<String>()
        + "}\nlet after = 2;";
    // The compiler runs, is about to, or is not there yet.
    for wait in [1500, 20, 60, 100, 160, 250] {
        let request = kernel.send(ExecuteRequest::new(deep.clone()));
        std::thread::sleep(Duration::from_millis(wait));
        kernel.interrupt();
        let begin = std::time::Instant::now();
        let answer = kernel.collect(&request);
        assert_eq!(
            (answer.status.as_str(), answer.ename.as_str()),
            ("error", "Interrupted"),
            "{answer:?}"
        );
        let early = answer.evalue.contains("before it began");
        assert!(
            early || answer.evalue.contains("nothing is lost"),
            "{answer:?}"
        );
        println!(
            "interrupted after {wait} ms: {:?} later, {}",
            begin.elapsed(),
            answer.evalue
        );
        assert!(begin.elapsed() < Duration::from_secs(10), "after {wait} ms");
    }
    assert_eq!(kernel.value("kept"), "1");
}
