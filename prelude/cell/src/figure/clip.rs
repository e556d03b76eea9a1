//! What of a series lies between the ends of the axes.

type Point = (f64, f64);

/// The ends of both axes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub(super) x: (f64, f64),
    pub(super) y: (f64, f64),
}

impl Frame {
    /// Whether a point lies inside or on the edge.
    pub(super) fn holds(&self, (x, y): Point) -> bool {
        (self.x.0..=self.x.1).contains(&x) && (self.y.0..=self.y.1).contains(&y)
    }

    /// The pieces of a line that lie inside.
    pub(super) fn line(&self, line: &[Point]) -> Vec<Vec<Point>> {
        if line.iter().all(|&point| self.holds(point)) {
            return vec![line.to_vec()];
        }
        let mut pieces: Vec<Vec<Point>> = Vec::new();
        // Whether the last piece ends where the next step begins.
        let mut goes_on = false;
        for step in line.windows(2) {
            let Some((from, to)) = self.step(step[0], step[1]) else {
                goes_on = false;
                continue;
            };
            match pieces.last_mut().filter(|_| goes_on) {
                Some(piece) => piece.push(to),
                None => pieces.push(vec![from, to]),
            }
            goes_on = to == step[1];
        }
        pieces
    }

    /// The part of a step that lies inside.
    fn step(&self, from: Point, to: Point) -> Option<(Point, Point)> {
        let (mut first, mut last) = (0.0, 1.0);
        for (a, b, (low, high)) in [(from.0, to.0, self.x), (from.1, to.1, self.y)] {
            let at = |end: f64| share(a, b, end);
            let (enters, leaves) = match a {
                _ if a < b => (at(low), at(high)),
                _ if a > b => (at(high), at(low)),
                _ if (low..=high).contains(&a) => continue,
                _ => return None,
            };
            first = f64::max(first, enters);
            last = f64::min(last, leaves);
        }
        let at = |share: f64| match share {
            0.0 => from,
            1.0 => to,
            _ => self.clamped(between(from, to, share)),
        };
        (first <= last).then(|| (at(first), at(last)))
    }

    /// What rounding put beyond the edge is on it.
    fn clamped(&self, (x, y): Point) -> Point {
        (x.clamp(self.x.0, self.x.1), y.clamp(self.y.0, self.y.1))
    }

    /// The outline of the part of an area that lies inside. Where the area goes beyond, it runs along the edge.
    pub(super) fn outline(&self, outline: Vec<Point>) -> Vec<Point> {
        if outline.iter().all(|&point| self.holds(point)) {
            return outline;
        }
        let x = |point: Point| point.0;
        let y = |point: Point| point.1;
        let outline = cut(outline, x, |x| x >= self.x.0, self.x.0);
        let outline = cut(outline, x, |x| x <= self.x.1, self.x.1);
        let outline = cut(outline, y, |y| y >= self.y.0, self.y.0);
        let outline = cut(outline, y, |y| y <= self.y.1, self.y.1);
        outline
            .into_iter()
            .map(|point| self.clamped(point))
            .collect()
    }
}

/// An outline without what lies on the other side of an end of an axis (Sutherland and Hodgman).
fn cut(
    outline: Vec<Point>,
    of: impl Fn(Point) -> f64,
    inside: impl Fn(f64) -> bool,
    end: f64,
) -> Vec<Point> {
    let mut kept = Vec::with_capacity(outline.len());
    let before = outline.iter().cycle().skip(outline.len().max(1) - 1);
    for (&from, &to) in before.zip(&outline) {
        let (was, is) = (inside(of(from)), inside(of(to)));
        if was != is {
            kept.push(between(from, to, share(of(from), of(to), end)));
        }
        if is {
            kept.push(to);
        }
    }
    kept
}

/// How far from `a` to `b` an end lies. By halves, since two numbers may be further apart than the largest one.
fn share(a: f64, b: f64, end: f64) -> f64 {
    (end / 2.0 - a / 2.0) / (b / 2.0 - a / 2.0)
}

fn between(from: Point, to: Point, share: f64) -> Point {
    let mix = |a: f64, b: f64| (1.0 - share) * a + share * b;
    (mix(from.0, to.0), mix(from.1, to.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Frame = Frame {
        x: (0.0, 1.0),
        y: (0.0, 1.0),
    };

    #[test]
    fn a_line_leaves_where_it_leaves() {
        assert_eq!(
            FRAME.line(&[(0.0, 0.0), (1.0, 10.0)]),
            [[(0.0, 0.0), (0.1, 1.0)]]
        );
        // Out and in again, as two pieces; what never comes in is not drawn.
        let there_and_back = [(0.0, 0.5), (0.5, 1.5), (1.0, 0.5), (2.0, 0.5), (3.0, 9.0)];
        assert_eq!(
            FRAME.line(&there_and_back),
            [
                vec![(0.0, 0.5), (0.25, 1.0)],
                vec![(0.75, 1.0), (1.0, 0.5), (1.0, 0.5)]
            ]
        );
        assert!(FRAME.line(&[(-1.0, 2.0), (2.0, 2.0)]).is_empty());
        let inside = [(0.0, 0.0), (1.0, 1.0), (0.5, 0.0)];
        assert_eq!(FRAME.line(&inside), [inside]);
        let far = FRAME.line(&[(0.5, -f64::MAX), (0.5, f64::MAX)]);
        assert_eq!(far.len(), 1);
        assert!(far[0].iter().all(|&point| FRAME.holds(point)), "{far:?}");
    }

    #[test]
    fn an_area_runs_along_the_edge() {
        let found = FRAME.outline(vec![(0.0, 0.0), (1.0, 0.0), (1.0, 4.0), (0.0, 4.0)]);
        assert_eq!(found, [(0.0, 1.0), (0.0, 0.0), (1.0, 0.0), (1.0, 1.0)]);
        assert!(
            FRAME
                .outline(vec![(2.0, 2.0), (3.0, 2.0), (3.0, 3.0)])
                .is_empty()
        );
        assert!(FRAME.outline(Vec::new()).is_empty());
        let around = FRAME.outline(vec![(-9.0, -9.0), (9.0, -9.0), (9.0, 9.0), (-9.0, 9.0)]);
        assert!(around.iter().all(|&point| FRAME.holds(point)) && around.len() >= 4);
    }
}
