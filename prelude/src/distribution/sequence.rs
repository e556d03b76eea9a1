//! Sequences of letters of which every conditional is known.

use rand::{Rng as _, RngCore};

use crate::cell::memory::room_for;
use crate::error::{Error, Result};

/// What knows, of a sequence of letters some of which are covered, how likely each letter is at each covered place.
///
/// The conditionals belong together when they are those of one distribution; then
/// [`order_nll`](crate::likelihood::order_nll) is its log-probability.
pub trait Conditionals {
    /// The number of places in a sequence.
    fn length(&self) -> usize;

    /// The number of letters.
    fn letters(&self) -> usize;

    /// `ln p(x_i | x_S)` of the sequence's own letter at each place `i`, where `known` says which places are in `S`; 0 at
    /// those. Where `x_S` itself cannot be, −∞ at all others.
    ///
    /// # Errors
    /// [`Error::Shape`] when a list has another length, [`Error::Parameter`] for a letter that is none.
    fn log_conditionals(&self, x: &[u32], known: &[bool]) -> Result<Vec<f64>>;
}

/// Letters each of which depends on the few before it: a Markov chain, whose probabilities are a table.
///
/// The state is the last `order` letters; that before the first letter is drawn from `start`, and is not seen.
///
/// # Example: a sequence of two letters that prefers to repeat itself
/// ```
/// use itd_prelude::prelude::*;
/// use itd_prelude::distribution::MarkovChain;
///
/// # fn main() -> Result<()> {
/// let chain = MarkovChain::new(3, &[0.5, 0.5], &[[0.9, 0.1], [0.1, 0.9]])?;
/// check!(close(chain.log_prob(&[0, 0, 1])?, (0.5 * 0.9 * 0.1f64).ln(), 1e-12));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct MarkovChain {
    length: usize,
    letters: usize,
    start: Vec<f64>,
    /// `[state · letters + letter]`.
    table: Vec<f64>,
}

impl MarkovChain {
    /// A chain of `length` letters. `table[s][a]` is the probability of letter `a` in state `s`, and `start[s]` that of
    /// the state before the first letter. There are `letters^order` states; the last letter counts least:
    /// after letter `a` state `s` becomes `(s · letters + a) mod states`.
    ///
    /// # Errors
    /// [`Error::Parameter`] unless the length is at least 1, the numbers are probabilities, and the states are a power of
    /// the letters; [`Error::Mismatch`] when `start` and the table have unlike numbers of states; [`Error::Memory`] when
    /// a sequence's probabilities do not fit.
    pub fn new(length: usize, start: &[f64], table: &[impl AsRef<[f64]>]) -> Result<Self> {
        let letters = table.first().map_or(0, |row| row.as_ref().len());
        let refuse = |name, got: String, need| Err(Error::Parameter { name, got, need });
        if length == 0 {
            return refuse("length", "0".into(), "at least 1");
        }
        if letters < 2 {
            return refuse("the number of letters", letters.to_string(), "at least 2");
        }
        if start.len() != table.len() {
            return Err(Error::Mismatch {
                what: "the start and the table",
                left: format!("{} states", start.len()),
                right: format!("{} states", table.len()),
                next: "give both for each state: the last letters, as a number",
            });
        }
        let mut states = 1usize;
        while states < start.len() {
            states = states.saturating_mul(letters);
        }
        if states != start.len() || states < letters {
            let got = format!("{} with {letters} letters", start.len());
            return refuse(
                "the number of states",
                got,
                "letters, letters², letters³, …",
            );
        }
        let rows = std::iter::once(start).chain(table.iter().map(AsRef::as_ref));
        for (i, row) in rows.enumerate() {
            let need = if i == 0 { states } else { letters };
            let sum: f64 = row.iter().sum();
            let fine = row.iter().all(|p| (0.0..=1.0).contains(p)) && (sum - 1.0).abs() < 1e-9;
            if row.len() != need || !fine {
                let got = format!("{} numbers with the sum {sum}", row.len());
                return refuse(
                    "a row of probabilities",
                    got,
                    "one from 0 to 1 for each letter (state), with the sum 1",
                );
            }
        }
        room_for::<f64>("the probabilities of a sequence", &[length, states])?;
        Ok(Self {
            length,
            letters,
            start: start.to_vec(),
            table: table.iter().flat_map(|row| row.as_ref().to_vec()).collect(),
        })
    }

