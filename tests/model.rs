//! Random cells against a model of what must live, and with which value, after each.
//!
//! `ITD_MODEL_CELLS` says how many (60), `ITD_MODEL_SEED` where to begin.

mod common;

use std::collections::BTreeMap;

use common::client::Kernel;
use itd::client::Answer;
use jupyter_protocol::{ExecuteRequest, JupyterMessageContent as Content};

/// Numbers that look random and are the same each time (Marsaglia's xorshift).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// What a variable is.
#[derive(Debug, Clone, PartialEq)]
enum Value {
    Number(i64),
    /// Can be moved.
    Text(i64),
    /// Of the type `S` as it is defined now.
    Made(i64),
}

#[derive(Default)]
struct Model {
    variables: BTreeMap<String, Value>,
    /// Which definition of `S` there is, and of the function `f`.
    shape: Option<u64>,
    function: Option<i64>,
    loses: usize,
}

/// A cell, and what must come of it.
struct Cell {
    code: String,
    ename: &'static str,
    shown: Option<String>,
    printed: String,
    /// It is interrupted once it has printed.
    interrupted: bool,
}

fn cell(code: String) -> Cell {
    Cell {
        code,
        ename: "",
        shown: None,
        printed: String::new(),
        interrupted: false,
    }
}

impl Model {
    fn next(&mut self, dice: &mut Dice) -> Cell {
        let (name, n) = (format!("v{}", dice.roll(4)), dice.roll(900) as i64);
        let failing = |code: String, ename| Cell {
            ename,
            ..cell(code)
        };
        let of_shape = |shape: u64, n: i64| match shape % 2 {
            0 => format!("S {{ x: {n} }}"),
            _ => format!("S {{ pad: String::new(), x: {n} }}"),
        };
        match dice.roll(16) {
            0 | 1 => {
                self.variables.insert(name.clone(), Value::Number(n));
                cell(format!("let {name} = {n};"))
            }
            2 | 3 => {
                self.variables.insert(name.clone(), Value::Text(n));
                cell(format!(
                    "let mut {name} = {n}.to_string(); {name}.push('!');"
                ))
            }
            4 => match self.variables.get(&name).cloned() {
                Some(value @ Value::Text(_)) => {
                    self.variables.remove(&name);
                    let to = format!("v{}", dice.roll(4));
                    self.variables.insert(to.clone(), value);
                    cell(format!("let {to} = {name};"))
                }
                _ => cell("let _ = 1;".to_owned()),
            },
            5 => failing(format!("let {name} = {n}; panic!(\"p\");"), "Panic"),
            6 => failing(format!("let {name}: i32 = \"{n}\";"), "CompileError"),
            7 => failing(
                format!("let other = 1; \"x{n}\".parse::<i32>()?;"),
                "ParseIntError",
            ),
            8 => cell(format!(
                "let {name} = {n}; if {name} == {n} {{ return Ok(()); }}"
            )),
            9 => Cell {
                shown: Some((n + 1).to_string()),
                ..cell(format!("let closure = |x: i32| x + {n}; closure(1)"))
            },
            10 => {
                let shape = dice.roll(2);
                if self.shape.is_some_and(|before| before != shape) {
                    self.variables
                        .retain(|_, value| !matches!(value, Value::Made(_)));
                }
                self.shape = Some(shape);
                cell(match shape {
                    0 => "struct S { x: i64 } impl S { fn get(&self) -> i64 { self.x } }".to_owned(),
                    _ => "struct S { pad: String, x: i64 } impl S { fn get(&self) -> i64 { self.x } }".to_owned(),
                })
            }
            11 | 12 => match self.shape {
                Some(shape) => {
                    self.variables.insert(name.clone(), Value::Made(n));
                    cell(format!("let {name} = {};", of_shape(shape, n)))
                }
                None => cell("let _ = 2;".to_owned()),
            },
            13 => {
                self.function = Some(n);
                cell(format!("fn f() -> i64 {{ {n} }}"))
            }
            14 => match self.function {
                Some(n) => Cell {
                    shown: Some(n.to_string()),
                    printed: format!("f{n}"),
                    ..cell(format!("print!(\"f{n}\"); f()"))
                },
                None => failing("f()".to_owned(), "CompileError"),
            },
            _ if dice.roll(6) == 0 => {
                *self = Self::default();
                cell(":clear".to_owned())
            }
            _ if dice.roll(3) == 0 => Cell {
                printed: "waits".to_owned(),
                interrupted: true,
                ..failing(
                    format!(
                        "let {name} = {n}; print!(\"waits\"); while !itd_prelude::cell::interrupted() {{ \
                         std::thread::sleep(std::time::Duration::from_millis(2)); }} panic!(\"{{{name}}}\");"
                    ),
                    "Panic",
                )
            },
            _ if dice.roll(4) == 0 => {
                self.variables.clear();
                self.loses += 1;
                failing("std::process::exit(3);".to_owned(), "ProcessExit")
            }
            _ => cell(format!("std::thread::spawn(|| {n}).join().unwrap();")),
        }
    }
}

fn told(answer: &Answer) -> String {
    format!("{answer:?}")
}

#[test]
fn random_cells_do_what_the_model_says() {
    let number = |name: &str, usual: u64| {
        let text = std::env::var(name).ok();
        text.and_then(|text| text.parse().ok()).unwrap_or(usual)
    };
    let seed = number("ITD_MODEL_SEED", 2024);
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let mut model = Model::default();
    let mut kernel = Kernel::start();
    let mut history = Vec::new();
    for index in 0..number("ITD_MODEL_CELLS", 60) {
        let mut cell = model.next(&mut dice);
        history.push(cell.code.clone());
        let place = format!(
            "cell {index} with seed {seed}; the last ones: {:#?}",
            &history[history.len().saturating_sub(12)..]
        );
        let request = kernel.send(ExecuteRequest::new(cell.code.clone()));
        if cell.interrupted {
            kernel.wait_for("waits");
            kernel.interrupt();
        }
        let mut answer = kernel.collect(&request);
        if cell.interrupted {
            // What was heard while it was waited for is not heard again.
            answer
                .outputs
                .retain(|(_, content)| !matches!(content, Content::StreamContent(_)));
            cell.printed.clear();
        }
        assert_eq!(answer.ename, cell.ename, "{place}: {}", told(&answer));
        assert_eq!(answer.result(), cell.shown, "{place}: {}", told(&answer));
        assert_eq!(
            answer.stream("stdout"),
            cell.printed,
            "{place}: {}",
            told(&answer)
        );
        // One variable, which may be there or not.
        let name = format!("v{}", dice.roll(4));
        let look = match model.variables.get(&name) {
            Some(Value::Made(_)) => format!("{name}.get()"),
            _ => format!("&{name}"),
        };
        let seen = kernel.peek(&look);
        let expected = model.variables.get(&name).map(|value| match value {
            Value::Number(n) | Value::Made(n) => n.to_string(),
            Value::Text(n) => format!("\"{n}!\""),
        });
        assert_eq!(
            seen.result(),
            expected,
            "{look} after {place}: {}",
            told(&seen)
        );
        if expected.is_none() {
            assert_eq!(
                seen.ename,
                "CompileError",
                "{look} after {place}: {}",
                told(&seen)
            );
        }
    }
}
