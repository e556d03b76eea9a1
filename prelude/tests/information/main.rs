//! Estimators of mutual information, against closed forms and slow twins.

mod attribution;
mod base;
mod beyond;
mod cca;
mod common;
mod consistency;
mod critics;
mod error_bars;
mod gap;
mod input;
mod ksg;
mod rivals;
mod student_copula;
