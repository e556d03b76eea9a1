//! Checks what a kernel needs, and says what to do about what is missing.

use std::convert::Infallible;
use std::io::IsTerminal;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::install::{self, Place};
use crate::prelude::{Plan, cuda};
use crate::python;
use crate::toolchain::{Toolchain, ToolchainError, on_path, shared_std};

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is there.
    Good,
    /// It can be done without, at a price.
    Advice,
    /// Nothing works without it.
    Bad,
}

/// One thing that was checked.
#[derive(Debug, Clone)]
pub struct Finding {
    pub what: &'static str,
    pub verdict: Verdict,
    /// What was found.
    pub text: String,
    /// The command that mends it.
    pub mend: Option<String>,
}

/// How Rust comes to a machine.
const RUSTUP: &str = "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y";

/// Checks everything.
pub fn examine() -> Vec<Finding> {
    let toolchain = Toolchain::find();
    let mut findings = compiler(&toolchain);
    findings.push(linker());
    findings.extend(jupyter());
    findings.push(kernel());
    if let Ok(toolchain) = toolchain {
        findings.extend(prelude(toolchain));
    }
    findings
}

fn compiler(toolchain: &Result<Toolchain, ToolchainError>) -> Vec<Finding> {
    let error = match toolchain {
        Ok(toolchain) => {
            let version = toolchain.version.lines().next().unwrap_or_default();
            let std = shared_std(&toolchain.libdir).unwrap_or_default();
            let found = format!("{version}, {}", toolchain.rustc.display());
            return vec![
                good("compiler", found),
                good("shared libstd", std.display().to_string()),
            ];
        }
        Err(error) => error,
    };
    let finding = bad("compiler", error.to_string());
    vec![match error {
        ToolchainError::Missing | ToolchainError::NoSharedStd(_) => finding.mended_by(RUSTUP),
        ToolchainError::TooOld { choice: None, .. } => finding.mended_by("rustup update stable"),
        // rustup is there, and has nothing yet.
        ToolchainError::Unusable { what, .. } if what.contains("no default is configured") => {
            finding.mended_by("rustup default stable")
        }
        // A file chooses the compiler, or something unusual is wrong; the text says what.
        _ => finding,
    }]
}

/// Python and Jupyter, for notebooks in a browser.
fn jupyter() -> Vec<Finding> {
    let found = match python::python() {
        Ok(python) => python,
        Err(error) => {
            let text = format!("{error}; `itd run` and `itd repl` work without");
            let finding = advice("Python", text);
            return vec![match installer("python3 python3-venv", "python3") {
                Some(command) => finding.mended_by(&command),
                None => finding,
            }];
        }
    };
    let text = format!(
        "{} (for Jupyter; `itd run` and `itd repl` need none)",
        found.display()
    );
    let mut findings = vec![good("Python", text)];
    // Debian has these parts of Python in a package of their own.
    let whole = Command::new(&found)
        .args(["-c", "import ensurepip, venv"])
        .output()
        .is_ok_and(|done| done.status.success());
    if !whole {
        let text = "has no venv, with which `itd lab` makes its environment".to_owned();
        let finding = advice("Python", text);
        findings.push(match installer("python3-venv", "python3") {
            Some(command) => finding.mended_by(&command),
            None => finding,
        });
    }
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let own = project.join(".venv/bin/jupyter-lab");
    let is_there = own.is_file();
    let works = || is_there && python::Environment::at(project.join(".venv")).works();
    findings.push(
        match on_path("jupyter-lab").or_else(|| works().then_some(own)) {
            Some(lab) => good("JupyterLab", lab.display().to_string()),
            None => {
                let command = match project.is_dir() {
                    true => "itd lab",
                    false => "python3 -m pip install jupyterlab",
                };
                advice("JupyterLab", "not found on the path".to_owned()).mended_by(command)
            }
        },
    );
    findings
}

/// Whether front ends find this kernel, and whether what they find can be started.
fn kernel() -> Finding {
    let places = install::installed(install::NAME);
    if places.is_empty() {
        let environment = ["VIRTUAL_ENV", "CONDA_PREFIX"];
        let inside = environment
            .iter()
            .any(|name| std::env::var_os(name).is_some());
        let command = match inside {
            true => "itd install --sys-prefix",
            false => "itd install",
        };
        return advice("kernel", "not known to Jupyter".to_owned()).mended_by(command);
    }
    // `…/share/jupyter/kernels/NAME`, but for the user's own.
    let own = Place::User.folder().unwrap_or_default().join(install::NAME);
    for place in &places {
        let program = install::program(place);
        if let Some(gone) = program.filter(|program| program.is_absolute() && !program.is_file()) {
            let text = format!(
                "{} starts {}, which is gone",
                place.display(),
                gone.display()
            );
            let prefix = place.ancestors().nth(4).filter(|_| *place != own);
            let command = prefix.map_or("itd install".to_owned(), |prefix| {
                format!("itd install --prefix {}", prefix.display())
            });
            return advice("kernel", text).mended_by(&command);
        }
    }
    let places = places.iter().map(|place| place.display().to_string());
    good("kernel", places.collect::<Vec<_>>().join(", "))
}

