"""What is wrong with a statement that does not parse, in the user's words, and how it was probably meant.

A remedy is found by trying: edits of the statement at the error, the likeliest first, until one of them parses there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

from ricci.dsl import table
from ricci.dsl.lexer import CLOSING, CONTINUES, Token, Tokens, statement_keywords, tokenize
from ricci.dsl.remedies import one_line
from ricci.dsl.spelling import nearest
from ricci.errors import Diagnostic, Diagnostics, ParseFailed, Source, Span

LONGEST_REPAIRED = 600  # characters of a statement that remedies are tried on
LONGEST_HELP = 200

# Where a quantity may go on, these say nothing about what is missing.
OPERATORS = frozenset(["+", "-", "*", "/", "^", "**", "CMP", "and", "or", "[", "(", ".", ".."])
OPERAND = frozenset(["NAME", "NUMBER", "STRING", "(", "[", "+", "-", "if", "not"])
INSERTED = ("on", "in", "to", "..", ",", "=", ":", "then", "else", "rate", "->", "until", "when", "with", ";")

# First words of other languages, and what is written here.
ELSEWHERE = {
    "for": "an axis is named in brackets: `sum[i](...)`, `y[i] = ...`", "while": "`iterate ... until ...`",
    "def": "`fn f(x) = ...`", "function": "`fn f(x) = ...`", "return": "the last assignment is the result",
    "var": "`field`, `param` or `let`", "unknown": "`field u(D)`", "variable": "`field u(D)`", "print": "`output` or `plot`",
    "include": "`import`", "use": "`import`", "using": "`import`", "assert": "`check`", "test": "`check`", "pde": "`equation`",
    "ode": "`equation`", "bc": "`boundary u on x.lo: ...`", "ic": "`initial u = ...`", "mesh": "`grid` in `solve { ... }`",
    "constant": "`const`", "parameter": "`param`", "axis": "`dim` or `domain`", "index": "`dim`", "class": "`model` or `layer`",
    "set": "`let`", "where": "`let`", "from_file": "`load(...)`", "time": "`until: t=...` in `solve { ... }`",
}  # fmt: skip


@dataclass(frozen=True)
class Situation:
    """Token `at` does not fit into the statement that begins with token `first`; `states` is the stack there."""

    source: Source
    tokens: list[Token]
    first: int
    at: int
    states: list[int]

    @cached_property
    def after(self) -> int:
        """The first token behind the statement."""
        depth = self.tokens[self.first].braces
        for i in range(self.at, len(self.tokens)):
            token = self.tokens[i]
            if token.braces == depth and token.kind == "_SEP":
                return i + 1
            if token.kind == "}" and token.braces < depth:
                return i
        return len(self.tokens)

    @cached_property
    def read(self) -> list[tuple[Token, str, list[int]]]:
        """The tokens of the statement before the error, with their kinds and the stack before each."""
        return list(replay(self.states, self.tokens[self.first : self.at]))

    @cached_property
    def kinds(self) -> list[str]:
        return [kind for _, kind, _ in self.read]

    @cached_property
    def expected(self) -> frozenset[str]:
        """What would fit instead of the token."""
        return expected_after(self.stack)

    @cached_property
    def stack(self) -> list[int]:
        if not self.read:
            return self.states
        _, kind, before = self.read[-1]
        return table.load().advance(before, kind) or self.states

    @property
    def token(self) -> Token:
        return self.tokens[self.at]

    @property
    def previous(self) -> Token | None:
        return self.read[-1][0] if self.read else None

    @property
    def span(self) -> Span:
        """Of the token; where a line ends too early, just behind its last token."""
        if self.token.kind == "_SEP" and self.token.text != ";" and self.previous:
            return Span(self.source, self.previous.end, self.previous.end)
        return Span(self.source, self.token.start, self.token.end)

    @property
    def found(self) -> str:
        if self.token.kind == "_SEP" and self.token.text != ";":
            return "the end of the line" if self.token.text else "the end of the text"
        return quoted(self.token)

    @cached_property
    def bounds(self) -> tuple[int, int]:
        """Where the text of the statement starts and ends."""
        last = self.after - 1
        while last > self.first and self.tokens[last].kind == "_SEP":
            last -= 1
        return self.tokens[self.first].start, self.tokens[last].end

    def mended(self, *edits: tuple[int, int, str]) -> str:
        """The statement with places (start, end) of the text replaced, if it parses then; else ""."""
        start, end = self.bounds
        if end - start > LONGEST_REPAIRED:
            return ""
        text, position = "", start
        for left, right, replacement in sorted(edits):
            text += self.source.text[position:left] + replacement
            position = right
        text += self.source.text[position:end]
        return text if len(text) <= LONGEST_HELP and text.count("\n") < 4 and fits(self.states, text) else ""

    def error(self, code: str, message: str, span: Span | None = None, label: str = "", help: str = "") -> Diagnostic:
        return Diagnostic(code, message, span or self.span, label, help)


def quoted(token: Token) -> str:
    text = token.text if len(token.text) <= 30 else token.text[:27] + "..."
    return f"`{text}`"


def replay(states: list[int], tokens: list[Token]) -> Iterator[tuple[Token, str, list[int]]]:
    """Tokens with their kinds and the stack before each, as far as they fit."""
    grammar = table.load()
    last = ""
    for token in tokens:
        kind = grammar.kind(states[-1], token)
        if kind == "_SEP" and last in CONTINUES and token.text != ";":
            continue
        after = grammar.advance(states, kind)
        if after is None:
            return
        yield token, kind, states
        states, last = after, kind


def fits(states: list[int], text: str) -> bool:
    """Whether a text is a whole statement where the stack is `states`."""
    errors = Diagnostics()
    try:
        tokens = tokenize(Source("", text), errors).tokens
    except ParseFailed:
        return False
    read = list(replay(states, tokens))
    return not errors.errors and bool(read) and read[-1][0] is tokens[-1]


def expected_after(stack: list[int]) -> frozenset[str]:
    grammar = table.load()
    return frozenset(t for t in grammar.actions[stack[-1]] if grammar.advance(stack, t))


def in_words(expected: frozenset[str]) -> str:
    """What may stand at a place, as a user would say it."""
    if len(expected & statement_keywords()) > 5:
        return "a statement"
    words = []
    rest = set(expected) - {"$END", "@"}
    if rest >= {"NUMBER", "("}:
        words.append("an expression")
        rest -= OPERAND
    elif "*" in rest:
        rest -= OPERATORS if rest - OPERATORS - {"_SEP", ","} or rest & {"_SEP", ","} else OPERATORS - {".."}
        if len(rest) > 1:
            rest.discard(",")
    if rest & {"=", ":"}:
        rest -= {"(", "["}
    if "*" in expected and rest & {")", "]"}:  # an argument may turn out to be `name=value`; that goes without saying
        rest -= {"="}
    names = {"NAME": "a name", "NUMBER": "a number", "STRING": 'a text in double quotes (`"..."`)', "_SEP": "the end of the statement"}
    symbols = sorted(t for t in rest if t not in names and t != "CMP")
    if len(symbols) > 1:  # more parts of a list, when something else is possible, go without saying
        symbols = [s for s in symbols if s not in (",", ".")] or symbols
    words += ["an operator"] if "*" in expected and rest <= {"_SEP", ","} else []
    words += [names[t] for t in ("NAME", "NUMBER", "STRING") if t in rest]
    words += [f"`{s}`" for s in symbols]
    if "_SEP" in rest:
        words.append(names["_SEP"])
    words = words or ["an operator"]
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " or " + words[-1]


# ---------------------------------------------------------------------------------------------------------------------
# Slips that have a message of their own; each gives None when it is not the one


def reserved_word(s: Situation) -> Diagnostic | None:
    """`output[b] = ...`: a keyword where a variable is meant."""
    word = s.tokens[s.first]
    if s.at == s.first or not (s.at == s.first + 1 or s.tokens[s.first + 1].start == word.end):
        return None
    if s.tokens[s.first + 1].kind not in (("[", "=", "(") if s.at == s.first + 1 else ("[",)):
        return None
    help = s.mended((word.end, word.end, "_"))
    if word.text not in statement_keywords() or not help:
        return None
    message = f"`{word.text}` is a keyword at the start of a statement and cannot be a name there"
    return s.error("E0001", message, Span(s.source, word.start, word.end), "take another name", help)


def first_word(s: Situation) -> Diagnostic | None:
    """`boundry u on x.lo: ...`, `for i in 1..3`: no such statement."""
    word = s.tokens[s.first]
    if s.at != s.first + 1 or s.kinds != ["NAME"] or len(expected_after(s.states) & statement_keywords()) < 5:
        return None
    span = Span(s.source, word.start, word.end)
    message = f"no statement starts with `{word.text}`"
    guess = nearest(word.text, statement_keywords())
    if word.text.lower() in ELSEWHERE:
        return s.error("E0001", message, span, f"here: {ELSEWHERE[word.text.lower()]}")
    if guess:
        return s.error("E0001", message, span, f"did you mean `{guess}`?", s.mended((word.start, word.end, guess)))
    if s.token.kind in ("NAME", "NUMBER", "STRING"):
        return s.error("E0001", message, span)
    if s.token.kind in OPERATORS or s.token.kind == "_SEP":
        return s.error("E0001", f"expected `=`, found {s.found}", None, "an expression alone is no statement: `let`, `check`, `plot`?")
    return None


def equation_with_comparison(s: Situation) -> Diagnostic | None:
    """`equation a == b`."""
    if "=" not in s.expected:
        return None
    depth = 0
    for token in [*(token for token, _, _ in s.read), s.token]:
        depth += token.kind in CLOSING
        depth -= token.kind in CLOSING.values()
        if token.text == "==" and depth == 0:
            help = s.mended((token.start, token.end, "="))
            word = next((kind for kind in s.kinds if kind in statement_keywords()), "")
            message = "`==` compares two values" + (f"; `{word}` takes `=`" if word else "")
            return s.error("E0003", message, Span(s.source, token.start, token.end), "write `=`", help)
    return None


def comparison_with_equals(s: Situation) -> Diagnostic | None:
    """`check a = b`, `if a = b then ...`."""
    if s.token.kind != "=" or "CMP" not in s.expected:
        return None
    if "=" in s.kinds and not {"if", "check"} & set(s.kinds):
        return s.error("E0001", "there is a second `=` in this statement", None, "one `=` in each equation")
    help = s.mended((s.token.start, s.token.end, "=="))
    return s.error("E0003", "`=` states an equation or gives a value; `==` compares", None, "write `==`", help) if help else None


def bare_unit(s: Situation) -> Diagnostic | None:
    """`1e-4 m^2/s` for `1e-4 [m^2/s]`, `2x` for `2*x`."""
    if s.token.kind != "NAME" or not s.previous or s.previous.kind != "NUMBER":
        return None
    from ricci.dsl.units import Units

    units = Units()
    declared = {name.text for word, name in pairwise(s.tokens) if word.text == "unit"}
    for end in reversed(_ends_of_unit(s, lambda name: name in declared or units.get(name) is not None)):
        help = s.mended((s.token.start, s.token.start, "["), (end, end, "]"))
        if help:
            unit = s.source.text[s.token.start : end]
            span = Span(s.source, s.token.start, end)
            return s.error("E0001", "a unit stands in brackets behind its number", span, f"write `[{unit}]`", help)
    return None


def _ends_of_unit(s: Situation, known: Callable[[str], bool]) -> list[int]:
    """Where a unit that starts at the token may end: it is made of names of units and of numbers in exponents."""
    ends: list[int] = []
    before = ""
    for token in s.tokens[s.at : s.at + 12]:
        if (token.kind == "NAME" and not known(token.text)) or (token.kind == "NUMBER" and before not in ("^", "**", "-", "(")):
            break
        if token.kind not in ("NAME", "NUMBER", "^", "**", "*", "/", "(", ")", "-"):
            break
        before = token.kind
        ends.append(token.end)
    return ends


def missing_product_sign(s: Situation) -> Diagnostic | None:
    """`2x`, `a b`."""
    if s.token.kind not in ("NAME", "NUMBER") or "*" not in s.expected or not s.previous:
        return None
    left, right = s.previous, s.token
    help = s.mended((left.end, right.start, "*"))
    message = f"expected an operator, found {s.found}"
    return s.error("E0001", message, None, f"a product is written `{left.text}*{right.text}`", help) if help else None


def file_name(s: Situation) -> Diagnostic | None:
    """`to u.png` for `to "u.png"`."""
    if s.expected != {"STRING"} or s.token.kind != "NAME":
        return None
    end = s.bounds[1]
    help = s.mended((s.token.start, s.token.start, '"'), (end, end, '"'))
    return s.error("E0001", "a file name stands in double quotes", Span(s.source, s.token.start, end), "", help) if help else None


def field_without_place(s: Situation) -> Diagnostic | None:
    """`field u` for `field u(D)`."""
    if "field" not in s.kinds or not s.previous or s.previous.kind != "NAME" or "(" not in s.expected or ":" in s.expected:
        return None
    words = [t.text for t in s.tokens]
    places = [words[i + 1] for i, word in enumerate(words[:-1]) if word == "domain" and s.tokens[i + 1].kind == "NAME"]
    place = places[0] if places else "t"
    name = s.previous
    help = s.mended((name.end, name.end, f"({place})"))
    message = f"`{name.text}` is a field on nothing"
    return s.error("E0001", message, Span(s.source, name.start, name.end), "a domain or `t` stands behind it", help)


def comma_between_options(s: Situation) -> Diagnostic | None:
    """`grid: x=41, until: t=1` for `grid: x=41; until: t=1`."""
    if s.token.kind != ":" or s.at - 2 <= s.first or s.tokens[s.at - 2].kind != ",":
        return None
    comma = s.tokens[s.at - 2]
    help = s.mended(*_separated(s.tokens[s.at - 2 : s.after]))
    span = Span(s.source, comma.start, comma.end)
    return s.error("E0001", "`,` separates values of one option", span, "options are separated by `;`", help) if help else None


def _separated(tokens: Sequence[Token]) -> list[tuple[int, int, str]]:
    """Edits that put `;` for every `,` before `name:`."""
    return [
        (a.start, a.end, ";")
        for a, b, c in zip(tokens, tokens[1:], tokens[2:], strict=False)
        if (a.kind, b.kind, c.kind) == (",", "NAME", ":")
    ]


def start_behind_recurrence(s: Situation) -> Diagnostic | None:
    """`let z[s] = z[s-1], z[-1] = 1` for `let z[s] = z[s-1]; initial z[s=-1] = 1`."""
    tokens = s.tokens[s.first : s.after]
    head = next((i for i, t in enumerate(tokens[:3]) if t.kind == "["), 0)
    if s.token.kind != "," or not head:
        return None
    name, axes = tokens[head - 1].text, _items(tokens, head)
    edits: list[tuple[int, int, str]] = []
    for i in range(s.at - s.first, len(tokens) - 2):
        comma, word, bracket = tokens[i : i + 3]
        if (comma.kind, word.text, bracket.kind) != (",", name, "["):
            continue
        entry = _items(tokens, i + 2)
        steps = [k for k, item in enumerate(entry) if [t.kind for t in item[-2:]] == ["-", "NUMBER"] and len(item) != 3]
        if len(steps) != 1 or len(entry) > len(axes):
            return None
        item = entry[steps[0]]
        step = s.source.text[item[0].start : item[-1].end] if len(item) > 2 else f"{axes[steps[0]][0].text}=-{item[-1].text}"
        edits += [(comma.start, word.start, "; initial "), (bracket.end, entry[-1][-1].end, step)]
    help = s.mended(*edits) if edits else ""
    return s.error("E0001", "the start of a recurrence is a statement of its own", None, "", help) if help else None


def _items(tokens: Sequence[Token], opening: int) -> list[list[Token]]:
    """The parts between commas of what stands in brackets, none of them empty."""
    items: list[list[Token]] = [[]]
    for token in tokens[opening + 1 :]:
        if token.kind == "]":
            break
        if token.kind == ",":
            items.append([])
        else:
            items[-1].append(token)
    return items if all(items) else []


def grid_without_axes(s: Situation) -> Diagnostic | None:
    """`grid = 41` for `grid: x=41`."""
    if s.kinds != ["NAME"] or s.tokens[s.first].text != "grid" or s.token.kind != "=" or s.at + 2 >= len(s.tokens):
        return None
    number, behind = s.tokens[s.at + 1 : s.at + 3]
    places = zip(s.tokens, s.tokens[1:], s.tokens[2:], strict=False)
    axes = dict.fromkeys(b.text for a, b, c in places if a.kind in (":", ",") and b.kind == "NAME" and c.text == "in")
    if number.kind != "NUMBER" or behind.kind not in ("_SEP", "}") or not axes:
        return None
    help = s.mended((s.tokens[s.first].end, number.end, ": " + ", ".join(f"{axis}={number.text}" for axis in axes)))
    return s.error("E0001", f"expected `:`, found {s.found}", None, "a number of points for each coordinate", help)


def parentheses_for_braces(s: Situation) -> Diagnostic | None:
    """`solve (grid: x=41, until: t=1)` for `solve { grid: x=41; until: t=1 }`."""
    if s.token.kind != "(" or "{" not in s.expected:
        return None
    depth = 0
    for i in range(s.at, s.after):
        depth += (s.tokens[i].kind == "(") - (s.tokens[i].kind == ")")
        if depth == 0:
            closing = s.tokens[i]
            edits = [(s.token.start, s.token.end, "{"), (closing.start, closing.end, "}"), *_separated(s.tokens[s.at : i])]
            return s.error("E0001", f"expected `{{`, found {s.found}", None, "options stand in braces", s.mended(*edits))
    return None


def domain_without_name(s: Situation) -> Diagnostic | None:
    """`domain x in 0..1` for `domain D: x in 0..1`."""
    if s.kinds[:1] != ["domain"] or len(s.kinds) != 2 or s.token.text != "in" or not s.previous:
        return None
    taken = {t.text for t in s.tokens}
    name = next(n for n in ("D", "Domain", *(f"D{k}" for k in range(1, len(taken) + 2))) if n not in taken)
    help = s.mended((s.previous.start, s.previous.start, f"{name}: "))
    message = f"`{s.previous.text}` is a coordinate, a domain has a name of its own"
    return s.error("E0001", message, Span(s.source, s.previous.start, s.previous.end), "", help) if help else None


def pair_for_range(s: Situation) -> Diagnostic | None:
    """`x in [0, 1]` or `x in (0, 1)` for `x in 0..1`."""
    if ".." not in s.expected or not s.previous or s.previous.kind not in (")", "]"):
        return None
    depth, commas = 0, []
    for token, _, _ in reversed(s.read):
        depth += token.kind in CLOSING.values()
        depth -= token.kind in CLOSING
        if token.kind == "," and depth == 1:
            commas.append(token)
        if depth == 0:
            edits = [(token.start, token.end, ""), (s.previous.start, s.previous.end, "")]
            help = s.mended(*edits, (commas[0].start, _past_spaces(s.source.text, commas[0].end), "..")) if len(commas) == 1 else ""
            span = Span(s.source, token.start, s.previous.end)
            return s.error("E0001", "a range is written with `..`", span, "write `lo..hi`", help) if help else None
    return None


def _past_spaces(text: str, position: int) -> int:
    while text[position : position + 1] == " ":
        position += 1
    return position


def misspelt_keyword(s: Situation) -> Diagnostic | None:
    """`domain D: x im 0..1`, `solve minimise f over W`: the word at the error or the one before it."""
    places = [(s.token, s.expected)] + ([(s.previous, expected_after(s.read[-1][2]))] if s.previous else [])
    for token, expected in places:
        if token.kind != "NAME":
            continue
        guess = nearest(token.text, [t for t in expected if t.isalpha() and t.islower()])
        help = s.mended((token.start, token.end, guess)) if guess else ""
        if help or (guess and token is s.token and len(token.text) > 2):
            span = Span(s.source, token.start, token.end)
            return s.error("E0001", f"expected `{guess}`, found {quoted(token)}", span, f"did you mean `{guess}`?", help)
    return None


SLIPS: tuple[Callable[[Situation], Diagnostic | None], ...] = (
    reserved_word,
    first_word,
    domain_without_name,
    equation_with_comparison,
    comparison_with_equals,
    bare_unit,
    pair_for_range,
    misspelt_keyword,
    missing_product_sign,
    file_name,
    field_without_place,
    comma_between_options,
    start_behind_recurrence,
    grid_without_axes,
    parentheses_for_braces,
)


def diagnose(s: Situation) -> tuple[Diagnostic, int]:
    """The message about an error, and the token to go on with."""
    diagnostic, after = _diagnosed(s)
    return (replace(diagnostic, help=whole(s, diagnostic.help)) if diagnostic.help else diagnostic), after


def whole(s: Situation, help: str) -> str:
    """A remedy for an option of `solve` as the whole statement; "" where that is wrong in other places, too."""
    word = s.tokens[s.first]
    if not word.braces:
        return help
    opening = next((i for i in range(s.first - 1, -1, -1) if s.tokens[i].kind == "{" and s.tokens[i].braces == word.braces - 1), 0)
    start = next((i for i in range(opening, -1, -1) if s.tokens[i].kind == "_SEP" and s.tokens[i].braces < word.braces), -1) + 1
    if s.tokens[start].text != "solve":
        return help
    end = next((t.end for t in s.tokens[s.at :] if t.kind == "}" and t.braces == word.braces), len(s.source.text))
    begin, stop = s.bounds
    text = s.source.text
    return one_line(text[s.tokens[start].start : begin] + help + text[stop:end])


def _diagnosed(s: Situation) -> tuple[Diagnostic, int]:
    cut = unfinished(s) or newline_before_brace(s)
    if cut:
        return cut
    for slip in SLIPS:
        found = slip(s)
        if found:
            return found, s.after
    expected = in_words(s.expected)
    return s.error("E0001", f"expected {expected}, found {s.found}", None, "", remedy(s)), s.after


def unfinished(s: Situation) -> tuple[Diagnostic, int] | None:
    """A line that ends in an operator, `=` or `,` runs on into the next statement: the fault is at its end."""
    for i in (s.at, s.at - 1):
        if not s.first < i < len(s.tokens):
            continue
        token, before = s.tokens[i], s.tokens[i - 1]
        if before.kind == "_SEP" and i - 2 >= s.first:
            before = s.tokens[i - 2]
        new_line = "\n" in s.source.text[before.end : token.start]
        ends = token.text in statement_keywords() or token.kind in ("_SEP", "}")
        if new_line and ends and (before.kind in CONTINUES or before.text in CONTINUES):
            span = Span(s.source, before.start, before.end)
            return s.error("E0001", f"nothing stands behind {quoted(before)}", span, "the line ends here"), i
    return None


def newline_before_brace(s: Situation) -> tuple[Diagnostic, int] | None:
    """`layer L(...) -> y[b]` and `{` on the next line."""
    following = s.tokens[s.after] if s.after < len(s.tokens) else None
    if "{" not in s.expected or s.token.kind != "_SEP" or not following or following.kind != "{":
        return None
    after = next((i for i in range(s.after, len(s.tokens)) if s.tokens[i].kind == "}" and s.tokens[i].braces == following.braces), s.after)
    return s.error("E0001", f"expected `{{`, found {s.found}", None, "the `{` stands on this line"), after + 1


def remedy(s: Situation) -> str:
    """The statement after the likeliest edit at the error that makes it parse."""
    for edit in _edits(s):
        help = s.mended(edit)
        if help:
            return help
    return ""


def _edits(s: Situation) -> Iterator[tuple[int, int, str]]:
    """Something put in the place of the token, before it, or nothing in its place or that of the token before it."""
    token, kind = s.token, s.token.kind
    if len(s.expected & statement_keywords()) > 5:
        return
    literals = [t for t in INSERTED if t in s.expected or (t == ";" and "_SEP" in s.expected)]
    if s.expected & {"_SEP", ",", ")", "]"}:  # a quantity could end here: a range is not what is missing
        literals = [t for t in literals if t != ".."]
    if kind == ":":
        literals.sort(key=lambda t: t != "=")
    left = s.previous.end if s.previous else token.start
    behind = _past_spaces(s.source.text, token.end)
    word = token.text in table.load().literals
    if word or kind not in ("_SEP", "NAME", "NUMBER", "STRING"):
        yield from ((left, behind, _spaced(literal)) for literal in literals if literal != ";" or _may_begin(s.tokens[s.at + 1]))
    if kind == "_SEP":
        return
    yield from ((left, token.start, _spaced(literal)) for literal in literals if literal != ";" or _may_begin(token))
    if kind in (",", ":", "=", ";", ")", "]"):
        yield token.start, token.end, ""
    if s.previous and s.previous.kind in (",", ":", "="):
        yield s.previous.start, s.previous.end, ""


def _may_begin(token: Token) -> bool:
    """Whether a statement may begin with the token: outside of braces every one begins with its word."""
    return token.braces > 0 or token.text in statement_keywords()


def _spaced(literal: str) -> str:
    return literal if literal == ".." else f"{literal} " if literal in (",", ":", ";") else f" {literal} "


def offer_edits(tokens: Tokens, errors: Diagnostics) -> None:
    """Adds to the messages about characters the line without them, if it is a statement then."""
    source = tokens.source
    start_state = [table.load().start]
    for i, diagnostic in enumerate(errors.errors):
        span = diagnostic.span
        if diagnostic.help or not span or span.start not in tokens.edits:
            continue
        text = source.line(span.line)
        begin = source.line_starts[span.line - 1]
        for start, end, replacement in sorted(tokens.edits.values(), reverse=True):
            if begin <= start <= begin + len(text):
                text = text[: start - begin] + replacement + text[end - begin :]
        if len(text) <= LONGEST_HELP and fits(start_state, text):
            errors.errors[i] = replace(diagnostic, help=text.strip())


def close(s: Situation, opener: int) -> str:
    """The statement with the bracket that opens at offset `opener` closed, as far to the right as that parses."""
    closing = CLOSING.get(s.source.text[opener], '"')
    end = s.bounds[1]
    places = sorted({t.end for t in s.tokens[s.first : s.after] if opener < t.end <= end}, reverse=True)
    for place in places[:60]:
        help = s.mended((place, place, closing))
        if help:
            return help
    return ""
