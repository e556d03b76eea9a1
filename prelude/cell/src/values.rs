//! How values of Rust's own look: text, options, results, tuples, durations, maps and sets.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt::{Debug, Display};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::display::{Show, look, look_short, plain};
use crate::error::{Error, Result};
use crate::frame::Bundle;
use crate::media::{escape, standing_alone, with};
use crate::progress::clock;
use crate::text::thousands;

/// Maps and sets are shown up to this length; of longer ones, so many entries.
const MOST_ENTRIES: usize = 20;
/// The longest text of one entry, in characters.
const LONGEST_ENTRY: usize = 200;

/// The only form of a value that has no other.
fn only_text(bundle: &Bundle) -> Option<&str> {
    let text = bundle.get("text/plain").and_then(|text| text.as_str());
    text.filter(|_| bundle.len() == 1)
}

impl<T: Show> Show for Option<T> {
    fn bundle(&self) -> Result<Bundle> {
        let Some(value) = self else {
            return Ok(plain("None"));
        };
        let bundle = value.bundle()?;
        Ok(match only_text(&bundle) {
            Some(text) => plain(format!("Some({text})")),
            None => bundle,
        })
    }
}

/// The value of an `Ok`; an `Err` is the error that keeps it from being shown.
impl<T: Show, E: Display> Show for std::result::Result<T, E> {
    fn bundle(&self) -> Result<Bundle> {
        match self {
            Ok(value) => value.bundle(),
            Err(error) => Err(Error::Other(error.to_string())),
        }
    }
}

macro_rules! as_what_they_hold {
    ($($pointer:ident),*) => {$(
        impl<T: Show + ?Sized> Show for $pointer<T> {
            fn bundle(&self) -> Result<Bundle> {
                (**self).bundle()
            }
        }
    )*};
}

as_what_they_hold!(Box, Arc, Rc);

macro_rules! as_debug {
    ($($type:ty),*) => {$(
        impl Show for $type {
            fn bundle(&self) -> Result<Bundle> {
                Ok(plain(look(&self)))
            }
        }
    )*};
}

as_debug!(bool, char, str, String);

/// Seconds with their parts up to a minute, then as clocks have it.
impl Show for Duration {
    fn bundle(&self) -> Result<Bundle> {
        Ok(plain(match self.as_secs() {
            0..60 => format!("{self:.3?}"),
            _ => clock(self.as_secs_f64()),
        }))
    }
}

/// Each part in its own form, side by side.
fn side_by_side(parts: Vec<Bundle>) -> Bundle {
    let text = |part: &Bundle| {
        let text = part.get("text/plain").and_then(|text| text.as_str());
        text.unwrap_or("()").to_owned()
    };
    let texts: Vec<String> = parts.iter().map(text).collect();
    let all = plain(format!("({})", texts.join(", ")));
    if parts
        .iter()
        .all(|part| only_text(part).is_some() || part.is_empty())
    {
        return all;
    }
    let parts: String = parts
        .iter()
        .map(|part| format!("<div>{}</div>", standing_alone(part)))
        .collect();
    let html = format!(
        "<div style=\"display:flex;flex-wrap:wrap;align-items:center;gap:1em\">{parts}</div>"
    );
    with(all, "text/html", html)
}

macro_rules! tuples {
    ($($name:ident $field:tt),*) => {
        impl<$($name: Show),*> Show for ($($name,)*) {
            fn bundle(&self) -> Result<Bundle> {
                Ok(side_by_side(vec![$(self.$field.bundle()?),*]))
            }
        }
    };
}

tuples!(A 0, B 1);
tuples!(A 0, B 1, C 2);
tuples!(A 0, B 1, C 2, D 3);
tuples!(A 0, B 1, C 2, D 3, E 4);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5);

/// The text of an entry, cut where it is long.
fn entry(value: &dyn Debug) -> String {
    look_short(value, LONGEST_ENTRY)
}

fn beyond(count: usize) -> String {
    match count.saturating_sub(MOST_ENTRIES) {
        0 => String::new(),
        left => format!(", … {} more", thousands(left as u64)),
    }
}

fn map_of(count: usize, entries: Vec<(String, String)>) -> Bundle {
    let texts: Vec<String> = entries
        .iter()
        .map(|(key, value)| format!("{key}: {value}"))
        .collect();
    let bundle = plain(format!("{{{}{}}}", texts.join(", "), beyond(count)));
    if count == 0 {
        return bundle;
    }
    let rows = entries.iter().map(|(key, value)| {
        let (key, value) = (escape(key), escape(value));
        format!("<tr><th style=\"text-align:left\">{key}</th><td style=\"text-align:left\">{value}</td></tr>")
    });
    let (rows, more) = (rows.collect::<String>(), beyond(count));
    let more = match more.trim_start_matches(", … ") {
        "" => String::new(),
        more => format!("<small>{more}</small>"),
    };
    with(
        bundle,
        "text/html",
        format!("<table><tbody>{rows}</tbody></table>{more}"),
    )
}

