package workflows

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/edri-io/edri/managers"
)

// begun returns a machine of code that has begun, and is live.
func begun(t *testing.T, code func(Context) error) *machine {
	t.Helper()
	f := Define("test", 1, func(ctx Context, _ struct{}) (int, error) { return 0, code(ctx) })
	m := newMachine(f.def, Run{ID: "r", Number: 1}, time.Second)
	t.Cleanup(func() { m.close() })
	m.replay.live.Store(true)
	m.feed(input{kind: KindStarted, time: time.Unix(1, 0), data: mustMarshal(Started{Type: "test", Version: 1, Seed: "1"})})
	return m
}

// An entry about something that was never asked for is not the code's, and not believed.
func TestEntriesOfNothingAreADivergence(t *testing.T) {
	t.Parallel()
	for kind, data := range map[string]any{
		KindTimerFired:     Seq{7},
		KindResponse:       ResponseReceived{Seq: 7},
		KindRequestExpired: Seq{7},
		KindEvent:          EventReceived{Seq: 7},
		KindChildCompleted: ChildEnded{Seq: 7},
		KindStepCompleted:  StepRecord{Seq: 1, Name: "none"}, // it is a timer
		"unknown":          Note{},
	} {
		m := begun(t, func(ctx Context) error { return Sleep(ctx, time.Hour) })
		in := input{kind: kind, time: time.Unix(2, 0), data: mustMarshal(data)}
		in.record = &Record{Entry: 1, Kind: kind, Data: in.data}
		m.feed(in)
		var d *Divergence
		if m.halt == nil || !errors.As(m.halt.err, &d) {
			t.Errorf("%s: %+v", kind, m.halt)
		}
	}
}

// What comes late for what was canceled is passed over.
func TestLateEntriesArePassedOver(t *testing.T) {
	t.Parallel()
	m := begun(t, func(ctx Context) error {
		scope, cancel := WithCancel(ctx)
		After(scope, time.Hour)
		NextEvent(scope, Match{Type: "t"})
		NewRequest[int, int]("q").Start(scope, 1)
		cancel()
		return Sleep(ctx, time.Hour)
	})
	for kind, data := range map[string]any{KindTimerFired: Seq{1}, KindEvent: EventReceived{Seq: 2}, KindRequestExpired: Seq{3}} {
		m.feed(input{kind: kind, time: time.Unix(2, 0), data: mustMarshal(data)})
	}
	if m.halt != nil {
		t.Fatal(m.halt.err)
	}
	m.feed(input{kind: KindTimerFired, time: time.Unix(3, 0), data: mustMarshal(Seq{4})})
	if m.end == nil || m.end.Status != Completed {
		t.Errorf("end %+v", m.end)
	}
}

// The same inputs make the same records, whatever maps and goroutines do.
func TestTheSameInputsMakeTheSameRecords(t *testing.T) {
	t.Parallel()
	play := func() string {
		m := begun(t, func(ctx Context) error {
			scope, cancel := WithCancel(ctx)
			for range 50 {
				Go(ctx, func(ctx Context) (int, error) {
					After(scope, time.Hour)
					NewRequest[string, int]("q").Start(scope, NewID(ctx))
					return 0, Sleep(scope, time.Hour)
				})
			}
			if err := Sleep(ctx, time.Minute); err != nil {
				return err
			}
			cancel()
			return nil
		})
		m.feed(input{kind: KindTimerFired, time: time.Unix(61, 0), data: mustMarshal(Seq{1})})
		out, _ := m.take(0)
		data, err := json.Marshal(out)
		if err != nil || m.end == nil {
			t.Fatal(err, m.halt)
		}
		return string(data)
	}
	first := play()
	for range 20 {
		if again := play(); again != first {
			t.Fatalf("got  %s\nwant %s", again, first)
		}
	}
}

// Effects without the record of their step must not be.
func TestADivergenceTakesTheEffectsToo(t *testing.T) {
	t.Parallel()
	m := begun(t, func(ctx Context) error { return Sleep(ctx, time.Hour) })
	m.feed(input{kind: KindTimerFired, data: mustMarshal(Seq{7})})
	r := &live{m: m}
	a := &Advance{Records: []Record{{Kind: KindStepCompleted}}, Effects: managers.Emit("s", "t", nil)}
	if r.halted(a); len(a.Records) > 0 || len(a.Effects.Appends) > 0 || a.Block.Reason != reasonDivergence {
		t.Errorf("advance %+v", a)
	}
}
