//! Sixteen numbers at once, in the widest instructions that the processor has.

#[cfg(target_arch = "x86_64")]
mod pair;

use std::ops::{Add, Mul, Sub};

/// Numbers in a [`Lanes`].
pub(super) const LANES: usize = 16;

/// Sixteen `f32`.
pub(super) trait Lanes:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self>
{
    fn all(value: f32) -> Self;
    /// Reads the first sixteen of `from`.
    fn load(from: &[f32]) -> Self;
    /// Writes the first sixteen of `to`.
    fn store(self, to: &mut [f32]);
    /// Reads sixteen.
    ///
    /// # Safety
    /// They must be there.
    unsafe fn read(from: *const f32) -> Self;
    /// Writes sixteen.
    ///
    /// # Safety
    /// There must be room for them.
    unsafe fn write(self, to: *mut f32);
    /// Reads at most the first sixteen of `from`, and zeros where it ends before.
    fn load_part(from: &[f32]) -> Self;
    /// Writes at most the first sixteen of `to`.
    fn store_part(self, to: &mut [f32]);
    /// `self · factor + more`.
    fn fma(self, factor: Self, more: Self) -> Self;
    /// The smaller numbers of the two; NaN of `self` stays.
    fn at_most(self, bound: Self) -> Self;
    /// The larger numbers of the two; NaN of `self` stays.
    fn at_least(self, bound: Self) -> Self;
    /// `self · 2^powers` for whole numbers from -126 to 127.
    fn scaled(self, powers: Self) -> Self;
    /// One over numbers from 10⁻³⁷ to 10³⁷, right to about 10⁻⁷.
    fn reciprocal(self) -> Self;
    /// The first `count`, and zeros.
    fn first(self, count: usize) -> Self;
    /// The sum of all sixteen.
    fn total(self) -> f32;
    /// The largest of all sixteen.
    fn largest(self) -> f32;
    /// Each second of thirty-two, from the first on.
    fn seconds(low: Self, high: Self) -> Self;
    /// Rows become columns.
    fn turned(rows: [Self; LANES]) -> [Self; LANES];
}

/// Something to do in vectors.
pub(super) trait Work {
    type Out;

    /// To be marked `#[inline(always)]`, like all that it calls with `L`: only so is it compiled for `L`.
    fn run<L: Lanes>(self) -> Self::Out;
}

/// Does `work` in the widest vectors that the processor has.
pub(super) fn widest<W: Work>(work: W) -> W::Out {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::is_x86_feature_detected;

        #[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")]
        fn of_512<W: Work>(work: W) -> W::Out {
            work.run::<wide::Wide>()
        }
        #[target_feature(enable = "avx2,fma")]
        fn of_256<W: Work>(work: W) -> W::Out {
            work.run::<pair::Pair>()
        }
        let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        let more = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl");
        if avx2 && more {
            // SAFETY: the processor has the instructions.
            return unsafe { of_512(work) };
        }
        if avx2 {
            // SAFETY: the processor has the instructions.
            return unsafe { of_256(work) };
        }
    }
    work.run::<Plain>()
}

/// Leaves the choice of instructions to the compiler.
#[derive(Clone, Copy)]
pub(super) struct Plain([f32; LANES]);

impl Lanes for Plain {
    #[inline(always)]
    fn all(value: f32) -> Self {
        Self([value; LANES])
    }

    #[inline(always)]
    fn load(from: &[f32]) -> Self {
        let mut lanes = [0.0; LANES];
        lanes.copy_from_slice(&from[..LANES]);
        Self(lanes)
    }

    #[inline(always)]
    fn store(self, to: &mut [f32]) {
        to[..LANES].copy_from_slice(&self.0);
    }

    #[inline(always)]
    unsafe fn read(from: *const f32) -> Self {
        // SAFETY: that of the caller.
        Self(unsafe { from.cast::<[f32; LANES]>().read() })
    }

    #[inline(always)]
    unsafe fn write(self, to: *mut f32) {
        // SAFETY: that of the caller.
        unsafe { to.cast::<[f32; LANES]>().write(self.0) }
    }

    #[inline(always)]
    fn load_part(from: &[f32]) -> Self {
        if from.len() >= LANES {
            return Self::load(from);
        }
        let mut lanes = [0.0; LANES];
        lanes
            .iter_mut()
            .zip(from)
            .for_each(|(to, from)| *to = *from);
        Self(lanes)
    }

    #[inline(always)]
    fn store_part(self, to: &mut [f32]) {
        if to.len() >= LANES {
            return self.store(to);
        }
        to.iter_mut().zip(self.0).for_each(|(to, from)| *to = from);
    }

