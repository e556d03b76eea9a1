"""The site in a real browser, as readers have it: light and dark, wide and on a phone, with the keyboard, without
scripts, from a server and from a disk, and by axe. Prints one line for each step; the first that fails ends the script
with a traceback.

Usage: site.py FOLDER-OF-THE-SITE BROWSER [FOLDER-FOR-SCREENSHOTS]
"""

import functools
import http.server
import os
import sys
import threading
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect, sync_playwright

SITE, BROWSER = Path(sys.argv[1]).resolve(), sys.argv[2]
SHOTS = Path(sys.argv[3]) if len(sys.argv) > 3 else None
# A first page, one with sliders, one with tables, a list, a text; all of them with ITD_SITE=all.
PAGES = ["index.html", "notebooks/01_quickstart.html", "notebooks/06_tables.html", "lists/equations.html", "docs/notation.html"]
ALL = sorted(path.relative_to(SITE).as_posix() for path in SITE.rglob("*.html"))
if os.environ.get("ITD_SITE") == "all":
    PAGES = ALL
# Where axe, which takes seconds for a page, looks at them.
JUDGED = [("light", "wide"), ("dark", "phone")]
WIDTHS = {"wide": 1280, "phone": 390}


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def serve():
    handler = functools.partial(Quiet, directory=SITE)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, f"http://127.0.0.1:{server.server_port}"


def looks(browser, base):
    """Pages in light and dark, wide and narrow: nothing is wider than the page, and axe has nothing to say."""
    for scheme in ["light", "dark"]:
        for name, width in WIDTHS.items():
            context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
            page = context.new_page()
            asked = []
            page.on("request", lambda request: asked.append(request.url))
            errors = []
            page.on("pageerror", lambda error: errors.append(str(error)))
            for address in PAGES:
                page.goto(f"{base}/{address}", wait_until="networkidle")
                wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
                if SHOTS:
                    page.screenshot(path=SHOTS / f"{address.replace('/', '-')[:-5]}-{scheme}-{name}.png")
                assert wide <= 0, f"{address}, {width} pixels, {scheme}: {wide} pixels too wide"
                if (scheme, name) not in JUDGED:
                    continue
                # On a busy machine fonts may come late, and with them which boxes have to be reached by keys.
                page.evaluate("document.fonts.ready.then(() => new Promise(requestAnimationFrame))")
                axe = Axe().run(page).response
                violations, passed = axe["violations"], len(axe["passes"])
                assert passed >= 15, f"axe has looked at little: {passed} rules"
                told = [(v["id"], v["impact"], [node["html"][:200] for node in v["nodes"][:3]]) for v in violations]
                assert not violations, f"{address}, {width} pixels, {scheme}: {told}"
            assert not errors, errors
            elsewhere = [url for url in asked if not url.startswith((base, "data:"))]
            assert not elsewhere, elsewhere
            context.close()
            told = ", nothing for axe to say" if (scheme, name) in JUDGED else ""
            print(f"{scheme}, {name}: {len(PAGES)} pages, nothing too wide{told}", flush=True)


def all_pages_fit(browser, base):
    """No page of the site is wider than a phone."""
    page = browser.new_page(viewport={"width": 390, "height": 800})
    too_wide = {}
    for address in ALL:
        page.goto(f"{base}/{address}")
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if wide > 0:
            too_wide[address] = wide
    assert not too_wide, too_wide
    page.close()
    print(f"{len(ALL)} pages fit on a phone", flush=True)


def searches(browser, base):
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(f"{base}/notebooks/02_i_mmse.html")
    page.keyboard.press("/")
    page.keyboard.type("ankle boots")
    links = page.locator(".found a")
    expect(links.first).to_be_visible()
    if SHOTS and base.startswith("http"):
        page.screenshot(path=SHOTS / "search.png")
    page.keyboard.press("ArrowDown")
    expect(links.first).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_function("!location.href.includes('02_i_mmse')")
    assert "boots" in page.locator("main").inner_text()
    if "#" in page.url:
        anchor = page.evaluate("document.getElementById(decodeURIComponent(location.hash.slice(1))) !== null")
        assert anchor, page.url
    page.keyboard.press("/")
    page.keyboard.type("xyzzy-nowhere")
    expect(page.locator(".found [role=status]")).to_contain_text("Nothing")
    page.keyboard.press("Escape")
    expect(page.locator(".found")).to_be_hidden()
    page.close()
    print(f"the search finds a word and its place ({base[:4]})", flush=True)


def sliders_move(browser, base):
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    moved = 0
    for path in sorted(SITE.glob("notebooks/*.html")):
        page.goto(f"{base}/{path.relative_to(SITE).as_posix()}")
        for frames in page.locator(".itd-frames").all():
            slider = frames.locator("input[type=range]").first
            shown = frames.locator(".itd-frame:visible")
            before = (frames.locator("output").first.inner_text(), shown.first.get_attribute("data-value"))
            slider.focus()
            page.keyboard.press("ArrowLeft")
            after = (frames.locator("output").first.inner_text(), shown.first.get_attribute("data-value"))
            assert before != after and after[0] == after[1] and shown.count() == 1, (path.name, before, after)
            moved += 1
    assert moved >= 2, moved
    page.close()
    print(f"{moved} sliders move", flush=True)


def chooses_colours(browser, base):
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    page = context.new_page()
    page.goto(f"{base}/index.html")
    paper = lambda: page.evaluate("getComputedStyle(document.body).backgroundColor")
    before = paper()
    page.get_by_role("button", name="Dark colours").click()
    dark = paper()
    assert before != dark
    page.goto(f"{base}/docs/notation.html")
    assert paper() == dark, "the choice stays"
    context.close()
    print("light and dark can be chosen", flush=True)


def reads_without_scripts(browser, base):
    context = browser.new_context(viewport={"width": 390, "height": 900}, java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{base}/notebooks/01_quickstart.html")
    assert len(page.locator("main").inner_text()) > 5_000
    assert page.locator("math").count() > 20 and page.locator("figure img").first.is_visible()
    assert not page.locator(".tools").is_visible()
    page.locator("header nav a", has_text="Notation").click()
    assert page.url.endswith("docs/notation.html")
    context.close()
    print("it can be read without scripts", flush=True)


def main():
    if SHOTS:
        SHOTS.mkdir(parents=True, exist_ok=True)
    server, base = serve()
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
                 "--disable-background-networking", "--disable-component-update"]
        browser = playwright.chromium.launch(executable_path=BROWSER, args=flags)
        looks(browser, base)
        all_pages_fit(browser, base)
        searches(browser, base)
        searches(browser, SITE.as_uri())
        sliders_move(browser, base)
        chooses_colours(browser, base)
        reads_without_scripts(browser, base)
        browser.close()
    server.shutdown()
    print("all")


main()
