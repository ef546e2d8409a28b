import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes import FakeJob, outcomes, reasons, row

from pipelines.rows import Rejection, Row
from pipelines.stages import STAGES, RunnableStage
from prompts.errors import UsageError

MODULE = """
from langchain_core.runnables import RunnableLambda

def answer(values):
    if values["q"] == "bad":
        raise ValueError("no " * 2_000)
    return {"said": values["q"], "keys": sorted(values)}

chain = RunnableLambda(answer)
"""


@pytest.fixture(autouse=True)
def module(tmp_path: Path) -> Iterator[None]:
    (tmp_path / "answering_chains.py").write_text(MODULE, encoding="utf-8")
    sys.path.insert(0, str(tmp_path))
    yield
    sys.path.remove(str(tmp_path))
    sys.modules.pop("answering_chains", None)


def stage(**settings: object) -> RunnableStage:
    basis = {"name": "mine", "target": "answering_chains:chain", "fields": ["q"], "adds": "a"}
    return RunnableStage.model_validate({**basis, **settings})


def test_the_output_fills_the_column() -> None:
    [after] = outcomes(stage(), [row(q="hi", other=1)])
    assert isinstance(after, Row)
    assert after.data == {"q": "hi", "other": 1, "a": {"said": "hi", "keys": ["q"]}}
    assert after.history == ({"stage": "mine", "target": "answering_chains:chain"},)


def test_fields_may_be_renamed() -> None:
    renamed = stage(fields={"q": "question", "extra": "other"})
    assert renamed.columns_needed() == {"question", "other"}
    [after] = outcomes(renamed, [row(question="hi", other=1)])
    assert isinstance(after, Row)
    assert after.data["a"] == {"said": "hi", "keys": ["extra", "q"]}


def test_a_call_that_raises_rejects_its_row_alone() -> None:
    rows = [row(id=f"r{i}", q=q) for i, q in enumerate(["a", "bad", "b"])] + [row(id="r3", p="x")]
    results = outcomes(stage(), rows)
    assert reasons(results) == ["", "runnable_error", "", "missing_column"]
    assert isinstance(results[1], Rejection)
    assert results[1].detail["error"] == "ValueError"
    assert len(results[1].detail["message"]) == 2_000
    assert results[1].row == rows[1]


@pytest.mark.parametrize(
    ("target", "message"),
    [("answering_chains", "target: .*is not a target"), ("nowhere:chain", "there is no module")],
)
def test_the_target_is_looked_for_beforehand(target: str, message: str) -> None:
    stage().check(FakeJob())
    with pytest.raises(UsageError, match=message):
        stage(target=target).check(FakeJob())


def test_one_field_needs_no_list() -> None:
    built = STAGES.build({"kind": "runnable", "target": "m:c", "fields": "q", "adds": "a"})
    assert isinstance(built, RunnableStage)
    assert built.columns_needed() == {"q"}
    assert STAGES.build(built.model_dump(mode="json")) == built
