package workflowstest

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/workflows"
)

// Handle has h answer the requests of a type, each on a goroutine of its own, those that
// wait already included. Nil: they wait.
func (c *Cluster) Handle(typ string, h Handler) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.handlers[typ] = h
	for n := range c.numbers {
		for seq, position := range c.runs[n+1].requests {
			if e := c.journal[position-1]; e.Type == typ {
				go c.serve(c.runs[n+1], seq, position, e.Event, h)
			}
		}
	}
}

// requestLocked makes a request, which is answered or expires.
func (c *Cluster) requestLocked(r *run, do workflows.SendRequest) {
	stream := do.Stream
	if stream == "" {
		stream = do.Event.Subject
	}
	if stream == "" {
		stream = do.Event.Source
	}
	sent := c.emitLocked(stream, do.Event)
	r.requests[do.Seq] = sent.Position
	time.AfterFunc(do.Timeout, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if r.requests[do.Seq] == sent.Position {
			delete(r.requests, do.Seq)
			c.enterLocked(r, workflows.KindRequestExpired, mustMarshal(workflows.Seq{Seq: do.Seq}))
		}
	})
	if h := c.handlers[do.Event.Type]; h != nil {
		go c.serve(r, do.Seq, sent.Position, do.Event, h)
	}
}

// serve answers a request.
func (c *Cluster) serve(r *run, seq uint64, position event.Position, request event.Event, h Handler) {
	data, err := h(request)
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.requests[seq] != position {
		return // too late
	}
	delete(r.requests, seq)
	response := event.Event{
		ID: request.ID + "/response", Source: "/handlers", Type: request.Type + ".response",
		DataContentType: "application/json", Data: mustMarshal(data),
	}
	if err != nil {
		response.DataContentType = "application/problem+json"
		response.Data = mustMarshal(map[string]any{"status": 500, "title": err.Error()})
	}
	answered := c.emitLocked("responses", response)
	c.enterLocked(r, workflows.KindResponse, mustMarshal(workflows.ResponseReceived{
		Seq: seq, Position: answered.Position, Response: response.AppendJSON(nil),
	}))
}

// Append appends an event, for runs to wait for.
func (c *Cluster) Append(stream string, e event.Event) event.Position {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.emitLocked(stream, e).Position
}

// emitLocked appends an event that is no history, and tells the runs that wait for it.
func (c *Cluster) emitLocked(stream string, e event.Event) event.Recorded {
	made := c.appendLocked(stream, e)
	for n := range c.numbers {
		r := c.runs[n+1]
		for seq, await := range r.awaits {
			if selects(&await, &made) {
				delete(r.awaits, seq)
				c.enterLocked(r, workflows.KindEvent, mustMarshal(workflows.EventReceived{
					Seq: seq, Position: made.Position, Stream: stream, Event: e.AppendJSON(nil),
				}))
			}
		}
	}
	return made
}

// selects reports whether an event is one that is awaited.
func selects(await *workflows.AwaitEvent, e *event.Recorded) bool {
	if e.Type != await.Type {
		return false
	}
	if await.Filter != nil {
		h, err := event.ScanHeader(event.AppendEvent(nil, &e.Event))
		if err != nil || !await.Filter.Matches(&h) {
			return false
		}
	}
	for name, want := range await.Match {
		if got, ok := valueOf(e, name); !ok || got != want {
			return false
		}
	}
	return true
}

// valueOf returns what an event has by a name of AwaitEvent.Match.
func valueOf(e *event.Recorded, name string) (string, bool) {
	switch name {
	case "subject":
		return e.Subject, e.Subject != ""
	case "source":
		return e.Source, true
	case "stream":
		return e.Stream, true
	}
	if !strings.HasPrefix(name, "/") {
		v, ok := e.Extensions[name]
		return v.String(), ok
	}
	var at any
	if json.Unmarshal(e.Data, &at) != nil {
		return "", false
	}
	for key := range strings.SplitSeq(name[1:], "/") {
		object, ok := at.(map[string]any)
		if !ok {
			return "", false
		}
		at = object[key]
	}
	switch at := at.(type) {
	case string:
		return at, true
	case nil:
		return "", false
	}
	return string(mustMarshal(at)), true
}

// Runs returns the numbers of all runs, and how many have ended, for checks at the end of a
// test.
func (c *Cluster) Runs() (numbers []uint64, ended int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for number, r := range c.runs {
		numbers = append(numbers, number)
		if r.Ended {
			ended++
		}
	}
	slices.Sort(numbers)
	return numbers, ended
}
