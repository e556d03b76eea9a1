//! The widgets themselves, as a cell holds them.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::sync::Arc;

use serde_json::{Value, json};

use super::model::{Model, Style};
use crate::comm;
use crate::display::Show;
use crate::error::{Error, Result};
use crate::frame::{Bundle, metadata};
use crate::text::number;

/// A widget with a value. Clones are the same widget, and it can be kept for later cells.
///
/// # Example
/// ```
/// # use itd_cell as itd_prelude;
/// use itd_prelude::widget::slider;
///
/// let a = slider("log-SNR α", -6.0..=12.0);
/// assert_eq!(a.value(), 3.0); // the middle
/// a.set(-1.5);
/// assert_eq!(a.value(), -1.5);
/// ```
pub struct Control<T> {
    model: Arc<Model>,
    kind: Kind<T>,
    /// What it began with; nothing only where a list is empty.
    first: Option<T>,
    /// What is wrong with how it was made; told when it is to be shown.
    problem: Option<String>,
}

enum Kind<T> {
    /// The value itself is in the state.
    Value {
        read: fn(&Value) -> Option<T>,
        write: fn(&T) -> Value,
        /// The ends, of a slider.
        ends: Option<(T, T)>,
    },
    /// The state has the place in this list.
    Choice {
        options: Arc<[T]>,
        same: fn(&T, &T) -> bool,
    },
}

impl<T: Clone> Clone for Kind<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Value { read, write, ends } => Self::Value {
                read: *read,
                write: *write,
                ends: ends.clone(),
            },
            Self::Choice { options, same } => Self::Choice {
                options: Arc::clone(options),
                same: *same,
            },
        }
    }
}

impl<T: Clone> Clone for Control<T> {
    fn clone(&self) -> Self {
        Self {
            model: Arc::clone(&self.model),
            kind: self.kind.clone(),
            first: self.first.clone(),
            problem: self.problem.clone(),
        }
    }
}

