"""Fetches and builds the real programs that `make test-peers` runs against: op-node, op-batcher, geth, anvil.

    python peers/build.py [NAME ...]

They land in `.peers/`, each with a stamp of what it was made from: a second run does nothing. op-node, op-batcher and
geth are built from the Go modules that the go.mod files beside this one pin, with the checksums of go.sum; anvil is
taken from the npm package of this platform, as npm is configured here. A cold build takes about ten minutes on two
cores.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILT = HERE.parent / ".peers"

GO_PROGRAMS = {
    "op-node": ("op-node", "github.com/ethereum-optimism/optimism/op-node/cmd"),
    "op-batcher": ("op-node", "github.com/ethereum-optimism/optimism/op-batcher/cmd"),
    "geth": ("op-geth", "github.com/ethereum/go-ethereum/cmd/geth"),
}
"""Program: the folder with its go.mod, and the package of its main function."""
NAMES = ("anvil", *GO_PROGRAMS)

ANVIL_VERSION = "1.7.1"
ANVIL_INTEGRITY = {
    "linux-amd64": "sha512-+XmShybEaxfCrr0OUUZwYEy2OnYZt5pHH9TzBtLv3+VrK0O/ANuNSVEahqNhKHlgX7GRJ59383ofNhxkRWIYTg==",
}
"""By platform. On one that is not listed only npm's own check of what it fetched stands between us and a wrong file."""

_FETCH_SECONDS = 600
_BUILD_SECONDS = 3000


class CannotBuild(Exception):
    """A program cannot be made here; the message says what is missing or failed."""


def main(names: Sequence[str]) -> int:
    unknown = sorted(set(names) - set(NAMES))
    if unknown:
        print(f"peers: no program {unknown[0]!r}; there are {', '.join(NAMES)}", file=sys.stderr)
        return 2
    BUILT.mkdir(exist_ok=True)
    failures = 0
    for name in names or NAMES:
        try:
            make(name)
        except CannotBuild as error:
            print(f"peers: {name}: {error}", file=sys.stderr)
            failures += 1
    return 1 if failures else 0


def make(name: str) -> None:
    """Have `.peers/NAME` made from what is pinned here, now or by an earlier run. Raises `CannotBuild`."""
    program, stamp = BUILT / name, BUILT / f"{name}.stamp"
    source = anvil_source() if name == "anvil" else go_source(name)
    if program.is_file() and stamp.is_file() and stamp.read_text() == source:
        return
    print(f"peers: making {name}", flush=True)
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(dir=BUILT, prefix=f"{name}-") as folder:
        made = Path(folder) / name
        if name == "anvil":
            fetch_anvil(made)
        else:
            build_go(name, made)
        made.chmod(0o755)
        stamp.unlink(missing_ok=True)
        made.replace(program)
    stamp.write_text(source)
    print(f"peers: {name} made in {time.monotonic() - begin:.0f} s", flush=True)


def go_source(name: str) -> str:
    """What a Go program is made from: its package and the digests of go.mod and go.sum."""
    folder, package = GO_PROGRAMS[name]
    files = (HERE / folder / file for file in ("go.mod", "go.sum"))
    return "\n".join([package, *(hashlib.sha256(file.read_bytes()).hexdigest() for file in files), ""])


def build_go(name: str, to: Path) -> None:
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if go is None:
        raise CannotBuild("needs Go 1.26 or newer (the program `go` is not on the path)")
    folder, package = GO_PROGRAMS[name]
    _run([go, "build", "-mod=readonly", "-o", str(to), package], HERE / folder, _BUILD_SECONDS)


def anvil_source() -> str:
    """What anvil is taken from: the package's platform and version, and the digest that is expected of it."""
    target = _platform()
    return f"anvil-{target} {ANVIL_VERSION} {ANVIL_INTEGRITY.get(target, 'not pinned')}\n"


def fetch_anvil(to: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise CannotBuild("needs npm (a part of Node.js; it is not on the path)")
    target = _platform()
    package = f"@foundry-rs/anvil-{target}@{ANVIL_VERSION}"
    told = _run([npm, "pack", package, "--json", "--silent"], to.parent, _FETCH_SECONDS)
    packed = to.parent / json.loads(told)[0]["filename"]
    got = "sha512-" + base64.b64encode(hashlib.sha512(packed.read_bytes()).digest()).decode()
    wanted = ANVIL_INTEGRITY.get(target)
    if wanted is None:
        print(f"peers: anvil: no digest of {package} is pinned; what npm gave has {got}", file=sys.stderr)
    elif got != wanted:
        raise CannotBuild(f"{package}: expected a file with digest {wanted}, got {got}")
    with tarfile.open(packed) as archive:
        names = archive.getnames()
        inside = archive.extractfile("package/bin/anvil") if "package/bin/anvil" in names else None
        if inside is None:
            raise CannotBuild(f"{package}: expected the program package/bin/anvil in it, got {', '.join(names)}")
        to.write_bytes(inside.read())


def _platform() -> str:
    systems = {"Linux": "linux", "Darwin": "darwin"}
    machines = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
    system, machine = systems.get(platform.system()), machines.get(platform.machine().lower())
    if system is None or machine is None:
        raise CannotBuild(f"there is no package for {platform.system()} {platform.machine()}")
    return f"{system}-{machine}"


def _run(command: Sequence[str], folder: Path, seconds: float) -> str:
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=seconds, check=False, env={**os.environ}
        )
    except subprocess.TimeoutExpired as error:
        raise CannotBuild(f"`{' '.join(command)}` took more than {seconds:.0f} s") from error
    if done.returncode:
        raise CannotBuild(f"`{' '.join(command)}` failed with {done.returncode}: {done.stderr.strip()[-600:]}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
