//! CUDA for the prelude: the toolkit that compiles it, the cards that a build is for, and whether a driver is here.
//!
//! A build with CUDA needs no GPU. It needs `nvcc`, which is found, or fetched from PyPI; and `libcuda`, which comes
//! with a GPU's driver only, so a stand-in is made for the linker. A process that loads such a build does need the
//! driver: the library names `libcuda.so.1`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use regex::Regex;
use serde::{Deserialize, Serialize};

use crate::python::{self, PythonError};
use crate::toolchain::on_path;

/// The packages of the toolkit that is fetched.
const PACKAGES: &str = include_str!("../../requirements-cuda.txt");
/// Where these packages put their files.
const UNPACKED: &str = "nvidia/cu13";
/// The version that they make up.
const FETCHED: &str = "13.0";
/// candle's kernels need a header for 8-bit floats, which came with this version.
const OLDEST: (u32, u32) = (11, 8);
/// Cards since 2020; newer ones run what is built for it, since their driver compiles it again.
const USUAL: Capability = Capability(80);
/// Where toolkits are usually put.
const PLACES: [&str; 2] = ["/usr/local/cuda", "/opt/cuda"];

/// What keeps the prelude from being built with CUDA.
#[derive(Debug, thiserror::Error)]
pub enum CudaError {
    #[error(
        "CUDA_HOME is {}, but there is no {}: let it name a CUDA toolkit, or unset it, and a toolkit is found or fetched",
        home.display(), nvcc.display()
    )]
    NoNvcc { home: PathBuf, nvcc: PathBuf },
    #[error(
        "{} is CUDA {}.{}, and candle's kernels need {}.{} or newer: install a newer toolkit and let CUDA_HOME name it",
        nvcc.display(), found.0, found.1, OLDEST.0, OLDEST.1
    )]
    TooOld { nvcc: PathBuf, found: (u32, u32) },
    #[error("{} cannot be used as a CUDA compiler: {what}", nvcc.display())]
    Unusable { nvcc: PathBuf, what: String },
    #[error(
        "compute capability {wanted} is not among those that CUDA {version} compiles for ({known}): choose one of \
         these, or another toolkit by CUDA_HOME"
    )]
    Capability {
        wanted: Capability,
        version: String,
        known: String,
    },
    #[error("nvcc needs a C++ compiler, and there is no {0} on the path: install g++")]
    NoHostCompiler(String),
    #[error(
        "there is no CUDA toolkit here, and one can be fetched for Linux only: install it, and let CUDA_HOME name it"
    )]
    NotFetched,
    #[error("the CUDA toolkit cannot be fetched: {0}")]
    Fetch(#[from] PythonError),
    #[error("the stand-in for libcuda cannot be made: {0}")]
    StandIn(String),
    #[error("{}: {source}", path.display())]
    File {
        path: PathBuf,
        source: std::io::Error,
    },
}

type Result<T> = std::result::Result<T, CudaError>;

/// A generation of cards: 80 stands for compute capability 8.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Capability(u32);

impl std::str::FromStr for Capability {
    type Err = String;

    /// `80`, `8.0` or `sm_80`.
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let digits = text.trim().trim_start_matches("sm_").replace('.', "");
        let number = digits.parse().ok().filter(|number| *number >= 10);
        number
            .map(Self)
            .ok_or_else(|| format!("`{text}` is no compute capability; it is written 80 or 8.0"))
    }
}

