package api

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/edri-io/edri/api/edriv1/wire"
	"github.com/edri-io/edri/event"
)

// Media types of the CloudEvents HTTP binding.
const (
	mediaEvent  = "application/cloudevents+json"
	mediaBatch  = "application/cloudevents-batch+json"
	mediaNDJSON = "application/x-ndjson"
)

// mountCloudEvents mounts the CloudEvents HTTP binding, version 1.0.2, and its
// counterpart for reading.
func (s *service) mountCloudEvents(mux *http.ServeMux) {
	for pattern, handle := range map[string]func(http.ResponseWriter, *http.Request) error{
		"POST /v1/events":           s.postEvents,
		"GET /v1/events":            s.getEvents,
		"GET /v1/events/{position}": s.getEvent,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			code := "ok"
			if err := handle(w, r); err != nil {
				e := s.failures.public(r.Context(), err)
				writeProblem(w, e)
				code = statusOf(e.Code).rpc.String()
			}
			s.metrics.requests.WithLabelValues(pattern, code).Inc()
		})
	}
}

// posted is what a request wants to have appended.
type posted struct {
	events   []event.Event
	stream   string
	expected event.Expected
}

// postEvents appends one event, or a batch as one commit. The query may have
// `stream` and `expected`. An empty batch is an empty success.
func (s *service) postEvents(w http.ResponseWriter, r *http.Request) error {
	p, err := s.readPosted(w, r)
	if err != nil {
		return err
	}
	var commit []byte
	for i := range p.events {
		commit = wire.AppendAppendOp(commit, p.stream, int64(p.expected), event.AppendEvent(nil, &p.events[i]))
		// The first stands at the expected revision, the others behind it.
		p.expected = event.ExpectAny
	}
	result, err := s.execute(r.Context(), commit)
	if err != nil {
		return err
	}
	var decoded wire.CommitResult
	if err := decoded.Decode(result); err != nil {
		return fmt.Errorf("decode result: %w", err)
	}
	answer := postedResult{Position: event.Position(decoded.Position).String(), Events: []appendedResult{}}
	for _, op := range decoded.Ops {
		answer.Events = append(answer.Events, appendedResult{
			Position: event.Position(op.Position).String(), Revision: event.Revision(op.Revision).String(),
			Duplicate: op.Duplicate,
		})
	}
	writeJSON(w, http.StatusOK, answer)
	return nil
}

// postedResult is the answer to a POST. Numbers are strings, as in CloudEvents'
// extensions: JSON readers lose what is above 2^53.
type postedResult struct {
	Position string           `json:"position"` // what a read passes as min_position
	Events   []appendedResult `json:"events"`
}

type appendedResult struct {
	Position string `json:"position"`
	// Revision is "0" for a duplicate.
	Revision string `json:"revision"`
	// Duplicate: the event was there already, at Position.
	Duplicate bool `json:"duplicate"`
}

func (s *service) readPosted(w http.ResponseWriter, r *http.Request) (posted, error) {
	p := posted{expected: event.ExpectAny}
	query, err := parameters(r, "stream", "expected")
	if err != nil {
		return p, err
	}
	if p.stream = query.Get("stream"); p.stream != "" {
		if err := event.CheckName("stream", p.stream); err != nil {
			return p, err
		}
	}
	if query.Has("expected") {
		if p.expected, err = event.ParseExpected(query.Get("expected")); err != nil {
			return p, err
		}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(s.maxMessage())))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return p, event.TooLarge("request in bytes", tooLarge.Limit+1, tooLarge.Limit)
	}
	if err != nil {
		return p, event.Errorf(event.CodeInvalid, "read request: %v", err)
	}
	if p.events, err = decodePosted(r.Header, body); err != nil {
		return p, err
	}
	limits := s.cfg.Limits
	if len(p.events) > limits.Ops {
		return p, event.TooLarge("events of a batch", int64(len(p.events)), int64(limits.Ops))
	}
	if len(p.events) > 1 && p.expected != event.ExpectAny && p.stream == "" {
		return p, event.Errorf(event.CodeInvalid, "expected %s: a batch needs a stream with it", p.expected)
	}
	return p, nil
}

// decodePosted reads the events of a request in whichever mode it is.
func decodePosted(header http.Header, body []byte) ([]event.Event, error) {
	contentType := header.Get("Content-Type")
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil && contentType != "" {
		return nil, event.Errorf(event.CodeInvalid, "content type %q: %v", contentType, err)
	}
	switch {
	case media == mediaEvent:
		e, err := event.DecodeJSON(body)
		return []event.Event{e}, err
	case media == mediaBatch:
		return event.DecodeJSONBatch(body)
	case strings.HasPrefix(media, "application/cloudevents"):
		return nil, event.Errorf(event.CodeInvalid, "content type %q: only %s and %s are understood", contentType, mediaEvent, mediaBatch)
	case len(header.Values("ce-specversion")) > 0:
		e, err := decodeBinary(header, body)
		return []event.Event{e}, err
	}
	return nil, event.Errorf(event.CodeInvalid,
		"content type %q without header ce-specversion: want %s, %s, or an event in binary mode", contentType, mediaEvent, mediaBatch)
}
