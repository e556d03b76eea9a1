//! diffusers' `config.json`.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde_json::{Map, Value};

use super::config::{Block, DdpmConfig, refuse};
use crate::error::{Error, Place, Result};

/// The most bytes of a file that are read; a config has about 1000.
const LONGEST: u64 = 1 << 20;

impl DdpmConfig {
    /// What diffusers takes for settings that a file does not have.
    fn unsaid() -> Self {
        use Block::{Attention, Plain};
        Self {
            block_out_channels: vec![224, 448, 672, 896],
            down_block_types: vec![Plain, Attention, Attention, Attention],
            up_block_types: vec![Attention, Attention, Attention, Plain],
            norm_eps: 1e-5,
            flip_sin_to_cos: true,
            freq_shift: 0.0,
            downsample_padding: 1,
            attention_head_dim: Some(8),
            ..Self::cifar10()
        }
    }

    /// Reads a `config.json` of diffusers.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be read, [`Error::Format`] for what [`Self::from_json`] refuses.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let mut text = String::new();
        let read = |file: File| file.take(LONGEST).read_to_string(&mut text);
        File::open(path)
            .and_then(read)
            .map_err(|cause| Error::File {
                path: path.to_owned(),
                cause: cause.into(),
            })?;
        Self::from_json(&text).map_err(|error| match error {
            Error::Parameter { name, got, need } => Error::Format {
                path: path.to_owned(),
                at: Place::File,
                what: name,
                got,
                need: need.to_owned(),
            },
            error => error,
        })
    }

    /// The settings in the text of a `config.json` of diffusers.
    ///
    /// # Errors
    /// [`Error::Parameter`] when it is not JSON, a setting is unknown or has a value that is not supported, and
    /// as [`Self::check`]. Names that begin with `_` are notes and are not read, but for `_class_name`.
    ///
    /// # Example
    /// ```
    /// use itd_prelude::net::ddpm::DdpmConfig;
    ///
    /// let wrong = r#"{"_class_name": "UNet2DModel", "sample_size": 32, "act_fn": "gelu"}"#;
    /// let error = DdpmConfig::from_json(wrong).unwrap_err();
    /// assert_eq!(error.to_string(), r#"act_fn is "gelu"; it must be "silu" or "swish""#);
    /// ```
    pub fn from_json(text: &str) -> Result<Self> {
        let map: Map<String, Value> = serde_json::from_str(text).map_err(|error| {
            let got = format!("no JSON object: {error}");
            refuse("the config", got, "what diffusers saves for a UNet2DModel")
        })?;
        let mut config = Self::unsaid();
        if !map.contains_key("sample_size") {
            let need = "there: the height and width of pictures";
            return Err(refuse("sample_size", "missing".into(), need));
        }
        for (name, value) in &map {
            config.set(name, value)?;
        }
        config.check()?;
        Ok(config)
    }

    fn set(&mut self, name: &str, value: &Value) -> Result<()> {
        const SILU: (&[&str], &str) = (&["silu", "swish"], "\"silu\" or \"swish\"");
        match name {
            "sample_size" => self.sample_size = size(value)?,
            "in_channels" => self.in_channels = count("in_channels", value)?,
            "out_channels" => self.out_channels = count("out_channels", value)?,
            "block_out_channels" => {
                let each = |value: &Value| count("block_out_channels", value);
                self.block_out_channels = list("block_out_channels", value, each)?;
            }
            "down_block_types" => {
                let names = ["DownBlock2D", "AttnDownBlock2D"];
                let need = "a list of \"DownBlock2D\" and \"AttnDownBlock2D\"";
                let each = |value: &Value| block("down_block_types", value, names, need);
                self.down_block_types = list("down_block_types", value, each)?;
            }
            "up_block_types" => {
                let names = ["UpBlock2D", "AttnUpBlock2D"];
                let need = "a list of \"UpBlock2D\" and \"AttnUpBlock2D\"";
                let each = |value: &Value| block("up_block_types", value, names, need);
                self.up_block_types = list("up_block_types", value, each)?;
            }
            "layers_per_block" => self.layers_per_block = count("layers_per_block", value)?,
            "norm_num_groups" => self.norm_num_groups = count("norm_num_groups", value)?,
            "norm_eps" => self.norm_eps = number("norm_eps", value)?,
            "flip_sin_to_cos" => self.flip_sin_to_cos = flag("flip_sin_to_cos", value)?,
            "freq_shift" => self.freq_shift = number("freq_shift", value)?,
            "downsample_padding" => self.downsample_padding = count("downsample_padding", value)?,
            "attention_head_dim" => {
                self.attention_head_dim = match value {
                    Value::Null => None,
                    value => Some(count("attention_head_dim", value)?),
                };
            }
            "mid_block_scale_factor" => {
                self.mid_block_scale_factor = number("mid_block_scale_factor", value)?;
            }
            "center_input_sample" => self.center_input_sample = flag("center_input_sample", value)?,
            // What has only one value that is supported.
            "_class_name" => only("_class_name", value, &["UNet2DModel"], "\"UNet2DModel\"")?,
            "act_fn" => only("act_fn", value, SILU.0, SILU.1)?,
            "time_embedding_type" => {
                only(
                    "time_embedding_type",
                    value,
                    &["positional"],
                    "\"positional\"",
                )?;
            }
            "mid_block_type" => {
                only(
                    "mid_block_type",
                    value,
                    &["UNetMidBlock2D"],
                    "\"UNetMidBlock2D\"",
                )?;
            }
            "downsample_type" => only("downsample_type", value, &["conv"], "\"conv\"")?,
            "upsample_type" => only("upsample_type", value, &["conv"], "\"conv\"")?,
            "resnet_time_scale_shift" => {
                only(
                    "resnet_time_scale_shift",
                    value,
                    &["default"],
                    "\"default\"",
                )?;
            }
            "add_attention" => {
                if !flag("add_attention", value)? {
                    return Err(refuse("add_attention", "false".into(), "true"));
                }
            }
            // Dropout is only for training; the number of steps only for a learned embedding of time.
            "dropout" | "num_train_timesteps" => {}
            _ if name.starts_with('_') || value.is_null() => {}
            _ => {
                let got = format!("{name:?} = {value}");
                let need = "absent or null; networks with it are not supported";
                return Err(refuse("a setting", got, need));
            }
        }
        Ok(())
    }
}

