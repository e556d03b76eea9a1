//! Functions of one variable.

use std::ops::Range;

use crate::error::{Error, Result};
use crate::figure::{Chart, Figure, GRAY, color};
use crate::stats::linspace;

/// Places at which a function is computed.
const PLACES: usize = 241;

/// Draws lines over the same `x`: each a name, and a value for each `x`. A line is broken where a value is
/// not finite. One that has the same value wherever it is drawn is a mark that others are compared with: gray and dashed.
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
    let mut drawn = 0;
    for (name, y) in lines {
        if y.len() != x.len() {
            return Err(Error::Mismatch {
                what: "a line and its x",
                left: format!("{} values of {name}", y.len()),
                right: format!("{} of x", x.len()),
                next: "compute one value for each x",
            });
        }
        if lines.len() > 1 && constant(y) {
            chart = chart.dashed(name, x, y, GRAY);
        } else {
            chart = chart.line(name, x, y, color(drawn));
            drawn += 1;
        }
    }
    let names: Vec<&str> = lines.iter().map(|(name, _)| *name).collect();
    chart.draw(format!("{y_label} over {x_label}: {}", names.join(", ")))
}

/// Whether all values are the same, but for rounding.
fn constant(y: &[f64]) -> bool {
    let drawn = || y.iter().copied().filter(|y| y.is_finite());
    let most = drawn().fold(f64::NEG_INFINITY, f64::max);
    let least = drawn().fold(f64::INFINITY, f64::min);
    drawn().count() > 1 && most - least <= 1e-12 * most.abs().max(least.abs())
}

/// Draws functions over an interval: each a name and what it is of each `x`. A line is broken where a function is not
/// finite; a constant is gray and dashed, as with [`plot_lines`]. A step, such as the edge of a box, is found and drawn
/// upright. Near a pole, as of `1/x`, the line goes as far as the places at which it is computed.
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
    if !(interval.start < interval.end) {
        return Err(Error::Parameter {
            name: "the interval",
            got: format!("{} to {}", interval.start, interval.end),
            need: "finite, its lower end first",
        });
    }
    let mut x = linspace(interval.start, interval.end, PLACES)?;
    let steps: Vec<f64> = functions.iter().flat_map(|(_, f)| steps(*f, &x)).collect();
    x.extend(steps);
    x.sort_by(f64::total_cmp);
    x.dedup();
    let values = functions
        .iter()
        .map(|(_, f)| x.iter().map(|&x| f(x)).collect());
    let values: Vec<Vec<f64>> = values.collect();
    let lines = functions.iter().zip(&values);
    let lines: Vec<(&str, &[f64])> = lines.map(|((name, _), y)| (*name, &y[..])).collect();
    plot_lines(x_label, y_label, &x, &lines)
}

/// A change from one place to the next by this share of all is looked at.
const JUMP: f64 = 0.1;
/// Halvings of the interval that a step lies in; after so many, a change that is left is none of a smooth function.
const HALVINGS: usize = 30;

/// Places on both sides of each step of a function. At a pole the change grows with each halving; at a step it does not.
fn steps(f: &dyn Fn(f64) -> f64, x: &[f64]) -> Vec<f64> {
    let y: Vec<f64> = x.iter().map(|&x| f(x)).collect();
    let finite = || y.iter().copied().filter(|y| y.is_finite());
    let range = finite().fold(f64::MIN, f64::max) - finite().fold(f64::MAX, f64::min);
    let mut found = Vec::new();
    for (x, y) in x.windows(2).zip(y.windows(2)) {
        let least = JUMP * range;
        if !((y[1] - y[0]).abs() > least) {
            continue;
        }
        let (mut low, mut high) = ((x[0], y[0]), (x[1], y[1]));
        for _ in 0..HALVINGS {
            let middle = 0.5 * (low.0 + high.0);
            let middle = (middle, f(middle));
            match (middle.1 - low.1).abs() > (high.1 - middle.1).abs() {
                true => high = middle,
                false => low = middle,
            }
        }
        let (first, last) = ((y[1] - y[0]).abs(), (high.1 - low.1).abs());
        if last.is_finite() && last > 0.5 * least && last <= 1.01 * first {
            found.extend([low.0, high.0]);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_edges_of_a_box_are_found_and_a_slope_is_none() {
        let x = linspace(-2.0, 2.0, 41).unwrap();
        let found = steps(&|x| if (0.33..1.27).contains(&x) { 2.0 } else { 0.0 }, &x);
        assert_eq!(found.len(), 4, "{found:?}");
        for (place, edge) in found.iter().zip([0.33, 0.33, 1.27, 1.27]) {
            assert!((place - edge).abs() < 1e-8, "{found:?}");
        }
        assert!(steps(&|x| (20.0 * x).tanh(), &x).is_empty());
        assert!(steps(&|_| f64::NAN, &x).is_empty());
        for pole in [f64::recip, f64::tan, f64::ln, |x: f64| 1.0 / (x - 0.33)] {
            let found = steps(&pole, &x);
            assert!(found.is_empty(), "{found:?}");
        }
    }

    #[test]
    fn a_constant_is_dashed_and_takes_no_colour() {
        let svg = |f: &dyn Fn(f64) -> f64| {
            let lines: [(&str, &dyn Fn(f64) -> f64); 2] = [("mark", f), ("line", &f64::exp)];
            let figure = plot_functions("x", "y", 0.0..1.0, &lines).unwrap();
            figure.svg().unwrap().to_owned()
        };
        let second = format!("{:02x}{:02x}{:02x}", color(1).0, color(1).1, color(1).2);
        assert!(!svg(&|_| 1.5).contains(&second));
        assert!(svg(&|x| x).contains(&second));
        assert!(svg(&f64::ln).contains(&second), "−∞ at 0");
        assert!(!svg(&|x| if x > 0.0 { 1.5 } else { f64::INFINITY }).contains(&second));
    }
}
