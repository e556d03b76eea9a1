//! Curves measured on data.

use candle_core::{DType, Tensor};

use super::MseCurve;
use crate::channel;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::logsnr::LogSnr;
use crate::memory;
use crate::net::Denoiser;
use crate::progress::Progress;
use crate::rng::{self, Rng};
use crate::stats;

/// The seed of the noise in [`mse_curve`].
pub const CURVE_SEED: u64 = 0;

/// How a curve is measured.
#[derive(Debug, Clone, PartialEq)]
pub struct CurveConfig {
    /// Noisy samples that go through the network at once; bounds the memory.
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
/// control has [`mse_curve_with`].
///
/// # Errors
/// As [`mse_curve_with`].
///
/// # Paper
/// Kong, Brekelmans, Ver Steeg (2023), arXiv:2302.03792, Eq. 3, in the form of Eq. 14.
///
/// # Example: see [`Gaussian`](crate::net::exact::Gaussian)
pub fn mse_curve(net: &dyn Denoiser, data: &Dataset, points: &LogSnr) -> Result<MseCurve> {
    mse_curve_with(
        net,
        data,
        points,
        &CurveConfig::default(),
        &mut rng::seeded(CURVE_SEED),
    )
}

/// As [`mse_curve`], with settings and a generator of your own.
///
/// # Errors
/// [`Error::Parameter`] for bad settings, [`Error::Mismatch`] when data and network differ in shape,
/// [`Error::Empty`] without points, [`Error::NotFinite`] when the network returns NaN.
/// [`Error::Interrupted`] carries the [`MseCurve`] of the samples that were finished, if there are any.
///
/// # Numerics
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
    config.check()?;
    memory::keep();
    if data.shape() != net.shape() {
        return Err(Error::Mismatch {
            what: "the data and the network",
            left: format!("samples of shape {:?}", data.shape()),
            right: format!("{:?}", net.shape()),
            next: "make the network with the data's `shape()`",
        });
    }
    points.check()?;
    let (n, k, dim) = (data.len(), points.len(), data.dim());
    // Whole samples first, all their points at once if they fit: a curve that is stopped then is a curve of
    // fewer samples.
    let samples = (config.batch / k).clamp(1, n);
    let chunk = (config.batch / samples).clamp(1, k);
    let rounds = (n.div_ceil(samples) * k.div_ceil(chunk)).saturating_mul(config.draws);
    let mut bar = Progress::new("measuring errors", rounds as u64);
    let mut sums = Sums::new(k);
    for start in (0..n).step_by(samples) {
        let x = data.x.narrow(0, start, samples.min(n - start))?;
        let mut block = Block::new(x.dims()[0], k);
        for from in (0..k).step_by(chunk) {
            let alphas = &points.log_snr[from..k.min(from + chunk)];
            for _ in 0..config.draws {
                let squares = squared_errors(net, &x, alphas, config.clamp, rng);
                let step = squares.and_then(|squares| {
                    block.add(from, &squares);
                    bar.step()
                });
                if let Err(error) = step {
                    return Err(interrupted(error, sums, points, config, dim));
                }
            }
        }
        sums.extend(block);
    }
    bar.finish();
    sums.curve(points, config.draws, dim)
}

/// Adds the curve of the finished samples to the error of a stopped loop.
fn interrupted(
    error: Error,
    sums: Sums,
    points: &LogSnr,
    config: &CurveConfig,
    dim: usize,
) -> Error {
    match (error, sums.curve(points, config.draws, dim)) {
        (Error::Interrupted(stopped), Ok(curve)) => Error::Interrupted(stopped.with(curve)),
        (error, _) => error,
    }
}

/// `‖ε − ε̂‖²` and `‖ε‖²`, each `[alphas, samples]`.
struct Squares {
    error: Vec<f32>,
    noise: Vec<f32>,
}

