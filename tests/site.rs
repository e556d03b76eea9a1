//! `itd site`: the site of this project is whole, stays by itself, and works in a real browser.
//!
//! `ITD_SITE=all` lets axe look at all pages, where five serve otherwise; that takes some minutes.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use itd::python::Environment;

/// Drives the browser, and tests pages for those who see or hear little.
const PACKAGES: &[&str] = &["playwright==1.65.2", "axe-playwright-python==0.1.8"];
/// Most that the site may weigh, in bytes.
const HEAVIEST: u64 = 15_000_000;

fn site(arguments: &[&str]) -> (i32, String) {
    let mut command = common::itd(&[&["site"], arguments].concat());
    let output = command
        .current_dir(common::project())
        .output()
        .expect("itd can be run");
    (output.status.code().unwrap_or(-1), common::text(&output))
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a name in UTF-8")
}

fn read(path: PathBuf) -> String {
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn size(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).expect("a folder").flatten();
    let sizes = entries.map(|entry| match entry.path().is_dir() {
        true => size(&entry.path()),
        false => entry.metadata().expect("a file").len(),
    });
    sizes.sum()
}

/// The names of the notebooks of the course, in order.
fn course() -> Vec<String> {
    let entries = std::fs::read_dir(common::project().join("notebooks"))
        .expect("notebooks")
        .flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<_> = names
        .filter_map(|name| name.strip_suffix(".ipynb").map(str::to_owned))
        .collect();
    names.sort();
    names
}

#[test]
fn the_site_of_the_project_is_whole() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let place = folder.path().join("site");
    let (code, text) = site(&["--output", path(&place)]);
    assert_eq!(code, 0, "{text}");
    assert!(size(&place) < HEAVIEST, "{} bytes", size(&place));

    let index = read(place.join("index.html"));
    let names = course();
    let mut figures = 0;
    for (number, name) in names.iter().enumerate() {
        let page = read(place.join(format!("notebooks/{name}.html")));
        assert!(
            index.contains(&format!("<a href=\"notebooks/{name}.html\">")),
            "{name} is on the first page"
        );
        let title = page
            .split("<title>")
            .nth(1)
            .and_then(|rest| rest.split(" · ").next())
            .expect("a title");
        for (neighbour, class) in [(number.checked_sub(1), "prev"), (Some(number + 1), "next")] {
            let other = neighbour.and_then(|index| names.get(index));
            let link = other.map(|other| {
                format!("<a class=\"{class}\" rel=\"{class}\" href=\"../notebooks/{other}.html\">")
            });
            assert!(
                link.is_none_or(|link| page.contains(&link)),
                "{name}: {class}"
            );
        }
        assert!(
            page.contains("docs/notation.html\""),
            "{name} leads to the notation"
        );
        assert!(
            page.contains("class=\"term\""),
            "{name} leads to the words that it uses"
        );
        let there =
            std::fs::read(place.join(format!("notebooks/{name}.ipynb"))).expect("a download");
        let here = std::fs::read(common::project().join(format!("notebooks/{name}.ipynb")))
            .expect("a notebook");
        assert!(there == here, "{name}: the download is the notebook");
        assert!(
            !page.contains("class=\"unread\""),
            "{name}: each formula is read"
        );
        figures += page.matches("<figcaption><b>Figure ").count();
        assert!(
            read(place.join("assets/search.js")).contains(title),
            "{title} can be found"
        );
    }
    let list = read(place.join("lists/figures.html"));
    assert_eq!(list.matches("<b>Figure ").count(), figures);
    let equations = read(place.join("lists/equations.html"));
    for number in 1..=16 {
        let row = format!("<tr><td>{number}</td>");
        let row = equations
            .split(&row)
            .nth(1)
            .and_then(|row| row.split("</tr>").next());
        assert!(
            row.is_some_and(|row| row.contains("<a href=\"../notebooks/")),
            "Eq. {number} is somewhere"
        );
    }
    assert!(
        read(place.join("docs/results.html"))
            .contains("<a href=\"../notebooks/01_quickstart.html#c35\"><code>c35</code></a>")
    );

    let notes = read(place.join("docs/course/notes/02_i_mmse.html"));
    assert!(notes.contains("Exam problems") && !notes.contains("<em>Answer."));
    assert!(!place.join("docs/course/exams.html").exists());

    let syllabus = read(place.join("docs/course/syllabus.html"));
    let link = "docs/notation.html\">Notation</a>"; // once in the head, once in the text
    assert_eq!(
        syllabus.matches(link).count(),
        2,
        "a link has the title of its page"
    );

    // A link that leads nowhere is found.
    let broken = place.join("notebooks").join(format!("{}.html", names[0]));
    let page = read(broken.clone()).replace("</main>", "<a href=\"nowhere.html\">x</a></main>");
    std::fs::write(&broken, page).expect("the site can be written to");
    let (code, text) = site(&["--check", path(&place)]);
    assert_eq!(code, 1, "{text}");
    assert!(
        text.contains(&format!(
            "notebooks/{}.html: the link nowhere.html leads to no file",
            names[0]
        )),
        "{text}"
    );
}

