//! The course of training, told while it runs: `metrics.csv`, and events for TensorBoard.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use protobuf::Message;
use tensorboard_proto::event::{Event, SessionLog, SessionLog_SessionStatus};
use tensorboard_proto::summary::{Summary, Summary_Value};

use super::Fit;
use crate::error::{Error, Result};
use crate::file;

/// The columns of `metrics.csv`.
const HEAD: &str =
    "step,epoch,seconds,loss,grad_norm,learning_rate,validation,validation_std_err\n";

/// Two files that grow by a line, or a record, with each step.
#[derive(Debug)]
pub(super) struct MetricsLog {
    path: PathBuf,
    metrics: File,
    /// Bytes of whole lines.
    length: u64,
    events: Events,
    /// Steps that were told.
    told: usize,
}

impl MetricsLog {
    /// Goes on from what is known: of `metrics.csv`, the steps that were lost with the state go, and a line that was
    /// cut off.
    pub(super) fn new(folder: &Path, fit: &Fit) -> Result<Self> {
        let path = folder.join("metrics.csv");
        let fail = |cause: std::io::Error| Error::File {
            path: path.clone(),
            cause: cause.into(),
        };
        // After the last step something may still be measured.
        let told = match fit.end {
            Some(_) => fit.steps(),
            None => fit.steps().saturating_sub(1),
        };
        let mut text = HEAD.to_owned();
        (0..told).for_each(|i| line(fit, i, &mut text));
        file::replace(&path, |file| file.write_all(text.as_bytes())).map_err(fail)?;
        let metrics = File::options().append(true).open(&path).map_err(fail)?;
        let events = Events::new(folder, told).map_err(fail)?;
        Ok(Self {
            path,
            metrics,
            length: text.len() as u64,
            events,
            told,
        })
    }

    /// Tells the steps that were made since. A line that the system takes only a part of goes again.
    pub(super) fn tell(&mut self, fit: &Fit) -> Result<()> {
        for i in self.told..fit.steps() {
            let mut text = String::new();
            line(fit, i, &mut text);
            if let Err(cause) = self.metrics.write_all(text.as_bytes()) {
                let _ = self.metrics.set_len(self.length);
                return Err(self.fail(cause));
            }
            self.length += text.len() as u64;
            self.told = i + 1;
            let step = i + 1;
            let all = [
                ("loss", fit.loss.get(i).copied()),
                ("gradient norm", fit.grad_norm.get(i).copied()),
                ("learning rate", fit.learning_rate.get(i).copied()),
                ("held-out loss", measured(fit, step).map(|(nats, _)| nats)),
            ];
            let known = all
                .into_iter()
                .filter_map(|(tag, value)| Some((tag, value?)));
            let known: Vec<_> = known.collect();
            let told = self.events.scalars(step, &known);
            told.map_err(|cause| self.fail(cause))?;
        }
        Ok(())
    }

    /// Brings all of it to the system.
    pub(super) fn flush(&mut self) -> Result<()> {
        self.events.flush().map_err(|cause| self.fail(cause))
    }

    fn fail(&self, cause: std::io::Error) -> Error {
        Error::File {
            path: self.path.clone(),
            cause: cause.into(),
        }
    }
}

/// What was measured on held-out samples after a step, with its error.
fn measured(fit: &Fit, step: usize) -> Option<(f64, f64)> {
    let last = fit.validation.iter().rev().find(|v| v.step == step)?;
    Some((last.held_out.loss.nats, last.held_out.loss.std_err))
}

/// A line of `metrics.csv`, with as many digits as bring each number back.
fn line(fit: &Fit, i: usize, text: &mut String) {
    let step = i + 1;
    // Writing to a string cannot fail.
    let _ = write!(text, "{step},{:?}", fit.epoch(step));
    for list in [&fit.elapsed, &fit.loss, &fit.grad_norm, &fit.learning_rate] {
        let _ = match list.get(i) {
            Some(value) => write!(text, ",{value:?}"),
            None => write!(text, ","),
        };
    }
    let _ = match measured(fit, step) {
        Some((nats, std_err)) => writeln!(text, ",{nats:?},{std_err:?}"),
        None => writeln!(text, ",,"),
    };
}

/// Seconds after which what was told can be seen.
const PERIOD: f64 = 1.0;

/// A file of events: records of a length, its check sum, a message, and the check sum of that.
///
/// # Source
/// tensorflow/tensorflow, `tensorflow/core/lib/io/record_writer.h` and `core/util/event.proto`.
#[derive(Debug)]
struct Events {
    file: BufWriter<File>,
    flushed: Instant,
}

