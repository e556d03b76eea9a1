//! Convolution that skips pixels, as sums of matrix products without gathering windows.
//!
//! A padded picture is taken apart by the rest of its rows and columns after division by the stride. In such a phase
//! the pixels that one pixel of the kernel meets lie side by side: they are the whole phase from some place on, if
//! what comes out has rows as wide as the phase, whose last pixels are dropped. So each pixel of the kernel is a
//! matrix product of its own with these matrices as they lie.

use rayon::prelude::*;

use super::im2col::{Sizes, read};
use super::lanes::{Lanes, Work, widest};
use super::product::{Matrix, PANEL, product};
use super::reduce::added;
use super::shared::scratch;
use super::turn::Turn;

/// Pixels that are worked on at once, so that the cache holds them for all channels.
const PIECE: usize = 2 * PANEL;

/// Whether pixels are skipped, channels enough to be summed over, and the phases of a picture in the cache.
pub(super) fn fits(sizes: &Sizes) -> bool {
    /// Numbers of the phases and of what comes out, 2 MB.
    const NUMBERS: usize = 1 << 19;
    let phases = Phases::of(*sizes);
    let skips = (2..=sizes.kernel).contains(&sizes.stride);
    let (_, width) = sizes.out();
    // Of rows as wide as a phase, not too much may be dropped.
    let full = 5 * width >= 4 * phases.wide;
    let numbers = phases.numbers() + sizes.o * phases.raster();
    skips && full && sizes.c >= 16 && sizes.o >= 16 && numbers <= NUMBERS
}

/// `y = w ∗ x + b`.
pub(super) fn forward(sizes: Sizes, x: &[f32], w: &[f32], b: &[f32], y: &mut [f32]) {
    let phases = Phases::of(sizes);
    let ((height, width), raster) = (sizes.out(), phases.raster());
    let (c, o) = (sizes.c, sizes.o);
    let w = by_taps(w, sizes.kernel * sizes.kernel, 0..o * c); // [tap, o, c]
    let samples = y.par_chunks_mut(o * height * width);
    let samples = samples.zip(x.par_chunks(c * sizes.height * sizes.width));
    samples.for_each(|(y, x)| {
        scratch([phases.numbers(), o * raster], |[planes, rows]| {
            phases.take_apart(x, planes);
            for from in (0..raster).step_by(PIECE) {
                let columns = PIECE.min(raster - from);
                for (tap, w) in w.chunks_exact(o * c).enumerate() {
                    let planes = Matrix::of(&planes[phases.start(tap) + from..], phases.plane());
                    let rows = &mut rows[from..];
                    product(
                        o,
                        c,
                        columns,
                        Matrix::of(w, c),
                        planes,
                        rows,
                        raster,
                        tap > 0,
                    );
                }
            }
            let channels = y.chunks_exact_mut(height * width).zip(b);
            for ((y, b), rows) in channels.zip(rows.chunks_exact(raster)) {
                let rows = rows.chunks(phases.wide);
                for (y, row) in y.chunks_exact_mut(width).zip(rows) {
                    y.iter_mut().zip(row).for_each(|(y, row)| *y = row + b);
                }
            }
        });
    });
}

