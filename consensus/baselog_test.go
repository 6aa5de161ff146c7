package consensus

import (
	"errors"
	"testing"

	"github.com/hashicorp/raft"
)

func TestBaseLogAnswersForTheSnapshotsLastEntry(t *testing.T) {
	t.Parallel()
	store := raft.NewInmemStore()
	if err := store.StoreLogs([]*raft.Log{{Index: 8, Term: 3}, {Index: 9, Term: 3}}); err != nil {
		t.Fatal(err)
	}
	l := &baseLog{LogStore: store}
	var entry raft.Log
	if err := l.GetLog(7, &entry); !errors.Is(err, raft.ErrLogNotFound) {
		t.Errorf("without a snapshot, entry 7: got %v, want not found", err)
	}
	l.setBase(snapshotOrigin{Index: 7, Term: 2})
	if err := l.GetLog(7, &entry); err != nil || entry.Index != 7 || entry.Term != 2 {
		t.Errorf("last entry of the snapshot: got %+v, %v", entry, err)
	}
	if err := l.GetLog(8, &entry); err != nil || entry.Term != 3 {
		t.Errorf("entry of the log: got %+v, %v", entry, err)
	}
	if err := l.GetLog(6, &entry); !errors.Is(err, raft.ErrLogNotFound) {
		t.Errorf("entry below the snapshot: got %v, want not found", err)
	}
}

func TestBaseLogStandsInForATailBeyondTheSnapshot(t *testing.T) {
	t.Parallel()
	l := &baseLog{LogStore: raft.NewInmemStore()}
	store := func(term uint64, indexes ...uint64) error {
		var entries []*raft.Log
		for _, index := range indexes {
			entries = append(entries, &raft.Log{Index: index, Term: term})
		}
		return l.StoreLogs(entries)
	}
	if err := store(3, 4, 5, 6, 7, 8, 9); err != nil {
		t.Fatal(err)
	}
	l.setBase(snapshotOrigin{Index: 7, Term: 4})
	if err := l.DeleteRange(4, 9); err != nil {
		t.Fatal(err)
	}
	var entry raft.Log
	for index, term := range map[uint64]uint64{7: 4, 8: 0, 9: 0} {
		if err := l.GetLog(index, &entry); err != nil || entry.Index != index || entry.Term != term || entry.Type != onlyTerm {
			t.Errorf("entry %d: got %+v, %v", index, entry, err)
		}
	}
	for _, index := range []uint64{6, 10} {
		if err := l.GetLog(index, &entry); !errors.Is(err, raft.ErrLogNotFound) {
			t.Errorf("entry %d: got %v, want not found", index, err)
		}
	}
	if err := store(4, 10); !errors.Is(err, errLogGap) {
		t.Errorf("an entry that leaves a gap: got %v", err)
	}
	if err := l.DeleteRange(8, 9); err != nil { // as raft clears it
		t.Fatal(err)
	}
	if err := store(4, 8); err != nil {
		t.Fatal(err)
	}
	if err := l.GetLog(9, &entry); !errors.Is(err, raft.ErrLogNotFound) {
		t.Errorf("entry 9 after the log was written again: got %v, want not found", err)
	}
}
