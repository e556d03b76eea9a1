//! The way from noise to samples as a moving picture.

use candle_core::Tensor;

use super::{Samples, State};
use crate::data::mosaic;
use crate::error::{Error, Result};
use crate::figure::{Figure, Pixels, animation};

/// Milliseconds that a frame is seen.
const DELAY: u16 = 80;
/// Shades in a moving picture: noise cannot be compressed, so that each bit of it costs.
const SHADES: f64 = 31.0;
/// At most so many columns and rows of pictures, and so many points.
const MOST: (usize, usize, usize) = (8, 3, 1000);
/// Pixels along each side of a plane with points.
const SIDE: usize = 320;

impl Samples {
    /// The kept states one after the other, as an animated PNG: pictures side by side, at most 24, or points of the
    /// plane, at most 1000. Values beyond the range of the finished samples look like its ends.
    ///
    /// # Errors
    /// [`Error::Missing`] when no states were kept, [`Error::Shape`] when samples are neither pictures
    /// `[1 or 3, height, width]` nor points `[2]`.
    ///
    /// # Example
    /// ```
    /// use itd_prelude::prelude::*;
    ///
    /// # fn main() -> Result<()> {
    /// let digits = digits()?.train;
    /// let net = digits.gaussian()?.denoiser(digits.shape())?;
    /// let config = SampleConfig { frames: 30, clamp: Some((-1.0, 1.0)), ..Default::default() };
    /// check!(sample(&net, 8, &config)?.animation()?.bytes().len() < 300_000);
    /// # Ok(()) }
    /// ```
    pub fn animation(&self) -> Result<Figure> {
        let Some((State { z: last, .. }, shape)) =
            self.trajectory.last().zip(self.x.dims().get(1..))
        else {
            return Err(Error::Missing {
                what: "no states were kept on the way to these samples".into(),
                next: "draw them with `frames: 30` in the `SampleConfig`",
            });
        };
        let frames: Result<Vec<Pixels>> = match *shape {
            [channels @ (1 | 3), height, width] => {
                let ends = match self.clamp {
                    Some(ends) => ends,
                    None => extremes(last)?,
                };
                let columns = self.len().clamp(1, MOST.0);
                let count = columns * (self.len() / columns).min(MOST.1);
                let size = [channels, height, width];
                self.draw(|z| pictures(z, size, columns, count, ends))
            }
            [2] => {
                let (low, high) = extremes(last)?;
                // A square about 0 that holds the noise, too.
                let reach = 1.1 * low.abs().max(high.abs()).max(2.5);
                self.draw(|z| points(z, reach))
            }
            _ => Err(Error::Shape {
                what: "a sample",
                got: shape.to_vec(),
                need: "[1 or 3, height, width] to be a picture, or [2] to be a point".into(),
            }),
        };
        let frames = frames?;
        let alt = format!("{} samples on their way from noise", self.len());
        animation(&frames, DELAY, alt)
    }

    fn draw(&self, frame: impl Fn(&Tensor) -> Result<Pixels>) -> Result<Vec<Pixels>> {
        self.trajectory
            .iter()
            .map(|state| frame(&state.z))
            .collect()
    }
}

fn extremes(x: &Tensor) -> Result<(f64, f64)> {
    let low = f64::from(x.min_all()?.to_scalar::<f32>()?);
    let high = f64::from(x.max_all()?.to_scalar::<f32>()?);
    Ok((low, high.max(low + f64::EPSILON)))
}

fn pictures(
    z: &Tensor,
    size: [usize; 3],
    columns: usize,
    count: usize,
    (low, high): (f64, f64),
) -> Result<Pixels> {
    let values = z.narrow(0, 0, count)?.flatten_from(1)?.to_vec2::<f32>()?;
    let shade = |value: f32| {
        let share = ((f64::from(value) - low) / (high - low)).clamp(0.0, 1.0);
        ((share * SHADES).round() * 255.0 / SHADES).round() as u8
    };
    Ok(mosaic(&values, size, columns, 6, shade))
}

fn points(z: &Tensor, reach: f64) -> Result<Pixels> {
    let count = z.dims()[0].min(MOST.2);
    let mut plane = Pixels::new(SIDE, SIDE, 255);
    let place = |value: f64| ((value / reach + 1.0) / 2.0 * SIDE as f64).round();
    for point in z.narrow(0, 0, count)?.to_vec2::<f32>()? {
        let (column, row) = (place(f64::from(point[0])), place(f64::from(-point[1])));
        let inside = |at: f64| at >= 0.0 && at < SIDE as f64;
        if inside(column) && inside(row) {
            for (down, right) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                plane.set(row as usize + down, column as usize + right, [64; 3]);
            }
        }
    }
    Ok(plane)
}
