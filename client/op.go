package client

import (
	"fmt"
	"sync"

	"github.com/edri-io/edri/api/edriv1/wire"
	"github.com/edri-io/edri/event"
)

// Op is one operation of a commit.
type Op struct {
	encoded []byte // as field ops of Commit
	err     error
}

// AppendOp returns the operation that appends e to a stream; stream "" is the
// event's subject, else its source. An event that is not valid makes the commit
// that contains the operation fail.
func AppendOp(stream string, expected event.Expected, e event.Event) Op {
	if stream != "" {
		if err := event.CheckName("stream", stream); err != nil {
			return Op{err: err}
		}
	}
	if expected < event.ExpectExists {
		return Op{err: event.Errorf(event.CodeInvalid, "expected %d: not any, exists or a revision", expected)}
	}
	scratch, _ := scratches.Get().(*[]byte)
	var err error
	if *scratch, err = event.AppendValid((*scratch)[:0], &e); err != nil {
		return Op{err: err}
	}
	// Tags and lengths of op, append, stream, expected and event, at most.
	const overhead = 6 * 8
	encoded := make([]byte, 0, len(*scratch)+len(stream)+overhead)
	encoded = wire.AppendAppendOp(encoded, stream, int64(expected), *scratch)
	if cap(*scratch) <= maxScratch {
		scratches.Put(scratch)
	}
	return Op{encoded: encoded}
}

// scratches hold an encoded event until it stands in its operation.
var scratches = sync.Pool{New: func() any { return new([]byte) }}

const maxScratch = 64 << 10

// Appended is where an event stands.
type Appended struct {
	Position event.Position
	Revision event.Revision
	// Duplicate: the event was there already, at Position; Revision is then 0.
	Duplicate bool
}

// OpResult is what came of one operation: Err, only in a Producer's commits with
// each, Appended, or what it did with keys.
type OpResult struct {
	Appended
	// Key is what a put or delete of a key did, Txn what a transaction did.
	Key KeyChanged
	Txn *KeyTxnResult
	// Run is the number of the run that a start, signal or the like is about, Started
	// whether the start made it.
	Run     uint64
	Started bool
	Err     *event.Error
}

// Result is what came of a commit.
type Result struct {
	// Position is what a read passes as MinPosition to see the commit's effects.
	Position event.Position
	// Results has one entry per operation, in order.
	Results []OpResult
}

func newResult(r *wire.CommitResult) (Result, error) {
	result := Result{
		Position: event.Position(r.Position),
		Results:  make([]OpResult, len(r.Ops)),
	}
	for i := range r.Ops {
		op := &r.Ops[i]
		if op.Error != nil {
			result.Results[i].Err = decodeError(op.Error)
			continue
		}
		result.Results[i].Appended = Appended{
			Position:  event.Position(op.Position),
			Revision:  event.Revision(op.Revision),
			Duplicate: op.Duplicate,
		}
		result.Results[i].Key = KeyChanged{event.Position(op.KeyRevision), event.Position(op.KeyPrevious)}
		result.Results[i].Run, result.Results[i].Started = op.Run, op.Started
		if op.Transaction != nil {
			var err error
			if result.Results[i].Txn, err = newKeyTxnResult(op.Transaction); err != nil {
				return result, err
			}
		}
	}
	return result, nil
}

// joinOps checks the operations and the limits that every node has at most, and
// returns them as one.
func joinOps(ops []Op) ([]byte, error) {
	limits := event.DefaultLimits()
	if len(ops) > limits.Ops {
		return nil, event.TooLarge("operations of a commit", int64(len(ops)), int64(limits.Ops))
	}
	size := 0
	for i, op := range ops {
		switch {
		case op.err != nil && len(ops) == 1:
			return nil, op.err
		case op.err != nil:
			return nil, fmt.Errorf("check operation %d: %w", i, op.err)
		}
		size += len(op.encoded)
	}
	if size+wire.MaxCommitHead > limits.Commit {
		return nil, event.TooLarge("commit in bytes", int64(size+wire.MaxCommitHead), int64(limits.Commit))
	}
	if len(ops) == 1 {
		return ops[0].encoded, nil
	}
	joined := make([]byte, 0, size)
	for _, op := range ops {
		joined = append(joined, op.encoded...)
	}
	return joined, nil
}
