//! A dense layer with its activation.
//!
//! As a chain of candle operations on the CPU, small layers spend most of their time between the matrix
//! products: each step makes a new tensor and wakes all threads. Here a layer is one operation, cut into
//! blocks of rows of fixed size, so that the numbers do not depend on the number of threads.

use std::sync::{Mutex, PoisonError};

use candle_core::{CpuStorage, CustomOp3, DType, Layout, Shape, Storage, Tensor, bail};
use rayon::prelude::*;

use crate::error::Result;

/// What follows a dense layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    None,
    /// `t · σ(t)`.
    Silu,
}

/// `activation(x·w + b)`.
///
/// # Shapes
/// `x`: `[n, in]`, `w`: `[in, out]`, `b`: `[out]`, of one type; gives `[n, out]`.
///
/// # Errors
/// [`Error::Tensor`](crate::Error::Tensor) when shapes or types do not fit.
///
/// # Numerics
/// On the CPU, in `f32`, `e^t` is a polynomial that is right to about 2·10⁻⁷. Elsewhere candle's own
/// operations are used.
pub fn dense(x: &Tensor, w: &Tensor, b: &Tensor, activation: Activation) -> Result<Tensor> {
    let fused = x.device().is_cpu() && x.dtype() == DType::F32;
    if !fused {
        return plain(x, w, b, activation);
    }
    let op = Dense {
        activation,
        before: Mutex::default(),
    };
    let (x, w, b) = (x.contiguous()?, w.contiguous()?, b.contiguous()?);
    Ok(x.apply_op3(&w, &b, op)?)
}

/// The slow twin.
fn plain(x: &Tensor, w: &Tensor, b: &Tensor, activation: Activation) -> Result<Tensor> {
    let y = x.matmul(w)?.broadcast_add(b)?;
    Ok(match activation {
        Activation::None => y,
        Activation::Silu => y.silu()?,
    })
}

struct Dense {
    activation: Activation,
    /// `x·w + b`, which the gradient needs.
    before: Mutex<Vec<f32>>,
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
        let ((n, k), (kw, m), mb) = (
            lx.shape().dims2()?,
            lw.shape().dims2()?,
            lb.shape().dims1()?,
        );
        if kw != k || mb != m {
            bail!("dense: x is [{n}, {k}], but w is [{kw}, {m}] and b is [{mb}]");
        }
        let (x, w, b) = (slice(x, lx)?, slice(w, lw)?, slice(b, lb)?);
        let mut y = vec![0.0; n * m];
        blocks(&mut y, m, 2 * k * m, |from, y| {
            y.chunks_exact_mut(m).for_each(|row| row.copy_from_slice(b));
            let rows = y.len() / m;
            let x = Matrix::of(&x[from * k..], k);
            product(rows, k, m, x, Matrix::of(w, m), y, true);
        });
        if self.activation == Activation::Silu {
            let before = y.clone();
            y.par_chunks_mut(16_384)
                .for_each(|y| y.iter_mut().for_each(|t| *t *= sigmoid(*t)));
            *self.before.lock().unwrap_or_else(PoisonError::into_inner) = before;
        }
        Ok((CpuStorage::F32(y), Shape::from((n, m))))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        _b: &Tensor,
        _y: &Tensor,
        grad: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let ((n, k), m) = (x.dims2()?, w.dims2()?.1);
        let device = x.device();
        let mut g = grad.flatten_all()?.to_vec1::<f32>()?; // dL/dy, then dL/d(x·w + b)
        if self.activation == Activation::Silu {
            let before = self.before.lock().unwrap_or_else(PoisonError::into_inner);
            let slope = |(g, t): (&mut f32, &f32)| {
                let s = sigmoid(*t);
                *g *= s * (1.0 + t * (1.0 - s));
            };
            g.par_chunks_mut(16_384)
                .zip(before.par_chunks(16_384))
                .for_each(|(g, t)| g.iter_mut().zip(t).for_each(slope));
        }
        let dx = match x.track_op() {
            false => None,
            true => {
                let (storage, layout) = w.storage_and_layout();
                let w = stored(&storage, layout)?;
                let mut dx = vec![0.0; n * k];
                blocks(&mut dx, k, 2 * k * m, |from, dx| {
                    let rows = dx.len() / k;
                    let g = Matrix::of(&g[from * m..], m);
                    product(rows, m, k, g, Matrix::of(w, m).turned(), dx, false);
                });
                Some(Tensor::from_vec(dx, (n, k), device)?)
            }
        };
        let dw = {
            let (storage, layout) = x.storage_and_layout();
            let x = stored(&storage, layout)?;
            let mut dw = vec![0.0; k * m];
            blocks(&mut dw, m, 2 * n * m, |from, dw| {
                let rows = dw.len() / m;
                let x = Matrix::of(&x[from..], k).turned();
                product(rows, n, m, x, Matrix::of(&g, m), dw, false);
            });
            Tensor::from_vec(dw, (k, m), device)?
        };
        let mut db = vec![0.0; m];
        for row in g.chunks_exact(m.max(1)) {
            db.iter_mut().zip(row).for_each(|(sum, g)| *sum += g);
        }
        Ok((dx, Some(dw), Some(Tensor::from_vec(db, m, device)?)))
    }
}