impl<T: Clone + Send + Sync + 'static> Control<T> {
    /// Where it stands now; what the user does is seen at once, also by a cell that runs.
    ///
    /// # Panics
    /// When it is a choice from an empty list, which has no value. To show such a one is an error before that.
    pub fn value(&self) -> T {
        let value = match &self.kind {
            Kind::Value { read, .. } => read(&self.model.get("value")),
            Kind::Choice { options, .. } => {
                let place = self.model.get("index").as_u64();
                place.and_then(|place| options.get(place as usize).cloned())
            }
        };
        match value.or_else(|| self.first.clone()) {
            Some(value) => value,
            None => panic!(
                "the list of the widget `{}` is empty, so it has no value; give it one value at least",
                self.label()
            ),
        }
    }

    /// Sets it, in the page as well; closures that listen are called, before this returns.
    ///
    /// A value that a menu or a slider over a list does not have changes nothing, and neither does NaN. One beyond the
    /// ends of a slider is the nearer end.
    pub fn set(&self, value: T) {
        let fields = match &self.kind {
            Kind::Value { write, ends, .. } => {
                let within = ends.as_ref().and_then(|(low, high)| {
                    let at = |value: &T| write(value).as_f64();
                    let (value, low_at, high_at) = (at(&value)?, at(low)?, at(high)?);
                    match () {
                        () if value < low_at => Some(write(low)),
                        () if value > high_at => Some(write(high)),
                        () => None,
                    }
                });
                Some(json!({ "value": within.unwrap_or_else(|| write(&value)) }))
            }
            Kind::Choice { options, same } => {
                let place = options.iter().position(|option| same(option, &value));
                place.map(|place| json!({ "index": place }))
            }
        };
        // NaN cannot be said in JSON.
        if let Some(fields) =
            fields.filter(|fields| !fields["value"].is_null() || fields.get("index").is_some())
        {
            self.model.set(fields);
            self.model.changed();
        }
    }

    /// The same widget, at another value.
    pub fn starting_at(self, value: T) -> Self {
        self.set(value);
        self
    }

    /// Has a closure called with each new value, see [the module](super) for what it may capture.
    ///
    /// # Example
    /// ```
    /// # use itd_cell as itd_prelude;
    /// use itd_prelude::widget::{dropdown, text};
    ///
    /// let prior = dropdown("prior", &["normal", "uniform"]);
    /// let chosen = text("chosen", "");
    /// let label = chosen.clone();
    /// prior.on_change(move |name| label.set(name.to_uppercase()));
    /// prior.set("uniform");
    /// assert_eq!(chosen.value(), "UNIFORM");
    /// ```
    pub fn on_change(&self, mut changed: impl FnMut(T) + Send + 'static) {
        let this = self.clone();
        self.model.on_change(move || changed(this.value()));
    }

    /// Takes it out of the page, and drops the closures that listen to it.
    pub fn close(self) {
        self.model.close();
    }

    /// What it is called.
    pub(super) fn label(&self) -> String {
        let label = self.model.get("description");
        label.as_str().unwrap_or_default().to_owned()
    }

    /// The values of a list, or some between two ends.
    pub(super) fn values(&self) -> Vec<T> {
        match &self.kind {
            Kind::Choice { options, .. } => options.to_vec(),
            Kind::Value {
                ends: Some((low, high)),
                read,
                write,
            } => {
                let end = |end: &T| write(end).as_f64().unwrap_or_default();
                between(end(low), end(high), write(low).is_i64())
                    .iter()
                    .filter_map(read)
                    .collect()
            }
            Kind::Value { .. } => vec![self.value()],
        }
    }

    /// How one of its values reads.
    pub(super) fn words(&self, value: &T) -> String {
        match &self.kind {
            Kind::Value { write, .. } => match write(value) {
                Value::String(text) => text,
                Value::Number(value) if value.is_f64() => {
                    number(value.as_f64().unwrap_or(f64::NAN))
                }
                value => value.to_string(),
            },
            Kind::Choice { options, same } => {
                let place = options.iter().position(|option| same(option, value));
                let labels = self.model.get("_options_labels");
                let label = place.and_then(|place| labels.get(place)?.as_str());
                label.unwrap_or_default().to_owned()
            }
        }
    }

    /// # Errors
    /// [`Error::Parameter`] when it cannot be what it was asked to be.
    pub(super) fn sound(&self) -> Result<()> {
        match &self.problem {
            None => Ok(()),
            Some(got) => Err(Error::Parameter {
                name: "the range of a widget",
                got: got.clone(),
                need: "a list with values, or a smaller and a larger finite number",
            }),
        }
    }
}

/// How many pictures are drawn of a range that is shown without a kernel.
const FRAMES: usize = 25;

/// Numbers between two ends, as many as are drawn; whole ones are all there when they are not more.
fn between(low: f64, high: f64, whole: bool) -> Vec<Value> {
    let count = match whole {
        true => FRAMES.min((high - low) as usize + 1).max(1),
        false => FRAMES,
    };
    let share = |i: usize| i as f64 / (count - 1).max(1) as f64;
    let at = |i: usize| low * (1.0 - share(i)) + high * share(i);
    match whole {
        true => (0..count).map(|i| json!(at(i).round() as i64)).collect(),
        false => (0..count).map(|i| json!(at(i))).collect(),
    }
}

impl<T: Clone + Send + Sync + 'static> Show for Control<T> {
    fn bundle(&self) -> Result<Bundle> {
        self.sound()?;
        Ok(self.model.view(self.to_string()))
    }
}

impl<T: Clone + Send + Sync + 'static> Display for Control<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let label = self.label();
        let value = match self.problem {
            None => self.words(&self.value()),
            Some(_) => "no value".to_owned(),
        };
        match label.is_empty() {
            true => f.write_str(&value),
            false => write!(f, "{label}: {value}"),
        }
    }
}

impl<T: Clone + Send + Sync + 'static> std::fmt::Debug for Control<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Control({self})")
    }
}

/// What a slider can go over: `-6.0..=12.0`, `1..=10`, or a list of values.
#[diagnostic::on_unimplemented(
    message = "a slider cannot go over `{Self}`",
    note = "give it two numbers, `-6.0..=12.0` or `1..=10` (of i64), or a list of values, `&alphas`"
)]
pub trait Range {
    /// What it gives.
    type Value;
    #[doc(hidden)]
    fn slider(self, label: String) -> Control<Self::Value>;
}

