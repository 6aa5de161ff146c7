package event

import "unicode/utf8"

// CheckEncoded checks the bytes of an event that a client sent, completely and without
// allocating: all of ScanHeader, every attribute's own rules, the limits, and that no
// attribute is one that the server sets. maxData is the most bytes of data.
func CheckEncoded(b []byte, maxData int) (Header, error) {
	h := Header{}
	if err := h.check(b, maxData); err != nil {
		return Header{}, err
	}
	return h, nil
}

func (h *Header) check(b []byte, maxData int) *Error {
	c := checker{}
	if err := h.scan(b, &c); err != nil {
		return err
	}
	return c.header(h, maxData)
}

// checker holds the attributes to their rules while an event is scanned.
type checker struct {
	// size is the encoded length of the attributes so far.
	size int
	// text says that the data came as text_data.
	text bool
}

func (c *checker) attribute(a *attribute, encoded int) *Error {
	if c.size += encoded; c.size > MaxAttributesBytes {
		return TooLarge("attributes in bytes", int64(c.size), MaxAttributesBytes)
	}
	if !isAttributeName(a.name) {
		return badAttributeName(a.name)
	}
	switch string(a.name) {
	case attrID, attrSource, attrType, attrSpecVersion, "data":
		return Errorf(CodeInvalid, "attribute %s: the name is reserved", a.name)
	case AttrStream, AttrPosition, AttrRevision, AttrStamp:
		return Errorf(CodeInvalid, "attribute %s: is set by the server alone", a.name)
	case attrSubject:
		return checkName(attrSubject, a.raw)
	case attrDataContentType:
		return checkMediaType(a.raw)
	case attrDataSchema:
		return checkURI(attrDataSchema, a.raw)
	case AttrCorrelation, AttrCausation, AttrPartitionKey:
		return a.checkNameValue()
	case AttrKind:
		return a.checkKind()
	default:
		return a.checkValue()
	}
}

// checkValue holds an extension's value to the rules of its type.
func (a *attribute) checkValue() *Error {
	switch a.kind {
	case ValueString:
		return checkText(a.name, a.raw)
	case ValueURI:
		return checkURI(a.name, a.raw)
	case ValueURIReference:
		return checkURIReference(a.name, a.raw)
	}
	return nil
}

func (a *attribute) checkNameValue() *Error {
	if a.kind != ValueString {
		return Errorf(CodeInvalid, "%s: is of type %s, want string", a.name, a.kind)
	}
	return checkName(a.name, a.raw)
}

func (a *attribute) checkKind() *Error {
	if a.kind == ValueString {
		switch string(a.raw) {
		case KindNotification, KindRequest, KindResponse, KindTunnel:
			return nil
		}
	}
	return Errorf(CodeInvalid, "%s %s: not notification, request, response or tunnel", AttrKind, quote(a.raw))
}

// header checks what is not in the attributes map.
func (c *checker) header(h *Header, maxData int) *Error {
	if len(h.Data) > maxData {
		return tooMuchData(len(h.Data), maxData)
	}
	if c.text && !utf8.Valid(h.Data) {
		return notUTF8("text_data", h.Data)
	}
	if err := checkName(attrID, h.ID); err != nil {
		return err
	}
	if err := checkName(attrSource, h.Source); err != nil {
		return err
	}
	if err := checkURIReference(attrSource, h.Source); err != nil {
		return err
	}
	return checkName(attrType, h.Type)
}

func badAttributeName[T text](name T) *Error {
	return Errorf(CodeInvalid, "attribute %s: a name consists of 1 to %d lower-case letters and digits", quote(name), MaxNameBytes)
}

func tooMuchData(size, limit int) *Error {
	return TooLarge("event data in bytes", int64(size), int64(limit))
}
