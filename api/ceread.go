package api

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/log"
)

// The cursor that goes on after an answer: a header of a batch, a trailer of
// newline-delimited JSON.
const cursorHeader = "Edri-Cursor"

// Events in a batch answer, which is put together in memory.
const (
	defaultBatch = 100
	maxBatch     = 1000
)

var readParameters = []string{
	"stream", "type", "type_prefix", "subject", "source", "correlation", "from", "to", "since", "until",
	"reverse", "limit", "cursor", "consistency", "min_position", "follow",
}

// parameters returns the query of a request that has no others than the named,
// and each once: one that is misspelt must not be left out in silence.
func parameters(r *http.Request, names ...string) (url.Values, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, event.Errorf(event.CodeInvalid, "query: %v", err)
	}
	for name, values := range query {
		if !slices.Contains(names, name) {
			return nil, event.Errorf(event.CodeInvalid, "parameter %q: there is no such; there are %s", name, strings.Join(names, ", "))
		}
		if len(values) > 1 {
			return nil, event.Errorf(event.CodeInvalid, "parameter %s: is there %d times", name, len(values))
		}
	}
	return query, nil
}

// getEvent answers with the event at a position, in structured mode.
func (s *service) getEvent(w http.ResponseWriter, r *http.Request) error {
	query, err := parameters(r, "consistency", "min_position")
	if err != nil {
		return err
	}
	p := parser{query: query}
	position, err := strconv.ParseUint(r.PathValue("position"), 10, 64)
	if err != nil {
		return event.Errorf(event.CodeInvalid, "position %q: is not a number", r.PathValue("position"))
	}
	fresh, err := newFreshness(p.consistency(), p.number("min_position"))
	if p.err != nil {
		return p.err
	}
	if err != nil {
		return err
	}
	record, err := s.recordAt(r.Context(), event.Position(position), fresh)
	if err != nil {
		return err
	}
	body, err := appendJSON(nil, &record)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", mediaEvent)
	_, _ = w.Write(append(body, '\n')) // a caller who is gone needs no answer
	return nil
}

// getEvents answers with the events that match: one a line, or as a batch where
// that is accepted. With `follow` it does not end.
func (s *service) getEvents(w http.ResponseWriter, r *http.Request) error {
	query, err := parameters(r, readParameters...)
	if err != nil {
		return err
	}
	p := parser{query: query}
	request, follow := p.request(), p.boolean("follow")
	if p.err != nil {
		return p.err
	}
	batch := strings.Contains(r.Header.Get("Accept"), mediaBatch)
	switch {
	case batch && follow:
		return event.Errorf(event.CodeInvalid, "follow: not as a batch, which has an end")
	case batch && request.Limit == 0:
		request.Limit = defaultBatch
	case batch && request.Limit > maxBatch:
		return event.Errorf(event.CodeInvalid, "limit %d: at most %d events in a batch", request.Limit, maxBatch)
	}
	scan, err := s.beginScan(r.Context(), request, follow)
	if err != nil {
		return err
	}
	if batch {
		return s.writeBatch(r.Context(), w, scan)
	}
	return s.writeLines(w, r, scan)
}

func (s *service) writeBatch(ctx context.Context, w http.ResponseWriter, scan *scan) error {
	ctx, cancel := s.untilStop(ctx)
	defer cancel()
	body := []byte{'['}
	for !scan.over() {
		// A filter that matches little goes through much of the history.
		if err := ctx.Err(); err != nil {
			return s.whyEnded(err)
		}
		events, _, err := scan.batch(func(r *log.Record) (n int, err error) {
			if len(body) > 1 {
				body = append(body, ',')
			}
			body, err = appendJSON(body, r)
			return len(r.Event), err
		})
		if err != nil {
			return err
		}
		s.metrics.eventsRead.Add(float64(events))
		if len(body) > s.maxMessage() {
			break // the cursor goes on
		}
	}
	w.Header().Set("Content-Type", mediaBatch)
	w.Header().Set(cursorHeader, scan.cursor())
	_, _ = w.Write(append(body, ']', '\n')) // a caller who is gone needs no answer
	return nil
}

