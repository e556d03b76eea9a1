//! Information between a vector and a class.

use std::collections::BTreeMap;

use ndarray::{ArrayView1, ArrayView2};

use super::super::Information;
use super::super::check::checked;
use super::super::columns::slices;
use super::super::special::{digamma, digammas};
use super::Ksg;
use super::search::{self, Path};
use crate::error::{Error, Result};

/// Labels given as numbers, as classes counted from 0 in the order of the numbers.
///
/// # Errors
/// [`Error::Parameter`] for labels that are continuous: more different ones than a tenth of the samples, and more than
/// ten; and for labels that are not finite.
///
/// # Example
/// ```
/// use itd_prelude::information::classes;
/// use itd_prelude::ndarray::{Array1, array};
///
/// assert_eq!(classes(array![5.0, -1.0, 5.0, 2.5].view())?, [2, 0, 2, 1]);
/// assert!(classes(Array1::linspace(0.0, 1.0, 100).view()).is_err());
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn classes(labels: ArrayView1<f64>) -> Result<Vec<u32>> {
    let mut kinds = labels.to_vec();
    kinds.sort_unstable_by(f64::total_cmp);
    kinds.dedup();
    let refused = |got, need| Error::Parameter {
        name: "the labels",
        got,
        need,
    };
    if let Some(bad) = labels.iter().find(|label| !label.is_finite()) {
        return Err(refused(
            format!("{bad} in one place at least"),
            "finite numbers: leave such samples out",
        ));
    }
    if kinds.len() > 10.max(labels.len() / 10) {
        return Err(refused(
            format!("{} different values of {}", kinds.len(), labels.len()),
            "classes, each with ten samples or so: give continuous values as a column of y instead",
        ));
    }
    let class = |label: &f64| kinds.partition_point(|kind| kind < label) as u32;
    Ok(labels.iter().map(class).collect())
}

impl Ksg {
    /// The mutual information between a vector and a class, in nats.
    ///
    /// With `r_i` the distance of sample `i` from the `k`-th neighbour of its own class, `m_i` the samples of all classes
    /// that are nearer than that, and `n_c` the size of its class,
    ///
    /// ```text
    /// I = ψ(n) + mean(ψ(k) − ψ(n_c) − ψ(m_i + 1))
    /// ```
    ///
    /// Where values repeat, the `k`-th of the class may be in the same place, or more than `k` may be as near. Then, with all `m` of the class that are
    /// at most as far, `ψ(m + 1)` stands for `ψ(k)`, and `m_i` counts those as far, too. A class of fewer than `k + 1` samples
    /// takes fewer neighbours; a class of one sample is left out, with a warning.
    /// The information is at most the entropy of the classes; a value above it by more than round-off is warned about.
    ///
    /// # Shapes
    /// `x: [n, d]`, and `n` classes; see [`classes`] for labels given as numbers.
    ///
    /// # Errors
    /// As [`Estimator::information`](super::super::Estimator::information); [`Error::Parameter`] for fewer than two
    /// classes of two samples or more, and for algorithm 2, which has no such form.
    ///
    /// # Paper
    /// Ross (2014), PLoS ONE 9, e87357, equation (4) there.
    ///
    /// # Example: two classes far apart
    /// ```
    /// use itd_prelude::information::Ksg;
    /// use itd_prelude::ndarray::Array2;
    ///
    /// let class: Vec<u32> = (0..400).map(|i| i % 2).collect();
    /// let x = Array2::from_shape_fn((400, 1), |(i, _)| (0.7 * i as f64).sin() + 10.0 * f64::from(class[i]));
    /// let found = Ksg::default().with_classes(x.view(), &class)?;
    /// assert!((found.nats - 2f64.ln()).abs() < 0.01);
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn with_classes(&self, x: ArrayView2<f64>, class: &[u32]) -> Result<Information> {
        self.only_one("One: for classes there is no second algorithm")?;
        let seen = checked(&[("x", x)], self.needed()?)?;
        let (repeats, mut warnings) = (seen.repeats, seen.told_of_counts());
        self.check_classes(x.nrows(), class)?;
        let members = members(class);
        let alone: Vec<&Vec<usize>> = members.iter().filter(|own| own.len() < 2).collect();
        if !alone.is_empty() {
            warnings.push(format!(
                "{} classes have one sample only and are left out",
                alone.len()
            ));
        }
        let kept: Vec<Vec<usize>> = members.into_iter().filter(|own| own.len() > 1).collect();
        if kept.len() < 2 {
            return Err(Error::Parameter {
                name: "the classes",
                got: format!("{} with two samples or more", kept.len()),
                need: "two or more with two samples each: one class tells nothing",
            });
        }
        let found = self.of_members(x, &kept, repeats)?;
        Ok(found.warned(warnings))
    }

