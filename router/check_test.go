package router

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/timers"
)

// bodyOf returns the number and the message of an operation.
func bodyOf(t testing.TB, op *edriv1.Op) (uint32, []byte) {
	t.Helper()
	b, err := proto.Marshal(op)
	if err != nil {
		t.Fatal(err)
	}
	number, _, n := protowire.ConsumeTag(b)
	body, _ := protowire.ConsumeBytes(b[n:])
	return uint32(number), body
}

func TestCheckRefusesWhatApplyCouldNotDo(t *testing.T) {
	t.Parallel()
	m := NewMachine(timers.New())
	long := strings.Repeat("x", 256)
	settle := func(change func(*edriv1.Settle)) *edriv1.Op {
		s := settleOf("s", 1, 1, edriv1.Settle_NAK)
		change(s)
		return opOf(s)
	}
	for name, c := range map[string]struct {
		op   *edriv1.Op
		want string // in the error; empty: it is accepted
	}{
		"create":                 {create("s", &edriv1.SubscriptionConfig{Filter: `{"prefix":{"type":"a"}}`, Priority: -100}, atPosition(1)), ""},
		"create without a name":  {create("", nil, nil), "subscription"},
		"a long name":            {create(long, nil, nil), "subscription"},
		"a filter":               {create("s", &edriv1.SubscriptionConfig{Filter: `{"like":1}`}, nil), "like"},
		"half a filter":          {update("s", &edriv1.SubscriptionConfig{Filter: `{`}), "invalid"},
		"a filter of the stream": {create("s", &edriv1.SubscriptionConfig{Filter: `{"not":{"prefix":{"edristream":"a"}}}`}, nil), "edristream is not an attribute"},
		"a filter of the data":   {update("s", &edriv1.SubscriptionConfig{Filter: `{"exact":{"data":"a"}}`}), "data is not an attribute"},
		"an ordering key":        {update("s", &edriv1.SubscriptionConfig{OrderingKey: "colour"}), "ordering key"},
		"a priority":             {update("s", &edriv1.SubscriptionConfig{Priority: 101}), "priority"},
		"max_deliver":            {update("s", &edriv1.SubscriptionConfig{MaxDeliver: 1 << 31}), "out of range"},
		"a negative wait":        {update("s", &edriv1.SubscriptionConfig{Backoff: []int64{-1}}), "backoff"},
		"many waits":             {update("s", &edriv1.SubscriptionConfig{Backoff: make([]int64, 2000)}), "waits"},
		"a time":                 {create("s", nil, &edriv1.Start{Start: &edriv1.Start_Time{Time: 5}}), "start.time"},
		"a seek to a time":       {seekTo("s", &edriv1.Start{Start: &edriv1.Start_Time{Time: -5}}), "start.time"},
		"position 0":             {seekTo("s", atPosition(0)), "start.position"},
		"not first":              {seekTo("s", &edriv1.Start{Start: &edriv1.Start_First{}}), "true"},
		"an empty start":         {seekTo("s", &edriv1.Start{}), "start: is missing"},
		"no place to seek":       {&edriv1.Op{Op: &edriv1.Op_SeekSubscription{SeekSubscription: &edriv1.SeekSubscription{Name: "s"}}}, "start: is missing"},
		"no start":               {&edriv1.Op{Op: &edriv1.Op_CreateSubscription{CreateSubscription: &edriv1.CreateSubscription{Name: "s"}}}, "start: is missing"},
		"a start now":            {create("s", nil, nil), ""},
		"a note":                 {pauseOf("s", true, strings.Repeat("x", 9000)), "note"},
		"delete of no name":      {remove(""), "subscription"},
		"redrive":                {redriveOf("s", make([]uint64, 1000)...), ""},
		"too many to redrive":    {redriveOf("s", make([]uint64, 1001)...), "redrive"},
		"settle":                 {settle(func(s *edriv1.Settle) {}), ""},
		"no token":               {settle(func(s *edriv1.Settle) { s.Token = nil }), "token"},
		"no position":            {settle(func(s *edriv1.Settle) { s.Position = 0 }), "position 0"},
		"no subscription":        {settle(func(s *edriv1.Settle) { s.Subscription = "" }), "subscription"},
		"a verb":                 {settle(func(s *edriv1.Settle) { s.Verb = 4 }), "verb"},
		"a negative delay":       {settle(func(s *edriv1.Settle) { s.Delay = proto.Int64(-1) }), "delay"},
		"a long delay":           {settle(func(s *edriv1.Settle) { s.Delay = proto.Int64(int64(8 * 24 * time.Hour)) }), "delay"},
		"a delayed ack":          {settle(func(s *edriv1.Settle) { s.Verb, s.Delay = edriv1.Settle_ACK, proto.Int64(0) }), "delay"},
		"a long reason":          {settle(func(s *edriv1.Settle) { s.Reason = strings.Repeat("x", 100_000) }), ""},
		"a request":              {request1("q", 30*24*time.Hour, 1000), ""},
		"a long timeout":         {request1("q", 31*24*time.Hour, 1), "timeout"},
		"a short timeout":        {request1("q", time.Microsecond, 1), "timeout"},
		"a negative timeout":     {request1("q", -1, 1), "timeout"},
		"many responses":         {request1("q", 0, 1001), "gather"},
		"a request of no kind":   {&edriv1.Op{Op: &edriv1.Op_SendRequest{SendRequest: &edriv1.SendRequest{Event: wireEvent("q", "")}}}, "edrikind"},
		"a request of no event":  {&edriv1.Op{Op: &edriv1.Op_SendRequest{SendRequest: &edriv1.SendRequest{}}}, "without an event"},
		"a request of no id":     {request1("", 0, 1), "id"},
		"a response":             {response(1, "r"), ""},
		"a response to none":     {response(0, "r"), "request 0"},
		"a response as request":  {&edriv1.Op{Op: &edriv1.Op_Respond{Respond: &edriv1.Respond{Request: 1, Event: wireEvent("q", event.KindRequest)}}}, "edrikind"},
		"a response to a stream": {&edriv1.Op{Op: &edriv1.Op_Respond{Respond: &edriv1.Respond{Request: 1, Stream: long, Event: wireEvent("q", event.KindResponse)}}}, "stream"},
	} {
		number, body := bodyOf(t, c.op)
		err := m.Check(number, body)
		var refused *event.Error
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.want != "" && (!errors.As(err, &refused) || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: got %v, want an error about %q", name, err, c.want)
		}
	}
}

