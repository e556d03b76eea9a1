//! A record of what was computed, to be walked back: gradients without candle's graph.
//!
//! candle keeps a graph too, but starts every gradient from a tensor of zeros and makes a new tensor of every
//! sum; in a U-Net that takes as long as the convolutions. Here the first gradient of a tensor is taken as it
//! is, further ones are added in place, and what a step back has used is freed at once.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use candle_core::{
    CpuStorage, Device, InplaceOp2, Layout, Result as Candle, Tensor, TensorId, Var,
};
use itd_cell::slices::{of as slice, of_mut, stored};

use super::attention::Attention;
use super::conv::Conv;
use super::dense::Dense;
use super::norm::Norm;
use super::{Activation, moved};
use crate::error::Result;

/// Computes, and notes how to go back.
///
/// A tape that is [off](Self::off) leaves gradients to candle, and computes wherever the tensors are. One that is
/// on is for `f32` on the CPU, all contiguous. That shapes fit is for the network to see to.
pub struct Tape(Option<Record>);

#[derive(Default)]
struct Record {
    /// Parameters, and what was computed from them.
    live: RefCell<HashSet<TensorId>>,
    steps: RefCell<Vec<Step>>,
}

struct Step {
    inputs: Vec<TensorId>,
    output: TensorId,
    back: Back,
}

/// From the gradient by the output to those by the inputs.
type Back = Box<dyn FnOnce(&Tensor) -> Result<Vec<Option<Grad>>> + Send>;

/// A gradient.
struct Grad {
    tensor: Tensor,
    /// Nobody else has its memory.
    own: bool,
}

impl Grad {
    fn own(tensor: Tensor) -> Self {
        Self { tensor, own: true }
    }

    fn lent(tensor: Tensor) -> Self {
        Self { tensor, own: false }
    }

    fn plus(self, other: Self) -> Result<Self> {
        let (a, b) = (&self.tensor, &other.tensor);
        match (self.own, other.own) {
            (true, _) => a.inplace_op2(b, &AddTo)?,
            (false, true) => b.inplace_op2(a, &AddTo)?,
            (false, false) => return Ok(Self::own(sum(a, b)?)),
        }
        Ok(if self.own { self } else { other })
    }
}

impl Record {
    /// Notes a step. `back` is told for which inputs a gradient is wanted.
    fn note<const N: usize>(
        &self,
        inputs: [&Tensor; N],
        output: Tensor,
        back: impl FnOnce(&Tensor, [bool; N]) -> Result<[Option<Grad>; N]> + Send + 'static,
    ) -> Tensor {
        let mut live = self.live.borrow_mut();
        let wanted = inputs.map(|input| live.contains(&input.id()));
        if wanted.contains(&true) {
            live.insert(output.id());
            self.steps.borrow_mut().push(Step {
                inputs: inputs.map(Tensor::id).into(),
                output: output.id(),
                back: Box::new(move |dy| Ok(back(dy, wanted)?.into())),
            });
        }
        output
    }
}

impl Tape {
    /// A tape for gradients by these parameters; without any, it only computes.
    pub fn on(parameters: &[Var]) -> Self {
        let live = parameters.iter().map(|var| var.id()).collect();
        Self(Some(Record {
            live: RefCell::new(live),
            ..Default::default()
        }))
    }

    /// No tape: candle keeps its graph.
    pub fn off() -> Self {
        Self(None)
    }

    /// See [`conv2d`](super::conv2d).
    pub fn conv2d(
        &self,
        x: &Tensor,
        (w, b): (&Tensor, &Tensor),
        stride: usize,
        padding: usize,
    ) -> Result<Tensor> {
        let Some(record) = &self.0 else {
            return super::conv2d(x, w, b, stride, padding);
        };
        let op = Conv::new(stride, padding);
        let y = x.apply_op3_no_bwd(w, b, &op)?;
        let (kept_x, kept_w, kept_b) = (x.clone(), w.clone(), b.clone());
        Ok(record.note([x, w, b], y, move |dy, wanted| {
            let grads = op.gradients(&kept_x, &kept_w, &kept_b, dy, wanted)?;
            Ok(grads.map(|grad| grad.map(Grad::own)))
        }))
    }

