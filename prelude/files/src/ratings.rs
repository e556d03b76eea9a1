//! Tables of ratings: who rated what, and how.
//!
//! Read are RecBole's `.inter`, MovieLens-100k's `u.data` and MovieLens-1M's `ratings.dat`. A file that is cut off, or
//! whose lines are not all of the format of the first one, is refused with the row.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::checkpoint::archive;
use crate::error::{Error, Place, Result};
use crate::hub::CacheDirs;
use crate::kind;
use crate::random_access::RandomAccessFile;

/// How a table of ratings is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// RecBole's `.inter`: tabs, and a first line that names the columns with their types, as `user_id:token`.
    Inter,
    /// MovieLens-100k's `u.data`: user, item, rating, time, with tabs between.
    Tabs,
    /// MovieLens-1M's `ratings.dat`: the same with `::` between.
    Colons,
}

impl Layout {
    fn separator(self) -> &'static str {
        match self {
            Self::Inter | Self::Tabs => "\t",
            Self::Colons => "::",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Inter => "RecBole's .inter, with tabs",
            Self::Tabs => "u.data, with tabs",
            Self::Colons => "ratings.dat, with ::",
        }
    }
}

/// One rating: the places of user and item in [`RatingTable::users`] and [`RatingTable::items`], and the value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rating {
    /// Which user.
    pub user: u32,
    /// Which item.
    pub item: u32,
    /// How it was rated.
    pub value: f32,
}

/// All ratings of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct RatingTable {
    /// The names of the users: by number where all are numbers, else by letter.
    pub users: Vec<String>,
    /// The names of the items, in the same order.
    pub items: Vec<String>,
    /// The ratings, in the order of the file. No user has rated an item twice.
    pub ratings: Vec<Rating>,
    /// How the file is written.
    pub layout: Layout,
}

