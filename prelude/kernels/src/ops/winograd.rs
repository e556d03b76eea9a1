//! Convolution with kernels of 3×3 by Winograd's algorithm, four by four pixels at a time.
//!
//! A tile of 6×6 pixels and a kernel are polynomials; their values at six points a direction multiply one by
//! one, which takes 36 products for 16 pixels instead of 144, and over all channels these are 36 matrix
//! products. The points are 0, ±√½, ±√2 and ∞: with the usual 0, ±1, ±2 and ∞ the largest error is four times
//! as big; so it is about five times that of direct summation, 2·10⁻⁶ of the largest value at 256 channels.
//!
//! Lavin and Gray (2016), arXiv:1509.09308, with other points.

mod gradient;
mod kernels;
mod tiles;

use std::ops::Range;

use rayon::prelude::*;

use super::lanes::{LANES, widest};
use super::product::{Matrix, PANEL, even, product};
use super::shared::{Shared, scratch};
pub(super) use gradient::weight_gradient;
use kernels::{fill_panel, fill_weights};
use tiles::{Planes, ToPixels, ToValues};

/// Pixels of a tile's side that come out.
const TILE: usize = 4;
/// Points a direction, and pixels of a tile's side that go in.
const SIDE: usize = 6;
const POINTS: usize = SIDE * SIDE;
/// The points that are not 0 or ∞, but for the sign.
const A: f32 = std::f32::consts::FRAC_1_SQRT_2;
const B: f32 = std::f32::consts::SQRT_2;

/// Sizes of a convolution with a kernel of 3×3 that goes on by one pixel.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    pub(super) n: usize,
    /// Channels that go in.
    pub(super) c: usize,
    /// Channels that come out.
    pub(super) o: usize,
    pub(super) height: usize,
    pub(super) width: usize,
    /// Zeros around, at most 2.
    pub(super) padding: usize,
}

impl Sizes {
    /// Height and width of what comes out.
    fn out(&self) -> (usize, usize) {
        let more = 2 * self.padding;
        (self.height + more - 2, self.width + more - 2)
    }

    /// Rows of tiles, and tiles in one.
    fn tiles(&self) -> (usize, usize) {
        let (height, width) = self.out();
        (height.div_ceil(TILE), width.div_ceil(TILE))
    }

    fn planes(&self) -> (Planes, Planes) {
        let (height, width) = self.out();
        let x = Planes {
            channels: self.c,
            height: self.height,
            width: self.width,
            before: self.padding,
        };
        let y = Planes {
            channels: self.o,
            height,
            width,
            before: 0,
        };
        (x, y)
    }

    /// Rows of tiles that are worked on at once: as many as fit the cache with their values, a multiple of
    /// twelve tiles for the matrix product, and some for each thread if they have `least` tiles each.
    fn rows_of_a_block(&self, channels: usize, least: usize) -> usize {
        /// Values of a block, 1.2 MB.
        const VALUES: usize = 300_000;
        let (tall, wide) = self.tiles();
        let fit = (VALUES / (POINTS * channels)).clamp(24, 96) / wide;
        let some = (self.n * tall).div_ceil(8).max(least.div_ceil(wide));
        let most = fit.min(some).max(1);
        even(most, wide, 12)
    }
}

/// Whether to go through the output channels rather than through the tiles: then the values of all tiles are kept
/// at once, and those of the kernels only while they are in the cache.
pub(super) fn by_channels(sizes: Sizes) -> bool {
    let (tall, wide) = sizes.tiles();
    sizes.o >= 4 * PANEL && sizes.n * tall * wide <= FEW
}

/// The most tiles of which the values are fewer than those of the kernels.
const FEW: usize = 64;

fn padded(channels: usize) -> usize {
    channels.next_multiple_of(LANES)
}

