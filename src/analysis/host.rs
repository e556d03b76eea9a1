//! rust-analyzer over the graph of crates and one file that is made anew for each question.

use std::path::Path;

use ra_ap_base_db::{
    CrateDisplayName, CrateName, CrateOrigin, CrateWorkspaceData, DependencyBuilder, Env, FileSet,
    LangCrateOrigin, SourceRoot, VfsPath,
};
use ra_ap_cfg::CfgOptions;
use ra_ap_hir::{ChangeWithProcMacros, PrefixKind};
use ra_ap_ide::{
    AnalysisHost, CompletionConfig, CompletionFieldsToResolve, CompletionItem, CompletionItemKind,
    CrateGraphBuilder, Edition, FileId, FilePosition, FileRange, GotoDefinitionConfig, HoverConfig,
    HoverDocFormat, RaFixtureConfig, SubstTyLen, SymbolKind, TextRange, TextSize,
};
use ra_ap_ide_db::imports::insert_use::{ImportGranularity, InsertUseConfig};
use ra_ap_intern::Symbol;
use ra_ap_paths::AbsPathBuf;
use ra_ap_syntax::{SourceFile, SyntaxKind};
use triomphe::Arc;

use super::graph::Graph;
use super::scope::Scope;
use super::{Candidate, Completion, Inspection};

/// At most so many candidates are told: nobody reads more, and each is a line of JSON.
const MOST: usize = 300;
/// The most of a definition's text that is shown.
const LONGEST_SOURCE: usize = 20_000;

/// The analyser and its file.
pub struct Host {
    host: AnalysisHost,
    file: FileId,
}

impl Host {
    /// Reads the sources of all crates of the graph. Nothing is analysed yet.
    pub fn new(graph: &Graph) -> Self {
        let mut loader = Loader::default();
        let mut builder = CrateGraphBuilder::default();
        let workspace = Arc::new(CrateWorkspaceData {
            target: Err("not asked for".into()),
            toolchain: ra_ap_base_db::Version::parse(&graph.release).ok(),
        });
        let mut ids = Vec::new();
        for it in &graph.crates {
            let root = loader.load(&it.root);
            let name = Symbol::intern(&it.name);
            let origin = match it.lang {
                true => CrateOrigin::Lang(LangCrateOrigin::from(it.name.as_str())),
                false => CrateOrigin::Library { repo: None, name },
            };
            let mut env = Env::default();
            env.set("CARGO_PKG_VERSION", it.version.clone());
            env.set("CARGO_PKG_NAME", it.name.clone());
            let folder = it.root.parent().unwrap_or(Path::new("/"));
            let id = builder.add_crate_root(
                root,
                edition(&it.edition),
                Some(CrateDisplayName::from_canonical_name(&it.name)),
                Some(it.version.clone()),
                options(&graph.cfg, &it.features),
                None,
                env,
                origin,
                Vec::new(),
                false,
                Arc::new(absolute(folder)),
                Arc::clone(&workspace),
            );
            for (name, number) in &it.dependencies {
                depend(&mut builder, id, name, ids.get(*number).copied());
            }
            // Every crate sees std, but those of std itself.
            for name in ["core", "alloc", "std"].iter().filter(|_| !it.lang) {
                depend_on_std(&mut builder, id, graph, &ids, name);
            }
            ids.push(id);
        }
        let file = loader.cell();
        let id = builder.add_crate_root(
            file,
            Edition::Edition2024,
            Some(CrateDisplayName::from_canonical_name("cell")),
            None,
            options(&graph.cfg, &[]),
            None,
            Env::default(),
            CrateOrigin::Local {
                repo: None,
                name: None,
            },
            Vec::new(),
            false,
            Arc::new(absolute(Path::new("/"))),
            workspace,
        );
        for name in ["core", "alloc", "std"] {
            depend_on_std(&mut builder, id, graph, &ids, name);
        }
        let prelude = graph
            .position("itd_prelude")
            .and_then(|number| ids.get(number));
        depend(&mut builder, id, "itd_prelude", prelude.copied());
        let mut change = loader.change;
        change.set_roots(loader.roots);
        change.set_crate_graph(builder);
        let mut host = AnalysisHost::default();
        host.apply_change(change);
        Self { host, file }
    }

