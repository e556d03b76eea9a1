//! Eigenvalues of a covariance.

use crate::distribution::Gaussian;
use crate::error::Result;
use crate::figure::{Chart, Figure, Scale, color};

/// Draws the eigenvalues of the covariance, largest first, on a log axis; those that are 0 are counted, not drawn.
///
/// # Errors
/// [`Error::Draw`](crate::Error::Draw) when all are 0.
///
/// # Example
/// ```
/// let gaussian = itd_prelude::data::digits()?.train.gaussian()?;
/// let figure = itd_prelude::plot::plot_spectrum(&gaussian)?;
/// assert!(figure.alt.contains("that are 0")); // some pixels are black in every picture
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn plot_spectrum(gaussian: &Gaussian) -> Result<Figure> {
    let mut drawn = gaussian.eigenvalues.clone();
    drawn.retain(|&value| value > 0.0);
    drawn.sort_by(|a, b| b.total_cmp(a));
    let zeros = gaussian.dim() - drawn.len();
    let rank: Vec<f64> = (1..=drawn.len()).map(|i| i as f64).collect();
    let mut chart = Chart::new("rank", "eigenvalue of the covariance")
        .line("", &rank, &drawn, color(0))
        .points("", &rank, &drawn, color(0), 2.0);
    chart.y_scale = Scale::Log;
    chart.size = (560, 340);
    let and = match zeros {
        0 => String::new(),
        zeros => {
            chart.title = format!("and {zeros} eigenvalues that are 0");
            format!(", and {zeros} that are 0")
        }
    };
    chart.draw(format!("{} eigenvalues of a covariance{and}", drawn.len()))
}