fn prelude(toolchain: Toolchain) -> Vec<Finding> {
    let plan = match Plan::new(toolchain) {
        Ok(plan) => plan,
        Err(error) => return vec![bad("prelude", error.to_string())],
    };
    let built = match plan.find_for_here() {
        Ok(Some(prelude)) => good("prelude", format!("built, {}", prelude.folder().display())),
        Ok(None) => advice(
            "prelude",
            "not built for this compiler and these sources; the first cell builds it".to_owned(),
        )
        .mended_by("itd prelude build"),
        Err(error) => bad("prelude", error.to_string()),
    };
    let cuda = match (&plan.cuda, cuda::driver()) {
        (Some(chosen), true) => good("CUDA", format!("the prelude is built with it, {chosen}")),
        (Some(_), false) => advice(
            "CUDA",
            "chosen, but there is no NVIDIA driver here: cells take the build for the CPU"
                .to_owned(),
        ),
        (None, true) => advice(
            "CUDA",
            "there is an NVIDIA driver; this has the prelude use it:".to_owned(),
        )
        .mended_by("itd prelude build --cuda"),
        (None, false) => good("CUDA", "not used; the CPU is".to_owned()),
    };
    vec![built, cuda]
}

/// The linker takes a good part of a cell's time.
fn linker() -> Finding {
    // Which calls the linker, whatever that is.
    if on_path("cc").is_none() {
        let finding = bad(
            "linker",
            "no C compiler (cc) to link with: install gcc or clang".to_owned(),
        );
        return match installer("gcc libc6-dev", "gcc") {
            Some(command) => finding.mended_by(&command),
            None => finding,
        };
    }
    if let Some(mold) = on_path("mold") {
        return good("linker", format!("mold, {}", mold.display()));
    }
    if let Some(lld) = on_path("lld") {
        return good("linker", format!("lld, {}", lld.display()));
    }
    match cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        true => good(
            "linker",
            "lld, as it comes with the compiler; neither mold nor lld is on the path".to_owned(),
        ),
        false => advice(
            "linker",
            "the system's; cells link faster with mold or lld on the path".to_owned(),
        ),
    }
}

/// How this system installs packages, which Debian calls otherwise.
fn installer(debian: &str, others: &str) -> Option<String> {
    let ways = [
        ("apt-get", "sudo apt-get install --yes", debian),
        ("dnf", "sudo dnf install --assumeyes", others),
        ("pacman", "sudo pacman -S --noconfirm", others),
        ("zypper", "sudo zypper --non-interactive install", others),
        ("brew", "brew install", others),
    ];
    let way = ways
        .into_iter()
        .find(|(program, ..)| on_path(program).is_some());
    way.map(|(_, command, packages)| format!("{command} {packages}"))
}

impl Finding {
    fn new(what: &'static str, verdict: Verdict, text: String) -> Self {
        Self {
            what,
            verdict,
            text,
            mend: None,
        }
    }

    fn mended_by(mut self, command: &str) -> Self {
        self.mend = Some(command.to_owned());
        self
    }
}

fn good(what: &'static str, text: String) -> Finding {
    Finding::new(what, Verdict::Good, text)
}

fn advice(what: &'static str, text: String) -> Finding {
    Finding::new(what, Verdict::Advice, text)
}

fn bad(what: &'static str, text: String) -> Finding {
    Finding::new(what, Verdict::Bad, text)
}

/// Prints all findings; true when nothing is missing that is needed.
pub fn run() -> bool {
    let findings = examine();
    for Finding {
        what,
        verdict,
        text,
        mend,
    } in &findings
    {
        let (mark, colour) = match verdict {
            Verdict::Good => ("✓", 32),
            Verdict::Advice => ("!", 33),
            Verdict::Bad => ("✗", 31),
        };
        let mark = match std::io::stdout().is_terminal() {
            true => format!("\x1b[{colour}m{mark}\x1b[0m"),
            false => mark.to_owned(),
        };
        println!("{mark} {what:<14} {text}");
        if let Some(command) = mend {
            println!("{:16} $ {command}", "");
        }
    }
    findings
        .iter()
        .all(|finding| finding.verdict != Verdict::Bad)
}

/// Starts JupyterLab on the project's notebooks.
///
/// # Errors
/// When the environment cannot be made, or JupyterLab cannot be started.
pub fn lab(arguments: &[String]) -> Result<Infallible, Box<dyn std::error::Error>> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = std::env::current_exe()?;
    let environment = python::Environment::ensure(project, &program, &|text| eprintln!("{text}"))?;
    // JupyterLab takes the place of this process: it asks at an interrupt whether it is to end, and hears the answer.
    let program = environment.program("jupyter");
    let error = Command::new(&program)
        .arg("lab")
        .args(arguments)
        .current_dir(project.join("notebooks"))
        .exec();
    Err(format!("{}: {error}", program.display()).into())
}
