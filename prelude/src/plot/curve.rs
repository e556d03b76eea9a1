//! Curves of the squared error.

use crate::curve::MseCurve;
use crate::error::{Error, Result};
use crate::figure::{Chart, Color, Figure, GRAY, color};
use crate::integral::{Area, Fallback, area_between};

/// Draws curves of the squared error of the noise per dimension, `E‖ε − ε̂‖²/d`, over log-SNR, the first as the
/// reference.
///
/// The area by which another curve lies below the reference is shaded. **It is not yet nats**: half of it, times the
/// dimension `d`, is what that denoiser knows beyond the reference. [`plot_gap`] draws a curve whose area is that
/// number. With more than two others, whose areas would cover each other, none is shaded. Dots are points that were
/// measured, bands two standard errors. A curve has the colour of its place in the list.
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
    let (first, reference) = first_of(curves)?;
    let mut chart = Chart::new(LOG_SNR, "error of the noise, E‖ε − ε̂‖² / d");
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
            chart = chart.band(&at[0], &at[1], &at[2], shade(i), 0.12);
        }
    }
    let scaled = curves.iter().map(|(_, curve)| {
        let (mse, err) = (per_dim(curve, &curve.mse), per_dim(curve, &curve.std_err));
        (*curve, mse, err)
    });
    let scaled: Vec<_> = scaled.collect();
    for (i, (curve, mse, err)) in scaled.iter().enumerate() {
        chart = error_band(chart, curve, mse, err, shade(i));
    }
    for (i, ((name, _), (curve, mse, _))) in curves.iter().zip(&scaled).enumerate() {
        chart = measured_line(chart, name, curve, mse, shade(i));
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

/// Draws by how much curves lie below the first one, their reference, so that the area **is** the answer: over
/// log-SNR
///
/// ```text
/// ½ (reference − E‖ε − ε̂‖²),   in nats per unit of α, for all dimensions together
/// ```
///
/// The legend has the area, `½ ∫ (reference − curve) dα`, with its standard error. What lies below zero counts
/// downwards. Colours are those of [`plot_curves`] for the same list; bands are two standard errors, of the differences
/// sample by sample where both curves are of the same samples.
///
/// # Errors
/// [`Error::Empty`] unless there is a curve beside the reference, [`Error::Mismatch`] when they differ in points,
/// samples or dimension, [`Error::Draw`] when nothing in them is finite.
///
/// # Example: what a correlation is worth
/// ```
/// use itd_prelude::prelude::*;
///
/// # fn main() -> Result<()> {
/// let points = Quadrature::trapezoid(-10.0, 10.0, 200)?;
/// let wide = Gaussian::standard(2)?.curve(&points)?;
/// let narrow = Gaussian::new(&[0.0; 2], &[[1.0, 0.6], [0.6, 1.0]])?.curve(&points)?;
/// let figure = plot_gap(&[("N(0, I)", &wide), ("correlated", &narrow)])?;
/// check!(figure.alt.contains("correlated: 0.223 nats")); // −½ ln(1 − 0.6²)
/// # Ok(()) }
/// ```
pub fn plot_gap(curves: &[(&str, &MseCurve)]) -> Result<Figure> {
    let (first, reference) = first_of(curves)?;
    if curves.len() < 2 {
        return Err(Error::Empty {
            what: "the list of curves beside the reference",
        });
    }
    let gaps = curves.iter().skip(1).map(|(name, curve)| {
        let gap = reference.minus(curve)?;
        Ok((*name, gap, area_between(reference, curve, Fallback::Never)?))
    });
    let label = "½ · gap, nats per unit of α";
    areas(
        label,
        gaps.collect::<Result<_>>()?,
        1,
        format!("half of what {first} lies above others"),
    )
}

/// Draws half of each curve, `½ E‖ε − ε̂‖²` in nats per unit of `α` for all dimensions together, so that the area
/// **under** it is the answer: the code length of data on a grid, but for the tails beyond the ends.
///
/// The legend has the area with its standard error; bands are two standard errors. The first curve is gray, as with
/// [`plot_curves`].
///
/// # Errors
/// [`Error::Empty`] without curves, [`Error::Mismatch`] when they differ in dimension, [`Error::Draw`] when nothing in
/// them is finite.
///
/// # Example: one bit of a coin
/// ```
/// use itd_prelude::prelude::*;
///
/// # fn main() -> Result<()> {
/// let coin = Scalar::coin().curve(&Quadrature::trapezoid(-12.0, 6.0, 200)?)?;
/// check!(plot_area(&[("coin", &coin)])?.alt.contains("coin: 0.693 nats"));
/// # Ok(()) }
/// ```
pub fn plot_area(curves: &[(&str, &MseCurve)]) -> Result<Figure> {
    first_of(curves)?;
    let all = curves
        .iter()
        .map(|(name, curve)| Ok((*name, (*curve).clone(), curve.area()?)));
    let label = "½ E‖ε − ε̂‖², nats per unit of α";
    areas(
        label,
        all.collect::<Result<_>>()?,
        0,
        "half of the squared error".to_owned(),
    )
}

const LOG_SNR: &str = "log-SNR α";

/// Halves of curves, filled down to zero, with their areas in the legend; `from` is the place of the first in its list.
fn areas(
    label: &str,
    curves: Vec<(&str, MseCurve, Area)>,
    from: usize,
    what: String,
) -> Result<Figure> {
    let mut chart = Chart::new(LOG_SNR, label);
    chart.size = (640, 320);
    let half = |values: &[f64]| -> Vec<f64> { values.iter().map(|value| 0.5 * value).collect() };
    for (i, (_, curve, _)) in curves.iter().enumerate() {
        let at = sorted(&curve.points.log_snr, &[&half(&curve.mse)]);
        chart = chart.band(
            &at[0],
            &vec![0.0; at[0].len()],
            &at[1],
            shade(from + i),
            0.14,
        );
    }
    let mut names = Vec::new();
    for (i, (name, curve, area)) in curves.iter().enumerate() {
        let (mse, err) = (half(&curve.mse), half(&curve.std_err));
        let name = format!("{name}: {}", nats(area));
        chart = error_band(chart, curve, &mse, &err, shade(from + i));
        chart = measured_line(chart, &name, curve, &mse, shade(from + i));
        names.push(name);
    }
    chart.draw(format!("{what} over log-SNR; areas: {}", names.join(", ")))
}

/// An area with its error: to three places, or to as many as the error has. Without one if it is exact.
fn nats(area: &Area) -> String {
    let err = area.std_err;
    match err {
        _ if err.is_nan() => format!("{:.3} nats, error unknown", area.nats),
        0.0 => format!("{:.3} nats", area.nats),
        _ => {
            let digits = (1.0 - err.log10().floor()).clamp(0.0, 6.0) as usize;
            format!("{:.digits$} ± {err:.digits$} nats", area.nats)
        }
    }
}

/// The first curve, which all are like in dimension.
fn first_of<'a>(curves: &[(&'a str, &'a MseCurve)]) -> Result<(&'a str, &'a MseCurve)> {
    let Some(&(first, reference)) = curves.first() else {
        return Err(Error::Empty {
            what: "the list of curves",
        });
    };
    match curves.iter().find(|(_, curve)| curve.dim != reference.dim) {
        None => Ok((first, reference)),
        Some((_, other)) => Err(Error::Mismatch {
            what: "the curves' dimensions",
            left: reference.dim.to_string(),
            right: other.dim.to_string(),
            next: "draw them in two figures",
        }),
    }
}

