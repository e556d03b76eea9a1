//! Distributions of single numbers about which everything is known.

mod interval;
mod posterior;

use std::f64::consts::PI;

use candle_core::{DType, Device, Tensor};
use rand::{Rng as _, RngCore};
use rand_distr::StandardNormal;
use rayon::prelude::*;

use super::linear::{restore, rows};
use super::{Distribution, Gaussian, check_rows, same_dim};
use crate::cell;
use crate::cell::memory::room_for;
use crate::curve::MseCurve;
use crate::data::Grid;
use crate::denoiser::{Denoiser, Query};
use crate::error::{Error, Interrupted, Result};
use crate::estimate::Estimate;
use crate::gauss_legendre::gauss;
use crate::logsnr::Quadrature;
use crate::rounds::Rounds;
use crate::stats::{self, sigmoid};

pub use interval::log_mass;
pub use posterior::Posterior;

/// One component of a [`Scalar`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Component {
    /// Always this number.
    Point(f64),
    /// A normal of that mean and variance.
    Normal(f64, f64),
    /// A number between two ends, each equally likely.
    Uniform(f64, f64),
}

/// A random number drawn from a mixture of points, normals and intervals.
///
/// What the channel `z = √γ·x + ε` does to it is known in closed form, up to integrals over one
/// variable, which are computed here to about ten digits. So each statement of the theory can be checked
/// without sampling. `γ` is the SNR itself here, not its logarithm, since these are the paper's formulas.
///
/// # Example: a fair coin on ±1, whose mmse at γ = 1 is 0.4496
/// ```
/// use itd_prelude::distribution::Scalar;
///
/// let coin = Scalar::coin();
/// assert!((coin.mmse(1.0) - 0.449600).abs() < 1e-6);
/// // At a high SNR z tells all: one bit.
/// assert!((coin.mutual_information(50.0) - 2f64.ln()).abs() < 1e-9);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Scalar {
    components: Vec<(f64, Component)>,
}

/// Numbers that are drawn between two looks for an interrupt.
const AT_ONCE: usize = 1 << 20;

impl Scalar {
    /// A mixture; the weights are scaled to sum to 1.
    ///
    /// # Errors
    /// [`Error::Empty`] without components; [`Error::Parameter`] unless weights are finite and > 0, numbers finite,
    /// variances > 0, intervals not empty, and the variance of all together is finite.
    pub fn new(components: &[(f64, Component)]) -> Result<Self> {
        if components.is_empty() {
            return Err(Error::Empty {
                what: "the distribution",
            });
        }
        for (weight, component) in components {
            let fits = match *component {
                Component::Point(x) => x.is_finite(),
                Component::Normal(mean, variance) => {
                    mean.is_finite() && variance > 0.0 && variance.is_finite()
                }
                Component::Uniform(low, high) => low < high && (high - low).is_finite(),
            };
            if !(fits && *weight > 0.0 && weight.is_finite()) {
                return Err(Error::Parameter {
                    name: "a component of the distribution",
                    got: format!("{weight} × {component:?}"),
                    need: "of finite numbers, with weight and variance > 0 and the lower end first",
                });
            }
        }
        let total: f64 = components.iter().map(|(weight, _)| weight).sum();
        let share = |&(weight, component): &(f64, Component)| (weight / total, component);
        let all = Self {
            components: components.iter().map(share).collect(),
        };
        match total.is_finite() && all.variance().is_finite() {
            true => Ok(all),
            false => Err(Error::Parameter {
                name: "the distribution",
                got: format!("of weight {total} and variance {}", all.variance()),
                need: "of a finite weight and a finite variance: take smaller numbers",
            }),
        }
    }

    /// A fair coin: −1 or 1.
    pub fn coin() -> Self {
        Self {
            components: vec![(0.5, Component::Point(-1.0)), (0.5, Component::Point(1.0))],
        }
    }

    /// One of the levels of a grid, each equally likely.
    ///
    /// # Errors
    /// As [`Grid::new`]; [`Error::Memory`] when the levels do not fit.
    pub fn levels(grid: Grid) -> Result<Self> {
        grid.check()?;
        room_for::<(f64, Component)>("the levels", &[grid.levels])?;
        let level = |i| (1.0 / grid.levels as f64, Component::Point(grid.level(i)));
        Ok(Self {
            components: (0..grid.levels).map(level).collect(),
        })
    }

    /// A normal.
    ///
    /// # Errors
    /// As [`Self::new`], also below.
    pub fn normal(mean: f64, variance: f64) -> Result<Self> {
        Self::new(&[(1.0, Component::Normal(mean, variance))])
    }

