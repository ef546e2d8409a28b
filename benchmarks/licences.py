"""The licences of what textmill needs, and of what that needs: `make audit` prints them.

    torch                    2.13.0    BSD-3-Clause

Ends with 1 where a licence asks that whoever passes textmill on passes their own code on too.
"""

import re
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from packaging.requirements import Requirement

STRONG = re.compile(r"\bA?GPL|Affero|(?<!Lesser )General Public License")


def needed(name: str, seen: dict[str, Distribution]) -> None:
    """Put the distribution and all that it needs without extras into `seen`."""
    key = re.sub(r"[-_.]+", "-", name).lower()
    if key in seen:
        return
    try:
        seen[key] = distribution(name)
    except PackageNotFoundError:
        return  # of another system or another Python
    for text in seen[key].requires or ():
        wanted = Requirement(text)
        if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
            needed(wanted.name, seen)


def licence(found: Distribution) -> str:
    """As the distribution says it, in the first of the three places that is filled."""
    said = found.metadata
    classes = (c.rpartition(":: ")[2] for c in said.get_all("Classifier") or () if "License" in c)
    text = said.get("License-Expression") or ", ".join(classes) or said.get("License") or "not said"
    return text.strip().splitlines()[0][:70]


def lines() -> Iterator[tuple[str, str, str]]:
    """Name, version and licence of everything needed, but for textmill itself."""
    seen: dict[str, Distribution] = {}
    needed("textmill", seen)
    for key in sorted(seen.keys() - {"textmill"}):
        yield key, seen[key].version, licence(seen[key])


def main() -> int:
    """Print the list."""
    found = list(lines())
    for name, version, text in found:
        print(f"{name:<28}{version:<16}{text}")
    strong = [name for name, _, text in found if all(map(STRONG.search, text.split(" OR ")))]
    if strong:
        print(f"error: under a licence that reaches your own code: {', '.join(strong)}")
    return bool(strong)


if __name__ == "__main__":
    sys.exit(main())
