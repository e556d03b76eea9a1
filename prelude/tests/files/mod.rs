//! Small files in each format, and what a data set read from them.

// Each test takes what it needs of these.
#![allow(dead_code, unused_imports)]

#[path = "../../files/tests/support/made.rs"]
mod made;

use itd_prelude::data::Dataset;

pub use made::*;

/// The bytes that a data set was read from, picture by picture.
pub fn bytes(data: &Dataset) -> Vec<Vec<u8>> {
    let rows = data.flat().unwrap().to_vec2::<f32>().unwrap();
    let byte = |value: &f32| {
        let byte = (f64::from(*value) + 1.0) * 127.5;
        assert!((byte - byte.round()).abs() < 1e-4, "{value} is on no level");
        byte.round() as u8
    };
    rows.iter()
        .map(|row| row.iter().map(byte).collect())
        .collect()
}
