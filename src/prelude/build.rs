//! The prelude, built once and used by every cell of every kernel.
//!
//! A build is a folder in the user's cache, named by a hash of all that went into it: compiler, flags,
//! features and every source file. If the folder for what is wanted now is there, it is used; otherwise it
//! is built, in cargo's usual target folder, and put there in one move. So a stale build is never used, and
//! a build that was broken off is never seen.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::cuda::{self, Capability, Cuda, CudaError, Toolkit};
use super::embedded;
use crate::disk;
use crate::folder;
use crate::toolchain::{REAL_COMPILER, Toolchain, cargo_home};

/// Builds kept in the cache: other checkouts and other kernels may still use older ones.
const KEPT: usize = 4;
/// Variables with which cargo builds something else.
const VARIABLES: [&str; 3] = [
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_BUILD_RUSTFLAGS",
];
/// The file that tells that a build is whole.
const MANIFEST: &str = "build.json";
/// The file that tells that builds are made with CUDA, and for what.
const CHOICE: &str = "cuda.json";
/// Changed with what a build's folder holds, so that an older one is not taken for a newer.
const LAYOUT: &str = "3";

/// Where the prelude's sources are, where its builds go, and how it is built.
#[derive(Debug, Clone)]
pub struct Plan {
    pub source: PathBuf,
    pub cache: PathBuf,
    /// Where cargo compiles; none for its usual target folder.
    pub target: Option<PathBuf>,
    /// With CUDA, or for the CPU alone.
    pub cuda: Option<Cuda>,
    pub toolchain: Toolchain,
}

/// A finished build, which nobody removes as long as this lives.
#[derive(Debug, Clone)]
pub struct Prelude {
    folder: PathBuf,
    manifest: Manifest,
    /// It stands in for one with CUDA, which this machine cannot load.
    instead: bool,
    /// Its manifest, under a lock that all users share.
    _used: Arc<File>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Manifest {
    library: String,
    /// Folders in which the compiler may look for native libraries.
    native: Vec<String>,
    /// With what it was built, if it was with CUDA.
    toolkit: Option<Cuda>,
    seconds: f64,
    /// The crates in it; each stands after those that it needs.
    crates: Vec<CrateSource>,
}

/// Where the sources of a crate are, and how they were read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CrateSource {
    /// As in paths: `rand_core`.
    pub name: String,
    pub version: String,
    /// Its first file.
    pub root: PathBuf,
    pub edition: String,
    pub features: Vec<String>,
    /// Name and version of those that it may use.
    pub dependencies: Vec<(String, String)>,
}

/// How far a build is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Another process is building; this one waits for it.
    Waiting,
    /// What CUDA needs is fetched.
    Fetching(String),
    /// It is built though there is a build of the same sources, because this variable is set.
    Variable(&'static str),
    /// `done` of about `total` crates are compiled, the last one was `name`.
    Crate {
        done: usize,
        total: usize,
        name: String,
    },
    /// All is compiled and is put in its place.
    Placing,
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Step::Waiting => write!(f, "Waiting for another process that builds the prelude"),
            Step::Fetching(text) => write!(f, "{text}"),
            Step::Variable(name) => write!(
                f,
                "Building the prelude for {name}, which is set; without it, the build that is there would be used"
            ),
            Step::Crate { done, total, name } => {
                write!(f, "Building the prelude (once): {done} of {total}, {name}")
            }
            Step::Placing => write!(f, "Building the prelude (once): putting it in its place"),
        }
    }
}

