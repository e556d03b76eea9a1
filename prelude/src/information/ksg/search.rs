//! Nearest points, and points within a radius, in whichever way is fastest.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

use super::super::widest::{Work, widest};
use super::brute::AllPairs;
use super::sorted;
use super::tiles::{NONE, Nearest, TILE};
use super::tree::Tree;
use crate::cell;
use crate::cell::memory::room_for;
use crate::error::{Error, Interrupted, Result};

/// Tiles of queries that one thread takes at a time.
const BLOCK: usize = 2;

/// How points are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Path {
    /// Along a sorted line; counts in one dimension only.
    Sorted,
    /// By a k-d tree.
    Tree,
    /// By looking at all pairs.
    AllPairs,
}

impl Path {
    /// The way that was fastest for counts of so many points in so many dimensions, on two cores with AVX-512. The
    /// radius comes from a joint space, so that many points lie within.
    pub(super) fn to_count(n: usize, dim: usize) -> Self {
        let most = match n {
            0..3_000 => 2,
            3_000..30_000 => 3,
            _ => 4,
        };
        match dim {
            1 => Self::Sorted,
            _ if dim <= most => Self::Tree,
            _ => Self::AllPairs,
        }
    }

    /// The way that was fastest for nearest points.
    pub(super) fn to_search(n: usize, dim: usize) -> Self {
        let most = match n {
            0..3_000 => 6,
            3_000..30_000 => 8,
            _ => 12,
        };
        if dim <= most {
            Self::Tree
        } else {
            Self::AllPairs
        }
    }
}

/// The `k` nearest points of each point, in the points' order.
///
/// # Errors
/// [`Error::Memory`] when they do not fit, [`Error::Interrupted`] when the user stops it.
pub(super) fn nearest(columns: &[&[f64]], k: usize, path: Path) -> Result<Vec<Vec<(f64, u32)>>> {
    let n = columns.first().map_or(0, |column| column.len());
    room_for::<(f64, u32)>("the nearest points", &[n, k + 2])?;
    room_for::<f64>("the points", &[n.next_multiple_of(TILE), columns.len()])?;
    let found = match path {
        Path::AllPairs => {
            let pairs = AllPairs::of(columns);
            in_blocks(pairs.tiles.len(), |of| {
                widest(PairSearch {
                    pairs: &pairs,
                    of,
                    k,
                })
            })
        }
        Path::Tree | Path::Sorted => {
            let tree = Tree::of(columns);
            in_blocks(tree.tiles.len(), |of| {
                widest(TreeSearch { tree: &tree, of, k })
            })
        }
    }?;
    let mut ordered = vec![Vec::new(); n];
    for one in found {
        let (own, found) = one.into_parts();
        ordered[own as usize] = found;
    }
    Ok(ordered)
}

/// How many other points are nearer to each point than its radius.
///
/// # Errors
/// As [`nearest`].
pub(super) fn count(columns: &[&[f64]], radii: &[f64], path: Path) -> Result<Vec<u32>> {
    room_for::<f64>(
        "the points",
        &[radii.len().next_multiple_of(TILE), columns.len()],
    )?;
    let counts = match path {
        Path::Sorted => {
            let line = sorted::sorted(columns[0]);
            let count = |i: usize| (i as u32, sorted::count(&line, columns[0][i], radii[i]));
            in_blocks(radii.len().div_ceil(TILE), |of: Range<usize>| {
                (of.start * TILE..radii.len().min(of.end * TILE))
                    .map(count)
                    .collect()
            })
        }
        Path::Tree => {
            let tree = Tree::of(columns);
            in_blocks(tree.tiles.len(), |of| {
                widest(TreeCount {
                    tree: &tree,
                    of,
                    radii,
                })
            })
        }
        Path::AllPairs => {
            let pairs = AllPairs::of(columns);
            in_blocks(pairs.tiles.len(), |of| {
                widest(PairCount {
                    pairs: &pairs,
                    of,
                    radii,
                })
            })
        }
    }?;
    let mut ordered = vec![0; radii.len()];
    for (own, count) in counts {
        // Each point is nearer to itself than any radius above 0.
        let itself = u32::from(radii[own as usize] > 0.0);
        ordered[own as usize] = count - itself;
    }
    Ok(ordered)
}

