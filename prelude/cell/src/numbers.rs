//! Many numbers at once: lists and tensors, with what is to be said of all of them and a few of their values.

use candle_core::{CpuStorage, DType, Device, Layout, Tensor};

use crate::display::{Show, plain};
use crate::error::Result;
use crate::frame::Bundle;
use crate::slices;
use crate::text::{bytes, number, thousands};

/// Lists up to this length are shown whole.
const WHOLE: usize = 100;
/// How many of a longer list are shown at its beginning and its end.
const FIRST: usize = 6;
const LAST: usize = 3;
/// Of a tensor on another device, so many are fetched.
const FETCHED: usize = 1 << 20;

/// What is to be said of many numbers.
#[derive(Debug, Default)]
struct Summary {
    finite: u64,
    not_finite: u64,
    low: f64,
    high: f64,
    /// Of the differences from the first, so that a large mean costs no digits.
    first: f64,
    sum: f64,
    squares: f64,
}

impl Summary {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut all = Self {
            low: f64::INFINITY,
            high: f64::NEG_INFINITY,
            ..Self::default()
        };
        for value in values {
            if !value.is_finite() {
                all.not_finite += 1;
                continue;
            }
            if all.finite == 0 {
                all.first = value;
            }
            all.finite += 1;
            all.low = all.low.min(value);
            all.high = all.high.max(value);
            let difference = value - all.first;
            all.sum += difference;
            all.squares += difference * difference;
        }
        all
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.finite > 0 {
            let n = self.finite as f64;
            let mean = self.sum / n;
            // NaN where the squares are too large for f64, which `max` would leave out.
            let variance = self.squares / n - mean * mean;
            let std = if variance < 0.0 { 0.0 } else { variance.sqrt() };
            let [low, high, mean, std] = [self.low, self.high, self.first + mean, std].map(number);
            write!(f, "min {low}, max {high}, mean {mean}, std {std}")?;
        }
        match (self.finite, self.not_finite) {
            (_, 0) => Ok(()),
            (0, all) => write!(f, "none of {} is finite", thousands(all)),
            (_, some) => write!(f, ", {} not finite", thousands(some)),
        }
    }
}

/// A list too long to be shown whole: some values, and what is to be said of all.
fn long_list(
    kind: &str,
    size: usize,
    count: usize,
    value: &dyn Fn(usize) -> String,
    all: Summary,
) -> Bundle {
    let first: Vec<String> = (0..FIRST).map(value).collect();
    let last: Vec<String> = (count - LAST..count).map(value).collect();
    let (first, last) = (first.join(", "), last.join(", "));
    let (length, size) = (thousands(count as u64), bytes((count * size) as u64));
    plain(format!(
        "[{first}, …, {last}]\n{length} {kind}, {size}: {all}"
    ))
}

/// One implementation for each type, so that cells need not compile it.
macro_rules! lists_of {
    ($($number:ty),*) => {$(
        /// Short lists are shown whole; of long ones some values, and what is to be said of all.
        impl Show for [$number] {
            fn bundle(&self) -> Result<Bundle> {
                if self.len() <= WHOLE {
                    return Ok(plain(format!("{self:?}")));
                }
                let value = |i: usize| format!("{:?}", self[i]);
                let all = Summary::of(self.iter().map(|&value| value as f64));
                Ok(long_list(stringify!($number), size_of::<$number>(), self.len(), &value, all))
            }
        }

        impl Show for Vec<$number> {
            fn bundle(&self) -> Result<Bundle> {
                self.as_slice().bundle()
            }
        }

        impl<const N: usize> Show for [$number; N] {
            fn bundle(&self) -> Result<Bundle> {
                self.as_slice().bundle()
            }
        }

        impl Show for $number {
            fn bundle(&self) -> Result<Bundle> {
                Ok(plain(format!("{self:?}")))
            }
        }
    )*};
}

lists_of!(
    f32, f64, i8, i16, i32, i64, i128, isize, u8, u16, u32, u64, u128, usize
);

/// candle's own form (values rounded, the middle of long axes left out, shape and type), and below it what is to be
/// said of all values, where they are and how much memory they take.
impl Show for Tensor {
    fn bundle(&self) -> Result<Bundle> {
        let mut text = self.to_string();
        let count = self.elem_count();
        if count > 1 {
            let place = match self.device() {
                Device::Cpu => "cpu".to_owned(),
                other => format!("{other:?}").to_lowercase(),
            };
            let size = bytes((count * self.dtype().size_in_bytes()) as u64);
            let all = summary(self)?.map_or_else(String::new, |all| format!("{all}; "));
            text = format!("{}\n{all}{place}, {size}", text.trim_end());
        }
        Ok(plain(text))
    }
}

