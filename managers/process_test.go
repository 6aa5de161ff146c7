//go:build unix

package managers_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/managers"
	"github.com/edri-io/edri/managers/managerstest"
)

// office is a process worker at work on a cluster in memory.
type office struct {
	*testing.T
	*managerstest.Cluster
	log      lockedBuffer
	consumed atomic.Int32 // calls of Consume
	members  atomic.Int32 // of them, those that go on
	manager  *managers.Manager
	stop     func()
}

// Consume counts.
func (o *office) Consume(ctx context.Context, name string, k managers.Consumer) error {
	o.consumed.Add(1)
	o.members.Add(1)
	defer o.members.Add(-1)
	return o.Cluster.Consume(ctx, name, k)
}

type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// open runs workers of a mode on some events, o-1 and so on, until stop.
func open(t *testing.T, mode string, events int, cfg managers.Config, p managers.Process) *office {
	t.Helper()
	o := prepare(t)
	for n := range events {
		o.append(placed(fmt.Sprintf("o-%d", n+1), strconv.Itoa(n+1)))
	}
	o.start(mode, cfg, p)
	return o
}

func prepare(t *testing.T) *office { return &office{T: t, Cluster: managerstest.NewCluster()} }

func (o *office) append(e event.Event) event.Position {
	o.Helper()
	p, err := o.Append(o.Context(), "in", e)
	if err != nil {
		o.Fatal(err)
	}
	return p
}

func (o *office) start(mode string, cfg managers.Config, p managers.Process) {
	t := o.T
	t.Helper()
	cfg.Logger = slog.New(slog.NewTextHandler(&o.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	cfg.Start = managers.Start{First: true}
	cfg.Subscription.Filter = event.Filter{Exact: map[string]string{"type": "order.placed"}}
	cfg.Subscription.Backoff = []time.Duration{time.Millisecond}
	if len(p.Command) == 0 {
		p.Command = []string{os.Args[0]}
	}
	p.Env = append(p.Env, modeEnv+"="+mode)
	m, err := managers.NewProcessWorker("billing", cfg, p)
	if err != nil {
		t.Fatal(err)
	}
	o.manager = m
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx, o) }()
	o.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(func() {
		o.stop()
		o.noProcessIsLeft()
		if t.Failed() {
			t.Logf("the log:\n%s", &o.log)
		}
	})
}

// until waits until a condition holds.
func (o *office) until(what string, holds func() bool) {
	o.Helper()
	again, late := time.NewTicker(5*time.Millisecond), time.NewTimer(30*time.Second)
	defer again.Stop()
	defer late.Stop()
	for !holds() {
		select {
		case <-again.C:
		case <-late.C:
			o.Fatalf("waited in vain: %s", what)
		}
	}
}

func (o *office) untilLogged(text string) {
	o.Helper()
	o.until(text+" is logged", func() bool { return strings.Contains(o.log.String(), text) })
}

func (o *office) out() []event.Recorded {
	events, err := o.Read(o.Context(), "out")
	if err != nil {
		o.Fatal(err)
	}
	return events
}

// reasons waits for a dead letter and returns why its attempts failed.
func (o *office) reasons() []string {
	o.Helper()
	var dead []managerstest.Dead
	o.until("there is a dead letter", func() bool {
		var err error
		dead, err = o.Dead(context.Background(), "billing")
		return err == nil && len(dead) > 0
	})
	return dead[0].Reasons
}

var pidLine = regexp.MustCompile(`line="pid (\d+)"`)

func (o *office) noProcessIsLeft() {
	o.Helper()
	found := pidLine.FindAllStringSubmatch(o.log.String(), -1)
	for _, match := range found {
		pid, _ := strconv.Atoi(match[1]) // digits
		o.until("process "+match[1]+" is gone", func() bool { return !alive(pid) })
	}
}

// alive reports whether a process runs; one that nobody has reaped does not.
func alive(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || !strings.Contains(string(stat), ") Z ")
}

func TestAWorkerProcessThatMisbehavesIsEnded(t *testing.T) {
	t.Parallel()
	for mode, want := range map[string]string{
		"dies":            "ended with exit status 3; its last words: out of paper",
		"leaves a fork":   "ended with exit status 3",
		"greets twice":    "a second hello",
		"prints":          `not in the protocol: invalid character 'h' looking for beginning of value: "handling o-1"`,
		"floods":          "a line of more than 8388608 bytes",
		"answers another": "it has no delivery 2",
		"closes":          "closed its standard output",
		"stops beating":   "silent for more than 300ms",
		"writes no event": "effect 0: invalid: type: is missing",
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			cfg := managers.Config{Subscription: event.Subscription{MaxDeliver: 2}, Timeout: time.Minute}
			o := open(t, mode, 1, cfg, managers.Process{})
			reasons := o.reasons()
			if len(reasons) != 2 || slices.ContainsFunc(reasons, func(r string) bool { return !strings.Contains(r, want) }) {
				t.Errorf("reasons %q, want twice %q", reasons, want)
			}
		})
	}
}