impl RatingTable {
    /// The ratings in a file.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be read; [`Error::Format`] with the row when it is cut off, written in none of the
    /// [layouts](Layout) or in two of them, or when a user has rated an item twice.
    ///
    /// # Example: three ratings
    /// ```
    /// # use itd_files as itd_prelude;
    /// use itd_prelude::ratings::RatingTable;
    ///
    /// let path = std::env::temp_dir().join(format!("itd-ratings-{}.dat", std::process::id()));
    /// std::fs::write(&path, "10::7::5::978300760\n9::7::2::978302109\n9::8::4::978301968\n").expect("a file");
    /// let table = RatingTable::open(&path)?;
    /// assert_eq!(table.users, ["9", "10"]);
    /// assert_eq!((table.items.len(), table.ratings.len()), (2, 3));
    /// # std::fs::remove_file(&path).expect("the file");
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = RandomAccessFile::new(path)?;
        Self::parse(path, &file.read(0, file.length, "the ratings")?)
    }

    /// The ratings in the bytes of a file; `path` is for the errors.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self> {
        let refuse = |row: u64, what, got: String, need: String| Error::Format {
            path: path.to_owned(),
            at: Place::Row(row),
            what,
            got,
            need,
        };
        if let Some((found, advice)) = kind::of(&bytes[..bytes.len().min(kind::HEAD)])
            && found != "text"
        {
            let advice = if advice.is_empty() {
                String::new()
            } else {
                format!("; {advice}")
            };
            let need = format!("lines of user, item, rating and time{advice}");
            return Err(refuse(0, "the file", found.to_owned(), need));
        }
        let Ok(text) = str::from_utf8(bytes) else {
            return Err(refuse(
                0,
                "the file",
                "not text in UTF-8".into(),
                "lines of user, item, rating and time".into(),
            ));
        };
        // Some editors begin a file with a mark.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let Some(whole) = text.strip_suffix('\n') else {
            let rows = text.lines().count().saturating_sub(1) as u64;
            return Err(refuse(
                rows,
                "the end of the last line",
                "missing".into(),
                "a line break; the file is cut off: get it anew, or add one if it is whole".into(),
            ));
        };
        let mut lines = (0u64..).zip(
            whole
                .split('\n')
                .map(|line| line.strip_suffix('\r').unwrap_or(line)),
        );
        let first = whole.split('\n').next().unwrap_or_default();
        let layout = match first {
            _ if first.split('\t').any(|cell| cell.contains(":token")) => Layout::Inter,
            _ if first.contains("::") => Layout::Colons,
            _ if first.contains('\t') => Layout::Tabs,
            _ => {
                let shown: String = first.chars().take(60).collect();
                return Err(refuse(
                    0,
                    "the first line",
                    format!("{shown:?}"),
                    "fields with tabs or :: between; change the separator, or add RecBole's header"
                        .into(),
                ));
            }
        };
        let (columns, width) = match layout {
            Layout::Inter => {
                lines.next();
                inter_columns(first).map_err(|got| {
                    let need = "user_id:token, item_id:token and rating:float among the columns";
                    refuse(0, "the header", got, need.into())
                })?
            }
            _ => ([0, 1, 2], 4),
        };
        let mut raw: Vec<(&str, &str, f32)> = Vec::new();
        for (row, line) in lines {
            let cells: Vec<&str> = line.split(layout.separator()).collect();
            let other = match layout {
                Layout::Colons => line.contains('\t'),
                _ => line.contains("::"),
            };
            if cells.len() != width {
                let need = match other {
                    true => format!(
                        "{width} fields as in the first line ({}); two files are mixed",
                        layout.words()
                    ),
                    false => format!(
                        "{width} fields as {} has them; the line is cut off or of another file",
                        layout.words()
                    ),
                };
                let got = format!("of {} fields", cells.len());
                return Err(refuse(row, "a line", got, need));
            }
            let [user, item, value] = columns.map(|column| cells[column].trim());
            let number = value.parse::<f32>().ok().filter(|value| value.is_finite());
            let Some(number) = number else {
                return Err(refuse(
                    row,
                    "a rating",
                    format!("{value:?}"),
                    "a number".into(),
                ));
            };
            // The time is not kept, but a line whose time is no number is not one of these files.
            if layout != Layout::Inter && cells[3].trim().parse::<f64>().is_err() {
                return Err(refuse(
                    row,
                    "a time",
                    format!("{:?}", cells[3]),
                    "a number of seconds".into(),
                ));
            }
            if user.is_empty() || item.is_empty() {
                return Err(refuse(
                    row,
                    "a name",
                    "empty".into(),
                    "a user and an item".into(),
                ));
            }
            raw.push((user, item, number));
        }
        if raw.is_empty() {
            return Err(Error::Empty {
                what: "the list of ratings",
            });
        }
        let (users, items) = (
            names(raw.iter().map(|rating| rating.0)),
            names(raw.iter().map(|rating| rating.1)),
        );
        let (places, item_places) = (index(&users), index(&items));
        let mut seen = HashSet::with_capacity(raw.len());
        let mut ratings = Vec::with_capacity(raw.len());
        let header = u64::from(layout == Layout::Inter);
        for (row, (user, item, value)) in (header..).zip(raw) {
            let rating = Rating {
                user: places[user],
                item: item_places[item],
                value,
            };
            if !seen.insert((rating.user, rating.item)) {
                let got = format!("user {user}'s second of item {item}");
                return Err(refuse(
                    row,
                    "a rating",
                    got,
                    "the only one; remove one of them".into(),
                ));
            }
            ratings.push(rating);
        }
        Ok(Self {
            users: users.into_iter().map(str::to_owned).collect(),
            items: items.into_iter().map(str::to_owned).collect(),
            ratings,
            layout,
        })
    }
}

/// Where user, item and rating stand in a header of RecBole's, and how many columns it has; or what it lacks.
fn inter_columns(header: &str) -> Result<([usize; 3], usize), String> {
    let cells: Vec<&str> = header.trim_end_matches('\r').split('\t').collect();
    let find = |name: &str| {
        let place = cells.iter().position(|cell| *cell == name);
        place.ok_or_else(|| format!("without {name}"))
    };
    Ok((
        [
            find("user_id:token")?,
            find("item_id:token")?,
            find("rating:float")?,
        ],
        cells.len(),
    ))
}

/// Each name once: by number where all are numbers, else by letter.
fn names<'a>(all: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let once: HashSet<&str> = all.collect();
    let mut names: Vec<&str> = once.into_iter().collect();
    let number = |name: &str| name.parse::<i128>().ok();
    if names.iter().all(|name| number(name).is_some()) {
        names.sort_unstable_by_key(|name| (number(name), *name));
    } else {
        names.sort_unstable();
    }
    names
}

