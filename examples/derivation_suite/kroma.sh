#!/bin/sh
# This node with its embedded engine, as a client of the suite:
#   kroma recordings run SUITE -- sh kroma.sh {l1} {beacon} {rollup} {genesis} {l1_config} {rpc_port} {eth_port} {port1}
set -eu
l1=$1 beacon=$2 rollup=$3 genesis=$4 l1_config=$5 rpc_port=$6 eth_port=$7 ws_port=$8
cat > node.toml <<TOML
[chain]
rollup = "$rollup"
genesis = "$genesis"
$([ ! -f "$l1_config" ] || echo "l1 = \"$l1_config\"")
[l1]
kind = "rpc"
urls = ["$l1"]
poll_interval = 0.1
labels_interval = 0.5
[[blobs]]
kind = "beacon"
url = "$beacon"
[[data]]
kind = "calldata"
[[data]]
kind = "blob"
[engine]
kind = "pyevm"
[node]
data_dir = "data"
[rpc]
port = $rpc_port
[eth]
port = $eth_port
ws_port = $ws_port
TOML
exec kroma run node.toml
