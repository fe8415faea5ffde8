"""What became of a block, a transaction, or what happened in an L1 block."""

from __future__ import annotations

from typing import Any

from kroma_core.node.explain.answer import Answer
from kroma_core.node.explain.schema import HOLDS, READ_AGAIN, REORGANISED
from kroma_core.node.explain.situation import KeptVerdict, Situation
from kroma_core.node.explain.stall import Surroundings, stall

_VOID = {HOLDS: "", READ_AGAIN: "before derivation began anew", REORGANISED: "in an L1 block that was given up"}
_BLOCK = ("id", "run", "l1", "number", "hash", "origin", "sequence", "kind", "channel", "batch",
          "transactions", "consolidated", "void")  # fmt: skip


def explain_block(situation: Situation, number: int, around: Surroundings) -> Answer:
    """Why an L2 block is safe, or is not, and which L1 transactions made it."""
    genesis = situation.chain.rollup.genesis.l2.number
    if number <= genesis:
        known = number == genesis
        text = "is the genesis block: safe by definition" if known else f"is before the genesis block {genesis}"
        return Answer(summary=f"L2 block {number} {text}", found=known, data={"number": number, "safe": known})
    rows = _blocks(situation, "number = ? ORDER BY id DESC", number)
    held = [row for row in rows if row["void"] == HOLDS]
    verdicts = _about_block(situation, number)
    if held:
        return _safe_block(situation, held[0], rows, verdicts)
    return _unsafe_block(situation, number, rows, verdicts, around)


def _safe_block(
    situation: Situation, block: dict[str, Any], rows: list[dict[str, Any]], verdicts: list[KeptVerdict]
) -> Answer:
    number = block["number"]
    heads = situation.state("heads")
    final = heads is not None and heads[0]["finalized"]["number"] >= number
    summary = (
        f"L2 block {number} (0x{block['hash'].hex()}) is {'finalized' if final else 'safe'}: a {block['kind']} batch, "
        f"read to its end with L1 block {block['l1']}"
    )
    facts = [
        ("epoch", f"L1 block {block['origin']}, block {block['sequence']} of it; {block['transactions']} transactions")
    ]
    facts.append(("engine", "had the block already" if block["consolidated"] else "built it from the attributes"))
    made = _made_of(situation, block)
    if block["kind"] == "empty":
        forced = next((one for one in reversed(verdicts) if one.code == "WINDOW_EXPIRED"), None)
        facts.append(("why empty", forced.words() if forced is not None else "the sequencing window had passed"))
    elif block["channel"] is not None:
        facts.append(("batch", f"number {block['batch']} of channel {block['channel'].hex()}"))
        facts += [_frames_fact(one) for one in made]
    facts += [("verdict", f"L1 block {one.l1}: {one.subject} {one.outcome}: {one.words()}") for one in verdicts
              if one.code != "WINDOW_EXPIRED"]  # fmt: skip
    facts += _earlier(rows, block)
    data = {"number": number, "safe": True, "finalized": final, "block": _shown(block), "transactions": made,
            "verdicts": [one.as_json() for one in verdicts]}  # fmt: skip
    return Answer(summary=summary, facts=tuple(facts), data=data)


def _unsafe_block(
    situation: Situation,
    number: int,
    rows: list[dict[str, Any]],
    verdicts: list[KeptVerdict],
    around: Surroundings,
) -> Answer:
    safe = situation.safe_number
    data: dict[str, Any] = {"number": number, "verdicts": [one.as_json() for one in verdicts]}
    if number <= safe:
        summary = f"L2 block {number} is safe: it was derived before what is kept here begins"
        return Answer(summary=summary, data={**data, "safe": True})
    why = stall(situation, around)
    facts: list[tuple[str, str]] = []
    facts += [("verdict", f"L1 block {one.l1}: {one.subject} {one.outcome}: {one.words()}") for one in verdicts]
    facts += _earlier(rows, None)
    heads = situation.state("heads")
    if heads is not None and heads[0]["unsafe"]["number"] >= number:
        facts.append(("unsafe", "the engine has a block of this number that no L1 data confirm"))
    facts += [("safe head", f"L2 block {safe}, {number - safe} below"), ("because", why.summary)]
    data |= {"safe": False, "safe_head": safe, "stall": why.as_json(), "earlier": [_shown(row) for row in rows]}
    return Answer(summary=f"L2 block {number} is not safe", facts=tuple(facts), data=data)


