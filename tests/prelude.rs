//! The prelude's own tests: `cargo test --release` is the test of everything.

mod common;

use std::process::Command;

#[test]
fn the_tests_of_the_prelude_pass() {
    let output = Command::new(env!("CARGO"))
        .args(["test", "--release", "--workspace"])
        .current_dir(common::project().join("prelude"))
        .output()
        .expect("cargo can be run");
    let text = common::text(&output);
    assert!(output.status.success(), "{text}");
    let passed = text
        .lines()
        .filter_map(|line| line.strip_prefix("test result: ok. ")?.split(' ').next());
    let passed: usize = passed.filter_map(|count| count.parse::<usize>().ok()).sum();
    println!("{passed} tests of the prelude passed");
    assert!(passed > 0, "{text}");
}
