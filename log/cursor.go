package log

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"strconv"

	"github.com/edri-io/edri/event"
)

// Cursor is where a read ended, so that another may go on there.
type Cursor struct {
	Epoch event.Epoch
	// Position was looked at last: Reader.Position.
	Position event.Position
	Reverse  bool
	// Filter is the Query.Hash of the read.
	Filter [8]byte
}

const (
	cursorVersion = 1
	cursorBytes   = 1 + 1 + 16 + 8 + 8 + crcBytes
)

// EncodeCursor returns the cursor as opaque text: base64url without padding of
//
//	0    1  version, 1
//	1    1  direction: 0 forward, 1 reverse
//	2   16  epoch
//	18   8  position, big endian
//	26   8  filter
//	34   4  crc32c over what precedes, big endian
func EncodeCursor(c Cursor) string {
	b := make([]byte, 0, cursorBytes)
	b = append(b, cursorVersion, 0)
	if c.Reverse {
		b[1] = 1
	}
	b = append(b, c.Epoch[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(c.Position))
	b = append(b, c.Filter[:]...)
	b = binary.BigEndian.AppendUint32(b, checksum(b))
	return base64.RawURLEncoding.EncodeToString(b)
}

// ParseCursor reads what EncodeCursor wrote. Anything else is an *event.Error
// invalid, a cursor of another epoch than the given one epoch_changed.
func ParseCursor(s string, epoch event.Epoch) (Cursor, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != cursorBytes || b[0] != cursorVersion || b[1] > 1 ||
		checksum(b[:cursorBytes-crcBytes]) != binary.BigEndian.Uint32(b[cursorBytes-crcBytes:]) {
		return Cursor{}, event.Errorf(event.CodeInvalid, "cursor %s: is none that a server gave out", shorten(s))
	}
	c := Cursor{
		Epoch: event.Epoch(b[2:18]), Position: event.Position(binary.BigEndian.Uint64(b[18:])),
		Reverse: b[1] == 1, Filter: [8]byte(b[26:34]),
	}
	if c.Epoch != epoch {
		return Cursor{}, event.Errorf(event.CodeEpochChanged, "cursor of epoch %s: the cluster's is %s", c.Epoch, epoch)
	}
	return c, nil
}

// Resume returns q as it goes on after the cursor. A cursor of another filter or
// direction is an *event.Error invalid.
func (c Cursor) Resume(q Query) (Query, error) {
	if c.Reverse != q.Reverse || c.Filter != q.Hash() {
		return q, event.Errorf(event.CodeInvalid, "cursor: belongs to a read with another filter or direction")
	}
	switch {
	case !q.Reverse && c.Position == math.MaxUint64, q.Reverse && c.Position <= 1:
		q.From, q.To = math.MaxUint64, 1 // nothing is left
	case !q.Reverse:
		q.From = max(q.From, c.Position+1)
	case q.To == 0:
		q.To = c.Position - 1
	default:
		q.To = min(q.To, c.Position-1)
	}
	return q, nil
}

// shorten quotes what may be long for a message.
func shorten(s string) string {
	const most = 64
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strconv.Quote(s)
}
