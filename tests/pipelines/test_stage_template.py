"""`template`: columns from templates, forms drawn by the row's seed, faults found beforehand."""

from typing import Any

import pytest
from fakes import FakeJob, outcomes, reasons, row

from pipelines.rows import Row
from pipelines.stages import Template
from prompts.errors import UsageError

FORMS = ({"q": "{{ name }} has {{ n }}", "sum": "{{ n }} + 1"}, {"q": "{{ name }}", "sum": "0"})


def test_the_columns_of_one_form_come_together_and_all_forms_are_drawn() -> None:
    stage = Template(name="q", forms=FORMS)
    rows = [row(id=f"r{number}", name="Ada", n=number) for number in range(40)]
    results = [each for each in outcomes(stage, rows) if isinstance(each, Row)]
    assert len(results) == 40
    drawn = {each.history[-1]["form"] for each in results}
    assert drawn == {0, 1}
    for number, each in enumerate(results):
        full = each.history[-1]["form"] == 0
        assert each.data["q"] == (f"Ada has {number}" if full else "Ada")
        assert each.data["sum"] == (f"{number} + 1" if full else "0")
    backwards = outcomes(stage, rows[::-1])[::-1]
    assert backwards == results


def test_what_a_template_cannot_use_rejects_the_row() -> None:
    stage = Template(name="q", forms=({"q": "{{ name }}"},))
    assert reasons(outcomes(stage, [row(), row(id="r1", name=None)])) == [
        "missing_column",
        "unusable",
    ]


@pytest.mark.parametrize(
    ("forms", "problem"),
    [
        (({"q": "{{ name"},), "template syntax"),
        (({"q": "{{ a + b }}"},), "arithmetic"),
        (({"q": "a"}, {"other": "b"}), "not in all forms"),
    ],
)
def test_faulty_forms_are_refused(forms: Any, problem: str) -> None:
    with pytest.raises(UsageError, match=problem) as caught:
        Template(forms=forms)
    assert caught.value.key.startswith("forms.")


def test_variables_have_to_be_columns() -> None:
    stage = Template(name="q", forms=FORMS)
    stage.check(FakeJob(columns=("name", "n")))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="missing column n"):
        stage.check(FakeJob(columns=("name",)))  # type: ignore[arg-type]
    assert stage.columns_added() == {"q", "sum"}
    assert Template(forms=FORMS).default_name() == "q"
