//! Where networks compute.

use candle_core::Device;

/// The first CUDA device when the crate was built with the feature `cuda` and there is one, else the CPU.
///
/// # Example
/// ```
/// let device = itd_prelude::device::device();
/// assert!(device.is_cpu() || device.is_cuda());
/// ```
pub fn device() -> Device {
    if cfg!(feature = "cuda") {
        return Device::new_cuda(0).unwrap_or(Device::Cpu);
    }
    Device::Cpu
}
