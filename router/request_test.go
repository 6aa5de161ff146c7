package router

import (
	"fmt"
	"testing"
	"time"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/event"
)

func request1(id string, timeout time.Duration, gather uint32) *edriv1.Op {
	return &edriv1.Op{Op: &edriv1.Op_SendRequest{SendRequest: &edriv1.SendRequest{
		Stream: "questions", Event: wireEvent(id, event.KindRequest), Timeout: int64(timeout), Gather: gather,
	}}}
}

func response(request uint64, id string) *edriv1.Op {
	return &edriv1.Op{Op: &edriv1.Op_Respond{Respond: &edriv1.Respond{
		Request: request, Stream: "answers", Event: wireEvent(id, event.KindResponse),
	}}}
}

// outcome renders a request.
func (h *hall) outcome(p uint64) string {
	h.Helper()
	v := h.core.View()
	defer v.Close()
	r, ok, err := RequestOf(v, event.Position(p))
	if err != nil {
		h.Fatalf("read request: %v", err)
	}
	if !ok {
		return "none"
	}
	return fmt.Sprint([]string{"open", "answered", "expired"}[r.State], r.Responses, " until ", r.Deadline)
}

func TestFirstResponseWins(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	sent := h.must(request1("q", time.Minute, 0)).GetRequestSent()
	if sent.Position != 1 || sent.Duplicate {
		t.Errorf("sent: %v", sent)
	}
	if again := h.must(request1("q", time.Minute, 0)).GetRequestSent(); again.Position != 1 || !again.Duplicate {
		t.Errorf("sent again: %v", again)
	}
	if got := h.outcome(1); got != "open[] until 60000001000" {
		t.Errorf("outcome %q", got)
	}
	// The second loses without failing what else its commit does.
	if r := h.must(response(1, "a")).GetResponded(); r.Position != 2 || r.Code != "" {
		t.Errorf("responded: %v", r)
	}
	if got := h.told(); got != "Request{1}" {
		t.Errorf("told %q", got)
	}
	r := h.do(response(1, "b"), add("with it"))
	if got := r.Results[0].GetResponded(); got.Position != 0 || got.Code != "already_answered" || r.Results[1].GetAppended().GetPosition() != 3 {
		t.Errorf("the second: %v", r)
	}
	if got := h.must(response(2, "c")).GetResponded(); got.Code != "not_found" {
		t.Errorf("a response to no request: %v", got)
	}
	h.reopen()
	if got := h.outcome(1); got != "answered[2] until 60000001000" {
		t.Errorf("outcome %q", got)
	}
	if first := h.retain(4); first != 1 {
		t.Errorf("first is %d", first)
	}
	h.pass(time.Minute)
	h.pass(time.Hour - 1)
	if got := h.outcome(1); got != "answered[2] until 60000001000" {
		t.Errorf("within the hour: %q", got)
	}
	h.pass(1)
	if got := h.outcome(1); got != "none" || h.timers() != 0 {
		t.Errorf("after the hour: %q, %d timers", got, h.timers())
	}
	if first := h.retain(4); first != 4 {
		t.Errorf("first is %d", first)
	}
	if got := code(h.do(request1("q", time.Minute, 0))); got != "exists" {
		t.Errorf("a request that is over: %q", got)
	}
}

func TestRequestExpires(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	h.must(request1("q", time.Second, 2))
	h.must(response(1, "a"))
	if again := h.must(response(1, "a")).GetResponded(); again.Position != 2 {
		t.Errorf("the same response again: %v", again)
	}
	h.now += int64(time.Second) // the deadline, before its timer fires
	if r := h.must(response(1, "b")).GetResponded(); r.Code != "deadline_exceeded" || r.Position != 0 {
		t.Errorf("late: %v", r)
	}
	if got := h.told(); got != "" {
		t.Errorf("told %q", got)
	}
	h.pass(0)
	if got := h.told(); got != "Request{1}" {
		t.Errorf("told %q", got)
	}
	if got := h.outcome(1); got != "expired[2] until 1000001000" {
		t.Errorf("outcome %q", got)
	}
	if r := h.must(response(1, "b")).GetResponded(); r.Code != "deadline_exceeded" {
		t.Errorf("late: %v", r)
	}
}

func TestResponsesAreGathered(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	h.must(request1("q", 0, 3))
	for _, id := range []string{"a", "b", "c"} {
		h.must(response(1, id))
	}
	if got := h.outcome(1); got != "answered[2 3 4] until 30000001000" {
		t.Errorf("outcome %q", got)
	}
	if got := h.told(); got != "Request{1}" {
		t.Errorf("told %q", got)
	}
}

// An event that was appended before, and not as a request, is none.
func TestRequestIsNoEventThatIsThere(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	h.must(&edriv1.Op{Op: &edriv1.Op_Append{Append: &edriv1.Append{Event: wireEvent("q", event.KindRequest)}}})
	if got := code(h.do(request1("q", 0, 0))); got != "exists" {
		t.Errorf("got %q", got)
	}
	other := request1("q", 0, 0)
	other.GetSendRequest().Event.Type = "another"
	if got := code(h.do(other)); got != "id_conflict by 1" {
		t.Errorf("got %q", got)
	}
}
