//! numpy's generator before 2019, as far as published splits were drawn with it.

use crate::cell::memory::room_for;
use crate::error::{Error, Result};

const N: usize = 624;
const M: usize = 397;

/// The Mersenne Twister MT19937 as `numpy.random.RandomState(seed)` runs it.
///
/// It is here to draw published splits again, to the entry. For anything new take [`rng::stream`](crate::rng::stream).
///
/// # Source
/// M. Matsumoto, T. Nishimura (1998), doi:10.1145/272991.272995, with `init_genrand` of 2002; numpy, `RandomState`.
///
/// # Example: what numpy gives
/// ```
/// use itd_prelude::recommender::Mt19937;
///
/// // numpy.random.RandomState(123).choice(10, 10, replace=False)
/// let drawn = Mt19937::new(123).choose(10, 10)?;
/// assert_eq!(drawn, [4, 0, 7, 5, 8, 3, 1, 6, 9, 2]);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Mt19937 {
    state: [u32; N],
    next: usize,
}

impl Mt19937 {
    /// The generator of a seed.
    pub fn new(seed: u32) -> Self {
        let mut state = [0; N];
        state[0] = seed;
        for i in 1..N {
            let before: u32 = state[i - 1];
            state[i] = 1_812_433_253u32
                .wrapping_mul(before ^ (before >> 30))
                .wrapping_add(i as u32);
        }
        Self { state, next: N }
    }

    /// The next 32 bits.
    pub fn next_u32(&mut self) -> u32 {
        if self.next == N {
            for i in 0..N {
                let y = (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % N] & 0x7fff_ffff);
                let odd = if y & 1 == 1 { 0x9908_b0df } else { 0 };
                self.state[i] = self.state[(i + M) % N] ^ (y >> 1) ^ odd;
            }
            self.next = 0;
        }
        let mut y = self.state[self.next];
        self.next += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    /// A whole number from 0 to `most`, both among them: numbers that are too large are drawn again.
    fn up_to(&mut self, most: u32) -> u32 {
        if most == 0 {
            return 0;
        }
        let mask = u32::MAX >> most.leading_zeros();
        loop {
            let drawn = self.next_u32() & mask;
            if drawn <= most {
                return drawn;
            }
        }
    }

    /// `choice(n, size, replace=False)`: the beginning of a random order of `0..n`.
    ///
    /// # Errors
    /// [`Error::Parameter`] for more than there are, or for `n` of 2³² and more; [`Error::Memory`] when the order does not fit.
    pub fn choose(&mut self, n: usize, size: usize) -> Result<Vec<u32>> {
        let fits = u32::try_from(n).ok().filter(|_| size <= n);
        let Some(count) = fits else {
            return Err(Error::Parameter {
                name: "size",
                got: format!("{size} of {n}"),
                need: "as many as there are at most, and there may be 2³² − 1",
            });
        };
        room_for::<u32>("the order", &[n])?;
        let mut order: Vec<u32> = (0..count).collect();
        for i in (1..count).rev() {
            let j = self.up_to(i);
            order.swap(i as usize, j as usize);
        }
        order.truncate(size);
        Ok(order)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The standard's check: the 10,000th number of the default seed (C++, `std::mt19937`).
    #[test]
    fn the_published_numbers_come() {
        let mut twister = Mt19937::new(5489);
        assert_eq!(twister.next_u32(), 3_499_211_612);
        let last = (1..10_000).map(|_| twister.next_u32()).last();
        assert_eq!(last, Some(4_123_659_995));
    }

    #[test]
    fn what_cannot_be_chosen_is_refused() {
        let mut twister = Mt19937::new(1);
        assert!(twister.choose(3, 4).is_err());
        assert!(twister.choose(0, 0).unwrap().is_empty());
        assert_eq!(twister.choose(1, 1).unwrap(), [0]);
    }
}
