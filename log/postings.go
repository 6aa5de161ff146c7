package log

import (
	"encoding/binary"
	"errors"

	"github.com/edri-io/edri/event"
)

// Posting lists stand in one bucket per run. A list holds the positions of the
// records of which exactly the attributes of a set have a name; it is cut into
// rows:
//
//	key    class | name | 0 | set | first position, 8 bytes big endian
//	value  crc32c, 4 bytes little endian | uvarint count | uvarint last - first |
//	       count-1 × uvarint distance to the one before
//
// The class is 't' for types, 'n' for all other names. Where a stream bears the
// name of its subject or source, as it does by default, one list serves both.
const (
	classType byte = 't'
	className byte = 'n'

	// maxPostingBytes is where a row ends, so that seeking in a list of any
	// length decodes little.
	maxPostingBytes = 1000
	listTailBytes   = 2 + 8 // what follows the name in a key
)

var errPostings = errors.New("malformed posting row")

// appendListKey appends the key of a list without a row's position.
func appendListKey(dst, name []byte, set attribute) []byte {
	if set == byType {
		dst = append(dst, classType)
	} else {
		dst = append(dst, className)
	}
	dst = append(dst, name...)
	return append(dst, 0, byte(set))
}

// isListKey reports whether key is what appendListKey makes of name and set.
func isListKey(key, name []byte, set attribute) bool {
	return len(key) == len(name)+3 && key[len(key)-1] == byte(set) && string(key[1:len(key)-2]) == string(name)
}

// splitPostingKey returns the list and the first position of a row's key.
func splitPostingKey(key []byte) (list []byte, first event.Position, err error) {
	n := len(key) - 8
	if n < 4 || key[n-2] != 0 || (key[0] != classType && key[0] != className) {
		return nil, 0, errPostings
	}
	return key[:n:n], event.Position(binary.BigEndian.Uint64(key[n:])), nil
}

// putPostings writes positions, ascending and distinct, as rows of a list and
// returns how many. Values are taken from buf.
func putPostings(
	put func(key, value []byte) error, buf *buffer, list []byte, positions []event.Position,
) (rows int, err error) {
	var space [event.MaxNameBytes + listTailBytes + 1]byte
	for len(positions) > 0 {
		n, size := 1, 0
		for n < len(positions) && size < maxPostingBytes {
			size += uvarintSize(uint64(positions[n] - positions[n-1]))
			n++
		}
		value := buf.take(crcBytes + 2*binary.MaxVarintLen64 + size)[:crcBytes]
		value = binary.AppendUvarint(value, uint64(n))
		value = binary.AppendUvarint(value, uint64(positions[n-1]-positions[0]))
		for i := 1; i < n; i++ {
			value = binary.AppendUvarint(value, uint64(positions[i]-positions[i-1]))
		}
		key := binary.BigEndian.AppendUint64(append(space[:0], list...), uint64(positions[0]))
		sealRow(key, value)
		if err := put(key, value); err != nil {
			return rows, err
		}
		rows++
		positions = positions[n:]
	}
	return rows, nil
}

// decodePostings appends the positions of a row to dst.
func decodePostings(dst []event.Position, key, value []byte) ([]event.Position, error) {
	_, p, err := splitPostingKey(key)
	if err != nil {
		return nil, err
	}
	b, err := openRow(key, value)
	if err != nil {
		return nil, err
	}
	count, n := binary.Uvarint(b)
	if n <= 0 || count == 0 {
		return nil, errPostings
	}
	b = b[n:]
	span, n := binary.Uvarint(b)
	if n <= 0 || count-1 > uint64(len(b)-n) {
		return nil, errPostings
	}
	b = b[n:]
	last := p + event.Position(span)
	dst = append(dst, p)
	for range count - 1 {
		if len(b) == 0 {
			return nil, errPostings
		}
		d, n := uint64(b[0]), 1
		if d >= 0x80 {
			d, n = binary.Uvarint(b)
		}
		if n <= 0 || d == 0 || p+event.Position(d) < p {
			return nil, errPostings
		}
		b = b[n:]
		p += event.Position(d)
		dst = append(dst, p)
	}
	if p != last || len(b) != 0 {
		return nil, errPostings
	}
	return dst, nil
}
