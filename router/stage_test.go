package router

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// stage is a hall with a leader's dispatcher, which does a step when the test says so.
// It is the dispatcher's Node: what is enqueued stands in the log, in its order, when
// the test commits it, or is refused or lost, as the test says.
type stage struct {
	*hall
	router *Router
	d      *dispatcher
	log    []entry
	// refuse says what becomes of an operation of the dispatcher; nil: it is taken.
	refuse func(op uint32) *event.Error
	// afterView is run once, when the dispatcher has taken a view.
	afterView func()
	alarms    map[string]string // by subject
}

var _ Node = (*stage)(nil)

// entry is what waits for being committed, and who for its result.
type entry struct {
	op     uint32
	commit []byte
	done   func(*edriv1.CommitResult, *event.Error)
}

func newStage(t testing.TB) *stage {
	t.Helper()
	s := stageIn(newHall(t))
	s.elect()
	return s
}

func stageIn(h *hall) *stage {
	s := &stage{hall: h, alarms: map[string]string{}}
	s.router = &Router{Machine: h.witness.Machine, logger: slog.New(slog.DiscardHandler)}
	h.witness.also = s.router
	return s
}

func (s *stage) Alarm(subject, what string) { s.alarms[subject] = what }

func (s *stage) ClearAlarms(kind string, keep []string) {
	maps.DeleteFunc(s.alarms, func(subject, _ string) bool {
		return strings.HasPrefix(subject, kind) && !slices.Contains(keep, subject)
	})
}

func (s *stage) Now() int64               { return s.now }
func (s *stage) Applied() <-chan struct{} { return nil }

func (s *stage) View() *consensus.View {
	v := s.core.View()
	if after := s.afterView; after != nil {
		s.afterView = nil
		after()
	}
	return v
}

func (s *stage) Enqueue(op uint32, body []byte, done func(*event.Error)) {
	if s.refuse != nil {
		if err := s.refuse(op); err != nil {
			done(err)
			return
		}
	}
	s.log = append(s.log, entry{op, internal(op, body), func(r *edriv1.CommitResult, err *event.Error) {
		if err == nil && r.Error != nil {
			err = event.Errorf(event.Code(r.Error.Code), "%s", r.Error.Message)
		}
		done(err)
	}})
}

// resign ends the leadership. What is in the log and not committed is lost.
func (s *stage) resign() {
	s.router.leading.Store(nil)
	s.d.close()
	s.drop()
}

// drop loses what is in the log.
func (s *stage) drop() {
	lost := s.log
	s.log = nil
	for _, e := range lost {
		e.done(nil, event.Errorf(event.CodeOutcomeUnknown, "lost"))
	}
}

// elect makes this node lead, in a new term.
func (s *stage) elect() {
	s.Helper()
	if s.d != nil {
		s.resign()
	}
	s.term++
	s.raw(consensus.LeadCommit("n1", testEpoch, 0))
	s.d = newDispatcher(s, slog.New(slog.DiscardHandler), &counts{})
	s.router.leading.Store(s.d)
	if err := s.d.load(); err != nil {
		s.Fatalf("load: %v", err)
	}
}

// commit executes what is in the log, as one entry.
func (s *stage) commit() { s.Helper(); s.commitFirst(len(s.log)) }

// commitFirst executes the first so many operations in the log, as one entry.
func (s *stage) commitFirst(n int) {
	s.Helper()
	list := s.log[:n:n]
	s.log = s.log[n:]
	if len(list) == 0 {
		return
	}
	commits := make([][]byte, len(list))
	for i, e := range list {
		commits[i] = e.commit
	}
	results, err := s.entry(commits)
	if err != nil {
		s.Fatalf("apply: %v", err)
	}
	for i, e := range list {
		e.done(results[i], nil)
	}
}

// step lets the dispatcher do what there is to do now.
func (s *stage) step() (busy bool) {
	s.Helper()
	busy, err := s.d.step(s.d.inbox.take())
	if err != nil {
		s.Fatalf("step: %v", err)
	}
	return busy
}

