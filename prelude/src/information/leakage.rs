//! What the noisiest step of a schedule still tells of the sample, at most.

use crate::distribution::Gaussian;
use crate::error::Result;
use crate::schedule::NoiseSchedule;

/// Bounds on `I(x_T; x_0)`, in nats. Made by [`leakage`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Leakage {
    /// `ᾱ_T`, the share of the power that is signal.
    pub signal: f64,
    /// `γ_T = ᾱ_T/(1 − ᾱ_T)`.
    pub snr: f64,
    /// `½ Σ ln(1 + γ_T λ)`: no data with this covariance tell more.
    pub nats: f64,
    /// `½ γ_T tr Σ`, which is never less, and as much where little is left.
    pub linear: f64,
}

/// What the noisiest step of a schedule tells of the sample at most, whatever the data's distribution:
///
/// ```text
/// I(x_T; x_0) ≤ ½ Σ ln(1 + γ_T λ) ≤ ½ γ_T tr Σ
/// ```
///
/// No network and no training can recover more from `x_T`: of what is made from it the information is not larger (data
/// processing).
///
/// # Arguments
/// The schedule, and a Gaussian with the data's covariance. Of it only the eigenvalues matter; they may be 0.
///
/// # Errors
/// None so far.
///
/// # Example: DDPM's thousand steps leave a thousandth of a nat of each pixel at most
/// ```
/// use itd_prelude::prelude::*;
/// use itd_prelude::information::leakage;
///
/// # fn main() -> Result<()> {
/// let pixels = Gaussian::diagonal(vec![0.0; 64], vec![0.3; 64])?;
/// let left = leakage(&NoiseSchedule::linear(1000)?, &pixels)?;
/// check!(left.nats < left.linear && left.linear < 4e-4);
/// # Ok(()) }
/// ```
pub fn leakage(schedule: &NoiseSchedule, gaussian: &Gaussian) -> Result<Leakage> {
    let last = schedule.steps() - 1;
    let snr = schedule.log_snr[last].exp();
    let told = |value: &f64| (snr * value).ln_1p();
    Ok(Leakage {
        signal: schedule.signal(last),
        snr,
        nats: 0.5 * gaussian.eigenvalues.iter().map(told).sum::<f64>(),
        linear: 0.5 * snr * gaussian.eigenvalues.iter().sum::<f64>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::Betas;

    /// Schedules of DDPM's β for pictures of MNIST, whose covariance has the trace 211 with values from −1 to 1. Computed with Python's own floats.
    #[test]
    fn what_is_left_after_so_many_steps() {
        let pixels = Gaussian::diagonal(vec![0.0; 784], vec![211.0 / 784.0; 784]).unwrap();
        for (steps, signal, bound) in [
            (100, 3.6356e-1, 6.0267e1),
            (200, 1.3218e-1, 1.6069e1),
            (300, 4.8058e-2, 5.3261),
            (400, 1.7473e-2, 1.8762),
            (500, 6.3527e-3, 6.7450e-1),
            (600, 2.3097e-3, 2.4424e-1),
            (700, 8.3975e-4, 8.8668e-2),
            (800, 3.0531e-4, 3.2220e-2),
            (900, 1.1100e-4, 1.1712e-2),
            (1000, 4.0358e-5, 4.2580e-3),
            (1500, 2.5639e-7, 2.7049e-5),
            (2000, 1.6288e-9, 1.7184e-7),
        ] {
            let betas = Betas::Linear {
                first: 1e-4,
                last: 0.02,
            };
            let schedule = NoiseSchedule::new(steps, betas, (0.0, 0.999)).unwrap();
            let left = leakage(&schedule, &pixels).unwrap();
            println!("{steps}: {left:?}");
            assert!(
                (left.signal / signal - 1.0).abs() < 1e-3,
                "{steps} {left:?}"
            );
            assert!((left.linear / bound - 1.0).abs() < 1e-3, "{steps} {left:?}");
            assert!(left.nats <= left.linear);
        }
        assert!(NoiseSchedule::new(0, Betas::Cosine { offset: 0.01 }, (1e-4, 0.9999)).is_err());
    }
}
