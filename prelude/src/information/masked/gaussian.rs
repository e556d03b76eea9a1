//! The best denoiser of variables that are normal together.

use std::cell::RefCell;
use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};

use super::{JointDenoiser, Seen};
use crate::data::Condition;
use crate::denoiser::{Denoiser, Query};
use crate::distribution::{ConditionalDenoiser, ConditionalGaussian, Gaussian, LinearDenoiser};
use crate::error::{Error, Result};

/// Variables that are normal together, and the best guess of any of them by any others.
///
/// # Example: the guess of a number by its noisy value and a clean one that it depends on
/// ```
/// use itd_prelude::prelude::*;
/// use itd_prelude::information::{JointDenoiser, JointGaussian, Seen};
///
/// # fn main() -> Result<()> {
/// let joint = Gaussian::new(&[0.0, 0.0], &[[1.0, 1.0], [1.0, 1.0 + 1e-9]])?;
/// let net = JointGaussian::new(&joint, &[1, 1])?;
/// // x is as good as known, so z = √½ x + √½ ε tells the noise.
/// let (z, x) = (Tensor::new(&[[1f64, 0.0]], &Device::Cpu)?, Tensor::new(&[[0f64, 0.5]], &Device::Cpu)?);
/// let eps = net.eps_hat_of(&z, &x, &Tensor::new(&[0f64], &Device::Cpu)?, &[Seen::Noisy, Seen::Clean])?;
/// check!(close(eps.to_vec2::<f64>()?[0][0], 2f64.sqrt() - 0.5, 1e-6));
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct JointGaussian {
    joint: Gaussian,
    widths: Vec<usize>,
    all: LinearDenoiser,
    known: RefCell<HashMap<Vec<Seen>, Part>>,
}

/// The guess of some values.
#[derive(Debug, Clone)]
enum Part {
    /// By themselves.
    Alone(LinearDenoiser),
    /// By others, too.
    Given(ConditionalDenoiser),
}

impl JointGaussian {
    /// The values of each variable stand one after the other, as many as `widths` say.
    ///
    /// # Errors
    /// [`Error::Mismatch`] unless the widths, each at least 1, sum up to the dimensions.
    pub fn new(joint: &Gaussian, widths: &[usize]) -> Result<Self> {
        check_widths(widths, joint.dim())?;
        Ok(Self {
            all: joint.denoiser(&[joint.dim()])?,
            joint: joint.clone(),
            widths: widths.to_vec(),
            known: RefCell::default(),
        })
    }

    fn part(&self, noisy: &[usize], clean: &[usize]) -> Result<Part> {
        let covariance = self.joint.covariance()?;
        let places = [noisy, clean].concat();
        let mean: Vec<f64> = places.iter().map(|&i| self.joint.mean[i]).collect();
        let row = |&i: &usize| -> Vec<f64> { places.iter().map(|&j| covariance[i][j]).collect() };
        let rows: Vec<Vec<f64>> = places.iter().map(row).collect();
        let part = Gaussian::new(&mean, &rows)?;
        let shape = [noisy.len()];
        Ok(match clean.is_empty() {
            true => Part::Alone(part.denoiser(&shape)?),
            false => Part::Given(ConditionalGaussian::new(&part, noisy.len())?.denoiser(&shape)?),
        })
    }
}

/// Refuses widths that are not those of so many values.
pub(super) fn check_widths(widths: &[usize], dim: usize) -> Result<()> {
    if widths.iter().sum::<usize>() == dim && widths.iter().all(|&width| width > 0) {
        return Ok(());
    }
    Err(Error::Mismatch {
        what: "the variables and the samples",
        left: format!("variables of {widths:?} values"),
        right: format!("samples of {dim}"),
        next: "give each variable's number of values, at least 1, in the order in which they stand in a sample",
    })
}

/// Refuses states that are not one for each variable.
pub(super) fn check_seen(widths: &[usize], seen: &[Seen]) -> Result<()> {
    match widths.len() == seen.len() {
        true => Ok(()),
        false => Err(Error::Mismatch {
            what: "the variables and what is seen of them",
            left: format!("{} variables", widths.len()),
            right: format!("{} states", seen.len()),
            next: "say of each variable whether it is noisy, clean or hidden",
        }),
    }
}

/// The places of the values of variables in that state.
pub(super) fn places(widths: &[usize], seen: &[Seen], state: Seen) -> Vec<usize> {
    let mut start = 0;
    let mut found = Vec::new();
    for (&width, &own) in widths.iter().zip(seen) {
        if own == state {
            found.extend(start..start + width);
        }
        start += width;
    }
    found
}

impl Denoiser for JointGaussian {
    fn eps_hat(&self, query: &Query) -> Result<Tensor> {
        self.all.eps_hat(query)
    }

    fn shape(&self) -> &[usize] {
        self.all.shape()
    }

    fn dtype(&self) -> DType {
        DType::F64
    }

    fn batch(&self) -> usize {
        self.all.batch()
    }
}

impl JointDenoiser for JointGaussian {
    fn widths(&self) -> &[usize] {
        &self.widths
    }

    fn eps_hat_of(
        &self,
        z: &Tensor,
        x: &Tensor,
        log_snr: &Tensor,
        seen: &[Seen],
    ) -> Result<Tensor> {
        check_seen(&self.widths, seen)?;
        let noisy = places(&self.widths, seen, Seen::Noisy);
        let clean = places(&self.widths, seen, Seen::Clean);
        let mut known = self.known.borrow_mut();
        let part = match known.get(seen) {
            Some(part) => part.clone(),
            None => {
                let part = self.part(&noisy, &clean)?;
                known.insert(seen.to_vec(), part.clone());
                part
            }
        };
        drop(known);
        let pick = |of: &Tensor, places: &[usize]| -> Result<Tensor> {
            let places: Vec<u32> = places.iter().map(|&i| i as u32).collect();
            Ok(of.index_select(&Tensor::new(places, &Device::Cpu)?, 1)?)
        };
        let query = Query::new(&pick(z, &noisy)?, log_snr);
        let eps = match part {
            Part::Alone(net) => net.denoise(&query)?,
            Part::Given(net) => {
                net.denoise(&query.given(Condition::vectors(&pick(x, &clean)?)?))?
            }
        };
        // Back to their places, with zeros in between.
        let mut from = vec![noisy.len() as u32; self.joint.dim()];
        for (k, &i) in noisy.iter().enumerate() {
            from[i] = k as u32;
        }
        let none = Tensor::zeros((z.dim(0)?, 1), eps.dtype(), &Device::Cpu)?;
        let all = Tensor::cat(&[eps, none], 1)?;
        Ok(all.index_select(&Tensor::new(from, &Device::Cpu)?, 1)?)
    }
}