/// A slider over a range of numbers, or over a list of values; it begins in the middle.
///
/// # Example
/// ```
/// # use itd_cell as itd_prelude;
/// use itd_prelude::widget::slider;
///
/// let alphas = [-6.0, -2.0, 2.0, 6.0, 10.0];
/// assert_eq!(slider("log-SNR α", &alphas).value(), 2.0);
/// assert_eq!(slider("steps", 1..=9).value(), 5);
/// ```
pub fn slider<R: Range>(label: impl Into<String>, range: R) -> Control<R::Value> {
    range.slider(label.into())
}

/// The smallest of 1, 2 and 5 times a power of ten that divides a length in a hundred pieces or fewer.
fn step_for(length: f64) -> f64 {
    let power = 10f64.powf((length / 100.0).log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
    let fits = |step: &f64| *step >= length / 100.0 * (1.0 - 1e-9);
    steps.into_iter().find(fits).unwrap_or(10.0 * power)
}

impl Range for RangeInclusive<f64> {
    type Value = f64;
    fn slider(self, label: String) -> Control<f64> {
        let (low, high) = (*self.start(), *self.end());
        let sound = low.is_finite() && high.is_finite() && low < high;
        let problem = (!sound).then(|| format!("{low}..={high}"));
        let (low, high) = if sound { (low, high) } else { (0.0, 1.0) };
        let step = step_for(high - low);
        let middle = low + ((high - low) / 2.0 / step).round() * step;
        // As many digits as the step has, so that the readout and the value agree.
        let digits = (-step.log10() - 1e-9).ceil().clamp(0.0, 15.0) as usize;
        let middle = format!("{middle:.digits$}").parse().unwrap_or(middle);
        let own = json!({
            "behavior": "drag-tap", "continuous_update": true, "orientation": "horizontal", "readout": true,
            "readout_format": format!(".{digits}f"), "min": low, "max": high, "step": step, "value": middle,
        });
        let kind = Kind::Value {
            read: Value::as_f64,
            write: |value| json!(value),
            ends: Some((low, high)),
        };
        Control {
            problem,
            ..control(
                "FloatSlider",
                "FloatSliderView",
                Style::Slider,
                label,
                own,
                kind,
                Some(middle),
            )
        }
    }
}

impl Range for RangeInclusive<i64> {
    type Value = i64;
    fn slider(self, label: String) -> Control<i64> {
        let (low, high) = (*self.start(), *self.end());
        let sound = low < high && high.checked_sub(low).is_some();
        let problem = (!sound).then(|| format!("{low}..={high}"));
        let (low, high) = if sound { (low, high) } else { (0, 1) };
        let middle = low + (high - low) / 2;
        let own = json!({
            "behavior": "drag-tap", "continuous_update": true, "orientation": "horizontal", "readout": true,
            "readout_format": "d", "min": low, "max": high, "step": 1, "value": middle,
        });
        let kind = Kind::Value {
            read: whole,
            write: |value| json!(value),
            ends: Some((low, high)),
        };
        Control {
            problem,
            ..control(
                "IntSlider",
                "IntSliderView",
                Style::Slider,
                label,
                own,
                kind,
                Some(middle),
            )
        }
    }
}

impl<T: Display + Clone + PartialEq + Send + Sync + 'static> Range for &[T] {
    type Value = T;
    fn slider(self, label: String) -> Control<T> {
        choice(
            "SelectionSlider",
            json!({
                "behavior": "drag-tap", "continuous_update": true, "orientation": "horizontal", "readout": true,
            }),
            Style::Slider,
            label,
            self,
            self.len() / 2,
        )
    }
}

impl<T: Display + Clone + PartialEq + Send + Sync + 'static> Range for &Vec<T> {
    type Value = T;
    fn slider(self, label: String) -> Control<T> {
        self.as_slice().slider(label)
    }
}

impl<T: Display + Clone + PartialEq + Send + Sync + 'static, const N: usize> Range for &[T; N] {
    type Value = T;
    fn slider(self, label: String) -> Control<T> {
        self.as_slice().slider(label)
    }
}

