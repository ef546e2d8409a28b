"""What a mistake may need around it: a run that exists, a web site, a server of models, the Hub."""

import fcntl
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from command_line import textmill
from fake_hub import TOKEN, Answer, served

from chains.models import server_pace
from mistakes.cases import RUN, Case, write
from tests.chains.fake_server import FakeServer, serving
from tests.fake_site import Route, site

World = Callable[[Case, Path], AbstractContextManager[str]]


def finished(damage: Callable[[Path], object] = lambda run: None) -> World:
    """A finished run of the job in `run`, which is then damaged."""

    @contextmanager
    def world(case: Case, folder: Path) -> Iterator[str]:
        write(folder, case.all_files())
        ended = textmill(folder, *RUN)
        assert ended.code in {0, 5}, ended.err
        damage(folder / "run")
        yield ""

    return world


def made(build: Callable[[Path], object]) -> World:
    """The files of the case and what `build` makes beside them."""

    @contextmanager
    def world(case: Case, folder: Path) -> Iterator[str]:
        write(folder, case.all_files())
        build(folder)
        yield ""

    return world


def web(routes: Mapping[str, Route]) -> World:
    """A web site on this machine."""

    @contextmanager
    def world(case: Case, folder: Path) -> Iterator[str]:
        with site(routes) as here:
            write(folder, case.all_files(here.host))
            yield here.host

    return world


def server(configure: Callable[[FakeServer], object]) -> World:
    """A server of models on this machine."""

    @contextmanager
    def world(case: Case, folder: Path) -> Iterator[str]:
        with serving() as fake, pytest.MonkeyPatch.context() as patch:
            patch.setattr(server_pace, "LONGEST_PAUSE", 0.01)  # seconds between tries
            configure(fake)
            address = fake.address.partition("://")[2]
            write(folder, case.all_files(address))
            yield address

    return world


def hub(fail: Callable[[str], Answer | None]) -> World:
    """A finished run, and a Hub that answers some requests as `fail` says."""

    @contextmanager
    def world(case: Case, folder: Path) -> Iterator[str]:
        from huggingface_hub import constants

        with (
            served() as fake,
            finished()(case, folder),
            pytest.MonkeyPatch.context() as patch,
        ):
            fake.fail = fail
            patch.setattr(constants, "ENDPOINT", fake.url)
            patch.setattr(constants, "HF_HUB_OFFLINE", False)
            patch.setattr(constants, "HF_HUB_DISABLE_XET", True)
            patch.setenv("HF_TOKEN", TOKEN)
            yield fake.url

    return world


@contextmanager
def busy(case: Case, folder: Path) -> Iterator[str]:
    """A run that another process is writing."""
    with (
        finished()(case, folder) as address,
        (folder / "run/.lock").open("r+") as held,
    ):
        fcntl.flock(held, fcntl.LOCK_EX)
        held.write("4711")
        held.flush()
        yield address
