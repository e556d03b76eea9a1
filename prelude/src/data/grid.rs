//! The equally spaced values that discrete data take.

use crate::error::{Error, Result};

/// Equally spaced levels from `low` to `high`, such as the gray levels of a picture.
///
/// # Example: 256 gray levels on [−1, 1]
/// ```
/// use itd_prelude::data::Grid;
///
/// let grid = Grid::new(-1.0, 1.0, 256)?;
/// assert_eq!(grid.spacing(), 2.0 / 255.0);
/// assert_eq!(grid.nearest(0.999), 1.0);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grid {
    /// The lowest level.
    pub low: f64,
    /// The highest level.
    pub high: f64,
    /// The number of levels, both ends included.
    pub levels: usize,
}

impl Grid {
    /// `levels` values from `low` to `high`.
    ///
    /// # Errors
    /// [`Error::Parameter`] unless `low < high` are finite, a finite way apart, and there are at least two levels.
    pub fn new(low: f64, high: f64, levels: usize) -> Result<Self> {
        if !(low < high && (high - low).is_finite()) {
            return Err(Error::Parameter {
                name: "the interval of the grid",
                got: format!("({low}, {high})"),
                need: "finite and of finite length, its lower end first",
            });
        }
        if levels < 2 {
            return Err(Error::Parameter {
                name: "levels",
                got: levels.to_string(),
                need: "at least 2",
            });
        }
        Ok(Self { low, high, levels })
    }

    /// Refuses a grid whose fields were set to what [`Self::new`] does not allow.
    pub(crate) fn check(self) -> Result<()> {
        Self::new(self.low, self.high, self.levels).map(drop)
    }

    /// The distance between neighbouring levels, Δ.
    pub fn spacing(&self) -> f64 {
        (self.high - self.low) / self.levels.saturating_sub(1) as f64
    }

    /// The `i`-th level, counted from 0 at [`Self::low`].
    pub fn level(&self, i: usize) -> f64 {
        self.low + i as f64 * self.spacing()
    }

    /// The level nearest to `value`; NaN stays NaN.
    pub fn nearest(&self, value: f64) -> f64 {
        let steps = ((value - self.low) / self.spacing()).round();
        self.low + steps.clamp(0.0, self.levels.saturating_sub(1) as f64) * self.spacing()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_grids_are_refused() {
        assert!(Grid::new(1.0, 1.0, 4).is_err());
        assert!(Grid::new(f64::NAN, 1.0, 4).is_err());
        assert!(Grid::new(0.0, f64::INFINITY, 4).is_err());
        assert!(Grid::new(0.0, 1.0, 1).is_err());
        assert!(Grid::new(-1e308, 1e308, 3).is_err());
    }

    #[test]
    fn levels_are_where_they_should_be() {
        let grid = Grid::new(-1.0, 1.0, 17).unwrap();
        assert_eq!(grid.spacing(), 0.125);
        assert_eq!(grid.level(16), 1.0);
        assert_eq!(grid.nearest(-7.0), -1.0);
        assert_eq!(grid.nearest(0.07), 0.125);
    }
}
