//! The prebuilt prelude: found when it fits, built when it does not.

mod common;

use std::path::{Path, PathBuf};

use itd::eval::prelude::{Plan, Step};
use itd::toolchain::Toolchain;

/// A crate that is named like the prelude and builds in a second.
fn small_prelude(folder: &Path) -> Plan {
    let source = folder.join("prelude");
    std::fs::create_dir_all(source.join("src")).expect("a folder");
    let manifest = "[package]\nname = \"itd-prelude\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\
                    [features]\ncuda = []\n[workspace]\n";
    std::fs::write(source.join("Cargo.toml"), manifest).expect("a manifest");
    std::fs::write(source.join("src/lib.rs"), "pub fn one() -> i32 { 1 }\n").expect("a source");
    Plan {
        source,
        cache: folder.join("cache"),
        target: Some(folder.join("target")),
        cuda: false,
        toolchain: Toolchain::find().expect("a compiler"),
    }
}

fn build(plan: &Plan) -> (PathBuf, usize) {
    let mut crates = 0;
    let built = plan.build(&mut |step| crates += usize::from(matches!(step, Step::Crate { .. })));
    (built.expect("it builds").folder().to_owned(), crates)
}

#[test]
fn a_stale_build_is_never_used() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut plan = small_prelude(folder.path());
    assert!(plan.find().expect("sources").is_none());
    let (first, crates) = build(&plan);
    assert!(crates > 0, "the build shows itself");
    assert_eq!(build(&plan), (first.clone(), 0), "what is built is used");

    std::fs::write(
        plan.source.join("src/lib.rs"),
        "pub fn one() -> i32 { 2 }\n",
    )
    .expect("a source");
    assert!(
        plan.find().expect("sources").is_none(),
        "an edited source has no build"
    );
    let (second, _) = build(&plan);
    assert_ne!(first, second);

    plan.choose_cuda(true).expect("a choice");
    assert!(
        plan.find().expect("sources").is_none(),
        "other features have no build"
    );
    plan.choose_cuda(false).expect("a choice");
    plan.toolchain.version.push_str(" and a day");
    assert!(
        plan.find().expect("sources").is_none(),
        "another compiler has no build"
    );
}

#[test]
fn a_build_that_was_broken_off_is_built_anew() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let plan = small_prelude(folder.path());
    let (first, _) = build(&plan);
    std::fs::remove_file(first.join("build.json")).expect("the manifest");
    assert!(plan.find().expect("sources").is_none());
    assert_eq!(build(&plan).0, first);
}

#[test]
fn an_error_in_the_sources_is_told() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let plan = small_prelude(folder.path());
    std::fs::write(
        plan.source.join("src/lib.rs"),
        "pub fn one() -> i32 { \"1\" }\n",
    )
    .expect("a source");
    let error = plan.build(&mut |_| {}).expect_err("it does not build");
    assert!(error.to_string().contains("mismatched types"), "{error}");
    assert!(plan.find().expect("sources").is_none());
}

#[test]
fn two_processes_build_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let plan = small_prelude(folder.path());
    let builds = std::thread::scope(|scope| {
        let both = [0, 1].map(|_| scope.spawn(|| build(&plan)));
        both.map(|one| one.join().expect("no panic"))
    });
    assert_eq!(builds[0].0, builds[1].0);
    assert!(
        builds.iter().any(|(_, crates)| *crates == 0),
        "the second one finds it done"
    );
}
