//! A course from notebooks: editions for students and for those who teach, slides, and how long it takes to read.
//!
//! ```text
//! exercise.rs (what tags and ids say) ─▶ edition.rs (student, instructor, solutions), times.rs
//! slides.rs (a talk with figures from the notebooks' outputs)
//! ```
//!
//! How a notebook has to be written for this: docs/course/editions.md.

pub mod answers;
pub mod edition;
pub mod exercise;
pub mod slides;
pub mod times;