impl std::fmt::Display for Capability {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What a build with CUDA is made for and with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cuda {
    pub capability: Capability,
    /// The toolkit's version, as in `13.0`.
    pub version: String,
    /// The toolkit's folder, whose libraries a build needs wherever it runs.
    pub root: PathBuf,
}

/// A CUDA toolkit.
#[derive(Debug, Clone)]
pub struct Toolkit {
    root: PathBuf,
    version: (u32, u32),
    capabilities: BTreeSet<Capability>,
}

impl Toolkit {
    /// The toolkit that `CUDA_HOME` names, or that of the `nvcc` on the path, or one in a usual place, or the one that
    /// was fetched into `cache`; if there is none, it is fetched now.
    ///
    /// # Errors
    /// When the one that is found cannot be used, or none can be fetched.
    pub fn find(cache: &Path, tell: &mut dyn FnMut(&str)) -> Result<Self> {
        let fetched = cache.join("cuda").join(FETCHED);
        if let Some(home) = std::env::var_os("CUDA_HOME").filter(|home| !home.is_empty()) {
            let home = PathBuf::from(home);
            let nvcc = home.join("bin/nvcc");
            return match nvcc.is_file() {
                true => Self::at(&home),
                false => Err(CudaError::NoNvcc { home, nvcc }),
            };
        }
        let on_path = on_path("nvcc").and_then(|nvcc| std::fs::canonicalize(nvcc).ok());
        let on_path = on_path.and_then(|nvcc| Some(nvcc.parent()?.parent()?.to_owned()));
        let places = PLACES.map(PathBuf::from).into_iter();
        let mut places = on_path.into_iter().chain(places).chain([fetched.clone()]);
        if let Some(root) = places.find(|root| root.join("bin/nvcc").is_file()) {
            return Self::at(&root);
        }
        if !cfg!(target_os = "linux") {
            return Err(CudaError::NotFetched);
        }
        tell("Fetching a CUDA toolkit from PyPI (once, 680 MB)");
        fetch(&fetched)?;
        Self::at(&fetched)
    }

    /// The toolkit in this folder.
    fn at(root: &Path) -> Result<Self> {
        let nvcc = root.join("bin/nvcc");
        let said = |argument: &str| {
            let unusable = |what: String| CudaError::Unusable {
                nvcc: nvcc.clone(),
                what,
            };
            let done = Command::new(&nvcc).arg(argument).output();
            let done = done.map_err(|error| unusable(error.to_string()))?;
            match done.status.success() {
                true => Ok(String::from_utf8_lossy(&done.stdout).into_owned()),
                false => Err(unusable(String::from_utf8_lossy(&done.stderr).into_owned())),
            }
        };
        let text = said("--version")?;
        let Some(version) = release(&text) else {
            let what = format!("`nvcc --version` names no release:\n{text}");
            return Err(CudaError::Unusable { nvcc, what });
        };
        if version < OLDEST {
            return Err(CudaError::TooOld {
                nvcc,
                found: version,
            });
        }
        let capabilities = architectures(&said("--list-gpu-arch")?);
        Ok(Self {
            root: root.to_owned(),
            version,
            capabilities,
        })
    }

    /// What to build: for the capability that is wanted, or else for what suits the cards here, or else for the cards
    /// since 2020.
    ///
    /// # Errors
    /// When the toolkit does not compile for that.
    pub fn plan(&self, wanted: Option<Capability>) -> Result<Cuda> {
        // Only this and what is newer than the oldest card runs; and up to 80 what is built runs on what is newer.
        let capability = wanted.unwrap_or_else(|| oldest_card().map_or(USUAL, |it| it.min(USUAL)));
        let version = format!("{}.{}", self.version.0, self.version.1);
        if !self.capabilities.contains(&capability) {
            let known: Vec<_> = self
                .capabilities
                .iter()
                .map(Capability::to_string)
                .collect();
            return Err(CudaError::Capability {
                wanted: capability,
                version,
                known: known.join(", "),
            });
        }
        Ok(Cuda {
            capability,
            version,
            root: self.root.clone(),
        })
    }
}

impl std::fmt::Display for Cuda {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "CUDA {}, compute capability {}",
            self.version, self.capability
        )
    }
}

impl Cuda {
    /// Folders of the toolkit that hold libraries which a build loads.
    pub fn libraries(&self) -> Vec<PathBuf> {
        let names = ["lib64", "lib", "targets/x86_64-linux/lib"];
        let places = names.map(|name| self.root.join(name));
        // `lib64` may be a link to `lib`.
        let mut seen = BTreeSet::new();
        let mut new =
            |place: &PathBuf| std::fs::canonicalize(place).is_ok_and(|it| seen.insert(it));
        places.into_iter().filter(|place| new(place)).collect()
    }

