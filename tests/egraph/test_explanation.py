"""What a report says: which rules made the chosen form and where their text is, equalities that nobody proved, drawings."""

import json
import re
from pathlib import Path

import pytest

from ricci import driver
from ricci.egraph import graph, optimize
from ricci.egraph.derivation import needed
from ricci.egraph.graph import to_dot
from ricci.egraph.ruleset import FOLDER, all_rules
from ricci.errors import Source

ROOT = Path(__file__).resolve().parents[2]
MODEL = "dim s = 400\ntensor x[s] = sin(s)\nlet y[s] = exp(x[s])*exp(2*x[s]) + sin(x)^2 + cos(x)^2\n"
UNKNOWN = "dim s = 400\ntensor x[s] = sin(s)\nlet y[s] = sin(x)^3\nlet z[s] = (3*sin(x) - sin(3*x))/4\n"


def reports(text):
    _, report = optimize(driver.together(driver.discretize(driver.check_text(Source("<test>", text)))))
    return report


def test_every_rule_says_where_it_stands():
    for rule in all_rules():
        name, line = rule.where.split(":")
        text = (FOLDER.parent / name).read_text().splitlines()[int(line) - 1]
        assert text.startswith("; rule ")
        assert re.sub(r"\bF\b|(?<=of_)F\b", "", text.split()[2].rstrip(":")).rstrip("_") in rule.name


def test_rules_of_the_chosen_form_are_marked():
    (function,) = reports(MODEL).functions
    marked = {s.name: s for s in function.steps if s.chosen}
    assert {"exp_product", "pythagoras"} <= marked.keys()
    assert marked["pythagoras"].where.startswith("rules/trigonometric.egg:")
    assert "powers by repeated squaring" not in marked
    text = function.to_text()
    assert re.search(r"\* trigonometric +pythagoras \(1\)  rules/trigonometric.egg:\d+", text)
    assert json.loads(json.dumps(function.to_json()))["rules"][0]["where"]


GROWING = """rule grow: exp(a) -> exp(a/2)*exp(a/2)
dim i = 1000
tensor p[i] = 0.01*i
let r[i] = exp(p)*sin(p)*cos(p)
"""


def test_rules_that_fired_for_nothing_are_not_marked():
    (function,) = reports(GROWING).functions
    fired = {s.name: s.chosen > 0 for s in function.steps}
    assert fired["double_sine"]
    assert not fired["grow"]
    assert not fired["exp_square"]


def test_a_rule_that_leaves_only_what_was_there_is_marked():
    """log(exp(x)) = x makes no node of the chosen form."""
    (function,) = reports("dim s = 400\ntensor x[s] = sin(s)\nlet y[s] = log(exp(x[s])) + sin(x)\n").functions
    assert {s.name for s in function.steps if s.chosen} == {"log_of_exp"}


def test_rules_that_lead_to_one_another_are_marked_together():
    text = "dim s = 400\ntensor x[s] = sin(s)\nlet y[s] = log(exp(x[s])*exp(2*x[s])) + exp(x)*sin(x)\n"
    (function,) = reports(text).functions
    marked = {s.name for s in function.steps if s.chosen}
    assert {"exp_product", "log_of_exp"} <= marked or {"log_of_exp_product", "log_of_exp"} <= marked


def test_definitions_have_their_source_lines():
    (function,) = reports("dim s = 400\ntensor x[s] = sin(s)\nlet y[s] = sin(x)^3\nlet z[s] = (3*sin(x)\n  - sin(3*x))/4\n").functions
    assert function.to_json()["source"] == ["let y[s] = sin(x)^3", "let z[s] = (3*sin(x) - sin(3*x))/4"]
    assert "  from let y[s] = sin(x)^3\n" in function.to_text()


@pytest.mark.parametrize(("wanted", "trials"), [((), 2), ((5,), 12), ((1, 9), 20), (tuple(range(12)), 40)])
def test_a_smallest_set_is_found(wanted, trials):
    tried = []

    def enough(chosen):
        tried.append(chosen)
        return set(wanted) <= set(chosen)

    assert needed(range(12), enough) == list(wanted)
    assert len(tried) <= trials


def test_what_is_never_enough_stays_whole():
    assert needed([1, 2, 3], lambda _: False) == [1, 2, 3]


def test_planners_are_marked_where_they_helped():
    (function,) = reports(
        "dim i = 40, j = 50\ntensor A[i, j] = i + j, B[i, j] = i - j, x[j] = sin(j)\nlet y[i] = A*x[j] + B*x[j]\n"
    ).functions
    assert any(s.chosen for s in function.steps)
    assert function.after < function.before


def test_a_form_that_is_kept_has_no_marks():
    (function,) = reports("dim s = 4\ntensor x[s] = 1.0*s\nlet y[s] = x + 1\n").functions
    assert not any(s.chosen for s in function.steps)


def test_equalities_that_may_be_missing():
    (function,) = reports(UNKNOWN).functions
    assert len(function.unproved()) >= 1
    assert all(isinstance(part, str) for pair in function.unproved() for part in pair)
    assert reports(MODEL).functions[0].unproved() == []


def test_a_drawing_is_a_graph():
    (function,) = reports(MODEL).functions
    text = to_dot({'a "quoted"\nname': function.graph})
    assert text.count("{") == text.count("}")
    assert '"a \\"quoted\\" name"' in text
    nodes = set(re.findall(r"^\s*(\w+) \[label", text, re.MULTILINE))
    edges = re.findall(r"^\s*(\w+) -> (\w+) ", text, re.MULTILINE)
    assert len(nodes) >= 15
    assert edges
    assert {end for edge in edges for end in edge} <= nodes
    assert text.count("fillcolor") >= 5
    assert "rules of the e-graph" in text


@pytest.mark.parametrize("limit", [600, 10])
def test_the_command_draws(tmp_path, monkeypatch, capsys, limit):
    from ricci.faces.cli import main

    monkeypatch.setattr(graph, "MOST_DRAWN", limit)
    (tmp_path / "m.model").write_text(MODEL)
    out = tmp_path / "m.dot"
    monkeypatch.setattr("sys.argv", ["ricci", "explain", str(tmp_path / "m.model"), "--graph", str(out)])
    with pytest.raises(SystemExit) as left:
        main()
    code = left.value.code
    captured = capsys.readouterr()
    if limit == 600:
        assert code == 0
        assert out.read_text().startswith("digraph ricci {")
        assert "wrote" in captured.out
    else:
        assert code != 0
        assert "E0602" in captured.err
        assert not out.exists()


def test_a_drawing_that_cannot_be_written(tmp_path, monkeypatch, capsys):
    from ricci.faces.cli import main

    (tmp_path / "m.model").write_text(MODEL)
    monkeypatch.setattr("sys.argv", ["ricci", "explain", str(tmp_path / "m.model"), "--graph", str(tmp_path / "no" / "m.dot")])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 5
    assert "E0810" in capsys.readouterr().err
