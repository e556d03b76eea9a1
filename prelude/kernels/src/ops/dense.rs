//! A dense layer with its activation.
//!
//! As a chain of candle operations on the CPU, small layers spend most of their time between the matrix
//! products: each step makes a new tensor and wakes all threads. Here a layer is one operation, cut into
//! blocks of rows of fixed size, so that the numbers do not depend on the number of threads.

use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};

use candle_core::{CpuStorage, CustomOp3, DType, Layout, Shape, Tensor, bail};
use itd_cell::slices::{of as slice, stored};
use rayon::prelude::*;

use super::exp::{silu, silu_slope};
use super::lanes::{Lanes, Work, widest};
use super::product::{Matrix, product};
use super::reduce::{added, pieces};
use super::shared::written;
use super::turn::turn;
use crate::error::Result;

/// What follows a dense layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    None,
    /// `t · σ(t)`.
    Silu,
}

/// `activation(x·wᵀ + b)`.
///
/// # Shapes
/// `x`: `[n, in]`, `w`: `[out, in]`, `b`: `[out]`, of one type; gives `[n, out]`.
///
/// # Errors
/// [`Error::Tensor`](crate::Error::Tensor) when shapes or types do not fit.
///
/// # Numerics
/// On the CPU, in `f32`, `e^t` is a polynomial that is right to about 2·10⁻⁷. Elsewhere candle's own
/// operations are used.
///
/// # Cost
/// On two cores, a step of training with three layers of 128 and 128 samples takes 1 ms, optimizer and all.
/// `docs/benchmarks.md` has the table, PyTorch's beside it.
pub fn dense(x: &Tensor, w: &Tensor, b: &Tensor, activation: Activation) -> Result<Tensor> {
    let fused = x.device().is_cpu() && x.dtype() == DType::F32;
    if !fused {
        return plain(x, w, b, activation);
    }
    let (x, w, b) = (x.contiguous()?, w.contiguous()?, b.contiguous()?);
    Ok(x.apply_op3(&w, &b, Dense::new(activation))?)
}

/// The slow twin.
fn plain(x: &Tensor, w: &Tensor, b: &Tensor, activation: Activation) -> Result<Tensor> {
    let y = x.matmul(&w.t()?)?.broadcast_add(b)?;
    Ok(match activation {
        Activation::None => y,
        Activation::Silu => y.silu()?,
    })
}

pub(super) struct Dense {
    activation: Activation,
    /// `x·wᵀ + b`, which the gradient needs.
    before: Mutex<Vec<f32>>,
}

impl Dense {
    pub(super) fn new(activation: Activation) -> Self {
        Self {
            activation,
            before: Mutex::default(),
        }
    }

    /// The gradients by `x`, `w` and the bias that are wanted, after this operation has been done with these; both
    /// are contiguous.
    pub(super) fn gradients(
        &self,
        x: &Tensor,
        w: &Tensor,
        dy: &Tensor,
        wanted: [bool; 3],
    ) -> candle_core::Result<[Option<Tensor>; 3]> {
        let ((n, k), m) = (x.dims2()?, w.dims2()?.0);
        let device = x.device();
        let dy = dy.contiguous()?;
        let (storage, layout) = dy.storage_and_layout();
        let mut g = Cow::from(stored(&storage, layout)?); // dL/dy, then dL/d(x·wᵀ + b)
        if self.activation == Activation::Silu {
            let before = self.before.lock().unwrap_or_else(PoisonError::into_inner);
            g.to_mut()
                .par_chunks_mut(16_384)
                .zip(before.par_chunks(16_384))
                .for_each(|(g, before)| widest(SiluSlope { before, g }));
        }
        let dx = match wanted[0] {
            false => None,
            true => {
                let (storage, layout) = w.storage_and_layout();
                let w = stored(&storage, layout)?;
                let block = |from: usize, dx: &mut [f32]| {
                    let rows = dx.len() / k;
                    let g = Matrix::of(&g[from * m..], m);
                    product(rows, m, k, g, Matrix::of(w, k), dx, k, false);
                };
                // SAFETY: each block of rows is written as a whole.
                let (dx, ()) = unsafe { written(n * k, |dx| blocks(dx, k, 2 * k * m, block)) };
                Some(Tensor::from_vec(dx, (n, k), device)?)
            }
        };
        let dw = match wanted[1] {
            false => None,
            true => {
                let (storage, layout) = x.storage_and_layout();
                let dw = weight_gradient(&g, stored(&storage, layout)?, (n, m, k));
                Some(Tensor::from_vec(dw, (m, k), device)?)
            }
        };
        let db = match wanted[2] {
            false => None,
            true => {
                let rows = g.par_chunks(DEPTH * m.max(1)).map(|g| {
                    let mut db = vec![0.0; m];
                    for row in g.chunks_exact(m.max(1)) {
                        db.iter_mut().zip(row).for_each(|(sum, g)| *sum += g);
                    }
                    db
                });
                Some(Tensor::from_vec(added(rows.collect(), m), m, device)?)
            }
        };
        Ok([dx, dw, db])
    }
}

