//! Curves between the points at which they are known.

use super::MseCurve;
use crate::error::{Error, Result};
use crate::logsnr::LogSnr;

impl MseCurve {
    /// The curve at other points, by the monotone cubic through its own: between two points it never leaves
    /// the range of their values.
    ///
    /// The errors of single samples are lost, so the result counts as known without sampling (`n` is 0).
    ///
    /// # Errors
    /// [`Error::Mismatch`] when a point lies outside of the curve's own, or the curve's lists do not belong
    /// together; [`Error::Parameter`] when it has fewer than three points.
    ///
    /// # Source
    /// F. N. Fritsch and J. Butland (1984), A Method for Constructing Local Monotone Piecewise Cubic
    /// Interpolants, SIAM J. Sci. Stat. Comput. 5(2).
    ///
    /// # Example
    /// ```
    /// use itd_prelude::{data::Spectrum, logsnr::LogSnr, mmse::gaussian_curve};
    ///
    /// let normal = Spectrum::standard(1)?;
    /// let coarse = gaussian_curve(&normal, &LogSnr::trapezoid(-4.0, 4.0, 17)?)?;
    /// let fine = coarse.at(&LogSnr::trapezoid(-4.0, 4.0, 101)?)?;
    /// assert!((fine.mse[37] - 1.0 / (1.0 + (-fine.log_snr[37]).exp())).abs() < 1e-3);
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn at(&self, points: &LogSnr) -> Result<Self> {
        self.check()?;
        points.check()?;
        let mut order: Vec<usize> = (0..self.log_snr.len()).collect();
        order.sort_by(|&i, &j| self.log_snr[i].total_cmp(&self.log_snr[j]));
        let x: Vec<f64> = order.iter().map(|&i| self.log_snr[i]).collect();
        if x.len() < 3 || x.windows(2).any(|pair| !(pair[0] < pair[1])) {
            return Err(Error::Parameter {
                name: "the number of points of the curve",
                got: x.len().to_string(),
                need: "at least 3, all different, to be interpolated",
            });
        }
        let (low, high) = (x[0], x[x.len() - 1]);
        // What rounding does to the end of an interval is not outside.
        let slack = 1e-9 * (high - low);
        if let Some(bad) = points
            .log_snr
            .iter()
            .find(|&&a| !(a >= low - slack && a <= high + slack))
        {
            return Err(Error::Mismatch {
                what: "the point and the curve",
                left: format!("α = {bad}"),
                right: format!("a curve from {low} to {high}"),
                next: "choose points within the curve's interval: beyond it nothing is known",
            });
        }
        let cubic = |values: &[f64]| -> Vec<f64> {
            let y: Vec<f64> = order.iter().map(|&i| values[i]).collect();
            let slopes = slopes(&x, &y);
            let at = |&alpha: &f64| value(&x, &y, &slopes, alpha);
            points.log_snr.iter().map(at).collect()
        };
        Ok(Self {
            std_err: cubic(&self.std_err),
            ..Self::exact(points, self.dim, cubic(&self.mse))
        })
    }
}

/// The slope at each point: 0 at an extremum, else the weighted harmonic mean of the slopes on both sides.
fn slopes(x: &[f64], y: &[f64]) -> Vec<f64> {
    let n = x.len();
    let step: Vec<f64> = x.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let rise: Vec<f64> = (0..n - 1).map(|i| (y[i + 1] - y[i]) / step[i]).collect();
    let inner = |i: usize| {
        if rise[i - 1] * rise[i] <= 0.0 {
            return 0.0;
        }
        let (a, b) = (2.0 * step[i] + step[i - 1], step[i] + 2.0 * step[i - 1]);
        (a + b) / (a / rise[i - 1] + b / rise[i])
    };
    // The slope of the parabola through three points, held to what keeps the cubic monotone.
    let end = |near: usize, next: usize| {
        let (h, d) = (step[near], rise[near]);
        let slope = ((2.0 * h + step[next]) * d - h * rise[next]) / (h + step[next]);
        if slope * d <= 0.0 {
            0.0
        } else if d * rise[next] <= 0.0 && slope.abs() > 3.0 * d.abs() {
            3.0 * d
        } else {
            slope
        }
    };
    let middle = (1..n - 1).map(inner);
    std::iter::once(end(0, 1))
        .chain(middle)
        .chain(std::iter::once(end(n - 2, n - 3)))
        .collect()
}

