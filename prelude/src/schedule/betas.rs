//! The shapes that schedules have.

use std::f64::consts::FRAC_PI_2;

use crate::cell::memory::room_for;
use crate::error::{Error, Result};

/// How `β` runs over the steps, before it is clipped.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Betas {
    /// Evenly from `first` to `last`.
    Linear {
        /// `β` of the first step.
        first: f64,
        /// `β` of the last.
        last: f64,
    },
    /// `ᾱ(u) = cos²(π/2 · (u + offset)/(1 + offset))`, `β_t = 1 − ᾱ((t + 1)/T)/ᾱ(t/T)`.
    Cosine {
        /// Keeps the first `β` from being tiny.
        offset: f64,
    },
    /// `ᾱ(u) ∝ σ(end) − σ(start + (end − start)·u)`, `β` from it as for the cosine.
    Sigmoid {
        /// Where on the logistic curve the first step begins.
        start: f64,
        /// Where the last one ends.
        end: f64,
    },
}

impl Betas {
    /// `β` of each of so many steps.
    pub(super) fn steps(self, steps: usize) -> Result<Vec<f64>> {
        self.check(steps)?;
        // As many numbers again are kept of them, three times.
        room_for::<[f64; 4]>("the steps of the schedule", &[steps])?;
        let part = |t: usize| t as f64 / steps as f64;
        Ok((0..steps)
            .map(|t| match self {
                Betas::Linear { first, last } => {
                    first + (last - first) * t as f64 / (steps - 1) as f64
                }
                Betas::Cosine { offset } => {
                    let angle = |u: f64| FRAC_PI_2 * (u + offset) / (1.0 + offset);
                    let (a, b) = (angle(part(t)), angle(part(t + 1)));
                    // 1 − cos²b/cos²a without the difference of two numbers that are nearly equal.
                    (a + b).sin() * (b - a).sin() / a.cos().powi(2)
                }
                Betas::Sigmoid { start, end } => {
                    let at = |t| start + (end - start) * part(t);
                    difference(at(t + 1), at(t)) / difference(end, at(t))
                }
            })
            .collect())
    }

    fn check(self, steps: usize) -> Result<()> {
        let refuse = |name, got: String, need| Err(Error::Parameter { name, got, need });
        if steps < 2 {
            return refuse("steps", steps.to_string(), "at least 2");
        }
        match self {
            Betas::Linear { first, last }
                if !(first > 0.0 && first < 1.0 && last > 0.0 && last < 1.0) =>
            {
                let got = format!("{first} to {last} with {steps} steps");
                refuse("beta", got, "above 0 and below 1; take more steps")
            }
            Betas::Cosine { offset } if !(offset >= 0.0 && offset.is_finite()) => {
                refuse("offset", offset.to_string(), "finite and at least 0")
            }
            Betas::Sigmoid { start, end }
                if !(start < end && start.is_finite() && end.is_finite()) =>
            {
                refuse(
                    "end",
                    end.to_string(),
                    "finite and above `start`, which must be finite too",
                )
            }
            _ => Ok(()),
        }
    }
}

/// `σ(a) − σ(b)`, with all digits also where both are near 0 or 1.
fn difference(a: f64, b: f64) -> f64 {
    ((a - b) / 2.0).sinh() / (2.0 * (a / 2.0).cosh() * (b / 2.0).cosh())
}
