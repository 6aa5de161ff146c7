package event

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"pgregory.net/rapid"
)

func TestCodeOf(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err  error
		want Code
	}{
		{nil, ""},
		{Errorf(CodeDenied, "no"), CodeDenied},
		{fmt.Errorf("append event: %w", TooLarge("x", 2, 1)), CodeTooLarge},
		{fmt.Errorf("wait: %w", context.DeadlineExceeded), CodeDeadlineExceeded},
		{context.Canceled, CodeUnavailable},
		{errors.New("disk"), CodeInternal},
	} {
		if got := CodeOf(test.err); got != test.want {
			t.Errorf("CodeOf(%v) = %q, want %q", test.err, got, test.want)
		}
	}
}

func TestErrorTellsWhatHappened(t *testing.T) {
	t.Parallel()
	failed := Errorf(CodeCheckFailed, "2 of 3 operations failed")
	failed.Violations = []Violation{
		{Op: 0, Err: RevisionConflict("orders", ExpectExists, 0)},
		{Op: 2, Err: IDConflict("/s", "7", 12)},
	}
	const want = `check_failed: 2 of 3 operations failed` +
		`; op 0: revision_conflict: stream "orders" is at revision 0, expected exists` +
		`; op 2: id_conflict: source "/s", id "7" is at position 12 with other content`
	if got := failed.Error(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestCodesAreDistinct(t *testing.T) {
	t.Parallel()
	codes := Codes()
	slices.Sort(codes)
	if n := len(slices.Compact(codes)); n != 25 || len(codes) != 25 {
		t.Errorf("%d codes, %d distinct, want 25", len(codes), n)
	}
}

var genError = rapid.Custom(func(t *rapid.T) *Error {
	return &Error{
		Code:     rapid.SampledFrom(Codes()).Draw(t, "code"),
		Message:  rapid.String().Draw(t, "message"),
		Stream:   rapid.String().Draw(t, "stream"),
		Expected: Expected(rapid.Int64Min(-2).Draw(t, "expected")),
		Actual:   Revision(rapid.Uint64().Draw(t, "actual")),
		Position: Position(rapid.Uint64().Draw(t, "position")),
		Size:     rapid.Int64Min(0).Draw(t, "size"),
		Max:      rapid.Int64Min(0).Draw(t, "max"),
		First:    Position(rapid.Uint64().Draw(t, "first")),
		Leader:   rapid.String().Draw(t, "leader"),
	}
})

func TestErrorSurvivesItsBytes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		e := genError.Draw(t, "error")
		for i := range rapid.IntRange(0, 3).Draw(t, "violations") {
			e.Violations = append(e.Violations, Violation{Op: i, Err: genError.Draw(t, "violation")})
		}
		encoded := AppendError([]byte("before"), e)
		decoded, err := DecodeError(encoded[len("before"):])
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(decoded, e) {
			t.Fatalf("got %#v\nwant %#v", decoded, e)
		}
	})
}

func TestDecodeErrorPassesOverWhatIsNewer(t *testing.T) {
	t.Parallel()
	encoded := AppendError(nil, Errorf(CodeDenied, "no"))
	encoded = append(encoded, field(100, "new")...)
	encoded = append(encoded, number(101, 7)...)
	encoded = protowire.AppendFixed32(protowire.AppendTag(encoded, 102, protowire.Fixed32Type), 1)
	e, err := DecodeError(encoded)
	if err != nil || e.Code != CodeDenied || e.Message != "no" {
		t.Errorf("got %v, %v", e, err)
	}
}

func TestDecodeErrorBoundsNesting(t *testing.T) {
	t.Parallel()
	encoded := []byte{}
	for range 10 {
		encoded = []byte(field(errorViolations, field(violationError, string(encoded))))
	}
	if _, err := DecodeError(encoded); CodeOf(err) != CodeInvalid {
		t.Errorf("got %v", err)
	}
}

func FuzzDecodeError(f *testing.F) {
	e := TooLarge("x", 2, 1)
	e.Violations = []Violation{{Op: 3, Err: RevisionConflict("s", ExpectAny, 4)}}
	f.Add(AppendError(nil, e))
	f.Add([]byte{0x5a, 0x02, 0x08, 0x01})
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := DecodeError(b)
		if err != nil {
			return
		}
		again, err := DecodeError(AppendError(nil, e))
		if err != nil || !reflect.DeepEqual(again, e) {
			t.Errorf("got %#v, %v\nwant %#v", again, err, e)
		}
	})
}

func TestExpected(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Expected{
		"any": ExpectAny, "exists": ExpectExists, "0": 0, "17": 17, "9223372036854775807": 1<<63 - 1,
	} {
		got, err := ParseExpected(text)
		if err != nil || got != want || got.String() != text {
			t.Errorf("ParseExpected(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "-1", "+1", "1.0", "9223372036854775808", "none"} {
		if _, err := ParseExpected(text); CodeOf(err) != CodeInvalid {
			t.Errorf("ParseExpected(%q): %v", text, err)
		}
	}
	for _, test := range []struct {
		x      Expected
		actual Revision
		want   bool
	}{
		{ExpectAny, 0, true}, {ExpectAny, 5, true}, {ExpectExists, 0, false}, {ExpectExists, 1, true},
		{0, 0, true}, {0, 1, false}, {3, 3, true}, {3, 2, false}, {-3, 1<<64 - 3, false},
	} {
		if got := test.x.Allows(test.actual); got != test.want {
			t.Errorf("%v allows %v: %v, want %v", test.x, test.actual, got, test.want)
		}
	}
}

func TestEpoch(t *testing.T) {
	t.Parallel()
	e := Epoch(bytes.Repeat([]byte{0xa7}, 16))
	got, err := ParseEpoch(e.String())
	if err != nil || got != e || e.IsZero() || !(Epoch{}).IsZero() {
		t.Errorf("got %v, %v", got, err)
	}
	for _, text := range []string{"", "a7", e.String() + "00", e.String()[:31] + "g"} {
		if _, err := ParseEpoch(text); CodeOf(err) != CodeInvalid {
			t.Errorf("ParseEpoch(%q): %v", text, err)
		}
	}
}
