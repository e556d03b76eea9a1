//! Exponentials in operations that a compiler can do on many numbers at once.

/// `e^t`, right to about 2·10⁻⁷; beyond ±87 that of ±87.
#[inline(always)]
pub(super) fn exp(t: f32) -> f32 {
    const LOG2_E: f32 = std::f32::consts::LOG2_E;
    // ln 2 in two parts, the first of which is exact in few bits.
    const LN_2: (f32, f32) = (0.693_359_4, -2.121_944_4e-4);
    // Adding and subtracting 1.5·2²³ rounds to a whole number, which stands in the low bits between.
    const SHIFT: f32 = 12_582_912.0;
    let t = t.clamp(-87.0, 87.0);
    let shifted = t * LOG2_E + SHIFT;
    let whole = shifted - SHIFT;
    let r = (t - whole * LN_2.0) - whole * LN_2.1; // |r| ≤ ½ ln 2
    // Taylor's polynomial of e^r to the sixth power; the rest is below 2·10⁻⁷ of it.
    let e = 1.0
        + r * (1.0
            + r * (0.5 + r * (1.0 / 6.0 + r * (1.0 / 24.0 + r * (1.0 / 120.0 + r / 720.0)))));
    e * f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23))
}

/// `1 / (1 + e^−t)`.
#[inline(always)]
pub(super) fn sigmoid(t: f32) -> f32 {
    1.0 / (1.0 + exp(-t))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_polynomial_is_the_exponential_function() {
        for i in -1700..1700 {
            let t = i as f32 * 0.05;
            let relative = (f64::from(exp(t)) / f64::from(t).exp() - 1.0).abs();
            assert!(relative < 1e-6, "{t}: {relative}");
        }
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn the_polynomial_is_the_logistic_function() {
        for i in -1700..1700 {
            let t = i as f32 * 0.05;
            let known = 1.0 / (1.0 + (-f64::from(t)).exp());
            let relative = (f64::from(sigmoid(t)) / known.max(1e-37) - 1.0).abs();
            assert!(relative < 1e-6, "{t}: {} {known}", sigmoid(t));
        }
        assert!(sigmoid(-1e30) < 1e-37 && sigmoid(1e30) == 1.0);
        assert!(sigmoid(f32::NAN).is_nan());
    }
}
