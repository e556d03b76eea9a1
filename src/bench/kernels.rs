//! `itd bench kernels`: many kernels at once, as in a class that runs the same notebook: what a cell takes then, and what
//! memory and processor time a kernel takes.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Barrier, Mutex, PoisonError};
use std::time::Duration;

use nbformat::v4::Cell;

use super::{BenchError, median, spread};
use crate::cli::BenchKernels;
use crate::client::Client;
use crate::notebook::file;

/// How long a cell may take, many times longer than alone.
const PATIENCE: Duration = Duration::from_secs(1800);
/// How often the memory of all kernels is read.
const GLANCE: Duration = Duration::from_millis(300);
/// How long kernels have nothing to do before their memory is read.
const REST: Duration = Duration::from_secs(5);

/// What one kernel took.
#[derive(Debug, Default)]
struct Took {
    /// From start to the first result.
    first: Duration,
    cells: Vec<Duration>,
    failed: usize,
    /// In kilobytes, at rest after the last cell.
    memory: u64,
    /// Of the kernel and all that it started.
    processor: Duration,
}

/// What some kernels took at the same time.
#[derive(Debug, Default)]
struct Class {
    kernels: Vec<Took>,
    /// The most memory that all took together at any moment, in kilobytes.
    peak: u64,
}

/// Runs a notebook in one kernel, then in many at once, and prints what it took.
///
/// # Errors
/// When the notebook cannot be read, or a kernel does not answer.
pub fn run(options: &BenchKernels, program: &Path) -> Result<(), BenchError> {
    let notebook = file::read(&options.notebook)?;
    let code = notebook
        .cells
        .iter()
        .filter(|cell| matches!(cell, Cell::Code { .. }));
    let cells: Vec<String> = code.map(file::source).collect();
    if cells.is_empty() {
        return Err(BenchError::NoCode(vec![options.notebook.clone()]));
    }
    let folder = options.notebook.parent().unwrap_or(Path::new(""));
    // What the first start makes, later ones find done.
    eprintln!("warming up");
    class(1, program, folder, &cells[..1])?;
    eprintln!("one kernel, {} cells", cells.len());
    let alone = class(1, program, folder, &cells)?;
    eprintln!("{} kernels at once", options.kernels);
    let many = class(usize::from(options.kernels), program, folder, &cells)?;
    print(options, &alone, &many, cells.len());
    Ok(())
}

/// Starts kernels at the same time, and has each run all cells as fast as it can.
fn class(
    count: usize,
    program: &Path,
    folder: &Path,
    cells: &[String],
) -> Result<Class, BenchError> {
    let folder = match folder.as_os_str().is_empty() {
        true => Path::new("."),
        false => folder,
    };
    let pids = Mutex::new(Vec::new());
    let done = Barrier::new(count);
    let over = AtomicBool::new(false);
    let one = || {
        let outcome = pupil(program, folder, cells, &pids);
        // All have to come here, whatever happened to them; then nobody disturbs the others' rest.
        done.wait();
        std::thread::sleep(REST);
        let (client, mut took) = outcome?;
        let pid = client.child.id();
        let all = family(pid);
        took.memory = all.iter().map(|pid| memory(*pid)).sum();
        took.processor = all.iter().map(|pid| processor_time(*pid)).sum();
        client.shutdown()?;
        Ok(took)
    };
    std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut peak = 0;
            while !over.load(Ordering::SeqCst) {
                let pids = pids.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let all = pids.into_iter().flat_map(family);
                peak = peak.max(all.map(memory).sum());
                std::thread::sleep(GLANCE);
            }
            peak
        });
        let pupils: Vec<_> = (0..count).map(|_| scope.spawn(one)).collect();
        let kernels: Result<Vec<Took>, BenchError> = pupils
            .into_iter()
            .map(|pupil| match pupil.join() {
                Ok(took) => took,
                Err(panic) => std::panic::resume_unwind(panic),
            })
            .collect();
        over.store(true, Ordering::SeqCst);
        let peak = watch.join().unwrap_or_default();
        Ok(Class {
            kernels: kernels?,
            peak,
        })
    })
}

/// Starts a kernel and has it run the cells.
fn pupil(
    program: &Path,
    folder: &Path,
    cells: &[String],
    pids: &Mutex<Vec<u32>>,
) -> Result<(Client, Took), BenchError> {
    let mut command = Command::new(program);
    command
        .args(["kernel", "-f"])
        .env(crate::history::VARIABLE, "off");
    let mut client = Client::start(command, folder, PATIENCE)?;
    // Nobody reads what the kernel's own standard error says; it must not fill up.
    let stderr = client.child.stderr.take();
    std::thread::spawn(move || {
        stderr.map(|mut from| std::io::copy(&mut from, &mut std::io::sink()))
    });
    let mut all = pids.lock().unwrap_or_else(PoisonError::into_inner);
    all.push(client.child.id());
    drop(all);
    let mut took = Took::default();
    for cell in cells {
        let answer = client.run(cell)?;
        if took.cells.is_empty() {
            took.first = client.started.elapsed();
        }
        took.failed += usize::from(answer.status != "ok");
        took.cells.push(answer.took);
    }
    Ok((client, took))
}

