package router

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/log"
)

// world draws what happens around a leader: members that come, ask for deliveries,
// settle them late or not at all and go; proposals that are refused, or of which nobody
// knows; time; and other leaders.
//
// A settlement carries an effect, an event that names the generation and the position
// for which it is: what took effect, how often and in which order stands in the journal.
type world struct {
	*rapid.T
	s       *stage
	actors  []*actor
	effects int
	skipped map[string]bool // "generation/position" that a member skipped, or wanted to
	handed  map[string]int  // how often each was delivered
	unsure  int             // leaders, and proposals whose outcome was not known
	refuses bool            // operations of the dispatcher
	seeks   bool
	steady  bool // one leader, which learns what becomes of its proposals
}

// actor is a member's client.
type actor struct {
	*seat
	credits int
	// unanswered are settlements without a result, by the delivery's token.
	unanswered map[string]*edriv1.Settle
	again      []*edriv1.Settle // of them those that are to be sent again
}

const worldName = "s"

// Whatever happens, in the end, when nothing is refused and members acknowledge what
// they get, each event that matches has taken effect once in the last generation or is a
// dead letter, and those of one key in their order.
func TestWhateverHappensEachEventIsSettledOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "edri-router-")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = os.RemoveAll(dir) }()
		s := stageIn(openHall(t, dir))
		defer func() { _ = s.core.Close() }()
		w := &world{T: t, s: s, skipped: map[string]bool{}, handed: map[string]int{}}
		w.begin()
		for range rapid.IntRange(20, 200).Draw(t, "steps") {
			w.step()
			w.check()
		}
		w.finish()
		w.judge()
	})
}

func (w *world) begin() {
	w.s.elect()
	w.s.refuse = func(uint32) *event.Error {
		if w.refuses {
			return event.Errorf(event.CodeOverloaded, "too much")
		}
		return nil
	}
	w.seeks = rapid.Bool().Draw(w.T, "seeks")
	w.steady = rapid.Bool().Draw(w.T, "steady")
	config := of("a")
	config.AckWait = int64(rapid.SampledFrom([]time.Duration{time.Second, 5 * time.Second}).Draw(w.T, "ack wait"))
	config.MaxDeliver = rapid.SampledFrom([]uint32{2, 4, 100}).Draw(w.T, "max deliver")
	config.MaxInFlight = rapid.SampledFrom([]uint32{3, 1000}).Draw(w.T, "max in flight")
	config.MaxPending = rapid.SampledFrom([]uint32{5, 1000}).Draw(w.T, "max pending")
	config.Backoff = []int64{int64(100 * time.Millisecond), int64(time.Second)}
	if rapid.Bool().Draw(w.T, "ordered") {
		config.OrderingKey = event.OrderByPartitionKey
	}
	w.publish()
	w.s.subscribe(worldName, config)
	for i := range 3 {
		w.actors = append(w.actors, &actor{
			seat:       &seat{stage: w.s, name: fmt.Sprint("m", i), held: map[event.Position]*Delivery{}},
			unanswered: map[string]*edriv1.Settle{},
		})
	}
}

func (w *world) publish() {
	for range rapid.IntRange(1, 6).Draw(w.T, "events") {
		w.s.append(rapid.SampledFrom([]string{"a", "a/x", "a/y", "a/z", "b"}).Draw(w.T, "event"))
	}
}

func (w *world) step() {
	a := rapid.SampledFrom(w.actors).Draw(w.T, "actor")
	switch rapid.IntRange(0, 20).Draw(w.T, "step") {
	case 0, 1:
		w.publish()
	case 2, 3, 4:
		if a.m == nil {
			w.join(a)
		}
		w.askFor(a, rapid.IntRange(0, 4).Draw(w.T, "credits"))
	case 5:
		w.leave(a, rapid.Bool().Draw(w.T, "graceful"))
	case 6, 7, 8:
		w.settleSome(a, rapid.SampledFrom([]edriv1.Settle_Verb{edriv1.Settle_ACK, edriv1.Settle_ACK, edriv1.Settle_NAK, edriv1.Settle_SKIP}).Draw(w.T, "verb"))
	case 9:
		w.sendAgain(a)
	case 10:
		w.extendOrGiveBack(a)
	case 11:
		w.refuses = !w.refuses
	case 12:
		if n := len(w.s.log); n > 0 && !w.steady { // its outcome is not known any more; it comes all the same
			w.unsure++
			e := &w.s.log[rapid.IntRange(0, n-1).Draw(w.T, "late")]
			done := e.done
			e.done = func(*edriv1.CommitResult, *event.Error) {}
			done(nil, event.Errorf(event.CodeOutcomeUnknown, "nobody knows"))
		}
	case 13:
		w.s.pass(time.Duration(rapid.Int64Range(0, int64(3*time.Second)).Draw(w.T, "time")))
	case 14:
		if !w.steady {
			w.elect()
		}
	case 15:
		w.administer()
	case 20:
		w.misuse(a)
	case 16:
		w.s.commitFirst(rapid.IntRange(0, len(w.s.log)).Draw(w.T, "commits"))
	default:
		w.s.step()
		w.s.commit()
	}
}