// writeLines writes until the scan is over. An error after the first line can
// only be told by breaking off, so that nobody takes a part for the whole.
func (s *service) writeLines(w http.ResponseWriter, r *http.Request, scan *scan) error {
	ctx, cancel := s.untilStop(r.Context())
	defer cancel()
	w.Header().Set("Content-Type", mediaNDJSON)
	w.Header().Set("Trailer", cursorHeader)
	flush := http.NewResponseController(w).Flush
	var lines []byte
	for begun := false; ; begun = true {
		lines = lines[:0]
		events, caughtUp, err := scan.batch(func(r *log.Record) (n int, err error) {
			before := len(lines)
			lines, err = appendJSON(lines, r)
			lines = append(lines, '\n')
			return len(lines) - before, err
		})
		if err == nil {
			s.metrics.eventsRead.Add(float64(events))
			if _, err = w.Write(lines); err == nil {
				err = flush()
			}
		} else if !begun {
			w.Header().Del("Trailer")
			return err
		}
		if err == nil && scan.over() {
			w.Header().Set(cursorHeader, scan.cursor())
			return nil
		}
		if err == nil && caughtUp {
			err = s.follow(ctx, scan, func([]byte) error { return nil })
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			s.failures.public(r.Context(), err) // logged there if it is internal
			panic(http.ErrAbortHandler)
		}
	}
}

// appendJSON appends a record as a CloudEvent in structured mode, with its place
// in edri's attributes.
func appendJSON(dst []byte, r *log.Record) ([]byte, error) {
	e, err := event.DecodeEvent(r.Event)
	if err != nil {
		// Not the caller's fault, so not with the code that it carries.
		return dst, fmt.Errorf("decode event at position %d: %v", r.Position, err)
	}
	recorded := event.Recorded{
		Event: e, Position: r.Position, Revision: r.Revision,
		Stream: r.Stream, Stamp: time.Unix(0, r.Stamp).UTC(),
	}
	return recorded.AppendJSON(dst), nil
}

// parser reads parameters and keeps the first error.
type parser struct {
	query url.Values
	err   error
}

func (p *parser) request() *edriv1.ReadRequest {
	return &edriv1.ReadRequest{
		Stream: p.query.Get("stream"), Type: p.query.Get("type"), TypePrefix: p.query.Get("type_prefix"),
		Subject: p.query.Get("subject"), Source: p.query.Get("source"), Correlation: p.query.Get("correlation"),
		From: p.number("from"), To: p.number("to"), Since: p.time("since"), Until: p.time("until"),
		Reverse: p.boolean("reverse"), Limit: p.number("limit"), Cursor: p.query.Get("cursor"),
		Consistency: p.consistency(), MinPosition: p.number("min_position"),
	}
}

func (p *parser) fail(name, want string) {
	if p.err == nil {
		p.err = event.Errorf(event.CodeInvalid, "parameter %s %q: is not %s", name, p.query.Get(name), want)
	}
}

func (p *parser) number(name string) uint64 {
	if !p.query.Has(name) {
		return 0
	}
	n, err := strconv.ParseUint(p.query.Get(name), 10, 64)
	if err != nil {
		p.fail(name, "a number")
	}
	return n
}

func (p *parser) time(name string) int64 {
	if !p.query.Has(name) {
		return 0
	}
	t, err := time.Parse(time.RFC3339Nano, p.query.Get(name))
	if err != nil || t.Before(time.Unix(0, 1)) || t.Year() > 2261 {
		p.fail(name, "a time since 1970 in the form of RFC 3339")
		return 0
	}
	return t.UnixNano()
}

func (p *parser) boolean(name string) bool {
	if !p.query.Has(name) {
		return false
	}
	b, err := strconv.ParseBool(p.query.Get(name))
	if err != nil {
		p.fail(name, "true or false")
	}
	return b
}

func (p *parser) consistency() edriv1.Consistency {
	switch p.query.Get("consistency") {
	case "", "stale":
		return edriv1.Consistency_CONSISTENCY_STALE
	case "linearizable":
		return edriv1.Consistency_CONSISTENCY_LINEARIZABLE
	}
	p.fail("consistency", "linearizable or stale")
	return edriv1.Consistency_CONSISTENCY_UNSPECIFIED
}