/// Two standard errors around values, where they are known and there are any.
fn error_band(
    chart: Chart,
    curve: &MseCurve,
    values: &[f64],
    errors: &[f64],
    color: Color,
) -> Chart {
    if !errors.iter().any(|err| *err > 0.0) {
        return chart;
    }
    let edge = |sign: f64| -> Vec<f64> {
        let pairs = values.iter().zip(errors);
        pairs.map(|(value, err)| value + sign * 2.0 * err).collect()
    };
    let at = sorted(&curve.points.log_snr, &[&edge(-1.0), &edge(1.0)]);
    chart.band(&at[0], &at[1], &at[2], color, 0.3)
}

/// Points up to this number are drawn as dots.
const MOST_DOTS: usize = 150;

/// A line, with dots where it was measured.
fn measured_line(
    chart: Chart,
    name: &str,
    curve: &MseCurve,
    values: &[f64],
    color: Color,
) -> Chart {
    let at = sorted(&curve.points.log_snr, &[values]);
    let chart = chart.line(name, &at[0], &at[1], color);
    match curve.is_exact() || at[0].len() > MOST_DOTS {
        true => chart,
        false => chart.points("", &at[0], &at[1], color, 2.2),
    }
}

/// The colour of a curve's place in its list: gray for the reference.
fn shade(i: usize) -> Color {
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
