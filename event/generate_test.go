package event

import (
	"fmt"
	"math"
	"time"

	"pgregory.net/rapid"
)

// The generators make every valid event, odd ones more often than life does.

var (
	genText = rapid.OneOf(
		rapid.StringMatching(`[a-zA-Z0-9 ./:_-]{1,40}`),
		rapid.StringOfN(rapid.Rune().Filter(func(r rune) bool { return !isBanned(r) && r != '\ufffd' }), 1, 20, 80),
	)
	genAttributeName = rapid.OneOf(
		rapid.StringMatching(`[a-z0-9]{1,20}`).Filter(func(s string) bool {
			return !isCoreName(s) && !isServerName(s) && s != AttrKind
		}),
		rapid.SampledFrom([]string{AttrCorrelation, AttrCausation, AttrPartitionKey, AttrTraceParent, AttrTraceState}),
	)
	genURI = rapid.SampledFrom([]string{
		"https://example.org/a?b=c#d", "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66",
		"mailto:someone@example.org", "http://[::1]:8080/x", "http://user:pw@host:1/%20",
	})
	genURIReference = rapid.OneOf(genURI, rapid.SampledFrom([]string{
		"/sensors/1", "relative/path", "../up", "?q", "#f", "//host/path", "a/b:c", "größe/x",
	}), rapid.StringMatching(`[a-z0-9/._-]{1,40}`))
	genTime = rapid.Custom(func(t *rapid.T) time.Time {
		seconds := rapid.Int64Range(minSeconds+1, maxSeconds).Draw(t, "seconds")
		return time.Unix(seconds, rapid.Int64Range(0, 999_999_999).Draw(t, "nanos")).UTC()
	})
	genValue = rapid.Custom(func(t *rapid.T) Value {
		switch rapid.IntRange(1, 7).Draw(t, "kind") {
		case 1:
			return Bool(rapid.Bool().Draw(t, "bool"))
		case 2:
			return Integer(rapid.Int32().Draw(t, "integer"))
		case 3:
			return String(genText.Draw(t, "string"))
		case 4:
			return Binary(rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "binary"))
		case 5:
			return URI(genURI.Draw(t, "uri"))
		case 6:
			return URIRef(genURIReference.Draw(t, "uriref"))
		default:
			return Timestamp(genTime.Draw(t, "timestamp"))
		}
	})
	genContentType = rapid.SampledFrom([]string{
		"", "application/json", "application/vnd.x+json; charset=utf-8", "Text/Plain", "text/xml",
		"application/octet-stream", "application/cloudevents+xml",
	})
	genJSONText = rapid.Custom(func(t *rapid.T) string {
		return fmt.Sprintf(`{ "n" : %g, "big": 12345678901234567890, "s": %q,  "l": [ 1 ,true, null, {} ] }`,
			rapid.Float64Range(-math.MaxFloat32, math.MaxFloat32).Draw(t, "n"),
			rapid.StringMatching(`[a-z <>&]{0,20}`).Draw(t, "s"))
	})
	genData = rapid.OneOf(
		rapid.Just([]byte(nil)),
		rapid.Just([]byte{}),
		rapid.SliceOfN(rapid.Byte(), 0, 40),
		rapid.Map(genText, func(s string) []byte { return []byte(s) }),
		rapid.Map(genJSONText, func(s string) []byte { return []byte(s) }),
		rapid.SampledFrom([][]byte{[]byte("null"), []byte(`"text"`), []byte(" 1 "), []byte(`"a\"  b"`), []byte("\x00")}),
	)
)

func optional[V any](g *rapid.Generator[V]) *rapid.Generator[V] {
	var zero V
	return rapid.OneOf(rapid.Just(zero), g)
}

var genEvent = rapid.Custom(func(t *rapid.T) Event {
	e := Event{
		ID:              genText.Draw(t, "id"),
		Source:          genURIReference.Draw(t, "source"),
		Type:            genText.Draw(t, "type"),
		Subject:         optional(genText).Draw(t, "subject"),
		Time:            optional(genTime).Draw(t, "time"),
		DataContentType: genContentType.Draw(t, "datacontenttype"),
		DataSchema:      optional(genURI).Draw(t, "dataschema"),
		Data:            genData.Draw(t, "data"),
	}
	n := rapid.SampledFrom([]int{0, 0, 1, 2, 5, 20}).Draw(t, "extensions")
	for range n {
		name := genAttributeName.Draw(t, "name")
		v := genValue.Draw(t, "value")
		switch name {
		case AttrCorrelation, AttrCausation, AttrPartitionKey:
			v = String(genText.Draw(t, "name value"))
		}
		e.extend(name, v)
	}
	if rapid.Bool().Draw(t, "with kind") {
		e.extend(AttrKind, String(rapid.SampledFrom([]string{
			KindNotification, KindRequest, KindResponse, KindTunnel,
		}).Draw(t, "kind")))
	}
	return e
})

// rapid names a generator when a collection first uses it, and reads the name
// without a lock whenever it draws: tests that share one need it named before.
func init() { _ = genEvent.String() }

func (e *Event) extend(name string, v Value) {
	if e.Extensions == nil {
		e.Extensions = make(map[string]Value)
	}
	e.Extensions[name] = v
}
