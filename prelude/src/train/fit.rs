//! What training did.

use std::fmt;

use polars::prelude::{Column, DataFrame};

use super::Objective;
use super::held_out::{Measured, Validated, curves_figure};
use crate::error::{Error, Result};
use crate::figure::{Chart, Figure, GRAY, color, row};
use crate::stats;

/// What training did.
///
/// # Example: the steps as a table
/// ```
/// use itd_prelude::{candle::Device, data::{self, Spectrum}, net::{Mlp, MlpConfig}, train::{TrainConfig, train}};
///
/// let data = data::scg(1000, 0)?.train;
/// let config = MlpConfig { width: 16, layers: 1, ..Default::default() };
/// let net = Mlp::new(&config, &Spectrum::standard(2)?, &[2], &Device::Cpu)?;
/// let fit = train(&net, &data, &TrainConfig { steps: Some(5), ..Default::default() })?;
/// let history = fit.history()?;
/// assert_eq!(history.height(), 5);
/// assert_eq!(history.column("loss")?.f64()?.get(4), Some(fit.losses[4]));
/// # Ok::<(), itd_prelude::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Fit {
    /// The loss of each step: for [`Objective::Information`] in nats, an estimate of the bound on the entropy, noisy
    /// since each step sees one noise for each sample; for [`Objective::Noise`] the squared error per dimension.
    pub losses: Vec<f64>,
    /// The loss of the Gaussian that fits the data, which for [`Objective::Information`] is its entropy: where a
    /// network starts that knows mean and covariance.
    pub gaussian: f64,
    /// Steps that were planned.
    pub planned: usize,
    /// Samples in a step.
    pub batch: usize,
    /// Samples that are seen before any comes again.
    pub samples: usize,
    /// Time taken, that of all parts of a run together.
    pub seconds: f64,
    /// What was minimized.
    pub objective: Objective,
    /// The norm of the gradient of all parameters at each step, before it was clipped.
    pub gradients: Vec<f64>,
    /// The learning rate of each step.
    pub rates: Vec<f64>,
    /// Seconds from the start to the end of each step.
    pub elapsed: Vec<f64>,
    /// What was measured while it learned, see [`Validation`](super::Validation).
    pub validation: Vec<Validated>,
    /// What the Gaussian that fits the training data makes of the samples that were held out.
    pub reference: Option<Measured>,
    /// Why it ended.
    pub end: Option<End>,
    /// What happened to the run folder that one should know.
    pub notes: Vec<String>,
}

/// Why training ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// All steps were made.
    Steps,
    /// The time was up.
    Time,
    /// Measurements have not become better for as long as the patience lasts.
    Patience,
}

impl Fit {
    /// The mean loss over the last tenth of the steps.
    pub fn loss(&self) -> f64 {
        self.recent(self.losses.len() / 10)
    }

    /// The mean loss over the last steps, at least one.
    pub(super) fn recent(&self, steps: usize) -> f64 {
        let count = self.losses.len();
        stats::mean(&self.losses[count - steps.max(1).min(count)..])
    }

    /// The best of what was measured on held-out samples.
    pub fn best(&self) -> Option<&Validated> {
        let nats = |v: &&Validated| v.held_out.nll.nats;
        self.validation
            .iter()
            .min_by(|a, b| nats(a).total_cmp(&nats(b)))
    }

    /// How often each sample had been seen after so many steps.
    pub fn epoch(&self, step: usize) -> f64 {
        step as f64 * self.batch as f64 / self.samples.max(1) as f64
    }

