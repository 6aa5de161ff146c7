package store

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
)

// script is a fixed sequence of changes and flushes. The crash tests run it,
// in this process or in another, and compare the file with its states.
type script struct {
	seed    uint64
	flushes int
}

// change is one Put, or Delete if value is nil.
type change struct {
	table      Table
	key, value []byte
}

// round returns the changes before flush i.
func (s script) round(i int) []change {
	rnd := rand.New(rand.NewPCG(s.seed, uint64(i)))
	changes := make([]change, 30+rnd.IntN(30))
	for j := range changes {
		c := &changes[j]
		c.table = Table(rnd.IntN(len(testTables)))
		c.key = fmt.Appendf(nil, "key-%d", rnd.IntN(60))
		if rnd.IntN(4) > 0 {
			c.value = []byte(strings.Repeat("v", rnd.IntN(300)) + fmt.Sprint(i, j))
		}
		if rnd.IntN(15) == 0 && c.value != nil {
			c.value = append(make([]byte, 9000), c.value...)
		}
	}
	return changes
}

// states returns the model after each flush; the first is the empty database.
func (s script) states() []tables {
	m := newTables()
	states := []tables{m.clone()}
	for i := range s.flushes {
		for _, c := range s.round(i) {
			if c.value == nil {
				delete(m[c.table], string(c.key))
			} else {
				m[c.table][string(c.key)] = string(c.value)
			}
		}
		states = append(states, m.clone())
	}
	return states
}

// run opens the database, makes all rounds and closes it. It calls acked with
// 0 when the database is open and with i when flush i was acknowledged. The
// error is the first that the store returned.
func (s script) run(path string, cfg Config, acked func(i int)) (err error) {
	db, err := Open(path, cfg)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := db.Close(); err == nil {
			err = closeErr
		}
	}()
	acked(0)
	for i := range s.flushes {
		scratch := db.Begin().Scratch()
		for _, c := range s.round(i) {
			if c.value == nil {
				scratch.Delete(c.table, c.key)
			} else {
				scratch.Put(c.table, c.key, c.value)
			}
		}
		scratch.Merge()
		db.Publish()
		if err := db.Flush(db.Freeze()); err != nil {
			return err
		}
		acked(i + 1)
	}
	return nil
}

// verify opens what a crash left and fails unless it is the state of the last
// acknowledged flush, or of the one that was under way. acked is -1 if Open did
// not return. It returns which state it found.
func (s script) verify(t *testing.T, path string, acked int) int {
	t.Helper()
	db, err := Open(path, testConfig(nil))
	if err != nil {
		t.Errorf("after a crash at flush %d: %v", acked+1, err)
		return -1
	}
	defer closeTest(t, db)
	states := s.states()
	before := differs(db.Begin(), states[max(acked, 0)])
	if before == "" {
		return max(acked, 0)
	}
	if acked+1 < len(states) && differs(db.Begin(), states[acked+1]) == "" {
		return acked + 1
	}
	t.Errorf("after a crash at flush %d: neither the state before nor the one after: %s", acked+1, before)
	return -1
}

// Helper processes: the test binary started by itself with these variables
// runs a script and reports each acknowledgement on stdout with one write.
const (
	helperPath  = "EDRI_STORE_TEST_PATH"
	helperMode  = "EDRI_STORE_TEST_MODE"
	exitStorage = 10
	exitOther   = 1
)

func TestMain(m *testing.M) {
	if path := os.Getenv(helperPath); path != "" {
		os.Exit(helper(path, os.Getenv(helperMode)))
	}
	// More than rapid's default, for sequences that need many steps to matter.
	if err := flag.Set("rapid.steps", "100"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}
