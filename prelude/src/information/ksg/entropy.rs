//! Differential entropy from the distances of neighbours.

use ndarray::ArrayView2;

use super::super::check::checked;
use super::super::columns::{by_column, slices};
use super::super::maps::standardised;
use super::super::special::digamma;
use super::Ksg;
use super::search::{self, Path};
use crate::error::{Error, Result};
use crate::estimate::Estimate;
use crate::stats;

impl Ksg {
    /// The differential entropy `h(x)` in nats, by the distance `r_i` of each sample from its `k`-th neighbour in the
    /// maximum norm:
    ///
    /// ```text
    /// h = ψ(n) − ψ(k) + d · mean ln 2r_i
    /// ```
    ///
    /// Use it up to four or five dimensions; beyond, a denoiser's curve is closer
    /// ([`nll`](crate::curve::MseCurve::nll)). Columns are scaled to unit variance for the distances, and the value is
    /// that of the columns as they are.
    ///
    /// # Errors
    /// As [`Estimator::information`](super::super::Estimator::information), and [`Error::Missing`] when a sample has `k`
    /// others in the same place: the density is infinite there.
    ///
    /// # Paper
    /// Kozachenko, Leonenko (1987), Probl. Inf. Transm. 23, 95; in this form Kraskov, Stögbauer, Grassberger (2004),
    /// Phys. Rev. E 69, 066138, equation (20).
    ///
    /// # Example: a uniform number between 0 and 4
    /// ```
    /// use itd_prelude::information::Ksg;
    /// use itd_prelude::ndarray::Array2;
    /// use itd_prelude::rng;
    /// use rand::Rng as _;
    ///
    /// let rng = &mut rng::seeded(0);
    /// let x: Array2<f64> = Array2::from_shape_simple_fn((2000, 1), || rng.random_range(0.0..4.0));
    /// let found = Ksg::default().entropy(x.view())?;
    /// assert!(found.within(4f64.ln(), 4.0).holds, "{found}");
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn entropy(&self, x: ArrayView2<f64>) -> Result<Estimate> {
        checked(&[("x", x)], self.needed()?)?;
        let (n, d) = x.dim();
        let columns = x.columns().into_iter();
        let units: f64 = columns
            .map(|column| 0.5 * stats::variance(&column.to_vec()).ln())
            .sum();
        let scaled = standardised(&by_column("x", x)?);
        let joint = slices(&scaled);
        let nearest = search::nearest(&joint, self.neighbours, Path::to_search(n, d))?;
        let mut each = Vec::with_capacity(n);
        let top = digamma(n as f64) - digamma(self.neighbours as f64) + units;
        for (row, found) in nearest.iter().enumerate() {
            let radius = found[self.neighbours - 1].0;
            if !(radius > 0.0) {
                return Err(Error::Missing {
                    what: format!("row {row} has {} others in the same place", self.neighbours),
                    next: "values on a grid have no density: add noise as wide as its steps, or count them",
                });
            }
            each.push(top + d as f64 * (2.0 * radius).ln());
        }
        let (nats, std_err) = (stats::mean(&each), stats::std_err(&each));
        Ok(Estimate::new(nats, std_err, n).of_dim(d))
    }
}
