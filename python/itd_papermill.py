"""Parameters of papermill for notebooks in Rust.

papermill does not show a translator the cell with the defaults, so a value takes its type from the variable that it
replaces: ``epochs=3`` becomes ``let mut epochs = epochs; epochs = 3 as _;``, and a `usize` stays one. The notebook
needs that variable, as a rule in the cell tagged ``parameters``.
"""

import math
import re

from papermill.engines import NBClientEngine
from papermill.models import Parameter
from papermill.translators import Translator, papermill_translators

_DECLARED = re.compile(
    r"^\s*let\s+(?:mut\s+)?(?P<name>\w+)\s*(?::\s*(?P<type>[^=]+?)\s*)?=\s*(?P<value>.*?)\s*;\s*(?://\s*(?P<help>.*))?$"
)


class RustTranslator(Translator):
    """Values as Rust has them, for a place whose type is known."""

    @classmethod
    def translate_int(cls, val):
        # A negative number is not made a large one where it does not fit.
        return f"{val} as _" if val >= 0 else f"{val}"

    @classmethod
    def translate_float(cls, val):
        if math.isnan(val):
            return "f64::NAN as _"
        if math.isinf(val):
            return f"f64::{'NEG_' if val < 0 else ''}INFINITY as _"
        return f"{val}"

    @classmethod
    def translate_str(cls, val):
        shown = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
        text = "".join(shown.get(c, c if c.isprintable() else f"\\u{{{ord(c):x}}}") for c in str(val))
        return f'"{text}".into()'

    @classmethod
    def translate_list(cls, val):
        return f"[{', '.join(cls.translate(item) for item in val)}].into()"

    @classmethod
    def comment(cls, cmt_str):
        return f"// {cmt_str}".strip()

    @classmethod
    def assign(cls, name, str_val):
        if re.fullmatch(r"-\d+", str_val):
            # Of the variable's type, which may be a float; where that has no sign, it is an error of the compiler.
            return f"let mut {name} = {name}; {name} = {str_val[1:]} as _; {name} = -{name};"
        return f"let mut {name} = {name}; {name} = {str_val};"

    @classmethod
    def inspect(cls, parameters_cell):
        found = (_DECLARED.match(line) for line in parameters_cell["source"].splitlines())
        return [
            Parameter(
                name=line["name"],
                inferred_type_name=line["type"] or "None",
                default=line["value"],
                help=line["help"] or "",
            )
            for line in found
            if line
        ]


papermill_translators.register("rust", RustTranslator)


class Engine(NBClientEngine):
    """papermill's own engine, under the name by which this file is found."""
