package client

import (
	"time"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/event"
)

// Consistency says how fresh what a read sees must be.
type Consistency int

const (
	// Stale reads what the node has applied.
	Stale Consistency = iota
	// Linearizable reads all that was acknowledged, to anyone, before the read
	// began.
	Linearizable
)

// Query selects recorded events; a zero field does not restrict.
type Query struct {
	Stream      string
	Type        string // exact
	TypePrefix  string
	Subject     string
	Source      string
	Correlation string
	// From and To are positions, both included.
	From, To event.Position
	// Since and Until are commit times, both included.
	Since, Until time.Time
	// Reverse reads from the newest to the oldest; not for a tail.
	Reverse bool
	// Limit is the most events to read; 0: all.
	Limit uint64
	// Cursor goes on where another reader of the same filter and direction was,
	// see Reader.Cursor.
	Cursor string

	Consistency Consistency
	// MinPosition makes the read wait until the node has applied the position,
	// such as that of an own write.
	MinPosition event.Position
}

func (q *Query) request() *edriv1.ReadRequest {
	return &edriv1.ReadRequest{
		Stream: q.Stream, Type: q.Type, TypePrefix: q.TypePrefix,
		Subject: q.Subject, Source: q.Source, Correlation: q.Correlation,
		From: uint64(q.From), To: uint64(q.To),
		Since: nanoseconds(q.Since), Until: nanoseconds(q.Until),
		Reverse: q.Reverse, Limit: q.Limit, Cursor: q.Cursor,
		Consistency: q.Consistency.wire(), MinPosition: uint64(q.MinPosition),
	}
}

func (c Consistency) wire() edriv1.Consistency {
	if c == Linearizable {
		return edriv1.Consistency_CONSISTENCY_LINEARIZABLE
	}
	return edriv1.Consistency_CONSISTENCY_STALE
}

func nanoseconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}
