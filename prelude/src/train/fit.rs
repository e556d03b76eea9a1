//! The training loop.

use std::time::Instant;

use candle_core::{Device, Tensor, Var};

use super::TrainConfig;
use super::adam::Adam;
use super::average::Average;
use super::labels::Labels;
use crate::cell::{self, Host};
use crate::data::{Dataset, Spectrum};
use crate::error::{Error, Result};
use crate::figure::{Chart, Figure, GRAY, color};
use crate::logsnr::{LogSnr, LogisticLogSnr};
use crate::memory;
use crate::net::{Trainable, same_shape};
use crate::progress::{Display, Progress};
use crate::rng::{self, Rng};
use crate::stats::{self, sigmoid};

/// What training did.
#[derive(Debug, Clone)]
pub struct Fit {
    /// The loss of each step, in nats: an estimate of the bound on the entropy, noisy since each step sees one
    /// noise for each sample.
    pub losses: Vec<f64>,
    /// The entropy of the Gaussian that fits the data: where a network starts that knows mean and covariance.
    pub gaussian: f64,
    /// Steps that were planned.
    pub planned: usize,
    /// Samples in a step.
    pub batch: usize,
    /// Time taken.
    pub seconds: f64,
}

impl Fit {
    /// The mean loss over the last tenth of the steps, in nats.
    pub fn loss(&self) -> f64 {
        let last = self.losses.len() / 10;
        stats::mean(&self.losses[self.losses.len() - last.max(1).min(self.losses.len())..])
    }

    /// The loss over the steps, averaged over a few at a time.
    ///
    /// # Errors
    /// [`Error::Draw`] before the first step.
    pub fn figure(&self) -> Result<Figure> {
        let piece = self.losses.len().div_ceil(60).max(1);
        let (x, y): (Vec<f64>, Vec<f64>) = self
            .losses
            .chunks(piece)
            .enumerate()
            .map(|(i, losses)| {
                (
                    (i * piece) as f64 + losses.len() as f64 / 2.0,
                    stats::mean(losses),
                )
            })
            .unzip();
        let ends = [0.0, self.planned as f64];
        let mut chart = Chart::new("step", "loss (nats)")
            .line("N(μ, Σ)", &ends, &[self.gaussian; 2], GRAY)
            .line("training", &x, &y, color(0));
        chart.size = (560, 300);
        chart.draw(format!("Training loss: {self}"))
    }
}

impl std::fmt::Display for Fit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            losses,
            planned,
            batch,
            gaussian,
            ..
        } = self;
        let (done, loss) = (losses.len(), self.loss());
        write!(
            f,
            "{done} of {planned} steps of {batch} samples, loss {loss:.2} nats (Gaussian {gaussian:.2})"
        )
    }
}

