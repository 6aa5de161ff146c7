package store

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// tables is the model: rows by table and key, in memory.
type tables []map[string]string

func newTables() tables {
	m := make(tables, len(testTables))
	for t := range m {
		m[t] = make(map[string]string)
	}
	return m
}

func (m tables) clone() tables {
	c := make(tables, len(m))
	for t := range m {
		c[t] = maps.Clone(m[t])
	}
	return c
}

// scan is what an iteration must return.
func (m tables) scan(t Table, lo, hi []byte, reverse bool) (rows [][2]string) {
	for _, k := range slices.Sorted(maps.Keys(m[t])) {
		if k >= string(lo) && (hi == nil || k < string(hi)) {
			rows = append(rows, [2]string{k, m[t][k]})
		}
	}
	if reverse {
		slices.Reverse(rows)
	}
	return rows
}

type scanner interface {
	getter
	Scan(t Table, lo, hi []byte, reverse bool) *Iterator
}

// scanAll drains an iterator.
func scanAll(it *Iterator) (rows [][2]string, err error) {
	defer it.Close()
	for it.Next() {
		rows = append(rows, [2]string{string(it.Key()), string(it.Value())})
	}
	return rows, it.Err()
}

// differs says how all tables of s differ from the model, "" if they do not.
func differs(s scanner, want tables) string {
	for t := range want {
		got, err := scanAll(s.Scan(Table(t), nil, nil, false))
		if err != nil {
			return fmt.Sprintf("table %s: %v", testTables[t], err)
		}
		if w := want.scan(Table(t), nil, nil, false); !slices.Equal(got, w) {
			return fmt.Sprintf("table %s: got %d rows, want %d: %s", testTables[t], len(got), len(w), firstDifference(got, w))
		}
	}
	return ""
}

func firstDifference(got, want [][2]string) string {
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			return fmt.Sprintf("lacks %.40q", want[i])
		case i >= len(want) || got[i] != want[i]:
			return fmt.Sprintf("has %.40q at %d", got[i], i)
		}
	}
	return "none"
}

// machine drives a DB and the model side by side.
type machine struct {
	path string
	db   *DB
	tx   *Tx // top or innermost scratch

	stack     []tables // model of the top and of each open scratch
	published tables
	freezing  tables // what the frozen layer makes durable
	durable   tables
	frozen    *Frozen
	changed   bool // since Publish
	views     []pinned
	iters     []iteration
}

type pinned struct {
	view *View
	want tables
}

type iteration struct {
	it   *Iterator
	want [][2]string
}

var (
	genTable = rapid.Custom(func(t *rapid.T) Table { return Table(rapid.IntRange(0, 2).Draw(t, "table")) })
	genKey   = rapid.Custom(func(t *rapid.T) []byte {
		return []byte(rapid.StringMatching(`[a-c]{1,4}`).Draw(t, "key"))
	})
	genBound = rapid.Custom(func(t *rapid.T) []byte {
		switch rapid.IntRange(0, 9).Draw(t, "bound") {
		case 0, 1, 2:
			return nil
		case 3:
			return []byte{}
		}
		return genKey.Draw(t, "bound key")
	})
	genValue = rapid.Custom(func(t *rapid.T) []byte {
		if rapid.IntRange(0, 30).Draw(t, "large") == 0 { // overflow pages, rows outside the arena
			n := rapid.IntRange(1000, 20000).Draw(t, "size")
			return bytes.Repeat([]byte{byte(n)}, n)
		}
		return []byte(rapid.StringN(0, 20, 40).Draw(t, "value"))
	})
)

func (m *machine) top() tables { return m.stack[len(m.stack)-1] }

func (m *machine) Put(t *rapid.T) {
	for range rapid.IntRange(1, 40).Draw(t, "rows") { // beyond maxScratchRows sometimes
		table, key, value := genTable.Draw(t, "t"), genKey.Draw(t, "k"), genValue.Draw(t, "v")
		m.top()[table][string(key)] = string(value)
		m.tx.Put(table, key, value)
		clear(key) // the database has its own copy
		clear(value)
		m.changed = true
	}
}

