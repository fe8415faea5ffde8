// Command zktrie times Kroma's own ZK trie (github.com/kroma-network/zktrie, in memory) beside bench/zktrie.py.
//
//	zktrie ACCOUNTS
//
// It begins with the trie of ACCOUNTS accounts and one contract of eight slots. A pass changes accounts and the contract,
// as one block does: each line on standard input is its JSON, {"accounts": [...], "block": N}, which is answered with
// one JSON object on a line.
package main

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"strconv"
	"syscall"

	"github.com/iden3/go-iden3-crypto/poseidon"
	"github.com/kroma-network/zktrie/trie"
	zkt "github.com/kroma-network/zktrie/types"
)

const (
	slots        = 8
	accountFlags = 4
	storageFlags = 1
)

var (
	contract  = fromHex("4200000000000000000000000000000000000002")
	emptyCode = fromHex("c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470")
	ether     = big.NewInt(1_000_000_000_000_000_000)
)

type pass struct {
	Accounts []uint64 `json:"accounts"`
	Block    uint64   `json:"block"`
}

type report struct {
	CPUSeconds float64 `json:"cpu_seconds"`
	Root       string  `json:"root"`
}

type state struct {
	accounts, storage *trie.ZkTrie
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "zktrie:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 2 {
		return fmt.Errorf("expected one argument, got %d", len(os.Args)-1)
	}
	count, err := strconv.ParseUint(os.Args[1], 10, 64)
	if err != nil {
		return err
	}
	zkt.InitHashScheme(poseidon.Hash)
	held := state{}
	for _, one := range []**trie.ZkTrie{&held.accounts, &held.storage} {
		if *one, err = trie.NewZkTrie(zkt.Byte32{}, trie.NewZkTrieMemoryDb()); err != nil {
			return err
		}
	}
	first := pass{Block: 1}
	for number := range count {
		first.Accounts = append(first.Accounts, number)
	}
	if err := held.write(first); err != nil {
		return err
	}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<24)
	answers := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var asked pass
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			return err
		}
		used := cpuSeconds()
		if err := held.write(asked); err != nil {
			return err
		}
		seconds := cpuSeconds() - used
		if err := answers.Encode(report{CPUSeconds: seconds, Root: hex.EncodeToString(held.accounts.Hash())}); err != nil {
			return err
		}
	}
	return lines.Err()
}

func (s state) write(asked pass) error {
	for slot := range uint64(slots) {
		value := []zkt.Byte32{word(new(big.Int).SetUint64(asked.Block*slots + slot))}
		key := word(new(big.Int).SetUint64(slot))
		if err := s.storage.TryUpdate(key[:], storageFlags, value); err != nil {
			return err
		}
	}
	balance := new(big.Int).Add(ether, new(big.Int).SetUint64(asked.Block))
	for _, number := range asked.Accounts {
		var address [20]byte
		binary.BigEndian.PutUint64(address[12:], number)
		if err := s.put(address[:], asked.Block, balance, nil); err != nil {
			return err
		}
	}
	return s.put(contract, 0, new(big.Int), s.storage.Hash())
}

func (s state) put(address []byte, nonce uint64, balance *big.Int, storage []byte) error {
	values := []zkt.Byte32{
		word(new(big.Int).SetUint64(nonce)),
		word(balance),
		word(new(big.Int).SetBytes(emptyCode)),
		word(new(big.Int).SetBytes(storage)),
	}
	return s.accounts.TryUpdate(address, accountFlags, values)
}

func word(number *big.Int) (found zkt.Byte32) {
	number.FillBytes(found[:])
	return found
}

func fromHex(text string) []byte {
	found, err := hex.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return found
}

func cpuSeconds() float64 {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0
	}
	return float64(used.Utime.Nano()+used.Stime.Nano()) / 1e9
}
