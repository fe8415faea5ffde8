"""This project's derivation as a client of the suite's line protocol: `python derivation_lines.py`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from kroma_da_blob.blob_data import BLOB_TYPE
from kroma_da_blob.codec import decode
from kroma_l1_cassette.engine import genesis_payload

from kroma_core.chain.load import chain_from_json
from kroma_core.codec.attributes import attributes_to_json
from kroma_core.codec.payloads import payload_from_json
from kroma_core.derive.attributes import needs_receipts
from kroma_core.derive.pipeline import Derivation
from kroma_core.derive.steps import Derived, NeedData, NeedL1, NeedL2Block
from kroma_core.errors import DecodeError
from kroma_core.l1 import InboxTransaction
from kroma_core.recording import VerifiedReader, open_recording


def heard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(sys.stdin.readline())
    return found


def said(**message: Any) -> None:
    print(json.dumps(message), flush=True)


def data_of(reader: VerifiedReader, transaction: InboxTransaction) -> tuple[bytes, ...]:
    if transaction.type != BLOB_TYPE:
        return (transaction.data,)
    return tuple(content for name in transaction.blob_hashes if (content := content_of(reader.blob(name))) is not None)


def content_of(blob: bytes | None) -> bytes | None:
    """What a blob carries; None where it is none of the batcher's."""
    try:
        return None if blob is None else decode(blob)
    except DecodeError:
        return None


def main() -> None:
    start = heard()
    head = bytes.fromhex(start["l1_head"].removeprefix("0x"))
    with open_recording(Path(start["l1"])) as recording:
        chain = chain_from_json(
            recording.rollup_config, recording.l2_genesis, recording.l1_chain_config, source=start["l1"]
        )
        reader = VerifiedReader(recording)
        genesis = genesis_payload(recording, chain)
        payloads, tip = {genesis.number: genesis}, reader.ref(head)
        machine = Derivation(chain, safe=genesis, base=genesis)
        while True:
            match machine.next_event():
                case NeedL1(number=number):
                    if number > tip.number:
                        break
                    block = reader.block(reader.canonical(head, number).hash)
                    receipts = reader.receipts(block.hash) if needs_receipts(block.header, chain) else ()
                    machine.feed_l1(block, receipts)
                case NeedData(transactions=transactions):
                    machine.feed_data([data_of(reader, transaction) for transaction in transactions])
                case NeedL2Block(number=number):
                    machine.feed_l2(payloads[number])
                case Derived(attributes=attributes, parent=parent):
                    said(type="attributes", parent="0x" + parent.hash.hex(), attributes=attributes_to_json(attributes))
                    answer = heard()
                    if answer["type"] == "valid":
                        made = answer["payload"]
                        root = made.get("parentBeaconBlockRoot")
                        payload = payload_from_json(made, root and bytes.fromhex(root.removeprefix("0x")))
                        payloads[payload.number] = payload
                        machine.confirm(payload)
                    else:
                        machine.reject("the runner refuses them")
                case _:
                    pass
    said(type="end")


if __name__ == "__main__":
    main()
