//! What cells have shown, as a notebook stores it: texts joined, displays updated in place, cleared cells
//! empty.

use nbformat::v4::{DisplayData, ErrorOutput, ExecuteResult, MultilineString, Output as Stored};

use crate::frame::metadata;
use crate::reply::media;
use crate::reply::{Failure, Output, Payload, settle, strip_colours};

/// The outputs of all cells of a notebook, filled as the cells run.
#[derive(Debug, Default)]
pub struct Outputs {
    cells: Vec<Vec<Shown>>,
    /// The current cell is to be cleared when something comes.
    clear_next: bool,
}

#[derive(Debug, Clone)]
struct Shown {
    /// Displays can be updated from any later cell.
    id: Option<String>,
    what: What,
}

#[derive(Debug, Clone)]
enum What {
    Text { stream: &'static str, text: String },
    Other(Stored),
}

impl Outputs {
    /// From here on, outputs are the next cell's.
    pub fn next_cell(&mut self) {
        self.cells.push(Vec::new());
        self.clear_next = false;
    }

    /// Takes in what a cell shows; `count` is its execution count.
    pub fn add(&mut self, output: Output, count: u32) {
        match output {
            Output::Clear { wait: true } => {
                self.clear_next = true;
                return;
            }
            Output::Clear { wait: false } => {
                self.current().clear();
                return;
            }
            Output::Display {
                data,
                id: Some(id),
                update: true,
            } => {
                for shown in self.cells.iter_mut().flatten() {
                    if shown.id.as_ref() == Some(&id) {
                        shown.what = What::Other(display(data.clone()));
                    }
                }
                return;
            }
            _ => {}
        }
        if std::mem::take(&mut self.clear_next) {
            self.current().clear();
        }
        match output {
            Output::Stdout(text) => self.text("stdout", &text),
            Output::Stderr(text) => self.text("stderr", &text),
            Output::Display { data, id, .. } => self.current().push(Shown {
                id,
                what: What::Other(display(data)),
            }),
            Output::Result(data) => self.current().push(Shown {
                id: None,
                what: What::Other(Stored::ExecuteResult(ExecuteResult {
                    execution_count: (count as usize).into(),
                    metadata: metadata(&data),
                    data: media(data),
                })),
            }),
            // A page that nobody opens is better read here than not at all.
            Output::Payload(Payload::Page(data)) => self.add(
                Output::Display {
                    data,
                    id: None,
                    update: false,
                },
                count,
            ),
            Output::Clear { .. } | Output::Payload(_) => {}
        }
    }

    /// Takes in what comes when the current cell is over; its count is not needed, since it has no result.
    pub fn add_late(&mut self, output: Output) {
        self.add(output, 0);
    }

    /// Takes in why the current cell failed.
    pub fn fail(&mut self, failure: &Failure) {
        self.current().push(Shown {
            id: None,
            what: What::Other(Stored::Error(ErrorOutput {
                ename: failure.name.clone(),
                evalue: failure.value.clone(),
                traceback: failure.traceback.clone(),
            })),
        });
    }

    /// The outputs of each cell, in order.
    pub fn finish(self) -> Vec<Vec<Stored>> {
        let store = |shown: Shown| match shown.what {
            What::Other(stored) => stored,
            What::Text { stream, text } => Stored::Stream {
                name: stream.to_owned(),
                // What a progress line has overwritten is of no use later.
                text: MultilineString(settle(&text)),
            },
        };
        self.cells
            .into_iter()
            .map(|cell| cell.into_iter().map(store).collect())
            .collect()
    }

    fn current(&mut self) -> &mut Vec<Shown> {
        if self.cells.is_empty() {
            self.cells.push(Vec::new());
        }
        let last = self.cells.len() - 1;
        &mut self.cells[last]
    }

    fn text(&mut self, stream: &'static str, text: &str) {
        match self.current().last_mut() {
            Some(Shown {
                what:
                    What::Text {
                        stream: last,
                        text: before,
                    },
                ..
            }) if *last == stream => {
                before.push_str(text);
            }
            _ => self.current().push(Shown {
                id: None,
                what: What::Text {
                    stream,
                    text: text.to_owned(),
                },
            }),
        }
    }
}

fn display(data: crate::reply::Bundle) -> Stored {
    Stored::DisplayData(DisplayData {
        metadata: metadata(&data),
        data: media(data),
    })
}

/// The text of an output, for a terminal.
pub fn as_text(output: &Output) -> Option<String> {
    match output {
        Output::Stdout(text) | Output::Stderr(text) => Some(text.clone()),
        Output::Display { data, .. }
        | Output::Result(data)
        | Output::Payload(Payload::Page(data)) => data
            .get("text/plain")
            .and_then(|text| text.as_str())
            .map(strip_colours),
        Output::Clear { .. } | Output::Payload(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reply::Bundle;

    fn bundle(text: &str) -> Bundle {
        Bundle::from([("text/plain".to_owned(), text.into())])
    }

    fn stored(outputs: Outputs) -> Vec<String> {
        let all = outputs.finish().into_iter().flatten();
        all.map(|output| serde_json::to_string(&output).unwrap_or_default())
            .collect()
    }

    #[test]
    fn texts_are_joined_and_keep_their_place_among_displays() {
        let mut outputs = Outputs::default();
        outputs.next_cell();
        outputs.add(Output::Stdout("a".into()), 1);
        outputs.add(Output::Stdout("b\n".into()), 1);
        outputs.add(
            Output::Display {
                data: bundle("figure"),
                id: None,
                update: false,
            },
            1,
        );
        outputs.add(Output::Stderr("c".into()), 1);
        let all = stored(outputs);
        assert!(
            all[0].contains(r#""ab\n""#) && all[1].contains("figure") && all[2].contains("stderr"),
            "{all:?}"
        );
    }

    #[test]
    fn a_display_is_updated_in_the_cell_that_showed_it() {
        let mut outputs = Outputs::default();
        let show = |text, update| Output::Display {
            data: bundle(text),
            id: Some("d".into()),
            update,
        };
        outputs.next_cell();
        outputs.add(show("10 %", false), 1);
        outputs.next_cell();
        outputs.add(show("100 %", true), 2);
        let cells = outputs.finish();
        assert_eq!((cells[0].len(), cells[1].len()), (1, 0));
        assert!(serde_json::to_string(&cells[0]).is_ok_and(|text| text.contains("100 %")));
    }

    #[test]
    fn clearing_can_wait_for_what_comes_next() {
        let mut outputs = Outputs::default();
        outputs.next_cell();
        outputs.add(Output::Stdout("old".into()), 1);
        outputs.add(Output::Clear { wait: true }, 1);
        outputs.add(Output::Stdout("new".into()), 1);
        let all = stored(outputs);
        assert_eq!(all.len(), 1);
        assert!(all[0].contains("new"));
    }
}
