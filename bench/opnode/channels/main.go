// Command channels times op-node's channel reader on the bytes of channels, beside bench/channel_decode.py.
//
//	channels -chain-id 901 -genesis-time 0 -block-time 2 CHANNEL...
//
// Each file is one channel, its frames already joined. A pass over all of them inflates, decodes every batch, writes out
// every transaction, and turns span batches into singular ones. Each line on standard input asks for one pass, which is
// answered with one JSON object on a line: so that passes of two programs can take turns.
package main

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"math/big"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/ethereum-optimism/optimism/op-node/rollup"
	"github.com/ethereum-optimism/optimism/op-node/rollup/derive"
	"github.com/ethereum-optimism/optimism/op-service/eth"
)

type report struct {
	WallSeconds  float64 `json:"wall_seconds"`
	CPUSeconds   float64 `json:"cpu_seconds"`
	Blocks       int     `json:"blocks"`
	Transactions int     `json:"transactions"`
	Digest       string  `json:"digest"`
}

func main() {
	chainID := flag.Int64("chain-id", 901, "L2 chain id")
	genesis := flag.Uint64("genesis-time", 0, "time of the L2 genesis block")
	blockTime := flag.Uint64("block-time", 2, "seconds between L2 blocks")
	flag.Parse()
	config := &rollup.Config{
		BlockTime: *blockTime,
		L2ChainID: big.NewInt(*chainID),
		Genesis:   rollup.Genesis{L2Time: *genesis},
	}
	if err := run(flag.Args(), config); err != nil {
		fmt.Fprintln(os.Stderr, "channels:", err)
		os.Exit(1)
	}
}

func run(files []string, config *rollup.Config) error {
	var channels [][]byte
	for _, file := range files {
		channel, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		channels = append(channels, channel)
	}
	first, err := pass(channels, config, nil)
	if err != nil {
		return err
	}
	origins := originsOf(first)
	answers := json.NewEncoder(os.Stdout)
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		start, used := time.Now(), cpuSeconds()
		blocks, err := pass(channels, config, origins)
		if err != nil {
			return err
		}
		out := report{WallSeconds: time.Since(start).Seconds(), CPUSeconds: cpuSeconds() - used}
		out.describe(blocks)
		if err := answers.Encode(out); err != nil {
			return err
		}
	}
	return nil
}

// cpuSeconds is what all threads of this process, the garbage collector's included, have used so far.
func cpuSeconds() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}

// pass reads every channel once. Without origins only the epochs of span blocks are filled in.
func pass(channels [][]byte, config *rollup.Config, origins []eth.L1BlockRef) ([]*derive.SingularBatch, error) {
	const maxRLPBytes = 100_000_000
	var blocks []*derive.SingularBatch
	for _, channel := range channels {
		next, err := derive.BatchReader(bytes.NewBuffer(channel), maxRLPBytes, true)
		if err != nil {
			return nil, err
		}
		for {
			data, err := next()
			if err != nil {
				break // any error ends a channel; what was read before it stands
			}
			read, err := blocksOf(data, config, origins)
			if err != nil {
				return nil, err
			}
			blocks = append(blocks, read...)
		}
	}
	return blocks, nil
}

func blocksOf(data *derive.BatchData, config *rollup.Config, origins []eth.L1BlockRef) ([]*derive.SingularBatch, error) {
	if data.GetBatchType() == derive.SingularBatchType {
		singular, err := derive.GetSingularBatch(data)
		return []*derive.SingularBatch{singular}, err
	}
	span, err := derive.DeriveSpanBatch(data, config)
	if err != nil {
		return nil, err
	}
	if origins != nil {
		return span.GetSingularBatches(origins, eth.L2BlockRef{})
	}
	var blocks []*derive.SingularBatch
	for i := 0; i < span.GetBlockCount(); i++ {
		blocks = append(blocks, &derive.SingularBatch{EpochNum: rollup.Epoch(span.GetBlockEpochNum(i))})
	}
	return blocks, nil
}

// originsOf makes up one L1 block for every epoch in the channels.
func originsOf(blocks []*derive.SingularBatch) []eth.L1BlockRef {
	seen := make(map[uint64]bool)
	var origins []eth.L1BlockRef
	for _, block := range blocks {
		number := uint64(block.EpochNum)
		if !seen[number] {
			seen[number] = true
			origins = append(origins, eth.L1BlockRef{Number: number})
		}
	}
	slices.SortFunc(origins, func(a, b eth.L1BlockRef) int { return cmp.Compare(a.Number, b.Number) })
	return origins
}

// describe counts what was read; the digest (epoch, time, transactions of every block) lets two readers be compared.
func (r *report) describe(blocks []*derive.SingularBatch) {
	hash := sha256.New()
	var word [8]byte
	number := func(n uint64) {
		binary.BigEndian.PutUint64(word[:], n)
		hash.Write(word[:])
	}
	for _, block := range blocks {
		number(uint64(block.EpochNum))
		number(block.Timestamp)
		number(uint64(len(block.Transactions)))
		for _, transaction := range block.Transactions {
			number(uint64(len(transaction)))
			hash.Write(transaction)
		}
		r.Transactions += len(block.Transactions)
	}
	r.Blocks = len(blocks)
	r.Digest = hex.EncodeToString(hash.Sum(nil))
}
