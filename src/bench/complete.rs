//! `itd bench complete`: what is offered at places of a notebook where its author has written on.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use jupyter_protocol::{CompleteReply, CompleteRequest, JupyterMessageContent as Content};
use nbformat::v4::Cell;
use ra_ap_syntax::ast::{self, AstNode};
use ra_ap_syntax::{Edition, SourceFile};

use super::{BenchError, median};
use crate::cell::source::rust_start;
use crate::cell::whole;
use crate::cli::BenchComplete;
use crate::client::Client;
use crate::notebook::file;

/// How long a cell or an answer may take.
const PATIENCE: Duration = Duration::from_secs(600);
/// How much of a name is written when the rest is asked for.
const WRITTEN: usize = 2;
/// A candidate counts if it is among so many.
const FIRST: usize = 10;
/// What the compiler says of a name that is not there.
const NOT_THERE: &[&str] = &[
    "E0405", "E0407", "E0412", "E0422", "E0425", "E0426", "E0432", "E0433", "E0531", "E0560",
    "E0599", "E0603", "E0609", "E0616",
];

/// A place where a name was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The cell up to the cursor.
    pub written: String,
    /// The name that was meant.
    pub wanted: String,
}

/// The places of a cell at which a name of something that there is already was written, each with the beginning of the
/// name.
pub fn places(cell: &str) -> Vec<Place> {
    let start = rust_start(cell);
    let before = "fn cell(){";
    let text = format!("{before}{}\n}}", &cell[start..]);
    let root = SourceFile::parse(&text, Edition::Edition2024).syntax_node();
    let names = root.descendants().filter_map(ast::NameRef::cast);
    let mut places: Vec<Place> = names
        .filter_map(|name| {
            let wanted = name.text().to_string();
            let at = usize::from(name.syntax().text_range().start()) + start - before.len();
            let begun: String = wanted.chars().take(WRITTEN).collect();
            (wanted.chars().count() > WRITTEN).then(|| Place {
                written: format!("{}{begun}", &cell[..at]),
                wanted,
            })
        })
        .collect();
    places.dedup();
    places
}

/// Where a wanted name is in a reply, from 0 on.
pub fn rank(reply: &CompleteReply, wanted: &str) -> Option<usize> {
    let same = |offered: &String| offered == wanted || offered.strip_suffix('!') == Some(wanted);
    reply.matches.iter().position(same)
}

/// What a candidate is, as the reply says.
fn kind<'a>(reply: &'a CompleteReply, candidate: &str) -> Option<&'a str> {
    let typed = reply.metadata.get("_jupyter_types_experimental")?;
    let mut typed = typed.as_array()?.iter();
    let found = typed.find(|it| it["text"] == candidate)?;
    found["type"].as_str()
}

/// A cell in which a candidate stands where the cursor was, which the compiler reads and which is never executed.
pub fn with_candidate(written: &str, reply: &CompleteReply, candidate: &str) -> String {
    let kept: String = written.chars().take(reply.cursor_start).collect();
    let start = rust_start(&kept);
    let brackets: String = whole::open(&kept).into_iter().rev().collect();
    // A field of a struct that is being made would be taken for a variable.
    let is_field = kind(reply, candidate) == Some("field") && !kept.trim_end().ends_with('.');
    let arguments = match () {
        () if candidate.ends_with('!') => "()",
        () if is_field => ": Default::default()",
        () => "",
    };
    format!(
        "if false {{\n{}{candidate}{arguments}{brackets};\n}}",
        &kept[start..]
    )
}

/// Whether what the compiler said of such a cell means that the candidate is not there.
pub fn is_refused(traceback: &str, candidate: &str) -> bool {
    let name = format!("`{}`", candidate.trim_end_matches('!'));
    let mut lines = traceback.lines();
    lines.any(|line| line.contains(&name) && NOT_THERE.iter().any(|code| line.contains(code)))
}

