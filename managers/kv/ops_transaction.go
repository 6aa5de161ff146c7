package kv

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// maxTransaction is how many conditions and operations a transaction has at most.
const maxTransaction = 512

// transactOp is an edri.v1.KeyTransaction.
type transactOp struct {
	compare         []compareOp
	then, otherwise []keyOp
	// size counts what the message has, also what is too much to be decoded.
	size int
}

// keyOp is an edri.v1.KeyOp: one of put, delete and get.
type keyOp struct {
	op     protowire.Number
	put    putOp
	delete deleteOp
	get    getOp
}

const (
	keyOpPut    = 1
	keyOpDelete = 2
	keyOpGet    = 3
)

// decodeTransact reads at most maxTransaction parts, so that a hostile message cannot
// make it take more memory, and counts all.
func decodeTransact(b []byte) (transactOp, error) {
	var o transactOp
	f := fields{rest: b}
	for f.next() {
		if f.number < 1 || f.number > 3 {
			f.unknown()
			break
		}
		if !f.is(false) {
			break
		}
		if o.size++; o.size > maxTransaction {
			continue
		}
		if f.number == 1 {
			c, err := decodeCompare(f.bytes)
			if err != nil {
				f.err = fmt.Errorf("compare[%d]: %w", len(o.compare), err)
			}
			o.compare = append(o.compare, c)
			continue
		}
		list, name := &o.then, "then"
		if f.number == 3 {
			list, name = &o.otherwise, "otherwise"
		}
		k, err := decodeKeyOp(f.bytes)
		if err != nil {
			f.err = fmt.Errorf("%s[%d]: %w", name, len(*list), err)
		}
		*list = append(*list, k)
	}
	return o, f.err
}

func decodeKeyOp(b []byte) (keyOp, error) {
	f := fields{rest: b}
	if !f.next() {
		if f.err == nil {
			f.err = fmt.Errorf("%w: an operation is empty", errWire)
		}
		return keyOp{}, f.err
	}
	if !f.is(false) {
		return keyOp{}, f.err
	}
	if len(f.rest) != 0 {
		return keyOp{}, fmt.Errorf("%w: one operation holds several", errWire)
	}
	o := keyOp{op: f.number}
	var err error
	switch f.number {
	case keyOpPut:
		o.put, err = decodePut(f.bytes)
	case keyOpDelete:
		o.delete, err = decodeDelete(f.bytes)
	case keyOpGet:
		o.get, err = decodeGet(f.bytes)
	default:
		f.unknown()
		err = f.err
	}
	return o, err
}
