package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/client/clienttest"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/managers"
	"github.com/edri-io/edri/managers/managerstest"
)

// clientOf returns a client within the server's process.
func clientOf(t *testing.T, s running) *client.Client {
	t.Helper()
	c, err := s.Client()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestServersOwnClientIsAClusterForManagers(t *testing.T) {
	t.Parallel()
	s := start(t, single(t))
	managerstest.Run(t, func(t *testing.T) managerstest.Harness { return clienttest.Harness(clientOf(t, s)) })
}

// echoPID is a worker in sh that puts its process id into what it appends.
const echoPID = `
echo '{"hello":{"protocol":1}}'
while read -r line; do
  id=$(echo "$line" | sed -n 's/^{"deliver":{"id":\([0-9]*\),.*/\1/p')
  [ -n "$id" ] && echo '{"ack":{"id":'$id',"append":[{"stream":"pids","event":{"type":"pid","data":'$$'}}]}}'
done
`

func TestManagersAndWorkersLiveAsLongAsTheNode(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("needs sh")
	}
	m, err := managers.New("inline", managers.Config{Start: managers.Start{First: true}})
	if err != nil {
		t.Fatal(err)
	}
	managers.Handle(m, "placed", func(_ context.Context, _ struct{}) (managers.Effects, error) {
		return managers.Emit("inline", "made", nil), nil
	})
	cfg := single(t)
	cfg.Workers = []Worker{{
		Name:         "shell",
		Subscription: event.Subscription{Name: "shell", Filter: event.Filter{Exact: map[string]string{"type": "placed"}}},
		Process:      managers.Process{Command: []string{"sh", "-c", echoPID}},
	}}
	s := startWith(t, cfg, Options{Managers: []*managers.Manager{m}})
	s.get(t, "/readyz", isOK)
	harness := clienttest.Harness(clientOf(t, s))
	// The worker's subscription begins when it is made.
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	await(ctx, t, "both have handled an event", func() bool {
		if _, err := harness.Append(ctx, "orders", event.Event{ID: strconv.FormatInt(time.Now().UnixNano(), 10), Source: "/test", Type: "placed"}); err != nil {
			t.Fatal(err)
		}
		return countIn(ctx, t, harness, "inline") > 0 && countIn(ctx, t, harness, "pids") > 0
	})
	events, err := harness.Read(ctx, "pids")
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(string(events[0].Data))
	if err != nil {
		t.Fatal(err)
	}
	if goroutines(t) == "" {
		t.Error("no goroutine of the node is found while it runs")
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the worker's process %d after the end of the node: %v", pid, err)
	}
	var left string
	defer func() {
		if left != "" {
			t.Logf("left:\n%s", left)
		}
	}()
	await(ctx, t, "no goroutine is left", func() bool { left = goroutines(t); return left == "" })
}

// stubborn is a worker in sh that neither answers nor ends, nor does what it has
// started. It writes both process ids into a file.
const stubborn = `
trap '' TERM
sleep 600 &
echo $$ $! > "$PIDS.new" && mv "$PIDS.new" "$PIDS"
echo '{"hello":{"protocol":1}}'
while :; do sleep 1; done
`

// The patience of a stop is much shorter than that of a manager.
func TestAStopLeavesNothingOfAWorkerThatHangs(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("needs sh")
	}
	cfg := single(t)
	file := filepath.Join(t.TempDir(), "pids")
	cfg.Workers = []Worker{{
		Name:         "shell",
		Subscription: event.Subscription{Name: "shell", Filter: event.Filter{Exact: map[string]string{"type": "placed"}}},
		Process:      managers.Process{Command: []string{"sh", "-c", stubborn}, Env: []string{"PIDS=" + file}},
	}}
	s := startWith(t, cfg, Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var worker, child int
	await(ctx, t, "the worker runs", func() bool {
		text, err := os.ReadFile(file)
		_, serr := fmt.Sscan(string(text), &worker, &child)
		return err == nil && serr == nil
	})
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 2*time.Second) // less than the worker's graces
	defer cancel()
	for _, pid := range []int{worker, child} {
		await(ctx, t, "its processes are gone", func() bool { return !runs(pid) })
	}
}

// runs reports whether a process is there that is not waiting to be reaped.
func runs(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || !strings.Contains(string(stat), ") Z ")
}

func countIn(ctx context.Context, t *testing.T, h managerstest.Harness, stream string) int {
	t.Helper()
	events, err := h.Read(ctx, stream)
	if err != nil {
		t.Fatal(err)
	}
	return len(events)
}

// goroutines returns the stacks of those that startWith labelled for the test.
func goroutines(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&b, 1); err != nil {
		t.Fatal(err)
	}
	label := strconv.Quote(t.Name())
	var own []string
	for stack := range strings.SplitSeq(b.String(), "\n\n") {
		if strings.Contains(stack, label) {
			own = append(own, stack)
		}
	}
	return strings.Join(own, "\n\n")
}

// await polls until a condition holds.
func await(ctx context.Context, t *testing.T, what string, holds func() bool) {
	t.Helper()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for !holds() {
		select {
		case <-again.C:
		case <-ctx.Done():
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// A manager that cannot run is no reason for the node to end.
func TestAManagerThatIsWrongDoesNotEndTheNode(t *testing.T) {
	t.Parallel()
	var wrong []*managers.Manager
	empty, err := managers.New("no-handler", managers.Config{})
	if err != nil {
		t.Fatal(err)
	}
	absent, err := managers.New("absent", managers.Config{Existing: true})
	if err != nil {
		t.Fatal(err)
	}
	managers.Handle(absent, "placed", func(context.Context, struct{}) (managers.Effects, error) { return managers.Effects{}, nil })
	told := &lines{next: slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}), seen: make(chan string, 10_000)}
	s := startWith(t, single(t), Options{Managers: append(wrong, empty, absent), Logger: slog.New(told)})
	alarms := 0
	for ended := 0; ended < 4; { // each twice
		switch <-told.seen {
		case "manager ended":
			ended++
		case "alarm":
			alarms++
		}
	}
	s.get(t, "/readyz", isOK)
	if alarms != 2 {
		t.Errorf("%d alarms are logged, want one for each manager", alarms)
	}
	status, err := s.node.Status()
	if err != nil || len(status.Alarms) != 2 || !strings.Contains(status.Alarms[0], `manager absent: not_found: subscription "absent" does not exist; it is tried again every 5s`) {
		t.Errorf("alarms %q, %v", status.Alarms, err)
	}
	if err := clientOf(t, s).Subscribe(t.Context(), event.Subscription{Name: "absent"}, managers.Start{}); err != nil {
		t.Fatal(err)
	}
	for line := <-told.seen; line != "alarm is over"; line = <-told.seen {
	}
}

// lines is a log whose messages can be waited for.
type lines struct {
	next slog.Handler
	seen chan string // what is too much is not told
}

func (l *lines) Enabled(ctx context.Context, level slog.Level) bool {
	return l.next.Enabled(ctx, level)
}
func (l *lines) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &lines{l.next.WithAttrs(attrs), l.seen}
}
func (l *lines) WithGroup(name string) slog.Handler { return &lines{l.next.WithGroup(name), l.seen} }
func (l *lines) Handle(ctx context.Context, r slog.Record) error {
	select {
	case l.seen <- r.Message:
	default:
	}
	return l.next.Handle(ctx, r)
}
