//! Numbers in a file, as `f32`.

use std::sync::atomic::{AtomicBool, Ordering};

use flate2::Crc;
use itd_cell::memory::room_for;
use safetensors::Dtype;

use crate::error::Result;
use crate::random_access::{RandomAccessFile, shown};

/// Bytes that are read at a time: a multiple of the size of each type.
const CHUNK: usize = 1 << 16;

/// A run of bytes of the file that holds the values of one tensor, or of several.
#[derive(Debug)]
pub(super) struct Storage {
    /// Which of the checkpoint's files it is in.
    pub(super) file: usize,
    /// Its first byte.
    pub(super) start: u64,
    /// How many there are.
    pub(super) bytes: u64,
    /// The CRC-32 that the file says they have.
    pub(super) sum: Option<u32>,
    summed: AtomicBool,
}

impl Storage {
    pub(super) fn new(start: u64, bytes: u64, sum: Option<u32>) -> Self {
        Self {
            file: 0,
            start,
            bytes,
            sum,
            summed: AtomicBool::new(sum.is_none()),
        }
    }

    /// Refuses bytes that were altered; looks once only.
    fn verify(&self, file: &RandomAccessFile) -> Result<()> {
        if self.summed.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut crc = Crc::new();
        chunks(file, self.start, self.bytes, |bytes| crc.update(bytes))?;
        match self.sum {
            Some(sum) if sum != crc.sum() => Err(file.error(
                self.start,
                "the checksum of a tensor's bytes",
                format!("{:08x}", crc.sum()),
                format!("{sum:08x}, as the file says; the file is damaged, get it anew"),
            )),
            _ => {
                self.summed.store(true, Ordering::Relaxed);
                Ok(())
            }
        }
    }
}

/// Where the values of a tensor lie in a storage.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct View {
    /// Which storage.
    pub(super) storage: usize,
    pub(super) dtype: Dtype,
    /// The first value, counted in values.
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    /// How many values there are from one to the next along each axis; 0 where there is no next one.
    pub(super) strides: Vec<usize>,
}

impl View {
    /// All values of a storage, row by row.
    pub(super) fn whole(storage: usize, dtype: Dtype, shape: Vec<usize>) -> Self {
        Self {
            storage,
            dtype,
            offset: 0,
            strides: rows(&shape),
            shape,
        }
    }

    /// The number of values; whoever made the view has made sure that it is one.
    pub(super) fn count(&self) -> usize {
        self.shape.iter().product()
    }

    /// From the first value to the last one that the view can reach, both counted; `None` beyond all numbers.
    pub(super) fn span(&self) -> Option<usize> {
        if self.shape.contains(&0) {
            return Some(0);
        }
        let axes = self.shape.iter().zip(&self.strides);
        axes.clone().try_fold(1, |span: usize, (&length, &stride)| {
            span.checked_add((length - 1).checked_mul(stride)?)
        })
    }

    /// Whether the values follow upon each other. The stride of an axis of length 1 does not matter.
    fn is_contiguous(&self) -> bool {
        let axes = self.shape.iter().zip(&self.strides).zip(rows(&self.shape));
        axes.into_iter()
            .all(|((&length, &stride), row)| length == 1 || stride == row)
    }

    /// The position of each value, counted from the view's first, in the order of the tensor.
    fn positions(&self) -> impl Iterator<Item = usize> + '_ {
        let mut index = vec![0; self.shape.len()];
        let mut at = 0;
        (0..self.count()).map(move |_| {
            let here = at;
            for axis in (0..index.len()).rev() {
                index[axis] += 1;
                at += self.strides[axis];
                if index[axis] < self.shape[axis] {
                    break;
                }
                at -= index[axis] * self.strides[axis];
                index[axis] = 0;
            }
            here
        })
    }

    /// The index of the value at `place` in the order of the tensor.
    fn index(&self, mut place: usize) -> Vec<usize> {
        let axes = rows(&self.shape).into_iter();
        axes.map(|row| {
            let index = place / row;
            place %= row;
            index
        })
        .collect()
    }
}

/// Strides of a tensor whose last axis runs fastest. Shapes are bounded already, but for those with a 0.
fn rows(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = shape[axis].saturating_mul(strides[axis]).max(1);
    }
    strides
}