/// A front end may write 5.0 for 5.
fn whole(value: &Value) -> Option<i64> {
    let float = || value.as_f64().filter(|value| value.fract() == 0.0);
    value.as_i64().or_else(|| float().map(|value| value as i64))
}

fn control<T: Clone + Send + Sync + 'static>(
    name: &str,
    view: &str,
    style: Style,
    label: String,
    own: Value,
    kind: Kind<T>,
    first: Option<T>,
) -> Control<T> {
    let mut own = own;
    own["description"] = json!(label);
    own["description_allow_html"] = json!(false);
    if style != Style::Progress {
        own["disabled"] = json!(false);
    }
    let check = {
        let kind = kind.clone();
        move |field: &str, value: &Value| match (&kind, field) {
            (Kind::Value { read, .. }, "value") => read(value).is_some(),
            (Kind::Choice { options, .. }, "index") => value
                .as_u64()
                .is_some_and(|place| (place as usize) < options.len()),
            _ => true,
        }
    };
    Control {
        model: Model::new(name, view, style, own, check),
        kind,
        first,
        problem: None,
    }
}

/// A choice among `options`; without any there is nothing to show, which is said then.
fn choice<T: Display + Clone + PartialEq + Send + Sync + 'static>(
    name: &str,
    own: Value,
    style: Style,
    label: String,
    options: &[T],
    first: usize,
) -> Control<T> {
    let labels: Vec<String> = options.iter().map(label_of).collect();
    let mut own = own;
    own["_options_labels"] = json!(labels);
    own["index"] = match options.is_empty() {
        true => Value::Null,
        false => json!(first),
    };
    let kind = Kind::Choice {
        options: options.into(),
        same: T::eq,
    };
    let (view, first) = (format!("{name}View"), options.get(first).cloned());
    Control {
        problem: first.is_none().then(|| "an empty list".to_owned()),
        ..control(name, &view, style, label, own, kind, first)
    }
}

/// How one of a list reads: 0.3 for 0.30000000000000004, and a whole number with all its digits.
fn label_of(option: &impl Display) -> String {
    let text = option.to_string();
    match text.parse::<f64>() {
        Ok(value) if text.len() > 8 && text.contains('.') => number(value),
        _ => text,
    }
}

/// A field for a number.
pub fn float_text(label: impl Into<String>, value: f64) -> Control<f64> {
    let own = json!({ "continuous_update": false, "step": null, "value": value });
    let view = "FloatTextView";
    control(
        "FloatText",
        view,
        Style::Description,
        label.into(),
        own,
        FLOAT,
        Some(value),
    )
}

/// A field for a whole number.
pub fn int_text(label: impl Into<String>, value: i64) -> Control<i64> {
    let own = json!({ "continuous_update": false, "step": 1, "value": value });
    let view = "IntTextView";
    control(
        "IntText",
        view,
        Style::Description,
        label.into(),
        own,
        INT,
        Some(value),
    )
}

/// A field for a line of text.
pub fn text(label: impl Into<String>, value: impl Into<String>) -> Control<String> {
    let value = value.into();
    // A space of no width, as ipywidgets has it, keeps the field from showing its label twice.
    let own = json!({ "continuous_update": true, "placeholder": "\u{200b}", "value": value });
    let kind = Kind::Value {
        read: |value| value.as_str().map(str::to_owned),
        write: |value| json!(value),
        ends: None,
    };
    control(
        "Text",
        "TextView",
        Style::Text,
        label.into(),
        own,
        kind,
        Some(value),
    )
}

/// A menu, which begins with its first entry.
///
/// # Example
/// ```
/// # use itd_cell as itd_prelude;
/// use itd_prelude::widget::dropdown;
///
/// let rule = dropdown("rule", &["midpoint", "trapezoid"]);
/// assert_eq!(rule.value(), "midpoint");
/// ```
pub fn dropdown<T: Display + Clone + PartialEq + Send + Sync + 'static>(
    label: impl Into<String>,
    options: &[T],
) -> Control<T> {
    choice(
        "Dropdown",
        json!({}),
        Style::Description,
        label.into(),
        options,
        0,
    )
}

