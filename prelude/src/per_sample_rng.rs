//! Noise that belongs to a sample.

use std::ops::Range;

use candle_core::{Device, Tensor};
use rand::Rng as _;
use rand_distr::StandardNormal;
use rayon::prelude::*;

use crate::error::Result;
use crate::rng::{Key, Rng};

/// A generator for each sample, so that its noise does not depend on how many others are drawn, nor in which
/// batches.
pub(crate) struct PerSampleRng(Vec<Rng>);

impl PerSampleRng {
    /// The generators of some samples, counted from the first of all.
    pub(crate) fn new(key: &Key, samples: Range<usize>) -> Self {
        Self(samples.map(|i| key.at(i as u64, 0)).collect())
    }

    /// Standard normal numbers, `[n, shape…]`.
    pub(crate) fn normal(&mut self, shape: &[usize], device: &Device) -> Result<Tensor> {
        self.draw(shape, device, |rng| rng.sample(StandardNormal))
    }

    /// −1 or 1, equally likely, `[n, shape…]`.
    pub(crate) fn signs(&mut self, shape: &[usize], device: &Device) -> Result<Tensor> {
        self.draw(shape, device, |rng| if rng.random() { 1.0 } else { -1.0 })
    }

    fn draw(
        &mut self,
        shape: &[usize],
        device: &Device,
        one: impl Fn(&mut Rng) -> f32 + Sync,
    ) -> Result<Tensor> {
        let dim: usize = shape.iter().product();
        let mut values = vec![0f32; self.0.len() * dim];
        let few = values.len() < 16_384;
        let rows = values.chunks_mut(dim.max(1)).zip(&mut self.0);
        let fill = |(row, rng): (&mut [f32], &mut Rng)| {
            row.iter_mut().for_each(|value| *value = one(rng));
        };
        // Few numbers are drawn before other threads are awake.
        match few {
            true => rows.for_each(fill),
            false => rows.collect::<Vec<_>>().into_par_iter().for_each(fill),
        }
        let whole = [&[self.0.len()], shape].concat();
        Ok(Tensor::from_vec(values, whole, &Device::Cpu)?.to_device(device)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_keeps_its_noise_in_other_company() {
        let key = Key::new(0, "test");
        let draw = |samples: Range<usize>| {
            let mut rng = PerSampleRng::new(&key, samples);
            rng.normal(&[3], &Device::Cpu).unwrap();
            let signs = rng.signs(&[3], &Device::Cpu).unwrap();
            (signs, rng.normal(&[3], &Device::Cpu).unwrap())
        };
        let ((signs, normal), (alone_signs, alone_normal)) = (draw(0..5), draw(3..4));
        let row = |x: Tensor, i: usize| x.to_vec2::<f32>().unwrap()[i].clone();
        assert_eq!(row(signs, 3), row(alone_signs, 0));
        assert_eq!(row(normal.clone(), 3), row(alone_normal, 0));
        assert_ne!(row(normal.clone(), 3), row(normal, 2));
    }
}
