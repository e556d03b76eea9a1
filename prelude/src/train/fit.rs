//! What training did.

use std::fmt;

use polars::prelude::{Column, DataFrame};

use super::monitor::{Measured, Validated, curves_figure};
use super::task::{Baseline, Quantity};
use crate::error::{Error, Result};
use crate::estimate::Estimate;
use crate::figure::{Chart, Color, Figure, GRAY, color, row};
use crate::stats;

/// What training did.
///
/// # Example: the steps as a table
/// ```
/// use itd_prelude::prelude::*;
///
/// # fn main() -> Result<()> {
/// let data = toy::correlated_gaussian(1000, 0)?.train;
/// let config = MlpConfig { width: 16, layers: 1, ..Default::default() };
/// let net = Mlp::new(&config, &Gaussian::standard(2)?, &[2], &Device::Cpu)?;
/// let fit = train(&net, &data, &TrainConfig { steps: Some(5), ..Default::default() })?;
/// let history = fit.history()?;
/// assert_eq!(history.height(), 5);
/// assert_eq!(history.column("loss")?.f64()?.get(4), Some(fit.loss[4]));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Fit {
    /// The loss of each step. Of a denoiser with [`Objective::Information`](super::Objective::Information) it is in
    /// nats, an estimate of the bound on the entropy, noisy since each step sees one noise for each sample; with
    /// [`Objective::Noise`](super::Objective::Noise) it is the squared error per dimension.
    pub loss: Vec<f64>,
    /// The norm of the gradient of all parameters at each step, before it was clipped.
    pub grad_norm: Vec<f64>,
    /// The learning rate of each step.
    pub learning_rate: Vec<f64>,
    /// Seconds from the start to the end of each step.
    pub elapsed: Vec<f64>,
    /// A loss to compare with. Of a denoiser it is that of the Gaussian that fits the data, where a network starts that
    /// knows mean and covariance.
    pub baseline: Option<Baseline>,
    /// What was measured while it learned, see [`Validation`](super::Validation).
    pub validation: Vec<Validated>,
    /// Steps that were planned.
    pub planned: usize,
    /// Samples in a step.
    pub batch: usize,
    /// Samples that are seen before any comes again.
    pub samples: usize,
    /// Time taken, that of all parts of a run together.
    pub seconds: f64,
    /// What the loss is called.
    pub quantity: Quantity,
    /// Why it ended.
    pub end: Option<StopReason>,
    /// What happened to the run folder that one should know.
    pub notes: Vec<String>,
}

/// Why training ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// All steps were made.
    Steps,
    /// The time was up.
    Time,
    /// Measurements have not become better for as long as the patience lasts.
    Patience,
}

impl StopReason {
    /// All of them, by their names in files.
    pub(super) const NAMES: [(Self, &'static str); 3] = [
        (Self::Steps, "steps"),
        (Self::Time, "time"),
        (Self::Patience, "patience"),
    ];
}

impl Fit {
    /// Steps that were made.
    pub fn steps(&self) -> usize {
        self.loss.len()
    }

    /// The mean loss over the last tenth of the steps.
    pub fn recent_loss(&self) -> f64 {
        self.mean_of_last(self.steps() / 10)
    }

    /// The mean loss over the last steps, at least one.
    pub(super) fn mean_of_last(&self, steps: usize) -> f64 {
        let count = self.steps();
        stats::mean(&self.loss[count - steps.max(1).min(count)..])
    }

    /// The best of what was measured on held-out samples.
    pub fn best(&self) -> Option<&Validated> {
        // NaN is no measurement, of whatever sign.
        let loss = |v: &&Validated| match v.held_out.loss.nats {
            nats if nats.is_nan() => f64::INFINITY,
            nats => nats,
        };
        self.validation
            .iter()
            .min_by(|a, b| loss(a).total_cmp(&loss(b)))
    }

    /// By how much the loss on held-out samples fell from the first measurement to the last, sample by sample. With
    /// [`Validation::before`](super::Validation) the first one was made before the first step.
    ///
    /// `None` with fewer than two measurements.
    pub fn gain(&self) -> Option<Estimate> {
        match &self.validation[..] {
            [first, .., last] => Some(first.held_out.loss.minus(&last.held_out.loss)),
            _ => None,
        }
    }

