package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/managers"
)

// consuming is a Consume that runs in a test.
type consuming struct {
	stop  context.CancelFunc
	ended chan error
}

func consume(t *testing.T, c *Client, k managers.Consumer) *consuming {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := &consuming{stop: cancel, ended: make(chan error, 1)}
	go func() { r.ended <- c.Consume(ctx, "sub", k) }()
	t.Cleanup(func() {
		cancel()
		<-r.ended
	})
	return r
}

// end stops it and returns what Consume returned.
func (r *consuming) end(t *testing.T) error {
	t.Helper()
	r.stop()
	return r.wait(t)
}

func (r *consuming) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-r.ended:
		r.ended <- err // for the cleanup
		return err
	case <-time.After(20 * time.Second):
		t.Fatal("Consume does not return")
		return nil
	}
}

// eventually waits until the cluster is as it should be.
func (c *fakeCluster) eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for range 5000 {
		ok := false
		c.with(func() { ok = holds() })
		if ok {
			return
		}
		<-tick.C
	}
	t.Fatalf("never: %s", what)
}

func receive[T any](t *testing.T, what string, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(20 * time.Second):
		t.Fatalf("never: %s", what)
		panic("unreachable")
	}
}

func ack(context.Context, managers.Delivery) managers.Settlement { return managers.Settlement{} }

func TestEachEventIsHandledAndAcknowledgedOnce(t *testing.T) {
	t.Parallel()
	cluster := newFakeCluster(t, 1)
	sub := cluster.subscribe("sub", 500)
	var mu sync.Mutex
	handled := map[event.Position]int{}
	busy, most := 0, 0
	r := consume(t, cluster.client(t, Config{}), managers.Consumer{Member: "m", Concurrency: 7, Handle: func(_ context.Context, d managers.Delivery) managers.Settlement {
		mu.Lock()
		busy++
		most = max(most, busy)
		handled[d.Position]++
		mu.Unlock()
		if d.Subscription != "sub" || d.Generation != 7 || d.Attempt != 1 || string(d.Data) != "data" || time.Until(d.Lease) < 20*time.Second {
			t.Errorf("got delivery %+v", d)
		}
		mu.Lock()
		busy--
		mu.Unlock()
		return managers.Settlement{}
	}})
	cluster.eventually(t, "all is acknowledged", func() bool { return len(sub.done) == 500 })
	if err := r.end(t); err != nil {
		t.Errorf("Consume returned %v", err)
	}
	cluster.with(func() {
		for p, n := range sub.done {
			if n != 1 || handled[event.Position(p)] != 1 {
				t.Errorf("position %d was handled %d times and acknowledged %d times", p, handled[event.Position(p)], n)
			}
		}
		if most > 7 || cluster.router.peak > 7 {
			t.Errorf("%d handles at a time and %d deliveries out, want 7 at most", most, cluster.router.peak)
		}
		if len(sub.members) != 0 {
			t.Error("the member has not left")
		}
	})
}

// Whatever becomes of streams and settlements: each event has its effect once.
func TestFaultsNeitherLoseNorDoubleEffects(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			const n = 300
			cluster := newFakeCluster(t, 3)
			cluster.leader = int(seed%4) - 1
			sub := cluster.subscribe("sub", n)
			random, faults := rand.New(rand.NewPCG(seed, 1)), 0
			cluster.router.judgeSettlement = func(*fakeNode, *edriv1.Settlement) verdict {
				if faults == 60 || random.IntN(8) != 0 {
					return execute
				}
				faults++
				for {
					if v := verdict(random.IntN(int(verdicts))); v != swallow && v != sayInvalid {
						return v
					}
				}
			}
			told := func(d managers.Delivery, err error) { t.Errorf("position %d: told of %v", d.Position, err) }
			r := consume(t, cluster.client(t, Config{}), managers.Consumer{Concurrency: 20, Refused: told, Handle: func(_ context.Context, d managers.Delivery) managers.Settlement {
				return managers.Settlement{Effects: managers.Effects{Appends: []managers.Append{{
					Stream: "effects", Expected: event.ExpectAny, Event: testEvent("effect-" + d.Position.String()),
				}}}}
			}})
			cluster.eventually(t, "all is acknowledged", func() bool { return len(sub.pending) == 0 })
			if err := r.end(t); err != nil {
				t.Errorf("Consume returned %v", err)
			}
			count := cluster.count()
			for p := 1; p <= n; p++ {
				if got := count["effect-"+strconv.Itoa(p)]; got != 1 {
					t.Errorf("position %d has %d effects", p, got)
				}
			}
			if faults < 20 {
				t.Errorf("only %d faults", faults)
			}
		})
	}
}