fn index<'a>(names: &[&'a str]) -> BTreeMap<&'a str, u32> {
    names.iter().copied().zip(0..).collect()
}

/// The package that MovieLens-100k is in, its check sum, the file in it, and that one's.
const PACKAGE: &str = "recbole";
const VERSION: &str = "1.2.1";
const WHEEL: &str = "recbole-1.2.1-py3-none-any.whl";
const WHEEL_SHA256: &str = "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407";
const MEMBER: &str = "recbole/dataset_example/ml-100k/ml-100k.inter";
const MEMBER_SHA256: &str = "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff";

/// What the terms of MovieLens-100k say, in short.
pub const ML_100K_TERMS: &str = "GroupLens allows its use for research with a citation (Harper, Konstan, 2015, \
    doi:10.1145/2827872); it may not be passed on without permission, nor used for profit";

fn sha256(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}

/// Where MovieLens-100k may lie, in the order in which it is looked for: in the folder or the file that `ITD_DATA`
/// names, and in our own cache.
fn places(dirs: &CacheDirs) -> Vec<PathBuf> {
    let mut places = Vec::new();
    if let Some(named) = &dirs.named {
        if named.is_file() {
            places.push(named.clone());
        }
        for name in [
            WHEEL,
            "ml-100k/ml-100k.inter",
            "ml-100k.inter",
            "ml-100k/u.data",
            "u.data",
        ] {
            places.push(named.join(name));
        }
    }
    places.extend(cached(dirs));
    places
}

/// Where [`fetch_ml_100k`] puts the package.
fn cached(dirs: &CacheDirs) -> Option<PathBuf> {
    let own = dirs.own.as_ref()?;
    Some(own.with_file_name("data").join(WHEEL))
}

/// MovieLens-100k: the 100,000 ratings of 943 users for 1,682 films (Harper, Konstan, 2015).
///
/// It is read where it lies and never copied: in `ITD_DATA`, which names a folder with the wheel of RecBole 1.2.1, with
/// `ml-100k.inter` or with `u.data`; or where `itd fetch ml-100k` has put the wheel. The wheel and the file in it are held
/// against their published check sums, a file by itself against the numbers of users, films and ratings.
///
/// # Errors
/// [`Error::Missing`] when it is in none of these places, with what to do; [`Error::Format`] when what is there is
/// damaged or another file.
pub fn ml_100k() -> Result<RatingTable> {
    ml_100k_in(&CacheDirs::from_env())
}

/// As [`ml_100k`], from these folders.
///
/// # Errors
/// As [`ml_100k`].
pub fn ml_100k_in(dirs: &CacheDirs) -> Result<RatingTable> {
    let Some(path) = places(dirs).into_iter().find(|path| path.is_file()) else {
        let tried: Vec<String> = places(dirs)
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        return Err(Error::Missing {
            what: format!("MovieLens-100k was not found: {}", tried.join(", ")),
            next: "get it with `itd fetch ml-100k`, or let ITD_DATA name a folder with the wheel of recbole 1.2.1 or with \
                   u.data",
        });
    };
    let table = match path.extension().and_then(|end| end.to_str()) {
        Some("whl" | "zip") => {
            let member = wheel_member(&path)?;
            RatingTable::parse(&path, &member)?
        }
        _ => RatingTable::open(&path)?,
    };
    let size = (table.users.len(), table.items.len(), table.ratings.len());
    if size != (943, 1682, 100_000) {
        return Err(Error::Format {
            path,
            at: Place::File,
            what: "the table",
            got: format!("{} users, {} items and {} ratings", size.0, size.1, size.2),
            need:
                "MovieLens-100k's 943, 1,682 and 100,000; read another set with `RatingTable::open`"
                    .into(),
        });
    }
    Ok(table)
}

/// The file of ratings in the wheel, after both check sums.
fn wheel_member(path: &Path) -> Result<Vec<u8>> {
    let refuse = |what, got, need: &str| Error::Format {
        path: path.to_owned(),
        at: Place::File,
        what,
        got,
        need: format!("{need}, as published; get the file anew with `itd fetch ml-100k`"),
    };
    let file = RandomAccessFile::new(path)?;
    let bytes = file.read(0, file.length, "the package")?;
    let sum = sha256(&bytes);
    if sum != WHEEL_SHA256 {
        return Err(refuse("the SHA-256 of the package", sum, WHEEL_SHA256));
    }
    let file = RandomAccessFile::of_bytes(path, bytes);
    let files = archive::directory(&file)?;
    let Some(stored) = files.get(MEMBER) else {
        return Err(refuse(
            "the package",
            format!("without {MEMBER}"),
            "with it",
        ));
    };
    let member = stored.content(&file)?;
    let sum = sha256(&member);
    if sum != MEMBER_SHA256 {
        return Err(refuse("the SHA-256 of the ratings", sum, MEMBER_SHA256));
    }
    Ok(member)
}