    /// Has a command build with this toolkit for this capability. The stand-in for `libcuda` is put into `cache`.
    ///
    /// # Errors
    /// When there is no C++ compiler, or the stand-in cannot be made.
    pub fn prepare(&self, command: &mut Command, cache: &Path) -> Result<()> {
        let host = std::env::var("NVCC_CCBIN").unwrap_or_else(|_| "g++".to_owned());
        if on_path(&host).is_none() && !Path::new(&host).exists() {
            return Err(CudaError::NoHostCompiler(host));
        }
        let support = self.support(&cache.join("cuda"))?;
        let programs = self.root.join("bin");
        let before = std::env::var_os("PATH").unwrap_or_default();
        let path = std::iter::once(programs).chain(std::env::split_paths(&before));
        if let Ok(path) = std::env::join_paths(path) {
            command.env("PATH", path);
        }
        command
            .env("NVCC", support.join("bin/nvcc"))
            .env("CUDA_HOME", &self.root)
            // cudarc looks for libraries below each of these.
            .env("CUDA_ROOT", support)
            .env("CUDA_COMPUTE_CAP", self.capability.to_string());
        Ok(())
    }

    /// A folder with what a toolkit lacks: `lib/stubs/libcuda.so`, all functions that the toolkit's header names, each
    /// of which answers that there is no device; and `bin/nvcc`, which hands over to the toolkit's.
    fn support(&self, folder: &Path) -> Result<PathBuf> {
        let root = folder.join(format!("support-{}", self.version));
        let (programs, stubs) = (root.join("bin"), root.join("lib/stubs"));
        for folder in [&programs, &stubs] {
            std::fs::create_dir_all(folder).map_err(at(folder))?;
        }
        let nvcc = programs.join("nvcc");
        let script = hasty(&self.root.join("bin/nvcc"));
        if std::fs::read_to_string(&nvcc).is_ok_and(|there| there == script) {
            return self.stand_in(&stubs).map(|()| root);
        }
        let staging = tempfile::tempdir_in(&programs).map_err(at(&programs))?;
        let made = staging.path().join("nvcc");
        std::fs::write(&made, script).map_err(at(&made))?;
        let runs = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&made, runs).map_err(at(&made))?;
        std::fs::rename(&made, &nvcc).map_err(at(&nvcc))?;
        self.stand_in(&stubs).map(|()| root)
    }

    fn stand_in(&self, stubs: &Path) -> Result<()> {
        let library = stubs.join("libcuda.so");
        if library.is_file() {
            return Ok(());
        }
        let header = self.root.join("include/cuda.h");
        let header = std::fs::read_to_string(&header).map_err(at(&header))?;
        let staging = tempfile::tempdir_in(stubs).map_err(at(stubs))?;
        let (source, made) = (staging.path().join("cuda.c"), staging.path().join("made"));
        std::fs::write(&source, stand_in(&header)).map_err(at(&source))?;
        let done = Command::new("cc")
            .args(["-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", "-o"])
            .args([&made, &source])
            .output()
            .map_err(|error| CudaError::StandIn(format!("cc cannot be run: {error}")))?;
        if !done.status.success() {
            let what = String::from_utf8_lossy(&done.stderr).into_owned();
            return Err(CudaError::StandIn(what));
        }
        // For `LD_LIBRARY_PATH`, by which a build can be tried where there is no driver.
        let _ = std::os::unix::fs::symlink("libcuda.so", stubs.join("libcuda.so.1"));
        std::fs::rename(&made, &library).map_err(at(&library))
    }
}

/// A script in the place of `nvcc`, which optimises little of what becomes objects (`-c`): candle's kernels for quantised
/// matrices, of which the prelude has no use, and which take most of the time. All others become PTX.
fn hasty(nvcc: &Path) -> String {
    let nvcc = nvcc.display().to_string().replace('\'', r"'\''");
    format!(
        "#!/bin/sh\ncase \" $* \" in\n*\" -c \"*) exec '{nvcc}' \"$@\" -Xcicc -O1 -Xptxas -O1 ;;\n\
         *) exec '{nvcc}' \"$@\" ;;\nesac\n"
    )
}

/// Whether there is a driver, without which nothing that was built with CUDA can be loaded.
pub fn driver() -> bool {
    // SAFETY: the driver's library does nothing when it is loaded; nothing in it is called.
    unsafe { libloading::Library::new("libcuda.so.1") }.is_ok()
}

