//! Several variables and one denoiser, which sees any of them noisy and any others as they are.

mod gaussian;
mod net;

use candle_core::{DType, Device, Tensor};
use ndarray::{Array2, ArrayView2, Axis, concatenate};

use super::chain::{Interactions, conditional_mi_by, interactions_by, same_length};
use super::gaussian::noise_checked;
use super::mmg::{standardized, tensor, told};
use super::{Base, GapCurves, Information, Readout};
use crate::curve::{CurveConfig, Engine, MseCurve, Noise, NoisyBatch, Statistic};
use crate::data::Dataset;
use crate::denoiser::Denoiser;
use crate::error::{Error, Interrupted, Result};
use crate::logsnr::{Logistic, Quadrature};
use crate::rng;
use crate::train::TrainConfig;

pub use gaussian::JointGaussian;
pub use net::{JointNet, JointNetConfig};

/// What a denoiser sees of a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Seen {
    /// Nothing.
    Hidden,
    /// Its noisy values.
    Noisy,
    /// Its values as they are.
    Clean,
}

/// A denoiser of several variables `X = (x₁, …, x_V)` that can be shown any of them, noisy or clean.
///
/// As a [`Denoiser`] it sees all of them, noisy.
pub trait JointDenoiser: Denoiser {
    /// How many values each variable has. They stand one after the other in a sample, `[D]`.
    fn widths(&self) -> &[usize];

    /// `ε̂` of all values, `[n, D]`, by those that are seen. Only the values of variables that are seen noisy mean anything;
    /// of the clean samples `x` only variables that are seen clean are looked at.
    ///
    /// # Shapes
    /// `z` and `x`: `[n, D]`, `log_snr`: `[n]`, all in the type of the denoiser; `seen`: one for each variable.
    ///
    /// # Errors
    /// [`Error::Mismatch`] unless `seen` has one for each variable; whatever keeps it from being evaluated.
    fn eps_hat_of(&self, z: &Tensor, x: &Tensor, log_snr: &Tensor, seen: &[Seen])
    -> Result<Tensor>;
}

/// Which values belong to a variable: 1 in their places.
fn marks(widths: &[usize], marked: impl Fn(usize) -> bool) -> Vec<f64> {
    let of = |(v, &width): (usize, &usize)| vec![f64::from(u8::from(marked(v))); width];
    widths.iter().enumerate().flat_map(of).collect()
}

/// The gaps of a [`JointDenoiser`] whose areas are total and dual total correlation. Made by [`interaction_gaps`].
#[derive(Debug, Clone)]
pub struct InteractionGaps {
    /// The best guess of each variable by its own noisy values, and by those of all.
    pub total: GapCurves,
    /// The guess of each by the noisy values of all, and by its own noisy values and the others as they are.
    pub dual: GapCurves,
}

