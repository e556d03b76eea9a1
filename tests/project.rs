//! Promises about the project's own files.

mod common;

use std::collections::BTreeMap;

/// In which order the modules stand: one may import only what stands before it.
const ORDER: &[&[&str]] = &[
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