def explain_transaction(situation: Situation, transaction: bytes) -> Answer:
    """What became of a transaction of the batcher, or of one to its inbox."""
    store = situation.store
    query = (
        "SELECT id, run, l1, place, type, blobs, inputs, void FROM transactions WHERE hash = ? ORDER BY void, id DESC"
    )
    rows = store.rows(query, transaction)
    name = transaction.hex()
    dropped = situation.verdicts("name = ? OR name LIKE ?", name, f"{name}/%")
    if not rows:
        if dropped:
            one = dropped[-1]
            summary = f"L1 transaction 0x{name} in L1 block {one.l1} is not the batcher's: {one.words()}"
            data = {"layer": "L1", "accepted": False, "verdicts": [verdict.as_json() for verdict in dropped]}
            return Answer(summary=summary, data=data)
        return Answer(
            summary=f"transaction 0x{name}: not a transaction to the batch inbox that is known here", found=False
        )
    _, run, l1, place, kind, blobs, inputs, void = rows[0]
    facts = [("where", f"L1 block {l1}, transaction {place}, type {kind}" + (f", {blobs} blobs" if blobs else ""))]
    if void:
        facts.append(("no longer", _VOID[void]))
    facts += [
        ("dropped", f"input {one.name.rpartition('/')[2]}: {one.words()}") for one in dropped if one.subject == "data"
    ]
    frames = store.rows(
        "SELECT id, input, channel, number, size, is_last, dropped FROM frames "
        "WHERE transaction_hash = ? AND run = ? ORDER BY id",
        transaction,
        run,
    )
    channels: dict[bytes, list[tuple[Any, ...]]] = {}
    for row in frames:
        channels.setdefault(row[2], []).append(row)
    told, blocks = [], 0
    for channel, seen in channels.items():
        fate, numbers = _fate(situation, channel, run, seen[0][0])
        blocks += len(numbers)
        good = [row[3] for row in seen if row[6] is None]
        facts.append(("channel", f"{channel.hex()}: frames {_ranges(good) or 'none'}: {fate}"))
        facts += [("frame", f"{row[3]} was dropped: {row[6]}") for row in seen if row[6] is not None]
        told.append({"channel": channel.hex(), "fate": fate, "blocks": numbers,
                     "frames": [{"number": row[3], "input": row[1], "size": row[4], "is_last": bool(row[5]),
                                 "dropped": row[6]} for row in seen]})  # fmt: skip
    made = f"had a part in {blocks} L2 blocks" if blocks else "has made no L2 block"
    if not inputs:
        made = "carries nothing that can be read as batcher data"
    data = {"layer": "L1", "accepted": True, "l1": l1, "place": place, "void": _VOID[void] or None, "channels": told,
            "verdicts": [verdict.as_json() for verdict in dropped]}  # fmt: skip
    return Answer(summary=f"L1 transaction 0x{name}, of the batcher, {made}", facts=tuple(facts), data=data)


