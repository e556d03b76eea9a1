//! Promises about the project's own files.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

/// In which order the modules stand: one may import only what stands before it.
const ORDER: &[&[&str]] = &[
    &["folder"],
    &["frame", "disk", "toolchain", "install", "history"],
    &["reply", "python"],
    &["prelude", "cell", "client"],
    &["analysis"],
    &["session"],
    &["kernel", "notebook", "console", "terminal", "doctor"],
    &["course", "repl", "cli"],
    &["runner", "bench", "tool", "site"],
];

#[test]
fn modules_import_only_what_stands_before_them() {
    let level = |module: &str| ORDER.iter().position(|level| level.contains(&module));
    let mut wrong = Vec::new();
    let mut folders = vec![common::project().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let relative = path
                .strip_prefix(common::project().join("src"))
                .expect("below src");
            let first = relative
                .components()
                .next()
                .expect("a name")
                .as_os_str()
                .to_string_lossy()
                .into_owned();
            let module = first.trim_end_matches(".rs").to_owned();
            if ["lib", "main"].contains(&module.as_str())
                || path.extension().is_none_or(|e| e != "rs")
            {
                continue;
            }
            let own = level(&module).unwrap_or_else(|| panic!("{module} has no place in ORDER"));
            let text = std::fs::read_to_string(&path).expect("a source");
            for used in text.split("crate::").skip(1) {
                let name: String = used
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect();
                let allowed = name == module || level(&name).is_none_or(|other| other < own);
                if !allowed {
                    wrong.push(format!("{} imports {name}", relative.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn both_environments_pin_the_same_packages() {
    let pins = |name: &str| -> BTreeMap<String, String> {
        let text = std::fs::read_to_string(common::project().join(name)).expect(name);
        let lines = text
            .lines()
            .map(|line| line.trim().trim_start_matches("- "));
        let pins = lines
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.split_once("=="));
        pins.map(|(package, version)| (package.to_lowercase(), version.to_owned()))
            .collect()
    };
    let requirements = pins("requirements.txt");
    assert!(requirements.contains_key("nbconvert") && requirements.contains_key("jupyterlab"));
    assert_eq!(requirements, pins("environment.yml"));
}

#[test]
fn nothing_committed_names_a_path_of_this_machine() {
    let listed = std::process::Command::new("git")
        .args(["ls-files"])
        .current_dir(common::project())
        .output();
    let Some(listed) = listed.ok().filter(|listed| listed.status.success()) else {
        println!("skipped: not a git checkout");
        return;
    };
    let here = common::project().display().to_string();
    let files = String::from_utf8_lossy(&listed.stdout).into_owned();
    let naming: Vec<_> = files
        .lines()
        .filter(|name| {
            std::fs::read_to_string(common::project().join(name))
                .is_ok_and(|text| text.contains(&here))
        })
        .collect();
    assert!(naming.is_empty(), "{naming:?} name {here}");
}

/// By cargo's own list: what is compiled, what is embedded, and what `include_str!` and its like name.
#[test]
fn a_package_holds_what_the_program_is_built_from() {
    let listed = std::process::Command::new(env!("CARGO"))
        .args(["package", "--list", "--allow-dirty", "--offline"])
        .current_dir(common::project())
        .output()
        .expect("cargo can be run");
    assert!(listed.status.success(), "{}", common::text(&listed));
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let listed: BTreeSet<&str> = listed.lines().collect();

    let names = regex::Regex::new(r#"(?:include_str!\(|include_bytes!\(|#\[path = )"([^"]+)""#)
        .expect("a pattern");
    let mut missing = Vec::new();
    let mut paths = ["build.rs", "src", "sources"].map(PathBuf::from).to_vec();
    while let Some(path) = paths.pop() {
        let place = common::project().join(&path);
        if place.is_dir() {
            let entries = std::fs::read_dir(&place).expect("a folder").flatten();
            paths.extend(entries.map(|entry| path.join(entry.file_name())));
            continue;
        }
        if !listed.contains(&*path.to_string_lossy()) {
            missing.push(path.clone());
        }
        let text = std::fs::read_to_string(&place).unwrap_or_default();
        let code = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        let text = code.collect::<Vec<_>>().join("\n");
        let inside = path.starts_with("src");
        for named in names.captures_iter(&text).filter(|_| inside) {
            let named = plain(&path.with_file_name("").join(&named[1]));
            if !listed.contains(&*named.to_string_lossy()) {
                missing.push(named);
            }
        }
    }
    assert!(missing.is_empty(), "{missing:?}");
}

/// Without `..`, whatever links lie on the way.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}
