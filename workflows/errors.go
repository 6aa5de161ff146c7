package workflows

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/edri-io/edri/event"
)

// NewError returns an error that keeps its type and details over the journal. Details
// are kept as JSON; nil: there are none.
func NewError(typ, message string, details any) *Error {
	e := &Error{Type: typ, Message: message}
	if details != nil {
		data, err := json.Marshal(details)
		if err != nil {
			data, _ = json.Marshal(fmt.Sprintf("details of type %T: %v", details, err))
		}
		e.Details = data
	}
	return e
}

// Final returns an error like err after which nothing is tried again.
func Final(err error) error {
	if err == nil {
		return nil
	}
	e := *toError(err)
	e.Final = true
	return &e
}

// Decode reads the details into v.
func (e *Error) Decode(v any) error { return json.Unmarshal(e.Details, v) }

// toError returns err as the journal keeps it, within what an event has room for. An *Error that err wraps gives type,
// details and finality; else the type is that of the innermost error which has a name of
// its own.
func toError(err error) *Error {
	if err == nil {
		return nil
	}
	return asError(err).bounded()
}

func asError(err error) *Error {
	if e := (*Error)(nil); errors.As(err, &e) {
		if error(e) == err {
			return e
		}
		made := *e
		made.Message = err.Error()
		return &made
	}
	made := &Error{Type: typeName(err), Message: err.Error()}
	if e := (*event.Error)(nil); errors.As(err, &e) {
		made.Type = "edri." + string(e.Code)
	}
	return made
}

// anonymous is the type of errors that have no type of their own.
const anonymous = "error"

// typeName names the outermost error of the chain whose type says something.
func typeName(err error) string {
	switch {
	case errors.Is(err, context.Canceled):
		return ErrorCanceled
	case errors.Is(err, context.DeadlineExceeded):
		return ErrorTimeout
	}
	for ; err != nil; err = errors.Unwrap(err) {
		t := reflect.TypeOf(err)
		name := strings.TrimLeft(t.String(), "*")
		if !strings.HasPrefix(name, "errors.") && !strings.HasPrefix(name, "fmt.") {
			return name
		}
	}
	return anonymous
}

// invalid is the error of what cannot be as it was asked for, however often it is tried.
func invalid(format string, args ...any) *Error {
	return &Error{Type: ErrorInvalid, Final: true, Message: fmt.Sprintf(format, args...)}
}

// refusal is the error of what a check of package event refuses.
func refusal(err error) *Error {
	if e := (*event.Error)(nil); errors.As(err, &e) {
		return invalid("%s", e.Message) // without its code, which the type says
	}
	return invalid("%v", err)
}

func tooLarge(what string, size, limit int) *Error {
	return &Error{
		Type: ErrorTooLarge, Final: true,
		Message: fmt.Sprintf("%s: %d bytes are more than %d", what, size, limit),
	}
}

// timedOut is the error of one of the timeouts.
func timedOut(which string, last *Error) *Error {
	details := struct {
		Timeout string `json:"timeout"`
		Last    *Error `json:"last,omitempty"`
	}{which, last}
	return NewError(ErrorTimeout, which, details)
}

func canceled(reason string) *Error {
	return &Error{Type: ErrorCanceled, Message: reason, Final: true}
}
