//! The next cell, compiled while this one runs.
//!
//! Who holds all cells of a notebook knows which one comes next. When a cell begins to run, the next one is prepared
//! as if this one came to its end, put into this one's place in the generated source, and compiled in a folder beside
//! it. Later evcxr has cargo build it; if source and arguments are then the same to the letter,
//! [`super::compiler`] waits for this build and takes it. If they are not, it compiles as always, and only a core's time
//! is lost. A build ahead that fails is not taken either.
//!
//! Cells with commands or items are left to themselves: where evcxr puts an item cannot be known beforehand.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::compiler::{self, Order};
use super::living::Living;
use crate::cell::command::{self, Code};
use crate::cell::items::{self, Items};
use crate::cell::measure::Measure;
use crate::cell::source::{self, Form, Scene, Source};

/// Says which cell comes next, if that is known.
pub type Foresee = Arc<dyn Fn() -> Option<String> + Send + Sync>;

/// Folder of the build ahead, beside that of evcxr's crate, and as deep: libraries are found by relative paths.
const FOLDER: &str = "ahead";
/// evcxr's crate.
const CRATE: &str = "cell";
/// How the compiler was called last.
const CALL: &str = "call.json";
/// The source that is compiled ahead, before anything is left out.
const WANTED: &str = "wanted.rs";
/// Held as long as the compiler runs.
const LOCK: &str = "lock";
/// What the compiler wrote, and its exit code when it is done.
const SAID: &str = "said";
const STATUS: &str = "status";

/// What stands in evcxr's code before and behind what the user wrote.
const BEFORE: &str = "if std::panic::catch_unwind(||{\n";
const BEHIND: &str =
    "}).is_err() {\n    println!(\"EVCXR_PANIC_NOTIFICATION\");\n}\nevcxr_variable_store\n}";
const FUNCTION: &str = "pub extern \"C\" fn run_user_code_";

/// A call of the compiler for a cell.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Call {
    args: Vec<String>,
    environment: Vec<(String, String)>,
}

/// Leaves word of how the compiler is called.
pub fn note(folder: &Path, args: &[String]) -> std::io::Result<()> {
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let call = Call {
        args: args.to_vec(),
        environment: environment.collect(),
    };
    fs::write(folder.join(CALL), serde_json::to_vec(&call)?)
}

/// Leaves word of how the compiler has ended.
pub fn ended(folder: &Path, status: i32) -> std::io::Result<()> {
    fs::write(folder.join(STATUS), status.to_string())
}

/// Takes what was compiled ahead in place of compiling the crate in the working folder; gives what the compiler said.
/// None if it is another source, or was compiled in another way.
pub fn take(folder: &Path, args: &[String], order: &Order) -> Option<String> {
    let ahead = folder.join(FOLDER);
    let wanted = fs::read(ahead.join(WANTED)).ok()?;
    let call: Call = serde_json::from_slice(&fs::read(ahead.join(CALL)).ok()?).ok()?;
    let same = fs::read("src/lib.rs").ok()? == wanted
        && call.args == args
        && compiler::order(&ahead).as_ref() == Some(order);
    if !same {
        return None;
    }
    File::open(ahead.join(LOCK)).ok()?.lock_shared().ok()?;
    if fs::read_to_string(ahead.join(STATUS)).ok()? != "0" {
        return None;
    }
    let (there, here) = (beside(folder, args)?, out_dir(args)?);
    let said = fs::read_to_string(ahead.join(SAID)).ok()?;
    // A file that it includes may have been written by the cell that ran meanwhile.
    let read = fs::read_to_string(there.join("ctx.d")).ok()?;
    let others = |line: &str| match line.split_once(": ") {
        Some((_, files)) => files.trim() != "src/lib.rs",
        None => line.starts_with("# env-dep:"),
    };
    if read.lines().any(others) {
        return None;
    }
    for entry in fs::read_dir(&there).ok()? {
        let path = entry.ok()?.path();
        let to = Path::new(here).join(path.file_name()?);
        match path.extension().is_some_and(|extension| extension == "d") {
            true => {
                let text = fs::read_to_string(&path).ok()?;
                fs::write(to, text.replace(there.to_str()?, here)).ok()?;
            }
            false => fs::rename(&path, to).ok()?,
        }
    }
    // Lines that could not stay were left out.
    fs::copy(ahead.join("src/lib.rs"), "src/lib.rs").ok()?;
    fs::copy(ahead.join(compiler::TOLD), folder.join(compiler::TOLD)).ok()?;
    let _ = fs::remove_file(ahead.join(WANTED)); // it is there for one time
    Some(said.replace(there.to_str()?, here))
}

/// Where cargo has the compiler put things.
fn out_dir(args: &[String]) -> Option<&str> {
    let at = args.iter().position(|arg| arg == "--out-dir")?;
    args.get(at + 1).map(String::as_str)
}

/// The place in the folder of the build ahead that stands for it.
fn beside(folder: &Path, args: &[String]) -> Option<PathBuf> {
    let out = Path::new(out_dir(args)?);
    // cargo names places without links.
    let inside = out
        .strip_prefix(folder.join(CRATE))
        .or_else(|_| out.strip_prefix(folder.join(CRATE).canonicalize().unwrap_or_default()));
    Some(folder.join(FOLDER).join(inside.ok()?))
}

/// A cell that begins to run, and the session as it is without what that cell does.
#[derive(Clone, Copy)]
pub struct Outlook<'a> {
    pub living: &'a Living,
    pub items: &'a Items,
    pub source: &'a Source,
    pub number: u32,
    pub measure: &'a Measure,
    /// Working folder of the cells.
    pub folder: &'a Path,
    pub order: &'a Order,
    /// As in [`Scene`].
    pub with_runtime: bool,
}

