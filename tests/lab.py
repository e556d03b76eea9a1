"""JupyterLab in a real browser, as a person uses it: run all, a plot, input, sliders with and without a kernel, a table,
a folded solution, the panel of variables, Tab, Shift-Tab, an error in light and dark, interrupt, restart and run all,
restart. Prints one line for each step; the first that fails ends the script with a traceback.

Usage: lab.py FOLDER-WITH-lab.ipynb BROWSER [FOLDER-FOR-SCREENSHOTS]
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

FOLDER, BROWSER = Path(sys.argv[1]), sys.argv[2]
SHOTS = Path(sys.argv[3]) if len(sys.argv) > 3 else None
PATIENCE = 60_000
# The lowest contrast that text may have.
CONTRAST = 4.5


def start_server():
    """JupyterLab on a port of its own choice; gives the process and the address."""
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--ServerApp.port=0", "--ServerApp.open_browser=False",
               "--IdentityProvider.token=lab", "--LabApp.expose_app_in_browser=True", f"--ServerApp.root_dir={FOLDER}", "--allow-root"]
    log = open(FOLDER / "server.log", "w")
    server = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    for _ in range(600):
        found = re.search(r"http://(?:localhost|127\.0\.0\.1):(\d+)/", (FOLDER / "server.log").read_text())
        if found:
            return server, f"http://127.0.0.1:{found.group(1)}"
        time.sleep(0.1)
    raise RuntimeError((FOLDER / "server.log").read_text())


def luminance(colour):
    parts = [float(part) / 255 for part in re.findall(r"[\d.]+", colour)[:3]]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    light, dark = sorted([luminance(one), luminance(other)], reverse=True)
    return (light + 0.05) / (dark + 0.05)


class Lab:
    def __init__(self, page):
        self.page = page

    def tab(self, found):
        """Presses Tab until something has come of it: JupyterLab gives a kernel one second."""
        for _ in range(PATIENCE // 1500):
            self.page.keyboard.press("Tab")
            self.page.wait_for_timeout(1500)
            if found():
                return
        raise AssertionError("nothing is completed")

    def done(self, step):
        if SHOTS:
            self.page.screenshot(path=SHOTS / f"{step.replace(' ', '-')}.png")
        print(step, flush=True)

    def cell(self, index):
        return self.page.locator(".jp-Notebook .jp-CodeCell").nth(index)

    def command(self, name):
        """Begins a command of JupyterLab's, by its id."""
        self.page.evaluate("([id]) => { void window.jupyterapp.commands.execute(id); }", [name])
        self.page.wait_for_timeout(150)

    def idle(self):
        """Waits until nothing runs."""
        self.page.wait_for_function(
            """() => {
                const panel = window.jupyterapp.shell.currentWidget;
                const cells = panel.content.widgets.filter(cell => cell.model.type === 'code');
                const kernel = panel.sessionContext.session?.kernel;
                return kernel?.status === 'idle' && cells.every(cell => cell.model.executionState !== 'running'
                    && !(cell.node.querySelector('.jp-InputPrompt')?.textContent ?? '').includes('*'));
            }""", timeout=PATIENCE)

    def write(self, text):
        """A new cell at the end, with text typed into it."""
        self.page.evaluate("""() => {
            const notebook = window.jupyterapp.shell.currentWidget.content;
            notebook.activeCellIndex = notebook.widgets.length - 1;
        }""")
        self.command("notebook:insert-cell-below")
        cell = self.page.locator(".jp-Notebook .jp-CodeCell").last
        cell.locator(".cm-content").click()
        self.page.keyboard.type(text, delay=10)
        return cell


def answer(page, name):
    """Answers the cell that asks; nothing ends before."""
    field = page.locator(".jp-Stdin-input")
    field.wait_for(timeout=PATIENCE)
    field.fill(name)
    field.press("Enter")


