//! What is measured of a network while it learns.

use super::{TrainConfig, Validation};
use crate::channel;
use crate::curve::{CurveConfig, MseCurve, mse_curve_with};
use crate::data::Dataset;
use crate::denoiser::Denoiser;
use crate::distribution::Gaussian;
use crate::error::Result;
use crate::estimate::{CommonErr, Estimate, WARNING, Warning};
use crate::figure::{Chart, Color, Figure, GRAY, color};
use crate::logsnr::{Logistic, Quadrature, Rule};
use crate::progress;
use crate::rng;

/// What was measured on one set of samples.
#[derive(Debug, Clone)]
pub struct Measured {
    /// The mean loss of the samples; of a denoiser the mean negative log density, which its curve bounds from above.
    pub loss: Estimate,
    /// Of a denoiser, the squared error over log-SNR; those of single samples are not kept.
    pub curve: Option<MseCurve>,
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

/// The samples on which a denoiser is measured while it learns.
pub(super) struct Monitor {
    pub(super) held_out: MeasuredSet,
    pub(super) trained_on: Option<MeasuredSet>,
    /// What the Gaussian that fits the training data makes of the held-out samples.
    pub(super) gaussian: Measured,
}

/// Samples and points.
pub(super) struct MeasuredSet {
    pub(super) data: Dataset,
    points: Quadrature,
    seed: u64,
}

impl Monitor {
    pub(super) fn new(
        gaussian: &Gaussian,
        train: &Dataset,
        held_out: &Dataset,
        validation: &Validation,
        config: &TrainConfig,
    ) -> Result<Self> {
        let logistic = match config.log_snr {
            Some(logistic) => logistic,
            None => Logistic::as_published(gaussian)?,
        };
        let points = logistic.quadrature(validation.points)?;
        let set = |data: &Dataset| -> Result<MeasuredSet> {
            Ok(MeasuredSet {
                data: match config.dequantize {
                    true => data.dequantize(config.seed)?,
                    false => data.clone(),
                },
                points: points.clone(),
                seed: config.seed,
            })
        };
        let some = || -> Result<Dataset> {
            let mut rng = rng::stream(config.seed, "measured training samples");
            let mut rows = rng::permutation(train.len(), &mut rng);
            rows.truncate(held_out.len());
            train.subset(&rows)
        };
        let held_out = set(held_out)?;
        let curve = gaussian.curve_on(&held_out.data, &held_out.points)?;
        Ok(Self {
            gaussian: Measured {
                loss: gaussian.nll(&held_out.data)?,
                curve: Some(without_errors(curve)),
            },
            trained_on: match validation.on_train {
                true => Some(set(&some()?)?),
                false => None,
            },
            held_out,
        })
    }
}

impl Monitor {
    /// Refuses samples and points that `f32` cannot hold together, before the first step and not after the last one.
    pub(super) fn check_precision(&self) -> Result<()> {
        let sets = [Some(&self.held_out), self.trained_on.as_ref()];
        let mut sets = sets.into_iter().flatten();
        sets.try_for_each(|set| channel::check_precision(&set.data.x, &set.points))
    }
}

impl MeasuredSet {
    pub(super) fn measure(&self, net: &dyn Denoiser, gaussian: &Gaussian) -> Result<Measured> {
        let config = CurveConfig {
            seed: self.seed,
            ..Default::default()
        };
        let curve = || mse_curve_with(net, &self.data, &self.points, &config);
        let curve = progress::quietly(curve)?;
        Ok(Measured {
            loss: curve.nll(gaussian.on(&self.data))?,
            curve: Some(without_errors(curve)),
        })
    }
}

fn without_errors(curve: MseCurve) -> MseCurve {
    MseCurve {
        errors: None,
        ..curve
    }
}

/// A measurement as numbers, in the order in which [`decode`] takes them.
impl Validated {
    pub(super) fn encode(&self, to: &mut Vec<f64>) {
        to.extend([self.step as f64, self.seconds]);
        to.push(f64::from(u8::from(self.train.is_some())));
        self.held_out.encode(to);
        if let Some(train) = &self.train {
            train.encode(to);
        }
    }

