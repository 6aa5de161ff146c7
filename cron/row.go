package cron

import (
	"encoding/binary"
	"fmt"

	"github.com/edri-io/edri/store"
)

// rowVersion begins the rows that may get another layout one day.
const rowVersion = 1

var errRow = fmt.Errorf("%w: row of the scheduler", store.ErrCorrupt)

// reader takes a row apart. After the first piece that is not there all others are
// empty, and done returns an error.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) byte() byte {
	if len(r.rest) == 0 {
		r.bad = true
		return 0
	}
	b := r.rest[0]
	r.rest = r.rest[1:]
	return b
}

// version reads the version of the row.
func (r *reader) version() {
	if r.byte() != rowVersion {
		r.bad = true
	}
}

func (r *reader) be8() uint64 {
	if len(r.rest) < 8 {
		r.bad, r.rest = true, nil
		return 0
	}
	v := binary.BigEndian.Uint64(r.rest)
	r.rest = r.rest[8:]
	return v
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.bad, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

// text reads bytes with their length before them. They alias the row.
func (r *reader) text() []byte {
	size := r.uvarint()
	if size > uint64(len(r.rest)) {
		r.bad, r.rest = true, nil
		return nil
	}
	b := r.rest[:size:size]
	r.rest = r.rest[size:]
	return b
}

// done says what is wrong with the row, if anything is.
func (r *reader) done(what string) error {
	if r.bad || len(r.rest) > 0 {
		return fmt.Errorf("%w: %s", errRow, what)
	}
	return nil
}

func appendText[T ~string | ~[]byte](dst []byte, text T) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(text))), text...)
}
