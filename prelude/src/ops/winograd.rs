//! Convolution with kernels of 3×3 by Winograd's algorithm, four by four pixels at a time.
//!
//! A tile of 6×6 pixels and a kernel are polynomials; their values at six points a direction multiply one by
//! one, which takes 36 products for 16 pixels instead of 144, and over all channels these are 36 matrix
//! products. The points are 0, ±√½, ±√2 and ∞: with the usual 0, ±1, ±2 and ∞ the largest error is four times
//! as big; so it is about five times that of direct summation, 2·10⁻⁶ of the largest value at 256 channels.
//!
//! Lavin and Gray (2016), arXiv:1509.09308, with other points.

mod kernels;
mod tiles;

use std::ops::Range;

use rayon::prelude::*;

use super::lanes::{LANES, widest};
use super::product::{Matrix, PANEL, even, product};
use super::reduce::added;
use super::shared::{Shared, scratch};
use kernels::{Weights, fill_panel, fill_weights};
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
    /// twelve tiles for the matrix product, and some for each thread.
    fn rows_of_a_block(&self, channels: usize) -> usize {
        /// Values of a block, 1.2 MB.
        const VALUES: usize = 300_000;
        let (tall, wide) = self.tiles();
        let fit = (VALUES / (POINTS * channels)).clamp(24, 96) / wide;
        let most = fit.min((self.n * tall).div_ceil(8)).max(1);
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
    let block = sizes.rows_of_a_block(c);
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

/// The gradient by the weights, `[o, c, 3, 3]`, from `x` and the gradient by `y`.
pub(super) fn weight_gradient(sizes: Sizes, x: &[f32], dy: &[f32]) -> Vec<f32> {
    /// Sums that stay in the cache, 1.2 MB.
    const FEW_SUMS: usize = 300_000;
    let lift = Lift {
        sizes,
        x,
        dy,
        block: sizes.rows_of_a_block(padded(sizes.c) + padded(sizes.o)),
    };
    match POINTS * padded(sizes.c) * padded(sizes.o) <= FEW_SUMS {
        true => by_parts(&lift),
        false => by_points(&lift),
    }
}

/// The sums of some rows of tiles on each thread. The number of parts is fixed, as it decides the order of summation.
fn by_parts(lift: &Lift) -> Vec<f32> {
    let sizes = lift.sizes;
    let (c, o) = (padded(sizes.c), padded(sizes.o));
    let all: Vec<usize> = (0..lift.jobs()).collect();
    let part = |jobs: &[usize]| {
        let mut dw = vec![0.0; sizes.o * sizes.c * 9];
        scratch([lift.values(), POINTS * c * o], |[values, sums]| {
            for (i, &job) in jobs.iter().enumerate() {
                lift.fill(job, values);
                for (point, sums) in sums.chunks_exact_mut(c * o).enumerate() {
                    let (v, m) = lift.at(point, job, values, 0);
                    product(sizes.c, lift.tiles(job), o, v, m, sums, o, i > 0);
                }
            }
            weights(sizes, (0, o), sums, &mut dw);
        });
        dw
    };
    let parts = all.par_chunks(all.len().div_ceil(4)).map(part);
    added(parts.collect(), sizes.o * sizes.c * 9)
}

/// The sums of some points on each thread; all values of some rows of tiles are there at once.
fn by_points(lift: &Lift) -> Vec<f32> {
    /// Values that are held for the products, 8 MB.
    const HELD: usize = 2 << 20;
    let (sizes, jobs, each) = (lift.sizes, lift.jobs(), lift.values());
    let (c, o) = (padded(sizes.c), padded(sizes.o));
    let held = (HELD / each).clamp(1, jobs);
    let mut dw = vec![0.0; sizes.o * sizes.c * 9];
    let fill = |first: usize, values: &mut [f32]| {
        let values = values.par_chunks_mut(each).enumerate();
        values.for_each(|(i, values)| lift.fill(first + i, values));
    };
    if held == jobs && by_channels(sizes) {
        scratch([jobs * each], |[values]| {
            fill(0, values);
            let panels = dw.par_chunks_mut(PANEL * sizes.c * 9).enumerate();
            panels.for_each(|(panel, dw)| {
                let from = panel * PANEL;
                let columns = PANEL.min(o - from);
                scratch([POINTS * c * columns], |[sums]| {
                    for (point, sums) in sums.chunks_exact_mut(c * columns).enumerate() {
                        for (job, values) in values.chunks(each).enumerate() {
                            let (v, m) = lift.at(point, job, values, from);
                            let tiles = lift.tiles(job);
                            product(sizes.c, tiles, columns, v, m, sums, columns, job > 0);
                        }
                    }
                    weights(sizes, (0, columns), sums, dw);
                });
            });
        });
        return dw;
    }
    scratch([held * each, POINTS * c * o], |[values, sums]| {
        for first in (0..jobs).step_by(held) {
            let values = &mut values[..held.min(jobs - first) * each];
            fill(first, values);
            let points = sums.par_chunks_mut(c * o).enumerate();
            points.for_each(|(point, sums)| {
                for (i, values) in values.chunks(each).enumerate() {
                    let (v, m) = lift.at(point, first + i, values, 0);
                    let (tiles, add) = (lift.tiles(first + i), first > 0 || i > 0);
                    product(sizes.c, tiles, o, v, m, sums, o, add);
                }
            });
        }
        let blocks = dw.par_chunks_mut(LANES * sizes.c * 9).enumerate();
        blocks.for_each(|(i, dw)| weights(sizes, (i * LANES, o), sums, dw));
    });
    dw
}

/// The gradient by the kernels of output channels from `from` on, of the `o` that `sums`, `[point, c, o]`, has.
fn weights(sizes: Sizes, (from, o): (usize, usize), sums: &[f32], dw: &mut [f32]) {
    for (half, dw) in dw.chunks_mut(LANES * sizes.c * 9).enumerate() {
        widest(Weights {
            sums,
            from: from + half * LANES,
            channels: sizes.c,
            c: padded(sizes.c),
            o,
            dw,
        });
    }
}

/// The values of `x` and of the gradient by `y`, some rows of tiles at a time, which are a job.
struct Lift<'a> {
    sizes: Sizes,
    x: &'a [f32],
    dy: &'a [f32],
    /// Rows of tiles of a job.
    block: usize,
}

