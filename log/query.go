package log

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"strings"

	"github.com/edri-io/edri/event"
)

// Query selects records. What is empty or 0 does not restrict; all that is given
// must hold.
type Query struct {
	Stream      string
	Type        string
	TypePrefix  string
	Subject     string
	Source      string
	Correlation string
	// From and To are positions, both included.
	From, To event.Position
	// Since and Until bound the stamp in nanoseconds since 1970, both included.
	Since, Until int64
	// Reverse reads from the newest to the oldest.
	Reverse bool
}

// names returns the exact filters in the order of names.of.
func (q *Query) names() [numNames]string {
	return [numNames]string{q.Stream, q.Subject, q.Source, q.Correlation}
}

// filtered reports whether anything but positions and stamps restricts q.
func (q *Query) filtered() bool {
	return q.Type != "" || q.TypePrefix != "" || q.names() != [numNames]string{}
}

// Matches reports whether q selects r.
func (q Query) Matches(r Record) bool {
	switch {
	case r.Position < q.From, q.To != 0 && r.Position > q.To:
		return false
	case q.Since != 0 && r.Stamp < q.Since, q.Until != 0 && r.Stamp > q.Until:
		return false
	case q.Stream != "" && r.Stream != q.Stream:
		return false
	}
	return q.matchesNames(&r)
}

func (q *Query) matchesNames(r *Record) bool {
	if !q.filtered() {
		return true
	}
	n := namesOf(r)
	for i, want := range q.names() {
		if want != "" && string(n.of[i]) != want {
			return false
		}
	}
	if q.Type != "" && string(n.typ) != q.Type {
		return false
	}
	return q.TypePrefix == "" || bytes.HasPrefix(n.typ, []byte(q.TypePrefix))
}

// matchesType is for types that stand by themselves.
func (q *Query) matchesType(typ string) bool {
	return (q.Type == "" || typ == q.Type) && strings.HasPrefix(typ, q.TypePrefix)
}

// Hash identifies what q filters by, without the bounds of positions and stamps:
// a cursor is good for another read of the same filter.
func (q Query) Hash() [8]byte {
	h := sha256.New()
	for _, s := range [...]string{q.Stream, q.Type, q.TypePrefix, q.Subject, q.Source, q.Correlation} {
		h.Write(binary.AppendUvarint(nil, uint64(len(s))))
		h.Write([]byte(s))
	}
	return [8]byte(h.Sum(nil))
}