    /// Reads what [`Self::encode`] wrote; `None` when it is not that.
    pub(super) fn decode(from: &mut impl Iterator<Item = f64>) -> Option<Self> {
        let (step, seconds, both) = (count(from)?, from.next()?, from.next()?);
        Some(Self {
            step,
            seconds,
            held_out: Measured::decode(from)?,
            train: match both {
                0.0 => None,
                _ => Some(Measured::decode(from)?),
            },
        })
    }
}

/// The rules of points, by their numbers in a state.
const RULES: [Rule; 4] = [
    Rule::Midpoint,
    Rule::Trapezoid,
    Rule::Stratified,
    Rule::Draws,
];

impl Measured {
    fn encode(&self, to: &mut Vec<f64>) {
        let Self { loss, curve } = self;
        let dim = loss.dim.map_or(-1.0, |dim| dim as f64);
        to.extend([loss.nats, loss.std_err, loss.n as f64, dim]);
        match loss.samples() {
            None => to.push(0.0),
            Some((nats, data, common)) => {
                to.push(nats.len() as f64);
                common.encode(to);
                to.extend(digest_numbers(data));
                to.extend(nats);
            }
        }
        let warnings = loss.warnings.iter().filter(|one| !one.is_of_samples());
        to.push(warnings.clone().count() as f64);
        warnings.for_each(|one| to.extend(one.numbers()));
        let Some(curve) = curve else {
            return to.push(0.0);
        };
        let MseCurve { points, .. } = curve;
        let rule = RULES
            .iter()
            .position(|&rule| rule == points.rule)
            .unwrap_or(0);
        to.extend([
            points.len() as f64,
            rule as f64,
            points.interval.0,
            points.interval.1,
        ]);
        to.extend([curve.n as f64, curve.dim as f64]);
        for list in [&points.log_snr, &points.weight, &curve.mse, &curve.std_err] {
            to.extend(list);
        }
        to.push(f64::from(u8::from(curve.data.is_some())));
        to.extend(curve.data.iter().flat_map(|data| digest_numbers(data)));
    }

