package engine

import (
	"strconv"
	"strings"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/internal/wire"
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
	stream := workflows.HistoryStream(string(r.id))
	position, revision, err := w.tx.Append(stream, event.ExpectAny, historyEvent(r, 0, kind, at, data))
	// Anyone may have appended an event of this source and id. A run must go on, and end,
	// nevertheless.
	for again := uint64(1); event.CodeOf(err) == event.CodeIDConflict || err == nil && revision == 0; again++ {
		position, revision, err = w.tx.Append(stream, event.ExpectAny, historyEvent(r, again, kind, at, data))
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

// Fields of io.cloudevents.v1.CloudEvent, of an entry of its attributes, and of a value.
const (
	ceID          = 1
	ceSource      = 2
	ceSpecVersion = 3
	ceType        = 4
	ceAttributes  = 5
	ceText        = 7

	entryName  = 1
	entryValue = 2

	valueString    = 3
	valueTimestamp = 7
)

// historyEvent returns the last event of a run's history, encoded as event.AppendEvent
// does, with JSON as data. It is most of what a run costs a node.
func historyEvent(r *run, again uint64, kind string, at int64, data []byte) []byte {
	const rest = 200 // what is not of a variable length, and more
	b := make([]byte, 0, rest+len(r.id)+3*len(r.typ)+len(r.correlated())+len(data))
	var space [3 * event.MaxNameBytes]byte
	b = wire.AppendBytes(b, ceID, appendEventID(space[:0], r, again))
	b = wire.AppendBytes(b, ceSource, appendSource(space[:0], r.typ))
	b = wire.AppendBytes(b, ceSpecVersion, "1.0")
	b = wire.AppendBytes(b, ceType, append(append(space[:0], workflows.HistoryPrefix...), kind...))
	b = appendTextAttribute(b, event.AttrCorrelation, r.correlated())
	if data != nil {
		b = appendTextAttribute(b, "datacontenttype", []byte("application/json"))
	}
	b = appendTextAttribute(b, "subject", r.id)
	seconds, nanos := at/1e9, at%1e9
	t := wire.AppendUint(wire.AppendUint(space[:0], 1, uint64(seconds)), 2, uint64(nanos))
	b = appendAttribute(b, "time", wire.AppendMessage(space[len(t):len(t)], valueTimestamp, t))
	if data != nil {
		b = wire.AppendMessage(b, ceText, data)
	}
	return b
}

func appendTextAttribute(dst []byte, name string, value []byte) []byte {
	var space [event.MaxNameBytes + 8]byte
	return appendAttribute(dst, name, wire.AppendMessage(space[:0], valueString, value))
}

func appendAttribute(dst []byte, name string, value []byte) []byte {
	var space [event.MaxNameBytes + 64]byte
	entry := wire.AppendBytes(space[:0], entryName, name)
	return wire.AppendMessage(dst, ceAttributes, wire.AppendMessage(entry, entryValue, value))
}

// appendEventID appends the id of the last event of a run's history: run/event, and /again
// where that is another's.
func appendEventID(dst []byte, r *run, again uint64) []byte {
	dst = append(strconv.AppendUint(dst, r.number, 10), '/')
	dst = strconv.AppendUint(dst, r.events, 10)
	if again > 0 {
		dst = strconv.AppendUint(append(dst, '/'), again, 10)
	}
	return dst
}

// appendSource appends the source of the events of a workflow's runs: its name with what a
// URI cannot have as %XX.
func appendSource(dst, typ []byte) []byte {
	const upper = "0123456789ABCDEF"
	dst = append(dst, sourcePrefix...)
	for _, c := range typ {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~/:@", c) >= 0 {
			dst = append(dst, c)
		} else {
			dst = append(dst, '%', upper[c>>4], upper[c&15])
		}
	}
	return dst
}

// now is the time of the entry, as that of an event.
func (w *work) now() int64 { return max(w.tx.Now(), 0) }