    /// A chain with a table that is drawn by chance, with all letters equally likely in the mean, and that starts in each
    /// state alike. Small `even` make rows that prefer few letters.
    ///
    /// # Errors
    /// [`Error::Parameter`] unless `even` is finite and > 0; else as [`Self::new`]; [`Error::Memory`] when the table does
    /// not fit.
    pub fn random(
        (length, letters, order): (usize, usize, u32),
        even: f64,
        rng: &mut impl RngCore,
    ) -> Result<Self> {
        if !(even > 0.0 && even.is_finite()) {
            return Err(Error::Parameter {
                name: "even",
                got: even.to_string(),
                need: "finite and > 0",
            });
        }
        let states = letters.saturating_pow(order.max(1));
        room_for::<f64>("the table of the chain", &[states, letters])?;
        let mut row = || -> Vec<f64> {
            // Exponentials to a power, the largest of them 1: a flat row for a large `even`.
            let draw = |_| (-(-rng.random::<f64>()).ln_1p()).ln() / even;
            let logs: Vec<f64> = (0..letters).map(draw).collect();
            let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let part = |log: &f64| (log - largest).exp() + 1e-12;
            let parts: Vec<f64> = logs.iter().map(part).collect();
            let sum: f64 = parts.iter().sum();
            parts.iter().map(|part| part / sum).collect()
        };
        let table: Vec<Vec<f64>> = (0..states).map(|_| row()).collect();
        Self::new(length, &vec![1.0 / states as f64; states], &table)
    }

    fn states(&self) -> usize {
        self.start.len()
    }

    fn next(&self, state: usize, letter: usize) -> usize {
        (state * self.letters + letter) % self.states()
    }

    /// `ln p(x)` in nats; −∞ of what cannot be.
    ///
    /// # Errors
    /// As [`Conditionals::log_conditionals`].
    pub fn log_prob(&self, x: &[u32]) -> Result<f64> {
        self.log_marginal(x, &vec![true; self.length])
    }

    /// `ln p(x_S)` of the known letters alone, in nats.
    ///
    /// # Errors
    /// As [`Conditionals::log_conditionals`].
    pub fn log_marginal(&self, x: &[u32], known: &[bool]) -> Result<f64> {
        self.check(x, known)?;
        Ok(self.forward(x, known).1)
    }

    /// Draws a sequence.
    pub fn sample(&self, rng: &mut (impl RngCore + ?Sized)) -> Vec<u32> {
        let mut pick = |row: &[f64]| {
            let mut share = rng.random::<f64>();
            let found = row.iter().position(|p| {
                share -= p;
                share < 0.0
            });
            // Rounding may leave a little of the share.
            found.unwrap_or_else(|| row.iter().rposition(|p| *p > 0.0).unwrap_or(0))
        };
        let mut state = pick(&self.start);
        (0..self.length)
            .map(|_| {
                let at = state * self.letters;
                let letter = pick(&self.table[at..at + self.letters]);
                state = self.next(state, letter);
                letter as u32
            })
            .collect()
    }

    fn check(&self, x: &[u32], known: &[bool]) -> Result<()> {
        for (what, len) in [("the sequence", x.len()), ("the known places", known.len())] {
            if len != self.length {
                return Err(Error::Shape {
                    what,
                    got: vec![len],
                    need: format!("[{}], the length of the chain", self.length),
                });
            }
        }
        match x.iter().find(|&&letter| letter as usize >= self.letters) {
            None => Ok(()),
            Some(letter) => Err(Error::Parameter {
                name: "a letter",
                got: letter.to_string(),
                need: "below the number of letters; they count from 0",
            }),
        }
    }

    /// The probability of each state before each place, given what is known before it, and `ln p` of all that is known.
    fn forward(&self, x: &[u32], known: &[bool]) -> (Vec<Vec<f64>>, f64) {
        let mut log = 0.0;
        let mut all = vec![self.start.clone()];
        for (&letter, &known) in std::iter::zip(x, known) {
            let before = &all[all.len() - 1];
            let mut after = vec![0.0; self.states()];
            for (state, p) in before.iter().enumerate() {
                for a in 0..self.letters {
                    if !known || a == letter as usize {
                        after[self.next(state, a)] += p * self.table[state * self.letters + a];
                    }
                }
            }
            let sum: f64 = after.iter().sum();
            log += sum.ln();
            // What cannot be stays at 0.
            if sum > 0.0 {
                after.iter_mut().for_each(|p| *p /= sum);
            }
            all.push(after);
        }
        (all, log)
    }
}

impl Conditionals for MarkovChain {
    fn length(&self) -> usize {
        self.length
    }

    fn letters(&self) -> usize {
        self.letters
    }

