//! Files from elsewhere, each read within what it can hold: whatever a header claims, no more memory is asked
//! for than the file's own length warrants, and an error names the file, the place, and what to do.
//!
//! | module | what it reads |
//! |---|---|
//! | [`mod@file`] | any file; it writes whole files or none |
//! | [`checkpoint`] | weights: safetensors, and PyTorch's formats |
//! | [`diffusers`] | folders as diffusers saves them |
//! | [`hub`] | the Hugging Face hub and its cache |
//! | [`images`] | pictures: IDX, CIFAR, parquet, PNG, JPEG; the published sets |
//! | [`ratings`] | who rated what: RecBole's `.inter`, MovieLens's `u.data` and `ratings.dat` |
//! | [`table`] | data frames: CSV, Parquet, numpy's `.npz` |
//! | [`parquet`] | what those of Parquet and of pictures share |

pub mod catch_panic;
pub mod checkpoint;
pub mod diffusers;
pub mod file;
pub mod hub;
pub mod images;
mod kind;
pub mod parquet;
mod random_access;
pub mod ratings;
pub mod table;

pub use candle_core as candle;
pub use itd_cell::error::{self, Error, Result};
pub use itd_cell::progress;
