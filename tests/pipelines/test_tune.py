"""`tune`: what it searches, how it judges, how it goes on, what it writes."""

import hashlib
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import assert_line, textmill
from jobs import job_data, loaded_job, prompt_text, write_job

from chains.calls import Call, Model
from chains.models.scripted import ScriptedChat
from pipelines.calling import Caller
from pipelines.job import LoadedJob
from pipelines.lab.tuning import Found, front, tune, winner
from pipelines.lab.tuning_choices import Tuned
from pipelines.lab.tuning_measures import Tally
from pipelines.lab.tuning_plots import plot
from pipelines.lab.tuning_space import Range, Space
from pipelines.lab.tuning_study import Result, Trial, open_study
from pipelines.ledger import Ledger
from prompts.errors import CorruptRunError, UsageError
from prompts.registry import validate

TEMPERATURE, TOP_P = "text.decoding.temperature", "text.decoding.top_p"
GOOD, BAD = "one two three four five six", "one two"


def surface(temperature: float, top_p: float) -> float:
    """Share of good replies, 1 at temperature 0.73 and top_p 0.87."""
    return math.exp(-(((temperature - 0.73) / 0.45) ** 2) - ((top_p - 0.87) / 0.25) ** 2)


def good_or_bad(call: Call) -> str:
    """Good with the chance of the surface, decided by the seed."""
    decoding = call.decoding.key()
    drawn = int.from_bytes(hashlib.sha256(str(call.seed).encode()).digest()[:6], "big") / 2**48
    return GOOD if drawn < surface(decoding["temperature"], decoding["top_p"]) else BAD


class SurfaceCaller(Caller):
    """A caller whose every model replies by the surface."""

    def __init__(self, loaded: LoadedJob, ledger: Ledger) -> None:
        super().__init__(loaded.job.models, loaded.job.embedder, ledger)
        self._chat = ScriptedChat(script=good_or_bad)

    def model(self, name: str) -> Model:
        return self._chat

    def fingerprint(self, name: str) -> str:
        return self._chat.fingerprint


def job(**changes: Any) -> dict[str, Any]:
    stages = [
        {"kind": "generate", "model": "writer", "prompt": "ask", "adds": "text", "attempts": 1},
        {"kind": "length", "field": "text", "unit": "words", "min": 5, "max": 40},
    ]
    prompts = {"ask": prompt_text("Ask about {{ topic }}.", ["topic"])}
    return {"stages": stages, "prompts": prompts, **changes}


def space(**changes: Any) -> Space:
    ranges = {TEMPERATURE: {"low": 0.2, "high": 1.4}, TOP_P: {"low": 0.5, "high": 1.0}}
    return validate(Space, {"space": ranges, "rows": 20, "holdout": 20, **changes})


def tuned(folder: Path, given: Space, study: str = "s.sqlite", **changes: Any) -> Found:
    loaded = loaded_job(folder, **job(**changes))
    parts = Tuned(loaded, given)
    with Ledger(folder / "ledger.sqlite") as ledger:
        caller = SurfaceCaller(loaded, ledger)
        return tune(parts, open_study(folder / study, parts), lambda made: caller)


@pytest.fixture
def parts(tmp_path: Path) -> Callable[..., Tuned]:
    def make(given: Space | None = None, **changes: Any) -> Tuned:
        return Tuned(loaded_job(tmp_path, **job(**changes)), given or space())

    return make


def test_the_search_finds_better_settings_and_checks_them_on_other_rows(tmp_path: Path) -> None:
    found = tuned(tmp_path, space(trials=20))
    assert found.best is not None
    assert found.best.result is not None
    best, before = found.best.result.measures["accept_rate"], found.baseline["accept_rate"]
    assert best is not None
    assert before is not None
    assert best >= before + 0.3
    assert found.holdout is not None
    assert (found.holdout.rows, found.holdout.shown) == (20, True)
    assert found.holdout.low > 0
    assert set(found.importance) == {TEMPERATURE, TOP_P}
    assert sum(found.importance.values()) == pytest.approx(1, abs=1e-3)


