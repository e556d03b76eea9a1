//! One file from a server: gone on with where an earlier try stopped, checked, and put in its place when it is whole.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use super::sha256::sha256;
use crate::error::{Error, Result};
use crate::progress::Progress;

/// How often a silent download asks whether the user wants it to stop.
const LISTEN: Duration = Duration::from_millis(100);

/// What is downloaded, to where, and what is known of it.
pub(super) struct Download<'a> {
    pub url: String,
    pub token: Option<&'a str>,
    pub place: &'a Path,
    /// Bytes, where they are known before.
    pub size: Option<u64>,
    pub sha256: Option<&'a str>,
    /// Whether there may be another file at this address tomorrow.
    pub changes: bool,
}

/// The unfinished file, which nobody else writes to meanwhile.
struct Part {
    path: PathBuf,
    file: File,
}

type Answer = ureq::http::Response<ureq::Body>;

/// Downloads the file; false when another process did.
///
/// What came stays beside the place as `NAME.part` when the line breaks or the user stops it, and the next call goes
/// on from there; a file that is not what was announced is removed.
pub(super) fn download(agent: &ureq::Agent, what: &Download, bar: &mut Progress) -> Result<bool> {
    let Some(mut part) = Part::open(what.place, bar)? else {
        return Ok(false); // another process has just finished it
    };
    let mut there = part.length()?;
    if what.size.is_some_and(|size| there > size) || (what.changes && part.tag().is_none()) {
        there = 0;
    }
    let total = match what.size == Some(there) {
        true => {
            bar.skip(there);
            what.size
        }
        false => {
            let (answer, start) =
                answer(agent, what, &part, there).inspect_err(|_| part.forget_if_empty())?;
            part.cut(start)?;
            part.note_tag(what, &answer)?;
            let announced = answer.body().content_length().map(|length| start + length);
            if what.size.is_none() {
                bar.expect(announced.unwrap_or(0));
            }
            bar.skip(start);
            let total = what.size.or(announced);
            let limit = total.map(|total| total.saturating_sub(start));
            there = start + receive(answer, what, &mut part, limit, bar)?;
            total
        }
    };
    part.finish(what, there, total)?;
    Ok(true)
}

/// The server's answer, and the byte of the file with which it begins: `there`, or 0 when the file has changed, or the
/// server does not go on.
fn answer(agent: &ureq::Agent, what: &Download, part: &Part, there: u64) -> Result<(Answer, u64)> {
    let mut answer = request(agent, what, part, there)?;
    // A server may send the rest of other content, whatever `If-Range` says.
    let same = !what.changes
        || part.tag().is_some_and(|tag| {
            let now = answer.headers().get("etag");
            now.is_none_or(|now| now.to_str().is_ok_and(|now| now == tag))
        });
    if there > 0 && same && goes_on(&answer, there) {
        return Ok((answer, there));
    }
    if there > 0 && answer.status() != 200 {
        answer = request(agent, what, part, 0)?;
    }
    match answer.status().as_u16() {
        200 => Ok((answer, 0)),
        status => Err(what.failed(refusal(status))),
    }
}

impl Download<'_> {
    fn failed(&self, cause: String) -> Error {
        Error::Network {
            url: self.url.clone(),
            cause,
        }
    }
}

/// Why a server said no.
pub(super) fn refusal(status: u16) -> String {
    match status {
        401 | 403 => format!("not allowed (status {status}); HF_TOKEN names a token that is"),
        404 | 410 => format!("not there (status {status})"),
        429 => format!("asked too often (status {status}); try again later"),
        500.. => format!("the server has a fault (status {status}); try again later"),
        _ => format!("an answer that means nothing here (status {status})"),
    }
}

fn request(agent: &ureq::Agent, what: &Download, part: &Part, from: u64) -> Result<Answer> {
    let mut request = agent.get(&what.url);
    if let Some(token) = what.token {
        request = request.header("Authorization", format!("Bearer {token}"));
    }
    if from > 0 {
        request = request.header("Range", format!("bytes={from}-"));
        if let Some(tag) = part.tag().filter(|_| what.changes) {
            request = request.header("If-Range", tag);
        }
    }
    request
        .call()
        .map_err(|error| what.failed(error.to_string()))
}

/// Whether the answer is the rest of the file from there on.
fn goes_on(answer: &Answer, there: u64) -> bool {
    let range = answer.headers().get("content-range");
    let range = range
        .and_then(|range| range.to_str().ok())
        .unwrap_or_default();
    // Old servers leave the header out.
    answer.status() == 206 && (range.is_empty() || range.starts_with(&format!("bytes {there}-")))
}

