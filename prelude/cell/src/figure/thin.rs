//! What can be seen of many points: those that others cover are left out.
//!
//! Coordinates are the backend's, [`FINE`](super::svg::FINE) to a pixel. Nothing is left out of a series that is small
//! anyway.

use std::collections::{BTreeSet, HashSet};

use super::svg::FINE;

type At = (i32, i32);

/// As many points or pieces are drawn as they are; they take about 200 KB.
pub(super) const MOST: usize = 20_000;

/// Lines that look like one through all points: of points within one column of pixels, one after the other, only the
/// first, the lowest, the highest and the last can be seen.
pub(super) fn line(points: Vec<At>) -> Vec<Vec<At>> {
    if points.len() <= MOST {
        return vec![points];
    }
    let points = columns(&points);
    if points.len() <= MOST {
        return vec![points];
    }
    // A scribble: pieces that were drawn before, to the pixel or to a few of them, are left out.
    let mut cell = FINE;
    loop {
        let pieces = unlike(&points, cell);
        if pieces.iter().map(Vec::len).sum::<usize>() <= MOST {
            return pieces;
        }
        cell = cell.saturating_mul(2);
    }
}

/// The outline of an area that looks like the one of all points.
pub(super) fn outline(points: Vec<At>) -> Vec<At> {
    if points.len() <= MOST {
        return points;
    }
    let points = columns(&points);
    let step = points.len().div_ceil(MOST);
    points.into_iter().step_by(step).collect()
}

/// Dots that look like all of them: alone, or in a row with no gap from one point to another one.
pub(super) struct Dots {
    pub(super) alone: Vec<At>,
    pub(super) rows: Vec<(At, At)>,
    /// The distance from a row to the next.
    pub(super) cell: i32,
}

/// Dots, put on a grid whose spacing grows until there are few enough of them.
pub(super) fn dots(points: Vec<At>) -> Dots {
    if points.len() <= MOST {
        return Dots {
            alone: points,
            rows: Vec::new(),
            cell: 0,
        };
    }
    let mut cell = FINE / 2;
    loop {
        // By row, then by column.
        let cells: BTreeSet<At> = points
            .iter()
            .map(|&(x, y)| (y.div_euclid(cell), x.div_euclid(cell)))
            .collect();
        let dots = in_rows(&cells, cell);
        if dots.alone.len() + dots.rows.len() <= MOST {
            return dots;
        }
        cell += FINE / 2;
    }
}

fn in_rows(cells: &BTreeSet<At>, cell: i32) -> Dots {
    let middle = |(y, x): At| (x * cell + cell / 2, y * cell + cell / 2);
    let (mut alone, mut rows) = (Vec::new(), Vec::new());
    let mut close = |first: At, last: At| match first == last {
        true => alone.push(middle(first)),
        false => rows.push((middle(first), middle(last))),
    };
    let mut open: Option<(At, At)> = None;
    for &(y, x) in cells {
        open = match open {
            Some((first, last)) if last == (y, x - 1) => Some((first, (y, x))),
            other => {
                if let Some((first, last)) = other {
                    close(first, last);
                }
                Some(((y, x), (y, x)))
            }
        };
    }
    if let Some((first, last)) = open {
        close(first, last);
    }
    Dots { alone, rows, cell }
}

/// Of each run of points in one column of pixels the first, the lowest, the highest and the last, in their order.
fn columns(points: &[At]) -> Vec<At> {
    let mut kept = Vec::new();
    for run in points.chunk_by(|a, b| a.0.div_euclid(FINE) == b.0.div_euclid(FINE)) {
        let by_height = |i: &usize| run[*i].1;
        let ends = [0, run.len() - 1];
        let extremes = [
            (0..run.len()).min_by_key(by_height),
            (0..run.len()).max_by_key(by_height),
        ];
        let wanted: BTreeSet<usize> = ends
            .into_iter()
            .chain(extremes.into_iter().flatten())
            .collect();
        kept.extend(wanted.into_iter().map(|i| run[i]));
    }
    kept
}

/// The pieces of a line on a grid, each drawn once.
fn unlike(points: &[At], cell: i32) -> Vec<Vec<At>> {
    let middle = |&(x, y): &At| {
        let middle = |v: i32| v.div_euclid(cell) * cell + cell / 2;
        (middle(x), middle(y))
    };
    let mut drawn = HashSet::new();
    let mut pieces = Vec::new();
    let mut piece: Vec<At> = Vec::new();
    for at in points.iter().map(middle) {
        match piece.last() {
            None => piece.push(at),
            Some(&last) if last == at => {}
            Some(&last) if drawn.insert((last.min(at), last.max(at))) => piece.push(at),
            Some(_) => {
                pieces.push(std::mem::replace(&mut piece, vec![at]));
            }
        }
    }
    pieces.push(piece);
    pieces.retain(|piece| piece.len() > 1);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that look like chance.
    fn scattered(count: usize, width: i32, height: i32) -> Vec<At> {
        let mut state = 1u64;
        let mut next = |most: i32| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) % most as u64) as i32
        };
        (0..count).map(|_| (next(width), next(height))).collect()
    }

    #[test]
    fn every_dot_is_drawn_and_nothing_else() {
        for count in [30_000, 200_000, 1_000_000] {
            let points = scattered(count, 5600, 3300);
            let dots = dots(points.clone());
            assert!(dots.alone.len() + dots.rows.len() <= MOST);
            let cell = dots.cell;
            assert!(cell <= 4 * FINE, "{count}: {cell}");
            let of = |(x, y): At| (x.div_euclid(cell), y.div_euclid(cell));
            let mut drawn: HashSet<At> = dots.alone.iter().map(|&at| of(at)).collect();
            for &(from, to) in &dots.rows {
                let ((left, y), (right, _)) = (of(from), of(to));
                drawn.extend((left..=right).map(|x| (x, y)));
            }
            assert_eq!(drawn, points.iter().map(|&at| of(at)).collect());
        }
        let few = scattered(MOST, 5600, 3300);
        assert_eq!(dots(few.clone()).alone, few);
    }

    #[test]
    fn a_long_line_keeps_its_extremes_in_each_column() {
        let points: Vec<At> = (0..1_000_000)
            .map(|i| (i / 180, (i * 7919) % 3300))
            .collect();
        let pieces = line(points.clone());
        let [thin] = &pieces[..] else {
            panic!("{} pieces", pieces.len())
        };
        assert!(thin.len() <= 4 * 557);
        let ends = |points: &[At], column: i32| {
            let heights = points.iter().filter(|p| p.0 / FINE == column).map(|p| p.1);
            (heights.clone().min(), heights.max())
        };
        for column in [0, 17, 300, 555] {
            assert_eq!(ends(thin, column), ends(&points, column));
        }
        assert_eq!((thin.first(), thin.last()), (points.first(), points.last()));
    }

    #[test]
    fn a_scribble_is_drawn_once() {
        let pieces = line(scattered(1_000_000, 5600, 3300));
        assert!(pieces.iter().map(Vec::len).sum::<usize>() <= MOST);
        // The same way, forth and back.
        let back = (0..1_000_000).map(|i| if i % 2 == 0 { (0, 0) } else { (5000, 3000) });
        assert_eq!(line(back.collect()).concat().len(), 2);
        assert!(outline(scattered(1_000_000, 5600, 3300)).len() <= MOST);
    }
}
