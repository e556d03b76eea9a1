//! Convolution as a matrix product: each output pixel's window becomes a column.
//!
//! Never all of them at once: rows of pixels are taken together until their columns fill the cache.

use std::ops::Range;

use rayon::prelude::*;

use super::lanes::{LANES, Lanes, Work, widest};
use super::product::{Matrix, PANEL, even, product};
use super::reduce::{added, pieces};
use super::shared::{Shared, scratch};
use super::turn::{Turn, turn};

/// Sizes of a convolution.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    pub(super) n: usize,
    /// Channels that go in.
    pub(super) c: usize,
    /// Channels that come out.
    pub(super) o: usize,
    pub(super) height: usize,
    pub(super) width: usize,
    /// Pixels of the kernel's side.
    pub(super) kernel: usize,
    pub(super) stride: usize,
    pub(super) padding: usize,
}

impl Sizes {
    /// Height and width of what comes out; the kernel fits into the padded picture.
    pub(super) fn out(&self) -> (usize, usize) {
        let side = |side: usize| (side + 2 * self.padding - self.kernel) / self.stride + 1;
        (side(self.height), side(self.width))
    }

    /// Numbers of a window.
    fn window(&self) -> usize {
        self.c * self.kernel * self.kernel
    }

    /// Rows of output pixels, counted through all samples, that are worked on at once.
    fn rows_of_a_block(&self) -> usize {
        /// Numbers of all columns, 1 MB.
        const COLUMNS: usize = 1 << 18;
        let (height, width) = self.out();
        let pixels = (COLUMNS / self.window().max(1)).clamp(32, 256);
        let some_for_each_thread = (self.n * height).div_ceil(8);
        let most = (pixels / width).min(some_for_each_thread).max(1);
        even(most, width, PANEL)
    }

    /// The blocks of rows from `from` to `to`.
    fn blocks(&self, rows: Range<usize>) -> impl Iterator<Item = Range<usize>> {
        let (block, end) = (self.rows_of_a_block(), rows.end);
        rows.step_by(block)
            .map(move |row| row..end.min(row + block))
    }

    /// Input rows and columns that the kernel's pixel `k` meets: the first output pixel that meets any, the
    /// first input pixel met, and how many.
    fn met(&self, k: usize, out: usize, side: usize) -> (usize, usize, usize) {
        let first = self.padding.saturating_sub(k).div_ceil(self.stride);
        let end = (side + self.padding)
            .saturating_sub(k)
            .div_ceil(self.stride)
            .min(out);
        let count = end.saturating_sub(first);
        let input = (first * self.stride + k).saturating_sub(self.padding);
        (first, input, count)
    }

    /// Fills `columns`, `[c·kernel², pixels]`, with the windows of the output rows `rows`.
    fn gather(&self, x: &[f32], rows: Range<usize>, columns: &mut [f32]) {
        widest(Gather {
            sizes: self,
            x,
            rows,
            columns,
        });
    }

    /// Adds `columns`, from output rows `rows` of one sample, to where its windows were.
    fn scatter(&self, columns: &[f32], rows: Range<usize>, dx: &mut [f32]) {
        let (height, width) = self.out();
        let pixels = rows.len() * width;
        for (line, columns) in columns.chunks_exact(pixels).take(self.window()).enumerate() {
            let (channel, ky, kx) = self.tap(line);
            let (first, input, count) = self.met(kx, width, self.width);
            for (row, from) in rows.clone().zip(columns.chunks_exact(width)) {
                let y = ((row % height) * self.stride + ky).checked_sub(self.padding);
                let Some(y) = y.filter(|y| *y < self.height && count > 0) else {
                    continue;
                };
                let to = &mut dx[(channel * self.height + y) * self.width + input..];
                let from = &from[first..first + count];
                let add = |(to, from): (&mut f32, &f32)| *to += from;
                match self.stride {
                    1 => to.iter_mut().zip(from).for_each(add),
                    stride => to.iter_mut().step_by(stride).zip(from).for_each(add),
                }
            }
        }
    }

    /// Channel, row and column of a number of the window.
    fn tap(&self, line: usize) -> (usize, usize, usize) {
        let side = self.kernel;
        (line / (side * side), line / side % side, line % side)
    }

    /// Where the pixels of output rows lie: of each sample the first pixel, and how many, and how many stand
    /// before them among these rows.
    fn pieces(&self, rows: Range<usize>) -> impl Iterator<Item = (usize, usize, usize, usize)> {
        let (height, width) = self.out();
        let mut row = rows.start;
        std::iter::from_fn(move || {
            let (from, sample) = (row, row / height);
            row = rows.end.min((sample + 1) * height);
            (from < row).then(|| {
                let before = (from - rows.start) * width;
                (
                    sample,
                    (from % height) * width,
                    (row - from) * width,
                    before,
                )
            })
        })
    }
}

struct Gather<'a> {
    sizes: &'a Sizes,
    x: &'a [f32],
    rows: Range<usize>,
    columns: &'a mut [f32],
}

impl Work for Gather<'_> {
    type Out = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let (sizes, (height, width)) = (self.sizes, self.sizes.out());
        let pixels = self.rows.len() * width;
        let lines = self.columns.chunks_exact_mut(pixels);
        for (line, columns) in lines.take(sizes.window()).enumerate() {
            let (channel, ky, kx) = sizes.tap(line);
            let (first, input, count) = sizes.met(kx, width, sizes.width);
            let (mut sample, mut row) = (self.rows.start / height, self.rows.start % height);
            for out in columns.chunks_exact_mut(width) {
                let y = (row * sizes.stride + ky).wrapping_sub(sizes.padding);
                let start = (sample * sizes.c + channel) * sizes.height;
                (sample, row) = match row + 1 == height {
                    true => (sample + 1, 0),
                    false => (sample, row + 1),
                };
                let there = y < sizes.height && count > 0;
                if !there || count < width {
                    for (from, count) in pieces(width) {
                        L::all(0.0).store_part(&mut out[from..from + count]);
                    }
                }
                if there {
                    let line = &self.x[(start + y) * sizes.width..][..sizes.width];
                    let out = &mut out[first..first + count];
                    read::<L>(&line[input..], sizes.stride, out);
                }
            }
        }
    }
}

