package router

import (
	"encoding/binary"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/edri-io/edri/event"
)

// What the leader alone proposes, in protobuf's encoding. Where the generation, or from
// where it was, is not what the leader took it for, the operation has no effect.
//
//	26 advance     1 generation, 2 from, 3 to,
//	               4 packed: how far each new pending event is beyond the one before it,
//	                 the first beyond from,
//	               5 of each the hash of its ordering key, 8 bytes big-endian, 0 for none;
//	                 absent where nothing is ordered
//	27 fail        1 generation, 2 packed as above, the first beyond 0, 3 reason,
//	               4 how: failLost or failSuspect
//	28 checkpoint  1 packed: generation, from, to, generation, …
//	29 sweep       1 generation or id, 2 at most how many rows
//	30 release     1 generation, 2 the position before which it lets go, 3 at most how many rows,
//	               4 packed: id, position, id, position, …: dead letters that let go of
//	                 their events; id 0: requests
//	31 answer      1 position of a request, 2 id of the subscription that gave it up, 3 the
//	                 event that says so

// How an attempt failed of which no member told.
const (
	// failLost: its lease ended, or its member did. The first time it is ready at once,
	// for members come and go; then after the backoff.
	failLost = 1
	// failSuspect: it was out, or may have been, when the leader changed. It is ready at
	// once.
	failSuspect = 2
)

type advanceOp struct {
	generation uint64
	from, to   event.Position
	positions  []byte // packed
	keys       []byte
}

type failOp struct {
	generation uint64
	positions  []byte // packed
	reason     []byte
	how        int
}

type sweepOp struct {
	number uint64
	limit  int
}

type releaseOp struct {
	generation uint64 // 0: none
	before     event.Position
	limit      int
	pinned     []pinned
}

type answerOp struct {
	request event.Position
	id      uint64
	event   []byte
}

// pinned is an event that a dead letter, by the id of its subscription, or a request,
// id 0, pins.
type pinned struct {
	id       uint64
	position event.Position
}

// move is one cursor of a checkpoint.
type move struct {
	generation uint64
	from, to   event.Position
}

// encodeAdvance writes the new pending events between two positions, in ascending order,
// with their keys, of which there may be none.
func encodeAdvance(generation uint64, from, to event.Position, positions []event.Position, keys []uint64) []byte {
	b := make([]byte, 0, 40+3*len(positions)+8*len(keys))
	b = appendUint(b, 1, generation)
	b = appendUint(b, 2, uint64(from))
	b = appendUint(b, 3, uint64(to))
	b = appendBytes(b, 4, packPositions(from, positions))
	if len(keys) > 0 {
		b = protowire.AppendTag(b, 5, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(8*len(keys)))
		for _, k := range keys {
			b = binary.BigEndian.AppendUint64(b, k)
		}
	}
	return b
}

// encodeFail writes that attempts of these events failed, in ascending order.
func encodeFail(generation uint64, positions []event.Position, reason string, how int) []byte {
	b := appendUint(nil, 1, generation)
	b = appendBytes(b, 2, packPositions(0, positions))
	b = appendBytes(b, 3, []byte(cutReason([]byte(reason))))
	return appendUint(b, 4, uint64(how))
}

// encodeCheckpoint writes where cursors are that met nothing, or whose pins may move.
func encodeCheckpoint(moves []move) []byte {
	var packed []byte
	for _, m := range moves {
		packed = protowire.AppendVarint(packed, m.generation)
		packed = protowire.AppendVarint(packed, uint64(m.from))
		packed = protowire.AppendVarint(packed, uint64(m.to))
	}
	return appendBytes(nil, 1, packed)
}

func encodeSweep(number uint64, limit int) []byte {
	return appendUint(appendUint(nil, 1, number), 2, uint64(limit))
}

// encodeRelease writes that a generation lets go of what it needs before a position.
func encodeRelease(generation uint64, before event.Position, limit int) []byte {
	return appendUint(appendUint(appendUint(nil, 1, generation), 2, uint64(before)), 3, uint64(limit))
}

// encodeUnpin writes that dead letters and requests let go of their events.
func encodeUnpin(list []pinned) []byte {
	var packed []byte
	for _, p := range list {
		packed = protowire.AppendVarint(packed, p.id)
		packed = protowire.AppendVarint(packed, uint64(p.position))
	}
	return appendBytes(nil, 4, packed)
}

// encodeAnswer writes the response to a request that a subscription gave up.
func encodeAnswer(request event.Position, id uint64, encoded []byte) []byte {
	return appendBytes(appendUint(appendUint(nil, 1, uint64(request)), 2, id), 3, encoded)
}

