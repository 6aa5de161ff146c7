package consensus

import (
	"testing"

	"github.com/hashicorp/raft"
)

// The settings of Raft without which what stands in its place here would be undone: the
// state is newer than any snapshot when a node starts, entries in a buffered channel are
// never answered when Raft stops, and Raft's own trigger of snapshots counts entries.
func TestRaftLeavesToTheNodeWhatIsTheNodes(t *testing.T) {
	t.Parallel()
	c := (Config{}).raftConfig("n1-1")
	if !c.NoSnapshotRestoreOnStart {
		t.Error("Raft restores a snapshot at start, over a state that is newer")
	}
	if c.BatchApplyCh {
		t.Error("Raft keeps entries in a channel, of which some are never answered")
	}
	if usual := raft.DefaultConfig().SnapshotThreshold; c.SnapshotThreshold <= usual {
		t.Errorf("Raft takes snapshots by itself, every %d entries", c.SnapshotThreshold)
	}
}
