//! Outlines of the regions where a function on a grid is above a level.

use std::collections::BTreeMap;

/// A place between two neighbouring points of the grid: the first point's row and column, and whether the
/// second is below it.
type Crossing = (usize, usize, bool);

/// Closed outlines around `{values > level}`, by marching squares. The region lies to one side all along:
/// holes run the other way round than what they are in.
///
/// `values` holds all `x` for each `y` in turn. Outside of the grid the function is taken to be below.
pub(super) fn outlines(x: &[f64], y: &[f64], values: &[f64], level: f64) -> Vec<Vec<(f64, f64)>> {
    let grid = Padded { x, y, values };
    let (rows, columns) = (y.len() + 2, x.len() + 2);
    let mut next: BTreeMap<Crossing, Crossing> = BTreeMap::new();
    for row in 0..rows - 1 {
        for column in 0..columns - 1 {
            let above = |r, c| grid.value(row + r, column + c) > level;
            let corners = [above(0, 0), above(0, 1), above(1, 1), above(1, 0)];
            // The cell's sides in the order of its corners: side i joins corner i and the next.
            let sides: [Crossing; 4] = [
                (row, column, false),
                (row, column + 1, true),
                (row + 1, column, false),
                (row, column, true),
            ];
            // Going round, the region is entered on one side and left on a later one.
            for enter in (0..4).filter(|&i| !corners[i] && corners[(i + 1) % 4]) {
                let leave = (1..4)
                    .map(|k| (enter + k) % 4)
                    .find(|&i| corners[i] && !corners[(i + 1) % 4]);
                if let Some(leave) = leave {
                    next.insert(sides[leave], sides[enter]);
                }
            }
        }
    }
    let mut loops = Vec::new();
    while let Some((&start, _)) = next.first_key_value() {
        let mut outline = Vec::new();
        let mut at = start;
        while let Some(to) = next.remove(&at) {
            outline.push(grid.place(at, level));
            at = to;
        }
        loops.push(outline);
    }
    loops
}

/// The grid with a border of points below any level, right on its edge.
struct Padded<'a> {
    x: &'a [f64],
    y: &'a [f64],
    values: &'a [f64],
}

impl Padded<'_> {
    fn value(&self, row: usize, column: usize) -> f64 {
        let inside = (1..=self.y.len()).contains(&row) && (1..=self.x.len()).contains(&column);
        match inside {
            true => self.values[(row - 1) * self.x.len() + column - 1],
            false => f64::NEG_INFINITY,
        }
    }

    fn point(&self, row: usize, column: usize) -> (f64, f64) {
        let clamp = |i: usize, v: &[f64]| v[i.saturating_sub(1).min(v.len() - 1)];
        (clamp(column, self.x), clamp(row, self.y))
    }

    /// Where the function passes the level, by linear interpolation.
    fn place(&self, (row, column, down): Crossing, level: f64) -> (f64, f64) {
        let (row2, column2) = if down {
            (row + 1, column)
        } else {
            (row, column + 1)
        };
        let (a, b) = (self.value(row, column), self.value(row2, column2));
        let (from, to) = (self.point(row, column), self.point(row2, column2));
        let share = match (a.is_finite(), b.is_finite()) {
            (true, true) => (level - a) / (b - a),
            (true, false) => 0.0,
            _ => 1.0,
        };
        (
            from.0 + share * (to.0 - from.0),
            from.1 + share * (to.1 - from.1),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Twice the signed area inside of an outline.
    fn twice_area(outline: &[(f64, f64)]) -> f64 {
        let next = outline.iter().cycle().skip(1);
        outline
            .iter()
            .zip(next)
            .map(|(a, b)| a.0 * b.1 - b.0 * a.1)
            .sum()
    }

    fn grid(f: impl Fn(f64, f64) -> f64) -> (Vec<f64>, Vec<f64>) {
        let axis: Vec<f64> = (0..81).map(|i| f64::from(i) * 0.05 - 2.0).collect();
        let values = axis.iter().flat_map(|&y| axis.iter().map(move |&x| (x, y)));
        let values = values.map(|(x, y)| f(x, y)).collect();
        (axis, values)
    }

    #[test]
    fn a_disc_has_its_area() {
        let (axis, values) = grid(|x, y| -(x * x + y * y));
        let loops = outlines(&axis, &axis, &values, -1.0);
        assert_eq!(loops.len(), 1);
        let area = twice_area(&loops[0]).abs() / 2.0;
        assert!((area - std::f64::consts::PI).abs() < 0.01, "{area}");
    }

    #[test]
    fn the_hole_of_a_ring_runs_the_other_way() {
        let (axis, values) = grid(|x, y| -(x.hypot(y) - 1.0).abs());
        let loops = outlines(&axis, &axis, &values, -0.5);
        assert_eq!(loops.len(), 2);
        let areas: Vec<f64> = loops.iter().map(|l| twice_area(l) / 2.0).collect();
        assert!(areas[0] * areas[1] < 0.0);
        let ring = areas.iter().sum::<f64>().abs();
        assert!((ring - 2.0 * std::f64::consts::PI).abs() < 0.02, "{ring}");
    }

    #[test]
    fn what_reaches_the_edge_is_closed_there() {
        let (axis, values) = grid(|_, _| 1.0);
        let loops = outlines(&axis, &axis, &values, 0.0);
        assert_eq!(loops.len(), 1);
        assert!((twice_area(&loops[0]).abs() / 2.0 - 16.0).abs() < 1e-9);
    }
}
