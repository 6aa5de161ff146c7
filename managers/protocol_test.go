package managers

import (
	"strings"
	"testing"
	"time"

	"github.com/edri-io/edri/event"
)

func TestMessagesOfAWorkerAreRead(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		`{"hello":{"protocol":1,"name":"w","concurrency":4,"heartbeatMs":500}}`,
		`{"ack":{"id":7,"append":[{"stream":"s","expected":"exists","event":{"type":"t"}}],"respond":{"data":1}}}`,
		`{"ack":{"id":7}}`,
		`{"ack":{"id":7,"put":[{"bucket":"b","key":"k","value":{"n":1},"ttlMs":0,"expected":0}],"delete":[{"key":"k","expected":"5"}]}}`,
		`{"get":{"id":1,"bucket":"b","key":"k"}}`,
		`{"nak":{"id":7,"reason":"busy","delayMs":100}}`,
		`{"park":{"id":7,"reason":"bad"}}`,
		`{"skip":{"id":7}}`,
		` {"heartbeat":{}} `,
	} {
		if _, err := decodeMessage([]byte(line)); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
}

func TestWhatIsNotInTheProtocolIsRefused(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		``:                                 "empty",
		`hello`:                            "invalid character",
		`{}`:                               "0 members",
		`{"ack":{"id":1},"skip":{"id":1}}`: "2 members",
		`{"acknowledge":{"id":1}}`:         `unknown field "acknowledge"`,
		`{"ack":{"id":1,"stream":"s"}}`:    `unknown field "stream"`,
		`{"ack":{"id":-1}}`:                "cannot unmarshal",
		`{"skip":{"id":1}} {}`:             "something follows",
		`{"ack":{"id":1,"append":[{"expected":"newest","event":{}}]}}`: "newest",
		`[]`: "cannot unmarshal",
	} {
		if _, err := decodeMessage([]byte(line)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want an error about %s", line, err, want)
		}
	}
}

func TestAHelloThatCannotBeServedIsRefused(t *testing.T) {
	t.Parallel()
	for want, h := range map[string]workerHello{
		"protocol 2":      {Protocol: 2},
		"protocol 0":      {},
		"concurrency -1":  {Protocol: 1, Concurrency: -1},
		"heartbeatMs 1 ":  {Protocol: 1, HeartbeatMs: 1},
		"heartbeatMs -1":  {Protocol: 1, HeartbeatMs: -1},
		"heartbeatMs 999": {Protocol: 1, HeartbeatMs: 9999999999999999},
	} {
		if err := h.check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error about %s", err, want)
		}
	}
}

var anOrigin = origin{"/me", &Delivery{Recorded: event.Recorded{
	Event: event.Event{ID: "o-1", Source: "/shop", Type: "asked"}, Position: 42}, Generation: 3}}

// The lines are what workers in other languages were written to.
func TestLinesToAWorker(t *testing.T) {
	t.Parallel()
	d := *anOrigin.delivery
	d.Subscription, d.Attempt, d.Stream, d.Revision = "billing", 2, "order/1", 5
	d.Data, d.DataContentType = []byte(`{"a":"<1>"}`), "application/json"
	d.Stamp = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	request := d
	request.Deadline = d.Stamp.Add(time.Minute)
	for want, m := range map[string]hostMessage{
		`{"hello":{"protocol":1,"subscription":"billing","instance":2,"concurrency":4}}`: {
			Hello: &hostHello{1, "billing", 2, 4}},
		`{"ping":{}}`: {Ping: &struct{}{}},
		`{"stop":{}}`: {Stop: &struct{}{}},
		`{"deliver":{"id":7,"attempt":2,"effectId":"billing/3/42","timeoutMs":1500,"event":{"specversion":"1.0","id":"o-1",` +
			`"source":"/shop","type":"asked","datacontenttype":"application/json","edristream":"order/1","edriposition":"42",` +
			`"edrirevision":"5","edristamp":"2026-01-02T03:04:05Z","data":{"a":"<1>"}}}}`: newDeliver(7, &d, 1500*time.Millisecond),
		`"timeoutMs":1,"deadline":"2026-01-02T03:05:05Z","event"`: newDeliver(7, &request, time.Millisecond),
	} {
		line, err := m.encode()
		if got := string(line); err != nil || !strings.Contains(got, want) || strings.Index(got, "\n") != len(got)-1 {
			t.Errorf("got %s (%v), want %s", got, err, want)
		}
	}
}

func effectsOfLine(line string) (Effects, error) {
	m, err := decodeMessage([]byte(line))
	if err != nil {
		return Effects{}, err
	}
	return m.Ack.effects(anOrigin)
}

func TestEffectsOfAnAckGetWhatTheyLack(t *testing.T) {
	t.Parallel()
	e, err := effectsOfLine(`{"ack":{"id":7,"append":[
		{"event":{"type":"a","data":{"n":12345678901234567890.10}}},
		{"stream":"s","expected":3,"event": {"specversion":"1.0","id":"x","source":"/y","type":"b"}},
		{"expected":"0","event":{"type":"c"}}
	],"respond":{}}}`)
	if err != nil {
		t.Fatal(err)
	}
	first, second, third := e.Appends[0], e.Appends[1], e.Appends[2]
	if first.Event.ID != "3/42/0" || first.Event.Source != "/me" || first.Expected != event.ExpectAny ||
		string(first.Event.Data) != `{"n":12345678901234567890.10}` {
		t.Errorf("first: %+v", first)
	}
	if second.Event.ID != "x" || second.Event.Source != "/y" || second.Stream != "s" || second.Expected != 3 {
		t.Errorf("second: %+v", second)
	}
	if third.Expected != 0 || third.Event.ID != "3/42/2" {
		t.Errorf("third: %+v", third)
	}
	if r := e.Response; r == nil || r.Type != "asked.response" || r.ID != "3/42/response" {
		t.Errorf("response: %+v", r)
	}
}

func TestEffectsThatAreNoEventsAreRefused(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		`{"ack":{"append":[{}]}}`:                                          "effect 0: invalid: event: is not a JSON object",
		`{"ack":{"append":[{"event":null}]}}`:                              "effect 0: invalid: event: is not a JSON object",
		`{"ack":{"append":[{"event":[]}]}}`:                                "effect 0",
		`{"ack":{"append":[{"event":{}}]}}`:                                "type",
		`{"ack":{"append":[{"event":{"type":"t"}},{"event":{"type":1}}]}}`: "effect 1",
		`{"ack":{"append":[{"event":{"type":"t","Bad":1}}]}}`:              "Bad",
		`{"ack":{"respond":"yes"}}`:                                        "response",
	} {
		if _, err := effectsOfLine(line); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want an error about %s", line, err, want)
		}
	}
}

// Whatever a worker writes is either refused or makes effects that are valid.
func FuzzMessage(f *testing.F) {
	f.Add(`{"hello":{"protocol":1,"concurrency":2,"heartbeatMs":500}}`)
	f.Add(`{"ack":{"id":1,"append":[{"stream":"s","expected":"any","event":{"type":"t","data":[1]}}],"respond":{}}}`)
	f.Add(`{"nak":{"id":1,"reason":"r","delayMs":5}}`)
	f.Fuzz(func(t *testing.T, line string) {
		m, err := decodeMessage([]byte(line))
		if err != nil || m.Ack == nil {
			return
		}
		e, err := m.Ack.effects(anOrigin)
		if err != nil {
			return
		}
		for _, a := range e.Appends {
			if err := a.Event.Validate(); err != nil {
				t.Errorf("%q makes an event that is not valid: %v", line, err)
			}
		}
	})
}