func TestAWorkerProcessThatDoesNotAnswerIsKilledWithItsGroup(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"silent", "stubborn"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			cfg := managers.Config{Subscription: event.Subscription{MaxDeliver: 1}, Timeout: 300 * time.Millisecond}
			o := open(t, mode, 1, cfg, managers.Process{StopGrace: 100 * time.Millisecond})
			if got := o.reasons()[0]; !strings.Contains(got, "did not answer") || !strings.Contains(got, "the time for the delivery is over") {
				t.Errorf("reason %q", got)
			}
			o.untilLogged("position 1 was not answered")
			if want := "signal: killed"; mode == "stubborn" && !strings.Contains(o.log.String(), want) {
				t.Errorf("%q is not logged", want)
			}
			o.noProcessIsLeftOf(1, mode)
		})
	}
}

// noProcessIsLeftOf waits until the first processes of the log are gone, while the
// worker goes on with others.
func (o *office) noProcessIsLeftOf(count int, mode string) {
	o.Helper()
	if mode == "stubborn" {
		count++ // the one that it forked
	}
	o.until("the processes are known", func() bool { return len(pidLine.FindAllString(o.log.String(), -1)) >= count })
	for _, match := range pidLine.FindAllStringSubmatch(o.log.String(), count) {
		pid, _ := strconv.Atoi(match[1])
		o.until("process "+match[1]+" is gone", func() bool { return !alive(pid) })
	}
}

func TestKillEndsRunWithAllThatItsProcessesStarted(t *testing.T) {
	t.Parallel()
	o := open(t, "stubborn", 1, managers.Config{Grace: time.Millisecond}, managers.Process{StopGrace: 10 * time.Minute})
	o.untilLogged("worker process is ready")
	o.until("the processes are known", func() bool { return len(pidLine.FindAllString(o.log.String(), -1)) == 2 })
	stopped := make(chan struct{})
	go func() { o.stop(); close(stopped) }()
	o.until("the manager is no member", func() bool { return o.members.Load() == 0 })
	select {
	case <-stopped:
		t.Error("Run does not wait for its processes")
	case <-time.After(50 * time.Millisecond): // it has minutes
	}
	o.manager.Kill()
	<-stopped
	o.noProcessIsLeft()
	// Another Run starts nothing.
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := o.manager.Run(ctx, o); err != nil {
		t.Error(err)
	}
	if n := strings.Count(o.log.String(), "worker process started"); n != 1 {
		t.Errorf("%d processes were started, want 1", n)
	}
}

func TestAnEventThatKillsItsProcessAloneMakesNoOtherWait(t *testing.T) {
	t.Parallel()
	o := open(t, "dies", 1, managers.Config{Subscription: event.Subscription{MaxDeliver: 6}}, managers.Process{})
	o.reasons()
	text := o.log.String()
	if !strings.Contains(text, "restart_in=400ms") || strings.Contains(text, "restart_in=800ms") {
		t.Error("the wait must grow for the first two attempts, and not for those that are alone")
	}
}

var daemonLine = regexp.MustCompile(`line="daemon (\d+)"`)

