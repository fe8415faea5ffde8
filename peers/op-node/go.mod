module kroma/peers/op-node

go 1.26.0

require github.com/ethereum-optimism/optimism v1.16.11

replace github.com/ethereum/go-ethereum => github.com/ethereum-optimism/op-geth v1.101701.0
