import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chains.runnables import Failure, find_target, open_runnable
from prompts.errors import UsageError

MODULE = '''
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableLambda, RunnableParallel
from pydantic import BaseModel

class Point(BaseModel):
    x: int

def answer(values):
    if values["q"] == "bad":
        raise ValueError("no question")
    return values["q"].upper()

class Fussy(RunnableLambda):
    """Fails as a whole when one input is bad, whatever it is told."""
    def batch(self, inputs, config=None, *, return_exceptions=False, **kwargs):
        return [self.invoke(one) for one in inputs]

chain = RunnableLambda(answer)
both = RunnableParallel(loud=chain, message=RunnableLambda(lambda v: AIMessage(v["q"])))
typed = RunnableLambda(lambda v: Point(x=len(v["q"])))
odd = RunnableLambda(lambda v: {"set": {1, 2}})
endless = RunnableLambda(lambda v: float("nan"))
fussy = Fussy(answer)
function = answer

class place:
    inner = chain
'''


@pytest.fixture(autouse=True)
def module(tmp_path: Path) -> Iterator[None]:
    (tmp_path / "shouting_chains.py").write_text(MODULE, encoding="utf-8")
    (tmp_path / "broken_chains.py").write_text("import no_such_module_at_all", encoding="utf-8")
    sys.path.insert(0, str(tmp_path))
    yield
    sys.path.remove(str(tmp_path))
    for name in ("shouting_chains", "broken_chains"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("name", ["chain", "fussy", "place.inner"])
def test_a_bad_input_fails_alone(name: str) -> None:
    outputs = open_runnable(f"shouting_chains:{name}").batch([{"q": "a"}, {"q": "bad"}, {"q": "b"}])
    assert outputs == ["A", Failure("ValueError", "no question"), "B"]


@pytest.mark.parametrize(
    ("name", "output"),
    [("both", {"loud": "HI", "message": "hi"}), ("typed", {"x": 2})],
)
def test_outputs_become_plain_data(name: str, output: object) -> None:
    assert open_runnable(f"shouting_chains:{name}").batch([{"q": "hi"}]) == [output]


@pytest.mark.parametrize(("name", "message"), [("odd", "holds a set"), ("endless", "holds nan")])
def test_what_is_no_json_is_a_failure(name: str, message: str) -> None:
    [failure] = open_runnable(f"shouting_chains:{name}").batch([{"q": "hi"}])
    assert isinstance(failure, Failure)
    assert failure.kind == "not_json"
    assert message in failure.message


def test_no_inputs_give_no_outputs() -> None:
    assert open_runnable("shouting_chains:chain").batch([]) == []


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("shouting_chains", "is not a target; fix: write module:name"),
        ("shouting_chains:", "is not a target"),
        ("./file.py:chain", "is not a target"),
        ("no_such_module:chain", "there is no module 'no_such_module'"),
        ("broken_chains:chain", "cannot be imported: No module named 'no_such_module_at_all'"),
        ("shouting_chains:other", "has no 'other'"),
        ("shouting_chains:function", "is a function, not a Runnable"),
    ],
)
def test_a_target_that_is_no_runnable_is_explained(target: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        open_runnable(target)


def test_a_target_is_looked_up_without_importing_it() -> None:
    assert find_target("broken_chains:chain") == ("broken_chains", "chain")
    assert "broken_chains" not in sys.modules