/// Total and dual total correlation of several variables as areas between error curves:
///
/// ```text
/// TC  = ½ ∫ Σᵢ mse(xᵢ by zᵢ) − mse(X by Z) dα
/// DTC = ½ ∫ mse(X by Z) − Σᵢ mse(xᵢ by zᵢ and X₋ᵢ) dα
/// ```
///
/// All denoisers are asked about the same noisy samples, and each gap has the four readings of [`GapCurves`].
///
/// # Errors
/// As [`gap_curves`](super::gap_curves).
///
/// # Source
/// The I-MMSE relation (Guo, Shamai, Verdú, 2005) of each entropy in the definitions of [`Interactions`].
///
/// # Example: three normal numbers
/// ```
/// use itd_prelude::prelude::*;
/// use itd_prelude::information::{JointGaussian, interaction_gaps};
///
/// # fn main() -> Result<()> {
/// let joint = Gaussian::new(&[0.0; 3], &[[2.0, 1.0, 1.0], [1.0, 2.0, 1.0], [1.0, 1.0, 2.0]])?;
/// let data = Dataset::new("three", joint.sample(1000, &mut rng::seeded(0))?)?;
/// let points = Quadrature::trapezoid(-10.0, 12.0, 60)?;
/// let net = JointGaussian::new(&joint, &[1, 1, 1])?;
/// let gaps = interaction_gaps(&net, &data, &points, &CurveConfig::default())?;
/// check!(gaps.total.mean()?.within(0.5 * 2f64.ln(), 4.0));
/// check!(gaps.dual.mean()?.within(0.5 * (27.0f64 / 16.0).ln(), 4.0));
/// # Ok(()) }
/// ```
pub fn interaction_gaps(
    net: &dyn JointDenoiser,
    data: &Dataset,
    points: &Quadrature,
    config: &CurveConfig,
) -> Result<InteractionGaps> {
    let count = net.widths().len();
    let own = |i: usize, rest: Seen| -> Vec<Seen> {
        (0..count)
            .map(|v| if v == i { Seen::Noisy } else { rest })
            .collect()
    };
    let all = vec![Seen::Noisy; count];
    let each = |rest: Seen| -> Vec<Step> {
        let step = |i: usize| match rest {
            Seen::Hidden => Step::of(i, own(i, rest), all.clone()),
            _ => Step::of(i, all.clone(), own(i, rest)),
        };
        (0..count).map(step).collect()
    };
    let steps = [each(Seen::Hidden), each(Seen::Clean)];
    let [total, dual] = gaps(net, steps, data, points, config)?;
    Ok(InteractionGaps { total, dual })
}

/// The gap whose area is `I(a; b | c)`: the guess of the variables `a` by their noisy values and `c`, and by `b` as well.
/// The others are hidden. Without `c` it is `I(a; b)`.
///
/// # Errors
/// [`Error::Parameter`] when a variable does not exist or is named twice, or `a` or `b` is empty; as
/// [`gap_curves`](super::gap_curves).
///
/// # Example: two readings of a number that is known
/// ```
/// use itd_prelude::prelude::*;
/// use itd_prelude::information::{JointGaussian, conditional_gap};
///
/// # fn main() -> Result<()> {
/// let joint = Gaussian::new(&[0.0; 3], &[[2.0, 1.0, 1.0], [1.0, 2.0, 1.0], [1.0, 1.0, 1.0]])?;
/// let data = Dataset::new("three", joint.sample(1000, &mut rng::seeded(0))?)?;
/// let points = Quadrature::trapezoid(-10.0, 12.0, 60)?;
/// let net = JointGaussian::new(&joint, &[1, 1, 1])?;
/// let gap = |given: &[usize]| conditional_gap(&net, [&[0], &[1], given], &data, &points, &CurveConfig::default());
/// check!(gap(&[])?.mean()?.within(0.5 * (4.0f64 / 3.0).ln(), 4.0));
/// check!(gap(&[2])?.mean()?.nats.abs() < 1e-9); // nothing is left
/// # Ok(()) }
/// ```
pub fn conditional_gap(
    net: &dyn JointDenoiser,
    [a, b, c]: [&[usize]; 3],
    data: &Dataset,
    points: &Quadrature,
    config: &CurveConfig,
) -> Result<GapCurves> {
    let step = conditional_step(net.widths().len(), a, b, c)?;
    let [gap] = gaps(net, [vec![step]], data, points, config)?;
    Ok(gap)
}

