//! The minimum of a smooth function of many variables.

use std::collections::VecDeque;

use super::check::heard;
use crate::error::{Error, Result};

/// A function with its slope.
pub(super) trait Objective {
    /// The value, and its derivatives.
    fn value_and_slope(&self, at: &[f64]) -> Result<(f64, Vec<f64>)>;
}

/// Where a search ended.
pub(super) struct Found {
    pub at: Vec<f64>,
    pub value: f64,
}

/// The method of limited memory of Broyden, Fletcher, Goldfarb and Shanno, with a line search that halves and doubles.
///
/// # Source
/// Nocedal, Wright (2006), Numerical Optimization, Alg. 7.4 and 7.5.
pub(super) struct Lbfgs {
    /// Steps that are remembered.
    pub memory: usize,
    /// Steps at most.
    pub steps: usize,
    /// Ends where a step gains less.
    pub least_gain: f64,
}

impl Default for Lbfgs {
    fn default() -> Self {
        Self {
            memory: 40,
            steps: 300,
            least_gain: 1e-7,
        }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn moved(at: &[f64], direction: &[f64], by: f64) -> Vec<f64> {
    at.iter()
        .zip(direction)
        .map(|(at, d)| at + by * d)
        .collect()
}

/// A step and the change of the slope along it.
struct Step {
    step: Vec<f64>,
    change: Vec<f64>,
}

impl Lbfgs {
    /// Searches from `at` on.
    pub fn minimize(&self, of: &impl Objective, mut at: Vec<f64>) -> Result<Found> {
        let (mut value, mut slope) = of.value_and_slope(&at)?;
        let mut memory: VecDeque<Step> = VecDeque::new();
        for done in 0..self.steps {
            heard("the search for the best swirls", done, self.steps)?;
            let mut direction = downhill(&memory, &slope);
            let mut descent = dot(&direction, &slope);
            if !(descent < 0.0) {
                memory.clear();
                direction = slope.iter().map(|slope| -slope).collect();
                descent = dot(&direction, &slope);
            }
            if !(descent < 0.0) {
                break;
            }
            // The first step is a guess: not further than a tenth.
            let length = dot(&direction, &direction).sqrt();
            let first = match memory.is_empty() {
                true => (0.1 / length).min(1.0),
                false => 1.0,
            };
            let line = Line {
                at: &at,
                value,
                direction: &direction,
                descent,
            };
            let Some((there, next, next_slope)) = line.search(of, first)? else {
                if memory.is_empty() {
                    break;
                }
                // What is remembered misleads: once more, straight downhill.
                memory.clear();
                continue;
            };
            let step = moved(&there, &at, -1.0);
            let change = moved(&next_slope, &slope, -1.0);
            if dot(&step, &change) > 1e-12 * dot(&change, &change) {
                if memory.len() == self.memory {
                    memory.pop_front();
                }
                memory.push_back(Step { step, change });
            }
            let gain = value - next;
            (at, value, slope) = (there, next, next_slope);
            if gain < self.least_gain {
                break;
            }
        }
        Ok(Found { at, value })
    }
}

/// A way downhill.
struct Line<'a> {
    at: &'a [f64],
    value: f64,
    direction: &'a [f64],
    /// The derivative along it, below 0.
    descent: f64,
}

impl Line<'_> {
    /// A point that is lower by enough, and where it goes down less steeply; by halving and doubling. Where no such point
    /// is found, the lowest one that was seen.
    ///
    /// # Source
    /// Lewis, Overton (2013), Nonsmooth optimization via quasi-Newton methods, Alg. 2.6.
    #[expect(clippy::type_complexity, reason = "a point, its value and its slope")]
    fn search(&self, of: &impl Objective, first: f64) -> Result<Option<(Vec<f64>, f64, Vec<f64>)>> {
        let (mut low, mut high, mut by) = (0.0, f64::INFINITY, first);
        let mut best: Option<(Vec<f64>, f64, Vec<f64>)> = None;
        for _ in 0..40 {
            let there = moved(self.at, self.direction, by);
            // What has no value is no lower.
            let (value, slope) = match of.value_and_slope(&there) {
                Err(Error::Degenerate { .. }) => (f64::NAN, Vec::new()),
                found => found?,
            };
            let steep = dot(&slope, self.direction);
            // Not so written that NaN counts as lower.
            if !(value <= self.value + 1e-4 * by * self.descent) {
                high = by;
            } else {
                let enough = steep >= 0.9 * self.descent;
                if best.as_ref().is_none_or(|best| value < best.1) {
                    best = Some((there, value, slope));
                }
                if enough {
                    break;
                }
                low = by;
            }
            by = match high.is_finite() {
                true => 0.5 * (low + high),
                false => 2.0 * low,
            };
        }
        Ok(best)
    }
}

/// The slope times the negative inverse of the curvature that the steps have seen.
fn downhill(memory: &VecDeque<Step>, slope: &[f64]) -> Vec<f64> {
    let mut q: Vec<f64> = slope.iter().map(|slope| -slope).collect();
    let mut shares = Vec::with_capacity(memory.len());
    for one in memory.iter().rev() {
        let share = dot(&one.step, &q) / dot(&one.step, &one.change);
        q = moved(&q, &one.change, -share);
        shares.push(share);
    }
    if let Some(last) = memory.back() {
        let scale = dot(&last.step, &last.change) / dot(&last.change, &last.change);
        q.iter_mut().for_each(|q| *q *= scale);
    }
    for (one, share) in memory.iter().zip(shares.into_iter().rev()) {
        let back = dot(&one.change, &q) / dot(&one.step, &one.change);
        q = moved(&q, &one.step, share - back);
    }
    q
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rosenbrock's valley.
    struct Valley;

    impl Objective for Valley {
        fn value_and_slope(&self, at: &[f64]) -> Result<(f64, Vec<f64>)> {
            let (x, y) = (at[0], at[1]);
            let bend = y - x * x;
            let value = (1.0 - x).powi(2) + 100.0 * bend * bend;
            Ok((
                value,
                vec![-2.0 * (1.0 - x) - 400.0 * x * bend, 200.0 * bend],
            ))
        }
    }

    #[test]
    fn a_bent_valley_is_followed_to_its_end() {
        let search = Lbfgs {
            least_gain: 1e-14,
            ..Lbfgs::default()
        };
        let found = search.minimize(&Valley, vec![-1.2, 1.0]).unwrap();
        assert!(found.value < 1e-10, "{}", found.value);
        assert!((found.at[0] - 1.0).abs() < 1e-4);
    }
}
