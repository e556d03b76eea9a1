//! The safetensors format: the length of a header, the header in JSON, and the bytes of all tensors.
//!
//! # Source
//! huggingface/safetensors, README, "Format".

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};

use super::values::{Storage, View};
use crate::error::{Error, Result};
use crate::file;
use crate::random_access::{LONGEST, RandomAccessFile, failed, shown};

/// The key that is no tensor.
const METADATA: &str = "__metadata__";

/// What the header says, as it stands there.
struct Header {
    metadata: BTreeMap<String, String>,
    tensors: Vec<(String, TensorInfo)>,
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeaderVisitor)
    }
}

/// Reads one entry after the other: the crate's own type keeps the last of several with one name, and copies
/// the header into a tree first.
struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = Header;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("tensors by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
        let mut metadata = None;
        let mut tensors = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            let twice = if name == METADATA {
                metadata.replace(map.next_value()?).is_some()
            } else {
                let info: TensorInfo = map.next_value()?;
                match tensors.contains_key(&name) {
                    true => {
                        return Err(A::Error::custom(format!("{} is there twice", shown(&name))));
                    }
                    false => tensors.insert(name, info).is_some(),
                }
            };
            if twice {
                return Err(A::Error::custom("the metadata are there twice"));
            }
        }
        Ok(Header {
            metadata: metadata.unwrap_or_default(),
            tensors: tensors.into_iter().collect(),
        })
    }
}

/// Names of tensors, the storages in which their views are, and the metadata.
pub(super) type Found = (Vec<(String, View)>, Vec<Storage>, BTreeMap<String, String>);

/// Reads the header and holds what it says against the length of the file.
pub(super) fn read(file: &RandomAccessFile) -> Result<Found> {
    let mut length = [0; 8];
    file.check(0, 8, "the length of the header")?;
    file.fill(0, &mut length)?;
    let length = u64::from_le_bytes(length);
    let most = (file.length - 8).min(LONGEST);
    if length > most {
        let need = format!("{most} at most; the file is not whole, or no safetensors");
        return Err(file.error(0, "the length of the header", length.to_string(), need));
    }
    let bytes = file.read(8, length, "the header")?;
    let header: Header = serde_json::from_slice(&bytes).map_err(|error| {
        let column = match error.line() {
            1 => error.column().saturating_sub(1) as u64,
            _ => 0,
        };
        file.error(
            8 + column,
            "the header",
            error.to_string(),
            "JSON with a type, a shape and offsets for each tensor",
        )
    })?;
    drop(bytes);
    let mut tensors = header.tensors;
    tensors.sort_by_key(|(_, info)| info.data_offsets);
    let checked = Metadata::new(None, tensors.clone()).map_err(|error| {
        let need =
            "such that tensors follow upon each other, each as long as its type and shape say";
        file.error(8, "the header", error.to_string(), need)
    })?;
    let (start, data) = (8 + length, checked.data_len() as u64);
    if data != file.length - start {
        let got = format!("{} bytes", file.length - start);
        let need =
            format!("{data}, as the header says; the file is not whole, or damaged: get it anew");
        return Err(file.error(start, "the data behind the header", got, need));
    }
    let mut storages = Vec::with_capacity(tensors.len());
    let mut views = Vec::with_capacity(tensors.len());
    for (name, info) in tensors {
        let (from, to) = info.data_offsets;
        views.push((name, View::whole(storages.len(), info.dtype, info.shape)));
        storages.push(Storage::new(start + from as u64, (to - from) as u64, None));
    }
    Ok((views, storages, header.metadata))
}

/// Writes tensors one at a time. The same tensors give the same bytes.
pub(super) fn write(
    path: &Path,
    tensors: &[(String, Tensor)],
    metadata: &BTreeMap<String, String>,
) -> Result<()> {
    if tensors.is_empty() {
        return Err(Error::Empty {
            what: "the list of tensors to save",
        });
    }
    let wrong = |got: String, need| {
        Err(Error::Parameter {
            name: "the list of tensors to save",
            got,
            need,
        })
    };
    let mut names = BTreeSet::from([METADATA]);
    let mut sorted = Vec::with_capacity(tensors.len());
    for (name, tensor) in tensors {
        let dtype = match tensor.dtype() {
            DType::F64 => Dtype::F64,
            // All of them are numbers in 32 bits, too.
            DType::F32 | DType::F16 | DType::BF16 => Dtype::F32,
            other => {
                let got = format!("one with {} of {}", shown(name), other.as_str());
                return wrong(got, "of tensors of f32, f16, bf16 or f64");
            }
        };
        if !names.insert(name) {
            let got = format!("one that names {} once more", shown(name));
            return wrong(got, "of different names, none of which is __metadata__");
        }
        sorted.push((name, dtype, tensor));
    }
    // The format wants values of eight bytes first, so that each lies at a multiple of its size.
    sorted.sort_by_key(|(name, dtype, _)| (*dtype != Dtype::F64, *name));
    let mut header = serde_json::Map::new();
    if !metadata.is_empty() {
        header.insert(METADATA.into(), serde_json::json!(metadata));
    }
    let mut end = 0;
    for (name, dtype, tensor) in &sorted {
        let from = end;
        end += tensor.elem_count() * dtype.bitsize() / 8;
        let info = serde_json::json!({
            "dtype": dtype.to_string(),
            "shape": tensor.dims(),
            "data_offsets": [from, end],
        });
        header.insert((*name).clone(), info);
    }
    let mut header = serde_json::Value::Object(header).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    let saved = file::replace(path, |file| {
        let mut file = BufWriter::with_capacity(1 << 16, file);
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(&header)?;
        for (name, dtype, tensor) in &sorted {
            write_values(&mut file, name, *dtype, tensor)?;
        }
        file.flush()
    });
    saved.map_err(|cause| failed(path, cause))
}

fn write_values(
    file: &mut impl Write,
    name: &str,
    dtype: Dtype,
    tensor: &Tensor,
) -> io::Result<()> {
    let flat = tensor
        .flatten_all()
        .and_then(|flat| flat.to_device(&Device::Cpu))
        .map_err(io::Error::other)?;
    let refuse = |finite: bool| match finite {
        true => Ok(()),
        false => Err(io::Error::other(format!(
            "a value of {} is not finite, and a checkpoint holds only finite ones",
            shown(name)
        ))),
    };
    if dtype == Dtype::F64 {
        for value in flat.to_vec1::<f64>().map_err(io::Error::other)? {
            refuse(value.is_finite())?;
            file.write_all(&value.to_le_bytes())?;
        }
        return Ok(());
    }
    let flat = flat
        .to_dtype(DType::F32)
        .and_then(|flat| flat.to_vec1::<f32>());
    for value in flat.map_err(io::Error::other)? {
        refuse(value.is_finite())?;
        file.write_all(&value.to_le_bytes())?;
    }
    Ok(())
}
