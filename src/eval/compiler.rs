//! The compiler that cargo calls for a cell: rustc, with the prelude at hand and an ear for types.
//!
//! evcxr has cargo build each cell, and cargo takes its compiler from `RUSTC`. Ours is this program under the name
//! `rustc`. It becomes the real compiler for all that cargo and the crates' build scripts ask of it, and adds, for the
//! cell's own crate only,
//!
//! - the prebuilt prelude (`--extern`), so that it is a dependency without being cargo's business;
//! - the optimisation level of this cell, without a change of profile that would rebuild the session;
//! - the lint `dropping_references`, whose message names the type of each `drop(&x/*x_3*/)` that
//!   [`super::source`] left behind a `let`.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Path of the real compiler; set means that this process is to be one.
pub const REAL: &str = "ITD_RUSTC";
/// Folder for the two files below.
pub const FOLDER: &str = "ITD_CELL_DIR";
/// What the compiler is to add, written by the session.
const ORDER: &str = "order.json";
/// The types that the compiler named, read by the session.
const TYPES: &str = "types.json";
/// The crates that were begun to be built, one a line.
const BUILDING: &str = "building";
/// The name under which this program is the compiler.
const NAME: &str = "rustc";

/// What is added to the compilation of a cell.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// Arguments that make the prelude available.
    pub prelude: Vec<String>,
    /// Optimisation level, as for `-C opt-level`.
    pub opt_level: String,
}

impl Order {
    /// Leaves the order for the compiler, and takes away what it said last.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub fn give(&self, folder: &Path) -> std::io::Result<()> {
        let _ = std::fs::remove_file(folder.join(TYPES));
        let _ = std::fs::remove_file(building(folder));
        std::fs::write(folder.join(ORDER), serde_json::to_vec(self)?)
    }
}

