package server

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/api/edriv1/edriv1connect"
)

// What a member's stream does to a peer that is not the client: that it has misunderstood
// the protocol, or is somebody's experiment, must harm nobody beside it.

// desk is a running server and its API without the client.
type desk struct {
	*testing.T
	running
	ctx           context.Context
	http          *http.Client
	subscriptions edriv1connect.SubscriptionsClient
	events        edriv1connect.EventsClient
	appended      int
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	s := start(t, single(t))
	s.get(t, "/readyz", isOK)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	d := &desk{T: t, running: s, ctx: ctx, http: plainHTTP2(t)}
	d.subscriptions = edriv1connect.NewSubscriptionsClient(d.http, s.URL())
	d.events = edriv1connect.NewEventsClient(d.http, s.URL())
	return d
}

func plainHTTP2(t *testing.T) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// subscribe makes a subscription of a type that is its name, from now on.
func (d *desk) subscribe(name string, config *edriv1.SubscriptionConfig) {
	d.Helper()
	config.Filter = fmt.Sprintf(`{"exact":{"type":%q}}`, name)
	_, err := d.subscriptions.Create(d.ctx, connect.NewRequest(&edriv1.CreateSubscription{
		Name: name, Config: config, Start: &edriv1.Start{Start: &edriv1.Start_Now{Now: true}},
	}))
	if err != nil {
		d.Fatal(err)
	}
}

func (d *desk) append(typ string, n int, data string) {
	d.Helper()
	for range n {
		d.appended++
		_, err := d.events.Commit(d.ctx, connect.NewRequest(&edriv1.Commit{Ops: []*edriv1.Op{{Op: &edriv1.Op_Append{Append: &edriv1.Append{
			Event: &edriv1.CloudEvent{Id: fmt.Sprint(d.appended), Source: "/desk", SpecVersion: "1.0", Type: typ,
				Data: &edriv1.CloudEvent_TextData{TextData: data}},
		}}}}}))
		if err != nil {
			d.Fatal(err)
		}
	}
}

// how returns how a subscription is.
func (d *desk) how(name string) *edriv1.Subscription {
	d.Helper()
	r, err := d.subscriptions.Get(d.ctx, connect.NewRequest(&edriv1.GetSubscriptionRequest{Name: name}))
	if err != nil {
		d.Fatal(err)
	}
	return r.Msg
}

// peer is a member's stream and what came of it.
type peer struct {
	*desk
	stream  *connect.BidiStreamForClient[edriv1.DeliverRequest, edriv1.DeliverResponse]
	end     context.CancelFunc
	got     []*edriv1.Delivery
	lost    []*edriv1.Held
	results map[uint64]string // codes
	lastID  uint64
}

// open opens a stream, whose first frame is not sent yet.
func (d *desk) open() *peer {
	ctx, cancel := context.WithCancel(d.ctx)
	d.Cleanup(cancel)
	return &peer{desk: d, stream: d.subscriptions.Deliver(ctx), end: cancel, results: map[uint64]string{}}
}

func (d *desk) join(subscription string, credits uint32) *peer {
	d.Helper()
	p := d.open()
	p.send(&edriv1.DeliverRequest{Subscription: subscription, Credits: credits})
	return p
}

func (p *peer) send(r *edriv1.DeliverRequest) {
	p.Helper()
	if err := p.stream.Send(r); err != nil {
		p.Fatal(err)
	}
}

// until reads frames until it is so.
func (p *peer) until(is func() bool) {
	p.Helper()
	for !is() {
		m, err := p.stream.Receive()
		if err != nil {
			p.Fatalf("receive: %v, after %d deliveries, results %v", err, len(p.got), p.results)
		}
		p.got = append(p.got, m.Deliveries...)
		p.lost = append(p.lost, m.Lost...)
		for _, r := range m.Results {
			code := r.Error.GetCode()
			if failed := r.Result.GetError(); code == "" && failed != nil {
				code = failed.Code
			}
			p.results[r.Id] = code
		}
	}
}

func (p *peer) has(n int) *peer {
	p.Helper()
	p.until(func() bool { return len(p.got) >= n })
	return p
}

