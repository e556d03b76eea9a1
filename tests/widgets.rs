//! Comms and widgets over the wire, as a page speaks with them.

mod common;

use std::time::{Duration, Instant};

use common::client::{Kernel, value};
use jupyter_protocol::{
    CommId, CommInfoRequest, CommMsg, CommOpen, ExecuteRequest, ExecutionState, JupyterMessage,
    JupyterMessageContent as Content,
};
use serde_json::{Map, Value, json};

const PATIENCE: Duration = Duration::from_secs(60);

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => panic!("{other} is no object"),
    }
}

/// What comes of each request, up to the idle that ends it.
fn hear_each<const N: usize>(
    kernel: &mut Kernel,
    requests: [&JupyterMessage; N],
) -> [Vec<JupyterMessage>; N] {
    let mut all = [const { Vec::new() }; N];
    let mut open = N;
    while open > 0 {
        let message = kernel.hear(PATIENCE).expect("a message");
        let parent = message.parent_header.as_ref();
        let of = |request: &&JupyterMessage| {
            parent.is_some_and(|parent| parent.msg_id == request.header.msg_id)
        };
        if let Some(place) = requests.iter().position(of) {
            let idle = matches!(&message.content, Content::Status(s) if s.execution_state == ExecutionState::Idle);
            open -= usize::from(idle);
            all[place].push(message);
        }
    }
    all
}

fn hear_all(kernel: &mut Kernel, request: &JupyterMessage) -> Vec<JupyterMessage> {
    let [all] = hear_each(kernel, [request]);
    all
}

/// Sends data on a comm, as a page does; gives what comes of it.
fn say(kernel: &mut Kernel, comm: &str, data: Value) -> Vec<JupyterMessage> {
    let request = send(kernel, comm, data);
    hear_all(kernel, &request)
}

fn send(kernel: &mut Kernel, comm: &str, data: Value) -> JupyterMessage {
    kernel.send(CommMsg {
        comm_id: CommId(comm.to_owned()),
        data: object(data),
    })
}

/// A widget of a page: what it was opened with.
struct Widget {
    id: String,
    state: Value,
}

/// The widgets that were opened, by the name of their model.
fn opened(messages: &[JupyterMessage]) -> Vec<Widget> {
    let widgets = messages
        .iter()
        .filter_map(|message| match &message.content {
            Content::CommOpen(open) => {
                assert_eq!(open.target_name, "jupyter.widget");
                assert_eq!(message.metadata["version"], "2.1.0");
                assert_eq!(open.data["buffer_paths"], json!([]));
                Some(Widget {
                    id: open.comm_id.0.clone(),
                    state: open.data["state"].clone(),
                })
            }
            _ => None,
        });
    widgets.collect()
}

fn of_model<'a>(widgets: &'a [Widget], model: &str) -> &'a Widget {
    let found = widgets.iter().find(|w| w.state["_model_name"] == model);
    found.unwrap_or_else(|| panic!("no {model}"))
}

/// Executes a cell; gives all its messages.
fn execute(kernel: &mut Kernel, code: &str) -> Vec<JupyterMessage> {
    let request = kernel.send(ExecuteRequest::new(code.to_owned()));
    let all = hear_all(kernel, &request);
    let error = all.iter().find_map(|message| match &message.content {
        Content::ErrorOutput(error) => Some(error.evalue.clone()),
        _ => None,
    });
    assert_eq!(error, None, "{code}");
    all
}

/// The data of comm messages, in order.
fn said(messages: &[JupyterMessage]) -> Vec<(&str, &Map<String, Value>)> {
    let said = messages
        .iter()
        .filter_map(|message| match &message.content {
            Content::CommMsg(message) => Some((message.comm_id.0.as_str(), &message.data)),
            _ => None,
        });
    said.collect()
}

fn kinds(messages: &[JupyterMessage]) -> Vec<&str> {
    messages
        .iter()
        .map(|message| message.message_type())
        .collect()
}

fn stream(messages: &[JupyterMessage]) -> String {
    let texts = messages
        .iter()
        .filter_map(|message| match &message.content {
            Content::StreamContent(text) => Some(text.text.as_str()),
            _ => None,
        });
    texts.collect()
}

