//! Denoisers that know that clean values lie on a grid.

use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;

use super::{Denoiser, Query};
use crate::channel;
use crate::data::{ConditionKind, Grid};
use crate::error::{Error, Result};

/// How an estimate of a clean value is drawn to the levels of a grid.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rounding {
    /// To the mean of the levels, weighted with how near they lie: `Σ_b b · softmax_b(−½ (x̂ − b)² (1 + γ))`.
    ///
    /// Best at high SNR; at low SNR it pulls values apart that are rightly near the middle, and hurts.
    ///
    /// # Paper
    /// Kong, Brekelmans, Ver Steeg (2023), arXiv:2302.03792, App. B.4.
    Soft(Grid),
    /// To the nearest level.
    Hard(Grid),
}

/// A denoiser whose estimate `x̂` is rounded.
///
/// # Example: at a high SNR nothing is left of the error
/// ```
/// use itd_prelude::prelude::*;
///
/// # fn main() -> Result<()> {
/// let digits = digits()?;
/// let net = digits.train.gaussian()?.denoiser(digits.shape())?;
/// let points = Quadrature::trapezoid(9.0, 10.0, 2)?;
/// let test = digits.test.take(10)?;
/// let soft = net.rounded(Rounding::Soft(digits.grid()?));
/// let (plain, rounded) = (mse_curve(&net, &test, &points)?, mse_curve(&soft, &test, &points)?);
/// check!(plain.mse[1] > 30.0 && rounded.mse[1] < 1e-3);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Rounded<D> {
    net: D,
    rounding: Rounding,
}

impl<D: Denoiser> Rounded<D> {
    /// Rounds what `net` estimates. A reference to a denoiser is one, too.
    pub fn new(net: D, rounding: Rounding) -> Self {
        Self { net, rounding }
    }
}

impl<D: Denoiser> Denoiser for Rounded<D> {
    /// `ε̂` of the rounded estimate.
    ///
    /// # Numerics
    /// Rounding is done on the CPU, in `f64`. Going from `x̂` back to `ε̂` loses about `10⁻⁷·e^{α/2}` in `f32`.
    fn eps_hat(&self, query: &Query) -> Result<Tensor> {
        let Query { z, log_snr, .. } = query;
        let eps = self.net.denoise(query)?;
        let x = channel::eps_to_x(z, &eps, log_snr)?;
        let x = round(&x, log_snr, self.rounding)?;
        channel::x_to_eps(z, &x, log_snr)
    }

    fn shape(&self) -> &[usize] {
        self.net.shape()
    }

    fn device(&self) -> &Device {
        self.net.device()
    }

    fn condition(&self) -> Option<ConditionKind> {
        self.net.condition()
    }

    fn dtype(&self) -> DType {
        self.net.dtype()
    }

    fn batch(&self) -> usize {
        match self.rounding {
            Rounding::Hard(_) => self.net.batch(),
            // At a low SNR every level has a share in the mean.
            Rounding::Soft(grid) => {
                let each = self.dim() as f64 * grid.levels as f64;
                self.net.batch().min((3e8 / each) as usize).max(1)
            }
        }
    }
}

/// Rounds estimates of clean values; see [`Rounding`].
///
/// # Shapes
/// `x`: `[n, shape…]`, `log_snr`: `[n]`; gives `[n, shape…]` where `x` is, in its type.
///
/// # Errors
/// [`Error::Shape`] unless `log_snr` has one value for each sample; [`Error::Parameter`] for a grid that is none.
///
/// # Numerics
/// Soft rounding sums outwards from the nearest level until the weights fall below `10⁻¹⁷`, with two
/// multiplications a level and no memory beyond the result, however many levels there are.
pub fn round(x: &Tensor, log_snr: &Tensor, rounding: Rounding) -> Result<Tensor> {
    let (Rounding::Soft(grid) | Rounding::Hard(grid)) = rounding;
    grid.check()?;
    let n = x.dims().first().copied().unwrap_or(0);
    if log_snr.dims() != [n] || n == 0 {
        return Err(Error::Shape {
            what: "log_snr",
            got: log_snr.dims().to_vec(),
            need: format!("[{n}], one value for each sample"),
        });
    }
    let alphas: Vec<f64> = to_f64(log_snr)?.to_vec1()?;
    let mut values: Vec<f64> = to_f64(x)?.flatten_all()?.to_vec1()?;
    let dim = values.len() / n;
    let rows = values.par_chunks_mut(dim.max(1)).zip(&alphas);
    rows.for_each(|(row, &alpha)| match rounding {
        Rounding::Hard(grid) => {
            for value in row {
                *value = grid.nearest(*value);
            }
        }
        Rounding::Soft(grid) => {
            let soft = Soft::new(grid, alpha.exp());
            for value in row {
                *value = soft.round(*value);
            }
        }
    });
    let values = Tensor::from_vec(values, x.dims(), &Device::Cpu)?;
    Ok(values.to_dtype(x.dtype())?.to_device(x.device())?)
}

fn to_f64(x: &Tensor) -> Result<Tensor> {
    Ok(x.to_device(&Device::Cpu)?.to_dtype(DType::F64)?)
}

