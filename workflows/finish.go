package workflows

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
)

// continued is the error with which a function goes on as a new run.
type continued struct {
	input   any
	version uint32
}

func (c *continued) Error() string { return "continues as a new run" }

// ContinueAsNew returns an error that ends the run when the workflow's function returns
// it, and begins a new one of the same id with this input, so that histories stay short.
// Signals that were not received go on to it, all of them, and so do memo and attributes. The input has
// the type of the function's; for one of 956 KiB there is always room beside them.
func ContinueAsNew(in any) error { return &continued{input: in} }

// ContinueAsVersion is ContinueAsNew with another version of the workflow's code, whose
// input it is.
func ContinueAsVersion(version uint32, in any) error { return &continued{in, version} }

func asContinued(err error) *continued {
	c := (*continued)(nil)
	errors.As(err, &c)
	return c
}

// Compensate has undo called when the workflow's function ends with an error: for a step
// that was done and has to be made good then. Those that were given last are called
// first, each with a context that is not canceled. Where one fails the others are called
// nevertheless, and the run's error says so.
func Compensate(ctx Context, undo func(Context) error) {
	m := ctx.s.m
	m.enterChanging()
	m.undo = append(m.undo, undo)
}

// compensate calls what was given to Compensate, and returns the run's error.
func (m *machine) compensate(err error) error {
	undo := m.undo
	m.undo = nil
	var failed []error
	for _, f := range slices.Backward(undo) {
		if e := f(Context{&scope{m: m}}); e != nil {
			failed = append(failed, e)
		}
	}
	if len(failed) == 0 {
		return err
	}
	made := *toError(err)
	made.Message = fmt.Sprintf("%s; compensation: %v", made.Message, errors.Join(failed...))
	return &made
}

// finish ends the run.
func (m *machine) finish(result json.RawMessage, err error, next *continued) {
	end := &End{Status: Completed, Result: result}
	kind, record := KindCompleted, EndRecord{Result: result}
	switch {
	case next != nil:
		var input json.RawMessage
		input, err = m.nextInput(next)
		if err == nil {
			kind, record = KindContinued, EndRecord{Input: input}
			end = &End{Status: Continued, Next: &Start{Type: m.def.name, Version: next.version, Input: input}}
			for _, s := range m.unread {
				end.Signals = append(end.Signals, Signal{Name: s.Name, Input: s.Input})
			}
			break
		}
		fallthrough
	case err != nil:
		e := toError(err)
		kind, record = KindFailed, EndRecord{Error: e}
		end = &End{Status: Failed, Err: e}
		if m.cancelled && e.Type == ErrorCanceled {
			kind, end.Status = KindCanceled, Canceled
		}
	}
	m.endAt = m.emit(kind, mustMarshal(record), *end)
	m.end = end
}

func (m *machine) nextInput(next *continued) (json.RawMessage, error) {
	if got := reflect.TypeOf(next.input); next.version == 0 && got != m.def.input {
		return nil, &Error{Type: ErrorInvalid, Message: fmt.Sprintf("the input to continue with is a %v and not a %v", got, m.def.input)}
	}
	input, err := encode("input to continue with", next.input)
	if size := len(input) + len(m.begun.Memo); err == nil && size > maxPayload {
		return nil, tooLarge("input to continue with, and the memo that goes along", size, maxPayload)
	}
	return input, err
}
