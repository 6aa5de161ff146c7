package client_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/workflows"
)

// What a run takes along, memo and attributes, may leave no room for the input that it is to
// continue with. The run does not hang, and its last step is not run again and again.
func TestRunThatHasNoRoomToContinue(t *testing.T) {
	t.Parallel()
	const most = event.MaxDataBytes - 4096
	var ran, size atomic.Int32
	size.Store(most)
	step := workflows.NewStep("note", func(ctx context.Context, _ struct{}) (int, error) {
		workflows.Effects(ctx).Emit("notes", "noted", ran.Add(1))
		return 1, nil
	})
	options := workflows.Options{Attributes: map[string]workflows.AttributeType{}}
	attributes := map[string]any{}
	for i := range 20 {
		options.Attributes[fmt.Sprint("a", i)] = workflows.TypeString
		attributes[fmt.Sprint("a", i)] = strings.Repeat("\x01", 255)
	}
	large := workflows.Define("large", 1, func(ctx workflows.Context, s string) (int, error) {
		if _, err := step.Do(ctx, struct{}{}); err != nil {
			return 0, err
		}
		if len(s) > 0 {
			return len(s), nil
		}
		return 0, workflows.ContinueAsNew(strings.Repeat("x", int(size.Load())-2))
	}, options)
	ctx, c := workerOf(t, large)

	// Of the memo the worker knows.
	start := workflows.Start{ID: "memo", Type: "large", Memo: []byte(`"` + strings.Repeat("x", 32<<10-2) + `"`)}
	run, _, err := c.StartRun(ctx, start)
	if err != nil {
		t.Fatal(err)
	}
	o, err := c.WaitRun(ctx, client.RunID{ID: run.ID})
	if err != nil || o.Status != workflows.Failed || o.Err.Type != workflows.ErrorTooLarge || ran.Load() != 1 {
		t.Errorf("outcome %+v, %v, the step ran %d times", o, err, ran.Load())
	}
	start.Memo = append(start.Memo, ' ')
	if _, _, err := c.StartRun(ctx, start); event.CodeOf(err) != event.CodeTooLarge {
		t.Errorf("a memo above: %v", err)
	}

	// Of attributes the cluster does: the run is paused, and goes on when there is room.
	run, _, err = c.StartRun(ctx, workflows.Start{ID: "attributes", Type: "large", Attributes: attributes})
	if err != nil {
		t.Fatal(err)
	}
	var r client.Run
	until(t, ctx, func() bool {
		r, err = c.Run(ctx, client.RunID{ID: run.ID}, client.Linearizable)
		return err != nil || r.Paused
	})
	if err != nil || r.Note != "too_large" || r.Events != 2 || ran.Load() != 2 {
		t.Fatalf("the run is %+v, %v, the step ran %d times", r, err, ran.Load())
	}
	size.Store(956 << 10)
	if err := c.ResumeRun(ctx, client.RunID{ID: run.ID}, "mended"); err != nil {
		t.Fatal(err)
	}
	o, err = c.WaitRun(ctx, client.RunID{ID: run.ID})
	if err != nil || string(o.Result) != fmt.Sprint(956<<10-2) {
		t.Errorf("outcome %+v, %v", o, err)
	}
}