impl Lift<'_> {
    fn rows(&self, job: usize) -> Range<usize> {
        let rows = self.sizes.n * self.sizes.tiles().0;
        job * self.block..rows.min((job + 1) * self.block)
    }

    fn tiles(&self, job: usize) -> usize {
        self.rows(job).len() * self.sizes.tiles().1
    }

    fn jobs(&self) -> usize {
        (self.sizes.n * self.sizes.tiles().0).div_ceil(self.block)
    }

    /// How many values `x` has in a job.
    fn of_x(&self) -> usize {
        POINTS * apart(self.block * self.sizes.tiles().1, padded(self.sizes.c))
    }

    /// How many values there are in a job.
    fn values(&self) -> usize {
        let tiles = self.block * self.sizes.tiles().1;
        self.of_x() + POINTS * apart(tiles, padded(self.sizes.o))
    }

    fn fill(&self, job: usize, values: &mut [f32]) {
        let (tiles, (source, target)) = (self.sizes.tiles(), self.sizes.planes());
        let (v, m) = values.split_at_mut(self.of_x());
        // Kept apart from the scratch memory that the values are in.
        let mut strip = vec![0.0; strip(tiles.1)];
        widest(ToValues::<SIDE> {
            x: self.x,
            planes: source,
            tiles,
            rows: self.rows(job),
            strip: &mut strip,
            v,
        });
        widest(ToValues::<TILE> {
            x: self.dy,
            planes: target,
            tiles,
            rows: self.rows(job),
            strip: &mut strip,
            v: m,
        });
    }

    /// The two matrices of a point: `[c, tiles]`, and `[tiles, o]` from the output channel `from` on.
    fn at<'v>(
        &self,
        point: usize,
        job: usize,
        values: &'v [f32],
        from: usize,
    ) -> (Matrix<'v>, Matrix<'v>) {
        let (c, o) = (padded(self.sizes.c), padded(self.sizes.o));
        let (tiles, (v, m)) = (self.tiles(job), values.split_at(self.of_x()));
        let v = Matrix::of(&v[point * apart(tiles, c)..], c).turned();
        (v, Matrix::of(&m[point * apart(tiles, o) + from..], o))
    }
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
