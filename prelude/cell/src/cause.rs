//! `question!`: the `?` of a cell, with the error's name, causes and line told to the kernel.
//!
//! A cell's `?` must accept every error that Rust's own `?` does, and some that it does not: `Option`,
//! and errors that are only `Debug`. Which description an error gets is decided where the macro is
//! expanded, by how many references the method lookup has to add: fewest for our own errors, then
//! `std::error::Error`, `Display`, `Debug`.

use std::any::Any;
use std::error::Error as StdError;
use std::fmt::{self, Debug, Display};

pub use super::frame::Line;
use super::frame::{Frame, HUSH};
use super::{Host, host, send};
use crate::error::Error;

/// What leaves a cell when a `?` finds an error: nothing, since the kernel knows it already.
pub struct Reported {
    text: String,
    /// The error itself, where it is ours and may leave a function that returns ours. Behind a pointer, so
    /// that cells need not compile its destruction.
    error: Option<Box<dyn Any + Send>>,
}

impl StdError for Reported {}

impl From<Reported> for Error {
    fn from(reported: Reported) -> Self {
        match reported.error.map(|error| error.downcast()) {
            Some(Ok(error)) => *error,
            _ => Error::Check(reported.text),
        }
    }
}

impl Display for Reported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if host() == Host::Itd {
            HUSH
        } else {
            &self.text
        })
    }
}

impl Debug for Reported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Tells the kernel that an error ends the cell at `line`.
pub fn report(name: String, chain: Vec<String>, line: Line) -> Reported {
    let text = format!("{name}: {}", chain.join(": "));
    if host() == Host::Itd {
        send(&Frame::Error { name, chain, line });
    }
    Reported { text, error: None }
}

/// As [`report`], for an error of ours that may go on to a caller.
pub fn report_ours(error: Error, line: Line) -> Reported {
    let reported = report(error.name().to_owned(), chain(&error), line);
    Reported {
        error: Some(Box::new(error)),
        ..reported
    }
}

/// What leaves a cell with an error at `?`: nothing, since the kernel has been told.
#[derive(Debug)]
pub struct CellError;

impl<E: Display> From<E> for CellError {
    /// Tells the error, unless `question!` has: one at a `?` inside a macro of the user's own, say.
    #[track_caller]
    fn from(error: E) -> Self {
        if std::any::type_name::<E>() != std::any::type_name::<Reported>() {
            let line = Line::Generated(std::panic::Location::caller().line());
            report(type_name::<E>(), vec![error.to_string()], line);
        }
        Self
    }
}

/// A type that `?` can be put behind in a cell.
#[diagnostic::on_unimplemented(
    message = "`?` cannot be used on a `{Self}`",
    label = "`?` needs a `Result` or an `Option`"
)]
pub trait Branch {
    /// What `?` yields.
    type Value;
    /// What `?` leaves with.
    type Stop;
    /// Either of the two.
    fn branch(self) -> Result<Self::Value, Self::Stop>;
}

impl<T, E> Branch for Result<T, E> {
    type Value = T;
    type Stop = E;
    fn branch(self) -> Result<T, E> {
        self
    }
}

impl<T> Branch for Option<T> {
    type Value = T;
    type Stop = Nothing;
    fn branch(self) -> Result<T, Nothing> {
        self.ok_or(Nothing)
    }
}

/// The error of a `None` at `?`.
#[derive(Debug)]
pub struct Nothing;

impl Display for Nothing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`?` found `None`")
    }
}

/// Carries an error to the most telling description that its type allows.
pub struct Cause<'a, E>(pub &'a E);

/// Our own errors: the name is the variant.
pub trait ViaOurs {
    fn itd_report(&self, line: Line) -> Reported;
}
/// `None`.
pub trait ViaNothing {
    fn itd_report(&self, line: Line) -> Reported;
}
/// Errors with a chain of sources.
pub trait ViaError {
    fn itd_report(&self, line: Line) -> Reported;
}
/// Errors that only print, `String` and `Box<dyn Error>` among them.
pub trait ViaDisplay {
    fn itd_report(&self, line: Line) -> Reported;
}
/// Errors that can only be looked at.
pub trait ViaDebug {
    fn itd_report(&self, line: Line) -> Reported;
}

impl ViaOurs for &&&Cause<'_, Error> {
    fn itd_report(&self, line: Line) -> Reported {
        report(self.0.name().to_owned(), chain(self.0), line)
    }
}

impl ViaNothing for &&&Cause<'_, Nothing> {
    fn itd_report(&self, line: Line) -> Reported {
        report("None".into(), vec![self.0.to_string()], line)
    }
}

impl<E: StdError> ViaError for &&Cause<'_, E> {
    fn itd_report(&self, line: Line) -> Reported {
        report(type_name::<E>(), chain(self.0), line)
    }
}

impl<E: Display> ViaDisplay for &Cause<'_, E> {
    fn itd_report(&self, line: Line) -> Reported {
        report(type_name::<E>(), vec![self.0.to_string()], line)
    }
}

impl<E: Debug> ViaDebug for Cause<'_, E> {
    fn itd_report(&self, line: Line) -> Reported {
        report(type_name::<E>(), vec![format!("{:?}", self.0)], line)
    }
}

fn chain(error: &dyn StdError) -> Vec<String> {
    let mut texts = vec![error.to_string()];
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        // Many errors repeat their source in their own text; once is enough.
        if !texts.last().is_some_and(|last| last.contains(&text)) {
            texts.push(text);
        }
        source = cause.source();
    }
    texts
}