    /// How often each sample had been seen after so many steps.
    pub fn epoch(&self, step: usize) -> f64 {
        step as f64 * self.batch as f64 / self.samples.max(1) as f64
    }

    /// One row for each step: `step`, counted from 1, `epoch`, `seconds`, `loss`, `grad_norm`, `learning_rate`, and
    /// where something was held out `validation`, the mean loss there, with its error `validation_std_err`, both empty
    /// at steps after which nothing was measured.
    ///
    /// # Errors
    /// [`Error::Empty`] before the first step.
    pub fn history(&self) -> Result<DataFrame> {
        let k = self.steps();
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
        add("loss", &self.loss);
        add("grad_norm", &self.grad_norm);
        add("learning_rate", &self.learning_rate);
        if !self.validation.is_empty() {
            let at = |pick: fn(&Estimate) -> f64| -> Vec<Option<f64>> {
                let mut column = vec![None; k];
                for Validated { step, held_out, .. } in &self.validation {
                    if let Some(place) = step.checked_sub(1).and_then(|row| column.get_mut(row)) {
                        *place = Some(pick(&held_out.loss));
                    }
                }
                column
            };
            columns.push(Column::new("validation".into(), at(|loss| loss.nats)));
            columns.push(Column::new(
                "validation_std_err".into(),
                at(|loss| loss.std_err),
            ));
        }
        Ok(DataFrame::new(k, columns)?)
    }

    /// The loss over the steps, averaged over a few at a time; where something was held out, with what was measured
    /// there, and beside it the curves on those samples.
    ///
    /// # Errors
    /// [`Error::Draw`] before the first step.
    pub fn figure(&self) -> Result<Figure> {
        let curve = |v: &Validated| v.held_out.curve.is_some();
        match self.validation.iter().any(curve) {
            true => row(&[self.loss_figure(BESIDE)?, self.curves_figure(BESIDE)?]),
            false => self.loss_figure((560, 300)),
        }
    }

    /// The curves that were measured on held-out samples, from pale to dark, beside that of the baseline.
    ///
    /// # Errors
    /// [`Error::Draw`] when there is none.
    pub fn curves(&self) -> Result<Figure> {
        self.curves_figure((420, 300))
    }

    fn curves_figure(&self, size: (u32, u32)) -> Result<Figure> {
        let held_out = self.baseline.iter().filter_map(|baseline| {
            let held_out = baseline.held_out.as_ref()?;
            Some((baseline.name.clone(), held_out))
        });
        let measured = self.validation.iter().map(|v| {
            let name = match v.step {
                0 => "before".to_owned(),
                step => format!("after {} epochs", (10.0 * self.epoch(step)).round() / 10.0),
            };
            (name, &v.held_out)
        });
        let all: Vec<(String, &Measured)> = held_out.chain(measured).collect();
        let all: Vec<(&str, &Measured)> = all.iter().map(|(name, m)| (name.as_str(), *m)).collect();
        let steps = self.validation.last().map_or(0, |last| last.step);
        curves_figure(
            &all,
            format!("Errors on held-out samples after {steps} steps"),
            size,
        )
    }

