//! Mixtures of Gaussians.

use candle_core::{DType, Device, Tensor};
use rand::{Rng as _, RngCore};

use super::linear::{LinearDenoiser, restore, rows};
use super::{Distribution, Gaussian, check_rows, same_dim};
use crate::cell::memory::room_for;
use crate::curve::{MseCurve, mse_curve};
use crate::data::{ConditionKind, Dataset};
use crate::denoiser::{Denoiser, Query};
use crate::error::{Error, Result};
use crate::estimate::Estimate;
use crate::logsnr::Quadrature;
use crate::rng;
use crate::stats;

/// A mixture of Gaussians, of points, or of both.
///
/// # Example: a fair coin on ±1
/// ```
/// use itd_prelude::prelude::*;
/// use itd_prelude::denoiser::Query;
///
/// # fn main() -> Result<()> {
/// let coin = Mixture::new(&[(0.5, Gaussian::point(vec![1.0])?), (0.5, Gaussian::point(vec![-1.0])?)])?;
/// // Halfway between the two, x̂ = 0 and so ε̂ = z/√σ(−α) = 0.
/// let (zero, alpha) = (Tensor::new(&[[0f32]], &Device::Cpu)?, Tensor::new(&[1f32], &Device::Cpu)?);
/// let eps = coin.denoiser(&[1])?.denoise(&Query::new(&zero, &alpha))?;
/// check!(eps.to_vec2::<f32>()?[0][0].abs() < 1e-6);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Mixture {
    log_weights: Vec<f64>,
    parts: Vec<Gaussian>,
}

/// Samples behind the entropy of a mixture, and behind its curve.
const SAMPLES: (usize, usize) = (100_000, 10_000);

impl Mixture {
    /// A mixture of Gaussians, each with its weight; the weights are scaled to sum to 1. Eigenvalues may be 0.
    ///
    /// # Errors
    /// [`Error::Empty`] without parts, [`Error::Parameter`] unless every weight is finite and > 0,
    /// [`Error::Mismatch`] when parts differ in dimension.
    pub fn new(parts: &[(f64, Gaussian)]) -> Result<Self> {
        let Some((_, first)) = parts.first() else {
            return Err(Error::Empty {
                what: "the mixture",
            });
        };
        for (weight, part) in parts {
            same_dim(first.dim(), &[part.dim()])?;
            if !(*weight > 0.0 && weight.is_finite()) {
                return Err(Error::Parameter {
                    name: "the weight of a part",
                    got: weight.to_string(),
                    need: "finite and > 0",
                });
            }
        }
        let total: f64 = parts.iter().map(|(weight, _)| weight).sum();
        if !total.is_finite() {
            return Err(Error::Parameter {
                name: "the sum of the weights",
                got: total.to_string(),
                need: "finite: take smaller weights",
            });
        }
        Ok(Self {
            log_weights: parts
                .iter()
                .map(|(weight, _)| (weight / total).ln())
                .collect(),
            parts: parts.iter().map(|(_, part)| part.clone()).collect(),
        })
    }

    /// The number of dimensions.
    pub fn dim(&self) -> usize {
        self.parts.first().map_or(0, Gaussian::dim)
    }

    /// The parts' denoisers, weighted with the probability that `z` came from each: the best denoiser. Told a class, it
    /// is the denoiser of the part with that number.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when the shape has another number of values.
    pub fn denoiser(&self, shape: &[usize]) -> Result<MixtureDenoiser> {
        let parts = self.parts.iter().map(|part| part.denoiser(shape));
        Ok(MixtureDenoiser {
            shape: shape.to_vec(),
            log_weights: self.log_weights.clone(),
            parts: parts.collect::<Result<_>>()?,
        })
    }

    /// `ln p(x)` of each row of `[n, dim]`, in nats.
    ///
    /// # Errors
    /// [`Error::Degenerate`] when a part has an eigenvalue 0, [`Error::Shape`] when the dimension is another.
    pub fn log_prob(&self, x: &Tensor) -> Result<Vec<f64>> {
        check_rows(x, self.dim())?;
        let parts = self.parts.iter().zip(&self.log_weights);
        let each: Vec<Vec<f64>> = parts
            .map(|(part, log_weight)| {
                let nats = part.neg_log_prob(x)?;
                Ok(nats.into_iter().map(|nats| log_weight - nats).collect())
            })
            .collect::<Result<_>>()?;
        let row = |i: usize| each.iter().map(|logs| logs[i]).collect::<Vec<_>>();
        let n = x.dims().first().copied().unwrap_or(0);
        Ok((0..n).map(|i| stats::log_sum_exp(&row(i))).collect())
    }

