package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"time"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

const (
	newerLevel = 2
	newerOp    = 99 // the last, which no part of edri has
	sendPause  = 50 * time.Millisecond
)

// newer executes the command that edri-server does not know: it counts how often
// it was given.
type newer struct{ step uint64 }

var _ consensus.Leveled = newer{}

// machines returns those of edri-server, and what the node knows beyond.
func (t trial) machines(own *consensus.Mux) (*consensus.Mux, error) {
	if t.level < newerLevel {
		return own, nil
	}
	step := uint64(1)
	if t.wrong {
		step = 2
	}
	mux, err := own.With(newer{step})
	if err != nil {
		return nil, fmt.Errorf("make the newer command: %w", err)
	}
	return mux, nil
}

func (newer) Name() string               { return "trial" }
func (newer) Ops() (first, last uint32)  { return newerOp, newerOp }
func (newer) Check(uint32, []byte) error { return nil }
func (newer) Level(uint32) uint32        { return newerLevel }

// Apply implements consensus.StateMachine.
func (n newer) Apply(tx *consensus.Tx, _ uint32, _ []byte) ([]byte, error) {
	key := []byte("count")
	row, err := tx.Get(key)
	if err != nil {
		return nil, err
	}
	count, _ := binary.Uvarint(row)
	tx.Put(key, binary.AppendUvarint(nil, count+n.step))
	return nil, nil
}

// newerCommit is an edri.v1.Commit with the newer command: field 7, the operation,
// with field 99, which is empty.
var newerCommit = []byte{7<<3 | 2, 3, newerOp<<3&0x7f | 2 | 0x80, newerOp >> 4, 0}

// sendNewer gives the newer command until ctx ends, and tells when its fate changes.
func sendNewer(ctx context.Context, node *consensus.Node, logger *slog.Logger) {
	told := ""
	for ctx.Err() == nil {
		done := make(chan string, 1)
		node.Submit([][]byte{newerCommit}, func(_ int, _ []byte, err *event.Error) {
			if err != nil {
				done <- "refused: " + err.Error()
			} else {
				done <- "executed"
			}
		})
		if fate := <-done; fate != told {
			logger.Info("newer command "+fate, "level", newerLevel)
			told = fate
		}
		select {
		case <-ctx.Done():
		case <-time.After(sendPause):
		}
	}
}
