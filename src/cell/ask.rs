//! Cells that ask something of the kernel instead of being Rust: `?name`, `exit`.

/// What a cell asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// `exit`, `quit`, `:quit`: the end of the front end that sent it.
    End { word: String },
    /// `?name` or `name?`: what is known of a name. With two question marks, its source as well.
    Docs {
        path: String,
        source: bool,
        /// The question mark stands behind, where it can be Rust's own.
        behind: bool,
    },
}

impl Ask {
    /// What a cell asks for; none when it is Rust or a command.
    pub fn read(cell: &str) -> Option<Self> {
        let text = cell.trim();
        let word = text.trim_end_matches(';').trim_end_matches("()");
        let word = word.trim_start_matches([':', '%']);
        if ["exit", "quit"].contains(&word) {
            return Some(Self::End {
                word: word.to_owned(),
            });
        }
        let before = text.trim_start_matches('?');
        let path = before.trim_end_matches('?');
        let (front, back) = (text.len() - before.len(), before.len() - path.len());
        let asked = match (front, back) {
            (1 | 2, 0) | (0, 1 | 2) => is_path(path.trim()),
            _ => false,
        };
        asked.then(|| Self::Docs {
            path: path.trim().to_owned(),
            source: front.max(back) == 2,
            behind: back > 0,
        })
    }
}

/// `name`, `std::mem::swap`, `value.method`, `vec!`.
fn is_path(text: &str) -> bool {
    let text = text.strip_suffix('!').unwrap_or(text);
    let is_name = |name: &str| {
        !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.chars().all(|c| c.is_alphanumeric() || c == '_')
    };
    text.split("::").all(|part| part.split('.').all(is_name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_told_from_rust() {
        let docs = |path: &str, source, behind| {
            let path = path.to_owned();
            Some(Ask::Docs {
                path,
                source,
                behind,
            })
        };
        assert_eq!(Ask::read("?x"), docs("x", false, false));
        assert_eq!(Ask::read("?? x.len\n"), docs("x.len", true, false));
        assert_eq!(
            Ask::read("std::mem::swap?"),
            docs("std::mem::swap", false, true)
        );
        assert_eq!(Ask::read("vec!??"), docs("vec!", true, true));
        for rust in [
            "f()?",
            "x? + 1",
            "let y = x?;",
            "?",
            "??",
            "?x?",
            "???x",
            "x?;",
            "1?",
            "a::?",
        ] {
            assert_eq!(Ask::read(rust), None, "{rust}");
        }
    }

    #[test]
    fn the_words_for_the_end_stand_alone() {
        for end in ["exit", "quit", " quit()\n", "exit();", ":quit", "%exit"] {
            assert!(matches!(Ask::read(end), Some(Ask::End { .. })), "{end}");
        }
        for rust in [
            "exit(1)",
            "std::process::exit(0)",
            "quitter",
            "let exit = 1;",
            "",
        ] {
            assert_eq!(Ask::read(rust), None, "{rust}");
        }
    }
}
