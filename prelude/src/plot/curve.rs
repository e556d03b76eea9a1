//! Curves of the squared error.

use crate::curve::MseCurve;
use crate::error::{Error, Result};
use crate::figure::{Chart, Figure, GRAY, color};

/// Draws curves of the error per dimension over log-SNR, the first as the reference.
///
/// The area by which another curve lies below the reference is shaded: half of it, in nats per dimension, is
/// what that denoiser knows beyond the reference. With more than two others, whose areas would cover each
/// other, none is. Bands show two standard errors.
///
/// # Errors
/// [`Error::Empty`] without curves, [`Error::Mismatch`] when they differ in dimension, [`Error::Draw`] when
/// nothing in them is finite.
///
/// # Paper
/// Kong, Brekelmans, Ver Steeg (2023), arXiv:2302.03792, Fig. 2.
///
/// # Example
/// ```
/// use itd_prelude::{distribution::Gaussian, logsnr::Logistic, plot::plot_curves};
///
/// let points = Logistic::new(0.0, 1.5, 4.0)?.quadrature(50)?;
/// let wide = Gaussian::standard(2)?.curve(&points)?;
/// let narrow = Gaussian::new(&[0.0; 2], &[[1.0, 0.9], [0.9, 1.0]])?.curve(&points)?;
/// let figure = plot_curves(&[("N(0, I)", &wide), ("correlated", &narrow)])?;
/// assert!(figure.svg().is_some_and(|svg| svg.contains("correlated")));
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn plot_curves(curves: &[(&str, &MseCurve)]) -> Result<Figure> {
    let Some(&(first, reference)) = curves.first() else {
        return Err(Error::Empty {
            what: "the list of curves",
        });
    };
    if let Some((_, other)) = curves.iter().find(|(_, curve)| curve.dim != reference.dim) {
        return Err(Error::Mismatch {
            what: "the curves' dimensions",
            left: reference.dim.to_string(),
            right: other.dim.to_string(),
            next: "draw them in two figures",
        });
    }
    let mut chart = Chart::new("log-SNR α", "squared error per dimension");
    // Areas first, then bands, then lines, so that nothing hides a line.
    let shaded = (2..=3).contains(&curves.len());
    for (i, (_, curve)) in curves.iter().enumerate().skip(1) {
        if shaded && curve.points.log_snr == reference.points.log_snr {
            let mse = per_dim(curve, &curve.mse);
            let above: Vec<f64> = per_dim(curve, &reference.mse);
            let low: Vec<f64> = mse
                .iter()
                .zip(&above)
                .map(|(own, top)| own.min(*top))
                .collect();
            let at = sorted(&curve.points.log_snr, &[&low, &above]);
            chart = chart.band(&at[0], &at[1], &at[2], color(i - 1), 0.12);
        }
    }
    for (i, (_, curve)) in curves
        .iter()
        .enumerate()
        .filter(|(_, (_, curve))| curve.std_err.iter().any(|err| *err > 0.0))
    {
        let edge = |sign: f64| -> Vec<f64> {
            let errors = curve.mse.iter().zip(&curve.std_err);
            per_dim(
                curve,
                &errors
                    .map(|(mse, err)| mse + sign * 2.0 * err)
                    .collect::<Vec<_>>(),
            )
        };
        let at = sorted(&curve.points.log_snr, &[&edge(-1.0), &edge(1.0)]);
        chart = chart.band(&at[0], &at[1], &at[2], shade(i), 0.3);
    }
    for (i, (name, curve)) in curves.iter().enumerate() {
        let at = sorted(&curve.points.log_snr, &[&per_dim(curve, &curve.mse)]);
        chart = chart.line(name, &at[0], &at[1], shade(i));
    }
    let names: Vec<&str> = curves.iter().map(|(name, _)| *name).collect();
    chart.draw(match names.len() {
        _ if !shaded => format!("Squared error over log-SNR: {}", names.join(", ")),
        _ => format!(
            "Squared error over log-SNR: {}; the area below {first} is shaded",
            names.join(", ")
        ),
    })
}

fn shade(i: usize) -> crate::figure::Color {
    if i == 0 { GRAY } else { color(i - 1) }
}

fn per_dim(curve: &MseCurve, values: &[f64]) -> Vec<f64> {
    values
        .iter()
        .map(|value| value / curve.dim as f64)
        .collect()
}

/// `x` in ascending order, and each of `ys` in the same order.
fn sorted(x: &[f64], ys: &[&[f64]]) -> Vec<Vec<f64>> {
    let mut order: Vec<usize> = (0..x.len()).collect();
    order.sort_by(|&i, &j| x[i].total_cmp(&x[j]));
    let pick = |values: &[f64]| order.iter().map(|&i| values[i]).collect();
    std::iter::once(x)
        .chain(ys.iter().copied())
        .map(pick)
        .collect()
}
