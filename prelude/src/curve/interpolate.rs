//! Curves between the points at which they are known.

use ndarray::{Array2, ArrayView1};

use super::MseCurve;
use crate::cell::memory::room_for;
use crate::error::{Error, Result};
use crate::logsnr::Quadrature;
use crate::rounds::Rounds;

impl MseCurve {
    /// The curve at other points, by the monotone cubic through its own: between two points it never leaves
    /// the range of their values.
    ///
    /// The errors of single samples are interpolated, too, where they were kept: what the samples have in common at
    /// neighbouring points stays. Where they were not, the standard error at each point is the larger one of its
    /// two neighbours', and an integral takes it as common to all points.
    ///
    /// It is for comparing curves and for drawing them. What lies between the curve's own points stays unknown, and the
    /// `quadrature_err` of an area over the new ones, between which the cubic is smooth, says nothing of it: for that, take
    /// the [area](Self::area) of the curve itself.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when a point lies outside of the curve's own, or the curve's lists do not belong
    /// together; [`Error::Parameter`] when it has fewer than three points; [`Error::Interrupted`] when the user asks to
    /// stop.
    ///
    /// # Source
    /// F. N. Fritsch and J. Butland (1984), A Method for Constructing Local Monotone Piecewise Cubic
    /// Interpolants, SIAM J. Sci. Stat. Comput. 5(2).
    ///
    /// # Example
    /// ```
    /// use itd_prelude::prelude::*;
    ///
    /// # fn main() -> Result<()> {
    /// let normal = Gaussian::standard(1)?;
    /// let coarse = normal.curve(&Quadrature::trapezoid(-4.0, 4.0, 17)?)?;
    /// let fine = coarse.interpolate(&Quadrature::trapezoid(-4.0, 4.0, 101)?)?;
    /// assert!((fine.mse[37] - 1.0 / (1.0 + (-fine.points.log_snr[37]).exp())).abs() < 1e-3);
    /// # Ok(()) }
    /// ```
    pub fn interpolate(&self, points: &Quadrature) -> Result<Self> {
        self.check()?;
        points.check()?;
        let own = &self.points.log_snr;
        let mut order: Vec<usize> = (0..own.len()).collect();
        order.sort_by(|&i, &j| own[i].total_cmp(&own[j]));
        let x: Vec<f64> = order.iter().map(|&i| own[i]).collect();
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
        let inside = |&&a: &&f64| !(a >= low - slack && a <= high + slack);
        if let Some(bad) = points.log_snr.iter().find(inside) {
            return Err(Error::Mismatch {
                what: "the point and the curve",
                left: format!("α = {bad}"),
                right: format!("a curve from {low} to {high}"),
                next: "choose points within the curve's interval: beyond it nothing is known",
            });
        }
        let cubic = |y: Vec<f64>| -> Vec<f64> {
            let slopes = slopes(&x, &y);
            let at = |&alpha: &f64| value(&x, &y, &slopes, alpha);
            points.log_snr.iter().map(at).collect()
        };
        let sorted = |values: &[f64]| -> Vec<f64> { order.iter().map(|&i| values[i]).collect() };
        let mse = cubic(sorted(&self.mse));
        let (n, dim, data) = (self.n, self.dim, self.data.clone());
        let Some(errors) = &self.errors else {
            let err = sorted(&self.std_err);
            let near = |&alpha: &f64| {
                let right = x.partition_point(|&left| left < alpha).min(x.len() - 1);
                let (a, b) = (err[right.saturating_sub(1)], err[right]);
                // Not `f64::max`, which leaves out NaN.
                if a.is_nan() || a > b { a } else { b }
            };
            return Ok(Self {
                points: points.clone(),
                mse,
                std_err: points.log_snr.iter().map(near).collect(),
                n,
                dim,
                errors: None,
                data,
            });
        };
        room_for::<f64>("the interpolated errors of all samples", &[n, points.len()])?;
        let mut work = Rounds::new("interpolating", n, 20.0 * n as f64 * points.len() as f64);
        let mut fine = Array2::zeros((n, points.len()));
        for (row, errors) in fine.rows_mut().into_iter().zip(errors.rows()) {
            let values = cubic(order.iter().map(|&i| errors[i]).collect());
            row.into_iter()
                .zip(values)
                .for_each(|(fine, value)| *fine = value);
            work.step()?;
        }
        // The cubic is not linear in its values: that of the means is the curve, and the samples are moved to it.
        let curve = Self::of_errors(points, dim, fine, data)?;
        Ok(curve.with_means(mse))
    }