/// The curve of `x_a` given `x_c`, whose [`nll`](MseCurve::nll) against a Gaussian of as many values is the entropy
/// `h(x_a | x_c)`.
///
/// # Errors
/// As [`conditional_gap`].
///
/// # Example
/// ```
/// use itd_prelude::prelude::*;
/// use itd_prelude::information::{JointGaussian, entropy_curve};
///
/// # fn main() -> Result<()> {
/// let joint = Gaussian::new(&[0.0, 0.0], &[[1.0, 0.8], [0.8, 1.0]])?;
/// let data = Dataset::new("pair", joint.sample(1000, &mut rng::seeded(0))?)?;
/// let points = Quadrature::trapezoid(-12.0, 14.0, 100)?;
/// let net = JointGaussian::new(&joint, &[1, 1])?;
/// let curve = entropy_curve(&net, [&[0], &[1]], &data, &points, &CurveConfig::default())?;
/// let known = Gaussian::new(&[0.0], &[[0.36]])?.entropy()?.nats;
/// check!(curve.nll(&Gaussian::standard(1)?)?.within(known, 4.0));
/// # Ok(()) }
/// ```
pub fn entropy_curve(
    net: &dyn JointDenoiser,
    [a, c]: [&[usize]; 2],
    data: &Dataset,
    points: &Quadrature,
    config: &CurveConfig,
) -> Result<MseCurve> {
    let widths = net.widths();
    apart(widths.len(), &[a, c])?;
    some("a", a)?;
    let state = |v: usize| match (a.contains(&v), c.contains(&v)) {
        (true, _) => Seen::Noisy,
        (_, true) => Seen::Clean,
        _ => Seen::Hidden,
    };
    let error = Errors {
        net,
        seen: (0..widths.len()).map(state).collect(),
        of: marks(widths, |v| a.contains(&v)),
    };
    config.check()?;
    let noise = Noise::addressed(config.seed, config.draws);
    let engine = Engine::new(&error, data, points, config.batch, noise)?;
    let mut curves = engine.curves(&error, "measuring what is left open")?;
    let curve = curves.remove(0);
    let dim = a.iter().map(|&v| widths[v]).sum();
    Ok(MseCurve { dim, ..curve })
}

fn some(name: &'static str, set: &[usize]) -> Result<()> {
    match set.is_empty() {
        false => Ok(()),
        true => Err(Error::Parameter {
            name,
            got: "no variable".into(),
            need: "at least one, by its number from 0",
        }),
    }
}

/// Refuses variables that do not exist, or are in two sets.
fn apart(count: usize, sets: &[&[usize]]) -> Result<()> {
    let mut all: Vec<usize> = sets.concat();
    all.sort_unstable();
    let twice = all
        .windows(2)
        .find(|two| two[0] == two[1])
        .map(|two| two[0]);
    let beyond = all.iter().copied().find(|&v| v >= count);
    match twice.or(beyond) {
        None => Ok(()),
        Some(bad) => Err(Error::Parameter {
            name: "the variables",
            got: format!("{bad} in {sets:?}"),
            need: "numbers of variables, counted from 0, each in one set at most",
        }),
    }
}

fn conditional_step(count: usize, a: &[usize], b: &[usize], c: &[usize]) -> Result<Step> {
    apart(count, &[a, b, c])?;
    some("a", a)?;
    some("b", b)?;
    let seen = |told: bool| -> Vec<Seen> {
        let state = |v: usize| match (a.contains(&v), b.contains(&v), c.contains(&v)) {
            (true, ..) => Seen::Noisy,
            (_, true, _) if told => Seen::Clean,
            (.., true) => Seen::Clean,
            _ => Seen::Hidden,
        };
        (0..count).map(state).collect()
    };
    Ok(Step {
        of: a.to_vec(),
        without: seen(false),
        with: seen(true),
    })
}

/// A guess of some variables without something, and with it.
struct Step {
    of: Vec<usize>,
    without: Vec<Seen>,
    with: Vec<Seen>,
}

impl Step {
    fn of(one: usize, without: Vec<Seen>, with: Vec<Seen>) -> Self {
        let of = vec![one];
        Self { of, without, with }
    }
}

/// The gaps that the steps of each list sum up to.
fn gaps<const N: usize>(
    net: &dyn JointDenoiser,
    steps: [Vec<Step>; N],
    data: &Dataset,
    points: &Quadrature,
    config: &CurveConfig,
) -> Result<[GapCurves; N]> {
    config.check()?;
    let sums = Sums {
        net,
        steps: steps.into(),
    };
    let noise = Noise::addressed(config.seed, config.draws);
    let engine = Engine::new(&sums, data, points, config.batch, noise)?;
    let mut curves = engine
        .curves(&sums, "measuring what the variables share")?
        .into_iter();
    let mut next = || -> Result<GapCurves> {
        match (curves.next(), curves.next()) {
            (Some(inner), Some(squared)) => Ok(GapCurves { inner, squared }),
            _ => unreachable!("the statistic has two numbers for each list"),
        }
    };
    let found: Result<Vec<GapCurves>> = (0..N).map(|_| next()).collect();
    Ok(found?
        .try_into()
        .unwrap_or_else(|_| unreachable!("as many gaps as lists")))
}

