//! The program as it is called: `itd run`, `itd repl`, `itd doctor`, and what each says to bad input.

mod common;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn run(arguments: &[&str]) -> Output {
    common::itd(arguments).output().expect("itd can be run")
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// `itd` fails with exit code 2 and says `what`.
fn refused(arguments: &[&str], what: &str) {
    let output = run(arguments);
    let text = common::text(&output);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
    assert!(
        text.contains(what),
        "{arguments:?} should say {what:?}: {text}"
    );
}

#[test]
fn a_notebook_is_executed_in_place_with_a_page_beside_it() {
    common::prelude();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let cells = [
        "let x = 5;\nprint!(\"10 %\\r20 %\\n\");",
        "x * 2",
        "Markdown(\"*so*\".into())",
    ];
    let notebook = common::notebook(folder.path(), "a.ipynb", &cells);
    let output = run(&["run", path(&notebook)]);
    assert!(output.status.success(), "{}", common::text(&output));

    let executed = common::read_json(&notebook);
    assert_eq!(
        (&executed["nbformat"], &executed["nbformat_minor"]),
        (&4.into(), &5.into())
    );
    assert_eq!(executed["cells"][0]["outputs"][0]["text"][0], "20 %\n");
    assert_eq!(
        executed["cells"][1]["outputs"][0]["data"]["text/plain"][0],
        "10"
    );
    assert_eq!(executed["cells"][1]["execution_count"], 2);
    let page = std::fs::read_to_string(folder.path().join("a.html")).expect("a page");
    assert!(page.contains("<em>so</em>"), "{page}");
    assert!(
        !page.contains("http://") && !page.contains("https://"),
        "the page needs nothing else"
    );

    // What nbformat itself thinks of the file.
    let script =
        "import sys, nbformat; nbformat.validate(nbformat.read(sys.argv[1], as_version=4))";
    let python = common::environment().program("python");
    let valid = Command::new(python)
        .args(["-c", script])
        .arg(&notebook)
        .output()
        .expect("Python runs");
    assert!(valid.status.success(), "{}", common::text(&valid));
}

#[test]
fn a_failing_notebook_is_reported_and_left_as_it_was() {
    common::prelude();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let notebook = common::notebook(
        folder.path(),
        "a.ipynb",
        &["let x = 5;", "let y = 1;\npanic!(\"no {x}\");", "x"],
    );
    let before = std::fs::read(&notebook).expect("the notebook");
    let output = run(&["run", path(&notebook)]);
    let text = common::text(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for part in [
        "cell 2 of",
        "no 5",
        "cell [2]:2:1",
        "2 │ panic!",
        "is unchanged",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(std::fs::read(&notebook).expect("the notebook"), before);
    assert!(!folder.path().join("a.html").exists());

    let output = run(&["run", "--allow-errors", path(&notebook)]);
    assert_eq!(output.status.code(), Some(1));
    let executed = common::read_json(&notebook);
    assert_eq!(executed["cells"][1]["outputs"][0]["ename"], "Panic");
    assert_eq!(
        executed["cells"][2]["outputs"][0]["data"]["text/plain"][0],
        "5"
    );
}

#[test]
fn a_failing_notebook_leaves_what_it_has_shown_where_that_was_asked_for() {
    common::prelude();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let cells = ["print!(\"as far as this\");", ":quit", "1"];
    let notebook = common::notebook(folder.path(), "a.ipynb", &cells);
    let before = std::fs::read(&notebook).expect("the notebook");
    let out = folder.path().join("out");
    let arguments = ["run", "--output-dir", path(&out), path(&notebook)];
    let output = run(&arguments);
    assert_eq!(output.status.code(), Some(1), "{}", common::text(&output));
    assert!(!common::text(&output).contains("unchanged"));
    let executed = common::read_json(&out.join("a.ipynb"));
    assert_eq!(
        executed["cells"][0]["outputs"][0]["text"][0],
        "as far as this"
    );
    assert_eq!(executed["cells"][1]["outputs"][0]["ename"], "Command");
    assert_eq!(executed["cells"][2]["outputs"], serde_json::json!([]));
    assert_eq!(std::fs::read(&notebook).expect("the notebook"), before);
}

#[test]
fn a_python_notebook_is_refused_at_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let notebook = common::notebook(folder.path(), "a.ipynb", &["import os"]);
    let mut json = common::read_json(&notebook);
    json["metadata"] = serde_json::json!({"kernelspec": {
        "name": "python3", "display_name": "Python 3", "language": "python",
    }});
    std::fs::write(&notebook, json.to_string()).expect("the notebook can be written");
    let before = std::fs::read(&notebook).expect("the notebook");
    refused(&["run", path(&notebook)], "a notebook for python");
    assert_eq!(std::fs::read(&notebook).expect("the notebook"), before);
}

#[test]
fn ctrl_c_ends_the_whole_run() {
    common::prelude();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let long = "println!(\"started\"); loop { itd_prelude::cell::interrupted().then(|| panic!(\"stopped\")); \
                std::thread::sleep(std::time::Duration::from_millis(10)); }";
    let first = common::notebook(folder.path(), "a.ipynb", &[long, "2"]);
    let second = common::notebook(folder.path(), "b.ipynb", &["1"]);
    let before = std::fs::read(&first).expect("the notebook");
    let mut running = common::itd(&["run", "-v", "--allow-errors", path(&first), path(&second)])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("itd can be run");
    let mut out = std::io::BufReader::new(running.stdout.take().expect("its output"));
    let mut line = String::new();
    while !line.contains("started") {
        line.clear();
        let count = std::io::BufRead::read_line(&mut out, &mut line).expect("it prints");
        assert!(count > 0, "the cell starts");
    }
    let pid = nix::unistd::Pid::from_raw(running.id() as i32);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).expect("it lives");
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut out, &mut rest).expect("it prints");
    let status = running.wait().expect("it ends");
    assert_eq!(status.code(), Some(130), "{rest}");
    assert!(!rest.contains("b.ipynb"), "{rest}");
    // What was not run would have lost its outputs.
    assert_eq!(std::fs::read(&first).expect("the notebook"), before);
}