    #[inline(always)]
    fn fma(self, factor: Self, more: Self) -> Self {
        self * factor + more
    }

    #[inline(always)]
    fn at_most(mut self, bound: Self) -> Self {
        let pairs = self.0.iter_mut().zip(bound.0);
        pairs.for_each(|(a, b)| *a = if b < *a { b } else { *a });
        self
    }

    #[inline(always)]
    fn at_least(mut self, bound: Self) -> Self {
        let pairs = self.0.iter_mut().zip(bound.0);
        pairs.for_each(|(a, b)| *a = if b > *a { b } else { *a });
        self
    }

    #[inline(always)]
    fn scaled(mut self, powers: Self) -> Self {
        // Adding 1.5·2²³ leaves a whole number in the low bits.
        const SHIFT: f32 = 12_582_912.0;
        for (a, power) in self.0.iter_mut().zip(powers.0) {
            *a *= f32::from_bits(((power + SHIFT).to_bits() << 23).wrapping_add(127 << 23));
        }
        self
    }

    #[inline(always)]
    fn reciprocal(mut self) -> Self {
        self.0.iter_mut().for_each(|a| *a = 1.0 / *a);
        self
    }

    #[inline(always)]
    fn first(mut self, count: usize) -> Self {
        if count >= LANES {
            return self;
        }
        let lanes = self.0.iter_mut().enumerate();
        lanes.for_each(|(i, a)| *a = if i < count { *a } else { 0.0 });
        self
    }

    #[inline(always)]
    fn total(mut self) -> f32 {
        for width in [8, 4, 2, 1] {
            for i in 0..width {
                self.0[i] += self.0[i + width];
            }
        }
        self.0[0]
    }

    #[inline(always)]
    fn largest(self) -> f32 {
        let larger = |a: f32, b: f32| if b > a { b } else { a };
        self.0.into_iter().fold(f32::NEG_INFINITY, larger)
    }

    #[inline(always)]
    fn seconds(low: Self, high: Self) -> Self {
        let mut lanes = [0.0; LANES];
        for i in 0..LANES / 2 {
            (lanes[i], lanes[i + LANES / 2]) = (low.0[2 * i], high.0[2 * i]);
        }
        Self(lanes)
    }

    #[inline(always)]
    fn turned(rows: [Self; LANES]) -> [Self; LANES] {
        let mut columns = rows;
        for (i, row) in rows.iter().enumerate() {
            for (column, value) in columns.iter_mut().zip(row.0) {
                column.0[i] = value;
            }
        }
        columns
    }
}

macro_rules! each {
    ($($trait:ident $call:ident $wide:ident;)*) => {$(
        impl $trait for Plain {
            type Output = Self;

            #[inline(always)]
            fn $call(mut self, other: Self) -> Self {
                for (a, b) in self.0.iter_mut().zip(other.0) {
                    *a = f32::$call(*a, b);
                }
                self
            }
        }

        #[cfg(target_arch = "x86_64")]
        impl $trait for wide::Wide {
            type Output = Self;

            #[inline(always)]
            fn $call(self, other: Self) -> Self {
                // SAFETY: only `widest` uses this type, where the processor has the instructions.
                Self(unsafe { std::arch::x86_64::$wide(self.0, other.0) })
            }
        }
    )*};
}

each! {
    Add add _mm512_add_ps;
    Sub sub _mm512_sub_ps;
    Mul mul _mm512_mul_ps;
}

#[cfg(target_arch = "x86_64")]
mod wide {
    use std::arch::x86_64::*;

    use super::{LANES, Lanes};

    /// The first `count` of sixteen.
    #[inline(always)]
    fn mask(count: usize) -> __mmask16 {
        match count {
            0..LANES => (1 << count) - 1,
            _ => __mmask16::MAX,
        }
    }

    /// One register of AVX-512.
    #[derive(Clone, Copy)]
    pub(super) struct Wide(pub(super) __m512);

    // SAFETY of what follows: only `widest` uses this type, where the processor has the instructions.
    impl Lanes for Wide {
        #[inline(always)]
        fn all(value: f32) -> Self {
            // SAFETY: as said above.
            Self(unsafe { _mm512_set1_ps(value) })
        }

        #[inline(always)]
        fn load(from: &[f32]) -> Self {
            let from = &from[..LANES];
            // SAFETY: as said above; there are sixteen.
            Self(unsafe { _mm512_loadu_ps(from.as_ptr()) })
        }

        #[inline(always)]
        fn store(self, to: &mut [f32]) {
            let to = &mut to[..LANES];
            // SAFETY: as said above; there are sixteen.
            unsafe { _mm512_storeu_ps(to.as_mut_ptr(), self.0) }
        }

