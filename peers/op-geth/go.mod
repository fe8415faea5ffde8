module kroma/peers/op-geth

go 1.26.0

require github.com/ethereum/go-ethereum v1.17.0

replace github.com/ethereum/go-ethereum => github.com/ethereum-optimism/op-geth v1.101702.3-rc.7