/// What is to be said of a tensor's values, read where they lie.
fn summary(tensor: &Tensor) -> Result<Option<String>> {
    if !matches!(tensor.device(), Device::Cpu) {
        let count = tensor.elem_count();
        let some = tensor.flatten_all()?.narrow(0, 0, count.min(FETCHED))?;
        let some = some.to_dtype(DType::F32)?.to_device(&Device::Cpu)?;
        let all = summary(&some)?;
        return Ok(all.map(|all| match count > FETCHED {
            true => format!("of the first {}: {all}", thousands(FETCHED as u64)),
            false => all,
        }));
    }
    let (storage, layout) = tensor.storage_and_layout();
    let place = Place { tensor, layout };
    let all = match slices::cpu(&storage)? {
        CpuStorage::U8(values) => place.summary(values, f64::from),
        CpuStorage::U32(values) => place.summary(values, f64::from),
        CpuStorage::I16(values) => place.summary(values, f64::from),
        CpuStorage::I32(values) => place.summary(values, f64::from),
        CpuStorage::I64(values) => place.summary(values, |value| value as f64),
        CpuStorage::BF16(values) => place.summary(values, |value| value.to_f64()),
        CpuStorage::F16(values) => place.summary(values, |value| value.to_f64()),
        CpuStorage::F32(values) => place.summary(values, f64::from),
        CpuStorage::F64(values) => place.summary(values, |value| value),
        _ => return Ok(None),
    };
    Ok(Some(all.to_string()))
}

/// A tensor's values among those of its storage, which it may share with others.
struct Place<'a> {
    tensor: &'a Tensor,
    layout: &'a Layout,
}

impl Place<'_> {
    fn summary<T: Copy>(&self, values: &[T], number: impl Fn(T) -> f64) -> Summary {
        match self.layout.contiguous_offsets() {
            Some((from, to)) => Summary::of(values[from..to].iter().map(|&value| number(value))),
            None => Summary::of(self.tensor.strided_index().map(|at| number(values[at]))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn text(value: &dyn Show) -> String {
        let bundle = value.bundle().unwrap();
        bundle["text/plain"].as_str().unwrap().to_owned()
    }

    #[test]
    fn short_lists_are_shown_as_rust_does() {
        assert_eq!(text(&vec![0.5, 2.0]), "[0.5, 2.0]");
        assert_eq!(text(&[1u8, 2]), "[1, 2]");
        assert_eq!(text(&&[f32::NAN][..]), "[NaN]");
        assert_eq!(text(&Vec::<i64>::new()), "[]");
        assert_eq!(text(&3i32), "3");
    }

    #[test]
    fn long_lists_say_what_they_hold() {
        let mut list: Vec<f64> = (0..1000).map(|i| 1e9 + f64::from(i % 2)).collect();
        list.push(f64::INFINITY);
        let told = "[1000000000.0, 1000000001.0, 1000000000.0, 1000000001.0, 1000000000.0, 1000000001.0, …, \
                    1000000000.0, 1000000001.0, inf]\n\
                    1,001 f64, 8.0 kB: min 1e9, max 1e9, mean 1e9, std 0.5, 1 not finite";
        assert_eq!(text(&list), told);
        let none = text(&vec![f64::NAN; 200]);
        assert!(
            none.ends_with("200 f64, 1.6 kB: none of 200 is finite"),
            "{none}"
        );
    }

    #[test]
    fn fifty_million_numbers_take_little_time_and_text() {
        let list = vec![7u8; 50_000_000];
        let tensor = Tensor::zeros((5000, 10_000), DType::F32, &Device::Cpu).unwrap();
        let turned = tensor.t().unwrap();
        for (name, value) in [
            ("list", &list as &dyn Show),
            ("tensor", &tensor),
            ("a tensor across", &turned),
        ] {
            let begin = Instant::now();
            let text = text(value);
            let took = begin.elapsed().as_secs_f64();
            assert!(
                took < 20.0 && text.len() < 3000,
                "{name}: {took} s, {}",
                text.len()
            );
            println!("{name}: {took:.2} s, {} characters", text.len());
        }
    }

    #[test]
    fn a_tensor_says_its_shape_type_place_and_what_it_holds() {
        let tensor = Tensor::new(&[[1f32, 2.0, 3.0], [4.0, 5.0, 9.0]], &Device::Cpu).unwrap();
        let told = text(&tensor);
        assert!(told.contains("Tensor[[2, 3], f32]"), "{told}");
        let end = "min 1, max 9, mean 4, std 2.58199; cpu, 24 bytes";
        assert!(told.ends_with(end), "{told}");
        // A part of it, which lies across: the first column, and the last two.
        let part = tensor.narrow(1, 1, 2).unwrap().t().unwrap();
        assert!(
            text(&part).contains("min 2, max 9, mean 4.75"),
            "{}",
            text(&part)
        );
        for kind in [
            DType::F64,
            DType::U8,
            DType::I64,
            DType::BF16,
            DType::F16,
            DType::U32,
        ] {
            let told = text(&tensor.to_dtype(kind).unwrap());
            assert!(
                told.contains("min 1, max 9, mean 4, std 2.58199"),
                "{kind:?}: {told}"
            );
        }
        let empty = Tensor::zeros((0, 3), DType::F32, &Device::Cpu).unwrap();
        assert!(text(&empty).contains("[0, 3]"));
    }
}
