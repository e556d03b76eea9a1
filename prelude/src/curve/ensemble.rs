//! The best of several denoisers at each noise level.

use std::borrow::Borrow;

use ndarray::Array2;

use super::MseCurve;
use crate::error::{Error, Result};

/// Which of several curves to take at each point.
///
/// Choosing and judging by the same samples is optimistic: at each point the luckiest curve wins. So choose by the
/// curves of a validation split, and apply the choice to those of the test split. Curves are given by value or by
/// reference.
///
/// # Example: chosen on one half, judged on the other
/// ```
/// use itd_prelude::prelude::*;
///
/// # fn main() -> Result<()> {
/// let data = toy::moons(2000, 0)?;
/// let gaussian = data.train.gaussian()?;
/// let points = Logistic::matched(&gaussian)?.quadrature(20)?;
/// let (own, other) = (gaussian.denoiser(&[2])?, Gaussian::standard(2)?.denoiser(&[2])?);
/// let curves = |part| Ok::<_, Error>([mse_curve(&own, part, &points)?, mse_curve(&other, part, &points)?]);
/// let best = Ensemble::choose(&curves(&data.train)?)?.apply(&curves(&data.test)?)?;
/// assert_eq!(best.n, 200);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ensemble {
    /// For each point, the number of the curve with the smallest mean.
    pub index: Vec<usize>,
}

impl Ensemble {
    /// Chooses at each point the curve with the smallest mean; of equals the first.
    ///
    /// # Errors
    /// [`Error::Empty`] without curves, [`Error::Mismatch`] when they differ in points, samples or dimension, or closed
    /// forms are mixed with curves of samples; [`Error::NotFinite`] when an error is NaN.
    pub fn choose<C: Borrow<MseCurve>>(curves: &[C]) -> Result<Self> {
        let curves = &borrowed(curves);
        let first = check(curves)?;
        let mut index = Vec::with_capacity(first.mse.len());
        for j in 0..first.mse.len() {
            let means = curves.iter().map(|curve| curve.mse[j]);
            if let Some(got) = means.clone().find(|mse| !mse.is_finite()) {
                return Err(Error::NotFinite {
                    what: "an error of a curve",
                    got,
                    next: "leave such a curve out",
                });
            }
            let smallest = means.enumerate().min_by(|a, b| a.1.total_cmp(&b.1));
            index.push(smallest.map_or(0, |(number, _)| number));
        }
        Ok(Self { index })
    }

    /// The curve that takes at each point the one that was chosen.
    ///
    /// # Errors
    /// As [`Self::choose`]; [`Error::Mismatch`] also when the choice was made among other curves.
    pub fn apply<C: Borrow<MseCurve>>(&self, curves: &[C]) -> Result<MseCurve> {
        let curves = &borrowed(curves);
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
        let (n, k) = (
            curves.iter().map(|curve| curve.n).max().unwrap_or(0),
            self.index.len(),
        );
        // Kept only if all that was chosen has its samples.
        let kept = chosen().all(|(_, curve)| curve.errors.is_some());
        let errors = kept.then(|| {
            Array2::from_shape_fn((n, k), |(i, j)| {
                let errors = &curves[self.index[j]].errors;
                errors.as_ref().map_or(f64::NAN, |errors| errors[(i, j)])
            })
        });
        Ok(MseCurve {
            points: first.points.clone(),
            mse: chosen().map(|(j, curve)| curve.mse[j]).collect(),
            std_err: chosen().map(|(j, curve)| curve.std_err[j]).collect(),
            n,
            dim: first.dim,
            errors,
            data: curves.iter().find_map(|curve| curve.data.clone()),
        })
    }
}

/// The smallest of several curves at each point, chosen and judged by the same samples, as published.
///
/// It is never above any member, and its mean is optimistic for that, by more than its standard error says:
/// [`Ensemble::choose`] on one set of samples and [`Ensemble::apply`] on another is not.
///
/// # Errors
/// As [`Ensemble::choose`].
///
/// # Paper
/// Kong, Brekelmans, Ver Steeg (2023), arXiv:2302.03792, Sec. 4.
///
/// # Example
/// ```
/// use itd_prelude::{curve::ensemble_as_published, prelude::*};
///
/// # fn main() -> Result<()> {
/// let points = Quadrature::trapezoid(-5.0, 5.0, 50)?;
/// let curve = |variance: f64| Gaussian::new(&[0.0], &[&[variance]])?.curve(&points);
/// let (wide, narrow) = (curve(4.0)?, curve(0.25)?);
/// assert_eq!(ensemble_as_published(&[&wide, &narrow])?.mse, narrow.mse);
/// # Ok(()) }
/// ```
pub fn ensemble_as_published<C: Borrow<MseCurve>>(curves: &[C]) -> Result<MseCurve> {
    Ensemble::choose(curves)?.apply(curves)
}

