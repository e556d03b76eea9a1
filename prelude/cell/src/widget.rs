//! Widgets: sliders, menus, buttons and boxes that a front end draws and this process knows the state of.
//!
//! They speak ipywidgets' protocol, so JupyterLab, Notebook 7 and VS Code draw them as they draw Python's; the front
//! end needs ipywidgets' part for it (`jupyterlab_widgets`, which `itd lab` has).
//!
//! ```ignore
//! let a = slider("log-SNR α", -6.0..=12.0);
//! interact(&a, |a| plot_functions(…))?;   // in this cell: a figure that follows the slider
//! a.value()                               // in a later one: where it stands
//! ```
//!
//! # What a closure may capture
//!
//! A closure given to [`interact`], [`Control::on_change`] or [`Button::on_click`] is called after its cell is over,
//! on another thread: it must own what it uses (`'static`) and be allowed to go there (`Send`). Figures, data sets,
//! tensors, networks, curves and widgets are; a reference to a variable of the cell is not. A closure with `move`
//! takes variables away from later cells; clone them first, which costs little: tensors and widgets share what they
//! hold.
//!
//! ```ignore
//! let data = data.clone();
//! interact(&a, move |a| plot_noisy(&data, a))?;
//! ```
//!
//! Closures run between cells, one after the other, or in a cell where it calls [`comm::poll`](crate::comm::poll) or
//! counts a [`Progress`](crate::progress::Progress). What they print is shown below the widget.
//!
//! # Without a front end
//!
//! In a page or a terminal a widget is a line of text with its value. For pages that react without a kernel there is
//! [`Control::frames`].

mod control;
mod frames;
mod interact;
mod model;

pub use control::{
    Button, Child, Container, Control, Output, Range, button, checkbox, dropdown, float_progress,
    float_text, hbox, int_progress, int_text, output, slider, text, toggle, vbox,
};
pub use frames::Frames;
pub use interact::{Controls, interact};
pub(crate) use model::{CONTROL, States};