/// What keeps the prelude from being built.
#[derive(Debug, thiserror::Error)]
pub enum PreludeError {
    #[error("the prelude's sources are not in {}: set ITD_PRELUDE to the folder that holds them", .0.display())]
    NoSource(PathBuf),
    #[error("the prelude does not build:\n{0}")]
    Build(String),
    #[error("the program for a command of the prelude's does not build against it:\n{0}")]
    Program(String),
    #[error(transparent)]
    Cuda(#[from] CudaError),
    #[error("{}: {source}", path.display())]
    File {
        path: PathBuf,
        source: std::io::Error,
    },
}

type Result<T> = std::result::Result<T, PreludeError>;

/// The folder of what `itd` can make again: `ITD_CACHE`, or else one in the user's cache folder.
pub fn cache() -> PathBuf {
    let cache = folder::named("ITD_CACHE");
    let cache = cache.or_else(|| Some(dirs::cache_dir()?.join("itd")));
    cache.unwrap_or_else(|| std::env::temp_dir().join("itd-cache"))
}

impl Plan {
    /// The usual plan: sources of this checkout (or `ITD_PRELUDE`; where the checkout is gone, those in the program),
    /// builds in the user's cache folder (or `ITD_CACHE`), with CUDA if the last `itd prelude build` was.
    ///
    /// # Errors
    /// When there are no sources, or they cannot be unpacked.
    pub fn new(toolchain: Toolchain) -> Result<Self> {
        let clone = Path::new(env!("CARGO_MANIFEST_DIR")).join("prelude");
        let source = match folder::named("ITD_PRELUDE") {
            Some(folder) => folder,
            None if clone.join("Cargo.toml").is_file() => clone,
            None => embedded::unpack(&cache())
                .map_err(|source| file_error(&cache(), source))?
                .unwrap_or(clone),
        };
        if !source.join("Cargo.toml").is_file() {
            return Err(PreludeError::NoSource(source));
        }
        let cache = cache().join("prelude");
        let chosen = std::fs::read(cache.join(CHOICE)).ok();
        let cuda = chosen.and_then(|text| serde_json::from_slice(&text).ok());
        Ok(Self {
            source,
            cache,
            target: None,
            cuda,
            toolchain,
        })
    }

    /// Builds with CUDA, for the capability that is wanted or for one that suits; the toolkit is found, or fetched into
    /// `cache`.
    ///
    /// # Errors
    /// When there is no toolkit that can do it.
    pub fn choose_cuda(
        &mut self,
        wanted: Option<Capability>,
        cache: &Path,
        tell: &mut dyn FnMut(Step),
    ) -> Result<()> {
        let toolkit = Toolkit::find(cache, &mut |text| tell(Step::Fetching(text.to_owned())))?;
        self.cuda = Some(toolkit.plan(wanted)?);
        Ok(())
    }

    /// Builds for the CPU alone.
    pub fn choose_cpu(&mut self) {
        self.cuda = None;
    }

    /// From now on plans have the device that was chosen for this one; call it when that build is there.
    ///
    /// # Errors
    /// When the cache cannot be written to.
    pub fn keep_choice(&self) -> Result<()> {
        let file = self.cache.join(CHOICE);
        let kept = match &self.cuda {
            None => match std::fs::remove_file(&file) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
                done => done,
            },
            Some(cuda) => {
                let text = serde_json::to_vec(cuda).unwrap_or_default();
                std::fs::create_dir_all(&self.cache).and_then(|()| disk::replace(&file, &text))
            }
        };
        kept.map_err(|source| file_error(&file, source))
    }

    /// The plan for what this machine can load: where there is no NVIDIA driver, that for the CPU, though CUDA was chosen.
    fn for_here(&self) -> Self {
        let mut plan = self.clone();
        plan.cuda.take_if(|_| !cuda::driver());
        plan
    }

