//! Files from elsewhere, each read within what it can hold: whatever a header claims, no more memory is asked
//! for than the file's own length warrants, and an error names the file, the place, and what to do.
//!
//! | module | what it reads |
//! |---|---|
//! | [`file`] | any file; it writes whole files or none |
//! | [`checkpoint`] | weights: safetensors, and PyTorch's formats |
//! | [`hub`] | the Hugging Face hub and its cache |
//! | [`parquet`] | tables |

pub mod caught;
pub mod checkpoint;
pub mod file;
pub mod hub;
pub mod parquet;

pub use candle_core as candle;
pub use itd_cell::error::{self, Error, Result};
pub use itd_cell::progress;