func packPositions(from event.Position, positions []event.Position) []byte {
	packed := make([]byte, 0, 2*len(positions))
	for _, p := range positions {
		packed = protowire.AppendVarint(packed, uint64(p-from))
		from = p
	}
	return packed
}

// unpackPositions calls f for each position, which is in (from, to].
func unpackPositions(packed []byte, from, to event.Position, f func(event.Position) error) error {
	return varints(packed, func(beyond uint64) error {
		if beyond == 0 || beyond > uint64(to-from) {
			return fmt.Errorf("%w: position %d beyond %d is not up to %d", errWire, beyond, from, to)
		}
		from += event.Position(beyond)
		return f(from)
	})
}

func decodeAdvance(b []byte) (advanceOp, error) {
	var o advanceOp
	f := fields{rest: b}
	for f.next() {
		switch f.number {
		case 1:
			f.setUint64(&o.generation)
		case 2:
			f.setUint64((*uint64)(&o.from))
		case 3:
			f.setUint64((*uint64)(&o.to))
		case 4:
			f.setBytes(&o.positions)
		case 5:
			f.setBytes(&o.keys)
		default:
			f.unknown()
		}
	}
	if f.err == nil && o.from > o.to {
		f.err = fmt.Errorf("%w: from %d to %d", errWire, o.from, o.to)
	}
	return o, f.err
}

func decodeFail(b []byte) (failOp, error) {
	var o failOp
	f := fields{rest: b}
	for f.next() {
		switch f.number {
		case 1:
			f.setUint64(&o.generation)
		case 2:
			f.setBytes(&o.positions)
		case 3:
			f.setBytes(&o.reason)
		case 4:
			f.setInt(&o.how)
		default:
			f.unknown()
		}
	}
	if f.err == nil && o.how != failLost && o.how != failSuspect {
		f.err = fmt.Errorf("%w: failed how, %d", errWire, o.how)
	}
	return o, f.err
}

func decodeSweep(b []byte) (sweepOp, error) {
	var o sweepOp
	f := fields{rest: b}
	for f.next() {
		switch f.number {
		case 1:
			f.setUint64(&o.number)
		case 2:
			f.setInt(&o.limit)
		default:
			f.unknown()
		}
	}
	return o, f.err
}

func decodeRelease(b []byte) (releaseOp, error) {
	var o releaseOp
	var numbers []uint64
	f := fields{rest: b}
	for f.next() {
		switch f.number {
		case 1:
			f.setUint64(&o.generation)
		case 2:
			f.setUint64((*uint64)(&o.before))
		case 3:
			f.setInt(&o.limit)
		case 4:
			var packed []byte
			if f.setBytes(&packed); f.err == nil {
				f.err = varints(packed, func(v uint64) error { numbers = append(numbers, v); return nil })
			}
		default:
			f.unknown()
		}
	}
	if f.err == nil && len(numbers)%2 != 0 {
		f.err = fmt.Errorf("%w: an id without a position", errWire)
	}
	for ; f.err == nil && len(numbers) > 0; numbers = numbers[2:] {
		o.pinned = append(o.pinned, pinned{numbers[0], event.Position(numbers[1])})
	}
	return o, f.err
}

func decodeAnswer(b []byte) (answerOp, error) {
	var o answerOp
	f := fields{rest: b}
	for f.next() {
		switch f.number {
		case 1:
			f.setUint64((*uint64)(&o.request))
		case 2:
			f.setUint64(&o.id)
		case 3:
			f.setBytes(&o.event)
		default:
			f.unknown()
		}
	}
	return o, f.err
}

func decodeCheckpoint(b []byte) ([]move, error) {
	var moves []move
	var numbers []uint64
	f := fields{rest: b}
	for f.next() {
		if f.number != 1 {
			f.unknown()
			continue
		}
		var packed []byte
		if f.setBytes(&packed); f.err == nil {
			f.err = varints(packed, func(v uint64) error { numbers = append(numbers, v); return nil })
		}
	}
	for i := 0; f.err == nil && i < len(numbers); i += 3 {
		if len(numbers)-i < 3 || numbers[i+1] > numbers[i+2] {
			f.err = fmt.Errorf("%w: a move that is cut off or goes back", errWire)
			break
		}
		moves = append(moves, move{numbers[i], event.Position(numbers[i+1]), event.Position(numbers[i+2])})
	}
	return moves, f.err
}
