//! The Python environments of the project: Jupyter in one, PyTorch to be compared with in another; no Python runs
//! the science.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::install::{self, InstallError, Place};

/// Oldest Python that the pinned packages work with.
const OLDEST: (u32, u32) = (3, 11);

/// What keeps the environment from being made.
#[derive(Debug, thiserror::Error)]
pub enum PythonError {
    #[error("no Python 3 found: install python3 (3.11 or newer) and try again")]
    Missing,
    #[error("Python {0}.{1} is too old: 3.11 or newer is needed")]
    TooOld(u32, u32),
    #[error("`{command}` failed:\n{output}")]
    Failed { command: String, output: String },
    #[error("the environment {} does not work, and `itd` has not made it: repair it, or move it away and try again", .0.display())]
    Foreign(PathBuf),
    #[error("{}: {source}", path.display())]
    File {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(transparent)]
    Kernel(#[from] InstallError),
}

/// A virtual environment.
#[derive(Debug, Clone)]
pub struct Environment {
    folder: PathBuf,
}

impl Environment {
    /// The project's environment, `.venv`, with Jupyter and this kernel in it: made, or brought up to the pinned
    /// requirements, if it is not.
    ///
    /// # Errors
    /// When there is no Python, or its packages cannot be installed.
    pub fn ensure(
        project: &Path,
        program: &Path,
        tell: &dyn Fn(&str),
    ) -> Result<Self, PythonError> {
        let requirements = ["requirements.txt"];
        Self::with_kernel(project, ".venv", &requirements, program, tell)
    }

    /// The environment with nbgrader besides, `.venv-course`, which the tests of the course's editions need.
    ///
    /// # Errors
    /// As [`Self::ensure`].
    pub fn grading(
        project: &Path,
        program: &Path,
        tell: &dyn Fn(&str),
    ) -> Result<Self, PythonError> {
        let requirements = ["requirements.txt", "requirements-course.txt"];
        Self::with_kernel(project, ".venv-course", &requirements, program, tell)
    }

    fn with_kernel(
        project: &Path,
        folder: &str,
        requirements: &[&str],
        program: &Path,
        tell: &dyn Fn(&str),
    ) -> Result<Self, PythonError> {
        let environment = Self {
            folder: project.join(folder),
        };
        let requirements: Vec<PathBuf> =
            requirements.iter().map(|name| project.join(name)).collect();
        // What papermill needs for parameters in Rust.
        let own = project.join("python");
        let parts = ["pyproject.toml", "itd_papermill.py"].map(|name| own.join(name));
        let mut wanted = Vec::new();
        for file in requirements.iter().chain(&parts) {
            wanted.extend(std::fs::read(file).map_err(at(file))?);
        }
        // Several tests may want it at once; the first makes it.
        let _lock = lock(project)?;
        let stamp = environment.stamp();
        let made = std::fs::read(&stamp).ok().as_ref() == Some(&wanted);
        if !(made && environment.works()) {
            tell(&format!("making {folder} with Jupyter (once)"));
            environment.make(&requirements)?;
            run(environment.pip().arg(&own))?;
            std::fs::write(&stamp, &wanted).map_err(at(&stamp))?;
        }
        install::install(
            &Place::Prefix(environment.folder.clone()),
            install::NAME,
            program,
        )?;
        Ok(environment)
    }

    /// The environment with PyTorch, `.venv-bench`: made, or brought up to the pinned requirements, if it is not. An
    /// environment that has those packages already may stand there as a link.
    ///
    /// # Errors
    /// When there is no Python, or its packages cannot be installed.
    pub fn torch(project: &Path, tell: &dyn Fn(&str)) -> Result<Self, PythonError> {
        let environment = Self {
            folder: project.join(".venv-bench"),
        };
        let requirements = project.join("requirements-bench.txt");
        let text = std::fs::read_to_string(&requirements).map_err(at(&requirements))?;
        let _lock = lock(project)?;
        if !environment.has(&pins(&text)) {
            tell("making .venv-bench with PyTorch (once; a download of some hundred megabytes)");
            environment.make(&[requirements])?;
            tell(".venv-bench is ready; remove that folder when you need it no more");
        }
        Ok(environment)
    }

