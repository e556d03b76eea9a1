//! What is trained.

use candle_core::{Tensor, Var};
use serde_json::{Value, json};

use super::{Measured, TrainConfig};
use crate::error::Result;
use crate::rng::Rng;

/// What [`Trainer`](super::Trainer) trains: parameters, and the loss of some samples.
///
/// [`Denoising`](super::Denoising) is the task that the notebooks train; write this trait for another one. Only
/// [`Self::vars`], [`Self::samples`] and [`Self::loss`] have to be written.
///
/// # Example: a line through points
/// ```
/// use itd_prelude::prelude::*;
/// use itd_prelude::train::Trainer;
/// use itd_prelude::candle::Var;
/// use itd_prelude::rng::Rng;
/// use itd_prelude::train::Task;
///
/// struct Line {
///     x: Tensor,
///     y: Tensor,
///     slope: Var,
/// }
///
/// impl Task for Line {
///     fn vars(&self) -> Vec<Var> {
///         vec![self.slope.clone()]
///     }
///     fn samples(&self) -> usize {
///         4
///     }
///     fn loss(&self, rows: &[u32], _rng: &mut Rng) -> Result<Tensor> {
///         let rows = Tensor::new(rows, &Device::Cpu)?;
///         let guess = self.x.index_select(&rows, 0)?.broadcast_mul(&self.slope)?;
///         Ok((guess - self.y.index_select(&rows, 0)?)?.sqr()?.mean_all()?)
///     }
/// }
///
/// # fn main() -> Result<()> {
/// let x = Tensor::new(&[1f32, 2.0, 3.0, 4.0], &Device::Cpu)?;
/// let slope = Var::new(&[0f32], &Device::Cpu)?;
/// let line = Line { y: (&x * 3.0)?, x, slope: slope.clone() };
/// let config = TrainConfig { steps: Some(300), batch: 4, learning_rate: 0.1, ..Default::default() };
/// let fit = Trainer::new(line, &config)?.run()?;
/// check!(fit.recent_loss() < 0.1);
/// check!(close(slope.to_vec1::<f32>()?[0].into(), 3.0, 0.1));
/// # Ok(()) }
/// ```
pub trait Task {
    /// The parameters. Training sets them in place.
    fn vars(&self) -> Vec<Var>;

    /// How many samples there are; each is seen once before any is seen again.
    fn samples(&self) -> usize;

    /// The loss of the samples with these numbers: a scalar to be differentiated. What is random in it comes from
    /// `rng`, which is another one at each step, and the same for the same seed and step.
    ///
    /// # Errors
    /// Whatever keeps it from being computed.
    fn loss(&self, rows: &[u32], rng: &mut Rng) -> Result<Tensor>;

    /// The loss and its gradient. By default through [`Self::loss`] and candle's graph; a task may know a faster way.
    ///
    /// # Errors
    /// As [`Self::loss`].
    fn gradients(&self, rows: &[u32], rng: &mut Rng) -> Result<Gradients> {
        let loss = self.loss(rows, rng)?;
        let found = loss.backward()?;
        let of = |var: &Var| found.get(var).cloned();
        Ok(Gradients {
            loss: loss.to_dtype(candle_core::DType::F64)?.to_scalar()?,
            by_var: self.vars().iter().map(of).collect(),
            log_snr: None,
        })
    }

    /// What the task has learned beside the parameters, such as where to draw from: a run folder keeps it with them.
    fn memory(&self) -> Vec<f64> {
        Vec::new()
    }

    /// Takes back what [`Self::memory`] gave; whether it could.
    fn remember(&self, memory: &[f64]) -> bool {
        memory.is_empty()
    }

    /// What the loss is called, and its unit.
    fn quantity(&self) -> Quantity {
        Quantity::default()
    }

    /// A loss to compare with, where there is one.
    fn baseline(&self) -> Option<Baseline> {
        None
    }

    /// The present parameters measured on samples that are not trained on, if the task keeps some.
    ///
    /// # Errors
    /// Whatever keeps them from being measured.
    fn validate(&self) -> Result<Option<Measured>> {
        Ok(None)
    }

    /// The same on samples that are trained on.
    ///
    /// # Errors
    /// As [`Self::validate`].
    fn validate_on_train(&self) -> Result<Option<Measured>> {
        Ok(None)
    }

    /// What decides the result beside the settings, such as digests of the data: a run folder belongs to one such
    /// description.
    ///
    /// # Errors
    /// Whatever keeps it from being told.
    fn describe(&self) -> Result<Value> {
        Ok(json!({ "samples": self.samples() }))
    }

    /// Refuses settings that the task takes no notice of. By default those that are about denoising.
    ///
    /// # Errors
    /// [`Error::Parameter`](crate::Error::Parameter) with the name of the setting.
    fn check(&self, config: &TrainConfig) -> Result<()> {
        config.check_not_denoising()
    }
}

/// The loss of a step and its gradient.
#[derive(Debug, Clone)]
pub struct Gradients {
    /// The loss.
    pub loss: f64,
    /// `∂loss/∂θ`, one for each of [`Task::vars`]; `None` for a parameter that the loss does not depend on.
    pub by_var: Vec<Option<Tensor>>,
    /// The smallest and the largest log-SNR of the step, where the task has any; said when training diverges.
    pub log_snr: Option<(f64, f64)>,
}

/// What a loss is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quantity {
    /// The label of the axis, with the unit.
    pub label: String,
    /// What stands behind a number, such as ` nats`.
    pub unit: String,
    /// Digits behind the point.
    pub digits: usize,
}

impl Default for Quantity {
    fn default() -> Self {
        Self {
            label: "loss".into(),
            unit: String::new(),
            digits: 4,
        }
    }
}

/// A loss to compare with.
#[derive(Debug, Clone)]
pub struct Baseline {
    /// Whose it is.
    pub name: String,
    /// That loss.
    pub loss: f64,
    /// What it makes of the samples that are not trained on.
    pub held_out: Option<Measured>,
}