fn set_of(count: usize, entries: Vec<String>) -> Bundle {
    plain(format!("{{{}{}}}", entries.join(", "), beyond(count)))
}

/// The smallest entries, in order: what a hash map begins with differs from run to run.
fn smallest<T>(all: impl Iterator<Item = T>, less: impl Fn(&T, &T) -> bool) -> Vec<T> {
    let mut few: Vec<T> = Vec::with_capacity(MOST_ENTRIES + 1);
    for one in all {
        if few.len() == MOST_ENTRIES && few.last().is_some_and(|last| !less(&one, last)) {
            continue;
        }
        let place = few.partition_point(|other| less(other, &one));
        few.insert(place, one);
        few.truncate(MOST_ENTRIES);
    }
    few
}

impl<K: Debug, V: Debug> Show for BTreeMap<K, V> {
    fn bundle(&self) -> Result<Bundle> {
        let entries = self.iter().take(MOST_ENTRIES);
        let entries = entries.map(|(key, value)| (entry(key), entry(value)));
        Ok(map_of(self.len(), entries.collect()))
    }
}

/// In the order of its keys, so that it looks the same each time.
impl<K: Debug + Ord, V: Debug, S> Show for HashMap<K, V, S> {
    fn bundle(&self) -> Result<Bundle> {
        let entries = smallest(self.iter(), |a, b| a.0 < b.0).into_iter();
        let entries = entries.map(|(key, value)| (entry(key), entry(value)));
        Ok(map_of(self.len(), entries.collect()))
    }
}

impl<T: Debug> Show for BTreeSet<T> {
    fn bundle(&self) -> Result<Bundle> {
        let entries = self.iter().take(MOST_ENTRIES).map(|one| entry(one));
        Ok(set_of(self.len(), entries.collect()))
    }
}

/// In order, so that it looks the same each time.
impl<T: Debug + Ord, S> Show for HashSet<T, S> {
    fn bundle(&self) -> Result<Bundle> {
        let entries = smallest(self.iter(), |a, b| a < b).into_iter();
        Ok(set_of(self.len(), entries.map(|one| entry(one)).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::Pixels;

    fn text(value: &dyn Show) -> String {
        let bundle = value.bundle().unwrap();
        bundle["text/plain"].as_str().unwrap().to_owned()
    }

    #[test]
    fn values_of_one_form_look_as_in_rust() {
        assert_eq!(text(&Some(3)), "Some(3)");
        assert_eq!(text(&None::<f64>), "None");
        assert_eq!(text(&Some(Some("a"))), "Some(Some(\"a\"))");
        assert_eq!(text(&(8, -0.5, "two", 'c')), "(8, -0.5, \"two\", 'c')");
        assert_eq!(text(&(vec![1, 2], true)), "([1, 2], true)");
        assert_eq!(text(&Box::new(String::from("a\"b"))), "\"a\\\"b\"");
        assert_eq!(text(&Duration::from_micros(1500)), "1.500ms");
        assert_eq!(text(&Duration::from_secs(185)), "3 min 05 s");
        assert_eq!(text(&Ok::<_, String>(3)), "3");
    }

    #[test]
    fn an_err_is_the_error_that_keeps_it_from_being_shown() {
        let none: std::result::Result<i32, &str> = Err("no figure");
        assert_eq!(none.bundle().unwrap_err().to_string(), "no figure");
    }

    #[test]
    fn a_figure_keeps_its_form_in_options_and_tuples() {
        let figure = || Pixels::new(2, 2, 0).figure("a <picture>");
        assert!(Some(figure()).bundle().unwrap().contains_key("image/png"));
        let both = (figure(), 1.5).bundle().unwrap();
        assert_eq!(both["text/plain"], "(a <picture>, 1.5)");
        let html = both["text/html"].as_str().unwrap();
        assert!(
            html.contains("<img alt=\"a &lt;picture&gt;\"") && html.contains("<pre>1.5</pre>"),
            "{html}"
        );
    }

    #[test]
    fn maps_are_in_order_cut_and_escaped() {
        let map: HashMap<String, f64> = ["b<", "a"].map(|key| (key.to_owned(), 0.5)).into();
        let bundle = map.bundle().unwrap();
        assert_eq!(bundle["text/plain"], "{\"a\": 0.5, \"b<\": 0.5}");
        let html = bundle["text/html"].as_str().unwrap();
        assert!(html.contains("&quot;b&lt;&quot;"), "{html}");
        let long: BTreeMap<u32, String> = (0..1000).map(|i| (i, "x".repeat(1000))).collect();
        let told = text(&long);
        assert!(
            told.len() < 5000 && told.ends_with("…, … 980 more}"),
            "{told}"
        );
        let set: HashSet<i32> = (0..30).map(|i| (i * 7) % 30).collect();
        assert!(text(&set).starts_with("{0, 1, 2, 3,") && text(&set).ends_with("19, … 10 more}"));
        let set: BTreeSet<char> = ['b', 'a'].into();
        assert_eq!(text(&set), "{'a', 'b'}");
        assert_eq!(text(&BTreeMap::<i32, i32>::new()), "{}");
    }
}
