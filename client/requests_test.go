package client

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/managers"
)

func requestEvent() event.Event {
	return event.Event{Source: "/test", Type: "price.asked", Data: []byte("what?")}
}

// answering is a cluster in which requests of requestEvent's type are answered by f.
func answering(t *testing.T, f func(*fakeRequest)) *fakeCluster {
	cluster := newFakeCluster(t, 2)
	cluster.router.responders = []string{"price.asked"}
	cluster.router.onRequest = f
	return cluster
}

func answerWith(contentType, data string) func(*fakeRequest) {
	return func(q *fakeRequest) {
		e := &edriv1.CloudEvent{Id: "r", Source: "/s", SpecVersion: "1.0", Type: "price.told", Data: &edriv1.CloudEvent_TextData{TextData: data}}
		e.Attributes = map[string]*edriv1.CloudEvent_CloudEventAttributeValue{
			"datacontenttype": {Attr: &edriv1.CloudEvent_CloudEventAttributeValue_CeString{CeString: contentType}},
		}
		q.answer(e)
	}
}

func TestCallReturnsTheResponse(t *testing.T) {
	t.Parallel()
	cluster := answering(t, answerWith("text/plain", "7"))
	c := cluster.client(t, Config{})
	got, err := c.Call(testContext(t), "prices", requestEvent(), CallOptions{Timeout: time.Minute})
	if err != nil || string(got.Data) != "7" || got.Type != "price.told" {
		t.Fatalf("got %+v, %v", got, err)
	}
	q := cluster.router.requests[0].send
	if q.Stream != "prices" || !q.Call || time.Duration(q.Timeout) != time.Minute || q.Event.Id == "" ||
		q.Event.Attributes["edrikind"].GetCeString() != "request" {
		t.Errorf("sent %v", q)
	}
	if _, err := c.Call(testContext(t), "", requestEvent(), CallOptions{}); err != nil {
		t.Errorf("another call: %v", err)
	}
	if cluster.router.requests[1].send.Event.Id == q.Event.Id {
		t.Error("two requests have the same id")
	}
	e := requestEvent()
	e.Type = "nobody.cares"
	_, err = c.Call(testContext(t), "", e, CallOptions{})
	wantCode(t, err, event.CodeNoResponder)
	_, err = c.Call(testContext(t), "", requestEvent(), CallOptions{Timeout: -1})
	wantCode(t, err, event.CodeInvalid)
}

func TestAProblemIsAnError(t *testing.T) {
	t.Parallel()
	c := answering(t, answerWith("application/problem+json; charset=utf-8",
		`{"type":"/sold-out","title":"Sold out","status":410,"detail":"none left","instance":7,"left":0}`)).client(t, Config{})
	_, err := c.Call(testContext(t), "", requestEvent(), CallOptions{})
	var p *Problem
	if !errors.As(err, &p) || p.Type != "/sold-out" || p.Title != "Sold out" || p.Status != 410 || p.Detail != "none left" || p.Instance != "" ||
		p.Response.Type != "price.told" {
		t.Fatalf("got %#v", err)
	}
	if want := "the request was answered with a problem: Sold out: none left (status 410)"; p.Error() != want {
		t.Errorf("got %q, want %q", p.Error(), want)
	}
	c = answering(t, answerWith("application/problem+json", `no JSON`)).client(t, Config{})
	if _, err := c.Call(testContext(t), "", requestEvent(), CallOptions{}); !errors.As(err, &p) {
		t.Errorf("got %#v", err)
	}
}

func TestACallWhoseConnectionDiesJoinsItsRequest(t *testing.T) {
	t.Parallel()
	cluster := answering(t, nil)
	calls := 0
	cluster.router.judgeRequest = func(*fakeNode) verdict {
		switch calls++; calls {
		case 1:
			return dropBefore
		case 2:
			return dropAfter
		case 3:
			return sayUnavailable
		}
		answerWith("text/plain", "7")(cluster.router.requests[0])
		return execute
	}
	got, err := cluster.client(t, Config{}).Call(testContext(t), "", requestEvent(), CallOptions{})
	if err != nil || string(got.Data) != "7" {
		t.Errorf("got %+v, %v", got, err)
	}
	if n := len(cluster.router.requests); n != 1 {
		t.Errorf("%d requests were made, want 1", n)
	}
}

