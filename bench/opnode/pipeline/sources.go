package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/ethereum/go-ethereum"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/crypto/kzg4844"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/ethereum/go-ethereum/trie"

	optypes "github.com/ethereum-optimism/optimism/op-core/types"
	"github.com/ethereum-optimism/optimism/op-node/rollup/derive"
	"github.com/ethereum-optimism/optimism/op-service/eth"
)

type storedBlock struct {
	Number       uint64          `json:"number"`
	Hash         common.Hash     `json:"hash"`
	Header       hexutil.Bytes   `json:"header"`
	Transactions []hexutil.Bytes `json:"transactions"`
	Receipts     []hexutil.Bytes `json:"receipts"`
}

type provenBlob struct {
	blob       *eth.Blob
	commitment kzg4844.Commitment
	proof      kzg4844.Proof
}

func provenBlobs(stored map[common.Hash]string) (map[common.Hash]provenBlob, error) {
	blobs := make(map[common.Hash]provenBlob, len(stored))
	for hash, text := range stored {
		data, err := hex.DecodeString(strings.TrimPrefix(text, "0x"))
		if err != nil {
			return nil, err
		}
		one := provenBlob{blob: new(eth.Blob)}
		copy(one.blob[:], data)
		if one.commitment, err = one.blob.ComputeKZGCommitment(); err != nil {
			return nil, err
		}
		if one.proof, err = kzg4844.ComputeBlobProof(one.blob.KZGBlob(), one.commitment); err != nil {
			return nil, err
		}
		blobs[hash] = one
	}
	return blobs, nil
}

// l1Source is the recorded L1: bytes at first, remembered once they were checked.
type l1Source struct {
	stored   map[common.Hash]*storedBlock
	heights  map[uint64]common.Hash
	blobs    map[common.Hash]provenBlob
	infos    map[common.Hash]eth.BlockInfo
	bodies   map[common.Hash]types.Transactions
	receipts map[common.Hash]optypes.Receipts
}

func newL1(blocks []storedBlock, blobs map[common.Hash]provenBlob) *l1Source {
	source := &l1Source{
		stored:   make(map[common.Hash]*storedBlock),
		heights:  make(map[uint64]common.Hash),
		blobs:    blobs,
		infos:    make(map[common.Hash]eth.BlockInfo),
		bodies:   make(map[common.Hash]types.Transactions),
		receipts: make(map[common.Hash]optypes.Receipts),
	}
	for i := range blocks {
		source.stored[blocks[i].Hash] = &blocks[i]
		source.heights[blocks[i].Number] = blocks[i].Hash
	}
	return source
}

func (s *l1Source) InfoByHash(_ context.Context, hash common.Hash) (eth.BlockInfo, error) {
	if info, ok := s.infos[hash]; ok {
		return info, nil
	}
	block, ok := s.stored[hash]
	if !ok {
		return nil, ethereum.NotFound
	}
	if crypto.Keccak256Hash(block.Header) != hash {
		return nil, fmt.Errorf("header of L1 block %d does not hash to %s", block.Number, hash)
	}
	var header types.Header
	if err := rlp.DecodeBytes(block.Header, &header); err != nil {
		return nil, err
	}
	info := eth.HeaderBlockInfoTrusted(hash, &header)
	s.infos[hash] = info
	return info, nil
}

func (s *l1Source) InfoAndTxsByHash(ctx context.Context, hash common.Hash) (eth.BlockInfo, types.Transactions, error) {
	info, err := s.InfoByHash(ctx, hash)
	if err != nil {
		return nil, nil, err
	}
	if known, ok := s.bodies[hash]; ok {
		return info, known, nil
	}
	raw := s.stored[hash].Transactions
	transactions := make(types.Transactions, len(raw))
	for i, one := range raw {
		transactions[i] = new(types.Transaction)
		if err := transactions[i].UnmarshalBinary(one); err != nil {
			return nil, nil, err
		}
	}
	var header types.Header
	if err := rlp.DecodeBytes(s.stored[hash].Header, &header); err != nil {
		return nil, nil, err
	}
	if types.DeriveSha(transactions, trie.NewStackTrie(nil)) != header.TxHash {
		return nil, nil, fmt.Errorf("transactions of L1 block %s do not have its root", hash)
	}
	s.bodies[hash] = transactions
	return info, transactions, nil
}

func (s *l1Source) FetchReceipts(ctx context.Context, hash common.Hash) (eth.BlockInfo, optypes.Receipts, error) {
	info, transactions, err := s.InfoAndTxsByHash(ctx, hash)
	if err != nil {
		return nil, nil, err
	}
	if known, ok := s.receipts[hash]; ok {
		return info, known, nil
	}
	hashes := make([]common.Hash, len(transactions))
	for i, transaction := range transactions {
		hashes[i] = transaction.Hash()
	}
	receipts, err := eth.DecodeRawReceipts(eth.ToBlockID(info), s.stored[hash].Receipts, hashes)
	if err != nil {
		return nil, nil, err
	}
	if types.DeriveSha(receipts, trie.NewStackTrie(nil)) != info.ReceiptHash() {
		return nil, nil, fmt.Errorf("receipts of L1 block %s do not have its root", hash)
	}
	s.receipts[hash] = receipts
	return info, receipts, nil
}

