//! The numbers of an operation's arguments.

use candle_core::{CpuStorage, Layout, Storage, bail};

/// The numbers of a contiguous argument.
pub(super) fn slice<'a>(
    storage: &'a CpuStorage,
    layout: &Layout,
) -> candle_core::Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((from, to)) => Ok(&storage.as_slice::<f32>()?[from..to]),
        None => bail!("an argument is not contiguous"),
    }
}

/// The numbers of a contiguous tensor on the CPU.
pub(super) fn stored<'a>(storage: &'a Storage, layout: &Layout) -> candle_core::Result<&'a [f32]> {
    match storage {
        Storage::Cpu(storage) => slice(storage, layout),
        _ => bail!("an argument is not on the CPU"),
    }
}
