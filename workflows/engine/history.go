package engine

import (
	"strconv"
	"strings"
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
	e := event.Event{
		ID: eventID(r, 0), Source: sourceOf(r.typ), Type: workflows.HistoryPrefix + kind,
		Subject: string(r.id), Time: time.Unix(0, at).UTC(),
		Extensions: map[string]event.Value{event.AttrCorrelation: event.String(string(r.correlated()))},
	}
	if data != nil {
		e.DataContentType, e.Data = "application/json", data
	}
	stream := workflows.HistoryStream(string(r.id))
	position, revision, err := w.tx.Append(stream, event.ExpectAny, event.AppendEvent(nil, &e))
	// Anyone may have appended an event of this source and id. A run must go on, and end,
	// nevertheless.
	for again := uint64(1); event.CodeOf(err) == event.CodeIDConflict || err == nil && revision == 0; again++ {
		e.ID = eventID(r, again)
		position, revision, err = w.tx.Append(stream, event.ExpectAny, event.AppendEvent(nil, &e))
	}
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

// eventID returns the id of the last event of a run's history: run/event, and /again where
// that is another's.
func eventID(r *run, again uint64) string {
	id := make([]byte, 0, 40)
	id = append(strconv.AppendUint(id, r.number, 10), '/')
	id = strconv.AppendUint(id, r.events, 10)
	if again > 0 {
		id = strconv.AppendUint(append(id, '/'), again, 10)
	}
	return string(id)
}

// sourceOf returns the source of the events of a workflow's runs: its name with what a URI
// cannot have as %XX.
func sourceOf(typ []byte) string {
	const upper = "0123456789ABCDEF"
	b := append(make([]byte, 0, len(sourcePrefix)+len(typ)), sourcePrefix...)
	for _, c := range typ {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~/:@", c) >= 0 {
			b = append(b, c)
		} else {
			b = append(b, '%', upper[c>>4], upper[c&15])
		}
	}
	return string(b)
}

// now is the time of the entry, as that of an event.
func (w *work) now() int64 { return max(w.tx.Now(), 0) }
