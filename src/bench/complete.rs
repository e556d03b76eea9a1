//! `itd bench complete`: what is offered at places of notebooks where their authors have written on.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use jupyter_protocol::{CompleteReply, CompleteRequest, JupyterMessageContent as Content};
use nbformat::v4::Cell;
use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};
use ra_ap_syntax::ast::{self, AstNode};
use ra_ap_syntax::{Edition, SourceFile};

use super::{BenchError, kernels, median};
use crate::analysis::IDLE_VARIABLE;
use crate::cell::source::rust_start;
use crate::cell::whole;
use crate::cli::BenchComplete;
use crate::client::Client;
use crate::notebook::{file, formats};

/// How long a cell or an answer may take.
const PATIENCE: Duration = Duration::from_secs(1200);
/// How many letters of a name are written when the rest is asked for, by turns.
const WRITTEN: [usize; 3] = [1, 2, 3];
/// A candidate counts if it is among so many.
const FIRST: usize = 10;
/// What the compiler says of a name that is not there.
const NOT_THERE: &[&str] = &[
    "E0405", "E0407", "E0412", "E0422", "E0425", "E0426", "E0432", "E0433", "E0531", "E0560",
    "E0599", "E0603", "E0609", "E0616",
];
/// What is completed where no notebooks are named, in the project's folder.
const USUAL: [&str; 2] = ["notebooks", "docs/rust.md"];

/// Where a name stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// Before a colon in a struct literal or pattern.
    Field,
    /// After `::`, or in the braces of an import.
    Path,
    /// After a dot.
    Member,
    /// Anywhere else.
    Name,
}

const KINDS: [(Kind, &str); 4] = [
    (Kind::Field, "in a struct literal"),
    (Kind::Path, "after ::"),
    (Kind::Member, "after a dot"),
    (Kind::Name, "elsewhere"),
];

/// A place where a name of something that there is already was written.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    /// Where it begins in the cell.
    at: usize,
    name: String,
    kind: Kind,
}

impl Place {
    /// The cell up to the cursor, with so many letters of the name, but never all of it.
    fn written(&self, cell: &str, letters: usize) -> String {
        let most = self.name.chars().count() - 1;
        let begun: String = self.name.chars().take(letters.min(most)).collect();
        format!("{}{begun}", &cell[..self.at])
    }
}

/// The places of a cell, inside macros as well.
fn places(cell: &str) -> Vec<Place> {
    let start = rust_start(cell);
    let mut places = Vec::new();
    collect("fn cell(){", &cell[start..], "\n}", start, &mut places);
    places.sort_by_key(|place| place.at);
    places.dedup();
    places
}

/// The places of a piece of Rust that can be read between two others; it begins at a byte of the cell.
fn collect(before: &str, rust: &str, after: &str, start: usize, places: &mut Vec<Place>) {
    let text = format!("{before}{rust}{after}");
    let root = SourceFile::parse(&text, Edition::Edition2024).syntax_node();
    let in_cell = |at: ra_ap_syntax::TextSize| usize::from(at) + start - before.len();
    for name in root.descendants().filter_map(ast::NameRef::cast) {
        let range = name.syntax().text_range();
        let inside = usize::from(range.start()) >= before.len();
        if inside && name.text().chars().count() > 1 && name.text() != "self" {
            places.push(Place {
                at: in_cell(range.start()),
                name: name.text().to_string(),
                kind: kind_of_place(&name),
            });
        }
    }
    for call in root.descendants().filter_map(ast::MacroCall::cast) {
        // Most macros take what a function takes.
        let Some(tree) = call.token_tree() else {
            continue;
        };
        let range = tree.syntax().text_range();
        let inner = text[std::ops::Range::<usize>::from(range)]
            .get(1..usize::from(range.len()).saturating_sub(1))
            .unwrap_or_default();
        let readable = SourceFile::parse(&format!("fn f(){{f({inner});}}"), Edition::Edition2024);
        if readable.errors().is_empty() {
            collect(
                "fn f(){f(",
                inner,
                ");}",
                in_cell(range.start()) + 1,
                places,
            );
        }
    }
}

