"""An environment with the node of this one in it, and nothing else until something is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import attrs

from tests.architecture.sources import ROOT

EXAMPLES = ROOT / "examples"
PINS = EXAMPLES / "constraints.txt"
_PIP = ("-m", "pip", "--quiet", "--disable-pip-version-check")


@attrs.frozen
class Fresh:
    """A virtual environment in a folder of its own."""

    folder: Path

    @classmethod
    def made(cls, folder: Path) -> Fresh:
        """The node's packages are seen through, so that what is under test alone is installed."""
        fresh = cls(folder)
        fresh.run(sys.executable, "-m", "venv", folder / "venv")
        site = fresh.python("-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
        node = sysconfig.get_path("purelib")
        Path(site, "node.pth").write_text(f"import site; site.addsitedir({node!r})\n")
        return fresh

    def python(self, *arguments: object, cwd: Path | None = None) -> str:
        """What its interpreter prints; a failure is one of the test, with all that was printed."""
        return self.run(self.folder / "venv" / "bin" / "python", *arguments, cwd=cwd)

    def install_from_index(self, *requirements: str) -> None:
        """Packages that the node does not have, as the examples pin them."""
        self.python(*_PIP, "install", "--only-binary", ":all:", "--constraint", PINS, *requirements)

    def install_as_wheel(self, distribution: Path) -> Path:
        """Build a distribution into a wheel and install that; a copy of its sources, for its tests."""
        source = Path(shutil.copytree(distribution, self.folder / distribution.name, ignore=_leftovers))
        wheels = self.folder / "wheels"
        options = ("--no-deps", "--no-build-isolation", "--no-index")
        self.run(sys.executable, *_PIP, "wheel", *options, "--wheel-dir", wheels, source)
        [wheel] = wheels.glob("*.whl")
        self.python(*_PIP, "install", "--no-deps", "--no-index", wheel)
        shutil.rmtree(next(path for path in source.iterdir() if (path / "py.typed").exists()))  # the wheel's counts
        return source

    def run(self, *command: object, cwd: Path | None = None) -> str:
        done = subprocess.run(
            list(map(str, command)),
            cwd=cwd or self.folder,
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
        return done.stdout


def _leftovers(folder: str, names: list[str]) -> set[str]:
    return {name for name in names if name in ("__pycache__", ".pytest_cache", "build", "dist")}
