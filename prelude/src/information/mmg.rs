//! The MMSE gap of a network that learns both denoisers.

use candle_core::{DType, Device, Tensor};
use ndarray::{Array2, ArrayView2};

use super::columns::by_column;
use super::experts::{Divided, Experts, half};
use super::gap::{GapCurves, gap_curves};
use super::gaussian::noise_checked;
use super::ksg::Scale;
use super::maps::normal_ranks;
use super::{Estimator, Information};
use crate::curve::{Asked, Conditioning, CurveConfig, MseCurve};
use crate::data::{Condition, ConditionKind, Dataset};
use crate::distribution::Gaussian;
use crate::error::{Error, Result};
use crate::estimate::Estimate;
use crate::logsnr::{Logistic, Quadrature};
use crate::net::{Mlp, MlpConfig};
use crate::train::{TrainConfig, train};
use crate::{rng, stats};

/// Which of the four forms of the gap is the value; see [`GapCurves`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Readout {
    /// The difference of the two errors.
    Direct,
    /// The distance of the two denoisers, as published for its small variance.
    Orthogonal,
    /// The mean of the two.
    #[default]
    Mean,
    /// The direct form of the best multiple at each log-SNR.
    Scaled,
}

/// Mutual information as half the area between the error curves of two denoisers: one that is told `y`, one that is not.
///
/// ```text
/// I(x; y) = ½ ∫ E‖ε − ε̂(z)‖² − E‖ε − ε̂(z, y)‖² dα
/// ```
///
/// One network learns both: half of its samples are trained without `y`, which a learned vector stands for then. Both
/// are asked about the same noisy samples. Samples are held out by turns, so that each is judged by a network that
/// was not trained on it.
///
/// No closed form is behind it: this is the network alone, where [`Base`](super::Base) is the closed forms alone.
///
/// # Units
/// Nats. What is done to the columns of `x` and `y` first, [`Self::scale`], changes no information.
///
/// # Errors
/// [`Error::Parameter`] for bad settings, among them those of [`TrainConfig`] that are set here; [`Error::Shape`] for
/// fewer than 50 samples; [`Error::Interrupted`] when the user stops it; the others of [`Estimator`].
///
/// # Numerics
/// The network computes in `f32`. The standard error is that of the samples, or half the difference of
/// [direct](Readout::Direct) and [orthogonal](Readout::Orthogonal), which the errors of the network make, where that
/// is larger.
///
/// # Source
/// Yu, Shi, Kong, Jia, Ver Steeg (2025), MMG, arXiv:2509.20609. Other than there: a perceptron on the Gaussian's
/// denoiser, a learned vector for no condition (there zeros), the same noisy samples for both, and held-out parts.
///
/// # Example: a binormal pair, with a short training
/// ```
/// use itd_prelude::prelude::*;
/// use itd_prelude::{information::Estimator, task};
///
/// # fn main() -> Result<()> {
/// let task = task::bivariate(0.75)?;
/// let pairs = task.sample(2000, 0)?;
/// let usual = Mmg::default();
/// let train = TrainConfig { steps: Some(400), ..usual.train.clone() };
/// let found = Mmg { train, ..usual }.information(pairs.x.view(), pairs.y.view())?;
/// check!((found.nats - task.nats).abs() < 0.1, "{found}, in truth {:.4}", task.nats);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Mmg {
    /// Width of the network; `None` takes 64, 128 or 256 for up to 10, 50 or more dimensions together.
    pub width: Option<usize>,
    /// Hidden layers.
    pub layers: usize,
    /// Whether two networks share log-SNR. Of the steps that are left after [`Self::adapt`]'s share, each of the two gets
    /// those that the proposal has on its side of the cut.
    pub experts: Experts,
    /// Where log-SNR is drawn from at first, and all along unless [`Self::adapt`].
    pub proposal: Logistic,
    /// The share of the steps after which log-SNR is drawn where the gap was found to be; `None` never.
    pub adapt: Option<f64>,
    /// The ends to which the integral may be widened while the gap has not vanished there.
    pub widest: (f64, f64),
    /// Points of log-SNR of the integral.
    pub points: usize,
    /// Noises for each sample and point.
    pub draws: usize,
    /// Into how many parts the samples are divided, each held out once.
    pub folds: usize,
    /// Which form is the value.
    pub readout: Readout,
    /// What is done to each column first: [`Scale::Standard`] as published, [`Scale::Ranks`] for long tails and odd shapes of
    /// single columns.
    pub scale: Scale,
    /// How the network is trained. Log-SNR, the share of samples that are not told, and the seed are set here; a run
    /// folder is refused, since several networks are trained.
    pub train: TrainConfig,
    /// Seed of weights, parts, training and noise.
    pub seed: u64,
}