    fn loss_figure(&self, size: (u32, u32)) -> Result<Figure> {
        let piece = self.steps().div_ceil(60).max(1);
        let (x, y): (Vec<f64>, Vec<f64>) = self
            .loss
            .chunks(piece)
            .enumerate()
            .map(|(i, losses)| {
                let middle = (i * piece) as f64 + losses.len() as f64 / 2.0;
                (middle, stats::mean(losses))
            })
            .unzip();
        let end = match self.end {
            Some(_) => self.steps(),
            None => self.planned,
        };
        // While it runs, the axis goes as far as the steps will.
        let mut chart = Chart::new("step", &self.quantity.label).reach(&[0.0, end as f64]);
        if let Some(Baseline { name, loss, .. }) = &self.baseline {
            let Quantity { unit, digits, .. } = &self.quantity;
            let end = end as f64;
            chart = match far_from(*loss, &self.losses_drawn(&y)) {
                None => chart.line(name, &[0.0, end], &[*loss; 2], GRAY),
                Some(side) => {
                    let number = format!("{loss:.*}", digits.saturating_sub(2)).replace('-', "−");
                    chart.line(&format!("{name}: {number}{unit}, {side}"), &[], &[], GRAY)
                }
            };
        }
        // The raw means are pale; over them runs their own running mean, but for the ends, where it would be of one.
        let inner = y.len() / 40..y.len() - y.len() / 40;
        chart = chart.line("", &x, &y, PALE).line(
            "training, running mean",
            &x[inner.clone()],
            &running_mean(&y)[inner],
            color(0),
        );
        if x.len() < 2 {
            chart = chart.points("training", &x, &y, color(0), 2.5);
        }
        if self.measures_its_loss() {
            let x: Vec<f64> = self.validation.iter().map(|v| v.step as f64).collect();
            type Pick = fn(&Validated) -> Option<&Measured>;
            let sets: [(&str, Pick); 2] = [
                ("held out", |v| Some(&v.held_out)),
                ("trained on", |v| v.train.as_ref()),
            ];
            for (i, (name, pick)) in sets.into_iter().enumerate() {
                let losses: Option<Vec<&Estimate>> = self
                    .validation
                    .iter()
                    .map(|v| Some(&pick(v)?.loss))
                    .collect();
                let Some(losses) = losses.filter(|losses| !losses.is_empty()) else {
                    continue;
                };
                let at = |sigmas: f64| -> Vec<f64> {
                    losses
                        .iter()
                        .map(|loss| loss.nats + sigmas * loss.std_err)
                        .collect()
                };
                chart = chart
                    .band(&x, &at(-2.0), &at(2.0), color(i + 1), 0.12)
                    .line(name, &x, &at(0.0), color(i + 1))
                    .points("", &x, &at(0.0), color(i + 1), 2.5);
            }
        }
        chart.size = size;
        chart.draw(format!("Training loss: {self}"))
    }

    /// The ends of what the figure of the loss shows beside the baseline: means of steps, and bands of what was measured.
    fn losses_drawn(&self, means: &[f64]) -> Vec<f64> {
        let measured = self.validation.iter().filter(|_| self.measures_its_loss());
        let measured = measured.flat_map(|v| [Some(&v.held_out), v.train.as_ref()]);
        let bands = measured.flatten().flat_map(|m| {
            let (nats, reach) = (m.loss.nats, 2.0 * m.loss.std_err);
            [nats - reach, nats + reach]
        });
        means.iter().copied().chain(bands).collect()
    }

    /// Whether what is measured on held-out samples is what is minimized, and not the log density beside a squared
    /// error.
    fn measures_its_loss(&self) -> bool {
        let curves = self.validation.iter().any(|v| v.held_out.curve.is_some());
        !self.validation.is_empty() && (!curves || self.quantity.unit == " nats")
    }
}

/// The size of each of two figures side by side: together they are as wide as a page.
const BESIDE: (u32, u32) = (360, 300);

/// The colour of single steps of training.
const PALE: Color = (178, 208, 229);

/// On which side of the values a level lies, if they would have less than half of the height with a line there.
fn far_from(level: f64, values: &[f64]) -> Option<&'static str> {
    let finite = || values.iter().copied().filter(|value| value.is_finite());
    let most = finite().fold(f64::NEG_INFINITY, f64::max);
    let least = finite().fold(f64::INFINITY, f64::min);
    match most - least {
        range if !(range > 0.0) => None,
        range if level - most > range => Some("above"),
        range if least - level > range => Some("below"),
        _ => None,
    }
}

/// The mean of each value and its neighbours on both sides, together about a tenth of all.
fn running_mean(values: &[f64]) -> Vec<f64> {
    let reach = values.len().div_ceil(20);
    let mean = |i: usize| {
        // As many on one side as on the other, so that a slope is not moved.
        let reach = reach.min(i).min(values.len() - 1 - i);
        stats::mean(&values[i - reach..=i + reach])
    };
    (0..values.len()).map(mean).collect()
}

