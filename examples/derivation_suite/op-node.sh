#!/bin/sh
# op-node on op-geth, as a client of the suite. OP_NODE and GETH name the programs.
#   kroma recordings run SUITE -- sh op-node.sh {l1} {beacon} {rollup} {genesis} {l1_config} {rpc_port} {eth_port} {port1}
# What is in the recording of an L1's state is little, so op-node has to trust the L1 (--l1.trustrpc); receipts it checks.
set -eu
l1=$1 beacon=$2 rollup=$3 genesis=$4 l1_config=$5 rpc_port=$6 eth_port=$7 auth_port=$8
od -An -N32 -tx1 /dev/urandom | tr -d ' \n' > jwt.txt
printf '[Node.P2P]\nListenAddr = ""\nNoDiscovery = true\nMaxPeers = 0\n' > geth.toml
"${GETH:-geth}" --datadir data --state.scheme hash init "$genesis"
"${GETH:-geth}" --config geth.toml --datadir data --networkid "$(sed -n 's/.*"l2_chain_id": *\([0-9]*\).*/\1/p' "$rollup")" \
  --http --http.addr 127.0.0.1 --http.port "$eth_port" --http.api eth,net,web3 --ipcdisable --nodiscover --maxpeers 0 \
  --authrpc.addr 127.0.0.1 --authrpc.port "$auth_port" --authrpc.jwtsecret jwt.txt --authrpc.vhosts '*' \
  --syncmode full --gcmode archive --state.scheme hash --rollup.disabletxpoolgossip --nat none --cache 128 &
exec "${OP_NODE:-op-node}" --l1 "$l1" --l1.beacon "$beacon" --l1.trustrpc --l1.rpckind standard \
  --l1.http-poll-interval 500ms --l1.epoch-poll-interval 2s --verifier.l1-confs 0 \
  --l2 "http://127.0.0.1:$auth_port" --l2.jwt-secret jwt.txt --rollup.config "$rollup" --rollup.l1-chain-config "$l1_config" \
  --rpc.addr 127.0.0.1 --rpc.port "$rpc_port" --metrics.enabled=false --p2p.disable
