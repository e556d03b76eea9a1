//! Checks what a kernel needs, and says what to do about what is missing.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::Command;

use crate::install;
use crate::prelude::Plan;
use crate::python;
use crate::toolchain::{Toolchain, shared_std};

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
    /// What was found, or what to do.
    pub text: String,
}

/// Checks everything.
pub fn examine() -> Vec<Finding> {
    let mut findings = Vec::new();
    let toolchain = Toolchain::find();
    match &toolchain {
        Ok(toolchain) => {
            let version = toolchain.version.lines().next().unwrap_or_default();
            findings.push(good(
                "compiler",
                format!("{version}, {}", toolchain.rustc.display()),
            ));
            let std = shared_std(&toolchain.libdir).unwrap_or_default();
            findings.push(good("shared libstd", std.display().to_string()));
        }
        Err(error) => findings.push(bad("compiler", error.to_string())),
    }
    findings.push(linker());
    findings.push(match python::python() {
        Ok(python) => good(
            "Python",
            format!(
                "{} (for Jupyter; `itd run` and `itd repl` need none)",
                python.display()
            ),
        ),
        Err(error) => advice(
            "Python",
            format!("{error}; `itd run` and `itd repl` work without"),
        ),
    });
    findings.push(match &install::installed(install::NAME)[..] {
        [] => advice(
            "kernel",
            "not known to Jupyter: run `itd install`, or `itd install --sys-prefix`".to_owned(),
        ),
        places => good(
            "kernel",
            places
                .iter()
                .map(|place| place.display().to_string())
                .collect::<Vec<_>>()
                .join(", "),
        ),
    });
    if let Ok(toolchain) = toolchain {
        findings.extend(prelude(toolchain));
    }
    findings
}

fn prelude(toolchain: Toolchain) -> Vec<Finding> {
    let plan = match Plan::new(toolchain) {
        Ok(plan) => plan,
        Err(error) => return vec![bad("prelude", error.to_string())],
    };
    let built = match plan.find() {
        Ok(Some(prelude)) => good("prelude", format!("built, {}", prelude.folder().display())),
        Ok(None) => advice(
            "prelude",
            "not built for this compiler and these sources; the first cell builds it, or run `itd prelude build`".to_owned(),
        ),
        Err(error) => bad("prelude", error.to_string()),
    };
    let cuda = match (plan.cuda, on_path("nvcc")) {
        (true, Some(_)) => good("CUDA", "the prelude is built with it".to_owned()),
        (true, None) => bad(
            "CUDA",
            "asked for, but nvcc is not on the path; `itd prelude build --cpu` does without"
                .to_owned(),
        ),
        (false, Some(nvcc)) => advice(
            "CUDA",
            format!(
                "{} is there; `itd prelude build --cuda` uses it",
                nvcc.display()
            ),
        ),
        (false, None) => good("CUDA", "not used; the CPU is".to_owned()),
    };
    vec![built, cuda]
}

/// The linker takes a good part of a cell's time.
fn linker() -> Finding {
    if let Some(mold) = on_path("mold") {
        return good("linker", format!("mold, {}", mold.display()));
    }
    if let Some(lld) = on_path("lld") {
        return good("linker", format!("lld, {}", lld.display()));
    }
    if on_path("cc").is_none() {
        return bad(
            "linker",
            "no C compiler (cc) to link with: install gcc or clang".to_owned(),
        );
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

fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|place| place.is_file())
}

fn good(what: &'static str, text: String) -> Finding {
    Finding {
        what,
        verdict: Verdict::Good,
        text,
    }
}

fn advice(what: &'static str, text: String) -> Finding {
    Finding {
        what,
        verdict: Verdict::Advice,
        text,
    }
}

fn bad(what: &'static str, text: String) -> Finding {
    Finding {
        what,
        verdict: Verdict::Bad,
        text,
    }
}

/// Prints all findings; true when nothing is missing that is needed.
pub fn run() -> bool {
    let findings = examine();
    for Finding {
        what,
        verdict,
        text,
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
    }
    findings
        .iter()
        .all(|finding| finding.verdict != Verdict::Bad)
}

/// Starts JupyterLab on the project's notebooks.
///
/// # Errors
/// When the environment cannot be made, or JupyterLab cannot be started.
pub fn lab(arguments: &[String]) -> Result<i32, Box<dyn std::error::Error>> {
    let project = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = std::env::current_exe()?;
    let environment = python::Environment::ensure(project, &program, &|text| eprintln!("{text}"))?;
    let status = Command::new(environment.program("jupyter"))
        .arg("lab")
        .args(arguments)
        .current_dir(project.join("notebooks"))
        .status()?;
    Ok(status.code().unwrap_or(1))
}
