//! What a terminal sees while cells run: progress, texts, and figures as files.

use std::collections::HashMap;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};

use crate::prelude::Step;
use crate::reply::{Bundle, Output, Payload};

/// A bar for the build of the prelude; a line now and then where no bar can be drawn.
#[derive(Debug, Default)]
pub struct BuildBar {
    bar: Option<ProgressBar>,
    last_line: usize,
}

impl BuildBar {
    /// Shows how far the build is.
    pub fn tell(&mut self, step: &Step) {
        if !std::io::stderr().is_terminal() {
            return self.line(step);
        }
        let bar = self.bar.get_or_insert_with(|| {
            let style = "{spinner} prelude (built once) {bar:30} {pos}/{len} {elapsed} {wide_msg}";
            let style = ProgressStyle::with_template(style)
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            let bar = ProgressBar::new(1).with_style(style);
            bar.enable_steady_tick(std::time::Duration::from_millis(120));
            bar
        });
        match step {
            Step::Crate { done, total, name } => {
                bar.set_length(*total as u64);
                bar.set_position(*done as u64);
                bar.set_message(name.clone());
            }
            Step::Variable(_) => bar.println(step.to_string()),
            other => bar.set_message(other.to_string()),
        }
    }

    fn line(&mut self, step: &Step) {
        match step {
            Step::Crate { done, .. } if *done < self.last_line + 25 => {}
            Step::Crate { done, .. } => {
                self.last_line = *done;
                eprintln!("{step}");
            }
            _ => eprintln!("{step}"),
        }
    }

    /// Removes the bar.
    pub fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Prints outputs in a terminal; what can only be seen goes to a file whose path is printed.
#[derive(Debug)]
pub struct Console {
    figures: PathBuf,
    count: usize,
    /// The display whose text is on the last line, so that its update can take its place.
    on_last_line: Option<String>,
    /// Whether text stands on the last line that has no end.
    open: bool,
    /// The numbers of pictures that may be updated, by the names of their displays.
    numbers: HashMap<String, usize>,
    /// Texts that may be updated before the cell is over, in the order in which they came.
    waiting: Vec<(String, String)>,
}

impl Console {
    /// A console that saves figures in `figures`.
    pub fn new(figures: PathBuf) -> Self {
        Self {
            figures,
            count: 0,
            on_last_line: None,
            open: false,
            numbers: HashMap::new(),
            waiting: Vec::new(),
        }
    }

    /// Prints what waits for the end of the cell, and ends the last line where a prompt would take its place.
    pub fn end_cell(&mut self) {
        self.end_line();
        for (_, text) in std::mem::take(&mut self.waiting) {
            println!("{text}");
            self.open = false;
        }
        if std::mem::take(&mut self.open) && std::io::stdout().is_terminal() {
            println!();
        }
        let _ = std::io::stdout().flush();
    }

    /// Prints one output.
    pub fn print(&mut self, output: &Output) {
        if let Output::Display {
            data, id: Some(id), ..
        } = output
        {
            return self.display(data, id);
        }
        self.end_line();
        match output {
            Output::Stdout(text) | Output::Stderr(text) if text.is_empty() => return,
            Output::Stdout(text) | Output::Stderr(text) => self.open = !text.ends_with('\n'),
            Output::Clear { .. } | Output::Payload(Payload::NextInput { .. }) => {}
            _ => self.open = false,
        }
        match output {
            Output::Stdout(text) => print!("{text}"),
            Output::Stderr(text) => eprint!("{text}"),
            Output::Display { data, .. } | Output::Result(data) => println!("{}", self.text(data)),
            Output::Payload(Payload::Page(data)) => println!("{}", self.text(data)),
            Output::Clear { .. } | Output::Payload(_) => {}
        }
        let _ = std::io::stdout().flush();
    }

    /// A display that may be updated: its last state replaces the one before, where a terminal can do that.
    fn display(&mut self, data: &Bundle, id: &str) {
        let text = data
            .get("text/plain")
            .and_then(|text| text.as_str())
            .unwrap_or_default();
        if let Some((ending, content)) = picture(data) {
            return self.show_picture(text, ending, &content, id);
        }
        if !text.contains('\n') && std::io::stdout().is_terminal() {
            if self.on_last_line.as_deref().is_some_and(|last| last != id) || self.open {
                println!();
                self.open = false;
            }
            print!("\r\x1b[2K{text}");
            let _ = std::io::stdout().flush();
            self.on_last_line = Some(id.to_owned());
        } else {
            match self.waiting.iter_mut().find(|(known, _)| known == id) {
                Some((_, waiting)) => text.clone_into(waiting),
                None => self.waiting.push((id.to_owned(), text.to_owned())),
            }
        }
    }

    /// A picture that may be updated: its file is told once, and has its last state.
    fn show_picture(&mut self, text: &str, ending: &str, content: &[u8], id: &str) {
        let known = self.numbers.get(id).copied();
        let number = known.unwrap_or(self.count + 1);
        let (saved, told) = self.keep(number, text, ending, content);
        if known.is_some() && saved {
            return;
        }
        self.end_line();
        println!("{told}");
        if known.is_none() {
            self.count = number;
            self.numbers.insert(id.to_owned(), number);
        }
    }

    fn end_line(&mut self) {
        if self.on_last_line.take().is_some() {
            println!();
        }
    }

    /// Text to print for a bundle; a picture is saved and its path is the text.
    fn text(&mut self, data: &Bundle) -> String {
        let plain = data
            .get("text/plain")
            .and_then(|text| text.as_str())
            .unwrap_or_default();
        let Some((ending, content)) = picture(data) else {
            return plain.to_owned();
        };
        self.count += 1;
        self.keep(self.count, plain, ending, &content).1
    }

    /// Saves a picture under its number; whether it could, and what is told of it.
    fn keep(&self, number: usize, text: &str, ending: &str, content: &[u8]) -> (bool, String) {
        let path = self.figures.join(format!("figure-{number:03}.{ending}"));
        match save(&path, content) {
            Ok(()) => (true, format!("{text} → {}", path.display())),
            Err(error) => {
                let told = format!("{text} (not saved: {}: {error})", path.display());
                (false, told)
            }
        }
    }
}

/// The picture in a bundle: file ending and content.
fn picture(data: &Bundle) -> Option<(&'static str, Vec<u8>)> {
    if let Some(svg) = data.get("image/svg+xml").and_then(|svg| svg.as_str()) {
        return Some(("svg", svg.as_bytes().to_vec()));
    }
    let png = data.get("image/png").and_then(|png| png.as_str())?;
    Some((
        "png",
        data_encoding::BASE64.decode(png.trim().as_bytes()).ok()?,
    ))
}

fn save(path: &Path, content: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, content)
}
