//! How samples and points are cut into what goes through a network at once, and shared out.

use std::ops::Range;

use super::shard::{Shard, ShardBy};
use crate::error::{Error, Result};

/// A grid of batches: blocks of samples against chunks of points.
///
/// The cut is even and depends on nothing else, so that the network of a shard sees the very batches that it would
/// see on a single machine.
#[derive(Debug, Clone, Copy)]
pub(super) struct BatchPlan {
    n: usize,
    k: usize,
    batch: usize,
    /// Parts of the samples.
    blocks: usize,
    /// Parts of the points.
    chunks: usize,
}

/// Where part `i` of `count` begins.
fn start(len: usize, count: usize, i: usize) -> usize {
    (len as u128 * i as u128 / count.max(1) as u128) as usize
}

impl BatchPlan {
    /// Whole samples first, all their points at once if they fit: a curve that is stopped then is a curve of
    /// fewer samples.
    pub fn new(n: usize, k: usize, batch: usize) -> Self {
        let (n, k, batch) = (n.max(1), k.max(1), batch.max(1));
        let samples = (batch / k).clamp(1, n);
        let points = (batch / samples).clamp(1, k);
        Self {
            n,
            k,
            batch,
            blocks: n.div_ceil(samples),
            chunks: k.div_ceil(points),
        }
    }

    /// Noisy samples that go through at once, at most.
    pub fn batch(&self) -> usize {
        self.batch
    }

    fn samples(&self, block: usize) -> usize {
        start(self.n, self.blocks, block)
    }

    fn points(&self, chunk: usize) -> usize {
        start(self.k, self.chunks, chunk)
    }

    /// Refuses more shards than there are batches to share out.
    pub fn check(&self, shard: &Shard) -> Result<()> {
        shard.check()?;
        let Shard { count, by, .. } = *shard;
        let Self {
            n,
            k,
            batch,
            blocks,
            chunks,
        } = *self;
        // What there is to share out, its names, and the batch that cuts it finely enough.
        let (there, [one, many], finer) = match by {
            ShardBy::Both => (
                blocks.saturating_mul(chunks),
                ["batch", "batches"],
                n.saturating_mul(k) / count,
            ),
            ShardBy::Images => (
                blocks,
                ["block of samples", "blocks of samples"],
                (n / count).saturating_mul(k),
            ),
            ShardBy::Points => (chunks, ["block of points", "blocks of points"], k / count),
        };
        if count <= there {
            return Ok(());
        }
        let right = match finer {
            0 => format!("{n} samples at {k} points, which cannot be cut so finely"),
            finer => format!(
                "{there} {} of {n} samples at {k} points, with a batch of {batch}; one of {finer} makes enough",
                if there == 1 { one } else { many }
            ),
        };
        Err(Error::Mismatch {
            what: "the shards and what they share",
            left: format!("{count} shards"),
            right,
            next: "give `CurveConfig` a smaller batch, or take fewer shards",
        })
    }

    /// The blocks that a shard measures of one chunk of points.
    fn blocks_of(&self, shard: &Shard, chunk: usize) -> Range<usize> {
        let cut =
            |len| start(len, shard.count, shard.index - 1)..start(len, shard.count, shard.index);
        match shard.by {
            // BatchPlan are counted block by block: of each chunk, those that lie in the cut.
            ShardBy::Both => {
                let plan = cut(self.blocks.saturating_mul(self.chunks));
                let first = |tile: usize| tile.saturating_sub(chunk).div_ceil(self.chunks);
                first(plan.start)..first(plan.end)
            }
            ShardBy::Images => cut(self.blocks),
            ShardBy::Points if cut(self.chunks).contains(&chunk) => 0..self.blocks,
            ShardBy::Points => 0..0,
        }
    }

    /// The samples that a shard measures at each point.
    pub fn ranges(&self, shard: &Shard) -> Vec<Range<usize>> {
        let chunk = |chunk| {
            let blocks = self.blocks_of(shard, chunk);
            let samples = self.samples(blocks.start)..self.samples(blocks.end);
            (self.points(chunk)..self.points(chunk + 1)).map(move |_| samples.clone())
        };
        (0..self.chunks).flat_map(chunk).collect()
    }

