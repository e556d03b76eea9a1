//! The learning rate over the steps.

use std::f64::consts::PI;

/// How the learning rate changes over the steps, after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LearningRate {
    /// Not at all.
    Constant,
    /// Down to almost 0, along half a cosine.
    Cosine,
}

impl LearningRate {
    /// The share of the learning rate when so much of the training is done, from 0 to 1.
    pub fn at(self, done: f64) -> f64 {
        match self {
            Self::Constant => 1.0,
            Self::Cosine => 0.5 + 0.5 * (PI * done.clamp(0.0, 1.0)).cos(),
        }
    }
}

/// The share at a step, counted from 0, of a warm-up over so many steps.
pub(super) fn warmup(step: usize, steps: usize) -> f64 {
    ((step + 1) as f64 / steps.max(1) as f64).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_rise_and_fall() {
        assert_eq!(
            (warmup(0, 50), warmup(49, 50), warmup(1000, 50)),
            (0.02, 1.0, 1.0)
        );
        assert_eq!(warmup(0, 0), 1.0);
        assert_eq!(
            (
                LearningRate::Constant.at(0.0),
                LearningRate::Constant.at(1.0)
            ),
            (1.0, 1.0)
        );
        assert!((LearningRate::Cosine.at(0.5) - 0.5).abs() < 1e-12);
        // Training that is stopped by the clock may be past its time.
        assert_eq!(LearningRate::Cosine.at(1.7), 0.0);
    }
}
