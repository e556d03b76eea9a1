//! evcxr's own evaluator, which its REPL and evcxr_jupyter stand on, with the files that `itd evcxr-config` writes.
//! A program of its own, since evcxr starts it again for its cells.

mod common;

use std::error::Error;

use evcxr::CommandContext;

fn main() -> Result<(), Box<dyn Error>> {
    evcxr::runtime_hook();
    let name = "evcxrs_own_front_ends_have_the_prelude";
    let wanted = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    if wanted.is_some_and(|wanted| !name.contains(&wanted)) {
        return Ok(());
    }
    common::prelude();
    let folder = tempfile::tempdir()?;
    // evcxr's analyzer is content without the sources of the standard library, and has rustup get none.
    let sources = folder.path().join("library/core/src");
    std::fs::create_dir_all(&sources)?;
    std::fs::write(sources.join("lib.rs"), "")?;
    // SAFETY: there is no other thread yet.
    unsafe {
        std::env::set_var("RUST_SRC_PATH", folder.path().join("library"));
        std::env::set_var("EVCXR_CONFIG_DIR", folder.path().join("a folder"));
    }
    let output = common::itd(&["evcxr-config"]).output()?;
    assert!(output.status.success(), "{}", common::text(&output));

    let (mut context, outputs) = CommandContext::new()?;
    std::thread::spawn(move || outputs.stderr.iter().for_each(|line| eprintln!("{line}")));
    std::thread::spawn(move || outputs.stdout.iter().for_each(|line| println!("{line}")));
    context.execute(":load_config --quiet")?;
    for (cell, shows) in [
        ("let n: usize = digits()?.train.len();", None),
        ("n", Some("1")),
        (
            "check!(close(Gaussian::standard(2)?.entropy()?.nats, 2.8379, 1e-4)); n > 1000",
            Some("true"),
        ),
        ("digits()?.train.take(6)?.tiles(1, 6)", Some("")),
    ] {
        let value = context
            .execute(cell)
            .map_err(|error| format!("{cell}\n{error}"))?;
        let text = value.get("text/plain").map(|text| text.trim().to_owned());
        let good = shows.is_none_or(|shows| text.is_some_and(|text| text.starts_with(shows)));
        assert!(good, "{cell}: {value:?}");
    }

    let output = common::itd(&["evcxr-config", "--remove"]).output()?;
    assert!(output.status.success(), "{}", common::text(&output));
    assert_eq!(
        std::fs::read_dir(folder.path().join("a folder"))?.count(),
        0
    );
    println!("test {name} ... ok");
    Ok(())
}