func (m *machine) Delete(t *rapid.T) {
	for range rapid.IntRange(1, 10).Draw(t, "rows") {
		table, key := genTable.Draw(t, "t"), genKey.Draw(t, "k")
		delete(m.top()[table], string(key))
		m.tx.Delete(table, key)
		clear(key)
		m.changed = true
	}
}

func (m *machine) Get(t *rapid.T) {
	table, key := genTable.Draw(t, "t"), genKey.Draw(t, "k")
	checkGet(t, m.tx, m.top(), table, key)
}

func checkGet(t *rapid.T, s getter, want tables, table Table, key []byte) {
	got, err := s.Get(table, key)
	w, found := want[table][string(key)]
	if err != nil || (got != nil) != found || string(got) != w {
		t.Fatalf("get %s %q: got %.40q (nil %t), %v; want %.40q (%t)", testTables[table], key, got, got == nil, err, w, found)
	}
}

func (m *machine) Scan(t *rapid.T) { checkScan(t, m.tx, m.top()) }

func checkScan(t *rapid.T, s scanner, model tables) {
	table, lo, hi := genTable.Draw(t, "t"), genBound.Draw(t, "lo"), genBound.Draw(t, "hi")
	reverse := rapid.Bool().Draw(t, "reverse")
	got, err := scanAll(s.Scan(table, lo, hi, reverse))
	if want := model.scan(table, lo, hi, reverse); err != nil || !slices.Equal(got, want) {
		t.Fatalf("scan %s [%q, %q) reverse %t: %v, %s", testTables[table], lo, hi, reverse, err, firstDifference(got, want))
	}
}

// Iterate opens an iterator that later actions continue: it must not see what
// changes meanwhile.
func (m *machine) Iterate(t *rapid.T) {
	table, reverse := genTable.Draw(t, "t"), rapid.Bool().Draw(t, "reverse")
	m.iters = append(m.iters, iteration{
		it:   m.tx.Scan(table, nil, nil, reverse),
		want: m.top().scan(table, nil, nil, reverse),
	})
}

func (m *machine) Advance(t *rapid.T) {
	if len(m.iters) == 0 {
		t.Skip("no iterator")
	}
	i := rapid.IntRange(0, len(m.iters)-1).Draw(t, "iterator")
	for range rapid.IntRange(1, 20).Draw(t, "steps") {
		it := &m.iters[i]
		more := it.it.Next()
		if err := it.it.Err(); err != nil || more != (len(it.want) > 0) {
			t.Fatalf("iterator: got more %t, %v; want %d rows more", more, err, len(it.want))
		}
		if !more {
			it.it.Close()
			m.iters = slices.Delete(m.iters, i, i+1)
			return
		}
		if got := [2]string{string(it.it.Key()), string(it.it.Value())}; got != it.want[0] {
			t.Fatalf("iterator: got %.40q, want %.40q", got, it.want[0])
		}
		it.want = it.want[1:]
	}
}

func (m *machine) Scratch(t *rapid.T) {
	if len(m.stack) > 3 {
		t.Skip("deep enough")
	}
	m.tx = m.tx.Scratch()
	m.stack = append(m.stack, m.top().clone())
}

func (m *machine) Merge(t *rapid.T) {
	n := len(m.stack)
	if n == 1 {
		t.Skip("no scratch")
	}
	parent := m.tx.parent
	m.tx.Merge()
	m.tx = parent
	m.stack[n-2] = m.stack[n-1]
	m.stack = m.stack[:n-1]
}

func (m *machine) Discard(t *rapid.T) {
	if len(m.stack) == 1 {
		t.Skip("no scratch")
	}
	parent := m.tx.parent
	m.tx.Discard()
	m.tx = parent
	m.stack = m.stack[:len(m.stack)-1]
}

