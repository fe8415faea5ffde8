"""All measurements, one after the other, each in a process of its own; one table of what they found.

    python -m bench.run [NAME ...]

Also written to bench/results/latest.json. A figure that misses what is wanted is shown, not an error: the machine may
be busy. A measurement that cannot be taken is.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time

import attrs
from rich.console import Console

from bench.go import BUILT
from bench.rows import Row, rows_from_json, show

MEASUREMENTS = {
    "channel_decode": "channels to singular batches, beside op-node's reader",
    "pipeline": "the whole derivation without an engine, beside op-node's pipeline",
    "explain": "what keeping derivation's verdicts costs a node",
    "shadow": "what an engine in the shadow of another costs the leading one",
    "shadow_sources": "what L1, blob and data sources in the shadow of others cost a node",
    "engine_transfers": "transfers through the embedded engine, beside plain py-evm",
    "engine_precompiles": "blocks full of the most expensive cryptography",
    "zktrie": "Poseidon and the ZK trie, beside a Go implementation of the hash",
    "l1_rpc": "L1 blocks over JSON-RPC on loopback, verified",
    "rpc": "the node's RPC under load, beside op-node's",
    "latency": "the node's RPC while a channel of 10 000 blocks is derived and executed",
    "sync_op_geth": "sync on op-geth over the Engine API, beside op-node",
    "memory": "memory while 100 000 blocks are derived",
}


def run(names: list[str], console: Console) -> tuple[list[Row], list[str]]:
    """The rows of these measurements, and what went wrong."""
    rows: list[Row] = []
    failures: list[str] = []
    for name in names:
        console.print(f"{name}: {MEASUREMENTS[name]} ...", end=" ", highlight=False)
        start = time.monotonic()
        command = [sys.executable, "-m", f"bench.{name}", "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        console.print(f"{time.monotonic() - start:.0f} s", highlight=False)
        if done.returncode:
            last = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
            failures.append(f"{name}: {last[0]}")
        else:
            rows += rows_from_json(done.stdout)
    return rows, failures


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.run", description="All measurements and their ratios.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(MEASUREMENTS))
    arguments = parser.parse_args()
    unknown = [name for name in arguments.names if name not in MEASUREMENTS]
    if unknown:
        parser.error(f"no measurement {unknown[0]!r}; there are {', '.join(MEASUREMENTS)}")
    console = Console(stderr=True)
    rows, failures = run(arguments.names or list(MEASUREMENTS), console)
    machine = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    BUILT.mkdir(exist_ok=True)
    report = {"machine": machine, "rows": [attrs.asdict(row) for row in rows], "failures": failures}
    (BUILT / "latest.json").write_text(json.dumps(report, indent=1) + "\n")
    show(rows, as_json=False)
    wanted = [row for row in rows if row.met is not None]
    print(f"\n{machine}: {sum(row.met is True for row in wanted)} of {len(wanted)} wanted figures met")
    for failure in failures:
        print(f"not measured: {failure}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