def walk(page, address):
    lab = Lab(page)
    count = len(json.loads((FOLDER / "lab.ipynb").read_text())["cells"])
    page.goto(f"{address}/lab/tree/lab.ipynb?token=lab")
    page.wait_for_function("() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel",
                           timeout=PATIENCE)
    lab.idle()
    lab.command("notebook:run-all-cells")
    page.wait_for_timeout(300)
    answer(page, "Ada")
    lab.idle()
    expect(lab.cell(0).locator(".jp-OutputArea-output")).to_contain_text("2")
    lab.done("run all")
    expect(lab.cell(1).locator("svg, img").first).to_be_visible()
    lab.done("a plot")
    expect(lab.cell(2).locator(".jp-OutputArea-output").last).to_contain_text("Ada")
    lab.done("input")

    slider = lab.cell(3).locator(".noUi-handle, .ui-slider-handle").first
    slider.wait_for(timeout=PATIENCE)
    slider.focus()
    for key, number in [("ArrowRight", 6), ("ArrowRight", 7), ("ArrowLeft", 6), ("ArrowUp", 7), ("ArrowDown", 6)]:
        slider.press(key)
        expect(lab.cell(3).locator(".widget-readout")).to_have_text(str(number))
        expect(lab.cell(3)).to_contain_text(f"square {number * number}")
    cell = lab.write("n.value() * 100")
    page.keyboard.press("Control+Enter")
    lab.idle()
    expect(cell.locator(".jp-OutputArea-output").last).to_contain_text("600")
    lab.done("a slider")

    # Arrow keys and the mouse belong to frames and heads of tables as long as these have the focus.
    active = "() => window.jupyterapp.shell.currentWidget.content.activeCellIndex"
    cell = lab.cell(4)
    frames = cell.locator(".itd-frames input[type=range]")
    frames.scroll_into_view_if_needed()
    box = frames.bounding_box()
    page.mouse.click(box["x"] + box["width"] - 5, box["y"] + box["height"] / 2)
    expect(cell.locator(".itd-frame:visible")).to_have_text("cube 125")
    at = page.evaluate(active)
    for key, cube in [("ArrowLeft", 64), ("ArrowDown", 27), ("ArrowUp", 64), ("Home", 1), ("ArrowRight", 8), ("End", 125)]:
        page.keyboard.press(key)
        expect(cell.locator(".itd-frame:visible")).to_have_text(f"cube {cube}")
    assert page.evaluate(active) == at, "the keys have moved on to another cell"
    lab.done("frames")
    cell = lab.cell(5)
    head = cell.locator("th", has_text="name")
    head.focus()
    for names in ["abc", "cba"]:
        page.keyboard.press("Enter")
        expect(cell.locator("tbody td:nth-child(2)")).to_have_text(list(names))
    page.keyboard.press("Tab")
    assert page.evaluate("() => window.jupyterapp.shell.currentWidget.content.mode") == "command", "Enter has opened the cell"
    lab.done("a table")

    solution = page.locator(".jp-MarkdownCell details")
    expect(solution.locator("p")).not_to_be_visible()
    solution.locator("summary").click()
    expect(solution.locator("p")).to_be_visible()
    lab.done("a folded solution")

    page.locator(".jp-DebuggerBugButton").click()
    lab.command("debugger:show-panel")
    panel = page.locator(".jp-DebuggerVariables")
    for part in ["values", "Vec<f64>", "name", "String"]:
        expect(panel).to_contain_text(part, timeout=PATIENCE)
    # A cell that runs makes the panel new.
    cell = lab.write("let later = 3.5;")
    page.keyboard.press("Control+Enter")
    lab.idle()
    expect(panel).to_contain_text("later", timeout=PATIENCE)
    lab.done("the panel of variables")
    page.locator(".jp-DebuggerBugButton").click()
    lab.command("application:toggle-right-area")

    cell = lab.write("values.is_e")
    lab.tab(lambda: "is_empty" in cell.locator(".cm-content").inner_text())
    page.keyboard.type("(); values.l")
    popup = page.locator(".jp-Completer")
    lab.tab(lambda: popup.is_visible() and "len" in popup.inner_text())
    lab.done("Tab")
    page.keyboard.press("Escape")
    cell = lab.write("mse_curve(")
    page.keyboard.press("Shift+Tab")
    tooltip = page.locator(".jp-Tooltip")
    expect(tooltip).to_contain_text("pub fn mse_curve(", timeout=PATIENCE)
    lab.done("Shift-Tab")
    page.keyboard.press("Escape")

    for theme in ["JupyterLab Light", "JupyterLab Dark"]:
        page.evaluate("([theme]) => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", [theme])
        page.wait_for_timeout(1500)
        cell = lab.write("let wrong: i32 = \"text\";")
        page.keyboard.press("Control+Enter")
        lab.idle()
        error = cell.locator(".jp-OutputArea-output").last
        expect(error).to_contain_text("E0308")
        pairs = error.evaluate("""node => {
            const pairs = [];
            const walker = document.createTreeWalker(node, NodeFilter.SHOW_TEXT);
            while (walker.nextNode()) {
                const text = walker.currentNode.textContent.trim();
                if (!/[A-Za-z0-9]/.test(text)) continue;
                const style = getComputedStyle(walker.currentNode.parentElement);
                // Backgrounds may let what is behind them through.
                let back = [255, 255, 255], layers = [];
                for (let at = walker.currentNode.parentElement; at; at = at.parentElement)
                    layers.push(getComputedStyle(at).backgroundColor.match(/[\\d.]+/g).map(Number));
                for (const [r, g, b, a = 1] of layers.reverse())
                    back = [r, g, b].map((part, i) => a * part + (1 - a) * back[i]);
                back = `rgb(${back.join(', ')})`;
                pairs.push([text, style.color, back]);
            }
            return pairs;
        }""")
        weak = [(text, round(contrast(front, back), 2)) for text, front, back in pairs if contrast(front, back) < CONTRAST]
        lab.done(f"an error, {theme}")
        if weak:
            raise AssertionError(f"{theme}: contrast below {CONTRAST}: {weak}")

    cell = lab.write("loop { if itd_prelude::cell::interrupted() { break; } std::thread::sleep(std::time::Duration::from_millis(20)); }")
    page.keyboard.press("Control+Enter")
    page.wait_for_timeout(3000)
    lab.command("notebook:interrupt-kernel")
    lab.idle()
    cell = lab.write("values.len() + 40")
    page.keyboard.press("Control+Enter")
    lab.idle()
    expect(cell.locator(".jp-OutputArea-output").last).to_contain_text("42")
    lab.done("interrupt")

    # With the cells that the notebook came with: of the others some fail, and one waits to be interrupted.
    page.evaluate("""([count]) => {
        const model = window.jupyterapp.shell.currentWidget.content.model.sharedModel;
        while (model.cells.length > count) model.deleteCell(model.cells.length - 1);
    }""", [count])
    lab.command("notebook:restart-run-all")
    page.locator(".jp-Dialog .jp-mod-accept").click()
    answer(page, "Emmy")
    lab.idle()
    expect(lab.cell(0).locator(".jp-InputPrompt")).to_have_text("[1]:")
    expect(lab.cell(2).locator(".jp-OutputArea-output").last).to_contain_text("Emmy")
    expect(lab.cell(3)).to_contain_text("square 25")
    expect(lab.cell(5).locator(".jp-InputPrompt")).to_have_text("[6]:")
    lab.done("restart and run all")

    page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.restartKernel().then(() => true)")
    lab.idle()
    cell = lab.write("values.len()")
    page.keyboard.press("Control+Enter")
    lab.idle()
    expect(cell.locator(".jp-OutputArea-output").last).to_contain_text("E0425")
    lab.done("restart")


def in_a_browser(walk):
    """Begins JupyterLab and a browser, and walks."""
    if SHOTS:
        SHOTS.mkdir(parents=True, exist_ok=True)
    server, address = start_server()
    try:
        with sync_playwright() as playwright:
            flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
                     "--disable-background-networking", "--disable-component-update"]
            browser = playwright.chromium.launch(executable_path=BROWSER, args=flags)
            page = browser.new_page(viewport={"width": 1280, "height": 1000})
            page.set_default_timeout(PATIENCE)
            try:
                walk(page, address)
            except Exception:
                if SHOTS:
                    page.screenshot(path=SHOTS / "failed.png")
                raise
            browser.close()
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()
    print("all")


if __name__ == "__main__":
    in_a_browser(walk)
