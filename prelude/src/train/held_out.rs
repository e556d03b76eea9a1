//! Samples on which a network is measured while it learns.

use super::{TrainConfig, Validation};
use crate::data::{Dataset, Spectrum};
use crate::denoiser::Trainable;
use crate::error::Result;
use crate::estimate::Estimate;
use crate::figure::{Chart, Color, Figure, GRAY, color};
use crate::likelihood::{gaussian_nll, pointwise_nll};
use crate::logsnr::{LogSnr, LogisticLogSnr};
use crate::mmse::{MseCurve, gaussian_curve_on, mse_curve};
use crate::progress;
use crate::rng;

/// What was measured on one set of samples.
#[derive(Debug, Clone)]
pub struct Measured {
    /// The squared error over log-SNR, with the error of each point; those of single samples are not kept.
    pub curve: MseCurve,
    /// The mean negative log density of the samples, which the curve bounds from above.
    pub nll: Estimate,
}

/// What was measured after some step.
#[derive(Debug, Clone)]
pub struct Validated {
    /// Steps made before.
    pub step: usize,
    /// Seconds from the start.
    pub seconds: f64,
    /// On samples that the network is not trained on.
    pub held_out: Measured,
    /// On some that it is trained on, where that was asked for.
    pub train: Option<Measured>,
}

/// Samples, points and the Gaussian that all is compared with.
#[derive(Debug, Clone)]
pub(super) struct HeldOut {
    pub(super) data: Dataset,
    points: LogSnr,
    spectrum: Spectrum,
}

/// Sets the seed of the samples that are held out apart from that of their order.
const APART: u64 = 0x68656c64;

/// Takes `samples` out of the data, by chance: those that remain, and those.
pub(super) fn split(data: &Dataset, samples: usize, seed: u64) -> Result<(Dataset, Dataset)> {
    let order = rng::permutation(data.len(), &mut rng::seeded(seed ^ APART));
    let (held, kept) = order.split_at(samples.min(order.len()));
    let mut kept = kept.to_vec();
    kept.sort_unstable();
    Ok((data.subset(&kept)?, data.subset(held)?))
}

impl HeldOut {
    /// The first samples of some data.
    pub(super) fn new(
        data: &Dataset,
        validation: &Validation,
        config: &TrainConfig,
        spectrum: &Spectrum,
    ) -> Result<Self> {
        let data = data.take(validation.samples)?;
        let logistic = match config.log_snr {
            Some(logistic) => logistic,
            None => LogisticLogSnr::from_spectrum(spectrum)?,
        };
        Ok(Self {
            data: match config.dequantize {
                true => data.dequantize(config.seed)?,
                false => data,
            },
            points: logistic.quadrature(validation.points)?,
            spectrum: spectrum.clone(),
        })
    }

    /// What the Gaussian that fits the training data makes of these.
    pub(super) fn gaussian(&self) -> Result<Measured> {
        let curve = gaussian_curve_on(&self.spectrum, &self.data, &self.points)?;
        Ok(Measured {
            nll: gaussian_nll(&self.spectrum, &self.data)?,
            curve: without_samples(curve),
        })
    }

    pub(super) fn measure(&self, net: &dyn Trainable) -> Result<Measured> {
        let curve = progress::quietly(|| mse_curve(&net, &self.data, &self.points))?;
        Ok(Measured {
            nll: pointwise_nll(&curve, &self.spectrum, &self.data)?.mean,
            curve: without_samples(curve),
        })
    }

    /// What was measured here earlier, from the numbers that were kept.
    pub(super) fn recall(&self, mse: &[f64], std_err: &[f64], nll: &[f64]) -> Option<Measured> {
        let [nats, nll_err] = *nll else { return None };
        let k = self.points.len();
        let fits = mse.len() == k && std_err.len() == k;
        let (dim, n) = (self.data.dim(), self.data.len());
        fits.then(|| Measured {
            curve: MseCurve {
                log_snr: self.points.log_snr.clone(),
                weight: self.points.weight.clone(),
                rule: self.points.rule,
                interval: self.points.interval,
                mse: mse.to_vec(),
                std_err: std_err.to_vec(),
                errors: Vec::new(),
                n: 0,
                dim,
            },
            nll: Estimate {
                nats,
                std_err: nll_err,
                n,
                dim,
            },
        })
    }
}

fn without_samples(curve: MseCurve) -> MseCurve {
    MseCurve {
        errors: Vec::new(),
        n: 0,
        ..curve
    }
}

/// Curves of the error per dimension: the first is the reference, the others go from pale to dark.
pub(super) fn curves_figure(curves: &[(&str, &Measured)], alt: String) -> Result<Figure> {
    let mut chart = Chart::new("log-SNR α", "squared error per dimension");
    let last = curves.len().saturating_sub(1);
    for (i, (name, measured)) in curves.iter().enumerate() {
        let curve = &measured.curve;
        let mse: Vec<f64> = curve.mse.iter().map(|mse| mse / curve.dim as f64).collect();
        let color = match i {
            0 => GRAY,
            i => pale(color(0), 0.7 * (last - i) as f64 / last as f64),
        };
        // A legend has room for a few names.
        let name = if i < 2 || i == last { name } else { "" };
        chart = chart.line(name, &curve.log_snr, &mse, color);
    }
    chart.size = (420, 300);
    chart.draw(alt)
}

/// A colour with a share of white in it.
fn pale((r, g, b): Color, white: f64) -> Color {
    let mix = |part: u8| (f64::from(part) * (1.0 - white) + 255.0 * white).round() as u8;
    (mix(r), mix(g), mix(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data;

    #[test]
    fn held_out_samples_are_not_trained_on() {
        let data = data::moons(200, 0).unwrap().train;
        let (kept, held) = split(&data, 50, 3).unwrap();
        let rows = |data: &Dataset| data.x.to_vec2::<f32>().unwrap();
        let mut all = [rows(&kept), rows(&held)].concat();
        let mut known = rows(&data);
        let order = |a: &Vec<f32>, b: &Vec<f32>| a[0].total_cmp(&b[0]);
        all.sort_by(order);
        known.sort_by(order);
        assert_eq!((held.len(), all), (50, known));
        assert_ne!(rows(&split(&data, 50, 4).unwrap().1), rows(&held));
        assert!(split(&data, 200, 0).is_err());
    }
}
