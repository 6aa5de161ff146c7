package workflows

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

var afterHeartbeats = []string{
	`started {"type":"waits","version":1,"seed":"1"}`,
	`step.heartbeat {"seq":1,"name":"step","attempt":1,"started":"2026-01-01T00:00:00Z","heartbeat":1}`,
	`step.heartbeat {"seq":1,"name":"step","attempt":1,"started":"2026-01-01T00:00:00Z","heartbeat":2}`,
	`step.failed {"seq":1,"name":"step","attempt":1,"started":"2026-01-01T00:00:00Z","error":{"type":"x","message":""},"retry_in":"1s","heartbeat":3}`,
	`timer.fired {"seq":1}`,
	`step.failed {"seq":1,"name":"step","attempt":2,"started":"2026-01-01T00:00:00Z","error":{"type":"x","message":""},"retry_in":"1s"}`,
	`timer.fired {"seq":1}`,
	`step.heartbeat {"seq":1,"name":"step","attempt":3,"started":"2026-01-01T00:00:00Z","heartbeat":4}`,
	`worker.lost {}`,
}

// A worker that takes over at any event has the details that were recorded until then, and
// the code notices nothing of them.
func TestAReplayHasTheDetailsOfHeartbeats(t *testing.T) {
	t.Parallel()
	for n, want := range []string{"", "1", "2", "3", "3", "3", "3", "4", "4"} {
		r := atWork(t, afterHeartbeats[:n+1])
		o := r.m.ops[1]
		if r.m.halt != nil || o == nil || o.done || string(o.heartbeat) != want || len(r.m.out) > 0 {
			t.Errorf("after %d events: %+v, op %+v, want the details %q", n+1, r.m.halt, o, want)
		}
	}
	other := slices.Clone(afterHeartbeats[:2])
	for _, wrong := range []string{`"seq":2`, `"seq":1,"name":"other"`} {
		other[1] = strings.Replace(afterHeartbeats[1], `"seq":1,"name":"step"`, wrong, 1)
		if err := Check(waits, told(other...)); !errors.As(err, new(*Divergence)) {
			t.Errorf("a heartbeat with %s: %v", wrong, err)
		}
	}
}

// atWork returns a run in a worker's memory, with a history.
func atWork(t *testing.T, history []string) *live {
	t.Helper()
	runner, err := NewRunner(Config{}, waits)
	if err != nil {
		t.Fatal(err)
	}
	r := newLive(newHost(runner, nil), waits.def, &Assign{Run: Run{ID: "r", Number: 1, Type: "waits", Version: 1}})
	r.events = told(history...)
	if !r.load() {
		t.Fatal("the history is not replayed")
	}
	t.Cleanup(func() { r.m.close() })
	return r
}

func TestHeartbeatsLeaveRoomInTheHistory(t *testing.T) {
	t.Parallel()
	r := atWork(t, afterHeartbeats[:1])
	beat := func() *Advance {
		r.results = []*result{{seq: 1, attempt: 1, began: time.Unix(1, 0), ended: time.Unix(2, 0), heartbeat: []byte("1"), goesOn: true}}
		return r.advance()
	}
	r.m.events = maxHeartbeatEvents - 1
	if a := beat(); a == nil || len(a.Records) != 1 || a.Records[0].Kind != KindStepHeartbeat || !a.Busy {
		t.Errorf("the last one: %+v", a)
	}
	if a := beat(); a != nil {
		t.Errorf("one more: %+v", a)
	}
}