// What is committed with a settlement are the effects of an ack: beside a nak, an event
// would have one now and another later.
func TestEffectsAreCommittedWithAnAckAlone(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	settle := func(verb edriv1.Settle_Verb) *edriv1.Op { return opOf(settleOf("s", 1, 1, verb)) }
	for name, c := range map[string]struct {
		commit *edriv1.Commit
		want   string // in the error; empty: it is accepted
	}{
		"an ack with an effect":           {&edriv1.Commit{Ops: []*edriv1.Op{settle(edriv1.Settle_ACK), add("e")}}, ""},
		"two acks":                        {&edriv1.Commit{Ops: []*edriv1.Op{settle(edriv1.Settle_ACK), settle(edriv1.Settle_ACK)}}, ""},
		"a nak":                           {&edriv1.Commit{Ops: []*edriv1.Op{settle(edriv1.Settle_NAK)}}, ""},
		"a park":                          {&edriv1.Commit{Ops: []*edriv1.Op{settle(edriv1.Settle_PARK)}}, ""},
		"a skip":                          {&edriv1.Commit{Ops: []*edriv1.Op{settle(edriv1.Settle_SKIP)}}, ""},
		"a nak with an effect":            {&edriv1.Commit{Ops: []*edriv1.Op{settle(edriv1.Settle_NAK), add("e")}}, "effects"},
		"a park with an effect":           {&edriv1.Commit{Ops: []*edriv1.Op{settle(edriv1.Settle_PARK), add("e")}}, "effects"},
		"a skip with an effect":           {&edriv1.Commit{Ops: []*edriv1.Op{settle(edriv1.Settle_SKIP), add("e")}}, "effects"},
		"a nak with a response":           {&edriv1.Commit{Ops: []*edriv1.Op{settle(edriv1.Settle_NAK), response(1, "r")}}, "effects"},
		"an effect before a nak":          {&edriv1.Commit{Ops: []*edriv1.Op{add("e"), settle(edriv1.Settle_NAK)}}, "effects"},
		"an ack with a nak":               {&edriv1.Commit{Ops: []*edriv1.Op{settle(edriv1.Settle_ACK), settle(edriv1.Settle_NAK)}}, "effects"},
		"naks, each for itself":           {&edriv1.Commit{Each: true, Ops: []*edriv1.Op{settle(edriv1.Settle_NAK), settle(edriv1.Settle_NAK)}}, ""},
		"a nak and what fails for itself": {&edriv1.Commit{Each: true, Ops: []*edriv1.Op{settle(edriv1.Settle_NAK), add("e")}}, ""},
	} {
		b, err := proto.Marshal(c.commit)
		if err != nil {
			t.Fatal(err)
		}
		_, err = h.cfg.Machines.CheckCommit(b, event.DefaultLimits())
		var refused *event.Error
		if c.want == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if !errors.As(err, &refused) || refused.Code != event.CodeCheckFailed || len(refused.Violations) != 1 {
			t.Errorf("%s: got %v, want check_failed with a violation", name, err)
			continue
		}
		if v := refused.Violations[0].Err; v.Code != event.CodeInvalid || !strings.Contains(v.Message, c.want) {
			t.Errorf("%s: got %v, want invalid about %q", name, v, c.want)
		}
	}
}

