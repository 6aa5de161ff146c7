package kv

import (
	"fmt"

	"github.com/edri-io/edri/internal/wire"
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
	op     uint32
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
	f := wire.Walk(b)
	for f.Next() {
		if f.Number < 1 || f.Number > 3 {
			f.Unknown()
			break
		}
		if !f.WantBytes() {
			break
		}
		if o.size++; o.size > maxTransaction {
			continue
		}
		if f.Number == 1 {
			c, err := decodeCompare(f.Bytes)
			if err != nil {
				f.Fail(fmt.Errorf("compare[%d]: %w", len(o.compare), err))
			}
			o.compare = append(o.compare, c)
			continue
		}
		list, name := &o.then, "then"
		if f.Number == 3 {
			list, name = &o.otherwise, "otherwise"
		}
		k, err := decodeKeyOp(f.Bytes)
		if err != nil {
			f.Fail(fmt.Errorf("%s[%d]: %w", name, len(*list), err))
		}
		*list = append(*list, k)
	}
	return o, f.Err()
}

func decodeKeyOp(b []byte) (keyOp, error) {
	f := wire.Walk(b)
	if !f.Next() {
		f.Failf("an operation is empty")
		return keyOp{}, f.Err()
	}
	if !f.WantBytes() {
		return keyOp{}, f.Err()
	}
	if !f.Last() {
		return keyOp{}, fmt.Errorf("%w: one operation holds several", wire.ErrMalformed)
	}
	o := keyOp{op: f.Number}
	var err error
	switch f.Number {
	case keyOpPut:
		o.put, err = decodePut(f.Bytes)
	case keyOpDelete:
		o.delete, err = decodeDelete(f.Bytes)
	case keyOpGet:
		o.get, err = decodeGet(f.Bytes)
	default:
		f.Unknown()
		err = f.Err()
	}
	return o, err
}
