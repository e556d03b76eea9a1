//! A batch of CIFAR's Python version: the pickle of a dict with an array of bytes and a list of labels.

use std::path::Path;

use super::ImageSpec;
use super::buffer::ImageBuffer;
use super::cifar::PIXELS;
use crate::checkpoint::pickle::{Dialect, Id, Pickle, Value};
use crate::error::{Error, Place, Result};
use crate::random_access::{RandomAccessFile, shown};

/// Appends the pictures of a file, and their labels.
pub(super) fn read(
    path: &Path,
    spec: &ImageSpec,
    buffer: &mut ImageBuffer,
    labels: &mut Vec<u32>,
) -> Result<()> {
    let file = RandomAccessFile::new(path)?;
    let bytes = file.read(0, file.length, "the file")?;
    if bytes.first() != Some(&0x80) {
        return Err(file.other("a pickle, as CIFAR's Python version has them"));
    }
    let pickle = Pickle::read(&file, &bytes, 0, Dialect::Arrays)?;
    if pickle.length() != bytes.len() {
        let got = format!("followed by {} bytes", bytes.len() - pickle.length());
        return Err(pickle.error(pickle.length(), "the pickle", got, "at its end here"));
    }
    let wrong = |what, got: String, need: &str| Err(pickle.error(0, what, got, need));
    let Value::Dict(pairs) = pickle.value(pickle.root) else {
        let got = pickle.value(pickle.root).kind().to_owned();
        return wrong(
            "the object in the file",
            got,
            "a dict with `data` and `labels`",
        );
    };
    let find = |name: &str| {
        let named = |pair: &&(Id, Id)| pickle.name(pair.0) == Some(name);
        pairs
            .iter()
            .find(named)
            .map(|&(_, value)| pickle.value(value))
    };
    let (Some(data), Some(numbers)) =
        (find("data"), find("labels").or_else(|| find("fine_labels")))
    else {
        let keys = pairs
            .iter()
            .filter_map(|&(key, _)| pickle.name(key))
            .take(8)
            .map(shown);
        let got = keys.collect::<Vec<_>>().join(", ");
        return wrong(
            "the list of the dict's keys",
            got,
            "with `data` and `labels`, as in data_batch_1",
        );
    };
    let (pixels, count) = match pixels(&pickle, data) {
        Ok(found) => found,
        Err(got) => {
            return wrong(
                "the array `data`",
                got,
                "of bytes (uint8), rows of 3072, row by row",
            );
        }
    };
    let Value::List(numbers) = numbers else {
        return wrong(
            "`labels`",
            numbers.kind().to_owned(),
            "a list of whole numbers",
        );
    };
    if numbers.len() != count {
        let need = format!("{count}, as many as pictures");
        return wrong("the number of labels", numbers.len().to_string(), &need);
    }
    for (row, &number) in numbers.iter().enumerate() {
        let label = match pickle.value(number) {
            &Value::Int(number) => u32::try_from(number).ok(),
            _ => None,
        };
        let Some(label) = label else {
            return Err(Error::Format {
                path: path.to_owned(),
                at: Place::Row(row as u64),
                what: "a label",
                got: pickle.value(number).kind().to_owned(),
                need: "a whole number, at least 0".to_owned(),
            });
        };
        spec.check_label(path, Place::Row(row as u64), label)?;
        labels.push(label);
    }
    buffer.push(pixels);
    Ok(())
}

/// The bytes of an array and its number of rows, or what it is instead.
fn pixels<'a>(pickle: &Pickle<'a>, data: &Value<'a>) -> Result<(&'a [u8], usize), String> {
    let &Value::Array(Some(state)) = data else {
        return Err(data.kind().to_owned());
    };
    let Value::Tuple(parts) = pickle.value(state) else {
        return Err("an array that numpy does not make".to_owned());
    };
    // Its version, shape, type, whether columns lie together, and the bytes.
    let parts: Vec<&Value> = parts.iter().map(|&id| pickle.value(id)).collect();
    let &[
        _,
        Value::Tuple(shape),
        &Value::NumberType(kind),
        &Value::Bool(columns),
        &Value::Bytes(bytes),
    ] = &parts[..]
    else {
        return Err("an array that numpy does not make".to_owned());
    };
    let shape: Option<Vec<usize>> = shape
        .iter()
        .map(|&id| match pickle.value(id) {
            &Value::Int(number) => usize::try_from(number).ok(),
            _ => None,
        })
        .collect();
    let kind = pickle.name(kind).unwrap_or("unknown");
    match shape.as_deref() {
        Some(&[count, PIXELS])
            if matches!(kind, "u1" | "|u1" | "uint8")
                && !columns
                && count.checked_mul(PIXELS) == Some(bytes.len()) =>
        {
            Ok((bytes, count))
        }
        shape => Err(format!(
            "of {} bytes, type {} and shape {shape:?}",
            bytes.len(),
            shown(kind)
        )),
    }
}
