//! Attention.

use std::sync::{Mutex, PoisonError};

use candle_core::{CpuStorage, CustomOp3, D, DType, Layout, Shape, Tensor};
use itd_cell::slices::{of as slice, stored};
use rayon::prelude::*;

use super::exp::exp;
use super::lanes::{LANES, Lanes, Work, widest};
use super::product::{Matrix, PANEL, product};
use super::reduce::{Sum, largest, pieces};
use super::shared::{scratch, written};
use super::turn::Turn;
use crate::error::{Error, Result};

/// `softmax(q kᵀ/√dim) v`, the softmax over the tokens of `k`.
///
/// # Shapes
/// `q`, `k`, `v`: `[n, heads, tokens, dim]`; gives the same. `k` and `v` may have another number of tokens
/// than `q`, as long as they agree.
///
/// # Errors
/// [`Error::Shape`] when the shapes do not fit, [`Error::Empty`] when there is no token to attend to,
/// [`Error::Tensor`] when the types do not fit.
///
/// # Numerics
/// On the CPU, in `f32`, the weights are computed for a few tokens of `q` at a time and again for the gradient,
/// so that `[tokens, tokens]` numbers are never kept. The numbers do not depend on the number of threads.
///
/// # Cost
/// On two cores, 16 samples with 4 heads and 256 tokens of 64 take 10 ms, 36 with gradients.
/// `docs/benchmarks.md` has the table, PyTorch's beside it.
///
/// # Example: equal keys give the mean of the values
/// ```
/// # use itd_kernels as itd_prelude;
/// use itd_prelude::{Error, candle::{DType, Device, Tensor}, ops::attention};
///
/// let q = Tensor::ones((1, 1, 2, 1), DType::F32, &Device::Cpu)?;
/// let v = Tensor::new(&[1.0_f32, 3.0], &Device::Cpu)?.reshape((1, 1, 2, 1))?;
/// assert_eq!(attention(&q, &q, &v)?.flatten_all()?.to_vec1::<f32>()?, [2.0, 2.0]);
/// # Ok::<(), Error>(())
/// ```
pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
    let (n, heads, _, dim) = q.dims4()?;
    let tokens = k.dim(D::Minus2)?;
    for (what, t) in [("k", k), ("v", v)] {
        if t.dims() != [n, heads, tokens, dim] {
            return Err(Error::Shape {
                what,
                got: t.dims().to_vec(),
                need: format!("[{n}, {heads}, {tokens}, {dim}], as q is {:?}", q.dims()),
            });
        }
    }
    if q.elem_count() == 0 {
        return Ok(q.clone());
    }
    if tokens == 0 {
        return Err(Error::Empty { what: "k" });
    }
    if !(q.device().is_cpu() && q.dtype() == DType::F32) {
        return plain(q, k, v);
    }
    let (q, k, v) = (q.contiguous()?, k.contiguous()?, v.contiguous()?);
    Ok(q.apply_op3(&k, &v, Attention::default())?)
}

/// The slow twin.
fn plain(q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
    let scale = (q.dim(D::Minus1)? as f64).sqrt().recip();
    let scores = (q.contiguous()?.matmul(&k.t()?.contiguous()?)? * scale)?;
    let highest = scores.max_keepdim(D::Minus1)?.detach();
    let weights = scores.broadcast_sub(&highest)?.exp()?;
    let total = weights.sum_keepdim(D::Minus1)?;
    Ok(weights.broadcast_div(&total)?.matmul(&v.contiguous()?)?)
}

#[derive(Default)]
pub(super) struct Attention {
    /// Of each softmax the largest score, and one over the sum of `e` to the scores less that.
    totals: Mutex<Vec<(f32, f32)>>,
}

