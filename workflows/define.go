package workflows

import (
	"encoding/json"
	"reflect"
	"time"

	"github.com/edri-io/edri/event"
)

// Function is one version of a workflow's code: a Go function from In to Out. Both are
// kept as JSON.
type Function[In, Out any] struct{ def *definition }

// Options say more of a workflow than its code. The zero Options are the defaults.
type Options struct {
	Description string
	// Attributes by which its runs may be found, see Upsert; at most 20.
	Attributes map[string]AttributeType
	// Ended runs are forgotten after RetentionAge (0: 7 days), and the oldest of them
	// when there are more than RetentionCount (0: no limit).
	RetentionAge   time.Duration
	RetentionCount uint64
	// PanicFails: a panic of the code fails the run. Default: it blocks the run, which
	// goes on from there when the code is mended.
	PanicFails bool
}

// Defined is a Function, whatever its types.
type Defined interface{ definition() *definition }

// definition is a Function without its types.
type definition struct {
	name    string
	version uint32
	options Options
	input   reflect.Type
	// call calls the code. The result is JSON.
	call func(ctx Context, input json.RawMessage) (json.RawMessage, error)
	err  error // what was wrong with Define
}

// Define returns a version of the workflow of a name, from 1 up. Versions of one name may
// be given to one Runner together: each run stays with the version that it was started
// with.
//
// The code must be deterministic: with the same input, and the same results of what it
// asks for through this package, it asks for the same in the same order. What varies
// (time, randomness, maps in their order, goroutines, anything outside) belongs into
// steps, or comes from this package: Now, Random, NewID, Go.
func Define[In, Out any](name string, version uint32, code func(Context, In) (Out, error), options ...Options) *Function[In, Out] {
	d := &definition{name: name, version: version, input: reflect.TypeFor[In]()}
	if len(options) > 0 {
		d.options = options[0]
	}
	switch err := event.CheckName("workflow", name); {
	case err != nil:
		d.err = err
	case version == 0:
		d.err = event.Errorf(event.CodeInvalid, "workflow %s: versions count from 1", name)
	case code == nil:
		d.err = event.Errorf(event.CodeInvalid, "workflow %s: has no code", name)
	}
	d.call = func(ctx Context, input json.RawMessage) (json.RawMessage, error) {
		var in In
		if err := decode(input, &in); err != nil {
			return nil, undecodable("input of workflow "+name, err)
		}
		out, err := code(ctx, in)
		if err != nil {
			return nil, err
		}
		return encode("result of workflow "+name, out)
	}
	return &Function[In, Out]{d}
}

func (d *definition) definition() *definition { return d }

func (f *Function[In, Out]) definition() *definition { return f.def }

// Name returns the workflow's name.
func (f *Function[In, Out]) Name() string { return f.def.name }

// Version returns which version of the code it is.
func (f *Function[In, Out]) Version() uint32 { return f.def.version }

// told is the definition as a cluster is told it.
func (d *definition) told() Definition {
	return Definition{
		Name: d.name, Version: d.version, Description: d.options.Description,
		Attributes:   d.options.Attributes,
		RetentionAge: d.options.RetentionAge, RetentionCount: d.options.RetentionCount,
	}
}

// encode returns v as JSON, within the limit of a payload.
func encode(what string, v any) (json.RawMessage, error) {
	return encodeWithin(what, v, maxPayload)
}

func encodeWithin(what string, v any, limit int) (json.RawMessage, error) {
	if _, none := v.(struct{}); none {
		return nil, nil
	}
	data, err := json.Marshal(v)
	if err != nil {
		return nil, invalid("%s: %v", what, err)
	}
	if len(data) > limit {
		return nil, tooLarge(what, len(data), limit)
	}
	return data, nil
}