    fn set(&mut self, text: String) {
        let mut change = ChangeWithProcMacros::default();
        change.change_file(self.file, Some(text));
        self.host.apply_change(change);
    }

    /// What can stand at a byte of the cell; none where there is no Rust.
    pub fn complete(&mut self, scope: &Scope, cell: &str, at: usize) -> Option<Completion> {
        let file = scope.file(cell);
        let place = file.place(at)?;
        let offset = TextSize::try_from(place).ok()?;
        let position = FilePosition {
            file_id: self.file,
            offset,
        };
        self.set(file.text.clone());
        let before = cell[..at]
            .chars()
            .next_back()
            .filter(|c| !c.is_alphanumeric());
        let items = self
            .host
            .analysis()
            .completions(&completion_config(), position, before)
            .ok()??;
        let range = items.first().map(|item| item.source_range)?;
        let start = file.place_in_cell(range.start().into());
        let end = file.place_in_cell(range.end().into());
        if start > at || end > cell.len() {
            return None;
        }
        let prefix = cell.get(start..at)?;
        let mut ranked: Vec<(u8, std::cmp::Reverse<u32>, Candidate)> = items
            .iter()
            .filter(|item| item.source_range == range)
            .filter_map(|item| {
                let candidate = candidate(item, range)?;
                let rank = rank(&candidate.text, prefix)?;
                Some((rank, std::cmp::Reverse(item.relevance.score()), candidate))
            })
            .collect();
        // What only holds the letters somewhere is for those who find nothing else.
        let best = ranked.iter().map(|(rank, ..)| *rank).min()?;
        ranked.retain(|(rank, ..)| *rank <= best.max(1));
        ranked.sort_by(|a, b| (a.0, a.1, &a.2.text).cmp(&(b.0, b.1, &b.2.text)));
        let mut candidates: Vec<Candidate> = ranked.into_iter().map(|(.., it)| it).collect();
        candidates.dedup_by(|a, b| a.text == b.text);
        candidates.truncate(MOST);
        Some(Completion {
            start: cell[..start].chars().count(),
            end: cell[..end].chars().count(),
            candidates,
        })
    }

    /// What there is to say of the name at a byte of the cell, or of the function whose arguments are written there.
    pub fn inspect(&mut self, scope: &Scope, cell: &str, at: usize) -> Option<Inspection> {
        // A method that is not called yet would be taken for a field.
        let called = with_call(cell, at).and_then(|cell| self.inspect_as_is(scope, &cell, at));
        match called {
            Some(found) if found.markdown.contains("fn ") => Some(found),
            _ => self.inspect_as_is(scope, cell, at),
        }
    }

    fn inspect_as_is(&mut self, scope: &Scope, cell: &str, at: usize) -> Option<Inspection> {
        let file = scope.file(cell);
        let place = file.place(at)?;
        self.set(file.text.clone());
        if let Some(found) = self.inspect_name(place) {
            return Some(found);
        }
        if let Some(found) = callee(&file.text, place).and_then(|place| self.inspect_name(place)) {
            return Some(found);
        }
        let offset = TextSize::try_from(place).ok()?;
        let position = FilePosition {
            file_id: self.file,
            offset,
        };
        let help = self.host.analysis().signature_help(position).ok()??;
        let docs = help.doc.map(|doc| doc.as_str().to_owned());
        let docs = docs.unwrap_or_default();
        Some(Inspection {
            markdown: format!("```rust\n{}\n```\n\n{docs}", help.signature),
            source: None,
        })
    }

