package engine

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// Fields that every run has, beside the attributes of its workflow.
const (
	fieldOfID      = "id"
	fieldOfType    = "type"
	fieldOfStatus  = "status"
	fieldOfStarted = "started"
	fieldOfEnded   = "ended"
	fieldOfVersion = "version"
	fieldOfPaused  = "paused"
)

// Bounds of a filter.
const (
	maxFilterBytes = 8 << 10
	maxFilterDepth = 64
)

// condition is a filter, or a part of one:
//
//	or        = and { "or" and }
//	and       = part { "and" part }
//	part      = "not" part | "(" or ")" | field compare value |
//	            field "in" "(" value { "," value } ")" | field "prefix" text
//	compare   = "=" | "!=" | "<" | "<=" | ">" | ">="
//	value     = text | number | "true" | "false"
//	text      = '"' ... '"' | "'" ... "'", where \ takes the meaning of what follows
//
// A time is a text, RFC 3339 or a date alone, which is the day's begin in UTC. What a run
// does not have, or has as a value of another type, is neither equal to anything nor
// less or more; a != b is not (a = b).
type condition struct {
	op    operator
	parts []*condition // of and, or, not

	field string
	// values are what the field is compared with: one has to hold. Of an attribute that
	// workflows declare with more than one type, a text may stand for more than one value.
	values []value
}

// operator says what a condition is.
type operator int

const (
	opAnd operator = iota
	opOr
	opNot
	opEqual // one of the values
	opLess
	opLessEqual
	opMore
	opMoreEqual
	opPrefix
)

// subject is a run that is held against a filter. What is not in its row is read when it
// is asked for.
type subject struct {
	v    *consensus.View
	run  *run
	kept *details
}

func (s *subject) details() (*details, error) {
	if s.kept == nil {
		row, err := s.v.Get(machineName, numberKey(kindDetails, s.run.number))
		if err != nil {
			return nil, err
		}
		d, err := parseDetails(slices.Clone(row))
		if err != nil {
			return nil, err
		}
		s.kept = &d
	}
	return s.kept, nil
}

// field returns the value of a field, nil for none.
func (s *subject) field(name string) (value, error) {
	switch name {
	case fieldOfID:
		return string(s.run.id), nil
	case fieldOfType:
		return string(s.run.typ), nil
	case fieldOfStatus:
		return s.run.status.String(), nil
	case fieldOfStarted:
		return s.run.started, nil
	case fieldOfEnded:
		if s.run.ended == 0 {
			return nil, nil
		}
		return s.run.ended, nil
	case fieldOfVersion:
		return float64(s.run.version), nil
	case fieldOfPaused:
		return s.run.is(flagPaused), nil
	}
	d, err := s.details()
	if err != nil {
		return nil, err
	}
	return d.attributes[name], nil
}

// holds reports whether the run matches.
func (c *condition) holds(s *subject) (bool, error) {
	switch c.op {
	case opAnd, opOr:
		for _, part := range c.parts {
			ok, err := part.holds(s)
			if err != nil || ok == (c.op == opOr) {
				return ok, err
			}
		}
		return c.op == opAnd, nil
	case opNot:
		ok, err := c.parts[0].holds(s)
		return !ok, err
	}
	have, err := s.field(c.field)
	if err != nil {
		return false, err
	}
	for _, want := range c.values {
		if c.op.compares(have, want) {
			return true, nil
		}
	}
	return false, nil
}

// compares reports whether a value is to another as the operator says.
func (o operator) compares(have, want value) bool {
	var order int
	switch have := have.(type) {
	case string:
		want, ok := want.(string)
		if !ok {
			return false
		}
		if o == opPrefix {
			return strings.HasPrefix(have, want)
		}
		order = cmp.Compare(have, want)
	case float64:
		want, ok := want.(float64)
		if !ok {
			return false
		}
		order = cmp.Compare(have, want)
	case int64:
		want, ok := want.(int64)
		if !ok {
			return false
		}
		order = cmp.Compare(have, want)
	case bool:
		want, ok := want.(bool)
		return ok && o == opEqual && have == want
	default:
		return false
	}
	switch o {
	case opEqual:
		return order == 0
	case opLess:
		return order < 0
	case opLessEqual:
		return order <= 0
	case opMore:
		return order > 0
	case opMoreEqual:
		return order >= 0
	}
	return false
}

// fieldTypes returns the types that a field's values may have, none for a field that
// there is not.
func fieldTypes(name string, declared map[string][]attributeType) []attributeType {
	switch name {
	case fieldOfID, fieldOfType, fieldOfStatus:
		return []attributeType{typeString}
	case fieldOfStarted, fieldOfEnded:
		return []attributeType{typeTime}
	case fieldOfVersion:
		return []attributeType{typeNumber}
	case fieldOfPaused:
		return []attributeType{typeBool}
	}
	return declared[name]
}

// declaredAttributes returns the attributes of all workflows, and of what types they are.
func declaredAttributes(v *consensus.View) (map[string][]attributeType, error) {
	declared := map[string][]attributeType{}
	it := v.Scan(machineName, []byte{kindDefinition}, []byte{kindDefinition + 1}, false)
	defer it.Close()
	for it.Next() {
		d, err := parseDefinition(it.Value())
		if err != nil {
			return nil, err
		}
		for _, a := range d.attributes {
			if name := string(a.name); !slices.Contains(declared[name], a.typ) {
				declared[name] = append(declared[name], a.typ)
			}
		}
	}
	return declared, it.Err()
}

// parseTime reads a time of a filter.
func parseTime(text string) (int64, bool) {
	for _, layout := range [...]string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil && t.Year() > 1700 && t.Year() < 2200 {
			return t.UnixNano(), true
		}
	}
	return 0, false
}

func filterError(column int, format string, args ...any) *event.Error {
	return event.Errorf(event.CodeInvalid, "filter, column %d: %s", column, fmt.Sprintf(format, args...))
}
