//! The Python environment of the project: Jupyter only; no Python runs the science.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::install::{self, InstallError, Place};

/// Oldest Python that the pinned packages work with.
const OLDEST: (u32, u32) = (3, 10);

/// What keeps the environment from being made.
#[derive(Debug, thiserror::Error)]
pub enum PythonError {
    #[error("no Python 3 found: install python3 (3.10 or newer) and try again")]
    Missing,
    #[error("Python {0}.{1} is too old: 3.10 or newer is needed")]
    TooOld(u32, u32),
    #[error("`{command}` failed:\n{output}")]
    Failed { command: String, output: String },
    #[error("{}: {source}", path.display())]
    File {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(transparent)]
    Kernel(#[from] InstallError),
}

/// A virtual environment with Jupyter and this kernel in it.
#[derive(Debug, Clone)]
pub struct Environment {
    folder: PathBuf,
}

impl Environment {
    /// The project's environment, `.venv`: made, or brought up to the pinned requirements, if it is not.
    ///
    /// # Errors
    /// When there is no Python, or its packages cannot be installed.
    pub fn ensure(
        project: &Path,
        program: &Path,
        tell: &dyn Fn(&str),
    ) -> Result<Self, PythonError> {
        let folder = project.join(".venv");
        let requirements = project.join("requirements.txt");
        let at = |path: &Path| {
            let path = path.to_owned();
            move |source| PythonError::File { path, source }
        };
        let wanted = std::fs::read(&requirements).map_err(at(&requirements))?;
        // Several tests may want it at once; the first makes it.
        let lock_path = project.join(".venv.lock");
        let lock = File::create(&lock_path).map_err(at(&lock_path))?;
        lock.lock().map_err(at(&lock_path))?;
        let environment = Self { folder };
        let stamp = environment.folder.join("itd-requirements.txt");
        if std::fs::read(&stamp).ok().as_ref() != Some(&wanted) {
            let python = python()?;
            tell("making .venv with Jupyter (once)");
            run(Command::new(&python)
                .args(["-m", "venv"])
                .arg(&environment.folder))?;
            let install = [
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "-r",
            ];
            run(Command::new(environment.program("python"))
                .args(install)
                .arg(&requirements))?;
            std::fs::write(&stamp, &wanted).map_err(at(&stamp))?;
        }
        install::install(
            &Place::Prefix(environment.folder.clone()),
            install::NAME,
            program,
        )?;
        Ok(environment)
    }

    /// A program of the environment, such as `jupyter`.
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join("bin").join(name)
    }

    /// The environment's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// A Python that can make the environment.
///
/// # Errors
/// When there is none, or only an old one.
pub fn python() -> Result<PathBuf, PythonError> {
    let mut found = None;
    for name in ["python3", "python"] {
        let asked = Command::new(name)
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