/// What [`fetch_ml_100k`] has found or got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedRatings {
    /// Where the ratings are read.
    pub path: PathBuf,
    /// Nothing was downloaded.
    pub was_there: bool,
}

/// Gets the wheel that MovieLens-100k is in, unless the ratings are on this disk: by `pip download`, into our own cache.
///
/// # Errors
/// [`Error::Missing`] when there is no pip or it fails, with its words; [`Error::Format`] when what it gets has another
/// check sum; [`Error::File`] when it cannot be written.
pub fn fetch_ml_100k() -> Result<FetchedRatings> {
    let dirs = CacheDirs::from_env();
    if let Some(path) = places(&dirs).into_iter().find(|path| path.is_file()) {
        ml_100k_in(&dirs)?;
        return Ok(FetchedRatings {
            path,
            was_there: true,
        });
    }
    let target = cached(&dirs).ok_or(Error::Missing {
        what: "there is no folder for a cache".into(),
        next: "set ITD_CACHE to a folder",
    })?;
    let folder = target.with_file_name(format!("ml-100k-{}.part", std::process::id()));
    let failed = |path: &Path, cause: std::io::Error| Error::File {
        path: path.to_owned(),
        cause: cause.into(),
    };
    std::fs::create_dir_all(&folder).map_err(|cause| failed(&folder, cause))?;
    let got = download(&folder).and_then(|()| {
        let wheel = folder.join(WHEEL);
        wheel_member(&wheel)?;
        std::fs::rename(&wheel, &target).map_err(|cause| failed(&target, cause))
    });
    let _ = std::fs::remove_dir_all(&folder);
    got?;
    Ok(FetchedRatings {
        path: target,
        was_there: false,
    })
}