/// A box to tick.
pub fn checkbox(label: impl Into<String>, value: bool) -> Control<bool> {
    let own = json!({ "indent": true, "value": value });
    control(
        "Checkbox",
        "CheckboxView",
        Style::Checkbox,
        label.into(),
        own,
        BOOL,
        Some(value),
    )
}

/// A button that stays down.
pub fn toggle(label: impl Into<String>, value: bool) -> Control<bool> {
    let own = json!({ "button_style": "", "icon": "", "value": value });
    let view = "ToggleButtonView";
    control(
        "ToggleButton",
        view,
        Style::Toggle,
        label.into(),
        own,
        BOOL,
        Some(value),
    )
}

/// A bar from 0 to `most`, which [`Control::set`] moves. Loops have [`Progress`](crate::progress::Progress).
pub fn int_progress(label: impl Into<String>, most: i64) -> Control<i64> {
    let own = bar(json!(0), json!(most), json!(0));
    control(
        "IntProgress",
        "ProgressView",
        Style::Progress,
        label.into(),
        own,
        INT,
        Some(0),
    )
}

/// A bar over a range of numbers, which [`Control::set`] moves.
pub fn float_progress(label: impl Into<String>, range: RangeInclusive<f64>) -> Control<f64> {
    let (low, high) = range.into_inner();
    let own = bar(json!(low), json!(high), json!(low));
    let view = "ProgressView";
    control(
        "FloatProgress",
        view,
        Style::Progress,
        label.into(),
        own,
        FLOAT,
        Some(low),
    )
}

fn bar(low: Value, high: Value, value: Value) -> Value {
    json!({ "bar_style": "", "orientation": "horizontal", "min": low, "max": high, "value": value })
}

const FLOAT: Kind<f64> = Kind::Value {
    read: Value::as_f64,
    write: |value| json!(value),
    ends: None,
};
const INT: Kind<i64> = Kind::Value {
    read: whole,
    write: |value| json!(value),
    ends: None,
};
const BOOL: Kind<bool> = Kind::Value {
    read: Value::as_bool,
    write: |value| json!(value),
    ends: None,
};

/// A button. Clones are the same button.
#[derive(Clone)]
pub struct Button {
    model: Arc<Model>,
}

/// A button to click.
///
/// # Example: a click runs a closure, between cells
/// ```
/// # use itd_cell as itd_prelude;
/// use itd_prelude::widget::{button, int_text};
///
/// let (more, count) = (button("more"), int_text("count", 0));
/// let clicked = count.clone();
/// more.on_click(move || clicked.set(clicked.value() + 1));
/// assert_eq!(count.value(), 0); // nobody has clicked
/// ```
pub fn button(label: impl Into<String>) -> Button {
    let own = json!({
        "button_style": "", "description": label.into(), "disabled": false, "icon": "",
    });
    Button {
        model: Model::new("Button", "ButtonView", Style::Button, own, |_, _| true),
    }
}

impl Button {
    /// Has a closure called with each click, see [the module](super) for what it may capture.
    pub fn on_click(&self, clicked: impl FnMut() + Send + 'static) {
        self.model.on_click(clicked);
    }

    /// Takes it out of the page, and drops its closures.
    pub fn close(self) {
        self.model.close();
    }
}

/// A place in the page for values that come later. Clones are the same place.
#[derive(Clone)]
pub struct Output {
    model: Arc<Model>,
}

/// A place in the page for values that come later, such as from a closure.
///
/// # Example
/// ```
/// # use itd_cell as itd_prelude;
/// use itd_prelude::widget::output;
///
/// let place = output();
/// place.append(&"first")?;
/// place.append(&2.5)?;
/// assert_eq!(place.len(), 2);
/// place.clear();
/// assert!(place.is_empty());
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn output() -> Output {
    let own = json!({ "msg_id": "", "outputs": [] });
    Output {
        model: Model::new("Output", "OutputView", Style::None, own, |_, _| true),
    }
}