    /// See [`group_norm`](super::group_norm).
    pub fn group_norm(
        &self,
        x: &Tensor,
        groups: usize,
        (weight, bias): (&Tensor, &Tensor),
        eps: f64,
        activation: Activation,
    ) -> Result<Tensor> {
        let Some(record) = &self.0 else {
            return super::group_norm(x, groups, weight, bias, eps, activation);
        };
        let op = Norm::new(groups, eps, activation);
        let y = x.apply_op3_no_bwd(weight, bias, &op)?;
        let (kept_x, kept_w, kept_b) = (x.clone(), weight.clone(), bias.clone());
        Ok(record.note([x, weight, bias], y, move |dy, wanted| {
            let grads = op.gradients(&kept_x, &kept_w, &kept_b, dy, wanted)?;
            Ok(grads.map(|grad| grad.map(Grad::own)))
        }))
    }

    /// See [`dense`](super::dense).
    pub fn dense(
        &self,
        x: &Tensor,
        (w, b): (&Tensor, &Tensor),
        activation: Activation,
    ) -> Result<Tensor> {
        let Some(record) = &self.0 else {
            return super::dense(x, w, b, activation);
        };
        let op = Dense::new(activation);
        let y = x.apply_op3_no_bwd(w, b, &op)?;
        let (kept_x, kept_w) = (x.clone(), w.clone());
        Ok(record.note([x, w, b], y, move |dy, wanted| {
            let grads = op.gradients(&kept_x, &kept_w, dy, wanted)?;
            Ok(grads.map(|grad| grad.map(Grad::own)))
        }))
    }

    /// [Attention](super::attention) of all tokens to all: `[n, tokens, 3·heads·dim]`, for each token its `q`, `k`
    /// and `v`, gives `[n, tokens, heads·dim]`.
    pub fn attention(&self, qkv: &Tensor, heads: usize) -> Result<Tensor> {
        let (n, tokens, width) = qkv.dims3()?;
        let dim = width / 3 / heads;
        let Some(record) = &self.0 else {
            let parts = qkv.reshape((n, tokens, 3, heads, dim))?;
            let parts = parts.permute((2, 0, 3, 1, 4))?; // [3, n, heads, tokens, dim]
            let [q, k, v] = [0, 1, 2].map(|i| parts.get(i));
            let mixed = super::attention(&q?, &k?, &v?)?;
            return Ok(mixed.transpose(1, 2)?.reshape((n, tokens, width / 3))?);
        };
        let apart = numbers(qkv, |x| moved::split::<3>(x, n, heads, dim))?;
        let as_heads = move |part| Tensor::from_vec(part, (n, heads, tokens, dim), &Device::Cpu);
        let [q, k, v] = apart.map(as_heads);
        let (q, k, v) = (q?, k?, v?);
        let op = Attention::default();
        let mixed = q.apply_op3_no_bwd(&k, &v, &op)?;
        let y = numbers(&mixed, |x| moved::join([x], n, heads, dim))?;
        let y = Tensor::from_vec(y, (n, tokens, width / 3), &Device::Cpu)?;
        Ok(record.note([qkv], y, move |dy, _| {
            let [dy] = numbers(dy, |dy| moved::split::<1>(dy, n, heads, dim))?;
            let grads = op.gradients(&q, &k, &v, &mixed, &as_heads(dy)?, [true; 3])?;
            let [Some(dq), Some(dk), Some(dv)] = grads else {
                return Ok([None]);
            };
            let all = [dq, dk, dv];
            let stored_all = all.each_ref().map(Tensor::storage_and_layout);
            let [(q, lq), (k, lk), (v, lv)] = &stored_all;
            let all = [stored(q, lq)?, stored(k, lk)?, stored(v, lv)?];
            let all = moved::join(all, n, heads, dim);
            let all = Tensor::from_vec(all, (n, tokens, width), &Device::Cpu)?;
            Ok([Some(Grad::own(all))])
        }))
    }

    pub fn add(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        let Some(record) = &self.0 else {
            return Ok((a + b)?);
        };
        Ok(record.note([a, b], sum(a, b)?, |dy, wanted| {
            Ok(wanted.map(|wanted| wanted.then(|| Grad::lent(dy.clone()))))
        }))
    }