fn kind_of_place(name: &ast::NameRef) -> Kind {
    let Some(parent) = name.syntax().parent() else {
        return Kind::Name;
    };
    let kind = parent.kind();
    let is_field = ast::RecordExprField::can_cast(kind) || ast::RecordPatField::can_cast(kind);
    let is_member = ast::FieldExpr::can_cast(kind) || ast::MethodCallExpr::can_cast(kind);
    let segment = ast::PathSegment::cast(parent);
    let path = segment.as_ref().map(ast::PathSegment::parent_path);
    let in_braces = |path: &ast::Path| {
        let mut above = path.syntax().ancestors();
        above.any(|node| ast::UseTreeList::can_cast(node.kind()))
    };
    match path {
        _ if is_field => Kind::Field,
        _ if is_member => Kind::Member,
        Some(path) if path.qualifier().is_some() || in_braces(&path) => Kind::Path,
        _ => Kind::Name,
    }
}

/// A notebook, or a page whose fences of Rust are its cells.
struct Source {
    path: PathBuf,
    cells: Vec<String>,
}

impl Source {
    fn read(path: &Path) -> Result<Self, BenchError> {
        let cells = match path.extension().is_some_and(|ending| ending == "md") {
            true => {
                let text = std::fs::read_to_string(path);
                fences(&text.map_err(|source| BenchError::File {
                    path: path.to_owned(),
                    source,
                })?)
            }
            false => formats::read(path)?
                .cells
                .iter()
                .filter(|cell| matches!(cell, Cell::Code { .. }))
                .map(file::source)
                .collect(),
        };
        let path = path.to_owned();
        Ok(Self { path, cells })
    }
}

/// What stands between the fences of Rust of a page.
fn fences(page: &str) -> Vec<String> {
    let mut cells = Vec::new();
    let mut inside = None;
    for event in Parser::new(page) {
        match event {
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(language))) => {
                inside = (&*language == "rust").then(String::new);
            }
            Event::Text(text) => {
                if let Some(cell) = &mut inside {
                    cell.push_str(&text);
                }
            }
            Event::End(TagEnd::CodeBlock) => cells.extend(inside.take()),
            _ => {}
        }
    }
    cells
}

/// The files below a folder that are notebooks, or the file.
fn files(place: &Path) -> Result<Vec<PathBuf>, BenchError> {
    if place.is_file() {
        return Ok(vec![place.to_owned()]);
    }
    let entries = std::fs::read_dir(place).map_err(|source| BenchError::File {
        path: place.to_owned(),
        source,
    })?;
    let mut found: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    found.retain(|path| path.extension().is_some_and(|ending| ending == "ipynb"));
    found.sort();
    Ok(found)
}

/// A place of a cell of a source, and how much of the name is written.
struct Chosen {
    source: usize,
    cell: usize,
    place: Place,
    letters: usize,
}