/// A process and all that descend from it.
pub(super) fn family(pid: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            Some((pid, stat(pid)?.get(1)?.parse().ok()?))
        })
        .collect();
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        let children = parents.iter().filter(|(_, of)| *of == parent);
        found.extend(children.map(|(pid, _)| *pid));
        next += 1;
    }
    found
}

/// What the system says of a process, after its name: state, parent, and so on.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after) = text.rsplit_once(')')?;
    Some(after.split_whitespace().map(str::to_owned).collect())
}

/// What a process holds in memory of its own, in kilobytes; pages of files come and go as the system likes.
pub(super) fn memory(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let field = |name: &str| -> u64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
        number.and_then(|number| number.parse().ok()).unwrap_or(0)
    };
    field("RssAnon:") + field("VmSwap:")
}

/// Processor time of a process and of its children that have ended; the system counts it in hundredths of a second.
fn processor_time(pid: u32) -> Duration {
    let stat = stat(pid).unwrap_or_default();
    let ticks = stat
        .iter()
        .skip(11)
        .take(4)
        .filter_map(|ticks| ticks.parse::<u64>().ok());
    Duration::from_millis(10 * ticks.sum::<u64>())
}

fn print(options: &BenchKernels, alone: &Class, many: &Class, cells: usize) {
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    println!(
        "{}, {cells} cells, on {processors} processors. Seconds: median, smallest and largest in brackets.\n",
        options.notebook.display()
    );
    println!("| | one kernel | {} kernels at once |", options.kernels);
    println!("|---|---|---|");
    let row = |name: &str, of: &dyn Fn(&Class) -> String| {
        println!("| {name} | {} | {} |", of(alone), of(many));
    };
    let later = |class: &Class| -> Vec<Duration> {
        class
            .kernels
            .iter()
            .flat_map(|one| one.cells.iter().skip(1).copied())
            .collect()
    };
    row("start to first result", &|class| {
        spread(class.kernels.iter().map(|one| one.first).collect())
    });
    row("a later cell", &|class| spread(later(class)));
    row("all cells", &|class| {
        spread(
            class
                .kernels
                .iter()
                .map(|one| one.cells.iter().sum())
                .collect(),
        )
    });
    row("processor time of a cell", &|class| {
        format!("{:.2}", processor_of_a_cell(class, cells))
    });
    row("memory of a kernel at rest, MB", &|class| {
        let mut all: Vec<u64> = class.kernels.iter().map(|one| one.memory / 1024).collect();
        all.sort_unstable();
        match all[..] {
            [] => String::new(),
            [low, .., high] => format!("{} [{low}, {high}]", all[all.len() / 2]),
            [one] => one.to_string(),
        }
    });
    row("most memory of all at once, MB", &|class| {
        (class.peak / 1024).to_string()
    });
    row("cells that failed", &|class| {
        class
            .kernels
            .iter()
            .map(|one| one.failed)
            .sum::<usize>()
            .to_string()
    });
    let (class, pause) = (f64::from(options.class), options.pause);
    let largest = many
        .kernels
        .iter()
        .map(|one| one.memory)
        .max()
        .unwrap_or_default() as f64;
    let gigabytes = largest / 1024.0 / 1024.0;
    let busy = processor_of_a_cell(many, cells);
    println!(
        "\n{class} kernels at rest: {class} × {:.2} GB = {:.0} GB. One cell every {pause} s in each: {class} × {busy:.2} s / \
         {pause} s = {:.1} processors busy.",
        gigabytes,
        class * gigabytes,
        class * busy / pause,
    );
    if let (Some(before), Some(now)) = (median(later(alone)), median(later(many))) {
        let ratio = now.as_secs_f64() / before.as_secs_f64();
        println!(
            "A later cell takes {ratio:.1} times as long among {}.",
            options.kernels
        );
    }
}

/// Seconds of processor time for a cell, start and all included.
fn processor_of_a_cell(class: &Class, cells: usize) -> f64 {
    let all: Duration = class.kernels.iter().map(|one| one.processor).sum();
    all.as_secs_f64() / (class.kernels.len() * cells).max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_time_of_a_process_with_those_below_are_read() {
        let mut child = Command::new("sh")
            .args([
                "-c",
                "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; sleep 30 & wait",
            ])
            .spawn()
            .expect("a shell");
        let pid = child.id();
        let all = || family(pid);
        let begin = std::time::Instant::now();
        while all().len() < 2 && begin.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let all = all();
        let (memory, processor) = (memory(pid), processor_time(pid));
        for pid in &all {
            let pid = nix::unistd::Pid::from_raw(*pid as i32);
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
        }
        let _ = child.wait();
        assert_eq!(all.len(), 2, "the shell, and what it started");
        assert!(
            memory > 0 && processor > Duration::ZERO,
            "{memory} kB, {processor:?}"
        );
    }
}