def test_25_trials_of_tpe_are_as_good_as_the_best_of_a_grid_of_60() -> None:
    """On the surface itself, the mean of five seeds; 10 temperatures by 6 values of top_p."""
    import optuna
    from optuna.samplers import TPESampler

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    grid = [(0.2 + 1.2 * i / 9, 0.5 + 0.1 * j) for i in range(10) for j in range(6)]
    best_of_grid = max(surface(*point) for point in grid)
    values = []
    for seed in range(5):
        study = optuna.create_study(direction="maximize")
        for number in range(25):
            study.sampler = TPESampler(seed=100 * seed + number, multivariate=True)
            trial = study.ask()
            drawn = (trial.suggest_float("t", 0.2, 1.4), trial.suggest_float("p", 0.5, 1.0))
            study.tell(trial, surface(*drawn))
        values.append(study.best_value)
    assert sum(values) / 5 >= best_of_grid


def test_the_same_seed_gives_the_same_trials_and_another_one_others(tmp_path: Path) -> None:
    first, again = (tuned(tmp_path, space(trials=12), name) for name in ("a", "b"))
    other = tuned(tmp_path, space(trials=12, seed=1), "c")
    assert first.as_json() == again.as_json()
    assert first.trials != other.trials


def test_a_study_goes_on_as_if_it_had_never_stopped(tmp_path: Path) -> None:
    whole = tuned(tmp_path, space(trials=14), "whole")
    tuned(tmp_path, space(trials=5), "parts")
    assert tuned(tmp_path, space(trials=14), "parts").as_json() == whole.as_json()


def test_a_trial_that_was_cut_off_is_asked_again(
    tmp_path: Path, parts: Callable[..., Tuned]
) -> None:
    made = parts()
    lost = open_study(tmp_path / "s", made).ask()
    again = open_study(tmp_path / "s", made).ask()
    assert lost is not None
    assert again is not None
    assert (again.number, again.choice) == (1, lost.choice)


def test_a_poor_trial_is_given_up_between_batches(tmp_path: Path) -> None:
    found = tuned(tmp_path, space(trials=30, method="random"))
    ended = [trial.result for trial in found.trials if trial.result]
    pruned = [result for result in ended if result.ended == "pruned"]
    assert 3 <= len(pruned) <= 20
    assert all(result.rows in (5, 10, 15) for result in pruned)
    everything = tuned(tmp_path, space(trials=30, method="random", prune="none"), "all")
    assert all(t.result and t.result.rows == 20 for t in everything.trials)
    assert found.best is not None
    assert everything.best is not None
    assert found.best.choice == everything.best.choice


def test_a_grid_tries_every_point_once(tmp_path: Path) -> None:
    given = space(method="grid", space={TEMPERATURE: {"low": 0.5, "high": 1.0, "step": 0.25}})
    found = tuned(tmp_path, given)
    assert [trial.choice[TEMPERATURE] for trial in found.trials] == [0.5, 0.75, 1.0]
    given = space(method="grid", space={TEMPERATURE: [0.5, 1], "length.min": [5, 6, 7]})
    choices = [tuple(trial.choice.values()) for trial in tuned(tmp_path, given, "t").trials]
    assert choices == [(0.5, 5), (0.5, 6), (0.5, 7), (1, 5), (1, 6), (1, 7)]


@pytest.mark.parametrize(
    ("given", "points"),
    [
        ({"low": 1, "high": 4}, [1, 2, 3, 4]),
        ({"low": 4, "high": 12, "step": 4}, [4, 8, 12]),
        ({"low": 0.0, "high": 1.0}, [0.0, 0.25, 0.5, 0.75, 1.0]),
        ({"low": 0.01, "high": 100.0, "log": True}, [0.01, 0.1, 1.0, 10.0, 100.0]),
    ],
)
def test_points_of_a_grid(given: dict[str, Any], points: list[float]) -> None:
    assert validate(Range, given).points() == points


