package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/workflows"
)

type scriptOrder struct {
	Item  string `json:"item"`
	Fails string `json:"fails"`
}

// fulfilScript is what the scripts run: it takes, waits for the signal "approved" or an hour,
// and ships. An order that is to fail does so when it ships.
var fulfilScript = workflows.Define("fulfil", 2, func(ctx workflows.Context, o scriptOrder) (string, error) {
	progress := "began"
	workflows.HandleQuery(ctx, "progress", func(struct{}) (string, error) { return progress, nil })
	workflows.HandleUpdate(ctx, "rename", func(_ workflows.Context, item string) (string, error) {
		o.Item = item
		return "now " + item, nil
	}, func(item string) error {
		if item == "" {
			return errors.New("has no name")
		}
		return nil
	})
	if _, err := takeScript.Do(ctx, o); err != nil {
		return "", err
	}
	progress = "taken"
	by, ok, err := workflows.Signals[string](ctx, "approved").ReceiveFor(ctx, time.Hour)
	if err != nil {
		return "", err
	}
	if !ok {
		return "", errors.New("nobody approved it")
	}
	if _, err := shipScript.Do(ctx, o); err != nil {
		return "", err
	}
	return o.Item + " for " + by, nil
}, workflows.Options{RetentionCount: 1000, Attributes: map[string]workflows.AttributeType{
	"customer": workflows.TypeString, "total": workflows.TypeNumber,
}})

var (
	takeScript = workflows.NewStep("take", func(context.Context, scriptOrder) (string, error) { return "taken", nil })
	shipScript = workflows.NewStep("ship", func(_ context.Context, o scriptOrder) (string, error) {
		switch o.Fails {
		case "once":
			return "", workflows.Final(workflows.NewError("broken", "the truck is broken", nil))
		case "":
			return "shipped", nil
		}
		return "", workflows.NewError("late", "not yet", nil)
	}, workflows.StepOptions{Retry: workflows.Retry{Initial: time.Millisecond, Attempts: 2}})
)

// fulfilOtherwise is code that cannot go on with what fulfilScript began.
var fulfilOtherwise = workflows.Define("fulfil", 2, func(ctx workflows.Context, o scriptOrder) (string, error) {
	return o.Item, workflows.Sleep(ctx, time.Hour)
})

// workerMain is a worker's program, as a user would write it.
func workerMain(code workflows.Defined) {
	c, err := client.New(client.Config{Servers: []string{"http://127.0.0.1:1"}})
	var r *workflows.Runner
	if err == nil {
		r, err = workflows.NewRunner(workflows.Config{}, code)
	}
	if err == nil {
		err = r.Run(context.Background(), c)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// defineWorkflow makes the scripts' workflow known, as a worker does that is gone then.
//
//	define
func defineWorkflow(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: define")
	}
	c, err := client.New(client.Config{Servers: []string{ts.Getenv("EDRI_URL")}})
	ts.Check(err)
	ts.Check(c.Define(context.Background(), workflows.Definition{Name: "fulfil", Version: 2}))
	ts.Check(c.Close())
}

// workflowWorker has this process be a worker of the scripts' workflow from here on.
//
//	workflows
func workflowWorker(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: workflows")
	}
	c, err := client.New(client.Config{Servers: []string{ts.Getenv("EDRI_URL")}})
	ts.Check(err)
	r, err := workflows.NewRunner(workflows.Config{Name: "script"}, fulfilScript)
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx, c) }()
	ts.Defer(func() {
		cancel()
		<-ended
		_ = c.Close()
	})
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		list, err := c.Definitions(ctx)
		ts.Check(err)
		if len(list) > 0 {
			return
		}
		<-again.C
	}
}

// checkHistories replays the histories of a folder with the scripts' workflow.
//
//	checkhistories DIR
func checkHistories(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: checkhistories DIR")
	}
	files, err := workflows.CheckRecorded(ts.MkAbs(args[0]), fulfilScript)
	ts.Check(err)
	if files == 0 {
		ts.Fatalf("there are no histories in %s", args[0])
	}
}

