"""What VS Code's Jupyter extension sends to a local kernel, with its fields and in its order, and what it reads of the
answers. Its sockets have one routing id, which is not the session; it has no heartbeat; its interrupt goes over the
shell channel; it ends a kernel by a signal. Prints one line for each step.

Usage: vscode.py FOLDER
"""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import psutil
import zmq
from jupyter_client.connect import write_connection_file
from jupyter_client.kernelspec import get_kernel_spec
from jupyter_client.session import Session

FOLDER = Path(sys.argv[1])
PATIENCE = 120_000
# What the extension's library for kernels wants in the content of messages on iopub; it drops others.
IOPUB = {
    "stream": {"name": str, "text": str},
    "display_data": {"data": dict, "metadata": dict},
    "execute_input": {"code": str, "execution_count": int},
    "execute_result": {"execution_count": int, "data": dict, "metadata": dict},
    "error": {"ename": str, "evalue": str, "traceback": list},
    "status": {"execution_state": str},
    "clear_output": {"wait": bool},
    "comm_open": {"comm_id": str, "target_name": str, "data": dict},
    "comm_msg": {"comm_id": str, "data": dict},
    "comm_close": {"comm_id": str},
}


class Extension:
    def __init__(self):
        spec = get_kernel_spec("itd")
        assert (spec.language, spec.interrupt_mode) == ("rust", "message"), spec.to_dict()
        file, info = write_connection_file(str(FOLDER / "kernel.json"))
        argv = [part.replace("{connection_file}", file) for part in spec.argv]
        environment = {**os.environ, **spec.env}
        self.process = subprocess.Popen(argv, cwd=FOLDER, env=environment, start_new_session=True)
        self.session = Session(key=info["key"].encode(), username="")
        context = zmq.Context.instance()
        routing_id = str(uuid.uuid4()).encode()
        self.sockets = {}
        for channel in ["iopub", "shell", "control", "stdin"]:
            socket = context.socket(zmq.SUB if channel == "iopub" else zmq.DEALER)
            socket.setsockopt(zmq.RCVHWM, 0)
            if channel == "iopub":
                socket.subscribe(b"")
            else:
                socket.setsockopt(zmq.ROUTING_ID, routing_id)
            socket.connect(f"tcp://{info['ip']}:{info[channel + '_port']}")
            self.sockets[channel] = socket

    def send(self, channel, kind, content, metadata=None):
        message = self.session.msg(kind, content, metadata=metadata)
        self.session.send(self.sockets[channel], message)
        return message["header"]["msg_id"]

    def receive(self, channel, patience=PATIENCE):
        if not self.sockets[channel].poll(patience):
            raise AssertionError(f"nothing comes on {channel}")
        _, parts = self.session.feed_identities(self.sockets[channel].recv_multipart())
        message = self.session.deserialize(parts)
        assert all(isinstance(message["header"][field], str) for field in ["username", "version", "session", "msg_id", "msg_type"])
        wanted = IOPUB.get(message["header"]["msg_type"], {}) if channel == "iopub" else {}
        for field, kind in wanted.items():
            assert isinstance(message["content"].get(field), kind), (field, message["header"]["msg_type"], message["content"])
        return message

    def reply(self, request, channel="shell"):
        while True:
            message = self.receive(channel)
            if message["parent_header"].get("msg_id") == request:
                return message["content"]

    def ask(self, kind, content, channel="shell"):
        return self.reply(self.send(channel, kind, content), channel)

    def execute(self, code):
        """As a cell of a notebook is executed."""
        metadata = {"cellId": f"vscode-notebook-cell:{FOLDER}/a.ipynb#W0sZmlsZQ%3D%3D", "tags": []}
        content = {"code": code, "silent": False, "stop_on_error": False, "allow_stdin": True, "store_history": True}
        return self.send("shell", "execute_request", content, metadata)

    def outputs(self, request):
        """Messages on iopub that belong to a request, up to its end."""
        found = []
        while True:
            message = self.receive("iopub")
            if message["parent_header"].get("msg_id") != request:
                continue
            kind, content = message["header"]["msg_type"], message["content"]
            if kind == "status" and content["execution_state"] == "idle":
                return found
            found.append((kind, content))

    def cell(self, code):
        request = self.execute(code)
        outputs = self.outputs(request)
        return self.reply(request), outputs


def only(outputs, kind):
    return [content for other, content in outputs if other == kind]


def until(ask, good):
    """Asks again while the analyst warms up, or a busy machine keeps it from answering in time."""
    deadline = time.monotonic() + 300
    while True:
        reply = ask()
        if good(reply):
            return reply
        assert time.monotonic() < deadline, reply
        time.sleep(0.2)


def done(step):
    print(step, flush=True)


