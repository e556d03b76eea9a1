//! Parameters of a notebook, as papermill has them: values in the place of those that the cell tagged `parameters`
//! declares, in a cell of their own behind it.

use nbformat::v4::{Cell, CellId, CellMetadata, Notebook};
use ra_ap_syntax::ast::{self, AstNode, HasName};
use ra_ap_syntax::{Edition, SourceFile, SyntaxKind, SyntaxNode};
use serde_json::Value;

use super::{file, percent};
use crate::cell::source::statements;

/// The tag of the cell with the defaults.
const DEFAULTS: &str = "parameters";
/// The tag of the cell with the values.
const INJECTED: &str = "injected-parameters";

/// A value by name.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    pub name: String,
    pub value: Value,
    /// The value as it was written, for a text that looks like a number.
    written: String,
}

impl std::str::FromStr for Parameter {
    type Err = String;

    /// Reads `epochs=3`, `rate=1e-3`, `fast=true`, `name=words`, `sizes=[1, 2]`.
    fn from_str(text: &str) -> Result<Self, String> {
        let need = "write NAME=VALUE, as in epochs=3, fast=true, name=words, sizes=[1,2]";
        let (name, value) = text.split_once('=').ok_or(need)?;
        let (name, value) = (name.trim(), value.trim());
        let is_name = name.starts_with(|c: char| c.is_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_alphanumeric() || c == '_');
        if !is_name {
            return Err(format!("`{name}` is no name of a variable; {need}"));
        }
        let written = value.to_owned();
        let words = || Value::from(value);
        let value = match value {
            "True" => true.into(),
            "False" => false.into(),
            _ => match serde_json::from_str(value) {
                Ok(Value::Null | Value::Object(_)) | Err(_) => match value.parse::<f64>() {
                    Ok(number) if number.is_finite() && value.contains('.') => number.into(),
                    _ => words(),
                },
                Ok(value) => value,
            },
        };
        let name = name.to_owned();
        Ok(Self {
            name,
            value,
            written,
        })
    }
}

impl std::fmt::Display for Parameter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}={}", self.name, self.written)
    }
}

/// How a parameter is declared.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Default {
    name: String,
    /// `let`, `let mut`, `const`, `static`.
    word: String,
    ty: Option<String>,
    value: String,
}

/// Puts values into a notebook: those of an earlier run are replaced. False when there is no cell with defaults, so
/// that they stand at the top.
///
/// # Errors
/// When a parameter is not declared in the cell with the defaults, or its value is of another kind.
pub fn inject(notebook: &mut Notebook, parameters: &[Parameter]) -> Result<bool, String> {
    if parameters.is_empty() {
        return Ok(true);
    }
    let is = |cell: &Cell, tag: &str| {
        let tags = cell.metadata().tags.iter().flatten();
        matches!(cell, Cell::Code { .. }) && tags.into_iter().any(|other| other == tag)
    };
    let at = notebook.cells.iter().position(|cell| is(cell, DEFAULTS));
    let defaults = at.map(|at| defaults(&file::source(&notebook.cells[at])));
    let mut text = String::from("// Parameters");
    // The last of a name counts, as on every command line.
    let last = |(index, one): &(usize, &Parameter)| {
        !parameters[index + 1..]
            .iter()
            .any(|other| other.name == one.name)
    };
    for (_, parameter) in parameters.iter().enumerate().filter(last) {
        let default = match &defaults {
            None => None,
            Some(defaults) => match defaults
                .iter()
                .find(|default| default.name == parameter.name)
            {
                Some(default) => Some(default),
                None => {
                    let names: Vec<_> = defaults
                        .iter()
                        .map(|default| default.name.as_str())
                        .collect();
                    return Err(format!(
                        "the notebook has no parameter `{}`; its cell tagged `parameters` declares: {}",
                        parameter.name,
                        names.join(", ")
                    ));
                }
            },
        };
        text.push('\n');
        text.push_str(&assignment(parameter, default)?);
    }
    let metadata = CellMetadata {
        tags: Some(vec![INJECTED.to_owned()]),
        ..percent::metadata()
    };
    let cell = Cell::Code {
        id: CellId::new(INJECTED).map_err(str::to_owned)?,
        metadata,
        execution_count: None,
        source: file::lines(&text),
        outputs: Vec::new(),
    };
    match notebook.cells.iter().position(|cell| is(cell, INJECTED)) {
        Some(before) => notebook.cells[before] = cell,
        None => notebook.cells.insert(at.map_or(0, |at| at + 1), cell),
    }
    Ok(at.is_some())
}

