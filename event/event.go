package event

import "time"

// Event is a CloudEvent 1.0. An empty string, the zero time and nil data stand for an
// attribute or data that the event does not have; data that is not nil but empty is
// there.
type Event struct {
	// ID and Source together are the event's identity.
	ID     string
	Source string
	Type   string

	Subject         string
	Time            time.Time
	DataContentType string
	DataSchema      string
	Data            []byte

	// Extensions are the other attributes, edri's own included.
	Extensions map[string]Value
}

// Recorded is an event with its place in the history.
type Recorded struct {
	Event
	Position Position
	Revision Revision
	Stream   string
	// Stamp is when the event was committed.
	Stamp time.Time
}

// edri's attributes that producers may set.
const (
	AttrKind         = "edrikind"
	AttrCorrelation  = "correlationid"
	AttrCausation    = "causationid"
	AttrPartitionKey = "partitionkey"
	AttrTraceParent  = "traceparent"
	AttrTraceState   = "tracestate"
)

// edri's attributes that the server sets and refuses from producers.
const (
	AttrStream   = "edristream"
	AttrPosition = "edriposition"
	AttrRevision = "edrirevision"
	AttrStamp    = "edristamp"
)

// The values of AttrKind.
const (
	KindNotification = "notification"
	KindRequest      = "request"
	KindResponse     = "response"
	KindTunnel       = "tunnel"
)

// Names of the attributes that CloudEvents defines.
const (
	attrID              = "id"
	attrSource          = "source"
	attrType            = "type"
	attrSpecVersion     = "specversion"
	attrSubject         = "subject"
	attrTime            = "time"
	attrDataContentType = "datacontenttype"
	attrDataSchema      = "dataschema"

	specVersion = "1.0"
)

// isCoreName reports whether CloudEvents itself defines or reserves the attribute name.
func isCoreName(name string) bool {
	switch name {
	case attrID, attrSource, attrType, attrSpecVersion, attrSubject, attrTime,
		attrDataContentType, attrDataSchema, "data":
		return true
	}
	return false
}

// isServerName reports whether the server sets the attribute.
func isServerName[T text](name T) bool {
	switch string(name) {
	case AttrStream, AttrPosition, AttrRevision, AttrStamp:
		return true
	}
	return false
}

// Validate returns an *Error, invalid or too_large, unless a server with the default
// limits would accept the event. It is CheckEncoded on what AppendEvent writes.
func (e *Event) Validate() error {
	if err := e.validate(); err != nil {
		return err
	}
	return nil
}

func (e *Event) validate() *Error {
	if err := e.checkUnencoded(); err != nil {
		return err
	}
	// The data has no rule but its size, so it need not be encoded.
	var space [512]byte
	var h Header
	return h.check(appendAttributes(space[:0], e), MaxDataBytes)
}

// checkUnencoded reports what an encoded event would not show, or only at a cost.
func (e *Event) checkUnencoded() *Error {
	for name := range e.Extensions {
		if isCoreName(name) {
			return Errorf(CodeInvalid, "extension %s: the name is reserved", quote(name))
		}
	}
	if len(e.Data) > MaxDataBytes {
		return tooMuchData(len(e.Data), MaxDataBytes)
	}
	return nil
}