// What has left the group of a process cannot be ended with it, but must not keep the
// events of the process either.
func TestAProcessThatLeftTheGroupHoldsNothingUp(t *testing.T) {
	t.Parallel()
	o := open(t, "leaves a daemon", 1, managers.Config{Subscription: event.Subscription{MaxDeliver: 1}}, managers.Process{})
	t.Cleanup(func() {
		for _, match := range daemonLine.FindAllStringSubmatch(o.log.String(), -1) {
			pid, _ := strconv.Atoi(match[1]) // digits
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	if got := o.reasons()[0]; !strings.Contains(got, "ended with exit status 3") {
		t.Errorf("reason %q", got)
	}
	o.stop()
}

func TestAProcessIsStartedAgainSoonerIfItWasOfUse(t *testing.T) {
	t.Parallel()
	useful := open(t, "answers and dies", 4, managers.Config{}, managers.Process{})
	useful.until("all effects are there", func() bool { return len(useful.out()) == 4 })
	if strings.Contains(useful.log.String(), "restart_in=200ms") {
		t.Error("the wait grew although each process answered")
	}
	useless := open(t, "dies", 1, managers.Config{}, managers.Process{})
	useless.untilLogged("restart_in=400ms")
}

func TestNoEventIsTriedWhileNoWorkerProcessIsReady(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		mode, command, want string
	}{
		"no hello":       {"no hello", os.Args[0], "it said no hello within 200ms"},
		"old hello":      {"old hello", os.Args[0], "protocol 2 is not supported, want 1"},
		"no hello first": {"heartbeat first", os.Args[0], "hello must come first"},
		"no command":     {"", "edri-no-such-command", "executable file not found"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := open(t, test.mode, 1, managers.Config{}, managers.Process{
				Command: []string{test.command}, HelloTimeout: 200 * time.Millisecond,
			})
			o.until("it was tried twice", func() bool { return strings.Count(o.log.String(), test.want) >= 2 })
			o.stop()
			if n := o.consumed.Load(); n != 0 {
				t.Errorf("consumed %d times", n)
			}
		})
	}
}

func TestTheMemberLeavesWhenItsLastProcessIsGone(t *testing.T) {
	t.Parallel()
	o := open(t, "dies for good", 2, managers.Config{}, managers.Process{Dir: t.TempDir()})
	o.untilLogged("worker process ended with exit status 3")
	o.until("the manager is no member", func() bool { return o.members.Load() == 0 })
	if n := o.consumed.Load(); n != 1 {
		t.Errorf("consumed %d times, want 1: the second process says no hello", n)
	}
}

// Heartbeats that nobody reads so fast fill the pipe, and their writer waits.
func TestAWorkerProcessThatFloodsHeartbeatsIsSlowedDown(t *testing.T) {
	t.Parallel()
	o := open(t, "beats without end", 1, managers.Config{}, managers.Process{})
	o.until("its answer is read behind them", func() bool { return len(o.out()) == 1 })
	// Those of a second, and what the pipe and the reader's buffer have room for.
	if n, err := strconv.Atoi(string(o.out()[0].Data)); err != nil || n > 12_000 {
		t.Errorf("%d heartbeats were written in a second, %v", n, err)
	}
	o.stop() // which does not wait for what is left of them
}

func TestAWorkerProcessAnswers(t *testing.T) {
	t.Parallel()
	// Those that end behind their answer may take an attempt of the next event along.
	for mode, count := range map[string]int{"echoes": 3, "beats": 2, "answers and dies": 1, "answers twice": 1} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			cfg := managers.Config{Subscription: event.Subscription{MaxDeliver: 1}}
			o := open(t, mode, count, cfg, managers.Process{})
			o.until("all effects are there", func() bool { return len(o.out()) == count })
			o.stop()
			if dead, err := o.Dead(t.Context(), "billing"); err != nil || len(dead) > 0 {
				t.Errorf("dead letters %v, %v", dead, err)
			}
			for n, e := range o.out() {
				if string(e.Data) != strconv.Itoa(n+1) || e.Extensions[event.AttrCausation] != event.String(fmt.Sprintf("o-%d", n+1)) {
					t.Errorf("effect %d: %+v", n, e)
				}
			}
		})
	}
}

func TestAWorkerProcessEndsDeliveriesInEveryWay(t *testing.T) {
	t.Parallel()
	o := open(t, "ends otherwise", 4, managers.Config{}, managers.Process{})
	o.until("the first and the fourth have effects", func() bool { return len(o.out()) == 2 })
	if got := o.reasons(); len(got) != 1 || got[0] != "no such article" {
		t.Errorf("reasons %q", got)
	}
	response, err := o.Call(t.Context(), placed("o-5", "5"))
	if err != nil || string(response.Data) != "1" {
		t.Errorf("response %s, %v", response.Data, err)
	}
	o.append(placed("o-6", "6")) // to which it responds though that is no request
	var dead []managerstest.Dead
	o.until("it is given up", func() bool {
		dead, err = o.Dead(t.Context(), "billing")
		return err != nil || len(dead) == 2
	})
	if err != nil || len(dead[1].Reasons) != 1 || !strings.Contains(dead[1].Reasons[0], "no request") {
		t.Errorf("dead letters %+v, %v", dead, err)
	}
	if got := len(o.out()); got != 3 {
		t.Errorf("%d effects, want 3", got)
	}
}

func TestAWorkerProcessHasSeveralDeliveries(t *testing.T) {
	t.Parallel()
	for most, want := range map[int]int{0: 3, 2: 2, 9: 3} {
		t.Run(strconv.Itoa(most), func(t *testing.T) {
			t.Parallel()
			// The worker answers once it has as many as the host said.
			o := open(t, "concurrent", 2*want, managers.Config{}, managers.Process{Concurrency: most})
			o.until("all effects are there", func() bool { return len(o.out()) == 2*want })
			if got := string(o.out()[0].Data); got != strconv.Itoa(want) {
				t.Errorf("%s at a time, want %d", got, want)
			}
		})
	}
}