/// Fits a denoiser to data: the loss is the bound on the entropy itself, with log-SNR drawn from a logistic `q`,
///
/// ```text
/// h_G + ½ mean[(‖ε − ε̂‖² − f_Σ(α)) / q(α)]
/// ```
///
/// with one noise and one `α` for each sample of a step. A network that [asks for classes](Trainable::classes) is
/// told those of the data, if they have labels, but for a [share](TrainConfig::label_dropout). The network's parameters are changed in place. A bar
/// and the loss are shown while it runs.
///
/// # Errors
/// [`Error::Parameter`] for bad settings, [`Error::Mismatch`] when data and network differ in shape or classes,
/// [`Error::Degenerate`] when the data have no density (set `dequantize` for data on a grid),
/// [`Error::Diverged`] at the first loss or gradient that is not finite; the parameters are then those of
/// the step before. [`Error::Interrupted`] carries the [`Fit`] so far; the network keeps what it has learned.
///
/// # Numerics
/// The same seed gives the same numbers, whatever the number of threads. The `α` of a step are drawn one from
/// each of `batch` equal parts of `q` ([`LogisticLogSnr::stratified`]).
///
/// # Paper
/// Kong, Brekelmans, Ver Steeg (2023), arXiv:2302.03792, Eq. 15.
///
/// # Example: a few steps already beat the standard normal
/// ```
/// use itd_prelude::{candle::Device, data::{self, Spectrum}, net::{Mlp, MlpConfig}, train::{TrainConfig, train}};
///
/// let data = data::scg(1000, 0)?.train;
/// let standard = Spectrum::standard(2)?;
/// let config = MlpConfig { width: 32, layers: 2, ..Default::default() };
/// let net = Mlp::new(&config, &standard, &[2], &Device::Cpu)?;
/// let fit = train(&net, &data, &TrainConfig { epochs: 20, ..Default::default() })?;
/// assert!(fit.loss() < standard.gaussian_entropy()?);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn train(net: &dyn Trainable, data: &Dataset, config: &TrainConfig) -> Result<Fit> {
    config.check()?;
    same_shape(data, net)?;
    memory::keep();
    let labels = Labels::new(net, data, config.label_dropout)?;
    let mut feed = Feed::new(data, config, labels)?;
    let vars = net.vars();
    let mut adam = Adam::new(&vars)?;
    let mut average = config.average.map(|decay| Average::new(decay, &adam));
    let planned = config
        .epochs
        .saturating_mul(data.len())
        .div_ceil(feed.batch);
    let mut fit = Fit {
        losses: Vec::new(),
        gaussian: feed.spectrum.gaussian_entropy()?,
        planned,
        batch: feed.batch,
        seconds: 0.0,
    };
    let start = Instant::now();
    let mut display = Display::new();
    let mut bar = Progress::new("training", planned as u64);
    for step in 0..planned {
        let batch = feed.next()?;
        let loss = super::loss(
            net,
            &batch.x,
            &batch.eps,
            &batch.points,
            batch.labels.as_ref(),
        )?;
        let nats = fit.gaussian + f64::from(loss.to_scalar::<f32>()?)
            - feed.gaussian_part(&batch.points)?;
        let norm = adam.read(&loss.backward()?)?;
        if !(nats.is_finite() && norm.is_finite()) {
            finish(&average, &vars)?;
            return Err(batch.diverged(step + 1, nats, norm));
        }
        let factor = config
            .clip
            .map_or(1.0, |clip| (clip / norm.max(1e-30)).min(1.0));
        adam.step(
            config.learning_rate * config.schedule.share(step, planned),
            factor,
        )?;
        if let Some(average) = &mut average {
            average.step(&adam);
        }
        fit.losses.push(nats);
        fit.seconds = start.elapsed().as_secs_f64();
        bar.note(format!("loss {:.2} nats", fit.loss()));
        display.refresh(|| fit.figure())?;
        if let Err(error) = bar.step() {
            finish(&average, &vars)?;
            return Err(match error {
                Error::Interrupted(stopped) => Error::Interrupted(stopped.with(fit)),
                error => error,
            });
        }
    }
    finish(&average, &vars)?;
    bar.finish();
    if cell::host() == Host::Itd {
        display.show(&fit.figure()?)?;
    }
    Ok(fit)
}

fn finish(average: &Option<Average>, vars: &[Var]) -> Result<()> {
    average.as_ref().map_or(Ok(()), |average| average.set(vars))
}

/// Where the steps' samples, noises and log-SNR come from.
struct Feed<'a> {
    data: &'a Dataset,
    labels: Option<Labels>,
    spacing: Option<f64>,
    spectrum: Spectrum,
    log_snr: LogisticLogSnr,
    batch: usize,
    order: Vec<u32>,
    rng: Rng,
}

/// One step's worth.
struct Batch {
    x: Tensor,
    eps: Tensor,
    points: LogSnr,
    labels: Option<Tensor>,
}

impl<'a> Feed<'a> {
    fn new(data: &'a Dataset, config: &TrainConfig, labels: Option<Labels>) -> Result<Self> {
        let spectrum = match config.dequantize {
            true => data.dequantize(config.seed)?.spectrum()?,
            false => data.spectrum()?,
        };
        let log_snr = match config.log_snr {
            Some(log_snr) => log_snr,
            None => LogisticLogSnr::from_spectrum(&spectrum)?,
        };
        Ok(Self {
            data,
            labels,
            spacing: match config.dequantize {
                true => Some(data.grid()?.spacing()),
                false => None,
            },
            spectrum,
            log_snr,
            batch: config.batch.min(data.len()),
            order: Vec::new(),
            rng: rng::seeded(config.seed),
        })
    }

