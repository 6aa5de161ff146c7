package workflows_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/workflows"
)

var update = flag.Bool("update", false, "record the histories in testdata/histories anew")

const historyFolder = "testdata/histories"

// everything asks for all that there is to ask for.
var everything = workflows.Define("everything", 1, func(ctx workflows.Context, in string) (string, error) {
	workflows.HandleQuery(ctx, "in", func(struct{}) (string, error) { return in, nil })
	sum := 0
	workflows.HandleUpdate(ctx, "add", func(ctx workflows.Context, n int) (int, error) {
		n, err := workflows.NewStep("double", func(_ context.Context, n int) (int, error) { return 2 * n, nil }).Do(ctx, n)
		sum += n
		return sum, err
	}, nil)
	workflows.Upsert(ctx, map[string]any{"in": in})
	once := workflows.NewStep("once", add(1), workflows.StepOptions{Retry: workflows.Retry{Attempts: 1}})
	flaky := workflows.NewStep("flaky", func(ctx context.Context, n int) (int, error) {
		if workflows.Attempt(ctx) == 1 {
			return 0, errors.New("<once> & no more")
		}
		return n, nil
	})
	a, b := once.Start(ctx, 1), flaky.Start(ctx, 2)
	if err := workflows.All(ctx, a, b); err != nil {
		return "", err
	}
	if workflows.Version(ctx, "ask", 0, 1) == 1 {
		ask := workflows.NewRequest[string, string]("asked", workflows.RequestOptions{Retry: workflows.Retry{Initial: time.Second}})
		if _, err := ask.Do(ctx, in); err != nil {
			return "", err
		}
	}
	limited, cancel := workflows.WithTimeout(ctx, time.Hour)
	paid := workflows.NextEvent(limited, workflows.Match{Type: "paid", Values: map[string]string{"/id": in}})
	never := workflows.NextEvent(limited, workflows.Match{Type: "never"})
	late := workflows.After(limited, 50*time.Minute)
	unheard := workflows.NewRequest[string, string]("unheard", workflows.RequestOptions{Timeout: time.Hour}).Start(limited, in)
	if _, err := workflows.First(ctx, paid, never, late, unheard); err != nil {
		return "", err
	}
	cancel()
	child := workflows.StartChildNamed[int](ctx, "three", 1, workflows.ChildOptions{})
	if _, err := child.Get(ctx); err != nil {
		return "", err
	}
	long, stop := workflows.WithCancel(ctx)
	other := workflows.StartChildNamed[int](long, "waits", nil, workflows.ChildOptions{})
	word, err := workflows.Signals[string](ctx, "word").Receive(ctx)
	if err != nil {
		return "", err
	}
	stop()
	if _, err := other.Get(ctx); !errors.Is(err, &workflows.Error{Type: workflows.ErrorCanceled}) {
		return "", err
	}
	return word + workflows.NewID(ctx), workflows.Await(ctx, func() bool { return sum > 0 })
})

var waits = workflows.Define("waits", 1, func(ctx workflows.Context, _ struct{}) (int, error) {
	workflows.Compensate(ctx, func(ctx workflows.Context) error { return workflows.Sleep(ctx, time.Second) })
	return 0, workflows.Sleep(ctx, time.Hour)
})

var again = workflows.Define("again", 1, func(ctx workflows.Context, n int) (int, error) {
	if n == 0 {
		return 0, errors.Join(workflows.Sleep(ctx, time.Minute), workflows.ContinueAsNew(1))
	}
	return workflows.Signals[int](ctx, "n").Receive(ctx)
})

var fragile = workflows.Define("fragile", 1, func(ctx workflows.Context, _ struct{}) (string, error) {
	slow := func(ctx context.Context, _ struct{}) (int, error) { <-ctx.Done(); return 0, ctx.Err() }
	once := workflows.NewStep("once", slow, workflows.StepOptions{Retry: workflows.Retry{Attempts: 1}}).Start(ctx, struct{}{})
	twice := workflows.NewStep("twice", slow, workflows.StepOptions{StartToClose: time.Hour, Retry: workflows.Retry{Attempts: 2}}).Start(ctx, struct{}{})
	_, err := once.Get(ctx)
	_, err2 := twice.Get(ctx)
	return err.Error() + err2.Error(), nil
})

// counted has heartbeats beside what else comes for it.
var counted = workflows.Define("counted", 1, func(ctx workflows.Context, _ struct{}) (int, error) {
	f := counting(60, func(int) {}, workflows.StepOptions{StartToClose: 45 * time.Second}).Start(ctx, struct{}{})
	for range 3 {
		if err := workflows.Sleep(ctx, 15*time.Second); err != nil {
			return 0, err
		}
	}
	return f.Get(ctx)
})

var recordedFlows = []workflows.Defined{everything, threeSteps, waits, again, fragile, modelFlow, counted}

