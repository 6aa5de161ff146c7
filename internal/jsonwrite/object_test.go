package jsonwrite

import "testing"

func TestObjectsHaveTheMembersThatAreNotEmpty(t *testing.T) {
	t.Parallel()
	var none, some Object
	if got := string(none.Text("a", nil).String("b", "").JSON("c", nil).Done()); got != "{}" {
		t.Errorf("got %s", got)
	}
	some.Text("a", []byte("x")).String("b", "y\n").JSON("c", []byte("[1]")).Number("d", 1<<63)
	if got, want := string(some.Done()), `{"a":"x","b":"y\n","c":[1],"d":9223372036854775808}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
