"""Small changes of a module's source, each of which some test should notice. Source text in, source text out.

Messages, annotations and docstrings are left alone: no test should depend on their words.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass

COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
COMPUTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
}  # fmt: skip
SKIPPED = {"annotation", "returns", "decorator_list", "type_comment"}
"""Fields of nodes that are not looked into."""


@dataclass(frozen=True)
class Mutant:
    """One change: where, what it was, what it is, and the whole module with it."""

    line: int
    before: str
    after: str
    source: str


def mutants(source: str) -> list[Mutant]:
    """Every change of `source` that is known here, in the order of its lines."""
    tree, found = ast.parse(source), []
    for number, node in enumerate(ast.walk(tree)):
        node.number = number  # type: ignore[attr-defined]
    for node, replacement in _changes(tree):
        changed = _replaced(tree, node.number, replacement)  # type: ignore[attr-defined]
        found.append(
            Mutant(node.lineno, ast.unparse(node).splitlines()[0], ast.unparse(replacement), changed)
        )
    return sorted(found, key=lambda mutant: mutant.line)


def _changes(node: ast.AST) -> Iterator[tuple[ast.stmt | ast.expr, ast.AST]]:
    """Nodes at and below `node`, each with what it may be replaced by."""
    if isinstance(node, ast.stmt | ast.expr):
        for replacement in _replacements(node):
            yield node, replacement
    if isinstance(node, ast.Raise | ast.JoinedStr | ast.Assert):
        return
    for name, value in ast.iter_fields(node):
        if name in SKIPPED or (name == "test" and _is_typing(value)):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _changes(child)


def _is_typing(test: object) -> bool:
    return isinstance(test, ast.Name) and test.id == "TYPE_CHECKING"


def _replacements(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.Compare) and type(node.ops[0]) in COMPARED:
        yield ast.Compare(node.left, [COMPARED[type(node.ops[0])](), *node.ops[1:]], node.comparators)
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
    elif isinstance(node, ast.BinOp) and type(node.op) in COMPUTED:
        if not isinstance(node.left, ast.JoinedStr | ast.List | ast.Tuple):
            yield ast.BinOp(node.left, COMPUTED[type(node.op)](), node.right)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
        yield node.operand
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield ast.Constant(not node.value if isinstance(node.value, bool) else node.value + 1)
    elif isinstance(node, ast.IfExp):
        yield ast.IfExp(ast.UnaryOp(ast.Not(), node.test), node.body, node.orelse)
    else:
        yield from _other_statements(node)


def _other_statements(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.If) and not _is_typing(node.test):
        yield ast.If(ast.UnaryOp(ast.Not(), node.test), node.body, node.orelse)
    elif isinstance(node, ast.Return) and node.value is not None and ast.unparse(node.value) != "None":
        yield ast.Return(ast.Constant(None))
    elif isinstance(node, ast.AugAssign) and type(node.op) in COMPUTED:
        yield ast.AugAssign(node.target, COMPUTED[type(node.op)](), node.value)
    elif (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)) or isinstance(node, ast.Raise):
        yield ast.Pass()
    elif isinstance(node, ast.Continue):
        yield ast.Break()


class _Replace(ast.NodeTransformer):
    def __init__(self, number: int, replacement: ast.AST) -> None:
        self.number, self.replacement = number, replacement

    def visit(self, node: ast.AST) -> ast.AST:
        if getattr(node, "number", None) == self.number:
            return self.replacement
        return self.generic_visit(node)


def _replaced(tree: ast.Module, number: int, replacement: ast.AST) -> str:
    whole = copy.deepcopy(tree)
    return ast.unparse(ast.fix_missing_locations(_Replace(number, copy.deepcopy(replacement)).visit(whole)))