func (w *world) administer() {
	switch n := rapid.IntRange(0, 5).Draw(w.T, "administer"); {
	case n < 2:
		w.s.must(pauseOf(worldName, n == 0, ""))
	case n == 2 && w.seeks:
		w.s.must(seekTo(worldName, atFirst()))
	}
}

// elect deposes the leader. The first of what it has proposed may be committed.
func (w *world) elect() {
	w.unsure++
	w.s.commitFirst(rapid.IntRange(0, len(w.s.log)).Draw(w.T, "commits"))
	for _, a := range w.actors {
		a.m, a.credits = nil, 0
	}
	w.s.elect()
}

func (w *world) join(a *actor) {
	m, err := w.s.router.Join(Join{Subscription: worldName, Name: a.name, Held: a.holds(), Encode: func(dst []byte, d *Delivery) []byte {
		w.handed[fmt.Sprint(d.Generation, "/", d.Record.Position)]++
		return a.encode(dst, d)
	}})
	if err != nil {
		w.Fatalf("join: %v", err)
	}
	a.m, a.credits = m, 0
	for _, settle := range a.unanswered {
		a.again = append(a.again, settle)
	}
	slices.SortFunc(a.again, func(x, y *edriv1.Settle) int { return strings.Compare(string(x.Token), string(y.Token)) })
	a.again = slices.Compact(a.again)
}

func (w *world) askFor(a *actor, n int) {
	a.credits += n
	if err := a.m.AddCredits(n); err != nil {
		w.Fatalf("credits: %v", err)
	}
}

func (w *world) leave(a *actor, graceful bool) {
	if a.m == nil {
		return
	}
	a.m.Leave(graceful)
	a.m, a.credits = nil, 0
	if graceful {
		clear(a.held)
	}
}

// hear takes what the leader says.
func (a *actor) hear() {
	if a.m == nil {
		return
	}
	_, lost, err := a.m.Take(nil)
	for _, h := range lost {
		if d := a.held[h.Position]; d != nil && string(d.Token) == string(h.Token) {
			delete(a.held, h.Position)
		}
	}
	if err != nil {
		a.m = nil
	}
}

// undecided are what the member has and has not settled.
func (a *actor) undecided() []event.Position {
	a.hear()
	var list []event.Position
	for p, d := range a.held {
		if a.unanswered[string(d.Token)] == nil {
			list = append(list, p)
		}
	}
	slices.Sort(list)
	return list
}

func (w *world) settleSome(a *actor, verb edriv1.Settle_Verb) {
	for _, p := range a.undecided() {
		if rapid.Bool().Draw(w.T, "this") {
			w.settle(a, p, verb)
		}
	}
}

func (w *world) settle(a *actor, p event.Position, verb edriv1.Settle_Verb) {
	d := a.held[p]
	settle := &edriv1.Settle{Subscription: worldName, Position: uint64(p), Verb: verb, Token: d.Token}
	if verb == edriv1.Settle_NAK {
		settle.Reason = fmt.Sprintf("nak of %x", d.Token)
	}
	a.unanswered[string(d.Token)] = settle
	w.send(a, settle)
}

func (w *world) sendAgain(a *actor) {
	list := a.again
	a.again = nil
	for _, settle := range list {
		if a.unanswered[string(settle.Token)] == settle {
			w.send(a, settle)
		}
	}
}

