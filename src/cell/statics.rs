//! Statics are one in all cells.
//!
//! evcxr writes an item out in each later cell, and each cell is a library of its own. So a static gets a name by
//! which the loader binds all of them to the first. A `thread_local!` has no place for such a name: what has it is a
//! pointer to the first cell's.

use ra_ap_syntax::ast::{self, AstNode, HasName, HasVisibility};
use ra_ap_syntax::{Edition, SourceFile, SyntaxNode, SyntaxToken, TextSize};

use super::macros;

/// What is put into a statement for its statics to be those of all cells, from the front to the back. `next` is the
/// number of the first, and afterwards that of the next one.
pub fn share(node: &SyntaxNode, next: &mut u32) -> Vec<(TextSize, String)> {
    let holds = match ast::Item::cast(node.clone()) {
        Some(
            ast::Item::Fn(_)
            | ast::Item::Static(_)
            | ast::Item::Module(_)
            | ast::Item::Impl(_)
            | ast::Item::Trait(_)
            | ast::Item::MacroCall(_),
        ) => true,
        Some(_) => false,
        None => is_thread_local(node),
    };
    let mut all = Vec::new();
    for node in node.descendants().filter(|_| holds) {
        if let Some(it) = ast::Static::cast(node.clone())
            && !is_foreign(&it)
            && !has_name(&it)
        {
            all.push((it.syntax().text_range().start(), linked(next)));
        }
        if let Some(locals) = ThreadLocals::read(&node) {
            locals.share(next, &mut all);
        }
    }
    all
}

/// Whether a statement is a call of `thread_local!`.
pub fn is_thread_local(node: &SyntaxNode) -> bool {
    !thread_locals(node).is_empty()
}

/// The names that a call of `thread_local!` defines.
pub fn thread_locals(node: &SyntaxNode) -> Vec<String> {
    let call = macros::call(node);
    let locals = call.and_then(|call| ThreadLocals::read(call.syntax()));
    let locals = locals.into_iter().flat_map(|locals| locals.statics);
    let names = locals.filter_map(|it| it.name());
    names.map(|name| name.text().to_string()).collect()
}

/// What is put before a static; counts on.
fn linked(next: &mut u32) -> String {
    let number = *next;
    *next += 1;
    format!("#[unsafe(export_name = \"itd_static_{number}\")] ")
}

fn is_foreign(it: &ast::Static) -> bool {
    it.syntax()
        .ancestors()
        .any(|node| ast::ExternBlock::can_cast(node.kind()))
}

/// Whether it has a name for the linker already.
fn has_name(it: &ast::Static) -> bool {
    let attributes = it.syntax().children().filter_map(ast::Attr::cast);
    let mut texts = attributes.map(|attribute| attribute.syntax().text().to_string());
    texts.any(|text| {
        ["no_mangle", "export_name", "thread_local"]
            .iter()
            .any(|name| text.contains(name))
    })
}

/// A call of `thread_local!`.
struct ThreadLocals {
    /// `thread_local! {`, and `}` with a semicolon behind it.
    opening: (TextSize, TextSize),
    closing: (TextSize, TextSize),
    /// As they are parsed by themselves, and where that text begins.
    statics: Vec<ast::Static>,
    start: TextSize,
}

impl ThreadLocals {
    fn read(node: &SyntaxNode) -> Option<Self> {
        let call = ast::MacroCall::cast(node.clone())?;
        if macros::name(&call) != "thread_local" {
            return None;
        }
        let tree = call.token_tree()?;
        let (open, close) = (tree.syntax().first_token()?, tree.syntax().last_token()?);
        let (start, end) = (open.text_range().end(), close.text_range().start());
        let text = tree.syntax().text().to_string();
        let text = text.get(1..text.len().checked_sub(1)?)?;
        let parsed = SourceFile::parse(text, Edition::Edition2024);
        let children: Vec<_> = parsed.syntax_node().children().collect();
        let statics: Vec<_> = children
            .iter()
            .filter_map(|node| ast::Static::cast(node.clone()))
            .collect();
        if statics.is_empty() || statics.len() < children.len() {
            return None;
        }
        let semicolon = |token: SyntaxToken| {
            let next = std::iter::successors(token.next_token(), SyntaxToken::next_token);
            let next = next.into_iter().find(|token| !token.kind().is_trivia());
            next.filter(|token| token.text() == ";")
        };
        let behind = semicolon(close.clone()).unwrap_or(close);
        Some(Self {
            opening: (call.syntax().text_range().start(), start),
            closing: (end, behind.text_range().end()),
            statics,
            start,
        })
    }

