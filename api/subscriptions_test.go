package api

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/event"
)

// startedAt has withStart resolve a time, and returns the position.
func (f *fixture) startedAt(at int64) (uint64, error) {
	f.t.Helper()
	request := &edriv1.SeekSubscription{Name: "s", Start: &edriv1.Start{Start: &edriv1.Start_Time{Time: at}}}
	b, err := f.service.withStart(testContext(f.t), nil, request, request.Start)
	if err != nil {
		return 0, err
	}
	var resolved edriv1.SeekSubscription
	if err := proto.Unmarshal(b, &resolved); err != nil {
		f.t.Fatal(err)
	}
	return resolved.Start.GetPosition(), nil
}

// Else what is committed until then would be delivered, though it is from before.
func TestStartAtATimeAheadIsRefused(t *testing.T) {
	t.Parallel()
	f := serve(t, Config{})
	f.fill(3)
	at := time.Date(2130, 1, 1, 0, 0, 0, 0, time.UTC)
	_, err := f.startedAt(at.UnixNano())
	e := wantCode(t, err, event.CodeInvalid)
	for _, want := range []string{"2130-01-01T00:00:00Z", time.Now().UTC().Format("2006-01-02T")} {
		if !strings.Contains(e.Error(), want) {
			t.Errorf("%v: does not say %s", e, want)
		}
	}
	last := f.node.core.Meta().Stamp
	for at, want := range map[int64]uint64{1: 1, last: 1, last + 1: 4} {
		if p, err := f.startedAt(at); err != nil || p != want {
			t.Errorf("start at %d: %d, %v, want %d", at, p, err, want)
		}
	}
}

// A clock may go a little before the cluster's.
func TestStartAtATimeJustAheadIsWaitedFor(t *testing.T) {
	t.Parallel()
	f := serve(t, Config{})
	f.fill(2)
	at := time.Now().Add(maxAhead / 5)
	done := make(chan error, 1)
	var p uint64
	go func() {
		var err error
		p, err = f.startedAt(at.UnixNano())
		done <- err
	}()
	if err := <-done; err != nil || time.Now().Before(at) {
		t.Fatalf("got %v at %v, want none from %v on", err, time.Now(), at)
	}
	if p != 3 {
		t.Errorf("it begins at %d, want 3", p)
	}
}