func TestClientsDoNotSendWhatIsTheLeaders(t *testing.T) {
	t.Parallel()
	m := NewMachine(timers.New())
	for op := uint32(opAdvance); op <= opLast; op++ {
		if err := m.Check(op, nil); event.CodeOf(err) != event.CodeInvalid {
			t.Errorf("operation %d: %v", op, err)
		}
	}
}

// What a leader proposed and nobody can read ends every node, loudly.
func TestUnreadableOperationOfTheLeaderEndsTheNode(t *testing.T) {
	t.Parallel()
	advance := func(positions, keys string) string {
		return string(appendBytes(appendBytes(encodeAdvance(1, 0, 5, nil, nil), 4, []byte(positions)), 5, []byte(keys)))
	}
	for name, c := range map[string]struct {
		op   uint32
		body string
	}{
		"an unknown operation":   {32, ""},
		"an unknown field":       {opAdvance, "\x38\x01"},
		"a position beyond to":   {opAdvance, advance("\x06", "")},
		"a position twice":       {opAdvance, advance("\x01\x00", "")},
		"a position cut off":     {opAdvance, advance("\x80", "")},
		"fewer keys":             {opAdvance, advance("\x01\x01", "12345678")},
		"more keys":              {opAdvance, advance("\x01", "1234567812345678")},
		"backwards":              {opAdvance, string(encodeAdvance(1, 5, 4, nil, nil))},
		"no reason why":          {opFail, string(encodeFail(1, []event.Position{1}, "", 3))},
		"a failure at 0":         {opFail, string(appendUint(appendBytes(appendUint(nil, 1, 1), 2, []byte{0}), 4, failLost))},
		"a move that is cut off": {opCheckpoint, "\x0a\x02\x01\x01"},
		"a move backwards":       {opCheckpoint, "\x0a\x03\x01\x02\x01"},
		"a sweep of text":        {opSweep, "\x0a\x01x"},
		"a release of text":      {opRelease, "\x0a\x01x"},
		"an id alone":            {opRelease, "\x22\x01\x01"},
		"an answer of text":      {opAnswer, "\x0a\x01x"},
	} {
		h := newHall(t)
		h.publish(5)
		h.subscribe("s", nil)
		if _, err := h.try(internal(c.op, []byte(c.body))); !errors.Is(err, consensus.ErrUndecodable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestKeysAreKept(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	h.publish(3)
	g := h.subscribe("s", &edriv1.SubscriptionConfig{OrderingKey: "subject"})
	h.lead(opAdvance, encodeAdvance(g, 0, 3, []event.Position{1, 3}, []uint64{1<<63 + 1, 0}))
	h.must(nak("s", g, 1, ""))
	v := h.core.View()
	defer v.Close()
	var keys []uint64
	for p, err := range PendingOf(v, g) {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, p.Key)
	}
	if len(keys) != 2 || keys[0] != 1<<63+1 || keys[1] != 0 {
		t.Errorf("keys %x", keys)
	}
}

func FuzzToken(f *testing.F) {
	f.Add(uint64(1), uint64(2), uint32(3), uint32(1<<32-1), []byte("short"))
	f.Add(uint64(1), uint64(1<<63-1), uint32(0), uint32(0), []byte("\x00\x00\x00\x00\x00\x00\x00\x07, term 8, lease 8"))
	f.Fuzz(func(t *testing.T, generation, position uint64, term, lease uint32, b []byte) {
		want := token{generation, int(position >> attemptShift & maxAttempt), event.Position(position & (1<<attemptShift - 1)), uint64(term), lease}
		if got, err := parseToken(want.appendTo(nil)); err != nil || got != want {
			t.Errorf("%+v became %+v, %v", want, got, err)
		}
		if got, err := parseToken(b); err == nil && b[8]&0x80 != 0 && !bytes.Equal(got.appendTo(nil), b) ||
			err == nil && b[8]&0x80 == 0 && got != (token{generation: binary.BigEndian.Uint64(b)}) {
			t.Errorf("%x became %+v", b, got)
		}
	})
}

// What Check accepts means to the hand-written decoder what it means to the generated
// one, and apply does not stumble over it.
func FuzzCheck(f *testing.F) {
	for _, op := range []*edriv1.Op{
		create("s", &edriv1.SubscriptionConfig{Filter: `{"exact":{"type":"a"}}`, OrderingKey: "/a", AckWait: 1e9, MaxDeliver: 3, Backoff: []int64{1, 2}, MaxInFlight: 4, MaxPending: 5, Priority: -6, DeadLetterStream: "d", Description: "e", MaxHoldAge: 2e9, MaxHoldBytes: 2 << 20}, atPosition(3)),
		update("s", nil), remove("s"), pauseOf("s", true, "n"), seekTo("s", atFirst()), redriveOf("s", 1, 2), nakFor("s", 1, 1, 5),
		park("s", 1, 1, "r"), request1("q", time.Second, 2), response(1, "r"),
	} {
		number, body := bodyOf(f, op)
		f.Add(number, body)
	}
	f.Fuzz(func(t *testing.T, number uint32, body []byte) {
		m := NewMachine(timers.New())
		if number < opFirst || number > opRespond || m.Check(number, body) != nil {
			return
		}
		op := &edriv1.Op{}
		if err := proto.Unmarshal(protowire.AppendBytes(protowire.AppendTag(nil, protowire.Number(number), protowire.BytesType), body), op); err != nil {
			t.Fatalf("generated code refuses %x: %v", body, err)
		}
		if len(op.ProtoReflect().GetUnknown()) > 0 {
			t.Fatalf("unknown fields in %x", body)
		}
		if c := op.GetSettle(); c != nil {
			o, err := decodeSettle(body)
			if err != nil || string(o.name) != c.Subscription || uint64(o.position) != c.Position || !bytes.Equal(o.token, c.Token) ||
				o.verb != int(c.Verb) || string(o.reason) != c.Reason || o.delayed != (c.Delay != nil) || o.delay != c.GetDelay() {
				t.Fatalf("%v became %+v, %v", c, o, err)
			}
		}
		if c := op.GetCreateSubscription(); c != nil {
			o, _ := decodeCreate(body)
			s, filter, err := decodeConfig(o.config)
			want := c.GetConfig()
			if err != nil || string(o.name) != c.Name || o.ensure != c.Ensure || string(filter) != want.GetFilter() || s.OrderingKey != want.GetOrderingKey() ||
				int64(s.AckWait) != want.GetAckWait() || s.MaxDeliver != int(want.GetMaxDeliver()) || len(s.Backoff) != len(want.GetBackoff()) ||
				s.MaxInFlight != int(want.GetMaxInFlight()) || s.MaxPending != int(want.GetMaxPending()) || s.Priority != int(want.GetPriority()) ||
				s.DeadLetterStream != want.GetDeadLetterStream() || s.Description != want.GetDescription() || int64(s.MaxHoldAge) != want.GetMaxHoldAge() || s.MaxHoldBytes != want.GetMaxHoldBytes() || uint64(o.start.position) != c.GetStart().GetPosition() {
				t.Fatalf("%v became %+v with %+v, %v", c, o, s, err)
			}
		}
		h := newHall(t)
		h.publish(2)
		h.raw(internal(number, body))
	})
}

// The leader's operations are read as they were written, and no bytes stumble apply.
func FuzzLeaderOperations(f *testing.F) {
	f.Add(uint32(opAdvance), encodeAdvance(1, 0, 2, []event.Position{1, 2}, []uint64{3, 4}))
	f.Add(uint32(opFail), encodeFail(1, []event.Position{1}, "r", failLost))
	f.Add(uint32(opCheckpoint), encodeCheckpoint([]move{{1, 0, 2}}))
	f.Add(uint32(opSweep), encodeSweep(1, 5))
	f.Add(uint32(opRelease), encodeRelease(1, 2, 5))
	f.Add(uint32(opRelease), encodeUnpin([]pinned{{1, 2}, {0, 1}}))
	f.Fuzz(func(t *testing.T, number uint32, body []byte) {
		if number < opAdvance || number > opRelease {
			return
		}
		h := newHall(t)
		h.publish(2)
		h.subscribe("s", nil)
		if _, err := h.try(internal(number, body)); err != nil && !errors.Is(err, consensus.ErrUndecodable) {
			t.Errorf("operation %d, %x: %v", number, body, err)
		}
	})
}

// Rows that are read are written to the same bytes.
func FuzzRows(f *testing.F) {
	for _, row := range [][]byte{
		(&subscription{generation: 1, id: 2, paused: true, note: []byte("n"), config: []byte("c")}).append(nil),
		(&progress{name: []byte("s"), cursor: 1, trimmed: 2, pin: 3, relics: 4}).append(nil),
		(&pending{done: true, settled: 7}).append(nil),
		(&pending{key: 1, due: 2, timer: 3, failures: failures{}.with(5, []byte("r"))}).append(nil),
		(&dead{generation: 1, stamp: 2, failures: failures{}.with(5, []byte("r"))}).append(nil),
		(&request{deadline: 5, gather: 2, responses: []event.Position{4}}).append(nil),
	} {
		f.Add(row)
	}
	f.Fuzz(func(t *testing.T, row []byte) {
		again := map[string][]byte{}
		if s, err := parseSubscription(row); err == nil {
			again["subscription"] = s.append(nil)
		}
		if g, err := parseProgress(row); err == nil {
			again["progress"] = g.append(nil)
		}
		if p, err := parsePending(row); err == nil {
			again["pending"] = p.append(nil)
			_ = joinFailures(p.failures.all())
		}
		if d, err := parseDead(row); err == nil {
			again["dead"] = d.append(nil)
		}
		if r, err := parseRequest(row); err == nil {
			again["request"] = r.append(nil)
		}
		for what, b := range again {
			// A number may be written longer than it has to be, and true as any byte.
			if len(b) > len(row) {
				t.Errorf("%s %s became %s", what, hex.EncodeToString(row), hex.EncodeToString(b))
			}
		}
	})
}
