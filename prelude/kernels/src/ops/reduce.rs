//! Sums and maxima, in an order that does not depend on the number of threads.
//!
//! Loops, not closures: what a closure does is not compiled for the vectors of the function around it.

use super::lanes::{LANES, Lanes};

/// Vectors that are taken side by side, so that one result need not wait for the other.
pub(super) const SIDE_BY_SIDE: usize = 4;

/// Where each sixteen of `len` numbers begin, and how many there are: fewer at the end.
#[inline(always)]
pub(super) fn pieces(len: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..len)
        .step_by(LANES)
        .map(move |from| (from, LANES.min(len - from)))
}

/// A sum, in `f32` over sixteen numbers in each of sixteen places, over these in `f64`.
pub(super) struct Sum<L> {
    short: L,
    steps: usize,
    total: f64,
}

impl<L: Lanes> Sum<L> {
    #[inline(always)]
    pub(super) fn new() -> Self {
        Self {
            short: L::all(0.0),
            steps: 0,
            total: 0.0,
        }
    }

    #[inline(always)]
    pub(super) fn add(&mut self, terms: L) {
        self.short = self.short + terms;
        self.steps += 1;
        if self.steps == 16 {
            self.total += f64::from(self.short.total());
            (self.short, self.steps) = (L::all(0.0), 0);
        }
    }

    #[inline(always)]
    pub(super) fn total(&self) -> f64 {
        match self.steps {
            0 => self.total,
            _ => self.total + f64::from(self.short.total()),
        }
    }
}

/// The sum of lists of numbers, in their order.
pub(super) fn added(parts: Vec<Vec<f32>>, len: usize) -> Vec<f32> {
    let mut parts = parts.into_iter();
    let mut all = parts.next().unwrap_or_else(|| vec![0.0; len]);
    for part in parts {
        all.iter_mut().zip(&part).for_each(|(sum, x)| *sum += x);
    }
    all
}

/// `Σ (x − centre)` and `Σ (x − centre)²`.
#[inline(always)]
pub(super) fn moments<L: Lanes>(x: &[f32], centre: f32) -> (f64, f64) {
    let centre = L::all(centre);
    let (mut sum, mut square) = (Sum::<L>::new(), Sum::<L>::new());
    let mut chunks = x.chunks_exact(SIDE_BY_SIDE * LANES);
    for chunk in &mut chunks {
        let mut parts = [L::all(0.0); SIDE_BY_SIDE];
        for (part, x) in parts.iter_mut().zip(chunk.chunks_exact(LANES)) {
            *part = L::load(x) - centre;
        }
        let [a, b, c, d] = parts;
        sum.add((a + b) + (c + d));
        square.add(a.fma(a, b * b) + c.fma(c, d * d));
    }
    for x in chunks.remainder().chunks(LANES) {
        let x = (L::load_part(x) - centre).first(x.len());
        sum.add(x);
        square.add(x * x);
    }
    (sum.total(), square.total())
}

/// The largest; of nothing, −∞. NaN counts as nothing.
#[inline(always)]
pub(super) fn largest<L: Lanes>(x: &[f32]) -> f32 {
    let mut most = [L::all(f32::NEG_INFINITY); SIDE_BY_SIDE];
    let mut chunks = x.chunks_exact(SIDE_BY_SIDE * LANES);
    for chunk in &mut chunks {
        for (most, x) in most.iter_mut().zip(chunk.chunks_exact(LANES)) {
            *most = most.at_least(L::load(x));
        }
    }
    let [mut a, b, c, d] = most;
    let mut chunks = chunks.remainder().chunks_exact(LANES);
    for chunk in &mut chunks {
        a = a.at_least(L::load(chunk));
    }
    let mut most = a.at_least(b).at_least(c.at_least(d)).largest();
    for x in chunks.remainder() {
        most = if *x > most { *x } else { most };
    }
    most
}

#[cfg(test)]
mod tests {
    use super::super::lanes::{Plain, Work, widest};
    use super::*;

    /// Sum twice, sum of squares, and the largest.
    struct All<'a>(&'a [f32]);

    impl Work for All<'_> {
        type Out = ([f64; 3], f32);

        #[inline(always)]
        fn run<L: Lanes>(self) -> ([f64; 3], f32) {
            let mut sum = Sum::<L>::new();
            for (from, count) in pieces(self.0.len()) {
                sum.add(L::load_part(&self.0[from..from + count]));
            }
            let (same, square) = moments::<L>(self.0, 0.0);
            ([sum.total(), same, square], largest::<L>(self.0))
        }
    }

    #[test]
    fn all_numbers_count_once() {
        for len in [
            0_usize, 1, 15, 16, 63, 64, 65, 81, 256, 257, 1024, 1025, 5000,
        ] {
            // Whole numbers, of which all sums are exact.
            let mut x: Vec<f32> = (0..len).map(|i| (i % 97) as f32).collect();
            let sum = x.iter().map(|x| f64::from(*x)).sum();
            let square = x.iter().map(|x| f64::from(x * x)).sum();
            let most = x.iter().fold(f32::NEG_INFINITY, |a, b| a.max(*b));
            for _ in 0..2 {
                assert_eq!(widest(All(&x)), ([sum, sum, square], most));
                assert_eq!(All(&x).run::<Plain>(), ([sum, sum, square], most));
                x.reverse();
            }
        }
    }

    #[test]
    fn less_their_mean_numbers_add_up_to_nothing() {
        struct Moments<'a>(&'a [f32]);
        impl Work for Moments<'_> {
            type Out = (f64, f64);

            #[inline(always)]
            fn run<L: Lanes>(self) -> (f64, f64) {
                moments::<L>(self.0, 3.0)
            }
        }
        for len in [2, 14, 16, 70, 1030] {
            let x: Vec<f32> = (0..len).map(|i| 2.0 + 2.0 * (i % 2) as f32).collect();
            assert_eq!(widest(Moments(&x)), (0.0, len as f64));
        }
    }
}
