package engine

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"

	"github.com/edri-io/edri/event"
)

const (
	listCursorVersion = 1
	listCursorHead    = 1 + 1 + 8
	maxListCursor     = 2048
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func errListCursor() *event.Error {
	return event.Errorf(event.CodeInvalid, "cursor: is none that a list with this filter gave out")
}

// listCursor returns where a list ended, as base64url without padding of
//
//	0    1  version, 1
//	1    1  0: a number follows, 1: a key of the index
//	2    8  of the filter's SHA-256
//	10      BE8 number or key: the last that was looked at
//	    4  crc32c over what precedes, big endian
func listCursor(filter string, key bool, at []byte) string {
	sum := sha256.Sum256([]byte(filter))
	b := append([]byte{listCursorVersion, flag(key)}, sum[:8]...)
	b = append(b, at...)
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	return base64.RawURLEncoding.EncodeToString(b)
}

// parseListCursor returns where a list of the filter ended, nil for no cursor.
func parseListCursor(cursor, filter string, key bool) ([]byte, error) {
	if cursor == "" {
		return nil, nil
	}
	if len(cursor) > maxListCursor {
		return nil, errListCursor()
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(b) < listCursorHead+4 {
		return nil, errListCursor()
	}
	rest, sum := b[:len(b)-4], binary.BigEndian.Uint32(b[len(b)-4:])
	hash := sha256.Sum256([]byte(filter))
	if crc32.Checksum(rest, castagnoli) != sum || rest[0] != listCursorVersion || rest[1] != flag(key) ||
		string(rest[2:listCursorHead]) != string(hash[:8]) {
		return nil, errListCursor()
	}
	return rest[listCursorHead:], nil
}
