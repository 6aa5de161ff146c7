package api

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/edri-io/edri/event"
)

const cePrefix = "Ce-" // as net/http writes it

// decodeBinary reads an event in binary mode: attributes are headers that begin
// with ce-, the content type is datacontenttype, and the body is the data.
// Extensions are strings, since a header has no type.
func decodeBinary(header http.Header, body []byte) (event.Event, error) {
	e := event.Event{DataContentType: header.Get("Content-Type")}
	if len(body) > 0 {
		e.Data = body
	}
	for key, values := range header {
		name, ok := strings.CutPrefix(key, cePrefix)
		if !ok {
			continue
		}
		name = strings.ToLower(name)
		if len(values) != 1 {
			return e, event.Errorf(event.CodeInvalid, "header ce-%s: is there %d times", name, len(values))
		}
		value, err := decodeHeader(name, values[0])
		if err != nil {
			return e, err
		}
		if err := setAttribute(&e, name, value); err != nil {
			return e, err
		}
	}
	if err := e.Validate(); err != nil {
		return e, err
	}
	return e, nil
}

// serverAttributes are set by edri; an exported event that is imported has them.
var serverAttributes = []string{event.AttrStream, event.AttrPosition, event.AttrRevision, event.AttrStamp}

func setAttribute(e *event.Event, name, value string) error {
	if slices.Contains(serverAttributes, name) {
		return nil
	}
	switch name {
	case "specversion":
		if value != "1.0" {
			return event.Errorf(event.CodeInvalid, "specversion %q: only 1.0 is understood", value)
		}
	case "id":
		e.ID = value
	case "source":
		e.Source = value
	case "type":
		e.Type = value
	case "subject":
		e.Subject = value
	case "dataschema":
		e.DataSchema = value
	case "time":
		t, err := time.Parse(time.RFC3339Nano, value)
		if err != nil {
			return event.Errorf(event.CodeInvalid, "time %q: is not in the form of RFC 3339", value)
		}
		e.Time = t
	case "datacontenttype":
		return event.Errorf(event.CodeInvalid, "header ce-datacontenttype %q: it is the Content-Type in binary mode", value)
	default:
		if e.Extensions == nil {
			e.Extensions = map[string]event.Value{}
		}
		e.Extensions[name] = event.String(value)
	}
	return nil
}

// decodeHeader undoes the percent-encoding that the binding asks for.
func decodeHeader(name, value string) (string, error) {
	decoded, err := url.PathUnescape(value)
	if err != nil || !utf8.ValidString(decoded) {
		return "", event.Errorf(event.CodeInvalid, "header ce-%s %q: is not percent-encoded UTF-8", name, value)
	}
	return decoded, nil
}
