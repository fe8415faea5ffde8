"""eth_getProof on a chain of Kroma's ZK-trie era: kroma-geth's form (kroma-units/eth_get_proof shows it)."""

from __future__ import annotations

from kroma_core.codec.keccak import EMPTY_HASH
from kroma_core.state_proof import proven_account, proven_word
from kroma_core.zktrie.proof import MAGIC
from tests.eth_rpc.worlds import World, on_world
from tests.vectors.unit_files import hex_bytes

PASSER = "0x4200000000000000000000000000000000000003"
DEPOSITOR = "0xdeaddeaddeaddeaddeaddeaddeaddeaddead0001"
ZERO = "0x" + bytes(32).hex()


def test_accounts_present_and_absent_are_proven_with_the_magic_at_the_end() -> None:
    async def body(world: World) -> None:
        root = world.blocks[-1].payload.state_root
        slot = "0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc"
        found = await world.client.call("eth_getProof", PASSER, [slot], "latest")
        nodes = [hex_bytes(node) for node in found["accountProof"]]
        assert nodes[-1] == MAGIC
        account = proven_account(root, hex_bytes(PASSER), nodes)
        assert account is not None
        assert found["storageHash"] == "0x" + account.storage_root.hex()
        [entry] = found["storageProof"]
        proof = [hex_bytes(node) for node in entry["proof"]]
        assert proven_word(account.storage_root, hex_bytes(slot), proof) == int(entry["value"], 16) > 0

        # An account without code and storage.
        plain = await world.client.call("eth_getProof", DEPOSITOR, ["0x1"], "latest")
        assert (plain["codeHash"], plain["storageHash"]) == ("0x" + EMPTY_HASH.hex(), ZERO)
        assert int(plain["nonce"], 16) > 0
        assert plain["storageProof"] == [{"key": "0x1", "value": "0x0", "proof": []}]

        # No account: both hashes are zero, as after the change to Merkle-Patricia tries.
        absent = await world.client.call("eth_getProof", "0x" + "5a" * 20, ["0x1"], "latest")
        assert (absent["codeHash"], absent["storageHash"], absent["nonce"]) == (ZERO, ZERO, "0x0")
        assert proven_account(root, b"\x5a" * 20, [hex_bytes(node) for node in absent["accountProof"]]) is None

    on_world(body, "../kroma-chains/canyon-zk", 3)
