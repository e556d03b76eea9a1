//! `itd bench cells`: a notebook's cells in this kernel and in stock evcxr_jupyter, over the same sockets,
//! turn by turn in one run.

pub mod complete;
pub mod kernels;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nbformat::v4::Cell;

use crate::cli::{BenchBuild, BenchCells};
use crate::client::{Client, ClientError};
use crate::notebook::file::{self, NotebookError};

/// The stock kernel's version; it is installed when no other program is named.
const STOCK_VERSION: &str = "0.22.0";
/// The stock kernel compiles the prelude in the first cell of its first start.
const PATIENCE: Duration = Duration::from_secs(3600);

/// What keeps the benchmark from running.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    #[error(transparent)]
    Notebook(#[from] NotebookError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("{}: {source}", path.display())]
    File {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("there is no code to complete in {0:?}; name notebooks that have some")]
    NoCode(Vec<PathBuf>),
    #[error("{} is empty: record the cells again", .0.display())]
    Record(PathBuf),
    #[error(
        "no completion came within {} s: completion by types needs `rust-src` (`rustup component add rust-src`), and \
         ITD_ANALYST must not be `off`",
        .0.as_secs()
    )]
    NoAnalyst(Duration),
    #[error("evcxr_jupyter cannot be installed; name one with --stock:\n{0}")]
    Install(String),
}

/// One start of a kernel and one pass through all cells.
#[derive(Debug)]
struct Pass {
    /// From start to the answer to `kernel_info`.
    answered: Duration,
    /// From start to the end of the first cell, all that makes it possible included.
    first: Duration,
    /// Each cell, from request to the last output; none for a cell that failed.
    cells: Vec<Option<Duration>>,
    /// What the cells that failed said, by number.
    complaints: Vec<(usize, String)>,
}

/// A kernel to be timed.
struct Contender {
    name: &'static str,
    program: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, PathBuf)>,
    /// A cell that makes the prelude available, where the kernel does not do so by itself.
    opening: Option<String>,
    passes: Vec<Pass>,
}

/// Runs the benchmark and prints it.
///
/// # Errors
/// When the notebook cannot be read, or a kernel does not answer.
pub fn run(options: &BenchCells, program: &Path, project: &Path) -> Result<(), BenchError> {
    let cells = match options.plain {
        true => plain_cells(),
        false => {
            let notebook = file::read(&options.notebook)?;
            let code = notebook.cells.iter();
            let code = code.filter(|cell| matches!(cell, Cell::Code { .. }));
            code.map(file::source).collect()
        }
    };
    let mut contenders = vec![Contender {
        name: "itd",
        program: program.to_owned(),
        arguments: vec!["kernel".to_owned(), "-f".to_owned()],
        environment: Vec::new(),
        opening: None,
        passes: Vec::new(),
    }];
    if let Some(other) = &options.other {
        let prelude = options.other_prelude.iter();
        contenders.push(Contender {
            name: "other",
            program: other.clone(),
            arguments: vec!["kernel".to_owned(), "-f".to_owned()],
            environment: prelude
                .map(|folder| ("ITD_PRELUDE".to_owned(), folder.clone()))
                .collect(),
            opening: None,
            passes: Vec::new(),
        });
    }
    if !options.no_stock {
        contenders.push(stock(options, project)?);
    }
    for contender in &mut contenders {
        // The first start compiles what later ones find done; it is told, and not counted.
        let begin = Instant::now();
        eprintln!("{}: warming up", contender.name);
        let pass = contender.pass(&cells)?;
        println!(
            "{}: first start {:.1} s to its first result, {:.1} s in all",
            contender.name,
            pass.first.as_secs_f64(),
            begin.elapsed().as_secs_f64(),
        );
        for (number, complaint) in pass.complaints {
            println!("  cell {number} fails: {complaint}");
        }
    }
    for round in 1..=options.rounds {
        for contender in &mut contenders {
            eprintln!("round {round} of {}: {}", options.rounds, contender.name);
            let pass = contender.pass(&cells)?;
            contender.passes.push(pass);
        }
    }
    print(&contenders, &cells);
    Ok(())
}

