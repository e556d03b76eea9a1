//! Convolution with kernels of one pixel: each sample's picture is the matrix `[c, pixels]` that it needs.

use std::ops::Range;

use rayon::prelude::*;

use super::im2col::Sizes;
use super::lanes::widest;
use super::product::{Matrix, PANEL, product};
use super::reduce::added;
use super::shared::scratch;
use super::turn::{Turn, turn};

/// Whether the kernels have one pixel, and the picture enough to fill the panels of the matrix product.
pub(super) fn fits(sizes: &Sizes) -> bool {
    let single = sizes.kernel == 1 && sizes.stride == 1 && sizes.padding == 0;
    single && sizes.height * sizes.width >= 2 * PANEL
}

/// `y = w·x + b`; `w` is `[o, c]`.
pub(super) fn forward(sizes: Sizes, x: &[f32], w: &[f32], b: Option<&[f32]>, y: &mut [f32]) {
    let (c, o, area) = (sizes.c, sizes.o, sizes.height * sizes.width);
    // The bias is the weight of one more channel, which is one everywhere.
    let depth = c + usize::from(b.is_some());
    let weights: Vec<f32> = match b {
        None => w.to_vec(),
        Some(b) => {
            let rows = w.chunks_exact(c).zip(b);
            rows.flat_map(|(w, b)| w.iter().chain([b]))
                .copied()
                .collect()
        }
    };
    let samples = y.par_chunks_mut(o * area).zip(x.par_chunks(c * area));
    samples.for_each(|(y, x)| {
        let piece = PIXELS.min(area);
        scratch([depth * piece], |[panels]| {
            for start in (0..area).step_by(piece) {
                let pixels = start..area.min(start + piece);
                fill(x, area, pixels.clone(), depth, panels);
                for (i, from) in pixels.clone().step_by(PANEL).enumerate() {
                    let columns = PANEL.min(pixels.end - from);
                    let panel = Matrix::of(&panels[i * depth * PANEL..], columns);
                    let w = Matrix::of(&weights, depth);
                    product(o, depth, columns, w, panel, &mut y[from..], area, false);
                }
            }
        });
    });
}

/// Pixels that are worked on at once: as many as make reading a channel of them worth its while.
const PIXELS: usize = 8 * PANEL;

/// Lays these pixels out in panels, `[depth, 32]` each, with ones where `x` has no more channels.
fn fill(x: &[f32], area: usize, pixels: Range<usize>, depth: usize, panels: &mut [f32]) {
    let channels = x.chunks_exact(area).map(Some).chain([None]);
    for (channel, x) in channels.take(depth).enumerate() {
        for (i, from) in pixels.clone().step_by(PANEL).enumerate() {
            let columns = PANEL.min(pixels.end - from);
            let line = &mut panels[i * depth * PANEL + channel * columns..][..columns];
            match (x, line.as_chunks_mut::<PANEL>()) {
                (None, _) => line.fill(1.0),
                // Of a size that is known when this is compiled.
                (Some(x), ([line], [])) => line.copy_from_slice(&x[from..from + PANEL]),
                (Some(x), _) => line.copy_from_slice(&x[from..from + columns]),
            }
        }
    }
}

/// The gradient by `w`, `[o, c]`.
pub(super) fn weight_gradient(sizes: Sizes, x: &[f32], dy: &[f32]) -> Vec<f32> {
    /// The samples are shared out in so many parts at most; a constant, as it decides the order of summation.
    const PARTS: usize = 8;
    let (c, o, area) = (sizes.c, sizes.o, sizes.height * sizes.width);
    let piece = area.div_ceil(area.div_ceil(PIXELS));
    let samples = sizes.n.div_ceil(PARTS);
    let part = |(x, dy): (&[f32], &[f32])| {
        let mut sums = vec![0.0; c * o];
        scratch([PANEL * piece], |[panel]| {
            for (x, dy) in x.chunks_exact(c * area).zip(dy.chunks_exact(o * area)) {
                for (from, out) in pieces(area, piece, o) {
                    let (pixels, columns) = (piece.min(area - from), PANEL.min(o - out));
                    widest(Turn {
                        from: &dy[out * area + from..],
                        along: area,
                        rows: columns,
                        columns: pixels,
                        to: panel,
                        across: columns,
                    });
                    let (x, dy) = (Matrix::of(&x[from..], area), Matrix::of(panel, columns));
                    product(c, pixels, columns, x, dy, &mut sums[out..], o, true);
                }
            }
        });
        sums
    };
    let parts = x.par_chunks(samples * c * area);
    let parts = parts.zip(dy.par_chunks(samples * o * area)).map(part);
    turn(&added(parts.collect(), c * o), o)
}

/// The first pixel and the first channel of each piece and panel.
fn pieces(area: usize, piece: usize, channels: usize) -> impl Iterator<Item = (usize, usize)> {
    let firsts = (0..area).step_by(piece);
    firsts.flat_map(move |from| (0..channels).step_by(PANEL).map(move |out| (from, out)))
}