    /// What there is to say of the name at a place of the file.
    fn inspect_name(&self, place: usize) -> Option<Inspection> {
        let analysis = self.host.analysis();
        let offset = TextSize::try_from(place).ok()?;
        let range = FileRange {
            file_id: self.file,
            range: TextRange::empty(offset),
        };
        let found = analysis.hover(&hover_config(), range).ok()??;
        let text = analysis.file_text(self.file).ok()?;
        let words = text.get(std::ops::Range::<usize>::from(found.range))?;
        // Brackets and operators have nothing to say that the name before them has not.
        if !words.starts_with(|c: char| c.is_alphabetic() || c == '_') {
            return None;
        }
        Some(Inspection {
            markdown: found.info.markup.as_str().to_owned(),
            source: self.source(found.range.start()),
        })
    }

    /// The text of the definition of what stands there.
    fn source(&self, offset: TextSize) -> Option<String> {
        let analysis = self.host.analysis();
        let position = FilePosition {
            file_id: self.file,
            offset,
        };
        let config = GotoDefinitionConfig {
            ra_fixture: RaFixtureConfig::default(),
        };
        let targets = analysis.goto_definition(position, &config).ok()??.info;
        let target = targets.first()?;
        let text = analysis.file_text(target.file_id).ok()?;
        let range = std::ops::Range::<usize>::from(target.full_range);
        let source = text.get(range)?;
        let end = source
            .char_indices()
            .map(|(at, c)| at + c.len_utf8())
            .take_while(|end| *end <= LONGEST_SOURCE)
            .last()?;
        Some(source[..end].to_owned())
    }
}

/// The cell with `()` after the name at a byte, if that follows a dot and is not called.
fn with_call(cell: &str, at: usize) -> Option<String> {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let start = cell[..at].rfind(|c| !word(c))?;
    let end = cell[at..]
        .find(|c| !word(c))
        .map_or(cell.len(), |length| at + length);
    let called = cell[end..].trim_start().starts_with(['(', ':', '!']);
    let is_method = cell[start..].starts_with('.') && end > start + 1 && !called;
    is_method.then(|| format!("{}(){}", &cell[..end], &cell[end..]))
}

/// The last character of the name before the bracket in which a place is.
fn callee(text: &str, place: usize) -> Option<usize> {
    let text = &*without_texts(text);
    let mut depth = 0;
    for (at, c) in text[..place].char_indices().rev() {
        match c {
            ')' | ']' | '}' => depth += 1,
            '(' | '[' | '{' if depth > 0 => depth -= 1,
            '(' => {
                // `name::<T>(`
                let before = text[..at].trim_end();
                let before = match before.strip_suffix('>') {
                    Some(generics) => generics.rfind("::<").map_or(before, |at| &before[..at]),
                    None => before,
                };
                let last = before.chars().next_back()?;
                return Some(before.len() - last.len_utf8());
            }
            '[' | '{' => return None,
            _ => {}
        }
    }
    None
}

/// Code with blanks in the place of texts, characters and comments, in which a bracket means nothing.
fn without_texts(code: &str) -> String {
    let mut bytes = code.as_bytes().to_vec();
    let file = SourceFile::parse(code, Edition::Edition2024);
    let tokens = file.syntax_node().descendants_with_tokens();
    for token in tokens.filter_map(|element| element.into_token()) {
        let is_text = matches!(
            token.kind(),
            SyntaxKind::STRING
                | SyntaxKind::BYTE_STRING
                | SyntaxKind::C_STRING
                | SyntaxKind::CHAR
                | SyntaxKind::BYTE
                | SyntaxKind::COMMENT
        );
        if is_text {
            let range = std::ops::Range::<usize>::from(token.text_range());
            bytes[range].fill(b' ');
        }
    }
    // The ranges are of whole tokens.
    String::from_utf8(bytes).unwrap_or_else(|_| code.to_owned())
}

/// Reads files, and gives each its number and a place in a root.
#[derive(Default)]
struct Loader {
    change: ChangeWithProcMacros,
    roots: Vec<SourceRoot>,
    count: u32,
}