    fn check_classes(&self, rows: usize, class: &[u32]) -> Result<()> {
        if class.len() != rows {
            return Err(Error::Mismatch {
                what: "the samples, which are paired by row,",
                left: format!("{rows} rows of x"),
                right: format!("{} classes", class.len()),
                next: "give one class for each row",
            });
        }
        Ok(())
    }

    /// The information of the samples in these classes, which are in the order of their rows there.
    fn of_members(
        &self,
        x: ArrayView2<f64>,
        members: &[Vec<usize>],
        repeats: bool,
    ) -> Result<Information> {
        let mut kept: Vec<usize> = members.concat();
        kept.sort_unstable();
        let x = self.scaled("x", x.select(ndarray::Axis(0), &kept).view())?;
        let n = kept.len();
        let place: BTreeMap<usize, usize> =
            kept.iter().enumerate().map(|(p, &row)| (row, p)).collect();
        let (mut radii, mut tops) = (vec![0.0; n], vec![0.0; n]);
        for rows in members {
            let places: Vec<usize> = rows.iter().map(|row| place[row]).collect();
            let k = self.neighbours.min(rows.len() - 1);
            let own: Vec<Vec<f64>> = slices(&x)
                .iter()
                .map(|all| places.iter().map(|&p| all[p]).collect())
                .collect();
            let own: Vec<&[f64]> = own.iter().map(Vec::as_slice).collect();
            let size = rows.len();
            // One more, to see whether it is as near as the last.
            let more = if repeats { (k + 1).min(size - 1) } else { k };
            let nearest = search::nearest(&own, more, Path::to_search(size, own.len()))?;
            let top = digamma(n as f64) - digamma(size as f64);
            let mut shared = vec![0.0; size];
            for (i, (found, &p)) in nearest.iter().zip(&places).enumerate() {
                let radius = found[k - 1].0;
                (radii[p], tops[p]) = (radius, top + digamma(k as f64));
                if radius == 0.0 || found.get(k).is_some_and(|next| next.0 == radius) {
                    shared[i] = radius.next_up();
                }
            }
            if shared.iter().any(|radius| *radius > 0.0) {
                let others = search::count(&own, &shared, Path::to_count(size, own.len()))?;
                for i in (0..size).filter(|&i| shared[i] > 0.0) {
                    let p = places[i];
                    (radii[p], tops[p]) = (shared[i], top + digamma(f64::from(others[i] + 1)));
                }
            }
        }
        let counts = search::count(&slices(&x), &radii, Path::to_count(n, x.ncols()))?;
        let psi = digammas(n);
        let value = |(&count, top): (&u32, &f64)| top - psi[count as usize + 1];
        let found = Information::of_samples(counts.iter().zip(&tops).map(value).collect());
        Ok(above_entropy(
            found.with("neighbours", self.neighbours as f64),
            members,
        ))
    }
}

/// The rows of each class.
fn members(class: &[u32]) -> Vec<Vec<usize>> {
    let mut members: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (row, &class) in class.iter().enumerate() {
        members.entry(class).or_default().push(row);
    }
    members.into_values().collect()
}

/// Warns of what no information about a class can be.
fn above_entropy(found: Information, members: &[Vec<usize>]) -> Information {
    let n = members.iter().map(Vec::len).sum::<usize>() as f64;
    let share = |own: &Vec<usize>| own.len() as f64 / n;
    let entropy: f64 = members.iter().map(share).map(|p| -p * p.ln()).sum();
    let above = (found.nats > entropy * (1.0 + 1e-9)).then(|| {
        format!(
            "{:.4} nats are more than the classes have: their entropy is {entropy:.4}",
            found.nats
        )
    });
    found.with("entropy of the classes", entropy).warned(above)
}
