//! The classes of a set, by its labels.

use std::collections::BTreeMap;

use super::{Condition, Dataset};
use crate::error::{Error, Result};

impl Dataset {
    /// How many samples there are of each label, by label.
    ///
    /// # Errors
    /// [`Error::Missing`] when the data have no labels.
    ///
    /// # Example
    /// ```
    /// let counts = itd_prelude::data::digits()?.test.class_counts()?;
    /// assert_eq!(counts.len(), 10);
    /// assert_eq!(counts.iter().map(|(_, count)| count).sum::<usize>(), 360);
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn class_counts(&self) -> Result<Vec<(u32, usize)>> {
        let mut counts = BTreeMap::new();
        for &label in self.labels()? {
            *counts.entry(label).or_insert(0) += 1;
        }
        Ok(counts.into_iter().collect())
    }

    /// The samples of one class.
    ///
    /// # Errors
    /// [`Error::Missing`] when the data have no labels, or none with this one: it lists those that there are.
    ///
    /// # Example: all sevens
    /// ```
    /// let sevens = itd_prelude::data::digits()?.train.by_class(7)?;
    /// assert_eq!(sevens.class_counts()?, [(7, sevens.len())]);
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn by_class(&self, label: u32) -> Result<Self> {
        let labels = self.labels()?;
        let found = (0u32..).zip(labels).filter(|&(_, &other)| other == label);
        let indices: Vec<u32> = found.map(|(i, _)| i).collect();
        if indices.is_empty() {
            let there = self.class_counts()?;
            let there: Vec<String> = there.iter().map(|(label, _)| label.to_string()).collect();
            return Err(Error::Missing {
                what: format!(
                    "{} has no class {label}; its classes are {}",
                    self.name,
                    there.join(", ")
                ),
                next: "choose one of them",
            });
        }
        let mut part = self.subset(&indices)?;
        let class = match self.classes.get(label as usize) {
            Some(name) => name.clone(),
            None => format!("class {label}"),
        };
        part.name = format!("{}, {class}", self.name);
        Ok(part)
    }

    /// The number of each sample's class.
    ///
    /// # Errors
    /// [`Error::Missing`] when the samples have no classes.
    pub fn labels(&self) -> Result<&[u32]> {
        match self.y()? {
            Condition::Class(labels) => Ok(labels),
            Condition::Vector(_) => Err(Error::Missing {
                what: format!("{} has vectors instead of classes", self.name),
                next: "give it a class for each sample with `given`",
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::dataset::tests::points;

    #[test]
    fn classes_are_counted_and_taken_out() {
        let mut data = points(5);
        assert!(data.class_counts().is_ok());
        data.y = Some(Condition::Class(vec![3, 0, 3, 9, 0]));
        data.classes = (0..10).map(|i| format!("kind {i}")).collect();
        assert_eq!(data.class_counts().unwrap(), [(0, 2), (3, 2), (9, 1)]);
        let threes = data.by_class(3).unwrap();
        assert_eq!(threes.x.to_vec2::<f32>().unwrap(), [[0.0, 1.0], [4.0, 5.0]]);
        assert_eq!(threes.name, "points, kind 3");
        assert_eq!(threes.labels().unwrap(), [3, 3]);
        let error = data.by_class(4).unwrap_err().to_string();
        assert!(error.contains("0, 3, 9"), "{error}");
        data.y = Some(Condition::Class(vec![1]));
        assert!(matches!(data.by_class(1), Err(Error::Mismatch { .. })));
        data.y = None;
        assert!(matches!(data.class_counts(), Err(Error::Missing { .. })));
    }
}