fn squared_errors(
    net: &dyn Denoiser,
    x: &Tensor,
    alphas: &[f64],
    clamp: Option<(f64, f64)>,
    rng: &mut Rng,
) -> Result<Squares> {
    let noisy = channel::sweep(&x.to_device(net.device())?, alphas, rng)?;
    let alpha = &noisy.log_snr;
    let eps_hat = net.denoise(&noisy.z, alpha)?;
    let eps_hat = match clamp {
        None => eps_hat,
        Some((low, high)) => {
            let x_hat = channel::eps_to_x(&noisy.z, &eps_hat, alpha)?.clamp(low, high)?;
            channel::x_to_eps(&noisy.z, &x_hat, alpha)?
        }
    };
    let error = row_squares(&(&noisy.eps - eps_hat)?)?;
    if let Some(&bad) = error.iter().find(|e| !e.is_finite()) {
        return Err(Error::NotFinite {
            what: "the error of the network",
            got: f64::from(bad),
            next: "look at its parameters: training may have diverged",
        });
    }
    let noise = row_squares(&noisy.eps)?;
    Ok(Squares { error, noise })
}

/// The squared norm of each sample.
fn row_squares(x: &Tensor) -> Result<Vec<f32>> {
    Ok(x.flatten_from(1)?
        .sqr()?
        .sum(1)?
        .to_dtype(DType::F32)?
        .to_vec1()?)
}

/// Sums over draws for a few samples, `[samples, points]`.
struct Block {
    points: usize,
    error: Vec<f64>,
    noise: Vec<f64>,
}

impl Block {
    fn new(samples: usize, points: usize) -> Self {
        let zeros = || vec![0.0; samples * points];
        let (error, noise) = (zeros(), zeros());
        Self {
            points,
            error,
            noise,
        }
    }

    fn add(&mut self, from: usize, squares: &Squares) {
        let b = self.error.len() / self.points;
        for (at, (error, noise)) in squares.error.iter().zip(&squares.noise).enumerate() {
            let here = at % b * self.points + from + at / b;
            self.error[here] += f64::from(*error);
            self.noise[here] += f64::from(*noise);
        }
    }
}

/// The finished samples.
struct Sums {
    points: usize,
    error: Vec<f64>,
    noise: Vec<f64>,
}

impl Sums {
    fn new(points: usize) -> Self {
        let (error, noise) = (Vec::new(), Vec::new());
        Self {
            points,
            error,
            noise,
        }
    }

    fn extend(&mut self, block: Block) {
        self.error.extend(block.error);
        self.noise.extend(block.noise);
    }

    fn curve(self, points: &LogSnr, draws: usize, dim: usize) -> Result<MseCurve> {
        let (k, draws) = (self.points, draws as f64);
        let n = self.error.len() / k;
        if n == 0 {
            return Err(Error::Empty {
                what: "the list of measured samples",
            });
        }
        let mut errors: Vec<f32> = self.error.iter().map(|sum| (sum / draws) as f32).collect();
        for j in 0..k {
            let at = || (j..n * k).step_by(k);
            let error: Vec<f64> = at().map(|i| self.error[i] / draws).collect();
            let noise: Vec<f64> = at().map(|i| self.noise[i] / draws - dim as f64).collect();
            let slope = slope(&error, &noise);
            for (i, noise) in at().zip(&noise) {
                errors[i] -= (slope * noise) as f32;
            }
        }
        Ok(MseCurve::of_errors(points, dim, errors))
    }
}

/// The regression slope of the error on the squared norm of the noise; 0 where it cannot be told.
///
/// Of a denoiser that does not see the noise at all it is 1, of a perfect one 0. Few samples could suggest
/// anything else by chance, and then add noise instead of taking it away.
fn slope(y: &[f64], x: &[f64]) -> f64 {
    if y.len() < 10 {
        return 0.0;
    }
    let (my, mx) = (stats::mean(y), stats::mean(x));
    let together: f64 = y.iter().zip(x).map(|(y, x)| (y - my) * (x - mx)).sum();
    let alone: f64 = x.iter().map(|x| (x - mx).powi(2)).sum();
    if alone > 0.0 {
        (together / alone).clamp(0.0, 1.0)
    } else {
        0.0
    }
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
    fn the_batch_size_changes_nothing_but_the_noise() {
        let (data, spectrum, points) = setup();
        let net = Gaussian::new(&spectrum, data.shape()).unwrap();
        let known = gaussian_curve_on(&spectrum, &data, &points).unwrap();
        for (batch, draws) in [(1, 1), (40, 2), (1000, 1), (100_000, 3)] {
            let config = CurveConfig {
                batch,
                draws,
                clamp: None,
            };
            let data = data.take(200).unwrap();
            let known = gaussian_curve_on(&spectrum, &data, &points).unwrap();
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
        assert_eq!(known.n, 900);
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