impl Mmg {
    /// The settings of a proposal, `loc`, `scale` and `clip`, as published: log-SNR from −10 to 14.
    const PUBLISHED: (f64, f64, f64) = (2.0, 3.0, 4.0);
}

impl Default for Mmg {
    fn default() -> Self {
        let (loc, scale, clip) = Self::PUBLISHED;
        let Ok(proposal) = Logistic::new(loc, scale, clip) else {
            unreachable!("the published settings are finite")
        };
        Self {
            width: None,
            layers: 3,
            experts: Experts::default(),
            proposal,
            adapt: Some(0.1),
            widest: (-14.0, 24.0),
            points: 60,
            draws: 2,
            folds: 2,
            readout: Readout::default(),
            scale: Scale::Standard,
            train: TrainConfig {
                steps: Some(3000),
                batch: 256,
                learning_rate: 2e-3,
                weight_decay: 1e-3,
                max_grad_norm: Some(1.0),
                ..TrainConfig::default()
            },
            seed: 0,
        }
    }
}

/// An end of the integral is moved while its outermost twentieth holds more than this share of the area.
const OPEN: f64 = 0.01;
/// Samples that are needed at least.
const FEWEST: usize = 50;

impl Mmg {
    fn check(&self) -> Result<()> {
        let refuse = |name, got: String, need| Err(Error::Parameter { name, got, need });
        if let Some(share) = self.adapt.filter(|share| !(*share > 0.0 && *share < 1.0)) {
            return refuse("adapt", share.to_string(), "a share between 0 and 1");
        }
        if self.folds < 2 {
            return refuse("folds", self.folds.to_string(), "at least 2");
        }
        if self.points < 3 {
            return refuse("points", self.points.to_string(), "at least 3");
        }
        if self.draws == 0 {
            return refuse("draws", "0".into(), "at least 1");
        }
        let ((low, high), (from, to)) = (self.widest, self.proposal.interval());
        if !(low <= from && high >= to && (high - low).is_finite()) {
            let got = format!("{low} to {high}");
            return refuse("widest", got, "finite, with the proposal's interval inside");
        }
        match self.experts {
            Experts::At(cut) if !(cut > from && cut < to) => {
                let need = "a cut inside of the proposal's interval";
                return refuse("experts", format!("{:?}", self.experts), need);
            }
            Experts::HalfGap if self.adapt.is_none() => {
                let need = "`adapt`, whose first steps show where the gap is";
                return refuse("experts", "HalfGap without `adapt`".into(), need);
            }
            _ => (),
        }
        if self.train.run.is_some()
            || self.train.log_snr.is_some()
            || self.train.noise_schedule.is_some()
        {
            let got = "a run folder or a distribution of log-SNR".into();
            let need =
                "without: several networks are trained, and log-SNR is drawn from `proposal`";
            return refuse("train", got, need);
        }
        self.train.check()
    }

    fn scaled(&self, what: &str, x: ArrayView2<f64>) -> Result<Array2<f64>> {
        Ok(match self.scale {
            Scale::Standard => standardized(x),
            Scale::AsIs => x.to_owned(),
            Scale::Ranks => {
                let scores = normal_ranks(&by_column(what, x)?);
                standardized(Array2::from_shape_fn(x.dim(), |(i, j)| scores[(i, j)]).view())
            }
        })
    }

    fn net(&self, train: &Dataset, k: usize) -> Result<Mlp> {
        let dim = train.dim();
        let width = self.width.unwrap_or(match dim + k {
            ..=10 => 64,
            11..=50 => 128,
            _ => 256,
        });
        let config = MlpConfig {
            width,
            layers: self.layers,
            condition: Some(ConditionKind::Vector { dim: k }),
            seed: self.seed,
            ..MlpConfig::default()
        };
        Mlp::new(&config, &Gaussian::standard(dim)?, &[dim], &Device::Cpu)
    }

    /// Trains on a part, first with the proposal, then where the gap is.
    fn trained(&self, part: &Dataset, k: usize) -> Result<Divided> {
        let all = self.train.planned(part.len(), self.train.batch);
        let warmup = self
            .adapt
            .map(|share| ((all as f64 * share) as usize).max(1));
        let Some(warmup) = warmup else {
            return match self.experts {
                Experts::At(cut) => self.divided(part, k, &self.proposal, cut, all),
                Experts::One | Experts::HalfGap => {
                    let net = self.net(part, k)?;
                    train(&net, part, &self.drawing(&self.proposal, all))?;
                    Ok(Divided::one(net))
                }
            };
        };
        let net = self.net(part, k)?;
        train(&net, part, &self.drawing(&self.proposal, warmup))?;
        let first = Divided::one(net);
        let few = part.take(part.len().min(1000))?;
        let (low, high) = self.proposal.interval();
        let gap = self.gap(&first, &few, &Quadrature::trapezoid(low, high, 40)?)?;
        let proposal = adapted(&gap.squared, &self.proposal)?;
        let rest = all.saturating_sub(warmup).max(1);
        match self.experts {
            Experts::One => {
                train(first.net(), part, &self.drawing(&proposal, rest))?;
                Ok(first)
            }
            Experts::At(cut) => self.divided(part, k, &proposal, cut, rest),
            Experts::HalfGap => self.divided(part, k, &proposal, half(&gap.squared), rest),
        }
    }