// After an interruption it is known of which runs nothing was done.
func TestBatchTellsWhatWasNotTried(t *testing.T) {
	t.Parallel()
	url, stop, err := startNode(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	c, err := client.New(client.Config{Servers: []string{url}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.Define(t.Context(), workflows.Definition{Name: "fulfil", Version: 1}); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"a", "b", "c"} {
		if _, _, err := c.StartRun(t.Context(), workflows.Start{ID: id, Type: "fulfil"}); err != nil {
			t.Fatal(err)
		}
	}
	ctx, interrupt := context.WithCancelCause(t.Context())
	var got []string
	pages := new(app).batch(ctx, c, batchFlags{filter: `type = "fulfil"`, concurrency: 1},
		func(_ context.Context, _ *client.Client, run client.RunID) (string, error) {
			if run.ID == "c" { // the last started comes first
				return "is done", nil
			}
			interrupt(errInterrupted)
			return "", context.Canceled
		})
	for page := range pages {
		for _, r := range page.results {
			got = append(got, r.ID+" "+r.Done+r.Error)
		}
	}
	want := []string{"c is done", "b context canceled", "a nothing was done: interrupted"}
	if !slices.Equal(got, want) {
		t.Errorf("it tells %q, want %q", got, want)
	}
}

// The timeline draws what a history says, also of what scripts do not get to.
func TestTimeline(t *testing.T) {
	t.Parallel()
	begin := timelineBegin
	r := client.Run{
		RunID: client.RunID{ID: "o-1", Number: 7}, Type: "fulfil", Version: 2, Status: workflows.Running, Busy: true, Worker: "w",
		Started: begin, Events: 20, Advance: 9, Correlation: "o-1", Attributes: map[string]any{"total": 7.0},
		Open: []client.OpenItem{
			{Kind: "timer", Seq: 4, Due: begin.Add(2 * time.Hour)}, {Kind: "child", Seq: 6, What: "c-1/9"}, {Kind: "timeout", Due: begin.Add(24 * time.Hour)},
		},
	}
	line := newTimeline(r, begin.Add(100*time.Second))
	for _, e := range []struct {
		at   int // seconds
		kind string
		data string
	}{
		{0, "started", `{"type":"fulfil"}`},
		{1, "step.failed", `{"seq":1,"name":"take","attempt":1,"started":"2026-01-01T00:00:00Z","error":{"type":"late","message":"not yet"},"retry_in":"1s"}`},
		{2, "timer.fired", `{"seq":1}`},
		{10, "step.completed", `{"seq":1,"name":"take","attempt":2,"started":"2026-01-01T00:00:02Z"}`},
		{10, "request.sent", `{"seq":2,"name":"price.asked","attempt":1}`},
		{12, "request.expired", `{"seq":2}`},
		{12, "request.sent", `{"seq":2,"name":"price.asked","attempt":2}`},
		{15, "request.completed", `{"seq":2}`},
		{15, "event.awaited", `{"seq":3,"type":"paid"}`},
		{20, "event.received", `{"seq":3}`},
		{20, "timer.set", `{"seq":4,"for":"2h0m0s"}`},
		{20, "step.started", `{"seq":5,"name":"once","attempt":1,"started":"2026-01-01T00:00:20Z"}`},
		{21, "step.failed", `{"seq":5,"name":"once","attempt":1,"started":"2026-01-01T00:00:20Z","error":{"type":"late","message":"not yet"},"blocks":true}`},
		{21, "paused", `{"reason":"step failed"}`},
		{30, "resumed", `{}`},
		{30, "child.started", `{"seq":6,"id":"c-1","type":"pack"}`},
		{40, "child.canceled", `{"seq":6}`},
		{50, "signal.received", `{"name":"approved"}`},
		{50, "update.accepted", `{"id":"u","name":"rename"}`},
		{60, "update.completed", `{"id":"u","error":{"type":"x","message":"no"}}`},
		{70, "worker.lost", `{}`},
		{80, "cancel.requested", `{"reason":"enough"}`},
		{80, "request.sent", `no JSON`},
		{85, "step.failed", `{"seq":7,"name":"ship","attempt":1,"started":"2026-01-01T00:01:20Z","error":{"type":"late","message":"not yet"},"retry_in":"5s"}`},
		{90, "timer.fired", `{"seq":7}`},
		{95, "step.heartbeat", `{"seq":8,"name":"copy","attempt":2,"started":"2026-01-01T00:01:25Z","heartbeat":{"rows":4100}}`},
	} {
		line.add(timelineEvent(e.at, e.kind, e.data))
	}
	got := string(renderRun(r, line))
	want, err := os.ReadFile(filepath.Join("testdata", "timeline.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the timeline is\n%s\nwant\n%s", got, want)
	}
	const long = "its history is long"
	if strings.Contains(got, long) {
		t.Errorf("20 events are long")
	}
	r.Events = longHistory
	if got := string(renderRun(r, line)); !strings.Contains(got, long) {
		t.Errorf("%d events are not long:\n%s", r.Events, got)
	}
}

// What a paused run is shown with: why it is paused, and what can be done.
func TestShowSaysWhyARunIsPaused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ data, want string }{
		"by its code that diverges": {
			`{"reason":"divergence","details":{"seq":1,"revision":4,"recorded":"step.completed 1 \"take\"","asked":"timer.set 1"}}`, `
paused
  why       divergence: the code asks for something other than what is recorded
  event     4
  recorded  step.completed 1 "take"
  asked     timer.set 1
  next      mend the code, then: edri workflow resume o-1
            or run it again from before that: edri workflow reset o-1 --revision 3
`},
		"by its code that diverges at the begin": {
			`{"reason":"divergence","details":{"seq":1,"revision":3,"recorded":"timer.set 1","asked":"nothing"}}`, `
paused
  why       divergence: the code asks for something other than what is recorded
  event     3
  recorded  timer.set 1
  asked     nothing
  next      mend the code, then: edri workflow resume o-1
`},
		"by a panic": {
			`{"reason":"panic","details":{"text":"no\nname","stack":"goroutine 7 [running]:\nruntime/debug.Stack()\n\t/go/stack.go:26 +0x5e\nworkflows.run.func1()\n\t/w/c.go:3 +0x1\npanic({0x1, 0x2})\n\t/go/panic.go:783 +0x132\nruntime.goPanicIndex(0x3)\n\t/go/panic.go:115 +0x1\nmain.price(...)\n\t/orders/main.go:12\nmain.fulfil({0x1})\n\t/orders/main.go:31 +0x8\nworkflows.call()\n\t/w/d.go:1 +0x2\nworkflows.main()\n\t/w/d.go:2 +0x2\n"}}`, `
paused
  why    panic: no\nname
  stack  main.price(...)
             /orders/main.go:12
         main.fulfil({0x1})
             /orders/main.go:31 +0x8
         workflows.call()
             /w/d.go:1 +0x2
         …
  next   mend the code, then: edri workflow resume o-1
         or run it again from an earlier point: edri workflow reset o-1 --revision N
         which N there are: edri workflow history o-1
`},
		"by code that is stuck": {
			`{"reason":"stuck","details":{"text":"did not wait","stack":"goroutine 7 [sleep]:\ntime.Sleep(0x1)\n\t/go/time.go:3 +0x5e\nmain.fulfil({0x1})\n\t/orders/main.go:31 +0x8\n"}}`, `
paused
  why    stuck: did not wait
  stack  time.Sleep(0x1)
             /go/time.go:3 +0x5e
         main.fulfil({0x1})
             /orders/main.go:31 +0x8
  next   mend the code, then: edri workflow resume o-1
         or run it again from an earlier point: edri workflow reset o-1 --revision N
         which N there are: edri workflow history o-1
`},
		"by a step": {
			`{"reason":"step failed","details":[{"seq":2,"name":"charge card","error":{"type":"late","message":"not yet"}},{"seq":3,"name":"ship","error":{"type":"broken","message":"no wheel"}}]}`, `
paused
  why   step failed
  step  2 charge card: late: not yet
  step  3 ship: broken: no wheel
  next  try it anew: edri workflow retry o-1
        or run the run again from before it: edri workflow reset o-1 --seq 2
`},
		"by a limit": {
			`{"reason":"too_large","details":{"reason":"memo and attributes leave no room"}}`, `
paused
  why   too_large: memo and attributes leave no room
  next  mend the code, then: edri workflow resume o-1
        or run it again from an earlier point: edri workflow reset o-1 --revision N
        which N there are: edri workflow history o-1
`},
		"by a signal": {
			`{"reason":"invalid signal","details":{"reason":"input of signal approved: is a number, and not a text","signal":"approved"}}`, `
paused
  why    invalid signal: input of signal approved: is a number, and not a text
  event  5
  next   mend the code, then: edri workflow resume o-1
         or run it again from before that, without the signals since: edri workflow reset o-1 --revision 4 --drop-signals
`},
		"by a person": {
			`{"reason":"a count"}`, `
paused
  why   a count
  next  edri workflow resume o-1
`},
		"by a person who does not say why": {
			`{}`, `
paused
  why   by request
  next  edri workflow resume o-1
`},
		"by what is not known yet": {
			`{"reason":"tired","details":{"hours":[7]}}`, `
paused
  why      tired
  details  {"hours":[7]}
  next     edri workflow resume o-1
`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := client.Run{
				RunID: client.RunID{ID: "o-1", Number: 7}, Status: workflows.Running, Paused: true, Started: timelineBegin,
				History: []workflows.Range{{From: 1, To: 1}, {From: 3, To: 9}},
			}
			line := newTimeline(r, timelineBegin.Add(100*time.Second))
			line.add(timelineEvent(10, "paused", `{"reason":"earlier"}`))
			line.add(timelineEvent(20, "resumed", `{}`))
			for revision, name := range []string{3: "approved", 5: "approved", 6: "counted"} {
				came := timelineEvent(25, "signal.received", fmt.Sprintf(`{"name":%q}`, name))
				came.Revision = event.Revision(revision)
				line.add(came)
			}
			line.add(timelineEvent(30, "paused", test.data))
			if got := string(renderRun(r, line)); !strings.HasSuffix(got, test.want) {
				t.Errorf("it shows\n%s\nwant at its end%s", got, test.want)
			}
			line.add(timelineEvent(40, "resumed", `{}`))
			r.Paused = false
			if got := string(renderRun(r, line)); strings.Contains(got, "\npaused\n") {
				t.Errorf("a run that goes on shows\n%s", got)
			}
		})
	}
}

