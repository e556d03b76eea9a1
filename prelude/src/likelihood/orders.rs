//! Log-probabilities of sequences from conditionals: the mean over all orders in which the letters can be uncovered.

use data_encoding::HEXLOWER;
use rand::seq::index;
use sha2::{Digest, Sha256};

use crate::cell;
use crate::distribution::Conditionals;
use crate::error::{Error, Interrupted, Result};
use crate::estimate::Estimate;
use crate::rng;
use crate::rounds::Rounds;

/// Covered places up to which all subsets are gone through.
const MOST: usize = 20;

/// `−ln p(x)` of each sequence by uncovering its letters in all orders at once, without time and without a schedule:
///
/// ```text
/// −ln p(x) = H_L · E Σ_{i ∉ S} −ln p(x_i | x_S),    H_L = 1 + ½ + … + 1/L
/// ```
///
/// Here `L` letters are covered, `|S| = k` has the probability `1/((L − k) H_L)` for `k = 0 … L − 1`, and `S` is any `k`
/// of them alike. It is the chain rule, averaged over all orders, and so it holds for any distribution whose
/// conditionals these are. One set answers for all covered letters at once, which makes the scatter small.
///
/// Places that are `given` are known from the start: then it is `−ln p(x | given)`.
///
/// # Arguments
/// `draws` sets for each sequence; the error of the estimate is that of the sequences' values, each with its own sets.
/// [`Estimate::per_sample`] has them.
///
/// # Errors
/// [`Error::Empty`] without sequences; [`Error::Parameter`] without draws, or when all places are given;
/// [`Error::Shape`] when a list has another length; [`Error::Interrupted`] when it is stopped.
///
/// # Units
/// Nats for a whole sequence.
///
/// # Paper
/// Information-theoretic discrete diffusion (2025), arXiv:2510.24088: the form without time.
///
/// # Example: a chain whose table is known
/// ```
/// use itd_prelude::prelude::*;
/// use itd_prelude::distribution::MarkovChain;
/// use itd_prelude::likelihood::order_nll;
///
/// # fn main() -> Result<()> {
/// let mut rng = rng::seeded(0);
/// let chain = MarkovChain::random((8, 4, 1), 0.5, &mut rng)?;
/// let x: Vec<Vec<u32>> = (0..200).map(|_| chain.sample(&mut rng)).collect();
/// let found = order_nll(&chain, &x, None, 4, 1)?;
/// let known: f64 = x.iter().map(|x| Ok(-chain.log_prob(x)? / 200.0)).sum::<Result<f64>>()?;
/// check!(found.within(known, 4.0));
/// # Ok(()) }
/// ```
pub fn order_nll(
    model: &dyn Conditionals,
    x: &[Vec<u32>],
    given: Option<&[bool]>,
    draws: usize,
    seed: u64,
) -> Result<Estimate> {
    let places = covered(model, given)?;
    if draws == 0 {
        return Err(Error::Parameter {
            name: "draws",
            got: "0".into(),
            need: "at least 1",
        });
    }
    if x.is_empty() {
        return Err(Error::Empty {
            what: "the list of sequences",
        });
    }
    let length = places.len();
    let all = harmonic(length);
    let mut rng = rng::stream(seed, "orders");
    let planned = x.len().saturating_mul(draws);
    let work = planned as f64 * model.length() as f64 * model.letters() as f64;
    let mut rounds = Rounds::new("uncovering letters", planned, 1e3 * work);
    let mut found = Vec::with_capacity(x.len());
    for one in x {
        let mut sum = 0.0;
        for draw in 0..draws {
            // One of `draws` equal parts of the probability of k: fewer repetitions of one k.
            let share: f64 = (draw as f64 + rand::Rng::random::<f64>(&mut rng)) / draws as f64;
            let k = known_letters(share, length, all);
            let mut known = base(model, given);
            for i in index::sample(&mut rng, length, k) {
                known[places[i]] = true;
            }
            sum += surprise(model, one, &known)?;
            rounds.step()?;
        }
        found.push(all * sum / draws as f64);
    }
    Ok(Estimate::of_samples(found, digest(x), 0.0))
}

