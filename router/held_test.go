package router

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// desk is a dispatcher over a hall, driven by hand: what it proposes is applied, and it
// is told, when the test says so.
type desk struct {
	*hall
	d     *dispatcher
	queue []proposal
}

type proposal struct {
	op   uint32
	body []byte
	done func(*event.Error)
}

var _ Node = (*desk)(nil)

func (k *desk) Now() int64               { return k.now }
func (k *desk) Applied() <-chan struct{} { return nil }
func (k *desk) View() *consensus.View    { return k.core.View() }

func (k *desk) Alarm(_, _ string)                {}
func (k *desk) ClearAlarms(_ string, _ []string) {}

func (k *desk) Enqueue(op uint32, body []byte, done func(*event.Error)) {
	k.queue = append(k.queue, proposal{op, body, done})
}

// lead makes the hall's leader. Retention keeps one second.
func lead(h *hall) *desk {
	h.Helper()
	h.raw(consensus.SettingCommit(consensus.SettingRetentionAge, uint64(time.Second), 0))
	k := &desk{hall: h}
	k.d = newDispatcher(k, slog.New(slog.DiscardHandler), &counts{})
	h.witness.notes = nil
	if err := k.d.load(); err != nil {
		h.Fatalf("load: %v", err)
	}
	return k
}

// settle lets the dispatcher work, and what it proposes be applied, until it rests.
func (k *desk) settle() {
	k.Helper()
	for range 1000 {
		k.d.inbox.put(k.index, k.witness.notes)
		k.witness.notes = nil
		busy, err := k.d.step(k.d.inbox.take())
		if err != nil {
			k.Fatalf("step: %v", err)
		}
		proposed := k.queue
		k.queue = nil
		for _, p := range proposed {
			r := k.raw(internal(p.op, p.body))
			var failed *event.Error
			if r.Error != nil {
				failed = event.Errorf(event.Code(r.Error.Code), "%s", r.Error.Message)
			}
			k.d.inbox.put(k.index, k.witness.notes)
			k.witness.notes = nil
			p.done(failed)
		}
		if !busy && len(proposed) == 0 {
			return
		}
	}
	k.Fatalf("the dispatcher does not come to rest")
}

// wait lets time pass, to the next checkpoint at least.
func (k *desk) wait(d time.Duration) {
	k.Helper()
	k.now += int64(d)
	k.settle()
	k.now += int64(checkpointTick)
	k.settle()
}

// ended is what retention leaves now.
func (k *desk) ended() event.Position {
	k.Helper()
	v := k.core.View()
	wanted, err := v.Wanted(k.now)
	v.Close()
	if err != nil {
		k.Fatalf("wanted: %v", err)
	}
	return k.retain(wanted)
}

// losses returns the data of all events that say what was lost.
func (k *desk) losses() []string {
	k.Helper()
	var list []string
	for p := k.core.Meta().Mark.First; p <= k.core.Meta().Mark.Last; p++ {
		if text, ok := strings.CutPrefix(k.data(p), "dead/s "+lostType+" s "); ok {
			list = append(list, text)
		}
	}
	return list
}

// join makes a member that notes what it is given.
func (k *desk) join(name string, credits int) *taker {
	k.Helper()
	r := &Router{}
	r.leading.Store(k.d)
	t := &taker{}
	m, err := r.Join(Join{Subscription: name, Name: "m", Encode: func(dst []byte, d *Delivery) []byte {
		return fmt.Appendf(dst, "%d ", d.Record.Position)
	}})
	if err != nil {
		k.Fatalf("join: %v", err)
	}
	if err := m.AddCredits(credits); err != nil {
		k.Fatalf("credits: %v", err)
	}
	t.Member = m
	return t
}

type taker struct{ *Member }

// taken says what was delivered and lost since the last call.
func (t *taker) taken() string {
	deliveries, lost, _ := t.Take(nil)
	text := strings.TrimSpace(string(deliveries))
	for _, h := range lost {
		text += fmt.Sprintf(" lost %d", h.Position)
	}
	return text
}

const holdFor = time.Minute

func holding() *edriv1.SubscriptionConfig {
	return &edriv1.SubscriptionConfig{MaxHoldAge: int64(holdFor)}
}

// A paused subscription holds retention back, for as long as it may. Then an event says
// what it lost, and it goes on beyond.
func TestPausedSubscriptionHoldsRetentionBackForAWhile(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	h.publish(4)
	h.subscribe("s", holding())
	h.must(pauseOf("s", true, ""))
	k := lead(h)
	k.wait(holdFor / 2)
	if first := k.ended(); first != 1 || len(k.losses()) != 0 {
		t.Fatalf("the first is %d, lost %v", first, k.losses())
	}
	h.publish(2)
	k.wait(holdFor / 2)
	if first, got := k.ended(), k.losses(); first != 5 || len(got) != 1 || !strings.Contains(got[0], `"from":"1","to":"4","cursor":"0","pending":0`) {
		t.Fatalf("the first is %d, lost %v", first, got)
	}
	h.must(pauseOf("s", false, ""))
	m := k.join("s", 10)
	k.settle()
	if got := m.taken(); got != "5 6" {
		t.Errorf("delivered %q", got)
	}
	k.wait(0)
	h.must(ack("s", k.d.queues["s"].Generation, 5))
	h.publish(1)
	k.settle()
	if got := m.taken(); got != "8" { // 7 says what was lost
		t.Errorf("delivered %q", got)
	}
}

