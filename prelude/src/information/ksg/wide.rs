//! Distances of sixteen points at once, in the instructions of AVX-512.

use std::arch::x86_64::{
    __mmask16, _CMP_LT_OQ, _mm512_cmp_ps_mask, _mm512_loadu_ps, _mm512_range_ps, _mm512_set1_ps,
    _mm512_setzero_ps, _mm512_sub_ps,
};

use super::tiles::TILE;

/// Columns after which a tile is looked at, whether any of its points is still near enough.
const LOOK: usize = 8;

/// Whether the processor has the instructions.
pub(super) fn is_there() -> bool {
    std::arch::is_x86_feature_detected!("avx512f")
        && std::arch::is_x86_feature_detected!("avx512dq")
}

/// The points of a tile that are nearer than each of the bounds, a bit for each; none of the first where none is below
/// the second, larger one.
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn below(tile: &[f32], query: &[f32], near: f32, far: f32) -> (__mmask16, __mmask16) {
    // The larger of two absolute values, without a sign.
    const LARGER: i32 = 0b1011;
    let mut most = _mm512_setzero_ps();
    for (i, (columns, query)) in tile.chunks(LOOK * TILE).zip(query.chunks(LOOK)).enumerate() {
        // Not after the last columns: there the look costs more than it saves.
        if i > 0 && _mm512_cmp_ps_mask::<_CMP_LT_OQ>(most, _mm512_set1_ps(far)) == 0 {
            return (0, 0);
        }
        for (column, &q) in columns.chunks_exact(TILE).zip(query) {
            // SAFETY: a chunk has sixteen numbers.
            let x = unsafe { _mm512_loadu_ps(column.as_ptr()) };
            most = _mm512_range_ps::<LARGER>(_mm512_sub_ps(x, _mm512_set1_ps(q)), most);
        }
    }
    let count = |bound| _mm512_cmp_ps_mask::<_CMP_LT_OQ>(most, _mm512_set1_ps(bound));
    (count(near), count(far))
}

/// How many points of some tiles are nearer than each of the bounds.
#[target_feature(enable = "avx512f,avx512dq")]
pub(super) fn count(tiles: &[f32], query: &[f32], near: f32, far: f32) -> (u32, u32) {
    let mut counts = (0, 0);
    for tile in tiles.chunks_exact(query.len() * TILE) {
        let (sure, perhaps) = below(tile, query, near, far);
        counts = (
            counts.0 + sure.count_ones(),
            counts.1 + perhaps.count_ones(),
        );
    }
    counts
}

/// The first of some tiles that has a point nearer than the bound; their number if none has.
#[target_feature(enable = "avx512f,avx512dq")]
pub(super) fn first(tiles: &[f32], query: &[f32], far: f32) -> usize {
    let size = query.len() * TILE;
    for (t, tile) in tiles.chunks_exact(size).enumerate() {
        if below(tile, query, far, far).1 != 0 {
            return t;
        }
    }
    tiles.len() / size
}