/// So many places, as many of each kind as there are, evenly over all sources.
fn choose(sources: &[Source], count: usize) -> Vec<Chosen> {
    let mut all: [Vec<Chosen>; KINDS.len()] = Default::default();
    for (source, Source { cells, .. }) in sources.iter().enumerate() {
        for (cell, text) in cells.iter().enumerate() {
            for place in places(text) {
                let kind = KINDS.iter().position(|(kind, _)| *kind == place.kind);
                all[kind.unwrap_or_default()].push(Chosen {
                    source,
                    cell,
                    place,
                    letters: 0,
                });
            }
        }
    }
    // What one kind lacks, the others have more of.
    all.sort_by_key(Vec::len);
    let (mut left, mut chosen) = (count, Vec::new());
    for (number, of_kind) in all.into_iter().enumerate() {
        let (size, wanted) = (of_kind.len(), left / (KINDS.len() - number));
        let wanted = wanted.min(size);
        let evenly = of_kind
            .into_iter()
            .enumerate()
            .filter(|(index, _)| (index + 1) * wanted / size != index * wanted / size);
        chosen.extend(evenly.enumerate().map(|(number, (_, it))| Chosen {
            letters: WRITTEN[number % WRITTEN.len()],
            ..it
        }));
        left -= wanted;
    }
    chosen.sort_by_key(|it| (it.source, it.cell, it.place.at));
    chosen
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

/// What may have to follow a name, so that what the author had not written yet is no error of syntax.
const CLOSERS: &[&str] = &[
    "",
    "()",
    " {}",
    ": Default::default()",
    " => {}",
    " = todo!()",
    ">",
    "> = todo!()",
    ">()",
    ">| {}",
    "| {}",
    " in [(); 0] {}",
    " for () {}",
    "() {}",
    "> {}",
    ";",
];

/// A cell in which a candidate stands where the cursor was. It has an error besides, so that the compiler says what it
/// does not know, and nothing is executed and no variable taken away.
pub fn with_candidate(written: &str, reply: &CompleteReply, candidate: &str) -> String {
    let kept: String = written.chars().take(reply.cursor_start).collect();
    let start = rust_start(&kept);
    let brackets: String = whole::open(&kept).into_iter().rev().collect();
    let closed = |closer: &str| {
        format!(
            "if false {{\nlet () = 0_u8;\n{}{candidate}{closer}{brackets};\n}}",
            &kept[start..]
        )
    };
    // A field of a struct that is being made would be taken for a variable.
    let is_field = kind(reply, candidate) == Some("field") && !kept.trim_end().ends_with('.');
    let closers = match () {
        () if candidate.ends_with('!') => &["()", "() {}"],
        () if is_field => &[": Default::default()", " => {}"],
        () => CLOSERS,
    };
    let is_read = |cell: &String| {
        let text = format!("fn cell(){{{cell}}}");
        let parsed = SourceFile::parse(&text, Edition::Edition2024);
        parsed.errors().is_empty()
    };
    let mut cells = closers.iter().map(|closer| closed(closer));
    cells.find(is_read).unwrap_or_else(|| closed(closers[0]))
}

/// What the compiler says of a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    There,
    NotThere,
    /// It did not come to the names: something before them is wrong.
    None,
}

/// What the compiler's words on such a cell mean.
pub fn verdict(traceback: &str, candidate: &str) -> Verdict {
    let name = format!("`{}`", candidate.trim_end_matches('!'));
    let is_refusal =
        |line: &str| line.contains(&name) && NOT_THERE.iter().any(|code| line.contains(code));
    match () {
        () if traceback.lines().any(is_refusal) => Verdict::NotThere,
        // The error that was put in is one of types, which come after names.
        () if traceback.contains("E0308") => Verdict::There,
        () => Verdict::None,
    }
}

/// What was asked, and what came of it.
#[derive(Default)]
struct Score {
    times: Vec<Duration>,
    /// By kind and number of letters: found, asked.
    found: [[(usize, usize); WRITTEN.len()]; KINDS.len()],
    judged: usize,
    refused: Vec<String>,
    /// Cells in which the compiler did not come to the names.
    unread: Vec<String>,
    /// Kilobytes, the most of all.
    memory: u64,
}

