package event

import (
	"bytes"
	"maps"
	"slices"
)

// Bounds of a filter, so that neither reading nor matching one is work without end.
const (
	maxFilterBytes = 16 << 10
	maxFilterDepth = 16
	maxFilterNodes = 256
)

// Filter selects events by their attributes, in the dialects of the CloudEvents
// Subscriptions API. One field is set; the zero Filter selects every event.
//
// Exact, Prefix and Suffix map names of attributes to what their canonical string is,
// begins with or ends with, upper and lower case apart. All of the pairs must hold; an
// attribute that an event does not have holds for none.
type Filter struct {
	Exact  map[string]string `json:"exact,omitempty"`
	Prefix map[string]string `json:"prefix,omitempty"`
	Suffix map[string]string `json:"suffix,omitempty"`
	// All selects what every one of its filters selects, Any what at least one does.
	All []Filter `json:"all,omitempty"`
	Any []Filter `json:"any,omitempty"`
	Not *Filter  `json:"not,omitempty"`
}

// Matches reports whether the filter selects the event.
func (f *Filter) Matches(h *Header) bool {
	switch {
	case f.Exact != nil:
		return h.matches(f.Exact, bytes.Equal)
	case f.Prefix != nil:
		return h.matches(f.Prefix, bytes.HasPrefix)
	case f.Suffix != nil:
		return h.matches(f.Suffix, bytes.HasSuffix)
	case f.All != nil:
		for i := range f.All {
			if !f.All[i].Matches(h) {
				return false
			}
		}
		return true
	case f.Any != nil:
		for i := range f.Any {
			if f.Any[i].Matches(h) {
				return true
			}
		}
		return false
	case f.Not != nil:
		return !f.Not.Matches(h)
	default:
		return true
	}
}

// matches reports whether compare holds for every pair of an attribute and a text.
func (h *Header) matches(pairs map[string]string, compare func(value, want []byte) bool) bool {
	var space [64]byte
	for name, want := range pairs {
		value, ok := h.lookup(name, space[:0])
		if !ok || !compare(value, []byte(want)) {
			return false
		}
	}
	return true
}

// Attribute returns the canonical string of an attribute, false if the event has none of
// the name.
func (h *Header) Attribute(name string) (string, bool) {
	value, ok := h.lookup(name, nil)
	return string(value), ok
}

// lookup returns the canonical string of an attribute, in scratch where it does not
// stand in the event's bytes.
func (h *Header) lookup(name string, scratch []byte) (value []byte, ok bool) {
	switch name {
	case attrSpecVersion:
		return append(scratch, specVersion...), true
	case attrID:
		return h.ID, true
	case attrSource:
		return h.Source, true
	case attrType:
		return h.Type, true
	case attrSubject:
		return h.Subject, h.Subject != nil
	}
	for a := range h.attributes {
		if string(a.name) == name {
			return a.canonical(scratch), true
		}
	}
	return nil, false
}

// Validate returns an *Error unless every filter of the tree has exactly one field set,
// names legal attributes with texts that are not empty, and the tree is within bounds.
// Only the outermost filter may be the zero Filter.
func (f *Filter) Validate() error {
	if f.IsZero() {
		return nil
	}
	nodes := 0
	if err := f.validate(1, &nodes); err != nil {
		return err
	}
	return nil
}

// IsZero reports whether f is the zero Filter, which selects every event.
func (f *Filter) IsZero() bool { return f.dialects() == 0 }

func (f *Filter) dialects() int {
	n := 0
	for _, set := range []bool{
		f.Exact != nil, f.Prefix != nil, f.Suffix != nil, f.All != nil, f.Any != nil, f.Not != nil,
	} {
		if set {
			n++
		}
	}
	return n
}

func (f *Filter) validate(depth int, nodes *int) *Error {
	if *nodes++; *nodes > maxFilterNodes {
		return TooLarge("filters in a filter", int64(*nodes), maxFilterNodes)
	}
	if depth > maxFilterDepth {
		return TooLarge("depth of a filter", int64(depth), maxFilterDepth)
	}
	if n := f.dialects(); n != 1 {
		return Errorf(CodeInvalid, "filter: has %d dialects, want one of exact, prefix, suffix, all, any, not", n)
	}
	for _, pairs := range []map[string]string{f.Exact, f.Prefix, f.Suffix} {
		if err := validatePairs(pairs); err != nil {
			return err
		}
	}
	if f.All != nil && len(f.All) == 0 || f.Any != nil && len(f.Any) == 0 {
		return Errorf(CodeInvalid, "filter: all and any need at least one filter")
	}
	for _, list := range [][]Filter{f.All, f.Any} {
		for i := range list {
			if err := list[i].validate(depth+1, nodes); err != nil {
				return err
			}
		}
	}
	if f.Not != nil {
		return f.Not.validate(depth+1, nodes)
	}
	return nil
}

func validatePairs(pairs map[string]string) *Error {
	if pairs != nil && len(pairs) == 0 {
		return Errorf(CodeInvalid, "filter: exact, prefix and suffix need at least one attribute")
	}
	for name, want := range pairs {
		if !isAttributeName(name) {
			return badAttributeName(name)
		}
		if want == "" {
			return Errorf(CodeInvalid, "filter: the text for %s is empty", name)
		}
		if err := checkText(name, want); err != nil {
			return err
		}
	}
	return nil
}

// CheckAttributes returns an *Error where the tree names what no event has as an attribute,
// though each is printed with it: then it selects nothing, or with not everything. It is no
// part of Validate, since filters that are stored may name them.
func (f *Filter) CheckAttributes() error {
	for _, pairs := range []map[string]string{f.Exact, f.Prefix, f.Suffix} {
		for _, name := range slices.Sorted(maps.Keys(pairs)) {
			if name == "data" {
				return Errorf(CodeInvalid, "filter: data is not an attribute of the event; filters select by attributes alone, so let the producer set one (an extension)")
			}
			if isServerName(name) {
				return Errorf(CodeInvalid, "filter: %s is not an attribute of the stored event; use subject or source, which are the stream's name by default, type, or an extension of your own", name)
			}
		}
	}
	for _, list := range [][]Filter{f.All, f.Any} {
		for i := range list {
			if err := list[i].CheckAttributes(); err != nil {
				return err
			}
		}
	}
	if f.Not != nil {
		return f.Not.CheckAttributes()
	}
	return nil
}
