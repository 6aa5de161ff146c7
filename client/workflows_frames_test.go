package client_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/server/servertest"
	"github.com/edri-io/edri/workflows"
)

// warnings has what a logger is told.
type warnings struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (w *warnings) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(b)
}

func (w *warnings) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

func (w *warnings) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// What many runs say at once is more than a message may have: it goes in several, and no
// session breaks.
func TestManyLargeAdvancesAtOnce(t *testing.T) {
	t.Parallel()
	echo := workflows.Define("echo", 1, func(ctx workflows.Context, _ struct{}) (string, error) {
		e, err := workflows.NextEvent(ctx, workflows.Match{Type: "order.paid"}).Get(ctx)
		if err != nil {
			return "", err
		}
		var s string
		err = json.Unmarshal(e.Data, &s)
		return s, err
	})
	var said warnings
	ctx, c := workerAt(t, node(t), workflows.Config{Name: "w", Logger: said.logger()}, echo)
	const runs = 60
	for i := range runs {
		if _, _, err := c.StartRun(ctx, workflows.Start{ID: fmt.Sprint("r-", i), Type: "echo"}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range runs {
		until(t, ctx, func() bool {
			r, err := c.Run(ctx, client.RunID{ID: fmt.Sprint("r-", i)}, client.Linearizable)
			return err == nil && len(r.Open) > 0
		})
	}
	data := []byte(`"` + strings.Repeat("x", 950<<10) + `"`)
	if _, err := c.Append(ctx, "orders", event.ExpectAny, event.Event{ID: "1", Source: "/t", Type: "order.paid", DataContentType: "application/json", Data: data}); err != nil {
		t.Fatal(err)
	}
	for i := range runs {
		o, err := c.WaitRun(ctx, client.RunID{ID: fmt.Sprint("r-", i)})
		if err != nil || o.Status != workflows.Completed || len(o.Result) != len(data) {
			t.Fatalf("run %d: %v, %v, result of %d bytes; the worker warns: %s", i, o.Status, err, len(o.Result), said.String())
		}
	}
	if s := said.String(); s != "" {
		t.Errorf("the worker warns: %s", s)
	}
}

// What no message has room for is refused at once, as the cluster would: the step fails that
// has such effects, and the session goes on.
func TestAdvanceThatNoMessageHasRoomFor(t *testing.T) {
	t.Parallel()
	for name, settings := range map[string]map[string]string{
		"default": nil, "lower limits": {"max-commit-bytes": "1MiB", "max-event-bytes": "950KiB"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testTooLargeAdvance(t, settings)
		})
	}
}

func testTooLargeAdvance(t *testing.T, settings map[string]string) {
	emit := workflows.NewStep("emit", func(ctx context.Context, n int) (int, error) {
		for i := range n {
			workflows.Effects(ctx).Emit(fmt.Sprint("out-", i), "made", strings.Repeat("x", 900<<10))
		}
		return n, nil
	}, workflows.StepOptions{Retry: workflows.Retry{Attempts: 2}})
	wide := workflows.Define("wide", 1, func(ctx workflows.Context, n int) (int, error) { return emit.Do(ctx, n) })
	var said warnings
	ctx, c := workerAt(t, servertest.Node(t, settings), workflows.Config{Name: "w", Logger: said.logger()}, wide)
	for _, n := range []string{"1", "3", "5", "12"} {
		if _, _, err := c.StartRun(ctx, workflows.Start{ID: n, Type: "wide", Input: []byte(n)}); err != nil {
			t.Fatal(err)
		}
		o, err := c.WaitRun(ctx, client.RunID{ID: n})
		switch {
		case err != nil:
			t.Fatal(n, err)
		case (n == "1" || n == "3" && settings == nil) && o.Status != workflows.Completed:
			t.Errorf("%s: %v %v", n, o.Status, o.Err)
		case n != "1" && (n != "3" || settings != nil) && (o.Status != workflows.Failed || o.Err == nil || o.Err.Type != workflows.ErrorRefused || !strings.Contains(o.Err.Message, "commit in bytes")):
			t.Errorf("%s: %v %v", n, o.Status, o.Err)
		}
	}
	if s := said.String(); s != "" {
		t.Errorf("the worker warns: %s", s)
	}
}

// What the code asks for at once may be more than a commit has: it is of several advances.
func TestManyLargeChildrenAtOnce(t *testing.T) {
	t.Parallel()
	const children = 12
	length := workflows.Define("length", 1, func(ctx workflows.Context, in string) (int, error) {
		if in != "" {
			return len(in), nil
		}
		return 0, nil
	})
	parent := workflows.Define("parent", 1, func(ctx workflows.Context, _ struct{}) (sum int, err error) {
		var list []*workflows.Child[int]
		for i := range children {
			list = append(list, length.StartChild(ctx, strings.Repeat("x", 900<<10), workflows.ChildOptions{ID: fmt.Sprint("c-", i)}))
		}
		for _, f := range list {
			n, err := f.Get(ctx)
			if err != nil {
				return 0, err
			}
			sum += n
		}
		return sum, nil
	})
	var said warnings
	ctx, c := workerAt(t, node(t), workflows.Config{Name: "w", Logger: said.logger()}, parent, length)
	if _, _, err := c.StartRun(ctx, workflows.Start{ID: "p", Type: "parent"}); err != nil {
		t.Fatal(err)
	}
	until(t, ctx, func() bool {
		r, err := c.Run(ctx, client.RunID{ID: "p"}, client.Linearizable)
		if err == nil && r.Paused {
			t.Fatalf("it is paused: %s", r.Note)
		}
		return err == nil && r.Status != workflows.Running
	})
	o, err := c.WaitRun(ctx, client.RunID{ID: "p"})
	if err != nil || string(o.Result) != fmt.Sprint(children*900<<10) {
		t.Errorf("%+v, %v", o, err)
	}
	if s := said.String(); s != "" {
		t.Errorf("the worker warns: %s", s)
	}
}