def _fate(situation: Situation, channel: bytes, run: int, first: int) -> tuple[str, list[int]]:
    """What became of a channel of which a frame has the id `first`, and the numbers of the blocks it made."""
    store = situation.store
    read = store.row(
        "SELECT id, l1, batches, frames FROM channels WHERE channel = ? AND run = ? AND id > ? ORDER BY id",
        channel,
        run,
        first,
    )
    gone = situation.verdicts("subject = 'channel' AND channel = ? AND run = ? AND id > ?", channel, run, first)
    blocks = [number for (number,) in store.rows(
        "SELECT DISTINCT number FROM blocks WHERE channel = ? AND run = ? AND id > ? ORDER BY number",
        channel, run, first,
    )]  # fmt: skip
    batches = situation.verdicts(
        "channel = ? AND run = ? AND id > ? AND outcome = 'dropped' "
        "AND subject IN ('batch', 'span batch', 'attributes')",
        channel, run, first,
    )  # fmt: skip
    made = f"L2 blocks {_ranges(blocks)}" if blocks else "no L2 blocks"
    lost = f"; dropped: {batches[0].words()}" if batches else ""
    if gone and (read is None or gone[0].id < read[0]):
        return f"given up in L1 block {gone[0].l1}: {gone[0].words()}", blocks
    if read is not None:
        return f"read with L1 block {read[1]} ({read[3]} frames, {read[2]} batches), made {made}{lost}", blocks
    waiting = next((one for one in situation.open_channels() if one.channel == channel.hex()), None)
    if waiting is not None:
        return f"waits for frame {waiting.waits_for}, times out after L1 block {waiting.times_out_after}", blocks
    return (f"is being read, made {made}{lost}" if blocks or batches else "not read"), blocks


def explain_l1(situation: Situation, number: int) -> Answer:
    """What happened while an L1 block was read, the last time that it was."""
    store = situation.store
    seen = store.row("SELECT id, run, hash, l1_time, void FROM l1_blocks WHERE l1 = ? ORDER BY id DESC LIMIT 1", number)
    if seen is None:
        current, heads = situation.current_l1, situation.state("l1_heads")
        if current is not None and number > current[0]:
            head = f", L1's head is {heads[0]['unsafe']['number']}" if heads else ""
            return Answer(
                summary=f"L1 block {number} has not been read: derivation is at {current[0]}{head}", found=False
            )
        return Answer(summary=f"L1 block {number}: not among what is kept", found=False)
    id, run, block_hash, time, void = seen
    transactions = store.rows(
        "SELECT hash, place, type, blobs, inputs FROM transactions WHERE l1 = ? AND run = ? ORDER BY id", number, run
    )
    channels = store.rows(
        "SELECT channel, frames, batches, compressed, decompressed, opened FROM channels "
        "WHERE l1 = ? AND run = ? ORDER BY id",
        number, run,
    )  # fmt: skip
    verdicts = situation.verdicts("l1 = ? AND run = ?", number, run)
    blocks = _blocks(situation, "l1 = ? AND run = ? AND id > ? ORDER BY number", number, run, id)
    facts = [("transaction", f"0x{hash.hex()}: {inputs} inputs" + (f", {blobs} blobs" if blobs else ""))
             for hash, _, _, blobs, inputs in transactions]  # fmt: skip
    facts += [("channel read", f"{channel.hex()}: {count} frames since L1 block {opened}, {batches} batches, "
               f"{small} -> {big} bytes")
              for channel, count, batches, small, big, opened in channels]  # fmt: skip
    facts += [(one.outcome, f"{one.subject} {one.name}: {one.words()}") for one in verdicts]
    if blocks:
        facts.append(("made safe", f"L2 blocks {_ranges([block['number'] for block in blocks])}"))
    facts += [("channel open", f"{one.channel}: waits for frame {one.waits_for}") for one in situation.open_channels()
              if one.opened == number]  # fmt: skip
    what = f"{len(transactions)} batcher transactions, {len(channels)} channels read, {len(blocks)} L2 blocks made safe"
    gone = f" ({_VOID[void]})" if void else ""
    data = {
        "number": number, "hash": "0x" + block_hash.hex(), "time": time, "void": _VOID[void] or None,
        "transactions": [{"hash": "0x" + hash.hex(), "place": place, "type": kind, "blobs": blobs, "inputs": inputs}
                         for hash, place, kind, blobs, inputs in transactions],
        "channels": [{"id": channel.hex(), "frames": count, "batches": batches, "compressed": small,
                      "decompressed": big, "opened": opened}
                     for channel, count, batches, small, big, opened in channels],
        "verdicts": [one.as_json() for one in verdicts],
        "blocks": [_shown(block) for block in blocks],
    }  # fmt: skip
    return Answer(summary=f"L1 block {number} (0x{block_hash.hex()}){gone}: {what}", facts=tuple(facts), data=data)


