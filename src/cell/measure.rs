//! Code around a cell that takes its time or runs its tests, and what is read from the file that it leaves.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::command::{Loops, Way};

/// How a cell is run, and the file in which it leaves what was measured.
#[derive(Debug, Clone, Default)]
pub struct Measure {
    pub way: Way,
    pub file: PathBuf,
}

/// A test of a cell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Test {
    /// With the modules that it is in.
    pub name: String,
    pub line: usize,
    /// It has to panic, with this text in the message.
    pub should_panic: Option<String>,
    pub ignored: bool,
}

impl Measure {
    /// Whether the variables of the cell live in it only.
    pub fn is_scoped(&self) -> bool {
        matches!(self.way, Way::TimeIt(_) | Way::Bench(_))
    }

    /// What stands before all that runs. `taken` are the variables of earlier cells that it names.
    pub fn before<'a>(&self, taken: impl Iterator<Item = &'a String>) -> String {
        let mut text = String::new();
        if self.is_scoped() {
            // The optimiser must not know them.
            for name in taken {
                let _ = write!(text, "::std::hint::black_box(&{name}); ");
            }
        }
        match &self.way {
            Way::Plain | Way::Test => {}
            Way::Time => {
                text.push_str(PROCESSOR_TIME);
                text.push_str(STOP_THE_CLOCK);
                text.push_str(
                    "let mut itd_told = ::std::string::String::new(); \
                     let itd_processor = itd_processor_time(); let itd_clock = ::std::time::Instant::now(); ",
                );
            }
            Way::TimeIt(loops) => {
                text.push_str("let mut itd_told = ::std::string::String::new(); ");
                text.push_str(&repeat(loops));
            }
            Way::Bench(_) => text.push_str("let mut itd_told = ::std::string::String::new(); "),
        }
        text
    }

    /// What stands behind all that runs, but before variables are kept.
    pub fn after(&self) -> String {
        let file = literal(&self.file);
        match &self.way {
            Way::Plain | Way::Test => String::new(),
            Way::Time => format!("; itd_stop((){STOP}; let _ = ::std::fs::write({file}, itd_told)"),
            Way::TimeIt(_) => format!(
                "; {}; let _ = ::std::fs::write({file}, itd_told)",
                repeated(0)
            ),
            Way::Bench(_) => format!("; let _ = ::std::fs::write({file}, itd_told)"),
        }
    }

    /// What stands before and behind an expression statement on a line, if it is measured by itself.
    pub fn around(&self, line: usize) -> Option<(String, String)> {
        match &self.way {
            Way::Bench(loops) => Some((
                format!("{}::std::hint::black_box(", repeat(loops)),
                format!("); {};", repeated(line)),
            )),
            _ => None,
        }
    }

    /// What stands before and behind the last value: the clock stops before it is shown, and the optimiser must not
    /// think that nobody wants it.
    pub fn around_value(&self) -> Option<(&'static str, &'static str)> {
        match self.way {
            Way::Time => Some(("itd_stop(", STOP)),
            Way::TimeIt(_) => Some(("::std::hint::black_box(", ")")),
            _ => None,
        }
    }

    /// Runs the tests of a cell.
    pub fn run(&self, tests: &[Test]) -> String {
        let file = literal(&self.file);
        let mut text = format!(
            "let mut itd_told = ::std::string::String::new(); \
             ::std::println!(\"running {} test{}\"); ",
            tests.len(),
            plural(tests.len())
        );
        text.push_str(RUN_TEST);
        for test in tests {
            let name = &test.name;
            let expected = match &test.should_panic {
                Some(message) => format!("::std::option::Option::Some({message:?})"),
                None => "::std::option::Option::None".to_owned(),
            };
            match test.ignored {
                true => {
                    let _ = write!(
                        text,
                        "::std::println!(\"test {name} ... ignored\"); itd_told.push_str(\"ignored\\n\"); "
                    );
                }
                false => {
                    let _ = write!(
                        text,
                        "itd_told.push_str(&itd_run(\"{name}\", || {name}(), {expected})); "
                    );
                }
            }
        }
        let _ = write!(text, "let _ = ::std::fs::write({file}, itd_told)");
        text
    }
}