    /// Draws `n` samples, `f32` `[n, dim]` on the CPU.
    ///
    /// # Errors
    /// [`Error::Memory`] when they do not fit.
    pub fn sample(&self, n: usize, rng: &mut dyn RngCore) -> Result<Tensor> {
        Ok(self.sample_with_parts(n, rng)?.0)
    }

    /// As [`Self::sample`], and the number of the part that each sample came from.
    ///
    /// # Errors
    /// As [`Self::sample`].
    ///
    /// # Example
    /// ```
    /// use itd_prelude::prelude::*;
    ///
    /// # fn main() -> Result<()> {
    /// let coin = Mixture::new(&[(0.5, Gaussian::point(vec![1.0])?), (0.5, Gaussian::point(vec![-1.0])?)])?;
    /// let (x, parts) = coin.sample_with_parts(100, &mut rng::seeded(0))?;
    /// let x = x.flatten_all()?.to_vec1::<f32>()?;
    /// check!(std::iter::zip(x, parts).all(|(x, part)| (x < 0.0) == (part == 1)));
    /// # Ok(()) }
    /// ```
    pub fn sample_with_parts(&self, n: usize, rng: &mut dyn RngCore) -> Result<(Tensor, Vec<u32>)> {
        room_for::<f32>("the samples", &[n, self.dim()])?;
        let last = self.parts.len() - 1;
        let pick = |rng: &mut dyn RngCore| {
            let mut share = rng.random::<f64>();
            let chosen = self.log_weights[..last].iter().position(|log| {
                share -= log.exp();
                share < 0.0
            });
            chosen.unwrap_or(last)
        };
        let parts: Vec<usize> = (0..n).map(|_| pick(rng)).collect();
        // All samples of a part at once, then each to its place.
        let mut drawn = Vec::new();
        let mut order = vec![0u32; n];
        let mut next = 0;
        for (k, part) in self.parts.iter().enumerate() {
            let mine = (0..n).filter(|&i| parts[i] == k);
            for i in mine {
                order[i] = next;
                next += 1;
            }
            let count = parts.iter().filter(|&&part| part == k).count();
            if count > 0 {
                drawn.push(part.sample(count, rng)?);
            }
        }
        let x = match drawn.is_empty() {
            true => Tensor::zeros((0, self.dim()), DType::F32, &Device::Cpu)?,
            false => Tensor::cat(&drawn, 0)?.index_select(&Tensor::new(order, &Device::Cpu)?, 0)?,
        };
        Ok((x, parts.into_iter().map(|part| part as u32).collect()))
    }
}

impl Distribution for Mixture {
    fn dim(&self) -> usize {
        self.dim()
    }

    /// From 100,000 samples of its own, always the same.
    fn entropy(&self) -> Result<Estimate> {
        let x = self.sample(SAMPLES.0, &mut rng::stream(0, "entropy of a mixture"))?;
        let nats: Vec<f64> = self.log_prob(&x)?.into_iter().map(|log| -log).collect();
        let estimate = Estimate::new(stats::mean(&nats), stats::std_err(&nats), nats.len());
        Ok(estimate.of_dim(self.dim()))
    }

    fn log_prob(&self, x: &Tensor) -> Result<Vec<f64>> {
        self.log_prob(x)
    }

    fn sample(&self, n: usize, rng: &mut dyn RngCore) -> Result<Tensor> {
        self.sample(n, rng)
    }

    fn denoiser(&self, shape: &[usize]) -> Result<Box<dyn Denoiser>> {
        Ok(Box::new(self.denoiser(shape)?))
    }

    /// From 10,000 samples of its own, always the same.
    fn curve(&self, points: &Quadrature) -> Result<MseCurve> {
        let x = self.sample(SAMPLES.1, &mut rng::stream(0, "curve of a mixture"))?;
        let net = self.denoiser(&[self.dim()])?;
        mse_curve(&net, &Dataset::new("samples of a mixture", x)?, points)
    }
}

/// The best denoiser of a [`Mixture`]; made by [`Mixture::denoiser`].
#[derive(Debug, Clone)]
pub struct MixtureDenoiser {
    shape: Vec<usize>,
    log_weights: Vec<f64>,
    parts: Vec<LinearDenoiser>,
}

