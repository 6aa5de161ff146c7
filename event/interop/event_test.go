package interop

import (
	"maps"
	"net/url"
	"slices"
	"testing"
	"time"

	sdk "github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"
	"pgregory.net/rapid"

	"github.com/edri-io/edri/event"
)

// view is an event as both sides can tell it: attributes by name as their canonical
// strings, each after its type if types are compared.
type view struct {
	attributes map[string]string
	data       string
}

func (v view) equal(w view) bool {
	return v.data == w.data && maps.Equal(v.attributes, w.attributes)
}

// viewEdri looks at an event of ours. JSON knows fewer types; typed is false for it.
func viewEdri(e event.Event, typed bool) view {
	v := view{map[string]string{"id": e.ID, "source": e.Source, "type": e.Type}, string(e.Data)}
	for name, s := range map[string]string{
		"subject": e.Subject, "datacontenttype": e.DataContentType, "dataschema": e.DataSchema,
	} {
		if s != "" {
			v.attributes[name] = s
		}
	}
	if !e.Time.IsZero() {
		v.attributes["time"] = types.FormatTime(e.Time)
	}
	for name, value := range e.Extensions {
		v.attributes[name] = kindName(value.Kind(), typed) + value.String()
	}
	return v
}

// viewSDK looks at an event of the SDK.
func viewSDK(t fataler, e sdk.Event, typed bool) view {
	v := view{map[string]string{"id": e.ID(), "source": e.Source(), "type": e.Type()}, string(e.Data())}
	for name, s := range map[string]string{
		"subject": e.Subject(), "datacontenttype": e.DataContentType(), "dataschema": e.DataSchema(),
	} {
		if s != "" {
			v.attributes[name] = s
		}
	}
	if !e.Time().IsZero() {
		v.attributes["time"] = types.FormatTime(e.Time())
	}
	for name, value := range e.Extensions() {
		text, err := types.Format(value)
		if err != nil {
			t.Fatalf("Format(%v): %v", value, err)
		}
		v.attributes[name] = kindName(kindOf(value), typed) + text
	}
	return v
}

type fataler interface{ Fatalf(string, ...any) }

func kindName(k event.ValueKind, typed bool) string {
	if !typed && k != event.ValueBoolean && k != event.ValueInteger {
		k = event.ValueString
	}
	return k.String() + " "
}

func kindOf(value any) event.ValueKind {
	switch value.(type) {
	case bool:
		return event.ValueBoolean
	case int32:
		return event.ValueInteger
	case string:
		return event.ValueString
	case []byte:
		return event.ValueBinary
	case types.URI:
		return event.ValueURI
	case types.URIRef:
		return event.ValueURIReference
	case types.Timestamp:
		return event.ValueTimestamp
	}
	return 0
}

// toSDK builds the same event with the SDK's setters. base64 is how JSON is to show the
// data.
func toSDK(t fataler, e event.Event, base64 bool) sdk.Event {
	s := sdk.New()
	s.SetID(e.ID)
	s.SetSource(e.Source)
	s.SetType(e.Type)
	if e.Subject != "" {
		s.SetSubject(e.Subject)
	}
	if !e.Time.IsZero() {
		s.SetTime(e.Time)
	}
	if e.DataContentType != "" {
		s.SetDataContentType(e.DataContentType)
	}
	if e.DataSchema != "" {
		s.SetDataSchema(e.DataSchema)
	}
	for name, value := range e.Extensions {
		s.SetExtension(name, sdkValue(t, value))
	}
	s.DataEncoded, s.DataBase64 = e.Data, base64
	if err := s.Validate(); err != nil {
		t.Fatalf("the SDK refuses %+v: %v", e, err)
	}
	return s
}

func sdkValue(t fataler, v event.Value) any {
	switch v.Kind() {
	case event.ValueBoolean:
		b, _ := v.AsBool()
		return b
	case event.ValueInteger:
		n, _ := v.AsInteger()
		return n
	case event.ValueBinary:
		b, _ := v.AsBytes()
		return b
	case event.ValueTimestamp:
		at, _ := v.AsTime()
		return types.Timestamp{Time: at}
	case event.ValueURI, event.ValueURIReference:
		u, err := url.Parse(v.String())
		if err != nil {
			t.Fatalf("Parse: %v", err)
		}
		if v.Kind() == event.ValueURI {
			return types.URI{URL: *u}
		}
		return types.URIRef{URL: *u}
	default:
		return v.String()
	}
}

// payload is a content type with data that it can have, and whether JSON shows it only
// as base64.
type payload struct {
	contentType string
	data        []byte
	base64      bool
}