/// Writes what comes to the part, and gives the number of its bytes. One more than `limit` is taken, to see that there
/// is too much.
fn receive(
    answer: Answer,
    what: &Download,
    part: &mut Part,
    limit: Option<u64>,
    bar: &mut Progress,
) -> Result<u64> {
    let chunks = pour(answer).map_err(|cause| part.told(cause))?;
    let mut got = 0;
    while limit.is_none_or(|limit| got <= limit) {
        match chunks.recv_timeout(LISTEN) {
            Ok(Ok(chunk)) => {
                part.file
                    .write_all(&chunk)
                    .map_err(|cause| part.told(cause))?;
                got += chunk.len() as u64;
                bar.advance(chunk.len() as u64)?;
            }
            Ok(Err(cause)) => {
                let cause =
                    format!("the line broke after {got} bytes ({cause}); call again to go on");
                return Err(what.failed(cause));
            }
            Err(RecvTimeoutError::Timeout) => bar.advance(0)?,
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    Ok(got)
}

/// Reads in a thread of its own, so that a silent server does not keep the user from stopping. It ends with the stream,
/// or with its receiver, or after a silence that the agent does not bear.
fn pour(answer: Answer) -> io::Result<Receiver<io::Result<Vec<u8>>>> {
    let (sender, chunks) = sync_channel(4);
    let mut body = answer.into_body().into_reader();
    let thread = std::thread::Builder::new().name("itd-download".into());
    thread.spawn(move || {
        let mut buffer = vec![0; 1 << 18];
        loop {
            let chunk = match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => Ok(buffer[..count].to_vec()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
            let last = chunk.is_err();
            if sender.send(chunk).is_err() || last {
                break;
            }
        }
    })?;
    Ok(chunks)
}

impl Part {
    /// Opens the unfinished file of a place, and waits while another process writes to it. `None` when the file is in
    /// its place afterwards.
    fn open(place: &Path, bar: &mut Progress) -> Result<Option<Self>> {
        let path = beside(place, ".part");
        let told = |cause: io::Error| Error::File {
            path: path.clone(),
            cause: cause.into(),
        };
        fs::create_dir_all(place.parent().unwrap_or(place)).map_err(told)?;
        loop {
            let mut options = File::options();
            let options = options.read(true).write(true).create(true).truncate(false);
            let file = options.open(&path).map_err(told)?;
            // Some file systems know no locks; there a second process is not waited for.
            while let Err(TryLockError::WouldBlock) = file.try_lock() {
                bar.advance(0)?;
                std::thread::sleep(LISTEN);
            }
            if place.is_file() {
                // What was opened is the finished file itself, or a new and empty one.
                let _ = fs::remove_file(&path);
                return Ok(None);
            }
            if path.exists() {
                return Ok(Some(Self { path, file }));
            }
            // The other process has removed it.
        }
    }

    fn told(&self, cause: io::Error) -> Error {
        Error::File {
            path: self.path.clone(),
            cause: cause.into(),
        }
    }

    fn length(&self) -> Result<u64> {
        let meta = self.file.metadata().map_err(|cause| self.told(cause))?;
        Ok(meta.len())
    }

    /// Leaves nothing behind where nothing came.
    fn forget_if_empty(&self) {
        if self.length().is_ok_and(|length| length == 0) {
            let _ = fs::remove_file(&self.path);
        }
    }

    /// Keeps the first bytes, and goes on behind them.
    fn cut(&mut self, length: u64) -> Result<()> {
        let done = self.file.set_len(length);
        let done = done.and_then(|()| self.file.seek(SeekFrom::Start(length)));
        done.map(drop).map_err(|cause| self.told(cause))
    }

    /// What the server called the content of this part.
    fn tag(&self) -> Option<String> {
        fs::read_to_string(beside(&self.path, ".etag")).ok()
    }

    /// Remembers what the server calls the content. A weak tag does not tell bytes apart.
    fn note_tag(&self, what: &Download, answer: &Answer) -> Result<()> {
        if !what.changes {
            return Ok(());
        }
        let tag = answer
            .headers()
            .get("etag")
            .and_then(|tag| tag.to_str().ok());
        let path = beside(&self.path, ".etag");
        match tag.filter(|tag| tag.starts_with('"')) {
            Some(tag) => fs::write(&path, tag).map_err(|cause| self.told(cause)),
            None => {
                let _ = fs::remove_file(path);
                Ok(())
            }
        }
    }

    /// Holds the part against what was announced, and gives it its name. A wrong one is removed, so that the next try
    /// begins anew; a short one stays, to be gone on with.
    fn finish(self, what: &Download, length: u64, total: Option<u64>) -> Result<()> {
        if let Some(total) = total.filter(|&total| length < total) {
            let cause =
                format!("the download ended after {length} of {total} bytes; call again to go on");
            return Err(what.failed(cause));
        }
        self.file.sync_all().map_err(|cause| self.told(cause))?;
        let right = match what.sha256 {
            Some(announced) => {
                let (sum, _) = sha256(&self.path).map_err(|cause| self.told(cause))?;
                sum.eq_ignore_ascii_case(announced)
            }
            None => true,
        };
        let _ = fs::remove_file(beside(&self.path, ".etag"));
        if right && total.is_none_or(|total| length == total) {
            return fs::rename(&self.path, what.place).map_err(|cause| self.told(cause));
        }
        fs::remove_file(&self.path).map_err(|cause| self.told(cause))?;
        let cause = "what came is not what the hub announced, and was removed; call again";
        Err(what.failed(cause.into()))
    }
}

/// The path with more behind its name.
fn beside(path: &Path, more: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(more);
    name.into()
}
