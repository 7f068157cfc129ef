"""Text -> tokens, comments and matched brackets; no grammar yet, so words are not told apart from keywords here.

Nothing recurses and nothing is kept beyond the limits: size and nesting are checked before the parser sees a token.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field, replace
from functools import cache

from ricci.dsl import table, tree
from ricci.errors import Diagnostics, ParseFailed, Source, Span

LARGEST = 1 << 20  # bytes of a source (E0004)
MANY = 100  # errors after which a source is given up

CLOSING = {"(": ")", "[": "]", "{": "}"}

# Characters of other notations, and what is written here.
INSTEAD = {
    "−": "-", "–": "-", "—": "-", "×": "*", "·": "*", "⋅": "*", "∙": "*", "÷": "/", "∕": "/",
    "≤": "<=", "≥": ">=", "≠": "!=", "≈": "~", "→": "->", "↔": "<->", "⇌": "<->", "∧": "and", "∨": "or", "¬": "not",
    "&": "and", "|": "or", "!": "not", "‘": '"', "’": '"', "“": '"', "”": '"', "′": "'", "…": "..",
    "∫": "integral[x](u)", "∞": "inf", "∑": "sum[i](u)", "%": "mod(a, b)", "$": "", "\\": "", "?": "if a then b else c", "`": "",
}  # fmt: skip


# Notations of calculus, the longer ones first: what they look like, and what is written here.
CALCULUS = [
    (re.compile(r"∂(\w+)\s*/\s*∂(\w)(?!\w)"), r"d\2(\1)"), (re.compile(r"∂_?([^\W\d_]+)"), r"d\1"),
    (re.compile(r"(?:∇(?:²|\^2|\*\*2)|Δ|∆)(\w+)"), r"lap(\1)"), (re.compile(r"∇(?:²|\^2|\*\*2)|Δ|∆"), "lap"),
    (re.compile(r"∇\s*[·⋅∙.]\s*(\w+)"), r"div(\1)"), (re.compile(r"∇\s*[·⋅∙.]\s*"), "div"),
    (re.compile(r"∇\s*×\s*(\w+)"), r"curl(\1)"), (re.compile(r"∇\s*×\s*"), "curl"),
    (re.compile(r"∇(\w+)"), r"grad(\1)"), (re.compile(r"∇"), "grad"), (re.compile(r"√(\w+)"), r"sqrt(\1)"), (re.compile(r"√"), "sqrt"),
    (re.compile(r"(?<![\w)])∂"), "d"), (re.compile(r"(\w+)!(?!=)"), r"gamma(\1 + 1)"),
]  # fmt: skip


# A newline behind one of these does not end the statement.
CONTINUES = frozenset(["+", "-", "*", "/", "^", "**", "CMP", "=", ",", ":", "..", "->", "<->", "and", "or", "not", "then", "else", "if"])


@dataclass(frozen=True, slots=True)
class Token:
    """`kind` is `NAME`, `NUMBER`, `STRING`, `CMP`, `_SEP` or a symbol itself; `braces` counts the `{` that are open before it."""

    kind: str
    text: str
    start: int
    end: int
    braces: int = 0


@dataclass
class Tokens:
    """All tokens of a source, ending in `_SEP`; `broken`: offsets where an error was reported already; `edits` would mend
    some of them: (start, end, replacement) by the offset of the error."""

    source: Source
    tokens: list[Token]
    comments: list[tree.Comment]
    broken: list[int] = field(default_factory=list)
    edits: dict[int, tuple[int, int, str]] = field(default_factory=dict)


@cache
def scanner() -> re.Pattern[str]:
    """One alternative per kind of token; longer symbols first."""
    grammar = table.load()
    symbols = sorted((t for t in grammar.literals if not t.isalpha()), key=lambda t: (-len(t), t))
    arrows = [s for s in symbols if s.endswith("->")]
    others = [s for s in symbols if s not in arrows]
    double = [s for s in others if len(s) > 1]
    single = [s for s in others if len(s) == 1]
    alternatives = [
        r"(?P<DOTS>\.{3,})",
        rf"(?P<NUMBER>{grammar.patterns['NUMBER']})",
        rf"(?P<NAME>{grammar.patterns['NAME']})",
        r"(?P<SPACE>[ \t\u00a0\u2000-\u200a\u202f\u205f\u3000]+)",
        r"(?P<COMMENT>\#[^\n]*)",
        r"(?P<SEP>;|\r?\n)",
        rf"(?P<STRING>{grammar.patterns['STRING']})",
        r'(?P<OPEN_STRING>"[^"\n]*)',
        "(?P<ARROW>" + "|".join(map(re.escape, arrows)) + ")",
        rf"(?P<CMP>{grammar.patterns['CMP']}|==)",
        "(?P<DOUBLE>" + "|".join(map(re.escape, double)) + ")",
        "(?P<SINGLE>" + "|".join(map(re.escape, single)) + ")",
        r"(?P<BAD>.)",
    ]
    return re.compile("|".join(alternatives), re.DOTALL)


def tokenize(source: Source, errors: Diagnostics) -> Tokens:
    """Tokens of a source. Errors that leave the rest readable are collected; too much of anything raises."""
    size = len(source.text.encode("utf-8", "surrogatepass"))
    if size > LARGEST:
        raise ParseFailed(
            "E0004",
            f"the source has {size} bytes; at most {LARGEST} (1 MiB) are read",
            Span(source, 0, 0),
            label="of this text",
            notes=("data belong into a file that the model loads",),
        )
    result = Tokens(source, [], [])
    _scan(result, errors)
    braces = _match_brackets(result, errors)
    result.tokens = _drop_separators(result, braces)
    return result


def _scan(result: Tokens, errors: Diagnostics) -> None:
    source, text = result.source, result.source.text
    nesting = 0
    alone = True  # nothing on this line yet
    position = 1 if text.startswith("\ufeff") else 0
    for match in scanner().finditer(text, position):
        kind, start, end = str(match.lastgroup), match.start(), match.end()
        if kind == "SPACE":
            continue
        if kind == "COMMENT":
            result.comments.append(tree.Comment(match[0].rstrip(), alone, span=Span(source, start, end)))
            continue
        if kind == "SEP":
            kind = "_SEP"
            alone = match[0] != ";"
        else:
            alone = False
        if kind == "BAD":
            _bad_character(result, errors, start)
            if len(errors.errors) == MANY:  # not a text at all
                errors.raise_if_any(ParseFailed)
            continue
        if kind == "DOTS":
            result.broken.append(start)
            errors.add("E0001", f"`{match[0]}` has no meaning here", Span(source, start, end), label="a range is written `lo..hi`")
            result.edits[start] = (start, end, "..")
            kind = ".."
        elif kind == "OPEN_STRING":
            result.broken.append(start)
            errors.add("E0002", "this string is not closed on its line", Span(source, start, end), label='a `"` is missing')
            result.edits[start] = (end, end, '"')
            kind = "STRING"
        elif kind in ("ARROW", "DOUBLE", "SINGLE"):
            kind = match[0]
        elif kind == "NAME" and not match[0].rstrip("'").isidentifier():
            _bad_name(result, errors, match[0], start)
        result.tokens.append(Token(kind, match[0], start, end))
        nesting += (kind in CLOSING) - (kind in CLOSING.values())
        if nesting > 20 * tree.DEEPEST:  # whatever else is wrong with it
            raise _too_deep(source, result.tokens[-1])
    result.tokens.append(Token("_SEP", "", len(text), len(text)))


def _bad_character(result: Tokens, errors: Diagnostics, start: int) -> None:
    character = result.source.text[start]
    in_a_run = result.broken[-1:] == [start - 1]  # one message for a run of them
    result.broken.append(start)
    if in_a_run or any(a <= start < b for a, b, _ in result.edits.values()):
        return
    if _calculus(result, errors, start):
        return
    shown = f"`{character}`" if character.isprintable() and character != "`" else f"U+{ord(character):04X}"
    instead = INSTEAD.get(character, "")
    label = f"write `{instead}`" if instead else ""
    if instead and "(" not in instead:
        doubled = result.source.text[start : start + 2] in ("&&", "||")
        result.edits[start] = (start, start + 1 + doubled, instead)
    if character == "'":
        label = 'strings stand in double quotes: `"..."`'
    errors.add("E0001", f"the character {shown} has no meaning here", Span(result.source, start, start + 1), label=label)


def _calculus(result: Tokens, errors: Diagnostics, start: int) -> bool:
    """`∇²T`, `∂t(T)`, `5!`: notations that are operators here."""
    text = result.source.text
    first = start
    if text[start] == "!":
        while first > 0 and (text[first - 1].isalnum() or text[first - 1] == "_"):
            first -= 1
    for pattern, written in CALCULUS:
        found = pattern.match(text, first)
        if found and found.end() > start:
            instead = found.expand(written)
            result.edits[first] = (first, found.end(), instead)
            label = f"write `{instead}`" if instead.endswith(")") else f"write `{instead}(...)`"
            errors.add("E0001", f"`{found[0].strip()}` is not written here", Span(result.source, first, found.end()), label=label)
            return True
    return False


def _bad_name(result: Tokens, errors: Diagnostics, text: str, start: int) -> None:
    """`x²` is a power, not a name; a name that only looks like one would be another variable after normalization."""
    at = next(i for i, c in enumerate(text, 1) if c != "'" and not (c if i == 1 else "a" + c).isidentifier())
    character = text[at - 1]
    if any(a <= start < b for a, b, _ in result.edits.values()):  # part of a notation that has its message
        return
    plain = unicodedata.normalize("NFKC", character)
    raised = unicodedata.decomposition(character).startswith("<super>")
    instead = f"^{plain}" if raised and at > 1 else plain
    span = Span(result.source, start + at - 1, start + at)
    result.broken.append(start)
    result.edits[start + at - 1] = (start + at - 1, start + at, instead)
    errors.add("E0001", f"`{character}` cannot stand in a name", span, label=f"write `{text[: at - 1]}{instead}`")


def _match_brackets(result: Tokens, errors: Diagnostics) -> list[str]:
    """Finds the innermost open bracket before each token. Unless all brackets match, a line that starts with a statement keyword
    is taken to start a statement, so that one forgotten `)` does not swallow the rest of the file."""
    innermost, faults = _bracket_pass(result, frozenset())
    if not faults:
        return innermost
    innermost, faults = _bracket_pass(result, statement_keywords())
    for opener, at in faults:
        result.broken.append(at.start)
        span = Span(result.source, at.start, at.end)
        if opener:
            errors.add("E0002", f"`{at.text}` is never closed", span, label=f"`{CLOSING[at.text]}` is missing")
        else:
            result.edits[at.start] = (at.start, at.end, "")
            errors.add("E0001", f"`{at.text}` closes nothing", span, label="no bracket is open here")
    if len(faults) > MANY:
        errors.raise_if_any(ParseFailed)
    return innermost


def _too_deep(source: Source, token: Token) -> ParseFailed:
    message = f"brackets are nested deeper than {tree.DEEPEST} levels"
    return ParseFailed("E0004", message, Span(source, token.start, token.end), label="one of too many")


def _bracket_pass(result: Tokens, starts: frozenset[str]) -> tuple[list[str], list[tuple[bool, Token]]]:
    """The kinds of the open brackets at each token, innermost last as one letter, and (is an opener, token) for each fault."""
    tokens = result.tokens
    stack: list[Token] = []
    faults: list[tuple[bool, Token]] = []
    innermost: list[str] = []
    kept: list[Token] = []
    braces = 0
    for i, token in enumerate(tokens):
        if len(faults) > MANY or len(stack) > tree.DEEPEST:
            break
        kind = token.kind
        if starts and kind == "NAME" and token.text in starts and i > 0 and "\n" in tokens[i - 1].text:
            while stack and stack[-1].kind != "{":
                faults.append((True, stack.pop()))
            innermost[-1] = stack[-1].kind if stack else ""  # the newline before it ends a statement after all
        if kind in CLOSING.values():
            opener = next((o for o in reversed(stack) if CLOSING[o.kind] == kind), None)
            if opener is None:
                other = bool(stack) and stack[-1].kind != "{"  # `(x]`: it stands in the place of the right one
                faults.append((True, stack.pop()) if other else (False, token))
                if starts:
                    continue  # left out, so that what follows can be read
            else:
                while stack[-1] is not opener:
                    braces -= stack[-1].kind == "{"
                    faults.append((True, stack.pop()))
                stack.pop()
                braces -= kind == "}"
        innermost.append(stack[-1].kind if stack else "")
        kept.append(Token(kind, token.text, token.start, token.end, braces))
        if kind in CLOSING:
            stack.append(token)
            braces += kind == "{"
            if len(stack) > tree.DEEPEST and starts:
                raise _too_deep(result.source, token)
    faults += [(True, o) for o in stack]
    innermost[-1:] = [""]  # the end of the text ends the last statement, whatever is open
    if starts or not faults:
        result.tokens = kept
    return innermost, sorted(faults, key=lambda f: f[1].start)


def _drop_separators(result: Tokens, innermost: list[str]) -> list[Token]:
    """No newline inside () and [], and one separator where several stand."""
    kept: list[Token] = []
    for token, inside in zip(result.tokens, innermost, strict=True):
        if token.kind == "_SEP" and (inside in ("(", "[") or (kept and kept[-1].kind == "_SEP")):
            if inside in ("(", "[") and token.text == ";":
                kept.append(replace(token, kind=";"))  # fits nowhere: the parser tells
            continue
        kept.append(token)
    return kept


@cache
def statement_keywords() -> frozenset[str]:
    """The words that start a statement."""
    grammar = table.load()
    return frozenset(t for t in grammar.actions[grammar.start] if t.isalpha() and t.islower())
