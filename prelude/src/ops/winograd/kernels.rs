//! Kernels to values, and the values' gradient to that of kernels, sixteen output channels at a time.
#![expect(
    clippy::needless_range_loop,
    reason = "i and j stand for the same in several arrays"
)]

use rayon::prelude::*;

use super::{A, B, POINTS, SIDE, padded};
use crate::ops::lanes::{LANES, Lanes, Work, widest};
use crate::ops::product::PANEL;

/// The values of the kernels, `[panel, point, c, columns of the panel]`.
pub(super) fn fill_weights(c: usize, o: usize, w: &[f32], turned: bool, values: &mut [f32]) {
    values
        .par_chunks_mut(POINTS * c * PANEL)
        .enumerate()
        .for_each(|(panel, values)| {
            let columns = PANEL.min(padded(o) - panel * PANEL);
            for half in 0..columns / LANES {
                let from = panel * PANEL + half * LANES;
                widest(Kernels {
                    w,
                    turned,
                    from,
                    c,
                    o,
                    columns,
                    values: &mut values[half * LANES..],
                });
            }
        });
}

/// Fills the values of sixteen output channels' kernels.
struct Kernels<'a> {
    w: &'a [f32],
    turned: bool,
    from: usize,
    c: usize,
    o: usize,
    columns: usize,
    values: &'a mut [f32],
}

impl Work for Kernels<'_> {
    type Out = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let mut side_by_side = [0.0; 9 * LANES];
        let there = LANES.min(self.o - self.from);
        for channel in 0..self.c {
            for lane in 0..there {
                let out = self.from + lane;
                let at = match self.turned {
                    false => out * self.c + channel,
                    true => channel * self.o + out,
                };
                let kernel = &self.w[at * 9..][..9];
                for (i, &value) in kernel.iter().enumerate() {
                    let i = if self.turned { 8 - i } else { i };
                    side_by_side[i * LANES + lane] = value;
                }
            }
            let mut half = [[L::all(0.0); 3]; SIDE];
            for j in 0..3 {
                let column = |i: usize| L::load(&side_by_side[(i * 3 + j) * LANES..]);
                let lifted = kernel_values([column(0), column(1), column(2)]);
                for i in 0..SIDE {
                    half[i][j] = lifted[i];
                }
            }
            for i in 0..SIDE {
                let lifted = kernel_values(half[i]);
                for j in 0..SIDE {
                    let at = ((i * SIDE + j) * self.c + channel) * self.columns;
                    lifted[j].store(&mut self.values[at..]);
                }
            }
        }
    }
}

/// Takes the sums `[point, c, o]` of sixteen output channels to the gradient by their kernels.
pub(super) struct Weights<'a> {
    pub(super) sums: &'a [f32],
    pub(super) from: usize,
    pub(super) channels: usize,
    pub(super) c: usize,
    pub(super) o: usize,
    pub(super) dw: &'a mut [f32],
}

impl Work for Weights<'_> {
    type Out = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let channels = self.channels;
        let mut kernels = [0.0; 9 * LANES];
        for channel in 0..channels {
            let mut half = [[L::all(0.0); SIDE]; 3];
            for j in 0..SIDE {
                let mut column = [L::all(0.0); SIDE];
                for i in 0..SIDE {
                    let at = ((i * SIDE + j) * self.c + channel) * self.o + self.from;
                    column[i] = L::load(&self.sums[at..]);
                }
                let lowered = kernel_gradient(column);
                for i in 0..3 {
                    half[i][j] = lowered[i];
                }
            }
            for i in 0..3 {
                let lowered = kernel_gradient(half[i]);
                for j in 0..3 {
                    lowered[j].store(&mut kernels[(i * 3 + j) * LANES..]);
                }
            }
            for (lane, dw) in self.dw.chunks_exact_mut(channels * 9).enumerate() {
                let dw = &mut dw[channel * 9..][..9];
                for (dw, kernels) in dw.iter_mut().zip(kernels.chunks_exact(LANES)) {
                    *dw = kernels[lane];
                }
            }
        }
    }
}

/// Values of a kernel (G).
#[inline(always)]
fn kernel_values<L: Lanes>(g: [L; 3]) -> [L; SIDE] {
    let k = L::all;
    let (even_a, odd_a) = (
        k(-2.0 / 3.0) * (g[0] + k(0.5) * g[2]),
        k(-2.0 / 3.0 * A) * g[1],
    );
    let (even_b, odd_b) = (k(1.0 / 6.0) * (g[0] + k(2.0) * g[2]), k(B / 6.0) * g[1]);
    [
        g[0],
        even_a + odd_a,
        even_a - odd_a,
        even_b + odd_b,
        even_b - odd_b,
        g[2],
    ]
}

/// A kernel's gradient from that of its values (Gᵀ).
#[inline(always)]
fn kernel_gradient<L: Lanes>(u: [L; SIDE]) -> [L; 3] {
    let k = L::all;
    let (even_a, odd_a) = (k(-2.0 / 3.0) * (u[1] + u[2]), u[1] - u[2]);
    let (even_b, odd_b) = (k(1.0 / 6.0) * (u[3] + u[4]), u[3] - u[4]);
    [
        u[0] + even_a + even_b,
        k(-2.0 / 3.0 * A) * odd_a + k(B / 6.0) * odd_b,
        k(0.5) * even_a + k(2.0) * even_b + u[5],
    ]
}
