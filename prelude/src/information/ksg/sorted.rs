//! Counts along a line.

/// A line's values, in order.
pub(super) fn sorted(column: &[f64]) -> Vec<f64> {
    let mut line = column.to_vec();
    line.sort_unstable_by(f64::total_cmp);
    line
}

/// How many values of the line are nearer to `query` than `radius`.
pub(super) fn count(line: &[f64], query: f64, radius: f64) -> u32 {
    let below = line.partition_point(|&value| query - value >= radius);
    let until = line.partition_point(|&value| value - query < radius);
    until.saturating_sub(below) as u32
}
