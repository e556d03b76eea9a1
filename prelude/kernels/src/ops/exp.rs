//! Exponentials of sixteen numbers at once.

use super::lanes::Lanes;

/// `e^t`, right to about 2·10⁻⁷; beyond ±87 that of ±87.
#[inline(always)]
pub(super) fn exp<L: Lanes>(t: L) -> L {
    const LOG2_E: f32 = std::f32::consts::LOG2_E;
    // −ln 2 in two parts, the first of which is exact in few bits.
    const LN_2: (f32, f32) = (-0.693_359_4, 2.121_944_4e-4);
    // Adding and subtracting 1.5·2²³ rounds to a whole number.
    const SHIFT: f32 = 12_582_912.0;
    let k = L::all;
    let t = t.at_least(k(-87.0)).at_most(k(87.0));
    let whole = t.fma(k(LOG2_E), k(SHIFT)) - k(SHIFT);
    let r = whole.fma(k(LN_2.1), whole.fma(k(LN_2.0), t)); // |r| ≤ ½ ln 2
    // Taylor's polynomial of e^r to the sixth power; the rest is below 2·10⁻⁷ of it.
    let e = r
        .fma(k(1.0 / 720.0), k(1.0 / 120.0))
        .fma(r, k(1.0 / 24.0))
        .fma(r, k(1.0 / 6.0))
        .fma(r, k(0.5))
        .fma(r, k(1.0))
        .fma(r, k(1.0));
    e.scaled(whole)
}

/// `1 / (1 + e^−t)`.
#[inline(always)]
pub(super) fn sigmoid<L: Lanes>(t: L) -> L {
    (L::all(1.0) + exp(L::all(0.0) - t)).reciprocal()
}

/// `t · σ(t)`.
#[inline(always)]
pub(super) fn silu<L: Lanes>(t: L) -> L {
    t * sigmoid(t)
}

/// The slope of `t · σ(t)`.
#[inline(always)]
pub(super) fn silu_slope<L: Lanes>(t: L) -> L {
    let s = sigmoid(t);
    let rest = L::all(1.0) - s;
    (t * rest).fma(s, s)
}

#[cfg(test)]
mod tests {
    use super::super::lanes::{LANES, Plain, Work, widest};
    use super::*;

    /// The four functions of a number.
    struct All(f32);

    impl Work for All {
        type Out = [f32; 4];

        #[inline(always)]
        fn run<L: Lanes>(self) -> [f32; 4] {
            let t = L::all(self.0);
            [exp(t), sigmoid(t), silu(t), silu_slope(t)].map(|lanes| {
                let mut to = [0.0; LANES];
                lanes.store(&mut to);
                to[0]
            })
        }
    }

    #[test]
    fn they_are_the_functions_of_their_names() {
        for i in -1700..1700 {
            let t = i as f32 * 0.05;
            let x = f64::from(t);
            let s = 1.0 / (1.0 + (-x).exp());
            let known = [x.exp(), s, x * s, s + x * s * (1.0 - s)];
            for results in [widest(All(t)), All(t).run::<Plain>()] {
                for (got, known) in results.into_iter().zip(known) {
                    // The slope is a sum, which cancels near its zero.
                    let scale = known.abs().max(s * (1.0 - s)).max(1e-37);
                    let apart = (f64::from(got) - known).abs();
                    assert!(apart <= 1e-6 * scale, "{t}: {got} {known}");
                }
            }
        }
    }

    #[test]
    fn beyond_all_bounds_they_stay_where_they_were() {
        for all in [|t| widest(All(t)), |t| All(t).run::<Plain>()] {
            assert!(all(f32::NAN).iter().all(|x| x.is_nan()));
            let ([_, s, y, _], [_, one, same, slope]) = (all(-1e20), all(1e20));
            assert!(s < 1e-37 && y.abs() < 1e-16);
            assert_eq!((one, same, slope), (1.0, 1e20, 1.0));
        }
    }
}
