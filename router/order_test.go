package router

import (
	"strings"
	"testing"
	"time"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/event"
)

func ordered() *edriv1.SubscriptionConfig {
	config := leasing()
	config.OrderingKey = event.OrderByPartitionKey
	config.MaxDeliver = 2
	return config
}

// Only the key waits: for its event's ack, over a nak, until it is dead.
func TestEventsOfAKeyComeOneAfterTheOther(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.subscribe("s", ordered())
	s.append("a/x", "a/x", "a/y", "a", "a/x", "a")
	m := s.join("s", "m", 100)
	s.run()
	m.gets("1 3 4 6")
	m.acks(1)
	m.gets("2")
	if got := m.says(2, edriv1.Settle_NAK); got != "" {
		t.Fatal(got)
	}
	s.append("a/x", "a/y")
	s.run()
	m.gets("")
	s.wait(time.Second)
	m.gets("2#2")
	if got := m.says(2, edriv1.Settle_NAK); got != "" { // the last attempt
		t.Fatal(got)
	}
	m.gets("5")
	m.acks(3)
	m.gets("8")
	m.acks(5)
	m.gets("7")
	// What comes back from the dead is outside the order.
	s.must(redriveOf("s"))
	s.append("a/x")
	s.run()
	m.gets("2")
	m.acks(7)
	m.gets("10")
}

// The order holds over changes of the leader, for what has a row, what a member claims
// and what nobody knows of any more.
func TestTheOrderOfAKeyOutlivesLeaders(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	config := ordered()
	config.MaxDeliver = 10
	s.subscribe("s", config)
	s.append("a/x", "a/x", "a/y", "a/y", "a/x")
	m := s.join("s", "m", 100)
	s.run()
	m.gets("1 3")
	m.acks(3)
	m.gets("4")
	delete(m.held, 4)
	s.elect()
	s.rejoin(m, "s", 100) // has 1
	s.run()
	m.gets("")
	s.wait(adoptionTime)
	m.gets("4#2")
	m.acks(1)
	m.gets("2#2") // it has a row, by the same advance, and may have been out
	s.append("a/x")
	s.run()
	m.gets("")
	m.acks(2)
	m.gets("5#2")
	m.acks(5)
	m.gets("6")

	s.subscribe("claimed", config)
	c := s.join("claimed", "c", 100)
	s.run()
	c.gets("1 3")
	s.elect()
	delete(c.held, 3)
	s.rejoin(c, "claimed", 100) // 1 has no row
	s.wait(adoptionTime)
	c.gets("3")
	c.acks(1)
	c.gets("2")
}

// A lease that passes from one member to another keeps its key.
func TestAKeyPassesWithItsEvent(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.subscribe("s", ordered())
	s.append("a/x", "a/x")
	m := s.join("s", "m", 1)
	s.run()
	m.gets("1")
	other := s.join("s", "other", 5)
	m.m.Leave(true)
	s.run()
	other.gets("1")
	third := s.join("s", "third", 5)
	other.m.Leave(false)
	s.wait(adoptionTime)
	third.gets("1#2")
	third.acks(1)
	third.gets("2")
}

// The ordering key changes only while nothing has a row; what has none yet keeps the key
// with which it was handed out.
func TestTheOrderingKeyChanges(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.subscribe("s", ordered())
	s.append("a/x", "a/x", "a")
	m := s.join("s", "m", 50)
	s.run()
	m.gets("1 3")
	m.acks(1)
	m.gets("2")
	free := leasing()
	if got := code(s.do(update("s", free))); got != string(event.CodeCheckFailed) {
		t.Errorf("change with something pending: %s", got)
	}
	m.acks(2, 3)
	s.append("a/x", "a/x")
	s.run()
	m.gets("4")
	s.must(update("s", free))
	s.append("a/x")
	s.run()
	m.gets("6")
	m.acks(4, 6)
	m.gets("5")
	m.acks(5)
	s.append("a/y", "a/y")
	s.run()
	m.gets("7 8")
}

func TestKeysOfEvents(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"/a": `1`, "/b/c": `x`, "/b/d/1": `[2]`, "/a~1b": `slash`, "/t~0": `tilde`, "/none": "", "/b/d/7": "", "/b/c/x": "", "/b/d/x": "", "/": "", "/n": "null",
	} {
		k := parseOrderKey(text)
		data := []byte(` {"a": 1, "b": {"c":"x", "d":[1, [2]]}, "a/b":"slash", "t~":"tilde", "n":null, "a" : 1} `)
		if got := string(atPointer(data, k.pointer)); got != want {
			t.Errorf("%s is %q, want %q", text, got, want)
		}
	}
	// docs/delivery.md says what is the same key.
	key := func(value string) string {
		return string(atPointer([]byte(`{"k":`+value+`}`), parseOrderKey("/k").pointer))
	}
	for _, same := range [][2]string{{`"A"`, `"\u0041"`}, {`1`, `"1"`}, {` true `, `true`}, {`""`, `"",`}} {
		if a, b := key(same[0]), key(same[1]); a != b {
			t.Errorf("%s is %q, %s is %q", same[0], a, same[1], b)
		}
	}
	for _, other := range [][2]string{{`1`, `1.0`}, {`1`, `1e0`}, {`{"a":1}`, `{"a": 1}`}, {`"a"`, `"A"`}} {
		if a, b := key(other[0]), key(other[1]); a == b {
			t.Errorf("%s and %s are both %q", other[0], other[1], a)
		}
	}
	if got := atPointer([]byte(strings.Repeat(`{"a":`, 10)), parseOrderKey("/a/a").pointer); got != nil {
		t.Errorf("half a document has %q", got)
	}
}