    /// The channels of `a` and then those of `b`.
    pub fn concat_channels(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        let Some(record) = &self.0 else {
            return Ok(Tensor::cat(&[a, b], 1)?);
        };
        let (mut dims, n) = (a.dims().to_vec(), a.dim(0)?);
        dims[1] += b.dim(1)?;
        let both = numbers(a, |a| numbers(b, |b| moved::concat_channels(a, b, n)))??;
        let y = Tensor::from_vec(both, dims, &Device::Cpu)?;
        let (shape_a, shape_b) = (a.shape().clone(), b.shape().clone());
        Ok(record.note([a, b], y, move |dy, _| {
            let width = shape_a.elem_count() / n;
            let (da, db) = numbers(dy, |dy| moved::split_channels(dy, n, width))?;
            let da = Tensor::from_vec(da, shape_a, &Device::Cpu)?;
            let db = Tensor::from_vec(db, shape_b, &Device::Cpu)?;
            Ok([Some(Grad::own(da)), Some(Grad::own(db))])
        }))
    }

    /// `[n, a, b]` gives `[n, b, a]`.
    pub fn transpose(&self, x: &Tensor) -> Result<Tensor> {
        let Some(record) = &self.0 else {
            return Ok(x.transpose(1, 2)?.contiguous()?);
        };
        let turned = |x: &Tensor| -> Result<Tensor> {
            let (n, a, b) = x.dims3()?;
            let turned = numbers(x, |x| moved::transpose(x, a, b))?;
            Ok(Tensor::from_vec(turned, (n, b, a), &Device::Cpu)?)
        };
        let y = turned(x)?;
        Ok(record.note([x], y, move |dy, _| Ok([Some(Grad::own(turned(dy)?))])))
    }

    /// The same numbers in another shape.
    pub fn reshape(&self, x: &Tensor, shape: &[usize]) -> Result<Tensor> {
        let (y, before) = (x.reshape(shape)?, x.shape().clone());
        let Some(record) = &self.0 else {
            return Ok(y);
        };
        Ok(record.note([x], y, move |dy, _| {
            Ok([Some(Grad::lent(dy.reshape(before)?))])
        }))
    }

    /// The nearest pixel at twice the size: each as four, cut down to `(tall, wide)`.
    pub fn upsample2(&self, x: &Tensor, (tall, wide): (usize, usize)) -> Result<Tensor> {
        let (n, c, height, width) = x.dims4()?;
        let Some(record) = &self.0 else {
            // As a broadcast: the gradient of candle's own upsampling is slow.
            return Ok(x
                .reshape((n * c, height, 1, width, 1))?
                .broadcast_as((n * c, height, 2, width, 2))?
                .reshape((n, c, 2 * height, 2 * width))?
                .narrow(2, 0, tall)?
                .narrow(3, 0, wide)?);
        };
        let y = numbers(x, |x| moved::upsample2(x, (height, width), (tall, wide)))?;
        let y = Tensor::from_vec(y, (n, c, tall, wide), &Device::Cpu)?;
        Ok(record.note([x], y, move |dy, _| {
            let dx = numbers(dy, |dy| {
                moved::upsample2_adjoint(dy, (tall, wide), (height, width))
            })?;
            let dx = Tensor::from_vec(dx, (n, c, height, width), &Device::Cpu)?;
            Ok([Some(Grad::own(dx))])
        }))
    }

    /// Each number of `t`, `[n, c]`, added to all pixels of its channel of `x`, `[n, c, h, w]`.
    pub fn shift_channels(&self, x: &Tensor, t: &Tensor) -> Result<Tensor> {
        let (n, c, h, w) = x.dims4()?;
        if t.dims() != [n, c] {
            return Err(crate::Error::Shape {
                what: "the shifts of the channels",
                got: t.dims().to_vec(),
                need: format!("[{n}, {c}]"),
            });
        }
        let Some(record) = &self.0 else {
            return Ok(x.broadcast_add(&t.reshape((n, c, 1, 1))?)?);
        };
        let y = numbers(x, |x| numbers(t, |t| moved::shift(x, t)))??;
        let y = Tensor::from_vec(y, x.shape(), &Device::Cpu)?;
        Ok(record.note([x, t], y, move |dy, wanted| {
            let sums = match wanted[1] {
                false => None,
                true => {
                    let sums = numbers(dy, |dy| moved::sums(dy, h * w))?;
                    Some(Grad::own(Tensor::from_vec(sums, (n, c), &Device::Cpu)?))
                }
            };
            Ok([wanted[0].then(|| Grad::lent(dy.clone())), sums])
        }))
    }