/// Weights that fall with the distance from a value.
struct Soft {
    grid: Grid,
    /// `(1 + γ) Δ²`: the precision, in steps of the grid.
    precision: f64,
    /// `exp(−precision)`: by how much more each further step weighs less.
    fall: f64,
}

impl Soft {
    fn new(grid: Grid, snr: f64) -> Self {
        let precision = (1.0 + snr) * grid.spacing().powi(2);
        Self {
            grid,
            precision,
            fall: (-precision).exp(),
        }
    }

    fn round(&self, value: f64) -> f64 {
        if value.is_nan() {
            return value;
        }
        // In steps from the lowest level.
        let at = (value - self.grid.low) / self.grid.spacing();
        let last = self.grid.levels.saturating_sub(1) as f64;
        let nearest = at.round().clamp(0.0, last);
        let offset = at - nearest;
        let (mut mass, mut moment) = (1.0, 0.0);
        for (sign, steps) in [(1.0, last - nearest), (-1.0, nearest)] {
            // ln w_j = −½ p ((j − o)² − o²) = p (o j − ½ j²): each ratio is the one before times e^−p.
            let mut ratio = (self.precision * (sign * offset - 0.5)).exp();
            let (mut weight, mut step) = (1.0, 0.0);
            while step < steps {
                weight *= ratio;
                ratio *= self.fall;
                step += 1.0;
                mass += weight;
                moment += sign * step * weight;
                if weight < 1e-17 {
                    break;
                }
            }
        }
        self.grid.low + (nearest + moment / mass) * self.grid.spacing()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng;

    /// The formula as it stands, over all levels.
    fn softmax(grid: Grid, value: f64, snr: f64) -> f64 {
        let log = |b: f64| -0.5 * (value - b).powi(2) * (1.0 + snr);
        let levels: Vec<f64> = (0..grid.levels).map(|i| grid.level(i)).collect();
        let top = levels.iter().map(|&b| log(b)).fold(f64::MIN, f64::max);
        let weights: Vec<f64> = levels.iter().map(|&b| (log(b) - top).exp()).collect();
        let sum: f64 = levels.iter().zip(&weights).map(|(b, w)| b * w).sum();
        sum / weights.iter().sum::<f64>()
    }

    #[test]
    fn soft_rounding_is_the_full_softmax() {
        for levels in [2, 17, 256] {
            let grid = Grid::new(-1.0, 1.0, levels).unwrap();
            for alpha in [-12.0f64, -2.0, 0.0, 3.0, 7.0, 10.0, 13.0, 18.0] {
                let soft = Soft::new(grid, alpha.exp());
                for i in -60..=60 {
                    let value = f64::from(i) * 0.0213;
                    let (fast, slow) = (soft.round(value), softmax(grid, value, alpha.exp()));
                    assert!(
                        (fast - slow).abs() < 1e-12,
                        "{levels} {alpha} {value}: {fast} {slow}"
                    );
                }
            }
        }
    }

    #[test]
    fn rounding_keeps_shape_and_sample() {
        let grid = Grid::new(-1.0, 1.0, 5).unwrap();
        let x = Tensor::new(&[[[0.3f32, 0.9]], [[0.3, 0.9]]], &Device::Cpu).unwrap();
        let alpha = Tensor::new(&[-30f32, 30.0], &Device::Cpu).unwrap();
        let soft = round(&x, &alpha, Rounding::Soft(grid)).unwrap();
        let soft = soft.to_vec3::<f32>().unwrap();
        // At α = 30 the nearest level; at α = −30 all levels count, the nearest most.
        assert_eq!(soft[1], [[0.5, 1.0]]);
        assert!(soft[0][0][0] > 0.0 && soft[0][0][0] < 0.3);
        let hard = round(&x, &alpha, Rounding::Hard(grid)).unwrap();
        assert_eq!(hard.to_vec3::<f32>().unwrap()[0], [[0.5, 1.0]]);
        assert!(round(&x, &alpha.narrow(0, 0, 1).unwrap(), Rounding::Hard(grid)).is_err());
    }

    #[test]
    fn whatever_comes_in_stays_on_the_grid() {
        let grid = Grid::new(-1.0, 1.0, 256).unwrap();
        let soft = Soft::new(grid, 1e9);
        for value in [f64::INFINITY, f64::NEG_INFINITY, 1e300, -7.0, 0.0] {
            let rounded = soft.round(value);
            assert!(
                rounded.is_nan() || (-1.0..=1.0).contains(&rounded),
                "{value}: {rounded}"
            );
        }
        assert!(soft.round(f64::NAN).is_nan());
        let mut rng = rng::seeded(0);
        let x = rng::normal(&[4, 9], &mut rng).unwrap();
        let alpha = rng::normal(&[4], &mut rng).unwrap();
        for value in round(&x, &alpha, Rounding::Soft(grid))
            .unwrap()
            .to_vec2::<f32>()
            .unwrap()
        {
            assert!(value.iter().all(|v| (-1.0..=1.0).contains(v)));
        }
    }
}
