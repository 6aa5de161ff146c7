package consensus

import (
	"fmt"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/internal/wire"
)

// Field numbers of edri.v1.Commit.
const (
	fieldEpoch         = 1
	fieldSession       = 2
	fieldFirstSequence = 3
	fieldSequence      = 4
	fieldAckedThrough  = 5
	fieldEach          = 6
	fieldOps           = 7
	fieldFingerprints  = 15
	fieldWaiter        = 16
)

// Field numbers of edri.v1.Op, which are the numbers of the operations.
const (
	opAppend       = 1
	opOpenSession  = 2
	opOpenProducer = 3
	opCloseSession = 4

	opMachineFirst = 16 // operations of state machines, see StateMachine
	opMachineLast  = 99

	opLead           = 100 // see internal.go
	opAdvertise      = 101
	opExpireSessions = 102
	opSetting        = 103
	opRetain         = 104 // see retention.go
	opPurge          = 105 // see purge.go
	opFeature        = 106

	opBeginChange = 107 // see change.go
	opEndChange   = 108
	opExpect      = 109
)

const fingerprintBytes = 24

// commit is a decoded edri.v1.Commit whose fields alias the bytes.
type commit struct {
	epoch        []byte // empty: any
	session      uint64
	first        uint64 // 0 only without a session
	sequence     uint64
	acked        uint64
	each         bool
	ops          []op
	appends      int // of ops
	fingerprints []byte
	waiter       uint64
	sealed       bool // one of the two last is there, be it empty
}

// op is one operation: its number and its message.
type op struct {
	number uint32
	body   []byte
}

// solo says that an operation must be the only one of its commit.
func (o op) solo() bool {
	return o.number > opAppend && o.number < opMachineFirst || o.number > opMachineLast
}

// decode reads b into c, using the memory that c.ops has. At most maxOps
// operations are stored, all are counted: a hostile commit cannot make the
// decoder allocate more than its limit. It returns their number.
func (c *commit) decode(b []byte, maxOps int) (int, error) {
	*c = commit{ops: c.ops[:0]}
	f := wire.Walk(b)
	n := 0
	for f.Next() {
		if f.Number == fieldOps {
			if !f.WantBytes() {
				break
			}
			if n++; n > maxOps {
				continue
			}
			o, err := decodeOp(f.Bytes)
			if err != nil {
				return n, fmt.Errorf("operation %d: %w", n-1, err)
			}
			if o.number == opAppend {
				c.appends++
			}
			c.ops = append(c.ops, o)
			continue
		}
		if f.Once() {
			c.decodeField(&f)
		}
	}
	if c.first == 0 {
		c.first = c.sequence
	}
	return n, f.Err()
}

func (c *commit) decodeField(f *wire.Fields) {
	switch f.Number {
	case fieldEpoch:
		if f.WantBytes() {
			c.epoch = f.Bytes
		}
	case fieldSession:
		if f.WantVarint() {
			c.session = f.Value
		}
	case fieldFirstSequence:
		if f.WantVarint() {
			c.first = f.Value
		}
	case fieldSequence:
		if f.WantVarint() {
			c.sequence = f.Value
		}
	case fieldAckedThrough:
		if f.WantVarint() {
			c.acked = f.Value
		}
	case fieldEach:
		if f.WantVarint() {
			c.each = f.Value != 0
		}
	case fieldFingerprints:
		if f.WantBytes() {
			c.fingerprints, c.sealed = f.Bytes, true
		}
	case fieldWaiter:
		if f.WantVarint() {
			c.waiter, c.sealed = f.Value, true
		}
	default:
		f.Unknown()
	}
}

// decodeOp reads an edri.v1.Op: exactly one field, which holds a message.
func decodeOp(b []byte) (op, error) {
	f := wire.Walk(b)
	if !f.Next() {
		f.Failf("an operation is empty")
		return op{}, f.Err()
	}
	if !f.WantBytes() {
		return op{}, f.Err()
	}
	if !f.Last() {
		return op{}, fmt.Errorf("%w: one operation holds several", wire.ErrMalformed)
	}
	return op{number: f.Number, body: f.Bytes}, nil
}

// appendOp is a decoded edri.v1.Append.
type appendOp struct {
	stream   []byte // empty: the event's subject, else its source
	expected event.Expected
	event    []byte // nil: absent
}

func decodeAppend(b []byte) (appendOp, error) {
	a := appendOp{expected: event.ExpectAny}
	f := wire.Walk(b)
	for f.Next() && f.Once() {
		switch f.Number {
		case 1:
			if f.WantBytes() {
				a.stream = f.Bytes
			}
		case 2, 3:
			if !f.WantVarint() {
				break
			}
			if a.expected != event.ExpectAny {
				f.Failf("exists and revision exclude each other")
			} else if f.Number == 3 && f.Value > 1<<63-1 {
				f.Failf("expected revision %d is out of range", f.Value)
			} else if f.Number == 3 {
				a.expected = event.Expected(f.Value)
			} else if f.Value == 0 {
				f.Failf("exists can only be true")
			} else {
				a.expected = event.ExpectExists
			}
		case 4:
			if f.WantBytes() {
				a.event = f.Bytes
			}
		default:
			f.Unknown()
		}
	}
	return a, f.Err()
}

// decodeProducer reads an edri.v1.OpenProducer.
func decodeProducer(b []byte) (name []byte, err error) {
	f := wire.Walk(b)
	for f.Next() && f.Once() {
		if f.Number != 1 {
			f.Unknown()
		} else if f.WantBytes() {
			name = f.Bytes
		}
	}
	return name, f.Err()
}

// decodeEmpty reads a message without fields.
func decodeEmpty(b []byte) error {
	f := wire.Walk(b)
	if f.Next() {
		f.Unknown()
	}
	return f.Err()
}

// SealCommit appends to dst the commit b, which CheckCommit accepted with info,
// and what apply needs beside it: the events' fingerprints and the waiter to
// wake (0: none).
func SealCommit(dst, b []byte, info CommitInfo, waiter uint64) []byte {
	dst = append(dst, b...)
	dst = wire.AppendBytes(dst, fieldFingerprints, info.fingerprints)
	return wire.AppendUint(dst, fieldWaiter, waiter)
}
