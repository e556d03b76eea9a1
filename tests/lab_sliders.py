"""The sliders of notebooks in JupyterLab, in a real browser, from the outputs as they were committed: each is there once the
notebook is trusted, the keyboard moves it to all of its values, and each shows one picture, the one that the notebook has
for this value, whole. Prints one line for each slider; the first that fails ends the script with a traceback.

Usage: lab_sliders.py FOLDER-WITH-NOTEBOOKS BROWSER [FOLDER-FOR-SCREENSHOTS]
"""

import json
import os
import re
import subprocess
import sys
from html import unescape

# Signatures of trust are for this folder, not for whoever runs the test.
os.environ["JUPYTER_DATA_DIR"] = os.path.join(sys.argv[1], "data")

from lab import FOLDER, PATIENCE, SHOTS, in_a_browser
from playwright.sync_api import expect

# What is seen of a slider: the number beside it, and of each visible frame the value, the words for the picture, whether
# the picture is drawn, and whether it stands within the width of the output.
SEEN = """slider => {
    const frames = slider.closest('.itd-frames');
    const area = frames.closest('.jp-OutputArea-output').getBoundingClientRect();
    const shown = [...frames.querySelectorAll('.itd-frame')].filter(frame => frame.checkVisibility());
    return [frames.querySelector('output').textContent, shown.map(frame => {
        const pictures = [...frame.querySelectorAll('img')];
        return [frame.dataset.value, pictures.map(picture => picture.alt),
            pictures.every(picture => picture.complete && picture.naturalWidth > 0),
            pictures.every(picture => picture.getBoundingClientRect().right <= area.right + 1)];
    })];
}"""


def sliders(notebook):
    """The place of each slider's cell, its name, and value and words of each of its frames."""
    found = []
    for place, cell in enumerate(json.loads(notebook.read_text())["cells"]):
        for output in cell.get("outputs", []):
            html = "".join(output.get("data", {}).get("text/html", ""))
            for part in html.split('<div class="itd-frames"')[1:]:
                name = unescape(re.search(r'aria-label="([^"]*)"', part).group(1))
                frames = re.findall(r'data-value="([^"]*)"[^>]*><img alt="([^"]*)"', part)
                found.append((place, name, [(unescape(value), unescape(words)) for value, words in frames]))
    return found


def look(page, address, notebook):
    page.goto(f"{address}/lab/tree/{notebook.name}?token=lab")
    # JupyterLab opens what was open before as well.
    page.wait_for_function("""([name]) => {
        const panel = window.jupyterapp?.shell.currentWidget;
        return panel?.context?.path === name && panel.content.widgets.length > 0;
    }""", arg=[notebook.name], timeout=PATIENCE)
    for place, name, frames in sliders(notebook):
        # Cells that are not in the window are not in the page.
        page.evaluate("""([place]) => {
            const notebook = window.jupyterapp.shell.currentWidget.content;
            notebook.activeCellIndex = place;
            return notebook.scrollToItem(place, 'center');
        }""", [place])
        slider = page.locator(f"[data-windowed-list-index='{place}'] .itd-frames input[type=range]")
        expect(slider).to_have_count(1, timeout=PATIENCE)
        assert slider.get_attribute("aria-label") == name, slider.evaluate("node => node.outerHTML")
        assert len(frames) > 1
        slider.focus()
        slider.press("Home")
        for step, (value, words) in enumerate(frames):
            if step:
                slider.press("ArrowRight")
            page.wait_for_function(f"slider => ({SEEN})(slider)[1].every(frame => frame[2])", arg=slider.element_handle())
            seen = slider.evaluate(SEEN)
            assert seen == [value, [[value, [words], True, True]]], (notebook.name, name, value, words, seen)
        if SHOTS:
            for theme in ["JupyterLab Light", "JupyterLab Dark"]:
                page.evaluate("([theme]) => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", [theme])
                page.wait_for_timeout(1000)
                for key in ["ArrowLeft"] * (len(frames) // 3):
                    slider.press(key)
                page.screenshot(path=SHOTS / f"{notebook.stem}-{place}-{theme.split()[-1]}.png")
        print(f"{notebook.stem}: {name}, {len(frames)} values", flush=True)


def walk(page, address):
    for notebook in sorted(FOLDER.glob("*.ipynb")):
        look(page, address, notebook)


for notebook in FOLDER.glob("*.ipynb"):
    subprocess.run([sys.executable, "-m", "jupyter", "trust", str(notebook)], check=True, capture_output=True)
in_a_browser(walk)
