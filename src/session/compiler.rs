//! The compiler that cargo calls for a cell: rustc, with the prelude at hand and an ear for types.
//!
//! evcxr has cargo build each cell, and cargo takes its compiler from `RUSTC`. Ours is this program under the name
//! `rustc`. It becomes the real compiler for all that cargo and the crates' build scripts ask of it, and adds, for the
//! cell's own crate only,
//!
//! - the prebuilt prelude (`--extern`), so that it is a dependency without being cargo's business;
//! - the optimisation level of this cell, without a change of profile that would rebuild the session;
//! - the lint `dropping_references`, whose message names the type of each `drop(&x/*x_3*/)` that
//!   [`crate::cell::source`] left behind a `let`;
//! - a second try without the lines that keep a variable which has been moved away, or which borrows.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ahead;
use crate::cell::{items, types};
use crate::toolchain::REAL_COMPILER;

/// Folder for the two files below.
pub const FOLDER: &str = "ITD_CELL_DIR";
/// What the compiler is to add, written by the session.
const ORDER: &str = "order.json";
/// What the compiler said of variables, read by the session.
pub const TOLD: &str = "told.json";
/// The crates that were begun to be built, one a line.
const BUILDING: &str = "building";
/// Variable that says that a cell is compiled before its time.
pub const AHEAD: &str = "ITD_AHEAD";
/// Variable for a folder in which each cell's compilation is recorded, so that it can be timed again.
pub const RECORD: &str = "ITD_RECORD";
/// How often a cell is compiled, each time without the lines that could not be.
const TRIES: u32 = 8;
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
        let _ = std::fs::remove_file(folder.join(TOLD));
        let _ = std::fs::remove_file(building(folder));
        std::fs::write(folder.join(ORDER), serde_json::to_vec(self)?)
    }
}

/// What the compiler said of the variables of a cell, by their keys.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// The types that it named.
    pub types: BTreeMap<String, String>,
    /// Those that cannot be kept, since the cell has moved them away; and the line of the generated code that did so,
    /// 0 for none.
    pub moved: BTreeMap<String, u32>,
    /// Those that cannot be kept, since the cell may end without giving them a value.
    pub unset: BTreeSet<String>,
    /// Those that cannot be kept, since they borrow from something that is not.
    pub borrowing: BTreeSet<String>,
    /// Results that nobody looks at: the line of the generated code, and what was said.
    pub unused: Vec<(u32, String)>,
}