func TestADeliveryIsKeptOverABrokenStream(t *testing.T) {
	t.Parallel()
	cluster := newFakeCluster(t, 2)
	sub := cluster.subscribe("sub", 2)
	began, finish := make(chan struct{}, 8), make(chan struct{})
	c := cluster.client(t, Config{})
	r := consume(t, c, managers.Consumer{Concurrency: 2, Handle: func(ctx context.Context, d managers.Delivery) managers.Settlement {
		began <- struct{}{}
		select {
		case <-finish:
		case <-ctx.Done():
			t.Errorf("position %d: %v", d.Position, context.Cause(ctx))
		}
		return managers.Settlement{}
	}})
	receive(t, "both are handled", began)
	receive(t, "both are handled", began)
	for _, n := range cluster.nodes {
		n.stop()
		n.restart()
	}
	cluster.eventually(t, "the member is back", func() bool { return len(sub.members) == 1 && cluster.router.streams >= 2 })
	close(finish)
	cluster.eventually(t, "all is acknowledged", func() bool { return len(sub.done) == 2 })
	if err := r.end(t); err != nil || len(began) != 0 {
		t.Errorf("Consume returned %v; handled again %d times", err, len(began))
	}
}

func TestALostLeaseEndsItsHandle(t *testing.T) {
	t.Parallel()
	cluster := newFakeCluster(t, 1)
	sub := cluster.subscribe("sub", 1)
	sub.lease = 100 * time.Millisecond
	refused := make(chan error, 8)
	causes := make(chan error, 8)
	var handles sync.Map
	r := consume(t, cluster.client(t, Config{}), managers.Consumer{
		Concurrency: 1,
		Handle: func(ctx context.Context, d managers.Delivery) managers.Settlement {
			handles.Store(d.Attempt, true)
			if d.Attempt == 1 {
				cluster.with(func() {
					sub.pending[1].token, sub.pending[1].held = "another's", true
				})
				<-ctx.Done() // the next extension is refused
				causes <- context.Cause(ctx)
				cluster.with(func() { sub.pending[1].held = false })
				cluster.expire(sub, 1)
			}
			return managers.Settlement{}
		},
		Refused: func(_ managers.Delivery, err error) { refused <- err },
	})
	wantCode(t, receive(t, "the first handle ends", causes), event.CodeStaleToken)
	wantCode(t, receive(t, "the refusal is told", refused), event.CodeStaleToken)
	cluster.eventually(t, "the second attempt is acknowledged", func() bool { return sub.done[1] == 1 })
	if err := r.end(t); err != nil {
		t.Errorf("Consume returned %v", err)
	}
	if _, ok := handles.Load(2); !ok {
		t.Error("there was no second attempt")
	}
}

// The cluster has given an attempt up that still runs here.
func TestALaterAttemptEndsTheEarlier(t *testing.T) {
	t.Parallel()
	cluster := newFakeCluster(t, 1)
	sub := cluster.subscribe("sub", 1)
	began, ended := make(chan int, 8), make(chan error, 8)
	refused := make(chan error, 8)
	r := consume(t, cluster.client(t, Config{}), managers.Consumer{
		Concurrency: 2,
		Handle: func(ctx context.Context, d managers.Delivery) managers.Settlement {
			began <- d.Attempt
			if d.Attempt == 1 {
				<-ctx.Done()
				ended <- context.Cause(ctx)
			}
			return managers.Settlement{}
		},
		Refused: func(_ managers.Delivery, err error) { refused <- err },
	})
	receive(t, "the first attempt begins", began)
	cluster.expire(sub, 1)
	wantCode(t, receive(t, "the first attempt ends", ended), event.CodeStaleToken)
	wantCode(t, receive(t, "its settlement is refused", refused), event.CodeStaleToken)
	cluster.eventually(t, "the second attempt is acknowledged", func() bool { return sub.done[1] == 1 })
	if got := receive(t, "the second attempt begins", began); got != 2 {
		t.Errorf("attempt %d, want 2", got)
	}
	if err := r.end(t); err != nil {
		t.Errorf("Consume returned %v", err)
	}
}

