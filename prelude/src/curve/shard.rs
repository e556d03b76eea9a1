//! Which part of a curve a process measures.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// The environment variable that names a process's shard.
pub const SHARD_VARIABLE: &str = "ITD_SHARD";

/// One of several equal parts of the work on a curve, counted from 1.
///
/// # Example
/// ```
/// use itd_prelude::curve::Shard;
///
/// let shard: Shard = "3/16".parse()?;
/// assert_eq!(shard, Shard::new(3, 16)?);
/// assert_eq!(shard.to_string(), "3/16");
/// assert_eq!(shard.file_name(), "part-003-of-016.parquet");
/// assert!(Shard::new(0, 16).is_err() && Shard::new(17, 16).is_err());
/// # Ok::<(), itd_prelude::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// Which one, from 1 to [`Self::count`].
    pub index: usize,
    /// How many there are.
    pub count: usize,
    /// What is shared out.
    pub by: ShardBy,
}

/// What shards share out among them. In every case whole batches: see
/// [`CurveConfig::batch`](super::CurveConfig::batch).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ShardBy {
    /// Images first, and of an image the points of log-SNR: the most even cut.
    #[default]
    Both,
    /// Images: each shard measures some of them at all points.
    Images,
    /// Points of log-SNR: each shard measures all images at some of them.
    Points,
}

impl Shard {
    /// All of the work.
    pub const WHOLE: Self = Self {
        index: 1,
        count: 1,
        by: ShardBy::Both,
    };

    /// Shard `index` of `count`, counted from 1.
    ///
    /// # Errors
    /// [`Error::Parameter`] unless `1 ≤ index ≤ count`.
    pub fn new(index: usize, count: usize) -> Result<Self> {
        let shard = Self {
            index,
            count,
            ..Self::WHOLE
        };
        shard.check().map(|()| shard)
    }

    /// The shard that the environment variable `ITD_SHARD` names, such as `3/16`; all of the work where there is
    /// no such variable, or an empty one.
    ///
    /// # Errors
    /// [`Error::Parameter`] when it says something else.
    pub fn from_env() -> Result<Self> {
        match std::env::var_os(SHARD_VARIABLE) {
            Some(text) if !text.is_empty() => read(SHARD_VARIABLE, &text.to_string_lossy()),
            _ => Ok(Self::WHOLE),
        }
    }

    /// The same shard of work that is cut otherwise.
    pub fn by(self, by: ShardBy) -> Self {
        Self { by, ..self }
    }

    /// The name of its file: `part-003-of-016.parquet`. In the order of the alphabet shards stand in their own.
    pub fn file_name(&self) -> String {
        let width = self.count.to_string().len().max(3);
        let Self { index, count, .. } = self;
        format!("part-{index:0width$}-of-{count:0width$}.parquet")
    }

    /// The shard that has this name of a file.
    pub(crate) fn of_file_name(name: &str) -> Option<Self> {
        let (index, count) = name
            .strip_prefix("part-")?
            .strip_suffix(".parquet")?
            .split_once("-of-")?;
        let own = Self::new(index.parse().ok()?, count.parse().ok()?).ok()?;
        (own.file_name() == name).then_some(own)
    }

    pub(super) fn check(&self) -> Result<()> {
        match (1..=self.count).contains(&self.index) {
            true => Ok(()),
            false => Err(wrong("the shard", &self.to_string())),
        }
    }
}

fn read(name: &'static str, text: &str) -> Result<Shard> {
    let numbers = text.split_once('/').and_then(|(index, count)| {
        let number = |text: &str| text.trim().parse().ok();
        Some((number(index)?, number(count)?))
    });
    let shard = numbers.and_then(|(index, count)| Shard::new(index, count).ok());
    shard.ok_or_else(|| wrong(name, &format!("{text:?}")))
}

fn wrong(name: &'static str, got: &str) -> Error {
    Error::Parameter {
        name,
        got: got.to_owned(),
        need: "a shard and the number of shards, counted from 1, such as 3/16",
    }
}

/// The form of `ITD_SHARD`, such as `3/16`.
impl FromStr for Shard {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        read("the shard", text)
    }
}

/// The form of `ITD_SHARD`, such as `3/16`.
impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_shards_are_read() {
        assert_eq!(
            " 2 / 2 ".parse::<Shard>().unwrap(),
            Shard::new(2, 2).unwrap()
        );
        for text in [
            "",
            "3",
            "0/4",
            "5/4",
            "1/0",
            "-1/4",
            "1/4/2",
            "a/b",
            "1.0/4",
            "1/99999999999999999999",
        ] {
            let error = text.parse::<Shard>().unwrap_err().to_string();
            assert!(error.contains("such as 3/16"), "{error}");
        }
        let error = read(SHARD_VARIABLE, "7 of 9").unwrap_err().to_string();
        assert!(error.starts_with("ITD_SHARD is \"7 of 9\""), "{error}");
    }

    #[test]
    fn names_stand_in_order() {
        let name = |index, count| Shard::new(index, count).unwrap().file_name();
        assert_eq!(name(7, 9), "part-007-of-009.parquet");
        assert_eq!(name(12, 20_000), "part-00012-of-20000.parquet");
        assert!(name(9, 1000) < name(10, 1000));
    }
}