def trial(number: int, ended: str = "complete", **measures: float) -> Trial:
    return Trial(number, {}, Result(dict(measures), [], 1, ended))


def test_the_front_holds_what_nothing_beats(parts: Callable[..., Tuned]) -> None:
    aims = [{"maximize": "accept_rate"}, {"minimize": "tokens"}]
    bounds = [{"measure": "near_duplicates", "max": 0.1}]
    made = parts(space(objectives=aims, constraints=bounds))
    trials = [
        trial(1, accept_rate=0.5, tokens=10.0, near_duplicates=0.0),
        trial(2, accept_rate=0.9, tokens=30.0, near_duplicates=0.0),
        trial(3, accept_rate=0.4, tokens=12.0, near_duplicates=0.0),
        trial(4, accept_rate=1.0, tokens=9.0, near_duplicates=0.2),
        trial(5, "pruned", accept_rate=1.0, tokens=9.0, near_duplicates=0.0),
        trial(6, accept_rate=0.9, tokens=30.0, near_duplicates=0.0),
    ]
    assert [each.number for each in front(made, trials)] == [1, 2]
    best = winner(made, trials)
    assert best is not None
    assert best.number == 2
    assert winner(made, trials[3:5]) is None
    with pytest.raises(UsageError, match="trial 4 is not of the front"):
        winner(made, trials, pick=4)


def test_a_choice_is_put_into_the_job_and_nothing_else_is_touched(
    parts: Callable[..., Tuned],
) -> None:
    examples = [{"values": {"topic": str(n)}, "reply": f"reply {n}"} for n in range(4)]
    ask = {**yaml.safe_load(prompt_text("Ask about {{ topic }}.", ["topic"])), "examples": examples}
    keys = {"text.examples": {"choose": 2, "draws": 20}, "length.min": {"low": 2, "high": 9}}
    made = parts(space(space=keys), prompts={"ask": yaml.safe_dump(ask)})
    drawn = made.domains["text.examples"]
    assert isinstance(drawn, tuple)
    assert sorted(drawn) == [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]
    before, after = made.data({}), made.data({"text.examples": [1, 3], "length.min": 4})
    stage = made.job({"text.examples": [1, 3], "length.min": 4}).job.stages
    assert getattr(stage[1], "min", None) == 4
    own = yaml.safe_load(after["prompts"].pop("text-examples-1-3"))
    assert [example["reply"] for example in own["examples"]] == ["reply 1", "reply 3"]
    assert after["stages"][0].pop("prompt") == "text-examples-1-3"
    assert before["stages"][0].pop("prompt") == "ask"
    assert after["stages"][1].pop("min") == 4
    assert before["stages"][1].pop("min") == 5
    assert after == before


def test_without_a_space_it_is_what_samples(parts: Callable[..., Tuned]) -> None:
    assert set(parts(Space()).domains) == {TEMPERATURE, TOP_P}


def test_measures_of_a_tally(tmp_path: Path) -> None:
    loaded = loaded_job(tmp_path, **job())
    with Ledger(tmp_path / "l") as ledger:
        from pipelines.lab.tuning import source_rows

        tally = Tally(loaded, SurfaceCaller(loaded, ledger), "text")
        tally.feed(source_rows(loaded, 20))
    shares = tally.shares()
    assert len(shares) == 20
    assert tally.measure("accept_rate") == pytest.approx(sum(shares.values()) / 20)
    assert tally.measure("yield") == tally.measure("accept_rate")
    assert tally.measure("words") == 6
    assert tally.measure("mean:text") is None
    accepted = len(tally.accepted)
    assert tally.measure("exact_duplicates") == pytest.approx(1 - 1 / accepted, abs=1e-6)
    assert tally.measure("tokens") == pytest.approx(
        (7 * accepted + 3 * (20 - accepted)) / accepted, abs=1e-6
    )


