//! Where the steps' samples, noises and log-SNR come from.

use candle_core::{Device, Tensor};

use super::labels::Labels;
use super::proposal::Proposal;
use super::{Objective, TrainConfig};
use crate::data::{Condition, Dataset, Spectrum};
use crate::error::{Error, Result};
use crate::logsnr::LogSnr;
use crate::rng::{self, Rng};
use crate::stats::{self, sigmoid};

/// Points of the mean of the Gaussian's curve.
const POINTS: usize = 400;

/// Gives one batch after the other. What comes next depends on `order` and `rng` alone.
pub(super) struct Feed {
    data: Dataset,
    labels: Option<Labels>,
    spacing: Option<f64>,
    pub(super) spectrum: Spectrum,
    log_eigenvalues: Vec<f64>,
    proposal: Proposal,
    objective: Objective,
    /// What the loss of the Gaussian that fits the data would be.
    pub(super) gaussian: f64,
    pub(super) batch: usize,
    /// Samples that are still to come in this round.
    pub(super) order: Vec<u32>,
    pub(super) rng: Rng,
}

/// One step's worth.
pub(super) struct Batch {
    pub(super) x: Tensor,
    pub(super) eps: Tensor,
    /// Log-SNR, and how much each sample counts.
    pub(super) points: LogSnr,
    /// What the network is told of the samples, and of which.
    pub(super) y: Option<(Condition, Vec<bool>)>,
    /// The part of the loss that does not depend on the network.
    pub(super) rest: f64,
}

impl Feed {
    pub(super) fn new(data: Dataset, config: &TrainConfig, labels: Option<Labels>) -> Result<Self> {
        let spectrum = match config.dequantize {
            true => data.dequantize(config.seed)?.spectrum()?,
            false => data.spectrum()?,
        };
        let proposal = Proposal::new(config, &spectrum)?;
        let log_eigenvalues = spectrum.log_eigenvalues()?;
        let objective = config.objective;
        let gaussian = match objective {
            Objective::Information => spectrum.gaussian_entropy()?,
            Objective::Noise => {
                let alphas = proposal.middles(POINTS)?.log_snr.into_iter();
                let errors: Vec<f64> = alphas
                    .map(|a| gaussian_error(&log_eigenvalues, a))
                    .collect();
                stats::mean(&errors) / data.dim() as f64
            }
        };
        Ok(Self {
            labels,
            spacing: match config.dequantize {
                true => Some(data.grid()?.spacing()),
                false => None,
            },
            spectrum,
            log_eigenvalues,
            proposal,
            objective,
            gaussian,
            batch: config.batch.min(data.len()),
            order: Vec::new(),
            rng: rng::seeded(config.seed),
            data,
        })
    }

    /// Samples that it gives before any comes again.
    pub(super) fn samples(&self) -> usize {
        self.data.len()
    }

    /// The next samples: each comes once before any comes again.
    pub(super) fn next(&mut self) -> Result<Batch> {
        if self.order.len() < self.batch {
            let mut order = rng::permutation(self.data.len(), &mut self.rng);
            order.append(&mut self.order);
            self.order = order;
        }
        let rows = self.order.split_off(self.order.len() - self.batch);
        let indices = Tensor::new(rows.as_slice(), &Device::Cpu)?;
        let mut x = self.data.x.index_select(&indices, 0)?;
        if let Some(spacing) = self.spacing {
            let noise = (rng::uniform(x.dims(), &mut self.rng)? - 0.5)?;
            x = (x + (noise * spacing)?)?;
        }
        let eps = rng::normal(x.dims(), &mut self.rng)?;
        let mut points = self
            .proposal
            .stratified(self.batch, &mut self.rng)?
            .shuffled(&mut self.rng);
        let rest = match self.objective {
            // h_G − ½ mean[weight · f_Σ(α)]: on average this is what is outside of the interval, and at each step
            // it takes away what the draw of α adds to the loss.
            Objective::Information => {
                let logs = &self.log_eigenvalues;
                self.gaussian - 0.5 * points.integrate(|alpha| gaussian_error(logs, alpha))
            }
            Objective::Noise => {
                // ½ mean[(2/d)·‖ε − ε̂‖²]
                points.weight.fill(2.0 / self.data.dim() as f64);
                0.0
            }
        };
        Ok(Batch {
            eps,
            points,
            y: match &self.labels {
                Some(labels) => Some(labels.pick(&rows, &mut self.rng)?),
                None => None,
            },
            x,
            rest,
        })
    }
}

/// `f_Σ(α)`, the error of the Gaussian's denoiser on its own data.
fn gaussian_error(log_eigenvalues: &[f64], alpha: f64) -> f64 {
    log_eigenvalues.iter().map(|log| sigmoid(alpha + log)).sum()
}

impl Batch {
    pub(super) fn diverged(&self, step: usize, loss: f64, gradient: f64) -> Error {
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

    #[test]
    fn every_sample_is_seen_once_an_epoch() {
        let data = data::moons(100, 0).unwrap().train;
        let config = TrainConfig {
            batch: 30,
            ..Default::default()
        };
        let mut feed = Feed::new(data.clone(), &config, None).unwrap();
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
    fn both_objectives_know_what_the_gaussian_loses() {
        use crate::logsnr::LogisticLogSnr;
        use crate::net::{Mlp, MlpConfig};
        let data = data::scg(4000, 0).unwrap().train;
        let spectrum = data.spectrum().unwrap();
        // Untrained, it is the Gaussian's denoiser.
        let net = Mlp::new(&MlpConfig::default(), &spectrum, &[2], &Device::Cpu).unwrap();
        for objective in [Objective::Information, Objective::Noise] {
            let config = TrainConfig {
                batch: 3600,
                objective,
                log_snr: LogisticLogSnr::new(1.0, 1.0, 2.0).ok(),
                ..Default::default()
            };
            let mut feed = Feed::new(data.clone(), &config, None).unwrap();
            let mut losses = Vec::new();
            for _ in 0..10 {
                let Batch {
                    x,
                    eps,
                    points,
                    rest,
                    ..
                } = feed.next().unwrap();
                let loss = super::super::loss(&net, &x, &eps, &points, None).unwrap();
                losses.push(f64::from(loss.to_scalar::<f32>().unwrap()) + rest);
            }
            let (mean, error) = (stats::mean(&losses), stats::std_err(&losses));
            let apart = (mean - feed.gaussian).abs();
            assert!(
                error < 0.03 && apart < 4.0 * error,
                "{objective:?}: {mean} ± {error} against {}",
                feed.gaussian
            );
        }
    }
}
