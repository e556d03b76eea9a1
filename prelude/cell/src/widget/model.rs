//! The state of a widget that both sides share, and how it is kept equal.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use serde_json::{Map, Value, json};

use crate::comm::{self, End, Message, Reaction};
use crate::display::plain;
use crate::frame::{Bundle, Frame};

/// The name under which front ends open comms of widgets, and these are opened there.
const TARGET: &str = "jupyter.widget";
/// The name under which a front end asks for all of them, when a page is opened anew.
pub(crate) const CONTROL: &str = "jupyter.widget.control";
/// The protocol's version.
const VERSION: &str = "2.1.0";
const VIEW: &str = "application/vnd.jupyter.widget-view+json";

/// A module of ipywidgets 8 and its version.
type Module = (&'static str, &'static str);
const BASE: Module = ("@jupyter-widgets/base", "2.0.0");
const CONTROLS: Module = ("@jupyter-widgets/controls", "2.0.0");
const OUTPUT: Module = ("@jupyter-widgets/output", "1.0.0");

type State = Map<String, Value>;
type Check = Box<dyn Fn(&str, &Value) -> bool + Send + Sync>;
type Handler = Arc<Mutex<dyn FnMut() + Send>>;

/// One widget, on this side.
pub(crate) struct Model {
    pub(crate) id: String,
    state: Mutex<State>,
    /// Whether a value from the front end may be taken over.
    check: Check,
    on_change: Mutex<Vec<Handler>>,
    /// For a click.
    on_click: Mutex<Vec<Handler>>,
    /// Its layout and style, which are widgets as well.
    parts: Vec<Arc<Model>>,
}

/// All that were made; a front end asks for those that still live when a page is opened anew.
static MODELS: Mutex<Vec<Weak<Model>>> = Mutex::new(Vec::new());

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What colours, fonts and widths a widget can be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    None,
    Description,
    Slider,
    Progress,
    Checkbox,
    Toggle,
    Button,
    Text,
}

impl Style {
    /// Its name in ipywidgets, and its settings, which are left to the front end.
    fn model(self) -> Option<(&'static str, &'static [&'static str])> {
        Some(match self {
            Self::None => return None,
            Self::Description => ("DescriptionStyle", &["description_width"]),
            Self::Slider => ("SliderStyle", &["description_width", "handle_color"]),
            Self::Progress => ("ProgressStyle", &["description_width", "bar_color"]),
            Self::Checkbox => ("CheckboxStyle", &["description_width", "background"]),
            Self::Toggle => ("ToggleButtonStyle", TOGGLE),
            Self::Button => ("ButtonStyle", BUTTON),
            Self::Text => ("TextStyle", TEXT),
        })
    }
}

const TEXT: &[&str] = &["description_width", "background", "font_size", "text_color"];
const TOGGLE: &[&str] = &[
    "description_width",
    "font_family",
    "font_size",
    "font_style",
    "font_variant",
    "font_weight",
    "text_color",
    "text_decoration",
];
const BUTTON: &[&str] = &[
    "button_color",
    "font_family",
    "font_size",
    "font_style",
    "font_variant",
    "font_weight",
    "text_color",
    "text_decoration",
];
const LAYOUT: &[&str] = &[
    "align_content",
    "align_items",
    "align_self",
    "border_bottom",
    "border_left",
    "border_right",
    "border_top",
    "bottom",
    "display",
    "flex",
    "flex_flow",
    "grid_area",
    "grid_auto_columns",
    "grid_auto_flow",
    "grid_auto_rows",
    "grid_column",
    "grid_gap",
    "grid_row",
    "grid_template_areas",
    "grid_template_columns",
    "grid_template_rows",
    "height",
    "justify_content",
    "justify_items",
    "left",
    "margin",
    "max_height",
    "max_width",
    "min_height",
    "min_width",
    "object_fit",
    "object_position",
    "order",
    "overflow",
    "padding",
    "right",
    "top",
    "visibility",
    "width",
];

fn identity(model: &str, module: Module, view: &str, view_module: Module) -> State {
    let fields = [
        ("_model_module", json!(module.0)),
        ("_model_module_version", json!(module.1)),
        ("_model_name", json!(model)),
        ("_view_count", Value::Null),
        ("_view_module", json!(view_module.0)),
        ("_view_module_version", json!(view_module.1)),
        ("_view_name", json!(view)),
    ];
    fields
        .map(|(name, value)| (name.to_owned(), value))
        .into_iter()
        .collect()
}

impl Model {
    /// A widget called `name` in ipywidgets, drawn as `view`, with what sets it apart from others. `check` says which
    /// values of the front end are taken over.
    pub(crate) fn new(
        name: &str,
        view: &str,
        style: Style,
        own: Value,
        check: impl Fn(&str, &Value) -> bool + Send + Sync + 'static,
    ) -> Arc<Self> {
        let module = if name == "Output" { OUTPUT } else { CONTROLS };
        let mut state = identity(&format!("{name}Model"), module, view, module);
        let layout = identity("LayoutModel", BASE, "LayoutView", BASE);
        let mut parts = vec![Self::part(layout, LAYOUT)];
        state.insert("layout".to_owned(), json!(parts[0].reference()));
        if let Some((name, settings)) = style.model() {
            let style = identity(&format!("{name}Model"), CONTROLS, "StyleView", BASE);
            let style = Self::part(style, settings);
            state.insert("style".to_owned(), json!(style.reference()));
            parts.push(style);
        }
        state.insert("_dom_classes".to_owned(), json!([]));
        for setting in ["tabbable", "tooltip"] {
            state.insert(setting.to_owned(), Value::Null);
        }
        if let Value::Object(own) = own {
            state.extend(own);
        }
        Self::open(state, Box::new(check), parts)
    }

