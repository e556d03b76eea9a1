//! `show!`: the value of a cell's last expression, in the richest form that its type allows.
//!
//! The choice is made where the macro is expanded, by the same lookup order as in [`super::cause`]:
//! `Result` of something showable, [`Show`], an inherent `evcxr_display`, `Debug`, and at last the bare
//! name of the type.

use std::cell::RefCell;
use std::convert::Infallible;
use std::fmt::{Debug, Write};

use serde_json::json;

use super::cause::type_name;
use super::frame::{Bundle, Frame};
use super::{Host, host, send};
use crate::error::Result;

/// Longest text that a `Debug` form may have; what is beyond it is counted, not shown.
const LONGEST: usize = 20_000;

/// A value that knows how it looks in a notebook.
///
/// Every bundle holds `text/plain`, which terminals show; the other types are up to the value.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be shown",
    note = "print it with `println!(\"{{:?}}\", …)`, or implement `Show` for it"
)]
pub trait Show {
    /// The value in all its forms.
    ///
    /// # Errors
    /// Whatever keeps the value from being drawn, such as a tensor that cannot be read.
    fn bundle(&self) -> Result<Bundle>;

    /// Shows the value here and now, wherever in a cell.
    ///
    /// # Errors
    /// As [`Self::bundle`].
    fn show(&self) -> Result<()> {
        send_bundle(self.bundle()?, false);
        Ok(())
    }
}

impl<T: Show + ?Sized> Show for &T {
    fn bundle(&self) -> Result<Bundle> {
        (**self).bundle()
    }
}

/// Nothing to show.
impl Show for () {
    fn bundle(&self) -> Result<Bundle> {
        Ok(Bundle::new())
    }
}

/// A bundle that is only text.
pub fn plain(text: impl Into<String>) -> Bundle {
    let text: String = text.into();
    Bundle::from([("text/plain".to_owned(), json!(text))])
}

/// Sends a bundle to whoever hosts this process.
pub fn send_bundle(data: Bundle, result: bool) {
    if data.is_empty() {
        return;
    }
    match host() {
        Host::Itd if result => send(&Frame::Result { data }),
        Host::Itd => send(&Frame::Display {
            data,
            id: None,
            update: false,
        }),
        Host::Evcxr => {
            for (mime, content) in data {
                let content = content
                    .as_str()
                    .map_or_else(|| content.to_string(), str::to_owned);
                println!("EVCXR_BEGIN_CONTENT {mime}\n{content}\nEVCXR_END_CONTENT");
            }
        }
        Host::Plain => {
            if let Some(text) = data.get("text/plain").and_then(|text| text.as_str()) {
                println!("{text}");
            }
        }
    }
}

/// Carries a value to the richest form that its type allows.
pub struct Value<'a, T>(pub &'a T);

/// What becomes of a value; `E` is the error of a `Result`. The form itself is left for [`show_left`], since
/// each cell compiles what becomes of the types that the macro handles.
pub enum Form<'a, E> {
    /// It has a form of its own.
    Shown,
    /// It has none here; an `evcxr_display` of its type goes first, then what was left.
    Plain,
    /// It is the `Err` of a `Result`.
    Failed(&'a E),
}

/// `Result` whose value has a form of its own.
pub trait ViaShowResult<'a> {
    type Error;
    fn itd_form(&self) -> Form<'a, Self::Error>;
}
/// Values with a form of their own.
pub trait ViaShow<'a> {
    fn itd_form(&self) -> Form<'a, Infallible>;
}
/// `Result` whose value can only be looked at.
pub trait ViaDebugResult<'a> {
    type Error;
    fn itd_form(&self) -> Form<'a, Self::Error>;
}
/// Values that can only be looked at.
pub trait ViaDebug<'a> {
    fn itd_form(&self) -> Form<'a, Infallible>;
}
/// All the others.
pub trait ViaName<'a> {
    fn itd_form(&self) -> Form<'a, Infallible>;
}

impl<'a, T: Show, E> ViaShowResult<'a> for &&&&Value<'a, std::result::Result<T, E>> {
    type Error = E;
    fn itd_form(&self) -> Form<'a, E> {
        match self.0 {
            Ok(value) => {
                leave(value.bundle());
                Form::Shown
            }
            Err(error) => Form::Failed(error),
        }
    }
}

impl<'a, T: Show> ViaShow<'a> for &&&Value<'a, T> {
    fn itd_form(&self) -> Form<'a, Infallible> {
        leave(self.0.bundle());
        Form::Shown
    }
}

impl<'a, T: Debug, E> ViaDebugResult<'a> for &&Value<'a, std::result::Result<T, E>> {
    type Error = E;
    fn itd_form(&self) -> Form<'a, E> {
        match self.0 {
            Ok(value) => {
                leave_debug(value);
                Form::Plain
            }
            Err(error) => Form::Failed(error),
        }
    }
}

impl<'a, T: Debug> ViaDebug<'a> for &Value<'a, T> {
    fn itd_form(&self) -> Form<'a, Infallible> {
        leave_debug(self.0);
        Form::Plain
    }
}

impl<'a, T> ViaName<'a> for Value<'a, T> {
    fn itd_form(&self) -> Form<'a, Infallible> {
        leave_name(&type_name::<T>());
        Form::Plain
    }
}

/// The `Debug` form, cut where it would drown the notebook. What is beyond is not even made: a vector of a
/// network's weights would be a gigabyte of text.
pub(crate) fn look(value: &dyn Debug) -> String {
    look_short(value, LONGEST)
}

