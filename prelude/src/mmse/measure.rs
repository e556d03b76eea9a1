//! Curves measured on data.

use std::ops::Range;

use candle_core::{DType, Device, Tensor};
use rand::Rng as _;
use rand_distr::StandardNormal;
use rayon::prelude::*;

use super::MseCurve;
use super::shard::Shard;
use super::sums::{Squares, Sums};
use super::tiles::Tiles;
use crate::channel;
use crate::data::Dataset;
use crate::denoiser::{Denoiser, Query, same_shape};
use crate::error::{Error, Result};
use crate::logsnr::LogSnr;
use crate::memory;
use crate::progress::Progress;
use crate::rng::{self, Key, Rng};

/// The seed of the noise in [`mse_curve`].
pub const CURVE_SEED: u64 = 0;

/// How a curve is measured.
#[derive(Debug, Clone, PartialEq)]
pub struct CurveConfig {
    /// Noisy samples that go through the network at once, at most; bounds the memory. Shards share out whole
    /// batches.
    pub batch: usize,
    /// Independent noises for each sample and point.
    pub draws: usize,
    /// The range that clean samples are known to lie in; the estimate `x̂` is clamped to it.
    pub clamp: Option<(f64, f64)>,
}

impl Default for CurveConfig {
    fn default() -> Self {
        Self {
            batch: 4096,
            draws: 1,
            clamp: None,
        }
    }
}

impl CurveConfig {
    fn check(&self) -> Result<()> {
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
/// The same data, points and network give the same numbers: the noise has the seed [`CURVE_SEED`]. More
/// control has [`mse_curve_with`]; [`mse_curve_shard`](super::mse_curve_shard) measures a part.
///
/// # Errors
/// As [`mse_curve_with`].
///
/// # Paper
/// Kong, Brekelmans, Ver Steeg (2023), arXiv:2302.03792, Eq. 3, in the form of Eq. 14.
///
/// # Example: see [`Gaussian`](crate::net::exact::Gaussian)
pub fn mse_curve(net: &dyn Denoiser, data: &Dataset, points: &LogSnr) -> Result<MseCurve> {
    let config = CurveConfig {
        batch: net.batch(),
        ..Default::default()
    };
    mse_curve_with(net, data, points, &config, &mut rng::seeded(CURVE_SEED))
}

/// As [`mse_curve`], with settings and a generator of your own.
///
/// # Errors
/// [`Error::Parameter`] for bad settings, [`Error::Mismatch`] when data and network differ in shape,
/// [`Error::Empty`] without points, [`Error::NotFinite`] when the network returns NaN.
/// [`Error::Interrupted`] carries the [`MseCurve`] of the samples that were finished, if there are any.
///
/// # Numerics
/// The noise of sample `i` at point `j` in draw `d` is a function of `i`, `j`, `d` and a [`Key`] that is drawn from
/// `rng`, so that the curve does not depend on the batch, nor a sample's error on the samples beside it, unless
/// the network itself rounds otherwise in another batch: matrix products of one row do.
///
/// The squared norm of the noise, whose mean is known to be `dim`, serves as control variate: its deviation
/// is subtracted with the regression slope. At high SNR this takes away most of the sampling error; the
/// bias is of the order of one sample in `n`.
pub fn mse_curve_with(
    net: &dyn Denoiser,
    data: &Dataset,
    points: &LogSnr,
    config: &CurveConfig,
    rng: &mut Rng,
) -> Result<MseCurve> {
    let measurement = Measurement::new(net, data, points, config, rng)?;
    let mut sums = Sums::new(points.len());
    let end = measurement.add(&Shard::WHOLE, &mut sums);
    let curve = sums.curve(points, config.draws, data.dim());
    match (end, curve) {
        (Ok(()), curve) => curve,
        (Err(Error::Interrupted(stopped)), Ok(curve)) => {
            Err(Error::Interrupted(stopped.with(curve)))
        }
        (Err(error), _) => Err(error),
    }
}

/// What a curve is measured on and how, all of it checked.
pub(super) struct Measurement<'a> {
    net: &'a dyn Denoiser,
    pub data: &'a Dataset,
    pub points: &'a LogSnr,
    pub config: &'a CurveConfig,
    pub key: Key,
    pub tiles: Tiles,
}

impl<'a> Measurement<'a> {
    pub fn new(
        net: &'a dyn Denoiser,
        data: &'a Dataset,
        points: &'a LogSnr,
        config: &'a CurveConfig,
        rng: &mut Rng,
    ) -> Result<Self> {
        config.check()?;
        memory::keep();
        same_shape(data, net)?;
        points.check()?;
        let counts = [
            ("samples", data.len()),
            ("points", points.len()),
            ("draws", config.draws),
        ];
        // Each number has 32 bits of the noise's address.
        for (name, got) in counts {
            if u32::try_from(got).is_err() {
                return Err(Error::Parameter {
                    name,
                    got: got.to_string(),
                    need: "below 2³²",
                });
            }
        }
        Ok(Self {
            net,
            data,
            points,
            config,
            key: Key::draw(rng),
            tiles: Tiles::new(data.len(), points.len(), config.batch),
        })
    }