    /// Uniform on an interval.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn uniform(low: f64, high: f64) -> Result<Self> {
        Self::new(&[(1.0, Component::Uniform(low, high))])
    }

    /// Weights, which sum to 1, and components.
    pub fn components(&self) -> &[(f64, Component)] {
        &self.components
    }

    /// `E[x]`.
    pub fn mean(&self) -> f64 {
        let mean = |component| match component {
            Component::Point(x) | Component::Normal(x, _) => x,
            Component::Uniform(low, high) => low + 0.5 * (high - low),
        };
        self.components.iter().map(|&(w, one)| w * mean(one)).sum()
    }

    /// `Var[x]`.
    pub fn variance(&self) -> f64 {
        let center = self.mean();
        let square = |component| match component {
            Component::Point(x) => (x - center).powi(2),
            Component::Normal(mean, variance) => (mean - center).powi(2) + variance,
            Component::Uniform(low, high) => {
                (low + 0.5 * (high - low) - center).powi(2) + (high - low).powi(2) / 12.0
            }
        };
        self.components
            .iter()
            .map(|&(w, one)| w * square(one))
            .sum()
    }

    /// The Gaussian with the mean and variance of `dim` independent numbers from this distribution.
    ///
    /// # Errors
    /// [`Error::Empty`] when `dim` is 0, [`Error::Memory`] when the values do not fit.
    pub fn gaussian(&self, dim: usize) -> Result<Gaussian> {
        room_for::<[f64; 2]>("the mean and the variances", &[dim])?;
        Gaussian::diagonal(vec![self.mean(); dim], vec![self.variance(); dim])
    }

    /// `−ln p(x)` in nats: of a probability when all components are points, of a density when none is.
    /// Infinite where there is none.
    pub fn surprisal(&self, x: f64) -> f64 {
        self.surprisal_of(x, false)
    }

    /// The same of a number that was perhaps rounded to single precision, as points and ends of intervals are then.
    fn surprisal_of(&self, x: f64, single: bool) -> f64 {
        let same = |at: f64| {
            // A level reached by arithmetic is the same level.
            (at - x).abs() <= 1e-9 * at.abs().max(1.0) || single && at as f32 == x as f32
        };
        let inside = |low: f64, high: f64| {
            (low..=high).contains(&x) || single && (low as f32..=high as f32).contains(&(x as f32))
        };
        let log = |&(weight, component): &(f64, Component)| {
            let log: f64 = match component {
                Component::Point(at) if same(at) => 0.0,
                Component::Uniform(low, high) if inside(low, high) => -(high - low).ln(),
                Component::Normal(mean, variance) => log_normal(x - mean, variance),
                _ => f64::NEG_INFINITY,
            };
            weight.ln() + log
        };
        -stats::log_sum_exp(&self.components.iter().map(log).collect::<Vec<_>>())
    }

    /// The entropy in nats: Shannon's when all components are points, the differential one when none is; infinite
    /// (below) for a mixture of both. NaN when the user stops it.
    pub fn entropy(&self) -> f64 {
        let is_point = |component: &Component| matches!(component, Component::Point(_));
        if self.components.iter().all(|(_, one)| is_point(one)) {
            let term = |&(w, component): &(f64, Component)| match component {
                Component::Point(x) if !cell::interrupted() => w * self.surprisal(x),
                _ => f64::NAN,
            };
            return self.components.iter().map(term).sum();
        }
        if self.components.iter().any(|(_, one)| is_point(one)) {
            return f64::NEG_INFINITY;
        }
        // Between two neighbouring ends of intervals the density is smooth.
        let ends = self.components.iter().flat_map(|(_, one)| one.reach());
        let mut cuts: Vec<f64> = ends.collect();
        cuts.sort_by(f64::total_cmp);
        cuts.dedup();
        let panel = |pair: &[f64]| {
            if cell::interrupted() {
                return f64::NAN;
            }
            gauss(pair[0], pair[1], 40, |x| {
                let surprisal = self.surprisal(x);
                if surprisal.is_finite() {
                    surprisal * (-surprisal).exp()
                } else {
                    0.0
                }
            })
        };
        cuts.windows(2).map(panel).sum()
    }

    /// Draws `n` numbers.
    ///
    /// # Errors
    /// [`Error::Memory`] when they do not fit, [`Error::Interrupted`] when the user stops it.
    pub fn sample(&self, n: usize, rng: &mut (impl RngCore + ?Sized)) -> Result<Vec<f64>> {
        room_for::<f64>("the numbers", &[n])?;
        let mut one = |_| {
            let mut share = rng.random::<f64>();
            let last = self.components.len() - 1;
            let chosen = self.components[..last].iter().find(|(weight, _)| {
                share -= weight;
                share < 0.0
            });
            match chosen.unwrap_or(&self.components[last]).1 {
                Component::Point(x) => x,
                Component::Normal(mean, variance) => {
                    mean + variance.sqrt() * rng.sample::<f64, _>(StandardNormal)
                }
                Component::Uniform(low, high) => rng.random_range(low..high),
            }
        };
        let mut all = Vec::with_capacity(n);
        while all.len() < n {
            if cell::interrupted() {
                let stopped = Interrupted::new("numbers", all.len() as u64, n as u64);
                return Err(Error::Interrupted(stopped));
            }
            all.extend((all.len()..n).take(AT_ONCE).map(&mut one));
        }
        Ok(all)
    }

    /// `dim` independent numbers from this distribution, as a distribution of vectors.
    ///
    /// # Errors
    /// [`Error::Empty`] when `dim` is 0.
    pub fn iid(&self, dim: usize) -> Result<Iid> {
        match dim {
            0 => Err(Error::Empty {
                what: "the list of dimensions",
            }),
            _ => Ok(Iid {
                scalar: self.clone(),
                dim,
            }),
        }
    }

    /// The best denoiser of samples of `shape` whose values are independent and from this distribution.
    ///
    /// # Errors
    /// [`Error::Empty`] when the shape holds no values.
    pub fn denoiser(&self, shape: &[usize]) -> Result<IidDenoiser> {
        self.iid(shape.iter().product())?.denoiser(shape)
    }
}

