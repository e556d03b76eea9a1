//! Adam.

use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor, Var};

use crate::error::Result;

const BETA1: f32 = 0.9;
const BETA2: f32 = 0.99;
const EPSILON: f32 = 1e-8;

/// Adam (Kingma and Ba, 2015) with β₁ = 0.9, β₂ = 0.99.
///
/// One pass over each parameter, where candle's own makes twelve tensors. Works on the CPU; parameters
/// elsewhere are copied back and forth.
#[derive(Debug)]
pub(super) struct Adam {
    slots: Vec<Slot>,
    steps: i32,
}

#[derive(Debug)]
struct Slot {
    var: Var,
    value: Vec<f32>,
    grad: Vec<f32>,
    mean: Vec<f32>,
    square: Vec<f32>,
}

impl Adam {
    pub(super) fn new(vars: &[Var]) -> Result<Self> {
        let slot = |var: &Var| -> Result<Slot> {
            let value: Vec<f32> = var.flatten_all()?.to_vec1()?;
            let zeros = || vec![0.0; value.len()];
            Ok(Slot {
                var: var.clone(),
                grad: zeros(),
                mean: zeros(),
                square: zeros(),
                value,
            })
        };
        Ok(Self {
            slots: vars.iter().map(slot).collect::<Result<_>>()?,
            steps: 0,
        })
    }

    /// Takes in the gradients and gives the norm of all of them together.
    pub(super) fn read(&mut self, grads: &GradStore) -> Result<f64> {
        let mut square = 0.0;
        for slot in &mut self.slots {
            match grads.get(&slot.var) {
                Some(grad) => slot.grad = grad.flatten_all()?.to_vec1()?,
                None => slot.grad.fill(0.0),
            }
            square += slot.grad.iter().map(|&g| f64::from(g).powi(2)).sum::<f64>();
        }
        Ok(square.sqrt())
    }

    /// Makes a step with the gradients last [read](Self::read), times `factor`.
    pub(super) fn step(&mut self, rate: f64, factor: f64) -> Result<()> {
        self.steps += 1;
        let unbias = |beta: f32| 1.0 - beta.powi(self.steps);
        let (rate, root) = (rate as f32 / unbias(BETA1), unbias(BETA2).sqrt().recip());
        let factor = factor as f32;
        for slot in &mut self.slots {
            let moments = slot.mean.iter_mut().zip(&mut slot.square);
            for ((value, g), (mean, square)) in slot.value.iter_mut().zip(&slot.grad).zip(moments) {
                let g = g * factor;
                *mean += (1.0 - BETA1) * (g - *mean);
                *square += (1.0 - BETA2) * (g * g - *square);
                *value -= rate * *mean / (square.sqrt() * root + EPSILON);
            }
            write(&slot.var, &slot.value)?;
        }
        Ok(())
    }

    /// The parameters, one list for each variable.
    pub(super) fn values(&self) -> impl Iterator<Item = &[f32]> {
        self.slots.iter().map(|slot| slot.value.as_slice())
    }
}

/// Gives a variable new numbers.
pub(super) fn write(var: &Var, values: &[f32]) -> Result<()> {
    let values = Tensor::from_slice(values, var.shape(), &Device::Cpu)?;
    Ok(var.set(&values.to_device(var.device())?)?)
}

#[cfg(test)]
mod tests {
    use candle_nn::{AdamW, Optimizer, ParamsAdamW};

    use super::*;

    /// Both start at the same point of a crooked valley and must walk the same way.
    #[test]
    fn it_steps_like_candles() {
        let start = Tensor::new(&[[1.5f32, -0.7], [0.3, 2.0]], &Device::Cpu).unwrap();
        let (ours, theirs) = (
            Var::from_tensor(&start).unwrap(),
            Var::from_tensor(&start).unwrap(),
        );
        let loss = |v: &Var| {
            let bent = (v.as_tensor().sqr().unwrap() - 1.0).unwrap().sqr().unwrap();
            (bent.sum_all().unwrap() + v.as_tensor().sum_all().unwrap()).unwrap()
        };
        let mut adam = Adam::new(std::slice::from_ref(&ours)).unwrap();
        let params = ParamsAdamW {
            lr: 0.05,
            beta2: f64::from(BETA2),
            weight_decay: 0.0,
            ..Default::default()
        };
        let mut slow = AdamW::new(vec![theirs.clone()], params).unwrap();
        for _ in 0..30 {
            adam.read(&loss(&ours).backward().unwrap()).unwrap();
            adam.step(0.05, 1.0).unwrap();
            slow.step(&loss(&theirs).backward().unwrap()).unwrap();
        }
        let gap = (ours.as_tensor() - theirs.as_tensor())
            .unwrap()
            .abs()
            .unwrap();
        assert!(gap.max_all().unwrap().to_scalar::<f32>().unwrap() < 1e-4);
    }
}