    /// The finished build that cells use on this machine, if it is there.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub fn find_for_here(&self) -> Result<Option<Prelude>> {
        self.for_here().find()
    }

    /// The finished build that this machine can load, built now if there is none: where there is no NVIDIA driver, the
    /// one for the CPU, though CUDA was chosen.
    ///
    /// # Errors
    /// As [`Self::build`].
    pub fn build_for_here(&self, tell: &mut dyn FnMut(Step)) -> Result<Prelude> {
        let plan = self.for_here();
        let mut prelude = plan.build(tell)?;
        prelude.instead = plan.cuda.is_none() && self.cuda.is_some();
        Ok(prelude)
    }

    /// The name of the build that this plan leads to.
    ///
    /// # Errors
    /// When a source file cannot be read.
    pub fn name(&self) -> Result<String> {
        self.name_with(&|variable| std::env::var_os(variable).unwrap_or_default())
    }

    /// The name with these values of [`VARIABLES`].
    fn name_with(&self, value: &dyn Fn(&str) -> std::ffi::OsString) -> Result<String> {
        let mut hash = Sha256::new();
        let mut add = |what: &str, content: &[u8]| {
            hash.update((what.len() as u64).to_le_bytes());
            hash.update(what);
            hash.update((content.len() as u64).to_le_bytes());
            hash.update(content);
        };
        add("layout", LAYOUT.as_bytes());
        add("compiler", self.toolchain.version.as_bytes());
        // Where the compiler lies makes no difference: the process for cells is told where the standard library is.
        let libdir = self.toolchain.libdir.display().to_string();
        let flags = self.arguments().join(" ").replace(&libdir, "");
        add("flags", flags.as_bytes());
        if let Some(cuda) = &self.cuda {
            add("cuda", cuda.to_string().as_bytes());
            // The library has the place of its companions in it.
            add("toolkit", cuda.root.as_os_str().as_encoded_bytes());
        }
        for variable in VARIABLES {
            add(variable, value(variable).as_encoded_bytes());
        }
        for (name, text) in other_settings() {
            add(&name, text.as_encoded_bytes());
        }
        for (place, text) in self.config_files() {
            add(&place, text.as_bytes());
        }
        for (name, path) in self.source_files()? {
            let content = std::fs::read(&path).map_err(|source| file_error(&path, source))?;
            add(&name, &content);
        }
        Ok(HEXLOWER.encode(&hash.finalize()[..8]))
    }

    /// What cargo's configuration says of builds: the files that it reads in the prelude's folder and above, and the
    /// user's own, nearest first. Where they lie does not matter, and neither do registries and aliases in them.
    fn config_files(&self) -> Vec<(String, String)> {
        let source = std::path::absolute(&self.source).unwrap_or_else(|_| self.source.clone());
        let above = source.ancestors().map(|folder| folder.join(".cargo"));
        let home = cargo_home();
        let mut folders: Vec<PathBuf> = above.collect();
        folders.extend(home.filter(|home| !folders.contains(home)));
        let texts = folders.iter().filter_map(|folder| {
            let names = ["config", "config.toml"];
            let text = names
                .iter()
                .find_map(|name| std::fs::read_to_string(folder.join(name)).ok())?;
            Some(about_builds(&text)).filter(|text| !text.is_empty())
        });
        (0..)
            .map(|number| format!("config {number}"))
            .zip(texts)
            .collect()
    }

    /// The files that a build depends on, sorted by name.
    pub(super) fn source_files(&self) -> Result<Vec<(String, PathBuf)>> {
        let mut files = Vec::new();
        // The prelude's crate and those that it is made of, each with a manifest and sources.
        let mut crates = vec![self.source.clone()];
        let inside = std::fs::read_dir(&self.source)
            .map_err(|source| file_error(&self.source, source))?
            .flatten()
            .map(|entry| entry.path());
        crates.extend(inside.filter(|path| path.join("Cargo.toml").is_file()));
        let mut folders = Vec::new();
        for folder in &crates {
            let parts = ["Cargo.toml", "Cargo.lock", "build.rs"].map(|name| folder.join(name));
            let parts = parts.into_iter().filter(|path| path.is_file());
            files.extend(parts.map(|path| (self.inside(&path), path)));
            folders.push(folder.join("src"));
        }
        while let Some(folder) = folders.pop() {
            let entries =
                std::fs::read_dir(&folder).map_err(|source| file_error(&folder, source))?;
            for entry in entries.flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    files.push((self.inside(&path), path));
                }
            }
        }
        files.sort();
        Ok(files)
    }

    /// The name of a source file from the prelude's folder on.
    fn inside(&self, path: &Path) -> String {
        let name = path.strip_prefix(&self.source).unwrap_or(path);
        name.to_string_lossy().into_owned()
    }

    fn folder(&self) -> Result<PathBuf> {
        Ok(self.cache.join(self.name()?))
    }

    /// The finished build for this plan, if there is one.
    ///
    /// # Errors
    /// When a source file cannot be read.
    pub fn find(&self) -> Result<Option<Prelude>> {
        let name = self.name()?;
        let places = std::iter::once(self.cache.clone()).chain(shipped());
        Ok(places
            .filter_map(|place| Prelude::open(place.join(&name), &self.source))
            .next())
    }

    /// The finished build for this plan, built now if there is none.
    ///
    /// # Errors
    /// When it does not build, or cannot be put in the cache.
    pub fn build(&self, tell: &mut dyn FnMut(Step)) -> Result<Prelude> {
        if let Some(prelude) = self.find()? {
            return Ok(prelude);
        }
        std::fs::create_dir_all(&self.cache).map_err(|source| file_error(&self.cache, source))?;
        let lock_path = self.cache.join("lock");
        let lock = File::create(&lock_path).map_err(|source| file_error(&lock_path, source))?;
        if lock.try_lock().is_err() {
            tell(Step::Waiting);
            lock.lock()
                .map_err(|source| file_error(&lock_path, source))?;
        }
        // Whoever held the lock may have built just this; and what was edited meanwhile is built now.
        let folder = self.folder()?;
        if let Some(prelude) = Prelude::open(folder.clone(), &self.source) {
            return Ok(prelude);
        }
        if let Some(variable) = self.blame()? {
            tell(Step::Variable(variable));
        }
        let start = Instant::now();
        let built = self.compile(tell)?;
        tell(Step::Placing);
        self.place(&folder, built, start.elapsed().as_secs_f64())?;
        self.clean_up(&folder);
        Prelude::open(folder.clone(), &self.source)
            .ok_or_else(|| PreludeError::Build(format!("{} is not whole", folder.display())))
    }

    /// The variable without which the build that is there could be used.
    fn blame(&self) -> Result<Option<&'static str>> {
        let set = |variable: &&str| std::env::var_os(variable).is_some_and(|text| !text.is_empty());
        let Some(variable) = VARIABLES.into_iter().find(set) else {
            return Ok(None);
        };
        let without = self.cache.join(self.name_with(&|_| Default::default())?);
        Ok(Prelude::open(without, &self.source).map(|_| variable))
    }

    fn arguments(&self) -> Vec<String> {
        let mut arguments: Vec<String> = [
            "rustc",
            "--release",
            "-p",
            "itd-prelude",
            "--lib",
            "--crate-type",
            "dylib",
        ]
        .map(str::to_owned)
        .into();
        if self.cuda.is_some() {
            arguments.extend(["--features", "cuda"].map(str::to_owned));
        }
        arguments.push("--message-format=json-render-diagnostics".to_owned());
        let rpath = format!("-Clink-arg=-Wl,-rpath,{}", self.toolchain.libdir.display());
        arguments.extend(["--".to_owned(), "-Cprefer-dynamic".to_owned(), rpath]);
        arguments
    }

    fn compile(&self, tell: &mut dyn FnMut(Step)) -> Result<Built> {
        let total = self.count_crates();
        let mut command = Command::new(&self.toolchain.cargo);
        if let Some(target) = &self.target {
            command.env("CARGO_TARGET_DIR", target);
        }
        command.args(self.arguments());
        if let Some(cuda) = &self.cuda {
            let cache = self.cache.parent().unwrap_or(&self.cache);
            cuda.prepare(&mut command, cache)?;
            // So the library finds those of the toolkit wherever it is loaded.
            let folders = cuda.libraries().into_iter();
            command.args(folders.map(|it| format!("-Clink-arg=-Wl,-rpath,{}", it.display())));
        }
        let mut child = command
            .current_dir(&self.source)
            .env("RUSTC", &self.toolchain.rustc)
            .env_remove(REAL_COMPILER)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|source| file_error(&self.toolchain.cargo, source))?;
        let stderr = child.stderr.take();
        let complaints = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = stderr.map(|mut stderr| stderr.read_to_string(&mut text));
            text
        });
        let mut built = Built::default();
        let mut done = 0;
        for line in child
            .stdout
            .take()
            .into_iter()
            .flat_map(|out| BufReader::new(out).lines())
            .map_while(|l| l.ok())
        {
            let Ok(message) = serde_json::from_str::<Value>(&line) else {
                continue;
            };
            if let Some(name) = built.note(&message) {
                done += 1;
                tell(Step::Crate {
                    done,
                    total: total.max(done),
                    name,
                });
            }
        }
        let status = child
            .wait()
            .map_err(|source| file_error(&self.toolchain.cargo, source))?;
        let complaints = complaints.join().unwrap_or_default();
        if !status.success() {
            let lines: Vec<_> = complaints
                .lines()
                .filter(|line| !line.trim_start().starts_with("Compiling"))
                .collect();
            return Err(PreludeError::Build(lines.join("\n")));
        }
        Ok(built)
    }

    /// About how many crates there are to compile; only for the progress bar.
    fn count_crates(&self) -> usize {
        let tree = Command::new(&self.toolchain.cargo)
            .args([
                "tree",
                "-p",
                "itd-prelude",
                "-e",
                "normal,build",
                "--prefix",
                "none",
                "--format",
                "{p}",
            ])
            .current_dir(&self.source)
            .output();
        let text = tree
            .map(|tree| String::from_utf8_lossy(&tree.stdout).into_owned())
            .unwrap_or_default();
        let mut names: Vec<_> = text
            .lines()
            .map(|line| line.trim_end_matches(" (*)"))
            .collect();
        names.sort_unstable();
        names.dedup();
        names.len()
    }

    /// Puts a build in its place: the library, and of the crates in it only what the compiler reads. The names of
    /// registry crates hold a hash of their content, so links to cargo's own files do; those of ours do not.
    fn place(&self, folder: &Path, built: Built, seconds: f64) -> Result<()> {
        let library = built
            .library
            .ok_or_else(|| PreludeError::Build("cargo made no shared library".to_owned()))?;
        let staging =
            tempfile::tempdir_in(&self.cache).map_err(|source| file_error(&self.cache, source))?;
        let copy = |from: &Path| -> Result<String> {
            let name = from.file_name().unwrap_or_default();
            let to = staging.path().join(name);
            std::fs::copy(from, &to).map_err(|source| file_error(from, source))?;
            Ok(name.to_string_lossy().into_owned())
        };
        for metadata in &built.metadata {
            let to = staging
                .path()
                .join(metadata.file.file_name().unwrap_or_default());
            if metadata.ours || std::fs::hard_link(&metadata.file, &to).is_err() {
                copy(&metadata.file)?;
            }
        }
        let manifest = Manifest {
            library: copy(&library)?,
            native: built.native,
            toolkit: self.cuda.clone(),
            seconds,
            crates: self.portable(with_dependencies(
                built.crates,
                &self.source.join("Cargo.lock"),
            )),
        };
        let text = serde_json::to_string_pretty(&manifest).unwrap_or_default();
        let path = staging.path().join(MANIFEST);
        std::fs::write(&path, text).map_err(|source| file_error(&path, source))?;
        let staging = staging.keep();
        if std::fs::rename(&staging, folder).is_err() {
            // A broken build may stand in the way.
            let _ = std::fs::remove_dir_all(folder);
            std::fs::rename(&staging, folder).map_err(|source| file_error(folder, source))?;
        }
        Ok(())
    }

    /// Crates of which those of ours are told from the prelude's folder on: the build serves every folder that has the
    /// same sources, and the one in which it was made may be gone.
    fn portable(&self, mut crates: Vec<CrateSource>) -> Vec<CrateSource> {
        let folders = [
            std::path::absolute(&self.source),
            self.source.canonicalize(),
        ];
        for it in &mut crates {
            let mut folders = folders.iter().flatten();
            if let Some(inside) = folders.find_map(|folder| it.root.strip_prefix(folder).ok()) {
                it.root = inside.to_owned();
            }
        }
        crates
    }

    /// Removes all but the newest builds and those that a kernel uses.
    fn clean_up(&self, newest: &Path) {
        let entries = std::fs::read_dir(&self.cache)
            .into_iter()
            .flatten()
            .flatten();
        let mut builds: Vec<_> = entries
            .map(|entry| entry.path())
            .filter(|path| path.join(MANIFEST).is_file() && path != newest)
            .filter_map(|path| Some((path.metadata().ok()?.modified().ok()?, path)))
            .collect();
        builds.sort();
        let old = builds.len().saturating_sub(KEPT - 1);
        for (_, path) in builds.drain(..old) {
            let used = File::open(path.join(MANIFEST)).is_ok_and(|file| file.try_lock().is_err());
            if !used {
                let _ = std::fs::remove_dir_all(path);
            }
        }
    }
}

