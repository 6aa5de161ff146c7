package router

import (
	"encoding/binary"

	"github.com/edri-io/edri/event"
)

// tokenBytes is the length of a token:
//
//	0            8 9              16     20      24
//	├────────────┼─┼──────────────┼──────┼───────┤
//	│ generation │a│   position   │ term │ lease │   big-endian
//	└────────────┴─┴──────────────┴──────┴───────┘
//
// a is a bit that is 1, and the attempt in 7 bits, 0 where it is not known. The bit is 0 in
// tokens of binaries that put term and lease into 8 bytes each, and no position: terms are
// below 2^32. Such a token settles nothing any more, but entries with it are in logs.
const tokenBytes = 24

const (
	// tokenOfEvent is set where a token has a position.
	tokenOfEvent = 1 << 63
	// Where the attempt is in the same 8 bytes, and the most that it can be.
	attemptShift = 56
	maxAttempt   = 1<<7 - 1
)

// token names one hand-out of an event to a member. It has no signature: who makes one up
// could ask for the event as well. Apply holds a settlement to the generation, and one of a
// failure to the attempt, since a nak may be sent to one leader after the other; the rest
// is the leader's, who holds it to what it has out.
type token struct {
	generation uint64
	attempt    int            // from 1; 0: not known
	position   event.Position // 0: of an earlier binary
	term       uint64         // of the leader that handed out
	lease      uint32         // counts the leader's hand-outs; it may begin again
}

func (t token) appendTo(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, t.generation)
	attempt := uint64(0)
	if t.attempt <= maxAttempt {
		attempt = uint64(t.attempt)
	}
	dst = binary.BigEndian.AppendUint64(dst, tokenOfEvent|attempt<<attemptShift|uint64(t.position))
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
	t.attempt = int(position >> attemptShift & maxAttempt)
	t.position = event.Position(position & (1<<attemptShift - 1))
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
	return token{q.Generation, it.lease.attempt, it.position, it.lease.term, it.lease.number}
}

// over reports that the attempt of a token, one with its position, is not the one that is
// next after so many that failed: it is counted already.
func (t token) over(failed int) bool { return t.attempt != 0 && t.attempt != failed+1 }

// is reports whether the lease is the token's.
func (l *lease) is(t token) bool { return l.term == t.term && l.number == t.lease }
