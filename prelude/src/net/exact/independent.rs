//! The denoiser of independent numbers from one source.

use candle_core::{DType, Device, Tensor};

use super::Source;
use super::linear::{restore, rows};
use crate::denoiser::{Denoiser, Query};
use crate::error::{Error, Result};
use crate::stats::sigmoid;

/// The best denoiser of samples whose values are independent and from one [`Source`].
///
/// Made by [`Source::denoiser`].
#[derive(Debug, Clone)]
pub struct Independent {
    source: Source,
    shape: Vec<usize>,
}

impl Denoiser for Independent {
    fn eps_hat(&self, query: &Query) -> Result<Tensor> {
        let (z, alpha) = rows(query, self.dim())?;
        let mut values = z.to_vec2::<f64>()?;
        for (row, &alpha) in values.iter_mut().zip(&alpha) {
            let (signal, noise) = (sigmoid(alpha).sqrt(), sigmoid(-alpha).sqrt());
            for value in row {
                // √γ·x + ε is z divided by the noise's amplitude.
                let x = self.source.posterior(*value / noise, alpha.exp()).mean;
                *value = (*value - signal * x) / noise;
            }
        }
        let flat: Vec<f64> = values.into_iter().flatten().collect();
        let rows = Tensor::from_vec(flat, (alpha.len(), self.dim()), &Device::Cpu)?;
        restore(&rows, query)
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn dtype(&self) -> DType {
        DType::F64
    }
}

impl Source {
    /// The best denoiser of samples of `shape` whose values are independent and from this source.
    ///
    /// # Errors
    /// [`Error::Empty`] when the shape holds no values.
    pub fn denoiser(&self, shape: &[usize]) -> Result<Independent> {
        if shape.iter().product::<usize>() == 0 {
            return Err(Error::Empty {
                what: "the shape of a sample",
            });
        }
        Ok(Independent {
            source: self.clone(),
            shape: shape.to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_denoiser_of_a_coin_is_the_tangent() {
        let net = Source::coin().denoiser(&[1]).unwrap();
        let (z, alpha) = (0.4f64, 1.2f64);
        let tensor = |v: f64| Tensor::new(&[v as f32], &Device::Cpu).unwrap();
        let eps = net
            .denoise(&Query::new(
                &tensor(z).unsqueeze(0).unwrap(),
                &tensor(alpha),
            ))
            .unwrap();
        let eps = f64::from(eps.to_vec2::<f32>().unwrap()[0][0]);
        let (signal, noise) = (sigmoid(alpha).sqrt(), sigmoid(-alpha).sqrt());
        let x = (signal * z / (noise * noise)).tanh();
        assert!((eps - (z - signal * x) / noise).abs() < 1e-6);
    }

    #[test]
    fn a_sample_without_values_is_refused() {
        assert!(Source::coin().denoiser(&[0]).is_err());
        assert!(Source::coin().denoiser(&[3, 0]).is_err());
    }
}