var timelineBegin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// timelineEvent is an event of a history, so many seconds from its begin.
func timelineEvent(at int, kind, data string) *event.Recorded {
	return &event.Recorded{Event: event.Event{
		Type: workflows.HistoryPrefix + kind, Time: timelineBegin.Add(time.Duration(at) * time.Second), Data: []byte(data),
	}}
}

// shownAs is what is shown of a run 100 s after its begin, without what stands above the
// timeline.
func shownAs(t *testing.T, r client.Run, history ...*event.Recorded) (head, rest string) {
	t.Helper()
	line := newTimeline(r, timelineBegin.Add(100*time.Second))
	for _, e := range history {
		line.add(e)
	}
	shown := string(renderRun(r, line))
	if strings.Contains(shown, " \n") {
		t.Errorf("a line ends with a blank:\n%s", shown)
	}
	head, rest, _ = strings.Cut(shown, "\n\n")
	return head, rest
}

func runOf(status workflows.Status) client.Run {
	r := client.Run{RunID: client.RunID{ID: "o-1", Number: 7}, Status: status, Started: timelineBegin}
	if status != workflows.Running {
		r.Ended = timelineBegin.Add(100 * time.Second)
	}
	return r
}

func stamped(e *event.Recorded, at int) *event.Recorded {
	e.Stamp = timelineBegin.Add(time.Duration(at) * time.Second)
	return e
}

