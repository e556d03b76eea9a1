//! Densities over a plane, and points in it.

use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::figure::{Chart, Color, Figure, Image, Pixels, color, row};
use crate::likelihood::DensityMap;

/// At most so many points are drawn, so that figures stay small.
const MOST_POINTS: usize = 1500;

/// How far below the highest log density the colours reach, in nats.
const DEPTH: f64 = 8.0;

/// Colours of the log density, from the lowest to the highest; each step is as far from the next to the eye.
const BLUES: [Color; 9] = [
    (255, 255, 255),
    (234, 242, 250),
    (209, 226, 243),
    (177, 207, 231),
    (140, 183, 217),
    (101, 156, 200),
    (66, 126, 178),
    (36, 96, 150),
    (10, 62, 115),
];

/// The colour of points over it, which can be seen on white and on dark blue.
const DOTS: Color = (240, 140, 30);

/// Shades of the log density: few enough for a small file.
const SHADES: usize = 48;

/// Draws a log density as shades of blue, with a colour bar in nats, and points over it if `data` is given.
///
/// From white to dark blue it is 8 nats: where the density is below e⁻⁸ of its highest value the plane is white.
///
/// # Errors
/// [`Error::Draw`] when no density in the map is finite and > 0; as [`DensityMap::check`], and as [`plot_points`] for the
/// data.
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
    plot_densities(&[("", map)], data)
}

/// Draws log densities side by side in one scale of colours, each with its name above and the points of `data`, if
/// given, over it; see [`plot_density`]. The axes are those of the maps.
///
/// # Errors
/// [`Error::Empty`] without maps; as [`plot_density`].
///
/// # Example: a truth, and what was found
/// ```
/// use itd_prelude::{likelihood::{DensityMap, MapConfig}, plot::plot_densities};
///
/// let truth = DensityMap::of(&MapConfig::default(), |x, y| 0.5 * (x * x + y * y))?;
/// let found = DensityMap::of(&MapConfig::default(), |x, y| 0.6 * (x * x + y * y))?;
/// assert!(plot_densities(&[("truth", &truth), ("found", &found)], None)?.alt.contains("found"));
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn plot_densities(maps: &[(&str, &DensityMap)], data: Option<&Dataset>) -> Result<Figure> {
    if maps.is_empty() {
        return Err(Error::Empty {
            what: "the list of maps",
        });
    }
    maps.iter().try_for_each(|(_, map)| map.check())?;
    let logs = maps.iter().flat_map(|(_, map)| &map.nats).map(|nats| -nats);
    let highest = logs
        .filter(|log| log.is_finite())
        .fold(f64::NEG_INFINITY, f64::max);
    if !highest.is_finite() {
        return Err(Error::Draw(
            "no density in the map is finite and above 0".into(),
        ));
    }
    let width = if maps.len() > 1 { 330 } else { 440 };
    let mut panels = Vec::new();
    for (name, map) in maps {
        let mut chart = square("x₁", "x₂");
        let title = if name.is_empty() { 0 } else { 22 };
        chart.size = (width, width - 20 + title);
        chart.title = (*name).to_owned();
        chart.backdrop = Some(shades(map, highest)?);
        if let Some(data) = data {
            let (x, y) = coordinates(data)?;
            chart = chart.dots("", &x, &y, DOTS, (1.0, 0.65));
        }
        (chart.x_range, chart.y_range) = (ends(&map.x), ends(&map.y));
        panels.push(chart.draw(format!("the log density {name}").trim_end())?);
    }
    let height = panels
        .first()
        .and_then(|panel| height(panel.svg()?))
        .unwrap_or(420.0);
    panels.push(color_bar(highest, height));
    let names: Vec<&str> = maps
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| !name.is_empty())
        .collect();
    let mut figure = row(&panels)?;
    let alt = format!(
        "Log density over the plane, from {:.1} nats (dark) to {:.1} (white){}{}",
        highest,
        highest - DEPTH,
        if names.is_empty() { "" } else { ": " },
        names.join(" and ")
    );
    if let Image::Svg(text) = &mut figure.image {
        *text = text.replacen(&figure.alt, &alt, 1);
    }
    figure.alt = alt;
    Ok(figure)
}

/// The edges of a map, half a step beyond its outermost places, whose squares the colours fill.
fn ends(places: &[f64]) -> Option<(f64, f64)> {
    let (first, last) = (*places.first()?, *places.last()?);
    let half = 0.5 * (last - first) / (places.len().max(2) - 1) as f64;
    Some((first - half, last + half))
}

/// One pixel for each place of a map.
fn shades(map: &DensityMap, highest: f64) -> Result<Figure> {
    let (across, down) = (map.x.len(), map.y.len());
    let mut picture = Pixels::new(across, down, 255);
    for (i, nats) in map.nats.iter().enumerate() {
        let share = 1.0 - (highest + nats) / DEPTH;
        // NaN, too, is white.
        let share = if share > 0.0 { share.min(1.0) } else { 0.0 };
        let (row, column) = (down - 1 - i / across, i % across);
        picture.set(row, column, blue(share));
    }
    picture.figure("")
}

