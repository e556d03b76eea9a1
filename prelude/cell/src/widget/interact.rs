//! A figure that follows its controls.

use super::control::{Child, Control, output, vbox};
use crate::display::{Show, plain};
use crate::error::Result;
use crate::progress::Display;
use std::sync::{Arc, Mutex, TryLockError};

/// What [`interact`] follows: a control, or a tuple of two to four.
pub trait Controls {
    /// What they give.
    type Value;
    #[doc(hidden)]
    fn values(&self) -> Self::Value;
    #[doc(hidden)]
    fn children(&self) -> Vec<&dyn Child>;
    #[doc(hidden)]
    fn listen(&self, changed: Arc<dyn Fn() + Send + Sync>);
    #[doc(hidden)]
    fn sound(&self) -> Result<()>;
    #[doc(hidden)]
    fn handle(&self) -> Box<dyn Fn() -> Self::Value + Send>;
}

impl<T: Clone + Send + Sync + 'static> Controls for Control<T> {
    type Value = T;
    fn values(&self) -> T {
        self.value()
    }
    fn children(&self) -> Vec<&dyn Child> {
        vec![self]
    }
    fn listen(&self, changed: Arc<dyn Fn() + Send + Sync>) {
        self.on_change(move |_| changed());
    }
    fn sound(&self) -> Result<()> {
        Control::sound(self)
    }
    fn handle(&self) -> Box<dyn Fn() -> T + Send> {
        let this = self.clone();
        Box::new(move || this.value())
    }
}

impl<C: Controls> Controls for &C {
    type Value = C::Value;
    fn values(&self) -> C::Value {
        (**self).values()
    }
    fn children(&self) -> Vec<&dyn Child> {
        (**self).children()
    }
    fn listen(&self, changed: Arc<dyn Fn() + Send + Sync>) {
        (**self).listen(changed);
    }
    fn sound(&self) -> Result<()> {
        (**self).sound()
    }
    fn handle(&self) -> Box<dyn Fn() -> C::Value + Send> {
        (**self).handle()
    }
}

macro_rules! of_tuples {
    ($($name:ident $field:tt),*) => {
        impl<$($name: Controls),*> Controls for ($($name,)*)
        where
            $($name::Value: 'static),*
        {
            type Value = ($($name::Value,)*);
            fn values(&self) -> Self::Value {
                ($(self.$field.values(),)*)
            }
            fn children(&self) -> Vec<&dyn Child> {
                [$(self.$field.children()),*].concat()
            }
            fn listen(&self, changed: Arc<dyn Fn() + Send + Sync>) {
                $(self.$field.listen(Arc::clone(&changed));)*
            }
            fn sound(&self) -> Result<()> {
                $(self.$field.sound()?;)*
                Ok(())
            }
            fn handle(&self) -> Box<dyn Fn() -> Self::Value + Send> {
                let all = ($(self.$field.handle(),)*);
                Box::new(move || ($((all.$field)(),)*))
            }
        }
    };
}

of_tuples!(A 0, B 1);
of_tuples!(A 0, B 1, C 2);
of_tuples!(A 0, B 1, C 2, D 3);

/// Shows controls, and below them what `draw` makes of their values, anew with each change.
///
/// The first drawing is made now, so that an error of it is the cell's. A later one is said in its place. In a page
/// without a kernel the last drawing stays; for one that reacts, see [`Control::frames`].
///
/// `draw` is called after its cell is over: it must own what it captures, see [the module](super).
///
/// # Errors
/// What keeps the first drawing from being made; [`Error::Parameter`](crate::Error::Parameter) when a control has an
/// empty range.
///
/// # Example: two controls
/// ```
/// # use itd_cell as itd_prelude;
/// use itd_prelude::figure::{Chart, color};
/// use itd_prelude::widget::{checkbox, interact, slider};
///
/// let (rate, log) = (slider("rate", 0.1..=2.0), checkbox("as a logarithm", false));
/// let x: Vec<f64> = (0..50).map(|i| f64::from(i) / 10.0).collect();
/// interact((&rate, &log), move |(rate, log)| {
///     let y: Vec<f64> = x.iter().map(|x| (-rate * x).exp()).collect();
///     let y = if log { y.iter().map(|y| y.ln()).collect() } else { y };
///     Chart::new("x", "decay").line("", &x, &y, color(0)).draw("a decay")
/// })?;
/// assert_eq!((rate.value(), log.value()), (1.06, false)); // a later cell reads them
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn interact<C: Controls, S: Show>(
    controls: C,
    mut draw: impl FnMut(C::Value) -> S + Send + 'static,
) -> Result<()>
where
    C::Value: 'static,
{
    controls.sound()?;
    let prints = output();
    let mut children = controls.children();
    children.push(&prints);
    vbox(&children).show()?;
    let mut display = Display::new();
    let first = draw(controls.values()).bundle()?;
    if !first.is_empty() {
        display.put(first);
    }
    let values = controls.handle();
    let follow = Mutex::new((draw, display, values));
    controls.listen(Arc::new(move || {
        // What is set while it draws, by `draw` itself, is drawn already.
        let mut follow = match follow.try_lock() {
            Ok(follow) => follow,
            Err(TryLockError::Poisoned(follow)) => follow.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        let (draw, display, values) = &mut *follow;
        prints.capture(|| match draw(values()).bundle() {
            Ok(bundle) if bundle.is_empty() => {}
            Ok(bundle) => display.put(bundle),
            Err(error) => display.put(plain(format!("⚠ {error}"))),
        });
    }));
    Ok(())
}