func (m *machine) Publish(t *rapid.T) {
	if len(m.stack) > 1 {
		t.Skip("scratch is open")
	}
	m.db.Publish()
	m.published = m.top().clone()
	m.changed = false
}

func (m *machine) Freeze(t *rapid.T) {
	if len(m.stack) > 1 || m.changed {
		t.Skip("not published")
	}
	f := m.db.Freeze()
	if m.frozen != nil {
		if f != nil {
			t.Fatal("froze twice")
		}
		return
	}
	if m.frozen = f; f != nil {
		m.freezing = m.published
	}
}

func (m *machine) Flush(t *rapid.T) {
	if m.frozen == nil {
		t.Skip("nothing is frozen")
	}
	if err := m.db.Flush(m.frozen); err != nil {
		t.Fatal(err)
	}
	m.frozen = nil
	m.durable = m.freezing
}

func (m *machine) View(*rapid.T) {
	m.views = append(m.views, pinned{m.db.View(), m.published})
}

func (m *machine) ReadView(t *rapid.T) {
	if len(m.views) == 0 {
		t.Skip("no view")
	}
	v := rapid.SampledFrom(m.views).Draw(t, "view")
	checkScan(t, v.view, v.want)
	checkGet(t, v.view, v.want, genTable.Draw(t, "t"), genKey.Draw(t, "k"))
}

func (m *machine) CloseView(t *rapid.T) {
	if len(m.views) == 0 {
		t.Skip("no view")
	}
	i := rapid.IntRange(0, len(m.views)-1).Draw(t, "view")
	m.views[i].view.Close()
	m.views = slices.Delete(m.views, i, i+1)
}

// Copy compares what is durable with the model.
func (m *machine) Copy(t *rapid.T) {
	path := m.path + ".copy"
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.Remove(path) }()
	if _, err = m.db.Copy(f); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := CheckFile(context.Background(), path); err != nil {
		t.Fatal(err)
	}
	if err := m.db.Check(context.Background()); err != nil {
		t.Fatal(err)
	}
	db, err := Open(path, testConfig(nil))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if d := differs(db.Begin(), m.durable); d != "" {
		t.Fatalf("copy: %s", d)
	}
}

// Reopen loses what was not flushed.
func (m *machine) Reopen(t *rapid.T) {
	m.close(t)
	m.open(t)
	if d := differs(m.tx, m.durable); d != "" {
		t.Fatalf("reopened: %s", d)
	}
}

// Check runs after every action.
func (m *machine) Check(t *rapid.T) {
	if n := m.db.DirtyBytes(); n < 0 {
		t.Fatalf("dirty bytes are %d", n)
	}
}

func (m *machine) open(t *rapid.T) {
	db, err := Open(m.path, testConfig(nil))
	if err != nil {
		t.Fatal(err)
	}
	m.db, m.tx = db, db.Begin()
	m.stack = []tables{m.durable.clone()}
	m.published = m.durable
	m.changed, m.frozen = false, nil
}

func (m *machine) close(t *rapid.T) {
	for _, v := range m.views {
		if d := differs(v.view, v.want); d != "" {
			t.Fatalf("view at close: %s", d)
		}
		v.view.Close()
	}
	for _, it := range m.iters {
		it.it.Close()
	}
	m.views, m.iters = nil, nil
	if err := m.db.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestDatabaseBehavesLikeSortedMaps(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	n := 0
	check := func(t *rapid.T) {
		n++
		m := &machine{path: filepath.Join(dir, fmt.Sprint(n)), durable: newTables()}
		m.open(t)
		actions := rapid.StateMachineActions(m)
		t.Repeat(actions)
		if d := differs(m.tx, m.top()); d != "" {
			t.Fatalf("at the end: %s", d)
		}
		if err := m.db.Check(context.Background()); err != nil {
			t.Fatal(err)
		}
		m.close(t)
	}
	for range campaign(1, 100) {
		rapid.Check(t, check)
	}
}
