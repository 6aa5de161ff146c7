package engine

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/edri-io/edri/event"
)

// What is encoded by hand must be what package event makes of the same event.
func TestHistoryEventIsEncodedAsAnyOther(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[a-zé "\\]{1,80}`)
		r := &run{number: rapid.Uint64().Draw(t, "number"), events: rapid.Uint64().Draw(t, "events")}
		r.id, r.typ = []byte(text.Draw(t, "id")), []byte(text.Draw(t, "type"))
		if rapid.Bool().Draw(t, "correlated") {
			r.correlation = []byte(strings.Repeat("c", rapid.IntRange(1, 255).Draw(t, "correlation")))
		}
		at := rapid.Int64Range(0, 1<<62).Draw(t, "at")
		var data []byte
		if rapid.Bool().Draw(t, "has data") {
			data = []byte(`{"a":"` + text.Draw(t, "data") + `"}`)
		}
		got := historyEvent(r, rapid.Uint64Range(0, 3).Draw(t, "again"), "step.completed", at, data)
		e, err := event.DecodeEvent(got)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(event.AppendEvent(nil, &e), got) {
			t.Fatalf("%x is not encoded as %+v", got, e)
		}
		if e.Subject != string(r.id) || !e.Time.Equal(time.Unix(0, at)) || !bytes.Equal(e.Data, data) ||
			e.Extensions[event.AttrCorrelation].String() != string(r.correlated()) || e.Type != "edri.workflow.step.completed" {
			t.Fatalf("the event is %+v", e)
		}
	})
}