/// Does the work of `tiles` tiles on all threads.
fn in_blocks<T: Send>(
    tiles: usize,
    work: impl Fn(Range<usize>) -> Vec<T> + Sync,
) -> Result<Vec<T>> {
    let done = AtomicU64::new(0);
    let block = |b: usize| {
        if cell::interrupted() {
            let stopped = Interrupted::new(
                "the search for neighbours",
                done.load(Ordering::Relaxed),
                tiles as u64,
            );
            return Err(Error::Interrupted(
                stopped.counted_in("blocks of 16 points"),
            ));
        }
        let of = b * BLOCK..tiles.min((b + 1) * BLOCK);
        done.fetch_add(of.len() as u64, Ordering::Relaxed);
        Ok(work(of))
    };
    let blocks: Vec<Vec<T>> = (0..tiles.div_ceil(BLOCK))
        .into_par_iter()
        .map(block)
        .collect::<Result<_>>()?;
    Ok(blocks.into_iter().flatten().collect())
}

struct PairSearch<'a> {
    pairs: &'a AllPairs,
    of: Range<usize>,
    k: usize,
}

impl Work for PairSearch<'_> {
    type Out = Vec<Nearest>;

    #[inline(always)]
    fn run(self) -> Self::Out {
        self.pairs.nearest(self.of, self.k)
    }
}

struct PairCount<'a> {
    pairs: &'a AllPairs,
    of: Range<usize>,
    radii: &'a [f64],
}

impl Work for PairCount<'_> {
    type Out = Vec<(u32, u32)>;

    #[inline(always)]
    fn run(self) -> Self::Out {
        self.pairs.count(self.of, self.radii)
    }
}

struct TreeSearch<'a> {
    tree: &'a Tree,
    of: Range<usize>,
    k: usize,
}

impl Work for TreeSearch<'_> {
    type Out = Vec<Nearest>;

    #[inline(always)]
    fn run(self) -> Self::Out {
        let (mut query, mut open) = (Vec::new(), Vec::new());
        let mut all = Vec::with_capacity(self.of.len() * TILE);
        for t in self.of {
            for (s, &own) in self
                .tree
                .tiles
                .points(t)
                .iter()
                .enumerate()
                .filter(|(_, own)| **own != NONE)
            {
                self.tree.tiles.point(t, s, &mut query);
                let mut found = Nearest::new(own, self.k);
                self.tree.nearest(&query, t, &mut found, &mut open);
                all.push(found);
            }
        }
        all
    }
}

struct TreeCount<'a> {
    tree: &'a Tree,
    of: Range<usize>,
    radii: &'a [f64],
}

impl Work for TreeCount<'_> {
    type Out = Vec<(u32, u32)>;

    #[inline(always)]
    fn run(self) -> Self::Out {
        let (mut query, mut open) = (Vec::new(), Vec::new());
        let mut counts = Vec::with_capacity(self.of.len() * TILE);
        for t in self.of {
            for (s, &own) in self
                .tree
                .tiles
                .points(t)
                .iter()
                .enumerate()
                .filter(|(_, own)| **own != NONE)
            {
                self.tree.tiles.point(t, s, &mut query);
                counts.push((
                    own,
                    self.tree.count(&query, self.radii[own as usize], &mut open),
                ));
            }
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use rand::Rng as _;
    use rand_distr::StandardNormal;

    use super::*;
    use crate::rng;

    /// The best of some runs, in milliseconds.
    fn best(mut work: impl FnMut()) -> f64 {
        let mut time = || {
            let start = Instant::now();
            work();
            1e3 * start.elapsed().as_secs_f64()
        };
        (0..5).map(|_| time()).fold(f64::INFINITY, f64::min)
    }

    /// The table behind [`Path::to_search`]: `cargo test --release table_of_paths -- --ignored --nocapture`.
    #[test]
    #[ignore = "a measurement"]
    fn table_of_paths() {
        for n in [1000, 10_000, 40_000] {
            for dim in [1, 2, 3, 4, 5, 6, 8, 10] {
                let rng = &mut rng::seeded(0);
                let points: Vec<Vec<f64>> = (0..dim)
                    .map(|_| (0..n).map(|_| rng.sample(StandardNormal)).collect())
                    .collect();
                let columns: Vec<&[f64]> = points.iter().map(Vec::as_slice).collect();
                let search = |path| best(|| assert!(nearest(&columns, 3, path).is_ok()));
                let all = nearest(&columns, 3, Path::Tree).unwrap();
                // What a count in half of a joint space looks for: more than in the space alone.
                let radii: Vec<f64> = all.iter().map(|found| 3.0 * found[2].0).collect();
                let tally = |path| best(|| assert!(count(&columns, &radii, path).is_ok()));
                println!(
                    "n {n:6} dim {dim:3}: search tree {:8.1} all {:8.1} | count tree {:8.1} all {:8.1} ms",
                    search(Path::Tree),
                    search(Path::AllPairs),
                    tally(Path::Tree),
                    tally(Path::AllPairs)
                );
            }
        }
    }
}
