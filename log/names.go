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

// namesOf reads a record's names.
func namesOf(r *Record) names {
	n := event.ScanNames(r.Event)
	return names{of: [numNames][]byte{[]byte(r.Stream), n.Subject, n.Source, n.Correlation}, typ: n.Type}
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