impl Loader {
    /// Reads all Rust files beside and below a crate's first one; gives that one's number.
    fn load(&mut self, root: &Path) -> FileId {
        let mut set = FileSet::default();
        let mut first = None;
        let mut folders: Vec<_> = root.parent().map(Path::to_owned).into_iter().collect();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    let name = entry.file_name();
                    let aside = ["tests", "benches", "examples", "target"];
                    if !aside.iter().any(|aside| name == *aside) {
                        folders.push(path);
                    }
                    continue;
                }
                if path.extension().is_none_or(|extension| extension != "rs") {
                    continue;
                }
                let Ok(text) = std::fs::read_to_string(&path) else {
                    continue;
                };
                let id = self.add(
                    &mut set,
                    VfsPath::new_real_path(path.display().to_string()),
                    text,
                );
                if path == root {
                    first = Some(id);
                }
            }
        }
        let first = first.unwrap_or_else(|| {
            let path = VfsPath::new_real_path(root.display().to_string());
            self.add(&mut set, path, String::new())
        });
        self.roots.push(SourceRoot::new_library(set));
        first
    }

    /// The file of the cell.
    fn cell(&mut self) -> FileId {
        let mut set = FileSet::default();
        let path = VfsPath::new_virtual_path("/cell.rs".to_owned());
        let id = self.add(&mut set, path, String::new());
        self.roots.push(SourceRoot::new_local(set));
        id
    }

    fn add(&mut self, set: &mut FileSet, path: VfsPath, text: String) -> FileId {
        let id = FileId::from_raw(self.count);
        self.count += 1;
        set.insert(id, path);
        self.change.change_file(id, Some(text));
        id
    }
}

type CrateId = ra_ap_base_db::CrateBuilderId;

fn depend(builder: &mut CrateGraphBuilder, from: CrateId, name: &str, on: Option<CrateId>) {
    if let (Ok(name), Some(on)) = (CrateName::new(name), on) {
        let _ = builder.add_dep(from, DependencyBuilder::new(name, on));
    }
}

fn depend_on_std(
    builder: &mut CrateGraphBuilder,
    from: CrateId,
    graph: &Graph,
    ids: &[CrateId],
    name: &str,
) {
    let on = graph.position(name).and_then(|number| ids.get(number));
    if let (Ok(crate_name), Some(on)) = (CrateName::new(name), on) {
        let in_prelude = name != "alloc";
        let dependency = DependencyBuilder::with_prelude(crate_name, *on, in_prelude, true);
        let _ = builder.add_dep(from, dependency);
    }
}

fn edition(text: &str) -> Edition {
    text.parse().unwrap_or(Edition::Edition2021)
}

fn absolute(folder: &Path) -> AbsPathBuf {
    let text = folder.to_string_lossy().into_owned();
    AbsPathBuf::try_from(text.as_str()).unwrap_or_else(|_| AbsPathBuf::assert("/".into()))
}

/// `unix`, `target_os="linux"`, and features.
fn options(cfg: &[String], features: &[String]) -> CfgOptions {
    let mut options = CfgOptions::default();
    for line in cfg {
        match line.split_once('=') {
            Some((key, value)) => {
                let value = Symbol::intern(value.trim_matches('"'));
                options.insert_key_value(Symbol::intern(key), value);
            }
            None => options.insert_atom(Symbol::intern(line)),
        }
    }
    for feature in features {
        options.insert_key_value(Symbol::intern("feature"), Symbol::intern(feature));
    }
    options
}

/// How well a candidate fits what is written already: 0 begins so, 1 begins so but for upper and lower case, 2 holds it
/// at the beginning of a word, 3 holds it.
fn rank(text: &str, prefix: &str) -> Option<u8> {
    let (lower, wanted) = (text.to_lowercase(), prefix.to_lowercase());
    match () {
        () if text.starts_with(prefix) => Some(0),
        () if lower.starts_with(&wanted) => Some(1),
        () if lower.contains(&format!("_{wanted}")) => Some(2),
        () if lower.contains(&wanted) => Some(3),
        () => None,
    }
}

