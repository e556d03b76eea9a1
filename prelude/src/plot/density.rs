//! Densities over a plane, and points in it.

use super::contour::outlines;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::figure::{Chart, Color, Figure, color};
use crate::likelihood::DensityMap;

/// At most so many points are drawn, so that figures stay small.
const MOST_POINTS: usize = 1500;

/// Shares of the probability that the contours enclose, outermost first.
const SHARES: [f64; 7] = [0.99, 0.95, 0.8, 0.6, 0.4, 0.2, 0.05];

/// From pale to dark; each step is as far from the next to the eye.
const BLUES: [Color; 7] = [
    (226, 237, 248),
    (194, 217, 238),
    (155, 193, 224),
    (112, 165, 207),
    (72, 134, 186),
    (38, 101, 159),
    (12, 67, 122),
];

/// Draws a density by contours that enclose 5 to 99 % of it, with points over them if `data` is given.
///
/// # Errors
/// [`Error::Draw`] when no density in the map is finite and > 0; as [`plot_points`] for the data.
///
/// # Example
/// ```
/// use itd_prelude::{likelihood::{DensityMap, MapConfig}, plot::plot_density};
///
/// let map = DensityMap::of(&MapConfig::default(), |x, y| 0.5 * (x * x + y * y))?;
/// assert!(plot_density(&map, None)?.svg().is_some());
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn plot_density(map: &DensityMap, data: Option<&Dataset>) -> Result<Figure> {
    // Logarithms are smoother than densities between the points of a coarse map.
    let clean = |nats: &f64| {
        if nats.is_nan() {
            f64::NEG_INFINITY
        } else {
            -nats
        }
    };
    let logs: Vec<f64> = map.nats.iter().map(clean).collect();
    let density: Vec<f64> = logs.iter().map(|log| log.exp()).collect();
    let mut chart = square("", "");
    for (level, blue) in levels(&density)?.into_iter().zip(BLUES) {
        for outline in outlines(&map.x, &map.y, &logs, level.ln()) {
            chart = chart.area("", outline, blue, 1.0);
        }
    }
    if let Some(data) = data {
        let (x, y) = coordinates(data)?;
        chart = chart.points("", &x, &y, color(1), 1.1);
    }
    let ends = |v: &[f64]| Some((v[0], v[v.len() - 1]));
    (chart.x_range, chart.y_range) = (ends(&map.x), ends(&map.y));
    chart.draw("A density over the plane; contours enclose 99, 95, 80, 60, 40, 20 and 5 % of it")
}

/// The densities that bound the regions of highest density with each of [`SHARES`] of the whole.
fn levels(density: &[f64]) -> Result<Vec<f64>> {
    let mut sorted: Vec<f64> = density
        .iter()
        .copied()
        .filter(|d| *d > 0.0 && d.is_finite())
        .collect();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let total: f64 = sorted.iter().sum();
    if !(total > 0.0) {
        return Err(Error::Draw(
            "no density in the map is finite and above 0".into(),
        ));
    }
    let level = |share: f64| {
        let mut sum = 0.0;
        let inside = sorted.iter().take_while(|density| {
            sum += **density;
            sum < share * total
        });
        sorted[inside.count().min(sorted.len() - 1)]
    };
    Ok(SHARES.map(level).to_vec())
}

/// Draws data in two dimensions as points, the classes in different colours if there are labels.
///
/// # Errors
/// [`Error::Shape`] when a sample is not `[2]`.
///
/// # Example
/// ```
/// use itd_prelude::{data, plot::plot_points};
///
/// assert!(plot_points(&data::toy::dino(2000, 0)?.train)?.bytes().len() < 40_000);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn plot_points(data: &Dataset) -> Result<Figure> {
    let (x, y) = coordinates(data)?;
    let labels = data
        .labels()
        .map_or_else(|_| vec![0; x.len()], <[u32]>::to_vec);
    let mut classes = labels.clone();
    classes.sort_unstable();
    classes.dedup();
    let mut chart = square("", "");
    for (i, class) in classes.iter().enumerate() {
        let of_class = |values: &[f64]| -> Vec<f64> {
            let pairs = values.iter().zip(&labels);
            pairs
                .filter(|(_, label)| *label == class)
                .map(|(value, _)| *value)
                .collect()
        };
        let name = if classes.len() > 1 {
            class.to_string()
        } else {
            String::new()
        };
        chart = chart.points(&name, &of_class(&x), &of_class(&y), color(i), 1.4);
    }
    let shown = x.len();
    chart.draw(format!("{shown} points of {}", data.name))
}

fn square(x_label: &str, y_label: &str) -> Chart {
    let mut chart = Chart::new(x_label, y_label);
    chart.size = (440, 420);
    chart
}

fn coordinates(data: &Dataset) -> Result<(Vec<f64>, Vec<f64>)> {
    if data.shape() != [2] {
        return Err(Error::Shape {
            what: "a sample",
            got: data.shape().to_vec(),
            need: "[2] to be a point; `sample` draws pictures".into(),
        });
    }
    let points: Vec<Vec<f32>> = data.take(MOST_POINTS)?.flat()?.to_vec2()?;
    Ok(points
        .iter()
        .map(|p| (f64::from(p[0]), f64::from(p[1])))
        .unzip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_enclose_their_share() {
        // A hundred equal cells above a thousand that are almost empty.
        let mut density = vec![1.0; 100];
        density.extend(vec![1e-9; 1000]);
        let levels = levels(&density).unwrap();
        assert!(levels.iter().all(|&level| level == 1.0));
        assert!(super::levels(&[0.0, f64::NAN]).is_err());
    }
}
