//! The learning rate over the steps.

use std::f64::consts::PI;

/// How the learning rate changes over the steps, after a short rise at the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schedule {
    /// Not at all.
    Constant,
    /// Down to almost 0, along half a cosine.
    Cosine,
}

/// Steps of the rise at the start.
const RISE: usize = 50;

impl Schedule {
    /// The share of the learning rate at a step, counted from 0.
    pub fn share(self, step: usize, steps: usize) -> f64 {
        self.at(step, step as f64 / steps.max(1) as f64)
    }

    /// The share at a step when so much of the training is done, from 0 to 1.
    pub(super) fn at(self, step: usize, done: f64) -> f64 {
        let rise = ((step + 1) as f64 / RISE as f64).min(1.0);
        let fall = match self {
            Self::Constant => 1.0,
            Self::Cosine => 0.5 + 0.5 * (PI * done.min(1.0)).cos(),
        };
        rise * fall
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_rise_and_fall() {
        assert_eq!(Schedule::Constant.share(0, 1000), 0.02);
        assert_eq!(Schedule::Constant.share(999, 1000), 1.0);
        assert!((Schedule::Cosine.share(500, 1000) - 0.5).abs() < 1e-12);
        assert!(Schedule::Cosine.share(999, 1000) < 1e-5);
        // Training that is stopped by the clock follows the time.
        assert_eq!(
            Schedule::Cosine.at(100, 0.5),
            Schedule::Cosine.share(500, 1000)
        );
        assert_eq!(Schedule::Cosine.at(100, 1.7), 0.0);
    }
}
