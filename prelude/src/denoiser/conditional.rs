//! A denoiser that is told the same of every sample.

use candle_core::{DType, Device, Tensor};

use super::query::unlike;
use super::{Denoiser, Guided, Query};
use crate::data::{Condition, ConditionKind};
use crate::error::{Error, Result};

/// The denoiser of the samples of one condition, `ε̂(z, α | y)` with the same `y` for all.
///
/// Its curve on data of that class gives the conditional entropy, `h(x | y)`. A mixed set is measured in one
/// curve without it: see [`Conditioning`](crate::curve::Conditioning).
///
/// # Example: an untrained network knows no difference yet
/// ```
/// use itd_prelude::candle::{DType, Device, Tensor};
/// use itd_prelude::data::ConditionKind;
/// use itd_prelude::denoiser::{Conditional, Denoiser, Query};
/// use itd_prelude::net::{UNet, UNetConfig};
///
/// let condition = Some(ConditionKind::Class { classes: 10 });
/// let config = UNetConfig { condition, ..UNetConfig::small() };
/// let net = UNet::new(&config, &[1, 8, 8], &Device::Cpu)?;
/// let query = Query::new(&Tensor::ones((1, 1, 8, 8), DType::F32, &Device::Cpu)?, &Tensor::new(&[1f32], &Device::Cpu)?);
/// let apart = (Conditional::class(net.clone(), 7)?.denoise(&query)? - net.denoise(&query)?)?.abs()?;
/// assert_eq!(apart.max_all()?.to_scalar::<f32>()?, 0.0);
/// assert!(Conditional::class(net, 10).is_err());
/// # Ok::<(), itd_prelude::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Conditional<D> {
    net: D,
    y: Condition,
}

impl<D: Denoiser> Conditional<D> {
    /// Tells `net` the one condition that `y` holds.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when the network cannot be told it, [`Error::Parameter`] unless there is just one.
    pub fn new(net: D, y: Condition) -> Result<Self> {
        if y.len() != 1 {
            return Err(Error::Parameter {
                name: "y",
                got: format!("{} conditions", y.len()),
                need: "one, which is told of every sample",
            });
        }
        let able = net.condition();
        match (able, y.kind()) {
            (Some(ConditionKind::Class { classes }), ConditionKind::Class { classes: needed })
                if needed <= classes => {}
            (Some(ConditionKind::Vector { dim }), ConditionKind::Vector { dim: needed })
                if needed == dim => {}
            (able, got) => return Err(unlike(able, got)),
        }
        Ok(Self { net, y })
    }

    /// Tells `net` that every sample is of one class, counted from 0.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn class(net: D, class: u32) -> Result<Self> {
        Self::new(net, Condition::Class(vec![class]))
    }

    /// Classifier-free guidance: `ε̂ = (1 + w) ε̂(z, α | y) − w ε̂(z, α)`; see [`Guided`].
    ///
    /// # Errors
    /// [`Error::Parameter`] for a weight that is not finite.
    pub fn guided(self, weight: f64) -> Result<Guided<Self, D>>
    where
        D: Clone,
    {
        let free = self.net.clone();
        Guided::new(self, free, weight)
    }
}

impl<D: Denoiser> Denoiser for Conditional<D> {
    fn eps_hat(&self, query: &Query) -> Result<Tensor> {
        let told = query.clone().given(self.y.repeat(query.len())?);
        self.net.denoise(&told)
    }

    fn shape(&self) -> &[usize] {
        self.net.shape()
    }

    fn device(&self) -> &Device {
        self.net.device()
    }

    fn dtype(&self) -> DType {
        self.net.dtype()
    }

    fn batch(&self) -> usize {
        self.net.batch()
    }
}