// What comes to a run becomes an event of its history, with some more. Up to the limit it
// comes; beyond, its code or who sends it is told. The run never hangs.
func TestPayloadsAroundTheLimit(t *testing.T) {
	t.Parallel()
	const most = event.MaxDataBytes - 4096
	text := func(n int) string { return strings.Repeat("x", n-2) } // n bytes of JSON
	make := workflows.NewStep("make", func(_ context.Context, n int) (string, error) { return text(n), nil })
	child := workflows.Define("child", 1, func(_ workflows.Context, n int) (string, error) { return text(n), nil })
	got := workflows.Define("got", 1, func(ctx workflows.Context, n int) (string, error) {
		said := func(s string, err error) string {
			if e := (*workflows.Error)(nil); errors.As(err, &e) {
				return e.Type
			}
			return fmt.Sprint(len(s) + 2 - n)
		}
		news := workflows.NextEvent(ctx, workflows.Match{Type: "news", Values: map[string]string{"subject": fmt.Sprint(n)}})
		list := []string{said(make.Do(ctx, n)), said(child.RunChild(ctx, n))}
		if n <= most {
			list = append(list, said(workflows.Signals[string](ctx, "s").Receive(ctx)))
		}
		_, err := news.Get(ctx)
		var where struct{ Position, Size int }
		if e := (*workflows.Error)(nil); errors.As(err, &e) && e.Decode(&where) == nil && where.Position > 0 {
			list = append(list, fmt.Sprint(where.Size))
		}
		return strings.Join(append(list, said("", err)[:1]), " "), nil
	})
	ctx, c := workerAt(t, node(t), workflows.Config{Name: "w"}, got, child)
	for _, n := range []int{most - 1, most, most + 1} {
		id := client.RunID{ID: fmt.Sprint(n)}
		if _, _, err := c.StartRun(ctx, workflows.Start{ID: id.ID, Type: "got", Input: []byte(id.ID)}); err != nil {
			t.Fatal(err)
		}
		until(t, ctx, func() bool {
			r, err := c.Run(ctx, id, client.Linearizable)
			return err == nil && len(r.Open) > 0
		})
		err := c.SignalRun(ctx, id, workflows.Signal{Name: "s", Input: []byte(`"` + text(n) + `"`)})
		if code := event.CodeOf(err); n <= most && err != nil || n > most && code != event.CodeTooLarge {
			t.Errorf("%d bytes: the signal is answered %v", n, err)
		}
		news := event.Event{ID: id.ID, Source: "/t", Type: "news", Subject: id.ID, DataContentType: "application/json"}
		news.Data = []byte(`""`)
		news.Data = []byte(`"` + text(n-len(news.AppendJSON(nil))+2) + `"`)
		if size := len(news.AppendJSON(nil)); size != n {
			t.Fatalf("the event has %d bytes in JSON, not %d", size, n)
		}
		if _, err := c.Append(ctx, "news", event.ExpectAny, news); err != nil {
			t.Fatal(err)
		}
		want := `"0 0 0 -"`
		if n > most {
			want = fmt.Sprintf(`"edri.too_large edri.too_large %d e"`, n)
		}
		o, err := c.WaitRun(ctx, id)
		if err != nil || string(o.Result) != want {
			t.Errorf("%d bytes: %s, %v, %v, want %s", n, o.Result, o.Err, err, want)
		}
	}
}

// The effects of a step and what the code asks for after it may be more than one commit
// takes, though neither is too large by itself.
func TestLargeEffectsBesideALargeEnd(t *testing.T) {
	t.Parallel()
	const most = event.MaxDataBytes - 4096
	var ran atomic.Int32
	step := workflows.NewStep("emit", func(ctx context.Context, _ struct{}) (int32, error) {
		for range 3 {
			workflows.Effects(ctx).Emit("notes", "noted", strings.Repeat("x", most-2))
		}
		return ran.Add(1), nil
	})
	large := workflows.Define("large", 1, func(ctx workflows.Context, _ struct{}) (string, error) {
		_, err := step.Do(ctx, struct{}{})
		return strings.Repeat("y", most-2), err
	})
	ctx, c := workerOf(t, large)
	id := client.RunID{ID: "r"}
	if _, _, err := c.StartRun(ctx, workflows.Start{ID: id.ID, Type: "large"}); err != nil {
		t.Fatal(err)
	}
	o, err := c.WaitRun(ctx, id)
	if err != nil || o.Status != workflows.Completed || len(o.Result) != most || ran.Load() != 1 {
		t.Errorf("%s with %d bytes, %v, %v; the step ran %d times", o.Status, len(o.Result), o.Err, err, ran.Load())
	}
	events := 0
	for _, err := range c.Read(ctx, client.Query{Stream: "notes"}) {
		if err != nil {
			t.Fatal(err)
		}
		events++
	}
	if events != 3 {
		t.Errorf("%d effects, want 3", events)
	}
}
