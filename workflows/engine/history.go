package engine

import (
	"strconv"
	"time"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/workflows"
)

const (
	// sourcePrefix and a workflow's name are the source of a history's events.
	sourcePrefix = "/edri/workflows/"
	// maxEvents is how long a history may be, but for what ends the run.
	maxEvents = 50_000
)

// record appends an event to a run's history.
func (w *work) record(r *run, kind string, at int64, data []byte) error {
	r.dirty = true
	r.events++
	id := make([]byte, 0, 40)
	id = strconv.AppendUint(id, r.number, 10)
	id = append(id, '/')
	id = strconv.AppendUint(id, r.events, 10)
	e := event.Event{
		ID: string(id), Source: sourcePrefix + string(r.typ), Type: workflows.HistoryPrefix + kind,
		Subject: string(r.id), Time: time.Unix(0, at).UTC(),
		Extensions: map[string]event.Value{event.AttrCorrelation: event.String(string(r.correlated()))},
	}
	if data != nil {
		e.DataContentType, e.Data = "application/json", data
	}
	position, revision, err := w.tx.Append(workflows.HistoryStream(string(r.id)), event.ExpectAny, event.AppendEvent(nil, &e))
	if err != nil {
		return err
	}
	if n := len(r.history); n > 0 && r.history[n-1].To+1 == revision {
		r.history[n-1].To = revision
	} else {
		r.history = append(r.history, workflows.Range{From: revision, To: revision})
	}
	if r.pin == 0 {
		r.pin = position
		return w.tx.Pin(position, numberKey(kindRun, r.number))
	}
	return nil
}

// now is the time of the entry, as that of an event.
func (w *work) now() int64 { return max(w.tx.Now(), 0) }
