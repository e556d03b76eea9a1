//! The one loop over samples, points of log-SNR and noises.

use std::ops::Range;

use candle_core::{DType, Device, Tensor};
use ndarray::Array2;
use rand::Rng as _;
use rand_distr::StandardNormal;
use rayon::prelude::*;

use super::accumulate::Accumulator;
use super::plan::BatchPlan;
use super::shard::Shard;
use super::{MseCurve, NoisyBatch, SquaredError, Statistic};
use crate::cell::memory::room_for;
use crate::channel;
use crate::cubature::Cubature;
use crate::data::Dataset;
use crate::denoiser::{Denoiser, same_shape};
use crate::error::{Error, Result};
use crate::logsnr::Quadrature;
use crate::memory;
use crate::progress::Progress;
use crate::rng::Key;

/// Whether a denoiser is told the samples' conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Conditioning {
    /// It is not, whatever the data hold: the curve is that of `p(x)`.
    #[default]
    Unconditional,
    /// Each sample's own: the curve is that of `p(x|y)`.
    Conditional,
}

/// How a curve is measured.
#[derive(Debug, Clone, PartialEq)]
pub struct CurveConfig {
    /// Noisy samples that go through the network at once, at most; bounds the memory, as the network itself does by
    /// its [`batch`](Denoiser::batch). Shards share out whole batches.
    pub batch: usize,
    /// Independent noises for each sample and point.
    pub draws: usize,
    /// The range that clean samples are known to lie in; the estimate `x̂` is clamped to it.
    pub clamp: Option<(f64, f64)>,
    /// Whether the network is told the samples' conditions.
    pub conditioning: Conditioning,
    /// Seed of the noise. Two denoisers that are measured with the same seed see the same noisy samples.
    pub seed: u64,
}

impl Default for CurveConfig {
    fn default() -> Self {
        Self {
            batch: 4096,
            draws: 1,
            clamp: None,
            conditioning: Conditioning::default(),
            seed: 0,
        }
    }
}

impl CurveConfig {
    pub(crate) fn check(&self) -> Result<()> {
        let positive = |name, got: usize| match got {
            0 => Err(Error::Parameter {
                name,
                got: "0".into(),
                need: "at least 1",
            }),
            _ => Ok(()),
        };
        positive("batch", self.batch)?;
        positive("draws", self.draws)?;
        match self.clamp {
            Some((low, high)) if !(low < high) => Err(Error::Parameter {
                name: "clamp",
                got: format!("({low}, {high})"),
                need: "an interval with its lower end first",
            }),
            _ => Ok(()),
        }
    }
}

/// Measures `E‖ε − ε̂‖²` of a denoiser on data at each point, with one noise for each sample and point.
///
/// The same data, points and network give the same numbers. More control has [`mse_curve_with`];
/// [`mse_curve_shard`](super::mse_curve_shard) measures a part.
///
/// # Errors
/// As [`mse_curve_with`].
///
/// # Paper
/// Kong, Brekelmans, Ver Steeg (2023), arXiv:2302.03792, the `mmse` of Sec. 2, in the form of Eq. 14.
///
/// # Example: see [`LinearDenoiser`](crate::distribution::LinearDenoiser)
pub fn mse_curve(net: &dyn Denoiser, data: &Dataset, points: &Quadrature) -> Result<MseCurve> {
    mse_curve_with(net, data, points, &CurveConfig::default())
}