/// Runs the benchmark and prints it.
///
/// # Errors
/// When a notebook cannot be read, or the kernel does not answer.
pub fn run(options: &BenchComplete, program: &Path) -> Result<(), BenchError> {
    let usual = USUAL.map(PathBuf::from);
    let named = match options.notebooks.is_empty() {
        true => &usual[..],
        false => &options.notebooks,
    };
    let mut sources = Vec::new();
    for place in named {
        for path in files(place)? {
            sources.push(Source::read(&path)?);
        }
    }
    let chosen = choose(&sources, options.places);
    if chosen.is_empty() && options.places > 0 {
        return Err(BenchError::NoCode(named.to_vec()));
    }
    let mut score = Score::default();
    for (number, source) in sources.iter().enumerate() {
        let of_source: Vec<&Chosen> = chosen.iter().filter(|it| it.source == number).collect();
        if !of_source.is_empty() {
            ask_at(source, &of_source, options, program, &mut score)?;
        }
    }
    if !chosen.is_empty() {
        score.print();
        without_the_analyst(program)?;
    }
    match options.idle {
        Some(seconds) => idle(program, seconds),
        None => Ok(()),
    }
}

/// Executes the cells of a source, asks at its places, and has the compiler judge what was offered.
fn ask_at(
    source: &Source,
    chosen: &[&Chosen],
    options: &BenchComplete,
    program: &Path,
    score: &mut Score,
) -> Result<(), BenchError> {
    let folder = source.path.parent();
    let folder = folder.filter(|it| !it.as_os_str().is_empty());
    let mut kernel = start(program, folder.unwrap_or(Path::new(".")), &[])?;
    let begun = kernel.started;
    kernel.run("1 + 1")?;
    let session = begun.elapsed();
    wait_for_analyst(&mut kernel)?;
    println!(
        "{}: session {:.1} s after the start, first answer of the analyst {:.1} s",
        source.path.display(),
        session.as_secs_f64(),
        begun.elapsed().as_secs_f64()
    );
    let mut offers = Vec::new();
    let last = chosen.iter().map(|it| it.cell).max().unwrap_or_default();
    for (number, cell) in source.cells.iter().enumerate().take(last + 1) {
        for it in chosen.iter().filter(|it| it.cell == number) {
            let written = it.place.written(cell, it.letters);
            let (reply, took) = ask(&mut kernel, &written)?;
            score.times.push(took);
            let kind = KINDS.iter().position(|(kind, _)| *kind == it.place.kind);
            let (found, asked) =
                &mut score.found[kind.unwrap_or_default()][(it.letters - 1).min(WRITTEN.len() - 1)];
            *asked += 1;
            match rank(&reply, &it.place.name) {
                Some(rank) if rank < FIRST => *found += 1,
                rank => println!(
                    "  {:.0} ms, {}: {} in …{}",
                    took.as_secs_f64() * 1e3,
                    rank.map_or("not offered".to_owned(), |rank| format!(
                        "number {}",
                        rank + 1
                    )),
                    it.place.name,
                    tail(&written)
                ),
            }
            let first = reply.matches.len().min(FIRST);
            if let Some(candidate) = reply.matches.get(score.times.len() % first.max(1)).cloned() {
                offers.push((written, reply, candidate));
            }
        }
        if number < last {
            let answer = kernel.run(cell)?;
            if answer.status != "ok" {
                println!("  a cell fails: {} {}", answer.ename, answer.evalue);
            }
        }
    }
    for (written, reply, candidate) in &offers {
        if score.judged + score.unread.len() == options.confirm {
            break;
        }
        let answer = kernel.run(&with_candidate(written, reply, candidate))?;
        let words = format!("{candidate} in …{}: {}", tail(written), answer.evalue);
        match verdict(&answer.traceback, candidate) {
            Verdict::There => score.judged += 1,
            Verdict::NotThere => {
                score.judged += 1;
                score.refused.push(words);
            }
            Verdict::None => score.unread.push(words),
        }
    }
    let memory = analyst(kernel.child.id()).map(kernels::memory);
    score.memory = score.memory.max(memory.unwrap_or_default());
    Ok(())
}