    /// A layout or a style, whose settings are the front end's own.
    fn part(mut state: State, settings: &[&str]) -> Arc<Self> {
        for &setting in settings {
            let value = match setting {
                "description_width" => json!(""),
                _ => Value::Null,
            };
            state.insert(setting.to_owned(), value);
        }
        Self::open(state, Box::new(|_, _| true), Vec::new())
    }

    fn open(state: State, check: Check, parts: Vec<Arc<Self>>) -> Arc<Self> {
        let model = Arc::new(Self {
            id: comm::fresh_name(),
            state: Mutex::new(state),
            check,
            on_change: Mutex::default(),
            on_click: Mutex::default(),
            parts,
        });
        comm::register_end(&model.id, Arc::clone(&model) as Arc<dyn End>);
        let mut models = lock(&MODELS);
        models.retain(|model| model.strong_count() > 0);
        models.push(Arc::downgrade(&model));
        drop(models);
        comm::tell([model.opening()]);
        model
    }

    /// What tells a front end that there is this widget.
    fn opening(&self) -> Frame {
        let data = json!({ "state": *lock(&self.state), "buffer_paths": [] });
        let message = Message {
            metadata: json!({ "version": VERSION }),
            ..Message::new(data)
        };
        comm::opening(&self.id, TARGET, message)
    }

    /// How other widgets name it.
    pub(crate) fn reference(&self) -> String {
        format!("IPY_MODEL_{}", self.id)
    }

    /// One of its fields; null when it has no such field.
    pub(crate) fn get(&self, field: &str) -> Value {
        lock(&self.state).get(field).cloned().unwrap_or_default()
    }

    /// Sets fields, on both sides.
    pub(crate) fn set(self: &Arc<Self>, fields: Value) {
        let Value::Object(fields) = fields else {
            return;
        };
        lock(&self.state).extend(fields.clone());
        comm::tell([self.update("update", &fields)]);
    }

    /// Has those who listen called, as when the front end changes something.
    pub(crate) fn changed(self: &Arc<Self>) {
        if !lock(&self.on_change).is_empty() {
            let this = Arc::clone(self);
            comm::call(&self.id, Box::new(move || this.call(&this.on_change)));
        }
    }

    pub(crate) fn on_change(&self, handler: impl FnMut() + Send + 'static) {
        lock(&self.on_change).push(Arc::new(Mutex::new(handler)));
    }

    pub(crate) fn on_click(&self, handler: impl FnMut() + Send + 'static) {
        lock(&self.on_click).push(Arc::new(Mutex::new(handler)));
    }

    /// Calls handlers; one that is at work already, and has changed the widget itself, is left out.
    fn call(&self, handlers: &Mutex<Vec<Handler>>) {
        let all = lock(handlers).clone();
        for handler in all {
            let free = match handler.try_lock() {
                Ok(free) => Some(free),
                Err(std::sync::TryLockError::Poisoned(panicked)) => Some(panicked.into_inner()),
                Err(std::sync::TryLockError::WouldBlock) => None,
            };
            if let Some(mut handler) = free {
                handler();
            }
        }
    }