func wantShown(t *testing.T, got, want string) {
	t.Helper()
	if got != strings.TrimPrefix(want, "\n") {
		t.Errorf("it shows\n%s\nwant%s", got, want)
	}
}

// What was open when a run ended is not open any more.
func TestShowCountsCommits(t *testing.T) {
	t.Parallel()
	for advance, want := range []string{"0 commits", "1 commit", "2 commits"} {
		r := client.Run{RunID: client.RunID{ID: "o-1", Number: 7}, Status: workflows.Running, Events: 3, Advance: uint64(advance)}
		if got := string(renderRun(r, newTimeline(r, timelineBegin))); !strings.Contains(got, "  3 in "+want+"\n") {
			t.Errorf("it shows\n%s\nwant %s", got, want)
		}
	}
}

func TestShowLeavesNothingOpenOfARunThatHasEnded(t *testing.T) {
	t.Parallel()
	_, got := shownAs(t, runOf(workflows.Failed),
		timelineEvent(0, "timer.set", `{"seq":1,"for":"20s"}`),
		timelineEvent(0, "step.failed", `{"seq":2,"name":"ship","attempt":1,"started":"2026-01-01T00:00:00Z","error":{"type":"late","message":"not yet"},"retry_in":"5s"}`),
		timelineEvent(50, "step.heartbeat", `{"seq":3,"name":"copy","attempt":1,"started":"2026-01-01T00:00:00Z","heartbeat":7}`),
		timelineEvent(50, "child.started", `{"seq":4,"id":"c-1","type":"pack","on_close":"terminate"}`),
		timelineEvent(50, "child.started", `{"seq":5,"id":"c-2","type":"pack","on_close":"abandon"}`),
		timelineEvent(50, "update.accepted", `{"id":"u","name":"rename"}`),
		timelineEvent(75, "paused", `{"reason":"a count"}`),
	)
	wantShown(t, got, `
WHAT    NAME      NO  TRIES  AT      TOOK                                     STATE
timer   20s       1          +0s     1m40s  ████████████████████████████████  unfinished
step    ship      2   1      +0s     1m40s  ████████████████████████████████  failed: late: not yet, unfinished
step    copy      3   1      +0s     1m40s  ████████████████████████████████  at 7, unfinished
child   pack c-1  4          +50s    50s    ················████████████████  unfinished
child   pack c-2  5          +50s    50s    ················████████████████  abandoned
update  rename               +50s    50s    ················████████████████  unfinished
pause   a count              +1m15s  25s    ························████████  unfinished
`)
}

