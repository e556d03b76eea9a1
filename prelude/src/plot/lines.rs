//! Functions of one variable.

use std::ops::Range;

use crate::error::{Error, Result};
use crate::figure::{Chart, Figure, color};
use crate::stats::linspace;

/// Places at which a function is computed.
const PLACES: usize = 241;

/// Draws lines over the same `x`: each a name, and a value for each `x`. A line is broken where a value is
/// not finite.
///
/// # Errors
/// [`Error::Empty`] without lines, [`Error::Mismatch`] unless each has a value for each `x`, [`Error::Draw`]
/// when nothing is finite.
///
/// # Example
/// ```
/// use itd_prelude::plot::plot_lines;
///
/// let x: Vec<f64> = (0..50).map(|i| 0.1 * f64::from(i)).collect();
/// let square: Vec<f64> = x.iter().map(|x| x * x).collect();
/// let figure = plot_lines("x", "value", &x, &[("x²", &square)])?;
/// assert!(figure.alt.contains("x²"));
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn plot_lines(
    x_label: &str,
    y_label: &str,
    x: &[f64],
    lines: &[(&str, &[f64])],
) -> Result<Figure> {
    if lines.is_empty() {
        return Err(Error::Empty {
            what: "the list of lines",
        });
    }
    let mut chart = Chart::new(x_label, y_label);
    for (i, (name, y)) in lines.iter().enumerate() {
        if y.len() != x.len() {
            return Err(Error::Mismatch {
                what: "a line and its x",
                left: format!("{} values of {name}", y.len()),
                right: format!("{} of x", x.len()),
                next: "compute one value for each x",
            });
        }
        chart = chart.line(name, x, y, color(i));
    }
    let names: Vec<&str> = lines.iter().map(|(name, _)| *name).collect();
    chart.draw(format!("{y_label} over {x_label}: {}", names.join(", ")))
}

/// Draws functions over an interval: each a name and what it is of each `x`. A line is broken where a function is not
/// finite.
///
/// # Errors
/// [`Error::Parameter`] unless the interval is finite, its lower end first; else as [`plot_lines`].
///
/// # Example
/// ```
/// use itd_prelude::plot::plot_functions;
///
/// let figure = plot_functions("x", "value", 0.0..5.0, &[("x²", &|x| x * x), ("√x", &f64::sqrt)])?;
/// assert!(figure.alt.contains("√x"));
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn plot_functions(
    x_label: &str,
    y_label: &str,
    interval: Range<f64>,
    functions: &[(&str, &dyn Fn(f64) -> f64)],
) -> Result<Figure> {
    let x = linspace(interval.start, interval.end, PLACES)?;
    let values = functions
        .iter()
        .map(|(_, f)| x.iter().map(|&x| f(x)).collect());
    let values: Vec<Vec<f64>> = values.collect();
    let lines = functions.iter().zip(&values);
    let lines: Vec<(&str, &[f64])> = lines.map(|((name, _), y)| (*name, &y[..])).collect();
    plot_lines(x_label, y_label, &x, &lines)
}