var (
	genText  = rapid.StringMatching(`[a-zA-Z<"][a-zA-Z0-9 ./:_<>&"\\äß日-]{0,40}[a-z\\>é]`)
	genURI   = rapid.SampledFrom([]string{"https://example.org/a?b=c#d", "urn:uuid:1", "mailto:a@example.org"})
	genRef   = rapid.OneOf(genURI, rapid.SampledFrom([]string{"/sensors/1", "a/b", "../up", "//host/x", "%20"}))
	genTime  = rapid.Map(rapid.Int64Range(-1e18, 1e18), func(ns int64) time.Time { return time.Unix(ns/1e9, ns%1e9).UTC() })
	genBytes = rapid.SliceOfN(rapid.Byte(), 0, 20)
	genName  = rapid.StringMatching(`x[a-z0-9]{0,12}`)

	genPayload = rapid.OneOf(
		rapid.Just(payload{}),
		rapid.SampledFrom([]payload{
			{"", []byte(`{"a":[1.50,"<x  y>",null]}`), false},
			{"application/json", []byte(`null`), false},
			{"application/json", []byte(`"text"`), false},
			{"application/json", []byte(`12345678901234567890`), false},
			{"application/xml", []byte("<a b=\"c\">\n</a>"), false},
		}),
		rapid.Custom(func(t *rapid.T) payload {
			return payload{"text/plain", []byte(genText.Draw(t, "text")), false}
		}),
		rapid.Custom(func(t *rapid.T) payload {
			return payload{"image/png", genBytes.Draw(t, "bytes"), true}
		}),
	)
	genValue = rapid.Custom(func(t *rapid.T) event.Value {
		switch rapid.IntRange(1, 7).Draw(t, "kind") {
		case 1:
			return event.Bool(rapid.Bool().Draw(t, "bool"))
		case 2:
			return event.Integer(rapid.Int32().Draw(t, "integer"))
		case 3:
			return event.Binary(genBytes.Draw(t, "binary"))
		case 4:
			return event.URI(genURI.Draw(t, "uri"))
		case 5:
			return event.URIRef(genRef.Draw(t, "uriref"))
		case 6:
			return event.Timestamp(genTime.Draw(t, "timestamp"))
		default:
			return event.String(genText.Draw(t, "string"))
		}
	})
)

// generated is an event with what JSON does to its data.
type generated struct {
	event.Event
	base64 bool
}

var genEvent = rapid.Custom(func(t *rapid.T) generated {
	p := genPayload.Draw(t, "payload")
	e := event.Event{
		ID: genText.Draw(t, "id"), Source: genRef.Draw(t, "source"), Type: genText.Draw(t, "type"),
		DataContentType: p.contentType, Data: p.data,
	}
	if rapid.Bool().Draw(t, "with optional attributes") {
		e.Subject, e.Time, e.DataSchema = genText.Draw(t, "subject"), genTime.Draw(t, "time"), genURI.Draw(t, "dataschema")
	}
	e.Extensions = rapid.MapOfN(genName, genValue, 0, 4).Draw(t, "extensions")
	if err := e.Validate(); err != nil {
		t.Fatalf("Validate: %v", err)
	}
	return generated{e, p.base64}
})

// rapid names a generator when a collection first uses it, and reads the name
// without a lock whenever it draws: tests that share one need it named before.
func init() { _ = genEvent.String() }

// A view must tell events apart, or the other tests prove nothing.
func TestViewsDiffer(t *testing.T) {
	t.Parallel()
	e := event.Event{ID: "1", Source: "/s", Type: "t", Data: []byte("1"), Extensions: map[string]event.Value{"x": event.Integer(1)}}
	all := []view{viewEdri(e, true)}
	for _, change := range []func(*event.Event){
		func(e *event.Event) { e.ID = "2" },
		func(e *event.Event) { e.Data = []byte("2") },
		func(e *event.Event) { e.Time = time.Unix(1, 0) },
		func(e *event.Event) { e.Extensions = map[string]event.Value{"x": event.String("1")} },
		func(e *event.Event) { e.Extensions = nil },
	} {
		other := e
		change(&other)
		v := viewEdri(other, true)
		if slices.ContainsFunc(all, v.equal) {
			t.Errorf("%v is seen twice", v)
		}
		if w := viewSDK(t, toSDK(t, other, false), true); !w.equal(v) {
			t.Errorf("the SDK's %v is seen as %v", v, w)
		}
		all = append(all, v)
	}
}
