//! Two registers of AVX2.

use std::arch::x86_64::*;
use std::ops::{Add, Mul, Sub};

use super::{LANES, Lanes};

const HALF: usize = LANES / 2;

#[derive(Clone, Copy)]
pub(super) struct Pair(__m256, __m256);

macro_rules! each {
    ($($trait:ident $call:ident $pair:ident;)*) => {$(
        impl $trait for Pair {
            type Output = Self;

            #[inline(always)]
            fn $call(self, other: Self) -> Self {
                // SAFETY: only `widest` uses this type, where the processor has the instructions.
                unsafe { Self($pair(self.0, other.0), $pair(self.1, other.1)) }
            }
        }
    )*};
}

each! {
    Add add _mm256_add_ps;
    Sub sub _mm256_sub_ps;
    Mul mul _mm256_mul_ps;
}

impl Pair {
    #[inline(always)]
    fn numbers(self) -> [f32; LANES] {
        let mut numbers = [0.0; LANES];
        self.store(&mut numbers);
        numbers
    }
}

// SAFETY of what follows: only `widest` uses this type, where the processor has the instructions.
impl Lanes for Pair {
    #[inline(always)]
    fn all(value: f32) -> Self {
        // SAFETY: as said above.
        let half = unsafe { _mm256_set1_ps(value) };
        Self(half, half)
    }

    #[inline(always)]
    fn load(from: &[f32]) -> Self {
        // SAFETY: there are sixteen.
        unsafe { Self::read(from[..LANES].as_ptr()) }
    }

    #[inline(always)]
    fn store(self, to: &mut [f32]) {
        // SAFETY: there is room for sixteen.
        unsafe { self.write(to[..LANES].as_mut_ptr()) }
    }

    #[inline(always)]
    unsafe fn read(from: *const f32) -> Self {
        // SAFETY: as said above; that of the caller.
        unsafe { Self(_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(HALF))) }
    }

    #[inline(always)]
    unsafe fn write(self, to: *mut f32) {
        // SAFETY: as said above; that of the caller.
        unsafe {
            _mm256_storeu_ps(to, self.0);
            _mm256_storeu_ps(to.add(HALF), self.1);
        }
    }

    #[inline(always)]
    fn load_part(from: &[f32]) -> Self {
        if from.len() >= LANES {
            return Self::load(from);
        }
        let mut numbers = [0.0; LANES];
        numbers[..from.len()].copy_from_slice(from);
        Self::load(&numbers)
    }

    #[inline(always)]
    fn store_part(self, to: &mut [f32]) {
        if to.len() >= LANES {
            return self.store(to);
        }
        to.copy_from_slice(&self.numbers()[..to.len()]);
    }

    #[inline(always)]
    fn fma(self, factor: Self, more: Self) -> Self {
        // SAFETY: as said above.
        unsafe {
            Self(
                _mm256_fmadd_ps(self.0, factor.0, more.0),
                _mm256_fmadd_ps(self.1, factor.1, more.1),
            )
        }
    }

    #[inline(always)]
    fn at_most(self, bound: Self) -> Self {
        // SAFETY: as said above. Where one is NaN the second is the result.
        unsafe {
            Self(
                _mm256_min_ps(bound.0, self.0),
                _mm256_min_ps(bound.1, self.1),
            )
        }
    }

    #[inline(always)]
    fn at_least(self, bound: Self) -> Self {
        // SAFETY: as said above. Where one is NaN the second is the result.
        unsafe {
            Self(
                _mm256_max_ps(bound.0, self.0),
                _mm256_max_ps(bound.1, self.1),
            )
        }
    }

    #[inline(always)]
    fn scaled(self, powers: Self) -> Self {
        // SAFETY: as said above.
        unsafe {
            let power = |powers| {
                let biased = _mm256_add_epi32(_mm256_cvtps_epi32(powers), _mm256_set1_epi32(127));
                _mm256_castsi256_ps(_mm256_slli_epi32::<23>(biased))
            };
            self * Self(power(powers.0), power(powers.1))
        }
    }

    #[inline(always)]
    fn reciprocal(self) -> Self {
        // SAFETY: as said above.
        unsafe {
            let one = _mm256_set1_ps(1.0);
            Self(_mm256_div_ps(one, self.0), _mm256_div_ps(one, self.1))
        }
    }

    #[inline(always)]
    fn first(self, count: usize) -> Self {
        if count >= LANES {
            return self;
        }
        let mut numbers = self.numbers();
        numbers[count..].fill(0.0);
        Self::load(&numbers)
    }

    #[inline(always)]
    fn total(self) -> f32 {
        let mut numbers = self.numbers();
        for width in [8, 4, 2, 1] {
            for i in 0..width {
                numbers[i] += numbers[i + width];
            }
        }
        numbers[0]
    }

    #[inline(always)]
    fn largest(self) -> f32 {
        let larger = |a: f32, b: f32| if b > a { b } else { a };
        self.numbers().into_iter().fold(f32::NEG_INFINITY, larger)
    }

    #[inline(always)]
    fn seconds(low: Self, high: Self) -> Self {
        let (low, high) = (low.numbers(), high.numbers());
        let mut numbers = [0.0; LANES];
        for i in 0..HALF {
            (numbers[i], numbers[i + HALF]) = (low[2 * i], high[2 * i]);
        }
        Self::load(&numbers)
    }

    #[inline(always)]
    fn turned(rows: [Self; LANES]) -> [Self; LANES] {
        let mut columns = rows;
        let top = turned(std::array::from_fn(|i| rows[i].0));
        let right = turned(std::array::from_fn(|i| rows[i].1));
        let left = turned(std::array::from_fn(|i| rows[i + HALF].0));
        let last = turned(std::array::from_fn(|i| rows[i + HALF].1));
        for i in 0..HALF {
            columns[i] = Self(top[i], left[i]);
            columns[i + HALF] = Self(right[i], last[i]);
        }
        columns
    }
}

/// Eight rows of eight become columns.
#[inline(always)]
fn turned(r: [__m256; HALF]) -> [__m256; HALF] {
    // SAFETY: as said above.
    unsafe {
        let mut fours = r;
        for i in [0, 4] {
            let (low, high) = (
                _mm256_unpacklo_ps(r[i], r[i + 1]),
                _mm256_unpackhi_ps(r[i], r[i + 1]),
            );
            let (low_too, high_too) = (
                _mm256_unpacklo_ps(r[i + 2], r[i + 3]),
                _mm256_unpackhi_ps(r[i + 2], r[i + 3]),
            );
            fours[i] = _mm256_shuffle_ps::<0b01_00_01_00>(low, low_too);
            fours[i + 1] = _mm256_shuffle_ps::<0b11_10_11_10>(low, low_too);
            fours[i + 2] = _mm256_shuffle_ps::<0b01_00_01_00>(high, high_too);
            fours[i + 3] = _mm256_shuffle_ps::<0b11_10_11_10>(high, high_too);
        }
        let mut columns = fours;
        for i in 0..4 {
            columns[i] = _mm256_permute2f128_ps::<0x20>(fours[i], fours[i + 4]);
            columns[i + 4] = _mm256_permute2f128_ps::<0x31>(fours[i], fours[i + 4]);
        }
        columns
    }
}
