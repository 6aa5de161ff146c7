package cron

import (
	"fmt"
	"strconv"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/internal/jsonwrite"
)

// Types of the events by which edri tells what did not happen, in the stream schedule/
// and the schedule's name.
const (
	TypeSkipped = "edri.schedule.skipped"
	TypeMissed  = "edri.schedule.missed"
	TypeFailed  = "edri.schedule.failed"
)

// told is the data of these events, as it is read. Data writes it.
type told struct {
	Schedule    string `json:"schedule"`
	Incarnation uint64 `json:"incarnation,string"`
	// Of a fire that was skipped or failed.
	Kind    string `json:"kind,omitempty"`
	Batch   uint64 `json:"batch,omitempty,string"`
	Nominal string `json:"nominal,omitempty"`
	Reason  string `json:"reason,omitempty"`
	// Of those that were missed.
	From  string `json:"from,omitempty"`
	To    string `json:"to,omitempty"`
	Count uint64 `json:"count,omitempty"`
	// AtLeast: there were too many to count.
	AtLeast bool `json:"at_least,omitempty"`
}

func (t *told) data() []byte {
	var o jsonwrite.Object
	o.String("schedule", t.Schedule).String("incarnation", strconv.FormatUint(t.Incarnation, 10)).String("kind", t.Kind)
	if t.Batch != 0 {
		o.String("batch", strconv.FormatUint(t.Batch, 10))
	}
	o.String("nominal", t.Nominal).String("reason", t.Reason).String("from", t.From).String("to", t.To)
	if t.Count != 0 {
		o.Number("count", t.Count)
	}
	if t.AtLeast {
		o.JSON("at_least", []byte("true"))
	}
	return o.Done()
}

func tellSkipped(tx *consensus.Tx, s *schedule, f fire, reason string) error {
	return tell(tx, s, TypeSkipped, f.id()+"/skipped", toldOf(f, reason))
}

func tellFailed(tx *consensus.Tx, s *schedule, f fire, reason string) error {
	return tell(tx, s, TypeFailed, f.id()+"/failed", toldOf(f, reason))
}

func toldOf(f fire, reason string) told {
	return told{Kind: f.kind.String(), Batch: f.batch, Nominal: formatTime(f.nominal), Reason: reason}
}

func tellMissed(tx *consensus.Tx, s *schedule, m missed) error {
	id := fmt.Sprintf("%d/missed/%s", s.incarnation, formatTime(m.from))
	return tell(tx, s, TypeMissed, id, told{From: formatTime(m.from), To: formatTime(m.to), Count: m.count, AtLeast: m.more})
}

func tell(tx *consensus.Tx, s *schedule, typ, id string, what told) error {
	what.Schedule, what.Incarnation = string(s.name), s.incarnation
	return appendOwn(tx, streamPrefix+string(s.name), typ, id, what.data())
}

// appendOwn appends an event of edri's own, of which nothing can be refused: ids of
// clients' events with this source and id, of which one might be, are refused nobody.
func appendOwn(tx *consensus.Tx, stream, typ, id string, data []byte) error {
	e := event.Event{ID: id, Source: defaultSource, Type: typ, DataContentType: "application/json", Data: data}
	_, _, err := tx.Append(stream, event.ExpectAny, event.AppendEvent(nil, &e))
	if event.CodeOf(err) == event.CodeIDConflict {
		// A client has given an event of its own this id. Its event is there, ours has
		// another id.
		e.ID = fmt.Sprintf("%s/%d", id, tx.Incarnation())
		_, _, err = tx.Append(stream, event.ExpectAny, event.AppendEvent(nil, &e))
	}
	return err
}