// A step that runs at most once fails when its worker is lost: its history says no more than that.
func TestShowOfAStepWhoseOutcomeIsUnknown(t *testing.T) {
	t.Parallel()
	r := runOf(workflows.Failed)
	r.Err = workflows.NewError("sold out", "no lamp", map[string]int{"left": 0})
	head, got := shownAs(t, r,
		timelineEvent(0, "step.started", `{"seq":1,"name":"charge","attempt":1,"started":"2026-01-01T00:00:00Z"}`),
		timelineEvent(0, "step.heartbeat", `{"seq":2,"name":"copy","attempt":1,"started":"2026-01-01T00:00:00Z","heartbeat":7}`),
		timelineEvent(50, "worker.lost", `{}`),
	)
	wantShown(t, got, `
WHAT         NAME    NO  TRIES  AT    TOOK                                     STATE
step         charge  1   1      +0s   50s    ████████████████················  failed: edri.outcome_unknown
step         copy    2   1      +0s   1m40s  ████████████████████████████████  at 7, unfinished
worker lost                     +50s         ················█···············
`)
	if want := "\nerror     sold out: no lamp\ndetails   {\"left\":0}"; !strings.HasSuffix(head, want) {
		t.Errorf("its head is\n%s\nwant at its end%s", head, want)
	}
}