impl Attention {
    /// The gradients by `q`, `k` and `v` that are wanted, after this operation has made `y` of these; all are
    /// contiguous but `dy`.
    pub(super) fn gradients(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        y: &Tensor,
        dy: &Tensor,
        wanted: [bool; 3],
    ) -> candle_core::Result<[Option<Tensor>; 3]> {
        let sizes = Sizes::of(q.shape(), k.shape())?;
        let dy = dy.contiguous()?;
        let tensors = [q, k, v, y, &dy].map(Tensor::storage_and_layout);
        let mut numbers = [[].as_slice(); 5];
        for (numbers, (storage, layout)) in numbers.iter_mut().zip(&tensors) {
            *numbers = stored(storage, layout)?;
        }
        let [nq, nk, nv, ny, ndy] = numbers;
        let (asking, asked) = (sizes.asking * sizes.dim, sizes.asked * sizes.dim);
        let totals = self.totals.lock().unwrap_or_else(PoisonError::into_inner);
        let fill = |dq: &mut [f32], dk: &mut [f32], dv: &mut [f32]| {
            dq.par_chunks_mut(asking)
                .zip(dk.par_chunks_mut(asked).zip(dv.par_chunks_mut(asked)))
                .enumerate()
                .for_each(|(head, (dq, (dk, dv)))| {
                    let (mine, theirs) = (head * asking.., head * asked..);
                    let head = Head {
                        sizes,
                        q: &nq[mine.clone()][..asking],
                        y: &ny[mine.clone()][..asking],
                        dy: &ndy[mine][..asking],
                        k: &nk[theirs.clone()][..asked],
                        v: &nv[theirs][..asked],
                        totals: &totals[head * sizes.asking..][..sizes.asking],
                    };
                    head.gradients(dq, dk, dv);
                });
        };
        // SAFETY: each head is written as a whole, the first block of tokens without reading what was there.
        let (dq, (dk, (dv, ()))) = unsafe {
            written(nq.len(), |dq| {
                written(nk.len(), |dk| written(nv.len(), |dv| fill(dq, dk, dv)))
            })
        };
        let gradient = |wanted: bool, of: &Tensor, numbers: Vec<f32>| match wanted {
            false => Ok(None),
            true => Tensor::from_vec(numbers, of.shape(), of.device()).map(Some),
        };
        Ok([
            gradient(wanted[0], q, dq)?,
            gradient(wanted[1], k, dk)?,
            gradient(wanted[2], v, dv)?,
        ])
    }
}

/// Tokens of `q` at a time: a multiple of the rows that the matrix product takes at once.
const BLOCK: usize = 48;

#[derive(Clone, Copy)]
struct Sizes {
    /// Heads of all samples.
    heads: usize,
    /// Tokens of `q`.
    asking: usize,
    /// Tokens of `k` and `v`.
    asked: usize,
    dim: usize,
}

impl Sizes {
    fn of(q: &Shape, k: &Shape) -> candle_core::Result<Self> {
        let ((n, heads, asking, dim), (_, _, asked, _)) = (q.dims4()?, k.dims4()?);
        Ok(Self {
            heads: n * heads,
            asking,
            asked,
            dim,
        })
    }

    fn scale(&self) -> f32 {
        (self.dim as f64).sqrt().recip() as f32
    }

    /// Numbers from one row of weights to the next: whole vectors, so that each row begins with a line of the cache.
    fn across(&self) -> usize {
        self.asked.next_multiple_of(LANES)
    }

    /// `a·bᵀ` for `a`: `[rows, dim]` and `b`: `[asked, dim]` in panels.
    fn scores(&self, a: &[f32], panels: &[f32], out: &mut [f32]) {
        let rows = a.len() / self.dim;
        for from in (0..self.asked).step_by(PANEL) {
            let columns = PANEL.min(self.asked - from);
            let (a, b) = (
                Matrix::of(a, self.dim),
                Matrix::of(&panels[from * self.dim..], columns),
            );
            let out = &mut out[from..];
            product(rows, self.dim, columns, a, b, out, self.across(), false);
        }
    }

    /// `w·b` for `w`: `[rows, asked]` and `b`: `[asked, dim]`.
    fn mix(&self, w: &[f32], b: &[f32], out: &mut [f32]) {
        let (w_, b) = (Matrix::of(w, self.across()), Matrix::of(b, self.dim));
        let rows = out.len() / self.dim;
        product(rows, self.asked, self.dim, w_, b, out, self.dim, false);
    }

    /// `out += wᵀ·a` for `w`: `[rows, asked]` and `a`: `[rows, dim]`.
    fn spread(&self, w: &[f32], a: &[f32], out: &mut [f32], add: bool) {
        let rows = a.len() / self.dim;
        let (w, a) = (
            Matrix::of(w, self.across()).turned(),
            Matrix::of(a, self.dim),
        );
        product(self.asked, rows, self.dim, w, a, out, self.dim, add);
    }

    /// What the tokens of a block give, with the keys in panels.
    fn block(&self, q: &[f32], keys: &[f32], v: &[f32], y: &mut [f32], totals: &mut [(f32, f32)]) {
        scratch([totals.len() * self.across()], |[weights]| {
            self.scores(q, keys, weights);
            widest(Softmax {
                scale: self.scale(),
                width: self.asked,
                across: self.across(),
                weights,
                totals,
            });
            self.mix(weights, v, y);
            widest(Divided {
                totals,
                width: self.dim,
                rows: y,
            });
        });
    }