def _made_of(situation: Situation, block: dict[str, Any]) -> list[dict[str, Any]]:
    """The L1 transactions whose frames made the channel that a block was read from."""
    if block["channel"] is None:
        return []
    store, channel, run = situation.store, block["channel"], block["run"]
    ended = store.row(
        "SELECT max(id) FROM channels WHERE channel = ? AND run = ? AND id < ?", channel, run, block["id"]
    )
    gone = store.row(
        "SELECT max(id) FROM verdicts WHERE subject = 'channel' AND channel = ? AND run = ? AND id < ?",
        channel, run, block["id"],
    )  # fmt: skip
    rows = store.rows(
        "SELECT id, l1, transaction_hash, number FROM frames "
        "WHERE channel = ? AND run = ? AND id < ? AND dropped IS NULL ORDER BY id",
        channel, run, block["id"],
    )  # fmt: skip
    gone_at = (gone[0] if gone is not None else None) or 0
    ended_at = (ended[0] if ended is not None else None) or 0
    # A batch may wait in its queue after its channel was read to the end.
    fresh = [row for row in rows if row[0] > max(gone_at, ended_at)]
    found: dict[tuple[int, bytes], list[int]] = {}
    for _, l1, transaction, number in fresh or [row for row in rows if row[0] > gone_at]:
        found.setdefault((l1, transaction), []).append(number)
    return [{"l1": l1, "transaction": "0x" + transaction.hex(), "frames": numbers}
            for (l1, transaction), numbers in found.items()]  # fmt: skip


def _frames_fact(one: dict[str, Any]) -> tuple[str, str]:
    return "made by", f"{one['transaction']} in L1 block {one['l1']}: frames {_ranges(one['frames'])}"


def _about_block(situation: Situation, number: int) -> list[KeptVerdict]:
    return situation.verdicts(
        "name = ? AND subject IN ('batch', 'span batch', 'attributes') AND outcome != 'past' AND void = 0",
        str(situation.time_of(number)),
    )


def _blocks(situation: Situation, where: str, *values: Any) -> list[dict[str, Any]]:
    query = f"SELECT {', '.join(_BLOCK)} FROM blocks WHERE {where}"
    return [dict(zip(_BLOCK, row, strict=True)) for row in situation.store.rows(query, *values)]


def _earlier(rows: list[dict[str, Any]], but: dict[str, Any] | None) -> list[tuple[str, str]]:
    """Blocks of the same number that are not the one that holds."""
    hash_now = but["hash"] if but is not None else None
    other = {row["hash"]: row for row in rows if row["hash"] != hash_now}
    return [("earlier", f"0x{row['hash'].hex()} from L1 block {row['l1']}, {_VOID[row['void']]}")
            for row in other.values() if row["void"]]  # fmt: skip


def _shown(block: dict[str, Any]) -> dict[str, Any]:
    shown = {name: value for name, value in block.items() if name not in ("id", "run")}
    channel = block["channel"]
    return {**shown, "hash": "0x" + block["hash"].hex(), "channel": channel.hex() if channel is not None else None,
            "consolidated": bool(block["consolidated"]), "void": _VOID[block["void"]] or None}  # fmt: skip


def _ranges(numbers: list[int]) -> str:
    """`1-3, 5` for 1, 2, 3, 5."""
    found: list[list[int]] = []
    for number in sorted(set(numbers)):
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in found)


def in_block(situation: Situation, transaction: bytes, number: int, around: Surroundings) -> Answer:
    """What became of a transaction on L2 (a deposit, or one of the sequencer's) that stands in block `number`."""
    block = explain_block(situation, number, around)
    name = "0x" + transaction.hex()
    data = {"layer": "L2", "transaction": name, "number": number, "block": block.as_json()}
    return Answer(
        summary=f"transaction {name} stands in L2 block {number}. {block.summary}", facts=block.facts, data=data
    )
