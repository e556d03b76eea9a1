//! The best of several denoisers at each noise level.

use crate::error::{Error, Result};
use crate::mmse::MseCurve;

/// Which of several curves to take at each point.
///
/// Choosing and judging by the same samples is optimistic: at each point the luckiest curve wins. So choose on
/// a validation split and apply the choice to the test split.
///
/// # Example: chosen on one half, judged on the other
/// ```
/// use itd_prelude::{data, ensemble::Choice, logsnr::LogisticLogSnr, mmse, net::exact::Gaussian};
///
/// let data = data::moons(2000, 0)?;
/// let spectrum = data.train.spectrum()?;
/// let points = LogisticLogSnr::from_spectrum(&spectrum)?.quadrature(20)?;
/// let own = Gaussian::new(&spectrum, &[2])?;
/// let other = Gaussian::new(&data::Spectrum::standard(2)?, &[2])?;
/// let curves = |part| Ok::<_, itd_prelude::Error>([
///     mmse::mse_curve(&own, part, &points)?,
///     mmse::mse_curve(&other, part, &points)?,
/// ]);
/// let ([a, b], [c, d]) = (curves(&data.train)?, curves(&data.test)?);
/// let choice = Choice::of(&[&a, &b])?;
/// let best = choice.apply(&[&c, &d])?;
/// assert_eq!(best.mse[7], if choice.index[7] == 0 { c.mse[7] } else { d.mse[7] });
/// # Ok::<(), itd_prelude::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// For each point, the number of the curve with the smallest mean.
    pub index: Vec<usize>,
}

impl Choice {
    /// Chooses at each point the curve with the smallest mean; of equals the first.
    ///
    /// # Errors
    /// [`Error::Empty`] without curves, [`Error::Mismatch`] when they differ in points, samples or dimension.
    pub fn of(curves: &[&MseCurve]) -> Result<Self> {
        let first = check(curves)?;
        let smallest = |j: usize| {
            let numbers = 0..curves.len();
            numbers
                .min_by(|&a, &b| curves[a].mse[j].total_cmp(&curves[b].mse[j]))
                .unwrap_or(0)
        };
        Ok(Self {
            index: (0..first.mse.len()).map(smallest).collect(),
        })
    }

    /// The curve that takes at each point the one that was chosen.
    ///
    /// # Errors
    /// As [`Self::of`]; [`Error::Mismatch`] also when the choice was made among other curves.
    pub fn apply(&self, curves: &[&MseCurve]) -> Result<MseCurve> {
        let first = check(curves)?;
        let most = self.index.iter().max().copied().unwrap_or(0);
        if self.index.len() != first.mse.len() || most >= curves.len() {
            return Err(Error::Mismatch {
                what: "the choice and the curves",
                left: format!("{} points, curve {most}", self.index.len()),
                right: format!("{} points, {} curves", first.mse.len(), curves.len()),
                next: "give the same curves in the same order, at the same points",
            });
        }
        let chosen = || self.index.iter().enumerate().map(|(j, &c)| (j, curves[c]));
        let n = curves.iter().map(|curve| curve.n).max().unwrap_or(0);
        let k = self.index.len();
        let value = |i: usize, j: usize, curve: &MseCurve| match curve.n {
            0 => curve.mse[j] as f32,
            _ => curve.errors[i * k + j],
        };
        Ok(MseCurve {
            mse: chosen().map(|(j, curve)| curve.mse[j]).collect(),
            std_err: chosen().map(|(j, curve)| curve.std_err[j]).collect(),
            errors: (0..n)
                .flat_map(|i| chosen().map(move |(j, curve)| value(i, j, curve)))
                .collect(),
            n,
            ..first.clone()
        })
    }
}

/// The smallest of several curves at each point, chosen and judged by the same samples, as published.
///
/// It is never above any member, and its mean is optimistic for that: with [`Choice`] one set of samples
/// chooses and another judges; [`bootstrap`](crate::likelihood::bootstrap) gives its error.
///
/// # Errors
/// As [`Choice::of`].
///
/// # Paper
/// Kong, Brekelmans, Ver Steeg (2023), arXiv:2302.03792, Sec. 4.
///
/// # Example
/// ```
/// use itd_prelude::{data::Spectrum, ensemble::ensemble, logsnr::LogSnr, mmse::gaussian_curve};
///
/// let points = LogSnr::trapezoid(-5.0, 5.0, 50)?;
/// let curve = |variance| gaussian_curve(&Spectrum::new(vec![0.0], &[vec![variance]])?, &points);
/// let (wide, narrow) = (curve(4.0)?, curve(0.25)?);
/// assert_eq!(ensemble(&[&wide, &narrow])?.mse, narrow.mse);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn ensemble(curves: &[&MseCurve]) -> Result<MseCurve> {
    Choice::of(curves)?.apply(curves)
}

fn check<'a>(curves: &[&'a MseCurve]) -> Result<&'a MseCurve> {
    let Some(&first) = curves.first() else {
        return Err(Error::Empty {
            what: "the list of curves",
        });
    };
    // Each against each: two may differ in their samples where the first is a closed form.
    for (i, one) in curves.iter().enumerate() {
        for other in &curves[i..] {
            one.check_like(other)?;
        }
    }
    Ok(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Spectrum;
    use crate::logsnr::LogSnr;
    use crate::mmse::gaussian_curve;

    fn measured(mse: [f64; 3], errors: &[f32]) -> MseCurve {
        let points = LogSnr::trapezoid(0.0, 2.0, 3).unwrap();
        let shape = gaussian_curve(&Spectrum::standard(1).unwrap(), &points).unwrap();
        MseCurve {
            mse: mse.to_vec(),
            errors: errors.to_vec(),
            n: errors.len() / 3,
            ..shape
        }
    }

    #[test]
    fn each_point_takes_the_smallest_with_its_samples() {
        let a = measured([0.1, 0.5, 0.3], &[0.0, 0.4, 0.3, 0.2, 0.6, 0.3]);
        let b = measured([0.2, 0.4, 0.3], &[0.2, 0.4, 0.1, 0.2, 0.4, 0.5]);
        let closed = measured([0.9, 0.9, 0.2], &[]);
        let best = ensemble(&[&a, &b, &closed]).unwrap();
        assert_eq!(best.mse, [0.1, 0.4, 0.2]);
        assert_eq!(best.errors, [0.0, 0.4, 0.2, 0.2, 0.4, 0.2]);
        assert_eq!(Choice::of(&[&a, &b, &closed]).unwrap().index, [0, 1, 2]);
        best.check().unwrap();
    }

    #[test]
    fn curves_that_do_not_belong_together_are_refused() {
        let a = measured([0.1, 0.5, 0.3], &[0.0; 6]);
        assert!(ensemble(&[]).is_err());
        assert!(ensemble(&[&a, &measured([0.1; 3], &[0.0; 9])]).is_err());
        let mut moved = a.clone();
        moved.log_snr[0] -= 1.0;
        assert!(ensemble(&[&a, &moved]).is_err());
        let choice = Choice {
            index: vec![0, 1, 2],
        };
        assert!(choice.apply(&[&a, &a]).is_err());
    }
}
