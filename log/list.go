package log

import (
	"bytes"
	"encoding/binary"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/edri-io/edri/event"
)

// finder yields ascending positions, descending if it was made for reading in
// reverse. Finders answer inside one transaction and inside guarded.
type finder interface {
	// seek returns the first position at or after p, in reverse the last at or
	// before p; 0 when there is none. From one call to the next p only moves on.
	seek(p event.Position) (event.Position, error)
	// size estimates how many positions there are.
	size() (uint64, error)
}

// listReader reads one posting list.
type listReader struct {
	path    string
	cursor  *bbolt.Cursor
	prefix  []byte // the rows' keys without the position
	reverse bool

	key []byte           // scratch
	row []event.Position // the row at the cursor; empty before the first seek
	at  event.Position   // what seek returned last, for union; 0: none
}

func (l *listReader) seek(p event.Position) (event.Position, error) {
	// As p only moves on, the row has the answer unless p is beyond it.
	if n := len(l.row); n == 0 || !l.reverse && p > l.row[n-1] || l.reverse && p < l.row[0] {
		if err := l.move(p); err != nil || len(l.row) == 0 {
			return 0, err
		}
	}
	i, found := slices.BinarySearch(l.row, p)
	if l.reverse && !found {
		i-- // row[0] <= p, as move left it
	}
	return l.row[i], nil
}

// move reads the row that has the answer for p, which the current one has not.
// It leaves row empty if none has.
func (l *listReader) move(p event.Position) error {
	l.key = binary.BigEndian.AppendUint64(append(l.key[:0], l.prefix...), uint64(p))
	at, err := probe(l.path, l.cursor, l.key)
	if err != nil {
		return err
	}
	if bytes.Equal(at.key, l.key) {
		return l.read(at.key, at.value)
	}
	// The row before may hold p, or in reverse what precedes p.
	if l.owns(at.before) {
		if err := l.read(at.before, at.valueBefore); err != nil {
			return err
		}
		if l.reverse || p <= l.row[len(l.row)-1] {
			return nil
		}
	}
	l.row = l.row[:0]
	if l.reverse || !l.owns(at.key) {
		return nil
	}
	return l.read(at.key, at.value)
}

func (l *listReader) read(key, value []byte) (err error) {
	if l.row, err = decodePostings(l.row[:0], key, value); err != nil {
		return corrupt(l.path, "postings", key, err.Error())
	}
	return nil
}

// owns reports whether key is that of one of the list's rows.
func (l *listReader) owns(key []byte) bool {
	return len(key) == len(l.prefix)+8 && bytes.HasPrefix(key, l.prefix)
}

// size is exact for a list of one row; of a longer one it takes the density of
// the first row for that of all.
func (l *listReader) size() (uint64, error) {
	at, err := probe(l.path, l.cursor, l.prefix)
	if err != nil || !l.owns(at.key) {
		return 0, err
	}
	row, err := decodePostings(nil, at.key, at.value)
	if err != nil {
		return 0, corrupt(l.path, "postings", at.key, err.Error())
	}
	at, err = probe(l.path, l.cursor, afterList(l.prefix))
	if err != nil || !l.owns(at.before) {
		return uint64(len(row)), err
	}
	lastRow := event.Position(binary.BigEndian.Uint64(at.before[len(l.prefix):]))
	if lastRow <= row[0] {
		return uint64(len(row)), nil
	}
	width := uint64(row[len(row)-1]-row[0]) + 1
	return uint64(len(row)) * (2 + uint64(lastRow-row[0])/width), nil
}

// afterList returns a key after all rows of a list.
func afterList(prefix []byte) []byte {
	return append(bytes.Clone(prefix), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)
}

// place is where a key stands, or would stand, among the rows of a bucket.
type place struct {
	key, value          []byte // the first row at or after it, nil at the end
	before, valueBefore []byte // the row before; not read where key is there
}

// probe seeks target. A damaged key would hide its row, or send the search
// astray, without any error; but then the search ends beside that key, or between
// rows that are out of order. So both neighbours are checked.
func probe(path string, cursor *bbolt.Cursor, target []byte) (p place, err error) {
	if p.key, p.value = cursor.Seek(target); p.key != nil {
		if _, err := openRow(p.key, p.value); err != nil {
			return p, corrupt(path, "postings", p.key, err.Error())
		}
		switch bytes.Compare(p.key, target) {
		case -1:
			return p, corrupt(path, "postings", p.key, "rows are out of order")
		case 0:
			return p, nil
		}
	}
	if p.before, p.valueBefore = cursor.Prev(); p.before != nil {
		if _, err := openRow(p.before, p.valueBefore); err != nil {
			return p, corrupt(path, "postings", p.before, err.Error())
		}
		if bytes.Compare(p.before, target) >= 0 {
			return p, corrupt(path, "postings", p.before, "rows are out of order")
		}
	}
	return p, nil
}