fn data(message: &JupyterMessage) -> Value {
    serde_json::to_value(&message.content).expect("JSON")["data"].clone()
}

fn comms(kernel: &mut Kernel, target: Option<&str>) -> usize {
    let request = kernel.send(CommInfoRequest {
        target_name: target.map(str::to_owned),
    });
    match kernel.reply(&request) {
        Content::CommInfoReply(reply) => reply.comms.len(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_slider_is_opened_shown_moved_and_read_by_a_later_cell() {
    let mut kernel = Kernel::start();
    let messages = execute(
        &mut kernel,
        "let a = widget::slider(\"log-SNR α\", -6.0..=12.0);\na",
    );
    let widgets = opened(&messages);
    let models: Vec<_> = widgets
        .iter()
        .map(|w| w.state["_model_name"].as_str())
        .collect();
    let all = ["LayoutModel", "SliderStyleModel", "FloatSliderModel"].map(Some);
    assert_eq!(models, all);
    let slider = of_model(&widgets, "FloatSliderModel");
    assert_eq!(slider.state["description"], "log-SNR α");
    assert_eq!(
        slider.state["layout"],
        format!("IPY_MODEL_{}", widgets[0].id)
    );
    let result = messages
        .iter()
        .find(|m| m.message_type() == "execute_result");
    let view = data(result.expect("a result"));
    let right = json!({ "version_major": 2, "version_minor": 0, "model_id": slider.id });
    assert_eq!(view["application/vnd.jupyter.widget-view+json"], right);
    assert_eq!(view["text/plain"], "log-SNR α: 3");
    assert_eq!(comms(&mut kernel, None), 3);
    assert_eq!(comms(&mut kernel, Some("jupyter.widget")), 3);
    assert_eq!(comms(&mut kernel, Some("another")), 0);

    let id = slider.id.clone();
    let update = json!({ "method": "update", "state": { "value": 4.5 }, "buffer_paths": [] });
    let messages = say(&mut kernel, &id, update);
    assert_eq!(kinds(&messages), ["status", "comm_msg", "status"]);
    let (comm, echo) = said(&messages)[0];
    assert_eq!(
        (comm, &echo["method"]),
        (id.as_str(), &json!("echo_update"))
    );
    assert_eq!(echo["state"], json!({ "value": 4.5 }));
    assert_eq!(kernel.value("a.value()"), "4.5");
    // And the other way.
    let messages = execute(&mut kernel, "a.set(-1.0);");
    let (_, update) = said(&messages)[0];
    assert_eq!(
        (&update["method"], &update["state"]),
        (&json!("update"), &json!({ "value": -1.0 }))
    );
    // All of it again, for a page that is opened anew.
    let control = kernel.send(CommOpen {
        comm_id: CommId("control".into()),
        target_name: "jupyter.widget.control".into(),
        ..CommOpen::default()
    });
    assert_eq!(
        kinds(&hear_all(&mut kernel, &control)),
        ["status", "status"]
    );
    let messages = say(
        &mut kernel,
        "control",
        json!({ "method": "request_states" }),
    );
    let (_, states) = said(&messages)[0];
    assert_eq!(states["states"].as_object().map(Map::len), Some(3));
    assert_eq!(states["states"][&id]["state"]["value"], -1.0);
    execute(&mut kernel, "a.close();");
    assert_eq!(comms(&mut kernel, Some("jupyter.widget")), 0);
}

#[test]
fn a_figure_follows_its_slider_and_what_the_closure_prints_goes_below_it() {
    let mut kernel = Kernel::start();
    let cell = "let n = widget::slider(\"n\", 0..=10);\n\
                interact(&n, |n| { println!(\"drawing {n}\"); Markdown(format!(\"n is {n}\")) })?;";
    let messages = execute(&mut kernel, cell);
    let widgets = opened(&messages);
    let (slider, prints) = (
        of_model(&widgets, "IntSliderModel"),
        of_model(&widgets, "OutputModel"),
    );
    let shown: Vec<_> = messages
        .iter()
        .filter(|m| m.message_type() == "display_data")
        .collect();
    assert_eq!(data(shown[1])["text/markdown"], "n is 5");
    let display = serde_json::to_value(&shown[1].content).expect("JSON");
    let display = display["transient"]["display_id"].clone();
    assert!(display.is_string());

    let update =
        |n: i64| json!({ "method": "update", "state": { "value": n }, "buffer_paths": [] });
    let messages = say(&mut kernel, &slider.id, update(7));
    assert_eq!(stream(&messages), "drawing 7\n");
    let shown = messages
        .iter()
        .find(|m| m.message_type() == "update_display_data");
    let shown = serde_json::to_value(&shown.expect("an update").content).expect("JSON");
    assert_eq!(shown["data"]["text/markdown"], "n is 7");
    assert_eq!(shown["transient"]["display_id"], display);
    // The page takes what is printed for the widget's, from here on and up to there.
    let request = messages[0]
        .parent_header
        .as_ref()
        .expect("a parent")
        .msg_id
        .clone();
    let captured: Vec<_> = said(&messages)
        .into_iter()
        .filter(|(comm, _)| *comm == prints.id)
        .map(|(_, data)| data["state"]["msg_id"].clone())
        .collect();
    assert_eq!(captured, [json!(request), json!("")]);
    let place = |kind: &str| kinds(&messages).iter().position(|other| *other == kind);
    assert!(
        place("comm_msg") < place("stream"),
        "{:?}",
        kinds(&messages)
    );

    // What goes wrong is said there, and the next change is handled all the same.
    let cell = "let m = widget::slider(\"m\", 0..=10);\n\
                interact(&m, |m| { assert!(m != 7, \"no sevens\"); m })?;";
    let messages = execute(&mut kernel, cell);
    let id = of_model(&opened(&messages), "IntSliderModel").id.clone();
    let messages = say(&mut kernel, &id, update(7));
    assert!(
        stream(&messages).contains("no sevens"),
        "{}",
        stream(&messages)
    );
    let messages = say(&mut kernel, &id, update(8));
    assert!(kinds(&messages).contains(&"update_display_data"));
    assert_eq!(kernel.value("(n.value(), m.value())"), "(7, 8)");
}

#[test]
fn a_running_cell_sees_values_at_once_and_handles_what_it_polls() {
    let mut kernel = Kernel::start();
    let cell = "let (go, log) = (widget::int_text(\"go\", 0), widget::button(\"log\"));\n\
                let clicks = widget::int_text(\"clicks\", 0);\nlet clicked = clicks.clone();\n\
                log.on_click(move || { println!(\"click\"); clicked.set(clicked.value() + 1) });";
    let widgets = opened(&execute(&mut kernel, cell));
    let find = |label: &str| {
        let widget = widgets.iter().find(|w| w.state["description"] == label);
        widget.expect("a widget").id.clone()
    };
    let (go, log) = (find("go"), find("log"));
    let click = json!({ "method": "custom", "content": { "event": "click" } });

    let waits = "println!(\"started\"); while go.value() == 0 && !itd_prelude::cell::interrupted() {}\nclicks.value()";
    let request = kernel.send(ExecuteRequest::new(waits.to_owned()));
    kernel.wait_for("started");
    // A click waits for the cell, which does not poll; a value does not.
    let clicked = send(&mut kernel, &log, click.clone());
    let moved = send(
        &mut kernel,
        &go,
        json!({ "method": "update", "state": { "value": 1 } }),
    );
    // What is told of the value and of the click may come before or after what is told of the cell.
    let [cell, move_echo, click_after] = hear_each(&mut kernel, [&request, &moved, &clicked]);
    assert!(kinds(&move_echo).contains(&"comm_msg"));
    let result = cell.iter().find(|m| m.message_type() == "execute_result");
    assert_eq!(data(result.expect("a result"))["text/plain"], "0");
    assert_eq!(stream(&click_after), "click\n");

    let polls = "println!(\"started\"); let before = clicks.value();\n\
                 while clicks.value() == before { itd_prelude::comm::poll(); }\nclicks.value()";
    let request = kernel.send(ExecuteRequest::new(polls.to_owned()));
    kernel.wait_for("started");
    let clicked = send(&mut kernel, &log, click);
    assert_eq!(stream(&hear_all(&mut kernel, &clicked)), "click\n");
    assert_eq!(value(&kernel.collect(&request)), "2");
}

#[test]
fn what_a_widget_calls_for_can_be_interrupted() {
    let mut kernel = Kernel::start();
    let cell = "let (listens, deaf) = (widget::button(\"listens\"), widget::button(\"deaf\"));\n\
                listens.on_click(|| { println!(\"started\"); while !itd_prelude::cell::interrupted() {} println!(\"stopped\"); });\n\
                deaf.on_click(|| { println!(\"started\"); loop { std::hint::spin_loop(); } });";
    let widgets = opened(&execute(&mut kernel, cell));
    let find = |label: &str| {
        let widget = widgets.iter().find(|w| w.state["description"] == label);
        widget.expect("a widget").id.clone()
    };
    let (listens, deaf) = (find("listens"), find("deaf"));
    let click = json!({ "method": "custom", "content": { "event": "click" } });
    let clicked = send(&mut kernel, &listens, click.clone());
    kernel.wait_for("started");
    // A cell waits for it, and is built meanwhile.
    let cell = kernel.send(ExecuteRequest::new("1 + 1".to_owned()));
    std::thread::sleep(Duration::from_millis(100));
    kernel.interrupt();
    // It is for both, whichever hears it first.
    let [click_after, _] = hear_each(&mut kernel, [&clicked, &cell]);
    assert!(stream(&click_after).contains("stopped"));
    assert_eq!(kernel.value("2 + 2"), "4");

    let clicked = send(&mut kernel, &deaf, click);
    kernel.wait_for("started");
    let begin = Instant::now();
    kernel.interrupt();
    kernel.interrupt();
    hear_all(&mut kernel, &clicked);
    assert!(
        begin.elapsed() < Duration::from_secs(20),
        "{:?}",
        begin.elapsed()
    );
    // The process has ended, and with it all widgets.
    assert_eq!(comms(&mut kernel, None), 0);
    kernel.run("0");
    assert_eq!(kernel.value("40 + 2"), "42");
}

#[test]
fn comms_of_ones_own_and_of_nobody() {
    let mut kernel = Kernel::start();
    let open = |target: &str, id: &str| CommOpen {
        comm_id: CommId(id.to_owned()),
        target_name: target.to_owned(),
        data: object(json!({ "from": "page" })),
        target_module: None,
    };
    // Nobody listens to this one.
    let request = kernel.send(open("unknown", "u"));
    assert_eq!(
        kinds(&hear_all(&mut kernel, &request)),
        ["status", "comm_close", "status"]
    );
    assert!(
        kinds(&say(&mut kernel, "no such", json!({})))
            .iter()
            .all(|kind| *kind == "status")
    );

    let cell = "use itd_prelude::comm::{self, Message, json};\n\
                comm::register(\"echo\", |comm, opening| {\n\
                    let _ = comm.send(json!({ \"opened\": opening.data }));\n\
                    comm.on_message(|comm, mut message| {\n\
                        message.metadata = json!({ \"answer\": true });\n\
                        message.buffers.push(vec![0, 255]);\n\
                        let _ = comm.send_message(message);\n\
                    });\n\
                });";
    execute(&mut kernel, cell);
    let request = kernel.send(open("echo", "e"));
    let messages = hear_all(&mut kernel, &request);
    assert_eq!(
        said(&messages),
        [("e", &object(json!({ "opened": { "from": "page" } })))]
    );
    let message = JupyterMessage::new(
        CommMsg {
            comm_id: CommId("e".into()),
            data: object(json!({ "a": [1, null] })),
        },
        None,
    );
    let message = message.with_buffers(vec![vec![1u8, 2].into()]);
    let request = kernel.send_message(message).expect("it takes messages");
    let messages = hear_all(&mut kernel, &request);
    let echo = messages.iter().find(|m| m.message_type() == "comm_msg");
    let echo = echo.expect("an echo");
    assert_eq!(said(&messages), [("e", &object(json!({ "a": [1, null] })))]);
    assert_eq!(echo.metadata, json!({ "answer": true }));
    let buffers: Vec<&[u8]> = echo.buffers.iter().map(|bytes| &bytes[..]).collect();
    assert_eq!(buffers, [&[1, 2][..], &[0, 255]]);
    assert_eq!(comms(&mut kernel, Some("echo")), 1);
    // With the process its comms are gone, and the page is told.
    let request = kernel.send(ExecuteRequest::new("std::process::exit(3)".to_owned()));
    kernel.collect(&request);
    assert_eq!(comms(&mut kernel, None), 0);
}

#[test]
fn pictures_come_with_their_size_and_words() {
    let mut kernel = Kernel::start();
    let cell = "use itd_prelude::figure::Pixels;\nPixels::new(40, 30, 0).figure(\"all black\")?.show()?;\n\
                widget::slider(\"n\", 1..=3).frames(|n| Pixels::new(8, 8, n as u8).figure(format!(\"gray {n}\")))?";
    let messages = execute(&mut kernel, cell);
    let content = |kind: &str| {
        let message = messages
            .iter()
            .find(|message| message.message_type() == kind);
        serde_json::to_value(&message.expect("it is shown").content).expect("JSON")
    };
    let picture = content("display_data");
    let right = json!({ "width": 40, "height": 30, "alt": "all black" });
    assert_eq!(picture["metadata"]["image/png"], right);
    let frames = content("execute_result");
    let html = frames["data"]["text/html"].as_str().expect("HTML");
    assert_eq!(html.matches("<img alt=\"gray ").count(), 3);
}

#[test]
fn nbconvert_keeps_the_widgets_of_a_page() {
    let folder = tempfile::tempdir().expect("a folder");
    let cells = [
        "let a = widget::slider(\"α\", -6.0..=12.0);\ninteract(&a, |a| Markdown(format!(\"at {a}\")))?;",
        "a.set(4.0);",
        "slider(\"n\", 1..=3).frames(|n| n)?",
    ];
    let path = common::notebook(folder.path(), "widgets.ipynb", &cells);
    let output = std::process::Command::new(common::environment().program("jupyter"))
        .args(["nbconvert", "--execute", "--to", "notebook", "--inplace"])
        .arg(&path)
        .output()
        .expect("jupyter can be run");
    assert!(output.status.success(), "{}", common::text(&output));
    let notebook = common::read_json(&path);
    let states = &notebook["metadata"]["widgets"]["application/vnd.jupyter.widget-state+json"];
    let states = states["state"].as_object().expect("states").values();
    let slider = states
        .clone()
        .find(|s| s["model_name"] == "FloatSliderModel");
    // The client takes over what a later cell has set.
    assert_eq!(slider.expect("the slider")["state"]["value"], 4.0);
    let outputs = notebook["cells"][0]["outputs"].as_array().expect("outputs");
    assert!(
        outputs[0]["data"]
            .get("application/vnd.jupyter.widget-view+json")
            .is_some()
    );
    let text = outputs[1]["data"]["text/markdown"].to_string();
    assert!(text.contains("at 4"), "the figure followed: {text}");
    let frames = notebook["cells"][2]["outputs"][0]["data"]["text/html"].to_string();
    assert!(
        frames.contains("itd-frames") && frames.contains("oninput"),
        "{frames}"
    );
}

#[test]
fn the_page_of_a_run_notebook_has_all_frames() {
    common::prelude();
    let folder = tempfile::tempdir().expect("a folder");
    let cells = [
        "use itd_prelude::figure::Pixels;",
        "slider(\"one\", 1..=3).frames(|n| Pixels::new(8, 8, n as u8).figure(format!(\"gray {n}\")))?",
        "slider(\"two\", &[0.5, 1.5]).frames(|x| Markdown(format!(\"**{x}**\")))?",
        "interact(slider(\"live\", 1..=3), |n| Html(format!(\"<b>{n}</b>\")))?;",
    ];
    let path = common::notebook(folder.path(), "frames.ipynb", &cells);
    let output = common::itd(&["run"])
        .arg(&path)
        .output()
        .expect("itd can be run");
    assert!(output.status.success(), "{}", common::text(&output));
    let page = std::fs::read_to_string(path.with_extension("html")).expect("a page");
    assert_eq!(page.matches("class=\"itd-frames\"").count(), 2);
    assert_eq!(page.matches("<img alt=\"gray ").count(), 3);
    assert_eq!(page.matches("type=\"range\"").count(), 2);
    // What needs a kernel is its value, and the last figure.
    assert!(
        page.contains("live: 2") && page.contains("<b>2</b>"),
        "{page}"
    );
}
