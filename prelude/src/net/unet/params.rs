//! Named parameters, handed to layers in the order in which they ask.

use std::vec::IntoIter;

use candle_core::{DType, Device, Tensor, Var};

use crate::error::{Error, Result};
use crate::rng::{self, Rng};

/// A parameter that a layer needs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Parameter {
    pub name: String,
    pub shape: Vec<usize>,
    pub start: Start,
}

/// What a parameter is before training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Start {
    /// Normal, of that standard deviation.
    Normal(f64),
    Zeros,
    Ones,
}

impl Parameter {
    pub(super) fn draw(&self, rng: &mut Rng, device: &Device) -> Result<Var> {
        let shape = self.shape.as_slice();
        Ok(match self.start {
            Start::Normal(std) => {
                let values = (rng::normal(shape, rng)? * std)?;
                Var::from_tensor(&values.to_device(device)?)?
            }
            Start::Zeros => Var::zeros(shape, DType::F32, device)?,
            Start::Ones => Var::ones(shape, DType::F32, device)?,
        })
    }
}

/// Where layers get their parameters from.
///
/// A network is built twice: once to learn what it needs, which takes no memory and so can be compared with
/// a file that nobody has vouched for, and once with the tensors.
#[derive(Debug)]
pub(super) enum Params {
    Plan(Vec<Parameter>),
    Take(IntoIter<Tensor>),
}

impl Params {
    /// The parameter of a layer; empty while planning.
    pub(super) fn get(&mut self, name: String, shape: &[usize], start: Start) -> Result<Tensor> {
        match self {
            Self::Plan(list) => {
                list.push(Parameter {
                    name,
                    shape: shape.to_vec(),
                    start,
                });
                Ok(Tensor::zeros(0, DType::F32, &Device::Cpu)?)
            }
            Self::Take(tensors) => tensors.next().ok_or(Error::Empty {
                what: "the list of parameters",
            }),
        }
    }
}
