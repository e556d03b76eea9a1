"""Writes widgets.json: the states of ipywidgets' widgets as they are when nothing has been set.

    pip install ipywidgets==8.1.9 && python widgets.py > widgets.json
"""

import json

import comm
import ipywidgets
from comm.base_comm import BaseComm


class Silent(BaseComm):
    def publish_msg(self, *args, **kwargs):
        pass


comm.create_comm = lambda *args, **kwargs: Silent(*args, **kwargs)

NAMES = """IntSlider FloatSlider SelectionSlider IntText FloatText Text Dropdown Checkbox ToggleButton Button
IntProgress FloatProgress Output HBox VBox Layout""".split()

states = {}
for name in NAMES:
    settings = {"options": ["a", "b"]} if name in ("SelectionSlider", "Dropdown") else {}
    widget = getattr(ipywidgets, name)(**settings)
    states[name] = widget.get_state()
    style = getattr(widget, "style", None)
    if style is not None:
        states[type(style).__name__] = style.get_state()
for state in states.values():
    for field in ("layout", "style"):
        if field in state:
            state[field] = "IPY_MODEL_"
print(json.dumps(states, indent=1, sort_keys=True))