/// The name of a type without the modules in front: `core::num::error::ParseIntError` → `ParseIntError`. One that is
/// called `Error` keeps what tells it from others: `std::io::error::Error` → `io::Error`.
pub fn type_name<T: ?Sized>() -> String {
    short_name(std::any::type_name::<T>())
}

fn short_name(full: &str) -> String {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let mut short = String::new();
    let mut rest = full;
    while !rest.is_empty() {
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        short.push_str(&short_path(&rest[..end]));
        let next = rest[end..].chars().next().map_or(0, char::len_utf8);
        short.push_str(&rest[end..end + next]);
        rest = &rest[end + next..];
    }
    short
}

/// The end of a path.
fn short_path(path: &str) -> String {
    let mut parts = path.rsplit("::");
    let name = parts.next().unwrap_or_default();
    // The trait of that name is meant in `dyn Error`.
    let telling = parts.find(|part| *part != "error");
    match telling {
        Some(module) if name == "Error" && !["core", "std", "ctx"].contains(&module) => {
            format!("{module}::{name}")
        }
        _ => name.to_owned(),
    }
}

/// Says an error without being asked for its type in advance, as `?` itself does: for code whose types are
/// known only further on, where [`question!`](crate::question!) cannot choose.
///
/// # Errors
/// The error of `tried`, reported.
pub fn plainly<B: Branch>(tried: B, line: u32) -> Result<B::Value, Reported>
where
    B::Stop: Display,
{
    tried.branch().map_err(|error| {
        let name = match type_name::<B::Stop>() {
            nothing if nothing == type_name::<Nothing>() => "None".to_owned(),
            name => name,
        };
        report(name, vec![error.to_string()], Line::Cell(line))
    })
}

/// The `?` of a cell: evaluates to the value, or leaves the function with the error, which it has reported to
/// the kernel. The kernel puts it in the place of each `?` that leaves a cell.
///
/// The value comes first, so that what it is to be can tell of what type the error is.
#[macro_export]
#[doc(hidden)]
macro_rules! question {
    ($e:expr, $line:literal) => {
        $crate::question!(@ $e, $crate::cause::Line::Cell($line))
    };
    (@ $e:expr, $line:expr) => {
        match $crate::cause::Branch::branch($e) {
            ::std::result::Result::Ok(value) => value,
            ::std::result::Result::Err(error) => {
                #[allow(unused_imports)]
                use $crate::cause::{ViaDebug, ViaDisplay, ViaError, ViaNothing, ViaOurs};
                // Never dropped, so that the cell need not compile how; it is the end of the cell anyway.
                let error = ::std::mem::ManuallyDrop::new(error);
                return ::std::result::Result::Err(::std::convert::From::from(
                    (&&&&$crate::cause::Cause(&*error)).itd_report($line),
                ));
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct OnlyDebug;

    /// What a cell that holds `$e?` leaves with.
    macro_rules! text {
        ($e:expr) => {{
            let cell = || -> Result<_, Reported> { Ok(question!($e, 1)) };
            match cell() {
                Ok(_) => "ok".to_owned(),
                Err(reported) => format!("{reported:?}"),
            }
        }};
    }

    #[test]
    fn each_error_gets_its_most_telling_description() {
        let ours: Result<(), Error> = Err(Error::Empty { what: "the data" });
        assert!(text!(ours).starts_with("Empty: the data"));
        assert!(text!("x".parse::<i32>()).starts_with("ParseIntError: invalid digit"));
        assert_eq!(text!(Err::<(), _>("short".to_string())), "String: short");
        let boxed: Result<(), Box<dyn StdError>> = Err("boxed".into());
        assert_eq!(text!(boxed), "Box<dyn Error>: boxed");
        assert_eq!(text!(Err::<(), _>(OnlyDebug)), "OnlyDebug: OnlyDebug");
        let io = || std::io::Error::other("disk");
        assert_eq!(text!(Err::<(), _>(io())), "io::Error: disk");
        let both: [(&str, &str); 3] = [
            ("core::fmt::Error", "fmt::Error"),
            (
                "alloc::boxed::Box<dyn core::error::Error>",
                "Box<dyn Error>",
            ),
            (
                "a::Wrapped<serde_json::error::Error, b::C>",
                "Wrapped<serde_json::Error, C>",
            ),
        ];
        for (full, short) in both {
            assert_eq!(short_name(full), short);
        }
        assert_eq!(text!(None::<i32>), "None: `?` found `None`");
        assert_eq!(text!(Some(3)), "ok");
    }

    #[test]
    fn the_place_of_a_value_tells_its_type_as_with_any_question_mark() -> Result<(), Reported> {
        fn twice(n: i32) -> i32 {
            2 * n
        }
        let n: i32 = question!("5".parse(), 1);
        let all: Vec<f64> = question!(
            "1 2".split(' ').map(str::parse).collect::<Result<_, _>>(),
            1
        );
        #[expect(clippy::never_loop, reason = "a `?` before a `break` with a value")]
        let last: i32 = loop {
            let n: i32 = question!("7".parse(), 1);
            break n;
        };
        assert_eq!(
            (n, twice(question!("3".parse(), 1)), all.len(), last),
            (5, 6, 2, 7)
        );
        // What is known only further on.
        let late = plainly("8".parse(), 1)?;
        assert_eq!(twice(late), 16);
        let none = || -> Result<i32, Reported> { plainly(None::<i32>, 1) };
        assert!(none().is_err_and(|told| format!("{told:?}") == "None: `?` found `None`"));
        let unknown = |fails: bool| -> Result<(), Reported> {
            if fails {
                question!(Err("no"), 1)
            }
            Ok(())
        };
        assert!(unknown(false).is_ok() && unknown(true).is_err());
        Ok(())
    }
}
