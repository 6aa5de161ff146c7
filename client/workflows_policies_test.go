package client_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/workflows"
)

// ends is a workflow that ends as its input says: by itself, or when it hears the signal "go".
var ends = workflows.Define("ends", 1, func(ctx workflows.Context, how string) (string, error) {
	switch how {
	case "completes":
		return how, nil
	case "fails":
		return "", errors.New(how)
	}
	return workflows.Signals[string](ctx, "go").Receive(ctx)
})

func startOf(id, how string) workflows.Start {
	return workflows.Start{ID: id, Type: "ends", Input: fmt.Appendf(nil, "%q", how)}
}

func TestReusePolicies(t *testing.T) {
	t.Parallel()
	ctx, c := workerOf(t, ends)
	for _, test := range []struct {
		reuse workflows.ReusePolicy
		how   string // the run before ended
		again bool
	}{
		{"", "completes", true}, {workflows.ReuseAlways, "completes", true}, {workflows.ReuseAlways, "fails", true},
		{workflows.ReuseIfFailed, "completes", false}, {workflows.ReuseIfFailed, "fails", true},
		{workflows.ReuseIfFailed, "is terminated", true}, {workflows.ReuseIfFailed, "is canceled", true},
		{workflows.ReuseNever, "completes", false}, {workflows.ReuseNever, "fails", false}, {workflows.ReuseNever, "is terminated", false},
	} {
		id := fmt.Sprintf("%s %s", test.reuse, test.how)
		before, started, err := c.StartRun(ctx, startOf(id, test.how))
		if err != nil || !started {
			t.Fatalf("%s: %v, %v", id, started, err)
		}
		switch test.how {
		case "is terminated":
			err = c.TerminateRun(ctx, before, "enough")
		case "is canceled":
			err = c.CancelRun(ctx, before, "enough")
		}
		if err != nil {
			t.Fatalf("%s: %v", id, err)
		}
		if _, err := c.WaitRun(ctx, before); err != nil {
			t.Fatalf("%s: %v", id, err)
		}
		start := startOf(id, "completes")
		start.Reuse = test.reuse
		run, started, err := c.StartRun(ctx, start)
		switch {
		case test.again && (err != nil || !started || run.Number == before.Number):
			t.Errorf("%s: %v, started %v, %v", id, run, started, err)
		case !test.again && event.CodeOf(err) != event.CodeExists:
			t.Errorf("%s: %v, %v; want exists", id, run, err)
		}
		if last, err := c.Run(ctx, client.RunID{ID: id}, client.Linearizable); err != nil || (last.Number != before.Number) != test.again {
			t.Errorf("%s: the last run is %v, %v", id, last.RunID, err)
		}
	}
}

func TestConflictPolicies(t *testing.T) {
	t.Parallel()
	ctx, c := workerOf(t, ends)
	start := func(conflict workflows.ConflictPolicy) (before, run client.RunID, started bool, err error) {
		t.Helper()
		id := "conflict " + string(conflict)
		if before, _, err = c.StartRun(ctx, startOf(id, "waits")); err != nil {
			t.Fatal(err)
		}
		s := startOf(id, "waits")
		s.Conflict, s.Reuse = conflict, workflows.ReuseNever // which is about runs that have ended
		s.Signal = &workflows.Signal{Name: "go", Input: []byte(`"went"`)}
		run, started, err = c.StartRun(ctx, s)
		return before, run, started, err
	}
	for _, conflict := range []workflows.ConflictPolicy{"", workflows.ConflictFail} {
		before, _, _, err := start(conflict)
		if event.CodeOf(err) != event.CodeExists {
			t.Errorf("%q: %v", conflict, err)
		}
		if r, err := c.Run(ctx, before, client.Linearizable); err != nil || r.Status != workflows.Running || r.Unread != 0 {
			t.Errorf("%q: the run is %s and has %d signals to take, %v", conflict, r.Status, r.Unread, err)
		}
	}

	before, run, started, err := start(workflows.ConflictUse)
	if err != nil || started || run != before {
		t.Errorf("use: %v, started %v, %v; want %v", run, started, err, before)
	}
	if o, err := c.WaitRun(ctx, run); err != nil || string(o.Result) != `"went"` {
		t.Errorf("use: the run has not had the signal: %+v, %v", o, err)
	}

	before, run, started, err = start(workflows.ConflictTerminate)
	if err != nil || !started || run.Number == before.Number {
		t.Errorf("terminate: %v, started %v, %v", run, started, err)
	}
	if r, err := c.Run(ctx, before, client.Linearizable); err != nil || r.Status != workflows.Terminated {
		t.Errorf("terminate: the one before is %s, %v", r.Status, err)
	}
	if o, err := c.WaitRun(ctx, run); err != nil || string(o.Result) != `"went"` {
		t.Errorf("terminate: %+v, %v", o, err)
	}
}