func (s *l1Source) GetBlobsByHash(_ context.Context, _ uint64, hashes []common.Hash) ([]*eth.Blob, error) {
	blobs := make([]*eth.Blob, len(hashes))
	for i, hash := range hashes {
		one, ok := s.blobs[hash]
		if !ok || eth.KZGToVersionedHash(one.commitment) != hash {
			return nil, ethereum.NotFound
		}
		if err := eth.VerifyBlobProof(one.blob, one.commitment, one.proof); err != nil {
			return nil, err
		}
		blobs[i] = one.blob
	}
	return blobs, nil
}

func (s *l1Source) L1BlockRefByHash(ctx context.Context, hash common.Hash) (eth.L1BlockRef, error) {
	info, err := s.InfoByHash(ctx, hash)
	if err != nil {
		return eth.L1BlockRef{}, err
	}
	return eth.InfoToL1BlockRef(info), nil
}

func (s *l1Source) L1BlockRefByNumber(ctx context.Context, number uint64) (eth.L1BlockRef, error) {
	hash, ok := s.heights[number]
	if !ok {
		return eth.L1BlockRef{}, ethereum.NotFound
	}
	return s.L1BlockRefByHash(ctx, hash)
}

func (s *l1Source) L1BlockRefByLabel(context.Context, eth.BlockLabel) (eth.L1BlockRef, error) {
	return eth.L1BlockRef{}, errors.New("derivation asks for no L1 label")
}

// l2Source is the recorded L2 chain, which stands in for an engine.
type l2Source struct {
	chain    *vector
	payloads map[common.Hash]*eth.ExecutionPayload
	children map[common.Hash]*eth.ExecutionPayload
}

func newL2(chain *vector) *l2Source {
	genesis := chain.RollupConfig.Genesis
	source := &l2Source{
		chain: chain,
		payloads: map[common.Hash]*eth.ExecutionPayload{genesis.L2.Hash: {
			BlockHash:   genesis.L2.Hash,
			BlockNumber: hexutil.Uint64(genesis.L2.Number),
			Timestamp:   hexutil.Uint64(genesis.L2Time),
		}},
		children: make(map[common.Hash]*eth.ExecutionPayload),
	}
	for _, block := range chain.Expected.Blocks {
		source.payloads[block.Payload.BlockHash] = block.Payload
		source.children[block.Payload.ParentHash] = block.Payload
	}
	return source
}

func (s *l2Source) child(parent common.Hash) (eth.L2BlockRef, error) {
	payload, ok := s.children[parent]
	if !ok {
		return eth.L2BlockRef{}, fmt.Errorf("no block is recorded on %s", parent)
	}
	return derive.PayloadToBlockRef(&s.chain.RollupConfig, payload)
}

func (s *l2Source) PayloadByHash(_ context.Context, hash common.Hash) (*eth.ExecutionPayloadEnvelope, error) {
	payload, ok := s.payloads[hash]
	if !ok {
		return nil, ethereum.NotFound
	}
	return &eth.ExecutionPayloadEnvelope{ExecutionPayload: payload}, nil
}

func (s *l2Source) PayloadByNumber(_ context.Context, number uint64) (*eth.ExecutionPayloadEnvelope, error) {
	first := s.chain.RollupConfig.Genesis.L2.Number + 1
	if number < first || number-first >= uint64(len(s.chain.Expected.Blocks)) {
		return nil, ethereum.NotFound
	}
	return &eth.ExecutionPayloadEnvelope{ExecutionPayload: s.chain.Expected.Blocks[number-first].Payload}, nil
}

func (s *l2Source) L2BlockRefByHash(ctx context.Context, hash common.Hash) (eth.L2BlockRef, error) {
	envelope, err := s.PayloadByHash(ctx, hash)
	if err != nil {
		return eth.L2BlockRef{}, err
	}
	return derive.PayloadToBlockRef(&s.chain.RollupConfig, envelope.ExecutionPayload)
}

func (s *l2Source) L2BlockRefByNumber(ctx context.Context, number uint64) (eth.L2BlockRef, error) {
	envelope, err := s.PayloadByNumber(ctx, number)
	if err != nil {
		return eth.L2BlockRef{}, err
	}
	return derive.PayloadToBlockRef(&s.chain.RollupConfig, envelope.ExecutionPayload)
}

func (s *l2Source) L2BlockRefByLabel(context.Context, eth.BlockLabel) (eth.L2BlockRef, error) {
	return eth.L2BlockRef{}, errors.New("derivation asks for no L2 label")
}

func (s *l2Source) SystemConfigByL2Hash(ctx context.Context, hash common.Hash) (eth.SystemConfig, error) {
	envelope, err := s.PayloadByHash(ctx, hash)
	if err != nil {
		return eth.SystemConfig{}, err
	}
	return derive.PayloadToSystemConfig(&s.chain.RollupConfig, envelope.ExecutionPayload)
}