/// Independent numbers from one [`Scalar`]; made by [`Scalar::iid`].
///
/// # Example: the entropy of a uniform square, `2 ln(2√3) = 2.4849`
/// ```
/// use itd_prelude::prelude::*;
///
/// # fn main() -> Result<()> {
/// let square = Scalar::uniform(-3f64.sqrt(), 3f64.sqrt())?.iid(2)?;
/// let points = Logistic::new(3.0, 2.0, 6.0)?.quadrature(200)?;
/// let entropy = square.curve(&points)?.nll(&Gaussian::standard(2)?)?;
/// check!(close(entropy.nats, 2.0 * 12f64.sqrt().ln(), 0.002));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Iid {
    scalar: Scalar,
    dim: usize,
}

impl Iid {
    /// The distribution of each number.
    pub fn scalar(&self) -> &Scalar {
        &self.scalar
    }

    /// The best denoiser of samples of a shape.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when the shape has another number of values.
    pub fn denoiser(&self, shape: &[usize]) -> Result<IidDenoiser> {
        same_dim(self.dim, shape)?;
        Ok(IidDenoiser {
            scalar: self.scalar.clone(),
            shape: shape.to_vec(),
        })
    }
}

impl Distribution for Iid {
    fn dim(&self) -> usize {
        self.dim
    }

    fn entropy(&self) -> Result<Estimate> {
        let nats = self.dim as f64 * self.scalar.entropy();
        if cell::interrupted() {
            return Err(Error::Interrupted(Interrupted::new("entropy", 0, 1)));
        }
        match nats.is_finite() {
            true => Ok(Estimate::exact(nats).of_dim(self.dim)),
            false => Err(Error::Degenerate {
                zeros: self.dim,
                dim: self.dim,
            }),
        }
    }

    /// A sum over the values; of a probability where all components are points.
    fn log_prob(&self, x: &Tensor) -> Result<Vec<f64>> {
        check_rows(x, self.dim)?;
        let single = x.dtype() != DType::F64;
        let rows: Vec<Vec<f64>> = x.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.to_vec2()?;
        let mut work = Rounds::new("log-probabilities", rows.len(), 0.0);
        let mut found = Vec::with_capacity(rows.len());
        for row in &rows {
            let surprisal = |&x: &f64| self.scalar.surprisal_of(x, single);
            found.push(-row.iter().map(surprisal).sum::<f64>());
            work.step()?;
        }
        Ok(found)
    }

    fn sample(&self, n: usize, rng: &mut dyn RngCore) -> Result<Tensor> {
        let count = room_for::<f32>("the samples", &[n, self.dim])?;
        let values = self.scalar.sample(count, rng)?;
        let values = values.into_iter().map(|x| x as f32);
        Ok(Tensor::from_vec(
            values.collect(),
            (n, self.dim),
            &Device::Cpu,
        )?)
    }

    fn denoiser(&self, shape: &[usize]) -> Result<Box<dyn Denoiser>> {
        Ok(Box::new(self.denoiser(shape)?))
    }