func TestPoliciesThatThereAreNot(t *testing.T) {
	t.Parallel()
	c, err := client.New(client.Config{Servers: []string{"http://127.0.0.1:1"}}) // which is not asked
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	for _, s := range []workflows.Start{{ID: "x", Type: "ends", Reuse: "sometimes"}, {ID: "x", Type: "ends", Conflict: "duel"}} {
		if _, _, err := c.StartRun(t.Context(), s); event.CodeOf(err) != event.CodeInvalid {
			t.Errorf("%+v: %v", s, err)
		}
	}
}

// A run continues as another version of its workflow, whose input is of another type, by a
// worker that has that one. Where no worker has ever had it the run is paused, and goes on when
// one does.
func TestContinueAsVersion(t *testing.T) {
	t.Parallel()
	url := node(t)
	type order struct{ Item string }
	first := workflows.Define("grows", 1, func(ctx workflows.Context, item string) (string, error) {
		return "", workflows.ContinueAsVersion(2, order{item})
	})
	second := workflows.Define("grows", 2, func(ctx workflows.Context, o order) (string, error) {
		word, err := workflows.Signals[string](ctx, "word").Receive(ctx)
		return fmt.Sprintf("%s of version %d: %s", o.Item, workflows.Info(ctx).Version, word), err
	})
	ctx, c := workerAt(t, url, workflows.Config{Name: "first"}, first)
	start := workflows.Start{
		ID: "g-1", Type: "grows", Version: 1, Input: []byte(`"lamp"`), Memo: []byte(`"for later"`),
		Signal: &workflows.Signal{Name: "word", Input: []byte(`"done"`)},
	}
	run, _, err := c.StartRun(ctx, start)
	if err != nil {
		t.Fatal(err)
	}
	until(t, ctx, func() bool {
		r, err := c.Run(ctx, run, client.Linearizable)
		return err == nil && r.Paused
	})
	workerAt(t, url, workflows.Config{Name: "second"}, second)
	until(t, ctx, func() bool {
		list, err := c.Definitions(ctx)
		return err == nil && list[0].Version == 2
	})
	if err := c.ResumeRun(ctx, run, "there is a worker"); err != nil {
		t.Fatal(err)
	}
	waiting, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	o, err := c.WaitRun(waiting, run)
	if err != nil || o.Status != workflows.Completed || string(o.Result) != `"lamp of version 2: done"` || o.Run.Number == run.Number {
		t.Fatalf("it ended as %+v, %v", o, err)
	}
	before, err := c.Run(ctx, run, client.Linearizable)
	if err != nil || before.Status != workflows.Continued || before.Version != 1 || before.Next != o.Run.Number {
		t.Errorf("the run is %s of version %d, next %d, %v", before.Status, before.Version, before.Next, err)
	}
	if last, err := c.Run(ctx, o.Run, client.Linearizable); err != nil || last.Version != 2 || string(last.Memo) != `"for later"` {
		t.Errorf("the last is of version %d, memo %s, %v", last.Version, last.Memo, err)
	}
}