/// `y = w ∗ x + b`; `w` is `[o, c, 3, 3]`, or when `turned` the `[c, o, 3, 3]` of the convolution of which this
/// is the gradient by its input.
pub(super) fn forward(
    sizes: Sizes,
    x: &[f32],
    w: &[f32],
    turned: bool,
    b: Option<&[f32]>,
    y: &mut [f32],
) {
    let ((tall, wide), (source, target)) = (sizes.tiles(), sizes.planes());
    let (c, o) = (padded(sizes.c), padded(sizes.o));
    let mut bias = vec![0.0; o];
    if let Some(b) = b {
        bias[..sizes.o].copy_from_slice(b);
    }
    let y = &Shared::new(y);
    let lift = |rows: Range<usize>, strip: &mut [f32], v: &mut [f32]| {
        widest(ToValues::<SIDE> {
            x,
            planes: source,
            tiles: (tall, wide),
            rows,
            strip,
            v,
        });
    };
    // The panel of output channels from `from` on, with the values of its kernels.
    let panel =
        |from: usize, weights: &[f32], rows: Range<usize>, v: &[f32], rest: [&mut [f32]; 2]| {
            let (tiles, columns, [m, strip]) = (rows.len() * wide, PANEL.min(o - from), rest);
            for point in 0..POINTS {
                let v = Matrix::of(&v[point * apart(tiles, c)..], c);
                let w = Matrix::of(&weights[point * columns * sizes.c..], columns);
                let m = &mut m[point * apart(tiles, columns)..][..tiles * columns];
                product(tiles, sizes.c, columns, v, w, m, columns, false);
            }
            widest(ToPixels {
                m,
                columns,
                bias: &bias[from..],
                from,
                planes: target,
                tiles: (tall, wide),
                rows,
                strip,
                y,
            });
        };
    let rows = sizes.n * tall;
    if by_channels(sizes) {
        // Each thread fills some, twenty-four tiles or all.
        let block = (24 / wide).clamp(1, rows);
        let (tiles, rows_of) = (block * wide, |i| i * block..rows.min((i + 1) * block));
        let values = POINTS * apart(tiles, c);
        scratch([rows.div_ceil(block) * values], |[v]| {
            let blocks = v.par_chunks_mut(values).enumerate();
            blocks.for_each(|(i, v)| scratch([strip(wide)], |[strip]| lift(rows_of(i), strip, v)));
            let v = &*v;
            (0..o.div_ceil(PANEL)).into_par_iter().for_each(|i| {
                let from = i * PANEL;
                let lengths = [
                    POINTS * sizes.c * PANEL,
                    POINTS * apart(tiles, PANEL),
                    strip(wide),
                ];
                scratch(lengths, |[weights, m, strip]| {
                    fill_panel(sizes.c, sizes.o, w, turned, from, weights);
                    for (i, v) in v.chunks(values).enumerate() {
                        panel(from, weights, rows_of(i), v, [m, strip]);
                    }
                });
            });
        });
        return;
    }
    let block = sizes.rows_of_a_block(c, 24);
    scratch([POINTS * sizes.c * o], |[weights]| {
        fill_weights(sizes.c, sizes.o, w, turned, weights);
        let job = |rows: Range<usize>| {
            let tiles = rows.len() * wide;
            let lengths = [
                POINTS * apart(tiles, c),
                POINTS * apart(tiles, PANEL),
                strip(wide),
            ];
            scratch(lengths, |[v, m, strip]| {
                lift(rows.clone(), strip, v);
                for from in (0..o).step_by(PANEL) {
                    let weights = &weights[from * POINTS * sizes.c..];
                    panel(from, weights, rows.clone(), v, [m, strip]);
                }
            });
        };
        (0..rows.div_ceil(block))
            .into_par_iter()
            .for_each(|i| job(i * block..rows.min((i + 1) * block)));
    });
}

/// Numbers from one point's values to the next one's, which is some more than there are: with a power of two
/// the same tile's values at all points would compete for the same lines of the cache.
fn apart(tiles: usize, channels: usize) -> usize {
    tiles * channels + LANES
}

/// Pixels of a row of tiles, sixteen channels side by side.
fn strip(wide: usize) -> usize {
    SIDE * (wide * TILE + 2) * LANES
}