    /// Turns `[asked, dim]` into panels `[dim, 32]` of tokens, the last as narrow as it is.
    fn panels(&self, from: &[f32], to: &mut [f32]) {
        let panel = PANEL * self.dim;
        for (from, to) in from.chunks(panel).zip(to.chunks_mut(panel)) {
            let columns = from.len() / self.dim;
            widest(Turn {
                from,
                along: self.dim,
                rows: columns,
                columns: self.dim,
                to,
                across: columns,
            });
        }
    }
}

impl CustomOp3 for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(
        &self,
        q: &CpuStorage,
        lq: &Layout,
        k: &CpuStorage,
        lk: &Layout,
        v: &CpuStorage,
        lv: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let sizes = Sizes::of(lq.shape(), lk.shape())?;
        let (q, k, v) = (slice(q, lq)?, slice(k, lk)?, slice(v, lv)?);
        let Sizes {
            heads,
            asking,
            asked,
            dim,
        } = sizes;
        let mut totals = vec![(0.0, 0.0); heads * asking];
        let fill = |y: &mut [f32]| {
            scratch([heads * asked * dim], |[panels]| {
                panels
                    .par_chunks_mut(asked * dim)
                    .zip(k.par_chunks(asked * dim))
                    .for_each(|(panels, k)| sizes.panels(k, panels));
                let panels = &*panels;
                let jobs = y
                    .par_chunks_mut(asking * dim)
                    .zip(totals.par_chunks_mut(asking));
                jobs.enumerate().for_each(|(head, (y, totals))| {
                    let part = head * asked * dim..(head + 1) * asked * dim;
                    let (panels, v) = (&panels[part.clone()], &v[part]);
                    let q = &q[head * asking * dim..][..asking * dim];
                    y.par_chunks_mut(BLOCK * dim)
                        .zip(q.par_chunks(BLOCK * dim))
                        .zip(totals.par_chunks_mut(BLOCK))
                        .for_each(|((y, q), totals)| sizes.block(q, panels, v, y, totals));
                });
            });
        };
        // SAFETY: each block of tokens is written as a whole.
        let (y, ()) = unsafe { written(q.len(), fill) };
        *self.totals.lock().unwrap_or_else(PoisonError::into_inner) = totals;
        Ok((CpuStorage::F32(y), lq.shape().clone()))
    }

    fn bwd(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        y: &Tensor,
        dy: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let wanted = [q, k, v].map(Tensor::track_op);
        Ok(self.gradients(q, k, v, y, dy, wanted)?.into())
    }
}

/// Numbers of one head.
struct Head<'a> {
    sizes: Sizes,
    q: &'a [f32],
    y: &'a [f32],
    dy: &'a [f32],
    k: &'a [f32],
    v: &'a [f32],
    totals: &'a [(f32, f32)],
}

impl Head<'_> {
    /// With the weights `w` and the scores `s`: `dv = wᵀ·dy`, `dw = dy·vᵀ`, `ds = w ∘ (dw − Σ y·dy)/√dim`,
    /// `dq = ds·k` and `dk = dsᵀ·q`.
    fn gradients(&self, dq: &mut [f32], dk: &mut [f32], dv: &mut [f32]) {
        let sizes = self.sizes;
        let (block, dim) = (BLOCK * sizes.dim, sizes.dim);
        let weights = BLOCK.min(sizes.asking) * sizes.across();
        let lengths = [self.k.len(), self.v.len(), weights, weights];
        scratch(lengths, |[keys, values, w, dw]| {
            sizes.panels(self.k, keys);
            sizes.panels(self.v, values);
            let rows = self.q.chunks(block).zip(self.y.chunks(block));
            let rows = rows.zip(self.dy.chunks(block).zip(dq.chunks_mut(block)));
            for (i, ((q, y), (dy, dq))) in rows.enumerate() {
                let count = q.len() / dim;
                let w = &mut w[..count * sizes.across()];
                let ds = &mut dw[..count * sizes.across()];
                sizes.scores(q, keys, w);
                sizes.scores(dy, values, ds);
                widest(Slopes {
                    scale: sizes.scale(),
                    width: sizes.asked,
                    across: sizes.across(),
                    totals: &self.totals[i * BLOCK..][..count],
                    dim,
                    y,
                    dy,
                    w,
                    ds,
                });
                sizes.spread(w, dy, dv, i > 0);
                sizes.spread(ds, q, dk, i > 0);
                sizes.mix(ds, self.k, dq);
            }
        });
    }
}

/// Takes rows of scores to their softmax but for a factor, and notes what it takes to do so again.
struct Softmax<'a> {
    scale: f32,
    width: usize,
    across: usize,
    weights: &'a mut [f32],
    totals: &'a mut [(f32, f32)],
}

