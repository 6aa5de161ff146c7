package consensus_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

func TestCheckCommitRefuses(t *testing.T) {
	t.Parallel()
	limits := event.Limits{EventData: 100, Commit: 2000, Ops: 3, Name: 20}
	open := &edriv1.Op{Op: &edriv1.Op_OpenSession{OpenSession: &edriv1.OpenSession{}}}
	producer := func(name string) *edriv1.Op {
		return &edriv1.Op{Op: &edriv1.Op_OpenProducer{OpenProducer: &edriv1.OpenProducer{Name: name}}}
	}
	shut := &edriv1.Op{Op: &edriv1.Op_CloseSession{CloseSession: &edriv1.CloseSession{}}}
	noEvent := &edriv1.Op{Op: &edriv1.Op_Append{Append: &edriv1.Append{Stream: "a"}}}
	falseExists := add("a", "1")
	falseExists.GetAppend().Expected = &edriv1.Append_Exists{}
	ownType, ownSubject := add("a", "1"), add("", "1")
	ownType.GetAppend().Event.Type = "edri.kv.put"
	ownSubject.GetAppend().Event.Attributes = map[string]*edriv1.CloudEvent_CloudEventAttributeValue{
		"subject": {Attr: &edriv1.CloudEvent_CloudEventAttributeValue_CeString{CeString: "kv/b"}},
	}
	for name, test := range map[string]struct {
		commit *edriv1.Commit
		want   string // code, size and max, violations
	}{
		"a large commit":               {alone(addContent("a", "1", strings.Repeat("x", 2000))), "too_large 2036 2000"},
		"large data":                   {alone(addContent("a", "1", strings.Repeat("x", 101))), "too_large 101 100"},
		"many operations":              {alone(add("a", "1"), add("a", "2"), add("a", "3"), add("a", "4")), "too_large 4 3"},
		"a long stream":                {alone(add("123456789012345678901", "1")), "too_large 21 20"},
		"a stream with control chars":  {alone(add("a\nb", "1")), "invalid"},
		"an event without id":          {alone(add("a", "")), "invalid"},
		"no event":                     {alone(noEvent), "invalid"},
		"a type of edri's own":         {alone(ownType), "invalid"},
		"a stream of edri's own":       {alone(add("a", "1"), add("run/1", "1")), "check_failed 1:invalid"},
		"such a stream by the subject": {alone(ownSubject), "invalid"},
		"exists false":                 {alone(falseExists), "invalid"},
		"revision out of range":        {alone(at(1<<63, add("a", "1"))), "invalid"},
		"several bad operations":       {alone(add("a", ""), add("a", "1"), noEvent), "check_failed 0:invalid 2:invalid"},
		"a short epoch":                {&edriv1.Commit{Epoch: []byte("short")}, "invalid"},
		"fingerprints":                 {&edriv1.Commit{Fingerprints: make([]byte, 24), Ops: []*edriv1.Op{add("a", "1")}}, "invalid"},
		"a waiter":                     {&edriv1.Commit{Waiter: 1}, "invalid"},
		"a sequence without session":   {in(0, 1), "invalid"},
		"a session without sequence":   {in(1, 0), "invalid"},
		"the last sequence":            {in(1, 1<<64-1), "invalid"},
		"a range backwards":            {&edriv1.Commit{Session: 1, FirstSequence: 3, Sequence: 2}, "invalid"},
		"acknowledged too far":         {&edriv1.Commit{Session: 1, Sequence: 2, AckedThrough: 2}, "invalid"},
		"acknowledged without session": {&edriv1.Commit{AckedThrough: 2}, "invalid"},
		"an empty operation":           {alone(&edriv1.Op{}), "invalid"},
		"an unknown operation":         {alone(register(5, "")), "invalid"},
		"no machine's operation":       {alone(register(20, "")), "invalid"},
		"an internal operation":        {alone(register(100, "")), "invalid"},
		"what a machine refuses":       {alone(register(16, strings.Repeat("x", 21))), "too_large 21 20"},
		"open_session among others":    {alone(open, add("a", "1")), "check_failed 0:invalid"},
		"open_session with each":       {each(alone(open)), "invalid"},
		"open_session in a session":    {in(1, 1, open), "invalid"},
		"open_producer in a session":   {in(1, 1, producer("p")), "invalid"},
		"a producer without name":      {alone(producer("")), "invalid"},
		"a producer's long name":       {alone(producer("123456789012345678901")), "too_large 21 20"},
		"a producer's bad name":        {alone(producer("a\x00b")), "invalid"},
		"close_session without one":    {alone(shut), "invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mux, err := consensus.NewMux(registers{})
			if err != nil {
				t.Fatal(err)
			}
			b, err := proto.Marshal(test.commit)
			if err != nil {
				t.Fatal(err)
			}
			_, err = mux.CheckCommit(b, limits)
			if got := refusal(t, err); got != test.want {
				t.Errorf("got %q (%v), want %q", got, err, test.want)
			}
		})
	}
}

