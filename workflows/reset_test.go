package workflows

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/edri-io/edri/event"
)

// waits asks for one of each that a run can wait for, all at once.
var waits = Define("waits", 1, func(ctx Context, _ struct{}) (string, error) {
	step := NewStep("step", func(context.Context, string) (string, error) { return "", nil })
	if _, err := step.Do(ctx, "first"); err != nil {
		return "", err
	}
	timer := After(ctx, time.Hour)
	next := NextEvent(ctx, Match{Type: "paid", Values: map[string]string{"/order": "7"}})
	child := StartChildNamed[string](ctx, "other", nil, ChildOptions{ID: "child"})
	request := NewRequest[string, string]("price").Start(ctx, "lamp")
	again := step.Start(ctx, "second")
	for _, err := range []error{get(ctx, timer), get(ctx, next), get(ctx, &child.Future), get(ctx, request), get(ctx, again)} {
		if err != nil {
			return "", err
		}
	}
	return "all", nil
})

func get[T any](ctx Context, f *Future[T]) error {
	_, err := f.Get(ctx)
	return err
}

// told renders a history of which each line is a kind and its data.
func told(lines ...string) []event.Recorded {
	list := make([]event.Recorded, len(lines))
	for i, line := range lines {
		kind, data, _ := strings.Cut(line, " ")
		list[i] = event.Recorded{
			Event:    event.Event{Type: HistoryPrefix + kind, Data: []byte(data), Time: time.Unix(int64(i), 0).UTC()},
			Revision: event.Revision(i + 1), Stream: HistoryStream("r"),
		}
	}
	return list
}

var beforeReset = []string{
	`started {"type":"waits","version":1,"seed":"1"}`,
	`step.completed {"seq":1,"name":"step","attempt":1,"started":"2026-01-01T00:00:00Z"}`,
	`timer.set {"seq":2,"for":"1h0m0s"}`,
	`event.awaited {"seq":3,"type":"paid","match":{"/order":"7"}}`,
	`child.started {"seq":4,"id":"child","type":"other","on_close":"terminate"}`,
	`request.sent {"seq":5,"name":"price","attempt":1,"timeout":"30s"}`,
	`step.failed {"seq":6,"name":"step","attempt":1,"started":"2026-01-01T00:00:00Z","error":{"type":"x","message":""},"retry_in":"1h0m0s","heartbeat":5}`,
	`reset {"from":"3","revision":7}`,
}

func TestARunThatWasResetAsksAgainForWhatItWaitsFor(t *testing.T) {
	t.Parallel()
	m := newMachine(waits.definition(), Run{ID: "r", Number: 9, Type: "waits", Version: 1}, time.Minute)
	defer m.close()
	err := m.replayAll(func(yield func(event.Recorded, error) bool) {
		for _, e := range told(beforeReset...) {
			if !yield(e, nil) {
				return
			}
		}
	})
	if err != nil || m.halt != nil {
		t.Fatalf("replay: %v, %+v", err, m.halt)
	}
	var got []string
	records, _ := m.take(0)
	for _, r := range records {
		got = append(got, fmt.Sprintf("%s %T", r.Kind, r.Do))
		if c, ok := r.Do.(SendRequest); ok && c.Event.ID != "9/5/1" {
			t.Errorf("the request has the id %q", c.Event.ID)
		}
	}
	want := "timer.set workflows.SetTimer; event.awaited workflows.AwaitEvent; child.started workflows.StartChild; request.sent workflows.SendRequest"
	if s := strings.Join(got, "; "); s != want {
		t.Errorf("asked again for\n\t%s, want\n\t%s", s, want)
	}
	if o := m.ops[6]; o.state != opAsked || o.attempt != 2 || o.heartbeat != nil || !slices.Contains(m.todo, o) {
		t.Errorf("the step that was to be tried again: %+v", o)
	}
}

func TestARunThatWasResetIsReplayed(t *testing.T) {
	t.Parallel()
	history := append([]string{}, beforeReset...)
	history = append(history, beforeReset[2:6]...)
	history = append(history,
		`timer.fired {"seq":2}`,
		`step.completed {"seq":6,"name":"step","attempt":2,"started":"2026-01-01T00:00:00Z"}`,
	)
	if err := Check(waits, told(history...)); err != nil {
		t.Error(err)
	}
	history[8] = `timer.canceled {"seq":2}`
	if err := Check(waits, told(history...)); err == nil {
		t.Error("what was asked again for is not held to what is recorded")
	}
}