/// Lets pip put the wheel into a folder.
fn download(folder: &Path) -> Result<()> {
    let package = format!("{PACKAGE}=={VERSION}");
    let mut said = Vec::new();
    for (program, before) in [("python3", &["-m", "pip"][..]), ("pip3", &[]), ("pip", &[])] {
        let output = Command::new(program)
            .args(before)
            .args(["download", "--no-deps", "--only-binary", ":all:", "--quiet"])
            .args(["--disable-pip-version-check", "--dest"])
            .arg(folder)
            .arg(&package)
            .output();
        match output {
            Ok(output) if output.status.success() => return Ok(()),
            Ok(output) => {
                let text = String::from_utf8_lossy(&output.stderr);
                let last = text.lines().rev().find(|line| !line.trim().is_empty());
                said.push(format!("{program}: {}", last.unwrap_or("it failed").trim()));
            }
            Err(cause) => said.push(format!("{program}: {cause}")),
        }
    }
    Err(Error::Missing {
        what: format!(
            "`pip download --no-deps {package}` does not work here: {}",
            said.join("; ")
        ),
        next: "run it where there is a network, and let ITD_DATA name the folder with the wheel",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<RatingTable> {
        RatingTable::parse(Path::new("ratings"), text.as_bytes())
    }

    const INTER: &str = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n";

    #[test]
    fn the_three_layouts_say_the_same() {
        let inter = parse(&format!("{INTER}2\t30\t4\t1\n10\t30\t1.5\t2\n2\t4\t3\t3\n")).unwrap();
        let tabs = parse("2\t30\t4\t1\n10\t30\t1.5\t2\n2\t4\t3\t3\n").unwrap();
        let colons = parse("2::30::4::1\n10::30::1.5::2\n2::4::3::3\n").unwrap();
        for (table, layout) in [
            (&inter, Layout::Inter),
            (&tabs, Layout::Tabs),
            (&colons, Layout::Colons),
        ] {
            assert_eq!(table.layout, layout);
            // By number, not by letter.
            assert_eq!(table.users, ["2", "10"]);
            assert_eq!(table.items, ["4", "30"]);
            assert_eq!(table.ratings, inter.ratings);
        }
        let (user, item, value) = (1, 1, 1.5);
        assert_eq!(inter.ratings[1], Rating { user, item, value });
        let windows = parse("2::30::4::1\r\n10::30::1.5::2\r\n").unwrap();
        assert_eq!(windows.users, ["2", "10"]);
        let words =
            parse("user_id:token\trating:float\titem_id:token\nz\t1\tb\na\t2\tb\n").unwrap();
        assert_eq!((words.users[0].as_str(), words.ratings[0].user), ("a", 1));
    }

    #[test]
    fn marks_blanks_and_signs_do_not_make_other_names() {
        let plain = parse("1\t2\t3\t4\n1\t3\t5\t6\n10\t2\t4\t7\n-2\t2\t4\t7\n").unwrap();
        assert_eq!(plain.users, ["-2", "1", "10"]);
        let marked = parse("\u{feff}1\t2\t3\t4\n1\t3\t5\t6\n10\t2\t4\t7\n-2\t2\t4\t7\n");
        assert_eq!(marked.unwrap(), plain);
        let padded = parse("1 \t 2\t3 \t4\n1\t3 \t5\t6\n10\t2\t4\t7 \n-2\t2\t4\t7\n");
        assert_eq!(padded.unwrap(), plain);
        let twice = parse("\u{feff}1\t2\t3\t4\n1\t2\t5\t6\n").unwrap_err();
        assert!(twice.to_string().contains("second"), "{twice}");
    }

    #[test]
    fn what_is_not_whole_is_refused_with_its_row() {
        for (text, says) in [
            ("1\t2\t3\t4\n1\t3", "row 1: the end of the last line"),
            ("1\t2\t3\t4\n1\t3\n", "row 1: a line is of 2 fields"),
            ("1\t2\t3\t4\n1::3::4::5\n", "two files are mixed"),
            ("1::2::3::4\n1\t3\t4\t5\n", "two files are mixed"),
            ("1,2,3,4\n", "fields with tabs or :: between"),
            ("1;2;3;4\n", "change the separator"),
            ("1\t2\tgood\t4\n", "a rating is \"good\""),
            ("1\t2\tNaN\t4\n", "a rating is \"NaN\""),
            ("1\t2\t3\tnow\n", "a time is \"now\""),
            ("1\t2\t3\t4\n1\t2\t5\t6\n", "user 1's second of item 2"),
            ("\t2\t3\t4\n", "a name is empty"),
            (
                "user_id:token\titem_id:token\n1\t2\n",
                "without rating:float",
            ),
            ("PK\u{3}\u{4}", "a zip archive"),
            ("", "is empty"),
            (INTER, "is empty"),
            ("<!doctype html>\n", "a web page"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(says), "{says} is not in: {error}");
        }
        let error = RatingTable::parse(Path::new("r"), &[0xff, 0xfe, b'\n']).unwrap_err();
        assert!(error.to_string().contains("UTF-8"), "{error}");
    }

    /// Any beginning of a file is refused, or is a shorter whole file.
    #[test]
    fn any_cut_is_refused_or_between_two_lines() {
        let text = format!("{INTER}1\t2\t3\t4\n1\t3\t5\t6\n");
        for end in 0..text.len() {
            let whole = text[..end].ends_with('\n') && end > INTER.len();
            assert_eq!(parse(&text[..end]).is_ok(), whole, "{end}");
        }
    }

    #[test]
    fn what_is_missing_or_damaged_is_said() {
        let folder = std::env::temp_dir().join(format!("itd-ml-100k-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let dirs = CacheDirs {
            named: Some(folder.clone()),
            ..CacheDirs::default()
        };
        let error = ml_100k_in(&dirs).unwrap_err().to_string();
        assert!(error.contains("itd fetch ml-100k"), "{error}");
        std::fs::write(folder.join(WHEEL), b"PK\x03\x04").unwrap();
        let error = ml_100k_in(&dirs).unwrap_err().to_string();
        assert!(error.contains("SHA-256"), "{error}");
        std::fs::remove_file(folder.join(WHEEL)).unwrap();
        std::fs::write(folder.join("u.data"), "1\t2\t3\t4\n").unwrap();
        let error = ml_100k_in(&dirs).unwrap_err().to_string();
        assert!(error.contains("1 users, 1 items and 1 ratings"), "{error}");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