/// What a cell declares.
fn defaults(cell: &str) -> Vec<Default> {
    let text = |node: &SyntaxNode| node.text().to_string();
    let read = |node: SyntaxNode| {
        let binding = ast::LetStmt::cast(node.clone());
        if let Some(binding) = binding
            && let Some(ast::Pat::IdentPat(pat)) = binding.pat()
        {
            let mutable = pat.mut_token().is_some();
            return Some(Default {
                name: pat.name()?.text().to_string(),
                word: if mutable { "let mut" } else { "let" }.to_owned(),
                ty: binding.ty().map(|ty| text(ty.syntax())),
                value: text(binding.initializer()?.syntax()),
            });
        }
        let (name, word, ty, value) = match ast::Item::cast(node)? {
            ast::Item::Const(item) => (item.name()?, "const", item.ty(), item.body()?),
            ast::Item::Static(item) => (item.name()?, "static", item.ty(), item.body()?),
            _ => return None,
        };
        Some(Default {
            name: name.text().to_string(),
            word: word.to_owned(),
            ty: ty.map(|ty| text(ty.syntax())),
            value: text(value.syntax()),
        })
    };
    statements(cell).into_iter().filter_map(read).collect()
}

/// The line that declares a parameter with its value, as the default was declared.
fn assignment(parameter: &Parameter, default: Option<&Default>) -> Result<String, String> {
    let name = &parameter.name;
    let word = default.map_or("let", |default| &default.word);
    let ty = default.and_then(|default| default.ty.clone());
    let like = default.map(|default| default.value.as_str());
    let text = Value::from(parameter.written.as_str());
    let value = match (kind(ty.as_deref(), like), &parameter.value) {
        (Kind::Text | Kind::Owned, Value::Number(_) | Value::Bool(_)) => &text,
        (_, value) => value,
    };
    let value = literal(value, ty.as_deref(), like).map_err(|need| {
        let line = default.map_or(String::new(), |default| {
            let ty = default.ty.iter().map(|ty| format!(": {ty}"));
            format!(
                "{} {name}{} = {};",
                default.word,
                ty.collect::<String>(),
                default.value
            )
        });
        format!(
            "`{name}` is declared by `{line}`, and {} is not {need}",
            parameter.value
        )
    })?;
    let ty = ty.map_or(String::new(), |ty| format!(": {ty}"));
    Ok(format!("{word} {name}{ty} = {value};"))
}

/// What a declared value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Integer,
    Float,
    Bool,
    /// `&str`.
    Text,
    /// `String`.
    Owned,
    Vector,
    Array,
    /// `&[…]`.
    Slice,
    Unknown,
}