func TestLeasesLastUntilTheTimeout(t *testing.T) {
	t.Parallel()
	cluster := newFakeCluster(t, 1)
	sub := cluster.subscribe("sub", 1)
	sub.lease = 40 * time.Millisecond
	r := consume(t, cluster.client(t, Config{}), managers.Consumer{
		Timeout: 300 * time.Millisecond,
		Handle: func(ctx context.Context, d managers.Delivery) managers.Settlement {
			<-ctx.Done()
			if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
				t.Errorf("the handle ended by %v", ctx.Err())
			}
			return managers.Settlement{Verb: managers.Park, Reason: "too slow"}
		},
	})
	cluster.eventually(t, "it is parked", func() bool { return sub.dead[1] == "too slow" })
	_ = r.end(t)
	cluster.with(func() {
		if p := cluster.router.extends; p < 5 || p > 30 {
			t.Errorf("the lease of 40ms was extended %d times in 300ms", p)
		}
	})
}

func TestRefusedEffectsAreToldAndTheEventComesAgain(t *testing.T) {
	t.Parallel()
	for what, bad := range map[string]managers.Append{
		"by the cluster": {Stream: "effects", Expected: 9, Event: testEvent("1")},
		"before":         {Stream: "effects", Event: event.Event{ID: "1"}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			cluster := newFakeCluster(t, 1)
			sub := cluster.subscribe("sub", 1)
			refused := make(chan error, 8)
			r := consume(t, cluster.client(t, Config{}), managers.Consumer{
				Handle: func(_ context.Context, d managers.Delivery) managers.Settlement {
					if d.Attempt > 1 {
						return managers.Settlement{}
					}
					return managers.Settlement{Effects: managers.Effects{Appends: []managers.Append{bad}}}
				},
				Refused: func(d managers.Delivery, err error) {
					if d.Position != 1 {
						t.Errorf("told of position %d", d.Position)
					}
					refused <- err
				},
			})
			err := receive(t, "the refusal is told", refused)
			if code := event.CodeOf(err); code != event.CodeRevisionConflict && code != event.CodeInvalid {
				t.Errorf("told of %v", err)
			}
			cluster.eventually(t, "the second attempt is acknowledged", func() bool { return sub.done[1] == 1 })
			_ = r.end(t)
			cluster.with(func() {
				if len(cluster.router.reasons) != 1 || cluster.router.reasons[0] != err.Error() {
					t.Errorf("reasons %q, want %q", cluster.router.reasons, err)
				}
			})
			if len(refused) != 0 {
				t.Errorf("told again: %v", <-refused)
			}
		})
	}
}

func TestTheEndSettlesWhatIsHandled(t *testing.T) {
	t.Parallel()
	cluster := newFakeCluster(t, 1)
	sub := cluster.subscribe("sub", 50)
	began, finish := make(chan struct{}, 100), make(chan struct{})
	r := consume(t, cluster.client(t, Config{}), managers.Consumer{Concurrency: 2, Handle: func(ctx context.Context, d managers.Delivery) managers.Settlement {
		began <- struct{}{}
		<-finish
		if ctx.Err() != nil {
			t.Errorf("position %d ended by %v", d.Position, context.Cause(ctx))
		}
		return managers.Settlement{}
	}})
	receive(t, "a handle begins", began)
	receive(t, "another begins", began)
	r.stop()
	close(finish)
	if err := r.wait(t); err != nil {
		t.Errorf("Consume returned %v", err)
	}
	cluster.with(func() {
		if len(sub.done) != 2 || len(began) != 0 || cluster.router.tokens != 2 {
			t.Errorf("%d done, %d begun after the end, %d delivered, want 2, 0 and 2", len(sub.done), len(began), cluster.router.tokens)
		}
		for position, p := range sub.pending {
			if p.attempt != 1 || p.token != "" {
				t.Errorf("position %d is at attempt %d with lease %q", position, p.attempt, p.token)
			}
		}
	})
}

