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