        #[inline(always)]
        unsafe fn read(from: *const f32) -> Self {
            // SAFETY: as said above; that of the caller.
            Self(unsafe { _mm512_loadu_ps(from) })
        }

        #[inline(always)]
        unsafe fn write(self, to: *mut f32) {
            // SAFETY: as said above; that of the caller.
            unsafe { _mm512_storeu_ps(to, self.0) }
        }

        #[inline(always)]
        fn load_part(from: &[f32]) -> Self {
            // SAFETY: as said above; masked to those that are there.
            Self(unsafe { _mm512_maskz_loadu_ps(mask(from.len()), from.as_ptr()) })
        }

        #[inline(always)]
        fn store_part(self, to: &mut [f32]) {
            // SAFETY: as said above; masked to those that are there.
            unsafe { _mm512_mask_storeu_ps(to.as_mut_ptr(), mask(to.len()), self.0) }
        }

        #[inline(always)]
        fn fma(self, factor: Self, more: Self) -> Self {
            // SAFETY: as said above.
            Self(unsafe { _mm512_fmadd_ps(self.0, factor.0, more.0) })
        }

        #[inline(always)]
        fn at_most(self, bound: Self) -> Self {
            // SAFETY: as said above. Where one is NaN the second is the result.
            Self(unsafe { _mm512_min_ps(bound.0, self.0) })
        }

        #[inline(always)]
        fn at_least(self, bound: Self) -> Self {
            // SAFETY: as said above. Where one is NaN the second is the result.
            Self(unsafe { _mm512_max_ps(bound.0, self.0) })
        }

        #[inline(always)]
        fn scaled(self, powers: Self) -> Self {
            // SAFETY: as said above.
            Self(unsafe { _mm512_scalef_ps(self.0, powers.0) })
        }

        #[inline(always)]
        fn reciprocal(self) -> Self {
            // SAFETY: as said above.
            unsafe {
                // Right to 2⁻¹⁴, and with a step of Newton's method to 2⁻²⁸ but for rounding.
                let near = _mm512_rcp14_ps(self.0);
                let missing = _mm512_fnmadd_ps(self.0, near, _mm512_set1_ps(1.0));
                Self(_mm512_fmadd_ps(near, missing, near))
            }
        }

        #[inline(always)]
        fn first(self, count: usize) -> Self {
            // SAFETY: as said above.
            Self(unsafe { _mm512_maskz_mov_ps(mask(count), self.0) })
        }

        #[inline(always)]
        fn total(self) -> f32 {
            // SAFETY: as said above.
            unsafe { _mm512_reduce_add_ps(self.0) }
        }

        #[inline(always)]
        fn largest(self) -> f32 {
            // SAFETY: as said above.
            unsafe { _mm512_reduce_max_ps(self.0) }
        }

        #[inline(always)]
        fn seconds(low: Self, high: Self) -> Self {
            // SAFETY: as said above.
            unsafe {
                let places =
                    _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
                Self(_mm512_permutex2var_ps(low.0, places, high.0))
            }
        }

