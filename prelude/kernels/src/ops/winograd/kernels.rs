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
        .for_each(|(panel, values)| fill_panel(c, o, w, turned, panel * PANEL, values));
}

/// The values of the kernels of a panel of output channels, `[point, c, columns of the panel]`.
pub(super) fn fill_panel(
    c: usize,
    o: usize,
    w: &[f32],
    turned: bool,
    from: usize,
    values: &mut [f32],
) {
    let columns = PANEL.min(padded(o) - from);
    for half in (0..columns).step_by(LANES) {
        widest(Kernels {
            w,
            turned,
            from: from + half,
            c,
            o,
            columns,
            values: &mut values[half..],
        });
    }
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
        let there = LANES.min(self.o - self.from);
        for channel in 0..self.c {
            let mut kernels = [L::all(0.0); LANES];
            for lane in 0..there {
                let out = self.from + lane;
                let at = match self.turned {
                    false => out * self.c + channel,
                    true => channel * self.o + out,
                };
                kernels[lane] = L::load_part(&self.w[at * 9..][..9]);
            }
            let mut pixels = L::turned(kernels);
            if self.turned {
                pixels[..9].reverse();
            }
            let mut half = [[L::all(0.0); 3]; SIDE];
            for j in 0..3 {
                let lifted = kernel_values([pixels[j], pixels[3 + j], pixels[6 + j]]);
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
            let mut pixels = [L::all(0.0); LANES];
            for i in 0..3 {
                let lowered = kernel_gradient(half[i]);
                pixels[i * 3..][..3].copy_from_slice(&lowered);
            }
            let kernels = L::turned(pixels).into_iter();
            let places = self.dw.chunks_exact_mut(channels * 9);
            for (dw, kernel) in places.zip(kernels) {
                kernel.store_part(&mut dw[channel * 9..][..9]);
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