/// Rows of `x` whose share of a sum over rows is computed at once; a constant, as in [`blocks`].
const DEPTH: usize = 256;

/// `xᵀ·g` for `x`: `[n, k]` and `g`: `[n, m]`; with the gradient for `x` and the input for `g` that by the weights.
fn weight_gradient(x: &[f32], g: &[f32], (n, k, m): (usize, usize, usize)) -> Vec<f32> {
    if n <= DEPTH {
        let mut dw = vec![0.0; k * m];
        blocks(&mut dw, m, 2 * n * m, |from, dw| {
            let (rows, x) = (dw.len() / m, Matrix::of(&x[from..], k).turned());
            product(rows, n, m, x, Matrix::of(g, m), dw, m, false);
        });
        return dw;
    }
    // Tokens are many, and the matrix may be too small to be shared out.
    let parts = x.par_chunks(DEPTH * k).zip(g.par_chunks(DEPTH * m));
    let parts = parts.map(|(x, g)| {
        let (x, n) = (Matrix::of(x, k).turned(), g.len() / m);
        let mut dw = vec![0.0; k * m];
        product(k, n, m, x, Matrix::of(g, m), &mut dw, m, false);
        dw
    });
    added(parts.collect(), k * m)
}

impl CustomOp3 for Dense {
    fn name(&self) -> &'static str {
        "dense"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        w: &CpuStorage,
        lw: &Layout,
        b: &CpuStorage,
        lb: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let ((n, k), (m, kw), mb) = (
            lx.shape().dims2()?,
            lw.shape().dims2()?,
            lb.shape().dims1()?,
        );
        if kw != k || mb != m {
            bail!("dense: x is [{n}, {k}], but w is [{m}, {kw}] and b is [{mb}]");
        }
        let (x, w, b) = (slice(x, lx)?, slice(w, lw)?, slice(b, lb)?);
        let w = turn(w, k); // the product is fast where the neighbours of a row lie side by side
        let block = |from: usize, y: &mut [f32]| {
            y.chunks_exact_mut(m).for_each(|row| row.copy_from_slice(b));
            let rows = y.len() / m;
            let x = Matrix::of(&x[from * k..], k);
            product(rows, k, m, x, Matrix::of(&w, m), y, m, true);
        };
        // SAFETY: each row is written before the product is added to it.
        let (mut y, ()) = unsafe { written(n * m, |y| blocks(y, m, 2 * k * m, block)) };
        if self.activation == Activation::Silu {
            let before = y.clone();
            y.par_chunks_mut(16_384).for_each(|y| widest(Silu { y }));
            *self.before.lock().unwrap_or_else(PoisonError::into_inner) = before;
        }
        Ok((CpuStorage::F32(y), Shape::from((n, m))))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        b: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let wanted = [x, w, b].map(Tensor::track_op);
        Ok(self.gradients(x, w, dy, wanted)?.into())
    }
}

/// `t · σ(t)` in place.
struct Silu<'a> {
    y: &'a mut [f32],
}

impl Work for Silu<'_> {
    type Out = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        for (from, count) in pieces(self.y.len()) {
            let y = &mut self.y[from..from + count];
            silu(L::load_part(y)).store_part(y);
        }
    }
}