/// The cells that need nothing but Rust.
fn plain_cells() -> Vec<String> {
    let parts = include_str!("plain_cells.txt").split("// %%\n").skip(1);
    parts.map(|cell| cell.trim_end().to_owned()).collect()
}

/// Compiles recorded cells as they were, and otherwise, by turns; prints what either way takes.
///
/// # Errors
/// When a record cannot be read, or the compiler not be run.
pub fn build(options: &BenchBuild) -> Result<(), BenchError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| BenchError::File { path, source }
    };
    let mut cells: Vec<PathBuf> = std::fs::read_dir(&options.folder)
        .map_err(at(&options.folder))?
        .flatten()
        .map(|entry| entry.path())
        .collect();
    cells.sort();
    let work = tempfile::tempdir().map_err(at(&options.folder))?;
    let mut wall: [Vec<Duration>; 2] = Default::default();
    let (mut processor, mut failed) = ([Duration::ZERO; 2], [0; 2]);
    for round in 0..options.rounds {
        for cell in &cells {
            let record = cell.join("arguments");
            let text = std::fs::read_to_string(&record).map_err(at(&record))?;
            for way in 0..2 {
                let place = work.path().join(way.to_string());
                for folder in ["src", "out"].map(|name| place.join(name)) {
                    std::fs::create_dir_all(&folder).map_err(at(&folder))?;
                }
                std::fs::copy(cell.join("lib.rs"), place.join("src/lib.rs")).map_err(at(cell))?;
                let mut words = arguments(&text, &place);
                if way == 1 {
                    let goes =
                        |word: &String| options.without.iter().any(|start| word.starts_with(start));
                    words.retain(|word| !goes(word));
                    words.extend(options.with.iter().cloned());
                }
                let (begin, before) = (Instant::now(), processor_time_of_children());
                if words.is_empty() {
                    return Err(BenchError::Record(record));
                }
                let compiler = words.remove(0);
                let done = Command::new(&compiler)
                    .args(words)
                    .current_dir(&place)
                    .env("RUSTC_BOOTSTRAP", "1")
                    .output()
                    .map_err(at(Path::new(&compiler)))?;
                if !done.status.success() && failed[way] == 0 {
                    let said = String::from_utf8_lossy(&done.stderr);
                    eprintln!(
                        "{}: {}",
                        cell.display(),
                        said.lines().last().unwrap_or_default()
                    );
                }
                failed[way] += usize::from(!done.status.success());
                if round > 0 {
                    wall[way].push(begin.elapsed());
                    processor[way] += processor_time_of_children().saturating_sub(before);
                }
            }
        }
    }
    let count = wall[0].len().max(1) as f64;
    for (way, name) in ["as recorded", "otherwise"].into_iter().enumerate() {
        let seconds = processor[way].as_secs_f64() / count;
        let median = median(wall[way].clone()).unwrap_or_default();
        println!(
            "{name:<12} {seconds:.3} s of processor time a cell, median {:.3} s; {} failed",
            median.as_secs_f64(),
            failed[way],
        );
    }
    Ok(())
}

/// A recorded compilation that writes to `place` instead: `-C x` in one word, and all paths for results in there.
fn arguments(text: &str, place: &Path) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        words.push(match line {
            "-C" => match lines.next().unwrap_or_default() {
                word if word.starts_with("incremental=") => {
                    format!("-Cincremental={}", place.join("incremental").display())
                }
                word => format!("-C{word}"),
            },
            "--out-dir" => {
                lines.next();
                format!("--out-dir={}", place.join("out").display())
            }
            line => line.to_owned(),
        });
    }
    words
}

/// Processor time of all children that have ended; the system counts it in hundredths of a second.
fn processor_time_of_children() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
    let ticks = after.split_whitespace().skip(13).take(2);
    let ticks = ticks.filter_map(|ticks| ticks.parse::<u64>().ok());
    Duration::from_millis(10 * ticks.sum::<u64>())
}