    /// `dim · γ · mmse(γ)` at `γ = e^α`, without sampling, right to about ten digits.
    fn curve(&self, points: &Quadrature) -> Result<MseCurve> {
        points.check()?;
        let at = |alpha: &f64| match cell::interrupted() {
            true => f64::NAN,
            false => self.dim as f64 * alpha.exp() * self.scalar.mmse(alpha.exp()),
        };
        let mse: Vec<f64> = points.log_snr.par_iter().map(at).collect();
        if cell::interrupted() {
            let planned = points.len() as u64;
            let done = mse.iter().filter(|mse| mse.is_finite()).count() as u64;
            let stopped = Interrupted::new("the curve of a distribution", done, planned);
            return Err(Error::Interrupted(stopped.counted_in("points")));
        }
        MseCurve::exact(points, self.dim, mse)
    }
}

/// A single number.
impl Distribution for Scalar {
    fn dim(&self) -> usize {
        1
    }

    fn entropy(&self) -> Result<Estimate> {
        self.iid(1)?.entropy()
    }

    fn log_prob(&self, x: &Tensor) -> Result<Vec<f64>> {
        self.iid(1)?.log_prob(x)
    }

    fn sample(&self, n: usize, rng: &mut dyn RngCore) -> Result<Tensor> {
        Distribution::sample(&self.iid(1)?, n, rng)
    }

    fn denoiser(&self, shape: &[usize]) -> Result<Box<dyn Denoiser>> {
        Ok(Box::new(self.iid(1)?.denoiser(shape)?))
    }

    fn curve(&self, points: &Quadrature) -> Result<MseCurve> {
        self.iid(1)?.curve(points)
    }
}

/// The best denoiser of samples whose values are independent and from one [`Scalar`]; made by [`Iid::denoiser`].
#[derive(Debug, Clone)]
pub struct IidDenoiser {
    scalar: Scalar,
    shape: Vec<usize>,
}

