//! Rows of pictures with labels.

use std::borrow::Borrow;

use crate::data::{Dataset, mosaic};
use crate::error::{Error, Result};
use crate::figure::{Figure, strips};

/// The share of the values of a row that are black, and that are white.
const CUT: f64 = 0.01;

/// Draws rows of `columns` pictures each, every row with a label to its left and a contrast of its own: black and white
/// are the ends of the data's grid, else the values that 1 % of the row's values lie beyond.
///
/// # Errors
/// [`Error::Empty`] without rows; [`Error::Shape`] when samples are not pictures; [`Error::Parameter`] when a row has
/// fewer.
///
/// # Example: digits in noise
/// ```
/// use itd_prelude::prelude::*;
///
/// # fn main() -> Result<()> {
/// let six = digits()?.train.take(6)?;
/// let noisy = Dataset::new("in noise", channel::sweep(&six.x, &[0.0], 0)?.z)?;
/// let figure = plot_strips(&[("clean", &six), ("α = 0", &noisy)], 6)?;
/// check!(figure.svg().is_some_and(|svg| svg.contains("α = 0")));
/// # Ok(()) }
/// ```
pub fn plot_strips<S: AsRef<str>, D: Borrow<Dataset>>(
    rows: &[(S, D)],
    columns: usize,
) -> Result<Figure> {
    let mut pictures = Vec::new();
    for (label, data) in rows {
        let (label, data) = (label.as_ref(), data.borrow());
        let shape = data.check_tiles(1, columns)?;
        let values = data.take(columns)?.flat()?.to_vec2::<f32>()?;
        let (low, high) = match data.grid() {
            Ok(grid) => (grid.low, grid.high),
            Err(_) => contrast(&values.concat()),
        };
        let shade = |value: f32| {
            let share = (f64::from(value) - low) / (high - low);
            (share.clamp(0.0, 1.0) * 255.0).round() as u8
        };
        let (channels, height, width) = shape;
        let picture = mosaic(&values, [channels, height, width], columns, 10, shade);
        pictures.push((label, picture.figure(label)?));
    }
    let labels: Vec<&str> = pictures.iter().map(|(label, _)| *label).collect();
    let alt = format!(
        "{columns} pictures in each of the rows {}",
        labels.join(", ")
    );
    let rows: Vec<(&str, &Figure)> = pictures.iter().map(|(label, f)| (*label, f)).collect();
    if rows.is_empty() {
        return Err(Error::Empty {
            what: "the list of rows",
        });
    }
    strips(&rows, alt)
}

/// The values that a share of all lies below, and above.
fn contrast(values: &[f32]) -> (f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f32::total_cmp);
    let at = |share: f64| {
        let place = (share * (sorted.len().max(1) - 1) as f64).round() as usize;
        sorted.get(place).map_or(0.0, |&value| f64::from(value))
    };
    let (low, high) = (at(CUT), at(1.0 - CUT));
    (low, high.max(low + f64::EPSILON))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_wild_value_does_not_change_the_contrast() {
        let mut values: Vec<f32> = (0..400).map(|i| i as f32 / 400.0).collect();
        values.extend([100.0, -50.0]);
        let (low, high) = contrast(&values);
        assert!(
            (0.0..0.02).contains(&low) && (0.97..1.0).contains(&high),
            "{low} {high}"
        );
        assert!(contrast(&[]).1 > contrast(&[]).0);
    }
}
