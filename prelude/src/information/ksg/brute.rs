//! All pairs, tile by tile: the fastest way in many dimensions.

use std::ops::Range;

use super::tiles::{Coarse, NONE, Nearest, TILE, Tiles, count_below, distances};

/// Bytes of a stretch of tiles that is read again for each query of a block.
const STRETCH: usize = 1 << 14;

/// Points in tiles, once as they are and once in half the precision.
pub(super) struct AllPairs {
    pub tiles: Tiles,
    coarse: Option<Coarse>,
}

/// A point that others are compared with.
struct Query {
    own: u32,
    point: Vec<f64>,
    coarse: Vec<f32>,
}

impl AllPairs {
    pub fn of(columns: &[&[f64]]) -> Self {
        let tiles = Tiles::of(columns);
        let coarse = Coarse::of(&tiles);
        Self { tiles, coarse }
    }

    /// The nearest points of each point of the tiles `of`.
    #[inline(always)]
    pub fn nearest(&self, of: Range<usize>, k: usize) -> Vec<Nearest> {
        let queries = self.queries(of);
        let mut found: Vec<Nearest> = queries
            .iter()
            .map(|query| Nearest::new(query.own, k))
            .collect();
        for stretch in self.stretches() {
            for (query, found) in queries.iter().zip(&mut found) {
                self.look(query, stretch.clone(), found);
            }
        }
        found
    }

    #[inline(always)]
    fn look(&self, query: &Query, stretch: Range<usize>, found: &mut Nearest) {
        let mut t = stretch.start;
        while t < stretch.end {
            if let Some(coarse) = &self.coarse {
                t = coarse.first(t..stretch.end, &query.coarse, &coarse.sure(found.bound()));
                if t == stretch.end {
                    return;
                }
            }
            if let Some(far) = distances(self.tiles.tile(t), &query.point, found.bound()) {
                found.look(&far, self.tiles.points(t));
            }
            t += 1;
        }
    }

    /// How many points are nearer than its radius to each point of the tiles `of`, itself among them.
    #[inline(always)]
    pub fn count(&self, of: Range<usize>, radii: &[f64]) -> Vec<(u32, u32)> {
        let queries = self.queries(of);
        let mut counts: Vec<(u32, u32)> = queries.iter().map(|query| (query.own, 0)).collect();
        for stretch in self.stretches() {
            for (query, count) in queries.iter().zip(&mut counts) {
                count.1 += self.within(query, stretch.clone(), radii[query.own as usize]);
            }
        }
        counts
    }

    // Loops, not closures: those would not be compiled for the processor at hand.
    #[inline(always)]
    fn within(&self, query: &Query, stretch: Range<usize>, radius: f64) -> u32 {
        if let Some(coarse) = &self.coarse
            && let Some(count) = coarse.count(stretch.clone(), &query.coarse, &coarse.sure(radius))
        {
            return count;
        }
        let mut count = 0;
        for t in stretch {
            if let Some(far) = distances(self.tiles.tile(t), &query.point, radius) {
                count += count_below(&far, radius);
            }
        }
        count
    }

    /// The tiles, in parts that stay in the processor's nearest memory.
    fn stretches(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let step = (STRETCH / (self.tiles.dim * TILE * size_of::<f32>())).max(1);
        let all = self.tiles.len();
        (0..all)
            .step_by(step)
            .map(move |start| start..all.min(start + step))
    }

    fn queries(&self, of: Range<usize>) -> Vec<Query> {
        let mut queries = Vec::with_capacity(of.len() * TILE);
        for t in of {
            for (s, &own) in self
                .tiles
                .points(t)
                .iter()
                .enumerate()
                .filter(|(_, own)| **own != NONE)
            {
                let mut point = Vec::with_capacity(self.tiles.dim);
                self.tiles.point(t, s, &mut point);
                let coarse = point.iter().map(|&value| value as f32).collect();
                queries.push(Query { own, point, coarse });
            }
        }
        queries
    }
}