// idle is up to how many steps may be made before there is nothing to do.
const idle = 10_000

// run lets the dispatcher do what there is to do, and commits it, until that is
// nothing.
func (s *stage) run() {
	s.Helper()
	for range idle {
		busy := s.step()
		s.commit()
		s.d.inbox.mu.Lock()
		heard := len(s.d.inbox.notes) > 0
		s.d.inbox.mu.Unlock()
		if !busy && !heard && len(s.log) == 0 {
			return
		}
	}
	s.Fatalf("the dispatcher does not come to rest:\n%s", s.dump())
}

// wait lets time go by.
func (s *stage) wait(d time.Duration) {
	s.Helper()
	for d > 0 {
		by := min(d, leaseTick)
		d -= by
		s.pass(by)
		s.run()
	}
}

// dump says how the queues are.
func (s *stage) dump() string {
	var b strings.Builder
	for name, q := range s.d.queues {
		fmt.Fprintf(&b, "%s: committed %d proposed %d matched %d live %v(%d) more %v ahead %d adopt %d credits %d in flight %d lone %d claims %d to %d\n",
			name, q.committed, q.proposed, q.matched, q.live, s.d.live, q.more, len(q.ahead), q.adoptUntil, q.credits, q.in[stateLeased], q.lone, len(q.claims), q.claimsTo)
		for _, p := range slices.Sorted(mapsKeys(q.open)) {
			it := q.open[p]
			fmt.Fprintf(&b, "  %d key %d attempts %d state %d blocked %v lease %d.%d\n", p, it.key, it.attempts, it.state, it.blocked, it.lease.term, it.lease.number)
		}
	}
	return b.String()
}

