//! Estimators of mutual information, against closed forms and slow twins.

mod base;
mod cca;
mod common;
mod critics;
mod gap;
mod ksg;
mod student_copula;
