"""The kernel in the real qtconsole, without a screen: banner, values, a figure, Tab, a call's tip, errors, input, pages,
history, interrupt, restart, exit. Prints one line for each step; the first that fails ends the script.

Usage: qt_console.py [FOLDER-FOR-SCREENSHOTS]
"""

import os
import sys
import time
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from qtconsole.manager import QtKernelManager
from qtconsole.rich_jupyter_widget import RichJupyterWidget
from qtpy import QtCore, QtGui, QtTest, QtWidgets

SHOTS = Path(sys.argv[1]) if len(sys.argv) > 1 else None
PATIENCE = 90


class Console:
    def __init__(self, application):
        self.application = application
        self.manager = QtKernelManager(kernel_name="itd")
        self.manager.start_kernel()
        client = self.manager.client()
        client.start_channels()
        self.widget = RichJupyterWidget()
        self.widget.kernel_manager = self.manager
        self.widget.kernel_client = client
        self.widget.resize(900, 700)
        self.widget.show()

    def text(self):
        return self.widget._control.toPlainText()

    def until(self, found, what):
        deadline = time.monotonic() + PATIENCE
        while not found():
            if time.monotonic() > deadline:
                raise AssertionError(f"{what}: {self.text()[-2000:]}")
            self.application.processEvents(QtCore.QEventLoop.ProcessEventsFlag.AllEvents, 50)
            time.sleep(0.01)

    def prompt(self):
        """Waits until the next cell can be typed."""
        self.until(lambda: not self.widget._executing and not self.widget._reading
                   and self.widget._prompt_cursor is not None
                   and self.text().rstrip("\n ").splitlines()[-1:] != []
                   and "In [" in self.text().splitlines()[-1], "no prompt")

    def run(self, code):
        before = len(self.text())
        self.widget.execute(code)
        self.until(lambda: not self.widget._executing, "it does not end")
        self.prompt()
        return self.text()[before:]

    def key(self, key, modifier=QtCore.Qt.KeyboardModifier.NoModifier):
        QtTest.QTest.keyClick(self.widget._control, key, modifier)

    def type(self, text):
        QtTest.QTest.keyClicks(self.widget._control, text)

    def done(self, step):
        if SHOTS:
            self.widget.grab().save(str(SHOTS / f"qtconsole-{step.replace(' ', '-')}.png"))
        print(step, flush=True)


def walk(console):
    widget = console.widget
    console.until(lambda: "In [" in console.text(), "no banner")
    assert "information-theoretic diffusion in Rust" in console.text(), console.text()
    console.done("banner")
    shown = console.run("let values = vec![1.0, 2.5];\nprintln!(\"printed\");\nvalues.len() + 40")
    assert "printed" in shown and "Out[1]: 42" in shown.replace("\xa0", " "), shown
    console.done("a value")
    console.run("plot_functions(\"x\", \"y\", 0.0..5.0, &[(\"x²\", &|x: f64| x * x)])?")
    assert "\ufffc" in console.text(), "there is no picture"
    console.done("a figure")
    shown = console.run("let n: i32 = \"text\";")
    assert "E0308" in shown, shown
    console.done("an error")

    def completed():
        widget.input_buffer = "values.is_e"
        console.key(QtCore.Qt.Key.Key_Tab)
        end = time.monotonic() + 2
        while time.monotonic() < end:
            console.application.processEvents(QtCore.QEventLoop.ProcessEventsFlag.AllEvents, 50)
            if widget.input_buffer.startswith("values.is_empty"):
                return True
        return False
    console.until(completed, "Tab completes nothing")
    console.done("Tab")
    widget.input_buffer = ""
    console.type("mse_curve(")
    tip = widget._call_tip_widget
    console.until(lambda: tip.isVisible(), "no tip")
    assert "pub fn mse_curve(" in tip.text(), tip.text()
    console.done("a tip")
    console.key(QtCore.Qt.Key.Key_Escape)
    widget.input_buffer = ""

    widget.execute("let name = input(\"Who? \")?;\nname")
    console.until(lambda: widget._reading, "it does not ask")
    console.type("Ada")
    console.key(QtCore.Qt.Key.Key_Return)
    console.prompt()
    assert "\"Ada\"" in console.text(), console.text()
    console.done("input")
    widget.input_buffer = ""
    console.key(QtCore.Qt.Key.Key_Up)
    assert widget.input_buffer == "let name = input(\"Who? \")?;\nname", widget.input_buffer
    widget.input_buffer = ""
    console.done("history")
    # Short HTML stands where the cell is; what is longer than the window comes in a pager, which `q` ends.
    for code, part in [("%help", "%timeit"), ("mse_curve?", "pub fn mse_curve(")]:
        before = len(console.text())
        widget.execute(code)
        pager = widget._page_control
        console.until(lambda: part in (pager.toPlainText() if pager.isVisible() else console.text()[before:]), code)
        if pager.isVisible():
            QtTest.QTest.keyClick(pager, QtCore.Qt.Key.Key_Q)
        console.prompt()
    console.done("pages")

    widget.execute("loop { if itd_prelude::cell::interrupted() { break; } std::thread::sleep(std::time::Duration::from_millis(20)); }")
    begin = time.monotonic()
    console.until(lambda: time.monotonic() - begin > 3, "")
    widget.request_interrupt_kernel()
    console.until(lambda: not widget._executing, "it is not interrupted")
    console.prompt()
    assert "42" in console.run("values.len() + 40")
    console.done("interrupt")
    widget.confirm_restart = False  # a dialog would wait for somebody
    widget.restart_kernel("", now=True)
    begin = time.monotonic()
    console.until(lambda: time.monotonic() - begin > 2 and widget._starting is False, "it does not come back")
    console.prompt()
    shown = console.run("values.len()")
    assert "E0425" in shown, shown
    console.done("restart")
    ended = []
    widget.exit_requested.connect(lambda _: ended.append(True))
    widget.execute("exit")
    console.until(lambda: ended, "it does not ask to end")
    console.done("exit")


def main():
    if SHOTS:
        SHOTS.mkdir(parents=True, exist_ok=True)
    console = Console(QtWidgets.QApplication([]))
    try:
        walk(console)
    finally:
        console.widget.kernel_client.stop_channels()
        console.manager.shutdown_kernel(now=True)
    print("all", flush=True)
    os._exit(0)  # Qt's own end may fail where there is no screen


main()
