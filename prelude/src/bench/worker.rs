//! One process, one case: ours. PyTorch's, in `twin.py`, follows the same lines.
//!
//! | line in | what is done | line out |
//! |---|---|---|
//! | | all is made ready | `ready {"version": …, "base": bytes}` |
//! | `row NAME` | the row is run until it is warm, and its peak of memory noted from now on | `ok` |
//! | `run` | one try | milliseconds |
//! | `peak` | | bytes above those of a process that has done nothing yet |
//! | `exchange FILE` | what the other side needs to compute the same is written | number of parameters |
//!
//! Whatever fails is a line `error …`.

use std::io::{BufRead, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use super::case::Row;
use super::peak::Memory;
use super::work::{self, Work};
use crate::error::{Error, Result};
use crate::memory;

/// Shorter work is repeated until it has taken so long, after once without counting: the processes that wait for
/// their turn have put the caches and the threads to sleep.
const SHORTEST: f64 = 0.02;
/// How long a row is warmed up, but once at least.
const WARM: Duration = Duration::from_millis(200);

/// Answers line by line until there are no more; gives the exit code.
pub(super) fn serve(words: &str, input: impl BufRead, mut output: impl Write) -> i32 {
    let mut state = match State::new(words) {
        Ok(state) => state,
        Err(error) => {
            let _ = writeln!(output, "{}", complaint(&error));
            return 1;
        }
    };
    let mut tell = |line: String| writeln!(output, "{line}").and_then(|()| output.flush());
    if tell(state.ready()).is_err() {
        return 1;
    }
    for line in input.lines() {
        let Ok(line) = line else { return 1 };
        let answer = state
            .answer(&line)
            .unwrap_or_else(|error| complaint(&error));
        if tell(answer).is_err() {
            return 1;
        }
    }
    0
}

fn complaint(error: &Error) -> String {
    format!("error {}", error.to_string().replace('\n', " "))
}

struct State {
    work: Box<dyn Work>,
    row: Row,
    base: Option<u64>,
}

impl State {
    fn new(words: &str) -> Result<Self> {
        // As every long loop of this crate does.
        memory::keep();
        // Threads and the libraries' own tables are no part of any case.
        work::named("conv2d 2 8 8 8 3 1")?.run(Row::Gradients)?;
        let base = Memory::read().map(|memory| memory.now);
        Ok(Self {
            work: work::named(words)?,
            row: Row::Forward,
            base,
        })
    }

    fn ready(&self) -> String {
        let version = env!("CARGO_PKG_VERSION");
        let told = serde_json::json!({"version": version, "base": self.base});
        format!("ready {told}")
    }

    fn answer(&mut self, line: &str) -> Result<String> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        Ok(match word {
            "row" => {
                let Some(row) = Row::named(rest) else {
                    return work::unknown(rest);
                };
                self.row = row;
                Memory::forget();
                let start = Instant::now();
                self.work.run(row)?;
                while start.elapsed() < WARM {
                    self.work.run(row)?;
                }
                "ok".into()
            }
            "run" => format!("{:.6}", 1e3 * self.once()?),
            "peak" => match (Memory::read(), self.base) {
                (Some(memory), Some(base)) => memory.most.saturating_sub(base).to_string(),
                _ => "-".into(),
            },
            "exchange" => {
                let exchange = self.work.exchange()?;
                exchange.save(Path::new(rest))?;
                exchange.parameters.to_string()
            }
            other => return work::unknown(other),
        })
    }

    /// Seconds of one try.
    fn once(&mut self) -> Result<f64> {
        let first = self.work.run(self.row)?;
        if first >= SHORTEST {
            return Ok(first);
        }
        let (mut sum, mut count) = (0.0, 0);
        while sum < SHORTEST {
            sum += self.work.run(self.row)?;
            count += 1;
        }
        Ok(sum / f64::from(count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn talk(words: &str, input: &str) -> Vec<String> {
        let mut output = Vec::new();
        serve(words, input.as_bytes(), &mut output);
        let text = String::from_utf8(output).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_worker_answers_line_by_line() {
        let lines = talk(
            "matmul 16",
            "row forward\nrun\npeak\nrow sideways\nsing\nrun\n",
        );
        assert!(lines[0].starts_with("ready {"), "{lines:?}");
        assert_eq!(lines[1], "ok");
        for i in [2, 6] {
            assert!(lines[i].parse::<f64>().unwrap() > 0.0);
        }
        let counted = Memory::read().is_some();
        assert_eq!(lines[3].parse::<u64>().is_ok(), counted, "{lines:?}");
        assert!(lines[4].contains("sideways") && lines[5].contains("sing"));
        assert_eq!(lines.len(), 7);
    }

    #[test]
    fn a_case_that_is_none_is_told() {
        let lines = talk("nonsense 3", "run\n");
        assert_eq!(lines.len(), 1);
        assert!(lines[0].starts_with("error ") && lines[0].contains("nonsense"));
    }
}
