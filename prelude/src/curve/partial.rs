//! A curve in parts: each measured by a process of its own, all of them together the curve of one process.

use data_encoding::HEXLOWER;
use std::fmt;
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use super::MseCurve;
use super::accumulate::Accumulator;
use super::measure::{Conditioning, CurveConfig, Engine, squared_errors};
use super::plan::BatchPlan;
use super::shard::Shard;
use super::statistic::SquaredError;
use crate::cell::memory::room_for;
use crate::data::Dataset;
use crate::denoiser::Denoiser;
use crate::error::{Error, Result};
use crate::logsnr::Quadrature;

/// What parts of one curve have in common.
#[derive(Debug, Clone, PartialEq)]
pub struct CurveSpec {
    /// All points of the curve.
    pub points: Quadrature,
    /// All samples of the data.
    pub n: usize,
    /// Dimension of one sample.
    pub dim: usize,
    /// As in [`CurveConfig`].
    pub draws: usize,
    /// As in [`CurveConfig`].
    pub batch: usize,
    /// As in [`CurveConfig`].
    pub clamp: Option<(f64, f64)>,
    /// The data's [`digest`](Dataset::digest).
    pub data: String,
    /// As in [`CurveConfig`].
    pub conditioning: Conditioning,
    /// The [key](crate::rng::Key) of the noise.
    pub key: String,
    /// The network's squared errors on the first sample at three of the points. Another network has others;
    /// the same one has nearly the same on another machine.
    pub fingerprint: [f64; 3],
}

/// A shard of a curve: sums over the noises of each sample at each point.
///
/// Its file has one row for each point, with the columns `point`, `log_snr`, `weight`, `first` (the sample, counted
/// from 0, that the lists begin with), `error` and `noise` (lists of `Σ‖ε − ε̂‖²` and `Σ‖ε‖²` over the draws), and
/// what shard and run are, the same in each row.
#[derive(Debug, Clone)]
pub struct PartialCurve {
    /// What it is a part of.
    pub spec: CurveSpec,
    /// Which part it is.
    pub shard: Shard,
    /// `Σ‖ε − ε̂‖²` over the draws: one list for each point, of the samples in order.
    pub error: Vec<Vec<f64>>,
    /// `Σ‖ε‖²`, likewise.
    pub noise: Vec<Vec<f64>>,
    /// The file that it was read from.
    pub file: Option<PathBuf>,
}

/// Measures one shard of a curve; [`merge_shards`](super::merge_shards) puts all of them together.
///
/// Every process calls this with the same arguments but for `shard`.
/// [`io::mse_curve_shard_to`](crate::io::mse_curve_shard_to) keeps the shard in a file.
///
/// # Errors
/// As [`mse_curve_with`](super::mse_curve_with); [`Error::Mismatch`] when there are more shards than batches.
/// [`Error::Interrupted`] carries nothing: a shard is whole or not at all.
///
/// # Numerics
/// Shards share out the batches of the whole curve, so the network sees the very tensors that it would see in one
/// process, and the merged curve is that curve bit for bit, if the network itself is the same on all machines:
/// processors of different kinds may round matrix products differently.
///
/// # Example: three parts are the whole
/// ```
/// use itd_prelude::prelude::*;
/// use itd_prelude::curve::{Shard, merge_shards, mse_curve_shard};
///
/// # fn main() -> Result<()> {
/// let data = toy::correlated_gaussian(1000, 0)?.test;
/// let gaussian = data.gaussian()?;
/// let points = Logistic::matched(&gaussian)?.quadrature(20)?;
/// let net = gaussian.denoiser(data.shape())?;
/// let config = CurveConfig { batch: 256, ..Default::default() };
/// let mut parts = Vec::new();
/// for index in [3, 1, 2] {
///     parts.push(mse_curve_shard(&net, &data, &points, &config, Shard::new(index, 3)?)?);
/// }
/// let (merged, whole) = (merge_shards(parts)?, mse_curve(&net, &data, &points)?);
/// assert_eq!(merged.mse, whole.mse);
/// assert_eq!(merged.errors, whole.errors);
/// # Ok(()) }
/// ```
pub fn mse_curve_shard(
    net: &dyn Denoiser,
    data: &Dataset,
    points: &Quadrature,
    config: &CurveConfig,
    shard: Shard,
) -> Result<PartialCurve> {
    shard_unless(net, data, points, config, shard, |_| Ok(None))
}

