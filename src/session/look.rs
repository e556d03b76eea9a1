//! What a session says of itself between cells: its variables at a glance, single values, answers to questions.

use std::fmt::Write;
use std::sync::{Mutex, PoisonError};

use ra_ap_syntax::ast::{self, AstNode};

use super::Session;
use crate::cell::ask::Ask;
pub use crate::cell::command::Seen;
use crate::cell::command::{Code, rust_start};
use crate::cell::source;
use crate::reply::{Bundle, Failure, Output, Payload};

/// The type of the display in which the variables come.
const LOOKS: &str = "application/x-itd-looks+json";

impl Session {
    /// The variables, sorted by name, with their values. They are looked at in a small cell of the kernel's own; what
    /// it says besides goes to `sink`.
    pub fn look(&mut self, sink: &(dyn Fn(Output) + Sync)) -> Vec<Seen> {
        self.interrupter.begin();
        let seen = self.look_now(sink);
        self.interrupter.end_cell();
        seen
    }

    /// As [`Self::look`], within a cell.
    pub(super) fn look_now(&mut self, sink: &(dyn Fn(Output) + Sync)) -> Vec<Seen> {
        let mut seen: Vec<Seen> = self
            .variables()
            .into_iter()
            .map(|(name, kind)| Seen {
                name,
                kind,
                ..Seen::default()
            })
            .collect();
        if seen.is_empty() {
            return seen;
        }
        let mut code = String::from("itd_prelude::cell::glance::looks(&[");
        for Seen { name, .. } in &seen {
            let _ = write!(code, "(\"{name}\", itd_prelude::cell::glance!({name})), ");
        }
        code.push_str("]);");
        let found = Mutex::new(Bundle::new());
        let code = Code {
            text: code,
            ..Code::default()
        };
        self.execute_code(&code, &code.text, 0, &|output| match output {
            Output::Display { data, .. } if data.contains_key(LOOKS) => {
                *found.lock().unwrap_or_else(PoisonError::into_inner) = data;
            }
            other => sink(other),
        });
        let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        for one in &mut seen {
            let Some(look) = found.get(LOOKS).map(|looks| &looks[&*one.name]) else {
                continue;
            };
            look[0]
                .as_str()
                .unwrap_or_default()
                .clone_into(&mut one.value);
            one.bytes = look[1].as_u64().unwrap_or(0);
        }
        seen
    }

    /// The value of one expression, of which nothing is kept. What it prints goes to `sink`.
    ///
    /// # Errors
    /// What is wrong with the expression, or why it has no value.
    pub fn evaluate(
        &mut self,
        expression: &str,
        sink: &(dyn Fn(Output) + Sync),
    ) -> Result<Bundle, Failure> {
        if !is_expression(expression) {
            let what = "this is not one Rust expression; it may be no statement, item or command";
            return Err(Failure::new("Expression", what));
        }
        let value = Mutex::new(None);
        let reply = self.execute(expression.trim(), 0, &|output| match output {
            Output::Result(data) => {
                *value.lock().unwrap_or_else(PoisonError::into_inner) = Some(data);
            }
            other => sink(other),
        });
        match reply.failure {
            Some(failure) => Err(failure),
            None => {
                let value = value.into_inner().unwrap_or_else(PoisonError::into_inner);
                let unit = || Bundle::from([("text/plain".to_owned(), "()".into())]);
                Ok(value.unwrap_or_else(unit))
            }
        }
    }

    /// What is known of a name, and its source if that is wanted too.
    fn docs(&self, path: &str, source: bool) -> Option<Bundle> {
        let analyst = self.analyst.as_ref()?;
        let found = analyst.inspect(path, path.trim_end_matches('!').chars().count())?;
        Some(found.bundle(source))
    }

    /// What a cell asks for instead of being Rust. A name of the user's own is Rust, and so is a `?` behind what may hold
    /// an error, or behind a name of which nothing is known.
    pub fn asked(&self, cell: &str) -> Option<Ask> {
        let ask = Ask::read(cell)?;
        let knows =
            |name: &str| self.living.variables.contains_key(name) || self.items.defines(name);
        let is_rust = match &ask {
            Ask::End { word } => cell.trim().starts_with(char::is_alphabetic) && knows(word),
            Ask::Docs { behind: false, .. } => false,
            Ask::Docs { path, source, .. } => match self.living.variables.get(path) {
                Some(variable) => {
                    let kind = self.living.types.known(&variable.key);
                    kind.starts_with("Result<") || kind.starts_with("Option<")
                }
                // A field or a constant of the user's may hold an error.
                None if path
                    .split(['.', ':'])
                    .next()
                    .is_some_and(|first| first != path && knows(first)) =>
                {
                    true
                }
                // A constant may hold an error, too.
                None if path == "None" || self.items.defines(path) => true,
                None => self.docs(path, *source).is_none(),
            },
        };
        (!is_rust).then_some(ask)
    }

    /// Answers what a cell asks for.
    ///
    /// # Errors
    /// A failure named `Command` when there is no answer here.
    pub(super) fn answer(&self, ask: &Ask, sink: &(dyn Fn(Output) + Sync)) -> Result<(), Failure> {
        let (path, source) = match ask {
            Ask::End { word } => {
                return Err(Failure::new(
                    "Command",
                    format!(
                        "`{word}` ends `itd repl` and `jupyter console` only; a notebook's kernel is ended by the \
                         front end, as with \"Shut down kernel\""
                    ),
                ));
            }
            Ask::Docs { path, source, .. } => (path, *source),
        };
        let own = || {
            let variable = self.living.variables.get(path)?;
            let text = format!("{path}: {}", self.living.types.known(&variable.key));
            Some(Bundle::from([("text/plain".to_owned(), text.into())]))
        };
        match self.docs(path, source).or_else(own) {
            Some(page) => {
                sink(Output::Payload(Payload::Page(page)));
                Ok(())
            }
            None => Err(Failure::new(
                "Command",
                format!("nothing is known of `{path}`; `:help` lists the commands"),
            )),
        }
    }
}

/// Whether a text is one expression.
fn is_expression(text: &str) -> bool {
    let text = text.trim();
    let mut statements = source::statements(text).into_iter();
    let one = statements
        .next()
        .is_some_and(|node| ast::Expr::can_cast(node.kind()));
    one && statements.next().is_none() && rust_start(text) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_expression_is_told_from_all_else() {
        for text in [
            "x",
            "1 + 1",
            "f(x)?",
            "{ let y = 1; y }",
            "vec![1]",
            "if a { 1 } else { 2 }",
        ] {
            assert!(is_expression(text), "{text}");
        }
        for text in [
            "",
            "x;",
            "let x = 1;",
            "let x = 1",
            "fn f() {}",
            "x y",
            "1; 2",
            ":vars",
            "!ls",
            "%%opt 3\nx",
        ] {
            assert!(!is_expression(text), "{text}");
        }
    }
}
