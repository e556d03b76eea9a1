//! Single operations, as the networks use them.

use std::time::Instant;

use candle_core::{Result as Candle, Tensor, Var};

use super::case::{Row, sizes};
use super::work::{Exchange, Work, unknown};
use crate::error::Result;
use crate::ops::{Activation, Tape, attention};
use crate::rng;

type Run = Box<dyn Fn(&Tape, &[Tensor]) -> Result<Tensor>>;

/// An operation on arguments of which it is a function, all of them variables.
pub(super) struct Operation {
    run: Run,
    /// The same numbers without and with gradients.
    arguments: Vec<Tensor>,
    leaves: Vec<Var>,
}

impl Operation {
    /// The operation of a case's words; `None` when they name no such.
    pub fn named(words: &str) -> Result<Option<Self>> {
        let name = words.split(' ').next().unwrap_or_default();
        let (run, shapes): (Run, Vec<Vec<usize>>) = match (name, sizes(words).as_slice()) {
            ("matmul", &[n]) => (
                Box::new(|_, t| Ok(t[0].matmul(&t[1])?)),
                vec![vec![n, n], vec![n, n]],
            ),
            ("conv2d", &[n, c, o, side, k, stride]) => (
                Box::new(move |tape, t| tape.conv2d(&t[0], (&t[1], &t[2]), stride, k / 2)),
                vec![vec![n, c, side, side], vec![o, c, k, k], vec![o]],
            ),
            ("group_norm", &[n, c, side, groups]) => (
                Box::new(move |tape, t| {
                    let parameters = (&t[1], &t[2]);
                    tape.group_norm(&t[0], groups, parameters, 1e-5, Activation::Silu)
                }),
                vec![vec![n, c, side, side], vec![c], vec![c]],
            ),
            ("attention", &[n, heads, tokens, dim]) => (
                Box::new(|_, t| attention(&t[0], &t[1], &t[2])),
                vec![vec![n, heads, tokens, dim]; 3],
            ),
            _ => return Ok(None),
        };
        let mut random = rng::seeded(0);
        let draw = |shape: &Vec<usize>| rng::normal(shape, &mut random);
        let arguments = shapes.iter().map(draw).collect::<Result<Vec<_>>>()?;
        Ok(Some(Self {
            run,
            leaves: arguments
                .iter()
                .map(Var::from_tensor)
                .collect::<Candle<_>>()?,
            arguments,
        }))
    }

    fn tracked(&self, tape: &Tape) -> Result<Tensor> {
        let leaf = |var: &Var| var.as_tensor().clone();
        let leaves: Vec<Tensor> = self.leaves.iter().map(leaf).collect();
        (self.run)(tape, &leaves)
    }

    /// The gradient of the result's sum, as training computes it; attention's by candle's graph, since training has
    /// its arguments in one tensor.
    fn gradients(&self) -> Result<()> {
        let tape = Tape::on(&self.leaves);
        let y = self.tracked(&tape)?;
        match y.track_op() {
            true => drop(y.backward()?),
            false => drop(tape.backward(&y, y.ones_like()?, &self.leaves)?),
        }
        Ok(())
    }
}

impl Work for Operation {
    fn run(&mut self, row: Row) -> Result<f64> {
        let start = Instant::now();
        match row {
            Row::Forward => drop((self.run)(&Tape::off(), &self.arguments)?),
            Row::Gradients => self.gradients()?,
            Row::Training => return unknown(row.name()),
        }
        Ok(start.elapsed().as_secs_f64())
    }

    fn exchange(&mut self) -> Result<Exchange> {
        let y = self.tracked(&Tape::off())?;
        Exchange::new(&self.leaves, &[], &y)
    }
}