    /// Whether its Python starts, in this folder: a Python that was replaced, or a project that was moved, leaves one
    /// that does not.
    pub fn works(&self) -> bool {
        let asked = Command::new(self.program("python"))
            .args(["-c", "import pip, sys; print(sys.prefix)"])
            .output();
        let Some(answer) = asked.ok().filter(|answer| answer.status.success()) else {
            return false;
        };
        // Its programs name the Python of the folder that it was made in.
        let first = std::fs::read_to_string(self.program("pip")).unwrap_or_default();
        let first = first.lines().next().unwrap_or_default();
        let python = first.trim_start_matches("#!").trim();
        let prefix = PathBuf::from(String::from_utf8_lossy(&answer.stdout).trim());
        let same = |one: &Path, other: &Path| one.canonicalize().ok() == other.canonicalize().ok();
        same(&prefix, &self.folder)
            && (python.is_empty() || python.contains(' ') || Path::new(python).is_file())
    }

    /// Makes the environment if it is not there, or does not work, and installs what is wanted.
    fn make(&self, requirements: &[PathBuf]) -> Result<(), PythonError> {
        // An empty folder is as good as none.
        let there = std::fs::read_dir(&self.folder).is_ok_and(|mut all| all.next().is_some());
        // Such as `uv venv` makes.
        if there && !self.works() && self.lacks_pip() {
            let mut command = Command::new(self.program("python"));
            // What it says is of interest only if the environment still does not work.
            let _ = run(command.args(["-m", "ensurepip"]));
        }
        let broken = there && !self.works();
        let mut command = Command::new(python()?);
        command.args(["-m", "venv"]);
        if broken {
            // What somebody else has made is not cleared away.
            if self.folder.is_symlink() || !self.stamp().is_file() {
                return Err(PythonError::Foreign(self.folder.clone()));
            }
            command.arg("--clear");
        }
        let sign = || {
            std::fs::create_dir_all(&self.folder)
                .and_then(|()| std::fs::write(self.stamp(), ""))
                .map_err(at(&self.folder))
        };
        if !there {
            // From now on it is ours, even if it does not become whole.
            sign()?;
        }
        run(command.arg(&self.folder))?;
        if broken {
            sign()?;
        }
        if requirements.is_empty() {
            return Ok(());
        }
        let mut pip = self.pip();
        for file in requirements {
            pip.arg("-r").arg(file);
        }
        run(&mut pip)
    }

    /// The list of what was installed, which also says that the environment is of our making.
    fn stamp(&self) -> PathBuf {
        self.folder.join("itd-requirements.txt")
    }

    /// Whether its Python starts, and has no `pip`.
    fn lacks_pip(&self) -> bool {
        let answers = |code: &str| {
            let asked = Command::new(self.program("python"))
                .args(["-c", code])
                .output();
            asked.is_ok_and(|answer| answer.status.success())
        };
        answers("") && !answers("import pip")
    }

    /// `pip install` in it.
    fn pip(&self) -> Command {
        let mut command = Command::new(self.program("python"));
        command.args(["-m", "pip", "install", "--quiet"]);
        command.arg("--disable-pip-version-check");
        command
    }

    /// Whether it has all these packages, whatever a build adds to the version (`2.15.0+cpu`).
    fn has(&self, pins: &[(&str, &str)]) -> bool {
        let names: Vec<&str> = pins.iter().map(|(name, _)| *name).collect();
        let asked = Command::new(self.program("python"))
            .args(["-c", VERSIONS])
            .args(names)
            .output();
        let Ok(answer) = asked else { return false };
        let text = String::from_utf8_lossy(&answer.stdout).into_owned();
        let found: Vec<&str> = text.split_whitespace().collect();
        let fits = |(found, (_, version)): (&&str, &(&str, &str))| {
            found.split('+').next() == Some(version)
        };
        answer.status.success() && found.len() == pins.len() && found.iter().zip(pins).all(fits)
    }

    /// A program of the environment, such as `jupyter`.
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join("bin").join(name)
    }

