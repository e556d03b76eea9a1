//! The crates that rust-analyzer is shown: std, the prelude, and what the prelude hands on.
//!
//! Of the prelude's three hundred crates a cell sees few. The others are left out, and what is imported from them is
//! simply not known; each would cost memory and time.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use crate::prelude::{CrateSource, Prelude};
use crate::toolchain::Toolchain;

/// The prelude's own crates, and those whose types cells meet.
const SHOWN: &[&str] = &[
    "itd_prelude",
    "itd_cell",
    "itd_files",
    "itd_kernels",
    "candle_core",
    "candle_nn",
    "half",
    "ndarray",
    "num_traits",
    "plotters",
    "plotters_backend",
    "plotters_svg",
    "polars",
    "polars_core",
    "polars_dtype",
    "polars_error",
    "polars_io",
    "polars_schema",
    "polars_utils",
    "rand",
    "rand_chacha",
    "rand_core",
    "rand_distr",
    "serde_json",
];
/// Those of the standard library, each with those that it stands on.
const STD: &[(&str, &[&str])] = &[
    ("core", &[]),
    ("alloc", &["core"]),
    ("std", &["core", "alloc"]),
];
/// The crates and how they are compiled.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Graph {
    /// `rustc --version`, for what is unstable.
    pub release: String,
    /// What `rustc --print cfg` says.
    pub cfg: Vec<String>,
    pub crates: Vec<Crate>,
}

/// A crate; those that it depends on stand before it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Crate {
    pub name: String,
    pub version: String,
    /// Its first file.
    pub root: PathBuf,
    pub edition: String,
    pub features: Vec<String>,
    /// The names under which it knows crates, and which ones these are.
    pub dependencies: Vec<(String, usize)>,
    /// Whether it is of the standard library.
    pub lang: bool,
}

impl Graph {
    /// The graph for a build of the prelude. Only the compiler is asked, for what it compiles for; none if it does not
    /// answer.
    pub fn new(prelude: &Prelude, toolchain: &Toolchain) -> Option<Self> {
        let asked = Command::new(&toolchain.rustc)
            .args(["--print", "cfg"])
            // Some of what std is compiled with is only told to nightly compilers.
            .env("RUSTC_BOOTSTRAP", "1")
            .stdin(Stdio::null())
            .output()
            .ok()
            .filter(|asked| asked.status.success())?;
        let mut crates = standard(&library(toolchain));
        add(&mut crates, prelude.crates());
        let release = toolchain.version.lines();
        let release = release
            .filter_map(|line| line.strip_prefix("release: "))
            .next()
            .unwrap_or_default();
        let cfg = String::from_utf8_lossy(&asked.stdout);
        Some(Self {
            release: release.to_owned(),
            cfg: cfg.lines().map(str::to_owned).collect(),
            crates,
        })
    }

    /// Which crate has this name.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.crates.iter().position(|it| it.name == name)
    }
}

/// Where the sources of the standard library are if they are installed: rustup's component `rust-src`.
pub fn library(toolchain: &Toolchain) -> PathBuf {
    // `…/lib/rustlib/TARGET/lib`
    let rustlib = toolchain
        .libdir
        .ancestors()
        .nth(2)
        .unwrap_or(Path::new("/"));
    rustlib.join("src/rust/library")
}

/// Has rustup fetch the sources of the standard library (4 MB). Without rustup or a network, there
/// is no completion of what std defines.
pub fn fetch_std() {
    let _ = Command::new("rustup")
        .args(["component", "add", "rust-src"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
}

/// The crates of the standard library, if its sources are there.
fn standard(library: &Path) -> Vec<Crate> {
    let mut crates: Vec<Crate> = Vec::new();
    for (name, dependencies) in STD {
        let root = library.join(name).join("src/lib.rs");
        if !root.is_file() {
            return Vec::new();
        }
        let dependencies = dependencies.iter().filter_map(|name| {
            let position = crates.iter().position(|it| it.name == *name)?;
            Some(((*name).to_owned(), position))
        });
        crates.push(Crate {
            name: (*name).to_owned(),
            root,
            edition: "2024".to_owned(),
            dependencies: dependencies.collect(),
            lang: true,
            ..Crate::default()
        });
    }
    crates
}

/// Adds those of the prelude's crates that are shown.
fn add(crates: &mut Vec<Crate>, sources: &[CrateSource]) {
    let first = crates.len();
    let shown = sources
        .iter()
        .filter(|it| SHOWN.contains(&it.name.as_str()));
    for source in shown {
        let used = source.dependencies.iter().filter_map(|(name, version)| {
            let mut before = crates.iter().skip(first);
            let position = before.position(|it| it.name == *name && it.version == *version)?;
            Some((name.clone(), first + position))
        });
        let it = Crate {
            dependencies: used.collect(),
            name: source.name.clone(),
            version: source.version.clone(),
            root: source.root.clone(),
            edition: source.edition.clone(),
            features: source.features.clone(),
            lang: false,
        };
        crates.push(it);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_uses_the_version_that_it_was_built_with() {
        let source = |name: &str, version: &str, uses: &[(&str, &str)]| CrateSource {
            name: name.to_owned(),
            version: version.to_owned(),
            dependencies: uses
                .iter()
                .map(|(name, version)| (name.to_string(), version.to_string()))
                .collect(),
            ..CrateSource::default()
        };
        let mut crates = vec![Crate {
            name: "std".to_owned(),
            ..Crate::default()
        }];
        let sources = [
            source("rand", "0.9.5", &[]),
            source("unseen", "1.0.0", &[]),
            source("rand", "0.8.8", &[]),
            source(
                "itd_prelude",
                "0.1.0",
                &[("rand", "0.9.5"), ("unseen", "1.0.0")],
            ),
        ];
        add(&mut crates, &sources);
        let names: Vec<_> = crates.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["std", "rand", "rand", "itd_prelude"]);
        assert_eq!(crates[3].dependencies, [("rand".to_owned(), 1)]);
    }
}
