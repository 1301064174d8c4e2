"""Where the package's data folders lie: inside it when installed, beside it in a checkout."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def folder(name: str) -> Path:
    """The folder `specs`, `adapters` or `reports`.

    Raises:
        FileNotFoundError: the installation is broken: the folder lies in neither place.
    """
    for place in (PACKAGE / name, PACKAGE.parent / name):
        if place.is_dir():
            return place
    raise FileNotFoundError(f"loss-conformance is installed without its folder {name!r}; install it again")


def built_in() -> list[str]:
    """The names of the adapters that come with the suite, whether or not their frameworks are installed."""
    return sorted(path.stem for path in folder("adapters").glob("[!_]*.py"))