/// A candidate that only puts a text in the place of what is written; others are no use to a front end.
fn candidate(item: &CompletionItem, range: TextRange) -> Option<Candidate> {
    let mut edits = item.text_edit.iter();
    let edit = edits.next()?;
    if edits.next().is_some() || edit.delete != range || !item.import_to_add.is_empty() {
        return None;
    }
    // A pattern comes with something in its brackets; it is the name that is completed.
    let name = edit.insert.split(['(', '{', ' ']).next();
    let text = name.filter(|name| !name.is_empty()).unwrap_or(&edit.insert);
    let text = text.trim_end().to_owned();
    Some(Candidate {
        kind: kind(item.kind).to_owned(),
        detail: item.detail.clone().unwrap_or_default(),
        text,
    })
}

fn kind(kind: CompletionItemKind) -> &'static str {
    match kind {
        CompletionItemKind::Keyword => "keyword",
        CompletionItemKind::BuiltinType => "type",
        CompletionItemKind::Binding | CompletionItemKind::SymbolKind(SymbolKind::Local) => {
            "instance"
        }
        CompletionItemKind::SymbolKind(kind) => match kind {
            SymbolKind::Function => "function",
            SymbolKind::Method => "method",
            SymbolKind::Struct | SymbolKind::Union => "struct",
            SymbolKind::Enum => "enum",
            SymbolKind::Variant => "variant",
            SymbolKind::Trait => "trait",
            SymbolKind::Field => "field",
            SymbolKind::Module | SymbolKind::CrateRoot => "module",
            SymbolKind::Macro | SymbolKind::ProcMacro => "macro",
            SymbolKind::Const | SymbolKind::Static => "constant",
            SymbolKind::TypeAlias => "type",
            SymbolKind::SelfParam | SymbolKind::ValueParam => "instance",
            _ => "item",
        },
        _ => "item",
    }
}

fn completion_config() -> CompletionConfig<'static> {
    CompletionConfig {
        enable_postfix_completions: false,
        enable_imports_on_the_fly: false,
        enable_self_on_the_fly: false,
        enable_auto_iter: false,
        enable_auto_await: false,
        enable_private_editable: false,
        enable_term_search: false,
        term_search_fuel: 0,
        full_function_signatures: false,
        callable: None,
        add_colons_to_module: false,
        add_semicolon_to_unit: false,
        snippet_cap: None,
        insert_use: InsertUseConfig {
            granularity: ImportGranularity::Crate,
            enforce_granularity: false,
            prefix_kind: PrefixKind::Plain,
            group: false,
            skip_glob_imports: false,
        },
        prefer_no_std: false,
        prefer_prelude: true,
        prefer_absolute: false,
        snippets: Vec::new(),
        limit: None,
        fields_to_resolve: CompletionFieldsToResolve {
            resolve_documentation: true,
            ..CompletionFieldsToResolve::empty()
        },
        exclude_flyimport: Vec::new(),
        exclude_traits: &[],
        ra_fixture: RaFixtureConfig::default(),
    }
}

fn hover_config() -> HoverConfig<'static> {
    HoverConfig {
        links_in_hover: false,
        memory_layout: None,
        documentation: true,
        keywords: true,
        format: HoverDocFormat::Markdown,
        max_trait_assoc_items_count: Some(20),
        max_fields_count: Some(30),
        max_enum_variants_count: Some(30),
        max_subst_ty_len: SubstTyLen::LimitTo(60),
        show_drop_glue: false,
        ra_fixture: RaFixtureConfig::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bracket_in_a_text_closes_nothing() {
        for code in [
            "println!(\"{}\", s.replace(\")\", ",
            "println!(\"{}\", s.replace(')', ",
            "println!(\"{}\", s.replace(/* ) */ a, ",
        ] {
            let code = format!("fn f() {{ {code}");
            let found = callee(&code, code.len()).expect("a function");
            assert!(code[..=found].ends_with("replace"), "{}", &code[..=found]);
        }
    }
}