/// Runs the benchmark and prints it.
///
/// # Errors
/// When the notebook cannot be read, or the kernel does not answer.
pub fn run(options: &BenchComplete, program: &Path) -> Result<(), BenchError> {
    let notebook = file::read(&options.notebook)?;
    let cells: Vec<String> = notebook
        .cells
        .iter()
        .filter(|cell| matches!(cell, Cell::Code { .. }))
        .map(file::source)
        .collect();
    let all: usize = cells.iter().map(|cell| places(cell).len()).sum();
    if all == 0 {
        return Err(BenchError::NoCode(options.notebook.clone()));
    }
    let folder = options
        .notebook
        .parent()
        .filter(|it| !it.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let mut kernel = start(program, folder, true)?;
    let begun = kernel.started;
    kernel.run("1 + 1")?;
    let session = begun.elapsed();
    while rank(&ask(&mut kernel, "vec![1.0].le")?.0, "len").is_none() {
        std::thread::sleep(Duration::from_millis(20));
    }
    println!(
        "session {:.1} s after the start, first answer of the analyst {:.1} s",
        session.as_secs_f64(),
        begun.elapsed().as_secs_f64()
    );
    let (mut times, mut found, mut asked) = (Vec::new(), 0, 0);
    let mut offers = Vec::new();
    let mut number = 0;
    for cell in &cells {
        for place in places(cell) {
            number += 1;
            // Evenly among all of them.
            if number * options.places / all == (number - 1) * options.places / all {
                continue;
            }
            let (reply, took) = ask(&mut kernel, &place.written)?;
            times.push(took);
            asked += 1;
            match rank(&reply, &place.wanted) {
                Some(rank) if rank < FIRST => found += 1,
                other => println!("{other:?}: {} in …{}", place.wanted, tail(&place.written)),
            }
            let offered = reply
                .matches
                .get(asked % FIRST.min(reply.matches.len().max(1)));
            if let Some(candidate) = offered.cloned() {
                offers.push((place.written, reply, candidate));
            }
        }
        let answer = kernel.run(cell)?;
        if answer.status != "ok" {
            println!("a cell fails: {} {}", answer.ename, answer.evalue);
        }
    }
    // Not before all has been asked: such a cell may move a variable away.
    let (mut confirmed, mut refused) = (0, Vec::new());
    for (written, reply, candidate) in offers.iter().take(options.confirm) {
        confirmed += 1;
        let answer = kernel.run(&with_candidate(written, reply, candidate))?;
        if is_refused(&answer.traceback, candidate) {
            let (words, why) = (tail(written), &answer.evalue);
            refused.push(format!("{candidate} in …{words}: {why}"));
        }
    }
    let memory = analyst_memory(kernel.child.id());
    println!("{found} of {asked} wanted names among the first {FIRST}");
    println!(
        "{} of {confirmed} candidates refused by the compiler",
        refused.len()
    );
    for words in refused {
        println!("  {words}");
    }
    let slowest = times.iter().max().copied().unwrap_or_default();
    println!(
        "median {:.1} ms, slowest {:.1} ms, over the wire; {} MB in the analyst",
        median(times).unwrap_or_default().as_secs_f64() * 1e3,
        slowest.as_secs_f64() * 1e3,
        memory / 1000,
    );
    drop(kernel);
    let mut names = start(program, folder, false)?;
    names.run("let display = 1;")?;
    let mut times = Vec::new();
    for _ in 0..50 {
        times.push(ask(&mut names, "di")?.1);
    }
    println!(
        "without the analyst: names in {:.2} ms over the wire, median of 50",
        median(times).unwrap_or_default().as_secs_f64() * 1e3
    );
    Ok(())
}

fn start(program: &Path, folder: &Path, analyst: bool) -> Result<Client, BenchError> {
    let mut command = Command::new(program);
    command.args(["kernel", "-f"]);
    if !analyst {
        command.env("ITD_ANALYST", "off");
    }
    Ok(Client::start(command, folder, PATIENCE)?)
}

fn ask(kernel: &mut Client, written: &str) -> Result<(CompleteReply, Duration), BenchError> {
    let begin = Instant::now();
    let request = kernel.send(CompleteRequest {
        code: written.to_owned(),
        cursor_pos: written.chars().count(),
    })?;
    let reply = match kernel.reply(&request)? {
        Content::CompleteReply(reply) => reply,
        _ => CompleteReply::default(),
    };
    Ok((reply, begin.elapsed()))
}

fn tail(text: &str) -> String {
    let line = text.lines().last().unwrap_or_default();
    let skip = line.chars().count().saturating_sub(40);
    line.chars().skip(skip).collect()
}

/// Kilobytes that the analyst of a kernel holds; 0 where the system does not tell.
fn analyst_memory(kernel: u32) -> u64 {
    let read = |path: String| std::fs::read_to_string(path).unwrap_or_default();
    let tasks = std::fs::read_dir(format!("/proc/{kernel}/task"));
    let children = tasks.into_iter().flatten().flatten().flat_map(|task| {
        let children = read(format!("{}/children", task.path().display()));
        let children = children.split_whitespace().map(str::to_owned);
        children.collect::<Vec<_>>()
    });
    children
        .filter(|pid| read(format!("/proc/{pid}/environ")).contains("ITD_IS_ANALYST"))
        .filter_map(|pid| {
            let status = read(format!("/proc/{pid}/status"));
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix("VmRSS:"))?;
            line.trim().strip_suffix(" kB")?.parse::<u64>().ok()
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_where_something_is_named_that_there_is() {
        let found = places("%%opt 3\nlet total = values.iter().sum::<f64>();");
        let wanted: Vec<_> = found.iter().map(|place| place.wanted.as_str()).collect();
        assert_eq!(wanted, ["values", "iter", "sum", "f64"]);
        assert_eq!(found[1].written, "%%opt 3\nlet total = values.it");
    }

    #[test]
    fn a_candidate_is_put_in_place_and_all_is_closed() {
        let reply = CompleteReply {
            cursor_start: 11,
            cursor_end: 13,
            ..CompleteReply::default()
        };
        let cell = with_candidate("println!(v.le", &reply, "len");
        assert_eq!(cell, "if false {\nprintln!(v.len);\n}");
    }
}