impl Output {
    /// Shows a value below those that are there.
    ///
    /// # Errors
    /// What keeps the value from being drawn.
    pub fn append(&self, value: &dyn Show) -> Result<()> {
        let mut outputs = self.model.get("outputs");
        if let Some(list) = outputs.as_array_mut() {
            list.push(shown(value.bundle()?));
        }
        self.model.set(json!({ "outputs": outputs }));
        Ok(())
    }

    /// Shows a value in place of those that are there.
    ///
    /// # Errors
    /// What keeps the value from being drawn.
    pub fn replace(&self, value: &dyn Show) -> Result<()> {
        let shown = shown(value.bundle()?);
        self.model.set(json!({ "outputs": [shown] }));
        Ok(())
    }

    /// Removes what is there.
    pub fn clear(&self) {
        self.model.set(json!({ "outputs": [] }));
    }

    /// How many values are there.
    pub fn len(&self) -> usize {
        let outputs = self.model.get("outputs");
        outputs.as_array().map_or(0, Vec::len)
    }

    /// Whether nothing is there.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Has what `work` prints stand here, where a front end's message is being handled.
    pub(super) fn capture<T>(&self, work: impl FnOnce() -> T) -> T {
        let Some(message) = comm::current() else {
            return work();
        };
        if !self.is_empty() {
            self.clear();
        }
        self.model.set(json!({ "msg_id": message }));
        /// Ends it, in whatever way `work` is left.
        struct Back<'a>(&'a Arc<Model>);
        impl Drop for Back<'_> {
            fn drop(&mut self) {
                self.0.set(json!({ "msg_id": "" }));
            }
        }
        let _back = Back(&self.model);
        work()
    }
}

fn shown(data: Bundle) -> Value {
    json!({ "output_type": "display_data", "metadata": metadata(&data), "data": data })
}

/// A row or a column of widgets.
#[derive(Clone)]
pub struct Container {
    model: Arc<Model>,
    text: String,
}

/// Widgets side by side.
///
/// # Example
/// ```
/// # use itd_cell as itd_prelude;
/// use itd_prelude::widget::{checkbox, hbox, slider, vbox};
///
/// let (a, log) = (slider("α", 0.0..=1.0), checkbox("log scale", true));
/// let row = hbox(&[&a, &log]);
/// assert_eq!(vbox(&[&row, &a]).to_string(), "α: 0.5  log scale: true\nα: 0.5");
/// ```
pub fn hbox(children: &[&dyn Child]) -> Container {
    container("HBox", children, "  ")
}

/// Widgets one below the other.
pub fn vbox(children: &[&dyn Child]) -> Container {
    container("VBox", children, "\n")
}

fn container(name: &str, children: &[&dyn Child], between: &str) -> Container {
    let references: Vec<String> = children.iter().map(|c| c.model().reference()).collect();
    let own = json!({ "box_style": "", "children": references });
    let texts: Vec<String> = children.iter().map(|child| child.text()).collect();
    let texts = texts.into_iter().filter(|text| !text.is_empty());
    Container {
        model: Model::new(name, &format!("{name}View"), Style::None, own, |_, _| true),
        text: texts.collect::<Vec<_>>().join(between),
    }
}

impl Display for Container {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl Display for Button {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let label = self.model.get("description");
        write!(f, "[{}]", label.as_str().unwrap_or_default())
    }
}

impl Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let outputs = self.model.get("outputs");
        let texts = outputs.as_array().into_iter().flatten();
        let texts = texts.filter_map(|output| output["data"]["text/plain"].as_str());
        f.write_str(&texts.collect::<Vec<_>>().join("\n"))
    }
}

/// Something that can stand in a box of widgets.
pub trait Child: Display {
    #[doc(hidden)]
    #[allow(private_interfaces)]
    fn model(&self) -> &Arc<Model>;

    #[doc(hidden)]
    fn text(&self) -> String {
        self.to_string()
    }
}

impl<T: Clone + Send + Sync + 'static> Child for Control<T> {
    #[allow(private_interfaces)]
    fn model(&self) -> &Arc<Model> {
        &self.model
    }
}