/// Of which kind a value of a type is, or one like another.
fn kind(ty: Option<&str>, like: Option<&str>) -> Kind {
    if let Some(ty) = ty {
        let ty = ty.trim();
        let integer = [
            "i8", "i16", "i32", "i64", "i128", "isize", "u8", "u16", "u32", "u64", "u128", "usize",
        ];
        return match ty {
            "f32" | "f64" => Kind::Float,
            "bool" => Kind::Bool,
            "String" | "std::string::String" => Kind::Owned,
            "&str" | "&'static str" => Kind::Text,
            _ if integer.contains(&ty) => Kind::Integer,
            _ if ty.starts_with("Vec<") => Kind::Vector,
            _ if ty.starts_with('[') => Kind::Array,
            _ if behind_reference(ty).is_some_and(|ty| ty.starts_with('[')) => Kind::Slice,
            _ => Kind::Unknown,
        };
    }
    let Some(like) = like else {
        return Kind::Unknown;
    };
    let number = like.strip_prefix('-').unwrap_or(like).trim_start();
    match like {
        "true" | "false" => Kind::Bool,
        _ if like.starts_with("vec!") => Kind::Vector,
        _ if like.starts_with('[') => Kind::Array,
        _ if behind_reference(like).is_some_and(|like| like.starts_with('[')) => Kind::Slice,
        _ if like.starts_with("String::") || like.starts_with("format!") => Kind::Owned,
        _ if like.starts_with('"') || like.starts_with("r\"") || like.starts_with("r#") => {
            let owned = [".to_owned()", ".to_string()", ".into()"];
            match owned.iter().any(|end| like.ends_with(end)) {
                true => Kind::Owned,
                false => Kind::Text,
            }
        }
        _ if number.starts_with(|c: char| c.is_ascii_digit()) => {
            let hexadecimal = number.starts_with("0x") || number.starts_with("0b");
            let float = ["f32", "f64"].contains(&suffix(number));
            // The `e` of `usize` is none of an exponent.
            let digits = &number[..number.len() - suffix(number).len()];
            let pointed = digits.contains(['.', 'e', 'E']);
            // `5.max(x)` and its kin are computed.
            match number
                .chars()
                .all(|c| c.is_alphanumeric() || "._-+".contains(c))
            {
                false => Kind::Unknown,
                true if !hexadecimal && (float || pointed) => Kind::Float,
                true => Kind::Integer,
            }
        }
        _ => Kind::Unknown,
    }
}

/// The type at the end of a number: `5usize`, `0.1_f32`.
fn suffix(number: &str) -> &str {
    if number.starts_with("0x") || number.starts_with("0b") {
        return "";
    }
    let start = number.find(['i', 'u', 'f']);
    start.map_or("", |start| &number[start..])
}

/// A value as Rust has it, of the kind that is declared.
///
/// # Errors
/// The kind that is needed.
fn literal(value: &Value, ty: Option<&str>, like: Option<&str>) -> Result<String, &'static str> {
    let kind = kind(ty, like);
    let suffix = match ty {
        None => like.map_or("", |like| suffix(like.trim_start_matches('-'))),
        Some(_) => "",
    };
    let quoted = |text: &str| format!("{text:?}");
    match (kind, value) {
        (Kind::Integer, Value::Number(number)) => match number.is_f64() {
            true => Err("a whole number"),
            false => Ok(format!("{number}{suffix}")),
        },
        (Kind::Integer, _) => Err("a whole number"),
        (Kind::Float, Value::Number(number)) => Ok(match number.is_f64() || !suffix.is_empty() {
            true => format!("{number}{suffix}"),
            false => format!("{number}.0"),
        }),
        (Kind::Float, _) => Err("a number"),
        (Kind::Bool, Value::Bool(value)) => Ok(value.to_string()),
        (Kind::Bool, _) => Err("`true` or `false`"),
        (Kind::Text, Value::String(text)) => Ok(quoted(text)),
        (Kind::Owned, Value::String(text)) => Ok(quoted(text) + ".to_owned()"),
        // Among the values of a list a number is not known as it was written.
        (Kind::Text | Kind::Owned, _) => Err("a text, which stands in quotes in a list"),
        (Kind::Vector | Kind::Array | Kind::Slice, Value::Array(values)) => {
            let opened = match kind {
                Kind::Vector => "vec![",
                Kind::Slice => "&[",
                _ => "[",
            };
            let (inner, first) = (ty.and_then(element_type), like.and_then(first_element));
            let all: Result<Vec<_>, _> = values
                .iter()
                .map(|value| literal(value, inner, first.as_deref()))
                .collect();
            Ok(format!("{opened}{}]", all?.join(", ")))
        }
        (Kind::Vector | Kind::Array | Kind::Slice, _) => Err("a list, as in [1,2]"),
        (Kind::Unknown, Value::Array(values)) => {
            let all: Result<Vec<_>, _> = values
                .iter()
                .map(|value| literal(value, None, None))
                .collect();
            Ok(format!("vec![{}]", all?.join(", ")))
        }
        (Kind::Unknown, Value::String(text)) => Ok(quoted(text)),
        (Kind::Unknown, other) => Ok(other.to_string()),
    }
}

