//! Puts the prelude's sources into the program, so that it can build the prelude where its clone is not: what
//! `Plan` hashes, the manifests, the lock file and the sources of each of its crates.

use std::fmt::Write;
use std::path::{Path, PathBuf};

fn main() {
    let prelude = Path::new(&std::env::var("CARGO_MANIFEST_DIR").expect("cargo names the folder"))
        .join("prelude");
    let mut files = Vec::new();
    let mut watched = Vec::new();
    for folder in ["", "cell", "files", "kernels"] {
        let folder = prelude.join(folder);
        watched.push(folder.join("src"));
        let manifests = ["Cargo.toml", "Cargo.lock", "build.rs"].map(|name| folder.join(name));
        files.extend(manifests.into_iter().filter(|file| file.is_file()));
        collect(&folder.join("src"), &mut files);
    }
    files.sort();
    let mut code = String::from("&[\n");
    for file in &files {
        let name = file.strip_prefix(&prelude).unwrap_or(file);
        let _ = writeln!(code, "({name:?}, include_bytes!({file:?})),");
    }
    code.push_str("]\n");
    let out = PathBuf::from(std::env::var("OUT_DIR").expect("cargo names the folder"));
    std::fs::write(out.join("prelude_sources.rs"), code)
        .expect("the build folder can be written to");
    // Folders as well, since files may come and go.
    for path in watched.iter().chain(&files) {
        println!("cargo::rerun-if-changed={}", path.display());
    }
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
