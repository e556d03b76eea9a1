//! The parameters of a network: by name, in the order in which its layers ask for them, from a seed or from a file.
//!
//! Layers ask candle-nn's [`VarBuilder`]. A network is built three times: once to learn what it needs, which takes
//! no memory and so can be held against a file that nobody has vouched for, and twice on the same memory, with and
//! without the parameters' gradient.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use candle_core::{DType, Device, Result as Candle, Shape, Tensor, Var, bail};
use candle_nn::var_builder::SimpleBackend;
use candle_nn::{Init, VarBuilder};
use itd_cell::memory::room_for;
use itd_files::checkpoint::Checkpoint;

use crate::error::{Error, Place, Result};
use crate::rng;

/// A parameter that a layer asks for.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// Its name, with those of the parts that it belongs to: `encoder.0.norm.weight`.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// What it is before training.
    pub init: Init,
}

/// What a network asks for, without making it.
///
/// # Errors
/// What `build` returns.
///
/// # Example: a dense layer
/// ```
/// # use itd_kernels as itd_prelude;
/// use itd_prelude::{layers::{Linear, Scheme}, params};
///
/// let asked = params::plan(|vb| Linear::new(vb.pp("out"), 3, 2, Scheme::Uniform))?;
/// assert_eq!((asked[0].name.as_str(), asked[0].shape.as_slice()), ("out.weight", [2, 3].as_slice()));
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn plan<B>(build: impl FnOnce(VarBuilder) -> Result<B>) -> Result<Vec<Parameter>> {
    let asked = Mutex::new(Vec::new());
    let plan = Box::new(Plan(&asked));
    build(VarBuilder::from_backend(plan, DType::F32, Device::Cpu))?;
    Ok(asked.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Notes what is asked for; what it gives is no parameter.
struct Plan<'a>(&'a Mutex<Vec<Parameter>>);

impl SimpleBackend for Plan<'_> {
    fn get(&self, shape: Shape, name: &str, init: Init, _: DType, _: &Device) -> Candle<Tensor> {
        let (name, shape) = (name.to_owned(), shape.into_dims());
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        asked.push(Parameter { name, shape, init });
        Tensor::zeros((), DType::F32, &Device::Cpu)
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> Candle<Tensor> {
        bail!("{name} was asked for without a shape")
    }

    fn contains_tensor(&self, _: &str) -> bool {
        true
    }
}

/// A network with its parameters.
#[derive(Debug, Clone)]
pub struct Network<B> {
    /// With the parameters' gradient.
    pub tracked: B,
    /// On the same memory without it, so that candle remembers nothing.
    pub frozen: B,
    /// Names and parameters.
    pub parameters: Vec<(String, Var)>,
    /// Where they are.
    pub device: Device,
}

impl<B> Network<B> {
    /// A network with fresh parameters. Each depends on the seed and its own name alone: a part that is added
    /// changes no other.
    ///
    /// # Errors
    /// [`Error::Memory`] when they do not fit, and what `build` returns.
    ///
    /// # Example: the same seed, the same parameters
    /// ```
    /// # use itd_kernels as itd_prelude;
    /// use itd_prelude::{candle::Device, layers::{Linear, Scheme}, params::Network};
    ///
    /// let new = |seed| Network::seeded(seed, &Device::Cpu, |vb| Linear::new(vb, 3, 2, Scheme::Normal));
    /// let values = |seed| Ok::<_, itd_prelude::Error>(new(seed)?.parameters[0].1.to_vec2::<f32>()?);
    /// assert_eq!(values(0)?, values(0)?);
    /// assert_ne!(values(0)?, values(1)?);
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn seeded(
        seed: u64,
        device: &Device,
        build: impl Fn(VarBuilder) -> Result<B>,
    ) -> Result<Self> {
        let plan = plan(&build)?;
        let count = plan.iter().map(|p| p.shape.iter().product::<usize>());
        room_for::<f32>("the parameters", &[count.fold(0, usize::saturating_add)])?;
        let draw = |parameter: Parameter| {
            let value = draw(&parameter, seed)?.to_device(device)?;
            Ok((parameter.name, Var::from_tensor(&value)?))
        };
        Self::of(
            plan.into_iter().map(draw).collect::<Result<_>>()?,
            device,
            build,
        )
    }

    /// A network whose parameters are in a file, under names that `rename` gives, among which the file may have
    /// the `others`.
    ///
    /// # Errors
    /// [`Error::Format`], which names every tensor that is missing, unexpected or misshapen, before any is read; what
    /// reading a tensor and what `build` returns.
    pub fn loaded(
        file: &Checkpoint,
        rename: fn(&str) -> String,
        others: &[(String, Vec<usize>)],
        device: &Device,
        build: impl Fn(VarBuilder) -> Result<B>,
    ) -> Result<Self> {
        let plan = plan(&build)?;
        let named = plan.iter().map(|p| (rename(&p.name), p.shape.clone()));
        let layout: Vec<_> = named.chain(others.iter().cloned()).collect();
        let keys = file.compare(&layout);
        if !keys.fit() {
            return Err(Error::Format {
                path: file.path().to_owned(),
                at: Place::File,
                what: "the list of tensors",
                got: "another network's".into(),
                need: format!("this one's, as its settings say:\n{keys}"),
            });
        }
        let read = |parameter: Parameter| {
            let value = file.tensor(&rename(&parameter.name), device)?;
            Ok((parameter.name, Var::from_tensor(&value)?))
        };
        Self::of(
            plan.into_iter().map(read).collect::<Result<_>>()?,
            device,
            build,
        )
    }

    fn of(
        parameters: Vec<(String, Var)>,
        device: &Device,
        build: impl Fn(VarBuilder) -> Result<B>,
    ) -> Result<Self> {
        let body = |tensor: fn(&Var) -> Tensor| {
            let each = |(name, var): &(String, Var)| (name.clone(), tensor(var));
            let all: HashMap<String, Tensor> = parameters.iter().map(each).collect();
            build(VarBuilder::from_tensors(all, DType::F32, device))
        };
        Ok(Self {
            tracked: body(|var| var.as_tensor().clone())?,
            frozen: body(Var::as_detached_tensor)?,
            parameters,
            device: device.clone(),
        })
    }

    /// The parameters. Setting one changes the network.
    pub fn vars(&self) -> Vec<Var> {
        self.parameters.iter().map(|(_, var)| var.clone()).collect()
    }

    /// Names and values of the parameters; these change when those of [`Self::vars`] do.
    pub fn tensors(&self) -> Vec<(String, Tensor)> {
        let each = |(name, var): &(String, Var)| (name.clone(), var.as_detached_tensor());
        self.parameters.iter().map(each).collect()
    }

    /// How many numbers all parameters have together.
    pub fn count(&self) -> usize {
        self.parameters
            .iter()
            .map(|(_, var)| var.elem_count())
            .sum()
    }
}

/// A fresh parameter, `f32` on the CPU: candle's own draw cannot be seeded there.
fn draw(parameter: &Parameter, seed: u64) -> Result<Tensor> {
    let (shape, mut rng) = (
        parameter.shape.as_slice(),
        rng::stream(seed, &format!("weights {}", parameter.name)),
    );
    Ok(match parameter.init {
        Init::Const(value) => Tensor::full(value as f32, shape, &Device::Cpu)?,
        Init::Randn { mean, stdev } => rng::normal(shape, &mut rng)?.affine(stdev, mean)?,
        Init::Uniform { lo, up } => rng::uniform(shape, &mut rng)?.affine(up - lo, lo)?,
        init @ Init::Kaiming { .. } => {
            return Err(Error::Parameter {
                name: "init",
                got: format!("{init:?}"),
                need: "a constant, or normal or uniform numbers",
            });
        }
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::layers::{Linear, Scheme};

    fn two(vb: VarBuilder) -> Result<[Linear; 2]> {
        let linear = |name, to| Linear::new(vb.pp(name), 4, to, Scheme::Uniform);
        Ok([linear("a", 3)?, linear("b", 2)?])
    }

    fn values(network: &Network<[Linear; 2]>) -> Vec<Vec<f32>> {
        let flat = |var: Var| var.flatten_all().unwrap().to_vec1().unwrap();
        network.vars().into_iter().map(flat).collect()
    }

    #[test]
    fn both_bodies_have_the_parameters_memory() {
        let network = Network::seeded(0, &Device::Cpu, two).unwrap();
        let x = Tensor::ones((1, 4), DType::F32, &Device::Cpu).unwrap();
        let of = |body: &[Linear; 2]| {
            let y = body[1].apply(&crate::ops::Tape::off(), &x, crate::ops::Activation::None);
            y.unwrap()
        };
        assert!(of(&network.tracked).track_op() && !of(&network.frozen).track_op());
        let zeros = network.parameters[3].1.zeros_like().unwrap();
        let before = of(&network.frozen).to_vec2::<f32>().unwrap();
        network.parameters[3].1.set(&zeros).unwrap();
        let after = of(&network.frozen).to_vec2::<f32>().unwrap();
        assert_ne!(before, after);
        assert_eq!(after, of(&network.tracked).to_vec2::<f32>().unwrap());
    }

    #[test]
    fn a_parameter_does_not_depend_on_the_others() {
        let both = Network::seeded(7, &Device::Cpu, two).unwrap();
        let one = Network::seeded(7, &Device::Cpu, |vb| {
            Linear::new(vb.pp("b"), 4, 2, Scheme::Uniform)
        });
        let one = one.unwrap().parameters[0].1.flatten_all().unwrap();
        assert_eq!(values(&both)[2], one.to_vec1::<f32>().unwrap());
        let bound = 0.5; // 1/√4
        assert!(values(&both).concat().iter().all(|v| v.abs() <= bound));
    }

    #[test]
    fn a_file_is_held_against_the_plan_before_it_is_read() {
        let network = Network::seeded(0, &Device::Cpu, two).unwrap();
        let path = std::env::temp_dir().join(format!("itd-params-{}", std::process::id()));
        let save = |tensors: &[(String, Tensor)]| {
            Checkpoint::save(&path, tensors, &BTreeMap::new()).unwrap();
            let file = Checkpoint::open(&path).unwrap();
            Network::loaded(&file, str::to_owned, &[], &Device::Cpu, two)
        };
        let mut tensors = network.tensors();
        let again = save(&tensors).unwrap();
        assert_eq!(values(&again), values(&network));
        tensors[0].1 = tensors[0].1.t().unwrap().contiguous().unwrap();
        tensors[3].0 = "c.bias".into();
        let error = save(&tensors).unwrap_err();
        assert!(matches!(error, Error::Format { .. }), "{error}");
        let error = error.to_string();
        for name in ["a.weight", "b.bias", "c.bias"] {
            assert!(error.contains(name), "{error}");
        }
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn what_does_not_fit_is_refused_before_it_is_drawn() {
        let huge = |vb: VarBuilder| Linear::new(vb, 1 << 25, 1 << 25, Scheme::Normal);
        let error = Network::seeded(0, &Device::Cpu, huge).unwrap_err();
        assert!(matches!(error, Error::Memory { .. }), "{error}");
    }
}
