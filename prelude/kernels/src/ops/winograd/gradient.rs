//! The gradient by the kernels: for each point a matrix product over all tiles, taken back to kernels.

use std::ops::Range;

use rayon::prelude::*;

use super::kernels::Weights;
use super::tiles::ToValues;
use super::{POINTS, SIDE, Sizes, TILE, apart, by_channels, padded, strip};
use crate::ops::lanes::{LANES, widest};
use crate::ops::product::{Matrix, PANEL, product};
use crate::ops::reduce::added;
use crate::ops::shared::scratch;

/// The gradient by the weights, `[o, c, 3, 3]`, from `x` and the gradient by `y`.
pub(in crate::ops) fn weight_gradient(sizes: Sizes, x: &[f32], dy: &[f32]) -> Vec<f32> {
    /// Sums that stay in the cache, 1.2 MB.
    const FEW_SUMS: usize = 300_000;
    let (c, o) = (padded(sizes.c), padded(sizes.o));
    let few = POINTS * c * o <= FEW_SUMS;
    let lift = Lift {
        sizes,
        x,
        dy,
        // Sums of a part's own must be worth taking back to kernels.
        block: sizes.rows_of_a_block(c + o, if few { 64 } else { 24 }),
    };
    match few {
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
        scratch([strip(tiles.1)], |[strip]| {
            widest(ToValues::<SIDE> {
                x: self.x,
                planes: source,
                tiles,
                rows: self.rows(job),
                strip,
                v,
            });
            widest(ToValues::<TILE> {
                x: self.dy,
                planes: target,
                tiles,
                rows: self.rows(job),
                strip,
                v: m,
            });
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
