"""Called by griffe, which reads the docstrings for the API reference."""

import re

import griffe


class PlainModuleText(griffe.Extension):
    """Keeps "Deviations from the paper: ..." in a module's docstring from being read as the title of a section."""

    def on_module_instance(self, *, mod: griffe.Module, **_) -> None:
        if mod.docstring is not None:
            mod.docstring.value = re.sub(r"^(\S[^:\n]*): ", r"\1:&nbsp;", mod.docstring.value, flags=re.MULTILINE)
