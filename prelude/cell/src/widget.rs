//! Widgets: sliders, menus, buttons and boxes that a front end draws and this process knows the state of.
//!
//! They speak ipywidgets' protocol, so JupyterLab, Notebook 7 and VS Code draw them as they draw Python's; the front
//! end needs ipywidgets' part for it (`jupyterlab_widgets`, which `itd lab` has).
//!
//! ```
//! # use itd_cell as itd_prelude;
//! use itd_prelude::figure::{Chart, color};
//! use itd_prelude::widget::{interact, slider};
//!
//! let a = slider("slope", -6.0..=12.0);
//! let draw = |a: f64| Chart::new("x", "ax").line("", &[0.0, 1.0], &[0.0, a], color(0)).draw("a line");
//! interact(&a, draw)?; // in this cell: a figure that follows the slider
//! assert_eq!(a.value(), 3.0); // in a later one: where it stands
//! # Ok::<(), itd_prelude::Error>(())
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
//! ```
//! # use itd_cell as itd_prelude;
//! use itd_prelude::media::Markdown;
//! use itd_prelude::widget::{interact, slider};
//!
//! let names = vec!["noise", "signal"];
//! let own = names.clone();
//! interact(slider("which", 0..=1), move |i| Markdown(own[i as usize].into()))?;
//! assert_eq!(names.len(), 2); // still there
//! # Ok::<(), itd_prelude::Error>(())
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
