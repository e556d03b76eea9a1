//! Files of named tensors, as far as a U-Net needs them: safetensors of type F32.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use crate::error::{Error, Place, Result};
use crate::file;

pub(super) struct Checkpoint {
    path: PathBuf,
    bytes: Vec<u8>,
    metadata: BTreeMap<String, String>,
}

#[derive(Debug, Default)]
pub(super) struct Keys {
    pub missing: Vec<String>,
    pub unexpected: Vec<String>,
    pub misshapen: Vec<String>,
}

impl Keys {
    pub fn fit(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty() && self.misshapen.is_empty()
    }
}

impl fmt::Display for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "missing {:?}, unexpected {:?}, misshapen {:?}",
            self.missing, self.unexpected, self.misshapen
        )
    }
}

impl Checkpoint {
    pub(super) fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_owned();
        let bytes = std::fs::read(&path).map_err(|e| Self::io(&path, e))?;
        let bad = |e: safetensors::SafeTensorError| Self::bad(&path, e.to_string());
        SafeTensors::deserialize(&bytes).map_err(bad)?;
        let (_, head) = SafeTensors::read_metadata(&bytes).map_err(bad)?;
        let metadata = head
            .metadata()
            .clone()
            .unwrap_or_default()
            .into_iter()
            .collect();
        Ok(Self {
            path,
            bytes,
            metadata,
        })
    }

    fn io(path: &Path, cause: std::io::Error) -> Error {
        Error::File {
            path: path.to_owned(),
            cause: cause.into(),
        }
    }

    fn bad(path: &Path, got: String) -> Error {
        Error::Format {
            path: path.to_owned(),
            at: Place::File,
            what: "the checkpoint",
            got,
            need: "safetensors".into(),
        }
    }

    fn tensors(&self) -> Result<SafeTensors<'_>> {
        SafeTensors::deserialize(&self.bytes).map_err(|e| Self::bad(&self.path, e.to_string()))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    pub(super) fn compare(&self, layout: &[(String, Vec<usize>)]) -> Keys {
        let mut keys = Keys::default();
        let Ok(tensors) = self.tensors() else {
            return keys;
        };
        for (name, shape) in layout {
            match tensors.tensor(name) {
                Err(_) => keys.missing.push(name.clone()),
                Ok(view) if view.shape() != shape => keys.misshapen.push(name.clone()),
                _ => {}
            }
        }
        for name in tensors.names() {
            if !layout.iter().any(|(known, _)| known == name) {
                keys.unexpected.push(name.to_owned());
            }
        }
        keys
    }

    pub(super) fn tensor(&self, name: &str, device: &Device) -> Result<Tensor> {
        let tensors = self.tensors()?;
        let view = tensors
            .tensor(name)
            .map_err(|e| Self::bad(&self.path, e.to_string()))?;
        if view.dtype() != Dtype::F32 {
            return Err(Self::bad(&self.path, format!("{name} is not of type F32")));
        }
        let tensor = Tensor::from_raw_buffer(view.data(), DType::F32, view.shape(), &Device::Cpu)?;
        let values = tensor.flatten_all()?.to_vec1::<f32>()?;
        if !values.iter().all(|value| value.is_finite()) {
            return Err(Self::bad(&self.path, format!("{name} is not finite")));
        }
        Ok(tensor.to_device(device)?)
    }

    pub(super) fn save(
        path: impl AsRef<Path>,
        tensors: &[(String, Tensor)],
        metadata: &BTreeMap<String, String>,
    ) -> Result<()> {
        let mut raw = Vec::new();
        for (name, t) in tensors {
            let bytes: Vec<u8> = t
                .flatten_all()?
                .to_vec1::<f32>()?
                .iter()
                .flat_map(|v| v.to_le_bytes())
                .collect();
            raw.push((name.clone(), t.dims().to_vec(), bytes));
        }
        let views = raw
            .iter()
            .map(|(n, s, b)| Ok((n.as_str(), TensorView::new(Dtype::F32, s.clone(), b)?)));
        let views = views.collect::<Result<Vec<_>, safetensors::SafeTensorError>>();
        let path = path.as_ref();
        let bytes = views
            .and_then(|views| {
                safetensors::serialize(views, Some(metadata.clone().into_iter().collect()))
            })
            .map_err(|e| Self::bad(path, e.to_string()))?;
        file::replace(path, |f| std::io::Write::write_all(f, &bytes)).map_err(|e| Self::io(path, e))
    }
}
