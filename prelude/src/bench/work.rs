//! Our side of a case.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{Tensor, Var};

use super::case::Row;
use super::network;
use super::operation::Operation;
use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result};

/// A case, ready to be run.
pub(super) trait Work {
    /// Does it once and gives the seconds that count.
    fn run(&mut self, row: Row) -> Result<f64>;

    /// What the other side needs to compute the same, and what comes out.
    fn exchange(&mut self) -> Result<Exchange>;
}

/// The work of a case's words.
pub(super) fn named(words: &str) -> Result<Box<dyn Work>> {
    if let Some(operation) = Operation::named(words)? {
        return Ok(Box::new(operation));
    }
    match network::named(words)? {
        Some(work) => Ok(work),
        None => unknown(words),
    }
}

pub(super) fn unknown<T>(what: &str) -> Result<T> {
    Err(Error::Missing {
        what: format!("no case is called {what:?}"),
        next: "see the list in src/bench/case.rs",
    })
}

/// Parameters `p…`, inputs `x…`, the result `y` and its sum's gradients `g…` by the parameters, as PyTorch lays
/// them out.
pub(super) struct Exchange {
    tensors: Vec<(String, Tensor)>,
    /// Values in all parameters.
    pub parameters: usize,
}

impl Exchange {
    /// With the sum's gradients by the variables.
    pub fn new(vars: &[Var], inputs: &[Tensor], y: &Tensor) -> Result<Self> {
        // candle starts from ones, which is the gradient of the sum.
        let grads = y.backward()?;
        let mut tensors = vec![("y".to_owned(), y.detach())];
        for (i, var) in vars.iter().enumerate() {
            let grad = match grads.get(var) {
                Some(grad) => grad.clone(),
                None => var.zeros_like()?,
            };
            tensors.push((format!("p{i:03}"), var.as_detached_tensor()));
            tensors.push((format!("g{i:03}"), grad.detach()));
        }
        for (i, input) in inputs.iter().enumerate() {
            tensors.push((format!("x{i:03}"), input.detach()));
        }
        Ok(Self {
            tensors,
            parameters: vars.iter().map(|var| var.elem_count()).sum(),
        })
    }

    /// As safetensors.
    pub fn save(&self, path: &Path) -> Result<()> {
        Checkpoint::save(path, &self.tensors, &BTreeMap::new())
    }
}

#[cfg(test)]
mod tests {
    use super::super::case::CASES;
    use super::*;

    /// The cases themselves are too large for a test; these are of the same kinds.
    const SMALL: &[&str] = &[
        "matmul 8",
        "conv2d 2 4 6 5 3 2",
        "group_norm 2 8 4 2",
        "attention 2 2 9 4",
        // More pictures than values in one, or there is no density.
        "unet 4 7",
        "ddpm_block 2 32 4",
        "ddpm 3 8 2 32",
        "curve 3 4 9",
        "mlp 8 16 3 4 5",
    ];

    fn rows(words: &str) -> &'static [Row] {
        let name = words.split(' ').next();
        let case = CASES.iter().find(|case| Some(case.name()) == name);
        case.expect("a small form of a case").rows
    }

    #[test]
    fn each_kind_of_case_runs() {
        for words in SMALL {
            let mut work = named(words).unwrap();
            for &row in rows(words) {
                let seconds = work.run(row).unwrap();
                assert!(seconds > 0.0, "{words}, {}", row.name());
            }
        }
        for case in CASES {
            assert!(SMALL.iter().any(|words| words.starts_with(case.name())));
        }
        assert!(named("conv2d 1 2").is_err());
        assert!(named("nonsense").is_err());
    }

    #[test]
    fn what_is_sent_over_has_a_gradient_for_each_parameter() {
        for words in SMALL {
            let exchange = named(words).unwrap().exchange().unwrap();
            let of = |kind: char| {
                let tensors = exchange.tensors.iter();
                tensors.filter(move |(name, _)| name.starts_with(kind))
            };
            assert!(exchange.parameters > 0 && of('y').count() == 1, "{words}");
            assert_eq!(of('p').count(), of('g').count());
            for ((name, p), (_, g)) in of('p').zip(of('g')) {
                assert_eq!(p.dims(), g.dims());
                let most = g.abs().unwrap().flatten_all().unwrap().max(0).unwrap();
                let most = most.to_scalar::<f32>().unwrap();
                assert!(most > 0.0, "{words}: {name} has no gradient");
            }
        }
    }
}