        #[inline(always)]
        fn turned(rows: [Self; LANES]) -> [Self; LANES] {
            let mut out = rows;
            // SAFETY: as said above.
            unsafe {
                // Within each quarter of a register: 4 × 4 numbers of four neighbouring rows.
                let mut fours = [_mm512_setzero_ps(); LANES];
                for i in (0..LANES).step_by(4) {
                    let [a, b, c, d] = [rows[i].0, rows[i + 1].0, rows[i + 2].0, rows[i + 3].0];
                    let (ab, cd) = (_mm512_unpacklo_ps(a, b), _mm512_unpacklo_ps(c, d));
                    fours[i] = _mm512_shuffle_ps::<0b01_00_01_00>(ab, cd);
                    fours[i + 1] = _mm512_shuffle_ps::<0b11_10_11_10>(ab, cd);
                    let (ab, cd) = (_mm512_unpackhi_ps(a, b), _mm512_unpackhi_ps(c, d));
                    fours[i + 2] = _mm512_shuffle_ps::<0b01_00_01_00>(ab, cd);
                    fours[i + 3] = _mm512_shuffle_ps::<0b11_10_11_10>(ab, cd);
                }
                // The quarters themselves.
                for i in 0..4 {
                    let [a, b, c, d] = [fours[i], fours[i + 4], fours[i + 8], fours[i + 12]];
                    let even = _mm512_shuffle_f32x4::<0b10_00_10_00>(a, b);
                    let odd = _mm512_shuffle_f32x4::<0b11_01_11_01>(a, b);
                    let even_too = _mm512_shuffle_f32x4::<0b10_00_10_00>(c, d);
                    let odd_too = _mm512_shuffle_f32x4::<0b11_01_11_01>(c, d);
                    out[i] = Self(_mm512_shuffle_f32x4::<0b10_00_10_00>(even, even_too));
                    out[i + 8] = Self(_mm512_shuffle_f32x4::<0b11_01_11_01>(even, even_too));
                    out[i + 4] = Self(_mm512_shuffle_f32x4::<0b10_00_10_00>(odd, odd_too));
                    out[i + 12] = Self(_mm512_shuffle_f32x4::<0b11_01_11_01>(odd, odd_too));
                }
            }
            out
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Both;

    impl Work for Both {
        type Out = Vec<f32>;

        #[inline(always)]
        fn run<L: Lanes>(self) -> Vec<f32> {
            let numbers: Vec<f32> = (0..LANES * LANES).map(|i| i as f32).collect();
            let mut rows = [L::all(0.0); LANES];
            for (row, from) in rows.iter_mut().zip(numbers.chunks_exact(LANES)) {
                *row = (L::load(from) + L::all(1.0)) * L::all(2.0) - L::load(from);
            }
            let mut out = vec![0.0; LANES * LANES];
            for (column, to) in L::turned(rows).into_iter().zip(out.chunks_exact_mut(LANES)) {
                column.store(to);
            }
            // SAFETY: sixteen numbers are there.
            unsafe { L::read(out.as_ptr()).write(out.as_mut_ptr()) };
            out
        }
    }

    #[test]
    fn the_widest_vectors_do_what_plain_ones_do() {
        let known: Vec<f32> = (0..LANES * LANES)
            .map(|i| (i % LANES * LANES + i / LANES + 2) as f32)
            .collect();
        assert_eq!(widest(Both), known);
        assert_eq!(Both.run::<Plain>(), known);
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma")
        {
            assert_eq!(Both.run::<pair::Pair>(), known);
        }
    }

    /// Each operation on `-3, -2, …, 12`, of which the results are exact.
    struct Each;

    impl Work for Each {
        type Out = Vec<Vec<f32>>;

        #[inline(always)]
        fn run<L: Lanes>(self) -> Vec<Vec<f32>> {
            let numbers: Vec<f32> = (0..LANES).map(|i| i as f32 - 3.0).collect();
            let (x, k) = (L::load(&numbers), L::all);
            let mut parts = [7.0; LANES];
            L::load_part(&numbers[..5]).store_part(&mut parts[..9]);
            let lanes = [
                x.fma(k(2.0), k(1.0)),
                x.at_most(k(4.0)),
                x.at_least(k(4.0)),
                k(f32::NAN).at_most(x).at_least(x),
                k(3.0).scaled(x),
                k(4.0).reciprocal(),
                x.first(0),
                x.first(13),
                x.first(16),
                L::load(&parts),
                k(x.total()),
                k(x.largest()),
                L::seconds(x, x + k(16.0)),
            ];
            let of = |lanes: L| {
                let mut to = vec![0.0; LANES];
                lanes.store(&mut to);
                to
            };
            lanes.map(of).into()
        }
    }

    #[test]
    fn each_operation_is_what_its_name_says() {
        let of = |of: &dyn Fn(f32) -> f32| (0..LANES).map(|i| of(i as f32 - 3.0)).collect();
        let known: [Vec<f32>; 13] = [
            of(&|x| 2.0 * x + 1.0),
            of(&|x| x.min(4.0)),
            of(&|x| x.max(4.0)),
            of(&|_| f32::NAN),
            of(&|x| 3.0 * x.exp2()),
            of(&|_| 0.25),
            of(&|_| 0.0),
            of(&|x| if x < 10.0 { x } else { 0.0 }),
            of(&|x| x),
            of(&|x| {
                if x < 2.0 {
                    x
                } else if x < 6.0 {
                    0.0
                } else {
                    7.0
                }
            }),
            of(&|_| 72.0),
            of(&|_| 12.0),
            of(&|x| 2.0 * x + 3.0),
        ];
        let mut all = vec![widest(Each), Each.run::<Plain>()];
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma")
        {
            all.push(Each.run::<pair::Pair>());
        }
        for results in all {
            for (i, (got, known)) in results.iter().zip(&known).enumerate() {
                let same = |(a, b): (&f32, &f32)| a == b || a.is_nan() && b.is_nan();
                assert!(got.iter().zip(known).all(same), "{i}: {got:?} {known:?}");
            }
        }
    }
}
