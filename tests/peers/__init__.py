"""Tests with real programs on loopback: anvil, op-geth, op-node, op-batcher (`make peers`, then `make test-peers`).

Every file is marked `peers` by the conftest of this folder, and none of it runs in the default suite. A missing program
fails the test. The harness, all of it async context managers under trio, that stop what they started and nothing else:

    programs.py   running(...): one program on free loopback ports, its log in a folder, ready when it answers
    rpc.py        Rpc(url): a JSON-RPC client that shares nothing with the code under test; until(...): bounded polling
    l1.py         anvil(folder), geth_dev(folder): L1 chains with log emitters in place of rollup contracts
    beacon.py     beacon_api(...): takes in blob transactions, and is a beacon API, in front of geth_dev
    rollup.py     Rollup: rollup.json, genesis.json and l1.json, of a recorded world or on a live L1
    l2.py         op_geth(folder, rollup), op_node(folder, ...), op_batcher(folder, ...)
    node.py       kroma(folder, profile): our node as a process of its own

A chain of 230 blocks on anvil, sequenced by op-node and posted by op-batcher, takes seven seconds:

    async with anvil(folder / "l1") as l1:
        rollup = await with_genesis_hash(await rollup_on(l1), folder / "genesis")
        await l1.mine(290)
        async with (
            op_geth(folder / "el", rollup) as el,
            op_node(folder / "cl", rollup=rollup, l1=l1.url, engine=el, sequencer=True) as cl,
        ):
            await cl.until_unsafe(200)
            last = await el.rpc.block(await cl.stop_sequencing())
            async with op_batcher(folder / "batcher", l1=l1.url, engine=el, node=cl):
                await l1.keep_mining(1)
                await cl.until_safe(int(last["number"], 16))
"""
