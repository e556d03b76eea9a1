//! Where the parameters of a network come from: nowhere, a seed, a file, or another copy of the network.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor, Var};

use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result};
use crate::rng::{self, Rng};

/// What a fresh parameter is.
#[derive(Debug, Clone, Copy)]
pub enum Init {
    /// Uniform between `±1/√inputs`, for so many inputs: PyTorch's default.
    Uniform(usize),
    Ones,
    Zeros,
}

/// Gives parameters by name.
pub trait Source {
    fn tensor(&mut self, name: &str, shape: &[usize], init: Init) -> Result<Tensor>;
}

/// A source, seen from a part of the network.
pub struct Scope<'a> {
    source: &'a mut dyn Source,
    path: String,
}

impl<'a> Scope<'a> {
    pub fn new(source: &'a mut dyn Source) -> Self {
        let path = String::new();
        Self { source, path }
    }

    /// The part of that name.
    pub fn at(&mut self, name: impl std::fmt::Display) -> Scope<'_> {
        let path = match self.path.as_str() {
            "" => name.to_string(),
            path => format!("{path}.{name}"),
        };
        Scope {
            source: &mut *self.source,
            path,
        }
    }

    pub fn weight(&mut self, shape: &[usize], init: Init) -> Result<Tensor> {
        let name = format!("{}.weight", self.path);
        self.source.tensor(&name, shape, init)
    }

    pub fn bias(&mut self, size: usize, init: Init) -> Result<Tensor> {
        let name = format!("{}.bias", self.path);
        self.source.tensor(&name, &[size], init)
    }
}

/// Only notes what is asked for; what it gives is no parameter.
#[derive(Default)]
pub struct Listing(pub Vec<(String, Vec<usize>)>);

impl Source for Listing {
    fn tensor(&mut self, name: &str, shape: &[usize], _: Init) -> Result<Tensor> {
        self.0.push((name.to_owned(), shape.to_vec()));
        Ok(Tensor::zeros((), DType::F32, &Device::Cpu)?)
    }
}

/// Fresh parameters.
pub struct Seeded(pub Rng);

impl Source for Seeded {
    fn tensor(&mut self, _: &str, shape: &[usize], init: Init) -> Result<Tensor> {
        Ok(match init {
            Init::Ones => Tensor::ones(shape, DType::F32, &Device::Cpu)?,
            Init::Zeros => Tensor::zeros(shape, DType::F32, &Device::Cpu)?,
            Init::Uniform(inputs) => {
                let bound = 1.0 / (inputs.max(1) as f64).sqrt();
                rng::uniform(shape, &mut self.0)?.affine(2.0 * bound, -bound)?
            }
        })
    }
}

/// Parameters of a file whose names and shapes were compared before.
pub struct Loaded<'a> {
    pub file: &'a Checkpoint,
    /// The name in the file.
    pub rename: fn(&str) -> String,
}

impl Source for Loaded<'_> {
    fn tensor(&mut self, name: &str, _: &[usize], _: Init) -> Result<Tensor> {
        self.file.tensor(&(self.rename)(name), &Device::Cpu)
    }
}

/// Makes variables on a device of what a source gives.
pub struct Kept<'a> {
    pub source: &'a mut dyn Source,
    pub device: &'a Device,
    pub vars: Vec<(String, Var)>,
}

impl Source for Kept<'_> {
    fn tensor(&mut self, name: &str, shape: &[usize], init: Init) -> Result<Tensor> {
        let value = self.source.tensor(name, shape, init)?;
        let var = Var::from_tensor(&value.to_device(self.device)?)?;
        let tensor = var.as_tensor().clone();
        self.vars.push((name.to_owned(), var));
        Ok(tensor)
    }
}

/// The memory of variables, without their gradients: it changes when they do.
pub struct Detached(HashMap<String, Tensor>);

impl Detached {
    pub fn new(vars: &[(String, Var)]) -> Self {
        let each = |(name, var): &(String, Var)| (name.clone(), var.as_detached_tensor());
        Self(vars.iter().map(each).collect())
    }
}

impl Source for Detached {
    fn tensor(&mut self, name: &str, _: &[usize], _: Init) -> Result<Tensor> {
        self.0.get(name).cloned().ok_or_else(|| Error::Missing {
            what: format!("the network has no parameter {name}"),
            next: "make it anew",
        })
    }
}