// readHistory reads a recorded history, an event a line.
func readHistory(t *testing.T, file string) (flow string, history []event.Recorded) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(data) {
		var e event.Recorded
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		history = append(history, e)
	}
	var begun workflows.Started
	if err := json.Unmarshal(history[0].Data, &begun); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return begun.Type, history
}

// A change of this package that a history of the past diverges from breaks the runs of
// users.
func TestRecordedHistoriesReplay(t *testing.T) {
	if *update {
		t.Run("record", recordHistories)
	}
	files, err := filepath.Glob(filepath.Join(historyFolder, "*.jsonl"))
	if err != nil || len(files) < 9 {
		t.Fatalf("%d histories, %v", len(files), err)
	}
	kinds := make(map[string]bool)
	for _, file := range files {
		flow, history := readHistory(t, file)
		for _, e := range history {
			kinds[strings.TrimPrefix(e.Type, workflows.HistoryPrefix)] = true
		}
		for _, def := range recordedFlows {
			if d := def.(interface{ Name() string }); d.Name() == flow {
				if err := workflows.Check(def, history); err != nil {
					t.Errorf("%s: %v", file, err)
				}
			}
		}
	}
	for _, kind := range []string{
		workflows.KindStarted, workflows.KindSignal, workflows.KindUpdate, workflows.KindTimerFired,
		workflows.KindResponse, workflows.KindRequestExpired, workflows.KindEvent, workflows.KindChildCompleted,
		workflows.KindChildFailed, workflows.KindCancelRequested, workflows.KindWorkerLost,
		workflows.KindStepStarted, workflows.KindStepHeartbeat, workflows.KindStepCompleted, workflows.KindStepFailed, workflows.KindTimerSet,
		workflows.KindTimerCanceled, workflows.KindRequestSent, workflows.KindRequestDropped,
		workflows.KindEventAwaited, workflows.KindEventDropped, workflows.KindChildStarted,
		workflows.KindChildCanceled, workflows.KindUpdateCompleted, workflows.KindVersionMarked,
		workflows.KindAttributesSet, workflows.KindCompleted, workflows.KindFailed, workflows.KindCanceled,
		workflows.KindContinued,
	} {
		if !kinds[kind] {
			t.Errorf("no history has a %s", kind)
		}
	}
}

func recordHistories(t *testing.T) {
	if err := os.MkdirAll(historyFolder, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Run("world", func(t *testing.T) { // which is parallel
		inWorld(t, func(w *world) {
			playEverything(w)
			numbers, _ := w.Runs()
			for _, n := range numbers {
				var lines []byte
				history := w.Recorded(n)
				for _, e := range history {
					lines = append(e.AppendJSON(lines), '\n')
				}
				name := strings.ReplaceAll(strings.TrimPrefix(history[0].Stream, "run/"), "/", "-") + "-" + history[0].ID[:strings.Index(history[0].ID, "/")]
				if err := os.WriteFile(filepath.Join(historyFolder, name+".jsonl"), lines, 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}, recordedFlows...)
	})
}

// playEverything has runs of all workflows.
func playEverything(w *world) {
	var asked atomic.Int32
	w.Handle("asked", func(event.Event) (any, error) {
		switch asked.Add(1) {
		case 1:
			time.Sleep(time.Minute) // and it expires
		case 2:
			return nil, errors.New("not yet")
		}
		return "answer", nil
	})
	w.start("everything", "all", "x")
	time.Sleep(5 * time.Minute)
	w.Append("payments", event.Event{ID: "1", Source: "/bank", Type: "paid", DataContentType: "application/json", Data: []byte(`{"id":"x"}`)})
	time.Sleep(time.Minute)
	_ = w.Signal("all", "word", "hello")
	time.Sleep(time.Minute)
	if _, err := w.Update(w.Context(), "all", "add", 1); err != nil {
		w.Error(err)
	}
	completed[string](w, "all")

	w.start("again", "again", 0)
	_ = w.Signal("again", "n", 3)
	completed[int](w, "again")

	w.start("waits", "canceled", nil)
	time.Sleep(time.Minute)
	_ = w.Cancel("canceled", "enough")
	w.wait("canceled")

	w.start("model", "failed", node{Op: opSeq, Kids: []node{
		{Op: opStep, ID: 1, Undo: true}, {Op: opPar, Kids: []node{{Op: opSleep, Takes: time.Second}, {Op: opStep, ID: 2, Fails: -1}}},
	}})
	w.wait("failed")

	w.start("fragile", "fragile", nil)
	time.Sleep(time.Minute)
	w.crash()
	completed[string](w, "fragile")

	w.start("counted", "counted", nil)
	time.Sleep(12 * time.Second)
	w.crash()
	completed[int](w, "counted")
}