// settle returns what becomes of a settlement.
func (p *peer) settle(s *edriv1.Settle) string {
	p.Helper()
	p.lastID++
	id := p.lastID
	p.send(&edriv1.DeliverRequest{Settlements: []*edriv1.Settlement{{Id: id, Settle: s}}})
	p.until(func() bool { _, ok := p.results[id]; return ok })
	return p.results[id]
}

func (p *peer) acks(d *edriv1.Delivery) {
	p.Helper()
	if got := p.settle(&edriv1.Settle{Position: d.Event.Position, Token: d.Token}); got != "" {
		p.Errorf("ack of %d: %s", d.Event.Position, got)
	}
}

// ends returns the code with which the stream ends.
func (p *peer) ends() string {
	p.Helper()
	for {
		_, err := p.stream.Receive()
		if err == nil {
			continue
		}
		var failed *connect.Error
		if !errors.As(err, &failed) {
			p.Fatalf("it ends with %v", err)
		}
		for _, detail := range failed.Details() {
			if v, err := detail.Value(); err == nil {
				if e, ok := v.(*edriv1.Error); ok {
					return e.Code
				}
			}
		}
		return err.Error()
	}
}

func TestAStreamThatIsNoMembersIsRefused(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.subscribe("s", &edriv1.SubscriptionConfig{})
	first := &edriv1.DeliverRequest{Subscription: "s", Credits: 1}
	held := []*edriv1.Held{{Position: 1, Token: []byte("x")}}
	for name, c := range map[string]struct {
		frames []*edriv1.DeliverRequest
		want   string
	}{
		"no subscription":         {[]*edriv1.DeliverRequest{{Subscription: "none"}}, "not_found"},
		"no name":                 {[]*edriv1.DeliverRequest{{Credits: 1}}, "not_found"},
		"another subscription":    {[]*edriv1.DeliverRequest{first, {Subscription: "t"}}, "invalid"},
		"held later":              {[]*edriv1.DeliverRequest{first, {Held: held}}, "invalid"},
		"too many credits":        {[]*edriv1.DeliverRequest{first, {Credits: 100_000}}, "invalid"},
		"all credits":             {[]*edriv1.DeliverRequest{{Subscription: "s", Credits: 1<<32 - 1}}, "invalid"},
		"a settlement of nothing": {[]*edriv1.DeliverRequest{first, {Settlements: []*edriv1.Settlement{{Id: 1}}}}, "invalid"},
		"effects in a session": {[]*edriv1.DeliverRequest{first, {Settlements: []*edriv1.Settlement{
			{Id: 1, Settle: &edriv1.Settle{Position: 1}, Effects: &edriv1.Commit{Session: 7, Sequence: 1}}}}}, "invalid"},
	} {
		p := d.open()
		for _, frame := range c.frames {
			p.send(frame)
		}
		if got := p.ends(); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	d.append("s", 1, "")
	p := d.join("s", 1).has(1)
	p.acks(p.got[0])
	if n := d.how("s").Members; n != 1 {
		t.Errorf("%d members", n)
	}
}

// A token settles its own event alone, and only who has a delivery extends it.
func TestTokensOfAStreamSettleWhatTheyAreOf(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.subscribe("s", &edriv1.SubscriptionConfig{})
	d.append("s", 3, "")
	a := d.join("s", 2).has(2)
	b := d.join("s", 1).has(1)
	mine, other, theirs := a.got[0], a.got[1], b.got[0]
	made := bytes.Clone(mine.Token) // by another lease
	binary.BigEndian.PutUint32(made[20:], 1<<31)
	foreign := bytes.Clone(mine.Token) // of another generation
	binary.BigEndian.PutUint64(foreign, 1<<40)
	for name, c := range map[string]struct {
		settle *edriv1.Settle
		want   string
	}{
		"no token":             {&edriv1.Settle{Position: mine.Event.Position}, "invalid"},
		"a short token":        {&edriv1.Settle{Position: mine.Event.Position, Token: mine.Token[:23]}, "invalid"},
		"a long token":         {&edriv1.Settle{Position: mine.Event.Position, Token: append(bytes.Clone(mine.Token), 0)}, "invalid"},
		"zeros":                {&edriv1.Settle{Position: mine.Event.Position, Token: make([]byte, 24)}, "stale_token"},
		"another event's":      {&edriv1.Settle{Position: mine.Event.Position, Token: other.Token}, "invalid"},
		"of another's event":   {&edriv1.Settle{Position: theirs.Event.Position, Token: mine.Token}, "invalid"},
		"of another lease":     {&edriv1.Settle{Position: mine.Event.Position, Token: made}, "stale_token"},
		"of another life":      {&edriv1.Settle{Position: mine.Event.Position, Token: foreign}, "stale_token"},
		"a position of none":   {&edriv1.Settle{Position: 1 << 50, Token: mine.Token}, "invalid"},
		"a verb of none":       {&edriv1.Settle{Position: mine.Event.Position, Token: mine.Token, Verb: 9}, "invalid"},
		"another subscription": {&edriv1.Settle{Subscription: "t", Position: mine.Event.Position, Token: mine.Token}, "invalid"},
	} {
		if got := a.settle(c.settle); got != c.want {
			t.Errorf("%s: %q, want %s", name, got, c.want)
		}
	}
	if how := d.how("s"); how.InFlight != 3 || how.Dead != 0 {
		t.Errorf("%d are out, %d dead, want all three out", how.InFlight, how.Dead)
	}
	held := []*edriv1.Held{{Position: mine.Event.Position, Token: mine.Token}}
	b.send(&edriv1.DeliverRequest{GiveBack: held, Credits: 1})
	b.send(&edriv1.DeliverRequest{Extend: held})
	b.until(func() bool { return len(b.lost) > 0 })
	if b.lost[0].Position != mine.Event.Position || len(b.got) != 1 {
		t.Errorf("lost %v, got %d", b.lost, len(b.got))
	}
	a.acks(mine)
	a.acks(other)
	b.acks(theirs)
	if got := a.settle(&edriv1.Settle{Position: mine.Event.Position, Token: mine.Token}); got != "already_acked" {
		t.Errorf("twice: %q", got)
	}
	if how := d.how("s"); how.Pending != 0 || how.Dead != 0 {
		t.Errorf("left is %v", how)
	}
}

// No more is delivered than was asked for; an ack asks for nothing.
func TestAStreamGetsWhatItAsksFor(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.subscribe("s", &edriv1.SubscriptionConfig{})
	d.append("s", 20, "")
	p := d.join("s", 0)
	p.settle(&edriv1.Settle{}) // its result comes behind what is delivered before
	if len(p.got) != 0 {
		t.Errorf("%d deliveries without credits", len(p.got))
	}
	p.send(&edriv1.DeliverRequest{Credits: 5})
	p.has(5)
	for _, delivery := range p.got {
		p.acks(delivery)
	}
	if len(p.got) != 5 {
		t.Errorf("%d deliveries for 5 credits", len(p.got))
	}
	p.send(&edriv1.DeliverRequest{Credits: 3})
	p.has(8)
	p.send(&edriv1.DeliverRequest{Credits: 12})
	p.has(20)
	for i, delivery := range p.got {
		if delivery.Event.Position != p.got[0].Event.Position+uint64(i) || delivery.Attempt != 1 {
			t.Errorf("delivery %d is of %d, attempt %d", i, delivery.Event.Position, delivery.Attempt)
		}
	}
}

// A peer that asks for much and reads nothing loses what it does not answer to the others,
// and neither they nor the end of the node wait for it.
func TestAStreamThatIsNotReadHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.subscribe("s", &edriv1.SubscriptionConfig{AckWait: int64(time.Second), MaxDeliver: 100, Backoff: []int64{int64(time.Millisecond)}})
	silent := d.join("s", 60)
	for d.how("s").Members == 0 { // it comes first, and is served first
	}
	const events = 100
	d.append("s", events, strings.Repeat("x", 100<<10)) // more than the connection takes unread
	reader := d.join("s", 1)
	done := map[uint64]bool{}
	for len(done) < events {
		n := len(reader.got)
		reader.has(n + 1)
		for _, delivery := range reader.got[n:] {
			reader.acks(delivery)
			done[delivery.Event.Position] = true
			reader.send(&edriv1.DeliverRequest{Credits: 1})
		}
	}
	if how := d.how("s"); how.Pending != 0 || how.Dead != 0 {
		t.Errorf("left is %v", how)
	}
	began := time.Now()
	if err := d.stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the node ended after %v", took)
	}
	silent.end()
}
