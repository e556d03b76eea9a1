//! What the networks here share.

use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor, Var};
use candle_nn::{Init, VarBuilder};
use rand::RngCore;

use super::Having;
use crate::error::{Error, Result};
use crate::ops::{Activation, dense};
use crate::optim::{AdamW, AdamWConfig};
use crate::params::Network;

/// A dense layer.
#[derive(Debug, Clone)]
pub(super) struct Dense {
    weight: Tensor,
    bias: Tensor,
}

impl Dense {
    /// Weights and biases uniform between `±1/√from`: PyTorch's default.
    pub(super) fn uniform(vb: VarBuilder, from: usize, to: usize) -> Result<Self> {
        let up = 1.0 / (from.max(1) as f64).sqrt();
        let init = Init::Uniform { lo: -up, up };
        Self::with(vb, from, to, init, init)
    }

    /// Glorot's uniform weights, and biases of standard deviation `stdev`.
    pub(super) fn xavier(vb: VarBuilder, from: usize, to: usize, stdev: f64) -> Result<Self> {
        let up = (6.0 / (from + to).max(1) as f64).sqrt();
        let bias = Init::Randn { mean: 0.0, stdev };
        Self::with(vb, from, to, Init::Uniform { lo: -up, up }, bias)
    }

    fn with(vb: VarBuilder, from: usize, to: usize, weight: Init, bias: Init) -> Result<Self> {
        Ok(Self {
            weight: vb.get_with_hints((to, from), "weight", weight)?,
            bias: vb.get_with_hints(to, "bias", bias)?,
        })
    }

    /// `[n, from]` gives `[n, to]`.
    pub(super) fn apply(&self, x: &Tensor) -> Result<Tensor> {
        dense(x, &self.weight, &self.bias, Activation::None)
    }
}

impl Dense {
    /// As [`Self::apply`] to what stands left and right side by side: the gradient by `left` is not computed where nobody
    /// asks for it.
    pub(super) fn apply_to_both(&self, left: &Tensor, right: &Tensor) -> Result<Tensor> {
        let (l, r) = (left.dim(1)?, right.dim(1)?);
        let part = |from, count| self.weight.narrow(1, from, count)?.contiguous();
        let none = self.bias.zeros_like()?.detach();
        let left = dense(left, &part(0, l)?, &self.bias, Activation::None)?;
        Ok((left + dense(right, &part(l, r)?, &none, Activation::None)?)?)
    }
}

/// Adam on a network's parameters, with the plain L2 penalty that PyTorch's `weight_decay` is.
pub(super) struct Adam {
    vars: Vec<Var>,
    adam: AdamW,
    decay: f64,
    steps: usize,
}

impl Adam {
    pub(super) fn new<B>(net: &Network<B>, decay: f64) -> Result<Self> {
        crate::memory::keep();
        let config = AdamWConfig {
            betas: (0.9, 0.999),
            weight_decay: 0.0,
            ema_decay: None,
        };
        let vars = net.vars();
        Ok(Self {
            adam: AdamW::new(&vars, &config)?,
            vars,
            decay,
            steps: 0,
        })
    }

    /// A step against the gradient of the loss.
    pub(super) fn step(&mut self, loss: &Tensor, rate: f64) -> Result<f64> {
        self.steps += 1;
        let value = f64::from(loss.to_scalar::<f32>()?);
        if !value.is_finite() {
            return Err(Error::Diverged {
                step: self.steps,
                loss: value,
                gradient: f64::NAN,
                log_snr: None,
            });
        }
        let mut grads: GradStore = loss.backward()?;
        let mut gradients = Vec::with_capacity(self.vars.len());
        for var in &self.vars {
            let own = grads.remove(var);
            gradients.push(match own {
                Some(own) if self.decay > 0.0 => {
                    Some((own + (var.as_detached_tensor() * self.decay)?)?)
                }
                own => own,
            });
        }
        self.adam.step(&gradients, rate, 1.0)?;
        Ok(value)
    }
}

/// `1/(1 − share)` where a number is kept and 0 where it is dropped, independently with this probability of half.
///
/// One random bit for each number: no other share is needed.
pub(super) fn half_mask(shape: (usize, usize), rng: &mut impl RngCore) -> Result<Tensor> {
    let count = shape.0 * shape.1;
    let mut values = Vec::with_capacity(count);
    while values.len() < count {
        let bits = rng.next_u64();
        let take = 64.min(count - values.len());
        values.extend((0..take).map(|i| if bits >> i & 1 == 1 { 2f32 } else { 0.0 }));
    }
    Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
}

/// Users as a tensor of zeros and ones, `[users, items]`.
pub(super) fn binary(users: &Having, chosen: &[usize]) -> Result<Tensor> {
    let items = users.items();
    let mut values = vec![0f32; chosen.len() * items];
    for (row, &user) in values.chunks_exact_mut(items).zip(chosen) {
        users
            .row(user)
            .iter()
            .for_each(|&item| row[item as usize] = 1.0);
    }
    Ok(Tensor::from_vec(
        values,
        (chosen.len(), items),
        &Device::Cpu,
    )?)
}

/// Copies of all parameters.
pub(super) fn saved<B>(net: &Network<B>) -> Result<Vec<Tensor>> {
    let copy = |var: Var| Ok(var.as_detached_tensor().copy()?);
    net.vars().into_iter().map(copy).collect()
}

/// Sets all parameters to copies.
pub(super) fn restore<B>(net: &Network<B>, saved: &[Tensor]) -> Result<()> {
    for (var, value) in net.vars().iter().zip(saved) {
        var.set(value)?;
    }
    Ok(())
}
