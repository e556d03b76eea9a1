//! What the tests of files share.

// Each test takes what it needs of these.
#![allow(dead_code, unused_imports)]

mod made;
pub mod pickled;

pub use made::*;

/// The bytes of a set, picture by picture.
pub fn bytes(data: &itd_files::images::Images) -> Vec<Vec<u8>> {
    (0..data.len())
        .map(|i| data.picture(i).unwrap().to_vec())
        .collect()
}
