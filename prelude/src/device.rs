//! Where networks compute.

use std::sync::OnceLock;

use candle_core::Device;

/// Set by `itd` when CUDA was chosen and this build was taken instead, as there is no driver for it.
const DRIVER: &str = "ITD_DRIVER";

/// The first CUDA device when the crate was built with the feature `cuda` and there is one, else the CPU. The same one
/// each time: tensors of two are strangers to each other, even on one card.
///
/// Where CUDA was asked for and cannot be had, the first call says so in one line.
///
/// Networks compute where they are made, or loaded to; [curves](crate::curve), [bounds](mod@crate::bound),
/// [the probability-flow ODE](crate::likelihood::ode_nll()), [sampling](mod@crate::sample) and
/// [training](mod@crate::train) take samples to the network, a batch at a time, and bring back numbers. All else
/// computes on the CPU: data sets, [exact distributions](crate::distribution), [rounding](crate::denoiser::round), the
/// optimiser's step, and the estimators of [`information`](crate::information) with their own networks.
///
/// # Example
/// ```
/// use itd_prelude::device::device;
///
/// let device = device();
/// assert!(device.is_cpu() || device.is_cuda());
/// assert!(device.same_device(&itd_prelude::device::device()));
/// ```
pub fn device() -> Device {
    static DEVICE: OnceLock<Device> = OnceLock::new();
    DEVICE.get_or_init(choose).clone()
}

fn choose() -> Device {
    if cfg!(feature = "cuda") {
        return Device::new_cuda(0).unwrap_or_else(|error| {
            crate::eprintln!(
                "No CUDA device can be used, the CPU computes: {}",
                why(&error)
            );
            Device::Cpu
        });
    }
    if std::env::var_os(DRIVER).is_some() {
        crate::eprintln!(
            "CUDA was chosen, but there is no NVIDIA driver on this machine: the CPU computes"
        );
    }
    Device::Cpu
}

/// The first line, without the places in the code that candle adds.
fn why(error: &candle_core::Error) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().to_owned()
}
