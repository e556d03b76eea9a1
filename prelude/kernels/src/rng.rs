//! Randomness as an argument: one generator, made from a seed, and tensors drawn from it.
//!
//! candle cannot seed its own CPU generator, so every random tensor of this crate comes from here and is
//! made on the CPU; whoever needs it elsewhere moves it.

mod key;

use candle_core::{Device, Tensor};
use data_encoding::HEXLOWER;
use nalgebra::{Cholesky, DMatrix};
use rand::seq::SliceRandom;
use rand::{Rng as _, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use crate::error::{Error, Result};

pub use key::Key;

/// The generator behind every random number: ChaCha with 8 rounds, the same on every machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rng(ChaCha8Rng);

impl RngCore for Rng {
    fn next_u32(&mut self) -> u32 {
        self.0.next_u32()
    }
    fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }
    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }
}

/// A generator that gives the same numbers for the same seed.
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
    Rng(ChaCha8Rng::seed_from_u64(seed))
}

impl Rng {
    /// Where the generator is, as text: 64 hexadecimal digits of its key, its stream, and the numbers of 32 bits
    /// that were drawn.
    ///
    /// # Example: go on from where another one is
    /// ```
    /// # use itd_kernels as itd_prelude;
    /// use itd_prelude::rand::Rng as _;
    /// use itd_prelude::rng;
    ///
    /// let mut one = rng::seeded(0);
    /// let _: f64 = one.random();
    /// let mut other = rng::Rng::at(&one.place()).expect("the place of a generator");
    /// assert_eq!(one.random::<u64>(), other.random::<u64>());
    /// ```
    pub fn place(&self) -> String {
        let key = HEXLOWER.encode(&self.0.get_seed());
        let (stream, word) = (self.0.get_stream(), self.0.get_word_pos());
        format!("{} {stream} {word}", key)
    }

    /// The generator at a [place](Self::place); nothing if the text is none.
    pub fn at(place: &str) -> Option<Self> {
        let mut parts = place.split(' ');
        let (key, stream, word) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let bytes = HEXLOWER.decode(key.as_bytes()).ok()?;
        let seed = bytes.try_into().ok()?;
        let mut rng = ChaCha8Rng::from_seed(seed);
        rng.set_stream(stream.parse().ok()?);
        rng.set_word_pos(word.parse().ok()?);
        Some(Self(rng))
    }
}

/// Independent standard normal numbers, `f32` on the CPU.
pub fn normal(shape: &[usize], rng: &mut Rng) -> Result<Tensor> {
    tensor(shape, || rng.sample(StandardNormal))
}

/// Independent numbers uniform on `[0, 1)`, `f32` on the CPU.
pub fn uniform(shape: &[usize], rng: &mut Rng) -> Result<Tensor> {
    tensor(shape, || rng.random())
}

/// Normal noise `[draws, dim]` with the second moments that it should have on average: `EᵀE = draws · I`.
///
/// Used with both signs, such noise gives the mean of every quadratic function exactly, and that of a
/// squared error, which is nearly one, with far fewer draws. With fewer draws than dimensions only the
/// trace can be right, and is.
///
/// # Example: four noises suffice for a quadratic function
/// ```
/// # use itd_kernels as itd_prelude;
/// use itd_prelude::rng;
///
/// let eps = rng::balanced(4, 2, &mut rng::seeded(0))?;
/// let second = (eps.t()?.matmul(&eps)? / 4.0)?.to_vec2::<f32>()?;
/// assert!((second[0][0] - 1.0).abs() < 1e-5 && second[0][1].abs() < 1e-5);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
///
/// # Errors
/// [`Error::Empty`] when there is nothing to draw.
pub fn balanced(draws: usize, dim: usize, rng: &mut Rng) -> Result<Tensor> {
    if draws == 0 || dim == 0 {
        return Err(Error::Empty {
            what: "the list of noises",
        });
    }
    let noise = DMatrix::from_fn(draws, dim, |_, _| rng.sample::<f64, _>(StandardNormal));
    let root = match draws >= dim {
        true => Cholesky::new(noise.tr_mul(&noise) / draws as f64),
        false => None,
    };
    let balanced = match root {
        // With C = L·Lᵀ the rows times L⁻ᵀ have second moment I.
        Some(root) => root.l().solve_lower_triangular(&noise.transpose()),
        None => None,
    };
    let balanced = match balanced {
        Some(columns) => columns.transpose(),
        None => &noise * ((draws * dim) as f64 / noise.norm_squared()).sqrt(),
    };
    let rows = balanced
        .row_iter()
        .flat_map(|row| row.iter().map(|&v| v as f32).collect::<Vec<_>>());
    Ok(Tensor::from_vec(
        rows.collect(),
        (draws, dim),
        &Device::Cpu,
    )?)
}

/// The numbers `0..n` in random order.
pub fn permutation(n: usize, rng: &mut Rng) -> Vec<u32> {
    let mut order: Vec<u32> = (0..n as u32).collect();
    order.shuffle(rng);
    order
}

fn tensor(shape: &[usize], mut draw: impl FnMut() -> f32) -> Result<Tensor> {
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| draw()).collect();
    Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_fixes_the_numbers() {
        let draw = normal(&[3], &mut seeded(0)).unwrap();
        let seen = draw.to_vec1::<f32>().unwrap();
        for (x, known) in seen.iter().zip([0.699_960_77, -0.144_061_64, 0.302_886_28]) {
            assert!((x - known).abs() < 1e-6, "value-breaking: {seen:?}");
        }
        assert_eq!(permutation(6, &mut seeded(0)), [2, 0, 4, 1, 3, 5]);
    }

    #[test]
    fn a_generator_goes_on_from_its_place() {
        let mut rng = seeded(3);
        for draws in [0, 1, 2, 63, 64, 65, 1000] {
            // Normal numbers take one or more of 64 bits each, uniform ones one of 32.
            normal(&[draws], &mut rng).unwrap();
            uniform(&[draws % 7], &mut rng).unwrap();
            let mut other = Rng::at(&rng.place()).unwrap();
            assert_eq!(other, rng);
            assert_eq!(other.next_u32(), rng.next_u32());
            assert_eq!(permutation(50, &mut other), permutation(50, &mut rng));
        }
        let place = rng.place();
        for bad in [
            "",
            "00 0 0",
            &place[1..],
            &format!("{place} 1"),
            &place.replace(' ', "x"),
        ] {
            assert!(Rng::at(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn balanced_noise_has_its_second_moments_exactly() {
        for (draws, dim) in [(2, 2), (7, 3), (3, 8)] {
            let eps = balanced(draws, dim, &mut seeded(3)).unwrap();
            let second = (eps.t().unwrap().matmul(&eps).unwrap() / draws as f64).unwrap();
            let second = second.to_vec2::<f32>().unwrap();
            let trace: f32 = (0..dim).map(|i| second[i][i]).sum();
            assert!((trace - dim as f32).abs() < 1e-4);
            if draws >= dim {
                assert!((second[1][1] - 1.0).abs() < 1e-4 && second[1][0].abs() < 1e-4);
            }
        }
        assert!(balanced(0, 2, &mut seeded(0)).is_err());
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
}
