//! Points in tiles of sixteen, column by column within a tile: what a processor's vectors like.

use std::ops::Range;

#[cfg(target_arch = "x86_64")]
use super::wide;

/// Points in a tile.
pub(super) const TILE: usize = 16;
/// Columns after which a tile is looked at, whether any of its points is still near enough.
const LOOK: usize = 8;

/// Points, sixteen to a tile.
pub(super) struct Tiles {
    pub dim: usize,
    /// `[tiles, dim, TILE]`; places without a point hold infinity, which is far from everything.
    values: Vec<f64>,
    /// The number of the point in each place.
    pub index: Vec<u32>,
}

/// The number in a place without a point.
pub(super) const NONE: u32 = u32::MAX;

impl Tiles {
    pub fn with_room(dim: usize, tiles: usize) -> Self {
        Self {
            dim,
            values: Vec::with_capacity(tiles * dim * TILE),
            index: Vec::with_capacity(tiles * TILE),
        }
    }

    /// All points in their order.
    pub fn of(columns: &[&[f64]]) -> Self {
        let n = columns.first().map_or(0, |column| column.len());
        let mut tiles = Self::with_room(columns.len(), n.div_ceil(TILE));
        let all: Vec<u32> = (0..n as u32).collect();
        all.chunks(TILE)
            .for_each(|points| tiles.push(columns, points));
        tiles
    }

    /// Adds a tile of up to sixteen points.
    pub fn push(&mut self, columns: &[&[f64]], points: &[u32]) {
        let padding = TILE - points.len();
        for column in columns {
            self.values
                .extend(points.iter().map(|&i| column[i as usize]));
            self.values
                .extend(std::iter::repeat_n(f64::INFINITY, padding));
        }
        self.index.extend_from_slice(points);
        self.index.extend(std::iter::repeat_n(NONE, padding));
    }

    pub fn len(&self) -> usize {
        self.index.len() / TILE
    }

    pub fn tile(&self, t: usize) -> &[f64] {
        let size = self.dim * TILE;
        &self.values[t * size..(t + 1) * size]
    }

    pub fn points(&self, t: usize) -> &[u32] {
        &self.index[t * TILE..(t + 1) * TILE]
    }

    /// The coordinates of the point in place `s` of tile `t`.
    pub fn point(&self, t: usize, s: usize, to: &mut Vec<f64>) {
        to.clear();
        to.extend(self.tile(t).chunks_exact(TILE).map(|column| column[s]));
    }
}

/// The distances of a tile's points from `query` in the maximum norm, or nothing if all of them are at least `bound`.
#[inline(always)]
pub(super) fn distances(tile: &[f64], query: &[f64], bound: f64) -> Option<[f64; TILE]> {
    let mut far = [0.0; TILE];
    for (columns, query) in tile.chunks(LOOK * TILE).zip(query.chunks(LOOK)) {
        for (column, &q) in columns.chunks_exact(TILE).zip(query) {
            for (far, &x) in far.iter_mut().zip(column) {
                let gap = (q - x).abs();
                *far = if gap > *far { gap } else { *far };
            }
        }
        if !any_below(&far, bound) {
            return None;
        }
    }
    Some(far)
}

#[inline(always)]
fn any_below(far: &[f64; TILE], bound: f64) -> bool {
    far.iter().fold(false, |any, &gap| any | (gap < bound))
}

/// The same points in half the precision, and how far a distance of theirs may be off.
///
/// It tells of nearly all points on which side of a bound they are; only those next to it need a second look.
pub(super) struct Coarse {
    /// As in [`Tiles`].
    values: Vec<f32>,
    #[cfg(target_arch = "x86_64")]
    wide: bool,
    /// What a distance is off at most: four roundings of the largest value, `2⁻²²` of it, and twice that to be safe.
    slack: f64,
}

/// Bounds below which a point is surely nearer, and from which on it is surely not.
pub(super) struct Sure {
    near: f32,
    far: f32,
}

impl Coarse {
    /// Nothing where the values do not fit `f32`.
    pub fn of(tiles: &Tiles) -> Option<Self> {
        let finite = tiles.values.iter().filter(|value| value.is_finite());
        let largest = finite.fold(0.0, |most: f64, value| most.max(value.abs()));
        (1e-30..1e30).contains(&largest).then(|| Self {
            values: tiles.values.iter().map(|&value| value as f32).collect(),
            #[cfg(target_arch = "x86_64")]
            wide: wide::is_there(),
            slack: largest * 2f64.powi(-21),
        })
    }

    fn tile(&self, t: usize, dim: usize) -> &[f32] {
        let size = dim * TILE;
        &self.values[t * size..(t + 1) * size]
    }

    /// The first tile of a stretch that may have a point nearer to `query` than the bound; the stretch's end if none has.
    #[inline(always)]
    pub fn first(&self, stretch: Range<usize>, query: &[f32], bound: &Sure) -> usize {
        let dim = query.len();
        #[cfg(target_arch = "x86_64")]
        if self.wide {
            let tiles = &self.values[stretch.start * dim * TILE..stretch.end * dim * TILE];
            // SAFETY: the processor has the instructions.
            return stretch.start + unsafe { wide::first(tiles, query, bound.far) };
        }
        for t in stretch.clone() {
            if may_be_near(self.tile(t, dim), query, bound) {
                return t;
            }
        }
        stretch.end
    }