/// Measures a shard unless `kept` has it, which is told what it is a part of.
pub(crate) fn shard_unless(
    net: &dyn Denoiser,
    data: &Dataset,
    points: &Quadrature,
    config: &CurveConfig,
    shard: Shard,
    kept: impl FnOnce(&CurveSpec) -> Result<Option<PartialCurve>>,
) -> Result<PartialCurve> {
    let (statistic, engine) = squared_errors(net, data, points, config)?;
    engine.plan.check(&shard)?;
    let spec = CurveSpec::of(&engine, &statistic, config)?;
    if let Some(kept) = kept(&spec)? {
        return Ok(kept);
    }
    room_for::<[f64; 2]>(
        "the errors of the shard's samples",
        &[data.len(), points.len()],
    )?;
    let mut sums = Accumulator::new(points.len());
    engine.add(&shard, &statistic, "measuring errors", &mut sums)?;
    let Accumulator { error, noise } = sums;
    Ok(PartialCurve {
        spec,
        shard,
        error,
        noise,
        file: None,
    })
}

impl CurveSpec {
    fn of(engine: &Engine, statistic: &SquaredError, config: &CurveConfig) -> Result<Self> {
        let (data, k) = (engine.data, engine.points.len());
        let mut fingerprint = [0.0; 3];
        for (error, j) in fingerprint.iter_mut().zip([k / 4, k / 2, 3 * k / 4]) {
            let batch = engine.batch(statistic, &(0..1), &(j..j + 1), || Ok(()))?;
            *error = batch.values.iter().sum();
        }
        Ok(Self {
            points: engine.points.clone(),
            n: data.len(),
            dim: data.dim(),
            draws: config.draws,
            batch: engine.plan.batch(),
            clamp: config.clamp,
            conditioning: config.conditioning,
            data: data.digest()?,
            key: engine.noise.key(),
            fingerprint,
        })
    }

    /// What of this run differs in another: in words, and the two values. Numbers are the same if all their bits
    /// are.
    pub(super) fn difference(&self, other: &Self) -> Option<(&'static str, String, String)> {
        let numbers = |f: fn(&Self) -> String| (f(self), f(other));
        let clamp = |run: &Self| match run.clamp {
            None => "none".to_owned(),
            Some((low, high)) => format!("{low:?} to {high:?}"),
        };
        let fields = [
            ("the points of two parts", numbers(Self::points_in_words)),
            (
                "the numbers of samples of two parts",
                numbers(|run| run.n.to_string()),
            ),
            (
                "the dimensions of two parts",
                numbers(|run| run.dim.to_string()),
            ),
            ("the data of two parts", numbers(|run| short(&run.data))),
            (
                "the draws of two parts",
                numbers(|run| run.draws.to_string()),
            ),
            (
                "the batches of two parts",
                numbers(|run| run.batch.to_string()),
            ),
            ("the clamps of two parts", (clamp(self), clamp(other))),
            (
                "the conditioning of two parts",
                numbers(|run| format!("{:?}", run.conditioning)),
            ),
            (
                "the noise keys of two parts",
                numbers(|run| short(&run.key)),
            ),
        ];
        let different = fields.into_iter().find(|(_, (a, b))| a != b);
        different.map(|(what, (a, b))| (what, a, b)).or_else(|| {
            let apart = |(a, b): (&f64, &f64)| (a - b).abs() > NEAR * a.abs().max(b.abs());
            let other_net = self.fingerprint.iter().zip(&other.fingerprint).all(apart);
            let [a, b] = [self, other]
                .map(|run| format!("errors {:.4?} on the first sample", run.fingerprint));
            other_net.then_some(("the networks of two parts", a, b))
        })
    }

    /// With the start of a hash of all bits, so that it differs where they do.
    fn points_in_words(&self) -> String {
        let Quadrature {
            log_snr,
            weight,
            rule,
            interval: (low, high),
        } = &self.points;
        let mut hash = Sha256::new();
        for value in log_snr.iter().chain(weight).chain([low, high]) {
            hash.update(value.to_bits().to_le_bytes());
        }
        let start = HEXLOWER.encode(&hash.finalize()[..16]);
        format!(
            "{} by the rule {rule:?} on ({low}, {high}), hash {start}",
            log_snr.len()
        )
    }
}

/// How far a network's errors on the first sample may be apart on different machines, relative to them. A network that
/// rounds may leap at one of the three, so that another network is one that differs at all of them.
const NEAR: f64 = 1e-3;

/// 32 of 64 digits, as many as are needed to tell two apart.
fn short(hash: &str) -> String {
    hash.chars().take(32).collect()
}