// A credit is out when the end comes, and is used.
func TestWhatComesAtTheEndIsGivenBack(t *testing.T) {
	t.Parallel()
	cluster := newFakeCluster(t, 1)
	sub := cluster.subscribe("sub", 2)
	sub.pending[2].held = true
	began, finish := make(chan struct{}, 8), make(chan struct{})
	r := consume(t, cluster.client(t, Config{}), managers.Consumer{Concurrency: 2, Handle: func(context.Context, managers.Delivery) managers.Settlement {
		began <- struct{}{}
		<-finish
		return managers.Settlement{}
	}})
	receive(t, "a handle begins", began)
	r.stop()
	cluster.with(func() {
		sub.pending[2].held = false
		sub.signalAll()
	})
	cluster.eventually(t, "the other comes and goes back", func() bool { return cluster.router.givenBack == 1 })
	close(finish)
	if err := r.wait(t); err != nil {
		t.Errorf("Consume returned %v", err)
	}
	cluster.with(func() {
		if p := sub.pending[2]; p == nil || p.attempt != 1 || len(began) != 0 || sub.done[1] != 1 {
			t.Errorf("got %+v, %d begun after the end", p, len(began))
		}
	})
}

// A server that sends more than it has credits for makes no more handles run.
func TestWhatIsTooMuchWaitsForItsTurn(t *testing.T) {
	t.Parallel()
	c, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	began, finish := make(chan event.Position, 8), make(chan struct{})
	m := newMember(c, t.Context(), t.Context(), "sub", managers.Consumer{Concurrency: 1, Handle: func(_ context.Context, d managers.Delivery) managers.Settlement {
		began <- d.Position
		<-finish
		return managers.Settlement{}
	}})
	m.mu.Lock()
	for p := range event.Position(4) {
		d := &delivery{token: []byte("t")}
		d.Position = p + 1
		m.beginLocked(d, time.Now())
	}
	m.mu.Unlock()
	receive(t, "the first begins", began)
	if m.busy != 1 || len(m.waiting) != 3 {
		t.Errorf("%d run and %d wait, want 1 and 3", m.busy, len(m.waiting))
	}
	finish <- struct{}{}
	if got := receive(t, "the next begins", began); got != 2 {
		t.Errorf("position %d is next, want 2", got)
	}
	m.end() // what waits goes back
	close(finish)
	m.handles.Wait()
	if len(began) != 0 || len(m.giveBack) != 2 || len(m.unanswered) != 2 || m.busy != 0 {
		t.Errorf("%d more begun, %d given back, %d settled, %d run", len(began), len(m.giveBack), len(m.unanswered), m.busy)
	}
}

func TestAnOverdueHandleKeepsItsLeaseNoLonger(t *testing.T) {
	t.Parallel()
	c, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	m := newMember(c, t.Context(), t.Context(), "sub", managers.Consumer{Concurrency: 1})
	now := time.Now()
	d := &delivery{lease: time.Second, renewed: now, overdue: now.Add(10 * time.Second)}
	m.held[1] = d
	for _, look := range []struct {
		after time.Duration
		want  int
	}{{400 * time.Millisecond, 0}, {600 * time.Millisecond, 1}, {9 * time.Second, 2}, {11 * time.Second, 2}} {
		if again := m.renew(now.Add(look.after)); again != 250*time.Millisecond || len(m.extend) != look.want {
			t.Errorf("after %v: %d extensions, want %d; looks again after %v", look.after, len(m.extend), look.want, again)
		}
	}
	d.id = 1 // settled, and waits for its result
	if m.renew(now.Add(12 * time.Second)); len(m.extend) != 3 {
		t.Error("a settlement without a result keeps no lease")
	}
}

func TestGraceEndsHandles(t *testing.T) {
	t.Parallel()
	cluster := newFakeCluster(t, 1)
	sub := cluster.subscribe("sub", 1)
	began := make(chan struct{}, 1)
	r := consume(t, cluster.client(t, Config{}), managers.Consumer{Grace: 20 * time.Millisecond, Handle: func(ctx context.Context, _ managers.Delivery) managers.Settlement {
		began <- struct{}{}
		<-ctx.Done()
		return managers.Settlement{Verb: managers.Nak, Reason: "no time left", Delay: time.Hour}
	}})
	receive(t, "a handle begins", began)
	if err := r.end(t); err != nil {
		t.Errorf("Consume returned %v", err)
	}
	cluster.with(func() {
		if sub.pending[1].attempt != 1 || cluster.router.givenBack != 1 {
			t.Errorf("got %+v, want it given back uncounted", sub.pending[1])
		}
	})
}