/// The types that the compiler named in the last build, by key.
pub fn named_types(folder: &Path) -> BTreeMap<String, String> {
    let text = std::fs::read(folder.join(TYPES)).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

/// The file in which the compiler says what it builds.
pub fn building(folder: &Path) -> PathBuf {
    folder.join(BUILDING)
}

/// Puts this program in `folder` under the compiler's name; gives the path for `RUSTC`.
///
/// # Errors
/// When the folder cannot be written to.
pub fn install(folder: &Path) -> std::io::Result<PathBuf> {
    let path = folder.join(NAME);
    if std::fs::symlink_metadata(&path).is_err() {
        std::os::unix::fs::symlink(std::env::current_exe()?, &path)?;
    }
    Ok(path)
}

/// Turns this process into the compiler if it was called by that name; otherwise returns.
pub fn hook() {
    let called = std::env::args_os().next().map(PathBuf::from);
    let (Some(rustc), Some(true)) = (
        std::env::var_os(REAL),
        called.map(|called| called.file_name().is_some_and(|name| name == NAME)),
    ) else {
        return;
    };
    let args: Vec<String> = std::env::args().skip(1).collect();
    let status = compile(Path::new(&rustc), &args);
    std::process::exit(status.unwrap_or_else(|error| {
        eprintln!("error: {}: {error}", Path::new(&rustc).display());
        1
    }));
}

fn compile(rustc: &Path, args: &[String]) -> std::io::Result<i32> {
    let mut command = Command::new(rustc);
    let folder = std::env::var_os(FOLDER).map(PathBuf::from);
    let mut pairs = args.windows(2);
    let name = pairs.find(|pair| pair[0] == "--crate-name");
    let name = name.map(|pair| pair[1].as_str()).unwrap_or_default();
    let order = folder
        .as_ref()
        .and_then(|folder| std::fs::read(folder.join(ORDER)).ok());
    let order: Option<Order> = order.and_then(|text| serde_json::from_slice(&text).ok());
    let (Some(folder), Some(order), "ctx") = (&folder, order, name) else {
        if let Some(folder) = folder {
            note(&folder, name);
        }
        return Err(command.args(args).exec());
    };
    command.args(&order.prelude);
    match order.opt_level.as_str() {
        "" => command.args(args),
        "0" => command.args(args).arg("-Copt-level=0"),
        // What a release build is: without the checks, and in one piece, so that all can be inlined.
        level => command.args(without_incremental(args)).args([
            &format!("-Copt-level={level}"),
            "-Cdebug-assertions=off",
            "-Coverflow-checks=off",
            "-Ccodegen-units=1",
            "-Ctarget-cpu=native",
        ]),
    };
    // Full paths in the lint's message, and no type cut short. Asking for them needs the unstable flag;
    // no unstable feature reaches the cell, since only a `#![feature]` of its own could enable one.
    command
        .args([
            "--force-warn=dropping_references",
            "--diagnostic-width=1000000",
        ])
        .arg("-Ztrim-diagnostic-paths=no")
        .env("RUSTC_BOOTSTRAP", "1")
        .stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let mut types = BTreeMap::new();
    let mut broken = None;
    for line in child
        .stderr
        .take()
        .into_iter()
        .flat_map(|stderr| BufReader::new(stderr).lines())
    {
        let line = line?;
        match Named::read(&line) {
            Some(named) => types.extend([(named.key, named.ty)]),
            // The compiler is read to its end all the same, and waited for.
            None => broken = broken.or(writeln!(std::io::stderr(), "{line}").err()),
        }
    }
    let status = child.wait()?;
    if let Some(error) = broken {
        return Err(error);
    }
    if !types.is_empty() {
        std::fs::write(folder.join(TYPES), serde_json::to_vec(&types)?)?;
    }
    Ok(status.code().unwrap_or(1))
}

/// Says which crate is begun. cargo and build scripts also ask for what the compiler can do, under made-up names.
fn note(folder: &Path, name: &str) {
    if name.is_empty() || name.starts_with("__") || name == "build_script_build" {
        return;
    }
    let file = std::fs::File::options()
        .create(true)
        .append(true)
        .open(building(folder));
    let _ = file.and_then(|mut file| file.write_all(format!("{name}\n").as_bytes()));
}

/// The arguments without `-C incremental=…`, for which the code is cut into pieces.
fn without_incremental(args: &[String]) -> Vec<&String> {
    let mut kept: Vec<&String> = Vec::new();
    for arg in args {
        match arg.starts_with("incremental=") && kept.last().is_some_and(|last| *last == "-C") {
            true => drop(kept.pop()),
            false => kept.push(arg),
        }
    }
    kept
}

/// A variable whose type the compiler has named.
#[derive(Debug)]
struct Named {
    key: String,
    ty: String,
}

impl Named {
    /// Reads the lint's message for `drop(&x/*x_3*/)`; a user's own `drop(&x)` is not meant.
    fn read(line: &str) -> Option<Self> {
        if !line.contains("dropping_references") {
            return None;
        }
        let message: Value = serde_json::from_str(line).ok()?;
        if message["code"]["code"] != "dropping_references" {
            return None;
        }
        let spans = message["spans"].as_array()?;
        let span = spans.iter().find(|span| span["label"].is_string())?;
        let ty = span["label"]
            .as_str()?
            .strip_prefix("argument has type `&")?
            .strip_suffix('`')?;
        let text = &span["text"][0];
        let end = text["highlight_end"].as_u64()? as usize;
        let behind: String = text["text"]
            .as_str()?
            .chars()
            .skip(end.saturating_sub(1))
            .collect();
        let key = behind.strip_prefix("/*")?.split_once("*/")?.0;
        Some(Self {
            key: key.to_owned(),
            ty: ty.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn lint(text: &str, ty: &str) -> String {
        let end = text
            .split("/*x_3")
            .next()
            .unwrap_or_default()
            .chars()
            .count()
            + 1;
        json!({
            "message": "calls to `std::mem::drop` with a reference", "code": {"code": "dropping_references"},
            "spans": [{"label": format!("argument has type `&{ty}`"),
                       "text": [{"text": text, "highlight_start": end - 2, "highlight_end": end}]}],
        })
        .to_string()
    }

    #[test]
    fn types_are_read_from_the_lint() {
        let named = Named::read(&lint("let é = 1; drop(&x/*x_3*/);", "std::vec::Vec<&str>"));
        let named = named.expect("a named type");
        assert_eq!(
            (named.key.as_str(), named.ty.as_str()),
            ("x_3", "std::vec::Vec<&str>")
        );
    }

    #[test]
    fn a_drop_of_the_users_own_is_not_ours() {
        assert!(Named::read(&lint("drop(&x);", "u8")).is_none());
    }

    #[test]
    fn only_the_incremental_build_is_left_out() {
        let args = [
            "-C",
            "incremental=/x",
            "-C",
            "codegen-units=16",
            "incremental=1",
        ];
        let args = args.map(str::to_owned);
        assert_eq!(
            without_incremental(&args),
            ["-C", "codegen-units=16", "incremental=1"]
        );
    }
}