/// The curve of a sum of `± ‖ε̂ − √σ(−α)·z‖²`, the distances of guesses from that of a standard normal vector; each of some
/// variables, by what is seen. It stands for both numbers of a gap.
pub(super) fn distances(
    net: &dyn JointDenoiser,
    terms: &[(f64, &[usize], &[Seen])],
    data: &Dataset,
    points: &Quadrature,
    config: &CurveConfig,
) -> Result<GapCurves> {
    config.check()?;
    let sum = Distances { net, terms };
    let noise = Noise::addressed(config.seed, config.draws);
    let engine = Engine::new(&sum, data, points, config.batch, noise)?;
    let mut curves = engine.curves(&sum, "measuring how far guesses are from a normal's")?;
    let squared = curves.remove(0);
    Ok(GapCurves {
        inner: squared.clone(),
        squared,
    })
}

struct Distances<'a> {
    net: &'a dyn JointDenoiser,
    terms: &'a [(f64, &'a [usize], &'a [Seen])],
}

impl Statistic for Distances<'_> {
    fn denoisers(&self) -> Vec<&dyn Denoiser> {
        vec![self.net]
    }

    fn values(&self, batch: &NoisyBatch) -> Result<Tensor> {
        let noise = (here(&batch.log_snr)?.exp()? + 1.0)?.recip()?.sqrt()?;
        let reference = here(&batch.z)?.broadcast_mul(&noise.unsqueeze(1)?)?;
        let mut sum = noise.zeros_like()?;
        for (sign, of, seen) in self.terms {
            let mark = marks(self.net.widths(), |v| of.contains(&v));
            let mark = Tensor::new(mark, &Device::Cpu)?.unsqueeze(0)?;
            let apart = (answer(self.net, batch, seen)? - &reference)?.broadcast_mul(&mark)?;
            sum = (sum + (apart.sqr()?.sum(1)? * *sign)?)?;
        }
        Ok(sum)
    }
}

/// `⟨a, δ⟩` and `‖δ‖²` over the values of the variables that are guessed, summed over the steps of each list.
struct Sums<'a> {
    net: &'a dyn JointDenoiser,
    steps: Vec<Vec<Step>>,
}

impl Statistic for Sums<'_> {
    fn denoisers(&self) -> Vec<&dyn Denoiser> {
        vec![self.net]
    }

    fn width(&self) -> usize {
        2 * self.steps.len()
    }

    fn values(&self, batch: &NoisyBatch) -> Result<Tensor> {
        let mut asked: Vec<(&[Seen], Tensor)> = Vec::new();
        let mut found = Vec::with_capacity(self.width());
        for steps in &self.steps {
            let mut sums: Option<[Tensor; 2]> = None;
            for step in steps {
                for seen in [&step.without, &step.with] {
                    if !asked.iter().any(|(known, _)| known == seen) {
                        asked.push((seen, answer(self.net, batch, seen)?));
                    }
                }
                let of = |seen: &[Seen]| {
                    let (_, eps) = asked.iter().find(|(known, _)| *known == seen)?;
                    Some(eps)
                };
                let (Some(without), Some(with)) = (of(&step.without), of(&step.with)) else {
                    unreachable!("both were asked");
                };
                let mark = marks(self.net.widths(), |v| step.of.contains(&v));
                let mark = Tensor::new(mark, &Device::Cpu)?.unsqueeze(0)?;
                let eps = here(&batch.eps)?;
                let change = (with - without)?.broadcast_mul(&mark)?;
                let error = (eps - without)?;
                let new = [(error * &change)?.sum(1)?, change.sqr()?.sum(1)?];
                sums = Some(match sums {
                    None => new,
                    Some([p, q]) => [(p + &new[0])?, (q + &new[1])?],
                });
            }
            match sums {
                Some(sums) => found.extend(sums),
                None => {
                    let none = here(&batch.log_snr)?.zeros_like()?;
                    found.extend([none.clone(), none]);
                }
            }
        }
        Ok(Tensor::stack(&found, 1)?)
    }
}

