//! `:dep`: crates whose build scripts ask for the compiler, macros, features, paths, and what cannot be had.

mod common;

use common::client::Kernel;
use itd::client::Answer;

fn ok(answer: Answer) -> Answer {
    assert_eq!(answer.status, "ok", "{answer:?}");
    answer
}

/// A crate whose build script asks for the compiler's version and probes it, as many do.
fn asking_crate(folder: &std::path::Path) {
    std::fs::create_dir_all(folder.join("asking/src")).expect("a folder");
    let write = |name: &str, text: &str| {
        std::fs::write(folder.join("asking").join(name), text).expect("a file");
    };
    write(
        "Cargo.toml",
        "[package]\nname = \"asking\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[workspace]\n",
    );
    write(
        "build.rs",
        r#"use std::process::Command;
        fn main() {
            let rustc = std::env::var("RUSTC").unwrap();
            let output = Command::new(&rustc).arg("--version").output().unwrap();
            let version = String::from_utf8(output.stdout).unwrap();
            assert!(version.starts_with("rustc 1."), "{version}");
            println!("cargo:rustc-env=ASKED={}", version.trim());
            let out = std::env::var("OUT_DIR").unwrap();
            let probe = format!("{out}/probe.rs");
            std::fs::write(&probe, "pub fn probe() {}").unwrap();
            let probed = Command::new(&rustc)
                .args(["--crate-name=probe", "--crate-type=lib", "--emit=metadata", "--out-dir", &out, &probe])
                .status()
                .unwrap();
            assert!(probed.success());
        }"#,
    );
    write(
        "src/lib.rs",
        "pub fn asked() -> &'static str { env!(\"ASKED\") }",
    );
}

#[test]
fn a_crate_beside_the_notebook_whose_build_script_asks_for_the_compiler() {
    common::prelude();
    let folder = tempfile::tempdir().expect("a temporary folder");
    asking_crate(folder.path());
    let notebooks = folder.path().join("notebooks");
    std::fs::create_dir(&notebooks).expect("a folder");
    let cells = [
        ":dep asking = { path = \"../asking\" }\nasking::asked().starts_with(\"rustc 1.\")",
        "asking::asked().len() > 5",
    ];
    let notebook = common::notebook(&notebooks, "a.ipynb", &cells);
    // Wherever it is called from.
    let output = common::itd(&["run", "--no-html"])
        .arg(&notebook)
        .output()
        .expect("itd can be run");
    assert!(output.status.success(), "{}", common::text(&output));
    let executed = common::read_json(&notebook);
    let outputs = executed["cells"][0]["outputs"].as_array().expect("outputs");
    let result = outputs
        .iter()
        .find(|output| output["output_type"] == "execute_result");
    assert_eq!(result.expect("a result")["data"]["text/plain"][0], "true");
}

#[test]
fn crates_of_the_registry() {
    let mut kernel = Kernel::start();
    for (cell, shown) in [
        (
            ":dep libc = \"0.2\"\nlet pid = unsafe { libc::getpid() }; pid > 0",
            "true",
        ),
        (
            ":dep rand_pcg = \"0.9\"\nrand_pcg::Pcg32::new(1, 1) == rand_pcg::Pcg32::new(1, 1)",
            "true",
        ),
        (
            ":dep chrono = \"0.4\"\nchrono::NaiveDate::from_ymd_opt(2024, 2, 29).is_some()",
            "true",
        ),
        (
            ":dep ndarray = \"0.17\"\nndarray::arr2(&[[1.0, 2.0], [3.0, 4.0]]).sum()",
            "10.0",
        ),
        (
            ":dep serde = { version = \"1\", features = [\"derive\"] }\n:dep serde_json = \"1\"\n\
             #[derive(serde::Serialize)] struct S { x: i32 }\nserde_json::to_string(&S { x: 1 })?.len()",
            "7",
        ),
    ] {
        let answer = ok(kernel.run(cell));
        assert_eq!(common::client::value(&answer), shown, "{cell}");
    }
    // Its progress was to be seen, in the cell.
    let answer = ok(kernel.run("async fn later() -> i32 { 3 }\nlater().await"));
    assert_eq!(common::client::value(&answer), "3");
    assert!(answer.kinds().contains(&"display"), "{answer:?}");
}

#[test]
fn what_cannot_be_had_is_named_and_costs_nothing() {
    let mut kernel = Kernel::start();
    ok(kernel.run("let kept = 1;"));
    for (cell, what) in [
        (
            ":dep there-is-no-such-crate-as-this = \"1\"\n1",
            "there-is-no-such-crate-as-this",
        ),
        (":dep serde = \"999\"\n1", "999"),
        (":dep mine = { path = \"nowhere\" }\n1", "nowhere"),
    ] {
        let answer = kernel.run(cell);
        assert_eq!(answer.status, "error", "{cell}");
        let said = format!("{} {}", answer.evalue, answer.traceback);
        assert!(said.contains(what), "{cell}: {said}");
        assert_eq!(kernel.value("kept"), "1");
    }
}
