//! The one door through which the numbers of tensors are read where they lie.
//!
//! Only on the CPU do they lie in this process's memory. What is on another device is refused by name, or copied here,
//! as each function says; a test holds all other code to these functions.

use candle_core::{CpuStorage, Layout, Result, Storage, Tensor, bail};

/// What a tensor on the CPU is stored in.
///
/// # Errors
/// When it is on another device.
///
/// # Example
/// ```
/// use itd_cell::{candle::{CpuStorage, Device, Tensor}, slices};
///
/// let bytes = Tensor::new(&[3u8, 4], &Device::Cpu)?;
/// let (storage, _) = bytes.storage_and_layout();
/// assert!(matches!(slices::cpu(&storage)?, CpuStorage::U8(values) if values == &[3, 4]));
/// # Ok::<(), itd_cell::candle::Error>(())
/// ```
pub fn cpu(storage: &Storage) -> Result<&CpuStorage> {
    match storage {
        Storage::Cpu(storage) => Ok(storage),
        other => bail!(
            "a tensor is on {:?}, and this is computed on the CPU: move it with `.to_device(&Device::Cpu)`",
            other.device().location()
        ),
    }
}

/// The numbers of a contiguous `f32` tensor, from its storage on the CPU.
///
/// # Errors
/// When it is of another type, or not contiguous.
pub fn of<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((from, to)) => Ok(&storage.as_slice::<f32>()?[from..to]),
        None => bail!("a tensor is not contiguous"),
    }
}

/// As [`of`], to be written to.
///
/// # Errors
/// As [`of`].
pub fn of_mut<'a>(storage: &'a mut CpuStorage, layout: &Layout) -> Result<&'a mut [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((from, to))) => Ok(&mut values[from..to]),
        _ => bail!("a tensor is not f32, or not contiguous"),
    }
}

/// The numbers of a contiguous `f32` tensor on the CPU.
///
/// # Errors
/// As [`cpu`] and [`of`].
pub fn stored<'a>(storage: &'a Storage, layout: &Layout) -> Result<&'a [f32]> {
    of(cpu(storage)?, layout)
}

/// Shows the numbers of an `f32` tensor in reading order: those that lie here together as they lie, all others as a
/// copy, from whatever device.
///
/// # Errors
/// When they are not `f32`, or cannot be copied.
///
/// # Example: a tensor that was turned
/// ```
/// use itd_cell::{candle::{Device, Tensor}, slices};
///
/// let x = Tensor::new(&[[1f32, 2.0], [3.0, 4.0]], &Device::Cpu)?.t()?;
/// assert_eq!(slices::read(&x, |values| values.to_vec())?, [1.0, 3.0, 2.0, 4.0]);
/// # Ok::<(), itd_cell::candle::Error>(())
/// ```
pub fn read<R>(tensor: &Tensor, look: impl FnOnce(&[f32]) -> R) -> Result<R> {
    if tensor.device().is_cpu() && tensor.is_contiguous() {
        let (storage, layout) = tensor.storage_and_layout();
        return Ok(look(stored(&storage, layout)?));
    }
    Ok(look(&tensor.flatten_all()?.to_vec1::<f32>()?))
}

/// Shows all `f32` numbers that a tensor on the CPU is stored among, which may be more than its own, in any order.
///
/// # Errors
/// When it is on another device, or of another type.
pub fn around<R>(tensor: &Tensor, look: impl FnOnce(&[f32]) -> R) -> Result<R> {
    let (storage, layout) = tensor.storage_and_layout();
    let all = cpu(&storage)?.as_slice::<f32>()?;
    Ok(look(match layout.contiguous_offsets() {
        Some((from, to)) => &all[from..to],
        None => all,
    }))
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;

    #[test]
    fn a_part_is_its_own_numbers_wherever_it_begins() {
        let x = Tensor::arange(0f32, 12.0, &Device::Cpu).unwrap();
        let x = x.reshape((3, 4)).unwrap();
        let rows = x.narrow(0, 1, 2).unwrap();
        assert_eq!(
            read(&rows, <[f32]>::to_vec).unwrap(),
            [4., 5., 6., 7., 8., 9., 10., 11.]
        );
        let (storage, layout) = rows.storage_and_layout();
        assert_eq!(stored(&storage, layout).unwrap()[0], 4.0);
        // Columns are not together: copied by one, refused by the other, shown with their neighbours by the third.
        let columns = x.narrow(1, 0, 1).unwrap();
        assert_eq!(read(&columns, <[f32]>::to_vec).unwrap(), [0., 4., 8.]);
        let (storage, layout) = columns.storage_and_layout();
        let error = stored(&storage, layout).unwrap_err().to_string();
        assert!(error.contains("not contiguous"), "{error}");
        assert_eq!(around(&columns, <[f32]>::len).unwrap(), 12);
        assert_eq!(around(&rows, <[f32]>::len).unwrap(), 8);
    }

    #[test]
    fn other_types_are_refused() {
        let x = Tensor::zeros(3, DType::F64, &Device::Cpu).unwrap();
        assert!(read(&x, <[f32]>::len).is_err());
        assert!(around(&x, <[f32]>::len).is_err());
    }
}