    /// Trains a network below the cut and one above it.
    fn divided(
        &self,
        part: &Dataset,
        k: usize,
        proposal: &Logistic,
        cut: f64,
        steps: usize,
    ) -> Result<Divided> {
        let (low, high) = proposal.interval();
        let expert = |from, to, share: f64| -> Result<Mlp> {
            let net = self.net(part, k)?;
            let steps = ((steps as f64 * share).round() as usize).max(1);
            train(&net, part, &self.drawing(&proposal.on(from, to)?, steps))?;
            Ok(net)
        };
        let below = proposal.cdf(cut);
        let first = expert(low, cut, below)?;
        Ok(Divided::at(cut, first, expert(cut, high, 1.0 - below)?))
    }

    /// How a network is trained at log-SNRs of a proposal.
    fn drawing(&self, proposal: &Logistic, steps: usize) -> TrainConfig {
        TrainConfig {
            log_snr: Some(*proposal),
            condition_dropout: 0.5,
            steps: Some(steps),
            seed: self.seed,
            ..self.train.clone()
        }
    }

    fn gap(&self, net: &Divided, data: &Dataset, points: &Quadrature) -> Result<GapCurves> {
        let config = CurveConfig {
            draws: self.draws,
            seed: self.seed,
            ..CurveConfig::default()
        };
        let asked = |how| Asked(net, how);
        gap_curves(
            asked(Conditioning::Conditional),
            asked(Conditioning::Unconditional),
            data,
            points,
            &config,
        )
    }
}

/// A proposal where the gap is, never narrower than half the first one, so that all of the interval is learned.
fn adapted(gap: &MseCurve, first: &Logistic) -> Result<Logistic> {
    match Logistic::adapted(&gap.points, &gap.mse) {
        Ok(found) => {
            let (low, high) = gap.points.interval;
            let scale = found.scale().max(0.5 * first.scale());
            // A logistic reaches at most 30 scales.
            let scale = scale.max((high - low) / 29.9);
            let reach = (high - low) / scale;
            Logistic::new(found.loc(), scale, reach)?.on(low, high)
        }
        // No gap at all: nothing to adapt to.
        Err(Error::Parameter { .. }) => Ok(*first),
        Err(error) => Err(error),
    }
}

impl Estimator for Mmg {
    fn name(&self) -> &'static str {
        "MMG"
    }

    fn information(&self, x: ArrayView2<f64>, y: ArrayView2<f64>) -> Result<Information> {
        self.check()?;
        let warnings = noise_checked(&[("x", x), ("y", y)], FEWEST)?.told();
        let (x, y) = (self.scaled("x", x)?, self.scaled("y", y)?);
        let (n, k) = (x.nrows(), y.ncols());
        if n < 2 * self.folds {
            return Err(Error::Parameter {
                name: "folds",
                got: format!("{} of {n} samples", self.folds),
                need: "at most half the number of samples",
            });
        }
        let data = Dataset::new("x", tensor(&x)?)?.given(Condition::vectors(&tensor(&y)?)?)?;
        let order = rng::permutation(n, &mut rng::stream(self.seed, "folds"));
        let folds: Vec<Vec<u32>> = (0..self.folds)
            .map(|fold| {
                order
                    .iter()
                    .skip(fold)
                    .step_by(self.folds)
                    .copied()
                    .collect()
            })
            .collect();
        let mut nets = Vec::with_capacity(self.folds);
        for fold in 0..self.folds {
            let rest = order.iter().enumerate();
            let rest = rest.filter(|(place, _)| place % self.folds != fold);
            let rest: Vec<u32> = rest.map(|(_, &row)| row).collect();
            nets.push(self.trained(&data.subset(&rest)?, k)?);
        }
        let parts: Result<Vec<Dataset>> = folds.iter().map(|fold| data.subset(fold)).collect();
        let parts = parts?;
        let mut interval = self.proposal.interval();
        let gap = loop {
            let points = Quadrature::trapezoid(interval.0, interval.1, self.points)?;
            let found: Result<Vec<GapCurves>> = std::iter::zip(&nets, &parts)
                .map(|(net, part)| self.gap(net, part, &points))
                .collect();
            let gap = GapCurves::joined(&found?, &folds, &data.digest()?)?;
            let wider = self.wider(&gap.squared, interval);
            if wider == interval {
                break gap;
            }
            interval = wider;
        };
        Ok(told(gap, self.readout)?.warned(warnings))
    }
}