#[test]
fn two_notebooks_in_one_place_are_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let of = |name: &str| {
        let own = folder.path().join(name);
        std::fs::create_dir(&own).expect("a folder");
        common::notebook(&own, "a.ipynb", &["1"])
    };
    let (first, second, out) = (of("one"), of("two"), folder.path().join("out"));
    for command in ["run", "convert"] {
        let mut arguments = vec![
            command,
            "--output-dir",
            path(&out),
            path(&first),
            path(&second),
        ];
        if command == "convert" {
            arguments.extend(["--to", "html"]);
        }
        refused(&arguments, "would both be written to");
    }
    assert_eq!(std::fs::read_dir(&out).map_or(0, Iterator::count), 0);
}

#[test]
fn text_that_comes_in_pieces_is_one_line() {
    common::prelude();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let cell = "for i in 0..3 { print!(\"{i} \"); std::thread::sleep(std::time::Duration::from_millis(150)); }";
    let notebook = common::notebook(folder.path(), "a.ipynb", &[cell]);
    let output = run(&["run", "-v", "--no-html", path(&notebook)]);
    let text = common::text(&output);
    assert!(text.contains("\n0 1 2 \n"), "{text}");
}

#[test]
fn tags_are_obeyed() {
    common::prelude();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let notebook = common::notebook(
        folder.path(),
        "a.ipynb",
        &["panic!(\"wanted\")", "panic!(\"never\")", "1"],
    );
    let mut json = common::read_json(&notebook);
    json["cells"][0]["metadata"]["tags"] = serde_json::json!(["raises-exception"]);
    json["cells"][1]["metadata"]["tags"] = serde_json::json!(["skip-execution"]);
    let kept =
        serde_json::json!([{"output_type": "stream", "name": "stdout", "text": ["long ago\n"]}]);
    json["cells"][1]["outputs"] = kept.clone();
    std::fs::write(&notebook, json.to_string()).expect("the notebook can be written");
    let output = run(&["run", "--no-html", path(&notebook)]);
    assert!(output.status.success(), "{}", common::text(&output));
    let executed = common::read_json(&notebook);
    assert_eq!(executed["cells"][0]["outputs"][0]["ename"], "Panic");
    assert_eq!(executed["cells"][1]["outputs"], kept);
    assert_eq!(
        executed["cells"][2]["outputs"][0]["data"]["text/plain"][0],
        "1"
    );
}

