package kv

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/event"
)

// model is what the machine does, said in the simplest way: every change is kept for
// ever, and what is cut of it is counted.
type model struct {
	last event.Position
	now  int64
	keys map[string]*modelKey // of one bucket
	// history and keep are the bucket's config, floor what it forgot.
	history int
	keep    int64
	floor   event.Position
}

type modelKey struct {
	changes []modelChange // all that are kept
	cut     bool
	forget  int64 // when they go, of a key that is not there
	expires int64 // 0: never
}

type modelChange struct {
	kind     Kind
	revision event.Position
	created  event.Position
	value    string
}

func (m *model) there(key string) (*modelChange, bool) {
	k := m.keys[key]
	if k == nil || len(k.changes) == 0 {
		return nil, false
	}
	c := &k.changes[len(k.changes)-1]
	return c, c.kind == KindPut
}

func (m *model) change(key string, kind Kind, value string) {
	m.last++
	was, there := m.there(key)
	created := m.last
	if there {
		created = was.created
	}
	k := m.keys[key]
	if k == nil {
		k = &modelKey{}
		m.keys[key] = k
	}
	k.changes = append(k.changes, modelChange{kind, m.last, created, value})
	if n := len(k.changes) - m.history; n > 0 {
		k.changes, k.cut = k.changes[n:], true
	}
	k.expires, k.forget = 0, 0
	if kind != KindPut {
		k.forget = m.now + m.keep
		if m.history == 1 {
			m.drop(key)
		}
	}
}

func (m *model) drop(key string) {
	changes := m.keys[key].changes
	m.floor = max(m.floor, changes[len(changes)-1].revision)
	delete(m.keys, key)
}

// pass is as the timers of one entry: in the order of their times.
func (m *model) pass() {
	for range 3 {
		var due []string
		for key, k := range m.keys {
			if at := k.at(); at != 0 && at <= m.now {
				due = append(due, key)
			}
		}
		slices.SortFunc(due, func(a, b string) int { return int(m.keys[a].at() - m.keys[b].at()) })
		for _, key := range due {
			if _, there := m.there(key); there {
				m.change(key, KindExpired, "")
			} else {
				m.drop(key)
			}
		}
	}
}

func (k *modelKey) at() int64 { return k.expires + k.forget } // one of them is 0

func (m *model) getAt(key string, p event.Position) string {
	k := m.keys[key]
	first := m.floor
	if k != nil {
		for _, c := range slices.Backward(k.changes) {
			if c.revision <= p && c.kind == KindPut {
				return fmt.Sprintf("%s=%s@%d/%d", key, c.value, c.revision, c.created)
			}
			if c.revision <= p {
				return "not_found"
			}
		}
		if k.cut {
			first = max(first, k.changes[0].revision)
		}
	}
	if p < first {
		return fmt.Sprint("compacted ", first)
	}
	return "not_found"
}

func (m *model) historyOf(key string) string {
	k := m.keys[key]
	if k == nil {
		return ""
	}
	var parts []string
	if k.cut {
		parts = append(parts, "…")
	}
	for _, c := range k.changes {
		parts = append(parts, fmt.Sprintf("%s@%d", []string{"put", "deleted", "expired"}[c.kind], c.revision))
	}
	return strings.Join(parts, " ")
}

func (m *model) list() string {
	var list []string
	for _, key := range slices.Sorted(maps.Keys(m.keys)) {
		if _, there := m.there(key); there {
			list = append(list, key)
		}
	}
	return strings.Join(list, " ")
}

type play struct {
	*rapid.T
	c *cabinet
	m *model
}

var playKeys = []string{"a", "a/b", "ä", "k"}

// At every step the machine is as the model, for every key at every position, whether it
// was closed, killed or neither in between.
func TestMachineDoesWhatTheModelSays(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "edri-kv-")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = os.RemoveAll(dir) }()
		c := openCabinet(t, dir)
		defer func() { _ = c.core.Close() }()
		p := &play{T: t, c: c, m: &model{now: c.now}}
		p.make()
		for range rapid.IntRange(10, 60).Draw(t, "steps") {
			p.step()
			p.compare()
		}
	})
}

func (p *play) config() *edriv1.BucketConfig {
	c := &edriv1.BucketConfig{
		History:     rapid.SampledFrom([]uint32{1, 1, 2, 3, 10}).Draw(p.T, "history"),
		KeepDeleted: rapid.Int64Range(1, 50).Draw(p.T, "keep") * int64(time.Millisecond),
	}
	p.m.history, p.m.keep = int(c.History), c.KeepDeleted
	return c
}

func (p *play) make() {
	p.c.must(makeBucket("b", p.config()))
	p.m.last++
	p.m.keys, p.m.floor = map[string]*modelKey{}, 0
}