/// The capability of the oldest card here, as its driver tells.
fn oldest_card() -> Option<Capability> {
    let asked = Command::new("nvidia-smi")
        .args(["--query-gpu=compute_cap", "--format=csv,noheader"])
        .output();
    let answer = asked.ok().filter(|answer| answer.status.success())?;
    let text = String::from_utf8_lossy(&answer.stdout).into_owned();
    text.lines().filter_map(|line| line.parse().ok()).min()
}

/// Downloads the toolkit's packages and lays them out as a toolkit.
fn fetch(to: &Path) -> Result<()> {
    let parent = to.parent().unwrap_or(to);
    std::fs::create_dir_all(parent).map_err(at(parent))?;
    let staging = tempfile::tempdir_in(parent).map_err(at(parent))?;
    let packages = staging.path().join("packages");
    python::unpack(PACKAGES, staging.path(), &packages)?;
    let root = packages.join(UNPACKED);
    lay_out(&root)?;
    match std::fs::rename(&root, to) {
        // Another process may have been as fast.
        Err(source) if !to.is_dir() => Err(at(to)(source)),
        _ => Ok(()),
    }
}

/// The packages lack the names by which a linker finds a library, and `lib64`.
fn lay_out(root: &Path) -> Result<()> {
    let folder = root.join("lib");
    let link = |name: &str, place: PathBuf| match std::os::unix::fs::symlink(name, &place) {
        Err(source) if source.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(at(&place)(source))
        }
        _ => Ok(()),
    };
    link("lib", root.join("lib64"))?;
    for entry in std::fs::read_dir(&folder).map_err(at(&folder))?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.contains(".alt.") {
            // The same once more, for old systems.
            std::fs::remove_file(entry.path()).map_err(at(&entry.path()))?;
        } else if let Some((stem, _)) = name.split_once(".so.") {
            link(&name, folder.join(format!("{stem}.so")))?;
        }
    }
    Ok(())
}

