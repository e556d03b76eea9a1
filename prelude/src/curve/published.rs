//! The paper's own curves on CIFAR-10.

use super::MseCurve;
use crate::error::Result;
use crate::logsnr::Quadrature;

/// Numbers in a CIFAR-10 image.
pub const CIFAR10_DIM: usize = 3072;

/// Images behind the paper's curves.
pub const CIFAR10_TEST_IMAGES: usize = 10_000;

/// Entropy of the Gaussian with the covariance of CIFAR-10, in nats: −2.4695 bits per dimension.
pub const CIFAR10_GAUSSIAN_ENTROPY: f64 = -5258.48;

/// A curve of the paper: the squared error of a network on the 10,000 test images of CIFAR-10.
///
/// Read off the points of the vector figures that come with the published code, at 15 values of the log-SNR
/// from −4 to 18, to four digits per dimension. The pixels are on [−1, 1] with 256 levels.
///
/// # Source
/// Kong, Brekelmans, Ver Steeg (2023), arXiv:2302.03792, Figs. 2 and 3: `cont_density.pdf` and
/// `disc_density.pdf` in `github.com/kxh001/ITdiffusion` (commit 36f2c0b).
///
/// # Example: a network beats the Gaussian, until it is asked what it never learned
/// ```
/// use itd_prelude::curve::Published;
///
/// let (gaussian, ddpm) = (Published::Gaussian.curve()?, Published::Ddpm.curve()?);
/// assert!(ddpm.mse[5] < gaussian.mse[5] && ddpm.mse[14] > gaussian.mse[14]);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Published {
    /// The Gaussian's own curve, `f_Σ`.
    Gaussian,
    /// Ho et al.'s network.
    Ddpm,
    /// Nichol and Dhariwal's network.
    Iddpm,
    /// DDPM, tuned with the loss of Eq. 15.
    DdpmTuned,
    /// IDDPM, tuned with the loss of Eq. 15.
    IddpmTuned,
    /// DDPM, softly rounded.
    DdpmRounded,
    /// IDDPM, softly rounded.
    IddpmRounded,
    /// DDPM, tuned and softly rounded.
    DdpmTunedRounded,
    /// IDDPM, tuned and softly rounded.
    IddpmTunedRounded,
}

impl Published {
    /// All curves, in the order of the paper's figures.
    pub const ALL: [Self; 9] = [
        Self::Gaussian,
        Self::Ddpm,
        Self::Iddpm,
        Self::DdpmTuned,
        Self::IddpmTuned,
        Self::DdpmRounded,
        Self::IddpmRounded,
        Self::DdpmTunedRounded,
        Self::IddpmTunedRounded,
    ];

    /// The name that the paper's tables use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gaussian => "Gaussian",
            Self::Ddpm => "DDPM",
            Self::Iddpm => "IDDPM",
            Self::DdpmTuned => "DDPM (tune)",
            Self::IddpmTuned => "IDDPM (tune)",
            Self::DdpmRounded => "DDPM, rounded",
            Self::IddpmRounded => "IDDPM, rounded",
            Self::DdpmTunedRounded => "DDPM (tune), rounded",
            Self::IddpmTunedRounded => "IDDPM (tune), rounded",
        }
    }

    /// The curve at its 15 points, with the weights of the trapezoid rule between them. Integrate it
    /// [at finer points](MseCurve::interpolate).
    ///
    /// It was measured on [`CIFAR10_TEST_IMAGES`] images, and its errors were not told: `std_err` is NaN, but for the
    /// Gaussian's own curve, which is a closed form.
    ///
    /// # Errors
    /// None in fact: the table is sound.
    pub fn curve(self) -> Result<MseCurve> {
        let points = Quadrature::through(TABLE.iter().map(|row| row.0).collect())?;
        let dim = CIFAR10_DIM as f64;
        let mse = TABLE.iter().map(|row| dim * row.1[self as usize]).collect();
        let exact = MseCurve::exact(&points, CIFAR10_DIM, mse)?;
        Ok(match self {
            Self::Gaussian => exact,
            _ => MseCurve {
                n: CIFAR10_TEST_IMAGES,
                std_err: vec![f64::NAN; TABLE.len()],
                ..exact
            },
        })
    }

    /// Several curves at finer points.
    ///
    /// # Errors
    /// As [`MseCurve::interpolate`].
    ///
    /// # Example
    /// ```
    /// use itd_prelude::{curve::Published, logsnr::Quadrature};
    ///
    /// let fine = Quadrature::trapezoid(-4.0, 18.0, 200)?;
    /// let [gaussian, ddpm] = Published::curves_at([Published::Gaussian, Published::Ddpm], &fine)?;
    /// assert!(ddpm.crossings(&gaussian)?.last().is_some_and(|alpha| (12.0..14.0).contains(alpha)));
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn curves_at<const N: usize>(
        which: [Self; N],
        points: &Quadrature,
    ) -> Result<[MseCurve; N]> {
        let curves = which.map(|one| one.curve()?.interpolate(points));
        let mut found = Vec::with_capacity(N);
        for curve in curves {
            found.push(curve?);
        }
        found.try_into().map_err(|_| crate::error::Error::Empty {
            what: "the list of curves",
        })
    }
}