#[test]
fn what_is_no_notebook_is_refused_and_left_as_it_was() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("a.ipynb");
    let good = std::fs::read_to_string(common::notebook(folder.path(), "good.ipynb", &["1"]))
        .expect("a notebook");
    for (content, what) in [
        ("{\"cells\": [".to_owned(), "not JSON"),
        ("{}".to_owned(), "no `nbformat`"),
        (
            good.replace("\"code\"", "\"video\""),
            "cell 1 has the type \"video\"",
        ),
    ] {
        std::fs::write(&file, &content).expect("a file");
        refused(&["run", path(&file)], what);
        assert_eq!(std::fs::read_to_string(&file).expect("the file"), content);
    }
    refused(
        &["run", path(&folder.path().join("missing.ipynb"))],
        "missing.ipynb",
    );
}

#[test]
fn outputs_that_cannot_be_written_are_noticed_before_the_work() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let notebook = common::notebook(folder.path(), "a.ipynb", &["1"]);
    // A folder that is missing is made, unless a file stands where it should be.
    let below = notebook.join("folder");
    refused(
        &["run", "--output-dir", path(&below), path(&notebook)],
        "cannot be made",
    );
    // /proc takes no files, from nobody.
    refused(
        &["run", "--output-dir", "/proc", path(&notebook)],
        "cannot be written",
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_device_loses_nothing() {
    common::prelude();
    // A file system of 256 KiB, if this user may mount one.
    let folder = tempfile::tempdir().expect("a temporary folder");
    let small = folder.path().join("small");
    std::fs::create_dir(&small).expect("a folder");
    let notebook = common::notebook(
        folder.path(),
        "a.ipynb",
        &[
            "\"x\".repeat(400_000)",
            "println!(\"{}\", \"x\".repeat(400_000));",
        ],
    );
    let script = r#"mount -t tmpfs -o size=256k tmpfs "$1" && cp "$2" "$1/a.ipynb" && "$3" run "$1/a.ipynb"
        code=$?; cmp "$2" "$1/a.ipynb" && ls -A "$1"; exit $code"#;
    let output = Command::new("unshare")
        .args([
            "--mount",
            "--map-root-user",
            "sh",
            "-c",
            script,
            "sh",
            path(&small),
            path(&notebook),
        ])
        .arg(common::program())
        .output();
    let Ok(output) = output else {
        println!("skipped: no unshare on this machine");
        return;
    };
    let text = common::text(&output);
    if text.contains("unshare:") || text.contains("mount:") {
        println!("skipped: this user may not mount: {text}");
        return;
    }
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(
        text.contains("No space left on device") && text.contains("unchanged"),
        "{text}"
    );
    let listed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(
        listed.lines().last(),
        Some("a.ipynb"),
        "only the notebook is there: {text}"
    );
}

#[test]
fn bad_connection_files_are_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("connection.json");
    refused(&["kernel", "-f", path(&file)], "cannot be read");
    for (content, what) in [
        ("not json", "not JSON"),
        ("{\"key\": 7}", "`key` is 7"),
        (
            "{\"key\": \"k\", \"signature_scheme\": \"hmac-md5\"}",
            "only hmac-sha256",
        ),
        (
            "{\"key\": \"\", \"signature_scheme\": \"hmac-sha256\"}",
            "missing field",
        ),
    ] {
        std::fs::write(&file, content).expect("a file");
        refused(&["kernel", "-f", path(&file)], what);
    }
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("connection.json");
    let content = serde_json::json!({
        "ip": "127.0.0.1", "transport": "tcp", "key": "k", "signature_scheme": "hmac-sha256", "hb_port": port,
        "shell_port": port, "iopub_port": port, "stdin_port": port, "control_port": port,
    });
    std::fs::write(&file, content.to_string()).expect("a file");
    refused(&["kernel", "-f", path(&file)], &format!("port {port}"));
}