impl Mmg {
    /// The interval with the ends moved at which the gap has not vanished.
    fn wider(&self, gap: &MseCurve, (low, high): (f64, f64)) -> (f64, f64) {
        let area = |range: std::ops::Range<usize>| -> f64 {
            range.map(|j| gap.points.weight[j] * gap.mse[j]).sum()
        };
        let (k, edge) = (gap.mse.len(), gap.mse.len().div_ceil(20).max(2));
        let open = OPEN * area(0..k);
        let at_low = area(0..edge) > open;
        let at_high = area(k - edge..k) > open;
        (
            if at_low {
                (low - 2.0).max(self.widest.0)
            } else {
                low
            },
            if at_high {
                (high + 2.0).min(self.widest.1)
            } else {
                high
            },
        )
    }
}

/// Tells of a gap that has not vanished at an end of the interval.
pub(super) fn open_ends(gap: &GapCurves) -> Vec<String> {
    /// Nats that do not matter.
    const LEAST: f64 = 0.005;
    let Some(errors) = &gap.inner.errors else {
        return Vec::new();
    };
    let (points, k) = (&gap.inner.points, gap.inner.mse.len());
    let edge = k.div_ceil(20).max(2).min(k);
    let inside = |range: std::ops::Range<usize>| -> Vec<f64> {
        let of = |row: ndarray::ArrayView1<f64>| {
            range
                .clone()
                .map(|j| 0.5 * points.weight[j] * row[j])
                .sum::<f64>()
        };
        errors.rows().into_iter().map(of).collect()
    };
    let whole = stats::mean(&inside(0..k)).abs();
    let open = |range: std::ops::Range<usize>, at: f64| {
        let values = inside(range);
        let (nats, error) = (stats::mean(&values), stats::std_err(&values));
        (nats > (2.0 * error).max(OPEN * whole).max(LEAST)).then(|| {
            format!(
                "the gap has not vanished at a log-SNR of {at:.1}, where the integral ends: {nats:.3} nats are within its \
                 last twentieth, and the truth may be more"
            )
        })
    };
    let (low, high) = points.interval;
    [open(0..edge, low), open(k - edge..k, high)]
        .into_iter()
        .flatten()
        .collect()
}

/// What a gap tells: the value of one reading, with an error of at least half the difference of the direct and the
/// orthogonal one.
pub(super) fn told(gap: GapCurves, readout: Readout) -> Result<Information> {
    let readouts = Readouts {
        direct: gap.direct()?,
        orthogonal: gap.orthogonal()?,
        mean: gap.mean()?,
        scaled: gap.scaled()?,
    };
    let value = readouts.of(readout);
    let apart = 0.5 * (readouts.orthogonal.nats - readouts.direct.nats).abs();
    Ok(Information {
        nats: value.nats,
        std_err: value.std_err.max(apart),
        n: value.n,
        per_sample: value.per_sample().map(<[f64]>::to_vec),
        warnings: value
            .warnings
            .iter()
            .map(ToString::to_string)
            .chain(open_ends(&gap))
            .collect(),
        diagnostics: vec![
            ("direct", readouts.direct.nats),
            ("orthogonal", readouts.orthogonal.nats),
            ("mean", readouts.mean.nats),
            ("scaled", readouts.scaled.nats),
        ],
        gap: Some(gap),
    })
}

/// The four forms.
struct Readouts {
    direct: Estimate,
    orthogonal: Estimate,
    mean: Estimate,
    scaled: Estimate,
}

impl Readouts {
    fn of(&self, readout: Readout) -> &Estimate {
        match readout {
            Readout::Direct => &self.direct,
            Readout::Orthogonal => &self.orthogonal,
            Readout::Mean => &self.mean,
            Readout::Scaled => &self.scaled,
        }
    }
}

/// Each column with mean 0 and variance 1.
pub(super) fn standardized(x: ArrayView2<f64>) -> Array2<f64> {
    let mut x = x.to_owned();
    for mut column in x.columns_mut() {
        let values = column.to_vec();
        let (mean, spread) = (stats::mean(&values), stats::variance(&values).sqrt());
        column.mapv_inplace(|value| (value - mean) / spread);
    }
    x
}

pub(super) fn tensor(rows: &Array2<f64>) -> Result<Tensor> {
    let values: Vec<f64> = rows.iter().copied().collect();
    Ok(Tensor::from_vec(values, rows.dim(), &Device::Cpu)?.to_dtype(DType::F32)?)
}
