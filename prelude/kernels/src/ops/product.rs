//! A matrix product on one thread, for small matrices that lie in the processor's cache.
//!
//! Where the processor has AVX-512 the product is done here, twelve rows by thirty-two columns at a time and
//! without moving the operands first: the callers lay them out so that this is fast. Elsewhere it is that of
//! the crate `gemm`, which knows AVX2 and NEON.

/// Columns that the product works on at once; what is laid out for it comes in panels of so many.
pub(super) const PANEL: usize = 32;

/// The most rows, not above `most`, of which each has `width` numbers and all together a multiple of `step`; or
/// else `most`.
pub(super) fn even(most: usize, width: usize, step: usize) -> usize {
    let rows = (1..=step).find(|rows| (rows * width).is_multiple_of(step));
    let rows = rows.unwrap_or(1);
    match most / rows {
        0 => most,
        times => times * rows,
    }
}

/// A matrix in memory: data, distance of neighbours in a row and in a column.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a> {
    data: &'a [f32],
    along_row: usize,
    along_column: usize,
}

impl<'a> Matrix<'a> {
    /// Rows one after the other, `width` apart.
    pub(super) fn of(data: &'a [f32], width: usize) -> Self {
        Self {
            data,
            along_row: 1,
            along_column: width,
        }
    }

    pub(super) fn turned(self) -> Self {
        Self {
            along_row: self.along_column,
            along_column: self.along_row,
            ..self
        }
    }

    fn holds(&self, rows: usize, columns: usize) -> bool {
        rows == 0
            || columns == 0
            || (rows - 1) * self.along_column + (columns - 1) * self.along_row < self.data.len()
    }
}

