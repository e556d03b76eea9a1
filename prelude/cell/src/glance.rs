//! `glance!`: a value in one short line, for the front end's list of variables.

use std::collections::BTreeMap;
use std::fmt::{Debug, Write};

use serde_json::json;

use super::display::send_bundle;
use super::frame::Bundle;

/// Longest text, in characters; nothing beyond it is made.
const LONGEST: usize = 160;

/// Carries a value to the line that its type allows.
pub struct Glance<'a, T>(pub &'a T);

/// Vectors, which say how long they are.
pub trait ViaVec {
    fn line(&self) -> String;
}
/// Values that can be looked at.
pub trait ViaDebug {
    fn line(&self) -> String;
}
/// All the others.
pub trait ViaNothing {
    fn line(&self) -> String;
}

impl<T: Debug> ViaVec for &&Glance<'_, Vec<T>> {
    fn line(&self) -> String {
        let line = short(self.0);
        match line.ends_with('…') {
            true => format!("{} values: {line}", self.0.len()),
            false => line,
        }
    }
}

impl<T: Debug> ViaDebug for &Glance<'_, T> {
    fn line(&self) -> String {
        short(self.0)
    }
}

impl<T> ViaNothing for Glance<'_, T> {
    fn line(&self) -> String {
        String::new()
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

/// Tells the kernel the lines of variables.
pub fn looks(lines: &[(&str, String)]) {
    let lines: BTreeMap<&str, &String> = lines.iter().map(|(name, line)| (*name, line)).collect();
    let kind = "application/x-itd-looks+json".to_owned();
    send_bundle(Bundle::from([(kind, json!(lines))]), false);
}

/// A value in one short line; empty when its type has no `Debug`.
#[macro_export]
#[doc(hidden)]
macro_rules! glance {
    ($value:expr) => {
        match &$value {
            value => {
                #[allow(unused_imports)]
                use $crate::glance::{Glance, ViaDebug, ViaNothing, ViaVec};
                (&&&Glance(value)).line()
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
        assert_eq!(glance!(3.5), "3.5");
        assert_eq!(glance!(vec![1, 2]), "[1, 2]");
        assert_eq!(glance!(Named { a: "é" }), "Named { a: \"é\" }");
        assert_eq!(glance!(Opaque), "");
        assert_eq!(glance!(format_args!("a\n   b")), "a b");
        let many = vec![0.25_f64; 50_000_000];
        let begin = std::time::Instant::now();
        let line = glance!(many);
        assert!(line.starts_with("50000000 values: [0.25, ") && line.ends_with('…'));
        assert!(line.chars().count() < 200, "{line}");
        assert!(begin.elapsed().as_millis() < 50, "nothing beyond is made");
    }
}
