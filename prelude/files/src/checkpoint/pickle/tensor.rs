//! Storages and tensors as a pickle describes them.

use safetensors::Dtype;

use super::value::Global;
use super::{Id, Pickle, Value};
use crate::checkpoint::values::View;
use crate::error::Result;
use crate::random_access::shown;

/// The most axes of a tensor.
const AXES: usize = 8;

/// A storage as a pickle names it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::checkpoint) struct Named<'a> {
    pub(in crate::checkpoint) key: &'a str,
    pub(in crate::checkpoint) dtype: Dtype,
    /// How many values it holds.
    pub(in crate::checkpoint) count: u64,
}

impl Named<'_> {
    /// Its length in bytes, which has been held against that of the file.
    pub(in crate::checkpoint) fn bytes(&self) -> u64 {
        self.count * self.dtype.bitsize() as u64 / 8
    }
}

impl<'a> Pickle<'a> {
    /// BINPERSID: torch names a storage by `("storage", class, key, device, number of values)`.
    pub(super) fn storage(&mut self, at: usize) -> Result<()> {
        let id = self.pop(at)?;
        let Some(named) = self.named(id) else {
            let got = match self.value(id) {
                Value::Tuple(parts) => format!("a tuple of {} that names none", parts.len()),
                other => other.kind().to_owned(),
            };
            let need = "(\"storage\", its class, its key, its device, its number of values)";
            return Err(self.error(at, "the name of a storage", got, need));
        };
        let bits = u128::from(named.count) * named.dtype.bitsize() as u128;
        if bits / 8 > u128::from(self.file.length) {
            let got = format!("{} values of {}", named.count, named.dtype);
            let need = format!("{} bytes at most, the length of the file", self.file.length);
            return Err(self.error(at, "the size of a storage", got, need));
        }
        let next = self.storages.len() as u32;
        let index = *self.by_key.entry(named.key).or_insert(next);
        if index == next {
            self.storages.push(named);
        }
        let known = self.storages[index as usize];
        if known != named {
            let got = format!(
                "{} values of {} for {}",
                named.count,
                named.dtype,
                shown(named.key)
            );
            let need = format!("{} of {}, as before", known.count, known.dtype);
            return Err(self.error(at, "a storage", got, need));
        }
        self.push(Value::Storage(index));
        Ok(())
    }

    fn named(&self, id: Id) -> Option<Named<'a>> {
        let Value::Tuple(parts) = self.value(id) else {
            return None;
        };
        // The old format has a sixth: which part of an older storage it is. That went out of use in 2018.
        let (parts, view) = parts.split_first_chunk::<5>()?;
        if view.iter().any(|&id| *self.value(id) != Value::None) || view.len() > 1 {
            return None;
        }
        match parts.map(|id| self.value(id)) {
            [
                Value::Text("storage"),
                &Value::Global(Global::Storage(dtype)),
                &Value::Text(key),
                Value::Text(_),
                &Value::Int(count),
            ] => Some(Named {
                key,
                dtype,
                count: u64::try_from(count).ok()?,
            }),
            _ => None,
        }
    }

    /// Where a tensor's values lie, from `(storage, offset, shape, strides, …)`. All of them are in the storage.
    pub(in crate::checkpoint) fn view(&self, arguments: Id, at: usize) -> Result<View> {
        let wrong = |got: String, need: &str| self.error(at, "a tensor", got, need);
        let parts = match self.value(arguments) {
            Value::Tuple(parts) => &parts[..],
            _ => &[],
        };
        // The seventh says that the numbers are to be negated or conjugated.
        let plain = parts.get(6).is_none_or(|&id| match self.value(id) {
            Value::None => true,
            Value::Dict(pairs) => pairs.is_empty(),
            _ => false,
        });
        if !plain {
            return Err(wrong(
                "not as it is in the file".into(),
                "saved after `resolve_neg()`",
            ));
        }
        let parts = parts.first_chunk::<4>();
        let parts = parts.map(|parts| parts.map(|id| self.value(id)));
        let Some(
            [
                &Value::Storage(storage),
                &Value::Int(offset),
                Value::Tuple(shape),
                Value::Tuple(strides),
            ],
        ) = parts
        else {
            return Err(wrong(
                "made of something else".into(),
                "made of a storage, an offset, a shape and strides",
            ));
        };
        if shape.len() > AXES || strides.len() != shape.len() {
            let got = format!("of {} axes with {} strides", shape.len(), strides.len());
            return Err(wrong(got, "of 8 axes at most, each with a stride"));
        }
        let number = |id: &Id| match self.value(*id) {
            &Value::Int(number) => usize::try_from(number).ok(),
            _ => None,
        };
        let shape: Option<Vec<usize>> = shape.iter().map(number).collect();
        let strides: Option<Vec<usize>> = strides.iter().map(number).collect();
        let (Some(shape), Some(mut strides), Ok(offset)) =
            (shape, strides, usize::try_from(offset))
        else {
            return Err(wrong(
                "with a size that is no number from 0 to 2^64".into(),
                "with such sizes",
            ));
        };
        for (stride, &length) in strides.iter_mut().zip(&shape) {
            *stride = if length > 1 { *stride } else { 0 };
        }
        let named = &self.storages[storage as usize];
        let view = View {
            storage: storage as usize,
            dtype: named.dtype,
            offset,
            shape,
            strides,
        };
        let count = view
            .shape
            .iter()
            .try_fold(1, |count: usize, &length| count.checked_mul(length));
        let end = view.span().and_then(|span| span.checked_add(offset));
        // A value that is repeated along an axis is in the file once, but not for more than the file could hold.
        match (count, end) {
            (Some(count), Some(end))
                if end as u64 <= named.count && count as u64 <= self.file.length =>
            {
                Ok(view)
            }
            _ => {
                let got = format!(
                    "{:?} from value {offset} on with strides {:?}",
                    view.shape, view.strides
                );
                Err(wrong(
                    got,
                    &format!("within the {} values of its storage", named.count),
                ))
            }
        }
    }
}