func TestACallThatIsGivenUpMayHaveBeenMade(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(testContext(t))
	cluster := answering(t, func(*fakeRequest) { cancel() })
	_, err := cluster.client(t, Config{}).Call(ctx, "", requestEvent(), CallOptions{})
	wantCode(t, err, event.CodeOutcomeUnknown)
	gone := newFakeCluster(t, 1)
	gone.nodes[0].stop()
	_, err = gone.client(t, Config{GiveUpAfter: 30 * time.Millisecond}).Call(testContext(t), "", requestEvent(), CallOptions{})
	wantCode(t, err, event.CodeUnavailable)
}

func TestAnExpiredRequestSaysSo(t *testing.T) {
	t.Parallel()
	cluster := answering(t, func(q *fakeRequest) { q.end(edriv1.RequestOutcome_EXPIRED) })
	c := cluster.client(t, Config{})
	_, err := c.Call(testContext(t), "", requestEvent(), CallOptions{})
	wantCode(t, err, event.CodeDeadlineExceeded)
	_, err = c.Attach(testContext(t), 1)
	wantCode(t, err, event.CodeDeadlineExceeded)
}

func TestSendAndAttach(t *testing.T) {
	t.Parallel()
	cluster := answering(t, nil)
	c, ctx := cluster.client(t, Config{}), testContext(t)
	id, err := c.Send(ctx, "", requestEvent(), CallOptions{})
	if err != nil || id != 1 {
		t.Fatalf("sent as %d, %v", id, err)
	}
	if o, err := c.RequestOutcome(ctx, id); err != nil || o.State != RequestOpen || o.Request != 1 || time.Until(o.Deadline) < 20*time.Second {
		t.Errorf("got %+v, %v", o, err)
	}
	cluster.with(func() { answerWith("text/plain", "7")(cluster.router.requests[0]) })
	if got, err := c.Attach(ctx, id); err != nil || string(got.Data) != "7" {
		t.Errorf("got %+v, %v", got, err)
	}
	_, err = c.Attach(ctx, 9)
	wantCode(t, err, event.CodeNotFound)
}

func TestGatherReturnsWhatCame(t *testing.T) {
	t.Parallel()
	two := func(q *fakeRequest) {
		answerWith("text/plain", "7")(q)
		answerWith("application/problem+json", "{}")(q)
	}
	c := answering(t, two).client(t, Config{})
	got, err := c.Gather(testContext(t), "", requestEvent(), 2, time.Second)
	if err != nil || len(got) != 2 || AsProblem(&got[0]) != nil || AsProblem(&got[1]) == nil {
		t.Errorf("got %v, %v", got, err)
	}
	c = answering(t, func(q *fakeRequest) { two(q); q.end(edriv1.RequestOutcome_EXPIRED) }).client(t, Config{})
	if got, err := c.Gather(testContext(t), "", requestEvent(), 3, time.Second); err != nil || len(got) != 2 {
		t.Errorf("got %v, %v", got, err)
	}
	_, err = c.Gather(testContext(t), "", requestEvent(), 1001, time.Second)
	wantCode(t, err, event.CodeInvalid)
}

// A member of a subscription answers with its acknowledgement.
func TestAHandleRespondsToARequest(t *testing.T) {
	t.Parallel()
	cluster := answering(t, nil)
	sub := cluster.subscribe("sub", 1) // whose event at position 1 stands for the request
	c := cluster.client(t, Config{})
	r := consume(t, c, managers.Consumer{Handle: func(_ context.Context, d managers.Delivery) managers.Settlement {
		return managers.Settlement{Effects: managers.Effects{Response: &event.Event{Source: "/s", Type: "price.told", Data: []byte("7")}}}
	}})
	cluster.eventually(t, "it is acknowledged", func() bool { return sub.done[1] == 1 })
	_ = r.end(t)
	responses := cluster.router.responses
	if len(responses) != 1 || responses[0].Request != 1 || responses[0].Event.Id == "" ||
		responses[0].Event.Attributes["edrikind"].GetCeString() != "response" {
		t.Errorf("got %v", responses)
	}
}