impl Denoiser for IidDenoiser {
    fn eps_hat(&self, query: &Query) -> Result<Tensor> {
        let (z, alpha) = rows(query, self.dim())?;
        let dim = self.dim();
        let mut values: Vec<f64> = z.flatten_all()?.to_vec1()?;
        let rows = values.par_chunks_mut(dim.max(1)).zip(&alpha);
        rows.for_each(|(row, &alpha)| {
            if cell::interrupted() {
                return;
            }
            let (signal, noise) = (sigmoid(alpha).sqrt(), sigmoid(-alpha).sqrt());
            for value in row {
                // √γ·x + ε is z divided by the noise's amplitude.
                let x = self.scalar.posterior(*value / noise, alpha.exp()).mean;
                *value = (*value - signal * x) / noise;
            }
        });
        if cell::interrupted() {
            let stopped = Interrupted::new("denoising", 0, alpha.len() as u64);
            return Err(Error::Interrupted(stopped.counted_in("samples")));
        }
        let rows = Tensor::from_vec(values, (alpha.len(), dim), &Device::Cpu)?;
        restore(&rows, query)
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn dtype(&self) -> DType {
        DType::F64
    }
}

/// Noise beyond so many standard deviations is left out: it comes once in 10¹⁸.
pub(super) const REACH: f64 = 9.0;

impl Component {
    /// What lies outside has no weight that a computer could see.
    pub(super) fn reach(self) -> [f64; 2] {
        match self {
            Component::Point(x) => [x, x],
            Component::Normal(mean, v) => [mean - REACH * v.sqrt(), mean + REACH * v.sqrt()],
            Component::Uniform(low, high) => [low, high],
        }
    }
}

/// `ln N(x; 0, variance)`.
pub(super) fn log_normal(x: f64, variance: f64) -> f64 {
    -0.5 * (x * x / variance + (2.0 * PI * variance).ln())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::rng;

    pub(in crate::distribution) fn all() -> Vec<Scalar> {
        let parts = [
            (1.0, Component::Normal(-1.0, 0.3)),
            (2.0, Component::Uniform(0.0, 1.5)),
            (0.5, Component::Normal(2.0, 0.01)),
        ];
        vec![
            Scalar::coin(),
            Scalar::levels(Grid::new(-1.0, 1.0, 5).unwrap()).unwrap(),
            Scalar::normal(0.5, 2.0).unwrap(),
            Scalar::uniform(-1.0, 3.0).unwrap(),
            Scalar::new(&parts).unwrap(),
        ]
    }

    /// Samples are in single precision, in which most levels are rounded.
    #[test]
    fn its_own_samples_have_a_probability() {
        let rng = &mut rng::seeded(0);
        let levels = Scalar::levels(Grid::new(-1.0, 1.0, 256).unwrap()).unwrap();
        let draws = Distribution::sample(&levels, 400, rng).unwrap();
        for log_p in levels.log_prob(&draws).unwrap() {
            assert!((log_p + 256f64.ln()).abs() < 1e-12, "{log_p}");
        }
        let narrow = Scalar::uniform(1e6 / 3.0, 1e6 / 3.0 + 0.05).unwrap();
        let draws = Distribution::sample(&narrow, 400, rng).unwrap();
        assert!(
            narrow
                .log_prob(&draws)
                .unwrap()
                .iter()
                .all(|log_p| log_p.is_finite())
        );
        // Between two levels there is none.
        let other = Tensor::new(&[[0.001f32]], &Device::Cpu).unwrap();
        assert_eq!(levels.log_prob(&other).unwrap(), [f64::NEG_INFINITY]);
        assert!(matches!(
            levels.sample(1 << 44, rng),
            Err(Error::Memory { .. })
        ));
    }

    #[test]
    fn moments_and_entropies_are_known() {
        let box_ = Scalar::uniform(-(3f64.sqrt()), 3f64.sqrt()).unwrap();
        assert!((box_.variance() - 1.0).abs() < 1e-15 && box_.mean().abs() < 1e-15);
        assert!((box_.entropy() - 12f64.sqrt().ln()).abs() < 1e-12);
        assert!((Scalar::coin().entropy() - 2f64.ln()).abs() < 1e-15);
        assert_eq!(Scalar::coin().surprisal(0.5), f64::INFINITY);
        let mixed = Scalar::new(&[
            (1.0, Component::Point(0.0)),
            (1.0, Component::Normal(0.0, 1.0)),
        ])
        .unwrap();
        assert_eq!(mixed.entropy(), f64::NEG_INFINITY);
        for source in all() {
            let draws = source.sample(20_000, &mut rng::seeded(0)).unwrap();
            let off = (stats::mean(&draws) - source.mean()).abs();
            assert!(off < 4.0 * stats::std_err(&draws), "{source:?}");
            let ratio = stats::variance(&draws) / source.variance();
            assert!((ratio - 1.0).abs() < 0.05, "{source:?}");
        }
    }

    #[test]
    fn bad_sources_are_refused() {
        assert!(Scalar::new(&[]).is_err());
        for component in [
            Component::Point(f64::NAN),
            Component::Normal(0.0, 0.0),
            Component::Normal(0.0, f64::NAN),
            Component::Uniform(1.0, 1.0),
        ] {
            assert!(Scalar::new(&[(1.0, component)]).is_err());
        }
        assert!(Scalar::new(&[(0.0, Component::Point(0.0))]).is_err());
    }

    #[test]
    fn the_denoiser_of_a_coin_is_the_tangent() {
        let net = Scalar::coin().denoiser(&[1]).unwrap();
        let (z, alpha) = (0.4f64, 1.2f64);
        let row = Tensor::new(&[[z]], &Device::Cpu).unwrap();
        let query = Query::new(&row, &Tensor::new(&[alpha], &Device::Cpu).unwrap());
        let eps = net.denoise(&query).unwrap().to_vec2::<f64>().unwrap()[0][0];
        let (signal, noise) = (sigmoid(alpha).sqrt(), sigmoid(-alpha).sqrt());
        let x = (signal * z / (noise * noise)).tanh();
        assert!((eps - (z - signal * x) / noise).abs() < 1e-12);
    }

    #[test]
    fn vectors_of_independent_numbers_add_up() {
        let square = Scalar::uniform(-1.0, 1.0).unwrap().iid(3).unwrap();
        assert!((square.entropy().unwrap().nats - 3.0 * 2f64.ln()).abs() < 1e-12);
        let x = Distribution::sample(&square, 5, &mut rng::seeded(0)).unwrap();
        for log in square.log_prob(&x).unwrap() {
            assert!((log + 3.0 * 2f64.ln()).abs() < 1e-12);
        }
        let points = Quadrature::trapezoid(-2.0, 2.0, 3).unwrap();
        let (one, three) = (
            Distribution::curve(square.scalar(), &points).unwrap(),
            square.curve(&points).unwrap(),
        );
        assert!((three.mse[1] - 3.0 * one.mse[1]).abs() < 1e-12);
        assert!(Scalar::coin().denoiser(&[0]).is_err());
        assert!(square.denoiser(&[2]).is_err());
        let both = [
            (1.0, Component::Point(0.0)),
            (1.0, Component::Normal(0.0, 1.0)),
        ];
        assert!(Distribution::entropy(&Scalar::new(&both).unwrap()).is_err());
    }
}