def walk(code):
    # It asks until something has come on iopub, too.
    while True:
        request = code.send("shell", "kernel_info_request", {})
        info = code.reply(request)
        if code.sockets["iopub"].poll(1000):
            break
    assert info["status"] == "ok" and info["language_info"]["file_extension"] == ".rs", info
    assert code.ask("comm_info_request", {"target_name": "jupyter.widget"})["comms"] == {}
    done("start")

    reply, outputs = code.cell("let values = vec![1.0, 2.5];\nprintln!(\"printed\");\nvalues.len()")
    assert reply["status"] == "ok" and reply["execution_count"] == 1, reply
    kinds = [kind for kind, _ in outputs]
    assert kinds[:2] == ["status", "execute_input"], kinds
    assert "".join(stream["text"] for stream in only(outputs, "stream")) == "printed\n"
    assert only(outputs, "execute_result")[0]["data"]["text/plain"] == "2"
    _, outputs = code.cell("plot_functions(\"x\", \"y\", 0.0..5.0, &[(\"x²\", &|x: f64| x * x)])?")
    data = only(outputs, "execute_result")[0]["data"]
    assert any(mime.startswith("image/") for mime in data) and data["text/plain"], list(data)
    done("cells")

    # It sends all cells of a notebook at once, and decides itself what a failure ends.
    first, second = code.execute("let n: i32 = \"text\";"), code.execute("values.len() + 1")
    error = only(code.outputs(first), "error")[0]
    assert "E0308" in "\n".join(error["traceback"]), error
    assert code.reply(first)["status"] == "error"
    assert only(code.outputs(second), "execute_result")[0]["data"]["text/plain"] == "3"
    assert code.reply(second)["status"] == "ok"
    done("errors")

    request = code.execute("let name = input(\"Who? \")?;\nname")
    question = code.receive("stdin")
    assert question["header"]["msg_type"] == "input_request" and question["parent_header"]["msg_id"] == request
    assert question["content"] == {"prompt": "Who? ", "password": False}
    code.send("stdin", "input_reply", {"value": "Ada", "status": "ok"})
    assert only(code.outputs(request), "execute_result")[0]["data"]["text/plain"] == "\"Ada\""
    code.reply(request)
    done("input")

    # Completion, and documentation for the item that is chosen: the text up to the item, and the item.
    text = "let größer = \"ü\"; values.le"
    asked = {"code": text, "cursor_pos": len(text)}
    reply = until(lambda: code.ask("complete_request", asked), lambda reply: "len" in reply["matches"])
    items = reply["metadata"]["_jupyter_types_experimental"]
    assert reply["status"] == "ok" and len(items) >= len(reply["matches"]), reply
    for item in items:
        assert all(isinstance(item[field], str) for field in ["text", "type"]), item
        assert text[item["start"]:item["end"]] == "le", item
    begun = text[:reply["cursor_start"]] + "len"
    asked = {"code": begun, "cursor_pos": len(begun), "detail_level": 0}
    reply = until(lambda: code.ask("inspect_request", asked), lambda reply: reply["found"])
    assert "fn len(" in reply["data"]["text/plain"], reply
    done("completion")

    # A widget: its view's model is opened, and the page tells of its moves on the shell channel.
    _, outputs = code.cell("let n = slider(\"n\", 0..=10);\ninteract(&n, |n| format!(\"square {}\", n * n))?;")
    models = only(outputs, "comm_open")
    assert {model["target_name"] for model in models} == {"jupyter.widget"}
    moved = [model for model in models if model["data"]["state"].get("_model_name") == "IntSliderModel"][0]
    assert only(outputs, "display_data")[0]["data"]["application/vnd.jupyter.widget-view+json"]["model_id"]
    request = code.send("shell", "comm_msg", {"comm_id": moved["comm_id"], "data": {
        "method": "update", "state": {"value": 7}, "buffer_paths": []}})
    assert "square 49" in json.dumps(code.outputs(request)), "the closure has been called"
    assert moved["comm_id"] in code.ask("comm_info_request", {"target_name": "jupyter.widget"})["comms"]
    done("a widget")

    # Its interrupt is a request on the shell channel, since the kernel takes messages.
    request = code.execute("loop { if itd_prelude::cell::interrupted() { break; } std::thread::sleep(std::time::Duration::from_millis(20)); }")
    while ("execute_input" != code.receive("iopub")["header"]["msg_type"]):
        pass
    time.sleep(2)
    assert code.ask("interrupt_request", {})["status"] == "ok"
    code.reply(request)
    _, outputs = code.cell("values.len()")
    assert only(outputs, "execute_result")[0]["data"]["text/plain"] == "2"
    done("interrupt")


def main():
    code = Extension()
    try:
        walk(code)
        family = psutil.Process(code.process.pid).children(recursive=True)
        assert family, "the cells have a process of their own"
    finally:
        code.process.send_signal(signal.SIGKILL)
        code.process.wait()
    _, left = psutil.wait_procs(family, timeout=20)
    assert not left, left
    done("the end")
    print("all")


main()