// The commands that are shown can be pasted.
func TestShellWord(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{
		"order-7": "order-7", "o/7:ä": "o/7:ä", "a b": "'a b'", "it's": `'it'\''s'`, "$HOME": "'$HOME'", "-f": "'-f'", "a\nb": `'a\nb'`,
	} {
		if got := shellWord(id); got != want {
			t.Errorf("of %q it is %s, want %s", id, got, want)
		}
	}
}

// What is waited for is told once, an event with the values that it is to have.
func TestShowSaysWhatIsWaitedFor(t *testing.T) {
	t.Parallel()
	r := runOf(workflows.Running)
	r.Open = []client.OpenItem{{Kind: "event", Seq: 5, What: "visa.granted"}, {Kind: "event", Seq: 6, What: "paid"}, {Kind: "child", Seq: 7, What: "t6/9"}}
	_, got := shownAs(t, r,
		timelineEvent(0, "event.awaited", `{"seq":5,"type":"visa.granted","match":{"/id":"t9","/by":"c 1"}}`),
		timelineEvent(0, "event.awaited", `{"seq":6,"type":"paid","filter":{"prefix":{"subject":"c"}}}`),
		timelineEvent(0, "child.started", `{"seq":7,"id":"t6","type":"pack"}`),
	)
	_, got, _ = strings.Cut(got, "waits for\n")
	wantShown(t, got, `
  event  5  visa.granted, /by = "c 1", /id = "t9"
  event  6  paid, filter {"prefix":{"subject":"c"}}
  child  7  pack t6/9
`)
}

// What the code asks for is drawn where it was asked for, not where came what it went on by:
// a signal may lie there for long while the run is paused. A blocked step that is to be
// tried again is under way.
func TestShowDrawsWhatCameOfAPause(t *testing.T) {
	t.Parallel()
	r := runOf(workflows.Running)
	r.Busy = true
	_, got := shownAs(t, r,
		timelineEvent(0, "step.failed", `{"seq":1,"name":"ship","attempt":2,"started":"2026-01-01T00:00:00Z","error":{"type":"late","message":"not yet"},"blocks":true}`),
		timelineEvent(0, "paused", `{"reason":"step failed"}`),
		stamped(timelineEvent(50, "resumed", `{"reason":"the road is free"}`), 50),
		stamped(timelineEvent(25, "signal.received", `{"name":"approved"}`), 50),
		stamped(timelineEvent(25, "request.sent", `{"seq":2,"name":"price.asked","attempt":1}`), 50),
		stamped(timelineEvent(50, "retry.requested", `{"reason":"the road is free"}`), 50),
		timelineEvent(75, "step.failed", `{"seq":3,"name":"bill","attempt":1,"started":"2026-01-01T00:00:50Z","error":{"type":"late","message":"not yet"},"retry_in":"9s"}`),
		timelineEvent(100, "timer.canceled", `{"seq":3}`),
	)
	wantShown(t, got, `
WHAT     NAME         NO  TRIES  AT    TOOK                                     STATE
step     ship         1   2      +0s   1m40s  ████████████████████████████████  failed: late: not yet, tried again
pause    step failed             +0s   50s    ████████████████················  resumed: the road is free
signal   approved                +25s         ········█·······················  taken
request  price.asked  2   1      +50s  50s    ················████████████████  open
step     bill         3   1      +50s  50s    ················████████████████  failed: late: not yet, canceled
`)
}

