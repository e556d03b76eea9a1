//! Puts the prelude's sources into the program, so that it can build the prelude where its clone is not.
//!
//! They are read from `sources`, which holds links to what `Plan` hashes: the manifests, the lock file and the sources
//! of each of its crates. Cargo leaves a folder with a `Cargo.toml` out of a package; these have no file of that name.

use std::fmt::Write;
use std::path::{Path, PathBuf};

fn main() {
    let sources = Path::new(&std::env::var("CARGO_MANIFEST_DIR").expect("cargo names the folder"))
        .join("sources");
    let mut files = Vec::new();
    collect(&sources, &mut files);
    files.sort();
    let mut code = String::from("&[\n");
    for file in &files {
        let name = file.strip_prefix(&sources).unwrap_or(file);
        // Clones that share a target folder have this file in common, so it names none of them.
        let place = Path::new("/sources").join(name);
        let name = match name.ends_with("manifest.toml") {
            true => name.with_file_name("Cargo.toml"),
            false => name.to_owned(),
        };
        let whole = format!("concat!(env!(\"CARGO_MANIFEST_DIR\"), {place:?})");
        let _ = writeln!(code, "({name:?}, include_bytes!({whole})),");
    }
    code.push_str("]\n");
    let out = PathBuf::from(std::env::var("OUT_DIR").expect("cargo names the folder"));
    std::fs::write(out.join("prelude_sources.rs"), code)
        .expect("the build folder can be written to");
    // With all that is below it, through its links.
    println!("cargo::rerun-if-changed=sources");
    println!("cargo::rerun-if-changed=build.rs");
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => collect(&path, files),
            path => files.push(path),
        }
    }
}
