//! Rows that become columns.

use rayon::prelude::*;

use super::lanes::{LANES, Lanes, Work, widest};
use super::shared::written;

/// The matrix with rows of `width` turned.
pub(super) fn turn(from: &[f32], width: usize) -> Vec<f32> {
    if from.is_empty() {
        return Vec::new();
    }
    let rows = from.len() / width;
    let fill = |to: &mut [f32]| {
        // Some columns at a time, so that each line of the cache that is read serves them all.
        to.par_chunks_mut(LANES * rows)
            .enumerate()
            .with_min_len(1 + 1024 / rows)
            .for_each(|(i, to)| {
                widest(Turn {
                    from: &from[i * LANES..],
                    along: width,
                    columns: to.len() / rows,
                    rows,
                    to,
                    across: rows,
                });
            });
    };
    // SAFETY: each number has its place.
    unsafe { written(from.len(), fill) }.0
}

/// Takes `rows` rows of `columns` numbers, which lie `along` apart, to columns: the rows of what comes out lie
/// `across` apart.
pub(super) struct Turn<'a> {
    pub(super) from: &'a [f32],
    pub(super) along: usize,
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) to: &'a mut [f32],
    pub(super) across: usize,
}

impl Work for Turn<'_> {
    type Out = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        for column in (0..self.columns).step_by(LANES) {
            let columns = LANES.min(self.columns - column);
            for row in (0..self.rows).step_by(LANES) {
                let rows = LANES.min(self.rows - row);
                let mut square = [L::all(0.0); LANES];
                for (i, lanes) in square.iter_mut().enumerate().take(rows) {
                    let at = (row + i) * self.along + column;
                    *lanes = L::load_part(&self.from[at..at + columns]);
                }
                let turned = L::turned(square);
                for (i, lanes) in turned.into_iter().enumerate().take(columns) {
                    let at = (column + i) * self.across + row;
                    lanes.store_part(&mut self.to[at..at + rows]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_columns() {
        for (rows, width) in [(37, 21), (1, 5), (16, 32), (300, 7)] {
            let from: Vec<f32> = (0..rows * width).map(|i| i as f32).collect();
            let to = turn(&from, width);
            for (i, x) in from.iter().enumerate() {
                assert_eq!(to[i % width * rows + i / width], *x);
            }
        }
        assert!(turn(&[], 0).is_empty());
    }

    #[test]
    fn what_lies_between_the_rows_stays() {
        let from: Vec<f32> = (0..60).map(|i| i as f32).collect();
        let mut to = [-1.0; 3 * 7];
        widest(Turn {
            from: &from,
            along: 12,
            rows: 5,
            columns: 3,
            to: &mut to,
            across: 7,
        });
        for (i, to) in to.iter().enumerate() {
            let (column, row) = (i / 7, i % 7);
            let known = if row < 5 {
                (row * 12 + column) as f32
            } else {
                -1.0
            };
            assert_eq!(*to, known);
        }
    }
}