def test_the_command_applies_the_winner_and_pays_nothing_twice(tmp_path: Path) -> None:
    write_job(tmp_path, job_data(**job()))
    given = {"space": {"length.min": {"low": 1, "high": 12}}, "rows": 10, "trials": 6, "holdout": 8}
    (tmp_path / "space.yaml").write_text(yaml.safe_dump(given), encoding="utf-8")
    words = ("tune", "job.yaml", "--space", "space.yaml", "--study", "s.sqlite", "--plot", "p.svg")
    first = textmill(tmp_path, *words, "--apply", "new.yaml")
    assert first.code == 0, first.err
    assert "-  min: 5" in first.out
    assert (
        yaml.safe_load((tmp_path / "new.yaml").read_text(encoding="utf-8"))["stages"][1]["min"] < 5
    )
    assert textmill(tmp_path, "validate", "new.yaml").code == 0
    picture = (tmp_path / "p.svg").read_text(encoding="utf-8")
    assert picture.startswith("<svg")
    again = textmill(tmp_path, *words, "--json")
    found = json.loads(again.out)
    assert len(found["trials"]) == 6
    assert found["calls"] == found["from_ledger"]
    assert (tmp_path / "p.svg").read_text(encoding="utf-8") == picture


def test_a_picture_of_nothing_says_so(tmp_path: Path, parts: Callable[..., Tuned]) -> None:
    picture = plot(parts(), Found([], [], None, {"accept_rate": None}))
    assert "no trial is complete" in picture


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (
            "space: {txt.decoding.top_p: [1.0]}",
            "space.txt.decoding.top_p: unknown stage 'txt'; ...",
        ),
        ("space: {length.min: {low: 9, high: 2}}", "space.yaml:1: space.length.min..."),
        ("objectives: [{maximize: acept_rate}]", "space.yaml:1: objectives: unknown measure ..."),
        ("objectives: [{maximize: words, minimize: words}]", "space.yaml:1: objectives.0: ..."),
        ("constraints: [{measure: words}]", "space.yaml:1: constraints.0: ..."),
        (
            "space: {text.examples: {choose: 3}}",
            "space.text.examples: the prompt has 0 examples...",
        ),
        (
            "space: {length.min: {choose: 3}}",
            "space.length.min: 'choose' draws worked examples; ...",
        ),
        (
            "space: {length.unit: [hours]}\nrows: 2",
            "job.yaml: stages.1.unit: with length.unit=hours...",
        ),
        ("trails: 3", "space.yaml:1: trails: ..."),
        ("field: nothing", "field: unknown column 'nothing'; ..."),
    ],
)
def test_a_wrong_space_is_told_in_one_line(tmp_path: Path, given: str, line: str) -> None:
    write_job(tmp_path, job_data(**job()))
    (tmp_path / "space.yaml").write_text(given, encoding="utf-8")
    words = ("tune", "job.yaml", "--space", "space.yaml", "--study", "s", "--trials", "2")
    ended = textmill(tmp_path, *words)
    assert ended.code == 2
    assert_line(ended.err.strip().split("\n")[-1] + "\n", line)


def test_a_study_of_another_job_and_a_damaged_one_are_refused(
    tmp_path: Path, parts: Callable[..., Tuned]
) -> None:
    open_study(tmp_path / "s", parts())
    with pytest.raises(UsageError, match="of another job or space"):
        open_study(tmp_path / "s", parts(seed=9))
    with pytest.raises(UsageError, match="of another job or space"):
        open_study(tmp_path / "s", parts(space(rows=7)))
    open_study(tmp_path / "s", parts(space(trials=99)))
    (tmp_path / "bad").write_text("not a database, but long enough to be read as one" * 30)
    with pytest.raises(CorruptRunError, match="not a study"):
        open_study(tmp_path / "bad", parts())


def test_an_existing_file_is_not_written_over(tmp_path: Path) -> None:
    write_job(tmp_path, job_data(**job()))
    ended = textmill(tmp_path, "tune", "job.yaml", "--study", "s", "--apply", "job.yaml")
    assert ended.code == 2
    assert_line(ended.err, "job.yaml: the file exists; fix: give --apply a new name")
