package router

import (
	"strings"
	"testing"
	"time"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/event"
)

// ask sends a request whose handlers have so long.
func (s *stage) ask(id string, timeout time.Duration) event.Position {
	s.Helper()
	p := s.must(request1(id, timeout, 0)).GetRequestSent().GetPosition()
	s.run()
	return event.Position(p)
}

// answered holds a request's outcome, without its deadline, to what is expected.
func (s *stage) answered(p event.Position, want string) {
	s.Helper()
	got, _, _ := strings.Cut(s.outcome(uint64(p)), " until")
	if got != want {
		s.Errorf("request %d is %s, want %s", p, got, want)
	}
}

func TestCallerHearsThatItsRequestWasGivenUp(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.subscribe("clerks", of("test"))
	c := s.join("clerks", "c", 10)
	p := s.ask("q", time.Minute)
	c.gets("1")
	settle := c.settlement(p, edriv1.Settle_PARK)
	settle.Reason = "no \"such\" order"
	c.settle(settle, func(string) {})
	s.run()
	s.answered(p, "answered[3]") // behind the event of the dead letter
	want := `/edri/router edri.request.given_up  {"type":"urn:edri:problem:given_up","title":"the request was given up","status":500,` +
		`"detail":"attempt 1: no \"such\" order","subscription":"clerks"}`
	if got := s.data(3); got != want {
		t.Errorf("response\n%s, want\n%s", got, want)
	}
	s.expectState("clerks", "cursor 1;; 1(1)")
	if n := s.rows(kindUnanswered); n != 0 {
		t.Errorf("%d requests are kept as not answered", n)
	}
	// Brought back it has no effect: its caller was told that it has none.
	s.must(redriveOf("clerks"))
	s.run()
	c.gets("")
	s.expectState("clerks", "cursor 1;;")
	if r := s.must(response(uint64(p), "late")).GetResponded(); r.Code != "already_answered" {
		t.Errorf("a later response: %v", r)
	}
}

// The last attempt may also be lost.
func TestCallerHearsOfAnAttemptThatWasLost(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	config := of("test")
	config.MaxDeliver = 1
	s.subscribe("clerks", config)
	c := s.join("clerks", "c", 1)
	p := s.ask("q", time.Minute)
	c.gets("1")
	s.wait(31 * time.Second) // its lease ends
	s.answered(p, "answered[3]")
}

// One subscription's failure is not the caller's while another may answer.
func TestCallerIsNotToldOfAFailureBesideWhichItMayBeAnswered(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]struct {
		do   func(s *stage, clerk *seat, p event.Position)
		want string
	}{
		"it answers": {func(s *stage, clerk *seat, p event.Position) {
			clerk.settle(clerk.settlement(p, edriv1.Settle_ACK), func(string) {}, response(uint64(p), "a"))
			s.run()
		}, "answered[3]"},
		"it is done without":        {func(_ *stage, clerk *seat, p event.Position) { clerk.acks(p) }, "answered[3]"},
		"it gives up too":           {func(_ *stage, clerk *seat, p event.Position) { clerk.says(p, edriv1.Settle_PARK) }, "answered[4]"},
		"its subscription is ended": {func(s *stage, _ *seat, _ event.Position) { s.must(remove("clerks")); s.wait(checkpointTick) }, "answered[3]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.subscribe("auditors", of("test"))
			s.subscribe("clerks", of("test"))
			auditor := s.join("auditors", "a", 10)
			p := s.ask("q", time.Minute)
			auditor.says(p, edriv1.Settle_PARK)
			s.answered(p, "open[]")
			clerk := s.join("clerks", "c", 10) // which has not come to it until now
			s.run()
			clerk.gets("1")
			s.wait(2 * checkpointTick)
			s.answered(p, "open[]")
			end.do(s, clerk, p)
			s.answered(p, end.want)
		})
	}
}

// What was given up is told by whoever leads then, once.
func TestCallerHearsItFromTheNextLeader(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.subscribe("clerks", of("test"))
	c := s.join("clerks", "c", 10)
	p := s.ask("q", time.Minute)
	c.settle(c.settlement(p, edriv1.Settle_PARK), func(string) {})
	s.step()
	s.commit() // the park; its note is not taken yet
	s.elect()  // and the leader is gone
	s.answered(p, "open[]")
	s.run()
	s.answered(p, "answered[3]")
	// An entry of the leader before that is committed after all has no effect.
	e := wireEvent("other", event.KindResponse)
	s.lead(opAnswer, encodeAnswer(p, 1, []byte(e.String())))
	s.answered(p, "answered[3]")
}

// A dead letter that is redriven before its caller is told may be answered.
func TestRedriveTakesBackThatARequestWasGivenUp(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.subscribe("clerks", of("test"))
	c := s.join("clerks", "c", 10)
	p := s.ask("q", time.Minute)
	c.settle(c.settlement(p, edriv1.Settle_PARK), func(string) {})
	s.commit()
	for len(s.log) == 0 { // until the answer is on its way
		s.step()
	}
	s.must(redriveOf("clerks"))
	s.run()
	s.answered(p, "open[]")
	c.gets("1 1")
	c.settle(c.settlement(p, edriv1.Settle_ACK), func(string) {}, response(uint64(p), "a"))
	s.run()
	s.answered(p, "answered[3]")
}

// A request whose deadline passes first expires as ever, and nothing is left of it.
func TestGivenUpRequestExpires(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.subscribe("clerks", of("test"))
	s.subscribe("auditors", of("test"))
	c := s.join("clerks", "c", 10)
	p := s.ask("q", time.Second)
	c.says(p, edriv1.Settle_PARK)
	s.wait(2 * time.Second)
	s.answered(p, "expired[]")
	if n := s.rows(kindUnanswered); n != 0 || len(s.d.answering.open) != 0 {
		t.Errorf("%d rows and %d in memory are left", n, len(s.d.answering.open))
	}
}

// A client that has taken the id of the response stops neither the node nor the leader.
func TestGivenUpWithATakenID(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	g := s.subscribe("clerks", of("test"))
	c := s.join("clerks", "c", 10)
	p := s.ask("q", time.Second)
	s.must(&edriv1.Op{Op: &edriv1.Op_Append{Append: &edriv1.Append{Event: &edriv1.CloudEvent{
		Id: answerID(g, g, p), Source: deadSource, SpecVersion: "1.0", Type: "x",
	}}}})
	c.says(p, edriv1.Settle_PARK)
	s.answered(p, "open[]")
	s.wait(2 * time.Second)
	s.answered(p, "expired[]")
}
