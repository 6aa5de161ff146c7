package consensus

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/internal/wire"
)

// Outcome is what became of one commit of an entry.
type Outcome struct {
	Waiter   uint64 // as sealed into the commit; 0: nobody waits
	Session  uint64
	Sequence uint64
	Result   []byte // bytes of edri.v1.CommitResult; must not be modified
}

// opResult is what became of one operation. Exactly one of its parts is encoded.
type opResult struct {
	kind      resultKind
	position  event.Position // appended
	revision  event.Revision // appended
	duplicate bool           // appended
	session   uint64         // session_opened, producer_opened
	last      uint64         // producer_opened
	raw       []byte         // of a state machine: bytes of the OpResult
	err       *event.Error   // with `each`
}

type resultKind uint8

const (
	resultNone resultKind = iota // an OpResult without fields
	resultAppended
	resultSessionOpened
	resultProducerOpened
	resultRaw
	resultError
)

// Field numbers of edri.v1.CommitResult.
const (
	fieldResultSession  = 1
	fieldResultSequence = 2
	fieldResultPosition = 3
	fieldResults        = 4
	fieldResultError    = 5

	fieldOpError = 15 // of edri.v1.OpResult
)

// appendResult appends the bytes of an edri.v1.CommitResult, fields in ascending
// order and without the zero ones: as generated code writes it.
func (c *Core) appendResult(dst []byte, session, sequence uint64, position event.Position, results []opResult, err *event.Error) []byte {
	dst = wire.AppendUint(dst, fieldResultSession, session)
	dst = wire.AppendUint(dst, fieldResultSequence, sequence)
	dst = wire.AppendUint(dst, fieldResultPosition, uint64(position))
	if err != nil {
		c.scratch = event.AppendError(c.scratch[:0], err)
		dst = protowire.AppendTag(dst, fieldResultError, protowire.BytesType)
		return protowire.AppendBytes(dst, c.scratch)
	}
	for i := range results {
		dst = protowire.AppendTag(dst, fieldResults, protowire.BytesType)
		dst = c.appendOpResult(dst, &results[i])
	}
	return dst
}

// appendOpResult appends an edri.v1.OpResult with its length before it.
func (c *Core) appendOpResult(dst []byte, r *opResult) []byte {
	switch r.kind {
	case resultNone:
		return protowire.AppendVarint(dst, 0)
	case resultRaw:
		return protowire.AppendBytes(dst, r.raw)
	case resultError:
		c.scratch = event.AppendError(c.scratch[:0], r.err)
		dst = appendNestedHeader(dst, fieldOpError, len(c.scratch))
		return append(dst, c.scratch...)
	case resultAppended:
		size := wire.SizeUint(1, uint64(r.position)) + wire.SizeUint(1, uint64(r.revision))
		if r.duplicate {
			size += 2
		}
		dst = appendNestedHeader(dst, 1, size)
		dst = wire.AppendUint(dst, 1, uint64(r.position))
		dst = wire.AppendUint(dst, 2, uint64(r.revision))
		if r.duplicate {
			dst = wire.AppendUint(dst, 3, 1)
		}
		return dst
	case resultSessionOpened:
		dst = appendNestedHeader(dst, 2, wire.SizeUint(1, r.session))
		return wire.AppendUint(dst, 1, r.session)
	case resultProducerOpened:
		dst = appendNestedHeader(dst, 3, wire.SizeUint(1, r.session)+wire.SizeUint(1, r.last))
		dst = wire.AppendUint(dst, 1, r.session)
		return wire.AppendUint(dst, 2, r.last)
	}
	panic("consensus: unknown kind of result")
}

// appendNestedHeader begins a message whose only field n < 16 is a message of
// the given size: the outer length, the tag and the inner length.
func appendNestedHeader(dst []byte, n protowire.Number, size int) []byte {
	dst = protowire.AppendVarint(dst, uint64(1+protowire.SizeVarint(uint64(size))+size))
	dst = protowire.AppendTag(dst, n, protowire.BytesType)
	return protowire.AppendVarint(dst, uint64(size))
}

// DecodeResultError returns the error of a CommitResult, nil if the commit took
// effect, without decoding the rest.
func DecodeResultError(result []byte) (*event.Error, error) {
	f := wire.Walk(result)
	for f.Next() {
		if f.Number == fieldResultError && f.WantBytes() {
			return event.DecodeError(f.Bytes)
		}
	}
	return nil, f.Err()
}
