package router

import (
	"encoding/binary"

	"github.com/edri-io/edri/event"
)

// tokenBytes is the length of a token:
//
//	0            8      16      24
//	├────────────┼──────┼───────┤
//	│ generation │ term │ lease │   big-endian
//	└────────────┴──────┴───────┘
const tokenBytes = 24

// token names one hand-out of an event to a member. Apply holds a settlement to the
// generation; term and lease are the leader's, who holds it to what it has out.
type token struct {
	generation uint64
	term       uint64 // of the leader that handed out
	lease      uint64 // counts the leader's hand-outs
}

func (t token) appendTo(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, t.generation)
	dst = binary.BigEndian.AppendUint64(dst, t.term)
	return binary.BigEndian.AppendUint64(dst, t.lease)
}

// parseToken returns *event.Error invalid for what is no token.
func parseToken(b []byte) (token, *event.Error) {
	if len(b) != tokenBytes {
		return token{}, event.Errorf(event.CodeInvalid, "token of %d bytes: a delivery's token has %d", len(b), tokenBytes)
	}
	return token{
		generation: binary.BigEndian.Uint64(b),
		term:       binary.BigEndian.Uint64(b[8:]),
		lease:      binary.BigEndian.Uint64(b[16:]),
	}, nil
}
