//! Sums over the noises of each sample, and the curve that they make.

use std::ops::Range;

use super::MseCurve;
use crate::error::{Error, Result};
use crate::logsnr::LogSnr;
use crate::stats;

/// Squares for a batch, `[points, samples]`, summed over the noises.
pub(super) struct Squares {
    pub error: Vec<f64>,
    pub noise: Vec<f64>,
}

/// Sums for each point: of the samples in order, from the first one that was measured there.
#[derive(Debug, Clone)]
pub(super) struct Sums {
    /// `Σ‖ε − ε̂‖²`
    pub error: Vec<Vec<f64>>,
    /// `Σ‖ε‖²`
    pub noise: Vec<Vec<f64>>,
}

impl Sums {
    pub fn new(points: usize) -> Self {
        let empty = || vec![Vec::new(); points];
        let (error, noise) = (empty(), empty());
        Self { error, noise }
    }

    /// Adds a batch, whose samples follow those that are there.
    pub fn extend(&mut self, points: Range<usize>, squares: &Squares) {
        let samples = squares.error.len() / points.len().max(1);
        let add = |lists: &mut [Vec<f64>], squares: &[f64]| {
            for (list, squares) in lists.iter_mut().zip(squares.chunks(samples.max(1))) {
                list.extend(squares);
            }
        };
        add(&mut self.error[points.clone()], &squares.error);
        add(&mut self.noise[points], &squares.noise);
    }

    /// The curve of the samples that were measured at all points.
    ///
    /// The squared norm of the noise, whose mean is known to be `dim`, is taken out with its regression slope.
    pub fn curve(&self, points: &LogSnr, draws: usize, dim: usize) -> Result<MseCurve> {
        let (k, draws) = (self.error.len(), draws as f64);
        let n = self.error.iter().map(Vec::len).min().unwrap_or(0);
        if n == 0 {
            return Err(Error::Empty {
                what: "the list of measured samples",
            });
        }
        let mut errors = vec![0f32; n * k];
        for (j, (error, noise)) in self.error.iter().zip(&self.noise).enumerate() {
            let error: Vec<f64> = error[..n].iter().map(|sum| sum / draws).collect();
            let noise: Vec<f64> = noise[..n]
                .iter()
                .map(|sum| sum / draws - dim as f64)
                .collect();
            let slope = slope(&error, &noise);
            let here = errors.iter_mut().skip(j).step_by(k);
            for (corrected, (error, noise)) in here.zip(error.iter().zip(&noise)) {
                *corrected = *error as f32 - (slope * noise) as f32;
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