fn borrowed<C: Borrow<MseCurve>>(curves: &[C]) -> Vec<&MseCurve> {
    curves.iter().map(Borrow::borrow).collect()
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
    // A closed form is the mean over all data of its distribution; the others are of these samples alone. Sample by
    // sample, what is subtracted from one would not be what was added to the other.
    let of_samples = |curve: &&MseCurve| curve.errors.is_some();
    if curves.iter().any(of_samples) && curves.iter().any(|curve| curve.is_exact()) {
        return Err(Error::Mismatch {
            what: "the curves of the ensemble",
            left: "a closed form".into(),
            right: "one measured on samples".into(),
            next: "take the Gaussian's curve on the same samples, by `gaussian.curve_on(&data, &points)`",
        });
    }
    Ok(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logsnr::Quadrature;

    fn measured(mse: [f64; 3], errors: &[f64]) -> MseCurve {
        let points = Quadrature::trapezoid(0.0, 2.0, 3).unwrap();
        let n = errors.len() / 3;
        let errors = (n > 0).then(|| Array2::from_shape_vec((n, 3), errors.to_vec()).unwrap());
        MseCurve {
            n,
            errors,
            ..MseCurve::exact(&points, 1, mse.to_vec()).unwrap()
        }
    }

    #[test]
    fn each_point_takes_the_smallest_with_its_samples() {
        let a = measured([0.1, 0.5, 0.3], &[0.0, 0.4, 0.3, 0.2, 0.6, 0.3]);
        let b = measured([0.2, 0.4, 0.3], &[0.2, 0.4, 0.1, 0.2, 0.4, 0.5]);
        let c = measured([0.9, 0.9, 0.2], &[0.9, 0.9, 0.1, 0.9, 0.9, 0.3]);
        let all = [a, b, c];
        let best = ensemble_as_published(&all).unwrap();
        assert_eq!(best.mse, [0.1, 0.4, 0.2]);
        let errors: Vec<f64> = best.errors.clone().unwrap().into_iter().collect();
        assert_eq!(errors, [0.0, 0.4, 0.1, 0.2, 0.4, 0.3]);
        assert_eq!(Ensemble::choose(&all).unwrap().index, [0, 1, 2]);
        best.check().unwrap();
        // One that was chosen has lost its samples: then the ensemble has none, but is still measured.
        let mut bare = all.clone();
        bare[1].errors = None;
        let best = ensemble_as_published(&bare).unwrap();
        assert!(best.errors.is_none() && best.n == 2);
    }

    #[test]
    fn curves_that_do_not_belong_together_are_refused() {
        let a = measured([0.1, 0.5, 0.3], &[0.0; 6]);
        assert!(ensemble_as_published::<MseCurve>(&[]).is_err());
        assert!(ensemble_as_published(&[a.clone(), measured([0.1; 3], &[0.0; 9])]).is_err());
        let mut moved = a.clone();
        moved.points = Quadrature::trapezoid(0.1, 2.0, 3).unwrap();
        assert!(ensemble_as_published(&[a.clone(), moved]).is_err());
        let elsewhere = |data: &str| MseCurve {
            data: Some(data.into()),
            ..a.clone()
        };
        let error = ensemble_as_published(&[elsewhere("one"), elsewhere("other")]).unwrap_err();
        assert!(error.to_string().contains("the curves' data"), "{error}");
        // The Gaussian's closed form beside a measured curve: its curve on the samples is what belongs there.
        let closed = measured([0.9, 0.9, 0.2], &[]);
        let error = ensemble_as_published(&[a.clone(), closed.clone()]).unwrap_err();
        assert!(error.to_string().contains("curve_on"), "{error}");
        let bare = MseCurve {
            errors: None,
            ..a.clone()
        };
        assert_eq!(ensemble_as_published(&[bare, closed]).unwrap().n, 2);
        let mut lost = a.clone();
        lost.mse[1] = f64::NAN;
        assert!(Ensemble::choose(&[a.clone(), lost]).is_err());
        let choice = Ensemble {
            index: vec![0, 1, 2],
        };
        assert!(choice.apply(&[a.clone(), a]).is_err());
    }
}