func TestConsumeOfNothingEnds(t *testing.T) {
	t.Parallel()
	c := newFakeCluster(t, 1).client(t, Config{})
	wantCode(t, consume(t, c, managers.Consumer{Handle: ack}).wait(t), event.CodeNotFound)
	wantCode(t, consume(t, c, managers.Consumer{}).wait(t), event.CodeInvalid)
	wantCode(t, c.Consume(t.Context(), "", managers.Consumer{Handle: ack}), event.CodeInvalid)
	gone := newFakeCluster(t, 1)
	gone.nodes[0].stop()
	err := consume(t, gone.client(t, Config{GiveUpAfter: 50 * time.Millisecond}), managers.Consumer{Handle: ack}).wait(t)
	wantCode(t, err, event.CodeUnavailable)
}

func TestASubscriptionThatIsDeletedEndsItsMembers(t *testing.T) {
	t.Parallel()
	cluster := newFakeCluster(t, 1)
	cluster.subscribe("sub", 1)
	began, ended := make(chan struct{}, 1), make(chan error, 1)
	r := consume(t, cluster.client(t, Config{}), managers.Consumer{Handle: func(ctx context.Context, _ managers.Delivery) managers.Settlement {
		began <- struct{}{}
		<-ctx.Done()
		ended <- context.Cause(ctx)
		return managers.Settlement{}
	}})
	receive(t, "a handle begins", began)
	cluster.with(func() { delete(cluster.router.subscriptions, "sub") })
	cluster.nodes[0].stop()
	cluster.nodes[0].restart()
	wantCode(t, r.wait(t), event.CodeNotFound)
	wantCode(t, receive(t, "its handle ends", ended), event.CodeNotFound)
}

func TestCloseEndsConsume(t *testing.T) {
	t.Parallel()
	cluster := newFakeCluster(t, 1)
	cluster.subscribe("sub", 1)
	c := cluster.client(t, Config{})
	began := make(chan struct{}, 1)
	r := consume(t, c, managers.Consumer{Handle: func(ctx context.Context, _ managers.Delivery) managers.Settlement {
		began <- struct{}{}
		<-ctx.Done()
		return managers.Settlement{}
	}})
	receive(t, "a handle begins", began)
	_ = c.Close()
	if err := r.wait(t); !errors.Is(err, ErrClosed) {
		t.Errorf("Consume returned %v, want %v", err, ErrClosed)
	}
}

// A settlement whose result never comes is sent again on another stream.
func TestSettlementsWithoutAResultAreSentAgain(t *testing.T) {
	t.Parallel()
	cluster := newFakeCluster(t, 1)
	cluster.leader = -1
	sub := cluster.subscribe("sub", 1)
	swallowed := false
	cluster.router.judgeSettlement = func(*fakeNode, *edriv1.Settlement) verdict {
		if !swallowed {
			swallowed = true
			return swallow
		}
		return execute
	}
	c := cluster.client(t, Config{})
	c.silenceAfter = 20 * time.Millisecond
	r := consume(t, c, managers.Consumer{Handle: ack, Refused: func(_ managers.Delivery, err error) {
		t.Errorf("told of %v, though the settlement was its own", err)
	}})
	cluster.eventually(t, "another stream", func() bool { return cluster.router.streams == 2 && len(sub.members) == 1 })
	if err := r.end(t); err != nil {
		t.Errorf("Consume returned %v", err)
	}
	cluster.with(func() {
		if sub.done[1] != 1 {
			t.Errorf("acknowledged %d times", sub.done[1])
		}
	})
}

func TestReasonsAreCutToWhatTheClusterTakes(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain":          "plain",
		"bad \xff bytes": "bad � bytes",
	} {
		if got := cutReason(in); got != want {
			t.Errorf("%q: got %q", in, got)
		}
	}
	long := ""
	for len(long) < maxReason+10 {
		long += "äöü"
	}
	for i := range 4 {
		got := cutReason("xxxx"[:i] + long)
		if len(got) > maxReason || len(got) < maxReason-4 || got[len(got)-2] != "äöü"[0] {
			t.Errorf("cut to %d bytes, ending in %q", len(got), got[len(got)-4:])
		}
	}
}