/// The colour of a share of the scale, 0 to 1.
fn blue(share: f64) -> [u8; 3] {
    let step = (share * (SHADES - 1) as f64).round() / (SHADES - 1) as f64;
    let at = step * (BLUES.len() - 1) as f64;
    let below = (at.floor() as usize).min(BLUES.len() - 2);
    let (a, b, part) = (BLUES[below], BLUES[below + 1], at - below as f64);
    let mix = |a: u8, b: u8| (f64::from(a) + part * (f64::from(b) - f64::from(a))).round() as u8;
    [mix(a.0, b.0), mix(a.1, b.1), mix(a.2, b.2)]
}

/// The scale of colours beside a figure of that height.
fn color_bar(highest: f64, height: f64) -> Figure {
    let (left, top, bottom) = (8.0, 40.0, height - 46.0);
    let piece = (bottom - top) / SHADES as f64;
    let mut body = String::new();
    for i in 0..SHADES {
        let [r, g, b] = blue(1.0 - i as f64 / (SHADES - 1) as f64);
        let y = top + piece * i as f64;
        let down = piece + if i + 1 < SHADES { 0.5 } else { 0.0 };
        body += &format!(
            "<rect x=\"{left}\" y=\"{y:.1}\" width=\"12\" height=\"{down:.1}\" fill=\"#{r:02x}{g:02x}{b:02x}\"/>"
        );
    }
    body += &format!(
        "<rect x=\"{left}\" y=\"{top}\" width=\"12\" height=\"{:.1}\" fill=\"none\" stroke=\"#999\"/>",
        bottom - top
    );
    // Whole nats, every other one.
    let top_mark = (0.5 * highest).floor() * 2.0;
    let marks = (0..=(0.5 * DEPTH) as u32).map(|i| top_mark - 2.0 * f64::from(i));
    for mark in marks.filter(|mark| *mark >= highest - DEPTH) {
        let y = top + (highest - mark) / DEPTH * (bottom - top);
        let text = crate::text::number(mark).replace('-', "−");
        body += &format!(
            "<path d=\"M{} {y:.1}h4\" stroke=\"#999\"/><text x=\"{}\" y=\"{:.1}\" font-size=\"11.5\" fill=\"#444\">{text}</text>",
            left + 12.0,
            left + 19.0,
            y + 4.0
        );
    }
    body += &format!(
        "<text x=\"{left}\" y=\"18\" font-size=\"12.5\" fill=\"#222\">ln p in nats</text>"
    );
    let svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"92\" height=\"{height}\" viewBox=\"0 0 92 {height}\" \
         font-family=\"system-ui,'Segoe UI',Helvetica,Arial,sans-serif\">\
         <rect width=\"92\" height=\"{height}\" rx=\"8\" fill=\"#fff\"/>{body}</svg>\n"
    );
    Figure {
        image: Image::Svg(svg),
        alt: "scale of colours".into(),
    }
}

/// The height that stands in the first tag of a drawing.
fn height(svg: &str) -> Option<f64> {
    let (_, rest) = svg.split('>').next()?.split_once(" height=\"")?;
    rest.split('"').next()?.parse().ok()
}

/// Draws data in two dimensions as points, the classes in different colours if there are labels; of more than 1500, so
/// many that lie evenly among all.
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
    let all = data.len();
    let data = &some(data)?;
    let (x, y) = coordinates(data)?;
    let labels = data
        .labels()
        .map_or_else(|_| vec![0; x.len()], <[u32]>::to_vec);
    let mut classes = labels.clone();
    classes.sort_unstable();
    classes.dedup();
    let mut chart = square("x₁", "x₂");
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
    let shown = match x.len() {
        count if count < all => format!("{count} of {all}"),
        count => count.to_string(),
    };
    chart.draw(format!("{shown} points of {}", data.name))
}

/// As many samples as are drawn, evenly among all: the first ones may be of one class.
fn some(data: &Dataset) -> Result<Dataset> {
    let n = data.len();
    if n <= MOST_POINTS {
        return Ok(data.clone());
    }
    let places: Vec<u32> = (0..MOST_POINTS)
        .map(|i| (i * n / MOST_POINTS) as u32)
        .collect();
    data.subset(&places)
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
    let points: Vec<Vec<f32>> = data.flat()?.to_vec2()?;
    Ok(points
        .iter()
        .map(|p| (f64::from(p[0]), f64::from(p[1])))
        .unzip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_density_is_dark_and_what_is_far_below_white() {
        assert_eq!(blue(0.0), [255; 3]);
        assert_eq!(blue(1.0), [10, 62, 115]);
        let map = DensityMap {
            x: vec![0.0, 1.0],
            y: vec![0.0, 1.0],
            nats: vec![1.0, f64::NAN, 50.0, f64::INFINITY],
        };
        let figure = plot_density(&map, None).unwrap();
        assert!(figure.alt.contains("from -1.0 nats"), "{}", figure.alt);
        let nothing = DensityMap {
            nats: vec![f64::NAN; 4],
            ..map
        };
        assert!(plot_density(&nothing, None).is_err());
        assert!(plot_densities(&[], None).is_err());
    }

    #[test]
    fn edges_lie_half_a_step_beyond() {
        assert_eq!(ends(&[0.0, 1.0, 2.0]), Some((-0.5, 2.5)));
    }
}