/// Log-SNR, and the error per dimension of each of [`Published::ALL`].
#[rustfmt::skip]
const TABLE: [(f64, [f64; 9]); 15] = [
    (-4.0, [0.0029, 0.0029, 0.0029, 0.0034, 0.0029, 0.0037, 0.0039, 0.0036, 0.0039]),
    (-2.0, [0.0115, 0.0102, 0.0103, 0.0114, 0.0104, 0.0216, 0.0214, 0.0217, 0.0214]),
    (0.0, [0.0409, 0.0298, 0.0303, 0.0325, 0.0305, 0.0912, 0.0914, 0.0921, 0.0912]),
    (2.0, [0.1176, 0.0721, 0.0731, 0.0756, 0.0730, 0.1314, 0.1318, 0.1344, 0.1317]),
    (4.0, [0.2628, 0.1517, 0.1519, 0.1558, 0.1523, 0.1780, 0.1783, 0.1820, 0.1783]),
    (6.0, [0.4598, 0.2818, 0.2759, 0.2857, 0.2765, 0.2947, 0.2888, 0.2987, 0.2893]),
    (8.0, [0.6690, 0.4578, 0.4060, 0.4558, 0.4071, 0.4634, 0.4123, 0.4617, 0.4136]),
    (9.0, [0.7669, 0.5583, 0.4678, 0.5418, 0.4691, 0.5622, 0.4717, 0.5457, 0.4733]),
    (10.0, [0.8522, 0.6672, 0.5434, 0.6291, 0.5441, 0.6693, 0.5457, 0.6313, 0.5465]),
    (11.0, [0.9176, 0.7987, 0.6434, 0.7250, 0.6421, 0.7971, 0.6392, 0.7226, 0.6385]),
    (12.0, [0.9602, 0.9143, 0.7617, 0.8260, 0.7545, 0.7346, 0.5436, 0.6254, 0.5372]),
    (13.0, [0.9830, 1.0006, 0.8753, 0.9053, 0.8536, 0.1997, 0.1235, 0.1411, 0.1180]),
    (14.0, [0.9932, 1.0583, 0.9653, 0.9481, 0.9142, 0.0023, 0.0010, 0.0009, 0.0008]),
    (16.0, [0.9990, 1.1179, 1.0716, 0.9854, 0.9591, 0.0, 0.0, 0.0, 0.0]),
    (18.0, [0.9998, 1.1405, 1.1146, 1.0024, 0.9821, 0.0, 0.0, 0.0, 0.0]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_columns_go_together() {
        for (i, which) in Published::ALL.into_iter().enumerate() {
            assert_eq!(which as usize, i);
            let curve = which.curve().unwrap();
            curve.check().unwrap();
            assert_eq!(curve.mse[4], 3072.0 * TABLE[4].1[i]);
            assert_eq!(which.name().contains("IDDPM"), [2, 4, 6, 8].contains(&i));
        }
        let length: f64 = Published::Ddpm.curve().unwrap().points.integrate(|_| 1.0);
        assert!((length - 22.0).abs() < 1e-12);
    }
}
