//! The order of the modules is a law: this table is it. Whoever changes the architecture changes the table.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What each module may import. A module may always import from itself.
const LAW: &[(&str, &[&str])] = &[
    // Leaves, from the bottom up.
    ("units", &[]),
    ("stats", &[]),
    ("device", &[]),
    ("estimate", &["units"]),
    // In the order in which data flows.
    ("data", &["LEAVES"]),
    ("channel", &["LEAVES"]),
    ("logsnr", &["LEAVES", "data"]),
    ("schedule", &["LEAVES"]),
    ("denoiser", &["LEAVES", "data", "channel", "schedule"]),
    ("net", &["LEAVES", "data", "channel", "schedule"]),
    ("mmse", &["LEAVES", "data", "channel", "logsnr", "net"]),
    ("integral", &["LEAVES", "logsnr", "mmse"]),
    ("ensemble", &["LEAVES", "mmse"]),
    (
        "likelihood",
        &[
            "LEAVES", "data", "channel", "logsnr", "net", "mmse", "integral", "ensemble",
        ],
    ),
    (
        "bound",
        &[
            "LEAVES", "data", "channel", "logsnr", "schedule", "net", "mmse", "integral",
        ],
    ),
    // Beside: what nobody above needs.
    (
        "train",
        &[
            "LEAVES",
            "data",
            "channel",
            "logsnr",
            "schedule",
            "net",
            "mmse",
            "likelihood",
        ],
    ),
    ("sample", &["LEAVES", "data", "channel", "schedule", "net"]),
    // Last: imported by none.
    ("io", &["LEAVES", "data", "logsnr", "net", "mmse", "train"]),
    (
        "plot",
        &[
            "LEAVES",
            "data",
            "logsnr",
            "mmse",
            "integral",
            "likelihood",
            "train",
        ],
    ),
    (
        "show",
        &[
            "LEAVES",
            "data",
            "logsnr",
            "mmse",
            "integral",
            "likelihood",
            "bound",
            "train",
            "sample",
            "plot",
        ],
    ),
    ("tool", &["LEAVES", "net"]),
    (
        "bench",
        &["LEAVES", "data", "logsnr", "net", "mmse", "train"],
    ),
];

const LEAVES: &[&str] = &["units", "stats", "device", "estimate"];

/// What comes from the crates below, whose direction Cargo holds.
const BELOW: &[&str] = &[
    "cell",
    "check",
    "checkpoint",
    "denoiser",
    "error",
    "figure",
    "file",
    "hub",
    "memory",
    "ops",
    "progress",
    "rng",
    "text",
];

fn allowed(module: &str) -> Option<BTreeSet<&'static str>> {
    let (_, list) = LAW.iter().find(|(name, _)| *name == module)?;
    let mut set: BTreeSet<&str> = list
        .iter()
        .copied()
        .filter(|name| *name != "LEAVES")
        .collect();
    if list.contains(&"LEAVES") {
        set.extend(LEAVES);
    }
    Some(set)
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
}

/// The code without comments, and without unit tests, which stand at the end.
fn code(text: &str) -> String {
    let lines = text
        .lines()
        .take_while(|line| !line.starts_with("#[cfg(test)]"));
    let bare = lines.map(|line| line.split("//").next().unwrap_or_default());
    bare.collect::<Vec<_>>().join("\n")
}

/// The modules that follow `crate::`, also in `crate::{a, b::c}`.
fn imports(code: &str) -> BTreeSet<String> {
    let word = |text: &str| -> String {
        text.chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect()
    };
    let mut found = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        let Some(group) = rest.strip_prefix('{') else {
            let name = word(rest);
            // A macro has no module: it lives at the root.
            if !rest[name.len()..].starts_with('!') {
                found.insert(name);
            }
            continue;
        };
        let (mut depth, mut fresh) = (0, true);
        for (i, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => fresh = true,
                c if fresh && c.is_alphabetic() => {
                    found.insert(word(&group[i..]));
                    fresh = false;
                }
                _ => {}
            }
        }
    }
    // Types that lib.rs exports itself are no modules.
    found.retain(|name| name.chars().next().is_some_and(char::is_lowercase));
    found
}

#[test]
fn modules_import_only_what_the_law_allows() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut wrong = Vec::new();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for file in files.iter().filter(|file| !file.ends_with("src/lib.rs")) {
        let inside = file.strip_prefix(&root).unwrap();
        let first = inside.iter().next().unwrap().to_string_lossy();
        let module = first.trim_end_matches(".rs").to_owned();
        *seen.entry(module.clone()).or_default() += 1;
        let Some(allowed) = allowed(&module) else {
            wrong.push(format!(
                "{}: {module} is not in the table",
                inside.display()
            ));
            continue;
        };
        for import in imports(&code(&fs::read_to_string(file).unwrap())) {
            let below = BELOW.contains(&import.as_str());
            if import != module && !below && !allowed.contains(import.as_str()) {
                wrong.push(format!(
                    "{}: {module} may not import {import}",
                    inside.display()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    for (module, _) in LAW {
        assert!(
            seen.contains_key(*module),
            "{module} is in the table but not in src"
        );
    }
}

#[test]
fn the_law_has_no_circle() {
    // Each module may import only what stands above it in the table, or is a leaf.
    for (i, (module, _)) in LAW.iter().enumerate() {
        let above: BTreeSet<&str> = LAW[..i].iter().map(|(name, _)| *name).collect();
        for import in allowed(module).unwrap() {
            assert!(
                above.contains(import),
                "{module} imports {import}, which stands below it"
            );
        }
    }
}

#[test]
fn imports_are_found_in_all_their_forms() {
    let text = "use crate::data::Grid;\nuse crate::{mmse::{a, b}, net};\nlet x = crate::rng::seeded(0); // crate::plot";
    let found: Vec<String> = imports(&code(text)).into_iter().collect();
    assert_eq!(found, ["data", "mmse", "net", "rng"]);
}