/// The gradient by `x`.
pub(super) fn input_gradient(sizes: Sizes, w: &[f32], dy: &[f32], dx: &mut [f32]) {
    let phases = Phases::of(sizes);
    let ((height, width), raster) = (sizes.out(), phases.raster());
    let (c, o) = (sizes.c, sizes.o);
    let kernels = (0..c).flat_map(|channel| (0..o).map(move |out| out * c + channel));
    let w = by_taps(w, sizes.kernel * sizes.kernel, kernels); // [tap, c, o]
    let samples = dx.par_chunks_mut(c * sizes.height * sizes.width);
    let samples = samples.zip(dy.par_chunks(o * height * width));
    samples.for_each(|(dx, dy)| {
        scratch([phases.numbers(), o * raster], |[planes, rows]| {
            rows.fill(0.0);
            let channels = rows.chunks_exact_mut(raster);
            for (rows, dy) in channels.zip(dy.chunks_exact(height * width)) {
                let rows = rows.chunks_mut(phases.wide);
                for (row, dy) in rows.zip(dy.chunks_exact(width)) {
                    row[..width].copy_from_slice(dy);
                }
            }
            planes.fill(0.0);
            for from in (0..raster).step_by(PIECE) {
                let columns = PIECE.min(raster - from);
                for (tap, w) in w.chunks_exact(o * c).enumerate() {
                    let planes = &mut planes[phases.start(tap) + from..];
                    let rows = Matrix::of(&rows[from..], raster);
                    let w = Matrix::of(w, o);
                    product(c, o, columns, w, rows, planes, phases.plane(), true);
                }
            }
            phases.put_together(planes, dx);
        });
    });
}

/// The gradient by `w`, `[o, c, kernel, kernel]`.
pub(super) fn weight_gradient(sizes: Sizes, x: &[f32], dy: &[f32]) -> Vec<f32> {
    /// The samples are shared out in so many parts at most; a constant, as it decides the order of summation.
    const PARTS: usize = 8;
    let phases = Phases::of(sizes);
    let ((height, width), raster) = (sizes.out(), phases.raster());
    let (c, o, taps) = (sizes.c, sizes.o, sizes.kernel * sizes.kernel);
    let (area, samples) = (height * width, sizes.n.div_ceil(PARTS));
    let picture = c * sizes.height * sizes.width;
    let part = |(x, dy): (&[f32], &[f32])| {
        let mut sums = vec![0.0; taps * c * o];
        scratch([phases.numbers(), raster * PANEL], |[planes, panel]| {
            for (x, dy) in x.chunks_exact(picture).zip(dy.chunks_exact(o * area)) {
                phases.take_apart(x, planes);
                for out in (0..o).step_by(PANEL) {
                    let across = PANEL.min(o - out);
                    let panel = &mut panel[..raster * across];
                    let rows = panel.chunks_mut(phases.wide * across).enumerate();
                    for (row, to) in rows {
                        let (to, dropped) = to.split_at_mut(width * across);
                        dropped.fill(0.0);
                        widest(Turn {
                            from: &dy[out * area + row * width..],
                            along: area,
                            rows: across,
                            columns: width,
                            to,
                            across,
                        });
                    }
                    let panel = Matrix::of(panel, across);
                    for (tap, sums) in sums.chunks_exact_mut(c * o).enumerate() {
                        let planes = Matrix::of(&planes[phases.start(tap)..], phases.plane());
                        let sums = &mut sums[out..];
                        product(c, raster, across, planes, panel, sums, o, true);
                    }
                }
            }
        });
        sums
    };
    let parts = x.par_chunks(samples * picture);
    let parts = parts.zip(dy.par_chunks(samples * o * area)).map(part);
    let sums = added(parts.collect(), taps * c * o); // [tap, c, o]
    let at = |i: usize| (i % taps * c + i / taps % c) * o + i / taps / c;
    (0..sums.len()).map(|i| sums[at(i)]).collect()
}

/// Of each tap, which is a pixel of the kernel, its number in each of these kernels.
fn by_taps(w: &[f32], taps: usize, kernels: impl Iterator<Item = usize>) -> Vec<f32> {
    let kernels: Vec<usize> = kernels.collect();
    let of = |tap| kernels.iter().map(move |kernel| w[kernel * taps + tap]);
    (0..taps).flat_map(of).collect()
}

/// How a picture is taken apart: `[stride, stride, c, tall, wide]`.
#[derive(Clone, Copy)]
struct Phases {
    sizes: Sizes,
    tall: usize,
    wide: usize,
}