impl Contender {
    fn pass(&self, cells: &[String]) -> Result<Pass, BenchError> {
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .env(crate::history::VARIABLE, "off")
            .envs(self.environment.iter().cloned());
        let mut client = Client::start(command, &std::env::temp_dir(), PATIENCE)?;
        // Nobody reads what the kernel's own standard error says; it must not fill up.
        let stderr = client.child.stderr.take();
        std::thread::spawn(move || {
            stderr.map(|mut from| std::io::copy(&mut from, &mut std::io::sink()))
        });
        if let Some(opening) = &self.opening {
            client.run(opening)?;
        }
        let (mut times, mut complaints) = (Vec::new(), Vec::new());
        let mut first = None;
        for cell in cells {
            let answer = client.run(cell)?;
            first.get_or_insert(client.started.elapsed());
            times.push((answer.status == "ok").then_some(answer.took));
            if answer.status != "ok" {
                complaints.push((times.len(), answer.evalue));
            }
        }
        let answered = client.answered;
        client.shutdown()?;
        Ok(Pass {
            answered,
            first: first.unwrap_or_default(),
            cells: times,
            complaints,
        })
    }
}

/// The stock kernel, with the prelude as a path dependency. Cargo makes a shared library of it, which is the
/// fastest that the stock kernel can do; what it compiles is kept from one start to the next.
fn stock(options: &BenchCells, project: &Path) -> Result<Contender, BenchError> {
    // Not in the user's cache: the relative path to std's library that rustc notes in a cell's is one `..` too
    // long where evcxr moves it, which is harmless only where that leads above the root.
    let kept = std::env::temp_dir().join("itd-bench");
    let (prelude, session) = (kept.join("prelude"), kept.join("session"));
    let opening = match options.plain {
        true => None,
        false => {
            copy_prelude(&project.join("prelude"), &prelude)?;
            let path = prelude.display();
            Some(format!(
                ":dep itd-prelude = {{ path = \"{path}\" }}\nuse itd_prelude::prelude::*;\n\
                 use itd_prelude::show::EvcxrDisplay as _;"
            ))
        }
    };
    Ok(Contender {
        name: "evcxr_jupyter",
        program: match &options.stock {
            Some(program) => program.clone(),
            None => install_stock(project)?,
        },
        arguments: vec!["--control_file".to_owned()],
        environment: vec![("EVCXR_TMPDIR".to_owned(), session)],
        opening,
        passes: Vec::new(),
    })
}

fn copy_prelude(from: &Path, to: &Path) -> Result<(), BenchError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| BenchError::File { path, source }
    };
    let mut folders = vec![from.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(at(&folder))?.flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let target = to.join(path.strip_prefix(from).unwrap_or(&path));
            if let Some(parent) = target.parent() {
                std::fs::create_dir_all(parent).map_err(at(parent))?;
            }
            std::fs::copy(&path, &target).map_err(at(&path))?;
        }
    }
    let manifest = from.join("Cargo.toml");
    let text = std::fs::read_to_string(&manifest).map_err(at(&manifest))?;
    let text = text.replace("[lib]\n", "[lib]\ncrate-type = [\"rlib\", \"dylib\"]\n");
    let target = to.join("Cargo.toml");
    std::fs::write(&target, text).map_err(at(&target))
}

/// Installs the stock kernel below `target/`.
fn install_stock(project: &Path) -> Result<PathBuf, BenchError> {
    let root = project.join("target/stock");
    let program = root.join("bin/evcxr_jupyter");
    if program.is_file() {
        return Ok(program);
    }
    eprintln!("installing evcxr_jupyter {STOCK_VERSION} (a few minutes, once)");
    let done = Command::new("cargo")
        .args([
            "install",
            "evcxr_jupyter",
            "--locked",
            "--version",
            STOCK_VERSION,
            "--root",
        ])
        .arg(&root)
        .output()
        .map_err(|source| BenchError::File {
            path: "cargo".into(),
            source,
        })?;
    match done.status.success() {
        true => Ok(program),
        false => Err(BenchError::Install(
            String::from_utf8_lossy(&done.stderr).into_owned(),
        )),
    }
}

