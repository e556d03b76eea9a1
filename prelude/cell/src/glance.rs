//! `glance!`: a value in one short line and the memory that it holds, for lists of variables.

use std::collections::BTreeMap;
use std::fmt::{Debug, Write};

use candle_core::Tensor;
use serde_json::json;

use super::display::send_bundle;
use super::frame::Bundle;

/// Longest text, in characters; nothing beyond it is made.
const LONGEST: usize = 160;

/// Carries a value to the look that its type allows.
pub struct Glance<'a, T>(pub &'a T);

/// A line, and bytes.
pub type Look = (String, usize);

/// Tensors, vectors and texts, which say how long they are.
pub trait ViaShape {
    fn itd_look(&self) -> Look;
}
/// Values that can be looked at.
pub trait ViaDebug {
    fn itd_look(&self) -> Look;
}
/// All the others.
pub trait ViaNothing {
    fn itd_look(&self) -> Look;
}

impl ViaShape for &&Glance<'_, Tensor> {
    fn itd_look(&self) -> Look {
        let (dims, kind) = (self.0.dims(), self.0.dtype());
        let bytes = self.0.elem_count() * kind.size_in_bytes() + size_of::<Tensor>();
        (format!("{dims:?} {kind:?}"), bytes)
    }
}

impl<T: Debug> ViaShape for &&Glance<'_, Vec<T>> {
    fn itd_look(&self) -> Look {
        let line = short(self.0);
        let line = match line.ends_with('…') {
            true => format!("{} values: {line}", self.0.len()),
            false => line,
        };
        (
            line,
            self.0.capacity() * size_of::<T>() + size_of_val(self.0),
        )
    }
}

impl ViaShape for &&Glance<'_, String> {
    fn itd_look(&self) -> Look {
        (short(self.0), self.0.capacity() + size_of_val(self.0))
    }
}

impl<T: Debug> ViaDebug for &Glance<'_, T> {
    fn itd_look(&self) -> Look {
        (short(self.0), size_of_val(self.0))
    }
}

impl<T> ViaNothing for Glance<'_, T> {
    fn itd_look(&self) -> Look {
        (String::new(), size_of_val(self.0))
    }
}

/// The `Debug` form in one line.
fn short(value: &dyn Debug) -> String {
    let mut line = Line::default();
    match write!(line, "{value:?}") {
        Ok(()) => line.text,
        Err(_) => line.text + "…",
    }
}

/// Text without line breaks that ends when it is long enough.
#[derive(Default)]
struct Line {
    text: String,
    count: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        for c in text.chars() {
            let blank = c.is_whitespace();
            if blank && self.text.ends_with(' ') {
                continue;
            }
            if self.count == LONGEST {
                return Err(std::fmt::Error);
            }
            self.text.push(if blank { ' ' } else { c });
            self.count += 1;
        }
        Ok(())
    }
}

/// Tells the kernel the looks of variables.
pub fn looks(all: &[(&str, Look)]) {
    let all: BTreeMap<&str, &Look> = all.iter().map(|(name, look)| (*name, look)).collect();
    let kind = "application/x-itd-looks+json".to_owned();
    send_bundle(Bundle::from([(kind, json!(all))]), false);
}

/// A value in one short line, empty when its type has no `Debug`, and its bytes.
#[macro_export]
#[doc(hidden)]
macro_rules! glance {
    ($value:expr) => {
        match &$value {
            value => {
                #[allow(unused_imports)]
                use $crate::glance::{Glance, ViaDebug, ViaNothing, ViaShape};
                (&&&Glance(value)).itd_look()
            }
        }
    };
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_value_is_one_short_line() {
        struct Opaque;
        #[derive(Debug)]
        #[allow(dead_code)]
        struct Named {
            a: &'static str,
        }
        assert_eq!(glance!(3.5).0, "3.5");
        assert_eq!(glance!(vec![1, 2]).0, "[1, 2]");
        assert_eq!(glance!(Named { a: "é" }).0, "Named { a: \"é\" }");
        assert_eq!(glance!(Opaque).0, "");
        assert_eq!(glance!(format_args!("a\n   b")).0, "a b");
        let tensor =
            candle_core::Tensor::zeros((2, 3), candle_core::DType::F32, &candle_core::Device::Cpu);
        let (line, bytes) = glance!(tensor.expect("memory"));
        assert_eq!(
            (line.as_str(), bytes),
            ("[2, 3] F32", 24 + size_of::<candle_core::Tensor>())
        );
        let many = vec![0.25_f64; 50_000_000];
        let (line, bytes) = glance!(many);
        assert_eq!(bytes, 400_000_000 + size_of_val(&many));
        assert!(line.starts_with("50000000 values: [0.25, ") && line.ends_with('…'));
        assert!(line.chars().count() < 200, "{line}");
    }
}