impl fmt::Display for Fit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Quantity { unit, digits, .. } = &self.quantity;
        let digits = *digits;
        let (done, loss) = (self.steps(), self.recent_loss());
        let (planned, batch) = (self.planned, self.batch);
        write!(
            f,
            "{done} of {planned} steps of {batch} samples, loss {loss:.digits$}{unit}"
        )?;
        if let Some(Baseline { name, loss, .. }) = &self.baseline {
            write!(f, " ({name} {loss:.digits$})")?;
        }
        let told = |Measured { loss, curve }: &Measured| match curve {
            Some(_) => loss.to_string(),
            None => format!("{:.digits$} ± {:.digits$}{unit}", loss.nats, loss.std_err),
        };
        match &self.validation[..] {
            [first, .., last] if first.step == 0 => {
                let (before, after) = (told(&first.held_out), told(&last.held_out));
                write!(f, ", held out {before} before and {after} after")?;
            }
            [.., last] => write!(f, ", held out {}", told(&last.held_out))?,
            [] => {}
        }
        match (self.end, self.best()) {
            (Some(StopReason::Patience), Some(best)) => {
                let step = best.step;
                write!(f, "; no better for long, the best is that of step {step}")?;
            }
            (Some(StopReason::Time), _) => f.write_str("; the time was up")?,
            _ => {}
        }
        self.notes.iter().try_for_each(|note| write!(f, "; {note}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measurement_that_is_no_number_is_never_the_best() {
        let measured = |step, nats| Validated {
            step,
            seconds: 0.0,
            held_out: Measured {
                loss: Estimate::new(nats, 0.1, 10),
                curve: None,
            },
            train: None,
        };
        for nan in [f64::NAN, -f64::NAN] {
            let fit = Fit {
                validation: vec![measured(1, nan), measured(2, 3.0), measured(3, 4.0)],
                quantity: Quantity {
                    unit: " m".into(),
                    digits: 3,
                    ..Default::default()
                },
                ..Default::default()
            };
            assert_eq!(fit.best().map(|best| best.step), Some(2));
            let told = fit.to_string();
            assert!(told.contains("held out 4.000 ± 0.100 m"), "{told}");
        }
    }

    #[test]
    fn a_baseline_far_away_is_a_number_in_the_legend() {
        let figure = |loss: f64| {
            let baseline = Baseline {
                name: "Gaussian reference".into(),
                loss,
                held_out: None,
            };
            let unit = " nats".to_owned();
            let fit = Fit {
                loss: (0..120).map(|i| -1500.0 - f64::from(i)).collect(),
                baseline: Some(baseline),
                planned: 120,
                quantity: Quantity {
                    label: "loss (nats)".into(),
                    unit,
                    digits: 2,
                },
                ..Default::default()
            };
            fit.figure().unwrap().svg().unwrap().to_owned()
        };
        assert!(figure(-382.48).contains(">Gaussian reference: −382 nats, above<"));
        assert!(figure(-3000.0).contains(">Gaussian reference: −3000 nats, below<"));
        // The values keep the height: their axis does not reach up to the level.
        assert!(!figure(-382.48).contains(">−500<") && figure(-382.48).contains(">−1600<"));
        let near = figure(-1450.0);
        assert!(near.contains(">Gaussian reference<"), "{near}");
        assert_eq!(far_from(1.0, &[]), None);
        assert_eq!(far_from(1.0, &[f64::NAN, 0.0]), None);
    }

    #[test]
    fn the_axis_of_steps_is_the_same_all_the_way() {
        // The numbers below the axis, of which the last stand farthest to the right.
        let labels = |fit: &Fit| -> Vec<String> {
            let figure = fit.figure().unwrap();
            let document = roxmltree::Document::parse(figure.svg().unwrap()).unwrap();
            let texts = document
                .descendants()
                .filter(|node| node.has_tag_name("text"));
            texts
                .filter(|node| node.attribute("text-anchor") == Some("middle"))
                .filter_map(|node| node.text())
                .filter(|text| text.parse::<f64>().is_ok())
                .map(str::to_owned)
                .collect()
        };
        let after = |steps: u32| Fit {
            loss: (0..steps).map(|step| 1.0 / f64::from(step + 1)).collect(),
            planned: 1000,
            end: (steps == 1000).then_some(StopReason::Steps),
            ..Default::default()
        };
        let end = labels(&after(1000));
        assert!(end.contains(&"1000".to_owned()), "{end:?}");
        for steps in [2, 50, 999] {
            assert_eq!(labels(&after(steps)), end, "after {steps} steps");
        }
    }
}