impl Prelude {
    /// The build in this folder, if it is whole; `source` has what it was built from.
    fn open(folder: PathBuf, source: &Path) -> Option<Self> {
        let mut file = File::open(folder.join(MANIFEST)).ok()?;
        // Where files cannot be locked, the newest builds are kept all the same.
        let _ = file.try_lock_shared();
        let mut text = String::new();
        file.read_to_string(&mut text).ok()?;
        let mut manifest: Manifest = serde_json::from_str(&text).ok()?;
        for it in &mut manifest.crates {
            it.root = here(source, &it.root, cargo_home().as_deref());
        }
        let whole = folder.join(&manifest.library).is_file();
        whole.then_some(Self {
            folder,
            manifest,
            instead: false,
            _used: Arc::new(file),
        })
    }

    /// The folder that holds the build.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What it was built with, if it was with CUDA.
    pub fn cuda(&self) -> Option<&Cuda> {
        self.manifest.toolkit.as_ref()
    }

    /// Variables that a process which loads it is to be given.
    pub fn environment(&self) -> Option<(&'static str, &'static str)> {
        self.instead.then_some(("ITD_DRIVER", "none"))
    }

    /// The crates in it; each stands after those that it needs.
    pub fn crates(&self) -> &[CrateSource] {
        &self.manifest.crates
    }

