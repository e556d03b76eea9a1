//! Gradients of a batch, a part of it at a time.
//!
//! Each part goes forward and back before the next, so that what is kept for the way back is that of one part, not of
//! the whole batch.

use candle_core::{Tensor, Var};
use rayon::prelude::*;

use crate::error::Result;
use crate::ops::Tape;

/// Most parts of a batch that is shared out: their gradients are held at once.
const MOST: usize = 4;

/// First sample and number of samples of each part, none but the last with fewer than `least`; they do not depend on
/// the number of threads, so that neither does the order of sums.
fn parts(n: usize, least: usize) -> Vec<(usize, usize)> {
    let size = n.div_ceil(MOST).max(least).max(1);
    let part = |from| (from, size.min(n - from));
    (0..n).step_by(size).map(part).collect()
}

/// The gradient by each variable of `Σ grad_out·y`, where `part(tape, first, count)` gives `y` and `grad_out` for these
/// samples of a batch of `n`: parts on several threads, for networks of few parameters.
///
/// Sharing out each operation wakes the threads and waits for the last of them a hundred times a step, and between
/// two operations the numbers leave the processor's cache. Sharing out the batch does so once. The gradients of up
/// to four parts are held at once.
///
/// # Errors
/// What `part` returns.
pub fn data_parallel(
    n: usize,
    least: usize,
    vars: &[Var],
    part: impl Fn(&Tape, usize, usize) -> Result<(Tensor, Tensor)> + Sync,
) -> Result<Vec<Option<Tensor>>> {
    let both = |(first, count)| {
        let tape = Tape::on(vars);
        let (y, grad_out) = part(&tape, first, count)?;
        tape.backward(&y, grad_out, vars)
    };
    let grads = parts(n, least).into_par_iter().map(both);
    let mut grads = grads.collect::<Result<Vec<_>>>()?.into_iter();
    let first = grads.next().unwrap_or_default();
    grads.try_fold(first, added)
}

/// The same one part after the other, `size` samples each, for networks of many parameters: each operation is shared
/// out among the threads, and the gradients are held once.
///
/// # Errors
/// What `part` returns.
pub fn one_by_one(
    n: usize,
    size: usize,
    vars: &[Var],
    part: impl Fn(&Tape, usize, usize) -> Result<(Tensor, Tensor)>,
) -> Result<Vec<Option<Tensor>>> {
    let mut grads = vec![None; vars.len()];
    for first in (0..n).step_by(size.max(1)) {
        let tape = Tape::on(vars);
        let (y, grad_out) = part(&tape, first, size.min(n - first))?;
        grads = tape.backward_onto(grads, &y, grad_out, vars)?;
    }
    Ok(grads)
}

/// The sums of gradients by the same parameters.
fn added(some: Vec<Option<Tensor>>, more: Vec<Option<Tensor>>) -> Result<Vec<Option<Tensor>>> {
    let both = |pair: (Option<Tensor>, Option<Tensor>)| match pair {
        (Some(a), Some(b)) => Ok(Some(crate::ops::sum(&a, &b)?)),
        (a, b) => Ok(a.or(b)),
    };
    some.into_iter().zip(more).map(both).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::{Linear, Scheme};
    use crate::ops::Activation;
    use crate::params::Network;
    use crate::rng;

    #[test]
    fn each_sample_is_in_one_part() {
        assert_eq!(parts(0, 16), []);
        assert_eq!(parts(5, 16), [(0, 5)]);
        assert_eq!(parts(20, 16), [(0, 16), (16, 4)]);
        assert_eq!(parts(101, 16), [(0, 26), (26, 26), (52, 26), (78, 23)]);
    }

    #[test]
    fn parts_add_up_whichever_way() {
        // Weights of convolutions over tokens: their gradient is lent, and must not be written over.
        let net = Network::seeded(0, &candle_core::Device::Cpu, |vb| {
            let linear = |name| Linear::over_tokens(vb.pp(name), 3, 3, Scheme::Uniform);
            Ok([linear("a")?, linear("b")?])
        })
        .unwrap();
        let vars = net.vars();
        let x = rng::normal(&[11, 3], &mut rng::seeded(0)).unwrap();
        let part = |tape: &Tape, first, count| {
            let x = x.narrow(0, first, count)?;
            let h = net.tracked[0].apply(tape, &x, Activation::Silu)?;
            let h = tape.add(&net.tracked[1].apply(tape, &h, Activation::None)?, &h)?;
            let ones = h.ones_like()?;
            Ok((h, ones))
        };
        let whole = data_parallel(11, 11, &vars, part).unwrap();
        for parts in [
            data_parallel(11, 3, &vars, part).unwrap(),
            one_by_one(11, 4, &vars, part).unwrap(),
            one_by_one(11, 1, &vars, part).unwrap(),
        ] {
            for ((a, b), (name, _)) in whole.iter().zip(&parts).zip(&net.parameters) {
                let (a, b) = (a.as_ref().unwrap(), b.as_ref().unwrap());
                let gap = (a - b).unwrap().abs().unwrap().flatten_all().unwrap();
                let gap = gap.max(0).unwrap().to_scalar::<f32>().unwrap();
                assert!(gap < 1e-5, "{name}: {gap}");
            }
        }
    }
}