/// A folder with programs that stand in for the Rust toolchain.
fn false_tools(rustc: &str) -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, script) in [("rustup", "exit 1"), ("rustc", rustc), ("cargo", "exit 1")] {
        let file = folder.path().join(name);
        std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).expect("a script");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755))
            .expect("it can be run");
    }
    folder
}

#[test]
fn a_missing_or_old_compiler_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let notebook = common::notebook(folder.path(), "a.ipynb", &["1"]);
    let before = std::fs::read(&notebook).expect("the notebook");
    let empty = tempfile::tempdir().expect("a temporary folder");
    let old = false_tools("echo 'rustc 1.60.0 (x)'; echo 'release: 1.60.0'");
    for (tools, what) in [
        (empty.path(), "no Rust compiler found"),
        (old.path(), "rustc 1.60.0 (x) is too old"),
    ] {
        let output = common::itd(&["run", path(&notebook)])
            .env("PATH", tools)
            .output()
            .expect("itd can be run");
        let text = common::text(&output);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains(what), "{text}");
        assert_eq!(std::fs::read(&notebook).expect("the notebook"), before);
        let output = common::itd(&["doctor"])
            .env("PATH", tools)
            .output()
            .expect("itd can be run");
        assert_eq!(output.status.code(), Some(1));
        assert!(
            common::text(&output).contains(what),
            "{}",
            common::text(&output)
        );
    }
}

#[test]
fn a_file_that_chooses_a_compiler_is_named_when_it_cannot_be_used() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let notebook = common::notebook(folder.path(), "a.ipynb", &["1"]);
    let choice = folder.path().join("rust-toolchain.toml");
    std::fs::write(&choice, "[toolchain]\nchannel = \"1.60.0\"\n").expect("a file");
    let missing = false_tools("echo \"error: toolchain '1.60.0' is not installed\" >&2; exit 1");
    let old = false_tools("echo 'rustc 1.60.0 (x)'; echo 'release: 1.60.0'");
    for (tools, what) in [
        (missing.path(), "toolchain '1.60.0' is not installed"),
        (old.path(), "rustc 1.60.0 (x)"),
    ] {
        let output = common::itd(&["run", path(&notebook)])
            .current_dir(folder.path())
            .env("PATH", tools)
            .output()
            .expect("itd can be run");
        let text = common::text(&output);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(
            text.contains(what) && text.contains("rust-toolchain.toml"),
            "{text}"
        );
    }
}

/// `cargo run` names its target folder in LD_LIBRARY_PATH, where the prelude of other sources may lie; and a
/// folder for temporary files may be anywhere.
#[test]
fn cells_load_their_own_libraries_wherever_they_are() {
    common::prelude();
    let home = dirs::home_dir().expect("a home");
    let folder = tempfile::tempdir_in(home).expect("a folder in it");
    std::fs::write(folder.path().join("libitd_prelude.so"), "another").expect("a file");
    let cell = "check!((Estimate::exact(1.0).bits() - 1.4427).abs() < 1e-4);";
    let notebook = common::notebook(folder.path(), "a.ipynb", &[cell]);
    let output = common::itd(&["run", path(&notebook)])
        .env("LD_LIBRARY_PATH", folder.path())
        .env("TMPDIR", folder.path())
        .output()
        .expect("itd can be run");
    assert!(output.status.success(), "{}", common::text(&output));
}