/// In `f64`, on the CPU, wherever the network computes.
fn here(x: &Tensor) -> Result<Tensor> {
    Ok(x.to_device(&Device::Cpu)?.to_dtype(DType::F64)?)
}

/// `ε̂` in `f64`, on the CPU.
fn answer(net: &dyn JointDenoiser, batch: &NoisyBatch, seen: &[Seen]) -> Result<Tensor> {
    let dtype = net.dtype();
    let eps = net.eps_hat_of(
        &batch.z.to_dtype(dtype)?,
        &batch.x.to_dtype(dtype)?,
        &batch.log_snr.to_dtype(dtype)?,
        seen,
    )?;
    here(&eps)
}

/// The squared error of some values.
struct Errors<'a> {
    net: &'a dyn JointDenoiser,
    seen: Vec<Seen>,
    of: Vec<f64>,
}

impl Statistic for Errors<'_> {
    fn denoisers(&self) -> Vec<&dyn Denoiser> {
        vec![self.net]
    }

    fn values(&self, batch: &NoisyBatch) -> Result<Tensor> {
        let eps_hat = answer(self.net, batch, &self.seen)?;
        let of = Tensor::new(self.of.as_slice(), &Device::Cpu)?.unsqueeze(0)?;
        let error = (here(&batch.eps)? - eps_hat)?.sqr()?;
        Ok(error.broadcast_mul(&of)?.sum(1)?)
    }
}

/// Conditional information and interactions of several vectors by one network, which learns to guess any of them from any
/// others; see [`interaction_gaps`] and [`conditional_gap`].
///
/// Use it where no closed form fits; [`conditional_mi`](super::conditional_mi()) and
/// [`interactions`](super::interactions()) are quicker, and closer where one does.
///
/// # Units
/// Nats. Each column is standardized, which changes nothing.
///
/// # Errors
/// [`Error::Parameter`] for settings that cannot be; [`Error::Shape`] for fewer than 50 samples; [`Error::Mismatch`] for
/// lengths that differ; [`Error::Interrupted`] when the user stops it.
///
/// # Numerics
/// As [`Mmg`](super::Mmg): held-out samples by turns, the mean of direct and orthogonal reading, and a standard error of at
/// least half their difference. A network that has not learned all is too low in both, so the error is also at least half
/// the distance from what [`Base`] and the chain rule find, which is the diagnostic `by closed forms`.
///
/// # Example: two readings of one number, with a short training
/// ```
/// use itd_prelude::prelude::*;
/// use itd_prelude::information::{Masked, Rows};
///
/// # fn main() -> Result<()> {
/// let joint = Gaussian::new(&[0.0; 3], &[[2.0, 1.0, 1.0], [1.0, 2.0, 1.0], [1.0, 1.0, 1.0]])?;
/// let all = joint.sample(1000, &mut rng::seeded(0))?;
/// let (x, y, z) = (all.narrow(1, 0, 1)?.rows()?, all.narrow(1, 1, 1)?.rows()?, all.narrow(1, 2, 1)?.rows()?);
/// let mut masked = Masked::default();
/// masked.train.steps = Some(500);
/// let found = masked.conditional(x.view(), y.view(), z.view())?;
/// check!(found.nats.abs() < 0.05, "{found}, in truth 0");
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Masked {
    /// The size of the network.
    pub net: JointNetConfig,
    /// Where log-SNR is drawn from, and its ends those of the integral.
    pub proposal: Logistic,
    /// Points of log-SNR of the integral.
    pub points: usize,
    /// Noises for each sample and point.
    pub draws: usize,
    /// Into how many parts the samples are divided, each held out once.
    pub folds: usize,
    /// How the network is trained. Log-SNR, and the seed, are set here; a run folder is refused.
    pub train: TrainConfig,
    /// Seed of weights, parts, training and noise.
    pub seed: u64,
}

