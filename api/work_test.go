package api

import (
	"fmt"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/workflows"
)

// frames keeps what a worker is written.
type frames struct{ list [][]byte }

func (f *frames) Send(m *workedFrame) error {
	f.list = append(f.list, slices.Clone(m.Bytes))
	return nil
}

// What is ready for a worker goes in frames that it reads, also the many entries of one run,
// in their order and the assignment first.
func TestFramesToAWorkerAreBounded(t *testing.T) {
	t.Parallel()
	entries := func(from, n, size int) (list []workflows.Entry) {
		for i := range n {
			list = append(list, workflows.Entry{Number: uint64(from + i), Kind: "k", Data: make([]byte, size)})
		}
		return list
	}
	messages := []workflows.Message{
		{Assign: &workflows.Assign{Run: workflows.Run{ID: "empty", Number: 1}}},
		{Assign: &workflows.Assign{Run: workflows.Run{ID: "a", Number: 2}, Entries: entries(1, 17, 900<<10)}},
		{Entries: &workflows.Entries{Number: 2, Entries: entries(18, 2000, 4<<10)}},
		{Drain: &workflows.Drain{Number: 2}},
	}
	var to frames
	if _, err := writeWork(nil, messages, &to); err != nil {
		t.Fatal(err)
	}
	var said []string
	next := uint64(1)
	take := func(number uint64, list []*edriv1.RunEntry) {
		for _, e := range list {
			if number != 2 || e.Number != next {
				t.Fatalf("entry %d of run %d, want %d", e.Number, number, next)
			}
			next++
		}
	}
	for _, b := range to.list {
		if len(b) > maxWorkFrame+128<<10 { // of 2,000 numbers, kinds and times
			t.Errorf("a frame of %d bytes", len(b))
		}
		m := new(edriv1.WorkResponse)
		if err := proto.Unmarshal(b, m); err != nil {
			t.Fatal(err)
		}
		for _, item := range m.Items {
			switch item := item.Item.(type) {
			case *edriv1.WorkItem_Assigned:
				said = append(said, "assigned "+item.Assigned.Run.Id)
				take(item.Assigned.Run.Number, item.Assigned.Entries)
			case *edriv1.WorkItem_Entries:
				take(item.Entries.Number, item.Entries.Entries)
			case *edriv1.WorkItem_Drain:
				said = append(said, fmt.Sprint("drain after ", next-1))
			}
		}
	}
	if want := []string{"assigned empty", "assigned a", "drain after 2017"}; !slices.Equal(said, want) {
		t.Errorf("said %q, want %q", said, want)
	}
	if len(to.list) < 17 {
		t.Errorf("%d frames", len(to.list))
	}
}