/// `[f64]` of `&'static [f64]`.
fn behind_reference(text: &str) -> Option<&str> {
    let rest = text.strip_prefix('&')?.trim_start();
    Some(match rest.strip_prefix('\'') {
        Some(lifetime) => lifetime
            .trim_start_matches(|c: char| c.is_alphanumeric() || c == '_')
            .trim_start(),
        None => rest,
    })
}

/// `f64` of `Vec<f64>`, of `[f64; 3]` and of `&[f64]`.
fn element_type(ty: &str) -> Option<&str> {
    let ty = behind_reference(ty).unwrap_or(ty);
    let inside = ty.strip_prefix("Vec<").and_then(|ty| ty.strip_suffix('>'));
    let inside = inside.or_else(|| ty.strip_prefix('[')?.split([';', ']']).next());
    inside.map(str::trim).filter(|ty| *ty != "_")
}

/// `1.5` of `vec![1.5, 2.5]` and of `[1.5; 3]`: what stands before the first comma that is in no text and no bracket.
fn first_element(list: &str) -> Option<String> {
    let inside = list.split_once('[')?.1;
    let file = SourceFile::parse(&format!("fn f() {{ {inside}"), Edition::CURRENT).tree();
    let tokens = file.syntax().descendants_with_tokens();
    let tokens = tokens.filter_map(|node| node.into_token());
    let (mut depth, mut first) = (0, String::new());
    for token in tokens
        .skip_while(|token| token.kind() != SyntaxKind::L_CURLY)
        .skip(1)
    {
        match token.kind() {
            SyntaxKind::COMMA | SyntaxKind::SEMICOLON | SyntaxKind::R_BRACK if depth == 0 => break,
            SyntaxKind::L_PAREN | SyntaxKind::L_BRACK | SyntaxKind::L_CURLY => depth += 1,
            SyntaxKind::R_PAREN | SyntaxKind::R_BRACK | SyntaxKind::R_CURLY => depth -= 1,
            _ => {}
        }
        first.push_str(token.text());
    }
    let first = first.trim();
    (!first.is_empty()).then(|| first.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(declared: &str, given: &str) -> Result<String, String> {
        let defaults = defaults(declared);
        assignment(&given.parse()?, defaults.first())
    }

    #[test]
    fn values_are_declared_as_their_defaults_are() {
        for (declared, given, becomes) in [
            ("let epochs = 5;", "epochs=3", "let epochs = 3;"),
            (
                "let mut epochs: usize = 5;",
                "epochs=3",
                "let mut epochs: usize = 3;",
            ),
            ("const N: usize = 5;", "N=3", "const N: usize = 3;"),
            ("let n = 5usize;", "n=3", "let n = 3usize;"),
            (
                "const SIZES: &[usize] = &[1, 2];",
                "SIZES=[3]",
                "const SIZES: &[usize] = &[3];",
            ),
            (
                "let sizes = &[1.5, 2.0];",
                "sizes=[3]",
                "let sizes = &[3.0];",
            ),
            (
                "let names = vec![\"a, b\".to_owned()];",
                "names=[\"c\"]",
                "let names = vec![\"c\".to_owned()];",
            ),
            ("let rate = 0.1;", "rate=1", "let rate = 1.0;"),
            ("let rate = 1e-3;", "rate=0.5", "let rate = 0.5;"),
            ("let rate = 0.1_f32;", "rate=2", "let rate = 2f32;"),
            ("let rate: f32 = 1.0;", "rate=-2", "let rate: f32 = -2.0;"),
            ("let fast = false;", "fast=true", "let fast = true;"),
            ("let fast = false;", "fast=True", "let fast = true;"),
            ("let name = \"a\";", "name=b c", "let name = \"b c\";"),
            ("let name = \"a\";", "name=3", "let name = \"3\";"),
            ("let name = \"a\";", "name=1.10", "let name = \"1.10\";"),
            (
                "let name = \"a\".to_owned();",
                "name=1e5",
                "let name = \"1e5\".to_owned();",
            ),
            ("let name = \"a\";", "name=True", "let name = \"True\";"),
            ("let name = \"a\";", "name=\"1.0\"", "let name = \"1.0\";"),
            (
                "let name = \"a\".to_owned();",
                "name=b\"",
                "let name = \"b\\\"\".to_owned();",
            ),
            (
                "let name = String::from(\"a\");",
                "name=b",
                "let name = \"b\".to_owned();",
            ),
            (
                "let sizes = vec![1, 2];",
                "sizes=[3]",
                "let sizes = vec![3];",
            ),
            (
                "let rates = [0.1, 0.2];",
                "rates=[1, 2]",
                "let rates = [1.0, 2.0];",
            ),
            (
                "let rates: Vec<f64> = vec![];",
                "rates=[1]",
                "let rates: Vec<f64> = vec![1.0];",
            ),
            (
                "let names = vec![\"a\".to_owned()];",
                "names=[\"b\"]",
                "let names = vec![\"b\".to_owned()];",
            ),
            ("let x = f(5);", "x=7", "let x = 7;"),
            ("", "x=0.5", "let x = 0.5;"),
            ("", "x=words", "let x = \"words\";"),
            ("", "x=[1,2]", "let x = vec![1, 2];"),
        ] {
            assert_eq!(
                line(declared, given).as_deref(),
                Ok(becomes),
                "{declared} {given}"
            );
        }
    }

    #[test]
    fn values_of_another_kind_are_refused() {
        for (declared, given, need) in [
            ("let epochs = 5;", "epochs=0.5", "a whole number"),
            ("let epochs: usize = 5;", "epochs=many", "a whole number"),
            ("let rate = 0.1;", "rate=fast", "a number"),
            ("let fast = true;", "fast=1", "`true` or `false`"),
            ("let sizes = vec![1];", "sizes=1", "a list"),
            ("let sizes = vec![1];", "sizes=[0.5]", "a whole number"),
            ("let names = [\"a\"];", "names=[1.10]", "in quotes"),
            ("let name = \"a\";", "name=[1]", "a text"),
        ] {
            let told = line(declared, given).expect_err(declared);
            assert!(told.contains(need) && told.contains(declared), "{told}");
        }
        for text in ["epochs", "3=4", "a b=1", "=1"] {
            let told = text.parse::<Parameter>().expect_err(text);
            assert!(told.contains("write NAME=VALUE"), "{told}");
        }
    }

    #[test]
    fn values_stand_behind_the_defaults_once() {
        let script = "// %%\nlet before = 1;\n\n// %% tags=[\"parameters\"]\nlet epochs = 5;\nlet rate = 0.1;\n\n// %%\nepochs\n";
        let mut notebook = percent::read(script);
        let some = |text: &str| text.parse::<Parameter>().expect(text);
        for epochs in ["epochs=3", "epochs=4"] {
            let all = [some("rate=1"), some("epochs=9"), some(epochs)];
            assert_eq!(inject(&mut notebook, &all), Ok(true));
        }
        let sources: Vec<_> = notebook.cells.iter().map(file::source).collect();
        assert_eq!(sources.len(), 4);
        assert_eq!(
            sources[2],
            "// Parameters\nlet rate = 1.0;\nlet epochs = 4;"
        );
        let told = inject(&mut notebook, &[some("epoch=3")]).expect_err("no such parameter");
        assert!(told.ends_with("declares: epochs, rate"), "{told}");

        let mut bare = percent::read("// %%\nx\n");
        assert_eq!(inject(&mut bare, &[some("x=1")]), Ok(false));
        assert_eq!(file::source(&bare.cells[0]), "// Parameters\nlet x = 1;");
        assert_eq!(inject(&mut bare, &[]), Ok(true));
    }
}