// send submits a settlement with its effect.
func (w *world) send(a *actor, settle *edriv1.Settle) {
	var effects []*edriv1.Op
	t, _ := parseToken(settle.Token)
	switch settle.Verb {
	case edriv1.Settle_SKIP:
		w.skipped[fmt.Sprint(t.generation, "/", settle.Position)] = true
	case edriv1.Settle_ACK:
		w.effects++
		effects = append(effects, &edriv1.Op{Op: &edriv1.Op_Append{Append: &edriv1.Append{Event: &edriv1.CloudEvent{
			Id: fmt.Sprint("effect ", w.effects), Source: "tests", SpecVersion: "1.0", Type: "effect",
			Attributes: map[string]*edriv1.CloudEvent_CloudEventAttributeValue{"subject": {
				Attr: &edriv1.CloudEvent_CloudEventAttributeValue_CeString{CeString: fmt.Sprint(t.generation, "/", settle.Position)},
			}},
		}}}})
	}
	w.s.settle(settle, func(code string) {
		code, _, _ = strings.Cut(code, " by ")
		switch event.Code(code) {
		case event.CodeUnavailable, event.CodeOverloaded, event.CodeOutcomeUnknown, event.CodeNotLeader:
			a.again = append(a.again, settle)
			return
		case "", event.CodeAlreadyAcked, event.CodeStaleToken:
		default:
			w.Fatalf("settle %d by %x: %s\n%s", settle.Position, settle.Token, code, w.s.dump())
		}
		delete(a.unanswered, string(settle.Token))
		if d := a.held[event.Position(settle.Position)]; d != nil && string(d.Token) == string(settle.Token) {
			delete(a.held, event.Position(settle.Position))
		}
	}, effects...)
}

// misuse settles one event by the token of another, which has no effect, whatever that
// event is.
func (w *world) misuse(a *actor) {
	undecided := a.undecided()
	if len(undecided) == 0 {
		return
	}
	d := a.held[rapid.SampledFrom(undecided).Draw(w.T, "token")]
	p := event.Position(rapid.Uint64Range(1, uint64(w.s.core.Meta().Mark.Last)+1).Draw(w.T, "of another"))
	if p == d.Record.Position {
		return
	}
	settle := &edriv1.Settle{Subscription: worldName, Position: uint64(p), Token: d.Token}
	w.s.settle(settle, func(code string) {
		if code != string(event.CodeInvalid) && d.Generation == w.s.d.queues[worldName].Generation {
			w.Fatalf("settle %d by the token of %d: %q\n%s", p, d.Record.Position, code, w.s.dump())
		}
	})
	if a.m != nil {
		a.m.Extend([]Held{{p, d.Token}})
		a.m.GiveBack([]Held{{p, d.Token}})
	}
}

func (w *world) extendOrGiveBack(a *actor) {
	undecided := a.undecided()
	if a.m == nil {
		return
	}
	var held []Held
	for _, p := range undecided {
		held = append(held, Held{p, a.held[p].Token})
	}
	if rapid.Bool().Draw(w.T, "extend") {
		a.m.Extend(held)
		return
	}
	a.m.GiveBack(held)
	for _, p := range undecided {
		delete(a.held, p)
	}
}

// check holds what the leader keeps together.
func (w *world) check() {
	w.failures()
	for _, q := range w.s.d.queues {
		var in [states]int
		out := map[uint64]event.Position{}
		for p, it := range q.open {
			in[it.state]++
			w.count(q.Generation, p, it.attempts)
			if it.key != 0 && it.state == stateLeased && it.lease.member != nil {
				if other, ok := out[it.key]; ok {
					w.Fatalf("%d and %d of one key are out\n%s", p, other, w.s.dump())
				}
				out[it.key] = p
			}
		}
		if in != q.in {
			w.Fatalf("counted %v, there are %v", q.in, in)
		}
		credits := 0
		for _, m := range q.members {
			credits += m.credits
		}
		if credits != q.credits {
			w.Fatalf("%d credits, members have %d", q.credits, credits)
		}
	}
}

// onceEach holds the failures of an event to its deliveries: none has failed twice, however
// often its nak is sent and whoever leads.
func (w *world) onceEach(p event.Position, f failures) {
	seen := map[string]bool{}
	for _, one := range f.all() {
		if strings.HasPrefix(one.reason, "nak of ") && seen[one.reason] {
			w.Fatalf("a delivery of %d is counted twice: %s", p, one.reason)
		}
		seen[one.reason] = true
	}
}

