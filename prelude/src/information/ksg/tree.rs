//! A k-d tree whose leaves are tiles: the fastest way in few dimensions.

use super::tiles::{Nearest, TILE, Tiles, count_below, distances};

/// Points, halved along their widest coordinate until a tile holds them.
pub(super) struct Tree {
    pub tiles: Tiles,
    nodes: Vec<Node>,
    /// For each node the lowest and the highest value of each coordinate, `[nodes, dim, 2]`.
    boxes: Vec<f64>,
}

struct Node {
    /// The second child; the first one comes next. 0 for a leaf.
    second: usize,
    /// The tile of a leaf.
    tile: usize,
    /// Points below.
    size: u32,
}

impl Tree {
    pub fn of(columns: &[&[f64]]) -> Self {
        let n = columns.first().map_or(0, |column| column.len());
        let mut tree = Self {
            tiles: Tiles::with_room(columns.len(), n.div_ceil(TILE)),
            nodes: Vec::new(),
            boxes: Vec::new(),
        };
        let mut points: Vec<u32> = (0..n as u32).collect();
        tree.grow(columns, &mut points);
        tree
    }

    fn grow(&mut self, columns: &[&[f64]], points: &mut [u32]) {
        let own = self.nodes.len();
        let widest = self.surround(columns, points);
        self.nodes.push(Node {
            second: 0,
            tile: self.tiles.len(),
            size: points.len() as u32,
        });
        if points.len() <= TILE {
            self.tiles.push(columns, points);
            return;
        }
        // A multiple of the tile, so that all tiles but the last are full.
        let half = points.len().div_ceil(2 * TILE) * TILE;
        let column = columns[widest];
        points.select_nth_unstable_by(half, |&a, &b| {
            column[a as usize].total_cmp(&column[b as usize])
        });
        let (first, second) = points.split_at_mut(half);
        self.grow(columns, first);
        self.nodes[own].second = self.nodes.len();
        self.grow(columns, second);
    }

    /// Adds the box around the points; gives its widest coordinate.
    fn surround(&mut self, columns: &[&[f64]], points: &[u32]) -> usize {
        let mut widest = (0, f64::NEG_INFINITY);
        for (j, column) in columns.iter().enumerate() {
            let reach = |(low, high): (f64, f64), &i: &u32| {
                let value = column[i as usize];
                (low.min(value), high.max(value))
            };
            let (low, high) = points
                .iter()
                .fold((f64::INFINITY, f64::NEG_INFINITY), reach);
            self.boxes.extend([low, high]);
            if high - low > widest.1 {
                widest = (j, high - low);
            }
        }
        widest.0
    }

    /// The least and the greatest distance that a point of a node can have.
    #[inline(always)]
    fn reach(&self, node: usize, query: &[f64]) -> (f64, f64) {
        let size = 2 * self.tiles.dim;
        let sides = self.boxes[node * size..(node + 1) * size].chunks_exact(2);
        let mut reach = (0.0, 0.0);
        for (side, q) in sides.zip(query) {
            let (under, over) = (q - side[0], side[1] - q);
            let least = f64::max(-under, -over);
            let most = f64::max(under.abs(), over.abs());
            reach = (f64::max(reach.0, least), f64::max(reach.1, most));
        }
        reach
    }

    /// Finds the nearest points; `own` is the tile of the query, which is looked at first.
    #[inline(always)]
    pub fn nearest(
        &self,
        query: &[f64],
        own: usize,
        found: &mut Nearest,
        open: &mut Vec<(f64, usize)>,
    ) {
        self.look(own, query, found);
        open.clear();
        open.push((0.0, 0));
        while let Some((least, node)) = open.pop() {
            if least >= found.bound() {
                continue;
            }
            let Node { second, tile, .. } = self.nodes[node];
            if second == 0 {
                if tile != own {
                    self.look(tile, query, found);
                }
                continue;
            }
            let (one, other) = (self.reach(node + 1, query).0, self.reach(second, query).0);
            // The nearer one is put on last and taken first.
            if one <= other {
                open.extend([(other, second), (one, node + 1)]);
            } else {
                open.extend([(one, node + 1), (other, second)]);
            }
        }
    }

    #[inline(always)]
    fn look(&self, tile: usize, query: &[f64], found: &mut Nearest) {
        if let Some(far) = distances(self.tiles.tile(tile), query, found.bound()) {
            found.look(&far, self.tiles.points(tile));
        }
    }

    /// How many points are nearer to `query` than `radius`.
    #[inline(always)]
    pub fn count(&self, query: &[f64], radius: f64, open: &mut Vec<(f64, usize)>) -> u32 {
        let mut count = 0;
        open.clear();
        open.push((0.0, 0));
        while let Some((_, node)) = open.pop() {
            let (least, most) = self.reach(node, query);
            let Node { second, tile, size } = self.nodes[node];
            if least >= radius {
                continue;
            }
            if most < radius {
                count += size;
            } else if second > 0 {
                open.extend([(0.0, second), (0.0, node + 1)]);
            } else if let Some(far) = distances(self.tiles.tile(tile), query, radius) {
                count += count_below(&far, radius);
            }
        }
        count
    }
}