func (p *play) step() {
	key := rapid.SampledFrom(playKeys).Draw(p.T, "key")
	switch rapid.IntRange(0, 15).Draw(p.T, "step") {
	case 0:
		p.c.must(dropBucket("b"))
		p.m.last++
		p.make()
	case 1:
		history, keep := p.m.history, p.m.keep
		p.c.must(changeBucket("b", p.config()))
		if history != p.m.history || keep != p.m.keep {
			p.m.last++
		}
	case 2:
		p.c.reopen(rapid.Bool().Draw(p.T, "flush"))
	case 3, 4:
		d := rapid.Int64Range(0, 30).Draw(p.T, "time") * int64(time.Millisecond)
		p.m.now += d
		p.m.pass()
		p.c.pass(time.Duration(d))
	case 5, 6, 7:
		p.remove(key, rapid.IntRange(0, 3).Draw(p.T, "purge") == 0)
	case 8, 9:
		p.transact(key)
	default:
		p.put(key)
	}
}

func (p *play) put(key string) {
	was, there := p.m.there(key)
	actual := uint64(0)
	if there {
		actual = uint64(was.revision)
	}
	value := rapid.SampledFrom([]string{"", "x", "yy"}).Draw(p.T, "value")
	o := &edriv1.PutKey{Bucket: "b", Key: key, Value: []byte(value)}
	if rapid.Bool().Draw(p.T, "conditional") {
		revision := rapid.SampledFrom([]uint64{0, actual, actual + 1}).Draw(p.T, "revision")
		if o.Revision = &revision; revision != actual {
			p.c.fails(event.CodeRevisionConflict, putOf(o))
			return
		}
	}
	ttl := rapid.SampledFrom([]int64{0, 0, 5, 20}).Draw(p.T, "ttl") * int64(time.Millisecond)
	if ttl > 0 {
		// No two timers at one time: which fires first the model does not know.
		ttl += int64(p.m.last)
		o.Ttl = &ttl
	}
	p.m.change(key, KindPut, value)
	if ttl > 0 {
		p.m.keys[key].expires = p.m.now + ttl
	}
	r := p.c.must(putOf(o)).GetKeyChanged()
	if r.Revision != uint64(p.m.last) || r.Previous != actual {
		p.Fatalf("put is %v, want %d after %d", r, p.m.last, actual)
	}
}

func (p *play) remove(key string, purged bool) {
	op := remove("b", key)
	op.GetDeleteKey().Purge = purged
	r := p.c.must(op).GetKeyChanged()
	was, there := p.m.there(key)
	if there != (r.Revision != 0) || there && r.Previous != uint64(was.revision) {
		p.Fatalf("delete is %v, key there %v", r, there)
	}
	if there {
		p.m.change(key, KindDeleted, "")
	}
	if purged && p.m.keys[key] != nil {
		p.m.drop(key)
	}
}

// transact puts a key if another is there, and else deletes it.
func (p *play) transact(key string) {
	other := rapid.SampledFrom(playKeys).Draw(p.T, "other")
	_, there := p.m.there(other)
	done := p.c.must(transact(&edriv1.KeyTransaction{
		Compare:   []*edriv1.CompareKey{existing("b", other, true)},
		Then:      []*edriv1.KeyOp{inTransaction(put("b", key, "t")), inTransaction(put("b", other, "u"))},
		Otherwise: []*edriv1.KeyOp{inTransaction(remove("b", key))},
	})).GetKeyTransactionDone()
	if done.Succeeded != there {
		p.Fatalf("transaction succeeded %v, %s there %v", done.Succeeded, other, there)
	}
	if there {
		p.m.change(key, KindPut, "t")
		p.m.change(other, KindPut, "u")
	} else if _, is := p.m.there(key); is {
		p.m.change(key, KindDeleted, "")
	}
}

func (p *play) compare() {
	p.Helper()
	size := 0
	for _, key := range playKeys {
		if got, want := p.c.history("b", key), p.m.historyOf(key); got != want {
			p.Fatalf("history of %s is %q, want %q", key, got, want)
		}
		for at := max(p.m.last, 25) - 24; at <= p.m.last; at++ {
			if got, want := p.c.getAt("b", key, at), p.m.getAt(key, at); got != want {
				p.Fatalf("%s at %d is %s, want %s", key, at, got, want)
			}
		}
		if c, there := p.m.there(key); there {
			size += len(c.value)
		}
	}
	b := p.c.bucket("b")
	if list := p.m.list(); p.c.list("b", "", "", 99) != list || b.Keys != uint64(len(strings.Fields(list))) || b.ValueBytes != uint64(size) {
		p.Fatalf("bucket is %+v with %s, want %s and %d bytes", b, p.c.list("b", "", "", 99), list, size)
	}
}