impl Default for Masked {
    fn default() -> Self {
        let Ok(proposal) = Logistic::new(1.0, 2.5, 4.4) else {
            unreachable!("the settings are finite")
        };
        Self {
            net: JointNetConfig::default(),
            proposal,
            points: 50,
            draws: 1,
            folds: 2,
            train: TrainConfig {
                steps: Some(4000),
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

/// Samples that are needed at least.
const FEWEST: usize = 50;

/// A network's value, doubted by half its distance from that of the closed forms, where those have one.
fn beside_closed(
    mut found: Information,
    closed: Result<&Information, &Error>,
) -> Result<Information> {
    let closed = match closed {
        Ok(closed) => closed,
        Err(Error::Interrupted(stopped)) => {
            let stopped = Interrupted::new(&*stopped.what, stopped.done, stopped.planned);
            return Err(Error::Interrupted(stopped));
        }
        // Too few samples, or nothing that is random.
        Err(_) => return Ok(found),
    };
    let apart = (closed.nats - found.nats).abs();
    let far = apart > 2.0 * closed.std_err.hypot(found.std_err);
    found.std_err = found.std_err.max(0.5 * apart);
    let told = far.then(|| {
        format!(
            "closed forms and neighbours find {:.4} ± {:.4} nats: one of the two is wrong",
            closed.nats, closed.std_err
        )
    });
    Ok(found.with("by closed forms", closed.nats).warned(told))
}

impl Masked {
    fn check(&self) -> Result<()> {
        let refuse = |name, got: String, need| Err(Error::Parameter { name, got, need });
        if self.folds < 2 {
            return refuse("folds", self.folds.to_string(), "at least 2");
        }
        if self.points < 3 {
            return refuse("points", self.points.to_string(), "at least 3");
        }
        if self.draws == 0 {
            return refuse("draws", "0".into(), "at least 1");
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

    /// `I(x; y | z)`: the mean of what `y` tells of `x` and `x` of `y`, given `z`. Their values are the diagnostics `of x` and
    /// `of y`.
    ///
    /// # Errors
    /// See [`Masked`].
    pub fn conditional(
        &self,
        x: ArrayView2<f64>,
        y: ArrayView2<f64>,
        z: ArrayView2<f64>,
    ) -> Result<Information> {
        let measure =
            |net: &JointNet, part: &Dataset, points: &Quadrature, config: &CurveConfig| {
                let steps = [
                    vec![conditional_step(3, &[0], &[1], &[2])?],
                    vec![conditional_step(3, &[1], &[0], &[2])?],
                ];
                gaps(net, steps, part, points, config)
            };
        let ([of_x, of_y], warnings) = self.measured(&[x, y, z], measure)?;
        let values = [of_x.mean()?.nats, of_y.mean()?.nats];
        let mut found = told(of_x.scaled_sum(0.5, &of_y, 0.5)?, Readout::Mean)?;
        found.std_err = found.std_err.max(0.5 * (values[0] - values[1]).abs());
        let closed = conditional_mi_by(&Base::default(), x, y, z);
        Ok(beside_closed(found, closed.as_ref())?
            .with("of x", values[0])
            .with("of y", values[1])
            .warned(warnings))
    }

    /// Total correlation, dual total correlation and O-information of two vectors or more.
    ///
    /// # Errors
    /// See [`Masked`]; [`Error::Parameter`] for fewer than two vectors.
    ///
    /// # Example: see [`interaction_gaps`]
    pub fn interactions(&self, vectors: &[ArrayView2<f64>]) -> Result<Interactions> {
        let measure =
            |net: &JointNet, part: &Dataset, points: &Quadrature, config: &CurveConfig| {
                let gaps = interaction_gaps(net, part, points, config)?;
                Ok([gaps.total, gaps.dual])
            };
        let ([total, dual], warnings) = self.measured(vectors, measure)?;
        let closed = interactions_by(&Base::default(), vectors);
        let of = |gap, known: fn(&Interactions) -> &Information| -> Result<Information> {
            let known = closed.as_ref().map(known);
            Ok(beside_closed(told(gap, Readout::Mean)?, known)?.warned(warnings.clone()))
        };
        let both = total.scaled_sum(1.0, &dual, -1.0)?;
        Ok(Interactions {
            o_information: of(both, |one| &one.o_information)?,
            total_correlation: of(total, |one| &one.total_correlation)?,
            dual_total_correlation: of(dual, |one| &one.dual_total_correlation)?,
        })
    }

    /// Gaps of held-out samples, each part by a network that was trained on the others.
    fn measured<const N: usize>(
        &self,
        vectors: &[ArrayView2<f64>],
        measure: impl Fn(&JointNet, &Dataset, &Quadrature, &CurveConfig) -> Result<[GapCurves; N]>,
    ) -> Result<([GapCurves; N], Vec<String>)> {
        let learn = |data: &Dataset, widths: &[usize], how: &TrainConfig| {
            JointNet::train(data, widths, &self.net, how)
        };
        self.measured_by(vectors, learn, measure)
    }

    /// As [`Self::measured`], by networks that are trained in another way.
    pub(super) fn measured_by<const N: usize>(
        &self,
        vectors: &[ArrayView2<f64>],
        train: impl Fn(&Dataset, &[usize], &TrainConfig) -> Result<JointNet>,
        measure: impl Fn(&JointNet, &Dataset, &Quadrature, &CurveConfig) -> Result<[GapCurves; N]>,
    ) -> Result<([GapCurves; N], Vec<String>)> {
        self.check()?;
        if vectors.len() < 2 {
            return Err(Error::Parameter {
                name: "vectors",
                got: vectors.len().to_string(),
                need: "at least two, which can have something in common",
            });
        }
        same_length(vectors)?;
        let names = ["x", "y"].into_iter().chain(std::iter::repeat("z"));
        let sides: Vec<_> = names.zip(vectors.iter().copied()).collect();
        let warnings = noise_checked(&sides, FEWEST)?.told();
        let n = vectors[0].nrows();
        if n < 2 * self.folds {
            return Err(Error::Parameter {
                name: "folds",
                got: format!("{} of {n} samples", self.folds),
                need: "at most half the number of samples",
            });
        }
        let columns: Vec<Array2<f64>> = vectors.iter().map(|x| standardized(*x)).collect();
        let views: Vec<ArrayView2<f64>> = columns.iter().map(|rows| rows.view()).collect();
        let all = concatenate(Axis(1), &views)
            .unwrap_or_else(|_| unreachable!("the lengths were compared"));
        let widths: Vec<usize> = vectors.iter().map(ArrayView2::ncols).collect();
        let data = Dataset::new("variables", tensor(&all)?)?;
        let order = rng::permutation(n, &mut rng::stream(self.seed, "folds"));
        let part = |of: &dyn Fn(usize) -> bool| -> Vec<u32> {
            let places = order.iter().enumerate().filter(|(place, _)| of(*place));
            places.map(|(_, &row)| row).collect()
        };
        let (low, high) = self.proposal.interval();
        let points = Quadrature::trapezoid(low, high, self.points)?;
        let config = CurveConfig {
            draws: self.draws,
            seed: self.seed,
            ..CurveConfig::default()
        };
        let (mut found, mut folds) = (Vec::new(), Vec::new());
        for fold in 0..self.folds {
            let learn = data.subset(&part(&|place| place % self.folds != fold))?;
            let held_out = part(&|place| place % self.folds == fold);
            let how = TrainConfig {
                log_snr: Some(self.proposal),
                seed: self.seed,
                ..self.train.clone()
            };
            let net = train(&learn, &widths, &how)?;
            found.push(measure(&net, &data.subset(&held_out)?, &points, &config)?);
            folds.push(held_out);
        }
        let digest = data.digest()?;
        let join = |i: usize| {
            let parts: Vec<GapCurves> = found.iter().map(|gaps| gaps[i].clone()).collect();
            GapCurves::joined(&parts, &folds, &digest)
        };
        let joined: Vec<GapCurves> = (0..N).map(join).collect::<Result<_>>()?;
        let joined = joined
            .try_into()
            .unwrap_or_else(|_| unreachable!("as many as were measured"));
        Ok((joined, warnings))
    }
}
