package router

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// post is a node whose operations a goroutine of its own applies, as they come: Lead and
// its members are truly beside each other, for the race detector. The hall belongs to
// that goroutine.
type post struct {
	*hall
	router *Router

	mu      sync.Mutex
	work    []func()
	wake    chan struct{}
	applied chan struct{} // closed, and replaced, when something was
}

var _ Node = (*post)(nil)

func newPost(t *testing.T) *post {
	t.Helper()
	p := &post{hall: newHall(t), wake: make(chan struct{}, 1), applied: make(chan struct{})}
	p.router = &Router{Machine: p.witness.Machine, logger: slog.New(slog.DiscardHandler)}
	p.witness.also = p.router
	return p
}

func (p *post) Now() int64                       { return time.Now().UnixNano() }
func (p *post) View() *consensus.View            { return p.core.View() }
func (p *post) Alarm(_, _ string)                {}
func (p *post) ClearAlarms(_ string, _ []string) {}

func (p *post) Applied() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.applied
}

func (p *post) Enqueue(op uint32, body []byte, done func(*event.Error)) {
	commit := internal(op, body)
	p.do(func() { done(errorOf(p.raw(commit))) })
}

func errorOf(r *edriv1.CommitResult) *event.Error {
	if r.Error == nil {
		return nil
	}
	return event.Errorf(event.Code(r.Error.Code), "%s", r.Error.Message)
}

// do has the goroutine that applies do something.
func (p *post) do(what func()) {
	p.mu.Lock()
	p.work = append(p.work, what)
	p.mu.Unlock()
	signal(p.wake)
}

// await is do, and waits.
func (p *post) await(what func()) {
	done := make(chan struct{})
	p.do(func() { defer close(done); what() })
	<-done
}

// apply is the goroutine that applies. Timers fire as time goes by.
func (p *post) apply(stop <-chan struct{}) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		p.mu.Lock()
		work := p.work
		p.work = nil
		p.mu.Unlock()
		p.now = p.Now()
		for _, do := range work {
			do()
		}
		p.mu.Lock()
		close(p.applied)
		p.applied = make(chan struct{})
		p.mu.Unlock()
		select {
		case <-p.wake:
		case <-tick.C:
			p.now = p.Now()
			p.pass(0)
		case <-stop:
			return
		}
	}
}

// lead leads in a new term until stop is called.
func (p *post) lead(t *testing.T) (stop func()) {
	p.await(func() { p.term++; p.raw(consensus.LeadCommit("n1", testEpoch, 0)) })
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.router.Lead(ctx, p) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("lead: %v", err)
		}
	}
}

// tally counts the acknowledgements that had their effect.
type tally struct {
	mu   sync.Mutex
	acks map[event.Position]int
}

func (t *tally) add(p event.Position) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.acks[p]++
}

func (t *tally) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.acks)
}

// guest is a member that comes and goes as it likes, with what it has.
type guest struct {
	*post
	tally *tally
	held  map[event.Position][]byte
}

// settle settles what the guest has and returns the code of the result's error.
func (g *guest) settle(position event.Position, verb edriv1.Settle_Verb) string {
	settle := &edriv1.Settle{Subscription: "s", Position: uint64(position), Verb: verb, Token: g.held[position]}
	body, err := proto.Marshal(settle)
	if err != nil {
		panic(err)
	}
	if refused := g.router.Admit(opSettle, body); refused != nil {
		return string(refused.Code)
	}
	commit := g.seal(opOf(settle))
	result := ""
	g.await(func() { result = code(g.raw(commit)) })
	return result
}

