//! Noise with an address.

use data_encoding::HEXLOWER;
use std::fmt;

use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::Rng;

/// What a family of streams of numbers is made from: each address has a stream of its own, the same in whatever
/// order, by whatever process it is asked for.
///
/// # Example: two processes that share a key need not share a generator
/// ```
/// # use itd_kernels as itd_prelude;
/// use itd_prelude::rand::Rng as _;
/// use itd_prelude::rng::{self, Key};
///
/// let key = Key::draw(&mut rng::seeded(0));
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
    /// A key of its own for each state of the generator.
    pub fn draw(rng: &mut Rng) -> Self {
        let mut key = [0; 32];
        rng.fill_bytes(&mut key);
        Self(key)
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
        Rng(rng)
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
    use rand::Rng as _;
    use rand_distr::StandardNormal;

    use super::*;
    use crate::rng::seeded;

    #[test]
    fn addresses_have_streams_of_their_own() {
        let key = Key::draw(&mut seeded(0));
        let mut seen = std::collections::BTreeSet::new();
        for stream in [0, 1, 2, 1 << 32, u64::MAX] {
            for page in [0, 1, 2, u32::MAX] {
                let mut rng = key.at(stream, page);
                for _ in 0..200 {
                    assert!(seen.insert(rng.next_u64()), "{stream}, {page}");
                }
            }
        }
        assert_ne!(key, Key::draw(&mut seeded(1)));
        assert_eq!(key, Key::draw(&mut seeded(0)));
        assert_eq!(key.to_string().len(), 64);
    }

    #[test]
    fn the_first_page_is_chacha_as_published() {
        // The twin: the same stream, walked from its start.
        let key = Key::draw(&mut seeded(5));
        let mut walked = ChaCha8Rng::from_seed(key.0);
        walked.set_stream(9);
        let mut rng = key.at(9, 0);
        for _ in 0..1000 {
            assert_eq!(rng.next_u32(), walked.next_u32());
        }
    }

    #[test]
    fn neighbours_are_independent_and_normal() {
        let key = Key::draw(&mut seeded(1));
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