    fn decode(from: &mut impl Iterator<Item = f64>) -> Option<Self> {
        let (nats, std_err, n, dim) = (from.next()?, from.next()?, count(from)?, from.next()?);
        let loss = match count(from)? {
            0 => Estimate::new(nats, std_err, n),
            kept => {
                let common = CommonErr::decode(from)?;
                let digest: Vec<f64> = from.by_ref().take(DIGEST).collect();
                let samples: Vec<f64> = from.by_ref().take(kept).collect();
                if samples.len() != kept {
                    return None;
                }
                Estimate::of_samples(samples, digest_text(&digest), common)
            }
        };
        let warnings: Option<Vec<Warning>> = (0..count(from)?)
            .map(|_| Warning::of_numbers(&from.by_ref().take(WARNING).collect::<Vec<_>>()))
            .collect();
        let loss = loss.warned(warnings?);
        let loss = match dim {
            dim if dim >= 0.0 => loss.of_dim(dim as usize),
            _ => loss,
        };
        let k = count(from)?;
        if k == 0 {
            return Some(Self { loss, curve: None });
        }
        let rule = *RULES.get(count(from)?)?;
        let interval = (from.next()?, from.next()?);
        let (n, dim) = (count(from)?, count(from)?);
        let mut list = || {
            let list: Vec<f64> = from.by_ref().take(k).collect();
            (list.len() == k).then_some(list)
        };
        let [log_snr, weight, mse, std_err] = [list()?, list()?, list()?, list()?];
        let data = match from.next()? {
            0.0 => None,
            _ => Some(digest_text(&from.by_ref().take(DIGEST).collect::<Vec<_>>())),
        };
        Some(Self {
            loss,
            curve: Some(MseCurve {
                points: Quadrature {
                    log_snr,
                    weight,
                    rule,
                    interval,
                },
                mse,
                std_err,
                n,
                dim,
                errors: None,
                data,
            }),
        })
    }
}

/// Numbers that stand for a SHA-256.
const DIGEST: usize = 8;

/// The 64 hexadecimal digits of a digest as numbers of 32 bits.
fn digest_numbers(digest: &str) -> [f64; DIGEST] {
    std::array::from_fn(|i| {
        let part = digest.get(8 * i..8 * i + 8);
        part.and_then(|part| u32::from_str_radix(part, 16).ok())
            .map_or(0.0, f64::from)
    })
}

fn digest_text(numbers: &[f64]) -> String {
    numbers
        .iter()
        .map(|&number| format!("{:08x}", number as u32))
        .collect()
}

/// A whole number that is no larger than what a file could hold.
fn count(from: &mut impl Iterator<Item = f64>) -> Option<usize> {
    let value = from.next()?;
    (value >= 0.0 && value <= (1u64 << 40) as f64).then_some(value as usize)
}

/// Curves of the error per dimension: the first is the reference, the others go from pale to dark.
pub(super) fn curves_figure(
    curves: &[(&str, &Measured)],
    alt: String,
    size: (u32, u32),
) -> Result<Figure> {
    let mut chart = Chart::new("log-SNR α", "error of the noise, E‖ε − ε̂‖² / d");
    let last = curves.len().saturating_sub(1);
    for (i, (name, measured)) in curves.iter().enumerate() {
        let Some(curve) = &measured.curve else {
            continue;
        };
        let mse: Vec<f64> = curve.mse.iter().map(|mse| mse / curve.dim as f64).collect();
        let color = match i {
            0 => GRAY,
            i => pale(color(0), 0.7 * (last - i) as f64 / last as f64),
        };
        // A legend has room for a few names.
        let name = if i < 2 || i == last { name } else { "" };
        chart = chart.line(name, &curve.points.log_snr, &mse, color);
    }
    chart.size = size;
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

    #[test]
    fn every_number_of_a_measurement_comes_back() {
        let gaussian = Gaussian::standard(3).unwrap();
        let points = Quadrature::trapezoid(-4.0, 1.0 / 3.0, 5).unwrap();
        let mut curve = gaussian.curve(&points).unwrap();
        curve.std_err[1] = f64::NAN;
        curve.n = 7;
        curve.data = Some("0123456789abcdef".repeat(4));
        let measured = |curve| Measured {
            loss: Estimate::new(0.1 + 0.2, f64::NAN, 7).of_dim(3),
            curve,
        };
        let digest: String = (0..64)
            .map(|i| char::from(b"0123456789abcdef"[i % 16]))
            .collect();
        let paired = Measured {
            loss: Estimate::of_samples(vec![0.1, 1.0 / 3.0, 0.7], digest.clone(), 0.01),
            curve: None,
        };
        let common = CommonErr::OfPoints {
            points: vec![(-1.0, 0.5), (2.0, 1.0 / 3.0)].into(),
            draws: vec![0.1, 0.2, 0.3],
            change: vec![1e-3, 2e-3],
        };
        let warnings = [
            Warning::Fallback {
                points: 3,
                interval: (-1.5, 2.0),
                nats: -0.25,
            },
            Warning::RareErrors { share: 0.5, n: 4 },
            Warning::Coarse {
                quadrature_err: 0.1,
            },
            Warning::Unknown,
            Warning::FewPoints { points: 2 },
        ];
        let of_points = Measured {
            loss: Estimate::of_samples(vec![0.1, 0.2], digest.clone(), common).warned(warnings),
            curve: None,
        };
        let all = [
            Validated {
                step: 12,
                seconds: 0.3,
                held_out: measured(Some(curve)),
                train: Some(paired),
            },
            Validated {
                step: 12,
                seconds: 0.4,
                held_out: of_points,
                train: None,
            },
            Validated {
                step: 13,
                seconds: 0.4,
                held_out: measured(None),
                train: None,
            },
        ];
        let mut numbers = Vec::new();
        all.iter().for_each(|one| one.encode(&mut numbers));
        let mut from = numbers.iter().copied();
        for one in &all {
            let read = Validated::decode(&mut from).unwrap();
            assert_eq!(format!("{read:?}"), format!("{one:?}"));
        }
        assert!(from.next().is_none());
        for length in 0..40 {
            assert!(Validated::decode(&mut numbers[..length].iter().copied()).is_none());
        }
    }
}
