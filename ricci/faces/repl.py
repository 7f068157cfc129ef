"""The prompt: statements are checked as they are entered and join the model when they fit; commands start with a colon.

A line that opens a bracket goes on; a statement with an error is refused and the model stays as it was.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TextIO

from ricci.driver import Settings
from ricci.errors import Diagnostic, RicciError, Source, Span

PROMPT = "ricci> "
CONTINUED = "  ...> "
HELP = """statements of the language join the model; `solve { ... }` or `run` also computes
  EXPRESSION                   its value at the end of the run, as in max(u) or u(x=0.5)
  run [with NAME=VALUE, ...]   compute, with other values
  explain [CODE]               what was chosen for the model and why; what a code means
  :list                        the text of the model          :undo    drop the last entry
  :show STAGE                  what a stage produced          :source  the generated code
  :load FILE   :save FILE      read, write the model          :clear   start again
  :help        :quit"""
PLAIN = {"help": "help", "quit": "quit", "exit": "quit", "q": "quit"}  # commands that are often typed without their colon
VALUES = "values at the prompt.npz"
INCOMPLETE = ("E0301", "E0303", "E0305")  # a model in the making may still lack conditions and equations


@dataclass
class Session:
    """The model so far, as accepted pieces of text. `feed` takes one complete entry and says what to print."""

    entries: list[str] = field(default_factory=list)
    history: list[list[str]] = field(default_factory=list)  # the entries before each one that joined
    settings: Settings = field(default_factory=Settings)
    notes: list[Diagnostic] = field(default_factory=list)  # that have been said
    listen: Callable[[Any], None] | None = None
    done: bool = False

    def source(self, extra: str = "") -> Source:
        return Source("<prompt>", "\n".join([*self.entries, *([extra] if extra else [])]) + "\n")

    def feed(self, text: str) -> str:
        """One entry, statement or command; errors come back as text, never as an exception."""
        text = text.strip()
        if not text:
            return ""
        try:
            if text.startswith(":"):
                return self._command(text[1:])
            word = text.split(maxsplit=1)[0]
            if word == "explain":
                return self._explain(text[len(word) :].strip())
            if word == "run":
                return self._run(text[len(word) :].strip())
            if _is_expression(text):
                return self._command(PLAIN[text]) if text in PLAIN and not self._declares(text) else self._value(text)
            return self._statement(text)
        except RicciError as error:
            return error.render()

    def _statement(self, text: str) -> str:
        from ricci.driver import check_text

        problem = ""
        before = list(self.entries)
        solves = bool(_solves(Source("<prompt>", text)))
        if solves:
            self.entries = _without_solves(self.entries)
        said = "  ok"
        try:
            model = check_text(self.source(text), self.settings)
            known = {d.message for d in self.notes}
            said += "".join(f"\n  note: {d.message}" for d in model.notes if d.message not in known)
            self.notes = model.notes
        except RicciError as error:
            if solves or not all(map(_is_open, error.diagnostics)):
                self.entries = before
            if not all(map(_is_open, error.diagnostics)):
                raise
            problem = "\n".join(f"  still open: {d.message}" for d in error.diagnostics)
        if solves and problem:
            return problem
        self.history.append(before)
        self.entries.append(text)
        if solves:
            return self._run("")
        return problem or said

    def _run(self, rest: str) -> str:
        from ricci.faces.execute import execute

        settings = self.settings
        if rest.startswith("with"):
            pairs = tuple(_pair(part) for part in _split(rest[4:]))
            settings = replace(settings, set=(*settings.set, *pairs))
        outcome = execute(self.source(), settings, listen=self.listen)
        return "\n".join([*(d.render() for d in outcome.warnings), outcome.summary()])

    def _declares(self, name: str) -> bool:
        from ricci.dsl import tree
        from ricci.dsl.remedies import nodes

        return any(n.id == name for n in nodes(self.source(), tree.Name))

    def _value(self, text: str) -> str:
        """What an expression is at the end of the run, as an `output` would write it; it does not join the model."""
        from ricci.faces.execute import execute
        from ricci.faces.outcome import sketch
        from ricci.faces.outputs import last_of

        asked = f'output {text} to "{VALUES}"'
        source = self.source(asked)
        with tempfile.TemporaryDirectory() as folder:
            try:
                execute(source, self.settings, out=folder, listen=self.listen)
            except RicciError as error:
                error.diagnostics = tuple(self._as_typed(d, source.text.rindex(asked), text) for d in error.diagnostics)
                raise
            return "\n".join(f"  {sketch(found)}" for found in last_of(Path(folder) / VALUES))

    def _as_typed(self, diagnostic: Diagnostic, start: int, text: str) -> Diagnostic:
        """A message about the `output` of a value, as one about the expression that was typed."""
        span, ahead = diagnostic.span, len("output ")
        if span is None or span.start < start:
            return diagnostic
        begin, end = (min(max(place - ahead, start), start + len(text)) for place in (span.start, span.end))
        return replace(diagnostic, span=Span(self.source(text), begin, max(end, begin + 1)), help="")

    def _explain(self, subject: str) -> str:
        if subject:
            from ricci.faces.command_show import explain_code

            return explain_code(subject)
        from ricci.faces.command_show import explain_source

        return explain_source(self.source(), self.settings)

    def _command(self, text: str) -> str:
        word, _, rest = text.partition(" ")
        commands: dict[str, Callable[[str], str]] = {
            "help": lambda _: HELP,
            "list": lambda _: self.source().text.rstrip(),
            "undo": self._undo,
            "clear": self._clear,
            "show": self._show,
            "source": lambda _: self._show("source"),
            "load": self._load,
            "save": self._save,
            "quit": self._quit,
            "q": self._quit,
        }
        if word not in commands:
            return f"there is no `:{word}`; :help lists the commands"
        return commands[word](rest.strip())

    def _undo(self, _: str) -> str:
        if not self.history:
            return "  nothing to drop"
        last, self.entries = self.entries[-1], self.history.pop()
        return f"  dropped: {last}"

    def _clear(self, _: str) -> str:
        self.entries, self.history, self.notes = [], [], []
        return "  empty"

    def _show(self, stage: str) -> str:
        from ricci.faces.command_show import show_source

        return show_source(stage or "discretize", self.source(), self.settings)

    def _load(self, path: str) -> str:
        from ricci.driver import check_text, read

        source = read(path)
        check_text(source, self.settings)
        self.entries, self.history = [source.text.rstrip("\n")], [[]]
        return f"  {path}: ok"

    def _save(self, path: str) -> str:
        from ricci.faces.command_check import write_text

        write_text(path, self.source().text)
        return f"  wrote {path}"

    def _quit(self, _: str) -> str:
        self.done = True
        return ""


def _is_open(diagnostic: Diagnostic) -> bool:
    """Whether a message says what a model in the making still lacks: its remedy is a further statement."""
    return diagnostic.code in INCOMPLETE and bool(diagnostic.help)


def _is_expression(text: str) -> bool:
    """Whether an entry is no statement, and a value would be."""
    from ricci.driver import parse

    try:
        parse(Source("<prompt>", text))
    except RicciError:
        try:
            return len(parse(Source("<prompt>", f"let value = {text}")).statements) == 1
        except RicciError:
            pass
    return False


def _solves(source: Source) -> list[Span]:
    """The statements of a text that say how its equations are solved; none where it does not parse."""
    from ricci.driver import parse
    from ricci.dsl.tree import Solve

    try:
        statements = parse(source).statements
    except RicciError:
        return []
    return [s.span for s in statements if isinstance(s, Solve) and s.goal is None and s.name is None]


def _without_solves(entries: list[str]) -> list[str]:
    """The entries without such statements: a new one stands in their place."""
    kept = []
    for text in entries:
        for span in reversed(_solves(Source("<prompt>", text))):
            text = (text[: span.start].rstrip().removesuffix(";") + text[span.end :]).strip()
        kept.append(text)
    return [text for text in kept if text.strip(" ;")]


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name.strip(), value.strip()


def _split(text: str) -> Iterator[str]:
    """Parts between commas outside brackets."""
    depth, part = 0, ""
    for c in text:
        depth += (c in "([{") - (c in ")]}")
        if c == "," and depth == 0:
            yield part
            part = ""
        else:
            part += c
    if part.strip():
        yield part


def open_brackets(text: str) -> int:
    """How many brackets are still open, outside texts and comments; a prompt goes on while there are any."""
    depth, quoted, comment = 0, False, False
    for c in text:
        if c == "\n":
            quoted = comment = False
        elif comment:
            continue
        elif c == '"':
            quoted = not quoted
        elif not quoted:
            comment = c == "#"
            depth += (c in "([{") - (c in ")]}")
    return depth


def words() -> list[str]:
    """What completion offers: keywords, operators, commands."""
    from ricci.dsl.check.operators import operator_names
    from ricci.dsl.lexer import statement_keywords

    commands = (":help", ":list", ":undo", ":show", ":source", ":load", ":save", ":clear", ":quit")
    return sorted({*statement_keywords(), *operator_names(), "run", "explain", *commands})


def repl(output: TextIO | None = None) -> int:
    """Prompt until `:quit` or the end of input; with prompt_toolkit when it is there and the input is a terminal."""
    session = Session()
    out = output or sys.stdout
    read = _reader()
    print("ricci; :help lists the commands", file=out)
    text = ""
    while not session.done:
        try:
            line = read(CONTINUED if text else PROMPT)
        except EOFError:
            break
        except KeyboardInterrupt:
            text = ""
            continue
        text = f"{text}\n{line}" if text else line
        if open_brackets(text) > 0:
            continue
        try:
            said = session.feed(text)
        except KeyboardInterrupt:
            said = "  interrupted"
        if said:
            print(said, file=out)
        text = ""
    return 0


def _reader() -> Callable[[str], str]:
    if not sys.stdin.isatty():
        return input
    try:
        from prompt_toolkit import PromptSession
        from prompt_toolkit.history import InMemoryHistory
    except ImportError:
        return input
    prompt: Any = PromptSession(completer=completer(), history=InMemoryHistory(), complete_while_typing=False)
    ask: Callable[[str], str] = prompt.prompt
    return ask


def completer() -> Any:
    """Completes the name or command before the cursor."""
    import re

    from prompt_toolkit.completion import WordCompleter

    return WordCompleter(words(), pattern=re.compile(r"\w+:?"))  # matched backwards from the cursor
