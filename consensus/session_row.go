package consensus

import (
	"encoding/binary"
	"fmt"

	"github.com/edri-io/edri/store"
)

const (
	sessionRowVersion = 1
	sessionRowFixed   = 17
)

// errRow says that a row whose checksum holds makes no sense: an older bug or
// another program wrote it.
var errRow = fmt.Errorf("%w: row cannot be decoded", store.ErrCorrupt)

// appendRow appends the row of a session.
//
//	offset  bytes
//	     0      1  version, 1
//	     1      8  last sequence that was executed
//	     9      8  stamp of its last use
//	    17      n  uvarint length, name of the producer; length 0: it expires
//	                then the kept results, see session
func (s *session) appendRow(dst []byte) []byte {
	dst = append(dst, sessionRowVersion)
	dst = binary.BigEndian.AppendUint64(dst, s.last)
	dst = binary.BigEndian.AppendUint64(dst, uint64(s.used))
	dst = binary.AppendUvarint(dst, uint64(len(s.producer)))
	dst = append(dst, s.producer...)
	return append(dst, s.kept[s.head:]...)
}

// decodeSession reads the row of the session with the id; it copies.
func decodeSession(id uint64, row []byte) (*session, error) {
	s, kept, err := decodeSessionHead(id, row)
	if err != nil {
		return nil, err
	}
	last := uint64(0)
	for rest := kept; len(rest) > 0; {
		r, after, ok := nextKept(rest)
		if !ok || r.first <= last || r.sequence < r.first {
			return nil, fmt.Errorf("%w: session %d: kept results", errRow, id)
		}
		last, rest = r.sequence, after
		s.results++
	}
	if last > s.last || s.results > maxKeptResults {
		return nil, fmt.Errorf("%w: session %d: %d results up to %d, last sequence %d", errRow, id, s.results, last, s.last)
	}
	s.kept = append([]byte(nil), kept...)
	return &s, nil
}

// decodeSessionHead reads a row without its results, which it returns.
func decodeSessionHead(id uint64, row []byte) (session, []byte, error) {
	if len(row) <= sessionRowFixed || row[0] != sessionRowVersion {
		return session{}, nil, fmt.Errorf("%w: session %d: version or length", errRow, id)
	}
	s := session{
		id:   id,
		last: binary.BigEndian.Uint64(row[1:]),
		used: int64(binary.BigEndian.Uint64(row[9:])),
	}
	size, n := binary.Uvarint(row[sessionRowFixed:])
	rest := row[sessionRowFixed+max(n, 0):]
	if n <= 0 || size > uint64(len(rest)) {
		return session{}, nil, fmt.Errorf("%w: session %d: producer name", errRow, id)
	}
	s.producer = string(rest[:size])
	return s, rest[size:], nil
}