/// What the compiler said in the last build.
pub fn told(folder: &Path) -> Told {
    let text = std::fs::read(folder.join(TOLD)).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

/// What the compiler is to add.
pub fn order(folder: &Path) -> Option<Order> {
    let text = std::fs::read(folder.join(ORDER)).ok()?;
    serde_json::from_slice(&text).ok()
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
        std::env::var_os(REAL_COMPILER),
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
    let order = folder.as_deref().and_then(order);
    let (Some(folder), Some(order), "ctx") = (&folder, order, name) else {
        if let Some(folder) = folder {
            note(&folder, name);
        }
        return Err(command.args(args).exec());
    };
    let ahead_of_time = std::env::var_os(AHEAD).is_some();
    if !ahead_of_time {
        ahead::note(folder, args)?;
        if let Some(said) = ahead::take(folder, args, &order) {
            std::io::stderr().lock().write_all(said.as_bytes())?;
            return Ok(0);
        }
    }
    let hidden = Hidden::hide(args)?;
    let mut told = Told::default();
    for tries in 1.. {
        let (status, lines) = once(rustc, args, &order)?;
        let mut messages = Messages::read(lines, &mut told);
        let again = status != 0 && messages.leave_out(args, &mut told)? && tries < TRIES;
        if !again {
            hidden.put_back(args)?;
            // cargo may be gone; the compiler has been waited for all the same.
            let mut out = std::io::stderr().lock();
            for (line, _) in messages.0 {
                writeln!(out, "{line}")?;
            }
            std::fs::write(folder.join(TOLD), serde_json::to_vec(&told)?)?;
            if ahead_of_time {
                ahead::ended(folder, status)?;
            }
            return Ok(status);
        }
    }
    Ok(1)
}

/// What is in the source for evcxr only; see [`crate::cell::items::bare`].
struct Hidden(Vec<(usize, Vec<u8>)>);

impl Hidden {
    /// Puts blanks in its place.
    fn hide(args: &[String]) -> std::io::Result<Self> {
        let mut hidden = Vec::new();
        if let Some(path) = source(args) {
            let mut text = std::fs::read(path)?;
            hidden = bare(&text);
            for (at, words) in &hidden {
                text[*at..at + words.len()].fill(b' ');
            }
            if !hidden.is_empty() {
                std::fs::write(path, text)?;
            }
        }
        Ok(Self(hidden))
    }

    /// Puts it back, since the source is read again.
    fn put_back(&self, args: &[String]) -> std::io::Result<()> {
        let Some(path) = source(args).filter(|_| !self.0.is_empty()) else {
            return Ok(());
        };
        let mut text = std::fs::read(path)?;
        for (at, words) in &self.0 {
            text[*at..at + words.len()].copy_from_slice(words);
        }
        std::fs::write(path, text)
    }
}

/// The pieces between marks that are ours, and where they are.
fn bare(text: &[u8]) -> Vec<(usize, Vec<u8>)> {
    let text = String::from_utf8_lossy(text);
    let mut all = Vec::new();
    for (at, _) in text.match_indices(items::BARE) {
        let from = at + items::BARE.len();
        let words = match text[from..].starts_with(items::BARE_CLOSE) {
            true => Some(items::BARE_CLOSE),
            false => text[from..].split(items::BARE_END).next(),
        };
        let ours = |words: &&str| *words == items::BARE_CLOSE || words.starts_with("const itd_");
        if let Some(words) = words.filter(ours) {
            all.push((from, words.as_bytes().to_vec()));
        }
    }
    all
}

/// The path of the source that is compiled.
fn source(args: &[String]) -> Option<&String> {
    args.iter().find(|arg| arg.ends_with("lib.rs"))
}

/// Runs the compiler once; gives its exit code and what it wrote.
fn once(rustc: &Path, args: &[String], order: &Order) -> std::io::Result<(i32, Vec<String>)> {
    let mut command = Command::new(rustc);
    command.args(&order.prelude);
    match order.opt_level.as_str() {
        "" => command.args(args),
        // A cell is small: to cut it into pieces and to keep what might be used again takes longer than it saves.
        "0" => command
            .args(without_incremental(args))
            .args(["-Copt-level=0", "-Ccodegen-units=1"]),
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
    if let Some(folder) = std::env::var_os(RECORD) {
        record(Path::new(&folder), &command)?;
    }
    let mut child = command.spawn()?;
    let stderr = child.stderr.take().into_iter();
    let lines = stderr.flat_map(|stderr| BufReader::new(stderr).lines().map_while(Result::ok));
    let lines = lines.collect();
    Ok((child.wait()?.code().unwrap_or(1), lines))
}

/// Leaves the source of a cell and the compiler's arguments, one a line, in a folder of their own.
fn record(folder: &Path, command: &Command) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    // One cell may be compiled while another one is.
    let mut number = std::fs::read_dir(folder)?.count() + 1;
    let folder = loop {
        let place = folder.join(format!("{number:03}"));
        match std::fs::create_dir(&place) {
            Ok(()) => break place,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(error),
        }
    };
    std::fs::copy("src/lib.rs", folder.join("lib.rs"))?;
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let lines: Vec<_> = words.map(|word| word.to_string_lossy() + "\n").collect();
    std::fs::write(folder.join("arguments"), lines.concat())
}

/// What the compiler wrote: each line, and what it says if that is an error.
struct Messages(Vec<(String, Option<Value>)>);

impl Messages {
    /// Reads all but the names of types, which go to `told`.
    fn read(lines: Vec<String>, told: &mut Told) -> Self {
        told.unused.clear();
        let mut messages = Vec::new();
        for line in lines {
            if let Some(named) = Named::read(&line) {
                told.types.insert(named.key, named.ty);
                continue;
            }
            let message = line.starts_with('{').then(|| serde_json::from_str(&line));
            let message: Option<Value> = message.and_then(Result::ok);
            told.unused.extend(message.as_ref().and_then(unused));
            let error = message.filter(|message| message["level"] == "error");
            messages.push((line, error));
        }
        Self(messages)
    }

    /// If all errors are about keeping variables, takes out the lines that do so, for another try; otherwise these
    /// errors are none of the user's business. Whether there is something to try.
    fn leave_out(&mut self, args: &[String], told: &mut Told) -> std::io::Result<bool> {
        let Some(path) = source(args) else {
            return Ok(false);
        };
        let mut text = std::fs::read(path)?;
        let marks = marks(&text);
        let mut out: BTreeMap<&Mark, Blame> = BTreeMap::new();
        let mut foreign = false;
        self.0.retain(|(_, error)| {
            // The last ones only count the others.
            let told = error.as_ref().filter(|error| !error["code"].is_null());
            let Some(error) = told else { return true };
            match blamed(error, &marks) {
                Some((mark, blame)) => {
                    let before = out.entry(mark).or_insert(blame);
                    *before = (*before).max(blame);
                    false
                }
                None => {
                    foreign = true;
                    true
                }
            }
        });
        let syntax = |error: &Value| {
            error["code"].is_null()
                && error["spans"]
                    .as_array()
                    .is_some_and(|spans| !spans.is_empty())
        };
        foreign |= self.0.iter().flat_map(|(_, error)| error).any(syntax);
        if foreign || out.is_empty() {
            return Ok(false);
        }
        for (mark, blame) in out {
            let instead = match blame {
                Blame::LetGo => format!("::std::mem::drop({});", types::name(&mark.key)),
                Blame::Unset | Blame::Moved(_) | Blame::Borrows => String::new(),
            };
            let place = &mut text[mark.inside.0..mark.inside.1];
            place.fill(b' ');
            if let Some(place) = place.get_mut(..instead.len()) {
                place.copy_from_slice(instead.as_bytes());
            }
            match blame {
                Blame::Unset => drop(told.unset.insert(mark.key.clone())),
                Blame::Borrows | Blame::LetGo => drop(told.borrowing.insert(mark.key.clone())),
                Blame::Moved(line) => drop(told.moved.insert(mark.key.clone(), line)),
            }
        }
        std::fs::write(path, text)?;
        Ok(true)
    }
}

/// A warning that a `Result`, or whatever else must be used, is not.
fn unused(message: &Value) -> Option<(u32, String)> {
    let what = message["message"].as_str()?;
    let line = message["spans"][0]["line_start"].as_u64()?;
    let is_it = message["code"]["code"] == "unused_must_use";
    is_it.then_some((u32::try_from(line).ok()?, what.to_owned()))
}

/// A line that keeps a variable or gives it back.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Mark {
    key: String,
    range: Span,
    /// Without the comments.
    inside: Span,
}