/// The same in no more than so many characters.
pub(crate) fn look_short(value: &dyn Debug, longest: usize) -> String {
    let mut short = Short {
        text: String::new(),
        left: longest,
    };
    // Its only error is that it is full.
    match write!(short, "{value:?}") {
        Ok(()) => short.text,
        Err(_) if longest < LONGEST => short.text + "…",
        Err(_) => short.text + &format!("… (cut after {longest} characters; `println!` shows all)"),
    }
}

/// Text that takes no more than so many characters.
struct Short {
    text: String,
    left: usize,
}

impl std::fmt::Write for Short {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        match text.char_indices().nth(self.left) {
            None => {
                self.text.push_str(text);
                self.left -= text.chars().count();
                Ok(())
            }
            Some((end, _)) => {
                self.text.push_str(&text[..end]);
                self.left = 0;
                Err(std::fmt::Error)
            }
        }
    }
}

thread_local! {
    /// The form that [`show_left`] is to show.
    static LEFT: RefCell<Option<Result<Bundle>>> = const { RefCell::new(None) };
}

fn leave(form: Result<Bundle>) {
    LEFT.set(Some(form));
}

fn leave_debug(value: &dyn Debug) {
    LEFT.set(Some(Ok(plain(look(value)))));
}

fn leave_name(name: &str) {
    let text = format!("a value of type {name}, which implements neither Show nor Debug");
    LEFT.set(Some(Ok(plain(text))));
}

/// Shows the form that was left, unless an `evcxr_display` was called instead.
///
/// # Errors
/// What kept the value from being drawn.
pub fn show_left() -> Result<()> {
    if let Some(data) = LEFT.take() {
        send_bundle(data?, true);
    }
    Ok(())
}

/// Shows the value of a cell's last expression; the kernel wraps that expression in it.
#[macro_export]
#[doc(hidden)]
macro_rules! show {
    ($e:expr, $line:literal) => {
        match &$e {
            value => {
                #[allow(unused_imports)]
                use $crate::display::{
                    Form, Value, ViaDebug, ViaDebugResult, ViaName, ViaShow, ViaShowResult,
                };
                // For types without an `evcxr_display` of their own: inherent methods win over traits. Not a
                // trait of the crate: stock evcxr would hear of it from the compiler, and not try `Debug`.
                #[allow(dead_code)]
                trait Otherwise {
                    fn evcxr_display(&self);
                }
                impl<T: ?Sized> Otherwise for T {
                    fn evcxr_display(&self) {
                        // A form that may fail is not shown from here.
                        let _ = $crate::display::show_left();
                    }
                }
                match (&&&&&Value(value)).itd_form() {
                    Form::Shown => $crate::question!($crate::display::show_left(), $line),
                    Form::Plain => value.evcxr_display(),
                    Form::Failed(error) => {
                        #[allow(unused_imports)]
                        use $crate::cause::{
                            ViaDebug, ViaDisplay, ViaError, ViaNothing, ViaOurs,
                        };
                        ::std::result::Result::Err((&&&&$crate::cause::Cause(error))
                            .itd_report($crate::cause::Line::Cell($line)))?
                    }
                }
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cause::Reported;

    struct Opaque;
    struct Own;
    impl Own {
        fn evcxr_display(&self) {
            SEEN.with_borrow_mut(|seen| seen.push_str("own"));
        }
    }
    struct Rich;
    impl Show for Rich {
        fn bundle(&self) -> Result<Bundle> {
            SEEN.with_borrow_mut(|seen| seen.push_str("rich"));
            Ok(Bundle::new())
        }
    }
    thread_local! {
        static SEEN: std::cell::RefCell<String> = const { std::cell::RefCell::new(String::new()) };
    }

    #[test]
    fn a_value_takes_its_richest_form() -> std::result::Result<(), Reported> {
        show!(Rich, 1);
        show!(&Rich, 1);
        show!(Some(Rich), 1);
        show!(Ok::<_, String>(Rich), 1);
        show!((Rich, 1.5, "text"), 1);
        show!(Own, 1);
        assert_eq!(SEEN.take(), "richrichrichrichrichown");
        // These have no form of their own; that they compile is the point.
        show!(3, 1);
        show!(vec![1.5], 1);
        show!(Opaque, 1);
        show!((), 1);
        show!(Ok::<_, Opaque>(3).map_err(|_: Opaque| "no"), 1);
        Ok(())
    }

    #[test]
    fn an_err_as_the_last_value_is_an_error() {
        let cell = || -> std::result::Result<(), Reported> {
            show!(Err::<f64, _>("went wrong"), 3);
            Ok(())
        };
        assert!(cell().is_err());
    }

    #[test]
    fn long_debug_forms_are_cut() {
        /// Counts how much of it is written.
        struct Long<'a>(&'a std::cell::Cell<usize>);
        impl Debug for Long<'_> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                for _ in 0..1_000_000 {
                    self.0.set(self.0.get() + 1);
                    f.write_str("é")?;
                }
                Ok(())
            }
        }
        let written = std::cell::Cell::new(0);
        let text = look(&Long(&written));
        assert!(text.ends_with("é… (cut after 20000 characters; `println!` shows all)"));
        assert_eq!(
            (text.matches('é').count(), written.get()),
            (LONGEST, LONGEST + 1)
        );
        assert_eq!(look(&"é".repeat(5)), "\"ééééé\"");
    }
}
