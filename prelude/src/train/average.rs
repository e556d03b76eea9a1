//! The moving average of the parameters.

use candle_core::Var;

use super::adam::{Adam, write};
use crate::error::Result;

/// `average ← d·average + (1 − d)·parameters` after each step; early on with a smaller `d`, so that the start
/// is soon forgotten.
#[derive(Debug)]
pub(super) struct Average {
    decay: f64,
    steps: usize,
    values: Vec<Vec<f32>>,
}

impl Average {
    pub(super) fn new(decay: f64, adam: &Adam) -> Self {
        Self {
            decay,
            steps: 0,
            values: adam.values().map(<[f32]>::to_vec).collect(),
        }
    }

    pub(super) fn step(&mut self, adam: &Adam) {
        self.steps += 1;
        let early = self.steps as f64 / (self.steps as f64 + 9.0);
        let rest = 1.0 - self.decay.min(early) as f32;
        for (average, new) in self.values.iter_mut().zip(adam.values()) {
            for (average, new) in average.iter_mut().zip(new) {
                *average += rest * (new - *average);
            }
        }
    }

    /// Gives the average to the variables.
    pub(super) fn set(&self, vars: &[Var]) -> Result<()> {
        vars.iter()
            .zip(&self.values)
            .try_for_each(|(var, values)| write(var, values))
    }
}