// failures looks at those of all events that are pending or dead.
func (w *world) failures() {
	v := w.s.core.View()
	defer v.Close()
	for kind, parse := range map[byte]func([]byte) (failures, error){
		kindPending: func(row []byte) (failures, error) { p, err := parsePending(row); return p.failures, err },
		kindDead:    func(row []byte) (failures, error) { d, err := parseDead(row); return d.failures, err },
	} {
		it := v.Scan(machineName, []byte{kind}, []byte{kind + 1}, false)
		for it.Next() {
			f, err := parse(it.Value())
			if err != nil {
				w.Fatalf("read: %v", err)
			}
			w.onceEach(positionOf(it.Key()), f)
		}
		if err := it.Err(); err != nil {
			w.Fatalf("scan: %v", err)
		}
		it.Close()
	}
}

// count holds the attempts that are counted of an event to its deliveries: each is one at
// most, but for what leaders count that do not know whether there was one.
func (w *world) count(generation uint64, p event.Position, attempts int) {
	if n := w.handed[fmt.Sprint(generation, "/", p)] + w.unsure; attempts > n {
		w.Fatalf("%d attempts at %d are counted, of %d\n%s", attempts, p, n, w.s.dump())
	}
}

// finish lets everything be done: members acknowledge what they get.
func (w *world) finish() {
	w.refuses = false
	w.s.must(pauseOf(worldName, false, ""))
	for range 400 {
		for _, a := range w.actors {
			a.hear()
			if a.m == nil {
				w.join(a)
			}
			w.askFor(a, max(0, 5-len(a.held)-a.m.credits))
			for _, p := range a.undecided() {
				w.settle(a, p, edriv1.Settle_ACK)
			}
			w.sendAgain(a)
		}
		w.s.run()
		w.check()
		w.s.wait(leaseTick)
		if w.done() {
			return
		}
	}
	w.Fatalf("it stands still: %s\n%s", w.s.state(worldName), w.s.dump())
}

// done reports that nothing is pending, or left to be matched.
func (w *world) done() bool {
	q := w.s.d.queues[worldName]
	for _, a := range w.actors {
		if len(a.unanswered) > 0 {
			return false
		}
	}
	return q != nil && len(q.open) == 0 && q.live && w.s.d.live == w.s.core.Meta().Mark.Last
}

// judge holds the journal to the promise.
func (w *world) judge() {
	v := w.s.core.View()
	defer v.Close()
	sub, _, err := SubscriptionOf(v, worldName)
	if err != nil {
		w.Fatalf("read: %v", err)
	}
	taken, last := map[string]bool{}, map[string]event.Position{}
	key := map[event.Position]string{}
	r := v.Journal().Read(log.Query{})
	defer r.Close()
	for r.Next() {
		rec := r.Record()
		h, err := event.ScanHeader(rec.Event)
		if err != nil {
			w.Fatalf("read: %v", err)
		}
		switch string(h.Type) {
		case "a":
			key[rec.Position] = string(h.PartitionKey)
		case "effect":
			if taken[string(h.Subject)] {
				w.Fatalf("%s took effect twice", h.Subject)
			}
			taken[string(h.Subject)] = true
			var generation uint64
			var p event.Position
			_, _ = fmt.Sscanf(string(h.Subject), "%d/%d", &generation, &p)
			if k := key[p]; k != "" && sub.Config.OrderingKey != "" {
				k = fmt.Sprint(generation, " ", k)
				if last[k] > p {
					w.Fatalf("%d took effect after %d, of the same key", p, last[k])
				}
				last[k] = p
			}
		}
	}
	letters, _, err := DeadOf(v, sub.ID, 0, 1000)
	if err != nil {
		w.Fatalf("read dead letters: %v", err)
	}
	dead := map[event.Position]bool{}
	for _, d := range letters {
		w.count(d.Generation, d.Position, len(d.Attempts))
		dead[d.Position] = true
	}
	for _, p := range slices.Sorted(maps.Keys(key)) {
		name := fmt.Sprint(sub.Generation, "/", p)
		if effect := taken[name]; effect == dead[p] && (effect || !w.skipped[name]) {
			w.Fatalf("%d took effect: %v, is dead: %v", p, effect, dead[p])
		}
	}
}
