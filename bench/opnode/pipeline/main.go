// Command pipeline times op-node's derivation pipeline on a recorded chain, beside bench/pipeline.py.
//
// L1 blocks are kept as bytes and checked when they are first asked for: the header against its hash, transactions and
// receipts against their roots, blobs by their KZG proofs. After that they are remembered, as op-node's own L1 client
// does. Every derived block is answered with the recorded payload.
//
// Each line on standard input asks for one pass, which is answered with one JSON object on a line: so that passes of two
// programs can take turns.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/log"
	"github.com/ethereum/go-ethereum/params"

	altda "github.com/ethereum-optimism/optimism/op-alt-da"
	"github.com/ethereum-optimism/optimism/op-node/metrics"
	"github.com/ethereum-optimism/optimism/op-node/rollup"
	"github.com/ethereum-optimism/optimism/op-node/rollup/derive"
	"github.com/ethereum-optimism/optimism/op-service/eth"
)

type vector struct {
	RollupConfig  rollup.Config       `json:"rollup_config"`
	L1ChainConfig *params.ChainConfig `json:"l1_chain_config"`
	L1            struct {
		Blocks []storedBlock `json:"blocks"`
	} `json:"l1"`
	Blobs    map[common.Hash]string `json:"blobs"`
	Expected struct {
		Blocks []struct {
			Payload    *eth.ExecutionPayload  `json:"payload"`
			Attributes *eth.PayloadAttributes `json:"attributes"`
		} `json:"blocks"`
	} `json:"expected"`
}

type report struct {
	WallSeconds float64 `json:"wall_seconds"`
	CPUSeconds  float64 `json:"cpu_seconds"`
	Blocks      int     `json:"blocks"`
}

func main() {
	file := flag.String("vector", "", "a chain vector as plain JSON, without reorgs")
	flag.Parse()
	if err := run(*file); err != nil {
		fmt.Fprintln(os.Stderr, "pipeline:", err)
		os.Exit(1)
	}
}

func run(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var chain vector
	if err := json.Unmarshal(text, &chain); err != nil {
		return err
	}
	blobs, err := provenBlobs(chain.Blobs)
	if err != nil {
		return err
	}
	answers := json.NewEncoder(os.Stdout)
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		l1, l2 := newL1(chain.L1.Blocks, blobs), newL2(&chain)
		start, used := time.Now(), cpuSeconds()
		found, err := derived(&chain, l1, l2)
		if err != nil {
			return err
		}
		wall, cpu := time.Since(start).Seconds(), cpuSeconds()-used
		if err := check(&chain, found); err != nil {
			return err
		}
		if err := answers.Encode(report{WallSeconds: wall, CPUSeconds: cpu, Blocks: len(found)}); err != nil {
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

// derived runs a fresh pipeline from genesis until it waits for an L1 block that was not recorded.
func derived(chain *vector, l1 *l1Source, l2 *l2Source) ([]*eth.PayloadAttributes, error) {
	ctx := context.Background()
	logger := log.NewLogger(log.DiscardHandler())
	pipeline := derive.NewDerivationPipeline(
		logger, &chain.RollupConfig, nil, l1, l1, altda.Disabled, l2, metrics.NoopMetrics, chain.L1ChainConfig)
	pipeline.Reset()
	pipeline.ConfirmEngineReset()
	head, err := l2.L2BlockRefByHash(ctx, chain.RollupConfig.Genesis.L2.Hash)
	if err != nil {
		return nil, err
	}
	var found []*eth.PayloadAttributes
	for {
		attributes, err := pipeline.Step(ctx, head)
		if errors.Is(err, io.EOF) {
			return found, nil
		}
		if err != nil && !errors.Is(err, derive.NotEnoughData) {
			return nil, err
		}
		if attributes == nil {
			continue
		}
		found = append(found, attributes.Attributes)
		if head, err = l2.child(head.Hash); err != nil {
			return nil, err
		}
	}
}

// check compares what came out with the recorded attributes.
func check(chain *vector, found []*eth.PayloadAttributes) error {
	if len(found) != len(chain.Expected.Blocks) {
		return fmt.Errorf("derived %d blocks of %d", len(found), len(chain.Expected.Blocks))
	}
	for i, attributes := range found {
		expected := chain.Expected.Blocks[i].Attributes
		same := attributes.Timestamp == expected.Timestamp && len(attributes.Transactions) == len(expected.Transactions)
		for j := 0; same && j < len(expected.Transactions); j++ {
			same = string(attributes.Transactions[j]) == string(expected.Transactions[j])
		}
		if !same {
			return fmt.Errorf("the attributes of block %d are not the recorded ones", i+1)
		}
	}
	return nil
}
