//! From all shards of a curve to the curve.

use super::MseCurve;
use super::partial::PartialCurve;
use crate::error::{Error, Result};

/// Puts the shards of a curve together, in whatever order they come: exactly the curve of a single process.
///
/// # Errors
/// [`Error::Empty`] without parts; [`Error::Missing`] with the numbers of the shards that are not there;
/// [`Error::Mismatch`] when one is there twice, or two belong to different runs, with their names and what differs.
///
/// # Example: a missing shard is named
/// ```
/// use itd_prelude::prelude::*;
/// use itd_prelude::curve::{Shard, merge_shards, mse_curve_shard};
///
/// # fn main() -> Result<()> {
/// let (data, net) = (toy::correlated_gaussian(100, 0)?.test, Gaussian::standard(2)?.denoiser(&[2])?);
/// let (points, config) = (Quadrature::trapezoid(-4.0, 4.0, 9)?, CurveConfig { batch: 10, ..Default::default() });
/// let part = |index| mse_curve_shard(&net, &data, &points, &config, Shard::new(index, 4)?);
/// let error = merge_shards(vec![part(1)?, part(3)?]).unwrap_err();
/// assert!(error.to_string().starts_with("shards 2 and 4 of 4 are missing"));
/// # Ok(()) }
/// ```
pub fn merge_shards(mut parts: Vec<PartialCurve>) -> Result<MseCurve> {
    parts.sort_by_key(|part| part.shard.index);
    let mut parts = parts.into_iter();
    let Some(mut whole) = parts.next() else {
        return Err(Error::Empty {
            what: "the list of parts",
        });
    };
    whole.check()?;
    let first = whole.name();
    let (mut name, mut seen) = (first.clone(), vec![whole.shard.index]);
    for part in parts {
        part.check()?;
        part.check_spec(&whole.spec, &whole.shard, &first)?;
        if seen.last() == Some(&part.shard.index) {
            return Err(Error::Mismatch {
                what: "two parts",
                left: name,
                right: part.name(),
                next: "merge each shard once: leave one of the two out",
            });
        }
        name = part.name();
        seen.push(part.shard.index);
        // The samples of a point lie in the shards one after the other.
        for (all, more) in [
            (&mut whole.error, part.error),
            (&mut whole.noise, part.noise),
        ] {
            let pairs = all.iter_mut().zip(more);
            pairs.for_each(|(all, more)| all.extend(more));
        }
    }
    match missing(&seen, whole.shard.count) {
        None => whole.curve(),
        Some(what) => Err(Error::Missing {
            what,
            next: "measure them with ITD_SHARD set to each, then merge again",
        }),
    }
}

/// What is missing of `1..=count`, in words, given the numbers that are there in ascending order.
fn missing(seen: &[usize], count: usize) -> Option<String> {
    let mut gaps: Vec<String> = Vec::new();
    let mut next = 1;
    let mut number = 0usize;
    for &index in seen.iter().chain([&count.saturating_add(1)]) {
        number = number.saturating_add(index.saturating_sub(next));
        match index.saturating_sub(next) {
            0 => {}
            1 => gaps.push(next.to_string()),
            2 => gaps.extend([next.to_string(), (next + 1).to_string()]),
            _ => gaps.push(format!("{next}–{}", index - 1)),
        }
        next = index.saturating_add(1);
    }
    let last = gaps.pop()?;
    let list = match gaps.is_empty() {
        true => last,
        false => format!("{} and {last}", gaps.join(", ")),
    };
    Some(match number {
        1 => format!("shard {list} of {count} is missing"),
        _ => format!("shards {list} of {count} are missing"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_shards_are_named() {
        let text = |seen: &[usize], count| missing(seen, count).unwrap_or_default();
        assert_eq!(text(&[1, 2, 3], 3), "");
        assert_eq!(text(&[1, 3], 3), "shard 2 of 3 is missing");
        assert_eq!(text(&[1, 2, 4, 5, 6], 7), "shards 3 and 7 of 7 are missing");
        assert_eq!(
            text(&[2, 6], 16),
            "shards 1, 3–5 and 7–16 of 16 are missing"
        );
        assert_eq!(text(&[2], 4), "shards 1, 3 and 4 of 4 are missing");
        assert_eq!(text(&[5], usize::MAX - 1).split(' ').next(), Some("shards"));
    }
}