/// The cubic between the two points around `at`.
fn value(x: &[f64], y: &[f64], slope: &[f64], at: f64) -> f64 {
    let i = x.partition_point(|&left| left <= at).clamp(1, x.len() - 1) - 1;
    let h = x[i + 1] - x[i];
    let t = ((at - x[i]) / h).clamp(0.0, 1.0);
    let s = 1.0 - t;
    let ends = s * s * (1.0 + 2.0 * t) * y[i] + t * t * (1.0 + 2.0 * s) * y[i + 1];
    ends + h * t * s * (s * slope[i] - t * slope[i + 1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Spectrum;
    use crate::mmse::gaussian_curve;

    fn curve(y: &[f64]) -> MseCurve {
        let points = LogSnr::trapezoid(0.0, (y.len() - 1) as f64, y.len()).unwrap();
        MseCurve::exact(&points, 1, y.to_vec())
    }

    #[test]
    fn it_passes_through_its_points_and_stays_between_them() {
        let y = [0.0, 0.1, 0.1, 0.9, 1.0, 0.2];
        let own = curve(&y);
        assert_eq!(own.at(&own.points()).unwrap().mse, y);
        let fine = own.at(&LogSnr::trapezoid(0.0, 5.0, 501).unwrap()).unwrap();
        for (i, value) in fine.mse.iter().enumerate() {
            let left = (i / 100).min(4);
            let (a, b) = (y[left].min(y[left + 1]), y[left].max(y[left + 1]));
            assert!((a - 1e-12..=b + 1e-12).contains(value), "{i}: {value}");
        }
    }

    /// Computed by SciPy 1.17, `PchipInterpolator([0, 1, 3, 4], [0, 1, 1.5, 4])`.
    #[test]
    fn it_agrees_with_scipy() {
        let points = LogSnr {
            log_snr: vec![0.0, 1.0, 3.0, 4.0],
            weight: vec![1.0; 4],
            rule: crate::logsnr::Rule::Trapezoid,
            interval: (0.0, 4.0),
        };
        let own = MseCurve::exact(&points, 1, vec![0.0, 1.0, 1.5, 4.0]);
        let at = LogSnr {
            log_snr: vec![0.3, 0.9, 1.5, 2.9, 3.2, 3.95],
            weight: vec![1.0; 6],
            ..points
        };
        let known = [
            0.37275,
            0.948_535_714_285_714_3,
            1.151_785_714_285_714_2,
            1.453_285_714_285_713_8,
            1.72,
            3.836_406_25,
        ];
        for (found, known) in own.at(&at).unwrap().mse.iter().zip(known) {
            assert!((found - known).abs() < 1e-12, "{found} {known}");
        }
    }

    #[test]
    fn the_error_falls_with_the_third_power() {
        let normal = Spectrum::standard(1).unwrap();
        let error = |n| {
            let coarse =
                gaussian_curve(&normal, &LogSnr::trapezoid(-3.0, 3.0, n).unwrap()).unwrap();
            let points = LogSnr::trapezoid(-3.0, 3.0, 997).unwrap();
            let known = gaussian_curve(&normal, &points).unwrap();
            let found = coarse.at(&points).unwrap();
            let gaps = found.mse.iter().zip(&known.mse).map(|(a, b)| (a - b).abs());
            gaps.fold(0.0, f64::max)
        };
        assert!(error(13) / error(49) > 40.0, "{} {}", error(13), error(49));
    }

    #[test]
    fn beyond_its_ends_nothing_is_known() {
        let own = curve(&[0.0, 0.5, 1.0]);
        let error = own
            .at(&LogSnr::trapezoid(0.0, 2.1, 9).unwrap())
            .unwrap_err();
        assert!(error.to_string().contains("2.1"), "{error}");
        assert!(curve(&[0.0, 1.0]).at(&own.points()).is_err());
    }
}