impl Work for Softmax<'_> {
    type Out = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        // First all maxima: each is a long wait, and the rows need not wait for each other's.
        let rows = self.weights.chunks_exact(self.across);
        for (row, total) in rows.zip(self.totals.iter_mut()) {
            total.0 = largest::<L>(&row[..self.width]) * self.scale;
        }
        let rows = self.weights.chunks_exact_mut(self.across);
        for (row, (highest, factor)) in rows.zip(self.totals) {
            let (scale, shift) = (L::all(self.scale), L::all(-*highest));
            let mut sum = Sum::<L>::new();
            for (from, count) in pieces(self.width) {
                let row = &mut row[from..from + count];
                let weights = exp(L::load_part(row).fma(scale, shift));
                weights.store_part(row);
                sum.add(weights.first(count));
            }
            *factor = sum.total().recip() as f32;
        }
    }
}

/// Multiplies each row by the factor of its softmax.
struct Divided<'a> {
    totals: &'a [(f32, f32)],
    width: usize,
    rows: &'a mut [f32],
}

impl Work for Divided<'_> {
    type Out = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let rows = self.rows.chunks_exact_mut(self.width);
        for (row, (_, factor)) in rows.zip(self.totals) {
            for (from, count) in pieces(self.width) {
                let row = &mut row[from..from + count];
                (L::load_part(row) * L::all(*factor)).store_part(row);
            }
        }
    }
}

/// Takes scores to weights, and the gradient by the weights to that by the scores.
struct Slopes<'a> {
    scale: f32,
    width: usize,
    across: usize,
    totals: &'a [(f32, f32)],
    dim: usize,
    y: &'a [f32],
    dy: &'a [f32],
    w: &'a mut [f32],
    ds: &'a mut [f32],
}

