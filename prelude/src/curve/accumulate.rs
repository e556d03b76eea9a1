//! Sums over the noises of each sample, and the curve that they make.

use std::ops::Range;

use ndarray::Array2;

use super::MseCurve;
use super::measure::BatchSums;
use crate::error::{Error, Result};
use crate::logsnr::Quadrature;
use crate::stats;

/// Sums for each point: of the samples in order, from the first one that was measured there.
#[derive(Debug, Clone)]
pub(super) struct Accumulator {
    /// `Σ‖ε − ε̂‖²`
    pub error: Vec<Vec<f64>>,
    /// `Σ‖ε‖²`
    pub noise: Vec<Vec<f64>>,
}

impl Accumulator {
    pub fn new(points: usize) -> Self {
        let empty = || vec![Vec::new(); points];
        let (error, noise) = (empty(), empty());
        Self { error, noise }
    }

    /// Adds a batch of one number a sample, whose samples follow those that are there.
    pub fn extend(&mut self, points: Range<usize>, batch: &BatchSums) {
        let samples = batch.values.len() / points.len().max(1);
        let add = |lists: &mut [Vec<f64>], values: &[f64]| {
            for (list, values) in lists.iter_mut().zip(values.chunks(samples.max(1))) {
                list.extend(values);
            }
        };
        add(&mut self.error[points.clone()], &batch.values);
        add(&mut self.noise[points], &batch.noise);
    }

    /// The curve of the samples that were measured at all points.
    ///
    /// With `control`, the known mean of the squared norm of the noise, its deviation is taken out with its regression
    /// slope.
    pub fn curve(
        &self,
        points: &Quadrature,
        draws: usize,
        dim: usize,
        control: Option<usize>,
    ) -> Result<MseCurve> {
        let (k, draws) = (self.error.len(), draws as f64);
        let n = self.error.iter().map(Vec::len).min().unwrap_or(0);
        if n == 0 {
            return Err(Error::Empty {
                what: "the list of measured samples",
            });
        }
        let mut errors = Array2::zeros((n, k));
        for (j, (error, noise)) in self.error.iter().zip(&self.noise).enumerate() {
            let error: Vec<f64> = error[..n].iter().map(|sum| sum / draws).collect();
            let corrected: Vec<f64> = match control {
                None => error,
                Some(mean) => {
                    let noise = noise[..n].iter().map(|sum| sum / draws - mean as f64);
                    controlled(&error, &noise.collect::<Vec<_>>())
                }
            };
            errors
                .column_mut(j)
                .assign(&ndarray::ArrayView1::from(&corrected));
        }
        MseCurve::of_errors(points, dim, errors, None)
    }
}

/// Fewer samples could suggest any slope by chance, and then add noise instead of taking it away.
const FEWEST: usize = 10;

/// Values whose mean is `ȳ − b x̄`, where the mean of `x` is known to be 0 and `b` is the regression slope of `y` on `x`
/// within [0, 1]: of a denoiser that does not see the noise at all it is 1, of a perfect one 0.
///
/// They are the jackknife's pseudo-values, `n T − (n − 1) T₋ᵢ`, each with the slope of all samples but its own. What
/// the slope takes from its own sample is in their spread, then, and most of the bias is gone: with residuals alone a
/// curve of 30 samples said three quarters of its error.
fn controlled(y: &[f64], x: &[f64]) -> Vec<f64> {
    // Where a few errors are far larger than all others there is no regression, and no mean: they are left as they
    // are, so that it can be seen.
    if y.len() < FEWEST || !(stats::effective_count(y) >= stats::FEWEST) {
        return y.to_vec();
    }
    let n = y.len() as f64;
    let (my, mx) = (stats::mean(y), stats::mean(x));
    let together: f64 = y.iter().zip(x).map(|(y, x)| (y - my) * (x - mx)).sum();
    let alone: f64 = x.iter().map(|x| (x - mx).powi(2)).sum();
    let slope = |together: f64, alone: f64| match alone > 0.0 {
        true => (together / alone).clamp(0.0, 1.0),
        false => 0.0,
    };
    let all = my - slope(together, alone) * mx;
    let pseudo = |(y, x): (&f64, &f64)| {
        let (dy, dx) = (y - my, x - mx);
        let share = n / (n - 1.0);
        let slope = slope(together - share * dy * dx, alone - share * dx * dx);
        let without = (my - dy / (n - 1.0)) - slope * (mx - dx / (n - 1.0));
        n * all - (n - 1.0) * without
    };
    y.iter().zip(x).map(pseudo).collect()
}

#[cfg(test)]
mod tests {
    use rand::Rng as _;
    use rand_distr::StandardNormal;

    use super::*;
    use crate::rng;

    /// The slow twin: the estimator computed anew without each sample.
    #[test]
    fn pseudo_values_are_what_leaving_one_out_gives() {
        let mut rng = rng::seeded(0);
        let x: Vec<f64> = (0..20).map(|_| rng.sample(StandardNormal)).collect();
        let y: Vec<f64> = x
            .iter()
            .map(|x| 0.6 * x + 0.3 * rng.random::<f64>())
            .collect();
        let estimate = |y: &[f64], x: &[f64]| {
            let (my, mx) = (stats::mean(y), stats::mean(x));
            let top: f64 = y.iter().zip(x).map(|(y, x)| (y - my) * (x - mx)).sum();
            my - top / x.iter().map(|x| (x - mx).powi(2)).sum::<f64>() * mx
        };
        let whole = estimate(&y, &x);
        for (i, found) in controlled(&y, &x).into_iter().enumerate() {
            let but = |v: &[f64]| -> Vec<f64> { [&v[..i], &v[i + 1..]].concat() };
            let known = 20.0 * whole - 19.0 * estimate(&but(&y), &but(&x));
            assert!((found - known).abs() < 1e-10, "{found} {known}");
        }
        // Few samples are left as they are, and a control that never varies is none.
        assert_eq!(controlled(&y[..9], &x[..9]), y[..9]);
        let constant = controlled(&y, &[0.0; 20]);
        assert!(constant.iter().zip(&y).all(|(a, b)| (a - b).abs() < 1e-12));
    }
}