fn count(name: &'static str, value: &Value) -> Result<usize> {
    let number = value
        .as_u64()
        .and_then(|number| usize::try_from(number).ok());
    number.ok_or_else(|| refuse(name, value.to_string(), "whole numbers"))
}

fn number(name: &'static str, value: &Value) -> Result<f64> {
    let number = value.as_f64();
    number.ok_or_else(|| refuse(name, value.to_string(), "a number"))
}

fn flag(name: &'static str, value: &Value) -> Result<bool> {
    let flag = value.as_bool();
    flag.ok_or_else(|| refuse(name, value.to_string(), "true or false"))
}

fn list<T>(
    name: &'static str,
    value: &Value,
    each: impl Fn(&Value) -> Result<T>,
) -> Result<Vec<T>> {
    let list = value.as_array();
    let list = list.ok_or_else(|| refuse(name, value.to_string(), "a list"))?;
    list.iter().map(each).collect()
}

/// A number, or height and width.
fn size(value: &Value) -> Result<[usize; 2]> {
    let name = "sample_size";
    match value.as_array().map(Vec::as_slice) {
        None => count(name, value).map(|size| [size, size]),
        Some([height, width]) => Ok([count(name, height)?, count(name, width)?]),
        _ => Err(refuse(
            name,
            value.to_string(),
            "a number, or a height and a width",
        )),
    }
}

fn block(name: &'static str, value: &Value, names: [&str; 2], need: &'static str) -> Result<Block> {
    match value.as_str() {
        Some(text) if text == names[0] => Ok(Block::Plain),
        Some(text) if text == names[1] => Ok(Block::Attention),
        _ => Err(refuse(name, value.to_string(), need)),
    }
}

fn only(name: &'static str, value: &Value, known: &[&str], need: &'static str) -> Result<()> {
    match value.as_str() {
        Some(text) if known.contains(&text) => Ok(()),
        _ => Err(refuse(name, value.to_string(), need)),
    }
}