    /// A row of zeros below each picture and a column to the right.
    pub fn pad_after(&self, x: &Tensor) -> Result<Tensor> {
        let (n, c, h, w) = x.dims4()?;
        let Some(record) = &self.0 else {
            return Ok(x.pad_with_zeros(2, 0, 1)?.pad_with_zeros(3, 0, 1)?);
        };
        let y = numbers(x, |x| moved::resized(x, (h, w), (h + 1, w + 1)))?;
        let y = Tensor::from_vec(y, (n, c, h + 1, w + 1), &Device::Cpu)?;
        Ok(record.note([x], y, move |dy, _| {
            let dx = numbers(dy, |dy| moved::resized(dy, (h + 1, w + 1), (h, w)))?;
            Ok([Some(Grad::own(Tensor::from_vec(
                dx,
                (n, c, h, w),
                &Device::Cpu,
            )?))])
        }))
    }

    /// Anything that candle can differentiate, by candle: for what is small.
    pub fn small<const N: usize>(
        &self,
        inputs: [&Tensor; N],
        compute: impl FnOnce([&Tensor; N]) -> Result<Tensor>,
    ) -> Result<Tensor> {
        let Some(record) = &self.0 else {
            return compute(inputs);
        };
        let live = |input: &&Tensor| record.live.borrow().contains(&input.id());
        if !inputs.iter().any(live) {
            return Ok(compute(inputs)?.detach());
        }
        let leaves = inputs.iter().map(|input| Var::from_tensor(input));
        let leaves = leaves.collect::<Candle<Vec<Var>>>()?;
        let y = compute(std::array::from_fn(|i| leaves[i].as_tensor()))?;
        Ok(record.note(inputs, y.detach(), move |dy, _| {
            let mut grads = (y * dy)?.sum_all()?.backward()?;
            Ok(std::array::from_fn(|i| {
                grads.remove(&leaves[i]).map(Grad::own)
            }))
        }))
    }

    /// The gradient of `Σ grad_out·y` by each of these parameters; none for one that `y` does not depend on.
    pub fn backward(
        self,
        y: &Tensor,
        grad_out: Tensor,
        parameters: &[Var],
    ) -> Result<Vec<Option<Tensor>>> {
        let none = vec![None; parameters.len()];
        self.backward_onto(none, y, grad_out, parameters)
    }

    /// The same, added to `before`, which nobody else may hold: its memory is written over.
    pub fn backward_onto(
        self,
        before: Vec<Option<Tensor>>,
        y: &Tensor,
        grad_out: Tensor,
        parameters: &[Var],
    ) -> Result<Vec<Option<Tensor>>> {
        let record = self.0.unwrap_or_default();
        let before = parameters.iter().zip(before);
        let before = before.filter_map(|(var, grad)| Some((var.id(), Grad::own(grad?))));
        let mut grads: HashMap<TensorId, Grad> = before.collect();
        grads.insert(y.id(), Grad::lent(grad_out));
        let live = record.live.into_inner();
        for step in record.steps.into_inner().into_iter().rev() {
            let Some(dy) = grads.remove(&step.output) else {
                continue;
            };
            let found = (step.back)(&dy.tensor)?;
            drop(dy);
            for (id, grad) in step.inputs.into_iter().zip(found) {
                let Some(grad) = grad.filter(|_| live.contains(&id)) else {
                    continue;
                };
                let all = match grads.remove(&id) {
                    Some(before) => before.plus(grad)?,
                    None => grad,
                };
                grads.insert(id, all);
            }
        }
        let mut of = |var: &Var| match grads.remove(&var.id()) {
            None => Ok(None),
            Some(grad) if grad.own => Ok(Some(grad.tensor)),
            Some(grad) => Ok(Some(grad.tensor.copy()?)),
        };
        parameters.iter().map(&mut of).collect()
    }
}

/// Reads the numbers of a contiguous tensor.
fn numbers<R>(of: &Tensor, read: impl FnOnce(&[f32]) -> R) -> Candle<R> {
    let (storage, layout) = of.storage_and_layout();
    Ok(read(stored(&storage, layout)?))
}

/// `a + b`, where they are.
pub(crate) fn sum(a: &Tensor, b: &Tensor) -> Candle<Tensor> {
    if !a.device().is_cpu() {
        return a + b;
    }
    let sum = numbers(a, |a| numbers(b, |b| moved::add(a, b)))??;
    Tensor::from_vec(sum, a.shape(), a.device())
}

struct AddTo;

impl InplaceOp2 for AddTo {
    fn name(&self) -> &'static str {
        "add_to"
    }

    fn cpu_fwd(&self, a: &mut CpuStorage, la: &Layout, b: &CpuStorage, lb: &Layout) -> Candle<()> {
        moved::add_to(of_mut(a, la)?, slice(b, lb)?);
        Ok(())
    }
}
