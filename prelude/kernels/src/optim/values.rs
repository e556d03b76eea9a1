//! Numbers of tensors, where they lie.

use std::cell::RefCell;

use candle_core::{CpuStorage, InplaceOp1, InplaceOp2, Layout, Tensor, Var};
use itd_cell::slices;
use rayon::prelude::*;

use crate::error::Result;

/// Values that a thread takes at once: they, their moments and their average fit into its cache.
pub const CHUNK: usize = 1 << 14;

/// Changes a variable, shown beside another tensor of its shape.
///
/// # Errors
/// [`Error::Tensor`](crate::Error::Tensor) when one of them is not `f32`, contiguous and on the CPU.
pub fn change(var: &Var, beside: &Tensor, how: impl FnMut(&mut [f32], &[f32])) -> Result<()> {
    Ok(var.inplace_op2(beside, &Change(RefCell::new(how)))?)
}

/// Exchanges the numbers of a variable and others.
///
/// # Errors
/// As [`change`].
pub fn exchange(var: &Var, others: &mut [f32]) -> Result<()> {
    Ok(var.inplace_op1(&Exchange(RefCell::new(others)))?)
}

struct Change<F>(RefCell<F>);

impl<F: FnMut(&mut [f32], &[f32])> InplaceOp2 for Change<F> {
    fn name(&self) -> &'static str {
        "change"
    }

    fn cpu_fwd(
        &self,
        value: &mut CpuStorage,
        to: &Layout,
        beside: &CpuStorage,
        from: &Layout,
    ) -> candle_core::Result<()> {
        (self.0.borrow_mut())(slices::of_mut(value, to)?, slices::of(beside, from)?);
        Ok(())
    }
}

struct Exchange<'a>(RefCell<&'a mut [f32]>);

impl InplaceOp1 for Exchange<'_> {
    fn name(&self) -> &'static str {
        "exchange"
    }

    fn cpu_fwd(&self, value: &mut CpuStorage, layout: &Layout) -> candle_core::Result<()> {
        let (value, others) = (slices::of_mut(value, layout)?, &mut *self.0.borrow_mut());
        let pairs = value.iter_mut().zip(others.iter_mut());
        pairs.for_each(|(a, b)| std::mem::swap(a, b));
        Ok(())
    }
}

/// The norm of all gradients together.
///
/// # Errors
/// [`Error::Tensor`](crate::Error::Tensor) when one cannot be read.
///
/// # Numerics
/// Squares are summed in `f64`, in parts of fixed size: the same bits for any number of threads.
pub fn norm(gradients: &[Option<Tensor>]) -> Result<f64> {
    let mut total = 0.0;
    for gradient in gradients.iter().flatten() {
        total += read(gradient, |flat| match flat.len() <= CHUNK {
            true => squares(flat),
            false => {
                let parts: Vec<f64> = flat.par_chunks(CHUNK).map(squares).collect();
                parts.iter().sum()
            }
        })?;
    }
    Ok(total.sqrt())
}

/// The sum of squares, in eight sums that a processor adds to at once.
pub fn squares(values: &[f32]) -> f64 {
    let (eights, rest) = values.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for eight in eights {
        for (sum, &value) in sums.iter_mut().zip(eight) {
            *sum += f64::from(value) * f64::from(value);
        }
    }
    let rest = rest.iter().map(|&value| f64::from(value).powi(2));
    sums.iter().sum::<f64>() + rest.sum::<f64>()
}

/// Reads numbers where they lie, or a copy of them; see [`slices::read`].
///
/// # Errors
/// [`Error::Tensor`](crate::Error::Tensor) when they are not `f32`.
pub fn read<T>(tensor: &Tensor, look: impl FnOnce(&[f32]) -> T) -> Result<T> {
    Ok(slices::read(tensor, look)?)
}

/// The numbers of a variable.
///
/// # Errors
/// [`Error::Tensor`](crate::Error::Tensor) when they are not `f32`.
pub fn values(var: &Var) -> Result<Vec<f32>> {
    Ok(var.flatten_all()?.to_vec1()?)
}

/// Gives a variable new numbers.
///
/// # Errors
/// [`Error::Tensor`](crate::Error::Tensor) unless there are as many.
pub fn write(var: &Var, values: &[f32]) -> Result<()> {
    let values = Tensor::from_slice(values, var.shape(), var.device())?;
    Ok(var.set(&values)?)
}
