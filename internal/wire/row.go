package wire

import (
	"encoding/binary"
	"fmt"
)

// Row takes a row of the state apart, from its beginning to its end. After the first
// piece that is not there all others are empty, and Done returns an error.
type Row struct {
	rest []byte
	bad  bool
}

// ReadRow returns a row of which nothing was read.
func ReadRow(row []byte) Row { return Row{rest: row} }

// Byte reads one byte.
func (r *Row) Byte() byte {
	if len(r.rest) == 0 {
		r.bad = true
		return 0
	}
	b := r.rest[0]
	r.rest = r.rest[1:]
	return b
}

// Version reads a byte, which must be this.
func (r *Row) Version(want byte) {
	if r.Byte() != want {
		r.bad = true
	}
}

// BE8 reads 8 bytes, big-endian.
func (r *Row) BE8() uint64 {
	if len(r.rest) < 8 {
		r.Fail()
		return 0
	}
	v := binary.BigEndian.Uint64(r.rest)
	r.rest = r.rest[8:]
	return v
}

// Uvarint reads a number as binary.AppendUvarint writes it.
func (r *Row) Uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.Fail()
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

// Text reads bytes with their length before them. They alias the row.
func (r *Row) Text() []byte {
	size := r.Uvarint()
	if size > uint64(len(r.rest)) {
		r.Fail()
		return nil
	}
	b := r.rest[:size:size]
	r.rest = r.rest[size:]
	return b
}

// Rest reads all that is left. It aliases the row.
func (r *Row) Rest() []byte {
	b := r.rest
	r.rest = nil
	return b
}

// More reports whether something is left.
func (r *Row) More() bool { return len(r.rest) > 0 }

// Fail says that what was read makes no sense.
func (r *Row) Fail() { r.bad, r.rest = true, nil }

// Done returns an error that wraps kind and says what the row is, unless it was read to
// its end and nothing was wrong.
func (r *Row) Done(kind error, what string) error {
	if r.bad || len(r.rest) > 0 {
		return fmt.Errorf("%w: %s", kind, what)
	}
	return nil
}

// AppendText appends bytes with their length before them.
func AppendText[T ~string | ~[]byte](dst []byte, text T) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(text))), text...)
}