    /// Seconds that building it took.
    pub fn seconds(&self) -> f64 {
        self.manifest.seconds
    }

    /// What the compiler of a cell is told, so that `itd_prelude` can be used.
    pub fn arguments(&self) -> Vec<String> {
        let folder = self.folder.display();
        let mut arguments = vec![
            format!("--extern=itd_prelude={folder}/{}", self.manifest.library),
            format!("-Ldependency={folder}"),
            format!("-Clink-arg=-Wl,-rpath,{folder}"),
        ];
        if !cfg!(target_os = "macos") {
            // Makes that path the first to be searched. Otherwise LD_LIBRARY_PATH is, in which `cargo run`
            // names its target folder, where there may be a library of the same name from other sources.
            arguments.push("-Clink-arg=-Wl,--disable-new-dtags".to_owned());
        }
        arguments.extend(
            self.manifest
                .native
                .iter()
                .map(|native| format!("-L{native}")),
        );
        arguments
    }
}

/// Where a release archive and an administrator put builds: beside the program, and in the folders that `ITD_SHARED`
/// names. They are only read.
fn shipped() -> Vec<PathBuf> {
    let program = std::env::current_exe().and_then(std::fs::canonicalize);
    let beside = program
        .ok()
        .and_then(|program| Some(program.parent()?.join("prelude-builds")));
    let shared = std::env::var_os("ITD_SHARED").unwrap_or_default();
    let shared = std::env::split_paths(&shared).filter(|place| !place.as_os_str().is_empty());
    // A cell is compiled in another folder.
    let shared = shared.map(|place| std::path::absolute(&place).unwrap_or(place));
    beside.into_iter().chain(shared).collect()
}