    /// Measures a shard, adding batch by batch; after an error those before it are there.
    pub fn add(&self, shard: &Shard, sums: &mut Sums) -> Result<()> {
        self.tiles.check(shard)?;
        let tiles = self.tiles.of(shard);
        let rounds = tiles.len().saturating_mul(self.config.draws);
        let what = match shard.count {
            1 => "measuring errors".to_owned(),
            count => format!("measuring errors, shard {} of {count}", shard.index),
        };
        let mut bar = Progress::new(what, rounds as u64);
        for (samples, points) in tiles {
            let squares = self.squares(&samples, &points, || bar.step())?;
            sums.extend(points, &squares);
        }
        bar.finish();
        Ok(())
    }

    /// The squares of a batch; `step` is called after each draw.
    pub fn squares(
        &self,
        samples: &Range<usize>,
        points: &Range<usize>,
        mut step: impl FnMut() -> Result<()>,
    ) -> Result<Squares> {
        let x = self.data.x.narrow(0, samples.start, samples.len())?;
        let x = x.to_device(self.net.device())?;
        let (x, log_snr) = channel::spread(&x, &self.points.log_snr[points.clone()])?;
        let zeros = || vec![0.0; samples.len() * points.len()];
        let (error, noise) = (zeros(), zeros());
        let mut sums = Squares { error, noise };
        for draw in 0..self.config.draws as u32 {
            let eps = self.noise(samples, points, draw);
            let eps = Tensor::from_vec(eps, x.shape(), &Device::Cpu)?.to_device(x.device())?;
            let (error, noise) = self.errors(&x, &eps, &log_snr)?;
            let add = |sums: &mut [f64], squares: &[f32]| {
                let pairs = sums.iter_mut().zip(squares);
                pairs.for_each(|(sum, square)| *sum += f64::from(*square));
            };
            add(&mut sums.error, &error);
            add(&mut sums.noise, &noise);
            step()?;
        }
        Ok(sums)
    }

    /// The noise of a batch, `[points, samples, dim]`: that of each sample and point at an address of its own.
    fn noise(&self, samples: &Range<usize>, points: &Range<usize>, draw: u32) -> Vec<f32> {
        /// Numbers that are worth a thread.
        const WORTH: usize = 8192;
        let dim = self.data.dim().max(1);
        let mut eps = vec![0f32; points.len() * samples.len() * dim];
        let (key, b) = (&self.key, samples.len());
        let rows = eps.par_chunks_mut(dim).with_min_len(WORTH.div_ceil(dim));
        rows.enumerate().for_each(|(row, eps)| {
            let i = samples.start + row % b;
            let j = points.start + row / b;
            let mut rng = key.at((i as u64) << 32 | j as u64, draw);
            eps.fill_with(|| rng.sample(StandardNormal));
        });
        eps
    }