/// `… release 13.0, V13.0.88` → (13, 0).
fn release(said: &str) -> Option<(u32, u32)> {
    let (_, behind) = said.split_once("release ")?;
    let (version, _) = behind.split_once(',')?;
    let (major, minor) = version.trim().split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// `compute_75`, `compute_80`, … a line each.
fn architectures(said: &str) -> BTreeSet<Capability> {
    let names = said.split_whitespace();
    let names = names.filter_map(|name| name.strip_prefix("compute_"));
    names.filter_map(|number| number.parse().ok()).collect()
}

/// The source of a library that has every function named in `cuda.h`, and no device. A name too many does no harm.
fn stand_in(header: &str) -> String {
    let mut source = String::from(
        "// Stands in for the driver's libcuda: 100 is CUDA_ERROR_NO_DEVICE.\n\
         int cuGetErrorName(int error, const char **text) { *text = \"CUDA_ERROR_NO_DEVICE\"; return 0; }\n\
         int cuGetErrorString(int error, const char **text) { *text = \"no NVIDIA driver\"; return 0; }\n",
    );
    // Also with versions (`cuMemAlloc_v2`), which stand in the header as what a plain name is replaced with.
    let Ok(name) = Regex::new(r"\bcu[A-Z][A-Za-z0-9]*(_v[0-9]+)?\b") else {
        return source;
    };
    let mut names: BTreeSet<&str> = name.find_iter(header).map(|found| found.as_str()).collect();
    // It has a header of its own, which the packages lack, and cudarc names it.
    names.insert("cuProfilerInitialize");
    for name in names {
        for way in ["", "_ptds", "_ptsz"] {
            if !name.starts_with("cuGetError") {
                let _ = writeln!(source, "int {name}{way}(void) {{ return 100; }}");
            }
        }
    }
    source
}

fn at(path: &Path) -> impl Fn(std::io::Error) -> CudaError {
    let path = path.to_owned();
    move |source| CudaError::File {
        path: path.clone(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_read_as_people_write_them() {
        for text in ["80", "8.0", "sm_80"] {
            assert_eq!(text.parse(), Ok(Capability(80)));
        }
        assert_eq!("12.0".parse(), Ok(Capability(120)));
        for text in ["", "8", "new", "-80"] {
            let error = text.parse::<Capability>().expect_err(text);
            assert!(error.contains("80 or 8.0"), "{error}");
        }
    }

    #[test]
    fn what_nvcc_says_is_read() {
        let said = "nvcc: NVIDIA (R) Cuda compiler driver\nCuda compilation tools, release 13.0, V13.0.88\n";
        assert_eq!(release(said), Some((13, 0)));
        assert_eq!(release("clang"), None);
        let known = architectures("compute_75\ncompute_80\ncompute_103 compute_90a\n");
        assert_eq!(known, BTreeSet::from([75, 80, 103].map(Capability)));
    }

    #[test]
    fn a_build_is_for_cards_from_2020_unless_another_is_wanted() {
        let toolkit = Toolkit {
            root: PathBuf::from("/toolkit"),
            version: (13, 0),
            capabilities: BTreeSet::from([75, 80, 90].map(Capability)),
        };
        let cuda = toolkit.plan(Some(Capability(90))).expect("it can");
        assert_eq!(cuda.to_string(), "CUDA 13.0, compute capability 90");
        let usual = toolkit.plan(None).expect("it can").capability;
        assert!(usual <= USUAL, "{usual}");
        let error = toolkit.plan(Some(Capability(42))).expect_err("too old");
        let error = error.to_string();
        assert!(
            error.contains("42") && error.contains("75, 80, 90"),
            "{error}"
        );
    }

    #[test]
    fn the_stand_in_has_the_names_of_the_header() {
        let header = "#define cuMemAlloc cuMemAlloc_v2\nCUresult CUDAAPI cuInit(unsigned int Flags);\n\
                      CUresult CUDAAPI cuGetErrorName(CUresult error, const char **pStr);\n";
        let source = stand_in(header);
        for name in ["cuInit", "cuMemAlloc", "cuMemAlloc_v2"] {
            let line = format!("int {name}(void) {{ return 100; }}\n");
            assert_eq!(source.matches(&line).count(), 1, "{name}");
        }
        assert_eq!(source.matches("cuGetErrorName(").count(), 1);
    }

    #[test]
    fn only_objects_are_made_in_haste() -> std::io::Result<()> {
        let folder = tempfile::tempdir()?;
        let nvcc = folder.path().join("it's nvcc");
        std::fs::write(&nvcc, "#!/bin/sh\necho \"$@\"\n")?;
        std::fs::set_permissions(&nvcc, std::fs::Permissions::from_mode(0o755))?;
        let said = |arguments: &[&str]| -> std::io::Result<String> {
            let script = ["-c", &hasty(&nvcc), "nvcc"];
            let done = Command::new("sh").args(script).args(arguments).output()?;
            Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned())
        };
        assert_eq!(said(&["-ptx", "a b.cu"])?, "-ptx a b.cu");
        assert_eq!(said(&["-c", "a.cu"])?, "-c a.cu -Xcicc -O1 -Xptxas -O1");
        Ok(())
    }

    #[test]
    fn packages_are_laid_out_as_a_toolkit() -> std::io::Result<()> {
        let root = tempfile::tempdir()?;
        let lib = root.path().join("lib");
        std::fs::create_dir(&lib)?;
        for name in [
            "libcublas.so.13",
            "libnvrtc.alt.so.13",
            "libcudart_static.a",
        ] {
            std::fs::write(lib.join(name), name)?;
        }
        for _ in 0..2 {
            lay_out(root.path()).map_err(std::io::Error::other)?;
        }
        let found = std::fs::read_to_string(root.path().join("lib64/libcublas.so"))?;
        assert_eq!(found, "libcublas.so.13");
        assert!(!lib.join("libnvrtc.alt.so.13").exists());
        let cuda = Cuda {
            capability: USUAL,
            version: FETCHED.to_owned(),
            root: root.path().to_owned(),
        };
        assert_eq!(cuda.libraries().len(), 1, "lib64 is lib");
        Ok(())
    }

    #[test]
    fn every_package_is_pinned() {
        let lines = PACKAGES.lines().filter(|line| !line.starts_with('#'));
        assert!(lines.clone().count() >= 8);
        for line in lines {
            assert!(line.starts_with("nvidia-") && line.contains("=="), "{line}");
        }
    }
}
