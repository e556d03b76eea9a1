//! Two vectors that are jointly Student-t.

use statrs::function::gamma::digamma;

use super::{Base, Normal, draw};
use crate::error::{Error, Result};
use crate::rng::Rng;

/// Vectors `x` and `y` whose joint distribution is a multivariate Student-t: a [`Normal`] whose deviation from the mean
/// is multiplied by `√(ν/χ²_ν)`, one number for all coordinates.
///
/// Where the normal's coordinates are independent these are not: each tells how large the others are. The tails are
/// long; below `ν = 2` there is no variance, at 1 no mean.
///
/// ```text
/// I(x; y) = I_normal + h(dim_x) + h(dim_y) − h(dim_x + dim_y)
/// h(k) = −ln Γ((ν+k)/2) + ln Γ(ν/2) + (k/2) ln νπ + ((ν+k)/2) [ψ((ν+k)/2) − ψ(ν/2)]
/// ln t_k(v) = ln Γ((ν+k)/2) − ln Γ(ν/2) − (k/2) ln νπ − ½ ln|Σ| − ((ν+k)/2) ln(1 + vᵀΣ⁻¹v/ν)
/// ```
///
/// # Paper
/// Arellano-Valle, Contreras-Reyes, Genton, Scandinavian Journal of Statistics 40 (2013), equation (7) for `h`.
///
/// # Example
/// ```
/// use itd_prelude::task::{Base, Normal, Student};
///
/// let student = Student::new(Normal::pairs((1, 1), &[])?, 1.0)?;
/// assert!(student.nats().is_some_and(|nats| (nats - 0.22417).abs() < 1e-5));
/// # Ok::<(), itd_prelude::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Student {
    normal: Normal,
    dof: f64,
    /// What the logarithms of the densities have besides those of the samples.
    constant: f64,
    nats: f64,
}

impl Student {
    /// The mean and the covariance of a normal become location and dispersion.
    ///
    /// # Errors
    /// [`Error::Parameter`] unless there are from 0.5 to 10⁶ degrees of freedom. With fewer the samples leave what `f64`
    /// can hold; with more it is the normal itself.
    pub fn new(normal: Normal, dof: f64) -> Result<Self> {
        if !(0.5..=1e6).contains(&dof) {
            return Err(Error::Parameter {
                name: "the degrees of freedom",
                got: dof.to_string(),
                need: "from 0.5 to 1e6; for more, take the normal itself",
            });
        }
        let (dim_x, dim_y) = normal.dims();
        let half = |k: usize| 0.5 * (dof + k as f64);
        let all = dim_x + dim_y;
        let constant = libm::lgamma(half(all)) + libm::lgamma(half(0))
            - libm::lgamma(half(dim_x))
            - libm::lgamma(half(dim_y));
        let term = |k: usize| half(k) * (digamma(half(k)) - digamma(half(0)));
        let nats = normal.information() + constant + term(dim_x) + term(dim_y) - term(all);
        Ok(Self {
            normal,
            dof,
            constant,
            nats,
        })
    }
}

impl Base for Student {
    fn dims(&self) -> (usize, usize) {
        self.normal.dims()
    }

    fn draw(&self, rng: &mut Rng, xy: &mut [f64]) {
        let scale = (self.dof / draw::chi_squared(rng, self.dof)).sqrt();
        self.normal.deviate(rng, xy);
        for (value, mean) in xy.iter_mut().zip(self.normal.mean()) {
            *value = mean + scale * *value;
        }
    }

    fn log_ratio(&self, x: &[f64], y: &[f64]) -> f64 {
        let [of_x, of_y, both] = self.normal.squares(x, y);
        let log = |k: usize, square: f64| 0.5 * (self.dof + k as f64) * (square / self.dof).ln_1p();
        let tails = log(x.len(), of_x) + log(y.len(), of_y) - log(x.len() + y.len(), both);
        self.normal.information() + self.constant + tails
    }

    fn nats(&self) -> Option<f64> {
        Some(self.nats)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::stream;

    #[test]
    fn many_degrees_of_freedom_are_the_normal() {
        let normal = Normal::dense((2, 3), 0.5).unwrap();
        let student = Student::new(normal.clone(), 1e6).unwrap();
        assert!((student.nats - normal.information()).abs() < 1e-5);
        let (mut rng, mut xy) = (stream(0, "test"), [0.0; 5]);
        for _ in 0..100 {
            student.draw(&mut rng, &mut xy);
            let (x, y) = xy.split_at(2);
            assert!((student.log_ratio(x, y) - normal.log_ratio(x, y)).abs() < 1e-3);
        }
    }

    #[test]
    fn bad_degrees_of_freedom_are_refused() {
        for dof in [0.0, -1.0, 0.4, 1e7, f64::NAN, f64::INFINITY] {
            let normal = Normal::pairs((1, 1), &[]).unwrap();
            assert!(Student::new(normal, dof).is_err(), "{dof}");
        }
    }
}
