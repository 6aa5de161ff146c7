package consensus

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/edri-io/edri/event"
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
	f := fields{rest: b}
	n := 0
	for f.next() {
		if f.number == fieldOps {
			if !f.is(false) {
				break
			}
			if n++; n > maxOps {
				continue
			}
			o, err := decodeOp(f.bytes)
			if err != nil {
				return n, fmt.Errorf("operation %d: %w", n-1, err)
			}
			if o.number == opAppend {
				c.appends++
			}
			c.ops = append(c.ops, o)
			continue
		}
		if f.single() {
			c.decodeField(&f)
		}
	}
	if c.first == 0 {
		c.first = c.sequence
	}
	return n, f.err
}

func (c *commit) decodeField(f *fields) {
	switch f.number {
	case fieldEpoch:
		if f.is(false) {
			c.epoch = f.bytes
		}
	case fieldSession:
		if f.is(true) {
			c.session = f.value
		}
	case fieldFirstSequence:
		if f.is(true) {
			c.first = f.value
		}
	case fieldSequence:
		if f.is(true) {
			c.sequence = f.value
		}
	case fieldAckedThrough:
		if f.is(true) {
			c.acked = f.value
		}
	case fieldEach:
		if f.is(true) {
			c.each = f.value != 0
		}
	case fieldFingerprints:
		if f.is(false) {
			c.fingerprints, c.sealed = f.bytes, true
		}
	case fieldWaiter:
		if f.is(true) {
			c.waiter, c.sealed = f.value, true
		}
	default:
		f.unknown()
	}
}

// decodeOp reads an edri.v1.Op: exactly one field, which holds a message.
func decodeOp(b []byte) (op, error) {
	f := fields{rest: b}
	if !f.next() {
		if f.err == nil {
			f.err = fmt.Errorf("%w: an operation is empty", errWire)
		}
		return op{}, f.err
	}
	if !f.is(false) {
		return op{}, f.err
	}
	if len(f.rest) != 0 {
		return op{}, fmt.Errorf("%w: one operation holds several", errWire)
	}
	return op{number: uint32(f.number), body: f.bytes}, nil
}

// appendOp is a decoded edri.v1.Append.
type appendOp struct {
	stream   []byte // empty: the event's subject, else its source
	expected event.Expected
	event    []byte // nil: absent
}

func decodeAppend(b []byte) (appendOp, error) {
	a := appendOp{expected: event.ExpectAny}
	f := fields{rest: b}
	for f.next() && f.single() {
		switch f.number {
		case 1:
			if f.is(false) {
				a.stream = f.bytes
			}
		case 2, 3:
			if !f.is(true) {
				break
			}
			if a.expected != event.ExpectAny {
				f.err = fmt.Errorf("%w: exists and revision exclude each other", errWire)
			} else if f.number == 3 {
				a.expected, f.err = expectRevision(f.value)
			} else if f.value == 0 {
				f.err = fmt.Errorf("%w: exists can only be true", errWire)
			} else {
				a.expected = event.ExpectExists
			}
		case 4:
			if f.is(false) {
				a.event = f.bytes
			}
		default:
			f.unknown()
		}
	}
	return a, f.err
}

func expectRevision(v uint64) (event.Expected, error) {
	if v > 1<<63-1 {
		return 0, fmt.Errorf("%w: expected revision %d is out of range", errWire, v)
	}
	return event.Expected(v), nil
}

// decodeProducer reads an edri.v1.OpenProducer.
func decodeProducer(b []byte) (name []byte, err error) {
	f := fields{rest: b}
	for f.next() && f.single() {
		if f.number != 1 {
			f.unknown()
		} else if f.is(false) {
			name = f.bytes
		}
	}
	return name, f.err
}

// decodeEmpty reads a message without fields.
func decodeEmpty(b []byte) error {
	f := fields{rest: b}
	if f.next() {
		f.unknown()
	}
	return f.err
}

// SealCommit appends to dst the commit b, which CheckCommit accepted with info,
// and what apply needs beside it: the events' fingerprints and the waiter to
// wake (0: none).
func SealCommit(dst, b []byte, info CommitInfo, waiter uint64) []byte {
	dst = append(dst, b...)
	dst = appendBytesField(dst, fieldFingerprints, info.fingerprints)
	if waiter != 0 {
		dst = protowire.AppendTag(dst, fieldWaiter, protowire.VarintType)
		dst = protowire.AppendVarint(dst, waiter)
	}
	return dst
}
