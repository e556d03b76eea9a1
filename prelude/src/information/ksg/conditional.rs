//! Information that is left when a third vector is known.

use ndarray::ArrayView2;

use super::super::Information;
use super::super::check::checked;
use super::super::columns::slices;
use super::super::special::digammas;
use super::{Counts, Ksg};
use crate::error::Result;

impl Ksg {
    /// The conditional mutual information `I(x; y | z)`, in nats.
    ///
    /// ```text
    /// I = ψ(k) + mean(ψ(n_z + 1) − ψ(n_xz + 1) − ψ(n_yz + 1))
    /// ```
    ///
    /// with the counts of [`Ksg`], in the space of `z` alone and of `z` beside `x` or `y`; where values repeat, with
    /// `ψ(m + 1)` for `ψ(k)`, as there.
    ///
    /// # Shapes
    /// `x: [n, d_x]`, `y: [n, d_y]`, `z: [n, d_z]`, paired by row.
    ///
    /// # Errors
    /// As [`Estimator::information`](super::super::Estimator::information), and [`Error::Parameter`](crate::Error) for
    /// algorithm 2, which has no such form here.
    ///
    /// # Paper
    /// Frenzel, Pompe (2007), Phys. Rev. Lett. 99, 204101; where values repeat as in Mesner, Shalizi (2021), IEEE Trans. Inf.
    /// Theory 67, 464.
    ///
    /// # Example: two that depend on nothing but a third
    /// ```
    /// use itd_prelude::information::{Estimator, Ksg};
    /// use itd_prelude::{ndarray::Array2, rng};
    /// use rand::Rng as _;
    /// use rand_distr::StandardNormal;
    ///
    /// let rng = &mut rng::seeded(0);
    /// let mut noise = || -> Array2<f64> { Array2::from_shape_simple_fn((1000, 1), || rng.sample(StandardNormal)) };
    /// let z = noise();
    /// let (x, y) = (&z + &noise(), &z + &noise());
    /// let ksg = Ksg::default();
    /// assert!(ksg.information(x.view(), y.view())?.nats > 0.1); // ½ ln 4/3
    /// let given = ksg.conditional(x.view(), y.view(), z.view())?;
    /// assert!(given.nats.abs() < 4.0 * given.std_err);
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn conditional(
        &self,
        x: ArrayView2<f64>,
        y: ArrayView2<f64>,
        z: ArrayView2<f64>,
    ) -> Result<Information> {
        self.only_one("One: with a third vector there is no second algorithm here")?;
        let seen = checked(&[("x", x), ("y", y), ("z", z)], self.needed()?)?;
        let (x, y, z) = (
            self.scaled("x", x)?,
            self.scaled("y", y)?,
            self.scaled("z", z)?,
        );
        let (x, y, z) = (slices(&x), slices(&y), slices(&z));
        let joint = [&x[..], &y[..], &z[..]].concat();
        let groups = [[&x[..], &z[..]].concat(), [&y[..], &z[..]].concat(), z];
        let Counts { tops, groups } = self.counts(&joint, &groups, seen.repeats)?;
        let n = tops.len();
        let psi = digammas(n);
        let pair = |i: usize| psi[groups[0][i] as usize] + psi[groups[1][i] as usize];
        let value = |i: usize| tops[i] + psi[groups[2][i] as usize] - pair(i);
        Ok(self
            .told((0..n).map(value).collect(), n)
            .warned(seen.told()))
    }
}