// Whatever a poison takes along at its first attempts, from its third on it dies alone.
func TestAnEventThatKillsItsProcessSparesThoseBesideIt(t *testing.T) {
	t.Parallel()
	for _, instances := range []int{1, 3} {
		t.Run(fmt.Sprint(instances, " instances"), func(t *testing.T) {
			t.Parallel()
			o := prepare(t)
			const healthy = 200
			var poison event.Position
			for n := range healthy {
				if n == healthy/2 {
					poison = o.append(placed("poison", "0"))
				}
				o.append(placed(fmt.Sprintf("o-%d", n+1), strconv.Itoa(n+1)))
			}
			o.start("poisoned", managers.Config{Subscription: event.Subscription{MaxDeliver: 6}}, managers.Process{Instances: instances})
			reasons := o.reasons()
			o.until("all effects are there", func() bool { return len(o.out()) >= healthy })
			o.stop()
			dead, err := o.Dead(t.Context(), "billing")
			if err != nil || len(dead) != 1 || dead[0].Position != poison {
				t.Errorf("dead letters %+v, %v, want the one at %d", dead, err, poison)
			}
			if len(reasons) != 6 {
				t.Errorf("reasons %q, want 6", reasons)
			}
			for n, r := range reasons {
				if !strings.Contains(r, "worker process ended with exit status 3") || n >= 2 && strings.Contains(r, "deliveries") {
					t.Errorf("attempt %d: reason %q", n+1, r)
				}
			}
			if !strings.Contains(reasons[0], " deliveries") {
				t.Errorf("the first reason %q does not tell that it was not alone", reasons[0])
			}
			var done []int
			for _, e := range o.out() {
				n, _ := strconv.Atoi(string(e.Data)) // digits
				done = append(done, n)
			}
			slices.Sort(done)
			if got := slices.Compact(slices.Clone(done)); len(got) != healthy || len(done) != healthy {
				t.Errorf("%d effects, of %d events, want %d of each", len(done), len(got), healthy)
			}
		})
	}
}

func TestStandardErrorOfAWorkerProcessIsLogged(t *testing.T) {
	t.Parallel()
	o := open(t, "talks", 1, managers.Config{}, managers.Process{})
	o.untilLogged(`msg="worker says" manager=billing worker=clerk instance=0 line="handling billing/1/1"`)
	text := o.log.String()
	if !strings.Contains(text, strings.Repeat("é", 4096)) || strings.Contains(text, strings.Repeat("é", 4097)) {
		t.Error("the long line is not cut at 8 KiB")
	}
	o.stop()
	if !strings.Contains(o.log.String(), `line=bye`) {
		t.Error("the worker was not asked to stop")
	}
}

func TestAWorkerProcessCannotFloodTheLog(t *testing.T) {
	t.Parallel()
	o := open(t, "chatters", 1, managers.Config{}, managers.Process{})
	o.until("the effect is there", func() bool { return len(o.out()) == 1 })
	o.stop()
	// All of it within two seconds, or the machine is very slow.
	if lines := strings.Count(o.log.String(), "line=la"); lines == 0 || lines > 4000 ||
		!strings.Contains(o.log.String(), "worker says more than is logged") {
		t.Errorf("%d of 5000 lines are logged", lines)
	}
}

func TestNothingIsLeftWhenRunReturns(t *testing.T) { // not parallel: it looks at all goroutines
	for _, mode := range []string{"echoes", "silent", "stubborn"} {
		t.Run(mode, func(t *testing.T) {
			cfg := managers.Config{Grace: 10 * time.Millisecond}
			o := open(t, mode, 3, cfg, managers.Process{Instances: 2, StopGrace: 50 * time.Millisecond})
			o.until("both are ready", func() bool { return strings.Count(o.log.String(), "worker process is ready") >= 2 })
			o.stop()
			o.noProcessIsLeft()
			if left := goroutinesOf("edri/managers.("); left != "" {
				t.Errorf("goroutines are left:\n%s", left)
			}
		})
	}
}

// goroutinesOf returns the stacks with a function of the package.
func goroutinesOf(function string) string {
	buf := make([]byte, 1<<20)
	buf = buf[:runtime.Stack(buf, true)]
	var found []string
	for _, stack := range strings.Split(string(buf), "\n\n") {
		if strings.Contains(stack, function) {
			found = append(found, stack)
		}
	}
	return strings.Join(found, "\n\n")
}