impl Score {
    fn print(self) {
        let sum = |all: &mut dyn Iterator<Item = (usize, usize)>| {
            all.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
        };
        let of = |(found, asked): (usize, usize)| format!("{found} of {asked}");
        println!("\nnames among the first {FIRST}, by the letters that are written:\n");
        println!("| | 1 | 2 | 3 | all |\n|---|---|---|---|---|");
        for ((_, name), found) in KINDS.iter().zip(&self.found) {
            let letters: Vec<String> = found.iter().map(|one| of(*one)).collect();
            let all = of(sum(&mut found.iter().copied()));
            println!("| {name} | {} | {all} |", letters.join(" | "));
        }
        let letters: Vec<String> = (0..WRITTEN.len())
            .map(|letters| of(sum(&mut self.found.iter().map(|found| found[letters]))))
            .collect();
        let all = of(sum(&mut self.found.iter().flatten().copied()));
        println!("| all | {} | {all} |\n", letters.join(" | "));
        let (refused, judged) = (self.refused.len(), self.judged);
        println!("{refused} of {judged} candidates refused by the compiler");
        for words in &self.refused {
            println!("  {words}");
        }
        if !self.unread.is_empty() {
            println!("{} more cells that it could not read", self.unread.len());
            for words in &self.unread {
                println!("  {words}");
            }
        }
        let slowest = self.times.iter().max().copied().unwrap_or_default();
        println!(
            "median {:.1} ms, slowest {:.1} ms, over the wire; at most {} MB in an analyst",
            median(self.times).unwrap_or_default().as_secs_f64() * 1e3,
            slowest.as_secs_f64() * 1e3,
            self.memory / 1000,
        );
    }
}

