"""The library's reference, read from the docstrings and signatures of what the package exports."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
from typing import Any, ForwardRef

import dacse_cli
from dacse_cli.api import enhancer


def library() -> str:
    """Everything in `dacse_cli.__all__`, as Markdown."""
    parts = [
        "# Library",
        "",
        "Written by `examples/docs/generate.py` from the docstrings. Examples: [cookbook](cookbook.md).",
        "",
        "```python",
        "from dacse_cli import Enhancer",
        "",
        'with Enhancer("nano") as enhancer:',
        '    result = enhancer.enhance("talk.wav")',
        '    result.save("clean.wav")',
        "```",
    ]
    for name in ("Enhancer", "Enhanced", "DacseError"):
        parts += ["", f"## {name}", "", *_class(getattr(dacse_cli, name))]
    parts += ["", "## Options of the sound", "", _prose(enhancer.SoundArguments), ""]
    parts += _fields(enhancer.SoundArguments)
    return "\n".join(parts).rstrip() + "\n"


def _class(kind: Any) -> list[str]:
    parts = [*_signature(kind.__name__, kind), _prose(kind)]
    if dataclasses.is_dataclass(kind):
        parts += ["", *_fields(kind)]
    for name, member in vars(kind).items():
        if name.startswith("_") or not inspect.getdoc(member):
            continue
        if isinstance(member, property):
            parts += ["", f"### {name}", "", _prose(member)]
        elif callable(member) or isinstance(member, classmethod):
            parts += ["", f"### {name}", "", *_signature(name, getattr(kind, name)), _prose(member)]
    return parts


def _fields(kind: Any) -> list[str]:
    """A line for each field: its name, its annotation and the string below it."""
    body = ast.parse(inspect.getsource(kind)).body[0]
    assert isinstance(body, ast.ClassDef)
    rows = []
    for field, below in itertools.zip_longest(body.body, body.body[1:]):
        if isinstance(field, ast.AnnAssign):
            row = f"- `{ast.unparse(field.target)}`: `{ast.unparse(field.annotation)}`"
            if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
                row += " - " + " ".join(str(below.value.value).split())
            rows.append(row)
    return rows


def _signature(name: str, function: Any) -> list[str]:
    signature = inspect.signature(function)
    arguments: list[str] = []
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in arguments:
            arguments.append("*")
        if parameter.name != "self":
            arguments.append(_argument(parameter))
    returned = signature.return_annotation
    arrow = "" if returned in (inspect.Signature.empty, "None", None) else f" -> {_bare(returned)}"
    line = f"{name}({', '.join(arguments)}){arrow}"
    if len(line) > 100:
        line = f"{name}(\n" + "".join(f"    {argument},\n" for argument in arguments) + f"){arrow}"
    return ["```python", line, "```", ""]


def _argument(parameter: inspect.Parameter) -> str:
    stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
    kind = "" if parameter.annotation is parameter.empty else f": {_bare(parameter.annotation)}"
    default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
    return f"{stars}{parameter.name}{kind}{default}"


def _bare(annotation: Any) -> str:
    """An annotation as it is written in the code."""
    if isinstance(annotation, ForwardRef):
        return annotation.__forward_arg__
    return annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))


def _prose(documented: Any) -> str:
    return inspect.getdoc(documented) or ""
