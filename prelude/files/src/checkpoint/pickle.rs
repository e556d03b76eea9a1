//! The part of Python's pickles that state dicts and arrays use: a small stack machine that calls nothing.
//!
//! A pickle is a program. Python's own machine may import any function and call it; this one knows the few
//! that a [`Dialect`] names and what they would make, and refuses every other one, and every opcode that the
//! dialect does without, by name and place. No length is believed before it is held against the bytes that
//! are left. Values lie in one list and refer to each other by their place in it, so that memory grows with the
//! pickle's length alone, whatever refers to whatever; nothing walks along those references to any depth.
//!
//! # Source
//! CPython 3.13, `Lib/pickletools.py` (opcodes); PyTorch 2.15, `torch/serialization.py` and `torch/_utils.py`
//! (the arguments of what is called).

mod cursor;
mod opcode;
mod tensor;
mod value;

use std::collections::HashMap;

use self::cursor::Cursor;
use self::tensor::Named;
use self::value::Global;
pub(crate) use self::value::{Id, Value};
use crate::error::{Error, Result};
use crate::random_access::{RandomAccessFile, shown};

/// What a pickle may be made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Tensors of PyTorch by name.
    StateDict,
    /// Arrays of numpy and texts of either Python, as in the batches of CIFAR-10.
    Arrays,
}

/// The most opcodes of a pickle of arrays, whose bytes may be many: a batch of CIFAR-10 has a tenth of it.
const MOST: usize = 1 << 20;

/// What a pickle holds.
pub(crate) struct Pickle<'a> {
    cursor: Cursor<'a>,
    dialect: Dialect,
    file: &'a RandomAccessFile,
    values: Vec<Value<'a>>,
    /// What the program works on, and where in it each open group starts.
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
    pub(super) storages: Vec<Named<'a>>,
    by_key: HashMap<&'a str, u32>,
    /// The value of the whole.
    pub(crate) root: Id,
}

impl<'a> Pickle<'a> {
    /// Reads the pickle that starts with the first of `bytes`, which is at `base` of the file.
    pub(crate) fn read(
        file: &'a RandomAccessFile,
        bytes: &'a [u8],
        base: u64,
        dialect: Dialect,
    ) -> Result<Self> {
        let mut pickle = Self {
            cursor: Cursor::new(file, bytes, base),
            dialect,
            file,
            values: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            storages: Vec::new(),
            by_key: HashMap::new(),
            root: 0,
        };
        let mut steps = 0;
        while pickle.step()? {
            steps += 1;
            if dialect == Dialect::Arrays && steps > MOST {
                let got = format!("of more than {MOST} opcodes");
                return Err(pickle.error(
                    pickle.cursor.at,
                    "the pickle",
                    got,
                    "of fewer, as a batch of pictures is",
                ));
            }
        }
        pickle.root = pickle.pop(pickle.cursor.at - 1)?;
        Ok(pickle)
    }

    /// How many bytes it had.
    pub(crate) fn length(&self) -> usize {
        self.cursor.at
    }