/// As [`mse_curve`], with settings.
///
/// # Errors
/// [`Error::Parameter`] for bad settings, and when `f32` cannot hold the data and the noise of the highest log-SNR in
/// one number; [`Error::Mismatch`] when data and network differ in shape, or the network cannot be told the data's
/// conditions; [`Error::Missing`] when it should be, and the data have none; [`Error::Empty`] without points;
/// [`Error::Memory`] when the errors do not fit; [`Error::NotFinite`] when the network returns NaN.
/// [`Error::Interrupted`] carries the [`MseCurve`] of the samples that were finished, if there are any.
///
/// # Numerics
/// The noise of sample `i` at point `j` in draw `d` is a function of `i`, `j`, `d` and the seed, so that the curve
/// does not depend on the batch, nor a sample's error on the samples beside it, unless the network itself rounds
/// otherwise in another batch: matrix products of one row do.
///
/// The squared norm of the noise, whose mean is known to be `dim`, serves as control variate: its deviation
/// is subtracted with the regression slope. At high SNR this takes away most of the sampling error. Errors of single
/// samples are the jackknife's pseudo-values of that estimate.
///
/// # Example: a network that is told the class, on a set of two classes
/// ```
/// use itd_prelude::prelude::*;
/// use itd_prelude::{curve::Conditioning, data::ConditionKind, denoiser::FnDenoiser, denoiser::Parametrization};
///
/// # fn main() -> Result<()> {
/// // N(−1, ¼) or N(1, ¼), and the best denoiser for who is told which.
/// let y: Vec<u32> = (0..200).map(|i| i % 2).collect();
/// let x = rng::normal(&[200, 1], &mut rng::seeded(0))?;
/// let means = Tensor::from_iter(y.iter().map(|&y| 2.0 * y as f32 - 1.0), &Device::Cpu)?.unsqueeze(1)?;
/// let data = Dataset::new("two", ((x * 0.5)? + &means)?)?.given(Condition::Class(y))?;
/// let told = FnDenoiser::new(&[1], Parametrization::X0, |query| {
///     let centers = query.classes(2)?.unwrap_or_default();
///     let centers = Tensor::from_iter(centers.iter().map(|&y| 2.0 * y as f32 - 1.0), &Device::Cpu)?.unsqueeze(1)?;
///     let (signal, noise) = channel::amplitudes(&query.log_snr, &query.z)?;
///     // x̂ = c + ¼ √σ(α) (z − √σ(α) c) / (¼ σ(α) + σ(−α))
///     let spread = ((signal.sqr()? * 0.25)? + noise.sqr()?)?;
///     Ok((&centers + ((((&query.z - (&centers * &signal)?)? * &signal)? * 0.25)? / spread)?)?)
/// })
/// .given(ConditionKind::Class { classes: 2 });
/// let config = CurveConfig { conditioning: Conditioning::Conditional, ..Default::default() };
/// let curve = mse_curve_with(&told, &data, &Quadrature::trapezoid(-2.0, 2.0, 3)?, &config)?;
/// // Each class is a normal of variance ¼: σ(α + ln ¼) at α = 0.
/// check!((curve.mse[1] - 0.2).abs() < 4.0 * curve.std_err[1]);
/// # Ok(()) }
/// ```
pub fn mse_curve_with(
    net: &dyn Denoiser,
    data: &Dataset,
    points: &Quadrature,
    config: &CurveConfig,
) -> Result<MseCurve> {
    let (statistic, engine) = squared_errors(net, data, points, config)?;
    engine.curve(&statistic, "measuring errors", true)
}

/// The statistic and the engine of [`mse_curve_with`].
pub(super) fn squared_errors<'a>(
    net: &'a dyn Denoiser,
    data: &'a Dataset,
    points: &'a Quadrature,
    config: &CurveConfig,
) -> Result<(SquaredError<'a>, Engine<'a>)> {
    config.check()?;
    let statistic = SquaredError {
        net,
        conditioning: config.conditioning,
        clamp: config.clamp,
    };
    statistic.check_conditions(data)?;
    let noise = Noise::addressed(config.seed, config.draws);
    let engine = Engine::new(&statistic, data, points, config.batch, noise)?;
    Ok((statistic, engine))
}

/// Measures a statistic and integrates it over log-SNR: `Σ_j weight_j · value(α_j)` of each sample, averaged over the
/// noises, `[n, width]`.
///
/// The values of single points are not kept, so that maps over the pixels of a sample need the memory of one.
/// `clamp` and `conditioning` of the settings are the statistic's own affair.
///
/// # Errors
/// As [`mse_curve_with`]. [`Error::Interrupted`] carries the array of the samples that were finished.
///
/// # Example: which value of a sample costs how much
/// ```
/// use itd_prelude::prelude::*;
/// use itd_prelude::curve::Conditioning;
/// use itd_prelude::curve::{NoisyBatch, Statistic, measure};
/// use itd_prelude::distribution::LinearDenoiser;
///
/// /// The squared error of each value.
/// struct PerValue<'a>(&'a LinearDenoiser);
///
/// impl Statistic for PerValue<'_> {
///     fn denoisers(&self) -> Vec<&dyn Denoiser> {
///         vec![self.0]
///     }
///     fn width(&self) -> usize {
///         2
///     }
///     fn values(&self, batch: &NoisyBatch) -> Result<Tensor> {
///         Ok((&batch.eps - batch.eps_hat(self.0, Conditioning::Unconditional)?)?.sqr()?)
///     }
/// }
///
/// # fn main() -> Result<()> {
/// let data = toy::correlated_gaussian(1000, 0)?.test;
/// let net = data.gaussian()?.denoiser(&[2])?;
/// let points = Quadrature::trapezoid(-4.0, 4.0, 9)?;
/// let each = measure(&PerValue(&net), &data, &points, &CurveConfig::default())?;
/// assert_eq!(each.dim(), (100, 2));
/// // Both values together are what lies under the curve.
/// let curve = mse_curve(&net, &data, &points)?;
/// let (sum, under) = (each.sum() / 100.0, 2.0 * curve.area()?.nats);
/// assert!((sum / under - 1.0).abs() < 0.05); // the curve has its control variate
/// # Ok(()) }
/// ```
pub fn measure(
    statistic: &dyn Statistic,
    data: &Dataset,
    points: &Quadrature,
    config: &CurveConfig,
) -> Result<Array2<f64>> {
    config.check()?;
    let noise = Noise::addressed(config.seed, config.draws);
    let engine = Engine::new(statistic, data, points, config.batch, noise)?;
    engine.sums(statistic, "measuring")
}

