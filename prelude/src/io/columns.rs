//! Columns of a data frame as Rust's own values, each checked.

use polars::prelude::{AnyValue, Column, DataFrame, DataType};

use super::malformed;
use crate::error::{Error, Result};

/// The columns of a frame, with errors that name column and row.
pub(super) struct Columns<'a>(pub &'a DataFrame);

impl Columns<'_> {
    fn get(&self, name: &str) -> Result<&Column> {
        self.0.column(name).map_err(|_| {
            let there: Vec<&str> = self.0.columns().iter().map(|c| c.name().as_str()).collect();
            malformed(format!("there is no column {name}, only {there:?}"))
        })
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.column(name).is_ok()
    }

    /// Values that pass a test, such as being finite.
    pub fn floats(&self, name: &str, need: &str, test: fn(f64) -> bool) -> Result<Vec<f64>> {
        let column = self.get(name)?;
        each(column, |row, value| {
            let number = float(&value).ok_or_else(|| wrong(name, row, &value, "a number"))?;
            match test(number) {
                true => Ok(number),
                false => Err(wrong(name, row, &value, need)),
            }
        })
    }

    pub fn finite(&self, name: &str) -> Result<Vec<f64>> {
        self.floats(name, "finite", f64::is_finite)
    }

    pub fn counts(&self, name: &str) -> Result<Vec<usize>> {
        let need = "a whole number, at least 0";
        each(self.get(name)?, |row, value| {
            count(&value).ok_or_else(|| wrong(name, row, &value, need))
        })
    }

    pub fn texts(&self, name: &str) -> Result<Vec<String>> {
        each(self.get(name)?, |row, value| match value.get_str() {
            Some(text) => Ok(text.to_owned()),
            None => Err(wrong(name, row, &value, "text")),
        })
    }

    /// A list of finite numbers in each row, of `len` where that is given.
    pub fn lists(&self, name: &str, len: Option<usize>) -> Result<Vec<Vec<f64>>> {
        each(self.get(name)?, |row, value| {
            let AnyValue::List(list) = &value else {
                return Err(wrong(name, row, &value, "a list of numbers"));
            };
            let list = match list.dtype() {
                DataType::Float64 | DataType::Float32 => list.cast(&DataType::Float64)?,
                _ => return Err(wrong(name, row, &value, "a list of floats")),
            };
            if let Some(len) = len.filter(|&len| len != list.len()) {
                let got = list.len();
                return Err(malformed(format!(
                    "row {row} of column {name} has {got} values; it must have {len}"
                )));
            }
            let finite = |value: Option<f64>| value.filter(|value| value.is_finite());
            let values = list.f64()?.iter().map(finite).collect::<Option<_>>();
            values.ok_or_else(|| wrong(name, row, &value, "a list of finite numbers"))
        })
    }

    /// The value that is the same in each row.
    pub fn same<T: PartialEq + std::fmt::Debug>(&self, name: &str, values: Vec<T>) -> Result<T> {
        let mut values = values.into_iter();
        let first = values.next().ok_or(Error::Empty { what: "the table" })?;
        match values.find(|value| *value != first) {
            None => Ok(first),
            Some(other) => Err(malformed(format!(
                "column {name} must be the same in every row; it has {first:?} and {other:?}"
            ))),
        }
    }
}

/// Each value of a column, with its row.
fn each<T>(column: &Column, read: impl Fn(usize, AnyValue) -> Result<T>) -> Result<Vec<T>> {
    let rows = 0..column.len();
    rows.map(|row| read(row, column.get(row)?)).collect()
}

fn wrong(name: &str, row: usize, value: &AnyValue, need: &str) -> Error {
    let got = match value {
        AnyValue::Null => "empty".to_owned(),
        value => value.to_string(),
    };
    malformed(format!(
        "row {row} of column {name} is {got}; it must be {need}"
    ))
}

fn float(value: &AnyValue) -> Option<f64> {
    match value {
        AnyValue::Float64(value) => Some(*value),
        AnyValue::Float32(value) => Some(f64::from(*value)),
        value => match value.get_str() {
            Some(text) => text.trim().parse().ok(),
            // Whole numbers up to 2⁵³ are floats.
            None => count_of(value)
                .filter(|v| v.unsigned_abs() <= 1 << 53)
                .map(|v| v as f64),
        },
    }
}

fn count(value: &AnyValue) -> Option<usize> {
    match value.get_str() {
        Some(text) => text.trim().parse().ok(),
        None => usize::try_from(count_of(value)?).ok(),
    }
}

fn count_of(value: &AnyValue) -> Option<i128> {
    Some(match value {
        AnyValue::UInt8(v) => i128::from(*v),
        AnyValue::UInt16(v) => i128::from(*v),
        AnyValue::UInt32(v) => i128::from(*v),
        AnyValue::UInt64(v) => i128::from(*v),
        AnyValue::Int8(v) => i128::from(*v),
        AnyValue::Int16(v) => i128::from(*v),
        AnyValue::Int32(v) => i128::from(*v),
        AnyValue::Int64(v) => i128::from(*v),
        _ => return None,
    })
}

/// A column of whole numbers.
pub(super) fn whole(name: &str, values: &[usize]) -> Result<Column> {
    let values = values.iter().map(|&v| {
        i64::try_from(v).map_err(|_| malformed(format!("{v} is too large for column {name}")))
    });
    Ok(Column::new(
        name.into(),
        values.collect::<Result<Vec<_>>>()?,
    ))
}
