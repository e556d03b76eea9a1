//! The course of training, told while it runs: `metrics.csv` and TensorBoard's events.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::Fit;
use super::events::Events;
use crate::error::{Error, Result};
use crate::file;

/// The columns of `metrics.csv`.
const HEAD: &str = "step,epoch,seconds,loss,gradient,learning_rate,validation,validation_std_err\n";

/// Two files that grow by a line, or a record, with each step.
#[derive(Debug)]
pub(super) struct Course {
    path: PathBuf,
    metrics: File,
    /// Bytes of whole lines.
    length: u64,
    events: Events,
    /// Steps that were told.
    told: usize,
}

impl Course {
    /// Goes on from what is known: of `metrics.csv`, the steps that were lost with the state go, and a line that was
    /// cut off.
    pub(super) fn new(folder: &Path, fit: &Fit) -> Result<Self> {
        let path = folder.join("metrics.csv");
        let fail = |cause: std::io::Error| Error::File {
            path: path.clone(),
            cause: cause.into(),
        };
        // After the last step something may still be measured.
        let told = match fit.end {
            Some(_) => fit.losses.len(),
            None => fit.losses.len().saturating_sub(1),
        };
        let mut text = HEAD.to_owned();
        (0..told).for_each(|i| line(fit, i, &mut text));
        file::replace(&path, |file| file.write_all(text.as_bytes())).map_err(fail)?;
        let metrics = File::options().append(true).open(&path).map_err(fail)?;
        let events = Events::new(folder, told).map_err(fail)?;
        Ok(Self {
            path,
            metrics,
            length: text.len() as u64,
            events,
            told,
        })
    }

    /// Tells the steps that were made since. A line that the system takes only a part of goes again.
    pub(super) fn tell(&mut self, fit: &Fit) -> Result<()> {
        for i in self.told..fit.losses.len() {
            let mut text = String::new();
            line(fit, i, &mut text);
            if let Err(cause) = self.metrics.write_all(text.as_bytes()) {
                let _ = self.metrics.set_len(self.length);
                return Err(self.fail(cause));
            }
            self.length += text.len() as u64;
            self.told = i + 1;
            let step = i + 1;
            let all = [
                ("loss", fit.losses.get(i).copied()),
                ("gradient norm", fit.gradients.get(i).copied()),
                ("learning rate", fit.rates.get(i).copied()),
                ("held-out nats", measured(fit, step).map(|(nats, _)| nats)),
            ];
            let known = all
                .into_iter()
                .filter_map(|(tag, value)| Some((tag, value?)));
            let known: Vec<_> = known.collect();
            let told = self.events.scalars(step, &known);
            told.map_err(|cause| self.fail(cause))?;
        }
        Ok(())
    }

    /// Brings all of it to the system.
    pub(super) fn flush(&mut self) -> Result<()> {
        self.events.flush().map_err(|cause| self.fail(cause))
    }

    fn fail(&self, cause: std::io::Error) -> Error {
        Error::File {
            path: self.path.clone(),
            cause: cause.into(),
        }
    }
}

/// What was measured on held-out samples after a step, with its error.
fn measured(fit: &Fit, step: usize) -> Option<(f64, f64)> {
    let last = fit.validation.iter().rev().find(|v| v.step == step)?;
    Some((last.held_out.nll.nats, last.held_out.nll.std_err))
}

/// A line of `metrics.csv`, with as many digits as bring each number back.
fn line(fit: &Fit, i: usize, text: &mut String) {
    let step = i + 1;
    // Writing to a string cannot fail.
    let _ = write!(text, "{step},{:?}", fit.epoch(step));
    for list in [&fit.elapsed, &fit.losses, &fit.gradients, &fit.rates] {
        let _ = match list.get(i) {
            Some(value) => write!(text, ",{value:?}"),
            None => write!(text, ","),
        };
    }
    let _ = match measured(fit, step) {
        Some((nats, std_err)) => writeln!(text, ",{nats:?},{std_err:?}"),
        None => writeln!(text, ",,"),
    };
}