/// The values of a tensor, row by row.
///
/// A tensor whose values follow upon each other is read a piece at a time; otherwise all that lies between its
/// first and its last value is in memory for a while.
pub(super) fn read(
    file: &RandomAccessFile,
    storage: &Storage,
    view: &View,
    name: &str,
) -> Result<Vec<f32>> {
    let size = (view.dtype.bitsize() / 8) as u64;
    if !matches!(
        view.dtype,
        Dtype::F32 | Dtype::F16 | Dtype::BF16 | Dtype::F64
    ) {
        return Err(file.error(
            storage.start,
            "a tensor's type",
            format!("{} ({})", view.dtype, shown(name)),
            "F32, F16, BF16 or F64",
        ));
    }
    storage.verify(file)?;
    let first = storage.start + view.offset as u64 * size;
    if view.count() == 0 {
        return Ok(Vec::new());
    }
    // A view may have one value many times.
    room_for::<f32>("a tensor", &[view.count()])?;
    let values = match view.is_contiguous() {
        true => run(file, first, view.count(), view.dtype)?,
        false => {
            let span = view.span().unwrap_or(usize::MAX);
            let run = run(file, first, span, view.dtype)?;
            view.positions().map(|at| run[at]).collect()
        }
    };
    let Some(place) = values.iter().position(|value| !value.is_finite()) else {
        return Ok(values);
    };
    let at = view.positions().nth(place).unwrap_or(0) as u64;
    Err(file.error(
        first + at * size,
        "a weight",
        format!(
            "{} as f32 ({} {:?})",
            values[place],
            shown(name),
            view.index(place)
        ),
        "finite",
    ))
}

/// Values that follow upon each other.
fn run(file: &RandomAccessFile, at: u64, count: usize, dtype: Dtype) -> Result<Vec<f32>> {
    let bytes = (count as u64).saturating_mul(dtype.bitsize() as u64 / 8);
    file.check(at, bytes, "a tensor")?;
    room_for::<f32>("a tensor", &[count])?;
    let mut values = Vec::with_capacity(count);
    chunks(file, at, bytes, |bytes| match dtype {
        Dtype::F16 => values.extend(groups(bytes).map(|b| from_f16(u16::from_le_bytes(b)))),
        Dtype::BF16 => {
            values.extend(groups(bytes).map(|[low, high]| f32::from_le_bytes([0, 0, low, high])))
        }
        Dtype::F64 => values.extend(groups(bytes).map(|b| f64::from_le_bytes(b) as f32)),
        _ => values.extend(groups(bytes).map(f32::from_le_bytes)),
    })?;
    Ok(values)
}

fn groups<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> + '_ {
    bytes.as_chunks().0.iter().copied()
}

/// Reads a run of bytes a piece at a time.
fn chunks(file: &RandomAccessFile, at: u64, bytes: u64, mut each: impl FnMut(&[u8])) -> Result<()> {
    let mut buffer = vec![0; CHUNK.min(bytes as usize)];
    let mut done = 0;
    while done < bytes {
        let part = (bytes - done).min(CHUNK as u64) as usize;
        file.fill(at + done, &mut buffer[..part])?;
        each(&buffer[..part]);
        done += part as u64;
    }
    Ok(())
}

/// IEEE 754 binary16: one sign, five bits of exponent, ten of fraction. Every one is an `f32`.
pub(crate) fn from_f16(bits: u16) -> f32 {
    let (exponent, fraction) = ((bits >> 10) & 31, bits & 1023);
    let size = match exponent {
        0 => f32::from(fraction) * 2f32.powi(-24),
        31 if fraction == 0 => f32::INFINITY,
        31 => f32::NAN,
        _ => f32::from_bits((u32::from(exponent) + 127 - 15) << 23 | u32::from(fraction) << 13),
    };
    match bits >> 15 {
        0 => size,
        _ => -size,
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device, Tensor};

    use super::*;

    #[test]
    fn every_number_of_16_bits_is_what_candle_makes_of_it() {
        let bits: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_le_bytes).collect();
        let tensor = Tensor::from_raw_buffer(&bits, DType::F16, &[1 << 16], &Device::Cpu).unwrap();
        let theirs = tensor
            .to_dtype(DType::F32)
            .unwrap()
            .to_vec1::<f32>()
            .unwrap();
        for (ours, theirs) in (0..=u16::MAX).map(from_f16).zip(theirs) {
            assert!(ours.to_bits() == theirs.to_bits() || ours.is_nan() && theirs.is_nan());
        }
    }

    #[test]
    fn positions_are_those_of_nested_loops() {
        let view = View {
            storage: 0,
            dtype: Dtype::F32,
            offset: 0,
            shape: vec![2, 3, 4],
            strides: vec![1, 0, 5],
        };
        let loops = (0..2).flat_map(|i| (0..3).flat_map(move |_| (0..4).map(move |k| i + 5 * k)));
        assert_eq!(
            view.positions().collect::<Vec<_>>(),
            loops.collect::<Vec<_>>()
        );
        assert_eq!(view.span(), Some(17));
        assert_eq!(view.index(23), [1, 2, 3]);
        assert!(!view.is_contiguous());
        // Axes of length 1 have any stride.
        let flat = View {
            shape: vec![1, 3, 1],
            strides: vec![7, 1, 9],
            ..view.clone()
        };
        assert!(flat.is_contiguous());
        let endless = View {
            shape: vec![3, 3],
            strides: vec![usize::MAX, 1],
            ..view
        };
        assert_eq!(endless.span(), None);
    }
}
