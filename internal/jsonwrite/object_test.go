package jsonwrite

import (
	"encoding/json"
	"testing"

	"pgregory.net/rapid"
)

func TestStringsAreReadAsTheyWere(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.OneOf(rapid.String(), rapid.StringOf(rapid.RuneFrom([]rune("\"\\\x00\x1f\x7f<&\u2028\ufffdé\U0001f600")))).Draw(t, "text")
		var got string
		if err := json.Unmarshal(AppendString(nil, want), &got); err != nil || got != want {
			t.Fatalf("%q is read as %q, %v", want, got, err)
		}
		if string(AppendString(nil, []byte(want))) != string(AppendString(nil, want)) {
			t.Fatalf("%q is written in two ways", want)
		}
	})
	for text, want := range map[string]string{"a\xffb": `"a` + "\ufffd" + `b"`, "\xe2\x82": `"` + "\ufffd\ufffd" + `"`} {
		if got := string(AppendString(nil, text)); got != want {
			t.Errorf("%q is written as %s, want %s", text, got, want)
		}
	}
}

func TestObjectsHaveTheMembersThatAreNotEmpty(t *testing.T) {
	t.Parallel()
	var none, some Object
	if got := string(none.Text("a", nil).String("b", "").JSON("c", nil).Done()); got != "{}" {
		t.Errorf("got %s", got)
	}
	some.Text("a", []byte("x")).String("b", "y\n").JSON("c", []byte("[1]")).Number("d", 1<<63)
	if got, want := string(some.Done()), `{"a":"x","b":"y\u000a","c":[1],"d":9223372036854775808}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
