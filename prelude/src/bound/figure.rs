//! The decomposition, step by step.

use super::Bound;
use crate::error::{Error, Result};
use crate::figure::{Chart, Figure, GRAY, color};

impl Bound {
    /// What each step costs next to what the exact formula takes for the same stretch of log-SNR, both in nats
    /// for each unit of it: `L_t/(α_{t−1} − α_t)` and `½ mse(α)`. The area between is what the bound loses to its
    /// finite number of steps.
    ///
    /// # Errors
    /// [`Error::Empty`] for a bound in continuous time, which has no steps; [`Error::Parameter`] for fewer than 3.
    pub fn figure(&self) -> Result<Figure> {
        match self.steps.len() {
            0 => {
                return Err(Error::Empty {
                    what: "the list of steps of the bound",
                });
            }
            few @ 1..=2 => {
                return Err(Error::Parameter {
                    name: "the steps of the bound",
                    got: few.to_string(),
                    need: "at least 3 to be drawn",
                });
            }
            _ => {}
        }
        let alphas: Vec<f64> = self.steps.iter().map(|step| step.log_snr).collect();
        let half: Vec<f64> = self.steps.iter().map(|step| 0.5 * step.mse).collect();
        let middle = |pair: &[f64]| 0.5 * (pair[0] + pair[1]);
        let middles: Vec<f64> = alphas.windows(2).map(middle).collect();
        let costs: Vec<f64> = self.steps[1..]
            .iter()
            .zip(alphas.windows(2))
            .map(|(step, pair)| step.nats / (pair[0] - pair[1]))
            .collect();
        let exact: Vec<f64> = half.windows(2).map(middle).collect();
        let mut chart = Chart::new("log-SNR α", "nats per unit of α")
            .band(&middles, &exact, &costs, color(0), 0.25)
            .line("½ mse(α), the exact formula", &alphas, &half, GRAY)
            .line("terms of the bound", &middles, &costs, color(0));
        // The first steps of some schedules are far from the rest; they would flatten everything.
        let top = half.iter().copied().fold(0.0, f64::max);
        chart.y_range = Some((0.0, 1.6 * top));
        chart.size = (560, 320);
        chart.draw(format!("Steps of a variational bound: {self}"))
    }
}