#[test]
fn the_doctor_finds_all_that_is_needed() {
    common::environment();
    let output = run(&["doctor"]);
    let text = common::text(&output);
    assert!(output.status.success(), "{text}");
    for what in [
        "compiler",
        "shared libstd",
        "linker",
        "Python",
        "kernel",
        "prelude",
        "CUDA",
    ] {
        assert!(text.contains(what), "{what}: {text}");
    }
}

/// As with other programs, `itd doctor | head -1` ends without a word.
#[test]
fn a_reader_that_goes_away_ends_a_command_quietly() {
    for (arguments, code) in [(&["doctor"][..], 141), (&["help", "run"], 0)] {
        let mut command = common::itd(arguments);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("itd can be run");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("its end");
        assert_eq!(common::text(&output), "", "{arguments:?}");
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
    }
}

/// What is not there is named with the command that brings it, on a line of its own.
#[test]
fn the_doctor_names_the_command_that_mends() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let empty = tempfile::tempdir().expect("a temporary folder");
    // A path with some programs only, a home without anything, and nothing built.
    let told = |programs: &[&str], scripts: &[(&str, &str)], kernel: Option<&str>| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = std::env::var_os("PATH").unwrap_or_default();
        for program in programs {
            let mut places = std::env::split_paths(&path).map(|place| place.join(program));
            if let Some(place) = places.find(|place| place.is_file()) {
                symlink(place, folder.path().join(program)).expect("a link");
            }
        }
        for (name, script) in scripts {
            let file = folder.path().join(name);
            std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).expect("a script");
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755))
                .expect("it can be run");
        }
        let data = folder.path().join("data");
        if let Some(program) = kernel {
            let place = data.join("kernels/itd");
            std::fs::create_dir_all(&place).expect("a folder");
            let spec = format!("{{\"argv\": [\"{program}\"]}}");
            std::fs::write(place.join("kernel.json"), spec).expect("a specification");
        }
        let output = common::itd(&["doctor"])
            .env("PATH", folder.path())
            .env("JUPYTER_DATA_DIR", data)
            .env("ITD_CACHE", empty.path())
            .env_remove("VIRTUAL_ENV")
            .output()
            .expect("itd can be run");
        common::text(&output)
    };
    let apt = ("apt-get", "exit 0");
    let rust = ["rustup", "rustc", "cargo", "cc", "sh"];
    let text = told(&["cc"], &[apt], None);
    assert!(
        text.contains("no Rust compiler found")
            && text.contains("$ curl")
            && text.contains("sh.rustup.rs"),
        "{text}"
    );
    let text = told(&[], &[apt], None);
    assert!(
        text.contains("$ sudo apt-get install --yes gcc libc6-dev"),
        "{text}"
    );
    assert!(
        text.contains("$ sudo apt-get install --yes python3 python3-venv"),
        "{text}"
    );
    assert!(
        text.contains("not known to Jupyter") && text.contains("$ itd install\n"),
        "{text}"
    );
    let old = ("rustc", "echo 'rustc 1.60.0 (x)'; echo 'release: 1.60.0'");
    let text = told(&["cc"], &[("cargo", "exit 1"), old], None);
    assert!(
        text.contains("too old") && text.contains("$ rustup update stable"),
        "{text}"
    );
    let empty = "echo 'error: no default is configured' >&2; exit 1";
    let text = told(&["cc"], &[("cargo", empty), ("rustc", empty)], None);
    assert!(text.contains("$ rustup default stable"), "{text}");
    let text = told(
        &rust,
        &[
            apt,
            (
                "python3",
                "case \"$2\" in *venv*) exit 1;; *) echo 3 11;; esac",
            ),
        ],
        None,
    );
    assert!(
        text.contains("not built for this compiler") && text.contains("$ itd prelude build"),
        "{text}"
    );
    assert!(
        text.contains("has no venv") && text.contains("$ sudo apt-get install --yes python3-venv"),
        "{text}"
    );
    let text = told(&rust, &[], Some("/no/such/itd"));
    assert!(
        text.contains("starts /no/such/itd, which is gone") && text.contains("$ itd install\n"),
        "{text}"
    );
}