/// Where the noise comes from.
pub(crate) enum Noise {
    /// For each sample, point and draw from an address of its own.
    Addressed {
        /// What the addresses are made from.
        key: Key,
        /// Noises for each sample and point.
        draws: usize,
    },
    /// The same noises for all samples, a rule of nodes and weights for each point.
    Common(Vec<Cubature>),
}

impl Noise {
    /// Noise with the seed of a curve.
    pub(crate) fn addressed(seed: u64, draws: usize) -> Self {
        Self::Addressed {
            key: Key::new(seed, "curve noise"),
            draws,
        }
    }

    pub(super) fn draws(&self) -> usize {
        match self {
            Self::Addressed { draws, .. } => *draws,
            Self::Common(rules) => rules.iter().map(Cubature::len).max().unwrap_or(0),
        }
    }

    /// The share of a draw in the mean over the noises, times the number of draws.
    fn weight(&self, point: usize, draw: usize) -> f64 {
        match self {
            Self::Addressed { .. } => 1.0,
            Self::Common(rules) => rules[point].weights()[draw] * rules[point].len() as f64,
        }
    }

    fn fill(&self, sample: usize, point: usize, draw: usize, eps: &mut [f64]) {
        match self {
            Self::Addressed { key, .. } => {
                let mut rng = key.at((sample as u64) << 32 | point as u64, draw as u32);
                eps.fill_with(|| rng.sample(StandardNormal));
            }
            Self::Common(rules) => eps.copy_from_slice(rules[point].node(draw)),
        }
    }

    pub(super) fn key(&self) -> String {
        match self {
            Self::Addressed { key, .. } => key.to_string(),
            Self::Common(_) => String::new(),
        }
    }
}

/// What is measured on and how, all of it checked.
pub(crate) struct Engine<'a> {
    pub(super) data: &'a Dataset,
    pub(super) points: &'a Quadrature,
    pub(super) plan: BatchPlan,
    pub(super) noise: Noise,
    device: Device,
    dtype: DType,
}

/// Values of noisy samples that are made at once, at most.
const VALUES: usize = 1 << 24;

impl<'a> Engine<'a> {
    pub(crate) fn new(
        statistic: &dyn Statistic,
        data: &'a Dataset,
        points: &'a Quadrature,
        batch: usize,
        noise: Noise,
    ) -> Result<Self> {
        points.check()?;
        let nets = statistic.denoisers();
        let Some(first) = nets.first() else {
            return Err(Error::Empty {
                what: "the list of denoisers",
            });
        };
        for net in &nets {
            same_shape(data, *net)?;
            if !net.device().same_device(first.device()) {
                return Err(Error::Mismatch {
                    what: "the denoisers' devices",
                    left: format!("{:?}", first.device()),
                    right: format!("{:?}", net.device()),
                    next: "make all on one device",
                });
            }
        }
        // Each gets the noisy samples in the finest type that one of them computes in.
        let fine = nets.iter().any(|net| net.dtype() == DType::F64);
        let dtype = if fine { DType::F64 } else { DType::F32 };
        if nets.iter().any(|net| net.dtype() == DType::F32) {
            channel::check_precision(&data.x, points)?;
        }
        memory::keep();
        let batch = nets.iter().map(|net| net.batch()).fold(batch, usize::min);
        let batch = batch.min(VALUES / data.dim().max(1)).max(1);
        Ok(Self {
            data,
            points,
            plan: BatchPlan::new(data.len(), points.len(), batch),
            noise,
            device: first.device().clone(),
            dtype,
        })
    }

