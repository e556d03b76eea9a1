//! The denoiser of a mixture.

use candle_core::{DType, Device, Tensor};
use rand::Rng as _;
use rand_distr::StandardNormal;

use super::super::same_dim;
use super::linear::{Linear, restore, rows};
use crate::data::Spectrum;
use crate::denoiser::{Denoiser, Query};
use crate::error::{Error, Result};
use crate::rng::Rng;
use crate::stats;

/// One part of a [`Mixture`].
#[derive(Debug, Clone)]
pub struct Component {
    /// Its share; the shares of a mixture are scaled to sum to 1.
    pub weight: f64,
    /// Its mean and covariance; eigenvalues may be 0.
    pub spectrum: Spectrum,
}

impl Component {
    /// A Gaussian.
    pub fn gaussian(weight: f64, spectrum: Spectrum) -> Self {
        Self { weight, spectrum }
    }

    /// A single point.
    ///
    /// # Errors
    /// [`Error::Empty`] when the point has no coordinates.
    pub fn point(weight: f64, at: Vec<f64>) -> Result<Self> {
        let mut spectrum = Spectrum::standard(at.len())?;
        spectrum.eigenvalues = vec![0.0; at.len()];
        spectrum.mean = at;
        Ok(Self { weight, spectrum })
    }
}

/// The best denoiser of a mixture of Gaussians, of points, or of both: the parts' denoisers, weighted with
/// the probability that `z` came from each.
///
/// # Example: a fair coin on ±1
/// ```
/// use itd_prelude::candle::{Device, Tensor};
/// use itd_prelude::{denoiser::{Denoiser, Query}, net::exact::{Component, Mixture}};
///
/// let coin = Mixture::new(&[Component::point(1.0, vec![1.0])?, Component::point(1.0, vec![-1.0])?])?;
/// // Halfway between the two, x̂ = 0 and so ε̂ = z/√σ(−α) = 0.
/// let zero = Tensor::zeros((1, 1), itd_prelude::candle::DType::F32, &Device::Cpu)?;
/// let eps = coin.denoise(&Query::new(&zero, &Tensor::new(&[1f32], &Device::Cpu)?))?;
/// assert!(eps.to_vec2::<f32>()?[0][0].abs() < 1e-6);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Mixture {
    shape: Vec<usize>,
    log_weights: Vec<f64>,
    parts: Vec<Linear>,
}

impl Mixture {
    /// A mixture over vectors.
    ///
    /// # Errors
    /// [`Error::Empty`] without parts, [`Error::Parameter`] unless every weight is finite and > 0,
    /// [`Error::Mismatch`] when parts differ in dimension.
    pub fn new(components: &[Component]) -> Result<Self> {
        let Some(first) = components.first() else {
            return Err(Error::Empty {
                what: "the mixture",
            });
        };
        let shape = vec![first.spectrum.dim()];
        for part in components {
            same_dim(&part.spectrum, &shape)?;
            if !(part.weight > 0.0 && part.weight.is_finite()) {
                return Err(Error::Parameter {
                    name: "the weight of a component",
                    got: part.weight.to_string(),
                    need: "finite and > 0",
                });
            }
        }
        let total: f64 = components.iter().map(|part| part.weight).sum();
        let parts: Result<_> = components
            .iter()
            .map(|part| Linear::new(&part.spectrum))
            .collect();
        Ok(Self {
            shape,
            log_weights: components
                .iter()
                .map(|part| (part.weight / total).ln())
                .collect(),
            parts: parts?,
        })
    }