// What does not match is not lost, however long a subscription is paused.
func TestPausedSubscriptionLosesOnlyWhatMatches(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	h.publish(4)
	c := holding()
	c.Filter = `{"exact":{"type":"another"}}`
	h.subscribe("s", c)
	h.must(pauseOf("s", true, ""))
	k := lead(h)
	k.wait(2 * holdFor)
	if first := k.ended(); first != 5 || len(k.losses()) != 0 {
		t.Errorf("the first is %d, lost %v", first, k.losses())
	}
}

// Nothing is lost where retention does not want to pass, however old it is.
func TestNothingIsLostThatRetentionLeaves(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	h.publish(2)
	h.subscribe("s", holding())
	h.must(pauseOf("s", true, ""))
	k := lead(h)
	h.raw(consensus.SettingCommit(consensus.SettingRetentionAge, uint64(10*holdFor), 0))
	k.wait(7 * holdFor)
	h.publish(2)
	k.wait(4 * holdFor)
	if first, got := k.ended(), k.losses(); first != 3 || len(got) != 1 || !strings.Contains(got[0], `"from":"1","to":"2",`) {
		t.Errorf("the first is %d, lost %v", first, got)
	}
}

// After a loss a paused subscription looks again for what it needs next.
func TestPausedSubscriptionLooksOnAfterALoss(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	h.publish(2)
	c := holding()
	c.Filter = `{"exact":{"type":"test"}}`
	h.subscribe("s", c)
	h.must(pauseOf("s", true, ""))
	k := lead(h)
	for n := range 3 {
		op := add(fmt.Sprint("other ", n))
		op.GetAppend().Event.Type = "other"
		k.wait(holdFor)
		h.must(op)
	}
	k.wait(holdFor)
	if first, got := k.ended(), k.losses(); first != k.core.Meta().Mark.Last+1 || len(got) != 0 {
		t.Errorf("the first is %d, the last %d, lost %v", first, k.core.Meta().Mark.Last, got)
	}
	if last := k.core.Meta().Mark.Last; last != 6 { // one says what was lost
		t.Errorf("the last is %d", last)
	}
}

// Members have what is lost no more, keys go on, and what is behind it comes.
func TestWhatIsLostLeavesTheLeadersMemory(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	h.publish(6)
	c := holding()
	c.AckWait, c.OrderingKey, c.MaxPending = int64(time.Hour), "stream", 4
	g := h.subscribe("s", c)
	k := lead(h)
	m := k.join("s", 2)
	k.now += int64(adoptionTime)
	k.settle()
	if got := m.taken(); got != "1" {
		t.Fatalf("delivered %q", got)
	}
	k.now += int64(holdFor) / 2
	h.publish(3) // 7 to 9
	k.wait(holdFor / 2)
	first := k.ended()
	if got := k.losses(); first != 7 || len(got) != 1 || !strings.Contains(got[0], `"from":"1","to":"6","cursor":"4","pending":4`) {
		t.Fatalf("the first is %d, lost %v", first, got)
	}
	k.settle()
	if got := m.taken(); got != "7 lost 1" {
		t.Errorf("after the loss: %q", got)
	}
	if got := code(h.do(ack("s", g, 1))); got != "already_acked by 10" {
		t.Errorf("ack of what is lost: %q", got)
	}
	if got := code(h.do(ack("s", g, 7))); got != "" {
		t.Errorf("ack of what came behind it: %q", got)
	}
	k.settle()
	if err := m.AddCredits(5); err != nil {
		t.Fatal(err)
	}
	k.settle()
	if got := m.taken(); got != "8" {
		t.Errorf("then %q", got)
	}
	k.wait(0)
	q := k.d.queues["s"]
	if q.in[stateLeased] != 1 || len(q.fresh) != 0 {
		t.Errorf("%d in flight, %d fresh", q.in[stateLeased], len(q.fresh))
	}
}

// A dead letter that was let go of is redriven without its event: it ends, and stalls
// nothing.
func TestRedriveWithoutTheEventStallsNothing(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	h.publish(3)
	g := h.subscribe("s", holding())
	h.advance(g, 0, 3, 1, 2)
	h.must(park("s", g, 1, "no"))
	h.must(ack("s", g, 2))
	k := lead(h)
	k.wait(holdFor / 2)
	if first := k.ended(); first != 1 {
		t.Fatalf("the first is %d", first)
	}
	k.wait(holdFor / 2)
	if first := k.ended(); first != 5 || len(k.losses()) != 0 {
		t.Fatalf("the first is %d, lost %v", first, k.losses())
	}
	h.expectState("s", "cursor 4;; 1(1)")
	m := k.join("s", 10)
	if n := h.must(redriveOf("s")).GetRedriven().GetCount(); n != 1 {
		t.Fatalf("%d redriven", n)
	}
	h.publish(1)
	k.settle()
	if got := m.taken(); got != "5" {
		t.Errorf("delivered %q", got)
	}
	h.expectState("s", "cursor 4;;")
}

// Whoever is far behind and works is not told of each event: once in a hundredth of
// what it may hold.
func TestLossesAreSaidInSteps(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	c := holding()
	c.MaxHoldAge = int64(1000 * time.Second)
	h.subscribe("s", c)
	h.must(pauseOf("s", true, ""))
	k := lead(h)
	for range 400 { // five seconds each
		h.publish(1)
		k.wait(0)
	}
	if got := k.losses(); len(got) > 101 || len(got) < 50 {
		t.Errorf("%d losses are said within 1000 seconds", len(got))
	}
}