    pub(crate) fn value(&self, id: Id) -> &Value<'a> {
        &self.values[id as usize]
    }

    /// A text, or the bytes by which Python 2 writes one.
    pub(crate) fn name(&self, id: Id) -> Option<&'a str> {
        match self.value(id) {
            Value::Text(text) => Some(text),
            Value::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    /// An error at a byte of the pickle.
    pub(crate) fn error(
        &self,
        at: usize,
        what: &'static str,
        got: impl Into<String>,
        need: impl Into<String>,
    ) -> Error {
        self.cursor.error(at, what, got, need)
    }

    /// Does one opcode; gives whether another one follows.
    fn step(&mut self) -> Result<bool> {
        let at = self.cursor.at;
        let [code] = self.cursor.array()?;
        match code {
            0x80 => {
                let [version] = self.cursor.array()?;
                if !(2..=5).contains(&version) {
                    let got = version.to_string();
                    return Err(self.error(at, "the pickle's protocol", got, "from 2 to 5"));
                }
            }
            // FRAME: a length that helps readers of streams.
            0x95 => drop(self.cursor.array::<8>()?),
            b'.' => return Ok(false),
            b'(' => self.marks.push(self.stack.len()),
            b'N' => self.push(Value::None),
            0x88 => self.push(Value::Bool(true)),
            0x89 => self.push(Value::Bool(false)),
            b'K' => {
                let [byte] = self.cursor.array()?;
                self.push(Value::Int(byte.into()));
            }
            b'M' => {
                let number = u16::from_le_bytes(self.cursor.array()?);
                self.push(Value::Int(number.into()));
            }
            b'J' => {
                let number = i32::from_le_bytes(self.cursor.array()?);
                self.push(Value::Int(number.into()));
            }
            0x8a => {
                let [length] = self.cursor.array()?;
                self.long(at, length.into())?;
            }
            0x8b => {
                let length = self.length_of_4()?;
                self.long(at, length)?;
            }
            // The value of a float is of no use here.
            b'G' => {
                self.cursor.array::<8>()?;
                self.push(Value::Float);
            }
            0x8c => {
                let [length] = self.cursor.array()?;
                self.text(length.into())?;
            }
            b'X' => {
                let length = self.length_of_4()?;
                self.text(length)?;
            }
            0x8d => {
                let length = u64::from_le_bytes(self.cursor.array()?);
                self.text(length)?;
            }
            b'U' | b'C' if self.dialect == Dialect::Arrays => {
                let [length] = self.cursor.array()?;
                self.bytes(length.into())?;
            }
            b'T' | b'B' if self.dialect == Dialect::Arrays => {
                let length = self.length_of_4()?;
                self.bytes(length)?;
            }
            0x8e if self.dialect == Dialect::Arrays => {
                let length = u64::from_le_bytes(self.cursor.array()?);
                self.bytes(length)?;
            }
            b')' => self.push(Value::Tuple([].into())),
            0x85..=0x87 => {
                let mut ids = [0; 3];
                let ids = &mut ids[..usize::from(code - 0x84)];
                for id in ids.iter_mut().rev() {
                    *id = self.pop(at)?;
                }
                let tuple = Value::Tuple((&*ids).into());
                self.push(tuple);
            }
            b't' => {
                let ids = self.group(at)?;
                self.push(Value::Tuple(ids.into()));
            }
            b']' => self.push(Value::List(Vec::new())),
            b'}' => self.push(Value::Dict(Vec::new())),
            b'a' => {
                let id = self.pop(at)?;
                self.append(at, &[id])?;
            }
            b'e' => {
                let ids = self.group(at)?;
                self.append(at, &ids)?;
            }
            b's' => {
                let value = self.pop(at)?;
                let key = self.pop(at)?;
                self.insert(at, &[key, value])?;
            }
            b'u' => {
                let ids = self.group(at)?;
                self.insert(at, &ids)?;
            }
            b'q' => {
                let [key] = self.cursor.array()?;
                self.remember(at, key.into())?;
            }
            b'r' => {
                let key = u32::from_le_bytes(self.cursor.array()?);
                self.remember(at, key)?;
            }
            0x94 => self.remember(at, self.memo.len() as u32)?,
            b'h' => {
                let [key] = self.cursor.array()?;
                self.recall(at, key.into())?;
            }
            b'j' => {
                let key = u32::from_le_bytes(self.cursor.array()?);
                self.recall(at, key)?;
            }
            b'c' => {
                let (module, name) = (self.cursor.line()?, self.cursor.line()?);
                self.global(at, module, name)?;
            }
            0x93 => {
                let (name, module) = (self.pop(at)?, self.pop(at)?);
                match (self.value(module), self.value(name)) {
                    (&Value::Text(module), &Value::Text(name)) => self.global(at, module, name)?,
                    _ => return Err(self.misused(at, "STACK_GLOBAL without two texts")),
                }
            }
            b'Q' => self.storage(at)?,
            b'R' => self.call(at)?,
            b'b' => self.build(at)?,
            code => {
                let got = format!("{} (0x{code:02x})", opcode::name(code));
                return Err(self.error(at, "an opcode of the pickle", got, self.dialect.opcodes()));
            }
        }
        Ok(true)
    }

    fn push(&mut self, value: Value<'a>) {
        self.stack.push(self.values.len() as Id);
        self.values.push(value);
    }

    /// Takes the topmost value.
    fn pop(&mut self, at: usize) -> Result<Id> {
        let id = self.top(at)?;
        self.stack.pop();
        Ok(id)
    }

    /// The topmost value, which stays; none of those before the innermost open group.
    fn top(&self, at: usize) -> Result<Id> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let top = self.stack[floor..].last().copied();
        top.ok_or_else(|| self.misused(at, "one that takes more than there is"))
    }

    /// Takes all values of the innermost open group.
    fn group(&mut self, at: usize) -> Result<Vec<Id>> {
        match self.marks.pop() {
            Some(mark) => Ok(self.stack.split_off(mark)),
            None => Err(self.misused(at, "one that closes a group which is not open")),
        }
    }

    fn misused(&self, at: usize, got: &str) -> Error {
        let need = "one for what is on the stack; the file is damaged, get it anew";
        self.error(at, "an opcode of the pickle", got, need)
    }

    fn length_of_4(&mut self) -> Result<u64> {
        Ok(u32::from_le_bytes(self.cursor.array()?).into())
    }

    /// An integer in two's complement, the lowest byte first.
    fn long(&mut self, at: usize, length: u64) -> Result<()> {
        let bytes = self.cursor.take(length)?;
        if bytes.len() > 16 {
            let got = format!("{length} bytes long");
            return Err(self.error(at, "an integer", got, "16 bytes at most"));
        }
        let sign = bytes
            .last()
            .map_or(0, |&high| if high < 128 { 0 } else { 0xff });
        let mut whole = [sign; 16];
        whole[..bytes.len()].copy_from_slice(bytes);
        self.push(Value::Int(i128::from_le_bytes(whole)));
        Ok(())
    }

    fn text(&mut self, length: u64) -> Result<()> {
        let text = self.cursor.text(length)?;
        self.push(Value::Text(text));
        Ok(())
    }

    fn bytes(&mut self, length: u64) -> Result<()> {
        let bytes = self.cursor.take(length)?;
        self.push(Value::Bytes(bytes));
        Ok(())
    }

    fn append(&mut self, at: usize, ids: &[Id]) -> Result<()> {
        let list = self.top(at)?;
        match &mut self.values[list as usize] {
            Value::List(list) => list.extend(ids),
            other => {
                let got = format!("one that appends to {}", other.kind());
                return Err(self.misused(at, &got));
            }
        }
        Ok(())
    }

    /// Puts keys and values, which take turns, into the dict on the stack.
    fn insert(&mut self, at: usize, ids: &[Id]) -> Result<()> {
        let dict = self.top(at)?;
        let (pairs, rest) = ids.as_chunks();
        match &mut self.values[dict as usize] {
            Value::Dict(dict) if rest.is_empty() => {
                dict.extend(pairs.iter().map(|&[key, value]| (key, value)));
                Ok(())
            }
            other => {
                let got = format!(
                    "one that puts {} keys and values into {}",
                    ids.len(),
                    other.kind()
                );
                Err(self.misused(at, &got))
            }
        }
    }

    fn remember(&mut self, at: usize, key: u32) -> Result<()> {
        let id = self.top(at)?;
        self.memo.insert(key, id);
        Ok(())
    }

    fn recall(&mut self, at: usize, key: u32) -> Result<()> {
        match self.memo.get(&key) {
            Some(&id) => {
                self.stack.push(id);
                Ok(())
            }
            None => Err(self.misused(
                at,
                &format!("one that recalls value {key}, which was not kept"),
            )),
        }
    }

    fn global(&mut self, at: usize, module: &str, name: &str) -> Result<()> {
        let Some(global) = Global::named(self.dialect, module, name) else {
            let (what, got) = (
                "a function or class that the pickle names",
                shown(&format!("{module}.{name}")),
            );
            return Err(self.error(at, what, got, self.dialect.globals()));
        };
        self.push(Value::Global(global));
        Ok(())
    }

    /// REDUCE: what calling a function would make.
    fn call(&mut self, at: usize) -> Result<()> {
        let (arguments, function) = (self.pop(at)?, self.pop(at)?);
        let given = match self.value(arguments) {
            Value::Tuple(given) => &given[..],
            _ => return Err(self.misused(at, "REDUCE without a tuple of arguments")),
        };
        let made = match (self.value(function), given) {
            (Value::Global(Global::OrderedDict), []) => Value::Dict(Vec::new()),
            (Value::Global(Global::Tensor), [_, _, _, _, ..]) => Value::Tensor {
                arguments,
                at: at as u32,
            },
            (Value::Global(Global::Parameter), &[tensor, ..])
                if matches!(self.value(tensor), Value::Tensor { .. }) =>
            {
                self.stack.push(tensor);
                return Ok(());
            }
            (Value::Global(Global::Reconstruct), [_, _, _]) => Value::Array(None),
            (Value::Global(Global::NumberType), &[kind, ..]) => Value::NumberType(kind),
            // Python 3 writes bytes for Python 2 as a text of that many letters; pixels are not written so.
            (function, given) => {
                let got = format!(
                    "REDUCE of {} with {} arguments",
                    function.kind(),
                    given.len()
                );
                return Err(self.error(at, "an opcode of the pickle", got, self.dialect.opcodes()));
            }
        };
        self.push(made);
        Ok(())
    }

    /// BUILD: the contents of an array, or the attributes of an ordered dict, which a module's state dict has and
    /// which hold no weights.
    fn build(&mut self, at: usize) -> Result<()> {
        let state = self.pop(at)?;
        let target = self.top(at)?;
        match &mut self.values[target as usize] {
            Value::Dict(_) | Value::NumberType(_) => Ok(()),
            Value::Array(contents @ None) => {
                *contents = Some(state);
                Ok(())
            }
            other => {
                let got = format!("BUILD (0x62) of {}", other.kind());
                Err(self.error(at, "an opcode of the pickle", got, self.dialect.opcodes()))
            }
        }
    }
}

impl Dialect {
    /// What its opcodes must be.
    fn opcodes(self) -> &'static str {
        match self {
            Self::StateDict => {
                "one of those that a state dict needs; save `model.state_dict()` alone, or as safetensors"
            }
            Self::Arrays => "one of those that a dict of arrays and lists needs",
        }
    }

    /// What its functions and classes must be.
    fn globals(self) -> &'static str {
        match self {
            Self::StateDict => {
                "collections.OrderedDict, torch._utils._rebuild_tensor_v2, \
                 torch._utils._rebuild_parameter or a storage of torch, for nothing else belongs to a state dict; \
                 save `model.state_dict()` alone, or as safetensors"
            }
            Self::Arrays => {
                "one of those that make numpy's arrays, for nothing else belongs to a batch of pictures"
            }
        }
    }
}
