//! What a network needs against what a file has.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use super::Entry;
use crate::random_access::shown;

/// The tensors of a file held against those of a network, by name and shape.
///
/// [`fmt::Display`] shows what does not fit as a table.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Keys {
    /// How many are alike in both.
    pub fitting: usize,
    /// Names and shapes that the network needs and the file lacks.
    pub missing: Vec<(String, Vec<usize>)>,
    /// Names and shapes that the file has and the network does not know.
    pub unexpected: Vec<(String, Vec<usize>)>,
    /// Names that both have, with the shape that the network needs and the one in the file.
    pub misshapen: Vec<(String, Vec<usize>, Vec<usize>)>,
    /// Beginnings of names behind which the file has just what the network needs.
    pub prefixes: Vec<String>,
    /// What else may be the matter.
    hint: Option<String>,
}

/// The most lines of a table for each way not to fit.
const LINES: usize = 20;

/// The most beginnings of names that are tried.
const TRIED: usize = 64;

impl Keys {
    pub(super) fn new(path: &Path, entries: &[Entry], layout: &[(String, Vec<usize>)]) -> Self {
        let mut keys = Self::default();
        let mut left: BTreeMap<&str, &[usize]> = entries
            .iter()
            .map(|entry| (entry.name.as_str(), &entry.shape[..]))
            .collect();
        for (name, need) in layout {
            match left.remove(name.as_str()) {
                None => keys.missing.push((name.clone(), need.clone())),
                Some(got) if got == need => keys.fitting += 1,
                Some(got) => keys
                    .misshapen
                    .push((name.clone(), need.clone(), got.into())),
            }
        }
        keys.unexpected = left
            .into_iter()
            .map(|(name, shape)| (name.to_owned(), shape.to_owned()))
            .collect();
        if !keys.fit() {
            keys.look_behind_prefixes(entries, layout);
        }
        if !keys.missing.is_empty() {
            keys.hint = keys.hint.take().or_else(|| shard(path));
        }
        keys
    }

    /// Looks for beginnings of names behind which the network's are.
    fn look_behind_prefixes(&mut self, entries: &[Entry], layout: &[(String, Vec<usize>)]) {
        let Some((first, _)) = layout.first() else {
            return;
        };
        let names = entries
            .iter()
            .filter_map(|entry| entry.name.strip_suffix(first.as_str()));
        let prefixes: BTreeSet<&str> = names
            .filter(|prefix| !prefix.is_empty())
            .take(TRIED)
            .collect();
        let by_name: BTreeMap<&str, &[usize]> = entries
            .iter()
            .map(|entry| (entry.name.as_str(), &entry.shape[..]))
            .collect();
        let mut most = (self.fitting.max(layout.len() / 2), None);
        for prefix in prefixes {
            let there = |(name, shape): &&(String, Vec<usize>)| {
                by_name.get(format!("{prefix}{name}").as_str()) == Some(&shape.as_slice())
            };
            let fitting = layout.iter().filter(there).count();
            let all = entries
                .iter()
                .filter(|entry| entry.name.starts_with(prefix))
                .count();
            if fitting == layout.len() && fitting == all {
                self.prefixes.push(prefix.to_owned());
            } else if fitting > most.0 {
                most = (fitting, Some((prefix, all)));
            }
        }
        self.hint = match (&self.prefixes[..], most) {
            ([], (_, None)) => None,
            ([], (fitting, Some((prefix, all)))) => Some(format!(
                "behind {}, {fitting} of {} fit, and {} do not: `under({prefix:?})` takes them",
                shown(prefix),
                layout.len(),
                all - fitting
            )),
            ([prefix, ..], _) => {
                let names: Vec<String> = self.prefixes.iter().map(|prefix| shown(prefix)).collect();
                Some(format!(
                    "all fit behind {}: `under({prefix:?})` takes them",
                    names.join(" and behind ")
                ))
            }
        };
    }

    /// Whether the file has just what the network needs.
    pub fn fit(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty() && self.misshapen.is_empty()
    }
}

