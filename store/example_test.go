package store_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/edri-io/edri/store"
)

// A state machine changes rows in scratch layers, publishes them, and has them
// flushed by another goroutine.
func Example() {
	dir, err := os.MkdirTemp("", "store")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	db, err := store.Open(filepath.Join(dir, "state.db"), store.Config{Tables: []string{"streams"}})
	if err != nil {
		panic(err)
	}
	streams := db.Table("streams")

	scratch := db.Begin().Scratch()
	scratch.Put(streams, []byte("orders"), []byte("7"))
	scratch.Put(streams, []byte("payments"), []byte("3"))
	scratch.Merge()

	refused := db.Begin().Scratch()
	refused.Put(streams, []byte("orders"), []byte("8"))
	refused.Discard()
	db.Publish()

	if err := db.Flush(db.Freeze()); err != nil {
		panic(err) // the node exits
	}
	view := db.View()
	rows := view.Scan(streams, nil, nil, false)
	for rows.Next() {
		fmt.Printf("%s is at %s\n", rows.Key(), rows.Value())
	}
	rows.Close()
	view.Close()
	fmt.Println(rows.Err(), db.Close())
	// Output:
	// orders is at 7
	// payments is at 3
	// <nil> <nil>
}
