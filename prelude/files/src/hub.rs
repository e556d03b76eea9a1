//! The Hugging Face hub and its cache: where published networks and data sets are found, and where they come from.
//!
//! [`find`] says whether a network is on this disk, [`need`] whether several are, [`fetch`] downloads it. What comes from the hub lands in the
//! hub's own cache layout (`models--OWNER--NAME/snapshots/COMMIT/…`), so that other programs find it there too; what
//! comes from another server lands in the folder `models` of `$ITD_CACHE`, or of `itd` in the user's cache folder,
//! below the server's name.
//!
//! | environment | what it does |
//! |---|---|
//! | `ITD_DATA` | a folder of the user's own, which is looked into first |
//! | `HF_HUB_CACHE`, `HF_HOME` | the hub's cache |
//! | `HF_ENDPOINT`, `HF_TOKEN` | another server, and the token for it; no other server is told the token |
//! | `HF_HUB_OFFLINE=1` | nothing is downloaded, from wherever |
//!
//! A download that broke off is gone on with at the next call. It gets its name only when it is whole: its size is
//! what the server announced, and so is its SHA-256 where there is one. A file whose server announces no checksum is
//! gone on with only while its `ETag` stays the same.
//!
//! The tests speak to a small server of their own; the hub itself was not reachable from where this was written.
//!
//! # Example: is the published network on this disk?
//! ```
//! # use itd_files as itd_prelude;
//! use itd_prelude::hub;
//!
//! match hub::find("ddpm-cifar10") {
//!     Some(weights) => println!("{}", weights.display()),
//!     None => println!("`itd fetch ddpm-cifar10` gets it"),
//! }
//! assert_eq!(hub::find("no such network"), None);
//! ```

mod cache_dirs;
#[cfg(feature = "hub")]
mod download;
mod fetch;
mod find;
mod model;
mod repository;
#[cfg(feature = "hub")]
mod server;
mod sha256;

pub use cache_dirs::CacheDirs;
pub use fetch::{Fetched, FetchedFile, fetch};
pub use find::{find, need, weights};
pub use model::{Known, MODELS, Model, Origin};
pub use repository::{Kind, Repository};
#[cfg(feature = "hub")]
pub use server::{Hub, Snapshot};
