#!/usr/bin/env python3
"""A small derivation library for the suite's line protocol, with nothing but Python's standard library.

    kroma recordings derive SUITE -- python3 regolith_lines.py

It knows the OP Stack's first two upgrades, Bedrock and Regolith, and says `unsupported` for every other chain. It
shares no code with any node: hashing, RLP, signatures, channels, batches and attributes are written here from the
specification.
"""

import json
import sys
import zlib

INFO_SENDER, INFO_CONTRACT = (
    bytes.fromhex("deaddeaddeaddeaddeaddeaddeaddeaddead0001"),
    bytes.fromhex("42" + "00" * 18 + "15"),
)
FEE_VAULT = "0x42" + "00" * 18 + "11"
MAX_CHANNEL_BYTES = 10_000_000
LATER = (
    "canyon",
    "delta",
    "ecotone",
    "fjord",
    "granite",
    "holocene",
    "isthmus",
    "jovian",
    "karst",
    "lagoon",
    "interop",
)


# --- hashing ---

MASK = (1 << 64) - 1


def _keccak_tables():
    constants, register = [], 1
    for _ in range(24):
        constant = 0
        for bit in range(7):
            if register & 1:
                constant |= 1 << ((1 << bit) - 1)
            register = (register << 1) ^ (0x171 if register & 0x80 else 0)
        constants.append(constant)
    lanes, x, y = [], 1, 0
    for step in range(24):
        lanes.append((x, y, (step + 1) * (step + 2) // 2 % 64))
        x, y = y, (2 * x + 3 * y) % 5
    return constants, lanes


ROUNDS, ROTATIONS = _keccak_tables()


def _turned(lane, by):
    return ((lane << by) | (lane >> (64 - by))) & MASK


def keccak256(data):
    state = [[0] * 5 for _ in range(5)]
    padded = bytearray(data) + b"\x01"
    padded += bytes(-len(padded) % 136)
    padded[-1] |= 0x80
    for start in range(0, len(padded), 136):
        for index in range(17):
            lane = int.from_bytes(padded[start + 8 * index : start + 8 * index + 8], "little")
            state[index % 5][index // 5] ^= lane
        for constant in ROUNDS:
            columns = [state[x][0] ^ state[x][1] ^ state[x][2] ^ state[x][3] ^ state[x][4] for x in range(5)]
            for x in range(5):
                mixed = columns[x - 1] ^ _turned(columns[(x + 1) % 5], 1)
                for y in range(5):
                    state[x][y] ^= mixed
            moved = [[state[0][0]] + [0] * 4] + [[0] * 5 for _ in range(4)]
            for x, y, by in ROTATIONS:
                moved[y][(2 * x + 3 * y) % 5] = _turned(state[x][y], by)
            state = [
                [moved[x][y] ^ (~moved[(x + 1) % 5][y] & moved[(x + 2) % 5][y]) for y in range(5)] for x in range(5)
            ]
            state[0][0] ^= constant
    return b"".join((state[index % 5][index // 5] & MASK).to_bytes(8, "little") for index in range(4))


# --- RLP ---


def rlp_item(data, at):
    """The item at a place, and where it ends. Raises ValueError."""
    first = data[at]
    if first < 0x80:
        return data[at : at + 1], at + 1
    is_list, short = first >= 0xC0, 0xC0 if first >= 0xC0 else 0x80
    size, begin = first - short, at + 1
    if size > 55:
        begin += size - 55
        size = int.from_bytes(data[at + 1 : begin], "big")
    end = begin + size
    if end > len(data):
        raise ValueError("an item that is longer than its input")
    if not is_list:
        return data[begin:end], end
    items = []
    while begin < end:
        item, begin = rlp_item(data, begin)
        items.append(item)
    if begin != end:
        raise ValueError("a list whose items are longer than itself")
    return items, end


def rlp(data):
    item, end = rlp_item(data, 0)
    if end != len(data):
        raise ValueError("bytes after the item")
    return item


def to_rlp(value):
    if isinstance(value, int):
        value = value.to_bytes((value.bit_length() + 7) // 8, "big")
    if isinstance(value, bytes):
        return value if len(value) == 1 and value[0] < 0x80 else _prefix(0x80, value)
    return _prefix(0xC0, b"".join(map(to_rlp, value)))


def _prefix(short, content):
    if len(content) <= 55:
        return bytes([short + len(content)]) + content
    size = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes([short + 55 + len(size)]) + size + content


def number(data):
    return int.from_bytes(data, "big")


# --- senders ---

P, N = 2**256 - 2**32 - 977, 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
G = (
    0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
    0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8,
)


def _add(one, two):
    if one is None or two is None:
        return one or two
    if one[0] == two[0]:
        if (one[1] + two[1]) % P == 0:
            return None
        slope = 3 * one[0] * one[0] * pow(2 * one[1], -1, P)
    else:
        slope = (two[1] - one[1]) * pow(two[0] - one[0], -1, P)
    x = (slope * slope - one[0] - two[0]) % P
    return x, (slope * (one[0] - x) - one[1]) % P


def _times(point, factor):
    found = None
    while factor:
        if factor & 1:
            found = _add(found, point)
        point, factor = _add(point, point), factor >> 1
    return found


def recovered(message, parity, r, s):
    y = pow(r**3 + 7, (P + 1) // 4, P)
    if y % 2 != parity:
        y = P - y
    inverse = pow(r, -1, N)
    x, y = _add(_times((r, y), s * inverse % N), _times(G, -number(message) * inverse % N))
    return keccak256(x.to_bytes(32, "big") + y.to_bytes(32, "big"))[12:]


def inbox_transaction(raw):
    """Receiver, data, and a function that tells the sender; None for other types of transactions."""
    if raw[0] >= 0xC0:
        fields = rlp(raw)
        v = number(fields[6])
        unsigned = fields[:6] + ([] if v in (27, 28) else [(v - 35) // 2, 0, 0])
        parity, message, to, data = (v - 27 if v in (27, 28) else (v - 35) % 2), to_rlp(unsigned), fields[3], fields[5]
    elif raw[0] in (1, 2):
        fields, at = rlp(raw[1:]), 3 + raw[0]
        parity, message = number(fields[-3]), raw[:1] + to_rlp(fields[:-3])
        to, data = fields[at], fields[at + 2]
    else:
        return None
    r, s = number(fields[-2]), number(fields[-1])
    return to, data, lambda: recovered(keccak256(message), parity, r, s)


# --- L1 ---


class L1Block:
    def __init__(self, entry):
        fields = rlp(unhex(entry["header"]))
        self.hash, self.parent = unhex(entry["hash"]), fields[0]
        self.number, self.time, self.mix, self.base_fee = number(fields[8]), number(fields[11]), fields[13], fields[15]
        self.transactions = [unhex(raw) for raw in entry["transactions"]]
        self.logs = []
        for raw in entry["receipts"]:
            raw = unhex(raw)
            status, _, _, logs = rlp(raw if raw[0] >= 0xC0 else raw[1:])
            self.logs += [(number(status), *log) for log in logs]


DEPOSITED = keccak256(b"TransactionDeposited(address,address,uint256,bytes)")
CONFIGURED = keccak256(b"ConfigUpdate(uint256,uint8,bytes)")


def word(value):
    return value.to_bytes(32, "big")


def abi_bytes(data):
    size = number(data[32:64])
    return data[64 : 64 + size]


def deposits(block, portal):
    for index, (status, address, topics, data) in enumerate(block.logs):
        if status and address == portal and topics and topics[0] == DEPOSITED:
            opaque = abi_bytes(data)
            source = keccak256(word(0) + keccak256(block.hash + word(index)))
            to = b"" if opaque[72] else topics[2][12:]
            mint, value, gas = number(opaque[:32]), number(opaque[32:64]), number(opaque[64:72])
            yield b"\x7e" + to_rlp([source, topics[1][12:], to, mint, value, gas, 0, opaque[73:]])


def configured(config, block, contract):
    """(batcher, overhead, scalar, gas limit) after the logs of an L1 block."""
    batcher, overhead, scalar, gas_limit = config
    for status, address, topics, data in block.logs:
        if status and address == contract and len(topics) == 3 and topics[0] == CONFIGURED and not any(topics[1]):
            kind, value = number(topics[2]), abi_bytes(data)
            if kind == 0:
                batcher = value[12:32]
            elif kind == 1:
                overhead, scalar = value[:32], value[32:64]
            elif kind == 2:
                gas_limit = number(value)
    return batcher, overhead, scalar, gas_limit


# --- channels ---


def frames_of(data):
    """(channel, number, content, is last) of each frame; none where one of them is malformed."""
    found, at = [], 1
    if data[:1] != b"\0" or len(data) < 2:
        return []
    while at < len(data):
        size = number(data[at + 18 : at + 22])
        end = at + 22 + size
        if end + 1 > len(data) or data[end] > 1:
            return []
        found.append((data[at : at + 16], number(data[at + 16 : at + 18]), data[at + 22 : end], bool(data[end])))
        at = end + 1
    return found


class Channel:
    def __init__(self, opened):
        self.opened, self.frames, self.last = opened, {}, None

    def add(self, index, content, is_last):
        if (
            index in self.frames
            or (is_last and self.last is not None)
            or (self.last is not None and index >= self.last)
        ):
            return
        if is_last:
            self.last = index
            self.frames = {known: data for known, data in self.frames.items() if known < index}
        self.frames[index] = content

    def ready(self):
        return self.last is not None and len(self.frames) == self.last + 1


def batches_of(packed):
    """The batches of a channel, up to the first that is malformed."""
    try:
        data = zlib.decompressobj().decompress(packed, MAX_CHANNEL_BYTES)
    except zlib.error:
        return
    at = 0
    while at < len(data):
        try:
            item, at = rlp_item(data, at)
            if not isinstance(item, bytes) or item[:1] != b"\0":
                return
            parent, epoch, epoch_hash, time, transactions = rlp(item[1:])
        except (ValueError, IndexError):
            return
        yield parent, number(epoch), epoch_hash, number(time), transactions


# --- derivation ---


class Derivation:
    def __init__(self, world, head, engine):
        self.rollup, self.engine = world["rollup_config"], engine
        by_hash = {block.hash: block for block in map(L1Block, world["l1"]["blocks"])}
        genesis = self.rollup["genesis"]
        self.chain, at = {}, by_hash[head]
        while at is not None and at.number >= genesis["l1"]["number"]:
            self.chain[at.number] = at
            at = by_hash.get(at.parent)
        system = genesis["system_config"]
        self.inbox, self.portal, self.contract = (
            unhex(self.rollup[key])
            for key in ("batch_inbox_address", "deposit_contract_address", "l1_system_config_address")
        )
        config = unhex(system["batcherAddr"]), unhex(system["overhead"]), unhex(system["scalar"]), system["gasLimit"]
        self.config, self.reading = config, config  # of the last L2 block, and of the L1 block that is being read
        self.safe, self.time = unhex(genesis["l2"]["hash"]), genesis["l2_time"]
        self.epoch, self.sequence = genesis["l1"]["number"], 0
        self.channels, self.waiting = {}, []

    def run(self):
        """Read L1 to its head, one batch at a time: each is judged by the block that the one before it made."""
        for origin in sorted(self.chain):
            self.reading = configured(self.reading, self.chain[origin], self.contract)
            for batch in self.batches(origin):
                self.waiting.append((origin, batch))
                self.derive(origin, out_of_data=False)
            while self.derive(origin, out_of_data=True):
                pass

    def batches(self, origin):
        yield from self.read(origin)  # what was in the way may have timed out
        for raw in self.chain[origin].transactions:
            found = inbox_transaction(raw)
            if found is None or found[0] != self.inbox or found[2]() != self.reading[0]:
                continue
            for name, index, content, is_last in frames_of(found[1]):
                channel = self.channels.setdefault(name, Channel(origin))
                if origin <= channel.opened + self.rollup["channel_timeout"]:
                    channel.add(index, content, is_last)
                yield from self.read(origin)

    def read(self, origin):
        """The batches of the channels at the front that are whole, or have to go."""
        while self.channels:
            name, channel = next(iter(self.channels.items()))
            late = origin > channel.opened + self.rollup["channel_timeout"]
            if not late and not channel.ready():
                return
            del self.channels[name]
            if not late:
                yield from batches_of(b"".join(channel.frames[index] for index in sorted(channel.frames)))

    def derive(self, origin, out_of_data):
        """Make the next block, if what was read up to `origin` says which."""
        kept, chosen = [], None
        for place, (inclusion, batch) in enumerate(self.waiting):
            verdict = self.verdict(inclusion, batch, origin)
            if verdict == "accept" and chosen is None:
                chosen = batch
                kept += self.waiting[place + 1 :]
                break
            if verdict == "undecided":
                kept += self.waiting[place:]
                self.waiting = kept
                return False
            if verdict == "future":
                kept.append((inclusion, batch))
        self.waiting = kept
        if chosen is None:
            chosen = self.forced(origin, out_of_data)
        return chosen is not None and self.make(chosen[1], chosen[4])

    def verdict(self, inclusion, batch, origin):
        parent, epoch, epoch_hash, time, transactions = batch
        due = self.time + self.rollup["block_time"]
        if time != due:
            return "future" if time > due else "drop"
        if (
            parent != self.safe
            or epoch + self.rollup["seq_window_size"] < inclusion
            or not 0 <= epoch - self.epoch <= 1
        ):
            return "drop"
        if epoch > origin:
            return "undecided"
        l1 = self.chain[epoch]
        if epoch_hash != l1.hash or time < l1.time:
            return "drop"
        if time > l1.time + self.rollup["max_sequencer_drift"]:
            if transactions:
                return "drop"
            if epoch == self.epoch:
                if epoch + 1 > origin:
                    return "undecided"
                if time >= self.chain[epoch + 1].time:
                    return "drop"
        return "drop" if any(not raw or raw[0] == 0x7E for raw in transactions) else "accept"

    def forced(self, origin, out_of_data):
        """An empty batch, where the sequencing window of the epoch has passed."""
        end = self.epoch + self.rollup["seq_window_size"]
        if not (end < origin or (end == origin and out_of_data)) or self.epoch + 1 > origin:
            return None
        due, following = self.time + self.rollup["block_time"], self.chain[self.epoch + 1]
        epoch = self.epoch if due < following.time else self.epoch + 1
        return self.safe, epoch, self.chain[epoch].hash, due, []

    def make(self, epoch, transactions):
        l1, time = self.chain[epoch], self.time + self.rollup["block_time"]
        first = epoch != self.epoch
        config = configured(self.config, l1, self.contract) if first else self.config
        sequence = 0 if first else self.sequence + 1
        made = [self.l1_info(l1, sequence, config, time), *(deposits(l1, self.portal) if first else ()), *transactions]
        found = self.engine(
            self.safe,
            {
                "timestamp": hex(time),
                "prevRandao": "0x" + l1.mix.hex(),
                "suggestedFeeRecipient": FEE_VAULT,
                "transactions": ["0x" + raw.hex() for raw in made],
                "noTxPool": True,
                "gasLimit": hex(config[3]),
            },
        )
        if found is None:
            return False  # the engine refuses the block: its batch is dropped
        self.safe, self.time, self.epoch, self.sequence, self.config = found, time, epoch, sequence, config
        return True

    def l1_info(self, l1, sequence, config, time):
        batcher, overhead, scalar, _ = config
        data = keccak256(b"setL1BlockValues(uint64,uint64,uint256,bytes32,uint64,bytes32,uint256,uint256)")[:4]
        data += word(l1.number) + word(l1.time) + bytes(32 - len(l1.base_fee)) + l1.base_fee + l1.hash + word(sequence)
        data += bytes(12) + batcher + overhead + scalar
        source = keccak256(word(1) + keccak256(l1.hash + word(sequence)))
        regolith = self.rollup.get("regolith_time")
        gas, is_system = (1_000_000, 0) if regolith is not None and time >= regolith else (150_000_000, 1)
        return b"\x7e" + to_rlp([source, INFO_SENDER, INFO_CONTRACT, 0, 0, gas, is_system, data])


def unhex(text):
    return bytes.fromhex(text.removeprefix("0x"))


# --- the line protocol ---


def say(message):
    print(json.dumps(message), flush=True)


def ask(parent, attributes):
    say({"type": "attributes", "parent": "0x" + parent.hex(), "attributes": attributes})
    answer = json.loads(sys.stdin.readline())
    return unhex(answer["hash"]) if answer["type"] == "valid" else None


def main():
    start = json.loads(sys.stdin.readline())
    with open(start["l1"]) as file:
        world = json.load(file)
    rollup = world["rollup_config"]
    if start["family"] != "op":
        return say({"type": "unsupported", "reason": f"chains of family {start['family']}"})
    known = [fork for fork in LATER if rollup.get(f"{fork}_time") is not None]
    if known:
        return say({"type": "unsupported", "reason": f"{known[0]} and later upgrades"})
    Derivation(world, unhex(start["l1_head"]), ask).run()
    return say({"type": "end"})


if __name__ == "__main__":
    main()
