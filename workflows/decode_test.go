package workflows

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

// What cannot be decoded is said in the words of whoever sent it: neither Go's types nor its
// packages are in it.
func TestWhatCannotBeDecodedIsSaidInTheSendersWords(t *testing.T) {
	t.Parallel()
	type order struct {
		Items []struct{ Count uint8 }
		By    *string
		When  time.Time
	}
	of := func(into any) func(string) error {
		return func(data string) error { return decode(json.RawMessage(data), into) }
	}
	for _, c := range []struct {
		decode func(string) error
		data   string
		want   string
	}{
		{of(new(int)), `"x"`, "input: is a text, and not a whole number within its bounds"},
		{of(new(int)), `1.5`, "input: is the number 1.5, and not a whole number within its bounds"},
		{of(new(float64)), `true`, "input: is a boolean, and not a number"},
		{of(new(bool)), `1`, "input: is a number, and not a boolean"},
		{of(new(string)), `{}`, "input: is an object, and not a text"},
		{of(new(order)), `[]`, "input: is an array, and not an object"},
		{of(new(map[string]int)), `"x"`, "input: is a text, and not an object"},
		{of(new(order)), `{"Items":{}}`, "input, field Items: is an object, and not an array"},
		{of(new(order)), `{"Items":[{"Count":300}]}`, "input, field Items.Count: is the number 300, and not a whole number within its bounds"},
		{of(new(order)), `{"By":7}`, "input, field By: is a number, and not a text"},
		{of(new(order)), `{"When":"soon"}`, "input: has a text that is no time of RFC 3339"},
		{of(new(int)), `{`, "input: is no JSON"},
	} {
		err := c.decode(c.data)
		if err == nil {
			t.Errorf("%s is taken", c.data)
			continue
		}
		got := undecodable("input", err)
		if got.Message != c.want || got.Type != ErrorInvalid || !got.Final {
			t.Errorf("%s: got %v, want %s", c.data, got, c.want)
		}
		if strings.Contains(got.Message, "json:") || strings.Contains(got.Message, "Go ") {
			t.Errorf("%s: %v", c.data, got)
		}
	}
	if got := undecodable("input", errors.New("an error of the type's own")); got.Message != "input: an error of the type's own" {
		t.Errorf("got %v", got)
	}
}