impl Phases {
    fn of(sizes: Sizes) -> Self {
        let side = |side: usize| (side + 2 * sizes.padding).div_ceil(sizes.stride.max(1));
        Self {
            sizes,
            tall: side(sizes.height),
            wide: side(sizes.width),
        }
    }

    /// Numbers of one channel in a phase.
    fn plane(&self) -> usize {
        self.tall * self.wide
    }

    fn numbers(&self) -> usize {
        self.sizes.stride * self.sizes.stride * self.sizes.c * self.plane()
    }

    /// Numbers of a channel that comes out, in rows as wide as a phase; the last row ends with its last pixel.
    fn raster(&self) -> usize {
        let (height, width) = self.sizes.out();
        (height - 1) * self.wide + width
    }

    /// The first number that a pixel of the kernel meets.
    fn start(&self, tap: usize) -> usize {
        let Sizes {
            kernel, stride, c, ..
        } = self.sizes;
        let (y, x) = (tap / kernel, tap % kernel);
        let phase = y % stride * stride + x % stride;
        phase * c * self.plane() + y / stride * self.wide + x / stride
    }

    /// Where a line of a channel begins, in the first phase of columns.
    fn line(&self, channel: usize, y: usize) -> usize {
        let Sizes {
            stride, c, padding, ..
        } = self.sizes;
        let y = y + padding;
        (y % stride * stride * c + channel) * self.plane() + y / stride * self.wide
    }

    /// Of each phase of columns: its first column, and how far that lies from the [start](Self::line) of the line.
    fn columns(&self) -> impl Iterator<Item = (usize, usize)> {
        let Sizes {
            stride,
            c,
            padding,
            width,
            ..
        } = self.sizes;
        let plane = self.plane();
        (0..stride.min(width)).map(move |first| {
            let x = first + padding;
            (first, x % stride * c * plane + x / stride)
        })
    }

    fn take_apart(&self, x: &[f32], planes: &mut [f32]) {
        planes.fill(0.0);
        widest(TakeApart {
            phases: self,
            x,
            planes,
        });
    }

    fn put_together(&self, planes: &[f32], dx: &mut [f32]) {
        let Sizes {
            height,
            width,
            stride,
            ..
        } = self.sizes;
        for (i, line) in dx.chunks_exact_mut(width).enumerate() {
            let start = self.line(i / height, i % height);
            for (first, at) in self.columns() {
                let to = line[first..].iter_mut().step_by(stride);
                to.zip(&planes[start + at..])
                    .for_each(|(to, from)| *to = *from);
            }
        }
    }
}

/// Fills the phases but for the padding.
struct TakeApart<'a> {
    phases: &'a Phases,
    x: &'a [f32],
    planes: &'a mut [f32],
}

impl Work for TakeApart<'_> {
    type Out = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let Sizes {
            height,
            width,
            stride,
            ..
        } = self.phases.sizes;
        for (i, line) in self.x.chunks_exact(width).enumerate() {
            let start = self.phases.line(i / height, i % height);
            for (first, at) in self.phases.columns() {
                let count = (width - first).div_ceil(stride);
                let to = &mut self.planes[start + at..][..count];
                read::<L>(&line[first..], stride, to);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halving_of_pictures_goes_this_way() {
        let sizes = |c, side, stride| Sizes {
            n: 16,
            c,
            o: c,
            height: side,
            width: side,
            kernel: 3,
            stride,
            padding: 1,
        };
        // Those of the U-Net and of the benchmark, whose values are tested with all convolutions.
        for (c, side) in [(32, 28), (64, 14), (64, 32), (16, 16)] {
            assert!(fits(&sizes(c, side, 2)), "{c} channels, {side}²");
        }
        assert!(!fits(&sizes(64, 32, 1)), "nothing is skipped");
        assert!(!fits(&sizes(3, 32, 2)), "too few channels for a product");
        assert!(!fits(&sizes(64, 256, 2)), "not in the cache");
    }
}