    fn log_conditionals(&self, x: &[u32], known: &[bool]) -> Result<Vec<f64>> {
        self.check(x, known)?;
        let (forward, log) = self.forward(x, known);
        if log == f64::NEG_INFINITY {
            let of = |&known: &bool| if known { 0.0 } else { f64::NEG_INFINITY };
            return Ok(known.iter().map(of).collect());
        }
        let mut found = vec![0.0; self.length];
        // How likely what is known from here on is, up to a factor, in each state.
        let mut after = vec![1.0; self.states()];
        for place in (0..self.length).rev() {
            let mut each = vec![0.0; self.letters];
            let mut before = vec![0.0; self.states()];
            for (state, p) in forward[place].iter().enumerate() {
                for (a, each) in each.iter_mut().enumerate() {
                    let way = self.table[state * self.letters + a] * after[self.next(state, a)];
                    *each += p * way;
                    if !known[place] || a == x[place] as usize {
                        before[state] += way;
                    }
                }
            }
            if !known[place] {
                found[place] = (each[x[place] as usize] / each.iter().sum::<f64>()).ln();
            }
            let sum: f64 = before.iter().sum();
            before.iter_mut().for_each(|p| *p /= sum);
            after = before;
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng;

    #[test]
    fn small_numbers_make_rows_that_prefer_a_letter() {
        for even in [1e-3, 0.01, 0.1] {
            let rng = &mut rng::seeded(0);
            let chain = MarkovChain::random((8, 4, 4), even, rng).unwrap();
            let rows = chain.table.chunks(4);
            let largest = rows.map(|row| row.iter().copied().fold(0.0, f64::max));
            let all: Vec<f64> = largest.collect();
            let mean = crate::stats::mean(&all);
            assert!(mean > 0.8, "{even}: {mean}");
        }
        let chain = MarkovChain::random((8, 4, 1), 1e3, &mut rng::seeded(0)).unwrap();
        assert!(chain.table.iter().all(|p| (p - 0.25).abs() < 0.01));
    }

    /// The marginal of a few letters by the sum over all others.
    fn slow(chain: &MarkovChain, x: &[u32], known: &[bool]) -> f64 {
        let letters = chain.letters as u32;
        let all = (letters as usize).pow(chain.length as u32);
        let sequence = |mut code: usize| -> Vec<u32> {
            (0..chain.length)
                .map(|_| {
                    let letter = code as u32 % letters;
                    code /= letters as usize;
                    letter
                })
                .collect()
        };
        let fits = |other: &[u32]| (0..x.len()).all(|i| !known[i] || other[i] == x[i]);
        (0..all)
            .map(sequence)
            .filter(|other| fits(other))
            .map(|other| chain.log_prob(&other).unwrap().exp())
            .sum()
    }

    #[test]
    fn conditionals_are_ratios_of_sums_over_the_table() {
        for order in [1, 2] {
            let mut rng = rng::seeded(u64::from(order));
            let chain = MarkovChain::random((5, 3, order), 0.7, &mut rng).unwrap();
            assert!((slow(&chain, &[0; 5], &[false; 5]) - 1.0).abs() < 1e-12);
            let x = chain.sample(&mut rng);
            for code in 0..32u32 {
                let known: Vec<bool> = (0..5).map(|i| code >> i & 1 == 1).collect();
                let given = slow(&chain, &x, &known);
                assert!((chain.log_marginal(&x, &known).unwrap() - given.ln()).abs() < 1e-12);
                let found = chain.log_conditionals(&x, &known).unwrap();
                for i in 0..5 {
                    let mut more = known.clone();
                    more[i] = true;
                    let should = (slow(&chain, &x, &more) / given).ln();
                    assert!((found[i] - should).abs() < 1e-11, "{found:?} {should}");
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_has_the_probability_0() {
        let stays = MarkovChain::new(4, &[0.5, 0.5], &[[1.0, 0.0], [0.0, 1.0]]).unwrap();
        let (cannot, can) = ([0, 1, 1, 0], [1, 1, 1, 1]);
        assert_eq!(stays.log_prob(&cannot).unwrap(), f64::NEG_INFINITY);
        assert_eq!(stays.log_prob(&can).unwrap(), 0.5f64.ln());
        let first = |n: usize| [n > 0, n > 1, n > 2, n > 3];
        // One letter tells all others; two that contradict each other leave nothing.
        let of = |n| stays.log_conditionals(&cannot, &first(n)).unwrap();
        let none = f64::NEG_INFINITY;
        assert_eq!(of(1), [0.0, none, none, 0.0]);
        assert_eq!(of(2), [0.0, 0.0, none, none]);
        assert_eq!(stays.log_conditionals(&can, &first(1)).unwrap(), [0.0; 4]);
    }

    #[test]
    fn what_is_no_chain_is_refused() {
        let fine = [[0.9, 0.1], [0.1, 0.9]];
        assert!(MarkovChain::new(3, &[0.5, 0.5], &fine).is_ok());
        assert!(MarkovChain::new(0, &[0.5, 0.5], &fine).is_err());
        assert!(MarkovChain::new(3, &[0.5, 0.6], &fine).is_err());
        assert!(MarkovChain::new(3, &[1.0], &fine).is_err());
        assert!(MarkovChain::new(3, &[0.5, 0.5], &[[f64::NAN, 0.1], [0.1, 0.9]]).is_err());
        assert!(MarkovChain::new(3, &[0.4, 0.3, 0.3], &[[0.5, 0.5]; 3]).is_err());
        let none: [[f64; 2]; 0] = [];
        assert!(MarkovChain::new(3, &[], &none).is_err());
        let chain = MarkovChain::new(3, &[0.5, 0.5], &fine).unwrap();
        assert!(chain.log_prob(&[0, 1]).is_err() && chain.log_prob(&[0, 1, 2]).is_err());
        assert!(chain.log_conditionals(&[0, 1, 1], &[true]).is_err());
        assert!(MarkovChain::random((3, 2, 1), f64::NAN, &mut rng::seeded(0)).is_err());
        assert!(MarkovChain::new(usize::MAX, &[0.5, 0.5], &fine).is_err());
    }
}
