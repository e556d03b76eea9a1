//! Randomness from a seed, by purpose.
//!
//! Everything random takes a seed and draws from a [`stream`] that is named for its purpose, so that two of them
//! with equal seeds never get equal numbers. A generator of one's own is [`seeded`]. What is measured draws its noise
//! by address, from a [`Key`].
//!
//! candle cannot seed its own CPU generator, so every random tensor comes from here and is made on the CPU; whoever
//! needs it elsewhere moves it.

use std::fmt;

use candle_core::{Device, Tensor};
use data_encoding::HEXLOWER;
use rand::seq::SliceRandom;
use rand::{Rng as _, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use sha2::{Digest, Sha256};

use crate::error::{Error, Interrupted, Result};

/// The generator behind every random number: ChaCha with 8 rounds, the same on every machine.
pub type Rng = ChaCha8Rng;

/// A generator of one's own. It gives the same numbers for the same seed, and others than any [`stream`].
///
/// # Example: equal seeds, equal noise
/// ```
/// # use itd_kernels as itd_prelude;
/// use itd_prelude::rng;
///
/// let a = rng::normal(&[2, 3], &mut rng::seeded(7))?.to_vec2::<f32>()?;
/// let b = rng::normal(&[2, 3], &mut rng::seeded(7))?.to_vec2::<f32>()?;
/// assert_eq!(a, b);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn seeded(seed: u64) -> Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// The generator for one purpose.
///
/// # Numerics
/// Its key is the SHA-256 of seed and purpose.
///
/// # Example: equal seeds, another purpose, other numbers
/// ```
/// # use itd_kernels as itd_prelude;
/// use itd_prelude::{rand::Rng as _, rng};
///
/// assert_ne!(rng::stream(0, "split").random::<u64>(), rng::stream(0, "noise").random::<u64>());
/// assert_ne!(rng::stream(0, "split").random::<u64>(), rng::seeded(0).random::<u64>());
/// ```
pub fn stream(seed: u64, purpose: &str) -> Rng {
    ChaCha8Rng::from_seed(Key::new(seed, purpose).0)
}

/// Where a generator is, as text: 64 hexadecimal digits of its key, its stream, and the numbers of 32 bits that
/// were drawn.
///
/// # Example: go on from where another one is
/// ```
/// # use itd_kernels as itd_prelude;
/// use itd_prelude::{rand::Rng as _, rng};
///
/// let mut one = rng::seeded(0);
/// let _: f64 = one.random();
/// let mut other = rng::from_state(&rng::state(&one)).expect("the state of a generator");
/// assert_eq!(one.random::<u64>(), other.random::<u64>());
/// ```
pub fn state(rng: &Rng) -> String {
    let key = HEXLOWER.encode(&rng.get_seed());
    let (stream, word) = (rng.get_stream(), rng.get_word_pos());
    format!("{key} {stream} {word}")
}

/// The generator in a [`state`]; nothing if the text is none.
pub fn from_state(state: &str) -> Option<Rng> {
    let mut parts = state.split(' ');
    let (key, stream, word) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let bytes = HEXLOWER.decode(key.as_bytes()).ok()?;
    let mut rng = ChaCha8Rng::from_seed(bytes.try_into().ok()?);
    rng.set_stream(stream.parse().ok()?);
    rng.set_word_pos(word.parse().ok()?);
    Some(rng)
}

/// Independent standard normal numbers, `f32` on the CPU.
///
/// # Errors
/// [`Error::Memory`] when they do not fit, [`Error::Interrupted`] when the user stops it.
pub fn normal<R: RngCore + ?Sized>(shape: &[usize], rng: &mut R) -> Result<Tensor> {
    tensor(shape, || rng.sample(StandardNormal))
}

/// Independent numbers uniform on `[0, 1)`, `f32` on the CPU.
///
/// # Errors
/// [`Error::Memory`] when they do not fit, [`Error::Interrupted`] when the user stops it.
pub fn uniform<R: RngCore + ?Sized>(shape: &[usize], rng: &mut R) -> Result<Tensor> {
    tensor(shape, || rng.random())
}

/// The numbers `0..n` in random order.
pub fn permutation<R: RngCore + ?Sized>(n: usize, rng: &mut R) -> Vec<u32> {
    let mut order: Vec<u32> = (0..n as u32).collect();
    order.shuffle(rng);
    order
}

/// Numbers between two looks at the interrupt: some milliseconds.
const AT_ONCE: usize = 1 << 20;

fn tensor(shape: &[usize], mut draw: impl FnMut() -> f32) -> Result<Tensor> {
    let count = itd_cell::memory::room_for::<f32>("the random numbers", shape)?;
    let mut values = Vec::with_capacity(count);
    while values.len() < count {
        let next = AT_ONCE.min(count - values.len());
        values.extend((0..next).map(|_| draw()));
        if values.len() < count && itd_cell::interrupted() {
            let stopped = Interrupted::new("random numbers", values.len() as u64, count as u64);
            return Err(Error::Interrupted(stopped));
        }
    }
    Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
}

/// What a family of streams is made from: each address has a stream of its own, the same in whatever order, by
/// whatever process it is asked for.
///
/// # Example: two processes that share a key need not share a generator
/// ```
/// # use itd_kernels as itd_prelude;
/// use itd_prelude::rand::Rng as _;
/// use itd_prelude::rng::Key;
///
/// let key = Key::new(0, "noise");
/// let first: f64 = key.at(3, 1).random();
/// let _: f64 = key.at(2, 7).random();
/// assert_eq!(key.at(3, 1).random::<f64>(), first);
/// assert_ne!(key.at(3, 2).random::<f64>(), first);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key([u8; 32]);

/// Words of 32 bits from one page to the next: pages of 2³² blocks of 16 words.
const PAGE: u32 = 36;

impl Key {
    /// The key of a seed and a purpose.
    pub fn new(seed: u64, purpose: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(seed.to_le_bytes());
        hash.update(purpose);
        Self(hash.finalize().into())
    }

    /// The generator of one address. Pages of a stream overlap only after 2³⁶ numbers of 32 bits.
    ///
    /// # Numerics
    /// ChaCha with 8 rounds, `stream` in place of the nonce and the block counter at `page`·2³²: finding an
    /// address costs no more than drawing the first 64 numbers.
    pub fn at(&self, stream: u64, page: u32) -> Rng {
        let mut rng = ChaCha8Rng::from_seed(self.0);
        rng.set_stream(stream);
        rng.set_word_pos(u128::from(page) << PAGE);
        rng
    }
}

/// 64 hexadecimal digits.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    #[test]
    fn a_seed_fixes_the_numbers() {
        let draw = normal(&[3], &mut seeded(0)).unwrap();
        let seen = draw.to_vec1::<f32>().unwrap();
        for (x, known) in seen.iter().zip([0.699_960_77, -0.144_061_64, 0.302_886_28]) {
            assert!((x - known).abs() < 1e-6, "value-breaking: {seen:?}");
        }
        assert_eq!(permutation(6, &mut seeded(0)), [2, 0, 4, 1, 3, 5]);
        assert_eq!(
            stream(0, "noise").next_u64(),
            5_272_244_139_391_089_173,
            "value-breaking"
        );
    }

    #[test]
    fn equal_seeds_give_each_purpose_numbers_of_its_own() {
        let purposes = ["", "dequantize", "split", "weights", "noise", "noise "];
        let mut seen = std::collections::BTreeSet::new();
        for seed in [0, 1, u64::MAX] {
            let own = (0..200).map({
                let mut rng = seeded(seed);
                move |_| rng.next_u64()
            });
            own.for_each(|word| assert!(seen.insert(word)));
            for purpose in purposes {
                let mut rng = stream(seed, purpose);
                (0..200).for_each(|_| assert!(seen.insert(rng.next_u64()), "{seed}, {purpose}"));
            }
        }
    }

    #[test]
    fn a_generator_goes_on_from_its_state() {
        let mut rng = seeded(3);
        for draws in [0, 1, 2, 63, 64, 65, 1000] {
            // Normal numbers take one or more of 64 bits each, uniform ones one of 32.
            normal(&[draws], &mut rng).unwrap();
            uniform(&[draws % 7], &mut rng).unwrap();
            let mut other = from_state(&state(&rng)).unwrap();
            assert_eq!(other, rng);
            assert_eq!(other.next_u32(), rng.next_u32());
            assert_eq!(permutation(50, &mut other), permutation(50, &mut rng));
        }
        let text = state(&rng);
        for bad in [
            "",
            "00 0 0",
            &text[1..],
            &format!("{text} 1"),
            &text.replace(' ', "x"),
        ] {
            assert!(from_state(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_before_it_is_asked_for() {
        for shape in [&[1 << 40][..], &[usize::MAX, 2], &[1 << 20, 1 << 20]] {
            let error = normal(shape, &mut seeded(0)).unwrap_err();
            assert!(matches!(error, Error::Memory { .. }), "{error}");
        }
    }

    #[test]
    fn noise_has_the_moments_it_should() {
        let x = normal(&[100_000], &mut seeded(1)).unwrap();
        let x = x.to_vec1::<f32>().unwrap();
        let n = x.len() as f64;
        let moment = |k: i32| x.iter().map(|&x| f64::from(x).powi(k)).sum::<f64>() / n;
        // Standard errors of the first, second and fourth moment: √(1/n), √(2/n), √(96/n).
        assert!(moment(1).abs() < 4.0 * (1.0 / n).sqrt());
        assert!((moment(2) - 1.0).abs() < 4.0 * (2.0 / n).sqrt());
        assert!((moment(4) - 3.0).abs() < 4.0 * (96.0 / n).sqrt());
    }

    #[test]
    fn addresses_have_streams_of_their_own() {
        let key = Key::new(0, "noise");
        let mut seen = std::collections::BTreeSet::new();
        for stream in [0, 1, 2, 1 << 32, u64::MAX] {
            for page in [0, 1, 2, u32::MAX] {
                let mut rng = key.at(stream, page);
                for _ in 0..200 {
                    assert!(seen.insert(rng.next_u64()), "{stream}, {page}");
                }
            }
        }
        assert_ne!(key, Key::new(1, "noise"));
        assert_ne!(key, Key::new(0, "other"));
        assert_eq!(key.to_string().len(), 64);
    }

    #[test]
    fn the_first_page_is_chacha_as_published() {
        // The twin: the same stream, walked from its start.
        let key = Key::new(5, "noise");
        let mut walked = ChaCha8Rng::from_seed(key.0);
        walked.set_stream(9);
        let mut rng = key.at(9, 0);
        for _ in 0..1000 {
            assert_eq!(rng.next_u32(), walked.next_u32());
        }
    }

    #[test]
    fn neighbours_are_independent_and_normal() {
        let key = Key::new(1, "noise");
        let n = 20_000;
        let at = |i: u64, page| -> f64 { key.at(i, page).sample(StandardNormal) };
        let moment = |f: &dyn Fn(u64) -> f64| (0..n).map(f).sum::<f64>() / n as f64;
        let error = 4.0 / (n as f64).sqrt();
        assert!(moment(&|i| at(i, 0)).abs() < error);
        assert!((moment(&|i| at(i, 0).powi(2)) - 1.0).abs() < 2f64.sqrt() * error);
        assert!(moment(&|i| at(i, 0) * at(i + 1, 0)).abs() < error);
        assert!(moment(&|i| at(i, 0) * at(i, 1)).abs() < error);
    }
}