    /// `‖ε − ε̂‖²` and `‖ε‖²` of each noisy sample.
    fn errors(&self, x: &Tensor, eps: &Tensor, log_snr: &Tensor) -> Result<(Vec<f32>, Vec<f32>)> {
        let z = channel::mix(x, eps, log_snr)?;
        let eps_hat = self.net.denoise(&Query::new(&z, log_snr))?;
        let eps_hat = match self.config.clamp {
            None => eps_hat,
            Some(range) => channel::clamp_x(&z, &eps_hat, log_snr, range)?,
        };
        let error = row_squares(&(eps - eps_hat)?)?;
        match error.iter().find(|e| !e.is_finite()) {
            None => Ok((error, row_squares(eps)?)),
            Some(&bad) => Err(Error::NotFinite {
                what: "the error of the network",
                got: f64::from(bad),
                next: "look at its parameters: training may have diverged",
            }),
        }
    }
}

/// The squared norm of each sample.
fn row_squares(x: &Tensor) -> Result<Vec<f32>> {
    Ok(x.flatten_from(1)?
        .sqr()?
        .sum(1)?
        .to_dtype(DType::F32)?
        .to_vec1()?)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::super::gaussian_curve_on;
    use super::*;
    use crate::data::{self, Spectrum};
    use crate::logsnr::LogisticLogSnr;
    use crate::net::exact::Gaussian;

    fn setup() -> (Dataset, Spectrum, LogSnr) {
        let data = data::moons(1000, 0).unwrap().train;
        let spectrum = data.spectrum().unwrap();
        let points = LogisticLogSnr::from_spectrum(&spectrum).unwrap();
        (data, spectrum, points.quadrature(13).unwrap())
    }

    #[test]
    fn a_curve_is_the_known_one() {
        let (data, spectrum, points) = setup();
        let net = Gaussian::new(&spectrum, data.shape()).unwrap();
        let data = data.take(200).unwrap();
        let known = gaussian_curve_on(&spectrum, &data, &points).unwrap();
        for (batch, draws) in [(1, 1), (40, 2), (1000, 1), (100_000, 3)] {
            let config = CurveConfig {
                batch,
                draws,
                clamp: None,
            };
            let curve = mse_curve_with(&net, &data, &points, &config, &mut rng::seeded(1)).unwrap();
            assert_eq!((curve.n, curve.errors.len()), (200, 200 * 13));
            for j in 0..13 {
                // The samples are common, so the noise alone separates the two: less than std_err.
                let apart = (curve.mse[j] - known.mse[j]).abs();
                assert!(
                    apart < 5.0 * curve.std_err[j],
                    "batch {batch}, point {j}: {apart}"
                );
            }
        }
    }

    #[test]
    fn noise_depends_on_sample_point_and_draw_alone() {
        let (data, spectrum, points) = setup();
        let net = Gaussian::new(&spectrum, data.shape()).unwrap();
        let config = CurveConfig::default();
        let all = Measurement::new(&net, &data, &points, &config, &mut rng::seeded(3)).unwrap();
        let few = data.take(10).unwrap();
        let few = Measurement::new(&net, &few, &points, &config, &mut rng::seeded(3)).unwrap();
        let many = all.noise(&(0..900), &(0..13), 1);
        let at = |i: usize, j: usize| &many[2 * (j * 900 + i)..][..2];
        for (i, j) in [(0, 0), (3, 7), (9, 12)] {
            assert_eq!(few.noise(&(i..i + 1), &(j..j + 1), 1), at(i, j));
            assert_ne!(few.noise(&(i..i + 1), &(j..j + 1), 0), at(i, j));
        }
        let block = few.noise(&(2..5), &(6..9), 1);
        assert_eq!(block[2 * (3 + 1)..][..2], *at(3, 7));
        // Of all those numbers no two are the same.
        let mut bits: Vec<u32> = many.iter().map(|v| v.to_bits()).collect();
        let len = bits.len();
        bits.sort();
        bits.dedup();
        assert!(bits.len() > len - len / 1000, "{} of {len}", bits.len());
    }

    #[test]
    fn errors_belong_to_their_sample() {
        // One sample lies far out, where the Gaussian denoiser is at its worst.
        let (data, spectrum, points) = setup();
        let mut rows: Vec<Vec<f32>> = data.take(30).unwrap().flat().unwrap().to_vec2().unwrap();
        rows[17] = vec![40.0, 40.0];
        let data = Dataset::new("one far out", Tensor::new(rows, &Device::Cpu).unwrap()).unwrap();
        let net = Gaussian::new(&spectrum, &[2]).unwrap();
        let config = CurveConfig {
            batch: 50,
            ..Default::default()
        };
        let curve = mse_curve_with(&net, &data, &points, &config, &mut rng::seeded(1)).unwrap();
        for j in 0..13 {
            let column: Vec<f32> = (0..30).map(|i| curve.errors[i * 13 + j]).collect();
            assert!(
                column.iter().all(|&e| e <= column[17]),
                "point {j}: {column:?}"
            );
        }
    }

    #[test]
    fn a_clamp_helps_when_it_is_true() {
        let x = Tensor::new(&[[1f32], [-1.0], [1.0], [-1.0]], &Device::Cpu).unwrap();
        let data = Dataset::new("coin", x).unwrap();
        let net = Gaussian::new(&Spectrum::standard(1).unwrap(), &[1]).unwrap();
        let points = LogisticLogSnr::new(0.0, 1.0, 3.0)
            .unwrap()
            .quadrature(5)
            .unwrap();
        let draws = |clamp| CurveConfig {
            draws: 200,
            clamp,
            ..Default::default()
        };
        let measure =
            |config| mse_curve_with(&net, &data, &points, &config, &mut rng::seeded(2)).unwrap();
        let (free, clamped) = (measure(draws(None)), measure(draws(Some((-1.0, 1.0)))));
        assert!(clamped.mse[4] < 0.9 * free.mse[4]);
    }

    #[test]
    fn bad_settings_are_refused() {
        let (data, spectrum, points) = setup();
        let net = Gaussian::new(&spectrum, &[2]).unwrap();
        let run = |config: CurveConfig| {
            mse_curve_with(&net, &data, &points, &config, &mut rng::seeded(0))
                .unwrap_err()
                .to_string()
        };
        let base = CurveConfig::default;
        assert!(run(CurveConfig { batch: 0, ..base() }).starts_with("batch"));
        assert!(run(CurveConfig { draws: 0, ..base() }).starts_with("draws"));
        let clamp = Some((1.0, f64::NAN));
        assert!(run(CurveConfig { clamp, ..base() }).starts_with("clamp"));
        let digits = data::digits().unwrap().test;
        assert!(mse_curve(&net, &digits, &points).is_err());
    }
}