impl PartialCurve {
    /// Refuses a part whose lists do not belong together, as one made by hand or read from a file might be.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a count that is 0 or a shard that cannot be, [`Error::Mismatch`] when a list has
    /// another length than the shard has samples, [`Error::NotFinite`] for a sum that is negative or no number.
    pub fn check(&self) -> Result<()> {
        let run = &self.spec;
        run.points.check()?;
        let k = run.points.len();
        for (name, got) in [
            ("n", run.n),
            ("dim", run.dim),
            ("draws", run.draws),
            ("batch", run.batch),
        ] {
            if got == 0 {
                return Err(Error::Parameter {
                    name,
                    got: "0".into(),
                    need: "at least 1",
                });
            }
        }
        if run.n.checked_mul(k).is_none() {
            return Err(Error::Parameter {
                name: "n",
                got: run.n.to_string(),
                need: "so few samples that all errors can be counted",
            });
        }
        let plan = BatchPlan::new(run.n, k, run.batch);
        plan.check(&self.shard)?;
        if (self.error.len(), self.noise.len()) != (k, k) {
            return Err(self.misshapen(
                format!("{k} points"),
                format!("{} and {} lists", self.error.len(), self.noise.len()),
            ));
        }
        for (j, range) in plan.ranges(&self.shard).into_iter().enumerate() {
            let (error, noise) = (&self.error[j], &self.noise[j]);
            if (error.len(), noise.len()) != (range.len(), range.len()) {
                return Err(self.misshapen(
                    format!("{} samples at point {j}", range.len()),
                    format!("{} errors and {} noises", error.len(), noise.len()),
                ));
            }
            let bad = error
                .iter()
                .chain(noise)
                .find(|&&sum| !(sum >= 0.0 && sum.is_finite()));
            if let Some(&got) = bad {
                return Err(Error::NotFinite {
                    what: "a sum of squares of the part, or it is negative and so",
                    got,
                    next: "measure the shard anew",
                });
            }
        }
        Ok(())
    }

    fn misshapen(&self, left: String, right: String) -> Error {
        Error::Mismatch {
            what: "the shard and its lists",
            left,
            right,
            next: "take a part as `mse_curve_shard` made it",
        }
    }

    /// The sample that the lists of each point begin with.
    pub(crate) fn first(&self) -> Vec<usize> {
        let plan = BatchPlan::new(self.spec.n, self.spec.points.len(), self.spec.batch);
        let ranges = plan.ranges(&self.shard).into_iter();
        ranges.map(|range| range.start).collect()
    }

    /// The shard and, if there is one, its file: what an error calls it.
    pub(super) fn name(&self) -> String {
        let Shard { index, count, .. } = self.shard;
        match &self.file {
            None => format!("shard {index} of {count}"),
            Some(file) => format!("shard {index} of {count} in {}", file.display()),
        }
    }

    /// Refuses a part of another run, or of the same in another number of shards.
    ///
    /// # Errors
    /// [`Error::Mismatch`] with the first thing that differs, and in which parts.
    pub(crate) fn check_spec(&self, spec: &CurveSpec, shard: &Shard, name: &str) -> Result<()> {
        let cut = |shard: &Shard| format!("{} by {:?}", shard.count, shard.by);
        let (a, b) = (cut(&self.shard), cut(shard));
        let shards = (a != b).then_some(("the numbers of shards of two parts", a, b));
        let Some((what, left, right)) = self.spec.difference(spec).or(shards) else {
            return Ok(());
        };
        Err(Error::Mismatch {
            what,
            left: format!("{right} in {name}"),
            right: format!("{left} in {}", self.name()),
            next: "parts of one curve come from one command, which differs in its shard alone; keep those of another \
                   in a folder of their own",
        })
    }

    /// The curve, if this is all of it.
    pub(super) fn curve(self) -> Result<MseCurve> {
        let Self {
            spec, error, noise, ..
        } = self;
        let sums = Accumulator { error, noise };
        let curve = sums.curve(&spec.points, spec.draws, spec.dim, Some(spec.dim))?;
        Ok(MseCurve {
            data: Some(spec.data),
            ..curve
        })
    }
}

/// One line.
impl fmt::Display for PartialCurve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let here: usize = self.error.iter().map(Vec::len).sum();
        let CurveSpec { n, points, .. } = &self.spec;
        let Shard { index, count, .. } = self.shard;
        write!(
            f,
            "shard {index} of {count}: {here} of the {} squared errors of {n} samples at {} points",
            n.saturating_mul(points.len()),
            points.len()
        )?;
        match &self.file {
            None => Ok(()),
            Some(file) => write!(f, ", in {}", file.display()),
        }
    }
}
