package workflows

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"time"
)

// decode reads JSON; nothing is the zero value.
func decode(data json.RawMessage, into any) error {
	if len(data) == 0 {
		return nil
	}
	if raw, ok := into.(*json.RawMessage); ok {
		*raw = data
		return nil
	}
	return json.Unmarshal(data, into)
}

// undecodable is the error of JSON that is not of the type which the code has for it, in the
// words of whoever sent it: Go's types are not theirs.
func undecodable(what string, err error) *Error {
	var mismatch *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	var notTime *time.ParseError
	switch {
	case errors.As(err, &mismatch):
		if mismatch.Field != "" {
			what += ", field " + mismatch.Field
		}
		return invalid("%s: is %s, and not %s", what, jsonValue(mismatch.Value), jsonType(mismatch.Type))
	case errors.As(err, &syntax):
		return invalid("%s: is no JSON", what)
	case errors.As(err, &notTime):
		return invalid("%s: has a text that is no time of RFC 3339", what)
	}
	return invalid("%s: %s", what, strings.TrimPrefix(err.Error(), "json: "))
}

// jsonValue names a value that was sent: encoding/json has a word for its kind, of numbers
// sometimes with the number.
func jsonValue(v string) string {
	switch kind, number, _ := strings.Cut(v, " "); {
	case kind == "string":
		return "a text"
	case kind == "number" && number != "":
		return "the number " + number
	case kind == "number":
		return "a number"
	case kind == "bool":
		return "a boolean"
	case kind == "object":
		return "an object"
	case kind == "array":
		return "an array"
	}
	return v
}

// jsonType names what is decoded into a type.
func jsonType(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return jsonType(t.Elem())
	case reflect.String:
		return "a text"
	case reflect.Bool:
		return "a boolean"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return "a whole number within its bounds"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Slice, reflect.Array:
		return "an array"
	}
	return "what the code takes"
}