/// Processor time of the process in nanoseconds, all threads together. The standard library has no word for it.
const PROCESSOR_TIME: &str = "fn itd_processor_time() -> u128 { \
    unsafe extern \"C\" { fn clock_gettime(clock: i32, time: *mut [i64; 2]) -> i32; } \
    let clock = if cfg!(target_os = \"macos\") { 12 } else { 2 }; let mut time = [0i64; 2]; \
    unsafe { clock_gettime(clock, &mut time) }; time[0] as u128 * 1_000_000_000 + time[1] as u128 } ";

/// Stops the clock, if it runs still, and gives the value that it is given.
const STOP_THE_CLOCK: &str = "fn itd_stop<T>(value: T, clock: ::std::time::Instant, processor: u128, \
    told: &mut ::std::string::String) -> T { if told.is_empty() { \
    let wall = clock.elapsed().as_nanos(); let processor = itd_processor_time() - processor; \
    *told = ::std::format!(\"{wall} {processor}\"); } value } ";

/// The arguments of `itd_stop` behind the value.
const STOP: &str = ", itd_clock, itd_processor, &mut itd_told)";

/// Runs one test and tells how it went, in one line.
const RUN_TEST: &str = "fn itd_run<T: ::std::process::Termination>(\
    name: &str, test: impl FnOnce() -> T, expected: ::std::option::Option<&str>) -> ::std::string::String { \
    ::std::print!(\"test {name} ... \"); \
    let ended = ::std::panic::catch_unwind(::std::panic::AssertUnwindSafe(|| test().report() == ::std::process::ExitCode::SUCCESS)); \
    let (good, told) = match (ended, expected) { \
        (Ok(true), None) => (true, ::std::string::String::from(\"ok\")), \
        (Ok(true), Some(_)) => (false, ::std::string::String::from(\"quiet\")), \
        (Ok(false), _) => (false, ::std::string::String::from(\"error\")), \
        (Err(panic), expected) => { \
            let message = panic.downcast_ref::<&str>().map(|text| text.to_string()) \
                .or_else(|| panic.downcast_ref::<::std::string::String>().cloned()).unwrap_or_default(); \
            let good = expected.is_some_and(|expected| message.contains(expected)); \
            (good, ::std::format!(\"{} {message:?}\", if good { \"ok\" } else { \"panic\" })) \
        } \
    }; \
    ::std::println!(\"{}\", if good { \"ok\" } else { \"FAILED\" }); told + \"\\n\" } ";

/// The beginning of a loop that is run until it takes long enough to be timed, and then some times more. In a block with
/// a name the compiler refuses a `break` or `continue` that would be of this loop.
fn repeat(loops: &Loops) -> String {
    let (count, known) = match loops.loops {
        Some(count) => (count, true),
        None => (1, false),
    };
    format!(
        "let (mut itd_loops, mut itd_step, mut itd_known) = ({count}u64, 0u32, {known}); \
         let mut itd_times: ::std::vec::Vec<f64> = ::std::vec::Vec::new(); \
         while itd_times.len() < {} && !::itd_prelude::cell::interrupted() {{ \
         let itd_clock = ::std::time::Instant::now(); let mut itd_round = 0u64; \
         while itd_round < itd_loops {{ itd_round += 1; 'itd_code: {{ ",
        loops.runs
    )
}

/// The end of it, for what stands on a line.
fn repeated(line: usize) -> String {
    format!(
        " }} }} let itd_took = itd_clock.elapsed().as_secs_f64(); \
         if itd_known {{ itd_times.push(itd_took / itd_loops as f64); }} \
         else if itd_took >= 0.2 || itd_step > 40 {{ itd_known = true; }} \
         else {{ itd_step += 1; itd_loops = [1, 2, 5][itd_step as usize % 3] * 10u64.pow(itd_step / 3); }} }} \
         itd_told.push_str(&::std::format!(\"{line} {{itd_loops}} {{itd_times:?}}\\n\"))"
    )
}