/// Reads numbers that lie `stride` apart.
#[inline(always)]
pub(super) fn read<L: Lanes>(from: &[f32], stride: usize, to: &mut [f32]) {
    if stride > 2 {
        let from = from.iter().step_by(stride);
        to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
        return;
    }
    for (at, count) in pieces(to.len()) {
        let from = &from[at * stride..];
        let lanes = match stride {
            1 => L::load_part(from),
            _ => {
                let (low, high) = from.split_at(from.len().min(LANES));
                L::seconds(L::load_part(low), L::load_part(high))
            }
        };
        lanes.store_part(&mut to[at..at + count]);
    }
}

/// `y = w ∗ x + b`.
pub(super) fn forward(sizes: Sizes, x: &[f32], w: &[f32], b: Option<&[f32]>, y: &mut [f32]) {
    let (height, width) = sizes.out();
    let window = sizes.window();
    let blocks: Vec<_> = sizes.blocks(0..sizes.n * height).collect();
    let y = Shared::new(y);
    blocks.into_par_iter().for_each(|rows| {
        let pixels = rows.len() * width;
        scratch([window * pixels, sizes.o * pixels], |[columns, values]| {
            sizes.gather(x, rows.clone(), columns);
            let (w, of) = (Matrix::of(w, window), Matrix::of(columns, pixels));
            product(sizes.o, window, pixels, w, of, values, pixels, false);
            for (out, values) in values.chunks_exact(pixels).enumerate() {
                let b = b.map_or(0.0, |b| b[out]);
                for (sample, from, count, before) in sizes.pieces(rows.clone()) {
                    let at = (sample * sizes.o + out) * height * width + from;
                    // SAFETY: each row of output pixels belongs to one block.
                    let y = unsafe { y.part(at, count) };
                    let values = &values[before..][..count];
                    y.iter_mut().zip(values).for_each(|(y, v)| *y = v + b);
                }
            }
        });
    });
}

/// The gradient by `x`, and `b` for each of its channels.
pub(super) fn input_gradient(
    sizes: Sizes,
    w: &[f32],
    dy: &[f32],
    b: Option<&[f32]>,
    dx: &mut [f32],
) {
    let (height, width) = sizes.out();
    let window = sizes.window();
    let turned = turn(w, window);
    let blocks: Vec<_> = sizes.blocks(0..height).collect();
    let most = blocks.iter().map(|rows| rows.len() * width).max();
    let samples = dx.par_chunks_mut(sizes.c * sizes.height * sizes.width);
    let samples = samples.zip(dy.par_chunks(sizes.o * height * width));
    samples.for_each(|(dx, dy)| {
        for (channel, dx) in dx.chunks_mut(sizes.height * sizes.width).enumerate() {
            dx.fill(b.map_or(0.0, |b| b[channel]));
        }
        scratch([window * most.unwrap_or(0)], |[columns]| {
            for rows in blocks.iter().cloned() {
                let (from, pixels) = (rows.start * width, rows.len() * width);
                let columns = &mut columns[..window * pixels];
                let dy = Matrix::of(&dy[from..], height * width);
                let w = Matrix::of(&turned, sizes.o);
                product(window, sizes.o, pixels, w, dy, columns, pixels, false);
                sizes.scatter(columns, rows, dx);
            }
        });
    });
}

/// The gradient by `w`, `[o, c, kernel, kernel]`.
pub(super) fn weight_gradient(sizes: Sizes, x: &[f32], dy: &[f32]) -> Vec<f32> {
    /// Numbers of all parts' sums, 8 MB; a constant, as it decides the order of summation.
    const SUMS: usize = 1 << 21;
    let (height, width) = sizes.out();
    let (window, o) = (sizes.window(), sizes.o);
    let blocks: Vec<_> = sizes.blocks(0..sizes.n * height).collect();
    let parts = (SUMS / (window * o)).clamp(2, 8);
    let part = |blocks: &[Range<usize>]| {
        let mut sums = vec![0.0; window * o];
        for rows in blocks {
            let pixels = rows.len() * width;
            scratch([window * pixels, o * pixels], |[columns, panels]| {
                sizes.gather(x, rows.clone(), columns);
                // `[pixels, 32]` each, so that neighbours in a row of the product are neighbours in memory.
                for from in (0..o).step_by(PANEL) {
                    let across = PANEL.min(o - from);
                    let panel = &mut panels[from * pixels..][..across * pixels];
                    for (sample, first, count, before) in sizes.pieces(rows.clone()) {
                        widest(Turn {
                            from: &dy[(sample * o + from) * height * width + first..],
                            along: height * width,
                            rows: across,
                            columns: count,
                            to: &mut panel[before * across..],
                            across,
                        });
                    }
                    let (columns, panel) = (Matrix::of(columns, pixels), Matrix::of(panel, across));
                    let sums = &mut sums[from..];
                    product(window, pixels, across, columns, panel, sums, o, true);
                }
            });
        }
        sums
    };
    let sums = blocks.par_chunks(blocks.len().div_ceil(parts)).map(part);
    turn(&added(sums.collect(), window * o), o)
}