fn without_the_analyst(program: &Path) -> Result<(), BenchError> {
    let mut names = start(program, Path::new("."), &[("ITD_ANALYST", "off")])?;
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

/// What a kernel and its analyst hold before and after nobody has asked for a time.
fn idle(program: &Path, seconds: u64) -> Result<(), BenchError> {
    let text = seconds.to_string();
    let mut kernel = start(program, Path::new("."), &[(IDLE_VARIABLE, &text)])?;
    kernel.run("let v = vec![1.0, 2.0];")?;
    wait_for_analyst(&mut kernel)?;
    let pid = kernel.child.id();
    let tell = |when: &str| {
        let analyst = match analyst(pid).map(kernels::memory) {
            Some(memory) => format!("{:.1} MB in its analyst", memory as f64 / 1e3),
            None => "no analyst".to_owned(),
        };
        let own = kernels::memory(pid) as f64 / 1e3;
        println!("{when}: {own:.1} MB in the kernel's process, {analyst}");
    };
    tell("after the first answer");
    let begin = Instant::now();
    while analyst(pid).is_some() {
        std::thread::sleep(Duration::from_secs(1));
        if begin.elapsed() > Duration::from_secs(seconds) + PATIENCE {
            break;
        }
    }
    tell(&format!("{:.0} s later", begin.elapsed().as_secs_f64()));
    let begin = Instant::now();
    wait_for_analyst(&mut kernel)?;
    tell(&format!(
        "{:.1} s after the next question, with its answer",
        begin.elapsed().as_secs_f64()
    ));
    Ok(())
}

fn wait_for_analyst(kernel: &mut Client) -> Result<(), BenchError> {
    let begin = Instant::now();
    while rank(&ask(kernel, "vec![1.0].le")?.0, "len").is_none() {
        if begin.elapsed() > PATIENCE {
            return Err(BenchError::NoAnalyst(PATIENCE));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn start(program: &Path, folder: &Path, settings: &[(&str, &str)]) -> Result<Client, BenchError> {
    let mut command = Command::new(program);
    command
        .args(["kernel", "-f"])
        .env(crate::history::VARIABLE, "off")
        .env_remove("ITD_ANALYST")
        .envs(settings.iter().copied());
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

/// The process in which the analyst of a kernel runs, if there is one and the system tells.
fn analyst(kernel: u32) -> Option<u32> {
    kernels::family(kernel).into_iter().find(|pid| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        String::from_utf8_lossy(&environment).contains("ITD_IS_ANALYST")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_where_something_is_named_that_there_is() {
        let cell = "%%opt 3\nlet total = values.iter().sum::<f64>();\ncheck!(close(total, Config { rate: 1.0, ..Default::default() }.rate));\nuse std::fmt::{Debug};";
        let found = places(cell);
        let wanted: Vec<_> = found
            .iter()
            .map(|place| (place.name.as_str(), place.kind))
            .collect();
        use Kind::{Field, Member, Name, Path};
        assert_eq!(
            wanted,
            [
                ("values", Name),
                ("iter", Member),
                ("sum", Member),
                ("f64", Name),
                ("check", Name),
                ("close", Name),
                ("total", Name),
                ("Config", Name),
                ("rate", Field),
                ("Default", Name),
                ("default", Path),
                ("rate", Member),
                ("std", Name),
                ("fmt", Path),
                ("Debug", Path),
            ]
        );
        assert_eq!(found[1].written(cell, 2), "%%opt 3\nlet total = values.it");
        assert!(found[5].written(cell, 9).ends_with("\ncheck!(clos"));
    }

    #[test]
    fn places_are_chosen_from_all_sources_and_kinds() {
        let source = |cell: &str| Source {
            path: PathBuf::new(),
            cells: vec![cell.to_owned()],
        };
        let sources = [
            source("alpha + beta; gamma.delta"),
            source("alpha + beta; gamma.delta; std::mem::swap; P { xy: 1 }"),
        ];
        let chosen = choose(&sources, 8);
        let of = |kind: Kind| chosen.iter().filter(|it| it.place.kind == kind).count();
        assert_eq!(
            [Kind::Field, Kind::Path, Kind::Member, Kind::Name].map(of),
            [1, 2, 2, 3]
        );
        assert!(chosen.iter().any(|it| it.source == 0) && chosen.iter().any(|it| it.source == 1));
        assert_eq!(choose(&sources, 100).len(), 12);
    }

    #[test]
    fn cells_of_a_page_are_its_fences_of_rust() {
        let page = "# T\n\n```rust\nlet x = 1;\n```\n\n```python\nx = 1\n```\n\n    indented\n";
        assert_eq!(fences(page), ["let x = 1;\n"]);
    }

    #[test]
    fn a_candidate_is_put_in_place_and_all_is_closed() {
        let reply = CompleteReply {
            cursor_start: 11,
            cursor_end: 13,
            ..CompleteReply::default()
        };
        let cell = with_candidate("println!(v.le", &reply, "len");
        assert_eq!(cell, "if false {\nlet () = 0_u8;\nprintln!(v.len);\n}");
    }

    #[test]
    fn what_was_not_written_yet_is_no_error_of_syntax() {
        for (written, candidate, end) in [
            ("match m { So", "Some", "Some => {}};\n}"),
            ("for x in va", "values", "values {};\n}"),
            ("let n: Vec<f6", "f64", "f64>;\n}"),
            ("let s = v.iter().sum::<f6", "f64", "f64>();\n}"),
            ("impl Di", "Display", "Display {};\n}"),
            ("use std::fm", "fmt", "fmt;\n}"),
        ] {
            let reply = CompleteReply {
                cursor_start: written.rfind(&candidate[..2]).expect("its beginning"),
                cursor_end: written.len(),
                ..CompleteReply::default()
            };
            let cell = with_candidate(written, &reply, candidate);
            assert!(cell.ends_with(end), "{cell}");
        }
    }

    #[test]
    fn only_a_cell_whose_names_were_read_is_judged() {
        let types = "error[E0308]: mismatched types";
        let missing = "error[E0425]: cannot find value `x` in this scope";
        assert_eq!(verdict(types, "x"), Verdict::There);
        assert_eq!(
            verdict(&format!("{missing}\n{types}"), "x"),
            Verdict::NotThere
        );
        assert_eq!(verdict(&format!("{missing}\n{types}"), "y"), Verdict::There);
        assert_eq!(verdict("error: expected one of", "x"), Verdict::None);
    }
}