    /// `ln p(x)` of each row of `[n, dim]`, in nats.
    ///
    /// # Errors
    /// [`Error::Degenerate`] when a part has an eigenvalue 0, [`Error::Shape`] when the dimension is another.
    pub fn log_density(&self, x: &Tensor) -> Result<Vec<f64>> {
        for part in &self.parts {
            part.spectrum.log_eigenvalues()?;
        }
        // At infinite SNR the channel passes x unchanged.
        let x = x.to_dtype(DType::F64)?;
        let alpha = vec![f64::INFINITY; x.dims().first().copied().unwrap_or(0)];
        let joint: Vec<Vec<f64>> = self.joint(&x, &alpha)?.to_vec2()?;
        Ok(joint.iter().map(|logs| stats::log_sum_exp(logs)).collect())
    }

    /// Draws `n` samples, `f32` `[n, dim]` on the CPU.
    ///
    /// # Errors
    /// [`Error::Tensor`] only if memory runs out.
    pub fn sample(&self, n: usize, rng: &mut Rng) -> Result<Tensor> {
        let dim = self.shape[0];
        let matrices: Result<Vec<Vec<Vec<f64>>>> = self
            .parts
            .iter()
            .map(|part| Ok(part.spectrum.eigenvectors.to_vec2()?))
            .collect();
        let matrices = matrices?;
        let mut values = Vec::with_capacity(n * dim);
        for _ in 0..n {
            let mut share = rng.random::<f64>();
            let mut k = 0;
            while k + 1 < self.parts.len() && share > self.log_weights[k].exp() {
                share -= self.log_weights[k].exp();
                k += 1;
            }
            let Spectrum {
                mean, eigenvalues, ..
            } = &self.parts[k].spectrum;
            let draw = |value: &f64| value.sqrt() * rng.sample::<f64, _>(StandardNormal);
            let q: Vec<f64> = eigenvalues.iter().map(draw).collect();
            for (row, center) in matrices[k].iter().zip(mean) {
                let shift: f64 = row.iter().zip(&q).map(|(u, q)| u * q).sum();
                values.push((center + shift) as f32);
            }
        }
        Ok(Tensor::from_vec(values, (n, dim), &Device::Cpu)?)
    }

    /// `ln(weight · p(z | part))`, `[n, parts]`.
    fn joint(&self, z: &Tensor, alpha: &[f64]) -> Result<Tensor> {
        let parts = self.parts.iter().zip(&self.log_weights);
        let columns: Result<Vec<Tensor>> = parts
            .map(|(part, log_weight)| Ok((part.log_density(z, alpha)? + *log_weight)?))
            .collect();
        Ok(Tensor::stack(&columns?, 1)?)
    }
}

