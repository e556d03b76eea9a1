//! A U-Net that is told the class.

use candle_core::{DType, Device, Tensor};

use super::UNet;
use crate::error::{Error, Result};
use crate::net::{Denoiser, Guided};

/// The denoiser of one class; made by [`UNet::given`].
#[derive(Debug, Clone, Copy)]
pub struct Given<'a> {
    net: &'a UNet,
    class: u32,
}

impl UNet {
    /// `ε̂(z, α | class)`: the denoiser of the samples of one class, counted from 0.
    ///
    /// Its curve on data of that class gives the conditional entropy, `h(x | class)`.
    ///
    /// # Errors
    /// [`Error::Missing`] when the network knows of no classes, [`Error::Parameter`] when it has no such one.
    ///
    /// # Example: an untrained network knows no difference yet
    /// ```
    /// use itd_prelude::candle::{Device, Tensor};
    /// use itd_prelude::net::{Denoiser, UNet, UNetConfig};
    ///
    /// let config = UNetConfig { classes: Some(10), ..UNetConfig::small() };
    /// let net = UNet::new(&config, &[1, 8, 8], &Device::Cpu)?;
    /// let z = Tensor::ones((1, 1, 8, 8), itd_prelude::candle::DType::F32, &Device::Cpu)?;
    /// let alpha = Tensor::new(&[1f32], &Device::Cpu)?;
    /// let apart = (net.given(7)?.denoise(&z, &alpha)? - net.denoise(&z, &alpha)?)?.abs()?;
    /// assert_eq!(apart.max_all()?.to_scalar::<f32>()?, 0.0);
    /// assert!(net.given(10).is_err());
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn given(&self, class: usize) -> Result<Given<'_>> {
        let Some(classes) = self.config.classes else {
            return Err(Error::Missing {
                what: "this network knows of no classes".into(),
                next: "make it with `classes` in its `UNetConfig` and train it on labelled data",
            });
        };
        if class >= classes {
            return Err(Error::Parameter {
                name: "class",
                got: class.to_string(),
                need: "below the number of classes of the network",
            });
        }
        let class = class as u32;
        Ok(Given { net: self, class })
    }

    /// Classifier-free guidance: `ε̂ = (1 + w) ε̂(z, α | class) − w ε̂(z, α)`.
    ///
    /// With `w = 0` it is [`Self::given`], with `w = −1` it knows nothing of the class; other works call
    /// `1 + w` the scale. More than 0 makes samples more typical of their class. Such an `ε̂` is no estimate of
    /// the noise in the sense of least squares, so a curve of it bounds nothing tightly.
    ///
    /// # Errors
    /// As [`Self::given`], and [`Error::Parameter`] for a weight that is not finite.
    ///
    /// # Paper
    /// Ho, Salimans (2022), arXiv:2207.12598.
    pub fn guided(&self, class: usize, weight: f64) -> Result<Guided<Given<'_>, &UNet>> {
        Guided::new(self.given(class)?, self, weight)
    }
}

impl Denoiser for Given<'_> {
    fn denoise(&self, z: &Tensor, log_snr: &Tensor) -> Result<Tensor> {
        let labels = Tensor::full(self.class, log_snr.elem_count(), self.net.device())?;
        let labels = labels.to_dtype(DType::U32)?;
        self.net.denoise_given(z, log_snr, Some(&labels))
    }

    fn shape(&self) -> &[usize] {
        self.net.shape()
    }

    fn device(&self) -> &Device {
        self.net.device()
    }
}