// refusal renders an error of CheckCommit.
func refusal(t *testing.T, err error) string {
	t.Helper()
	var e *event.Error
	if !errors.As(err, &e) {
		t.Fatalf("got error %v, which is none of event's", err)
	}
	s := string(e.Code)
	if e.Max != 0 {
		s += fmt.Sprint(" ", e.Size, " ", e.Max)
	}
	for _, v := range e.Violations {
		s += fmt.Sprintf(" %d:%s", v.Op, v.Err.Code)
	}
	return s
}

func TestCheckCommitRefusesMalformedBytes(t *testing.T) {
	t.Parallel()
	good, err := proto.Marshal(in(300, 5, at(3, add("a", "1"))))
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{
		"cut off":                         good[:len(good)-1],
		"an unknown field":                append(bytes.Clone(good), 0x40, 1),
		"a field twice":                   append(bytes.Clone(good), 0x10, 5),
		"a fixed field":                   append(bytes.Clone(good), 0x29, 0, 0, 0, 0, 0, 0, 0, 0),
		"a group":                         append(bytes.Clone(good), 0x2b, 0x2c),
		"epoch as a number":               {0x08, 1},
		"session as bytes":                {0x12, 1, 0},
		"an operation as 1":               {0x38, 1},
		"an operation's number as varint": {0x3a, 2, 0x10, 1},
		"two operations in one":           {0x3a, 4, 0x12, 0, 0x12, 0},
		"field number 0":                  {0x00, 1},
		"a varint too long":               append([]byte{0x10}, bytes.Repeat([]byte{0xff}, 11)...),
	} {
		if _, err := consensus.CheckCommit(b, event.DefaultLimits()); event.CodeOf(err) != event.CodeInvalid {
			t.Errorf("%s: got error %v", name, err)
		}
	}
}

func TestCheckCommitTellsWhatItRead(t *testing.T) {
	t.Parallel()
	b, err := proto.Marshal(&edriv1.Commit{Epoch: epoch[:], Session: 8, FirstSequence: 3, Sequence: 5, AckedThrough: 2,
		Each: true, Ops: []*edriv1.Op{add("a", "1"), add("a", "2")}})
	if err != nil {
		t.Fatal(err)
	}
	info, err := consensus.CheckCommit(b, event.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	if info.Epoch != epoch || info.Session != 8 || info.FirstSequence != 3 || info.Sequence != 5 || !info.Each || info.Ops != 2 || info.Appends != 2 {
		t.Errorf("got %+v", info)
	}
}

// What SealCommit writes is what the schema says: the same commit with the two
// fields set.
func TestSealedCommitIsTheSchemasCommit(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := newModel()
		m.numbers = 3
		c := drawCommit(t, m)
		b, err := proto.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		info, err := consensus.CheckCommit(b, event.DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		waiter := rapid.Uint64().Draw(t, "waiter")
		var sealed edriv1.Commit
		if err := proto.Unmarshal(consensus.SealCommit(nil, b, info, waiter), &sealed); err != nil {
			t.Fatal(err)
		}
		want := proto.CloneOf(c)
		want.Waiter = waiter
		for _, o := range c.Ops {
			if a := o.GetAppend(); a != nil {
				encoded, err := proto.Marshal(a.Event)
				if err != nil {
					t.Fatal(err)
				}
				h, err := event.ScanHeader(encoded)
				if err != nil {
					t.Fatal(err)
				}
				want.Fingerprints = h.Fingerprint().AppendTo(want.Fingerprints)
			}
		}
		if !proto.Equal(&sealed, want) {
			t.Fatalf("got %v, want %v", &sealed, want)
		}
	})
}