    /// The same curve with other means, its samples moved along.
    fn with_means(mut self, mse: Vec<f64>) -> Self {
        if let Some(errors) = &mut self.errors {
            let shift: Vec<f64> = mse
                .iter()
                .zip(&self.mse)
                .map(|(to, from)| to - from)
                .collect();
            *errors += &ArrayView1::from(&shift);
        }
        Self { mse, ..self }
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
    use crate::stats::sigmoid;

    fn curve(y: &[f64]) -> MseCurve {
        let points = Quadrature::trapezoid(0.0, (y.len() - 1) as f64, y.len()).unwrap();
        MseCurve::exact(&points, 1, y.to_vec()).unwrap()
    }

    fn at(curve: &MseCurve, low: f64, high: f64, n: usize) -> Result<MseCurve> {
        curve.interpolate(&Quadrature::trapezoid(low, high, n).unwrap())
    }

    #[test]
    fn it_passes_through_its_points_and_stays_between_them() {
        let y = [0.0, 0.1, 0.1, 0.9, 1.0, 0.2];
        let own = curve(&y);
        assert_eq!(own.interpolate(&own.points).unwrap().mse, y);
        let fine = at(&own, 0.0, 5.0, 501).unwrap();
        for (i, value) in fine.mse.iter().enumerate() {
            let left = (i / 100).min(4);
            let (a, b) = (y[left].min(y[left + 1]), y[left].max(y[left + 1]));
            assert!((a - 1e-12..=b + 1e-12).contains(value), "{i}: {value}");
        }
        assert!(fine.is_exact());
    }

    /// Computed by SciPy 1.17, `PchipInterpolator([0, 1, 3, 4], [0, 1, 1.5, 4])`.
    #[test]
    fn it_agrees_with_scipy() {
        let points = Quadrature::through(vec![0.0, 1.0, 3.0, 4.0]).unwrap();
        let own = MseCurve::exact(&points, 1, vec![0.0, 1.0, 1.5, 4.0]).unwrap();
        let at = Quadrature::through(vec![0.3, 0.9, 1.5, 2.9, 3.2, 3.95]).unwrap();
        let known = [
            0.37275,
            0.948_535_714_285_714_3,
            1.151_785_714_285_714_2,
            1.453_285_714_285_713_8,
            1.72,
            3.836_406_25,
        ];
        for (found, known) in own.interpolate(&at).unwrap().mse.iter().zip(known) {
            assert!((found - known).abs() < 1e-12, "{found} {known}");
        }
    }

    #[test]
    fn the_error_falls_with_the_third_power() {
        let normal = |points: &Quadrature| {
            let mse = points.log_snr.iter().map(|&alpha| sigmoid(alpha));
            MseCurve::exact(points, 1, mse.collect()).unwrap()
        };
        let error = |n| {
            let coarse = normal(&Quadrature::trapezoid(-3.0, 3.0, n).unwrap());
            let known = normal(&Quadrature::trapezoid(-3.0, 3.0, 997).unwrap());
            let found = coarse.interpolate(&known.points).unwrap();
            let gaps = found.mse.iter().zip(&known.mse).map(|(a, b)| (a - b).abs());
            gaps.fold(0.0, f64::max)
        };
        assert!(error(13) / error(49) > 40.0, "{} {}", error(13), error(49));
    }

    #[test]
    fn what_was_measured_stays_measured() {
        let points = Quadrature::trapezoid(0.0, 3.0, 4).unwrap();
        let errors = Array2::from_shape_fn((20, 4), |(i, j)| ((i * 7 + j * 3) % 11) as f64);
        let own = MseCurve::of_errors(&points, 1, errors, Some("digest".into())).unwrap();
        let fine = at(&own, 0.0, 3.0, 31).unwrap();
        assert_eq!((fine.n, fine.data.as_deref()), (20, Some("digest")));
        for j in 0..4 {
            assert!((fine.mse[10 * j] - own.mse[j]).abs() < 1e-12);
            assert!((fine.std_err[10 * j] - own.std_err[j]).abs() < 1e-12);
        }
        let mean = fine.errors_at(15).unwrap().mean().unwrap();
        assert!((mean - fine.mse[15]).abs() < 1e-12);
        // Without the samples the errors are still there, and not smaller than on either side.
        let bare = MseCurve {
            errors: None,
            ..own.clone()
        };
        let fine = at(&bare, 0.0, 3.0, 31).unwrap();
        assert_eq!(fine.n, 20);
        assert!(fine.std_err[15] >= own.std_err[1].max(own.std_err[2]));
    }

    #[test]
    fn beyond_its_ends_nothing_is_known() {
        let own = curve(&[0.0, 0.5, 1.0]);
        let error = at(&own, 0.0, 2.1, 9).unwrap_err();
        assert!(error.to_string().contains("2.1"), "{error}");
        assert!(at(&curve(&[0.0, 1.0]), 0.0, 1.0, 3).is_err());
    }
}
