package client

import (
	"encoding/json"
	"fmt"
	"mime"
	"strings"

	"github.com/edri-io/edri/event"
)

// problemType is the media type of RFC 9457.
const problemType = "application/problem+json"

// Problem is a response that says why a request was not done, as RFC 9457 describes it.
type Problem struct {
	// Type is a URI reference of the kind of problem; empty: about:blank.
	Type     string `json:"type,omitempty"`
	Title    string `json:"title,omitempty"`
	Status   int    `json:"status,omitempty"` // as of HTTP; 0: not given
	Detail   string `json:"detail,omitempty"`
	Instance string `json:"instance,omitempty"`
	// Response is the event, with what else its data says.
	Response event.Recorded `json:"-"`
}

// Error returns what the problem says.
func (p *Problem) Error() string {
	var b strings.Builder
	b.WriteString("the request was answered with a problem")
	for _, s := range []string{p.Title, p.Detail} {
		if s != "" {
			b.WriteString(": " + s)
		}
	}
	if p.Status != 0 {
		fmt.Fprintf(&b, " (status %d)", p.Status)
	}
	return b.String()
}

// AsProblem returns the *Problem that a response is, nil where it is none. Members of
// a problem that are not of their type are ignored, as the RFC says.
func AsProblem(r *event.Recorded) error {
	mediaType, _, err := mime.ParseMediaType(r.DataContentType)
	if err != nil || mediaType != problemType {
		return nil
	}
	p := &Problem{Response: *r}
	var members map[string]json.RawMessage
	if json.Unmarshal(r.Data, &members) != nil {
		p.Detail = "the problem is not JSON"
		return p
	}
	for name, member := range map[string]any{
		"type": &p.Type, "title": &p.Title, "status": &p.Status, "detail": &p.Detail, "instance": &p.Instance,
	} {
		if raw, ok := members[name]; ok {
			_ = json.Unmarshal(raw, member) // then it stays empty
		}
	}
	return p
}