func mapsKeys[V any](m map[event.Position]V) func(func(event.Position) bool) {
	return func(yield func(event.Position) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// seat is a member as its client sees it.
type seat struct {
	*stage
	name   string
	m      *Member
	held   map[event.Position]*Delivery
	got    []string // what was delivered since the last call of gets: "position" or "position#attempt"
	events []event.Position
}

// join makes a member with credits, which shows what it has from an earlier seat.
func (s *stage) join(subscription, name string, credits int) *seat {
	s.Helper()
	return s.rejoin(&seat{stage: s, name: name, held: map[event.Position]*Delivery{}}, subscription, credits)
}

func (s *stage) rejoin(c *seat, subscription string, credits int) *seat {
	s.Helper()
	m, err := s.router.Join(Join{Subscription: subscription, Name: c.name, Held: c.holds(), Encode: c.encode})
	if err != nil {
		s.Fatalf("join: %v", err)
	}
	c.m = m
	if err := m.AddCredits(credits); err != nil {
		s.Fatalf("credits: %v", err)
	}
	return c
}

func (c *seat) holds() []Held {
	var held []Held
	for p, d := range c.held {
		held = append(held, Held{p, d.Token})
	}
	slices.SortFunc(held, func(a, b Held) int { return int(a.Position) - int(b.Position) })
	return held
}

func (c *seat) encode(dst []byte, d *Delivery) []byte {
	one := *d
	rec := *d.Record
	one.Record = &rec
	c.held[rec.Position] = &one
	c.events = append(c.events, rec.Position)
	text := fmt.Sprint(rec.Position)
	if d.Attempt != 1 {
		text += fmt.Sprint("#", d.Attempt)
	}
	c.got = append(c.got, text)
	return dst
}

// credits asks for more deliveries.
func (c *seat) credits(n int) {
	c.Helper()
	if err := c.m.AddCredits(n); err != nil {
		c.Fatalf("credits: %v", err)
	}
}

// gets holds what was delivered since the last call to what is expected.
func (c *seat) gets(want string) {
	c.Helper()
	got := strings.Join(c.got, " ")
	c.got = nil
	if got != want {
		c.Errorf("%s got %q, want %q\n%s", c.name, got, want, c.dump())
	}
}

// loses holds what the member was told that it lost to what is expected.
func (c *seat) loses(want string) {
	c.Helper()
	_, lost, _ := c.m.Take(nil)
	var list []string
	for _, h := range lost {
		list = append(list, fmt.Sprint(h.Position))
	}
	slices.Sort(list)
	if got := strings.Join(list, " "); got != want {
		c.Errorf("%s lost %q, want %q", c.name, got, want)
	}
}

// settlement is what a member says of a position by the token of its delivery.
func (c *seat) settlement(p event.Position, verb edriv1.Settle_Verb) *edriv1.Settle {
	c.Helper()
	d := c.held[p]
	if d == nil {
		c.Fatalf("%s does not have %d", c.name, p)
	}
	return &edriv1.Settle{Subscription: c.m.queue.Config.Name, Position: uint64(p), Verb: verb, Token: d.Token}
}

// settle has a settlement admitted and put into the log. done is told its result, the
// code of its error.
func (s *stage) settle(settle *edriv1.Settle, done func(string), effects ...*edriv1.Op) {
	s.Helper()
	body, err := proto.Marshal(settle)
	if err != nil {
		s.Fatalf("encode: %v", err)
	}
	if refused := s.router.Admit(opSettle, body); refused != nil {
		done(string(refused.Code))
		return
	}
	s.log = append(s.log, entry{opSettle, s.seal(append([]*edriv1.Op{opOf(settle)}, effects...)...), func(r *edriv1.CommitResult, err *event.Error) {
		if err != nil {
			done(string(err.Code))
			return
		}
		if v := r.Error.GetViolations(); len(v) > 0 && v[0].Op == 0 {
			r.Error = v[0].Error // of the settlement itself
		}
		done(code(r))
	}})
}

// says settles a delivery, commits that, and returns the code of its error.
func (c *seat) says(p event.Position, verb edriv1.Settle_Verb) string {
	c.Helper()
	result := "none"
	settle := c.settlement(p, verb)
	c.settle(settle, func(code string) { result = code })
	c.run()
	if result == "" {
		delete(c.held, p)
	}
	return result
}

// acks acknowledges, one by one.
func (c *seat) acks(positions ...event.Position) {
	c.Helper()
	for _, p := range positions {
		if got := c.says(p, edriv1.Settle_ACK); got != "" {
			c.Errorf("ack of %d: %s, want none", p, got)
		}
	}
}

// subscribe creates a subscription and lets the dispatcher know it.
func (s *stage) subscribe(name string, config *edriv1.SubscriptionConfig) uint64 {
	s.Helper()
	g := s.hall.subscribe(name, config)
	s.run()
	return g
}

// refused holds the code with which an ack is refused to what is expected.
func (c *seat) refused(p event.Position, want string) {
	c.Helper()
	if got := c.says(p, edriv1.Settle_ACK); got != want {
		c.Errorf("ack of %d: %q, want %q", p, got, want)
	}
}

// append appends events, each given as "type" or "type/partition key".
func (s *stage) append(list ...string) {
	s.Helper()
	for _, text := range list {
		s.events++
		s.must(appends(text, s.events))
	}
}

// appends appends the event of a number, given as "type" or "type/partition key".
func appends(text string, number int) *edriv1.Op {
	typ, key, _ := strings.Cut(text, "/")
	e := &edriv1.CloudEvent{Id: fmt.Sprint("event ", number), Source: "tests", SpecVersion: "1.0", Type: typ}
	if key != "" {
		e.Attributes = map[string]*edriv1.CloudEvent_CloudEventAttributeValue{
			event.AttrPartitionKey: {Attr: &edriv1.CloudEvent_CloudEventAttributeValue_CeString{CeString: key}},
		}
	}
	return &edriv1.Op{Op: &edriv1.Op_Append{Append: &edriv1.Append{Event: e}}}
}

// of is the config of a subscription of a type.
func of(typ string) *edriv1.SubscriptionConfig {
	return &edriv1.SubscriptionConfig{Filter: fmt.Sprintf(`{"exact":{"type":%q}}`, typ)}
}