/// Runs `work(first row, rows)` on blocks of rows of `out`, at once if there is enough to do.
fn blocks(
    out: &mut [f32],
    width: usize,
    work_per_row: usize,
    work: impl Fn(usize, &mut [f32]) + Sync,
) {
    /// Rows in a block; a constant, so that the sums are the same on any machine.
    const ROWS: usize = 64;
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

/// A matrix in memory: data, distance of neighbours in a row and in a column.
#[derive(Clone, Copy)]
struct Matrix<'a> {
    data: &'a [f32],
    along_row: usize,
    along_column: usize,
}

impl<'a> Matrix<'a> {
    fn of(data: &'a [f32], width: usize) -> Self {
        Self {
            data,
            along_row: 1,
            along_column: width,
        }
    }

    fn turned(self) -> Self {
        Self {
            along_row: self.along_column,
            along_column: self.along_row,
            ..self
        }
    }

    fn holds(&self, rows: usize, columns: usize) -> bool {
        rows == 0
            || columns == 0
            || (rows - 1) * self.along_column + (columns - 1) * self.along_row < self.data.len()
    }
}

/// `out (+)= a·b` with `a`: `[n, k]`, `b`: `[k, m]`, `out`: `[n, m]`, on this thread.
fn product(n: usize, k: usize, m: usize, a: Matrix, b: Matrix, out: &mut [f32], add: bool) {
    assert!(a.holds(n, k) && b.holds(k, m) && out.len() == n * m);
    // SAFETY: the strides stay within the slices, as just checked.
    unsafe {
        gemm::gemm(
            n,
            m,
            k,
            out.as_mut_ptr(),
            1,
            m as isize,
            add,
            a.data.as_ptr(),
            a.along_row as isize,
            a.along_column as isize,
            b.data.as_ptr(),
            b.along_row as isize,
            b.along_column as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

fn slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> candle_core::Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((from, to)) => Ok(&storage.as_slice::<f32>()?[from..to]),
        None => bail!("dense: an argument is not contiguous"),
    }
}

fn stored<'a>(storage: &'a Storage, layout: &Layout) -> candle_core::Result<&'a [f32]> {
    match storage {
        Storage::Cpu(storage) => slice(storage, layout),
        _ => bail!("dense: an argument is not on the CPU"),
    }
}

/// `1 / (1 + e^−t)` in operations that a compiler can do on many numbers at once.
#[inline(always)]
fn sigmoid(t: f32) -> f32 {
    const LOG2_E: f32 = std::f32::consts::LOG2_E;
    // ln 2 in two parts, the first of which is exact in few bits.
    const LN_2: (f32, f32) = (0.693_359_4, -2.121_944_4e-4);
    // Adding and subtracting 1.5·2²³ rounds to a whole number, which stands in the low bits between.
    const SHIFT: f32 = 12_582_912.0;
    let t = (-t).clamp(-87.0, 87.0);
    let shifted = t * LOG2_E + SHIFT;
    let whole = shifted - SHIFT;
    let r = (t - whole * LN_2.0) - whole * LN_2.1; // |r| ≤ ½ ln 2
    // Taylor's polynomial of e^r to the sixth power; the rest is below 2·10⁻⁷ of it.
    let e = 1.0
        + r * (1.0
            + r * (0.5 + r * (1.0 / 6.0 + r * (1.0 / 24.0 + r * (1.0 / 120.0 + r / 720.0)))));
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
    1.0 / (1.0 + e * power)
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
        for (n, k, m) in [(1, 1, 1), (3, 5, 2), (130, 70, 65), (300, 64, 256)] {
            for activation in [Activation::None, Activation::Silu] {
                let var = |shape: &[usize], rng: &mut _| {
                    Var::from_tensor(&rng::normal(shape, rng).unwrap()).unwrap()
                };
                let (x, w, b) = (
                    var(&[n, k], &mut rng),
                    var(&[k, m], &mut rng),
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
    fn the_polynomial_is_the_logistic_function() {
        for i in -1700..1700 {
            let t = i as f32 * 0.05;
            let known = 1.0 / (1.0 + (-f64::from(t)).exp());
            let relative = (f64::from(sigmoid(t)) / known.max(1e-37) - 1.0).abs();
            assert!(relative < 1e-6, "{t}: {} {known}", sigmoid(t));
        }
        assert!(sigmoid(-1e30) < 1e-37 && sigmoid(1e30) == 1.0);
        assert!(sigmoid(f32::NAN).is_nan());
    }

    #[test]
    fn shapes_that_do_not_fit_are_refused() {
        let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
        let (x, w, b) = (zeros(&[2, 3]), zeros(&[3, 4]), zeros(&[4]));
        assert!(dense(&x, &w, &zeros(&[3]), Activation::None).is_err());
        assert!(dense(&x, &zeros(&[4, 4]), &b, Activation::None).is_err());
        assert!(dense(&zeros(&[3]), &w, &b, Activation::None).is_err());
    }

    #[test]
    fn a_turned_input_is_read_rightly() {
        let mut rng = rng::seeded(1);
        let x = rng::normal(&[7, 4], &mut rng).unwrap().t().unwrap();
        let w = rng::normal(&[5, 7], &mut rng).unwrap().t().unwrap();
        let b = rng::normal(&[5], &mut rng).unwrap();
        let fast = dense(&x, &w, &b, Activation::Silu).unwrap();
        assert!(distance(&fast, &plain(&x, &w, &b, Activation::Silu).unwrap()) < 1e-5);
    }
}
