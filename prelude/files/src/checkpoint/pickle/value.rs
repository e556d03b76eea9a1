//! What a pickle of a state dict can hold.

use safetensors::Dtype;

use super::Dialect;

/// A value's place in the list of all values of its pickle. Values refer to each other by it, so that one that
/// is used a million times is there once.
pub(crate) type Id = u32;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value<'a> {
    None,
    Bool(bool),
    /// Python's integers have no end; sixteen bytes hold all that a state dict has.
    Int(i128),
    Float,
    Text(&'a str),
    Bytes(&'a [u8]),
    Tuple(Box<[Id]>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Global(Global),
    /// One of the pickle's storages.
    Storage(u32),
    /// The arguments of `_rebuild_tensor_v2`, and where it was called.
    Tensor {
        arguments: Id,
        at: u32,
    },
    /// An array of numpy, and once it is there, what it is made of.
    Array(Option<Id>),
    /// A type of numpy, by name.
    NumberType(Id),
}

impl Value<'_> {
    /// What it is, for errors.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Value::None => "None",
            Value::Bool(_) => "a bool",
            Value::Int(_) => "an integer",
            Value::Float => "a float",
            Value::Text(_) => "a text",
            Value::Bytes(_) => "a run of bytes",
            Value::Tuple(_) => "a tuple",
            Value::List(_) => "a list",
            Value::Dict(_) => "a dict",
            Value::Global(_) => "a function or class",
            Value::Storage(_) => "a storage",
            Value::Tensor { .. } => "a tensor",
            Value::Array(_) => "an array",
            Value::NumberType(_) => "a type of numbers",
        }
    }
}

/// The functions and classes that a pickle may name. None of them is ever called: what they would make is
/// known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Global {
    OrderedDict,
    Tensor,
    Parameter,
    Storage(Dtype),
    Reconstruct,
    NdArray,
    NumberType,
}

impl Global {
    /// The function or class of a module, if it is allowed.
    pub(super) fn named(dialect: Dialect, module: &str, name: &str) -> Option<Self> {
        if dialect == Dialect::Arrays {
            return match (module, name) {
                ("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct") => {
                    Some(Self::Reconstruct)
                }
                ("numpy", "ndarray") => Some(Self::NdArray),
                ("numpy", "dtype") => Some(Self::NumberType),
                _ => None,
            };
        }
        match (module, name) {
            ("collections", "OrderedDict") => Some(Self::OrderedDict),
            ("torch._utils", "_rebuild_tensor_v2") => Some(Self::Tensor),
            ("torch._utils", "_rebuild_parameter") => Some(Self::Parameter),
            ("torch", storage) => {
                let dtype = match storage.strip_suffix("Storage")? {
                    "Float" => Dtype::F32,
                    "Double" => Dtype::F64,
                    "Half" => Dtype::F16,
                    "BFloat16" => Dtype::BF16,
                    "Long" => Dtype::I64,
                    "Int" => Dtype::I32,
                    "Short" => Dtype::I16,
                    "Char" => Dtype::I8,
                    "Byte" => Dtype::U8,
                    "Bool" => Dtype::BOOL,
                    "ComplexFloat" => Dtype::C64,
                    _ => return None,
                };
                Some(Self::Storage(dtype))
            }
            _ => None,
        }
    }
}
