//! Pictures, and below each what its pixels tell.

use crate::error::{Error, Result};
use crate::figure::{Color, Figure, Pixels};
use crate::information::{Attribution, Readout};

/// Ink where a pixel tells for the condition, and where against it.
const FOR: Color = (213, 94, 0);
const AGAINST: Color = (0, 114, 178);
/// Most that the picture is wide, in pixels.
const WIDEST: usize = 640;
/// White between two pictures.
const SPACE: usize = 4;

/// Draws the first `count` pictures in a row, and below each the map of what its pixels tell: orange for the condition,
/// blue against it, in one scale for all.
///
/// # Errors
/// [`Error::Shape`] when the samples are not pictures; [`Error::Parameter`] when there are fewer, or none are asked for;
/// as [`Attribution::maps`].
///
/// # Example: two pictures of two by two, of which one pixel tells the class
/// ```
/// use itd_prelude::prelude::*;
/// use itd_prelude::information::{Readout, attribution};
/// use itd_prelude::plot::plot_attribution;
///
/// # fn main() -> Result<()> {
/// let part = |mean: f64| Gaussian::diagonal(vec![mean, 0.0, 0.0, 0.0], vec![0.1; 4]);
/// let two = Mixture::new(&[(0.5, part(-1.0)?), (0.5, part(1.0)?)])?;
/// let (x, y) = two.sample_with_parts(20, &mut rng::seeded(0))?;
/// let data = Dataset::new("two", x.reshape((20, 1, 2, 2))?)?.given(Condition::Class(y))?;
/// let found = attribution(&two.denoiser(&[1, 2, 2])?, &data)?;
/// check!(plot_attribution(&found, Readout::Mean, 2)?.mime() == "image/png");
/// # Ok(()) }
/// ```
pub fn plot_attribution(found: &Attribution, readout: Readout, count: usize) -> Result<Figure> {
    let &[channels @ (1 | 3), height, width] = found.data.shape() else {
        return Err(Error::Shape {
            what: "a sample",
            got: found.data.shape().to_vec(),
            need: "[1 or 3, height, width] to be a picture".into(),
        });
    };
    if !(1..=found.data.len()).contains(&count) {
        return Err(Error::Parameter {
            name: "count",
            got: count.to_string(),
            need: "at least 1 and at most the number of samples",
        });
    }
    let chosen = found.data.take(count)?;
    let (low, high) = chosen.ends()?;
    let pictures = chosen.flat()?.to_vec2::<f32>()?;
    let maps = found.maps(readout)?;
    let most = maps
        .rows()
        .into_iter()
        .take(count)
        .flatten()
        .fold(0.0, |most: f64, nats| most.max(nats.abs()));
    let zoom = (WIDEST / (count * (width + 1))).clamp(1, 10);
    let (across, down) = (width * zoom + SPACE, height * zoom + SPACE);
    let mut all = Pixels::new(count * across + SPACE, 2 * down + SPACE, 255);
    let ink = |nats: f64| -> [u8; 3] {
        let share = if most > 0.0 { nats.abs() / most } else { 0.0 };
        let (r, g, b) = if nats < 0.0 { AGAINST } else { FOR };
        [r, g, b].map(|c| (255.0 - share * (255.0 - f64::from(c))).round() as u8)
    };
    let shade = |value: f32| ((f64::from(value) - low) / (high - low) * 255.0).round() as u8;
    for (i, picture) in pictures.iter().enumerate() {
        for row in 0..height * zoom {
            for column in 0..width * zoom {
                let at = row / zoom * width + column / zoom;
                let of = |c: usize| shade(picture[c % channels * height * width + at]);
                let (top, left) = (SPACE + row, SPACE + i * across + column);
                all.set(top, left, [of(0), of(1), of(2)]);
                all.set(top + down, left, ink(maps[[i, at]]));
            }
        }
    }
    all.figure(format!(
        "{count} pictures, and below each how many nats each pixel tells of its class, up to {most:.3}"
    ))
}