fn literal(path: &Path) -> String {
    format!("{:?}", path.display().to_string())
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// The times of one repeated piece of code.
#[derive(Debug, Clone, PartialEq)]
pub struct Timing {
    /// Where the expression stands, or 0 for all of the code.
    pub line: usize,
    pub loops: u64,
    /// Seconds of one loop, for each run.
    pub times: Vec<f64>,
}

impl Timing {
    fn read(line: &str) -> Option<Self> {
        let (place, rest) = line.split_once(' ')?;
        let (loops, times) = rest.split_once(' ')?;
        let times = times.trim_start_matches('[').trim_end_matches(']');
        let times = times.split(", ").filter(|time| !time.is_empty());
        Some(Self {
            line: place.parse().ok()?,
            loops: loops.parse().ok()?,
            times: times.map(str::parse).collect::<Result<_, _>>().ok()?,
        })
    }

    fn mean(&self) -> f64 {
        self.times.iter().sum::<f64>() / self.times.len() as f64
    }

    /// Of single runs, from the mean of all.
    fn deviation(&self) -> f64 {
        let mean = self.mean();
        let squares = self.times.iter().map(|time| (time - mean).powi(2));
        (squares.sum::<f64>() / self.times.len() as f64).sqrt()
    }

    fn best(&self) -> f64 {
        self.times.iter().copied().fold(f64::INFINITY, f64::min)
    }
}

/// What `%time` found: wall time and processor time.
pub fn time(told: &str) -> Option<String> {
    let (wall, processor) = told.split_once(' ')?;
    let wall = Duration::from_nanos(wall.parse().ok()?).as_secs_f64();
    let processor = Duration::from_nanos(processor.parse().ok()?).as_secs_f64();
    Some(format!(
        "wall time {}, processor time {}",
        seconds(wall),
        seconds(processor)
    ))
}

/// What was measured of each repeated piece of code.
pub fn timings(told: &str) -> Vec<Timing> {
    told.lines().filter_map(Timing::read).collect()
}

/// What `%timeit` found.
pub fn summary(timing: &Timing) -> String {
    let (runs, loops) = (timing.times.len(), timing.loops);
    format!(
        "{} ± {} per loop (mean ± std. dev. of {runs} run{}, {} loop{} each; best {})",
        seconds(timing.mean()),
        seconds(timing.deviation()),
        plural(runs),
        grouped(loops),
        if loops == 1 { "" } else { "s" },
        seconds(timing.best())
    )
}

/// What `%%bench` found, as a table; `cell` has the text of the lines.
pub fn table(timings: &[Timing], cell: &str) -> String {
    let fastest = timings
        .iter()
        .map(Timing::mean)
        .fold(f64::INFINITY, f64::min);
    let rows: Vec<[String; 5]> = timings
        .iter()
        .map(|timing| {
            let line = cell.lines().nth(timing.line.saturating_sub(1));
            let text = line.unwrap_or_default().trim().trim_end_matches(';');
            [
                timing.line.to_string(),
                text.chars().take(48).collect(),
                format!(
                    "{} ± {}",
                    seconds(timing.mean()),
                    seconds(timing.deviation())
                ),
                seconds(timing.best()),
                format!("{:.2}×", timing.mean() / fastest),
            ]
        })
        .collect();
    let head = ["line", "expression", "mean ± std. dev.", "best", "relative"].map(str::to_owned);
    let all: Vec<&[String; 5]> = std::iter::once(&head).chain(&rows).collect();
    let width = |column: usize| {
        let cells = all.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0)
    };
    let mut text = String::new();
    for row in &all {
        let line = format!(
            "{:>w0$}  {:w1$}  {:>w2$}  {:>w3$}  {:>w4$}",
            row[0],
            row[1],
            row[2],
            row[3],
            row[4],
            w0 = width(0),
            w1 = width(1),
            w2 = width(2),
            w3 = width(3),
            w4 = width(4)
        );
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// How a test went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    pub test: usize,
    pub what: String,
    /// The message of the panic, by which its place can be found.
    pub panic: Option<String>,
}

/// Which of the tests failed.
pub fn failed(told: &str, tests: &[Test]) -> Vec<Failed> {
    let mut failed = Vec::new();
    for (test, line) in told.lines().enumerate().take(tests.len()) {
        let (how, rest) = line.split_once(' ').unwrap_or((line, ""));
        let expected = tests[test].should_panic.as_deref();
        // As `{:?}` writes a string, which JSON reads but for the escapes of rare characters.
        let message = || serde_json::from_str(rest).unwrap_or_else(|_| rest.to_owned());
        let (what, panic) = match (how, expected) {
            ("error", _) => ("it returned an error".to_owned(), None),
            ("quiet", _) => ("it did not panic, as it should".to_owned(), None),
            ("panic", Some(expected)) => (
                format!("its panic should say {expected:?}: {}", message()),
                Some(message()),
            ),
            ("panic", None) => (message(), Some(message())),
            _ => continue,
        };
        failed.push(Failed { test, what, panic });
    }
    failed
}

/// How many tests passed, failed and were left out.
pub fn outcome(tests: &[Test], failed: usize) -> String {
    let ignored = tests.iter().filter(|test| test.ignored).count();
    let result = if failed == 0 { "ok" } else { "FAILED" };
    format!(
        "test result: {result}. {} passed; {failed} failed; {ignored} ignored\n",
        tests.len() - failed - ignored
    )
}

/// Seconds with three digits, in the unit that suits them.
pub fn seconds(value: f64) -> String {
    if !value.is_finite() {
        return "?".to_owned();
    }
    if value >= 60.0 {
        let whole = value.round() as u64;
        return format!("{} min {} s", whole / 60, whole % 60);
    }
    let units = [("s", 1.0), ("ms", 1e-3), ("µs", 1e-6), ("ns", 1e-9)];
    let fits = |(_, size): &&(&str, f64)| value >= *size * 0.9995;
    let (unit, size) = units.iter().find(fits).unwrap_or(&units[3]);
    let scaled = value / size;
    let digits = match scaled {
        scaled if scaled >= 99.95 => 0,
        scaled if scaled >= 9.995 => 1,
        scaled if scaled >= 0.9995 => 2,
        _ => 3,
    };
    format!("{scaled:.digits$} {unit}")
}

/// 10000000 → 10,000,000.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_digits_and_a_unit() {
        for (value, text) in [
            (1.234, "1.23 s"),
            (0.05678, "56.8 ms"),
            (0.000_999_9, "1.00 ms"),
            (123.4e-6, "123 µs"),
            (4.56e-9, "4.56 ns"),
            (0.0456e-9, "0.046 ns"),
            (0.0, "0.000 ns"),
            (61.2, "1 min 1 s"),
            (f64::NAN, "?"),
        ] {
            assert_eq!(seconds(value), text);
        }
        assert_eq!(
            (grouped(10_000_000), grouped(999)),
            ("10,000,000".into(), "999".into())
        );
    }

    #[test]
    fn statistics_are_those_of_ipython() {
        let told = "0 1000 [1e-8, 2e-8, 3e-8]\n";
        let [timing] = &timings(told)[..] else {
            panic!("one timing");
        };
        // The deviation of all runs, not of a sample: √(2/3) of 10 ns.
        assert_eq!(
            summary(timing),
            "20.0 ns ± 8.16 ns per loop (mean ± std. dev. of 3 runs, 1,000 loops each; best 10.0 ns)"
        );
        assert_eq!(
            timings("0 1 []\n")[0].times,
            [0.0; 0],
            "stopped before the first run"
        );
        assert_eq!(
            time("1500000 2500").as_deref(),
            Some("wall time 1.50 ms, processor time 2.50 µs")
        );
        assert_eq!(time(""), None);
    }

    #[test]
    fn a_bench_is_a_table_of_lines() {
        let timings = timings("2 10 [2e-3]\n3 10 [1e-3]\n");
        let table = table(&timings, "%%bench\nslow(x);\nfast(x)");
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(
            lines[1].contains("slow(x)  ") && lines[1].ends_with("2.00×"),
            "{table}"
        );
        assert!(
            lines[2].contains("1.00 ms ± 0.000 ns") && lines[2].ends_with("1.00×"),
            "{table}"
        );
    }

    #[test]
    fn tests_that_fail_say_why() {
        let test = |name: &str, should_panic: Option<&str>, ignored| Test {
            name: name.into(),
            line: 1,
            should_panic: should_panic.map(str::to_owned),
            ignored,
        };
        let tests = [
            test("good", None, false),
            test("bad", None, false),
            test("left", None, true),
            test("quiet", Some(""), false),
            test("other", Some("boom"), false),
            test("errs", None, false),
        ];
        let told = "ok\npanic \"left == right\"\nignored\nquiet\npanic \"bang\"\nerror\n";
        let failed = failed(told, &tests);
        let whats: Vec<_> = failed
            .iter()
            .map(|failed| (failed.test, failed.what.as_str()))
            .collect();
        assert_eq!(
            whats,
            [
                (1, "left == right"),
                (3, "it did not panic, as it should"),
                (4, "its panic should say \"boom\": bang"),
                (5, "it returned an error"),
            ]
        );
        assert_eq!(failed[0].panic.as_deref(), Some("left == right"));
        assert_eq!(
            outcome(&tests, failed.len()),
            "test result: FAILED. 1 passed; 4 failed; 1 ignored\n"
        );
    }
}