    /// `thread_local! { static A: T = x; }` becomes
    /// `static A: LazyLock<&LocalKey<T>> = LazyLock::new(|| { thread_local! { static A: T = x; } &A });`.
    fn share(&self, next: &mut u32, all: &mut Vec<(TextSize, String)>) {
        let hide = |(from, to): (TextSize, TextSize), all: &mut Vec<(TextSize, String)>| {
            all.push((from, "/*".to_owned()));
            all.push((to, "*/ ".to_owned()));
        };
        hide(self.opening, all);
        for it in &self.statics {
            let (Some(name), Some(ty)) = (it.name(), it.ty()) else {
                continue;
            };
            let range = it.syntax().text_range();
            let visible = it.visibility().map(|it| it.syntax().text().to_string());
            all.push((
                self.start + range.start(),
                format!(
                    "{}{} static {name}: ::std::sync::LazyLock<&'static ::std::thread::LocalKey<{}>> \
                     = ::std::sync::LazyLock::new(|| {{ ::std::thread_local! {{ ",
                    linked(next),
                    visible.unwrap_or_default(),
                    ty.syntax().text()
                ),
            ));
            all.push((self.start + range.end(), format!(" }} &{name} }});")));
        }
        hide(self.closing, all);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::source::statements;

    /// The statements with what is put into them.
    fn shared(cell: &str) -> String {
        let mut next = 1;
        let mut out = String::new();
        for node in statements(cell) {
            let text = node.text().to_string();
            let start = node.text_range().start();
            let mut done = 0;
            for (at, inserted) in share(&node, &mut next) {
                let at = usize::from(at - start);
                out.push_str(&text[done..at]);
                out.push_str(&inserted);
                done = at;
            }
            out.push_str(&text[done..]);
        }
        out
    }

    #[test]
    fn statics_get_names_wherever_they_are() {
        let name = |number: u32| format!("#[unsafe(export_name = \"itd_static_{number}\")] ");
        for (cell, count) in [
            ("static A: u8 = 1; fn f() { static B: u8 = 2; }", 2),
            ("mod m { pub static C: u8 = 3; static D: u8 = 4; }", 2),
            ("impl P { fn f() { static E: u8 = 5; } }", 1),
            ("trait T { fn f() { static E: u8 = 5; } }", 1),
            ("unsafe extern \"C\" { static environ: *const u8; }", 0),
            ("#[no_mangle] static E: u8 = 1;", 0),
            ("struct S;", 0),
            // It lives in this cell only.
            ("let f = || { static F: u8 = 1; };", 0),
        ] {
            let code = shared(cell);
            assert_eq!(code.matches("itd_static_").count(), count, "{code}");
            assert!(count == 0 || code.contains(&name(count as u32)), "{code}");
        }
    }

    #[test]
    fn what_is_local_to_a_thread_is_reached_by_a_static() {
        let local = "#[unsafe(export_name = \"itd_static_1\")]  static A: ::std::sync::LazyLock<&'static ::std::thread::LocalKey<u8>> \
                     = ::std::sync::LazyLock::new(|| { ::std::thread_local! { static A: u8 = 1; } &A });";
        assert_eq!(
            shared("thread_local! { static A: u8 = 1; }"),
            format!("/*thread_local! {{*/  {local} /*}}*/ ")
        );
        assert_eq!(
            shared("fn f() { thread_local!(static A: u8 = 1;); A.get() }"),
            format!("fn f() {{ /*thread_local!(*/ {local}/*);*/  A.get() }}")
        );
        assert_eq!(
            thread_locals(
                &statements("thread_local! { pub static A: u8 = 1; static B: u8 = const { 2 }; }")
                    [0]
            ),
            ["A", "B"]
        );
        let other = "thread_local! { fn f() {} }";
        assert_eq!(shared(other), other);
    }
}