    /// The next samples: each comes once before any comes again.
    fn next(&mut self) -> Result<Batch> {
        if self.order.len() < self.batch {
            let mut order = rng::permutation(self.data.len(), &mut self.rng);
            order.append(&mut self.order);
            self.order = order;
        }
        let rows = self.order.split_off(self.order.len() - self.batch);
        let mut x = self
            .data
            .x
            .index_select(&Tensor::new(rows.as_slice(), &Device::Cpu)?, 0)?;
        if let Some(spacing) = self.spacing {
            let noise = (rng::uniform(x.dims(), &mut self.rng)? - 0.5)?;
            x = (x + (noise * spacing)?)?;
        }
        Ok(Batch {
            eps: rng::normal(x.dims(), &mut self.rng)?,
            points: self
                .log_snr
                .stratified(self.batch, &mut self.rng)?
                .shuffled(&mut self.rng),
            labels: match &self.labels {
                Some(labels) => Some(labels.pick(&rows, &mut self.rng)?),
                None => None,
            },
            x,
        })
    }

    /// What the Gaussian's denoiser would lose at these points: `½ mean[weight · f_Σ(α)]`.
    fn gaussian_part(&self, points: &LogSnr) -> Result<f64> {
        let logs = self.spectrum.log_eigenvalues()?;
        Ok(0.5 * points.integrate(|alpha| logs.iter().map(|log| sigmoid(alpha + log)).sum()))
    }
}

impl Batch {
    fn diverged(&self, step: usize, loss: f64, gradient: f64) -> Error {
        let alphas = &self.points.log_snr;
        Error::Diverged {
            step,
            loss,
            gradient,
            low: alphas.iter().copied().fold(f64::INFINITY, f64::min),
            high: alphas.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data;
    use crate::net::{Denoiser, Mlp, MlpConfig};

    fn net() -> Mlp {
        let config = MlpConfig {
            width: 24,
            layers: 2,
            ..Default::default()
        };
        Mlp::new(&config, &Spectrum::standard(2).unwrap(), &[2], &Device::Cpu).unwrap()
    }

    fn short() -> TrainConfig {
        TrainConfig {
            epochs: 3,
            batch: 64,
            ..Default::default()
        }
    }

    fn parameters(net: &Mlp) -> Vec<f32> {
        let flat = |var: Var| var.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        net.vars().into_iter().flat_map(flat).collect()
    }

    #[test]
    fn a_seed_fixes_the_fit() {
        let data = data::moons(1000, 0).unwrap().train;
        let run = |seed| {
            let net = net();
            let fit = train(&net, &data, &TrainConfig { seed, ..short() }).unwrap();
            (fit.losses, parameters(&net))
        };
        assert_eq!(run(0), run(0));
        assert_ne!(run(0).1, run(1).1);
    }

    #[test]
    fn every_sample_is_seen_once_an_epoch() {
        let data = data::moons(100, 0).unwrap().train;
        let config = TrainConfig {
            batch: 30,
            ..short()
        };
        let mut feed = Feed::new(&data, &config, None).unwrap();
        let mut seen = Vec::new();
        for _ in 0..3 {
            seen.extend(feed.next().unwrap().x.to_vec2::<f32>().unwrap());
        }
        let mut all: Vec<Vec<f32>> = data.x.to_vec2().unwrap();
        let order = |a: &Vec<f32>, b: &Vec<f32>| a[0].total_cmp(&b[0]);
        seen.sort_by(order);
        all.sort_by(order);
        assert_eq!(seen, all);
    }

    #[test]
    fn divergence_is_told_and_the_parameters_stay_finite() {
        let data = data::moons(300, 0).unwrap().train;
        let net = net();
        let config = TrainConfig {
            learning_rate: 1e30,
            average: None,
            ..short()
        };
        let error = train(&net, &data, &config).unwrap_err();
        assert!(
            matches!(error, Error::Diverged { step: 2.., .. }),
            "{error}"
        );
    }

    #[test]
    fn what_cannot_be_fitted_is_refused() {
        let digits = data::digits().unwrap().test;
        let error = train(&net(), &digits, &short()).unwrap_err();
        assert!(matches!(error, Error::Mismatch { .. }), "{error}");
        let same = Tensor::zeros((20, 2), candle_core::DType::F32, &Device::Cpu).unwrap();
        let same = Dataset::new("all alike", same).unwrap();
        let error = train(&net(), &same, &short()).unwrap_err();
        assert!(matches!(error, Error::Degenerate { .. }), "{error}");
        assert_eq!(net().dim(), 2);
    }
}