/// What cargo has made.
#[derive(Debug, Default)]
struct Built {
    library: Option<PathBuf>,
    metadata: Vec<Metadata>,
    native: Vec<String>,
    crates: Vec<CrateSource>,
}

/// What the compiler of a cell reads about a crate.
#[derive(Debug)]
struct Metadata {
    file: PathBuf,
    /// Whether the crate is built from a folder, where it may change without getting another name.
    ours: bool,
}

impl Built {
    /// Reads one of cargo's messages; gives the crate's name when one is done.
    fn note(&mut self, message: &Value) -> Option<String> {
        match message["reason"].as_str()? {
            "build-script-executed" => {
                let paths = message["linked_paths"].as_array().into_iter().flatten();
                self.native
                    .extend(paths.filter_map(|path| path.as_str()).map(str::to_owned));
                None
            }
            "compiler-artifact" => {
                let name = message["target"]["name"].as_str()?.to_owned();
                let kinds = message["target"]["kind"].as_array()?;
                if kinds.iter().any(|kind| kind == "custom-build") {
                    return None;
                }
                if !kinds.iter().any(|kind| kind == "proc-macro") {
                    self.crates.push(crate_source(message));
                }
                let files = message["filenames"].as_array().into_iter().flatten();
                let files: Vec<_> = files
                    .filter_map(|file| file.as_str())
                    .map(PathBuf::from)
                    .collect();
                let with = |ending: &str| {
                    files
                        .iter()
                        .find(|file| file.extension().is_some_and(|e| e == ending))
                        .cloned()
                };
                if name == "itd_prelude" {
                    self.library = with("so").or(with("dylib"));
                } else {
                    // The code is in the library already; the compiler only needs to know the types. It
                    // also looks for the macros that a crate was made with.
                    let macros = with("so").or(with("dylib"));
                    let ours = message["package_id"].as_str()?.starts_with("path+");
                    let file = with("rmeta").or(with("rlib")).or(macros);
                    self.metadata
                        .extend(file.map(|file| Metadata { file, ours }));
                }
                Some(name)
            }
            _ => None,
        }
    }
}