/// Compiles ahead.
#[derive(Clone)]
pub struct Ahead {
    workshop: PathBuf,
    compiler: PathBuf,
    build: Arc<Mutex<Build>>,
}

/// The build that is under way, or was.
#[derive(Default)]
struct Build(Option<Child>);

impl Ahead {
    /// With the compiler that the cells are built with.
    pub fn new(workshop: &Path, compiler: &Path) -> Self {
        Self {
            workshop: workshop.to_owned(),
            compiler: compiler.to_owned(),
            build: Arc::default(),
        }
    }

    /// Begins to compile the cell that comes next; none if it is one that cannot be foreseen.
    pub fn begin(&self, next: &str, outlook: Outlook<'_>) -> Option<()> {
        let generated = self.workshop.join(CRATE).join("src/lib.rs");
        let generated = fs::read_to_string(generated).ok()?;
        let told = compiler::told(&self.workshop);
        let wanted = wanted(&generated, &prepare(next, &told, outlook)?)?;
        let call: Call = serde_json::from_slice(&fs::read(self.workshop.join(CALL)).ok()?).ok()?;

        let mut build = self.build();
        build.end();
        let folder = self.workshop.join(FOLDER);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("src")).ok()?;
        let there = beside(&self.workshop, &call.args)?;
        fs::create_dir_all(&there).ok()?;
        fs::write(folder.join("src/lib.rs"), &wanted).ok()?;
        fs::write(folder.join(CALL), serde_json::to_vec(&call).ok()?).ok()?;
        outlook.order.give(&folder).ok()?;
        let lock = File::create(folder.join(LOCK)).ok()?;
        lock.lock().ok()?;
        let out = out_dir(&call.args)?;
        let args = call.args.iter();
        let args = args.map(|arg| match arg == out {
            true => there.as_os_str(),
            false => arg.as_ref(),
        });
        let begun = Command::new(&self.compiler)
            .args(args)
            .env_clear()
            .envs(call.environment.iter().map(|(name, value)| (name, value)))
            .env(compiler::FOLDER, &folder)
            .env(compiler::AHEAD, "1")
            .current_dir(&folder)
            .process_group(0)
            .stdin(Stdio::from(lock))
            .stdout(Stdio::null())
            .stderr(File::create(folder.join(SAID)).ok()?)
            .spawn();
        build.0 = Some(begun.ok()?);
        // From now on there is something to wait for.
        fs::write(folder.join(WANTED), &wanted).ok()
    }

    /// Looks whether the build is over, so that nothing is left of it.
    pub fn look(&self) {
        let mut build = self.build();
        if let Some(Ok(Some(_))) = build.0.as_mut().map(Child::try_wait) {
            build.0 = None;
        }
    }

    fn build(&self) -> MutexGuard<'_, Build> {
        self.build.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Build {
    fn end(&mut self) {
        if let Some(mut child) = self.0.take() {
            if let Ok(None) = child.try_wait() {
                let _ = killpg(Pid::from_raw(child.id() as i32), Signal::SIGKILL);
            }
            let _ = child.wait();
        }
    }
}

impl Drop for Build {
    fn drop(&mut self) {
        self.end();
    }
}

/// What evcxr will get for the next cell, if this one comes to its end.
fn prepare(next: &str, told: &compiler::Told, outlook: Outlook<'_>) -> Option<String> {
    let commands = command::take(next, outlook.folder).ok()?;
    let text = commands.rest.text.clone();
    let plain = Code {
        text: text.clone(),
        ..Code::default()
    };
    if !commands.steps.is_empty() || commands.capture.is_some() || commands.rest != plain {
        return None;
    }
    let statements = source::statements(&text);
    if statements.is_empty() {
        return None;
    }
    let mut living = outlook.living.clone();
    living.forget.clear(); // the running cell does so
    living.take_over(outlook.source, false, told);
    let mut items = outlook.items.clone();
    let number = outlook.number + 1;
    let changes = items.take(&statements, number);
    let is_item = |node| items::is_item(node, &changes.item_macros);
    if statements.iter().any(is_item) {
        return None;
    }
    let measure = Measure {
        way: command::Way::Plain,
        file: outlook.measure.file.clone(),
    };
    let scene = Scene {
        number,
        variables: &living.variables,
        forget: &living.forget,
        changes: &changes,
        form: &Form::default(),
        measure: &measure,
        passed: "",
        folder: outlook.folder,
        with_runtime: outlook.with_runtime,
    };
    Some(Source::new(&text, scene, &mut living.types).code)
}

/// The generated source of a cell, made that of the next one.
fn wanted(generated: &str, code: &str) -> Option<String> {
    let (items, function) = generated.rsplit_once(FUNCTION)?;
    let (number, function) = function.split_once('(')?;
    let number: u32 = number.parse().ok()?;
    let (opening, rest) = function.split_once(BEFORE)?;
    let (_, closing) = rest.rsplit_once(BEHIND)?;
    // evcxr leaves out what is blank before it.
    let code = code.trim_start();
    let end = if code.ends_with('\n') { "" } else { "\n" };
    Some(format!(
        "{items}{FUNCTION}{}({opening}{BEFORE}{code}{end}{BEHIND}{closing}",
        number + 1
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_cell_takes_the_place_of_this_one() {
        let source = |number: u32, code: &str| {
            format!(
                "fn f() {{}}\n#[unsafe(no_mangle)]\n{FUNCTION}{number}(\nx) {{\n{BEFORE}{code}\n{BEHIND}\n"
            )
        };
        let next = wanted(&source(7, "{ a(); };"), "{ b(); };");
        assert_eq!(next, Some(source(8, "{ b(); };")));
        assert_eq!(wanted("fn f() {}", "{ b(); };"), None);
    }
}