/// What is updated is printed once, in its last state, where no terminal can replace it; loaded code runs.
#[test]
fn the_repl_prints_the_last_state_and_runs_what_is_loaded() {
    common::prelude();
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("setup.rs"), "let loaded = 41;\n").expect("a file");
    let mut repl = common::itd(&["repl"])
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("itd can be run");
    let input = "%load setup.rs\nloaded + 1\n\
        { let mut bar = itd_prelude::progress::Progress::new(\"counting\", 3); for _ in 0..3 { bar.step()?; } bar.finish(); }\n";
    let mut stdin = repl.stdin.take().expect("a pipe");
    stdin.write_all(input.as_bytes()).expect("it reads");
    drop(stdin);
    let output = repl.wait_with_output().expect("it ends");
    let text = common::text(&output);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("42"), "{text}");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains("3/3"), "{text}");
    assert_eq!(stdout.matches("counting").count(), 1, "{text}");
}

#[test]
fn the_repl_reads_lines_until_a_cell_is_whole_and_saves_figures() {
    common::prelude();
    let mut repl = common::itd(&["repl"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("itd can be run");
    let input = "let x = 20;\nfn twice(n: i32) -> i32 {\n    n * 2\n}\ntwice(x) + 2\nnope\nx\n\
                 if x == 1 {\n    1\n}\nelse {\n    2\n}\nvec![1, 2]\n    .iter()\n    .sum::<i32>()\n\
                 digits()?.train.sample(2, 3, 0)\n:quit\n";
    repl.stdin
        .take()
        .expect("its input")
        .write_all(input.as_bytes())
        .expect("it reads");
    let output = repl.wait_with_output().expect("it ends");
    let text = common::text(&output);
    assert_eq!(output.status.code(), Some(1), "a cell has failed: {text}");
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(out.starts_with("42\n20\n2\n3\n"), "{text}");
    assert!(text.contains("cannot find value `nope`"), "{text}");
    let figure = out
        .split(" → ")
        .nth(1)
        .expect("the path of a figure")
        .trim();
    let content = std::fs::read(figure).expect("the figure");
    assert!(
        content.starts_with(b"\x89PNG") || content.starts_with(b"<svg"),
        "{figure}"
    );
    let _ = std::fs::remove_dir_all(Path::new(figure).parent().expect("its folder"));
}

#[test]
fn kernels_are_installed_and_removed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let prefix = path(folder.path());
    let output = run(&["install", "--prefix", prefix, "--name", "itd-test"]);
    assert!(output.status.success(), "{}", common::text(&output));
    let spec = common::read_json(
        &folder
            .path()
            .join("share/jupyter/kernels/itd-test/kernel.json"),
    );
    assert_eq!(spec["argv"][0], path(common::program()));
    assert!(
        run(&["uninstall", "--prefix", prefix, "--name", "itd-test"])
            .status
            .success()
    );
    refused(
        &["uninstall", "--prefix", prefix, "--name", "itd-test"],
        "nothing to remove",
    );
}

/// The outputs of a cell of an executed notebook.
fn outputs(notebook: &Path, cell: usize) -> serde_json::Value {
    common::read_json(notebook)["cells"][cell]["outputs"].clone()
}

fn tag(notebook: &Path, cell: usize, tag: &str) {
    let mut json = common::read_json(notebook);
    json["cells"][cell]["metadata"]["tags"] = serde_json::json!([tag]);
    std::fs::write(notebook, json.to_string()).expect("the notebook can be written");
}

#[test]
fn parameters_take_the_place_of_defaults() {
    common::prelude();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let cells = [
        "let epochs: usize = 5;\nlet rate = 0.1;\nlet name = \"a\".to_owned();",
        "(epochs, rate, name)",
    ];
    let notebook = common::notebook(folder.path(), "a.ipynb", &cells);
    tag(&notebook, 0, "parameters");
    let given = ["-p", "epochs=3", "-p", "rate=2", "-p", "name=b c"];
    for _ in 0..2 {
        let output = run(&[&["run", "--no-html", path(&notebook)], &given[..]].concat());
        assert!(output.status.success(), "{}", common::text(&output));
        let executed = common::read_json(&notebook);
        assert_eq!(executed["cells"].as_array().map(Vec::len), Some(3), "once");
        assert_eq!(
            outputs(&notebook, 2)[0]["data"]["text/plain"][0],
            "(3, 2.0, \"b c\")"
        );
        let tags = &executed["cells"][1]["metadata"]["tags"];
        assert_eq!(tags, &serde_json::json!(["injected-parameters"]));
    }
    let before = std::fs::read(&notebook).expect("the notebook");
    refused(
        &["run", path(&notebook), "-p", "epoch=3"],
        "declares: epochs, rate, name",
    );
    refused(
        &["run", path(&notebook), "-p", "epochs=0.5"],
        "is not a whole number",
    );
    refused(&["run", path(&notebook), "-p", "epochs"], "NAME=VALUE");
    assert_eq!(std::fs::read(&notebook).expect("the notebook"), before);
}

#[test]
fn a_check_finds_a_changed_number_and_accepts_a_changed_time() {
    common::prelude();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let cells = [
        "let begin = std::time::Instant::now();\nprintln!(\"loss 0.5200\");\nprintln!(\"took {:?}\", begin.elapsed());",
        "5",
        "std::process::id()",
    ];
    let notebook = common::notebook(folder.path(), "a.ipynb", &cells);
    tag(&notebook, 2, "nbval-ignore-output");
    assert!(run(&["run", "--no-html", path(&notebook)]).status.success());
    let committed = std::fs::read_to_string(&notebook).expect("the notebook");
    let check = |more: &[&str]| run(&[&["run", "--check", path(&notebook)], more].concat());
    let output = check(&[]);
    let text = common::text(&output);
    assert!(
        output.status.success() && text.contains("outputs are as they were"),
        "{text}"
    );
    assert_eq!(
        std::fs::read_to_string(&notebook).expect("the notebook"),
        committed,
        "nothing is written"
    );
    assert!(!folder.path().join("a.html").exists());

    std::fs::write(
        &notebook,
        committed.replace("loss 0.5200\\n", "loss 0.5201\\n"),
    )
    .expect("a notebook");
    let output = check(&[]);
    let text = common::text(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("cell 1: standard output, line 1: was `loss 0.5201`, is `loss 0.5200`"),
        "{text}"
    );
    assert!(check(&["--tolerance", "1e-3"]).status.success());
}

#[test]
fn several_notebooks_run_at_once() {
    common::prelude();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let make = |name: &str, cell: &str| common::notebook(folder.path(), name, &[cell]);
    let (a, b, c) = (
        make("a.ipynb", "1 + 1"),
        make("b.ipynb", "panic!(\"no\")"),
        make("c.ipynb", "x"),
    );
    tag(&c, 0, "raises-exception");
    let output = run(&[
        "run",
        "-j",
        "3",
        "--to",
        "ipynb",
        path(&a),
        path(&b),
        path(&c),
    ]);
    let text = common::text(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("cell 1 of") && text.contains("b.ipynb is unchanged"),
        "{text}"
    );
    assert_eq!(outputs(&a, 0)[0]["data"]["text/plain"][0], "2");
    assert_eq!(outputs(&c, 0)[0]["ename"], "CompileError");
    assert!(!folder.path().join("a.html").exists());
}

#[test]
fn an_interrupt_ends_all_that_run_at_once() {
    common::prelude();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let long = "std::fs::write(FILE, \"\")?; while !itd_prelude::cell::interrupted() { \
                std::thread::sleep(std::time::Duration::from_millis(10)); } panic!(\"stopped\")";
    let mut command = common::itd(&["run", "--jobs", "2", "--no-html"]);
    let signs = ["a", "b"].map(|name| folder.path().join(name));
    for sign in &signs {
        let cell = long.replace("FILE", &format!("{:?}", path(sign)));
        let name = format!("{}.ipynb", path(sign));
        command.arg(common::notebook(folder.path(), &name, &[&cell]));
    }
    let running = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let running = running.expect("itd can be run");
    let begin = std::time::Instant::now();
    while !signs.iter().all(|sign| sign.exists()) {
        assert!(begin.elapsed().as_secs() < 90, "both cells start");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let pid = nix::unistd::Pid::from_raw(running.id() as i32);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).expect("it lives");
    let output = running.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130), "{}", common::text(&output));
}

