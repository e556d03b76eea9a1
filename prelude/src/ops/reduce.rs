//! Sums and maxima, in an order that does not depend on how they are compiled.

/// Numbers that are added or compared side by side.
const PLACES: usize = 64;

/// `Σ of(x)`.
#[inline(always)]
pub(super) fn sum(x: &[f32], of: impl Fn(f32) -> f32) -> f64 {
    sum_of_pairs(x, x, |x, _| of(x))
}

/// `Σ of(a, b)`, in `f32` over sixteen numbers for each of 64 places, those in `f64`.
#[inline(always)]
pub(super) fn sum_of_pairs(a: &[f32], b: &[f32], of: impl Fn(f32, f32) -> f32) -> f64 {
    let mut total = 0.0;
    for (a, b) in a.chunks(16 * PLACES).zip(b.chunks(16 * PLACES)) {
        let mut sums = [0.0; PLACES];
        let (a, b) = (a.chunks_exact(PLACES), b.chunks_exact(PLACES));
        let rest = a.remainder().iter().zip(b.remainder());
        for (sum, (a, b)) in sums.iter_mut().zip(rest) {
            *sum = of(*a, *b);
        }
        for (a, b) in a.zip(b) {
            for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
                *sum += of(*a, *b);
            }
        }
        let mut width = PLACES / 2;
        while width > 0 {
            for i in 0..width {
                sums[i] += sums[i + width];
            }
            width /= 2;
        }
        total += f64::from(sums[0]);
    }
    total
}

/// The largest; of nothing, −∞. NaN counts as nothing.
#[inline(always)]
pub(super) fn largest(x: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let chunks = x.chunks_exact(PLACES);
    let rest = chunks
        .remainder()
        .iter()
        .fold(f32::NEG_INFINITY, |a, b| larger(a, *b));
    let mut most = [f32::NEG_INFINITY; PLACES];
    for chunk in chunks {
        for (most, x) in most.iter_mut().zip(chunk) {
            *most = larger(*most, *x);
        }
    }
    most.into_iter().fold(rest, larger)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_numbers_count_once() {
        for len in [0_usize, 1, 63, 64, 65, 1024, 1025, 5000] {
            let x: Vec<f32> = (0..len).map(|i| i as f32).collect();
            let known = (len * len.saturating_sub(1) / 2) as f64;
            assert_eq!(sum(&x, |x| x), known);
            assert_eq!(sum_of_pairs(&x, &x, |a, b| 2.0 * a - b), known);
            let back: Vec<f32> = x.iter().rev().copied().collect();
            let known = x.last().copied().unwrap_or(f32::NEG_INFINITY);
            assert_eq!((largest(&x), largest(&back)), (known, known));
        }
    }
}
