"""`ricci fmt`: syntax tree -> canonical text.

`format_file` keeps what the author laid out (which statements share a line, blank lines, comments and their columns, whether
the braces of a `solve` stand on one line) and makes the rest uniform: spaces, parentheses, words, indentation, long lines.
It is a fixed point of itself. `canonical_text` knows no layout: one statement a line, no comments; it is the cache key, and
the text that the embedded language and the prompt print.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ricci.dsl import tree
from ricci.dsl.text import annotation, broken, plain, statement, tail
from ricci.errors import Source

INDENT = "  "
LONGEST = 160  # a statement that the author wrote on one line may be this long
WIDTH = 110  # one that goes over several lines is filled to this width

Body = Sequence[tree.Statement] | Sequence[tree.Entry]


def canonical_text(file: tree.File) -> str:
    """The text that two files have in common exactly when they say the same; without comments."""
    with tree.recursion():
        return "".join(f"{line}\n" for s in file.statements for line in _canonical(s, ""))


def _canonical(node: tree.Statement, indent: str) -> list[str]:
    """A statement on as few lines as its kind allows."""
    head = indent + "".join(f"{plain(annotation(a))} " for a in node.annotations) + plain(statement(node))
    if isinstance(node, tree.Solve):
        return [head + " { " + "".join(f"{plain(statement(e))}; " for e in node.entries)[:-2] + " }" if node.entries else head + " { }"]
    if not isinstance(node, tree.LayerDefinition | tree.ModelDefinition | tree.Iterate):
        return [head]
    inner = [line for s in node.body for line in _canonical(s, indent + INDENT)]
    return [head + " {", *inner, indent + "}" + (plain(tail(node)) if isinstance(node, tree.Iterate) else "")]


def format_file(file: tree.File) -> str:
    """The text of a parsed file in uniform spelling, comments at their places."""
    with tree.recursion():
        lines = _Layout(file).region(file.statements, 0, len(file.source.text), "")
    return "".join(f"{line}\n" for line in lines)


@dataclass(frozen=True)
class _Region:
    """What stands between two offsets of the source: a file, or the inside of braces."""

    start: int
    end: int
    indent: str


class _Layout:
    def __init__(self, file: tree.File) -> None:
        self.source: Source = file.source
        self.comments = file.comments

    def line(self, offset: int) -> int:
        return self.source.line_column(offset)[0]

    def comments_in(self, start: int, end: int) -> list[tree.Comment]:
        return [c for c in self.comments if start <= c.span.start < end]

    def region(self, nodes: Body, start: int, end: int, indent: str) -> list[str]:
        """Lines of statements or options between two offsets, with the comments between them."""
        inside = [(n.span.start, n.span.end) for n in nodes]
        loose = [c for c in self.comments_in(start, end) if not any(a <= c.span.start < b for a, b in inside)]
        lines: list[str] = []
        last = -1  # the line of the source that the last part ended on
        last_is_statement = False
        for node in sorted([*nodes, *loose], key=lambda n: n.span.start):
            line = self.line(node.span.start)
            if lines and line > last + 1 and self.blank_between(last, line):
                lines.append("")
            if isinstance(node, tree.Comment):
                same_line = bool(lines) and line == last
                if same_line:
                    lines[-1] = self.beside(lines[-1], node)
                else:
                    lines.append(indent + node.text)
                last_is_statement = False
            else:
                printed = self.node(node, indent)
                joined = f"{lines[-1]}; {printed[0].lstrip()}" if lines else ""
                if last_is_statement and line == last and len(printed) == 1 and len(joined) <= LONGEST and not lines[-1].endswith("}"):
                    lines[-1] = joined
                else:
                    lines += printed
                last_is_statement = True
            last = self.line(max(node.span.end - 1, node.span.start))
        return lines

    def blank_between(self, last: int, line: int) -> bool:
        return last > 0 and any(not self.source.line(number).strip() for number in range(last + 1, line))

    def beside(self, line: str, comment: tree.Comment) -> str:
        """A comment behind a line, in the column that it had if there is room."""
        return line.ljust(max(len(line) + 2, comment.span.column - 1)) + comment.text

    def node(self, node: tree.Statement | tree.Entry, indent: str) -> list[str]:
        """A statement or option as lines."""
        opening = self.opening(node)
        body = (opening, node.span.end) if opening else (node.span.end, node.span.end)
        within = [*self.comments_in(node.span.start, body[0]), *(self.comments_in(self.closing(node), node.span.end) if opening else ())]
        if within and all(part.span.source is self.source for part in tree.walk(node)):  # no value was put in from elsewhere
            return self.verbatim(node, indent)
        head = self.annotations(node) if isinstance(node, tree.Statement) else ""
        if opening and isinstance(node, tree.LayerDefinition | tree.ModelDefinition | tree.Iterate | tree.Solve):
            return self.with_body(node, head, opening, indent)
        pieces = statement(node)
        *before, head = head.split("\n")
        one = indent + head + plain(pieces)
        several_lines = "\n" in re.sub(r"^(@[^\n]*\n\s*)+", "", node.span.text)
        if len(one) > (WIDTH if several_lines else LONGEST):
            one = indent + broken([head, *pieces], WIDTH - len(indent), indent + 2 * INDENT)
        return [*(indent + line for line in before), *one.split("\n")]

    def annotations(self, node: tree.Statement) -> str:
        """`@pml(width=40) `; on a line of its own if the author had it there."""
        text = ""
        for each in node.annotations:
            behind = self.source.text[each.span.end : node.span.end]
            text += plain(annotation(each)) + ("\n" if re.match(r"[ \t]*\r?\n", behind) else " ")
        return text

    def with_body(
        self, node: tree.LayerDefinition | tree.ModelDefinition | tree.Iterate | tree.Solve, head: str, opening: int, indent: str
    ) -> list[str]:
        parts: Body = node.entries if isinstance(node, tree.Solve) else node.body
        closing = self.closing(node)
        *before, head = head.split("\n")
        first = indent + head + plain(statement(node)) + " {"
        last = "}" + (plain(tail(node)) if isinstance(node, tree.Iterate) else "")
        if len(first) > LONGEST:
            first = indent + broken([head, *statement(node), " {"], WIDTH - len(indent), indent + 2 * INDENT)
        lines = [indent + line for line in before] + first.split("\n")
        if self.line(opening) == self.line(closing):
            inner = self.region(parts, opening + 1, closing, "")
            one = f"{lines[-1]} {'; '.join(inner)} {last}" if inner else f"{lines[-1]} {last}"
            if len(one) <= LONGEST and len(inner) <= 1:
                return [*lines[:-1], one]
        inside = [c for c in self.comments_in(opening, closing) if self.line(c.span.start) == self.line(opening)]
        start = opening + 1
        if inside and not any(p.span.start < inside[0].span.start for p in parts):
            lines[-1] = self.beside(lines[-1], inside[0])
            start = inside[0].span.end
        return [*lines, *self.region(parts, start, closing, indent + INDENT), indent + last]

    def opening(self, node: tree.Node) -> int:
        """Where `{` stands, or 0 if the node has none; braces are nowhere else but in strings and comments."""
        if not isinstance(node, tree.LayerDefinition | tree.ModelDefinition | tree.Iterate | tree.Solve):
            return 0
        return self._brace(node, "{")

    def closing(self, node: tree.Node) -> int:
        """Where the `}` of a node stands."""
        return self._brace(node, "}")

    def _brace(self, node: tree.Node, brace: str) -> int:
        """The first `{` or the last `}` of a node, outside of strings and comments."""
        found = 0
        for match in re.finditer(r'"[^"\n]*"|#[^\n]*|[{}]', node.span.text):
            if match[0] == brace:
                found = node.span.start + match.start()
                if brace == "{":
                    break
        return found

    def verbatim(self, node: tree.Node, indent: str) -> list[str]:
        """A statement with comments in the middle of an expression stays as it was written."""
        first, *rest = (line.rstrip() for line in node.span.text.split("\n"))
        return [indent + first, *rest]
