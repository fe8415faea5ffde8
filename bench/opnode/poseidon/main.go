// Command poseidon times go-iden3-crypto's Poseidon, which kroma-geth's constants are of, beside bench/zktrie.py.
//
//	poseidon COUNT
//
// A pass is a chain of COUNT hashes of pairs, each of the one before and its number. Each line on standard input asks
// for one pass, which is answered with one JSON object on a line: so that passes of two programs can take turns.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"strconv"
	"syscall"

	"github.com/iden3/go-iden3-crypto/poseidon"
)

type report struct {
	CPUSeconds float64 `json:"cpu_seconds"`
	Last       string  `json:"last"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "poseidon:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 2 {
		return fmt.Errorf("expected one argument, got %d", len(os.Args)-1)
	}
	count, err := strconv.ParseInt(os.Args[1], 10, 64)
	if err != nil {
		return err
	}
	answers := json.NewEncoder(os.Stdout)
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		used, last := cpuSeconds(), big.NewInt(0)
		for number := range count {
			if last, err = poseidon.Hash([]*big.Int{last, big.NewInt(number)}); err != nil {
				return err
			}
		}
		if err := answers.Encode(report{CPUSeconds: cpuSeconds() - used, Last: last.String()}); err != nil {
			return err
		}
	}
	return nil
}

func cpuSeconds() float64 {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0
	}
	return float64(used.Utime.Nano()+used.Stime.Nano()) / 1e9
}