impl Work for Slopes<'_> {
    type Out = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let rows = self.w.chunks_exact_mut(self.across);
        let rows = rows.zip(self.ds.chunks_exact_mut(self.across));
        let results = self.y.chunks_exact(self.dim);
        let results = results.zip(self.dy.chunks_exact(self.dim));
        for (((w, ds), (y, dy)), (highest, factor)) in rows.zip(results).zip(self.totals) {
            let mut along = Sum::<L>::new();
            for (from, count) in pieces(self.dim) {
                let part = from..from + count;
                along.add(L::load_part(&y[part.clone()]) * L::load_part(&dy[part]));
            }
            let (along, scale) = (L::all(along.total() as f32), L::all(self.scale));
            let (shift, factor) = (L::all(-highest), L::all(*factor));
            for (from, count) in pieces(self.width) {
                let (w, ds) = (&mut w[from..from + count], &mut ds[from..from + count]);
                let weights = exp(L::load_part(w).fma(scale, shift)) * factor;
                weights.store_part(w);
                let slopes = weights * (L::load_part(ds) - along) * scale;
                slopes.store_part(ds);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;
    use crate::rng;

    /// n, heads, tokens of q, tokens of k and v, dim.
    const CASES: [[usize; 5]; 7] = [
        [1, 1, 1, 1, 1],
        [3, 2, 5, 7, 3],
        [1, 4, 64, 64, 32],
        [3, 1, 49, 49, 17],
        [1, 1, 256, 256, 64],
        [1, 3, 100, 33, 40],
        [3, 1, 16, 97, 16],
    ];

    struct Case {
        vars: [Var; 3],
        loss: Tensor,
    }

    impl Case {
        fn new([n, heads, asking, asked, dim]: [usize; 5]) -> Self {
            let mut rng = rng::seeded((asking + asked) as u64);
            // Twice the usual spread, so that the softmax has something to choose.
            let mut var = |tokens: usize| {
                let numbers = rng::normal(&[n, heads, tokens, dim], &mut rng).unwrap();
                Var::from_tensor(&(numbers * 2.0).unwrap()).unwrap()
            };
            Self {
                vars: [var(asking), var(asked), var(asked)],
                loss: var(asking).as_tensor().detach(),
            }
        }

        fn run(
            &self,
            attention: impl Fn(&Tensor, &Tensor, &Tensor) -> Result<Tensor>,
            as_type: DType,
        ) -> Vec<Vec<f64>> {
            let [q, k, v] = [0, 1, 2].map(|i| self.vars[i].to_dtype(as_type).unwrap());
            let y = attention(&q, &k, &v).unwrap();
            let loss = (&y * self.loss.to_dtype(as_type).unwrap()).unwrap();
            let grads = loss.sum_all().unwrap().backward().unwrap();
            let grads = self.vars.iter().map(|var| grads.get(var).unwrap().clone());
            let numbers = |t: Tensor| t.to_dtype(DType::F64).unwrap().flatten_all().unwrap();
            let tensors = std::iter::once(y).chain(grads);
            tensors.map(|t| numbers(t).to_vec1().unwrap()).collect()
        }
    }

    #[test]
    fn values_and_gradients_are_those_of_the_slow_twin_in_f64() {
        for sizes in CASES {
            let case = Case::new(sizes);
            let fast = case.run(attention, DType::F32);
            let slow = case.run(plain, DType::F64);
            for (fast, slow) in fast.iter().zip(&slow) {
                assert_eq!(fast.len(), slow.len());
                let largest = slow.iter().fold(1.0, |a: f64, b| a.max(b.abs()));
                for (fast, slow) in fast.iter().zip(slow) {
                    let apart = (fast - slow).abs() / largest;
                    assert!(apart < 1e-5, "{sizes:?}: {fast} {slow}");
                }
            }
        }
    }

    #[test]
    fn the_slow_twins_gradient_is_that_of_finite_differences() {
        const STEP: f64 = 1e-5;
        let case = Case::new(CASES[1]);
        let known = case.run(plain, DType::F64);
        let double = |t: &Tensor| t.to_dtype(DType::F64).unwrap();
        for (which, known) in known[1..].iter().enumerate() {
            for (i, known) in known.iter().enumerate().step_by(11) {
                let loss = |step: f64| {
                    let mut arguments = case.vars.each_ref().map(|var| double(var));
                    let moved = &mut arguments[which];
                    let mut numbers = moved.flatten_all().unwrap().to_vec1::<f64>().unwrap();
                    numbers[i] += step;
                    *moved = Tensor::from_vec(numbers, moved.shape(), &Device::Cpu).unwrap();
                    let [q, k, v] = &arguments;
                    let loss = (plain(q, k, v).unwrap() * double(&case.loss)).unwrap();
                    loss.sum_all().unwrap().to_scalar::<f64>().unwrap()
                };
                let slope = (loss(STEP) - loss(-STEP)) / (2.0 * STEP);
                assert!(
                    (slope - known).abs() < 1e-6,
                    "{which}, {i}: {slope} {known}"
                );
            }
        }
    }

    #[test]
    fn the_numbers_do_not_depend_on_the_number_of_threads() {
        for sizes in CASES {
            let case = Case::new(sizes);
            let on = |threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
                let run = || case.run(attention, DType::F32);
                pool.build().unwrap().install(run)
            };
            assert_eq!(on(1), on(2));
        }
    }

    #[test]
    fn great_scores_stay_finite() {
        let big = Tensor::full(1e4_f32, (1, 1, 3, 4), &Device::Cpu).unwrap();
        let y = attention(&big, &big, &big).unwrap();
        let y = y.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert!(y.iter().all(|y| (y / 1e4 - 1.0).abs() < 1e-6), "{y:?}");
    }

    #[test]
    fn a_turned_argument_is_read_rightly() {
        let mut rng = rng::seeded(2);
        let x = rng::normal(&[2, 8, 10, 3], &mut rng).unwrap();
        let x = x.transpose(1, 3).unwrap();
        let fast = attention(&x, &x, &x).unwrap();
        let apart = (fast - plain(&x, &x, &x).unwrap()).unwrap().abs().unwrap();
        assert!(apart.max_all().unwrap().to_scalar::<f32>().unwrap() < 1e-5);
    }

    #[test]
    fn shapes_that_do_not_fit_are_refused() {
        let ones = |shape: &[usize]| Tensor::ones(shape, DType::F32, &Device::Cpu).unwrap();
        let q = ones(&[2, 1, 5, 4]);
        assert!(attention(&q, &ones(&[2, 1, 3, 4]), &ones(&[2, 1, 3, 4])).is_ok());
        assert!(attention(&q, &ones(&[2, 1, 3, 4]), &ones(&[2, 1, 2, 4])).is_err());
        assert!(attention(&q, &ones(&[2, 1, 3, 5]), &ones(&[2, 1, 3, 5])).is_err());
        assert!(attention(&q, &ones(&[1, 1, 3, 4]), &ones(&[1, 1, 3, 4])).is_err());
        assert!(attention(&q, &ones(&[2, 1, 0, 4]), &ones(&[2, 1, 0, 4])).is_err());
        let none = ones(&[0, 1, 5, 4]);
        assert_eq!(attention(&none, &none, &none).unwrap().dims(), [0, 1, 5, 4]);
    }
}
