//! The compiler that cargo calls for a cell: rustc, with the prelude at hand and an ear for types.
//!
//! evcxr has cargo build each cell, and cargo takes its compiler from `RUSTC`. Ours is this program, which
//! calls the real one and adds, for the cell's own crate only,
//!
//! - the prebuilt prelude (`--extern`), so that it is a dependency without being cargo's business;
//! - the optimisation level of this cell, without a change of profile that would rebuild the session;
//! - the lint `dropping_references`, whose message names the type of each `drop(&x/*x_3*/)` that
//!   [`super::source`] left behind a `let`. A type that cannot be written down is an error of the cell.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Path of the real compiler; set means that this process is to be one.
pub const REAL: &str = "ITD_RUSTC";
/// Folder for the two files below.
pub const FOLDER: &str = "ITD_CELL_DIR";
/// What the compiler is to add, written by the session.
const ORDER: &str = "order.json";
/// The types that the compiler named, read by the session.
const TYPES: &str = "types.json";

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
        std::fs::write(folder.join(ORDER), serde_json::to_vec(self)?)
    }
}

/// The types that the compiler named in the last build, by key.
pub fn named_types(folder: &Path) -> BTreeMap<String, String> {
    let text = std::fs::read(folder.join(TYPES)).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

/// Turns this process into the compiler if it was started as one; otherwise returns.
pub fn hook() {
    let Some(rustc) = std::env::var_os(REAL) else {
        return;
    };
    let args: Vec<String> = std::env::args().skip(1).collect();
    // cargo passes a crate's name or asks for the compiler's version; a person calls with a subcommand.
    if !args
        .iter()
        .any(|arg| arg == "--crate-name" || arg == "-vV" || arg.starts_with("--print"))
    {
        return;
    }
    let status = compile(Path::new(&rustc), &args);
    std::process::exit(status.unwrap_or_else(|error| {
        eprintln!("error: {}: {error}", Path::new(&rustc).display());
        1
    }));
}

fn compile(rustc: &Path, args: &[String]) -> std::io::Result<i32> {
    let mut command = Command::new(rustc);
    command.args(args);
    let folder = std::env::var_os(FOLDER).map(PathBuf::from);
    let is_cell = args
        .windows(2)
        .any(|pair| pair[0] == "--crate-name" && pair[1] == "ctx");
    let order = folder
        .as_ref()
        .and_then(|folder| std::fs::read(folder.join(ORDER)).ok());
    let order: Option<Order> = order.and_then(|text| serde_json::from_slice(&text).ok());
    let (Some(folder), Some(order), true) = (folder, order, is_cell) else {
        return Ok(command.status()?.code().unwrap_or(1));
    };
    command.args(&order.prelude);
    if !order.opt_level.is_empty() {
        command.arg(format!("-Copt-level={}", order.opt_level));
    }
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
    let mut unwritable = false;
    for line in child
        .stderr
        .take()
        .into_iter()
        .flat_map(|stderr| BufReader::new(stderr).lines())
    {
        let line = line?;
        let Some(named) = Named::read(&line) else {
            writeln!(std::io::stderr(), "{line}")?;
            continue;
        };
        match named.writable() {
            true => types.extend([(named.key, named.ty)]),
            false => {
                unwritable = true;
                writeln!(std::io::stderr(), "{}", named.refusal())?;
            }
        }
    }
    let status = child.wait()?;
    if !types.is_empty() {
        std::fs::write(folder.join(TYPES), serde_json::to_vec(&types)?)?;
    }
    Ok(match unwritable {
        true => 1,
        false => status.code().unwrap_or(1),
    })
}

/// A variable whose type the compiler has named.
#[derive(Debug)]
struct Named {
    key: String,
    ty: String,
    span: Value,
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
            span: span.clone(),
        })
    }

    /// Whether the type can be written in a later cell. Closures, futures and functions are shown in
    /// braces, opaque types with `impl`; `!` is not yet a type that one may write.
    fn writable(&self) -> bool {
        !self.ty.contains(['{', '!'])
            && !self
                .ty
                .split(|c: char| !c.is_alphanumeric())
                .any(|word| word == "impl")
    }

    /// Where the variable is bound; the lint speaks of a place behind it.
    fn place(&self) -> Option<Value> {
        let source = std::fs::read_to_string(self.span["file_name"].as_str()?).ok()?;
        let (name, _) = self.key.rsplit_once('_')?;
        let at = source.find(&format!("{name}: itd_type!({})", self.key))?;
        let before = &source[..at];
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        let mut span = self.span.clone();
        span["line_start"] = json!(line);
        span["line_end"] = json!(line);
        span["column_start"] = json!(column);
        span["column_end"] = json!(column + name.chars().count());
        Some(span)
    }

    /// A compiler message that says what to do instead.
    fn refusal(&self) -> Value {
        let name = self
            .key
            .rsplit_once('_')
            .map_or(self.key.as_str(), |(name, _)| name);
        let what = match () {
            () if self.ty.contains("::{closure#") => "a type that is defined inside a block",
            () if self.ty.contains("{closure") => "a closure",
            () if self.ty.contains("{async") => "a future",
            () if self.ty.contains('{') => "a function's own type",
            () if self.ty.contains('!') => "something that never comes to be (`!`)",
            () => "an opaque type",
        };
        let advice = match what {
            "a closure" => format!(
                "give it a type that can: `let {name}: Box<dyn Fn(f64) -> f64> = Box::new(|x| …);`, \
                 or make it a function"
            ),
            "a function's own type" => {
                format!("give it a type that can: `let {name}: fn(f64) -> f64 = …;`")
            }
            "a type that is defined inside a block" => "define the type outside of it".to_owned(),
            "a future" => "wait for it in this cell".to_owned(),
            _ if self.ty.contains('!') => {
                "give what never returns a type, as in `|| -> i32 { … }`".to_owned()
            }
            _ => format!(
                "collect it, or give it a type that can: `let {name}: Box<dyn Trait> = Box::new(…);`"
            ),
        };
        let mut span = self.place().unwrap_or_else(|| self.span.clone());
        span["label"] = json!(format!("the type of `{name}` has no name"));
        json!({
            "$message_type": "diagnostic",
            "message": format!("`{name}` holds {what}, which cannot be kept for the next cell"),
            "code": null,
            "level": "error",
            "spans": [span],
            "children": [{
                "message": format!("{advice}; or put it in braces with what uses it: `{{ let {name} = …; … }}`"),
                "code": null, "level": "help", "spans": [], "children": [], "rendered": null,
            }],
            "rendered": format!("error: `{name}` holds {what}, which cannot be kept for the next cell"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert!(named.writable());
    }

    #[test]
    fn a_drop_of_the_users_own_is_not_ours() {
        assert!(Named::read(&lint("drop(&x);", "u8")).is_none());
    }

    #[test]
    fn types_without_a_name_are_refused_with_advice() {
        for (ty, what) in [
            ("{closure@src/lib.rs:1:2: 1:5}", "a closure"),
            ("std::vec::Vec<impl Iterator<Item = u8>>", "an opaque type"),
            ("fn(f64) -> f64 {sqrt}", "a function's own type"),
        ] {
            let named = Named::read(&lint("drop(&x/*x_3*/);", ty)).expect("a named type");
            assert!(!named.writable());
            assert!(
                named.refusal()["message"]
                    .as_str()
                    .is_some_and(|text| text.contains(what))
            );
        }
        let fine = Named::read(&lint("drop(&x/*x_3*/);", "itd_prelude::net::implicit::Net"))
            .expect("a named type");
        assert!(fine.writable());
    }
}
