//! Ranks, and scores in their place.

use faer::Mat;
use rayon::prelude::*;

use super::super::columns::{column, from_columns};

/// The ranks of each column.
pub(in super::super) struct Ranks(Vec<Line>);

/// For each value the first and the last rank of those equal to it.
pub(super) struct Line(Vec<(u32, u32)>);

impl Ranks {
    pub fn of(x: &Mat<f64>) -> Self {
        let line = |j| Line::of(column(x.as_ref(), j));
        Self((0..x.ncols()).into_par_iter().map(line).collect())
    }

    /// Each column's smallest value replaced by the first score, and so on.
    pub fn scored(&self, scores: &[f64]) -> Mat<f64> {
        from_columns(
            &self
                .0
                .par_iter()
                .map(|line| line.scored(scores))
                .collect::<Vec<_>>(),
        )
    }
}

impl Line {
    pub fn of(values: &[f64]) -> Self {
        let mut order: Vec<(f64, u32)> = values.iter().copied().zip(0..).collect();
        order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let mut ranks = vec![(0, 0); values.len()];
        let mut first = 0;
        for tied in order.chunk_by(|a, b| a.0 == b.0) {
            let last = first + tied.len() as u32 - 1;
            tied.iter()
                .for_each(|&(_, i)| ranks[i as usize] = (first, last));
            first = last + 1;
        }
        Self(ranks)
    }

    /// The smallest value becomes the first score, and so on; equal values all get the mean of theirs, so that their
    /// order tells nothing.
    pub fn scored(&self, scores: &[f64]) -> Vec<f64> {
        let score = |&(first, last): &(u32, u32)| {
            let own = &scores[first as usize..=last as usize];
            if let [one] = own {
                *one
            } else {
                crate::stats::mean(own)
            }
        };
        self.0.iter().map(score).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_share_a_score() {
        let line = Line::of(&[3.0, 1.0, 3.0, 2.0]);
        assert_eq!(line.scored(&[-3.0, -1.0, 1.0, 3.0]), [2.0, -3.0, 2.0, -1.0]);
    }
}