#[test]
fn students_do_not_find_answers_of_exams_in_the_site() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let docs = folder.path().join("docs");
    std::fs::create_dir(&docs).expect("a folder");
    let notes = "# Notes\n\n[Numbers](exams.ipynb)\n\n**A.** Why?\n\n*Answer.* It is secret.\n";
    std::fs::write(docs.join("a.md"), notes).expect("a text");
    let cells = serde_json::json!([{"cell_type": "markdown", "id": "c0", "metadata": {"tags": ["answers"]},
        "source": "# The secret numbers"}]);
    let exams =
        serde_json::json!({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5});
    std::fs::write(docs.join("exams.ipynb"), exams.to_string()).expect("a notebook");
    let place = folder.path().join("site");
    let arguments = [
        "--source",
        "https://example.org",
        "--output",
        path(&place),
        path(&docs),
    ];
    let (code, text) = site(&arguments);
    assert_eq!(code, 0, "{text}");
    let page = read(place.join("docs/a.html"));
    assert!(
        page.contains("Why?") && page.contains("<p>Numbers</p>"),
        "{page}"
    );
    for file in ["docs/a.html", "assets/search.js", "index.html"] {
        assert!(!read(place.join(file)).contains("secret"), "{file}");
    }
    assert!(!place.join("docs/exams.html").exists() && !place.join("docs/exams.ipynb").exists());
    // Who teaches can have them.
    assert_eq!(site(&[&["--with-answers"], &arguments[..]].concat()).0, 0);
    let page = read(place.join("docs/a.html"));
    assert!(
        page.contains("secret") && page.contains("href=\"../docs/exams.html\""),
        "{page}"
    );
}

#[test]
fn a_link_that_leads_nowhere_fails_the_command() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let text = folder.path().join("a.md");
    std::fs::write(
        &text,
        "# A\n\n[gone](gone.md), [no part](#no-part), [part](#a)\n",
    )
    .expect("a text");
    let place = folder.path().join("site");
    let (code, said) = site(&["--output", path(&place), path(&text)]);
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("a.html: the link gone.md leads to no file of the site"),
        "{said}"
    );
    assert!(
        said.contains("the link #no-part leads to no place in a.html"),
        "{said}"
    );
    assert!(said.contains("2 wrong"), "{said}");
}

#[test]
fn what_is_not_in_the_site_is_linked_where_it_is_shown_or_not_at_all() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let docs = folder.path().join("docs");
    std::fs::create_dir(&docs).expect("a folder");
    std::fs::write(
        docs.join("a.md"),
        "# A\n\n[program](../b.rs), [script](c.py)\n",
    )
    .expect("a text");
    std::fs::write(docs.join("c.py"), "print(1)\n").expect("a script");
    std::fs::write(folder.path().join("b.rs"), "").expect("a program");
    let place = folder.path().join("site");
    let arguments = ["--output", path(&place), path(&docs)];
    assert_eq!(site(&arguments).0, 0);
    let page = read(place.join("docs/a.html"));
    assert!(
        page.contains("<p>program, <a href=\"../docs/c.py\">script</a></p>"),
        "{page}"
    );
    assert_eq!(read(place.join("docs/c.py")), "print(1)\n");
    let (code, text) = site(&[&arguments[..], &["--source", "https://example.org/tree/"]].concat());
    assert_eq!(code, 0, "{text}");
    assert!(
        read(place.join("docs/a.html"))
            .contains("<a href=\"https://example.org/tree/b.rs\">program</a>")
    );
}

#[test]
fn only_a_site_is_replaced() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let text = folder.path().join("a.md");
    std::fs::write(&text, "# A\n").expect("a text");
    let own = folder.path().join("own");
    std::fs::create_dir(&own).expect("a folder");
    std::fs::write(own.join("index.html"), "mine").expect("a file");
    let (code, said) = site(&["--output", path(&own), path(&text)]);
    assert_eq!(code, 2, "{said}");
    assert!(
        said.contains("`itd site` did not make it; name another folder with --output"),
        "{said}"
    );
    assert_eq!(read(own.join("index.html")), "mine");

    let place = folder.path().join("site");
    let other = folder.path().join("old.md");
    std::fs::write(&other, "# Old\n").expect("a text");
    assert_eq!(
        site(&["--output", path(&place), path(&text), path(&other)]).0,
        0
    );
    std::fs::remove_file(&other).expect("the text");
    // What others keep there stays; a page that is no more goes.
    std::fs::create_dir(place.join(".git")).expect("a folder");
    std::fs::write(place.join(".git/HEAD"), "main").expect("a file");
    std::fs::write(place.join("CNAME"), "example.org").expect("a file");
    std::fs::write(place.join("assets/mine.css"), "").expect("a file");
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&place, &link).expect("a link");
    assert_eq!(site(&["--output", path(&link), path(&text)]).0, 0);
    assert!(link.is_symlink() && place.join("a.html").exists() && !place.join("old.html").exists());
    for kept in [".git/HEAD", "CNAME", "assets/mine.css"] {
        assert!(place.join(kept).exists(), "{kept}");
    }
    // Without the list of its own files it would have to guess.
    let list = place.join("assets/files.txt");
    let listed = read(list.clone());
    std::fs::remove_file(&list).expect("the list");
    let (code, said) = site(&["--output", path(&place), path(&text)]);
    assert!(code == 2 && said.contains("kept no list"), "{said}");
    assert!(place.join("CNAME").exists());
    std::fs::write(&list, listed).expect("the list");
    std::fs::remove_file(&link).expect("the link");
    // A site is not made of the files of a site.
    assert_eq!(site(&["--output", path(&place), path(folder.path())]).0, 0);
    let left = std::fs::read_dir(folder.path()).expect("a folder").count();
    assert_eq!(left, 3, "nothing temporary stays");
    let pages = read(place.join("index.html")).matches("a.html").count();
    assert_eq!(pages, 1, "one page, of the text beside the site");

    let (code, said) = site(&["--check", path(&own)]);
    assert_eq!(code, 2, "{said}");
    let (code, said) = site(&["--output", path(&place), "no-such-folder"]);
    assert_eq!(code, 2, "{said}");
    assert!(
        said.contains("name notebooks, texts in Markdown, or folders of them"),
        "{said}"
    );
    assert!(
        place.join("index.html").exists(),
        "the old site is still there"
    );
}