    /// The curve of a statistic of one number.
    pub(crate) fn curve(
        &self,
        statistic: &dyn Statistic,
        what: &str,
        control: bool,
    ) -> Result<MseCurve> {
        let (n, k) = (self.data.len(), self.points.len());
        room_for::<[f64; 4]>("the errors of all samples", &[n, k])?;
        let mut sums = Accumulator::new(k);
        let end = self.add(&Shard::WHOLE, statistic, what, &mut sums);
        let control = control.then(|| self.data.dim());
        let curve = sums.curve(self.points, self.noise.draws(), self.data.dim(), control);
        match (end, curve) {
            (Ok(()), curve) => {
                let data = Some(self.data.digest_unheard()?);
                curve.map(|curve| MseCurve { data, ..curve })
            }
            (Err(Error::Interrupted(stopped)), Ok(curve)) => {
                let data = Some(self.data.take(curve.n)?.digest_unheard()?);
                Err(Error::Interrupted(stopped.with(MseCurve { data, ..curve })))
            }
            (Err(error), _) => Err(error),
        }
    }

    /// The curves of a statistic of several numbers, one for each, of the same noisy samples.
    pub(crate) fn curves(&self, statistic: &dyn Statistic, what: &str) -> Result<Vec<MseCurve>> {
        let (n, k, width) = (self.data.len(), self.points.len(), statistic.width());
        room_for::<f64>("the numbers of all samples", &[n, k, width])?;
        let mut all = vec![Array2::<f64>::zeros((n, k)); width];
        let draws = self.noise.draws() as f64;
        self.run(&Shard::WHOLE, statistic, what, |samples, points, batch| {
            let rows = points
                .clone()
                .flat_map(|j| samples.clone().map(move |i| (i, j)));
            for (at, values) in rows.zip(batch.values.chunks(width)) {
                for (one, value) in all.iter_mut().zip(values) {
                    one[at] = value / draws;
                }
            }
        })?;
        let digest = self.data.digest_unheard()?;
        let curve = |errors| {
            MseCurve::of_errors(self.points, self.data.dim(), errors, Some(digest.clone()))
        };
        all.into_iter().map(curve).collect()
    }

    /// The weighted sums over the points, `[n, width]`.
    pub(crate) fn sums(&self, statistic: &dyn Statistic, what: &str) -> Result<Array2<f64>> {
        let (n, width) = (self.data.len(), statistic.width());
        room_for::<f64>("the sums of all samples", &[n, width])?;
        let mut sums = Array2::<f64>::zeros((n, width));
        let mut finished = 0;
        let draws = self.noise.draws() as f64;
        let end = self.run(&Shard::WHOLE, statistic, what, |samples, points, batch| {
            let rows = points
                .clone()
                .flat_map(|j| samples.clone().map(move |i| (i, j)));
            for ((i, j), values) in rows.zip(batch.values.chunks(width)) {
                let weight = self.points.weight[j] / draws;
                let sums = sums.row_mut(i);
                sums.into_iter()
                    .zip(values)
                    .for_each(|(sum, value)| *sum += weight * value);
            }
            // A block of samples goes through all its points before the next.
            if points.end == self.points.len() {
                finished = samples.end;
            }
        });
        match end {
            Ok(()) => Ok(sums),
            Err(Error::Interrupted(stopped)) if finished > 0 => {
                let there = sums.slice(ndarray::s![..finished, ..]).to_owned();
                Err(Error::Interrupted(stopped.with(there)))
            }
            Err(error) => Err(error),
        }
    }

    /// Measures a shard, adding batch by batch; after an error those before it are there.
    pub(super) fn add(
        &self,
        shard: &Shard,
        statistic: &dyn Statistic,
        what: &str,
        sums: &mut Accumulator,
    ) -> Result<()> {
        self.run(shard, statistic, what, |_, points, batch| {
            sums.extend(points.clone(), &batch);
        })
    }

