"""A job: models, sources, stages and exports, read from YAML and checked before anything is loaded.

    loaded = load_job(Path("pipelines/recipes/demo.yaml"), overrides=["rows=5"])
    loaded.job.stages[0].name          # "question"
    loaded.check()                     # columns, prompts and models fit together, or a UsageError

Every error names file, line and key: `error: demo.yaml:31: stages.2.threshold: found 7; fix: ...`.
"""

import importlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from chains.models.spec import ModelSpec
from pipelines.checking import check_parts
from pipelines.exporters import EXPORTERS, Exporter
from pipelines.overrides import apply_override, overridden
from pipelines.quota import Quota
from pipelines.rows import JSON, digest
from pipelines.sources import SOURCES, Source
from pipelines.stages import STAGES, Stage
from prompts.errors import SourceError, TextmillError, UsageError, shorten, unknown
from prompts.prompt import Prompt, load_prompt
from prompts.registry import Registry, described, dotted, validate
from prompts.strict_yaml import Document, read_yaml_file

PROJECT = Path(__file__).resolve().parent.parent

# Names that Windows takes for devices: folders with them cannot be copied there.
_DEVICES = {"aux", "con", "nul", "prn", *(f"{d}{n}" for d in ("com", "lpt") for n in range(10))}


class Budget(BaseModel):
    """What a run may spend at most; whichever ends first ends the run.

    Attributes:
        calls: Model calls, those the ledger knows included. Looked at between blocks.
        minutes: Wall time, looked at between blocks. A run that it ends is not reproducible.
        seeds_per_row: Source rows taken for every row wanted.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    calls: Annotated[int, Field(ge=1)] | None = None
    minutes: Annotated[float, Field(gt=0)] | None = None
    seeds_per_row: Annotated[float, Field(gt=0)] = 20.0


class Job(BaseModel):
    """A job as its file says it.

    Attributes:
        rows: Accepted rows wanted; left out, the sources are gone through once.
        quota: How many of them in each cell; `rows` are then those of all cells.
        block: Rows that go through the stages together. Stages that remember rows (dedup) see them
            in order whatever the block.
        passes: How often a finite source is replayed with new seeds; left out, as often as the
            budget allows when `rows` is given, else once.
        max_reject_rate: Share of rejected among all rows above which the run ends with exit code 5.
        prompts: Prompt files' text by name; they go before the files of that name.
        plugins: Modules to import first, so that they can register parts of their own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    seed: Annotated[int, Field(ge=0, lt=2**53)] = 0
    rows: Annotated[int, Field(ge=1)] | None = None
    quota: Quota | None = None
    block: Annotated[int, Field(ge=1, le=100_000)] = 64
    passes: Annotated[int, Field(ge=1)] | None = None
    budget: Budget = Budget()
    max_reject_rate: Annotated[float, Field(ge=0, le=1)] | None = None
    models: dict[str, ModelSpec] = {}
    embedder: Annotated[str, Field(min_length=1)] = "embedded"
    prompts: dict[str, str] = {}
    plugins: tuple[str, ...] = ()
    sources: tuple[Source, ...]
    stages: tuple[Stage, ...] = ()
    exports: tuple[Exporter, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _rows_is_a_count(cls, data: Any) -> Any:
        for field in ("rows", "seed", "block", "passes"):
            if isinstance(data, dict) and isinstance(data.get(field), bool | float):
                fix = "write a whole number"
                raise UsageError(f"found {data[field]!r}", fix=fix, key=field)
        return data

    @field_validator("name")
    @classmethod
    def _name_is_fit_for_a_folder(cls, value: str) -> str:
        fault = fault_of_name(value)
        if fault:
            raise ValueError(fault)
        return value

    def as_data(self) -> dict[str, JSON]:
        """The job as plain data, every default written out."""
        parts = ("sources", "stages", "exports")
        data: dict[str, JSON] = self.model_dump(mode="json", exclude=set(parts))
        # Each part dumps itself: as a field it would be dumped as its base class, without its own.
        for name in parts:
            data[name] = [part.model_dump(mode="json") for part in getattr(self, name)]
        return data

    def sha(self) -> str:
        """16 hex digits that change with anything in the resolved job."""
        return digest(self.as_data())


def fault_of_name(name: str) -> str:
    """What to do about a job's name that is not fit for files and folders; empty if it is."""
    if not re.fullmatch("[A-Za-z0-9][A-Za-z0-9_-]{0,63}", name):
        return "use letters, digits, '-' and '_', 64 at most, a letter or digit first"
    return "take another name: on Windows it is a device's" if name.lower() in _DEVICES else ""


class LoadedJob:
    """A job together with where it came from; what stages and sources look things up in.

    Args:
        job: The parsed job.
        document: Its YAML, for the lines of errors.
        folder: The folder its relative paths may start from.
        overrides: Dotted keys that the command line has set.
    """

    def __init__(
        self, job: Job, document: Document, folder: Path, overrides: tuple[str, ...] = ()
    ) -> None:
        self.job = job
        self.document = document
        self.folder = folder
        self._overrides = overrides
        self._prompts: dict[str, Prompt] = {}
        self._models_in_use: set[str] = set()

    def is_what_says(self, file: Path) -> bool:
        """Whether the job was read from that file, and the command line has changed nothing."""
        return self.document.file == str(file) and not self._overrides

    @property
    def seed(self) -> int:
        """The job's seed."""
        return self.job.seed

    def prompt(self, name: str, *, key: str = "") -> Prompt:
        """The prompt of that name: the job's own, a file, or the library's."""
        if name not in self._prompts:
            try:
                loaded = load_prompt(name, inline=self.job.prompts, folder=self.folder)
            except UsageError as exc:
                if name in self.job.prompts:
                    raise self._fault_in_own_prompt(name, exc) from exc
                if exc.file is None and not exc.key:
                    raise UsageError(exc.problem, fix=exc.fix, key=key) from exc
                raise
            self._prompts[name] = loaded
        return self._prompts[name]

    def model(self, name: str = "", *, key: str = "") -> ModelSpec:
        """The spec of the model of that name; an empty name gives the first one."""
        models = self.job.models
        if not name and models:
            return next(iter(models.values()))
        if name not in models:
            if not models:
                fix = "add a section such as 'models: {writer: {model: embedded}}'"
                raise UsageError("the job has no models", fix=fix, key=key)
            raise unknown("model", name, list(models), key=key)
        return models[name]

    def path(self, text: str) -> Path:
        """`text` as an existing path, from the working folder, the job's or the project's."""
        fix = "give a path from the working folder, the job's folder or the project's"
        for folder in (Path.cwd(), self.folder, PROJECT):
            try:
                candidate = folder / Path(text).expanduser()
                if candidate.exists() or (set(text) & set("*?[") and any(_glob(candidate))):
                    return candidate
            except (OSError, RuntimeError, ValueError) as exc:
                why = exc.strerror if isinstance(exc, OSError) else exc
                raise SourceError(f"'{shorten(text)}' is not a path: {why}", fix=fix) from exc
        raise SourceError(f"no such file or folder: '{text}'", fix=fix)

    def check(self) -> set[str]:
        """Check that columns, prompts, models and exports fit together.

        Returns:
            The columns that accepted rows will have, as far as they are known.

        Raises:
            UsageError: With file, line and key.
            SourceError: A source has nothing to read.
        """
        try:
            return check_parts(self)
        except TextmillError as exc:
            raise self.located(exc) from exc

    def located(self, exc: TextmillError) -> TextmillError:
        """The same error with the file and the line of its key, unless it names a file already."""
        return _located(exc, self.document, self._overrides)

    def resolved(self) -> Job:
        """The job with the text of every prompt it uses written into it."""
        used = {name: prompt.source for name, prompt in self._prompts.items()}
        return self.job.model_copy(update={"prompts": {**self.job.prompts, **used}})

    def use_model(self, name: str, *, key: str = "") -> ModelSpec:
        """As `model`, for a stage that will call it: it then counts as in use."""
        spec = self.model(name, key=key)
        self._models_in_use.add(name)
        return spec

    def used_models(self) -> list[str]:
        """Names of the models that `check` found in use by stages, in the job's order."""
        return [name for name in self.job.models if name in self._models_in_use]

    def used_prompts(self) -> dict[str, Prompt]:
        """The prompts that `check` found in use, by name."""
        return dict(self._prompts)

    def _fault_in_own_prompt(self, name: str, exc: UsageError) -> UsageError:
        """A fault of a prompt that is written in the job itself, with the line of the job."""
        key = f"prompts.{name}"
        line = self.document.line_within(key, exc.line or 1)
        exc.file, exc.line, exc.key = self.document.file, line, dotted(key, exc.key)
        return exc


def load_job(
    path: Path, *, overrides: list[str] | None = None, folder: Path | None = None
) -> LoadedJob:
    """Read a job file.

    Args:
        path: The YAML file.
        overrides: `key=value` settings that replace what the file says; values are YAML.
        folder: Where its relative paths may start; left out, the file's folder.

    Raises:
        UsageError: The file cannot be read, is not a job, or an override does not fit.
    """
    if not path.is_file():
        fix = "give the path of a job file; shipped ones are in pipelines/recipes"
        problem = "not a file" if path.exists() else "no such job file"
        raise UsageError(problem, fix=fix, file=path)
    return job_of(read_yaml_file(path), folder or path.resolve().parent, overrides or [])


def job_of(document: Document, folder: Path, overrides: Iterable[str] = ()) -> LoadedJob:
    """The job that a document holds; arguments and errors as for `load_job`."""
    data = document.mapping("a job")
    keys = tuple(apply_override(data, override) for override in overrides)
    try:
        return LoadedJob(build_job(data), document, folder, keys)
    except TextmillError as exc:
        raise _located(exc, document, keys) from exc


def build_job(data: Mapping[str, Any]) -> Job:
    """A job from plain data.

    Raises:
        UsageError: With the dotted key at fault.
    """
    fields = dict(data)
    for module in _plugins(fields.get("plugins", ())):
        _import_plugin(module)
    if not fields.get("sources"):
        fix = "add at least one source, such as {kind: documents, path: FOLDER}"
        raise UsageError("a job needs sources", fix=fix, key="sources")
    fields["sources"] = _build_all(SOURCES, fields["sources"], "sources")
    fields["stages"] = _named(_build_all(STAGES, fields.get("stages") or [], "stages"))
    fields["exports"] = _build_all(EXPORTERS, fields.get("exports") or [], "exports")
    job = validate(Job, fields)
    if job.quota is None:
        return job
    return job.model_copy(update={"rows": job.quota.total(job.sources, job.rows)})


def _located(exc: TextmillError, document: Document, keys: tuple[str, ...]) -> TextmillError:
    if exc.file is None and overridden(exc, keys, document):
        exc.key = f"--set {exc.key}"
    elif exc.file is None:
        exc.file = document.file
        exc.line = document.line(exc.key) if exc.key else None
    return exc


def _build_all(registry: Registry[Any], items: Any, section: str) -> tuple[Any, ...]:
    if not isinstance(items, list | tuple):
        found = described(items)
        fix = "begin each item with '- '"
        raise UsageError(f"'{section}' is a list, found {found}", fix=fix, key=section)
    return tuple(registry.build(item, key=f"{section}.{i}") for i, item in enumerate(items))


def _named(stages: tuple[Stage, ...]) -> tuple[Stage, ...]:
    named: dict[str, Stage] = {}
    for index, stage in enumerate(stages):
        name = stage.name or stage.default_name()
        if name in named or name == "quota":
            fix = "give one of them a 'name' of its own"
            raise UsageError(f"two stages are named '{name}'", fix=fix, key=f"stages.{index}")
        named[name] = stage.model_copy(update={"name": name})
    return tuple(named.values())


def _plugins(value: Any) -> list[str]:
    if not isinstance(value, list | tuple) or not all(isinstance(v, str) for v in value):
        fix = "write 'plugins: [my_module]'"
        raise UsageError("plugins is a list of module names", fix=fix, key="plugins")
    return list(value)


def _import_plugin(module: str) -> None:
    try:
        importlib.import_module(module)
    except TextmillError:
        raise
    except Exception as exc:
        fix = "check the module's name and that Python finds it (PYTHONPATH)"
        problem = f"plugin '{module}' cannot be imported: {exc}"
        raise UsageError(problem, fix=fix, key="plugins") from exc


def _glob(path: Path) -> Any:
    return Path(path.anchor or ".").glob(
        str(path.relative_to(path.anchor) if path.anchor else path)
    )