impl Denoiser for Mixture {
    /// All in operations that have a gradient, for those who want the derivative with respect to `z`.
    fn eps_hat(&self, query: &Query) -> Result<Tensor> {
        let (z, alpha) = rows(query, self.dim())?;
        let joint = self.joint(&z, &alpha)?;
        // The largest is only there against overflow: it changes neither value nor gradient.
        let top = joint.max_keepdim(1)?.detach();
        let chance = joint.broadcast_sub(&top)?.exp()?;
        let chance = chance.broadcast_div(&chance.sum_keepdim(1)?)?;
        let mut eps = z.zeros_like()?;
        for (k, part) in self.parts.iter().enumerate() {
            let share = chance.narrow(1, k, 1)?;
            eps = (eps + part.denoise(&z, &alpha)?.broadcast_mul(&share)?)?;
        }
        restore(&eps, query)
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn dtype(&self) -> DType {
        DType::F64
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::super::Gaussian;
    use super::*;
    use crate::stats::sigmoid;

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
        let normal =
            |x: f64, m: f64, v: f64| (-(x - m).powi(2) / (2.0 * v)).exp() / (TAU * v).sqrt();
        let part = |weight, mean, variance| {
            Component::gaussian(
                weight,
                Spectrum::new(vec![mean], &[vec![variance]]).unwrap(),
            )
        };
        let mixture = Mixture::new(&[part(3.0, -1.0, 0.25), part(1.0, 2.0, 1.0)]).unwrap();
        let density = |x| 0.75 * normal(x, -1.0, 0.25) + 0.25 * normal(x, 2.0, 1.0);
        for (z, alpha) in [(-0.7f32, -2.0f32), (0.3, 0.0), (0.6, 3.0), (4.0, 1.0)] {
            let z_row = Tensor::new(&[[z]], &Device::Cpu).unwrap();
            let alpha_row = Tensor::new(&[alpha], &Device::Cpu).unwrap();
            let eps = mixture
                .denoise(&Query::new(&z_row, &alpha_row))
                .unwrap()
                .to_vec2::<f32>()
                .unwrap()[0][0];
            let slow = by_sum(density, f64::from(z), f64::from(alpha));
            assert!((f64::from(eps) - slow).abs() < 1e-5, "{eps} {slow}");
        }
        let x = Tensor::new(&[[0.5f32]], &Device::Cpu).unwrap();
        let log = mixture.log_density(&x).unwrap()[0];
        assert!((log - density(0.5).ln()).abs() < 1e-12);
    }

    #[test]
    fn a_mixture_of_one_is_the_gaussian() {
        let covariance = [vec![2.0, 0.7], vec![0.7, 1.0]];
        let spectrum = Spectrum::new(vec![1.0, -2.0], &covariance).unwrap();
        let gaussian = Gaussian::new(&spectrum, &[2]).unwrap();
        let mixture = Mixture::new(&[Component::gaussian(0.1, spectrum)]).unwrap();
        let z = Tensor::new(&[[0.3f32, -1.0], [2.0, 0.0]], &Device::Cpu).unwrap();
        let alpha = Tensor::new(&[-1f32, 4.0], &Device::Cpu).unwrap();
        let a = gaussian
            .denoise(&Query::new(&z, &alpha))
            .unwrap()
            .to_vec2::<f32>()
            .unwrap();
        let b = mixture
            .denoise(&Query::new(&z, &alpha))
            .unwrap()
            .to_vec2::<f32>()
            .unwrap();
        assert_eq!(a, b);
    }

    #[test]
    fn draws_have_the_moments_of_the_mixture() {
        let parts = [
            Component::point(1.0, vec![1.0, 0.0]).unwrap(),
            Component::gaussian(
                3.0,
                Spectrum::new(vec![-1.0, 0.0], &[vec![1.0, 0.6], vec![0.6, 1.0]]).unwrap(),
            ),
        ];
        let mixture = Mixture::new(&parts).unwrap();
        let n = 40_000;
        let x: Vec<Vec<f32>> = mixture
            .sample(n, &mut crate::rng::seeded(0))
            .unwrap()
            .to_vec2()
            .unwrap();
        let first: Vec<f64> = x.iter().map(|p| f64::from(p[0])).collect();
        let product: Vec<f64> = x.iter().map(|p| f64::from(p[0] * p[1])).collect();
        assert!((stats::mean(&first) + 0.5).abs() < 4.0 * stats::std_err(&first));
        assert!((stats::mean(&product) - 0.75 * 0.6).abs() < 4.0 * stats::std_err(&product));
    }

    #[test]
    fn bad_mixtures_are_refused() {
        assert!(Mixture::new(&[]).is_err());
        let point = |weight, at| Component::point(weight, at).unwrap();
        assert!(Mixture::new(&[point(f64::NAN, vec![0.0])]).is_err());
        assert!(Mixture::new(&[point(1.0, vec![0.0]), point(1.0, vec![0.0, 1.0])]).is_err());
        assert!(Component::point(1.0, vec![]).is_err());
        let mixture = Mixture::new(&[point(1.0, vec![0.0])]).unwrap();
        let x = Tensor::new(&[[0.5f32]], &Device::Cpu).unwrap();
        assert!(mixture.log_density(&x).is_err());
        let two = Tensor::new(&[0f32, 1.0], &Device::Cpu).unwrap();
        assert!(mixture.denoise(&Query::new(&x, &two)).is_err());
    }
}
