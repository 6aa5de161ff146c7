package api

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/edri-io/edri/event"
)

// problem is an error as RFC 9457 has it, with the members that its code adds.
type problem struct {
	Type   string `json:"type"` // urn:edri:error:CODE
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`

	Code       event.Code         `json:"code"`
	Stream     string             `json:"stream,omitempty"`
	Expected   string             `json:"expected,omitempty"`
	Actual     string             `json:"actual,omitempty"`
	Position   string             `json:"position,omitempty"`
	Size       int64              `json:"size,omitempty"`
	Max        int64              `json:"max,omitempty"`
	First      string             `json:"first,omitempty"`
	Leader     string             `json:"leader,omitempty"`
	Violations []problemViolation `json:"violations,omitempty"`
}

type problemViolation struct {
	Event int        `json:"event"` // its index in the batch, from 0
	Code  event.Code `json:"code"`
	// Detail is the violation's message.
	Detail string `json:"detail,omitempty"`
}

func newProblem(e *event.Error) problem {
	p := problem{
		Type:  "urn:edri:error:" + string(e.Code),
		Title: strings.ReplaceAll(string(e.Code), "_", " "), Status: statusOf(e.Code).http,
		Detail: e.Message, Code: e.Code, Size: e.Size, Max: e.Max, Leader: e.Leader,
	}
	switch e.Code {
	case event.CodeRevisionConflict:
		p.Stream, p.Expected, p.Actual = e.Stream, e.Expected.String(), e.Actual.String()
	case event.CodeIDConflict:
		p.Position = e.Position.String()
	case event.CodeCompacted:
		p.First = e.First.String()
	}
	for _, v := range e.Violations {
		p.Violations = append(p.Violations, problemViolation{v.Op, v.Err.Code, v.Err.Message})
	}
	return p
}

func writeProblem(w http.ResponseWriter, e *event.Error) {
	p := newProblem(e)
	w.Header().Set("Content-Type", "application/problem+json")
	if p.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // a caller who is gone needs no answer
}
