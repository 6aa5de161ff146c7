package log

import (
	"bytes"

	"github.com/edri-io/edri/event"
)

// attribute is one of those that the journal is searched by, and a set of them.
type attribute uint8

const (
	byStream attribute = 1 << iota
	bySubject
	bySource
	byCorrelation
	byType
)

// numNames counts the attributes that share posting lists: all but the type.
const numNames = 4

// names are what a record is found by; empty ones are absent. They alias it.
type names struct {
	of  [numNames][]byte // stream, subject, source, correlation
	typ []byte
}

// namesOf reads a record's names. Of an event that does not decode, which apply
// lets nobody append, only the stream is known.
func namesOf(r *Record) names {
	n := names{of: [numNames][]byte{0: []byte(r.Stream)}}
	if h, err := event.ScanHeader(r.Event); err == nil {
		n.of[1], n.of[2], n.of[3], n.typ = h.Subject, h.Source, h.Correlation, h.Type
	}
	return n
}

// each calls fn once for every distinct name with the set of attributes that
// have it, the type by itself.
func (n *names) each(fn func(name []byte, set attribute)) {
	var done attribute
	for i, name := range n.of {
		if len(name) == 0 || done&(1<<i) != 0 {
			continue
		}
		set := attribute(1) << i
		for j := i + 1; j < numNames; j++ {
			if bytes.Equal(name, n.of[j]) {
				set |= 1 << j
			}
		}
		done |= set
		fn(name, set)
	}
	if len(n.typ) > 0 {
		fn(n.typ, byType)
	}
}