impl Denoiser for MixtureDenoiser {
    /// All in operations that have a gradient, for those who want the derivative with respect to `z`.
    fn eps_hat(&self, query: &Query) -> Result<Tensor> {
        let (z, alpha) = rows(query, self.dim())?;
        let parts = self.parts.iter().zip(&self.log_weights);
        // ln(weight · p(z | part)), `[n, parts]`.
        let joint: Vec<Tensor> = parts
            .map(|(part, log_weight)| Ok((part.log_density(&z, &alpha)? + *log_weight)?))
            .collect::<Result<_>>()?;
        let joint = Tensor::stack(&joint, 1)?;
        // The largest is only there against overflow: it changes neither value nor gradient.
        let top = joint.max_keepdim(1)?.detach();
        let chance = joint.broadcast_sub(&top)?.exp()?;
        let chance = chance.broadcast_div(&chance.sum_keepdim(1)?)?;
        let chance = match query.classes(self.parts.len())? {
            None => chance,
            Some(told) => certain(&chance, &told)?,
        };
        let mut eps = z.zeros_like()?;
        for (k, part) in self.parts.iter().enumerate() {
            let share = chance.narrow(1, k, 1)?;
            eps = (eps + part.eps_of_rows(&z, &alpha)?.broadcast_mul(&share)?)?;
        }
        restore(&eps, query)
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn condition(&self) -> Option<ConditionKind> {
        let classes = self.parts.len();
        Some(ConditionKind::Class { classes })
    }

    fn dtype(&self) -> DType {
        DType::F64
    }

    fn batch(&self) -> usize {
        let part = self.parts.first().map_or(4096, Denoiser::batch);
        (2 * part / self.parts.len().max(1)).clamp(1, 4096)
    }
}

/// The chances of the parts, `[n, parts]`, where some samples' parts are told; a number behind the last part tells none.
fn certain(chance: &Tensor, told: &[u32]) -> Result<Tensor> {
    let (n, parts) = chance.dims2()?;
    let known: Vec<u8> = told
        .iter()
        .map(|&k| u8::from((k as usize) < parts))
        .collect();
    let known = Tensor::from_vec(known, (n, 1), &Device::Cpu)?.broadcast_as((n, parts))?;
    let mut own = vec![0f64; n * parts];
    for (row, &k) in told
        .iter()
        .enumerate()
        .filter(|(_, k)| (**k as usize) < parts)
    {
        own[row * parts + k as usize] = 1.0;
    }
    let own = Tensor::from_vec(own, (n, parts), &Device::Cpu)?;
    Ok(known.where_cond(&own, chance)?)
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;
    use crate::data::Condition;
    use crate::stats::sigmoid;

    fn normal(mean: f64, variance: f64) -> Gaussian {
        Gaussian::new(&[mean], &[[variance]]).unwrap()
    }

    /// `E[ε | z]` of a one-dimensional mixture, by summing over a fine grid of x.
    fn by_sum(density: impl Fn(f64) -> f64, z: f64, alpha: f64) -> f64 {
        let (signal, noise) = (sigmoid(alpha).sqrt(), sigmoid(-alpha).sqrt());
        let (mut top, mut bottom) = (0.0, 0.0);
        for i in -40_000..40_000 {
            let x = f64::from(i) * 2.5e-4;
            let eps = (z - signal * x) / noise;
            let mass = density(x) * (-0.5 * eps * eps).exp();
            top += mass * eps;
            bottom += mass;
        }
        top / bottom
    }

    #[test]
    fn a_mixture_is_what_a_sum_over_x_gives() {
        let bell = |x: f64, m: f64, v: f64| (-(x - m).powi(2) / (2.0 * v)).exp() / (TAU * v).sqrt();
        let parts = [(3.0, normal(-1.0, 0.25)), (1.0, normal(2.0, 1.0))];
        let mixture = Mixture::new(&parts).unwrap();
        let net = mixture.denoiser(&[1]).unwrap();
        let density = |x| 0.75 * bell(x, -1.0, 0.25) + 0.25 * bell(x, 2.0, 1.0);
        for (z, alpha) in [(-0.7f32, -2.0f32), (0.3, 0.0), (0.6, 3.0), (4.0, 1.0)] {
            let z_row = Tensor::new(&[[z]], &Device::Cpu).unwrap();
            let alpha_row = Tensor::new(&[alpha], &Device::Cpu).unwrap();
            let eps = net
                .denoise(&Query::new(&z_row, &alpha_row))
                .unwrap()
                .to_vec2::<f32>()
                .unwrap()[0][0];
            let slow = by_sum(density, f64::from(z), f64::from(alpha));
            assert!((f64::from(eps) - slow).abs() < 1e-5, "{eps} {slow}");
        }
        let x = Tensor::new(&[[0.5f32]], &Device::Cpu).unwrap();
        let log = mixture.log_prob(&x).unwrap()[0];
        assert!((log - density(0.5).ln()).abs() < 1e-12);
    }

    #[test]
    fn a_mixture_of_one_is_the_gaussian() {
        let gaussian = Gaussian::new(&[1.0, -2.0], &[[2.0, 0.7], [0.7, 1.0]]).unwrap();
        let mixture = Mixture::new(&[(0.1, gaussian.clone())]).unwrap();
        let z = Tensor::new(&[[0.3f64, -1.0], [2.0, 0.0]], &Device::Cpu).unwrap();
        let query = Query::new(&z, &Tensor::new(&[-1f64, 4.0], &Device::Cpu).unwrap());
        let a = gaussian.denoiser(&[2]).unwrap().denoise(&query).unwrap();
        let b = mixture.denoiser(&[2]).unwrap().denoise(&query).unwrap();
        assert_eq!(a.to_vec2::<f64>().unwrap(), b.to_vec2::<f64>().unwrap());
        let entropy = Distribution::entropy(&mixture).unwrap();
        assert!(entropy.within(gaussian.entropy().unwrap().nats, 4.0).holds);
    }

    #[test]
    fn draws_have_the_moments_of_the_mixture() {
        let parts = [
            (1.0, Gaussian::point(vec![1.0, 0.0]).unwrap()),
            (
                3.0,
                Gaussian::new(&[-1.0, 0.0], &[[1.0, 0.6], [0.6, 1.0]]).unwrap(),
            ),
        ];
        let mixture = Mixture::new(&parts).unwrap();
        let x = mixture.sample(40_000, &mut rng::seeded(0)).unwrap();
        let x: Vec<Vec<f32>> = x.to_vec2().unwrap();
        let first: Vec<f64> = x.iter().map(|p| f64::from(p[0])).collect();
        let product: Vec<f64> = x.iter().map(|p| f64::from(p[0] * p[1])).collect();
        assert!((stats::mean(&first) + 0.5).abs() < 4.0 * stats::std_err(&first));
        assert!((stats::mean(&product) - 0.75 * 0.6).abs() < 4.0 * stats::std_err(&product));
        // Parts come in random order.
        let points = x.iter().take(100).filter(|p| **p == [1.0, 0.0]).count();
        assert!((10..45).contains(&points), "{points}");
        assert_eq!(
            mixture.sample(0, &mut rng::seeded(0)).unwrap().dims(),
            [0, 2]
        );
    }

    #[test]
    fn told_its_part_it_is_that_parts_denoiser() {
        let parts = [(3.0, normal(-1.0, 0.25)), (1.0, normal(2.0, 1.0))];
        let net = Mixture::new(&parts).unwrap().denoiser(&[1]).unwrap();
        let z = Tensor::new(&[[0.3f64], [0.3], [0.3]], &Device::Cpu).unwrap();
        let free = Query::new(&z, &Tensor::new(&[1f64, 1.0, 1.0], &Device::Cpu).unwrap());
        let eps = |query: &Query| net.denoise(query).unwrap().flatten_all().unwrap();
        let eps = |query: &Query| eps(query).to_vec1::<f64>().unwrap();
        let told = free.clone().given(Condition::Class(vec![0, 1, 0]));
        let found = eps(&told.told(vec![true, true, false]));
        for (i, (_, part)) in parts.iter().enumerate() {
            let own = part.denoiser(&[1]).unwrap().denoise(&free).unwrap();
            let own = own.flatten_all().unwrap().to_vec1::<f64>().unwrap()[i];
            assert!((found[i] - own).abs() < 1e-12, "{found:?} {own}");
        }
        assert!((found[2] - eps(&free)[2]).abs() < 1e-12);
        let three = free.given(Condition::Class(vec![0, 2, 0]));
        assert!(net.denoise(&three).is_err());
    }

    #[test]
    fn bad_mixtures_are_refused() {
        assert!(Mixture::new(&[]).is_err());
        let point = |at: &[f64]| Gaussian::point(at.to_vec()).unwrap();
        assert!(Mixture::new(&[(f64::NAN, point(&[0.0]))]).is_err());
        assert!(Mixture::new(&[(1.0, point(&[0.0])), (1.0, point(&[0.0, 1.0]))]).is_err());
        assert!(Gaussian::point(vec![]).is_err());
        let mixture = Mixture::new(&[(1.0, point(&[0.0]))]).unwrap();
        let x = Tensor::new(&[[0.5f32]], &Device::Cpu).unwrap();
        assert!(mixture.log_prob(&x).is_err());
        let two = Tensor::new(&[0f32, 1.0], &Device::Cpu).unwrap();
        let net = mixture.denoiser(&[1]).unwrap();
        assert!(net.denoise(&Query::new(&x, &two)).is_err());
    }
}