    /// How many points of a stretch are nearer to `query` than the bound; nothing where half the precision cannot tell.
    #[inline(always)]
    pub fn count(&self, stretch: Range<usize>, query: &[f32], bound: &Sure) -> Option<u32> {
        let dim = query.len();
        #[cfg(target_arch = "x86_64")]
        if self.wide {
            let tiles = &self.values[stretch.start * dim * TILE..stretch.end * dim * TILE];
            // SAFETY: the processor has the instructions.
            let (near, perhaps) = unsafe { wide::count(tiles, query, bound.near, bound.far) };
            return (near == perhaps).then_some(near);
        }
        let mut tally = Tally::default();
        for t in stretch {
            tally.add(self.tile(t, dim), query, bound);
        }
        tally.sure()
    }

    pub fn sure(&self, bound: f64) -> Sure {
        Sure {
            near: ((bound - self.slack) as f32).next_down(),
            far: ((bound + self.slack) as f32).next_up(),
        }
    }
}

/// Whether any point of a tile may be nearer to `query` than the bound.
#[inline(always)]
fn may_be_near(tile: &[f32], query: &[f32], bound: &Sure) -> bool {
    let mut far = [0.0f32; TILE];
    for (columns, query) in tile.chunks(LOOK * TILE).zip(query.chunks(LOOK)) {
        widen(&mut far, columns, query);
        if !far.iter().fold(false, |any, &gap| any | (gap < bound.far)) {
            return false;
        }
    }
    true
}

/// Counts of the points that are surely, and that may be, nearer than a bound; one for each place of a tile.
#[derive(Default)]
struct Tally {
    near: [u32; TILE],
    perhaps: [u32; TILE],
}

impl Tally {
    #[inline(always)]
    pub fn add(&mut self, tile: &[f32], query: &[f32], bound: &Sure) {
        let mut far = [0.0f32; TILE];
        for (i, (columns, query)) in tile.chunks(LOOK * TILE).zip(query.chunks(LOOK)).enumerate() {
            if i > 0 && !far.iter().fold(false, |any, &gap| any | (gap < bound.far)) {
                return;
            }
            widen(&mut far, columns, query);
        }
        add_below(&mut self.near, &far, bound.near);
        add_below(&mut self.perhaps, &far, bound.far);
    }

    /// The count; nothing where half the precision cannot tell.
    #[inline(never)]
    pub fn sure(&self) -> Option<u32> {
        (self.near == self.perhaps).then(|| self.near.iter().sum())
    }
}

#[inline(always)]
fn add_below(counts: &mut [u32; TILE], far: &[f32; TILE], bound: f32) {
    for (count, &gap) in counts.iter_mut().zip(far) {
        *count += u32::from(gap < bound);
    }
}

/// Takes more columns into the distances.
#[inline(always)]
fn widen(far: &mut [f32; TILE], columns: &[f32], query: &[f32]) {
    for (column, &q) in columns.chunks_exact(TILE).zip(query) {
        for (far, &x) in far.iter_mut().zip(column) {
            let gap = (q - x).abs();
            *far = if gap > *far { gap } else { *far };
        }
    }
}

/// How many of the distances are below `bound`.
#[inline(always)]
pub(super) fn count_below(far: &[f64; TILE], bound: f64) -> u32 {
    far.iter().map(|&gap| u32::from(gap < bound)).sum()
}

/// The `k` nearest points found so far, nearest first; of equally near ones those with the smaller number.
pub(super) struct Nearest {
    own: u32,
    found: Vec<(f64, u32)>,
}

impl Nearest {
    pub fn new(own: u32, k: usize) -> Self {
        Self {
            own,
            found: vec![(f64::INFINITY, NONE); k],
        }
    }

    /// What a point must be nearer than. Points that are as far can still be among the nearest by their number.
    pub fn bound(&self) -> f64 {
        self.found[self.found.len() - 1].0.next_up()
    }

    /// Looks at the points of a tile; those further than the bound are no matter.
    pub fn look(&mut self, far: &[f64; TILE], points: &[u32]) {
        for (&gap, &point) in far.iter().zip(points) {
            let last = self.found.len() - 1;
            if gap <= self.found[last].0 && point != self.own && point != NONE {
                self.insert(gap, point, last);
            }
        }
    }

    fn insert(&mut self, gap: f64, point: u32, last: usize) {
        let before = |&(other, number): &(f64, u32)| (other, number) < (gap, point);
        let place = self.found.partition_point(before);
        if place <= last {
            self.found[place..].rotate_right(1);
            self.found[place] = (gap, point);
        }
    }

    /// The point, and those nearest to it with their distances.
    pub fn into_parts(self) -> (u32, Vec<(f64, u32)>) {
        (self.own, self.found)
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use rand::Rng as _;

    use super::*;
    use crate::rng;

    #[test]
    fn the_wide_instructions_find_what_the_plain_ones_do() {
        let rng = &mut rng::seeded(0);
        for dim in [1, 2, 5, 8, 9, 20] {
            let points: Vec<Vec<f64>> = (0..dim)
                .map(|_| (0..200).map(|_| rng.random()).collect())
                .collect();
            let columns: Vec<&[f64]> = points.iter().map(Vec::as_slice).collect();
            let tiles = Tiles::of(&columns);
            let own = Coarse::of(&tiles).unwrap();
            let plain = Coarse {
                wide: false,
                ..Coarse::of(&tiles).unwrap()
            };
            for radius in [0.0, 0.01, 0.3, 0.6, 0.9, 2.0] {
                let query: Vec<f32> = (0..dim).map(|_| rng.random()).collect();
                let (all, bound) = (1..tiles.len(), own.sure(radius));
                assert_eq!(
                    own.first(all.clone(), &query, &bound),
                    plain.first(all.clone(), &query, &bound)
                );
                assert_eq!(
                    own.count(all.clone(), &query, &bound),
                    plain.count(all, &query, &bound)
                );
            }
        }
    }
}