    /// Measures batch by batch, and gives each to `take`: the numbers of its samples and points, and the sums.
    pub(crate) fn run(
        &self,
        shard: &Shard,
        statistic: &dyn Statistic,
        what: &str,
        mut take: impl FnMut(&Range<usize>, &Range<usize>, BatchSums),
    ) -> Result<()> {
        self.plan.check(shard)?;
        let tiles = self.plan.of(shard);
        let rounds = tiles.len().saturating_mul(self.noise.draws());
        let what = match shard.count {
            1 => what.to_owned(),
            count => format!("{what}, shard {} of {count}", shard.index),
        };
        let mut bar = Progress::new(what, rounds as u64);
        for (samples, points) in tiles {
            let batch = self.batch(statistic, &samples, &points, || bar.step())?;
            take(&samples, &points, batch);
        }
        bar.finish();
        Ok(())
    }

    /// The statistic of a batch; `step` is called after each draw.
    pub(super) fn batch(
        &self,
        statistic: &dyn Statistic,
        samples: &Range<usize>,
        points: &Range<usize>,
        mut step: impl FnMut() -> Result<()>,
    ) -> Result<BatchSums> {
        let x = self.data.x.narrow(0, samples.start, samples.len())?;
        let x = x.to_device(&self.device)?.to_dtype(self.dtype)?;
        let (x, log_snr) = channel::spread(&x, &self.points.log_snr[points.clone()])?;
        let y = match &self.data.y {
            None => None,
            Some(_) => {
                let y = self.data.y()?.narrow(samples.start, samples.len())?;
                Some(y.repeat(points.len())?)
            }
        };
        let (rows, width) = (samples.len() * points.len(), statistic.width());
        let mut sums = BatchSums {
            values: vec![0.0; rows * width],
            noise: vec![0.0; rows],
        };
        for draw in 0..self.noise.draws() {
            let (eps, squares) = self.noise(samples, points, draw);
            let eps = Tensor::from_vec(eps, x.shape(), &Device::Cpu)?;
            let eps = eps.to_dtype(self.dtype)?.to_device(&self.device)?;
            let batch = NoisyBatch {
                z: channel::mix(&x, &eps, &log_snr)?,
                x: x.clone(),
                eps,
                log_snr: log_snr.clone(),
                y: y.clone(),
                samples: samples.clone(),
                points: points.clone(),
            };
            let values = statistic.values(&batch)?;
            if values.elem_count() != rows * width {
                return Err(Error::Shape {
                    what: "the statistic's values",
                    got: values.dims().to_vec(),
                    need: format!("[{rows}, {width}], or [{rows}] for one number a sample"),
                });
            }
            let values = values.to_device(&Device::Cpu)?.to_dtype(DType::F64)?;
            let values: Vec<f64> = values.flatten_all()?.to_vec1()?;
            if let Some(&bad) = values.iter().find(|value| !value.is_finite()) {
                return Err(Error::NotFinite {
                    what: "the error of the network",
                    got: bad,
                    next: "look at its parameters: training may have diverged",
                });
            }
            let weight = |row: usize| {
                let point = points.start + row / samples.len().max(1);
                self.noise.weight(point, draw)
            };
            for (row, values) in values.chunks(width).enumerate() {
                let weight = weight(row);
                let sums = &mut sums.values[row * width..][..width];
                sums.iter_mut()
                    .zip(values)
                    .for_each(|(sum, value)| *sum += weight * value);
            }
            for (row, square) in squares.into_iter().enumerate() {
                sums.noise[row] += weight(row) * square;
            }
            step()?;
        }
        Ok(sums)
    }

    /// The noise of a batch, `[points, samples, dim]`, and the squared norm of each.
    fn noise(
        &self,
        samples: &Range<usize>,
        points: &Range<usize>,
        draw: usize,
    ) -> (Vec<f64>, Vec<f64>) {
        /// Numbers that are worth a thread.
        const WORTH: usize = 8192;
        let dim = self.data.dim().max(1);
        let mut eps = vec![0f64; points.len() * samples.len() * dim];
        let b = samples.len();
        let rows = eps.par_chunks_mut(dim).with_min_len(WORTH.div_ceil(dim));
        let squares = rows.enumerate().map(|(row, eps)| {
            let (i, j) = (samples.start + row % b, points.start + row / b);
            self.noise.fill(i, j, draw, eps);
            eps.iter().map(|eps| eps * eps).sum()
        });
        let squares = squares.collect();
        (eps, squares)
    }
}

/// The statistic of a batch, `[points, samples, width]`, and the squared norm of the noise, `[points, samples]`, both
/// summed over the noises.
pub(crate) struct BatchSums {
    pub(crate) values: Vec<f64>,
    pub(super) noise: Vec<f64>,
}
