//! Noise that belongs to a sample.

use candle_core::{Device, Tensor};
use rand::{Rng as _, RngCore};
use rand_distr::StandardNormal;
use rayon::prelude::*;

use crate::error::Result;
use crate::rng::{self, Rng};

/// A generator for each sample, so that its noise does not depend on how many others are drawn, nor in which
/// batches.
pub(super) struct Streams(Vec<Rng>);

impl Streams {
    /// Seeds for `n` samples.
    pub(super) fn seeds(n: usize, rng: &mut Rng) -> Vec<u64> {
        (0..n).map(|_| rng.next_u64()).collect()
    }

    pub(super) fn new(seeds: &[u64]) -> Self {
        Self(seeds.iter().map(|&seed| rng::seeded(seed)).collect())
    }

    /// Standard normal numbers, `[n, shape…]`.
    pub(super) fn normal(&mut self, shape: &[usize], device: &Device) -> Result<Tensor> {
        self.draw(shape, device, |rng| rng.sample(StandardNormal))
    }

    /// −1 or 1, equally likely, `[n, shape…]`.
    pub(super) fn signs(&mut self, shape: &[usize], device: &Device) -> Result<Tensor> {
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
        let seeds = Streams::seeds(5, &mut rng::seeded(0));
        let draw = |seeds: &[u64]| {
            let mut streams = Streams::new(seeds);
            streams.normal(&[3], &Device::Cpu).unwrap();
            let rows = streams.signs(&[3], &Device::Cpu).unwrap();
            (rows, streams.normal(&[3], &Device::Cpu).unwrap())
        };
        let ((signs, normal), (alone_signs, alone_normal)) = (draw(&seeds), draw(&seeds[3..4]));
        let row = |x: Tensor, i: usize| x.to_vec2::<f32>().unwrap()[i].clone();
        assert_eq!(row(signs, 3), row(alone_signs, 0));
        assert_eq!(row(normal.clone(), 3), row(alone_normal, 0));
        assert_ne!(row(normal.clone(), 3), row(normal, 2));
    }
}