// A run that was reset is drawn from the begin of the history that it took over, and says so.
func TestShowOfAResetHasOneTimeBase(t *testing.T) {
	t.Parallel()
	r := runOf(workflows.Running)
	r.Started, r.Busy = timelineBegin.Add(50*time.Second), true
	head, got := shownAs(t, r,
		timelineEvent(0, "started", `{"type":"fulfil"}`),
		timelineEvent(0, "timer.set", `{"seq":1,"for":"1h0m0s"}`),
		timelineEvent(25, "step.completed", `{"seq":2,"name":"take","attempt":1,"started":"2026-01-01T00:00:00Z"}`),
		timelineEvent(50, "reset", `{"from":"3","revision":4,"reason":"again"}`),
		timelineEvent(50, "timer.set", `{"seq":1,"for":"1h0m0s"}`),
	)
	if want := "\ntook      50s, and 50s before it was reset, from which the timeline counts\n"; !strings.Contains(head+"\n", want) {
		t.Errorf("its head is\n%s\nwant in it%s", head, want)
	}
	wantShown(t, got, `
WHAT   NAME    NO  TRIES  AT    TOOK                                    STATE
timer  1h0m0s  1          +0s   50s   ████████████████················  asked again
step   take    2   1      +0s   25s   ████████························  completed
reset  again              +50s        ················█···············  from run 3 at event 4
timer  1h0m0s  1          +50s  50s   ················████████████████  open
`)
}

// A run of which nothing is open but its own timeout can be woken by a signal or an update alone.
func TestShowSaysThatARunWaitsForInput(t *testing.T) {
	t.Parallel()
	timeout := client.OpenItem{Kind: "timeout", Due: timelineBegin.Add(200 * time.Second)}
	for name, test := range map[string]struct {
		change func(*client.Run)
		want   string
	}{
		"with nothing open":  {func(*client.Run) {}, "waits for\n  a signal or an update\n"},
		"with its timeout":   {func(r *client.Run) { r.Open = []client.OpenItem{timeout} }, "waits for\n  timeout      due 2026-01-01T00:03:20.000Z, in 1m40s\n  a signal or an update\n"},
		"with a timer":       {func(r *client.Run) { r.Open = []client.OpenItem{{Kind: "timer", Seq: 1}} }, "waits for\n  timer  1\n"},
		"at work":            {func(r *client.Run) { r.Busy = true }, ""},
		"paused":             {func(r *client.Run) { r.Paused = true }, ""},
		"with what has come": {func(r *client.Run) { r.Unread = 1 }, ""},
		"that has ended":     {func(r *client.Run) { r.Status = workflows.Completed }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := runOf(workflows.Running)
			test.change(&r)
			if _, rest := shownAs(t, r); rest != test.want {
				t.Errorf("it shows\n%q\nwant\n%q", rest, test.want)
			}
		})
	}
}

// A run at work says so, though nothing is recorded of the step that is under way.
func TestShowSaysWhoIsAtWork(t *testing.T) {
	t.Parallel()
	r := runOf(workflows.Running)
	r.Busy, r.Worker = true, "w-1"
	const line = "\nat work  worker w-1, since 1m20s: a step shows once something of it is recorded\n"
	began := stamped(timelineEvent(0, "started", `{}`), 20)
	if head, rest := shownAs(t, r, began); "\n"+rest != line {
		t.Errorf("it shows\n%s\n\n%s\nwant at its end%s", head, rest, line)
	}
	if _, rest := shownAs(t, r, began, timelineEvent(20, "step.started", `{"seq":1,"name":"once","attempt":1}`)); strings.Contains(rest, "at work") {
		t.Errorf("with a step that is known it shows\n%s", rest)
	}
	r.Busy = false
	if _, rest := shownAs(t, r, began); strings.Contains(rest, "at work") {
		t.Errorf("of a run that waits it shows\n%s", rest)
	}
}