    /// One row for each step: `step`, counted from 1, `epoch`, `seconds`, `loss`, `gradient`, `learning_rate`, and
    /// where something was held out `validation`, the mean negative log density in nats, with its error
    /// `validation_std_err`, both empty at steps after which nothing was measured.
    ///
    /// # Errors
    /// [`Error::Empty`] before the first step.
    pub fn history(&self) -> Result<DataFrame> {
        let k = self.losses.len();
        if k == 0 {
            return Err(Error::Empty {
                what: "the log of training",
            });
        }
        let steps: Vec<i64> = (1..=k as i64).collect();
        let epochs: Vec<f64> = (1..=k).map(|step| self.epoch(step)).collect();
        let mut columns = vec![Column::new("step".into(), steps)];
        let mut add = |name: &str, values: &[f64]| {
            if values.len() == k {
                columns.push(Column::new(name.into(), values));
            }
        };
        add("epoch", &epochs);
        add("seconds", &self.elapsed);
        add("loss", &self.losses);
        add("gradient", &self.gradients);
        add("learning_rate", &self.rates);
        if !self.validation.is_empty() {
            let (mut nats, mut std_err) = (vec![None; k], vec![None; k]);
            for validated in &self.validation {
                let row = validated.step.checked_sub(1);
                if let Some((nats, std_err)) =
                    row.and_then(|row| Some((nats.get_mut(row)?, std_err.get_mut(row)?)))
                {
                    *nats = Some(validated.held_out.nll.nats);
                    *std_err = Some(validated.held_out.nll.std_err);
                }
            }
            columns.push(Column::new("validation".into(), nats));
            columns.push(Column::new("validation_std_err".into(), std_err));
        }
        Ok(DataFrame::new(k, columns)?)
    }

    /// The loss over the steps, averaged over a few at a time; where something was held out, with what was measured
    /// there, and beside it the last curve and the Gaussian's.
    ///
    /// # Errors
    /// [`Error::Draw`] before the first step.
    pub fn figure(&self) -> Result<Figure> {
        let loss = self.loss_figure()?;
        match (self.validation.last(), &self.reference) {
            (Some(last), Some(reference)) => {
                let title = format!("Errors on held-out samples after {} steps", last.step);
                let curves = [("N(μ, Σ)", reference), ("network", &last.held_out)];
                row(&[loss, curves_figure(&curves, title)?])
            }
            _ => Ok(loss),
        }
    }

    fn loss_figure(&self) -> Result<Figure> {
        let piece = self.losses.len().div_ceil(60).max(1);
        let (x, y): (Vec<f64>, Vec<f64>) = self
            .losses
            .chunks(piece)
            .enumerate()
            .map(|(i, losses)| {
                let middle = (i * piece) as f64 + losses.len() as f64 / 2.0;
                (middle, stats::mean(losses))
            })
            .unzip();
        let end = match self.end {
            Some(_) => self.losses.len(),
            None => self.planned,
        };
        let ends = [0.0, end as f64];
        let mut chart = Chart::new("step", self.objective.label())
            .line("N(μ, Σ)", &ends, &[self.gaussian; 2], GRAY)
            .line("training", &x, &y, color(0));
        if self.objective == Objective::Information && !self.validation.is_empty() {
            let measured = self.validation.iter();
            let (x, y): (Vec<f64>, Vec<f64>) = measured
                .map(|v| (v.step as f64, v.held_out.nll.nats))
                .unzip();
            chart = chart.line("held out", &x, &y, color(1));
            chart = chart.points("", &x, &y, color(1), 2.5);
        }
        chart.size = (560, 300);
        chart.draw(format!("Training loss: {self}"))
    }
}

impl fmt::Display for Fit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            losses,
            planned,
            batch,
            gaussian,
            ..
        } = self;
        let (done, loss, unit) = (losses.len(), self.loss(), self.objective.unit());
        let digits = match self.objective {
            Objective::Information => 2,
            Objective::Noise => 4,
        };
        write!(
            f,
            "{done} of {planned} steps of {batch} samples, loss {loss:.digits$}{unit} (Gaussian {gaussian:.digits$})"
        )?;
        if let Some(last) = self.validation.last() {
            write!(f, ", held out {}", last.held_out.nll)?;
        }
        match (self.end, self.best()) {
            (Some(End::Patience), Some(best)) => {
                write!(
                    f,
                    "; no better for long, the best is that of step {}",
                    best.step
                )?;
            }
            (Some(End::Time), _) => f.write_str("; the time was up")?,
            _ => {}
        }
        self.notes.iter().try_for_each(|note| write!(f, "; {note}"))
    }
}