fn print(contenders: &[Contender], cells: &[String]) {
    println!("\nSeconds; median over the rounds, and the smallest and largest in brackets.\n");
    print!("{:>4}", "cell");
    for contender in contenders {
        print!("  {:>24}", contender.name);
    }
    println!();
    for (index, cell) in cells.iter().enumerate() {
        print!("{:>4}", index + 1);
        for contender in contenders {
            let times = contender.passes.iter().filter_map(|pass| pass.cells[index]);
            print!("  {:>24}", spread(times.collect()));
        }
        let line = cell.lines().next().unwrap_or_default();
        println!("  {}", line.chars().take(48).collect::<String>());
    }
    println!();
    let counted = counted(contenders, cells.len());
    println!(
        "Cells 2 and up that every kernel can run, {} in all:\n",
        counted.len()
    );
    let times = |pass: &Pass| -> Vec<Duration> {
        let mut times: Vec<_> = counted
            .iter()
            .filter_map(|&cell| pass.cells[cell])
            .collect();
        times.sort();
        times
    };
    for contender in contenders {
        let of = |pick: fn(&Pass) -> Duration| spread(contender.passes.iter().map(pick).collect());
        println!("{}", contender.name);
        println!("  start to kernel_info   {}", of(|pass| pass.answered));
        println!("  start to first result  {}", of(|pass| pass.first));
        let share = |share: f64| {
            let quantiles = contender.passes.iter().filter_map(|pass| {
                let times = times(pass);
                let last = times.len().checked_sub(1)?;
                Some(times[(share * last as f64).round() as usize])
            });
            spread(quantiles.collect())
        };
        println!("  a cell: median         {}", share(0.5));
        println!("          90th per cent  {}", share(0.9));
        println!("          maximum        {}", share(1.0));
    }
    let of = |contender: &Contender| median(contender.passes.iter().flat_map(times).collect());
    let [ours, others @ ..] = contenders else {
        return;
    };
    for other in others {
        if let (Some(median), Some(ours)) = (of(other), of(ours)) {
            let ratio = median.as_secs_f64() / ours.as_secs_f64();
            println!(
                "\nmedian cell: {} takes {ratio:.2} times as long",
                other.name
            );
        }
    }
}

/// The cells whose times are compared: not the first, which waits for the kernel to get ready, and none that
/// one of the kernels cannot run.
fn counted(contenders: &[Contender], cells: usize) -> Vec<usize> {
    let runs = |cell: usize| {
        let mut passes = contenders.iter().flat_map(|contender| &contender.passes);
        passes.all(|pass| pass.cells[cell].is_some())
    };
    (1..cells).filter(|&cell| runs(cell)).collect()
}

fn median(mut times: Vec<Duration>) -> Option<Duration> {
    times.sort();
    times.get(times.len() / 2).copied()
}

/// `0.31 [0.29, 0.35]`
fn spread(mut times: Vec<Duration>) -> String {
    times.sort();
    match (times.first(), times.get(times.len() / 2), times.last()) {
        (Some(low), Some(middle), Some(high)) => {
            let [low, middle, high] = [low, middle, high].map(|time| time.as_secs_f64());
            format!("{middle:.2} [{low:.2}, {high:.2}]")
        }
        _ => "fails".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recorded_compilation_writes_elsewhere() {
        let text = "rustc\n-C\nincremental=/old\n-C\nrpath\n--out-dir\n/old\nsrc/lib.rs\n";
        let words = arguments(text, Path::new("/new"));
        let expected = [
            "rustc",
            "-Cincremental=/new/incremental",
            "-Crpath",
            "--out-dir=/new/out",
            "src/lib.rs",
        ];
        assert_eq!(words, expected);
    }

    #[test]
    fn a_spread_names_the_middle_and_both_ends() {
        let times = [3, 1, 2].map(Duration::from_secs).into();
        assert_eq!(spread(times), "2.00 [1.00, 3.00]");
        assert_eq!(spread(Vec::new()), "fails");
    }
}
