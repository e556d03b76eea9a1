//! Sixteen numbers at once, in the widest instructions that the processor has.

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
            work.run::<Plain>()
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
    }
}