    /// Takes it out of the page, and drops its closures.
    pub(crate) fn close(&self) {
        for model in std::iter::once(self).chain(self.parts.iter().map(|part| &**part)) {
            comm::remove_end(&model.id);
            comm::tell([comm::closing(&model.id)]);
        }
        lock(&self.on_change).clear();
        lock(&self.on_click).clear();
    }

    fn update(&self, method: &str, state: &State) -> Frame {
        let data = json!({ "method": method, "state": state, "buffer_paths": [] });
        comm::saying(&self.id, Message::new(data))
    }

    /// How it is shown: the front end draws it, all others have a line of text.
    pub(crate) fn view(&self, text: String) -> Bundle {
        let mut bundle = plain(text);
        if crate::host() == crate::Host::Itd {
            let view = json!({ "version_major": 2, "version_minor": 0, "model_id": self.id });
            bundle.insert(VIEW.to_owned(), view);
        }
        bundle
    }
}

impl End for Model {
    fn take(self: Arc<Self>, message: Message) -> Reaction {
        let handles = |handlers: fn(&Self) -> &Mutex<Vec<Handler>>| {
            let this = Arc::clone(&self);
            let listened = !lock(handlers(&this)).is_empty();
            listened.then(|| Box::new(move || this.call(handlers(&this))) as comm::Work)
        };
        let data = &message.data;
        match data["method"].as_str() {
            Some("update") => {
                let (mut taken, mut refused) = (State::new(), State::new());
                let mut state = lock(&self.state);
                for (field, value) in data["state"].as_object().into_iter().flatten() {
                    match state.get_mut(field) {
                        Some(own) if (self.check)(field, value) => {
                            own.clone_from(value);
                            taken.insert(field.clone(), value.clone());
                        }
                        Some(own) => {
                            refused.insert(field.clone(), own.clone());
                        }
                        None => {}
                    }
                }
                drop(state);
                let mut frames = Vec::new();
                if !refused.is_empty() {
                    frames.push(self.update("update", &refused));
                }
                let changed = !taken.is_empty();
                if changed {
                    // Other pages that show it hear of it, too.
                    frames.push(self.update("echo_update", &taken));
                }
                Reaction {
                    frames,
                    work: handles(|model| &model.on_change).filter(|_| changed),
                    replaceable: true,
                }
            }
            Some("request_state") => Reaction {
                frames: vec![self.update("update", &lock(&self.state).clone())],
                ..Reaction::default()
            },
            Some("custom") if data["content"]["event"] == "click" => Reaction {
                work: handles(|model| &model.on_click),
                ..Reaction::default()
            },
            _ => Reaction::default(),
        }
    }
}

/// Tells a front end of all widgets.
pub(crate) struct States(pub(crate) String);

impl End for States {
    fn take(self: Arc<Self>, message: Message) -> Reaction {
        if message.data["method"] != "request_states" {
            return Reaction::default();
        }
        let models: Vec<Arc<Model>> = lock(&MODELS).iter().filter_map(Weak::upgrade).collect();
        let mut states = State::new();
        for model in models {
            let state = lock(&model.state).clone();
            let described = json!({
                "model_name": state["_model_name"],
                "model_module": state["_model_module"],
                "model_module_version": state["_model_module_version"],
                "state": state,
            });
            states.insert(model.id.clone(), described);
        }
        let data = json!({ "method": "update_states", "states": states, "buffer_paths": [] });
        Reaction {
            frames: vec![comm::saying(&self.0, Message::new(data))],
            ..Reaction::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::widget::Child as _;

    /// The states of ipywidgets' own, made by `golden/widgets.py`.
    const GOLDEN: &str = include_str!("../../tests/golden/widgets.json");

    #[test]
    fn each_widget_has_the_fields_of_ipywidgets() {
        use crate::widget::*;
        let golden: Value = serde_json::from_str(GOLDEN).unwrap();
        let (a, b) = (int_text("", 0), int_text("", 0));
        let all: Vec<(&str, Arc<Model>)> = vec![
            ("IntSlider", slider("", 0..=100).model().clone()),
            ("FloatSlider", slider("", 0.0..=100.0).model().clone()),
            ("SelectionSlider", slider("", &["a", "b"]).model().clone()),
            ("IntText", a.model().clone()),
            ("FloatText", float_text("", 0.0).model().clone()),
            ("Text", text("", "").model().clone()),
            ("Dropdown", dropdown("", &["a", "b"]).model().clone()),
            ("Checkbox", checkbox("", false).model().clone()),
            ("ToggleButton", toggle("", false).model().clone()),
            ("Button", button("").model().clone()),
            ("IntProgress", int_progress("", 100).model().clone()),
            (
                "FloatProgress",
                float_progress("", 0.0..=100.0).model().clone(),
            ),
            ("Output", output().model().clone()),
            ("HBox", hbox(&[]).model().clone()),
            ("VBox", vbox(&[&a, &b]).model().clone()),
        ];
        for (name, model) in all {
            for (name, model) in [(name, &model)]
                .into_iter()
                .chain(model.parts.iter().map(|part| ("", part)))
            {
                let state = lock(&model.state);
                let own_name = state["_model_name"].as_str().unwrap();
                let name = match name {
                    "" => own_name.trim_end_matches("Model"),
                    name => name,
                };
                let right = golden[name].as_object().unwrap();
                let names: Vec<_> = right.keys().collect();
                assert_eq!(state.keys().collect::<Vec<_>>(), names, "{name}");
                let free = [
                    "layout",
                    "style",
                    "value",
                    "step",
                    "readout_format",
                    "children",
                    "index",
                ];
                for (field, value) in right {
                    if !free.contains(&field.as_str()) {
                        assert_eq!(&state[field], value, "{field} of {name}");
                    }
                }
            }
        }
    }

    fn frames(reaction: &Reaction) -> Vec<&Value> {
        let data = reaction.frames.iter().map(|frame| match frame {
            Frame::Comm { comm } => &comm.data,
            other => panic!("{other:?} is no comm's"),
        });
        data.collect()
    }

    #[test]
    fn a_change_of_the_front_end_is_taken_over_at_once_and_what_listens_waits() {
        let a = crate::widget::slider("a", -6.0..=12.0);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let update = |value: Value| {
            let data = json!({ "method": "update", "state": { "value": value, "no such": 1 } });
            Arc::clone(a.model()).take(Message::new(data))
        };
        let reaction = update(json!(4.5));
        assert!(reaction.work.is_none() && a.value() == 4.5);
        assert_eq!(frames(&reaction)[0]["state"], json!({ "value": 4.5 }));
        assert_eq!(frames(&reaction)[0]["method"], "echo_update");

        let seen_there = Arc::clone(&seen);
        a.on_change(move |value| lock(&seen_there).push(value));
        // What is no number is refused, and the front end is told what stands.
        for wrong in [Value::Null, json!("x"), json!([1])] {
            let reaction = update(wrong);
            assert!(reaction.work.is_none() && a.value() == 4.5);
            assert_eq!(
                frames(&reaction)[0],
                &json!({
                    "method": "update", "state": { "value": 4.5 }, "buffer_paths": [],
                })
            );
        }
        let work = update(json!(5)).work.unwrap();
        assert_eq!((a.value(), lock(&seen).clone()), (5.0, vec![]));
        work();
        assert_eq!(*lock(&seen), [5.0]);
    }

    #[test]
    fn a_page_that_is_opened_anew_hears_of_all_widgets() {
        let kept = crate::widget::dropdown("kept", &["one", "two"]);
        let closed = crate::widget::checkbox("closed", true);
        let (id, closed_id) = (kept.model().id.clone(), closed.model().id.clone());
        closed.close();
        let ask = Message::new(json!({ "method": "request_states" }));
        let reaction = Arc::new(States("control".into())).take(ask);
        let states = &frames(&reaction)[0]["states"];
        assert_eq!(states[&id]["model_name"], "DropdownModel");
        assert_eq!(
            states[&id]["state"]["_options_labels"],
            json!(["one", "two"])
        );
        assert!(states.get(&closed_id).is_none());
        let layout = kept.model().parts[0].id.clone();
        assert_eq!(states[&layout]["model_name"], "LayoutModel");
        let ask = Message::new(json!({ "method": "request_state" }));
        let reaction = Arc::clone(kept.model()).take(ask);
        assert_eq!(frames(&reaction)[0]["state"]["index"], 0);
    }

    #[test]
    fn a_click_is_heard_and_a_handler_may_change_its_own_widget() {
        let button = crate::widget::button("go");
        let count = crate::widget::int_text("n", 0);
        let (clicked, same) = (count.clone(), count.clone());
        count.on_change(move |n| {
            if n < 3 {
                same.set(n + 1);
            }
        });
        button.on_click(move || clicked.set(1));
        let click = json!({ "method": "custom", "content": { "event": "click" } });
        let reaction = Arc::clone(button.model()).take(Message::new(click));
        reaction.work.unwrap()();
        assert_eq!(count.value(), 2, "it is not called while it is at work");
    }
}