/// Why a line cannot stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Blame {
    /// The variable may have no value.
    Unset,
    /// The variable has been moved away, by this line.
    Moved(u32),
    Borrows,
    /// It borrows and is not kept, and has to end before something that it borrows from is moved.
    LetGo,
}

/// A range of bytes that can be sorted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Span(usize, usize);

/// `/*<x_4*/ … /*>*/` in a generated source.
fn marks(text: &[u8]) -> Vec<Mark> {
    let text = String::from_utf8_lossy(text);
    let mut marks = Vec::new();
    for (start, _) in text.match_indices("/*<") {
        let inside = &text[start + 3..];
        let key = inside.split_once("*/").map(|(key, _)| key);
        let end = inside.find("/*>*/");
        // What a user has written may begin so, too.
        let is_ours = |key: &str, end: usize| {
            let number = key.rsplit_once('_').map_or("", |(_, number)| number);
            let inside = inside.get(key.len() + 2..end).unwrap_or_default();
            let starts = [
                "::std::mem::drop(&",
                "::itd_prelude::cell::",
                "let _ = ::std::panic::",
            ];
            number.bytes().all(|byte| byte.is_ascii_digit())
                && !number.is_empty()
                && (inside.trim().is_empty()
                    || starts.iter().any(|start| inside.starts_with(start)))
                && !inside.contains("/*<")
        };
        if let (Some(key), Some(end)) = (key, end)
            && is_ours(key, end)
        {
            marks.push(Mark {
                key: key.to_owned(),
                range: Span(start, start + 3 + end + 5),
                inside: Span(start + 3 + key.len() + 2, start + 3 + end),
            });
        }
    }
    marks
}