// visit is a member for a while.
func (g *guest) visit(until time.Time) {
	var held []Held
	for p, token := range g.held {
		held = append(held, Held{p, token})
	}
	m, err := g.router.Join(Join{Subscription: "s", Name: "guest", Held: held, Encode: func(dst []byte, d *Delivery) []byte {
		dst = binary.AppendUvarint(dst, uint64(d.Record.Position))
		return appendText(dst, string(d.Token))
	}})
	if err != nil {
		time.Sleep(time.Millisecond) // nobody leads
		return
	}
	graceful := rand.IntN(4) > 0
	defer func() {
		m.Leave(graceful)
		if graceful {
			clear(g.held)
		}
	}()
	for time.Now().Before(until) {
		if m.AddCredits(1+rand.IntN(4)) != nil {
			return
		}
		select {
		case <-m.Ready():
		case <-time.After(time.Millisecond):
		}
		deliveries, lost, err := m.Take(nil)
		for _, h := range lost {
			if bytes.Equal(h.Token, g.held[h.Position]) {
				delete(g.held, h.Position)
			}
		}
		for r := (reader{rest: deliveries}); len(r.rest) > 0; {
			g.held[event.Position(r.uvarint())] = slices.Clone([]byte(r.text()))
		}
		if err != nil {
			return
		}
		for _, p := range slices.Sorted(maps.Keys(g.held)) {
			g.handle(m, p)
		}
	}
}

func (g *guest) handle(m *Member, p event.Position) {
	verb := edriv1.Settle_ACK
	switch rand.IntN(12) {
	case 0:
		m.Extend([]Held{{p, g.held[p]}})
		return
	case 1:
		m.GiveBack([]Held{{p, g.held[p]}})
		delete(g.held, p)
		return
	case 2:
		verb = edriv1.Settle_NAK
	case 3:
		return // later
	case 4:
		m.Extend([]Held{{p + 1, g.held[p]}}) // which it has not
	}
	got := g.settle(p, verb)
	if got == "" && verb == edriv1.Settle_ACK {
		g.tally.add(p)
	}
	if got != string(event.CodeUnavailable) {
		delete(g.held, p)
	}
}

// Members come, settle and go, while the leader hands out, is asked how it is, and leads
// anew: each event is acknowledged once.
func TestMembersComeAndGoBesideTheLeader(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	stopped := make(chan struct{})
	var applying sync.WaitGroup
	stop := make(chan struct{})
	applying.Go(func() { p.apply(stop) })
	defer applying.Wait()
	defer close(stop)
	const events = 400
	config := of("a")
	config.MaxDeliver, config.Backoff, config.OrderingKey = 100, []int64{int64(time.Millisecond)}, event.OrderByPartitionKey
	p.await(func() { p.subscribe("s", config) })
	resign := p.lead(t)

	counted := &tally{acks: make(map[event.Position]int)}
	var all sync.WaitGroup
	for range 5 {
		all.Go(func() {
			g := &guest{post: p, tally: counted, held: make(map[event.Position][]byte)}
			for counted.count() < events {
				select {
				case <-stopped:
					return
				default:
				}
				g.visit(time.Now().Add(time.Duration(rand.IntN(40)) * time.Millisecond))
			}
		})
	}
	all.Go(func() {
		for counted.count() < events {
			select {
			case <-stopped:
				return
			case <-time.After(time.Millisecond):
			}
			v := p.View()
			_, errs := p.router.Stats()
			_, errd := p.router.Describe(v, "s")
			v.Close()
			if errs != nil || errd != nil {
				t.Errorf("stats: %v, describe: %v", errs, errd)
			}
		}
	})
	for n := range events {
		add := appends(fmt.Sprintf("a/%d", n%7), n)
		p.await(func() { p.must(add) })
		if n == events/2 {
			resign()
			resign = p.lead(t)
		}
	}
	for late := time.Now().Add(30 * time.Second); counted.count() < events; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(late) {
			t.Errorf("%d of %d events are acknowledged", counted.count(), events)
			break
		}
	}
	close(stopped)
	all.Wait()
	resign()
	for position, n := range counted.acks {
		if n != 1 {
			t.Errorf("position %d was acknowledged %d times", position, n)
		}
	}
}