impl Events {
    /// A new file in a folder. What older files there say of later steps no longer holds.
    fn new(folder: &Path, step: usize) -> io::Result<Self> {
        let (seconds, process) = (now() as u64, std::process::id());
        let name = format!("events.out.tfevents.{seconds:010}.itd.{process}.{step}");
        let file = File::options()
            .create(true)
            .append(true)
            .open(folder.join(name))?;
        let mut events = Self {
            file: BufWriter::new(file),
            flushed: Instant::now(),
        };
        let mut version = Event::new();
        version.set_file_version("brain.Event:2".into());
        events.add(version, 0)?;
        let (mut log, mut start) = (SessionLog::new(), Event::new());
        log.set_status(SessionLog_SessionStatus::START);
        start.set_session_log(log);
        events.add(start, step + 1)?;
        events.flush()?;
        Ok(events)
    }

    /// Numbers after a step.
    fn scalars(&mut self, step: usize, values: &[(&str, f64)]) -> io::Result<()> {
        let mut summary = Summary::new();
        for &(tag, number) in values {
            let mut value = Summary_Value::new();
            value.set_tag(tag.to_owned());
            value.set_simple_value(number as f32);
            summary.mut_value().push(value);
        }
        let mut event = Event::new();
        event.set_summary(summary);
        self.add(event, step)?;
        match self.flushed.elapsed().as_secs_f64() < PERIOD {
            true => Ok(()),
            false => self.flush(),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.flushed = Instant::now();
        self.file.flush()
    }

    fn add(&mut self, mut event: Event, step: usize) -> io::Result<()> {
        event.set_wall_time(now());
        event.set_step(step as i64);
        let message = event.write_to_bytes().map_err(io::Error::other)?;
        self.file.write_all(&record(&message))
    }
}

fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |time| time.as_secs_f64())
}

fn record(message: &[u8]) -> Vec<u8> {
    let length = (message.len() as u64).to_le_bytes();
    let mut record = Vec::with_capacity(message.len() + 16);
    record.extend(length);
    record.extend(masked(&length).to_le_bytes());
    record.extend(message);
    record.extend(masked(message).to_le_bytes());
    record
}

/// CRC-32C, turned and shifted so that a sum of data that hold sums is none of these.
fn masked(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
        .rotate_right(15)
        .wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads records as TensorBoard does.
    fn read(mut bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        while !bytes.is_empty() {
            let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
            assert_eq!(bytes[8..12], masked(&bytes[..8]).to_le_bytes());
            let message = &bytes[12..12 + length];
            assert_eq!(
                bytes[12 + length..16 + length],
                masked(message).to_le_bytes()
            );
            events.push(Message::parse_from_bytes(message).unwrap());
            bytes = &bytes[16 + length..];
        }
        events
    }

    #[test]
    fn the_sum_is_the_known_one() {
        // RFC 3720, B.4: 32 bytes of zeros.
        assert_eq!(crc32c::crc32c(&[0; 32]), 0x8a91_36aa);
        // Turned by 15 bits, and a constant added, as in tensorflow/core/lib/hash/crc32c.h.
        assert_eq!(masked(&[0; 32]), 0x0fd7_fffa);
    }

    #[test]
    fn events_are_read_back() {
        let folder = std::env::temp_dir().join(format!("itd-events-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let mut events = Events::new(&folder, 7).unwrap();
        events
            .scalars(8, &[("loss", 1.5), ("learning rate", 0.25)])
            .unwrap();
        events.flush().unwrap();
        let file = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap();
        let name = file.file_name().into_string().unwrap();
        assert!(name.starts_with("events.out.tfevents."), "{name}");
        let events = read(&std::fs::read(file.path()).unwrap());
        assert_eq!(events.len(), 3);
        assert_eq!(events[0].get_file_version(), "brain.Event:2");
        assert_eq!(
            events[1].get_session_log().get_status(),
            SessionLog_SessionStatus::START
        );
        assert_eq!(events[1].get_step(), 8);
        let values = events[2].get_summary().get_value();
        assert_eq!(
            (values[0].get_tag(), values[0].get_simple_value()),
            ("loss", 1.5)
        );
        assert_eq!(
            (values[1].get_tag(), values[1].get_simple_value()),
            ("learning rate", 0.25)
        );
        assert!(events[2].get_wall_time() > 1.7e9);
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(Events::new(&folder, 0).is_err());
    }
}