macro_rules! shown_by_the_front_end {
    ($($widget:ty),*) => {$(
        impl Child for $widget {
            #[allow(private_interfaces)]
            fn model(&self) -> &Arc<Model> {
                &self.model
            }
        }

        impl Show for $widget {
            fn bundle(&self) -> Result<Bundle> {
                Ok(self.model.view(self.to_string()))
            }
        }

        impl std::fmt::Debug for $widget {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({self})", stringify!($widget))
            }
        }
    )*};
}

shown_by_the_front_end!(Button, Output, Container);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slider_begins_in_the_middle_and_its_step_is_round() {
        let a = slider("log-SNR α", -6.0..=12.0);
        let field = |name: &str| a.model.get(name);
        assert_eq!(
            (a.value(), field("step"), field("readout_format")),
            (3.0, json!(0.2), json!(".1f"))
        );
        assert_eq!(slider("", 0.0..=1e-3).value(), 5e-4);
        assert_eq!(slider("", 1..=4).value(), 2);
        assert_eq!(slider("", &["a", "b", "c"]).value(), "b");
        assert_eq!(slider("n", 3..=7).starting_at(6).to_string(), "n: 6");
    }

    #[test]
    fn a_slider_stays_between_its_ends() {
        let a = slider("a", 0.0..=1.0).starting_at(5.0);
        assert_eq!(a.value(), 1.0);
        a.set(-3.0);
        assert_eq!(a.value(), 0.0);
        a.set(f64::NAN);
        assert_eq!(a.value(), 0.0);
        assert_eq!(slider("n", 3..=7).starting_at(100).value(), 7);
    }

    #[test]
    fn whole_numbers_are_shown_with_all_their_digits() {
        assert_eq!(int_text("seed", 12_345_678).to_string(), "seed: 12345678");
        let menu = dropdown("seed", &[1_234_567_890u64, 1_234_567_891]);
        let labels = menu.model.get("_options_labels");
        assert_eq!(labels, json!(["1234567890", "1234567891"]));
        let menu = dropdown("share", &[0.1 + 0.2]);
        assert_eq!(menu.model.get("_options_labels"), json!(["0.3"]));
    }

    /// A control that a drawing sets is drawn with that drawing; before, it waited for itself without end.
    #[test]
    fn a_drawing_may_set_one_of_its_controls() {
        use crate::media::Markdown;
        use crate::widget::interact;
        let (a, b) = (slider("a", 0..=9), slider("b", 0..=9));
        let (sets, drawn) = (b.clone(), int_text("drawn", 0));
        let count = drawn.clone();
        let draw = move |(a, _): (i64, i64)| {
            count.set(count.value() + 1);
            sets.set(a);
            Markdown(format!("{a}"))
        };
        interact((&a, &b), draw).unwrap();
        let first = drawn.value();
        a.set(7);
        assert_eq!((a.value(), b.value(), drawn.value()), (7, 7, first + 1));
        b.set(2);
        assert_eq!(
            (b.value(), drawn.value()),
            (7, first + 2),
            "it is set by the drawing"
        );
    }

    #[test]
    fn a_range_that_is_none_is_said_when_it_is_shown() {
        let empty: [f64; 0] = [];
        for error in [
            slider("a", 3.0..=1.0).bundle().unwrap_err(),
            slider("a", 0.0..=f64::NAN).bundle().unwrap_err(),
            slider("a", 5..=5).bundle().unwrap_err(),
            slider("a", i64::MIN..=i64::MAX).bundle().unwrap_err(),
            slider("a", &empty).bundle().unwrap_err(),
        ] {
            let text = error.to_string();
            assert!(text.starts_with("the range of a widget is"), "{text}");
        }
    }

    #[test]
    fn what_a_list_does_not_have_is_not_chosen() {
        let menu = dropdown("rule", &["a", "b"]);
        menu.set("b");
        menu.set("c");
        assert_eq!(menu.value(), "b");
        let number = float_text("x", 1.5);
        number.set(f64::NAN);
        assert_eq!(number.value(), 1.5);
    }

    #[test]
    fn labels_of_numbers_are_short() {
        let list = slider("x", &[0.1 + 0.2, -2.0, 1.0 / 3.0]);
        let labels = list.model.get("_options_labels");
        assert_eq!(labels, json!(["0.3", "-2", "0.333333"]));
    }
}