/// Where the first file of a crate is on this machine: in the prelude's folder, or where cargo keeps crates, if the build
/// was made elsewhere.
fn here(source: &Path, root: &Path, cargo_home: Option<&Path>) -> PathBuf {
    if root.is_relative() {
        return source.join(root);
    }
    let kept = Path::new("registry/src");
    let mut parts = root.components();
    while !root.is_file() && parts.next().is_some() {
        if let Ok(inside) = parts.as_path().strip_prefix(kept)
            && let Some(home) = cargo_home
        {
            return home.join(kept).join(inside);
        }
    }
    root.to_owned()
}

/// What one of cargo's messages says of a crate's sources.
fn crate_source(message: &Value) -> CrateSource {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let target = &message["target"];
    let id = text(&message["package_id"]);
    let features = message["features"].as_array().into_iter().flatten();
    CrateSource {
        name: text(&target["name"]).replace('-', "_"),
        // `registry+…#rand@0.9.2`, `path+…/cell#itd-cell@0.1.0`, `path+…/cell#0.1.0`
        version: id.rsplit(['@', '#']).next().unwrap_or_default().to_owned(),
        root: PathBuf::from(text(&target["src_path"])),
        edition: text(&target["edition"]),
        features: features.map(text).collect(),
        dependencies: Vec::new(),
    }
}