    /// The batches of a shard, in order: their samples and their points.
    pub fn of(&self, shard: &Shard) -> Vec<(Range<usize>, Range<usize>)> {
        let blocks: Vec<_> = (0..self.chunks)
            .map(|chunk| self.blocks_of(shard, chunk))
            .collect();
        let first = blocks.iter().map(|blocks| blocks.start).min().unwrap_or(0);
        let last = blocks.iter().map(|blocks| blocks.end).max().unwrap_or(0);
        let here = |block: usize| {
            let chunks = blocks.iter().enumerate();
            let mine = chunks.filter(move |(_, blocks)| blocks.contains(&block));
            mine.map(move |(chunk, _)| {
                (
                    self.samples(block)..self.samples(block + 1),
                    self.points(chunk)..self.points(chunk + 1),
                )
            })
        };
        (first..last).flat_map(here).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_share_out_each_error_once() {
        for (n, k, batch) in [
            (1, 1, 1),
            (10, 3, 1),
            (10, 7, 4),
            (23, 5, 12),
            (4, 9, 4096),
            (6, 4, 3),
        ] {
            let plan = BatchPlan::new(n, k, batch);
            for by in [ShardBy::Both, ShardBy::Images, ShardBy::Points] {
                for count in [1, 2, 3, 5, 16] {
                    let shard = |index| Shard { index, count, by };
                    if plan.check(&shard(1)).is_err() {
                        continue;
                    }
                    let mut seen = vec![0; n * k];
                    let mut next = vec![0; k];
                    let mut sizes = Vec::new();
                    for index in 1..=count {
                        let mine = plan.of(&shard(index));
                        sizes.push(mine.len());
                        for (samples, points) in mine {
                            assert!(samples.len() * points.len() <= batch);
                            for (i, j) in samples.flat_map(|i| points.clone().map(move |j| (i, j)))
                            {
                                seen[i * k + j] += 1;
                            }
                        }
                        // What a shard has of a point is one piece, after that of the shards before.
                        for (j, range) in plan.ranges(&shard(index)).into_iter().enumerate() {
                            assert!(range.is_empty() || range.start == next[j]);
                            next[j] = next[j].max(range.end);
                        }
                    }
                    assert!(
                        seen.iter().all(|&times| times == 1),
                        "{n} × {k}, {batch}, {by:?}, {count}"
                    );
                    assert_eq!(next, vec![n; k]);
                    let (least, most) = (sizes.iter().min().unwrap(), sizes.iter().max().unwrap());
                    assert!(*least > 0);
                    if by == ShardBy::Both {
                        assert!(most - least <= 1);
                    }
                }
            }
        }
    }

    #[test]
    fn the_advised_batch_is_small_enough() {
        let mut refused = 0;
        for (n, k, batch) in [(10, 100, 4096), (3, 7, 8), (50, 1, 50), (1, 64, 64)] {
            for by in [ShardBy::Both, ShardBy::Images, ShardBy::Points] {
                for count in [2, 3, 16, 40] {
                    let shard = Shard {
                        index: 1,
                        count,
                        by,
                    };
                    let Err(error) = BatchPlan::new(n, k, batch).check(&shard) else {
                        continue;
                    };
                    refused += 1;
                    let text = error.to_string();
                    let Some((_, rest)) = text.split_once("; one of ") else {
                        assert!(text.contains("cannot be cut so finely"), "{text}");
                        assert!(BatchPlan::new(n, k, 1).check(&shard).is_err());
                        continue;
                    };
                    let finer = rest.split(' ').next().unwrap().parse().unwrap();
                    assert!(BatchPlan::new(n, k, finer).check(&shard).is_ok(), "{text}");
                }
            }
        }
        assert!(refused > 10, "{refused}");
    }

    #[test]
    fn numbers_that_cannot_be_do_no_harm() {
        let plan = BatchPlan::new(usize::MAX, usize::MAX, 1);
        let shard = Shard {
            index: usize::MAX,
            count: usize::MAX,
            by: ShardBy::Both,
        };
        assert!(plan.check(&shard).is_ok());
        assert!(BatchPlan::new(0, 0, 0).check(&shard).is_err());
        assert_eq!(BatchPlan::new(3, 2, 100).of(&Shard::WHOLE), [(0..3, 0..2)]);
    }
}