#[test]
fn files_have_the_names_that_people_give_them() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let docs = folder.path().join("docs");
    std::fs::create_dir(&docs).expect("a folder");
    let text = "# What is it?\n\n![plot](my%20plot.PNG) <img src=\"p\u{e9}.png\" width=\"30\"> [on](b.md)\n\n## Content\n\nOne[^1].\n\n[^1]: Note.\n";
    std::fs::write(docs.join("What is it?.md"), text).expect("a text");
    std::fs::write(
        docs.join("b.md"),
        "# B\n\n[back](What%20is%20it%3F.md#content)\n",
    )
    .expect("a text");
    for picture in ["my plot.PNG", "p\u{e9}.png"] {
        std::fs::write(docs.join(picture), "picture").expect("a picture");
    }
    // A notebook and the same as Markdown are one page, and a link to the folder itself is no second one.
    let figure = serde_json::json!({"output_type": "display_data", "metadata": {},
        "data": {"image/png": "QUJD", "text/plain": "<Figure size 640x480>"}});
    let cells = serde_json::json!([{"cell_type": "code", "id": "c0", "metadata": {}, "execution_count": 1,
        "source": "1", "outputs": [figure]}]);
    let notebook =
        serde_json::json!({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5});
    std::fs::write(docs.join("01_n.ipynb"), notebook.to_string()).expect("a notebook");
    std::fs::write(docs.join("01_n.md"), "# The same").expect("a text");
    std::os::unix::fs::symlink(&docs, docs.join("self")).expect("a link");
    let place = folder.path().join("site");
    let (code, said) = site(&[
        "--output",
        path(&place),
        path(&docs),
        path(&docs.join("b.md")),
    ]);
    assert_eq!(code, 0, "{said}");
    let pages = std::fs::read_dir(place.join("docs"))
        .expect("a folder")
        .flatten();
    let pages = pages.filter(|entry| entry.path().extension().is_some_and(|end| end == "html"));
    assert_eq!(pages.count(), 3, "{said}");
    assert!(said.contains("01_n.md is left out"), "{said}");
    for picture in ["my plot.PNG", "p\u{e9}.png"] {
        assert!(place.join("docs").join(picture).exists(), "{picture}");
    }
    let index = read(place.join("index.html"));
    assert!(
        index.contains("href=\"docs/What%20is%20it%3F.html\""),
        "{index}"
    );
    assert_eq!(index.matches(">B</a>").count(), 1, "{index}");
    let figures = read(place.join("lists/figures.html"));
    assert!(figures.contains("&lt;Figure size 640x480&gt;"), "{figures}");
}

#[test]
fn a_person_reads_the_site() {
    let Some(browser) = common::browser() else {
        println!("skipped: there is no Chromium");
        return;
    };
    let environment = Environment::ensure(common::project(), common::program(), &|_| {})
        .expect("the Python environment can be made");
    let python = environment.program("python");
    let installed = common::pip_install(Command::new(&python), PACKAGES);
    if !installed {
        println!("skipped: {PACKAGES:?} cannot be installed");
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let place = folder.path().join("site");
    let (code, text) = site(&["--output", path(&place)]);
    assert_eq!(code, 0, "{text}");
    let mut command = Command::new(python);
    command
        .arg(common::project().join("tests/site.py"))
        .arg(&place)
        .arg(browser);
    if let Some(shots) = std::env::var_os("ITD_SCREENSHOTS") {
        command.arg(Path::new(&shots));
    }
    let output = command.output().expect("Python can be run");
    let text = common::text(&output);
    assert!(output.status.success() && text.ends_with("all\n"), "{text}");
    println!("{text}");
}