#[test]
fn a_cell_has_only_so_much_time() {
    common::prelude();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let long = "let mut rounds = 0_u64; while !itd_prelude::cell::interrupted() { rounds += 1; }\nrounds > 0";
    let notebook = common::notebook(folder.path(), "a.ipynb", &["let kept = 7;", long, "kept"]);
    let output = run(&[
        "run",
        "--no-html",
        "--allow-errors",
        "--timeout",
        "3",
        path(&notebook),
    ]);
    let text = common::text(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("Timeout: the cell has not ended within 3 s"),
        "{text}"
    );
    let failed = outputs(&notebook, 1);
    assert_eq!(
        failed
            .as_array()
            .and_then(|all| all.last())
            .map(|last| &last["ename"]),
        Some(&"Timeout".into())
    );
    assert_eq!(
        outputs(&notebook, 2)[0]["data"]["text/plain"][0],
        "7",
        "variables live on"
    );
    refused(&["run", "--timeout", "0", path(&notebook)], "above 0");
}

#[test]
fn a_script_is_executed_and_written_in_several_formats() {
    common::prelude();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let script = folder.path().join("a.rs");
    let text = "// %% [markdown]\n// # Title\n\n// %% tags=[\"parameters\"]\nlet n = 2;\n\n// %%\nprintln!(\"<{n}>\");\nn + 1\n";
    std::fs::write(&script, text).expect("a script");
    let output = run(&["run", "--to", "ipynb,html,md", "-p", "n=5", path(&script)]);
    assert!(output.status.success(), "{}", common::text(&output));
    let read = |ending: &str| std::fs::read_to_string(script.with_extension(ending)).expect(ending);
    assert_eq!(
        outputs(&script.with_extension("ipynb"), 3)[1]["data"]["text/plain"][0],
        "6"
    );
    assert!(
        read("md").contains("# Title") && read("md").contains("```text\n<5>\n```"),
        "{}",
        read("md")
    );
    assert!(read("html").contains("&lt;5&gt;"));
    assert_eq!(read("rs"), text, "the script is as it was");
    let convert = |arguments: &[&str]| run(&[&["convert"], arguments].concat());
    let notebook = script.with_extension("ipynb");
    assert!(
        convert(&[
            "--to",
            "rs,md",
            "--output-dir",
            path(&folder.path().join("out")),
            path(&notebook)
        ])
        .status
        .success()
    );
    let back = std::fs::read_to_string(folder.path().join("out/a.rs")).expect("a script");
    assert!(
        back.contains("// %% tags=[\"injected-parameters\"]\n// Parameters\nlet n = 5;"),
        "{back}"
    );
    refused(&["run", "--to", "rs", path(&script)], "is a .rs already");
    refused(
        &["convert", "--to", "rs", path(&script)],
        "is a .rs already",
    );
    // By whatever name its place goes.
    let around = folder.path().join("out/..");
    refused(
        &[
            "convert",
            "--to",
            "rs",
            "--output-dir",
            path(&around),
            path(&script),
        ],
        "is a .rs already",
    );
    let twice = around.join("a.ipynb");
    refused(
        &["run", "--to", "ipynb", path(&script), path(&twice)],
        "would both be written to",
    );
    assert_eq!(read("rs"), text, "the script is as it was");
    refused(
        &["convert", "--to", "video", path(&script)],
        "possible values",
    );
}
