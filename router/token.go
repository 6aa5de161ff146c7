package router

import (
	"encoding/binary"

	"github.com/edri-io/edri/event"
)

// tokenBytes is the length of a token:
//
//	0            8              16     20      24
//	├────────────┼─┬────────────┼──────┼───────┤
//	│ generation │1│  position  │ term │ lease │   big-endian
//	└────────────┴─┴────────────┴──────┴───────┘
//
// The bit before the position is 0 in tokens of binaries that put term and lease into 8
// bytes each, and no position: terms are below 2^32. Such a token settles nothing any more,
// but entries with it are in logs, and binaries that know no other apply entries with this
// one: both read the generation alone.
const tokenBytes = 24

// tokenOfEvent is set where a token has a position.
const tokenOfEvent = 1 << 63

// token names one hand-out of an event to a member. It has no signature: who
// makes one up could ask for the event as well. Apply holds a
// settlement to the generation; the rest is the leader's, who holds it to what it has out.
type token struct {
	generation uint64
	position   event.Position // 0: of an earlier binary
	term       uint64         // of the leader that handed out
	lease      uint32         // counts the leader's hand-outs; it may begin again
}

func (t token) appendTo(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, t.generation)
	dst = binary.BigEndian.AppendUint64(dst, uint64(t.position)|tokenOfEvent)
	dst = binary.BigEndian.AppendUint32(dst, uint32(t.term))
	return binary.BigEndian.AppendUint32(dst, t.lease)
}

// parseToken returns *event.Error invalid for what is no token.
func parseToken(b []byte) (token, *event.Error) {
	if len(b) != tokenBytes {
		return token{}, event.Errorf(event.CodeInvalid, "token of %d bytes: a delivery's token has %d", len(b), tokenBytes)
	}
	t := token{generation: binary.BigEndian.Uint64(b)}
	position := binary.BigEndian.Uint64(b[8:])
	if position&tokenOfEvent == 0 {
		return t, nil
	}
	t.position = event.Position(position &^ tokenOfEvent)
	t.term = uint64(binary.BigEndian.Uint32(b[16:]))
	t.lease = binary.BigEndian.Uint32(b[20:])
	return t, nil
}

// tokenOf is parseToken for the token of an event: stale_token where an earlier binary
// made it, invalid where it is another event's.
func tokenOf(b []byte, p event.Position) (token, *event.Error) {
	t, err := parseToken(b)
	switch {
	case err != nil:
		return t, err
	case t.position == 0:
		return t, staleToken("the token is of an earlier version; position %d is delivered again", p)
	case t.position != p:
		return t, event.Errorf(event.CodeInvalid, "the token is of position %d, not of %d", t.position, p)
	}
	return t, nil
}

// tokenOf is the token of an item's lease.
func (q *queue) tokenOf(it *item) token {
	return token{q.Generation, it.position, it.lease.term, it.lease.number}
}

// is reports whether the lease is the token's.
func (l *lease) is(t token) bool { return l.term == t.term && l.number == t.lease }