    /// The one in a folder, whatever is there.
    pub fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The environment's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// Unpacks packages into a folder where Python does not look for them; `scratch` is a folder for what that needs.
///
/// # Errors
/// When there is no Python, or the packages cannot be downloaded.
pub fn unpack(requirements: &str, scratch: &Path, to: &Path) -> Result<(), PythonError> {
    let list = scratch.join("requirements.txt");
    std::fs::write(&list, requirements).map_err(at(&list))?;
    let environment = Environment {
        folder: scratch.join("venv"),
    };
    run(Command::new(python()?)
        .args(["-m", "venv"])
        .arg(&environment.folder))?;
    let mut pip = environment.pip();
    pip.args(["--no-deps", "--no-compile", "--target"]);
    run(pip.arg(to).arg("-r").arg(&list))
}

/// Prints the versions of packages.
const VERSIONS: &str =
    "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]))";

/// Names and versions of the packages in a list of requirements.
fn pins(requirements: &str) -> Vec<(&str, &str)> {
    let lines = requirements.lines();
    lines
        .filter_map(|line| line.trim().split_once("=="))
        .collect()
}

/// Held while an environment is looked at or made.
fn lock(project: &Path) -> Result<File, PythonError> {
    let path = project.join(".venv.lock");
    let file = File::create(&path).map_err(at(&path))?;
    file.lock().map_err(at(&path))?;
    Ok(file)
}

fn at(path: &Path) -> impl Fn(std::io::Error) -> PythonError {
    let path = path.to_owned();
    move |source| PythonError::File {
        path: path.clone(),
        source,
    }
}

/// A Python that can make the environment.
///
/// # Errors
/// When there is none, or only an old one.
pub fn python() -> Result<PathBuf, PythonError> {
    let mut found = None;
    // A system whose own Python is old has newer ones beside it.
    let newer = (OLDEST.1..=OLDEST.1 + 4)
        .rev()
        .map(|minor| format!("python3.{minor}"));
    let names = ["python3", "python"]
        .map(str::to_owned)
        .into_iter()
        .chain(newer);
    for name in names {
        let asked = Command::new(&name)
            .args(["-c", "import sys; print(*sys.version_info[:2])"])
            .output();
        let Some(answer) = asked.ok().filter(|answer| answer.status.success()) else {
            continue;
        };
        let text = String::from_utf8_lossy(&answer.stdout).into_owned();
        let mut numbers = text.split_whitespace().map(str::parse);
        if let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) {
            if (major, minor) >= OLDEST {
                return Ok(PathBuf::from(name));
            }
            found = Some((major, minor));
        }
    }
    Err(found.map_or(PythonError::Missing, |(major, minor)| {
        PythonError::TooOld(major, minor)
    }))
}

fn run(command: &mut Command) -> Result<(), PythonError> {
    let shown = format!("{} {}", command.get_program().to_string_lossy(), {
        let args: Vec<_> = command
            .get_args()
            .map(|arg| arg.to_string_lossy())
            .collect();
        args.join(" ")
    });
    let failed = |output: String| PythonError::Failed {
        command: shown.clone(),
        output,
    };
    let done = command
        .output()
        .map_err(|error| failed(error.to_string()))?;
    match done.status.success() {
        true => Ok(()),
        false => {
            let mut output = String::from_utf8_lossy(&done.stdout).into_owned();
            output.push_str(&String::from_utf8_lossy(&done.stderr));
            Err(failed(output))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirements_are_read() {
        let text =
            "# a word\n--extra-index-url https://a.example/simple\ntorch==2.15.0\n\nnumpy==2.4.6\n";
        assert_eq!(pins(text), [("torch", "2.15.0"), ("numpy", "2.4.6")]);
    }

    #[test]
    fn an_environment_that_is_not_there_has_nothing() {
        let environment = Environment::at(PathBuf::from("/no/such/environment"));
        assert!(!environment.has(&[("torch", "2.15.0")]) && !environment.works());
    }

    #[test]
    fn an_environment_that_was_moved_does_not_work() -> Result<(), Box<dyn std::error::Error>> {
        let Ok(python) = python() else {
            println!("skipped: no Python here");
            return Ok(());
        };
        let folder = tempfile::tempdir()?;
        let (made, moved) = (folder.path().join("made"), folder.path().join("moved"));
        run(Command::new(python).args(["-m", "venv"]).arg(&made))?;
        assert!(Environment::at(made.clone()).works());
        std::fs::rename(&made, &moved)?;
        let moved = Environment::at(moved);
        assert!(!moved.works());
        // Nobody knows what else is in it.
        std::fs::write(moved.folder().join("thesis.txt"), "years of work")?;
        let refused = moved.make(&[]);
        assert!(
            matches!(refused, Err(PythonError::Foreign(_))),
            "{refused:?}"
        );
        assert!(moved.folder().join("thesis.txt").is_file());
        std::fs::write(moved.stamp(), "")?;
        moved.make(&[])?;
        assert!(moved.works() && moved.stamp().is_file());
        // One without pip, as `uv venv` makes, is given it.
        let bare = Environment::at(folder.path().join("bare"));
        let python = super::python()?;
        run(Command::new(python)
            .args(["-m", "venv", "--without-pip"])
            .arg(bare.folder()))?;
        std::fs::write(bare.folder().join("thesis.txt"), "years of work")?;
        assert!(!bare.works());
        bare.make(&[])?;
        assert!(bare.works() && bare.folder().join("thesis.txt").is_file());
        Ok(())
    }
}
