"""`kroma check --live` on a real op-geth: what fits passes, what does not is named."""

from __future__ import annotations

import subprocess
from pathlib import Path

import trio

from tests.cli.test_serve_command import serving
from tests.peers.l2 import OpGeth, op_geth
from tests.peers.node import KROMA
from tests.peers.rollup import read_vector, recorded_rollup
from tests.vectors.unit_files import OWN_VECTORS

CHAINS = OWN_VECTORS / "op-chains"

PROFILE = """
[chain]
recording = "{recording}"
[l1]
kind = "rpc"
urls = ["{l1}"]
[[blobs]]
kind = "beacon"
url = "{beacon}"
[[data]]
kind = "blob"
[[data]]
kind = "calldata"
[engine]
kind = "rpc"
url = "{engine}"
eth_url = "{public}"
jwt_secret = "{jwt}"
"""


async def checked(folder: Path, geth: OpGeth, recording: Path, jwt: Path) -> subprocess.CompletedProcess[bytes]:
    with serving(recording) as (_, l1, beacon):
        path = folder / "node.toml"
        path.write_text(
            PROFILE.format(
                recording=recording, l1=l1, beacon=beacon, engine=geth.engine_url, public=geth.rpc.url, jwt=jwt
            )
        )
        return await trio.run_process(
            [KROMA, "check", "--live", path], capture_stdout=True, capture_stderr=True, check=False
        )


def test_what_fits_passes_and_what_does_not_is_named(tmp_path: Path) -> None:
    own, other = CHAINS / "blobs-jovian.json.xz", CHAINS / "blobs-holocene.json.xz"

    async def main() -> None:
        with trio.fail_after(120):
            async with op_geth(tmp_path, recorded_rollup(read_vector(own))) as geth:
                good = await checked(tmp_path, geth, own, geth.jwt)
                assert (good.returncode, good.stderr) == (0, b"")
                assert good.stdout.count(b"fork times compared") == 2

                bad = await checked(tmp_path, geth, other, geth.jwt)
                assert bad.returncode == 1
                said = bad.stderr.decode()
                for server in (geth.engine_url, geth.rpc.url):
                    assert f"engine rpc {server}: its chain id is " in said
                    assert f"engine rpc {server}: its block 0 is 0x" in said
                assert "isthmusTime: is 0, but isthmus_time of the rollup config is missing" in said
                assert "jovianTime: is 0, but jovian_time of the rollup config is missing" in said

                secret = tmp_path / "another.txt"
                secret.write_text("22" * 32)
                refused = await checked(tmp_path, geth, own, secret)
                assert refused.returncode == 1
                assert f"the secret in {secret} (jwt_secret)" in refused.stderr.decode()

    trio.run(main)
