//! Samples that are pictures, side by side.

use candle_core::D;

use super::Dataset;
use crate::error::{Error, Result};
use crate::figure::{Figure, Pixels};
use crate::rng;

impl Dataset {
    /// A picture of `rows × columns` samples drawn without replacement, for data that are pictures.
    ///
    /// # Errors
    /// As [`Self::tiles`].
    pub fn sample(&self, rows: usize, columns: usize, seed: u64) -> Result<Figure> {
        self.check_tiles(rows, columns)?;
        let order = rng::permutation(self.len(), &mut rng::seeded(seed));
        self.subset(&order[..rows * columns])?.tiles(rows, columns)
    }

    /// A picture of the first `rows × columns` samples, row by row, for data that are pictures.
    ///
    /// # Errors
    /// [`Error::Shape`] when a sample is not `[1 or 3, height, width]`; [`Error::Parameter`] when more
    /// samples are asked for than there are.
    pub fn tiles(&self, rows: usize, columns: usize) -> Result<Figure> {
        let (channels, height, width) = self.check_tiles(rows, columns)?;
        let count = rows * columns;
        let chosen = self.take(count)?;
        let (low, high) = chosen.ends()?;
        let values = chosen.flat()?.to_vec2::<f32>()?;
        let shade = |value: f32| ((f64::from(value) - low) / (high - low) * 255.0).round() as u8;
        let picture = mosaic(&values, [channels, height, width], columns, 6, shade);
        picture.figure(format!("{count} samples of {}", self.name))
    }

    /// Channels, height and width of the samples, if they are pictures and there are enough of them.
    pub(crate) fn check_tiles(&self, rows: usize, columns: usize) -> Result<(usize, usize, usize)> {
        let &[channels @ (1 | 3), height, width] = self.shape() else {
            return Err(Error::Shape {
                what: "a sample",
                got: self.shape().to_vec(),
                need: "[1 or 3, height, width] to be a picture; `plot_points` draws points".into(),
            });
        };
        let count = rows.saturating_mul(columns);
        if count == 0 || count > self.len() {
            return Err(Error::Parameter {
                name: "rows × columns",
                got: count.to_string(),
                need: "at least 1 and at most the number of samples",
            });
        }
        Ok((channels, height, width))
    }

    /// What is drawn black and white: the ends of the grid, else the extremes of the values.
    pub(crate) fn ends(&self) -> Result<(f64, f64)> {
        if let Ok(grid) = self.grid() {
            return Ok((grid.low, grid.high));
        }
        let flat = self.x.flatten_all()?;
        let low = f64::from(flat.min(D::Minus1)?.to_scalar::<f32>()?);
        let high = f64::from(flat.max(D::Minus1)?.to_scalar::<f32>()?);
        Ok((low, high.max(low + f64::EPSILON)))
    }
}

/// Pictures side by side, row by row, in so many columns. Each pixel is a square of at most `most` pixels. `shade` says how
/// bright a value is.
pub(crate) fn mosaic(
    pictures: &[Vec<f32>],
    [channels, height, width]: [usize; 3],
    columns: usize,
    most: usize,
    shade: impl Fn(f32) -> u8,
) -> Pixels {
    // Each pixel becomes a square, so that the whole is at most about 640 pixels wide.
    let zoom = (640 / (columns * (width + 1))).clamp(1, most);
    let (step_down, step_right) = (height * zoom + 2, width * zoom + 2);
    let rows = pictures.len().div_ceil(columns);
    let mut all = Pixels::new(columns * step_right + 2, rows * step_down + 2, 255);
    for (i, values) in pictures.iter().enumerate() {
        let (top, left) = (i / columns * step_down + 2, i % columns * step_right + 2);
        for row in 0..height * zoom {
            for column in 0..width * zoom {
                let at = row / zoom * width + column / zoom;
                let of = |c: usize| shade(values[c * height * width + at]);
                let rgb = [of(0), of(1 % channels), of(2 % channels)];
                all.set(top + row, left + column, rgb);
            }
        }
    }
    all
}