/// `out (+)= a·b` with `a`: `[n, k]`, `b`: `[k, m]`, and `out`: `[n, m]` in rows that lie `width` apart.
#[expect(clippy::too_many_arguments, reason = "those of a matrix product")]
pub(super) fn product(
    n: usize,
    k: usize,
    m: usize,
    a: Matrix,
    b: Matrix,
    out: &mut [f32],
    width: usize,
    add: bool,
) {
    assert!(a.holds(n, k) && b.holds(k, m) && Matrix::of(out, width).holds(n, m) && m <= width);
    #[cfg(target_arch = "x86_64")]
    if b.along_row == 1 && std::arch::is_x86_feature_detected!("avx512f") {
        // SAFETY: the processor has the instructions; the strides stay within the slices, as just checked.
        return unsafe { wide::product(n, k, m, a, b, out.as_mut_ptr(), width, add) };
    }
    // SAFETY: the strides stay within the slices, as just checked.
    unsafe {
        gemm::gemm(
            n,
            m,
            k,
            out.as_mut_ptr(),
            1,
            width as isize,
            add,
            a.data.as_ptr(),
            a.along_row as isize,
            a.along_column as isize,
            b.data.as_ptr(),
            b.along_row as isize,
            b.along_column as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

#[cfg(target_arch = "x86_64")]
mod wide {
    use std::arch::x86_64::*;
    use std::hint::black_box;

    use super::{Matrix, PANEL};

    /// Rows at once: 12 × 2 vectors of sums, two of `b` and one of `a` fill the 32 registers.
    const ROWS: usize = 12;

    /// # Safety
    /// `a` must hold `[n, k]`, `b` `[k, m]` with neighbours side by side, `out` `[n, m]` with rows `width` apart.
    #[target_feature(enable = "avx512f")]
    #[expect(clippy::too_many_arguments, reason = "those of a matrix product")]
    pub(super) unsafe fn product(
        n: usize,
        k: usize,
        m: usize,
        a: Matrix,
        b: Matrix,
        out: *mut f32,
        width: usize,
        add: bool,
    ) {
        for column in (0..m).step_by(PANEL) {
            let columns = PANEL.min(m - column);
            let last = u16::MAX >> (columns.next_multiple_of(16) - columns);
            for row in (0..n).step_by(ROWS) {
                // SAFETY: row < n and column < m, and the tile is cut to what is left of both.
                unsafe {
                    let tile = Tile {
                        k,
                        a: a.data.as_ptr().wrapping_add(row * a.along_column),
                        a_row: a.along_column,
                        a_step: a.along_row,
                        b: b.data.as_ptr().wrapping_add(column),
                        b_step: b.along_column,
                        out: out.add(row * width + column),
                        width,
                        last,
                        add,
                    };
                    let rows = ROWS.min(n - row);
                    if columns > 16 {
                        tile.run_rows::<2>(rows);
                    } else {
                        tile.run_rows::<1>(rows);
                    }
                }
            }
        }
    }

    /// A piece of the product, at most twelve rows by two vectors.
    struct Tile {
        k: usize,
        a: *const f32,
        a_row: usize,
        a_step: usize,
        b: *const f32,
        b_step: usize,
        out: *mut f32,
        width: usize,
        /// The columns of the last vector that are there.
        last: __mmask16,
        add: bool,
    }

    impl Tile {
        #[target_feature(enable = "avx512f")]
        unsafe fn run_rows<const V: usize>(&self, rows: usize) {
            // SAFETY: that of the caller.
            unsafe {
                match rows {
                    1 => self.run::<1, V>(),
                    2 => self.run::<2, V>(),
                    3 => self.run::<3, V>(),
                    4 => self.run::<4, V>(),
                    5 => self.run::<5, V>(),
                    6 => self.run::<6, V>(),
                    7 => self.run::<7, V>(),
                    8 => self.run::<8, V>(),
                    9 => self.run::<9, V>(),
                    10 => self.run::<10, V>(),
                    11 => self.run::<11, V>(),
                    _ => self.run::<ROWS, V>(),
                }
            }
        }

        #[target_feature(enable = "avx512f")]
        unsafe fn run<const R: usize, const V: usize>(&self) {
            let mask = |v: usize| if v + 1 == V { self.last } else { u16::MAX };
            let mut sums = [[_mm512_setzero_ps(); V]; R];
            let mut b = self.b;
            // Every third row has a pointer of which the compiler knows nothing. From one pointer to all rows it
            // goes by a chain of additions, which takes longer than the products.
            let third = |i: usize| black_box(self.a.wrapping_add(3 * i * self.a_row));
            let mut a: [*const f32; ROWS / 3] = std::array::from_fn(third);
            for _ in 0..self.k {
                let mut right = [_mm512_setzero_ps(); V];
                for (v, right) in right.iter_mut().enumerate() {
                    // SAFETY: masked to the columns that are there.
                    *right = unsafe { _mm512_maskz_loadu_ps(mask(v), b.wrapping_add(16 * v)) };
                }
                for (r, sums) in sums.iter_mut().enumerate() {
                    let left = a[r / 3].wrapping_add(r % 3 * self.a_row);
                    // SAFETY: row r of R, step of k.
                    let left = _mm512_set1_ps(unsafe { *left });
                    for (sum, right) in sums.iter_mut().zip(&right) {
                        *sum = _mm512_fmadd_ps(left, *right, *sum);
                    }
                }
                a = a.map(|a| a.wrapping_add(self.a_step));
                b = b.wrapping_add(self.b_step);
            }
            for (r, sums) in sums.iter().enumerate() {
                for (v, sum) in sums.iter().enumerate() {
                    let out = self.out.wrapping_add(r * self.width + 16 * v);
                    // SAFETY: masked to the columns that are there.
                    unsafe {
                        let before = match self.add {
                            true => _mm512_maskz_loadu_ps(mask(v), out),
                            false => _mm512_setzero_ps(),
                        };
                        _mm512_mask_storeu_ps(out, mask(v), _mm512_add_ps(before, *sum));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whole numbers, so that every order of summation gives the same.
    fn numbers(len: usize, seed: usize) -> Vec<f32> {
        (0..len)
            .map(|i| ((i * 7 + seed) % 11) as f32 - 5.0)
            .collect()
    }

    #[test]
    fn it_is_the_sum_of_products() {
        for n in [1, 2, 11, 12, 13, 30] {
            for (k, m) in [
                (1, 1),
                (3, 15),
                (7, 16),
                (5, 17),
                (64, 32),
                (2, 33),
                (9, 81),
            ] {
                for (a_turned, b_turned, add) in [
                    (false, false, false),
                    (true, false, true),
                    (false, true, true),
                    (true, true, false),
                ] {
                    let (a, b) = (numbers(n * k, 1), numbers(k * m, 2));
                    let at = |row, column, width, height, turned| match turned {
                        false => row * width + column,
                        true => column * height + row,
                    };
                    let width = m + 3;
                    let before = numbers(n * width, 3);
                    let mut known = before.clone();
                    for i in 0..n {
                        for j in 0..m {
                            let start = if add { before[i * width + j] } else { 0.0 };
                            known[i * width + j] = (0..k).fold(start, |sum, l| {
                                sum + a[at(i, l, k, n, a_turned)] * b[at(l, j, m, k, b_turned)]
                            });
                        }
                    }
                    let matrix = |data, width, height, turned| match turned {
                        false => Matrix::of(data, width),
                        true => Matrix::of(data, height).turned(),
                    };
                    let mut out = before;
                    product(
                        n,
                        k,
                        m,
                        matrix(&a, k, n, a_turned),
                        matrix(&b, m, k, b_turned),
                        &mut out,
                        width,
                        add,
                    );
                    assert_eq!(out, known, "{n} {k} {m}"); // also what lies between the rows
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "holds")]
    fn a_matrix_that_is_too_short_is_refused() {
        let (a, b, mut out) = (numbers(11, 0), numbers(12, 0), numbers(9, 0));
        product(
            3,
            4,
            3,
            Matrix::of(&a, 4),
            Matrix::of(&b, 3),
            &mut out,
            3,
            false,
        );
    }

    #[test]
    fn rows_come_in_even_numbers() {
        assert_eq!(
            (even(13, 8, 12), even(14, 4, 12), even(2, 8, 12)),
            (12, 12, 2)
        );
        assert_eq!(
            (even(7, 16, 32), even(9, 5, 32), even(40, 7, 32)),
            (6, 9, 32)
        );
    }
}