/// The gradient by `t · σ(t)` to that by `t`, in place.
struct SiluSlope<'a> {
    before: &'a [f32],
    g: &'a mut [f32],
}

impl Work for SiluSlope<'_> {
    type Out = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        for (from, count) in pieces(self.g.len()) {
            let slope = silu_slope(L::load_part(&self.before[from..from + count]));
            let g = &mut self.g[from..from + count];
            (L::load_part(g) * slope).store_part(g);
        }
    }
}

/// Runs `work(first row, rows)` on blocks of rows of `out`, at once if there is enough to do.
fn blocks(
    out: &mut [f32],
    width: usize,
    work_per_row: usize,
    work: impl Fn(usize, &mut [f32]) + Sync,
) {
    /// Rows in a block, a multiple of those that the matrix product takes at once; a constant, so that the sums
    /// are the same on any machine.
    const ROWS: usize = 96;
    if width == 0 || out.is_empty() {
        return;
    }
    let piece = |(i, block): (usize, &mut [f32])| work(i * ROWS, block);
    if out.len() / width * work_per_row < 1_000_000 {
        out.chunks_mut(ROWS * width).enumerate().for_each(piece);
    } else {
        out.par_chunks_mut(ROWS * width).enumerate().for_each(piece);
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;
    use crate::rng;

    fn distance(a: &Tensor, b: &Tensor) -> f32 {
        (a - b)
            .unwrap()
            .abs()
            .unwrap()
            .max_all()
            .unwrap()
            .to_scalar()
            .unwrap()
    }

    #[test]
    fn it_is_what_the_slow_twin_gives_forward_and_backward() {
        let mut rng = rng::seeded(0);
        for (n, k, m) in [
            (1, 1, 1),
            (3, 5, 2),
            (130, 70, 65),
            (300, 64, 256),
            (1200, 20, 33),
        ] {
            for activation in [Activation::None, Activation::Silu] {
                let var = |shape: &[usize], rng: &mut _| {
                    Var::from_tensor(&rng::normal(shape, rng).unwrap()).unwrap()
                };
                let (x, w, b) = (
                    var(&[n, k], &mut rng),
                    var(&[m, k], &mut rng),
                    var(&[m], &mut rng),
                );
                let weights = rng::normal(&[n, m], &mut rng).unwrap();
                let fast = dense(&x, &w, &b, activation).unwrap();
                let slow = plain(&x, &w, &b, activation).unwrap();
                assert!(distance(&fast, &slow) < 1e-4);
                let grads = |y: &Tensor| {
                    (y * &weights)
                        .unwrap()
                        .sum_all()
                        .unwrap()
                        .backward()
                        .unwrap()
                };
                let (fast, slow) = (grads(&fast), grads(&slow));
                for var in [&x, &w, &b] {
                    let (fast, slow) = (fast.get(var).unwrap(), slow.get(var).unwrap());
                    let scale = slow
                        .abs()
                        .unwrap()
                        .max_all()
                        .unwrap()
                        .to_scalar::<f32>()
                        .unwrap();
                    assert!(distance(fast, slow) < 1e-5 * scale.max(1.0) * 10.0);
                }
            }
        }
    }

    #[test]
    fn shapes_that_do_not_fit_are_refused() {
        let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
        let (x, w, b) = (zeros(&[2, 3]), zeros(&[4, 3]), zeros(&[4]));
        assert!(dense(&x, &w, &zeros(&[3]), Activation::None).is_err());
        assert!(dense(&x, &zeros(&[4, 4]), &b, Activation::None).is_err());
        assert!(dense(&zeros(&[3]), &w, &b, Activation::None).is_err());
    }

    #[test]
    fn a_turned_input_is_read_rightly() {
        let mut rng = rng::seeded(1);
        let x = rng::normal(&[7, 4], &mut rng).unwrap().t().unwrap();
        let w = rng::normal(&[7, 5], &mut rng).unwrap().t().unwrap();
        let b = rng::normal(&[5], &mut rng).unwrap();
        let fast = dense(&x, &w, &b, Activation::Silu).unwrap();
        assert!(distance(&fast, &plain(&x, &w, &b, Activation::Silu).unwrap()) < 1e-5);
    }
}