/// The line that is to be left out for an error to go, and why.
fn blamed<'a>(error: &Value, marks: &'a [Mark]) -> Option<(&'a Mark, Blame)> {
    let spans = error["spans"].as_array().map_or(&[][..], |spans| spans);
    let code = error["code"]["code"].as_str()?;
    let mark = |span: &Value| {
        let at = span["byte_start"].as_u64()? as usize;
        marks
            .iter()
            .find(|mark| (mark.range.0..mark.range.1).contains(&at))
    };
    let asks = |span: &&Value| {
        let label = span["label"].as_str().unwrap_or_default();
        label.contains("'static")
    };
    let primary = || spans.iter().find(|span| span["is_primary"] == true);
    match code {
        "E0381" => Some((mark(primary()?)?, Blame::Unset)),
        // It has been moved, or is no variable after all.
        "E0382" | "E0425" | "E0423" => {
            let label = |span: &&Value| {
                let label = span["label"].as_str().unwrap_or_default();
                label.contains("moved")
            };
            let line = spans
                .iter()
                .find(label)
                .and_then(|span| span["line_start"].as_u64());
            let line = line.and_then(|line| u32::try_from(line).ok());
            Some((mark(primary()?)?, Blame::Moved(line.unwrap_or(0))))
        }
        // Something has to live for ever because of it, or it cannot be moved because something does.
        "E0499" | "E0502" | "E0503" | "E0506" => {
            let because = spans.iter().filter(asks).find_map(mark);
            because.map(|mark| (mark, Blame::Borrows))
        }
        "E0597" | "E0505" | "E0716" | "E0521" | "E0310" | "E0759" | "E0515" | "E0373" => {
            let others = || spans.iter().filter(|span| span["is_primary"] != true);
            let children = error["children"].as_array().into_iter().flatten();
            let mut children =
                children.flat_map(|child| child["spans"].as_array().into_iter().flatten());
            let ends = spans.iter().find_map(|span| {
                let (_, rest) = span["label"].as_str()?.split_once("when `")?;
                let (name, _) = rest.split_once("` is dropped")?;
                marks.iter().find(|mark| types::name(&mark.key) == name)
            });
            if let Some(ends) = ends {
                return Some((ends, Blame::LetGo));
            }
            let because = spans.iter().filter(asks).find_map(mark);
            because
                .or_else(|| others().find_map(mark))
                .or_else(|| mark(primary()?))
                .or_else(|| children.find_map(mark))
                .map(|mark| (mark, Blame::Borrows))
        }
        _ => None,
    }
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
    fn the_line_that_cannot_keep_a_variable_is_found() {
        let source = "let é = v; /*<v_1*/::itd_prelude::cell::keep(v, 1);/*>*/ /*<s_2*/::itd_prelude::cell::keep(s, 2);/*>*/ \
            end(); \"/*<no\"; x/*<Vec<_>>*/();";
        let marks = marks(source.as_bytes());
        let keys: Vec<_> = marks.iter().map(|mark| mark.key.as_str()).collect();
        assert_eq!(keys, ["v_1", "s_2"]);
        let at = |text: &str| source.find(text).expect("it is there");
        let span = |at: usize, primary: bool, label: &str| json!({"byte_start": at, "line_start": 1, "is_primary": primary, "label": label});
        let blamed = |code: &str, spans: &[Value]| {
            let error = json!({"code": {"code": code}, "spans": spans});
            blamed(&error, &marks).map(|(mark, blame)| (mark.key.clone(), blame))
        };
        let moved = [
            span(at("v; "), false, "value moved here"),
            span(at("v, 1"), true, "value used here"),
        ];
        assert_eq!(
            blamed("E0382", &moved),
            Some(("v_1".to_owned(), Blame::Moved(1)))
        );
        // `s` borrows from `v`: it is `s` that goes.
        let borrowed = [
            span(at("v, 1"), true, "move out of `v` occurs here"),
            span(
                at("::itd_prelude::cell::keep(s"),
                false,
                "argument requires that `v` is borrowed for `'static`",
            ),
        ];
        assert_eq!(
            blamed("E0505", &borrowed),
            Some(("s_2".to_owned(), Blame::Borrows))
        );
        // `s` is not kept, but what it borrows from cannot be moved before it ends.
        let dropped = [
            span(at("v, 1"), true, "move out of `v` occurs here"),
            span(
                at("end"),
                false,
                "borrow might be used here, when `s` is dropped and runs the `Drop` code",
            ),
        ];
        assert_eq!(
            blamed("E0505", &dropped),
            Some(("s_2".to_owned(), Blame::LetGo))
        );
        let unset = [span(
            at("v, 1"),
            true,
            "`v` used here but it isn't initialized",
        )];
        assert_eq!(
            blamed("E0381", &unset),
            Some(("v_1".to_owned(), Blame::Unset))
        );
        // A mistake of the user's own.
        assert_eq!(
            blamed("E0382", &[span(at("é"), true, "value used here")]),
            None
        );
        assert_eq!(blamed("E0308", &moved), None);
    }

    #[test]
    fn what_only_evcxr_sees_is_found() {
        let (open, close) = items::bare("itd_impl_2");
        let source = format!("let é = \"/*[*/\"; {open}unit!(A);{close}\n{open}f!();{close}");
        let mut blanked = source.clone().into_bytes();
        for (at, words) in bare(source.as_bytes()) {
            blanked[at..at + words.len()].fill(b' ');
        }
        let left = String::from_utf8(blanked).expect("it is text");
        assert!(!left.contains("const") && !left.contains("};"), "{left}");
        assert!(left.contains("let é") && left.contains("f!();"), "{left}");
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