/// Adds what the lock file says of who uses whom.
fn with_dependencies(mut crates: Vec<CrateSource>, lock: &Path) -> Vec<CrateSource> {
    let lock = std::fs::read_to_string(lock).unwrap_or_default();
    let lock: Value = toml::from_str(&lock).unwrap_or_default();
    let packages = || lock["package"].as_array().into_iter().flatten();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let name = |value: &Value| text(value).replace('-', "_");
    for it in &mut crates {
        let own = packages().find(|package| {
            name(&package["name"]) == it.name && text(&package["version"]) == it.version
        });
        let uses = own.and_then(|package| package["dependencies"].as_array());
        for used in uses.into_iter().flatten() {
            // `rand`, or `rand 0.9.5` where there are several.
            let used = text(used);
            let mut words = used.split(' ');
            let package = words.next().unwrap_or_default().replace('-', "_");
            let version = words.next().map(str::to_owned).or_else(|| {
                let only = packages().find(|other| name(&other["name"]) == package)?;
                Some(text(&only["version"]))
            });
            it.dependencies
                .extend(version.map(|version| (package, version)));
        }
    }
    crates
}

/// Variables that change cargo's profile, flags or linker, if any are set.
fn other_settings() -> Vec<(String, std::ffi::OsString)> {
    let mut all: Vec<_> = std::env::vars_os()
        .filter_map(|(name, text)| Some((name.into_string().ok()?, text)))
        .filter(|(name, _)| {
            name.starts_with("CARGO_PROFILE_RELEASE_")
                || name.starts_with("CARGO_TARGET_")
                    && (name.ends_with("_RUSTFLAGS") || name.ends_with("_LINKER"))
        })
        .collect();
    all.sort();
    all
}

/// What a `config.toml` says that can change what a build gives: `table line`, without comments, and without the places
/// and the number of jobs.
fn about_builds(config: &str) -> String {
    let tables = ["build", "profile", "target", "env", "unstable", "host"];
    let elsewhere = ["target-dir", "build-dir", "jobs", "dep-info-basedir"];
    let mut kept = String::new();
    let mut table = String::new();
    for line in config.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[') {
            table = name.trim_matches(['[', ']', ' ']).to_owned();
            continue;
        }
        // What stands before the first table may be `build.rustflags = …`.
        let counts = table.is_empty() || tables.iter().any(|name| table.starts_with(name));
        let key = line.trim_start_matches("build.");
        let about = counts && !elsewhere.iter().any(|name| key.starts_with(name));
        if about && !line.is_empty() && !line.starts_with('#') {
            kept.push_str(&format!("{table} {line}\n"));
        }
    }
    kept
}

fn file_error(path: &Path, source: std::io::Error) -> PreludeError {
    PreludeError::File {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_looked_for_where_they_are_on_this_machine() {
        let source = Path::new("/clone/prelude");
        let own = here(source, Path::new("cell/src/lib.rs"), None);
        assert_eq!(own, Path::new("/clone/prelude/cell/src/lib.rs"));
        let other = Path::new("/no/such/home/registry/src/index.crates.io-1/half-2.0.0/src/lib.rs");
        let home = Path::new("/home/.cargo");
        let found = here(source, other, Some(home));
        let wanted = "/home/.cargo/registry/src/index.crates.io-1/half-2.0.0/src/lib.rs";
        assert_eq!(found, Path::new(wanted));
        assert_eq!(here(source, other, None), other);
        let there = Path::new(file!()).canonicalize().expect("this file");
        assert_eq!(here(source, &there, Some(home)), there);
    }
}
