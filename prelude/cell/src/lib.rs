//! What a notebook cell needs, whatever it computes: errors that say what to do next, claims that must hold,
//! values that show themselves, progress that can be interrupted, figures.
//!
//! ```text
//! error · text · memory · slices · store · turn → frame → host → cause · stderr · display → numbers · values · check · glance
//! then progress → input → comm → widget      beside: figure
//! ```
//!
//! | module | what it is |
//! |---|---|
//! | [`error`] | [`error::Error`], what every function of the prelude may return |
//! | [`frame`] | messages from a cell's process to the kernel |
//! | [`store`] | the variables of a session between its cells |
//! | [`host`](mod@host) | who reads what this process prints; interrupts and panics |
//! | [`cause`] | how an error at `?` is told |
//! | [`stderr`] | `eprintln!` and `dbg!` in their place among other output |
//! | [`display`] | [`Show`](display::Show): a value in the richest form that it has |
//! | [`mod@glance`] | a value in one short line, for lists of variables |
//! | [`media`] | Markdown, HTML, formulas, figures and tables as such values |
//! | `numbers`, `values` | tensors and lists of numbers; maps, options, results, tuples, durations |
//! | [`mod@check`] | [`check!`]: a claim that must hold |
//! | [`progress`] | bars with rate and time left, which an interrupt stops |
//! | `turn` | whether a cell runs or a widget's closure |
//! | [`input`](mod@input) | asking the user for a line |
//! | [`comm`] | messages to and from what stands in the page |
//! | [`widget`] | sliders, menus, buttons; figures that follow them |
//! | [`memory`] | whether memory is there before it is asked for |
//! | [`slices`] | the numbers of tensors, where they lie |
//! | [`figure`] | charts as SVG, pictures as PNG |

pub mod cause;
pub mod check;
pub mod comm;
pub mod display;
pub mod error;
pub mod figure;
pub mod frame;
pub mod glance;
pub mod host;
pub mod input;
pub mod media;
pub mod memory;
mod numbers;
pub mod progress;
pub mod slices;
pub mod stderr;
pub mod store;
pub mod text;
mod turn;
mod values;
pub mod widget;

pub use candle_core as candle;
#[doc(hidden)]
pub use cause::CellError;
pub use error::{Error, Result};
pub use frame::{Bundle, Frame};
pub use host::{Host, begin, end, fresh_id, host, init, interrupt, interrupted, send};
#[doc(hidden)]
pub use host::{block_on, over};
pub use input::{input, password};
pub use plotters;
#[doc(hidden)]
pub use store::{forget, give_back, keep, take};