impl fmt::Display for Keys {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        if self.fit() {
            return write!(f, "all {} tensors fit", self.fitting);
        }
        let Self {
            fitting,
            missing,
            unexpected,
            misshapen,
            ..
        } = self;
        writeln!(
            f,
            "fitting: {fitting}, missing: {}, unexpected: {}, of another shape: {}",
            missing.len(),
            unexpected.len(),
            misshapen.len()
        )?;
        let shape = |shape: &[usize]| format!("{shape:?}");
        let mut rows = vec![["tensor", "network", "file"].map(String::from)];
        let mut block = |all: Vec<[String; 3]>, what: &str| {
            let more = all.len().saturating_sub(LINES);
            rows.extend(all.into_iter().take(LINES));
            if more > 0 {
                rows.push([
                    format!("… {more} more {what}"),
                    String::new(),
                    String::new(),
                ]);
            }
        };
        let lacks = missing
            .iter()
            .map(|(name, need)| [plain(name), shape(need), "missing".into()]);
        block(lacks.collect(), "missing");
        let unknown = unexpected
            .iter()
            .map(|(name, got)| [plain(name), "unknown".into(), shape(got)]);
        block(unknown.collect(), "unexpected");
        let others = misshapen
            .iter()
            .map(|(name, need, got)| [plain(name), shape(need), shape(got)]);
        block(others.collect(), "of another shape");
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
        let widths = [width(0).unwrap_or(0), width(1).unwrap_or(0)];
        for (i, [name, need, got]) in rows.iter().enumerate() {
            let line = format!("{name:<0$}  {need:<1$}  {got}", widths[0], widths[1]);
            let end = if i + 1 < rows.len() { "\n" } else { "" };
            write!(f, "{}{end}", line.trim_end())?;
        }
        match &self.hint {
            Some(hint) => write!(f, "\n{hint}"),
            None => Ok(()),
        }
    }
}

/// What is said of a file that is one of several, by its name: `…-00001-of-00003.safetensors`.
fn shard(path: &Path) -> Option<String> {
    let stem = path.file_stem()?.to_str()?;
    let (start, all) = stem.rsplit_once("-of-")?;
    let (_, one) = start.rsplit_once('-')?;
    let (one, all) = (one.parse::<u32>().ok()?, all.parse::<u32>().ok()?);
    Some(format!(
        "by its name it is file {one} of {all}: open the index of all of them, ….index.json"
    ))
}

/// A name as it is, unless it could spoil the table.
fn plain(name: &str) -> String {
    match name.chars().any(char::is_control) || name.chars().count() > 80 {
        true => shown(name),
        false => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use safetensors::Dtype;

    use super::*;

    fn entries(count: usize) -> Vec<Entry> {
        let entry = |i| Entry {
            name: format!("block.{i:02}"),
            shape: vec![i, 2],
            dtype: Dtype::F32,
        };
        (0..count).map(entry).collect()
    }

    #[test]
    fn the_table_stands_in_columns() {
        let layout = [
            ("block.00".into(), vec![0, 2]),
            ("block.01".into(), vec![2]),
            ("out.weight".into(), vec![128, 3, 3, 3]),
        ];
        let keys = Keys::new(Path::new("a"), &entries(3), &layout);
        assert_eq!(keys.fitting, 1);
        assert!(!keys.fit());
        assert_eq!(
            keys.to_string(),
            "fitting: 1, missing: 1, unexpected: 1, of another shape: 1\n\
             tensor      network         file\n\
             out.weight  [128, 3, 3, 3]  missing\n\
             block.02    unknown         [2, 2]\n\
             block.01    [2]             [1, 2]"
        );
    }

    #[test]
    fn a_long_table_is_cut_and_a_fitting_one_is_a_line() {
        let text = Keys::new(Path::new("a"), &entries(50), &[]).to_string();
        assert_eq!(text.lines().count(), 1 + 1 + LINES + 1);
        assert!(text.ends_with("… 30 more unexpected"), "{text}");
        let layout: Vec<_> = (0..50)
            .map(|i| (format!("block.{i:02}"), vec![i, 2]))
            .collect();
        let keys = Keys::new(Path::new("a"), &entries(50), &layout);
        assert!(keys.fit());
        assert_eq!(keys.to_string(), "all 50 tensors fit");
        // A name with line breaks and colours stays in its line.
        let odd = [("a\n\u{1b}[31m".to_owned(), vec![])];
        let text = Keys::new(Path::new("a"), &[], &odd).to_string();
        assert_eq!(text.lines().count(), 3);
        assert!(!text.contains('\u{1b}'));
    }
}