/// [`order_nll`] of one sequence, with all sets in place of a few that are drawn: exact.
///
/// # Errors
/// [`Error::Parameter`] for more than 20 covered places, which have too many subsets; else as [`order_nll`].
///
/// # Example
/// ```
/// use itd_prelude::prelude::*;
/// use itd_prelude::distribution::MarkovChain;
/// use itd_prelude::likelihood::order_nll_exact;
///
/// # fn main() -> Result<()> {
/// let chain = MarkovChain::new(4, &[0.5, 0.5], &[[0.9, 0.1], [0.3, 0.7]])?;
/// let x = [0, 0, 1, 1];
/// check!(close(order_nll_exact(&chain, &x, None)?, -chain.log_prob(&x)?, 1e-12));
/// # Ok(()) }
/// ```
pub fn order_nll_exact(model: &dyn Conditionals, x: &[u32], given: Option<&[bool]>) -> Result<f64> {
    let places = covered(model, given)?;
    let length = places.len();
    if length > MOST {
        return Err(Error::Parameter {
            name: "the number of covered places",
            got: length.to_string(),
            need: "at most 20 for all subsets; `order_nll` draws some",
        });
    }
    let mut nats = 0.0;
    // Sets of one size share 1/((L − k) · C(L, k)); H_L cancels.
    let mut weights = Vec::with_capacity(length);
    let mut choose = 1.0;
    for k in 0..length {
        weights.push(1.0 / ((length - k) as f64 * choose));
        choose *= (length - k) as f64 / (k + 1) as f64;
    }
    let planned = (1u64 << length) - 1;
    for code in 0..planned {
        if code.is_multiple_of(256) && cell::interrupted() {
            let stopped = Interrupted::new("uncovering letters", code, planned);
            return Err(Error::Interrupted(stopped.counted_in("sets")));
        }
        let mut known = base(model, given);
        for (i, &place) in places.iter().enumerate() {
            known[place] |= code >> i & 1 == 1;
        }
        nats += weights[code.count_ones() as usize] * surprise(model, x, &known)?;
    }
    Ok(nats)
}

/// The digest of sequences.
fn digest(x: &[Vec<u32>]) -> String {
    let mut hash = Sha256::new();
    for one in x {
        hash.update((one.len() as u64).to_le_bytes());
        one.iter()
            .for_each(|letter| hash.update(letter.to_le_bytes()));
    }
    HEXLOWER.encode(&hash.finalize())
}

/// `Σ −ln p(x_i | x_S)` over the places outside of `S`.
fn surprise(model: &dyn Conditionals, x: &[u32], known: &[bool]) -> Result<f64> {
    Ok(-model.log_conditionals(x, known)?.iter().sum::<f64>())
}

fn base(model: &dyn Conditionals, given: Option<&[bool]>) -> Vec<bool> {
    given.map_or_else(|| vec![false; model.length()], <[bool]>::to_vec)
}

/// The places that are not given.
fn covered(model: &dyn Conditionals, given: Option<&[bool]>) -> Result<Vec<usize>> {
    if let Some(given) = given
        && given.len() != model.length()
    {
        return Err(Error::Shape {
            what: "the given places",
            got: vec![given.len()],
            need: format!("[{}], the length of a sequence", model.length()),
        });
    }
    let known = base(model, given);
    let places: Vec<usize> = (0..known.len()).filter(|&i| !known[i]).collect();
    match places.is_empty() {
        false => Ok(places),
        true => Err(Error::Parameter {
            name: "the number of covered places",
            got: "0".into(),
            need: "at least 1: something must be left to tell",
        }),
    }
}

fn harmonic(n: usize) -> f64 {
    (1..=n).map(|i| 1.0 / i as f64).sum()
}

/// The `k` whose part of the probability `1/((L − k) H_L)` holds that share.
fn known_letters(share: f64, length: usize, harmonic: f64) -> usize {
    let mut left = share * harmonic;
    for k in 0..length {
        left -= 1.0 / (length - k) as f64;
        if left < 0.0 {
            return k;
        }
    }
    length - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distribution::MarkovChain;

    #[test]
    fn sizes_have_their_probabilities() {
        let all = harmonic(5);
        let n = 50_000;
        let mut counts = [0.0; 5];
        for i in 0..n {
            counts[known_letters((i as f64 + 0.5) / f64::from(n), 5, all)] += 1.0 / f64::from(n);
        }
        for (k, count) in counts.iter().enumerate() {
            assert!((count - 1.0 / ((5 - k) as f64 * all)).abs() < 1e-4);
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let chain = MarkovChain::new(2, &[0.5, 0.5], &[[0.9, 0.1], [0.1, 0.9]]).unwrap();
        let x = vec![vec![0, 1]];
        assert!(order_nll(&chain, &x, None, 1, 0).is_ok());
        assert!(order_nll(&chain, &x, None, 0, 0).is_err());
        assert!(order_nll(&chain, &[], None, 1, 0).is_err());
        assert!(order_nll(&chain, &x, Some(&[true, true]), 1, 0).is_err());
        assert!(order_nll(&chain, &x, Some(&[true]), 1, 0).is_err());
        assert!(order_nll(&chain, &[vec![0]], None, 1, 0).is_err());
        let long = MarkovChain::new(21, &[0.5, 0.5], &[[0.9, 0.1], [0.1, 0.9]]).unwrap();
        assert!(order_nll_exact(&long, &[0; 21], None).is_err());
    }
}
